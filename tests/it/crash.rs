//! The end of the process, with and without notice.

use std::{collections::BTreeSet, fs, path::Path, process::Command, time::Duration};

use futures_util::future::join_all;
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use rivulet::mock_llm::DEFAULT_TEXT;
use serde_json::{Value, json};
use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep, timeout},
};

use crate::harness::{Client, Fault, Proxy, Seed, Setup, Upstream, load, report, soon, verify};

#[tokio::test]
async fn kill_9_in_the_middle_of_an_answer() {
    let upstream = Upstream::saying(DEFAULT_TEXT, 25.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let mut client = gateway.connect().await;
    client.tell(json!({"type": "send", "id": "m-1", "text": "What is a rivulet?"})).await;
    let url = format!("/api/v1/sessions/{}", client.session());
    client.until("ack").await;
    soon("a checkpoint", async {
        loop {
            let (_, stored) = gateway.get(&url).await;
            if stored["messages"][1]["text"].as_str().is_some_and(|text| !text.is_empty()) {
                break;
            }
            client.until("delta").await;
        }
    })
    .await;
    let memory = client.memory.clone();
    let setup = gateway.kill().await;

    let gateway = setup.start().await;
    let mut client = Client::resume(&gateway.socket(&memory.session.clone()), memory.clone()).await;
    assert_eq!(client.welcome["recovered"], "snapshot");
    let snapshot = client.frame().await;
    let messages = snapshot["messages"].as_array().unwrap();
    assert_eq!((&messages[0]["id"], &messages[1]["status"]), (&json!("m-1"), &json!("interrupted")));
    let kept = messages[1]["text"].as_str().unwrap();
    assert!(!kept.is_empty() && DEFAULT_TEXT.starts_with(kept), "{kept:?}");
    let done = client.answer().await;
    assert_eq!((done.status(), &*done.text), ("interrupted", kept));

    client.tell(json!({"type": "send", "id": "m-1", "text": "What is a rivulet?"})).await;
    assert_eq!(client.until("ack").await["duplicate"], true, "known from the store");
    assert_eq!(client.ask("Go on?").await.text, DEFAULT_TEXT, "the session goes on");
}

#[tokio::test]
async fn sigterm_lets_an_answer_finish() {
    let (upstream, gate) = Upstream::gated(DEFAULT_TEXT, 5).await;
    let mut gateway = Setup::with_upstream(&upstream.url).start().await;
    let mut client = gateway.connect().await;
    client.say("one").await;
    client.deltas(1).await;
    gateway.signal("TERM").await;
    soon("not ready", async { while gateway.get("/ready").await.0 != 503 {} }).await;
    assert_eq!(gateway.get("/livez").await.0, 200);
    client.tell(json!({"type": "send", "id": "no", "text": "two", "mode": "queue"})).await;
    assert_eq!(client.until("error").await["code"], "busy");
    assert_eq!(gateway.get("/api/v1/ws").await.0, 426, "still speaks HTTP");
    gate.open();
    let answer = client.answer().await;
    assert_eq!((answer.status(), &*answer.text), ("complete", DEFAULT_TEXT));
    assert_eq!(client.close_code().await, 1001);
    assert_eq!(gateway.exit_code().await, Some(0));
}

#[tokio::test]
async fn an_answer_that_does_not_finish_in_time_is_interrupted_and_kept() {
    let upstream = Upstream::stalling(5).await;
    let setup = Setup::with_upstream(&upstream.url).set("RIVULET_SERVER_DRAIN_S", "0");
    let mut gateway = setup.start().await;
    let mut client = gateway.connect().await;
    client.say("one").await;
    client.deltas(1).await;
    gateway.signal("TERM").await;
    let answer = client.answer().await;
    assert_eq!(answer.status(), "interrupted");
    assert!(!answer.text.is_empty());
    assert_eq!(client.close_code().await, 1001);
    assert_eq!(gateway.exit_code().await, Some(0));

    let gateway = gateway.setup().start().await;
    let (_, stored) = gateway.get(&format!("/api/v1/sessions/{}", client.session())).await;
    assert_eq!(
        (&stored["messages"][1]["status"], &stored["messages"][1]["text"]),
        (&json!("interrupted"), &json!(answer.text))
    );
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let upstream = Upstream::stalling(1).await;
    let mut gateway = Setup::with_upstream(&upstream.url).set("RIVULET_SERVER_DRAIN_S", "3600").start().await;
    let mut client = gateway.connect().await;
    client.say("one").await;
    client.deltas(1).await;
    gateway.signal("TERM").await;
    soon("the drain", async { while gateway.get("/ready").await.0 != 503 {} }).await;
    gateway.signal("INT").await;
    assert_eq!(gateway.exit_code().await, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_sends_everybody_away_and_finishes_every_answer() {
    const SOCKETS: usize = 50;
    const DRAIN_S: u64 = 15;
    let seed = Seed::new();
    let (upstream, gate) = Upstream::gated(DEFAULT_TEXT, 5).await;
    let setup = Setup::with_upstream(&upstream.url).set("RIVULET_SERVER_DRAIN_S", &DRAIN_S.to_string());
    let mut gateway = setup.start().await;
    let proxy = Proxy::to(&gateway.address, Fault::Delay(Duration::from_millis(20)), seed.0).await;
    let url = proxy.socket("");
    let mut clients = join_all((0..SOCKETS).map(async |_| {
        let mut client = Client::connect(url.trim_end_matches('/')).await;
        client.say("one").await;
        client.deltas(1).await;
        client
    }))
    .await;
    gateway.signal("TERM").await;
    let begun = Instant::now();
    let told = join_all(clients.iter_mut().map(|client| client.until("goaway"))).await;
    let retries: BTreeSet<_> = told.iter().map(|frame| frame["retry_in_ms"].as_u64().unwrap()).collect();
    assert!(retries.len() > SOCKETS * 3 / 4, "they would come back together: {retries:?}");
    assert!(told.iter().all(|frame| frame["deadline_ms"] == DRAIN_S * 1000 && frame["reason"] == "drain"), "{told:?}");
    gate.open();
    let sessions = join_all(clients.into_iter().map(async |mut client| {
        let answer = client.answer().await;
        assert_eq!((&*answer.text, answer.status()), (DEFAULT_TEXT, "complete"));
        assert_eq!(client.close_code().await, 1001);
        client.session()
    }))
    .await;
    assert_eq!(gateway.exit_code().await, Some(0));
    assert!(begun.elapsed() < Duration::from_secs(DRAIN_S), "{:?}", begun.elapsed());

    let gateway = gateway.setup().start().await;
    for session in sessions {
        let (_, stored) = gateway.get(&format!("/api/v1/sessions/{session}")).await;
        let answer = &stored["messages"][1];
        assert_eq!((&answer["status"], &answer["text"]), (&json!("complete"), &json!(DEFAULT_TEXT)));
    }
}

/// The session and the id of the message that was acknowledged last. A newer one may be stored: nobody may rely on it.
fn newest_acknowledged(history: &Path) -> (String, String) {
    let history = fs::read_to_string(history).unwrap();
    let mut records = history.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let newest = records.rfind(|record| record["event"] == "acked").unwrap();
    let text = |name: &str| newest[name].as_str().unwrap().to_owned();
    (text("session"), text("id"))
}

/// `RIVULET_TEST_KILLS` says how often; 20 times when it does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_at_any_moment_loses_and_doubles_nothing_that_was_acknowledged() {
    let kills = std::env::var("RIVULET_TEST_KILLS").map_or(20, |kills| kills.parse().expect("RIVULET_TEST_KILLS"));
    let seed = Seed::new();
    let mut rng = SmallRng::seed_from_u64(seed.0);
    let upstream = Upstream::saying(DEFAULT_TEXT, 500.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let setup = gateway.setup().bind(&gateway.address);
    let history = setup.data.path().join("history.jsonl");
    let url = gateway.url("");
    let arguments = ["--url", &url, "--sessions", "8", "--messages", "10000", "--cut", "0.005", "--history"];
    let loading = load(&arguments, &history).spawn().unwrap();
    let pid = loading.id().to_string();
    let mut gateway = gateway;
    for _ in 0..kills {
        sleep(Duration::from_millis(rng.random_range(5..500))).await;
        gateway.kill().await;
        gateway = setup.clone().start().await;
    }
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let loaded = timeout(Duration::from_secs(90), spawn_blocking(move || loading.wait_with_output()));
    let loaded = loaded.await.expect("the load's end").unwrap().unwrap();
    let told = report(&loaded);
    assert!(loaded.status.success(), "{told:#}");
    let (code, verdict) = verify(&gateway.url(""), &history).await;
    assert_eq!((code, &verdict["violations"]), (Some(0), &json!({})), "{verdict:#}");
    assert!(verdict["restarts"].as_u64() > Some(kills), "hardly anybody noticed: {verdict:#}");
    assert!(verdict["acked"].as_u64() > Some(kills) && verdict["proven"] == told["answered"], "{verdict:#}");
    eprintln!("{kills} times kill -9: {verdict}");

    // The same judge, after something was lost.
    let setup = gateway.kill().await;
    let database = rusqlite::Connection::open(setup.data.path().join("data/rivulet.db")).unwrap();
    let (session, id) = newest_acknowledged(&history);
    let lost = "DELETE FROM messages WHERE session_id = ?1 AND id = ?2";
    assert_eq!(database.execute(lost, (session, id)).unwrap(), 1);
    drop(database);
    let (code, verdict) = verify(&setup.start().await.url(""), &history).await;
    assert_eq!((code, &verdict["violations"]), (Some(1), &json!({"lost": 1})), "{verdict:#}");
}
