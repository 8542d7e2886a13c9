//! Answers in the words of AG-UI and of the element `deep-chat`, as far as their own packages do not try it: those are in
//! `packages/proof` and `web-demo/e2e`.

use reqwest::{Client as Http, Response};
use serde_json::{Value, json};

use crate::{
    auth::{SECRET, token},
    harness::{Setup, TestGateway, Upstream},
};

const RUN: &str = "/api/v1/ag-ui/default";
const CHAT: &str = "/api/v1/deep-chat/chat";
const ANSWER: &str = "one two three four five six seven eight";

fn question(thread: &str, id: &str, text: &str) -> Value {
    json!({"threadId": thread, "runId": "r", "messages": [{"id": id, "role": "user", "content": text}]})
}

/// Events as they come.
struct Events(Response, String);

impl Events {
    async fn of(gateway: &TestGateway, path: &str, body: &Value) -> Self {
        let request = Http::new().post(gateway.url(path)).header("accept", "text/event-stream").json(body);
        let response = request.send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"] == "text/event-stream"),
            (200, true)
        );
        Self(response, String::new())
    }

    /// The next one; `None` behind the last.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((event, rest)) = self.1.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data: ")).map(str::to_owned);
                self.1 = rest.to_owned();
                match data {
                    Some(data) => return Some(serde_json::from_str(&data).unwrap()),
                    None => continue,
                }
            }
            let piece = self.0.chunk().await.unwrap()?;
            self.1.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    async fn until(&mut self, kind: &str) -> Value {
        loop {
            let event = self.next().await.unwrap_or_else(|| panic!("no {kind}"));
            if event["type"] == kind {
                return event;
            }
        }
    }

    async fn rest(mut self) -> Vec<Value> {
        let mut all = Vec::new();
        while let Some(event) = self.next().await {
            all.push(event);
        }
        all
    }
}

