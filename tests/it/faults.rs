//! What networks, clients and readers do to connections: whatever it is, every text arrives whole and once.

mod bytes;
mod connections;
mod readers;
mod twins;

use rivulet::mock_llm::DEFAULT_TEXT;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, Memory, TestGateway};

/// Asks in a session until the answer is proven: over the first address, and then over the second one as often as it
/// takes, each time from where the connection before had ended. Also tells how many connections that were.
async fn ask(first: &str, then: &str) -> (Memory, Answer, u32) {
    ask_from(Memory::default(), first, then).await
}

async fn ask_from(mut memory: Memory, first: &str, then: &str) -> (Memory, Answer, u32) {
    let send = json!({"type": "send", "id": "q", "text": "one"});
    let (mut run, mut url) = (Value::Null, first);
    for connection in 1..10 {
        match Client::try_resume(url, memory).await {
            Ok(mut client) => {
                let answer = go_on(&mut client, &send, &mut run).await;
                memory = client.memory;
                if let Some(answer) = answer {
                    return (memory, answer, connection);
                }
            }
            Err(same) => memory = same,
        }
        url = then;
    }
    panic!("no answer over ten connections");
}

/// As far as one connection carries; `None` when it is gone.
async fn go_on(client: &mut Client, send: &Value, run: &mut Value) -> Option<Answer> {
    if run.is_null() {
        client.try_tell(send).await?;
    }
    loop {
        let frame = client.try_frame().await?;
        match frame["type"].as_str() {
            Some("ack") => {
                assert!(run.is_null() || *run == frame["run"], "another run: {frame}");
                *run = frame["run"].clone();
            }
            Some("error") => panic!("{frame}"),
            Some("run.done") => {
                assert!(run.is_null() || *run == frame["run"], "another run: {frame}");
                return Some(Answer { text: client.memory.texts[frame["run"].as_str()?].clone(), done: frame });
            }
            _ => {}
        }
    }
}

/// Many sessions, made one after the other over one connection.
async fn new_sessions(gateway: &TestGateway, count: usize) -> Vec<String> {
    let http = reqwest::Client::new();
    let mut sessions = Vec::new();
    for _ in 0..count {
        let (status, made) = TestGateway::answer(http.post(gateway.url("/api/v1/sessions"))).await;
        assert_eq!(status, 201, "{made}");
        sessions.push(made["session_id"].as_str().unwrap().to_owned());
    }
    sessions
}

/// A session holds one question and its whole answer, and nothing else.
async fn stored_once(http: &reqwest::Client, gateway: &TestGateway, session: &str, text: &str) {
    let url = gateway.url(&format!("/api/v1/sessions/{session}"));
    let (_, stored) = TestGateway::answer(http.get(url)).await;
    let (count, answer) = (&stored["message_count"], &stored["messages"][1]);
    assert_eq!((count, &answer["text"], &answer["status"]), (&json!(2), &json!(text), &json!("complete")), "{stored}");
}

/// Waits until nothing is open or being generated.
async fn until_idle(gateway: &TestGateway) {
    crate::harness::soon("a gateway without sockets and runs", async {
        while gateway.metric("ws_connections").await > 0.0 || gateway.metric("runs_active").await > 0.0 {}
    })
    .await;
}

/// As much of the usual text as so many tokens are.
fn tokens(count: usize) -> String {
    rivulet::mock_llm::Script::new(DEFAULT_TEXT).text(count)
}
