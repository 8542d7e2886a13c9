use axum::{body::to_bytes, http::StatusCode};
use futures_util::{
    StreamExt,
    future::pending,
    stream::{self, BoxStream},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::*;
use crate::{
    chat::{Author, Status},
    llm::{Call, Failover},
    run::RunEvent,
};

const SHORT: Waits = Waits { head: Duration::from_millis(20), keep_alive: Duration::from_millis(20) };

fn text(text: &str) -> RunEvent {
    RunEvent::Text(text.to_owned())
}

fn whole_end() -> RunEvent {
    RunEvent::End(Outcome { status: Status::Complete, usage: None, error: None })
}

fn broken_end() -> RunEvent {
    RunEvent::End(Outcome::broken_off(false))
}

fn failover(keep: u64) -> RunEvent {
    RunEvent::Failover(Failover { keep, from: "a".to_owned(), to: "b".to_owned(), reason: "truncated" })
}

fn follow(events: BoxStream<'static, RunEvent>) -> Completion {
    Completion::follow(
        events,
        (Arc::new(Assistant::plain()), "m"),
        CancellationToken::new(),
        TaskTracker::new().token(),
    )
}

fn of(events: Vec<RunEvent>) -> Completion {
    follow(stream::iter(events).boxed())
}

async fn body(response: Response) -> String {
    String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
}

async fn stream_of(completion: Completion, waits: Waits) -> Result<String, Problem> {
    let stream = Streamed { completion, include_usage: false, has_begun: false, _held_while_it_is_open: None };
    Ok(body(streamed(stream, waits).await?).await)
}

#[tokio::test]
async fn a_head_waits_for_the_first_text_but_not_for_ever() {
    let slow = |end: RunEvent| {
        stream! {
            tokio::time::sleep(5 * SHORT.head).await;
            yield text("late");
            yield end;
        }
    };
    let told = stream_of(follow(slow(whole_end()).boxed()), SHORT).await.unwrap();
    assert!(told.starts_with(": still here\n: still here\n"), "{told}");
    assert!(told.contains("\"late\"") && told.ends_with(response::DONE), "{told}");
    let told = stream_of(follow(slow(whole_end()).boxed()), WAITS).await.unwrap();
    assert!(told.starts_with("data: "), "{told}");

    // Behind a head an error can only be an event.
    let fails = || {
        stream! {
            tokio::time::sleep(2 * SHORT.head).await;
            yield broken_end();
        }
    };
    let told = stream_of(follow(fails().boxed()), SHORT).await.unwrap();
    assert!(told.contains("data: {\"error\":{") && !told.contains("DONE") && !told.contains("finish"), "{told}");
    let problem = stream_of(follow(fails().boxed()), WAITS).await.unwrap_err();
    assert_eq!(problem.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn what_was_withdrawn_is_not_in_a_whole_answer_and_breaks_a_stream() {
    let events = || vec![text("Ähm 😀, no"), failover(7), text("yes"), whole_end()];
    let told = body(whole(of(events())).await.unwrap()).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["choices"][0]["message"]["content"], "Ähm 😀,yes");
    let told = stream_of(of(events()), WAITS).await.unwrap();
    assert!(told.contains("upstream_unavailable") && !told.contains("yes") && !told.contains("DONE"), "{told}");
    // Nothing is taken back when another model goes on at the very end.
    let told = stream_of(of(vec![text("a"), failover(1), text("b"), whole_end()]), WAITS).await.unwrap();
    assert!(told.ends_with(response::DONE), "{told}");
}

fn calls() -> RunEvent {
    let call = |name: &str, arguments| Call { name: name.to_owned(), arguments };
    RunEvent::Called(vec![call("calc", json!({"x": 1})), call("time", json!("{"))])
}

#[tokio::test]
async fn calls_are_told_whole_behind_the_text_and_are_why_it_ends() {
    let told = body(whole(of(vec![text("So:"), calls(), whole_end()])).await.unwrap()).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    let (choice, alone) = (&told["choices"][0], of(vec![calls(), whole_end()]));
    assert_eq!((&choice["finish_reason"], &choice["message"]["content"]), (&json!("tool_calls"), &json!("So:")));
    let called = choice["message"]["tool_calls"].as_array().unwrap();
    assert_eq!(called[0]["function"], json!({"name": "calc", "arguments": "{\"x\":1}"}));
    assert_eq!(called[1]["function"], json!({"name": "time", "arguments": "{"}), "as the model wrote it");
    let ids: Vec<_> = called.iter().map(|call| call["id"].as_str().unwrap()).collect();
    assert!(ids.iter().all(|id| id.starts_with("call_") && id.len() == 37) && ids[0] != ids[1], "{ids:?}");
    let alone: Value = serde_json::from_str(&body(whole(alone).await.unwrap()).await).unwrap();
    assert_eq!(alone["choices"][0]["message"]["content"], Value::Null);

    let told = stream_of(of(vec![text("So:"), calls(), whole_end()]), WAITS).await.unwrap();
    let events = told.lines().filter_map(|line| line.strip_prefix("data: {"));
    let events = events.map(|event| serde_json::from_str::<Value>(&format!("{{{event}")).unwrap());
    let deltas: Vec<_> = events.filter(|event| event["choices"][0]["delta"].get("tool_calls").is_some()).collect();
    let pieces: Vec<_> = deltas.iter().map(|event| &event["choices"][0]["delta"]["tool_calls"][0]).collect();
    assert_eq!(pieces.iter().map(|piece| piece["index"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 0, 1, 1]);
    assert_eq!(pieces[0]["function"], json!({"name": "calc", "arguments": ""}));
    assert_eq!(*pieces[1], json!({"index": 0, "function": {"arguments": "{\"x\":1}"}}));
    assert!(told.contains(r#""finish_reason":"tool_calls""#) && told.ends_with(response::DONE), "{told}");
}

#[tokio::test]
async fn what_may_not_be_called_is_not_told() {
    let of = |events| {
        let mut completion = of(events);
        completion.may_call = false;
        completion
    };
    let told = body(whole(of(vec![text("So."), calls(), whole_end()])).await.unwrap()).await;
    assert!(told.contains(r#""finish_reason":"stop""#) && !told.contains("calc"), "{told}");
    let problem = whole(of(vec![calls(), whole_end()])).await.unwrap_err();
    assert_eq!((problem.status, &*problem.code), (StatusCode::BAD_GATEWAY, "upstream_unavailable"));
}

#[tokio::test]
async fn who_answers_is_told_with_the_first_piece_and_after_a_failover() {
    let by = |model| RunEvent::By(Author::new(model));
    let events = vec![by("one"), text("a"), failover(1), by("two"), text("b"), whole_end()];
    let told = stream_of(of(events), WAITS).await.unwrap();
    let data = told.lines().filter_map(|line| line.strip_prefix("data: {"));
    let models: Vec<_> = data.map(|data| if data.contains(r#""model":"one""#) { 1 } else { 2 }).collect();
    assert_eq!(models, [1, 1, 2, 2], "{told}");
}

#[tokio::test]
async fn the_end_of_the_gateway_is_an_error_for_answers_that_are_not_over() {
    let running = |begun: bool| {
        let first = stream::iter(begun.then(|| text("begun")));
        let events = first.chain(stream::once(pending())).boxed();
        let interrupting = CancellationToken::new();
        interrupting.cancel();
        Completion::follow(events, (Arc::new(Assistant::plain()), "m"), interrupting, TaskTracker::new().token())
    };
    let problem = whole(running(true)).await.unwrap_err();
    assert_eq!((problem.status, problem.retry_after), (StatusCode::SERVICE_UNAVAILABLE, Some(5)));
    assert_eq!(stream_of(running(false), WAITS).await.unwrap_err().code, "busy");
}

#[tokio::test]
async fn what_there_is_of_a_broken_answer_is_told_beside_the_error() {
    let problem = whole(of(vec![text("half"), broken_end()])).await.unwrap_err();
    let told: Value = serde_json::from_str(&problem.openai().json()).unwrap();
    assert_eq!(told["rivulet"], json!({"status": "incomplete", "partial": "half"}));
    assert!(told["error"]["message"].is_string() && told["error"]["param"].is_null());
}

#[tokio::test]
async fn a_conversation_that_is_too_long_is_the_callers_to_shorten() {
    let error = RunError::new("context_length_exceeded", "The conversation is too long for the model.", false);
    let ended = RunEvent::End(Outcome { status: Status::Error, usage: None, error: Some(error) });
    let problem = whole(of(vec![ended])).await.unwrap_err();
    assert_eq!((problem.status, problem.is_final), (StatusCode::BAD_REQUEST, true));
    let told: Value = serde_json::from_str(&problem.openai().json()).unwrap();
    assert_eq!(
        told["error"],
        json!({
            "message": "The conversation is too long for the model.", "type": "invalid_request_error",
            "param": "messages", "code": "context_length_exceeded",
        })
    );
}

#[test]
fn paths_of_the_interface_are_known() {
    assert!(is_below("/v1") && is_below("/v1/models") && is_below("/v1/"));
    assert!(!is_below("/v10") && !is_below("/api/v1/chat") && !is_below("/"));
}
