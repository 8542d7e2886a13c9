//! What happens when the other side goes away, reads slowly or not at all, and when the gateway goes away.

use std::{fmt::Write, time::Duration};

use rivulet::mock_llm::{Counts, DEFAULT_TEXT, Options, Script};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    sync::watch,
    time::timeout,
};

use super::{Told, question, with};
use crate::harness::{Setup, TestGateway, Upstream, soon, upstream};

/// A connection with a buffer so small that not to read is soon noticed, on which a completion was asked for.
async fn asked(gateway: &TestGateway, stream: bool) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let mut connection = soon("a connection", socket.connect(gateway.address.parse().unwrap())).await.unwrap();
    let body = with(question("Why?"), json!({"stream": stream})).to_string();
    let mut head =
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n".to_owned();
    write!(head, "Connection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    connection.write_all(head.as_bytes()).await.unwrap();
    connection
}

/// Waits until the model's server says so.
async fn upstream_has(upstream: &Upstream, what: &str, wanted: impl FnMut(&Counts) -> bool) -> Counts {
    soon(what, upstream.stats.wait_until(wanted)).await
}

async fn until_nothing_runs(gateway: &TestGateway) {
    soon("no run", async { while gateway.metric("runs_active").await > 0.0 {} }).await;
}

#[tokio::test]
async fn who_goes_away_takes_the_upstream_connection_along() {
    for stream in [false, true] {
        // Before the first token, and within the text.
        for tokens in [0, 3] {
            let (upstream, _gate) = Upstream::gated(DEFAULT_TEXT, tokens).await;
            let gateway = Setup::with_upstream(&upstream.url).start().await;
            let mut connection = asked(&gateway, stream).await;
            upstream_has(&upstream, "a request", |counts| counts.open == 1).await;
            if stream && tokens > 0 {
                let mut some = [0; 1];
                soon("a first piece", connection.read_exact(&mut some)).await.unwrap();
            }
            assert_eq!(gateway.metric("runs_active").await, 1.0);
            drop(connection);
            let counts = upstream_has(&upstream, "its end", |counts| counts.open == 0).await;
            assert_eq!((counts.requests, counts.cancelled), (1, 1), "stream {stream}, {tokens} tokens");
            until_nothing_runs(&gateway).await;
            assert_eq!(gateway.metric("runs_total{status=\"stopped\"}").await, 1.0);
        }
    }
}

/// Pieces of an answer that is larger than what the kernel and the gateway hold for a client, and smaller than an answer
/// may be.
const PIECES: usize = 1_800;

/// A server with such an answer, which it holds before the last piece until it is let.
async fn large() -> (Upstream, watch::Sender<usize>) {
    let script = Script::new(&"x".repeat(1000));
    let (gate, allowed) = watch::channel(PIECES - 1);
    let options = Options { rate: 0.0, script, tokens: Some(PIECES), allowed: Some(allowed), ..Options::default() };
    (upstream(options).await, gate)
}

#[tokio::test]
async fn a_slow_reader_is_waited_for_and_gets_everything() {
    let (upstream, gate) = large().await;
    // Its clocks are shorter than the reader is slow: they run for the model, and not for the reader.
    let setup = Setup::with_upstream(&upstream.url)
        .set("RIVULET_LLM_MAX_OUTPUT_TOKENS", "1000000")
        .set("RIVULET_LLM_GAP_S", "1")
        .set("RIVULET_LLM_FIRST_TOKEN_S", "1");
    let gateway = setup.start().await;
    let mut connection = asked(&gateway, true).await;
    // What the first answer of a process takes is not this reader's.
    soon("a first piece", connection.read_exact(&mut [0; 1])).await.unwrap();
    let before = gateway.memory();
    upstream_has(&upstream, "a request", |counts| counts.open == 1).await;
    tokio::time::sleep(Duration::from_secs(3)).await; // The reader's slowness is what is tried.
    let grown = gateway.memory().saturating_sub(before);
    assert_eq!(gateway.metric("runs_active").await, 1.0, "no clock ran out");
    assert!(grown < 16 << 20, "{grown} bytes for one reader");
    gate.send_replace(PIECES);
    let mut all = Vec::new();
    soon("all of it", connection.read_to_end(&mut all)).await.unwrap();
    let text = String::from_utf8(all).unwrap();
    assert!(text.contains("\"finish_reason\":\"stop\"") && text.contains("data: [DONE]"), "it is whole");
    assert_eq!(text.matches("\"delta\":{\"content\":\"x").count(), PIECES);
    until_nothing_runs(&gateway).await;
}

/// Takes the gateway's real time, 60 seconds, side by side with the other tests.
#[tokio::test]
async fn who_reads_nothing_is_cut_off_and_costs_nothing_more() {
    let (upstream, _gate) = large().await;
    let gateway = Setup::with_upstream(&upstream.url).set("RIVULET_LLM_MAX_OUTPUT_TOKENS", "1000000").start().await;
    let _connection = asked(&gateway, true).await;
    upstream_has(&upstream, "a request", |counts| counts.open == 1).await;
    let given_up = upstream.stats.wait_until(|counts| counts.open == 0);
    let counts = timeout(Duration::from_secs(100), given_up).await.expect("it is given up");
    assert_eq!((counts.finished, counts.cancelled), (0, 1));
    until_nothing_runs(&gateway).await;
    assert_eq!(gateway.metric("runs_total{status=\"stopped\"}").await, 1.0);
}

async fn stream(gateway: &TestGateway) -> reqwest::Response {
    let body = with(question("Why?"), json!({"stream": true}));
    let request = reqwest::Client::new().post(gateway.url("/v1/chat/completions")).json(&body);
    soon("a head", request.send()).await.unwrap()
}

#[tokio::test]
async fn running_answers_may_finish_when_the_gateway_ends_and_new_ones_are_refused() {
    let (upstream, gate) = Upstream::gated(DEFAULT_TEXT, 3).await;
    let mut gateway = Setup::with_upstream(&upstream.url).start().await;
    let running = stream(&gateway).await;
    gateway.signal("TERM").await;
    soon("draining", async { while gateway.get("/ready").await.0 == 200 {} }).await;
    let refused = Told::of(stream(&gateway).await).await;
    assert_eq!((refused.status, refused.code()), (503, Some("busy")));
    assert_eq!(refused.headers["retry-after"], "5");
    gate.open();
    let told = Told::of(running).await;
    assert_eq!((told.text().as_str(), told.finish(), told.done), (DEFAULT_TEXT, Some("stop"), true));
    assert_eq!(gateway.exit_code().await, Some(0));
}

#[tokio::test]
async fn what_outlives_the_end_is_cut_and_not_told_as_whole() {
    let (upstream, _gate) = Upstream::gated(DEFAULT_TEXT, 3).await;
    let mut gateway = Setup::with_upstream(&upstream.url).set("RIVULET_SERVER_DRAIN_S", "7").start().await;
    let running = stream(&gateway).await;
    gateway.signal("TERM").await;
    let told = Told::of(running).await;
    assert_eq!((told.code(), told.finish(), told.done), (Some("busy"), None, false), "{told:?}");
    assert_eq!(told.error.as_ref().unwrap()["rivulet"]["status"], "interrupted");
    assert_eq!(told.text(), "A rivulet is");
    assert_eq!(gateway.exit_code().await, Some(0));
}
