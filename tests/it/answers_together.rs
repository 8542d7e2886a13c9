//! Answers that gateways with one Redis give again for one another, and what is not given to whom.

use std::time::Duration;

use rivulet::mock_llm::{Options, Script};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{
    auth::{self, token},
    documents::{self, User},
    harness::{Answer, Client, Redis, SHARED_REDIS, Setup, TestGateway, Upstream, soon, upstream},
    knowledge::until_loaded,
    together::gateways,
};

const TEXT: &str = "A rivulet is a very small stream. It begins at a spring, and it ends in a river.";
const QUESTION: &str = "What is a rivulet?";
/// Longer than an answer waits for anything that another gateway has, and for a busy machine.
const IN_TIME: Duration = Duration::from_secs(2);

fn keeping(setup: Setup, upstream: &Upstream) -> Setup {
    setup.set("RIVULET_LLM_BASE_URL", &upstream.url).set("RIVULET_LLM_CACHE_ENTRIES", "1000")
}

/// Asks in a conversation of its own.
async fn ask(gateway: &TestGateway, user: &str, text: &str) -> Answer {
    Client::connect_as(&gateway.socket(""), &token(user)).await.ask(text).await
}

fn is_cached(answer: &Answer) -> bool {
    assert_eq!(answer.status(), "complete");
    answer.done["cached"] == true
}

async fn looks(gateway: &TestGateway, outcome: &str) -> f64 {
    gateway.metric(&format!("cache_requests_total{{cache=\"answers\",outcome=\"{outcome}\"}}")).await
}

async fn failures(gateway: &TestGateway, reason: &str) -> f64 {
    gateway.metric(&format!("cache_shared_failures_total{{reason=\"{reason}\"}}")).await
}

