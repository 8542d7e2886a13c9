//! What a client comes to that reads the events as the protocol's own does, over logs of any course.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    chat::{Approver, Phase, RunError, Timestamp},
    session::log::{By, Cursor, Ending, Log},
};

/// What a page holds, and what must hold of the events: the rules that clients refuse streams by.
#[derive(Default)]
struct Page {
    messages: Vec<Value>,
    open: Vec<String>,
    is_running: bool,
    ends: Vec<Value>,
}

impl Page {
    fn hear(&mut self, frame: &str) {
        let event: Value = serde_json::from_str(frame).unwrap();
        assert!(!has_null(&event), "{event}");
        let text = |name: &str| event[name].as_str().unwrap_or_else(|| panic!("{name} of {event}")).to_owned();
        let kind = text("type");
        assert_eq!(kind == "RUN_STARTED", !self.is_running && self.ends.is_empty(), "{event}");
        match kind.as_str() {
            "RUN_STARTED" => self.is_running = true,
            "TEXT_MESSAGE_START" => {
                let id = text("messageId");
                assert!(!self.open.contains(&id), "{event}");
                if self.message(&id).is_none() {
                    self.messages.push(json!({"id": id, "role": text("role"), "content": ""}));
                }
                self.open.push(id);
            }
            "TEXT_MESSAGE_CONTENT" => {
                let (id, delta) = (text("messageId"), text("delta"));
                assert!(self.open.contains(&id) && !delta.is_empty(), "{event}");
                let message = self.message(&id).unwrap();
                let content = message["content"].as_str().unwrap_or_default().to_owned() + &delta;
                message["content"] = content.into();
            }
            "TEXT_MESSAGE_END" => self.close(&text("messageId"), &event),
            "TOOL_CALL_START" => {
                assert!(self.open.is_empty(), "{event}");
                let (id, parent) = (text("toolCallId"), text("parentMessageId"));
                if self.message(&parent).is_none() {
                    self.messages.push(json!({"id": parent, "role": "assistant"}));
                }
                let message = self.message(&parent).unwrap();
                let calls = message.as_object_mut().unwrap().entry("toolCalls").or_insert_with(|| json!([]));
                calls.as_array_mut().unwrap().push(json!({"id": id, "type": "function", "function": {}}));
                self.open.push(id);
            }
            "TOOL_CALL_ARGS" => {
                assert!(self.open.contains(&text("toolCallId")) && !text("delta").is_empty(), "{event}")
            }
            "TOOL_CALL_END" => self.close(&text("toolCallId"), &event),
            "TOOL_CALL_RESULT" => {
                let (id, call) = (text("messageId"), text("toolCallId"));
                assert!(self.message(&id).is_none(), "{event}");
                self.messages.push(json!({"id": id, "role": "tool", "toolCallId": call, "content": text("content")}));
            }
            "MESSAGES_SNAPSHOT" => self.messages = event["messages"].as_array().unwrap().clone(),
            "CUSTOM" => assert!(!text("name").is_empty() && event.get("value").is_some(), "{event}"),
            "RUN_FINISHED" | "RUN_ERROR" => {
                assert!(self.open.is_empty(), "{event}");
                self.is_running = false;
                self.ends.push(event);
            }
            _ => panic!("{event}"),
        }
    }

    fn close(&mut self, id: &str, event: &Value) {
        let at = self.open.iter().position(|open| open == id);
        self.open.remove(at.unwrap_or_else(|| panic!("{event}")));
    }

    fn message(&mut self, id: &str) -> Option<&mut Value> {
        self.messages.iter_mut().find(|message| message["id"] == id)
    }

    /// What the assistant has said, behind what was there before.
    fn said(&self, before: usize) -> String {
        let answers = self.messages.iter().skip(before).filter(|message| message["role"] == "assistant");
        answers.filter_map(|message| message["content"].as_str()).collect()
    }

    /// The calls that have no result.
    fn unanswered(&self) -> Vec<String> {
        let of = |message: &Value| message["toolCalls"].as_array().cloned().unwrap_or_default();
        let calls = self.messages.iter().flat_map(of).map(|call| call["id"].as_str().unwrap().to_owned());
        let is_answered = |id: &String| self.messages.iter().any(|message| message["toolCallId"] == *id);
        calls.filter(|id| !is_answered(id)).collect()
    }
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(fields) => fields.values().any(has_null),
        _ => false,
    }
}

