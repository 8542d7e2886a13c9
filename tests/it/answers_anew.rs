//! Answers that are made anew, at one of several gateways with one Redis: the former one is not given again at any, whatever
//! becomes of the new one on its way. And how many are put there, for how long, and what a Redis does that has no room.

use std::time::Duration;

use rivulet::mock_llm::Options;
use serde_json::json;
use tokio::{task::spawn_blocking, time::sleep};

use crate::{
    answers_together::{QUESTION, ask, failures, is_cached, keeping, lies_there, looks, names, saying},
    auth::{self, token},
    harness::{Answer, Client, Redis, TestGateway, Upstream, soon, upstream},
    together::{LIMIT, admits_together, from, gateways, hourly, is},
};

const FORMER: &str = "A rivulet is a river.";
const NEW: &str = "A rivulet is a very small stream.";

/// A model's server that says these one after the other.
async fn saying_in_turns(texts: &[&str]) -> Upstream {
    upstream(Options { faults: texts.iter().map(|text| saying(text)).collect(), ..Options::default() }).await
}

/// Asks what is known, and then for another answer.
async fn anew(gateway: &TestGateway) -> Answer {
    let mut client = Client::connect_as(&gateway.socket(""), &token("ann")).await;
    assert_eq!(client.ask(QUESTION).await.text, FORMER);
    client.tell(json!({"type": "regenerate", "id": "again"})).await;
    let answer = client.answer().await;
    assert!(!is_cached(&answer));
    answer
}

async fn gives(gateway: &TestGateway, text: &str) {
    let answer = ask(gateway, "ann", QUESTION).await;
    assert_eq!((answer.text.as_str(), is_cached(&answer)), (text, true));
}

