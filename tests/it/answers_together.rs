//! Answers that gateways with one Redis give again for one another, and what is not given to whom.

use std::time::Duration;

use rivulet::mock_llm::{Fault, Options};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::{
    auth::{self, token},
    documents::{self, User},
    harness::{Answer, Client, Redis, SHARED_REDIS, Setup, TestGateway, Upstream, soon, upstream},
    knowledge::until_loaded,
    together::gateways,
};

const TEXT: &str = "A rivulet is a very small stream. It begins at a spring, and it ends in a river.";
pub(crate) const QUESTION: &str = "What is a rivulet?";

/// How a model's server says this, whole and at once.
pub(crate) fn saying(text: &str) -> Fault {
    let said = json!({"choices": [{"delta": {"content": text}, "finish_reason": "stop"}]});
    Fault::Raw { pieces: vec![format!("data: {said}\n\ndata: [DONE]\n\n").into()], pause: Duration::ZERO }
}

pub(crate) fn keeping(setup: Setup, upstream: &Upstream) -> Setup {
    setup.set("RIVULET_LLM_BASE_URL", &upstream.url).set("RIVULET_LLM_CACHE_ENTRIES", "1000")
}

/// Asks in a conversation of its own.
pub(crate) async fn ask(gateway: &TestGateway, user: &str, text: &str) -> Answer {
    Client::connect_as(&gateway.socket(""), &token(user)).await.ask(text).await
}

pub(crate) fn is_cached(answer: &Answer) -> bool {
    assert_eq!(answer.status(), "complete");
    answer.done["cached"] == true
}

pub(crate) async fn looks(gateway: &TestGateway, outcome: &str) -> f64 {
    gateway.metric(&format!("cache_requests_total{{cache=\"answers\",outcome=\"{outcome}\"}}")).await
}

pub(crate) async fn failures(gateway: &TestGateway, reason: &str) -> f64 {
    gateway.metric(&format!("cache_shared_failures_total{{reason=\"{reason}\"}}")).await
}

/// The names of the answers that are there, as soon as there are so many.
pub(crate) async fn names(redis: &Redis, count: usize) -> Vec<String> {
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

pub(crate) async fn lies_there(redis: &Redis, name: &str) -> Vec<u8> {
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
    // What is sealed is a bit longer; 16 KiB are 16,384 bytes.
    let (long, shorter) = ("A rivulet. ".repeat(1_500), "A rivulet. ".repeat(1_460));
    let faults = vec![saying(&long), saying(&long), saying(&shorter)];
    let upstream = upstream(Options { faults, ..Options::default() }).await;
    let redis = Redis::start(&[]);
    let setup = keeping(auth::setup(), &upstream).set("RIVULET_LLM_MAX_OUTPUT_TOKENS", "100000");
    let [a, b] = gateways(setup, redis.url()).await;
    assert!(!is_cached(&ask(&a, "ann", QUESTION).await));
    assert!(!is_cached(&ask(&b, "ann", QUESTION).await));
    // What is put there later comes there later: when this one is there, the long one would be.
    for gateway in [&a, &b] {
        ask(gateway, "bob", "What is a river?").await;
    }
    let name = names(&redis, 1).await.remove(0);
    assert!(lies_there(&redis, &name).await.len() > shorter.len(), "the shorter one");
    assert_eq!((upstream.stats.counts().requests, looks(&b, "hit_shared").await), (3, 1.0));
    for gateway in [&a, &b] {
        assert_eq!(ask(gateway, "ann", QUESTION).await.text, long);
        assert_eq!(looks(gateway, "hit").await, 1.0, "its own");
    }
    assert_eq!(upstream.stats.counts().requests, 3);
}

#[tokio::test]
async fn while_the_redis_is_away_each_gateway_has_its_own_answers() {
    let (upstream, mut redis) = (Upstream::saying(TEXT, 0.0).await, Redis::start(&[]));
    let [a, b] = gateways(keeping(auth::setup(), &upstream), redis.url()).await;
    let requests = || upstream.stats.counts().requests;
    let is_known = async |gateway, text| is_cached(&ask(gateway, "ann", text).await);
    assert!(!is_known(&a, QUESTION).await);
    names(&redis, 1).await;
    // It is frozen, and nobody knows yet. All of this happens while it answers nothing.
    let mut known = Client::connect_as(&b.socket(""), &token("ann")).await;
    redis.stop();
    assert!(!is_cached(&known.ask("What is a river?").await));
    assert!(is_known(&a, QUESTION).await, "known here");
    assert!(!is_known(&b, QUESTION).await, "not known here");
    assert!(is_known(&b, QUESTION).await);
    assert_eq!((requests(), looks(&a, "hit_shared").await, looks(&b, "hit_shared").await), (3, 0.0, 0.0));
    assert!(failures(&b, "away").await >= 3.0);

    // Back, with what it had; then gone.
    redis.go_on();
    let up = async |gateway: &TestGateway| while gateway.metric("redis_up").await < 0.5 {};
    soon("the Redis", async { tokio::join!(up(&a), up(&b)) }).await;
    assert!(is_known(&b, QUESTION).await);
    redis.kill();
    assert!(!is_known(&a, "What is a spring?").await);
    assert!(is_known(&a, "What is a spring?").await);
    assert!(!is_known(&b, "What is a spring?").await);
    assert_eq!(requests(), 5);
}

#[tokio::test]
async fn gateways_with_other_settings_of_models_share_nothing() {
    let (upstream, redis) = (Upstream::saying(TEXT, 0.0).await, Redis::start(&[]));
    let requests = || upstream.stats.counts().requests;
    let targets = |key: &str, region: &str| {
        let target = json!({"name": "one", "base_url": upstream.url, "model": "m", "api_key": key,
            "headers": {"X-Region": region}});
        let setup = auth::setup().set("RIVULET_LLM_CACHE_ENTRIES", "1000");
        setup.set("RIVULET_LLM_TARGETS", &json!([target]).to_string())
    };
    let first = targets("first", "europe");
    let [a] = gateways(first.clone(), redis.url()).await;
    assert!(!is_cached(&ask(&a, "ann", QUESTION).await));
    names(&redis, 1).await;
    let [same] = gateways(targets("second", "europe"), redis.url()).await;
    assert!(is_cached(&ask(&same, "ann", QUESTION).await), "another key changes no answer");
    assert_eq!((requests(), looks(&same, "hit_shared").await), (1, 1.0));
    let others = [first.clone().set("RIVULET_LLM_RETRIES", "1"), targets("first", "asia")];
    for (asked, other) in (2..).zip(others) {
        let [other] = gateways(other, redis.url()).await;
        assert!(!is_cached(&ask(&other, "ann", QUESTION).await));
        assert_eq!(requests(), asked);
        names(&redis, asked).await;
    }
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