fn asked(more: &Value) -> RunAgentInput {
    let mut input = json!({
        "threadId": "t", "runId": "r", "messages": [{"id": "u", "role": "user", "content": "Hello", "name": null}],
    });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    RunAgentInput::parse(&input).unwrap()
}

fn page(input: &RunAgentInput) -> Page {
    let messages = input.history.told().map(|message| serde_json::to_value(message).unwrap()).collect();
    Page { messages, ..Page::default() }
}

fn by() -> By {
    By { model: "a".into(), version: None, variant: None }
}

struct Course {
    log: Log,
    run: RunId,
    message: MessageId,
    cursor: Cursor,
    codec: AgUi,
    page: Page,
    frames: Vec<String>,
}

impl Course {
    fn begin(input: RunAgentInput) -> Self {
        let mut log = Log::new("e", Vec::new(), false, 0, 0);
        let (run, message) = (RunId::random(), MessageId::random());
        let cursor = log.attach(None).cursor;
        log.start_run((run.clone(), message.clone(), MessageId::random()), by(), 0);
        let page = page(&input);
        Self { log, run, message, cursor, codec: AgUi::new(input, SessionId::random()), page, frames: Vec::new() }
    }

    /// Tells all that is new.
    fn read(&mut self) {
        loop {
            let step = self.log.next(&mut self.cursor, 7);
            if step == Step::UpToDate {
                break;
            }
            self.codec.step(&step, &mut self.frames);
        }
        for frame in self.frames.drain(..) {
            self.page.hear(&frame);
        }
    }

    fn call(&mut self, id: &CallId) {
        let off = utf16_len(self.log.live_text().unwrap());
        let (tool, title) = ("calc".to_owned(), "Sum".to_owned());
        let args = json!({"a": 1});
        self.log.append_call(chat::ToolCall { call: id.clone(), tool, title, args, off, changes: false }, 0);
    }

    fn end(&mut self, status: Status) -> String {
        self.log.cancel_calls(0);
        let text = self.log.live_text().unwrap().to_owned();
        let error = (status == Status::Error).then(|| RunError::new("upstream_unavailable", "nobody answers", true));
        let pending = chat::Message::pending(self.message.clone(), None, self.run.clone(), Timestamp(0));
        let answer = chat::Message { text: text.clone(), status, ..pending };
        self.log.finish_run(answer.into(), Ending { error, ..Ending::default() }, 0);
        self.read();
        text
    }
}

#[derive(Debug, Clone)]
enum Turn {
    Say(String),
    /// Another model takes over, of what was said since the last call this much stays.
    FailOver(prop::sample::Index),
    Call,
    Answer,
    Think,
    Read,
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        4 => "[a-zä😀\n]{0,12}".prop_map(Turn::Say),
        1 => any::<prop::sample::Index>().prop_map(Turn::FailOver),
        1 => Just(Turn::Call),
        1 => Just(Turn::Answer),
        1 => Just(Turn::Think),
        3 => Just(Turn::Read),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_the_page_says_what_the_answer_says(turns in prop::collection::vec(turn(), 0..40), status in prop_oneof![
        Just(Status::Complete), Just(Status::Length), Just(Status::Stopped), Just(Status::Error), Just(Status::Incomplete),
    ]) {
        let mut course = Course::begin(asked(&json!({})));
        let (mut floor, mut open) = (0, Vec::new());
        for turn in turns {
            let text = course.log.live_text().unwrap().to_owned();
            match turn {
                Turn::Say(text) => course.log.append_text(&text, 0),
                Turn::FailOver(place) => {
                    let offs: Vec<_> = text.char_indices().map(|(at, _)| at).chain([text.len()]).filter(|at| *at >= floor).collect();
                    let at = *place.get(&offs);
                    course.log.fail_over(utf16_len(&text[..at]), "a", "b", "broke off");
                }
                Turn::Call => {
                    floor = text.len();
                    let id = CallId::random();
                    course.call(&id);
                    open.push(id);
                }
                Turn::Answer => {
                    if let Some(id) = open.pop() {
                        let outcome = ToolOutcome { status: ToolStatus::Ok, data: Some(json!({"sum": null})), ..ToolOutcome::default() };
                        course.log.append_result(&id, outcome, 0);
                    }
                }
                Turn::Think => course.log.set_doing(Phase::Thinking.into()),
                Turn::Read => {
                    course.read();
                    prop_assert_eq!(course.page.said(1), course.log.live_text().unwrap());
                }
            }
        }
        let text = course.end(status);
        prop_assert_eq!(course.page.said(1), text);
        prop_assert_eq!(&course.page.messages[0], &json!({"id": "u", "role": "user", "content": "Hello"}));
        prop_assert_eq!(course.page.unanswered(), Vec::<String>::new());
        let [end] = &course.page.ends[..] else { panic!("{:?}", course.page.ends) };
        let outcome = match status {
            Status::Stopped => json!("cancelled"),
            Status::Complete | Status::Length => json!("success"),
            _ => Value::Null,
        };
        prop_assert_eq!(&end["outcome"]["type"], &outcome);
    }
}