/// Waits until something else lies there.
async fn changes(redis: &Redis, name: &str, former: &[u8]) -> Vec<u8> {
    soon("something else in the Redis", async {
        loop {
            let there = lies_there(redis, name).await;
            if there != former {
                return there;
            }
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await
}

#[tokio::test]
async fn one_that_is_lost_on_its_way_is_given_again_and_the_former_one_is_not() {
    let upstream = saying_in_turns(&[FORMER, NEW]).await;
    let mut redis = Redis::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let [a, b] = gateways(keeping(auth::setup(), &upstream), redis.url()).await;
    ask(&a, "ann", QUESTION).await;
    let name = names(&redis, 1).await.remove(0);
    let former = lies_there(&redis, &name).await;
    redis.kill();
    assert_eq!(anew(&a).await.text, NEW);
    soon("a failure", async { while failures(&a, "put").await < 1.0 {} }).await;
    let redis = spawn_blocking(move || {
        redis.start_again();
        redis
    })
    .await
    .unwrap();
    for gateway in [&a, &b] {
        is(gateway, "ready").await;
    }
    assert_eq!(lies_there(&redis, &name).await, former, "it has what it had");
    let own = looks(&a, "hit").await;
    gives(&a, NEW).await;
    assert_eq!(looks(&a, "hit").await, own + 1.0, "its own, for it is newer");
    // With that it comes there after all.
    changes(&redis, &name, &former).await;
    gives(&b, NEW).await;
    assert_eq!((looks(&b, "hit_shared").await, upstream.stats.counts().requests), (1.0, 2));
}

#[tokio::test]
async fn one_that_is_too_long_to_be_shared_ends_the_former_one_everywhere() {
    let (long, other) = (NEW.repeat(1000), "A rivulet? ".repeat(2000));
    let upstream = saying_in_turns(&[FORMER, &long, &other]).await;
    let redis = Redis::start(&[]);
    let setup = keeping(auth::setup(), &upstream).set("RIVULET_LLM_MAX_OUTPUT_TOKENS", "100000");
    let [a, b] = gateways(setup, redis.url()).await;
    ask(&a, "ann", QUESTION).await;
    let name = names(&redis, 1).await.remove(0);
    let former = lies_there(&redis, &name).await;
    gives(&b, FORMER).await;
    assert_eq!(anew(&b).await.text, long);
    assert!(changes(&redis, &name, &former).await.len() < 100, "that there is a newer one");
    let millis: i64 = redis.servers[0].command(&["PTTL", &name]).await.unwrap();
    assert!((1..=900_000).contains(&millis), "{millis}");
    // The gateway that was told the former one does not give it again, and both have their own from now on.
    let answer = ask(&a, "ann", QUESTION).await;
    assert_eq!((answer.text.as_str(), is_cached(&answer)), (other.as_str(), false));
    for _ in 0..2 {
        gives(&a, &other).await;
        gives(&b, &long).await;
    }
    assert_eq!(upstream.stats.counts().requests, 3);
}

#[tokio::test]
async fn a_former_one_that_is_put_back_is_not_given_by_who_knows_better_nor_for_longer_than_its_time() {
    let upstream = saying_in_turns(&[FORMER, NEW, "A rivulet is a brook."]).await;
    let redis = Redis::start(&[]);
    let setup = keeping(auth::setup(), &upstream).set("RIVULET_LLM_CACHE_TTL_S", "10");
    let [a, b] = gateways(setup, redis.url()).await;
    ask(&a, "ann", QUESTION).await;
    let name = names(&redis, 1).await.remove(0);
    let former = lies_there(&redis, &name).await;
    let command = async |words: &[&str]| redis.servers[0].command::<i64>(words).await.unwrap();
    command(&["COPY", &name, "copy"]).await;
    command(&["PERSIST", "copy"]).await;
    assert_eq!(anew(&a).await.text, NEW);
    changes(&redis, &name, &former).await;
    command(&["COPY", "copy", &name, "REPLACE"]).await;
    gives(&a, NEW).await;
    // Who writes there can have it given again where nobody knows better, but not for ever.
    soon("another answer", async {
        loop {
            command(&["COPY", "copy", &name, "REPLACE"]).await;
            if ask(&b, "ann", QUESTION).await.text == "A rivulet is a brook." {
                break;
            }
        }
    })
    .await;
    assert_eq!(command(&["EXISTS", "copy"]).await, 1);
}

#[tokio::test]
async fn one_user_has_a_quarter_of_the_room_and_the_same_again_takes_no_more() {
    let (upstream, redis) = (Upstream::saying(NEW, 0.0).await, Redis::start(&[]));
    let setup = keeping(auth::setup(), &upstream).set("RIVULET_LLM_CACHE_ENTRIES", "8");
    let [a, b] = gateways(setup, redis.url()).await;
    for question in ["One?", "Two?", "Three?"] {
        assert!(!is_cached(&ask(&a, "ann", question).await));
    }
    assert!(!is_cached(&ask(&a, "bob", "One?").await), "what others put there is their own");
    // In turns: when this one is there, all others would be.
    names(&redis, 3).await;
    assert_eq!((failures(&a, "quota").await, failures(&a, "put").await), (1.0, 0.0));
    assert!(is_cached(&ask(&a, "ann", "Three?").await), "its own");
    assert!(!is_cached(&ask(&b, "ann", "Three?").await) && is_cached(&ask(&b, "ann", "Two?").await));
    names(&redis, 4).await;
    let mut client = Client::connect_as(&a.socket(""), &token("ann")).await;
    client.ask("One?").await;
    for id in ["again", "and again"] {
        client.tell(json!({"type": "regenerate", "id": id})).await;
        assert!(!is_cached(&client.answer().await));
    }
    ask(&a, "bob", "Two?").await;
    names(&redis, 5).await;
    assert_eq!(failures(&a, "quota").await, 1.0);
}

#[tokio::test]
async fn a_redis_without_room_takes_no_answers_and_counts_all_the_same() {
    let upstream = Upstream::saying(NEW, 0.0).await;
    let redis = Redis::start(&["--maxmemory-policy", "noeviction"]);
    let gateways = gateways::<2>(keeping(hourly(), &upstream), redis.url()).await;
    let _: String = redis.servers[0].command(&["CONFIG", "SET", "maxmemory", "1"]).await.unwrap();
    for gateway in &gateways {
        soon("what it says", async {
            while !gateway.log().contains("has no room for more") {
                sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }
    admits_together(&gateways, &from("127.0.0.2")).await;
    for gateway in &gateways {
        assert_eq!(gateway.connect().await.ask(QUESTION).await.text, NEW);
        soon("a failure", async { while failures(gateway, "put").await < 1.0 {} }).await;
        assert_eq!((failures(gateway, "away").await, gateway.metric("redis_up").await), (0.0, 1.0));
        let alone = gateway.metric("limits_alone_total{scope=\"requests\"}").await;
        assert!(alone < LIMIT as f64 / 2.0, "{alone}: as a rule, those of all gateways");
    }
}
