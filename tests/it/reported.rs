//! What users of other systems with several gateways have reported, where no other test is about it (`docs/testing.md`).

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::{
    harness::{Client, Redis, SHARED, SHARED_REDIS, Setup, TestGateway, Upstream, soon},
    mirrors::{alike, come_back, reaches_others, way_is},
};

const ANSWER: &str = "one two three four five six seven eight";

async fn two(upstream: &str, redis: &str) -> [TestGateway; 2] {
    let database = SHARED.fresh().await;
    alike(&Setup::with_upstream(upstream).set("DATABASE_URL", &database).set("REDIS_URL", redis)).await
}

/// Waits until a gateway counts so much of something.
async fn counts(gateway: &TestGateway, metric: &str, least: f64) {
    soon(metric, async {
        while gateway.metric(metric).await < least {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_asked_of_a_gateway_that_does_not_listen_yet_is_asked_again() {
    let redis = Redis::start(&[]);
    let upstream = Upstream::saying(ANSWER, 500.0).await;
    let database = SHARED.fresh().await;
    let setup = Setup::with_upstream(&upstream.url).set("DATABASE_URL", &database);
    // It has conversations, and the Redis does not let it in.
    let late = setup.set("REDIS_URL", &format!("redis://late:secret@{}", redis.address())).start().await;
    let other = late.setup().elsewhere().set("REDIS_URL", redis.url()).start().await;
    reaches_others(&other).await;
    let mut owner = late.connect().await;
    owner.ask("Count").await;
    let url = other.socket(&owner.session());
    let (mut guest, ()) = tokio::join!(Client::connect(&url), async {
        counts(&other, "cluster_bus_messages_total", 1.0).await;
        let user = ["ACL", "SETUSER", "late", "on", ">secret", "allkeys", "allchannels", "+@all"];
        redis.servers[0].command::<()>(&user).await.unwrap();
    });
    guest.until("snapshot").await;
    guest.tell(json!({"type": "send", "id": "again", "text": "Again"})).await;
    for client in [&mut owner, &mut guest] {
        assert_eq!(client.answer().await.text, ANSWER);
    }
}

#[tokio::test]
async fn what_is_said_again_because_no_answer_came_is_done_once() {
    let mut redis = Redis::start(&[]);
    let upstream = Upstream::saying(ANSWER, 500.0).await;
    let [one, other] = two(&upstream.url, redis.url()).await;
    let mut owner = one.connect().await;
    owner.ask("Count").await;
    let mut guest = Client::connect(&other.socket(&owner.session())).await;
    guest.until("snapshot").await;
    let published = async |redis: &Redis| {
        let stats: String = redis.servers[0].command(&["INFO", "commandstats"]).await.unwrap();
        let line = stats.lines().find(|line| line.starts_with("cmdstat_publish:")).unwrap().to_owned();
        line.split(['=', ',']).nth(1).unwrap().parse::<u64>().unwrap()
    };
    for round in 1..=3 {
        // For less than anybody takes for its end, and for longer than an answer is waited for. Without an id of its own.
        let before = published(&redis).await;
        redis.stop();
        let question = json!({"session_id": owner.session(), "message": "Again"});
        let ((status, answer), ()) = tokio::join!(other.post("/api/v1/chat", question), async {
            sleep(Duration::from_millis(900)).await;
            redis.go_on();
        });
        assert_eq!((status, &answer["response"]), (200, &json!(ANSWER)), "{answer}");
        assert_eq!(upstream.stats.requests().len(), 1 + round, "asked once for each");
        assert!(published(&redis).await > before + 2, "it was said more than once");
    }
    let (_, session) = one.get(&format!("/api/v1/sessions/{}", owner.session())).await;
    assert_eq!(session["message_count"], 8);
}

#[tokio::test]
async fn when_redis_is_full_everybody_is_heard_and_who_has_left_is_not_there() {
    let redis = Redis::start(&[]);
    let (upstream, gate) = Upstream::gated(ANSWER, 2).await;
    let [one, other] = two(&upstream.url, redis.url()).await;
    let mut owner = one.connect().await;
    owner.say("Count").await;
    owner.until("ack").await;
    let mut guest = Client::connect(&other.socket(&owner.session())).await;
    guest.until("snapshot").await;
    let viewers =
        async |client: &mut Client, expected: u64| while client.until("presence").await["viewers"] != expected {};
    viewers(&mut owner, 2).await;
    redis.servers[0].command::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await.unwrap();
    soon("that it is noticed", async {
        while !other.log().contains("has no room for more") {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let memory = guest.cut();
    viewers(&mut owner, 1).await;
    let mut guest = Client::resume(&other.socket(&memory.session), memory).await;
    assert_eq!(guest.welcome["recovered"], "full");
    viewers(&mut owner, 2).await;
    drop(guest);
    viewers(&mut owner, 1).await;
    // Who watched at a gateway that is killed is not there either, once that is known.
    guest = Client::connect(&other.socket(&owner.session())).await;
    viewers(&mut owner, 2).await;
    drop(other.kill().await);
    viewers(&mut owner, 1).await;
    gate.open();
    assert_eq!(owner.answer().await.text, ANSWER);
    redis.servers[0].command::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await.unwrap();
    reaches_others(&one).await;
    drop(guest);
}

#[tokio::test]
async fn whoever_comes_back_late_and_elsewhere_hears_the_rest_and_nothing_is_generated_again() {
    let (upstream, gate) = Upstream::gated(ANSWER, 2).await;
    let [one, other] = two(&upstream.url, SHARED_REDIS.url()).await;
    let mut owner = one.connect().await;
    let id = owner.say("Count").await;
    owner.until("ack").await;
    owner.deltas(1).await;
    let left = owner.cut();
    gate.open();
    let path = format!("/api/v1/sessions/{}", left.session);
    soon("the end of the answer", async {
        while other.get(&path).await.1["messages"][1]["status"] != "complete" {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    for gateway in [&other, &one, &other] {
        let mut client = Client::resume(&gateway.socket(&left.session), left.clone()).await;
        assert_eq!(client.welcome["recovered"], "full");
        let answer = client.answer().await;
        assert_eq!((answer.status(), answer.text.as_str()), ("complete", ANSWER));
        client.tell(json!({"type": "send", "id": id, "text": "Count"})).await;
        assert_eq!(client.until("ack").await["duplicate"], true);
    }
    assert_eq!(upstream.stats.requests().len(), 1);
    assert_eq!(other.get(&path).await.1["message_count"], 2);
}

#[tokio::test]
async fn gateways_that_use_two_redis_say_so_and_free_what_nobody_watches() {
    let (here, there) = (Redis::start(&[]), Redis::start(&[]));
    let upstream = Upstream::saying(ANSWER, 500.0).await;
    let database = SHARED.fresh().await;
    let setup = Setup::with_upstream(&upstream.url).set("DATABASE_URL", &database);
    let one = setup.clone().set("REDIS_URL", here.url()).start().await;
    let other = setup.elsewhere().set("REDIS_URL", there.url()).start().await;
    let (mut watched, mut idle) = (one.connect().await, one.connect().await);
    watched.ask("Count").await;
    idle.ask("Count").await;
    let idle = idle.cut();
    for gateway in [&one, &other] {
        way_is(gateway, "apart").await;
        assert_eq!(gateway.metric("cluster_unreached").await, 1.0);
        assert_eq!(gateway.get("/ready").await.0, 200);
    }
    let mut idle = come_back(&other, idle).await;
    idle.until("snapshot").await;
    idle.tell(json!({"type": "send", "id": "again", "text": "Again"})).await;
    assert_eq!(idle.answer().await.text, ANSWER);
    // What somebody watches stays, and is one gateway's.
    let question = json!({"session_id": watched.session(), "message": "Again"});
    let (status, problem) = other.post("/api/v1/chat", question).await;
    assert_eq!((status, &problem["code"]), (503, &json!("busy")), "{problem}");
    watched.tell(json!({"type": "send", "id": "again", "text": "Again"})).await;
    assert_eq!(watched.answer().await.text, ANSWER);
    drop(other.kill().await);
    reaches_others(&one).await;
}
