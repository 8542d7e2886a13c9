//! A connection is lost after every single byte of an answer.

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::{ask, new_sessions, stored_once};
use crate::harness::{Fault, Memory, Proxy, Setup, TestGateway, Upstream, soon};

const TEXT: &str = "Größer 😀 als 0 €.";
/// Numbers in a frame vary in length, and a phase that passed too quickly to be told may be told once: an answer may be
/// a bit longer than the measured ones were.
const SPARE: u64 = 128;
/// How many answers are measured. Tokens that come together share a frame, so one may be much shorter than others.
const MEASURED: usize = 4;
/// Sessions at the same time.
const AT_ONCE: usize = 48;

/// A gateway, its upstream, and how many bytes a whole answer is.
async fn measured() -> (Upstream, TestGateway, u64) {
    let upstream = Upstream::saying(TEXT, 400.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let mut bytes = 0;
    for session in new_sessions(&gateway, MEASURED).await {
        let proxy = Proxy::to(&gateway.address, Fault::None, 0).await;
        let (_, answer, connections) = ask(&proxy.socket(&session), "").await;
        assert_eq!((&*answer.text, connections), (TEXT, 1));
        bytes = bytes.max(proxy.downstream());
    }
    (upstream, gateway, bytes + SPARE)
}

/// After how many bytes each connection was to be lost, how many passed, and whether it was lost. How many bytes an answer
/// takes varies, since tokens that come together share a frame. So each connection is held to its own: one that brought
/// a whole answer did so within its bytes.
fn tried_at_every_byte(connections: &[(u64, u64, bool)]) {
    for (allowed, passed, lost) in connections {
        assert!(passed <= allowed, "{passed} bytes passed, and it was to be lost after {allowed}");
        assert!(!lost || passed == allowed, "it was lost after {passed} bytes and not after {allowed}");
    }
    assert!(connections.iter().any(|(_, _, lost)| !lost), "an answer's last bytes were out of reach");
}

async fn after_every_byte(fault: fn(u64) -> Fault) {
    let (upstream, gateway, bytes) = measured().await;
    let sessions = new_sessions(&gateway, usize::try_from(bytes).unwrap() + 1).await;
    let (gateway, http) = (&gateway, &reqwest::Client::new());
    let asked = stream::iter(sessions.iter().zip(0..)).map(|(session, n)| async move {
        let proxy = Proxy::to(&gateway.address, fault(n), 0).await;
        let (memory, answer, connections) = ask(&proxy.socket(session), &gateway.socket(session)).await;
        assert_eq!((&*answer.text, answer.status(), memory.repeated), (TEXT, "complete", 0), "after {n} bytes");
        stored_once(http, gateway, session, TEXT).await;
        (n, proxy.downstream(), connections > 1)
    });
    tried_at_every_byte(&asked.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await);
    assert_eq!(upstream.stats.counts().requests, sessions.len() + MEASURED, "each was answered once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_closed_after_any_byte_loses_and_doubles_nothing() {
    after_every_byte(Fault::Cut).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_reset_after_any_byte_loses_and_doubles_nothing() {
    after_every_byte(Fault::Reset).await;
}

/// A reader of a session's events, over as many connections as it takes.
struct Reader<'a> {
    http: &'a reqwest::Client,
    gateway: &'a TestGateway,
    session: &'a str,
    memory: Memory,
    last: Option<String>,
    asked: bool,
}

impl Reader<'_> {
    /// Reads until the run is done or the connection is lost. Asks after the first `welcome`.
    async fn read(&mut self, address: &str) -> bool {
        let url = format!("http://{address}/api/v1/sessions/{}/events", self.session);
        let request = self.http.get(url);
        let request = match &self.last {
            Some(id) => request.header("last-event-id", id),
            None => request,
        };
        let Ok(mut response) = soon("an answer's head or none", request.send()).await else { return false };
        assert_eq!(response.status(), 200);
        let mut pending = Vec::new();
        while let Ok(Some(chunk)) = soon("a piece or an end", response.chunk()).await {
            pending.extend_from_slice(&chunk);
            while let Some(end) = pending.windows(2).position(|pair| pair == b"\n\n") {
                let event: Vec<u8> = pending.drain(..end + 2).collect();
                if self.take(std::str::from_utf8(&event).unwrap()).await {
                    return true;
                }
            }
        }
        false
    }

    /// A whole event; whether it is the last one.
    async fn take(&mut self, event: &str) -> bool {
        let line = |name| event.lines().find_map(|line| line.strip_prefix(name));
        let Some(data) = line("data: ") else { return false };
        let frame: Value = serde_json::from_str(data).unwrap();
        self.memory.check(&frame);
        if let Some(id) = line("id: ") {
            self.last = Some(id.to_owned());
        }
        if !std::mem::replace(&mut self.asked, true) {
            let url = self.gateway.url(&format!("/api/v1/sessions/{}/messages", self.session));
            let asked = self.http.post(url).json(&json!({"id": "q", "text": "one"}));
            assert_eq!(TestGateway::answer(asked).await.0, 202);
        }
        // Who was cut before the first id begins anew, and is shown what there is.
        frame["type"] == "run.done" || frame["messages"][1]["status"] == "complete"
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_cut_after_any_byte_go_on_from_the_last_id() {
    let (upstream, gateway, _) = measured().await;
    let (gateway, http) = (&gateway, &reqwest::Client::new());
    let once = async |session: &str, fault| {
        let proxy = Proxy::to(&gateway.address, fault, 0).await;
        let mut reader = Reader { http, gateway, session, memory: Memory::default(), last: None, asked: false };
        let lost = !reader.read(&proxy.address).await;
        assert!(!lost || reader.read(&gateway.address).await, "direct, and not to the end");
        let text: Vec<_> = reader.memory.texts.values().map(String::as_str).collect();
        assert_eq!((text, reader.memory.repeated), (vec![TEXT], 0), "{fault:?}");
        stored_once(http, gateway, session, TEXT).await;
        (proxy.downstream(), lost)
    };
    let mut bytes = 0;
    for session in new_sessions(gateway, MEASURED).await {
        bytes = bytes.max(once(&session, Fault::None).await.0);
    }
    let bytes = bytes + SPARE;
    let sessions = new_sessions(gateway, usize::try_from(bytes).unwrap() + 1).await;
    let cut = stream::iter(sessions.iter().zip(0..)).map(|(session, n)| async move {
        let (passed, lost) = once(session, Fault::Cut(n)).await;
        (n, passed, lost)
    });
    tried_at_every_byte(&cut.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await);
    assert_eq!(upstream.stats.counts().requests, sessions.len() + 2 * MEASURED, "each was answered once");
}
