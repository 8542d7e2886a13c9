//! Readers that do not read: they cost a place, and nothing grows behind them.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

use crate::harness::{Client, Setup, TestGateway, Upstream};

/// Characters of a token, so that few tokens fill every buffer between the gateway and a reader.
const TOKEN: usize = 1000;

fn long_text(tokens: usize, token: usize) -> String {
    (0..tokens).map(|n| format!("{n:0>width$} ", width = token - 1)).collect()
}

/// The space at the end of a token comes with the next one.
fn length_of(tokens: usize) -> usize {
    tokens * TOKEN - 1
}

/// Answers with a text that no model has the patience for.
async fn long(url: &str) -> TestGateway {
    let setup = Setup::with_upstream(url).set("RIVULET_LLM_MAX_OUTPUT_TOKENS", "1000000");
    setup.set("RIVULET_LLM_GAP_S", "120").start().await // It waits while readers catch up.
}

fn held(client: &Client) -> usize {
    client.memory.texts.values().next().map_or(0, String::len)
}

/// Takes frames until the text is so long.
async fn read_to(client: &mut Client, length: usize) {
    while held(client) < length {
        client.frame().await;
    }
}

/// The same for one that had stalled; on a busy machine for so long that it was closed. How many deltas that were.
async fn catch_up(client: &mut Client, url: &str, length: usize) -> usize {
    let mut deltas = 0;
    while held(client) < length {
        match client.try_frame().await {
            Some(frame) => deltas += usize::from(frame["type"] == "delta"),
            None => *client = Client::resume(url, client.memory.clone()).await,
        }
    }
    deltas
}

/// `RIVULET_TEST_STALLED` says how many; 200 when it does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalled_readers_cost_others_nothing_and_grow_nothing() {
    const TOKENS: usize = 1800;
    let count = std::env::var("RIVULET_TEST_STALLED").map_or(200, |count| count.parse().expect("RIVULET_TEST_STALLED"));
    let text = long_text(TOKENS + 100, TOKEN);
    let (upstream, gate) = Upstream::gated(&text, 0).await;
    let gateway = long(&upstream.url).await;
    let mut healthy = gateway.connect().await;
    let url = gateway.socket(&healthy.session());
    let mut stalled = join_all((0..count).map(|_| Client::with_small_buffer(&url))).await;
    healthy.say("one").await;
    let before = gateway.memory();
    for token in (1..=TOKENS).step_by(50) {
        gate.allow(token);
        // Comes before the next ones are allowed, whatever the others do not read.
        read_to(&mut healthy, length_of(token)).await;
    }
    gate.allow(TOKENS);
    read_to(&mut healthy, length_of(TOKENS)).await;
    let grown = gateway.memory().saturating_sub(before);
    let backlog = count * TOKENS * TOKEN;
    eprintln!("{count} stalled readers: {grown} bytes more, of {backlog} that they miss");
    assert!(grown < backlog / 4, "grew by {grown} bytes behind readers who miss {backlog}");

    stalled.truncate(5);
    for client in &mut stalled {
        let deltas = catch_up(client, &url, length_of(TOKENS)).await;
        assert!(deltas < TOKENS / 2, "{deltas} deltas: it had not stalled");
    }
    gate.open();
    for client in stalled.iter_mut().chain([&mut healthy]) {
        catch_up(client, &url, text.len()).await;
        let answer = client.answer().await;
        assert!(answer.text == text && client.memory.repeated == 0);
    }
    assert_eq!(upstream.stats.counts().requests, 1);
}

/// Takes as long as a stalled write may: 30 seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_takes_nothing_for_30_seconds_is_closed_and_can_resume() {
    // Together more than the kernel buffers for a socket, each within what an answer may have.
    let text = long_text(200, 10 * TOKEN);
    let upstream = Upstream::saying(&text, 0.0).await;
    let gateway = long(&upstream.url).await;
    let mut asking = gateway.connect().await;
    let mut stalled = Client::with_small_buffer(&gateway.socket(&asking.session())).await;
    for question in ["one", "two", "three", "four"] {
        assert!(asking.ask(question).await.text == text);
    }
    let closed = async {
        while gateway.metric(r#"ws_closes_total{code="4203"}"#).await < 1.0 {
            sleep(Duration::from_millis(200)).await; // Of 30 seconds; the close frame waits for two.
        }
    };
    timeout(Duration::from_secs(90), closed).await.expect("closed for stalling");
    // Told behind what was in the buffers; who does not take even that in two seconds finds a dead connection.
    assert!(matches!(stalled.ended().await, None | Some(4203)));
    let memory = stalled.memory;
    assert!(memory.texts.values().filter(|held| **held == text).count() < 4, "it had stalled");
    let url = gateway.socket(&memory.session);
    let mut back = Client::resume(&url, memory).await;
    // So long a text is not kept in the log once it is over.
    assert_eq!(back.welcome["recovered"], "snapshot");
    let snapshot = back.until("snapshot").await;
    assert!(snapshot["messages"].as_array().unwrap().last().unwrap()["text"] == *text);
}