#[test]
fn what_stands_before_a_call_stays_there_however_many_withdrawals_are_told_as_one() {
    let mut course = Course::begin(asked(&json!({})));
    let id = CallId::random();
    course.log.append_text("ab", 0);
    course.read();
    course.log.fail_over(0, "a", "b", "broke off");
    course.log.append_text("xy", 0);
    course.call(&id);
    course.read();
    let outcome = ToolOutcome { status: ToolStatus::Ok, ..ToolOutcome::default() };
    course.log.append_result(&id, outcome, 0);
    course.log.append_text("zz", 0);
    course.read();
    course.log.fail_over(2, "a", "b", "broke off");
    course.log.append_text("done", 0);
    assert_eq!(course.end(Status::Complete), "xydone");
    let said: Vec<_> = course.page.messages[1..].iter().filter(|message| message["role"] == "assistant").collect();
    assert_eq!((&said[0]["content"], &said[0]["toolCalls"][0]["id"]), (&json!("xy"), &json!(id)));
    assert_eq!(said[1]["content"], "done");
}

#[test]
fn an_answer_is_a_run_with_its_calls_between_its_texts() {
    let mut course = Course::begin(asked(&json!({})));
    let id = CallId::random();
    course.log.append_text("Let me see.", 0);
    course.call(&id);
    course.read();
    let outcome = ToolOutcome { status: ToolStatus::Error, summary: "out of reach".into(), ..ToolOutcome::default() };
    course.log.append_result(&id, outcome, 0);
    course.log.append_text("I could not.", 0);
    course.end(Status::Complete);
    let answer = course.message.as_str();
    let result = json!({"status": "error", "summary": "out of reach"}).to_string();
    assert_eq!(
        course.page.messages[1..],
        [
            json!({
                "id": answer, "role": "assistant", "content": "Let me see.",
                "toolCalls": [{"id": id, "type": "function", "function": {}}],
            }),
            json!({"id": format!("{answer}-{id}"), "role": "tool", "toolCallId": id, "content": result}),
            json!({"id": format!("{answer}-1"), "role": "assistant", "content": "I could not."}),
        ]
    );
    let end = &course.page.ends[0];
    assert_eq!((&end["threadId"], &end["runId"]), (&json!("t"), &json!("r")));
    assert_eq!(
        (&end["metadata"]["rivulet"]["status"], &end["metadata"]["rivulet"]["len"]),
        (&json!("complete"), &json!(23))
    );
}

#[test]
fn an_answer_that_is_told_again_takes_the_place_of_what_was_told_of_it() {
    let mut course = Course::begin(asked(&json!({})));
    let answer = course.message.to_string();
    let mine = |id: &str| json!({"id": id, "role": "assistant", "content": "Hal"});
    let messages = json!({"messages": [
        {"id": "u", "role": "user", "content": "Hello"}, mine(&answer), mine(&format!("{answer}-1")), mine("other"),
    ]});
    let input = asked(&messages);
    course.page = page(&input);
    course.codec = AgUi::new(input, SessionId::random());
    course.log.append_text("Hallo.", 0);
    course.end(Status::Complete);
    let told: Vec<_> = course.page.messages.iter().map(|message| (&message["id"], &message["content"])).collect();
    let expected = [json!("u"), json!("Hello"), json!("other"), json!("Hal"), json!(answer), json!("Hallo.")];
    assert_eq!(told, expected.chunks(2).map(|pair| (&pair[0], &pair[1])).collect::<Vec<_>>());
}

