//! Several gateways on one PostgreSQL and one Redis: every conversation at every one of them, and what is left of that when
//! the way between them, or one of them, is gone.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep, timeout},
};

use super::harness::{
    Client, Engine, Fault, Memory, Mode, PATIENCE, Proxy, Redis, SHARED, SHARED_REDIS, Setup, TestGateway, Upstream,
    load, report, soon, verify,
};

const ANSWER: &str = "one two three four five six seven eight";

async fn gateways<const N: usize>(upstream: &str, redis: &str) -> [TestGateway; N] {
    let database = SHARED.fresh().await;
    alike(&Setup::with_upstream(upstream).set("DATABASE_URL", &database).set("REDIS_URL", redis)).await
}

/// Gateways that differ in their folders alone, and reach one another.
pub(crate) async fn alike<const N: usize>(setup: &Setup) -> [TestGateway; N] {
    let mut gateways = Vec::new();
    for _ in 0..N {
        gateways.push(setup.elsewhere().start().await);
    }
    for gateway in &gateways {
        reaches_others(gateway).await;
    }
    gateways.try_into().unwrap_or_else(|_| unreachable!("so many were started"))
}

pub(crate) async fn reaches_others(gateway: &TestGateway) {
    way_is(gateway, "ready").await;
}

async fn is_cut_off(gateway: &TestGateway) {
    way_is(gateway, "down").await;
}

