//! Disks that fail or are slow, below the real gateway: what fsync says decides what is acknowledged.

use std::{fs, time::Duration};

use rivulet::mock_llm::DEFAULT_TEXT;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::harness::{Client, Setup, Strace, TestGateway, Upstream, soon};

const FAILING: [&str; 2] = ["trace=fdatasync,fsync", "inject=fdatasync,fsync:error=EIO"];
/// How long a slow disk takes to sync: long enough for everything that must not wait for it.
const DELAY: Duration = Duration::from_secs(6);

async fn messages(gateway: &TestGateway, session: &str) -> Vec<Value> {
    let (status, stored) = gateway.get(&format!("/api/v1/sessions/{session}")).await;
    assert_eq!(status, 200, "{stored}");
    let messages = stored["messages"].as_array().unwrap().clone();
    assert_eq!(stored["message_count"], messages.len());
    messages
}

fn ids(messages: &[Value]) -> Vec<&str> {
    messages.iter().filter(|m| m["role"] == "user").map(|m| m["id"].as_str().unwrap()).collect()
}

/// Says something that cannot be stored.
async fn refused(client: &mut Client, id: &str) {
    client.tell(json!({"type": "send", "id": id, "text": "two"})).await;
    let error = client.until("error").await;
    assert_eq!((&error["code"], &error["re"]), (&json!("storage_unavailable"), &json!(id)));
    assert_eq!(error["retryable"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_synced_is_not_acknowledged_and_may_be_sent_again() {
    let (upstream, traces) = (Upstream::saying("Yes.", 0.0).await, TempDir::new().unwrap());
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let mut client = gateway.connect().await;
    let session = client.session();
    client.ask("one").await;
    let failing = Strace::attach(&gateway, &traces.path().join("1"), &FAILING).await;
    refused(&mut client, "again").await;
    refused(&mut client, "never").await;
    let over_http =
        gateway.post(&format!("/api/v1/sessions/{session}/messages"), json!({"id": "over-http", "text": "two"})).await;
    assert_eq!((over_http.0, &over_http.1["code"]), (503, &json!("storage_unavailable")));
    soon("not ready", async { while gateway.get("/ready").await.0 != 503 {} }).await;
    assert_eq!(gateway.metric("storage_up ").await, 0.0);
    assert!(gateway.metric("storage_commit_failures_total ").await >= 3.0);
    assert_eq!(ids(&messages(&gateway, &session).await), ["q1"], "nothing is half written");
    failing.detach().await;

    soon("ready again", async { while gateway.get("/ready").await.0 != 200 {} }).await;
    assert_eq!(gateway.metric("storage_up ").await, 1.0);
    client.tell(json!({"type": "send", "id": "again", "text": "two"})).await;
    client.until("ack").await;
    assert_eq!(client.answer().await.text, "Yes.");
    let before = messages(&gateway, &session).await;
    assert_eq!((ids(&before), before.len()), (vec!["q1", "again"], 4));

    let gateway = gateway.kill().await.start().await;
    assert_eq!(messages(&gateway, &session).await, before, "all that was acknowledged, as it was");
    let mut client = Client::connect(&gateway.socket(&session)).await;
    client.until("snapshot").await;
    client.tell(json!({"type": "send", "id": "again", "text": "two"})).await;
    assert_eq!(client.until("ack").await["duplicate"], true);
    assert_eq!(upstream.stats.counts().requests, 2);
}

/// SQLite has written a transaction into its log before the sync that fails. A process that is killed then may find it
/// there, complete, when it starts again: a message that was refused is there after all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_was_refused_and_is_there_after_a_crash_is_not_doubled_by_its_repetition() {
    let (upstream, traces) = (Upstream::saying("Yes.", 0.0).await, TempDir::new().unwrap());
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let mut client = gateway.connect().await;
    let session = client.session();
    client.ask("one").await;
    let failing = Strace::attach(&gateway, &traces.path().join("1"), &FAILING).await;
    refused(&mut client, "torn").await;
    let setup = gateway.kill().await;
    failing.detach().await;

    let gateway = setup.start().await;
    let found = messages(&gateway, &session).await;
    let mut client = Client::connect(&gateway.socket(&session)).await;
    client.until("snapshot").await;
    let was_there = ids(&found).contains(&"torn");
    if was_there {
        assert_eq!(client.answer().await.status(), "interrupted", "told once more");
    }
    client.tell(json!({"type": "send", "id": "torn", "text": "two"})).await;
    let ack = client.until("ack").await;
    assert_eq!(ack["duplicate"], was_there, "{found:?}");
    if was_there {
        assert_eq!((&found[3]["status"], &found[3]["run"]), (&json!("interrupted"), &ack["run"]));
    } else {
        assert_eq!(client.answer().await.text, "Yes.");
    }
    let stored = messages(&gateway, &session).await;
    assert_eq!((ids(&stored), stored.len()), (vec!["q1", "torn"], 4), "once");
    client.tell(json!({"type": "send", "id": "after", "text": "three"})).await;
    assert_eq!(client.answer().await.text, "Yes.");
    assert_eq!(messages(&gateway, &session).await.len(), 6);
    assert_eq!(upstream.stats.counts().requests, if was_there { 2 } else { 3 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_hears_of_a_message_before_it_is_synced() {
    let (upstream, traces) = (Upstream::saying("Yes.", 0.0).await, TempDir::new().unwrap());
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let mut client = gateway.connect().await;
    let trace = traces.path().join("calls");
    let calls = ["trace=pwrite64,fdatasync,fsync,sendto,write,writev"];
    let tracing = Strace::attach(&gateway, &trace, &calls).await;
    client.tell(json!({"type": "send", "id": "synced-first", "text": "one"})).await;
    client.until("ack").await;
    client.answer().await;
    tracing.detach().await;

    let trace = fs::read(&trace).unwrap();
    let trace = String::from_utf8_lossy(&trace);
    let lines: Vec<&str> = trace.lines().collect();
    let first = |wanted: &dyn Fn(&str) -> bool| lines.iter().position(|line| wanted(line));
    let named = |line: &str, calls: &[&str]| line.contains("synced-first") && calls.iter().any(|c| line.contains(c));
    let written = first(&|line| named(line, &["pwrite64("])).expect("written to the log of the database");
    let told = first(&|line| named(line, &["sendto(", " write(", "writev("])).expect("told to the client");
    let synced = lines[written..].iter().position(|line| line.contains("sync") && line.trim_end().ends_with("= 0"));
    let synced = written + synced.expect("synced");
    assert!(written < synced && synced < told, "written {written}, synced {synced}, told {told}:\n{trace}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_disk_delays_acknowledgements_and_neither_tokens_nor_a_stop() {
    let (upstream, gate) = Upstream::gated(DEFAULT_TEXT, 3).await;
    let traces = TempDir::new().unwrap();
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let (mut reading, mut asking) = (gateway.connect().await, gateway.connect().await);
    reading.say("one").await;
    reading.deltas(1).await;
    let slow = format!("inject=fdatasync,fsync:delay_enter={}", DELAY.as_micros());
    let slow = Strace::attach(&gateway, &traces.path().join("1"), &["trace=fdatasync,fsync", &slow]).await;
    let begun = Instant::now();
    asking.say("two").await;
    let stopped = async {
        for token in 4..40 {
            gate.allow(token);
            reading.deltas(1).await;
        }
        reading.tell(json!({"type": "stop", "id": "enough"})).await;
        assert_eq!(reading.until("ack").await["re"], "enough");
        upstream.stats.wait_until(|counts| counts.cancelled == 1).await;
    };
    tokio::select! {
        biased;
        _ = asking.until("ack") => panic!("acknowledged before the disk had it"),
        () = stopped => {}
    }
    asking.until("ack").await;
    let took = begun.elapsed();
    assert!(took >= DELAY, "acknowledged after {took:?}, before the disk had it");
    assert_eq!(reading.answer().await.status(), "stopped");
    slow.detach().await;
    gate.open();
    assert_eq!(asking.answer().await.text, DEFAULT_TEXT);
}