#[test]
fn a_call_that_waits_is_an_interrupt_and_its_result_comes_with_the_answer_behind_it() {
    let mut course = Course::begin(asked(&json!({})));
    let id = CallId::random();
    course.call(&id);
    let approval = Approval::of(id.clone(), "calc", &json!({"a": 1}), Approver::User, Timestamp(86_400_000));
    let digest = approval.digest.clone();
    let waiting = ToolOutcome { status: ToolStatus::Waiting, approval: Some(approval), ..ToolOutcome::default() };
    course.log.append_result(&id, waiting, 0);
    course.end(Status::AwaitingApproval);
    let outcome = &course.page.ends[0]["outcome"];
    let interrupt = &outcome["interrupts"][0];
    assert_eq!(
        (&outcome["type"], &interrupt["toolCallId"], &interrupt["message"]),
        (&json!("interrupt"), &json!(id), &json!("Sum"))
    );
    assert_eq!(
        (&interrupt["id"], &interrupt["expiresAt"]),
        (&json!(format!("{id}:{digest}")), &json!("1970-01-02T00:00:00.000Z"))
    );
    assert_eq!(course.page.unanswered(), [id.as_str()]);

    let messages = course.page.messages.clone();
    let entry = |status: &str| json!([{"interruptId": interrupt["id"], "status": status, "payload": true}]);
    // It is made under an id of its own; the page knows it by the first.
    let mut allowed = Course::begin(asked(&json!({"messages": messages, "resume": entry("resolved")})));
    let made = CallId::random();
    allowed.call(&made);
    let outcome = ToolOutcome { status: ToolStatus::Ok, data: Some(json!({"sum": 2})), ..ToolOutcome::default() };
    allowed.log.append_result(&made, outcome, 0);
    let again = CallId::random();
    allowed.call(&again);
    allowed.log.append_text("Two.", 0);
    allowed.end(Status::Complete);
    assert_eq!(allowed.page.unanswered(), Vec::<String>::new());
    let result = allowed.page.messages.iter().find(|message| message["toolCallId"] == json!(id)).unwrap();
    assert_eq!(result["content"], json!({"sum": 2}).to_string());
    assert!(allowed.page.messages.iter().all(|message| message["toolCallId"] != json!(made)));
    assert!(allowed.page.messages.iter().any(|message| message["toolCallId"] == json!(again)));

    let mut denied = Course::begin(asked(&json!({"messages": messages, "resume": entry("cancelled")})));
    denied.log.append_text("Well then.", 0);
    denied.log.fail_over(0, "a", "b", "broke off");
    denied.log.append_text("All right.", 0);
    denied.end(Status::Complete);
    assert_eq!(denied.page.unanswered(), Vec::<String>::new());
    let result = denied.page.messages.iter().find(|message| message["toolCallId"] == json!(id)).unwrap();
    assert_eq!(result["content"], json!({"status": "denied"}).to_string());
}

#[test]
fn an_answer_that_is_refused_or_never_began_has_a_beginning_and_an_end() {
    let error = ErrorFrame { re: None, code: "busy", message: "later".into(), retryable: true, retry_in_ms: None };
    for has_begun in [false, true] {
        let mut course = Course::begin(asked(&json!({})));
        if has_begun {
            course.log.append_text("So", 0);
            course.read();
        }
        course.codec.fail(&error, &mut course.frames);
        for frame in course.frames.drain(..) {
            course.page.hear(&frame);
        }
        assert_eq!(course.page.ends, [json!({"type": "RUN_ERROR", "message": "later", "code": "busy"})]);
        assert_eq!(course.page.said(1), if has_begun { "So" } else { "" });
    }
    // Stopped while it waited for its turn.
    let input = asked(&json!({}));
    let (mut page, mut frames) = (page(&input), Vec::new());
    let done = RunDone {
        run: RunId::random(),
        message: MessageId::random(),
        status: Status::Stopped,
        len: 0,
        crc32: 0,
        author: None,
        citations: Vec::new(),
        usage: None,
        timing: chat::Timing::default(),
        error: None,
    };
    AgUi::new(input, SessionId::random()).step(&Step::Event(1, &log::Event::RunDone(done.into())), &mut frames);
    frames.iter().for_each(|frame| page.hear(frame));
    assert_eq!(page.ends[0]["outcome"]["type"], "cancelled");
}