fn text(events: &[Value]) -> String {
    let deltas = events.iter().filter(|event| event["type"] == "TEXT_MESSAGE_CONTENT");
    deltas.map(|event| event["delta"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn who_hangs_up_stops_nothing_and_the_same_message_is_the_same_answer() {
    let (upstream, gate) = Upstream::gated(ANSWER, 2).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let asked = question("t", "u", "Count");
    let mut first = Events::of(&gateway, RUN, &asked).await;
    let started = first.until("RUN_STARTED").await;
    assert_eq!(
        (&started["threadId"], &started["runId"], &started["protocolVersion"]),
        (&json!("t"), &json!("r"), &json!("1.0"))
    );
    first.until("TEXT_MESSAGE_CONTENT").await;
    drop(first);
    // While it is written, and once it is over.
    let mut second = Events::of(&gateway, RUN, &asked).await;
    let again = second.until("RUN_STARTED").await;
    assert_eq!(again["metadata"], started["metadata"]);
    gate.open();
    assert_eq!(text(&second.rest().await), ANSWER);
    let third = Events::of(&gateway, RUN, &asked).await.rest().await;
    assert_eq!((text(&third), third.last().unwrap()["type"].as_str()), (ANSWER.to_owned(), Some("RUN_FINISHED")));
    assert_eq!(upstream.stats.requests().len(), 1);
    let session = started["metadata"]["rivulet"]["session"].as_str().unwrap();
    let (_, stored) = gateway.get(&format!("/api/v1/sessions/{session}")).await;
    assert_eq!(stored["messages"].as_array().unwrap().len(), 2);
    // Another text under the same id is no repetition.
    let (status, problem) = gateway.post(RUN, question("t", "u", "Count down")).await;
    assert_eq!((status, &problem["code"]), (409, &json!("idempotency_conflict")));
}

#[tokio::test]
async fn a_thread_is_the_callers_own_and_its_assistant_answers_in_it() {
    let upstream = Upstream::saying(ANSWER, 0.0).await;
    let setup = Setup::with_upstream(&upstream.url).set("JWT_SECRET_KEY", SECRET).set("REQUIRE_AUTHENTICATION", "true");
    let gateway = setup.start().await;
    let run = async |user: &str, path: &str, body: Value| {
        let request = Http::new().post(gateway.url(path)).bearer_auth(token(user)).json(&body);
        TestGateway::answer(request).await
    };
    let request = Http::new().post(gateway.url(RUN)).bearer_auth(token("ann")).json(&question("ours", "u", "Count"));
    let response = request.send().await.unwrap();
    let events = Events(response, String::new()).rest().await;
    let session = events[0]["metadata"]["rivulet"]["session"].clone();
    // By that name somebody else begins one of their own; by the session's id there is none.
    let (status, told) = run("bob", CHAT, json!({"messages": [{"text": "Count"}], "session": "ours"})).await;
    assert!(status == 200 && told["_sessionId"] != session, "{told}");
    let (status, told) = run("bob", CHAT, json!({"messages": [{"text": "Count"}], "session": session})).await;
    assert_eq!((status, &told["code"]), (404, &json!("not_found")));
    assert!(told["error"].is_string(), "{told}");
    let (status, told) = run("ann", CHAT, json!({"messages": [{"text": "Count"}], "session": session})).await;
    assert_eq!((status, &told["text"], &told["_sessionId"]), (200, &json!(ANSWER), &session));
    let (status, problem) = run("ann", "/api/v1/ag-ui/nobody", question("other", "u", "Count")).await;
    assert_eq!((status, &problem["code"]), (404, &json!("not_found")));
    let (status, _) = run("ann", CHAT, json!({"messages": [{"text": "Count"}], "assistant": "nobody"})).await;
    assert_eq!(status, 404);
    let (status, told) = gateway.post(CHAT, json!({"messages": [{"text": "Count"}]})).await;
    assert!(status == 401 && told["code"] == "unauthenticated" && told["error"].is_string(), "{told}");
}

#[tokio::test]
async fn an_element_that_streams_gets_pieces_and_one_that_does_not_the_whole() {
    let (upstream, gate) = Upstream::gated(ANSWER, 2).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let asked = json!({"messages": [{"role": "user", "text": "Count"}], "session": "tab"});
    let mut stream = Events::of(&gateway, CHAT, &asked).await;
    let first = stream.next().await.unwrap();
    assert!(ANSWER.starts_with(first["text"].as_str().unwrap()) && first["text"] != ANSWER, "{first}");
    // One answer at a time: the next question is refused in the element's own form.
    let (status, told) = gateway.post(CHAT, asked.clone()).await;
    assert!(status == 409 && told["code"] == "busy" && told["error"].is_string(), "{told}");
    gate.open();
    let rest = stream.rest().await;
    let text: String = [first.clone()].iter().chain(&rest).map(|event| event["text"].as_str().unwrap()).collect();
    assert_eq!(text, ANSWER);
    let (_, whole) = gateway.post(CHAT, asked).await;
    assert_eq!(whole, json!({"text": ANSWER, "_sessionId": first["_sessionId"]}));
}

#[tokio::test]
async fn what_is_too_large_or_wrong_is_refused_by_name() {
    let gateway = Setup::bare().start().await;
    let large = "x".repeat(1 << 20);
    let hello = json!([{"text": "Hello"}]);
    for (path, body, status, code, named) in [
        (RUN, json!({}), 400, "invalid_field", "threadId"),
        (RUN, question(&"t".repeat(129), "u", "Hello"), 400, "invalid_field", "threadId"),
        (RUN, question("t", "u", " "), 400, "empty_text", "message"),
        (RUN, question("t", "u", &"x".repeat(16_385)), 400, "text_too_long", "message"),
        (RUN, question("t", "", "Hello"), 400, "invalid_field", "messages[0].id"),
        (RUN, question("t", "u", &large), 413, "too_large", "1048576"),
        (RUN, question("s_unknown", "u", "Hello"), 404, "not_found", "session"),
        (CHAT, json!({}), 400, "invalid_field", "messages"),
        (CHAT, json!({"messages": hello, "session": "t".repeat(129)}), 400, "invalid_field", "session"),
        (CHAT, json!({"messages": [{"text": ""}]}), 400, "empty_text", "message"),
        (CHAT, json!({"messages": hello, "more": large}), 413, "too_large", "1048576"),
    ] {
        let (answered, problem) = gateway.post(path, body).await;
        let detail = if path == CHAT { &problem["error"] } else { &problem["detail"] };
        assert_eq!((answered, &problem["code"]), (status, &json!(code)), "{problem}");
        assert!(detail.as_str().unwrap().contains(named), "{problem}");
    }
    // A decision of what nobody waits for.
    let mut decided = question("t", "u", "Hello");
    let messages = decided["messages"].as_array_mut().unwrap();
    messages.push(json!({"id": "a", "role": "assistant", "content": "May I?"}));
    decided["resume"] = json!([{"interruptId": "c_1:d", "status": "resolved", "payload": true}]);
    let (status, problem) = gateway.post(RUN, decided).await;
    assert_eq!((status, &problem["code"]), (404, &json!("not_found")));
}
