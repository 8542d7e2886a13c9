//! The same message over several sockets and over HTTP, at the same time and again: stored once, answered once.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use rand::{RngExt, SeedableRng, rngs::SmallRng, seq::SliceRandom};
use serde_json::{Value, json};

use super::new_sessions;
use crate::harness::{Client, Seed, Setup, TestGateway, Upstream, soon};

/// Who sends in one session, at the same time.
const SENDERS: u64 = 4;
/// Messages that every sender sends, twice each.
const MESSAGES: usize = 5;
/// One more, of which there are two versions.
const DISPUTED: &str = "disputed";

/// What became of one attempt.
#[derive(Debug)]
struct Told {
    id: String,
    text: String,
    /// The run and whether it is a repetition, or the code of a refusal.
    answer: Result<(String, bool), String>,
}

fn told(id: &str, text: &str, refused: bool, answer: &Value) -> Told {
    let string = |name: &str| answer[name].as_str().unwrap_or_else(|| panic!("no {name}: {answer}")).to_owned();
    let answer = if refused {
        Err(string("code"))
    } else {
        assert_eq!(answer["message"], id);
        Ok((string("run"), answer["duplicate"].as_bool().unwrap()))
    };
    Told { id: id.to_owned(), text: text.to_owned(), answer }
}

async fn over_http(http: &reqwest::Client, gateway: &TestGateway, session: &str, id: &str, text: &str) -> Told {
    let url = gateway.url(&format!("/api/v1/sessions/{session}/messages"));
    let message = json!({"id": id, "text": text, "mode": "queue"});
    let (status, answer) = TestGateway::answer(http.post(url).json(&message)).await;
    told(id, text, status != 202, &answer)
}

/// Over a socket that is sometimes cut before the answer came; then over the next one.
async fn over_socket(mut client: Client, url: &str, rng: &mut SmallRng, id: &str, text: &str) -> (Client, Told) {
    let send = json!({"type": "send", "id": id, "text": text, "mode": "queue"});
    loop {
        client.tell(send.clone()).await;
        if rng.random_bool(0.3) {
            let memory = client.cut();
            client = Client::resume(url, memory).await;
            continue;
        }
        loop {
            let frame = client.frame().await;
            let refused = frame["type"] == "error";
            if (refused || frame["type"] == "ack") && frame["re"] == id {
                return (client, told(id, text, refused, &frame));
            }
        }
    }
}

/// One of those who send, each in an order of its own.
async fn sender(gateway: &TestGateway, session: &str, number: u64, seed: u64) -> Vec<Told> {
    let mut rng = SmallRng::seed_from_u64(seed.wrapping_add(number));
    let http = reqwest::Client::new();
    let url = gateway.socket(session);
    let mut client = Some(Client::connect(&url).await);
    let mut messages: Vec<(String, String)> =
        (0..MESSAGES * 2).map(|n| (format!("q{}", n % MESSAGES), format!("question {}", n % MESSAGES))).collect();
    messages.push((DISPUTED.to_owned(), format!("version {}", number % 2)));
    messages.shuffle(&mut rng);
    let mut all = Vec::new();
    for (id, text) in messages {
        if rng.random_bool(0.5) {
            all.push(over_http(&http, gateway, session, &id, &text).await);
        } else {
            let (same, told) = over_socket(client.take().unwrap(), &url, &mut rng, &id, &text).await;
            client = Some(same);
            all.push(told);
        }
    }
    all
}

/// What must hold for all that was told about one id. Returns the run.
fn judge(id: &str, all: &[Told]) -> String {
    let accepted: Vec<_> = all.iter().filter_map(|t| Some((&t.text, t.answer.as_ref().ok()?))).collect();
    let texts: BTreeSet<_> = accepted.iter().map(|(text, _)| text).collect();
    let runs: BTreeSet<_> = accepted.iter().map(|(_, (run, _))| run).collect();
    let first = accepted.iter().filter(|(_, (_, duplicate))| !duplicate).count();
    assert_eq!((texts.len(), runs.len()), (1, 1), "{id}: {all:?}");
    assert!(first <= 1, "{id} was accepted as new {first} times");
    for refused in all.iter().filter(|told| told.answer.is_err()) {
        assert_eq!(refused.answer, Err("idempotency_conflict".to_owned()), "{id}");
        assert_ne!(&&refused.text, *texts.first().unwrap(), "{id}: the text that was accepted");
    }
    (*runs.first().unwrap()).clone()
}

async fn one_session(gateway: &TestGateway, session: &str, seed: u64) {
    let senders = (0..SENDERS).map(|number| sender(gateway, session, number, seed));
    let mut by_id: BTreeMap<String, Vec<Told>> = BTreeMap::new();
    for told in join_all(senders).await.into_iter().flatten() {
        by_id.entry(told.id.clone()).or_default().push(told);
    }
    assert_eq!(by_id.len(), MESSAGES + 1);
    let disputed = &by_id[DISPUTED];
    assert!(disputed.iter().any(|t| t.answer.is_err()), "two versions cannot both be right: {disputed:?}");
    let runs: BTreeMap<_, _> = by_id.iter().map(|(id, all)| (id.clone(), judge(id, all))).collect();
    assert_eq!(runs.values().collect::<BTreeSet<_>>().len(), MESSAGES + 1, "a run of its own for each");

    let http = reqwest::Client::new();
    let other = over_http(&http, gateway, session, "q0", "another question").await;
    assert_eq!(other.answer, Err("idempotency_conflict".to_owned()));
    let url = gateway.url(&format!("/api/v1/sessions/{session}"));
    let stored = soon("all answers", async {
        loop {
            let (_, stored) = TestGateway::answer(http.get(&url)).await;
            if stored["messages"].as_array().unwrap().iter().all(|message| message["status"] == "complete") {
                break stored;
            }
        }
    })
    .await;
    let messages = stored["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 2 * runs.len(), "{stored}");
    for pair in messages.chunks(2) {
        assert_eq!((&pair[0]["role"], &pair[1]["role"]), (&json!("user"), &json!("assistant")));
        let run = &runs[pair[0]["id"].as_str().unwrap()];
        assert_eq!((&pair[0]["run"], &pair[1]["run"]), (&json!(run), &json!(run)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_sends_a_message_however_often_it_is_stored_and_answered_once() {
    const SESSIONS: usize = 12;
    let seed = Seed::new();
    let upstream = Upstream::saying("Yes, of course.", 500.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let sessions = new_sessions(&gateway, SESSIONS).await;
    let all =
        sessions.iter().zip(0..).map(|(session, n)| one_session(&gateway, session, seed.0.wrapping_add(n * 1000)));
    join_all(all).await;
    assert_eq!(upstream.stats.counts().requests, SESSIONS * (MESSAGES + 1), "one run for each message");
}