/// The names of the answers that are there, as soon as there are so many.
async fn names(redis: &Redis, count: usize) -> Vec<String> {
    soon("answers in the Redis", async {
        loop {
            let names: Vec<String> = redis.servers[0].command(&["KEYS", "rivulet:answer:*"]).await.unwrap();
            if names.len() == count {
                return names;
            }
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await
}

async fn lies_there(redis: &Redis, name: &str) -> Vec<u8> {
    redis.servers[0].command(&["GET", name]).await.unwrap()
}

#[tokio::test]
async fn what_one_gateway_was_told_another_one_gives_again_to_who_may_have_it() {
    let (upstream, redis) = (Upstream::saying(TEXT, 0.0).await, Redis::start(&[]));
    let [a, b] = gateways(keeping(auth::setup(), &upstream), redis.url()).await;
    let requests = || upstream.stats.counts().requests;
    let first = ask(&a, "ann", QUESTION).await;
    assert!(!is_cached(&first));
    let name = names(&redis, 1).await.remove(0);
    let again = ask(&b, "ann", QUESTION).await;
    assert!(is_cached(&again));
    assert_eq!((again.text.as_str(), requests()), (TEXT, 1));
    for field in ["model", "usage", "len", "crc32"] {
        assert_eq!(first.done[field], again.done[field], "{field}");
    }
    assert_eq!((looks(&b, "hit_shared").await, looks(&b, "hit").await, looks(&b, "miss").await), (1.0, 0.0, 0.0));
    assert!(is_cached(&ask(&a, "ann", QUESTION).await), "and so does the one that was told");
    let root = auth::with(json!({"sub": "root", "scope": "admin", "exp": auth::now() + 60}));
    let (_, report) = auth::get(&b, "/api/v1/admin/cache", &root).await;
    assert_eq!(report["caches"][0]["hits_shared"], 1);

    // For a time, and nobody reads it there.
    let millis: i64 = redis.servers[0].command(&["PTTL", &name]).await.unwrap();
    assert!((1..=900_000).contains(&millis), "{millis}");
    let sealed = lies_there(&redis, &name).await;
    assert!(!sealed.windows(7).any(|part| part == &TEXT.as_bytes()[..7]), "sealed");

    // Another user is not answered sooner.
    assert!(!is_cached(&ask(&b, "bob", QUESTION).await));
    assert_eq!(requests(), 2);
    names(&redis, 2).await;

    // An answer anew, at whichever gateway, takes the place of what was known at all.
    let mut client = Client::connect_as(&b.socket(""), &token("ann")).await;
    assert!(is_cached(&client.ask(QUESTION).await));
    client.tell(json!({"type": "regenerate", "id": "again"})).await;
    assert!(!is_cached(&client.answer().await));
    soon("the new answer", async { while lies_there(&redis, &name).await == sealed {} }).await;
    let shared = looks(&a, "hit_shared").await;
    assert!(is_cached(&ask(&a, "ann", QUESTION).await));
    assert_eq!((looks(&a, "hit_shared").await, requests()), (shared + 1.0, 3), "the newest, not its own");
}

#[tokio::test]
async fn what_lies_there_and_is_no_answer_is_asked_for_again() {
    let (upstream, redis) = (Upstream::saying(TEXT, 0.0).await, Redis::start(&[]));
    let [a, b] = gateways(keeping(auth::setup(), &upstream), redis.url()).await;
    ask(&a, "ann", QUESTION).await;
    let name = names(&redis, 1).await.remove(0);
    let _: () = redis.servers[0].command(&["SET", &name, "Whoever wrote this is not to be believed."]).await.unwrap();
    let answer = ask(&b, "ann", QUESTION).await;
    assert!(!is_cached(&answer));
    assert_eq!((answer.text.as_str(), upstream.stats.counts().requests, failures(&b, "invalid").await), (TEXT, 2, 1.0));
    soon("a good one", async { while lies_there(&redis, &name).await.starts_with(b"Whoever") {} }).await;
    assert!(is_cached(&ask(&a, "ann", QUESTION).await));

    // What is long is not read whole. Who has the answer needs none of it.
    let _: i64 = redis.servers[0].command(&["SETRANGE", &name, "10000000", "x"]).await.unwrap();
    assert!(is_cached(&ask(&a, "ann", QUESTION).await));
    assert_eq!((failures(&a, "invalid").await, looks(&a, "hit").await), (1.0, 1.0));

    // An answer of another question is none of this one.
    ask(&a, "bob", QUESTION).await;
    let other = names(&redis, 2).await.into_iter().find(|other| *other != name).unwrap();
    let _: i64 = redis.servers[0].command(&["COPY", &name, &other, "REPLACE"]).await.unwrap();
    assert!(!is_cached(&ask(&b, "bob", QUESTION).await));
}

#[tokio::test]
async fn an_answer_that_is_long_is_given_again_by_its_gateway_alone() {
    let long = "A rivulet is a very small stream. ".repeat(1000);
    let upstream = upstream(Options { script: Script::new(&long), rate: 0.0, ..Options::default() }).await;
    let redis = Redis::start(&[]);
    let setup = keeping(auth::setup(), &upstream).set("RIVULET_LLM_MAX_OUTPUT_TOKENS", "100000");
    let [a, b] = gateways(setup, redis.url()).await;
    assert!(!is_cached(&ask(&a, "ann", QUESTION).await));
    assert!(!is_cached(&ask(&b, "ann", QUESTION).await));
    assert!(is_cached(&ask(&a, "ann", QUESTION).await) && is_cached(&ask(&b, "ann", QUESTION).await));
    assert_eq!((upstream.stats.counts().requests, looks(&a, "hit").await), (2, 1.0));
    names(&redis, 0).await;
}

#[tokio::test]
async fn while_the_redis_is_away_answers_come_in_time_and_each_gateway_has_its_own() {
    let (upstream, mut redis) = (Upstream::saying(TEXT, 0.0).await, Redis::start(&[]));
    let [a, b] = gateways(keeping(auth::setup(), &upstream), redis.url()).await;
    let requests = || upstream.stats.counts().requests;
    let in_time = async |gateway, text| {
        let mut client = Client::connect_as(&TestGateway::socket(gateway, ""), &token("ann")).await;
        let asked = Instant::now();
        let answer = client.ask(text).await;
        assert!(asked.elapsed() < IN_TIME, "{:?}", asked.elapsed());
        is_cached(&answer)
    };
    assert!(!in_time(&a, QUESTION).await);
    names(&redis, 1).await;
    // It is frozen, and nobody knows yet.
    let mut known = Client::connect_as(&b.socket(""), &token("ann")).await;
    redis.stop();
    let asked = Instant::now();
    assert!(!is_cached(&known.ask("What is a river?").await));
    assert!(asked.elapsed() < IN_TIME, "{:?}", asked.elapsed());
    assert!(in_time(&a, QUESTION).await, "known here");
    assert!(!in_time(&b, QUESTION).await, "not known here");
    assert!(in_time(&b, QUESTION).await);
    assert_eq!(requests(), 3);
    assert!(failures(&b, "away").await >= 3.0);

    // Back, with what it had; then gone.
    redis.go_on();
    let up = async |gateway: &TestGateway| while gateway.metric("redis_up").await < 0.5 {};
    soon("the Redis", async { tokio::join!(up(&a), up(&b)) }).await;
    assert!(in_time(&b, QUESTION).await);
    redis.kill();
    assert!(!in_time(&a, "What is a spring?").await);
    assert!(in_time(&a, "What is a spring?").await);
    assert!(!in_time(&b, "What is a spring?").await);
    assert_eq!(requests(), 5);
}

#[tokio::test]
async fn gateways_with_other_settings_of_models_share_nothing() {
    let upstream = Upstream::saying(TEXT, 0.0).await;
    let redis = SHARED_REDIS.fresh();
    let setup = keeping(auth::setup(), &upstream);
    let [a] = gateways(setup.clone(), &redis).await;
    let [b] = gateways(setup.clone().set("RIVULET_LLM_RETRIES", "1"), &redis).await;
    let [c] = gateways(setup.clone(), &redis).await;
    assert!(!is_cached(&ask(&a, "ann", QUESTION).await));
    soon("the answer", async { while !is_cached(&ask(&c, "ann", QUESTION).await) {} }).await;
    let before = upstream.stats.counts().requests;
    assert!(!is_cached(&ask(&b, "ann", QUESTION).await));
    assert_eq!(upstream.stats.counts().requests, before + 1);
}

#[tokio::test]
async fn when_documents_change_an_answer_is_not_given_again_at_any_gateway() {
    let (upstream, place) = (Upstream::saying("Sixty days [1].", 0.0).await, TempDir::new().unwrap());
    let setup = keeping(documents::setup(), &upstream)
        .set("RIVULET_LLM_CACHE_SHARED", "true")
        .set("RIVULET_KNOWLEDGE_URI", place.path().to_str().unwrap());
    let [a, b] = gateways(setup, &SHARED_REDIS.fresh()).await;
    for gateway in [&a, &b] {
        until_loaded(gateway).await;
    }
    let (at_a, at_b) = (User::of(&a), User::of(&b));
    let ask = async |gateway: &TestGateway| {
        let mut client = gateway.connect().await;
        client.say("How long can I return a tent?").await;
        let sources = client.until("sources").await["items"].to_string();
        (is_cached(&client.answer().await), sources)
    };
    let finds = async |gateway: &TestGateway, word: &str| {
        soon("the document", async {
            loop {
                let (cached, sources) = ask(gateway).await;
                if sources.contains(word) {
                    return cached;
                }
            }
        })
        .await
    };
    at_a.add("tents.md", "# Tents\n\nA tent can be returned for sixty days.").await;
    assert!(!finds(&a, "Tents").await, "its first answer over this document");
    let shared = looks(&b, "hit_shared").await;
    assert!(finds(&b, "Tents").await, "the same documents, the same answer");
    assert!(looks(&b, "hit_shared").await > shared);

    // Handed in at one gateway, noticed at both; what one was told of it, the other gives again.
    let more = at_b
        .add("more.md", "# Novelties\n\nHow long can I return a tent? A tent can be returned for ninety days.")
        .await;
    assert!(!finds(&b, "Novelties").await);
    assert!(finds(&a, "Novelties").await);
    let requests = upstream.stats.counts().requests;
    // When it is deleted, the documents are those of before.
    assert_eq!(at_a.call(reqwest::Method::DELETE, &format!("/documents/{more}")).await.0 / 100, 2);
    for gateway in [&a, &b] {
        let gone = async { while ask(gateway).await.1.contains("Novelties") {} };
        soon("the deletion", gone).await;
        assert!(ask(gateway).await.0, "what was true before is so again");
    }
    assert_eq!(upstream.stats.counts().requests, requests);
}
