//! Slow, half dead and dead connections, and all of them dying at once.

use std::time::Duration;

use futures_util::future::join_all;
use rivulet::mock_llm::{DEFAULT_TEXT, Script};
use serde_json::json;
use tokio::{net::TcpStream, time::timeout};

use super::{ask, ask_from, new_sessions, stored_once, until_idle};
use crate::harness::{Client, Fault, Gate, Memory, Proxy, Seed, Setup, TestGateway, Upstream, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_come_late_or_one_by_one_are_the_same_bytes() {
    let seed = Seed::new();
    let upstream = Upstream::saying(DEFAULT_TEXT, 0.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let faults = [Fault::Dribble, Fault::Delay(Duration::from_millis(40)), Fault::Delay(Duration::from_millis(300))];
    let sessions = new_sessions(&gateway, faults.len()).await;
    join_all(faults.iter().zip(&sessions).map(async |(fault, session)| {
        let proxy = Proxy::to(&gateway.address, *fault, seed.0).await;
        let (memory, answer, connections) = ask(&proxy.socket(session), "").await;
        assert_eq!((&*answer.text, memory.repeated, connections), (DEFAULT_TEXT, 0, 1), "{fault:?}");
    }))
    .await;
    assert_eq!(upstream.stats.counts().requests, faults.len());
}

/// A client that holds three tokens of an answer, with more to come, behind a proxy whose fault begins now.
async fn in_the_middle(gateway: &TestGateway, gate: &Gate, fault: Fault) -> (Proxy, Client) {
    gate.allow(3);
    let proxy = Proxy::to(&gateway.address, fault, 0).await;
    let session = new_sessions(gateway, 1).await.remove(0);
    let mut client = Client::connect(&proxy.socket(&session)).await;
    client.say("one").await;
    while client.memory.texts.values().next().is_none_or(|text| *text != super::tokens(3)) {
        client.frame().await;
    }
    proxy.begin();
    (proxy, client)
}

/// The rest of an answer, over a new connection.
async fn the_rest(gateway: &TestGateway, memory: Memory) {
    let url = gateway.socket(&memory.session);
    let mut client = Client::resume(&url, memory).await;
    assert_eq!(client.welcome["recovered"], "full");
    let answer = client.answer().await;
    assert_eq!((&*answer.text, answer.status(), client.memory.repeated), (DEFAULT_TEXT, "complete", 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_ends_on_one_side_only_is_given_up_and_resumed() {
    let (upstream, gate) = Upstream::gated(DEFAULT_TEXT, 3).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    for fault in [Fault::ClientEnds, Fault::ServerEnds] {
        let (_proxy, mut client) = in_the_middle(&gateway, &gate, fault).await;
        gate.open();
        while client.try_frame().await.is_some() {}
        the_rest(&gateway, client.memory).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateway_lets_go_of_a_client_whose_side_ended() {
    let (upstream, gate) = Upstream::gated(DEFAULT_TEXT, 3).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let (_proxy, client) = in_the_middle(&gateway, &gate, Fault::ClientEnds).await;
    soon("a gateway without sockets", async { while gateway.metric("ws_connections").await > 0.0 {} }).await;
    gate.open();
    the_rest(&gateway, client.memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_frozen_downstream_holds_up_nobody_else() {
    let (upstream, gate) = Upstream::gated(DEFAULT_TEXT, 3).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let (proxy, mut client) = in_the_middle(&gateway, &gate, Fault::FreezeDown).await;
    let passed = proxy.downstream();
    gate.open();
    the_rest(&gateway, client.memory.clone()).await;
    let more = timeout(Duration::from_millis(300), client.try_frame()).await;
    assert!(more.is_err() && proxy.downstream() == passed, "it was not frozen: {more:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_frozen_upstream_still_brings_the_answer() {
    let (upstream, gate) = Upstream::gated(DEFAULT_TEXT, 3).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let (_proxy, mut client) = in_the_middle(&gateway, &gate, Fault::FreezeUp).await;
    client.tell(json!({"type": "stop", "id": "unheard"})).await;
    let memory = client.memory.clone();
    gate.open();
    the_rest(&gateway, memory).await;
    loop {
        let frame = client.frame().await;
        assert_ne!(frame["type"], "ack", "it was not frozen");
        if frame["type"] == "run.done" {
            break assert_eq!(frame["status"], "complete");
        }
    }
}

/// When a client that asks something goes away, without a goodbye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// The connection stands, and nothing was said.
    Connected,
    /// The handshake is through; the `welcome` was not read.
    Upgraded,
    /// The question was handed to the network.
    Asked,
    Acked,
    /// So many tokens came.
    Tokens(usize),
    Done,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whenever_a_client_goes_away_its_answer_is_finished_and_waits_for_it() {
    let whole = Script::new(DEFAULT_TEXT).len();
    for moment in [
        Moment::Connected,
        Moment::Upgraded,
        Moment::Asked,
        Moment::Acked,
        Moment::Tokens(1),
        Moment::Tokens(whole / 2),
        Moment::Tokens(whole),
        Moment::Done,
    ] {
        let (upstream, gate) = Upstream::gated(DEFAULT_TEXT, 0).await;
        let gateway = Setup::with_upstream(&upstream.url).start().await;
        let session = new_sessions(&gateway, 1).await.remove(0);
        let url = gateway.socket(&session);
        let memory = leave_at(moment, &gateway, &url, &gate).await;
        gate.open();
        if !matches!(moment, Moment::Connected | Moment::Upgraded | Moment::Asked) {
            until_idle(&gateway).await; // Nobody watches, and it is finished.
        }
        if moment != Moment::Done {
            let (memory, answer, _) = ask_from(memory, &url, &url).await;
            assert_eq!((&*answer.text, answer.status(), memory.repeated), (DEFAULT_TEXT, "complete", 0), "{moment:?}");
        }
        stored_once(&reqwest::Client::new(), &gateway, &session, DEFAULT_TEXT).await;
        assert_eq!(upstream.stats.counts().requests, 1, "{moment:?}");
        until_idle(&gateway).await;
    }
}

/// Asks, and leaves; returns what a page would remember.
async fn leave_at(moment: Moment, gateway: &TestGateway, url: &str, gate: &Gate) -> Memory {
    if moment == Moment::Connected {
        TcpStream::connect(&gateway.address).await.unwrap().set_zero_linger().unwrap();
        return Memory::default();
    }
    if moment == Moment::Upgraded {
        drop(tokio_tungstenite::connect_async(url).await.unwrap());
        return Memory::default();
    }
    let mut client = Client::connect(url).await;
    client.tell(json!({"type": "send", "id": "q", "text": "one"})).await;
    match moment {
        Moment::Acked => drop(client.until("ack").await),
        Moment::Tokens(count) => {
            let wanted = super::tokens(count);
            gate.allow(count);
            while client.memory.texts.values().next().is_none_or(|text| *text != wanted) {
                client.frame().await;
            }
        }
        Moment::Done => {
            gate.open();
            client.answer().await;
        }
        Moment::Connected | Moment::Upgraded | Moment::Asked => {}
    }
    client.cut()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_sockets_reset_at_once_come_back_and_miss_nothing() {
    const SOCKETS: usize = 300;
    let (upstream, gate) = Upstream::gated(DEFAULT_TEXT, 10).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let proxy = Proxy::to(&gateway.address, Fault::None, 0).await;
    let url = proxy.socket("");
    let clients = join_all((0..SOCKETS).map(async |_| {
        let mut client = Client::connect(url.trim_end_matches('/')).await;
        client.say("one").await;
        client.deltas(1).await;
        client
    }))
    .await;
    assert_eq!(proxy.open(), SOCKETS);
    proxy.reset_all();
    let memories = join_all(clients.into_iter().map(async |mut client| {
        while client.try_frame().await.is_some() {}
        client.memory
    }))
    .await;
    let back = join_all(memories.into_iter().map(async |memory| {
        let client = Client::resume(&proxy.socket(&memory.session.clone()), memory).await;
        assert_eq!(client.welcome["recovered"], "full");
        client
    }))
    .await;
    assert_eq!(upstream.stats.counts().requests, SOCKETS);
    gate.open();
    join_all(back.into_iter().map(async |mut client| {
        let answer = client.answer().await;
        assert_eq!((&*answer.text, answer.status(), client.memory.repeated), (DEFAULT_TEXT, "complete", 0));
    }))
    .await;
    assert_eq!(upstream.stats.counts().requests, SOCKETS, "nothing was generated twice");
}