pub(crate) async fn way_is(gateway: &TestGateway, state: &str) {
    soon("the way to others", async {
        while gateway.get("/health").await.1["components"]["cluster"]["state"] != state {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

pub(crate) async fn come_back(gateway: &TestGateway, memory: Memory) -> Client {
    let (started, url, mut memory) = (Instant::now(), gateway.socket(&memory.session), memory);
    loop {
        match Client::try_resume(&url, memory).await {
            Ok(client) => return client,
            Err(left) => memory = left,
        }
        assert!(started.elapsed() < PATIENCE, "nobody has the session");
        sleep(Duration::from_millis(100)).await;
    }
}

fn texts(client: &Client) -> Vec<(String, String)> {
    let messages = client.snapshot.as_ref().expect("a snapshot")["messages"].as_array().unwrap().clone();
    let text = |of: &Value| of.as_str().unwrap_or_default().to_owned();
    messages.iter().map(|message| (text(&message["text"]), text(&message["status"]))).collect()
}

/// What everybody who watches a conversation may do, at a gateway that does not have it.
async fn is_one_conversation_at_both(redis: &str) {
    let (upstream, gate) = Upstream::gated(ANSWER, 2).await;
    let [one, other] = gateways(&upstream.url, redis).await;
    let mut owner = one.connect().await;
    owner.say("Count").await;
    owner.until("ack").await;
    owner.deltas(1).await;

    // In the midst of an answer, from a snapshot; who is there is known at both.
    let mut guest = Client::connect(&other.socket(&owner.session())).await;
    guest.until("snapshot").await;
    assert_eq!(guest.until("presence").await["viewers"], 2);
    assert_eq!(owner.until("presence").await["viewers"], 2);
    gate.allow(3);
    guest.deltas(1).await;
    guest.tell(json!({"type": "typing", "on": true})).await;
    assert_eq!(owner.until("presence").await["typing"], true);

    // A socket goes on at the other one where it was cut, and back.
    let memory = owner.cut();
    let mut owner = Client::resume(&other.socket(&memory.session), memory).await;
    assert_eq!(owner.welcome["recovered"], "full");
    gate.allow(5);
    owner.deltas(1).await;
    let memory = owner.cut();
    let mut owner = Client::resume(&one.socket(&memory.session), memory).await;
    assert_eq!(owner.welcome["recovered"], "full");
    gate.open();
    for client in [&mut owner, &mut guest] {
        let answer = client.answer().await;
        assert_eq!((answer.status(), answer.text.as_str()), ("complete", ANSWER));
    }

    // What is said at the one that does not have it, is said once.
    let id = "again";
    guest.tell(json!({"type": "send", "id": id, "text": "Again"})).await;
    let [ack, _] = guest.until_all(["ack", "run.done"]).await;
    assert_eq!((&ack["message"], &ack["duplicate"]), (&json!(id), &json!(false)));
    assert_eq!(owner.answer().await.text, ANSWER);
    guest.tell(json!({"type": "send", "id": id, "text": "Again"})).await;
    assert_eq!(guest.until("ack").await["duplicate"], true);
    guest.tell(json!({"type": "send", "id": id, "text": "Something else"})).await;
    assert_eq!(guest.until("error").await["code"], "idempotency_conflict");
    guest.tell(json!({"type": "edit", "id": "edited", "message": id, "text": "Once more"})).await;
    let [_, message, _] = guest.until_all(["ack", "message", "run.done"]).await;
    assert_eq!(message["message"]["text"], "Once more");
    assert_eq!(owner.until("message").await["message"]["text"], "Once more");
    assert_eq!(owner.answer().await.text, ANSWER);
    let (_, session) = other.get(&format!("/api/v1/sessions/{}", guest.session())).await;
    let answer = session["messages"].as_array().unwrap().last().unwrap()["id"].clone();
    guest.tell(json!({"type": "feedback", "id": "f", "message": answer, "value": 1})).await;
    guest.until("ack").await;
    // Whoever comes later, to either, sees the same.
    let late =
        [Client::connect(&one.socket(&guest.session())).await, Client::connect(&other.socket(&guest.session())).await];
    let mut shown = Vec::new();
    for mut client in late {
        client.until("snapshot").await;
        shown.push(client.snapshot.clone().expect("a snapshot")["messages"].clone());
    }
    assert_eq!(shown[0], shown[1]);
    assert_eq!(shown[0].as_array().unwrap().last().unwrap()["feedback"]["value"], 1);
    assert_eq!(upstream.stats.requests().len(), 3, "nothing is generated twice");

    // Deleted there, gone here.
    let deleted =
        reqwest::Client::new().delete(other.url(&format!("/api/v1/sessions/{}", guest.session()))).send().await;
    assert_eq!(deleted.unwrap().status(), 204);
    for client in [&mut owner, &mut guest] {
        assert_eq!(client.close_code().await, 4004);
    }
}

#[tokio::test]
async fn a_conversation_is_at_every_gateway() {
    is_one_conversation_at_both(SHARED_REDIS.url()).await;
}

#[tokio::test]
async fn a_conversation_is_at_every_gateway_of_a_cluster_of_redis() {
    let redis = Redis::start_as(Mode::Cluster, Engine::Redis, &[]);
    is_one_conversation_at_both(redis.url()).await;
}

#[tokio::test]
async fn a_conversation_is_at_every_gateway_with_valkey_and_sentinels() {
    let redis = Redis::start_as(Mode::Sentinel, Engine::Valkey, &[]);
    is_one_conversation_at_both(redis.url()).await;
}

#[tokio::test]
async fn a_run_is_stopped_from_where_it_is_not_written() {
    let (upstream, gate) = Upstream::gated(ANSWER, 2).await;
    let [one, other] = gateways(&upstream.url, SHARED_REDIS.url()).await;
    let mut owner = one.connect().await;
    owner.say("Count").await;
    owner.until("ack").await;
    owner.deltas(1).await;
    let mut guest = Client::connect(&other.socket(&owner.session())).await;
    guest.tell(json!({"type": "stop", "id": "s"})).await;
    let [ack, done] = guest.until_all(["ack", "run.done"]).await;
    assert_eq!((&ack["re"], &done["status"]), (&json!("s"), &json!("stopped")));
    assert_eq!(owner.answer().await.status(), "stopped");
    drop(gate);
    guest.tell(json!({"type": "stop", "id": "t"})).await;
    assert_eq!(guest.until("error").await["code"], "run_not_active");
}

#[tokio::test]
async fn when_the_gateway_that_writes_is_killed_its_watchers_elsewhere_are_told_the_draft_within_seconds() {
    let (upstream, gate) = Upstream::gated(ANSWER, 3).await;
    let [one, other] = gateways(&upstream.url, SHARED_REDIS.url()).await;
    let mut owner = one.connect().await;
    let id = owner.say("Count").await;
    owner.until("ack").await;
    let mut quiet = one.connect().await;
    quiet.say("Count, too").await;
    quiet.until("ack").await;
    let mut guest = Client::connect(&other.socket(&owner.session())).await;
    guest.until("snapshot").await;
    drop(one.kill().await);
    let killed = Instant::now();
    gate.open();
    // Nobody has watched this one here: whoever comes is held until it can be taken.
    let memory = quiet.cut();
    let mut quiet = Client::resume(&other.socket(&memory.session), memory).await;
    assert!(killed.elapsed() < Duration::from_secs(9), "{:?}", killed.elapsed());
    quiet.until("snapshot").await;
    assert_eq!(texts(&quiet)[1].1, "interrupted");
    assert_eq!(guest.close_code().await, 4205, "it is to come back");
    let (mut owner, mut guest) = (come_back(&other, owner.cut()).await, come_back(&other, guest.memory.clone()).await);
    assert!(killed.elapsed() < Duration::from_secs(10), "{:?}", killed.elapsed());
    for client in [&mut owner, &mut guest] {
        client.until("snapshot").await;
        assert_eq!(texts(client)[1].1, "interrupted");
        assert_eq!(client.answer().await.status(), "interrupted");
    }
    guest.tell(json!({"type": "send", "id": id, "text": "Count"})).await;
    assert_eq!(guest.until("ack").await["duplicate"], true);
    assert_eq!(upstream.stats.requests().len(), 2);
    guest.tell(json!({"type": "send", "id": "again", "text": "Again"})).await;
    assert_eq!(guest.answer().await.text, ANSWER);
}

#[tokio::test]
async fn without_redis_everything_goes_on_where_it_is_and_the_rest_comes_back_with_it() {
    let mut redis = Redis::start(&[]);
    let (upstream, gate) = Upstream::gated(ANSWER, 2).await;
    let [one, other] = gateways(&upstream.url, redis.url()).await;
    let mut owner = one.connect().await;
    owner.say("Count").await;
    owner.until("ack").await;
    let mut guest = Client::connect(&other.socket(&owner.session())).await;
    guest.until("snapshot").await;
    let mut quiet = one.connect().await;
    quiet.say("Wait").await;
    quiet.until("ack").await;
    let mut idle = one.connect().await;
    idle.say("Stop").await;
    idle.until("ack").await;
    idle.tell(json!({"type": "stop", "id": "s"})).await;
    idle.until("run.done").await;
    let idle = idle.cut();
    redis.kill();
    gate.allow(4);
    owner.deltas(1).await;
    is_cut_off(&other).await;
    let (status, health) = other.get("/health").await;
    assert_eq!((status, &health["status"]), (200, &json!("degraded")));
    // New conversations at both; of what the other one has, nothing new.
    assert_eq!(other.get("/ready").await.0, 200);
    let (status, problem) = other.post("/api/v1/chat", json!({"session_id": quiet.session(), "message": "?"})).await;
    assert_eq!((status, &problem["code"]), (503, &json!("busy")), "{problem}");
    // What nobody watches there can be had here, after a while.
    let mut idle = come_back(&other, idle).await;
    idle.until("snapshot").await;
    idle.tell(json!({"type": "send", "id": "here", "text": "Wait"})).await;
    idle.until("ack").await;

    redis.start_again();
    for gateway in [&one, &other] {
        reaches_others(gateway).await;
    }
    gate.open();
    for client in [&mut owner, &mut guest] {
        let answer = client.answer().await;
        assert_eq!((answer.status(), answer.text.as_str()), ("complete", ANSWER));
    }
    guest.tell(json!({"type": "send", "id": "again", "text": "Again"})).await;
    for client in [&mut owner, &mut guest] {
        assert_eq!(client.answer().await.text, ANSWER);
    }
}

#[tokio::test]
async fn when_a_gateway_drains_everybody_goes_on_where_they_were_at_another() {
    let (upstream, gate) = Upstream::gated(ANSWER, 2).await;
    let [mut one, other] = gateways(&upstream.url, SHARED_REDIS.url()).await;
    let mut busy = one.connect().await;
    busy.say("Count").await;
    busy.until("ack").await;
    let mut watcher = Client::connect(&other.socket(&busy.session())).await;
    let mut idle = Vec::new();
    for _ in 0..5 {
        idle.push(one.connect().await);
    }
    // They are in the store, and nothing happens in them.
    for client in &mut idle {
        client.say("Stop").await;
        client.until("ack").await;
        client.tell(json!({"type": "stop", "id": "s"})).await;
        client.until("run.done").await;
    }
    one.signal("TERM").await;
    for mut client in idle {
        assert_eq!(client.close_code().await, 1001);
        let mut client = come_back(&other, client.memory.clone()).await;
        assert_eq!(client.welcome["recovered"], "full");
        client.tell(json!({"type": "send", "id": "here", "text": "Wait"})).await;
        client.until("ack").await;
    }
    gate.open();
    assert_eq!(busy.answer().await.text, ANSWER);
    assert_eq!(watcher.answer().await.text, ANSWER);
    assert_eq!(busy.close_code().await, 1001);
    assert_eq!(one.exit_code().await, Some(0));
    let mut busy = come_back(&other, busy.memory.clone()).await;
    assert_eq!(busy.welcome["recovered"], "full");
    // Where it was watched already, the socket is the same, and the session is that gateway's.
    watcher.tell(json!({"type": "send", "id": "again", "text": "Again"})).await;
    assert_eq!(watcher.answer().await.text, ANSWER);
    assert_eq!(busy.answer().await.text, ANSWER);
    assert_eq!(other.metric("cluster_moves_total{outcome=\"inherited\"}").await, 1.0);
    assert_eq!(other.metric("cluster_moves_total{outcome=\"found\"}").await, 5.0);
}

/// A session that lives on in another process has its log's old offsets, and answers that were stopped by the end.
#[tokio::test]
async fn what_a_drain_interrupts_is_told_once_and_resumed_in_full() {
    let (upstream, _gate) = Upstream::gated(ANSWER, 2).await;
    let database = SHARED.fresh().await;
    let setup =
        || Setup::with_upstream(&upstream.url).set("DATABASE_URL", &database).set("REDIS_URL", SHARED_REDIS.url());
    let mut one = setup().set("RIVULET_SERVER_DRAIN_S", "5").start().await;
    let other = setup().start().await;
    for gateway in [&one, &other] {
        reaches_others(gateway).await;
    }
    let mut client = one.connect().await;
    client.say("Count").await;
    client.until("ack").await;
    client.deltas(1).await;
    let memory = client.cut();
    one.signal("TERM").await;
    assert_eq!(one.exit_code().await, Some(0));
    let mut client = Client::resume(&other.socket(&memory.session), memory).await;
    assert_eq!(client.welcome["recovered"], "full");
    assert_eq!(client.answer().await.status(), "interrupted");
    let mut late = Client::connect(&other.socket(&client.session())).await;
    late.until("snapshot").await;
    assert_eq!(texts(&late)[1].1, "interrupted");
}

#[tokio::test]
async fn a_session_that_is_watched_elsewhere_only_moves_there_and_nobody_notices() {
    let upstream = Upstream::saying(ANSWER, 500.0).await;
    let [one, other, third]: [TestGateway; 3] = gateways(&upstream.url, SHARED_REDIS.url()).await;
    let mut client = one.connect().await;
    client.ask("Count").await;
    let memory = client.cut();
    let mut client = Client::resume(&other.socket(&memory.session), memory).await;
    let mut asked = 1;
    let moved = async {
        while other.metric("cluster_moves_total{outcome=\"inherited\"}").await < 1.0 {
            assert_eq!(client.ask("Again").await.text, ANSWER); // Whenever it moves, what is said then is said once.
            asked += 1;
            sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(Duration::from_secs(60), moved).await.expect("it moves");
    let counted = async |followers: &TestGateway, mirrors: &TestGateway, most: f64| {
        soon("what is counted now and then", async {
            while (followers.metric("cluster_followers").await, mirrors.metric("cluster_mirrors").await) != (most, most)
            {
                sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    };
    counted(&one, &other, 0.0).await;
    assert_eq!(client.ask("Once more").await.text, ANSWER);
    // All others find it there, and it is one conversation.
    let memory = client.cut();
    let mut client = Client::resume(&third.socket(&memory.session), memory).await;
    assert_eq!(client.welcome["recovered"], "full");
    assert_eq!(client.ask("And here").await.text, ANSWER);
    counted(&other, &third, 1.0).await;
    let (_, session) = one.get(&format!("/api/v1/sessions/{}", client.session())).await;
    assert_eq!(session["message_count"], json!(2 * (asked + 2)));
    assert_eq!(upstream.stats.counts().requests, asked + 2, "nothing is asked twice");
}

#[tokio::test]
async fn nobody_is_shown_less_than_they_have_seen() {
    let mut redis = Redis::start(&[]);
    let (upstream, gate) = Upstream::gated(ANSWER, 2).await;
    let [one, other] = gateways(&upstream.url, redis.url()).await;
    let mut owner = one.connect().await;
    owner.say("Count").await;
    owner.until("ack").await;
    owner.deltas(1).await;
    let mut guest = Client::connect(&other.socket(&owner.session())).await;
    guest.until("snapshot").await;
    // The copy is behind, for less than anybody notices.
    redis.stop();
    gate.allow(4);
    owner.deltas(1).await;
    let memory = owner.cut();
    let url = other.socket(&memory.session);
    let (owner, ()) = tokio::join!(Client::resume(&url, memory), async {
        sleep(Duration::from_millis(300)).await;
        redis.go_on();
    });
    assert_eq!(owner.welcome["recovered"], "full");
    // For longer: whoever comes is not shown what may be old.
    redis.stop();
    soon("that it is noticed", async {
        while other.metric("cluster_bus_up").await > 0.0 {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert!(Client::try_resume(&other.socket(&owner.session()), Memory::default()).await.is_err());
    redis.go_on();
    for gateway in [&one, &other] {
        reaches_others(gateway).await;
    }
    let mut late = Client::connect(&other.socket(&owner.session())).await;
    late.until("snapshot").await;
}

#[tokio::test]
async fn a_copy_that_hears_nothing_is_not_shown_to_whom_it_would_be_old() {
    let redis = Redis::start(&[]);
    let proxy = Proxy::to(&redis.address(), Fault::FreezeDown, 0).await;
    let (upstream, gate) = Upstream::gated(ANSWER, 2).await;
    let database = SHARED.fresh().await;
    let setup = || Setup::with_upstream(&upstream.url).set("DATABASE_URL", &database);
    let one = setup().set("REDIS_URL", redis.url()).start().await;
    let other = setup().set("REDIS_URL", &format!("redis://{}", proxy.address)).start().await;
    for gateway in [&one, &other] {
        reaches_others(gateway).await;
    }
    let mut owner = one.connect().await;
    owner.say("Count").await;
    owner.until("ack").await;
    owner.deltas(1).await;
    let mut guest = Client::connect(&other.socket(&owner.session())).await;
    guest.until("snapshot").await;
    proxy.begin();
    gate.allow(4);
    owner.deltas(1).await;
    let memory = owner.cut();
    let came = Client::try_resume(&other.socket(&memory.session), memory).await;
    assert!(came.is_err(), "it has less than they have seen");
}

#[tokio::test]
async fn a_session_that_was_deleted_where_its_gateway_could_not_be_told_ends_with_its_next_message() {
    let mut redis = Redis::start(&[]);
    let upstream = Upstream::saying(ANSWER, 500.0).await;
    let [one, other] = gateways(&upstream.url, redis.url()).await;
    let mut client = one.connect().await;
    client.ask("Count").await;
    redis.kill();
    is_cut_off(&other).await;
    let path = format!("/api/v1/sessions/{}", client.session());
    assert_eq!(reqwest::Client::new().delete(other.url(&path)).send().await.unwrap().status(), 204);
    client.tell(json!({"type": "send", "id": "late", "text": "?"})).await;
    assert_eq!(client.close_code().await, 4004);
    assert_eq!(upstream.stats.requests().len(), 1);
}

#[tokio::test]
async fn listeners_that_are_cut_off_and_servers_that_freeze_cost_nothing_but_time() {
    let mut redis = Redis::start(&[]);
    let upstream = Upstream::saying(&"word ".repeat(400), 100.0).await;
    let [one, other] = gateways(&upstream.url, redis.url()).await;
    let mut owner = one.connect().await;
    owner.say("Count").await;
    owner.until("ack").await;
    let mut guest = Client::connect(&other.socket(&owner.session())).await;
    for round in 0..3 {
        guest.deltas(5).await;
        if round == 1 {
            redis.stop();
            owner.deltas(20).await;
            redis.go_on();
        } else {
            let _: i64 = redis.servers[0].command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await.unwrap();
        }
    }
    for client in [&mut owner, &mut guest] {
        let answer = client.answer().await;
        assert_eq!((answer.status(), answer.text.as_str()), ("complete", "word ".repeat(400).as_str()));
    }
    // One mirror, one follower, two who watch: whatever was said twice.
    soon("the true number of followers", async {
        while (one.metric("cluster_followers").await, other.metric("cluster_mirrors").await) != (1.0, 1.0) {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let mut late = Client::connect(&one.socket(&owner.session())).await;
    assert_eq!(late.until("presence").await["viewers"], 3);
    assert_eq!(upstream.stats.requests().len(), 1);
}

#[tokio::test]
async fn a_way_that_freezes_in_one_direction_is_given_up_and_found_anew() {
    for fault in [Fault::FreezeDown, Fault::FreezeUp] {
        let redis = Redis::start(&[]);
        let proxy = Proxy::to(&redis.address(), fault, 0).await;
        let (upstream, gate) = Upstream::gated(ANSWER, 2).await;
        let database = SHARED.fresh().await;
        let setup = || Setup::with_upstream(&upstream.url).set("DATABASE_URL", &database);
        let one = setup().set("REDIS_URL", &format!("redis://{}", proxy.address)).start().await;
        let other = setup().set("REDIS_URL", redis.url()).start().await;
        for gateway in [&one, &other] {
            reaches_others(gateway).await;
        }
        let mut owner = one.connect().await;
        owner.say("Count").await;
        owner.until("ack").await;
        let mut guest = Client::connect(&other.socket(&owner.session())).await;
        guest.until("snapshot").await;
        proxy.begin();
        is_cut_off(&one).await;
        // Who is served where the session is notices nothing of it.
        gate.open();
        let answer = owner.answer().await;
        assert_eq!((answer.status(), answer.text.as_str()), ("complete", ANSWER), "{fault:?}");
        drop((guest, owner));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_come_back_at_any_of_three_gateways_hear_all_of_it_once() {
    let upstream = Upstream::saying(&"lorem ipsum dolor ".repeat(20), 80.0).await;
    let gateways: [TestGateway; 3] = gateways(&upstream.url, SHARED_REDIS.url()).await;
    let urls = gateways.iter().map(|gateway| gateway.url("")).collect::<Vec<_>>().join(",");
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("history.jsonl");
    let arguments = ["--url", &urls, "--sessions", "30", "--messages", "3", "--cut", "0.01", "--history"];
    let mut loading = load(&arguments, &history);
    let loaded = timeout(Duration::from_secs(120), spawn_blocking(move || loading.output()));
    let ran = loaded.await.expect("the load's end").unwrap().unwrap();
    let told = report(&ran);
    assert!(ran.status.success(), "{told}");
    let (code, verdict) = verify(&urls, &history).await;
    assert_eq!((code, &verdict["violations"]), (Some(0), &json!({})), "{verdict:#}");
    assert_eq!(verdict["proven"], told["answered"], "{verdict:#}");
    eprintln!("{told} {verdict}");
}
