//! Whatever happens to an answer, a client that follows the rules of the SDK ends with its text, its calls and its sources.

use std::sync::Arc;

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    chat::{Approval, Approver, Doing, Message, MessageId, Phase, RunError, RunId, Timestamp, ToolProgress},
    session::log::{By, Cursor, Ending, Log},
};

mod view;

use view::{Part, View};

/// A reader of the log that tells what it reads.
struct Reader {
    cursor: Cursor,
    chunks: Chunks,
    view: View,
}

impl Reader {
    fn new(log: &Log) -> Self {
        let cursor = log.attach(Some("e7:0")).cursor;
        Self { cursor, chunks: Chunks::new(session(), None), view: View::default() }
    }

    fn read(&mut self, log: &Log, steps: usize, max_bytes: usize) {
        for _ in 0..steps {
            let step = log.next(&mut self.cursor, max_bytes);
            if step == Step::UpToDate {
                return;
            }
            let mut told = Vec::new();
            self.chunks.step(&step, &mut told);
            self.view.take(&told);
        }
    }
}

fn session() -> SessionId {
    SessionId::parse("s_1").unwrap()
}

fn source(n: u32, uri: Option<&str>) -> Source {
    serde_json::from_value(
        json!({"n": n, "document": "d", "title": "Tents", "uri": uri, "score": 1.0, "snippet": "thirty days"}),
    )
    .unwrap()
}

fn call(id: &str, off: u64) -> ToolCall {
    let args = json!({"amount": 5});
    ToolCall {
        call: CallId::parse(id).unwrap(),
        tool: "pay".to_owned(),
        title: "Pays".to_owned(),
        args,
        off,
        changes: false,
    }
}

fn message(id: &str, status: Status, text: &str) -> Message {
    let id = MessageId::parse(id).unwrap();
    Message {
        text: text.to_owned(),
        status,
        ..Message::pending(id, Some(MessageId::parse("q").unwrap()), RunId::parse("r_1").unwrap(), Timestamp(1))
    }
}

/// A log in which an answer has begun.
fn begun() -> Log {
    let mut log = Log::new("e7", Vec::new(), false, 50, 0);
    let question = Message::question(
        MessageId::parse("q").unwrap(),
        "Why?".to_owned(),
        RunId::parse("r_1").unwrap(),
        Timestamp(1),
    );
    log.append_turn(Arc::new(question), Arc::new(message("m_1", Status::Pending, "")), 0);
    let ids = (RunId::parse("r_1").unwrap(), MessageId::parse("m_1").unwrap(), MessageId::parse("q").unwrap());
    log.start_run(ids, By { model: "model".into(), version: None, variant: None }, 0);
    log
}

fn finish(log: &mut Log, status: Status, ending: Ending) {
    let text = log.live_text().unwrap().to_owned();
    log.cancel_calls(0);
    log.finish_run(Arc::new(message("m_1", status, &text)), ending, 0).unwrap();
}

/// All that is told of a finished answer.
fn told(log: &Log) -> (Vec<Value>, View) {
    let mut reader = Reader::new(log);
    let mut chunks = Vec::new();
    loop {
        let step = log.next(&mut reader.cursor, 1 << 20);
        if step == Step::UpToDate {
            break;
        }
        reader.chunks.step(&step, &mut chunks);
    }
    reader.view.take(&chunks);
    (chunks.iter().map(|chunk| serde_json::from_str(chunk).unwrap()).collect(), reader.view)
}

fn types(chunks: &[Value]) -> Vec<&str> {
    chunks.iter().map(|chunk| chunk["type"].as_str().unwrap()).collect()
}

#[test]
fn an_answer_with_sources_is_told_in_the_order_that_the_sdk_wants() {
    let mut log = begun();
    log.append_sources([source(1, None), source(2, Some("https://shop.test/a"))].into(), 0);
    log.append_text("Thirty ", 0);
    log.append_text("days [1].", 0);
    let citations = vec![Citation { n: 1, start: 0, end: 11 }];
    finish(&mut log, Status::Complete, Ending { citations, ..Ending::default() });
    let (chunks, view) = told(&log);
    assert_eq!(
        types(&chunks),
        [
            "start",
            "source-document",
            "source-url",
            "start-step",
            "text-start",
            "text-delta",
            "text-end",
            "finish-step",
            "finish"
        ],
    );
    assert_eq!((view.id.as_str(), view.text().as_str()), ("m_1", "Thirty days [1]."));
    let cited = &chunks[6]["citations"][0];
    assert_eq!((&cited["startIndex"], &cited["endIndex"]), (&json!(0), &json!(11)));
    let source = json!({"type": "source", "sourceType": "document", "id": "d#1", "mediaType": "text/plain", "title": "Tents",
        "providerMetadata": {"rivulet": {"n": 1, "document": "d", "snippet": "thirty days"}}});
    assert_eq!(cited["source"], source);
    assert_eq!(view.end.unwrap()["finishReason"], "stop");
    let crc = format!("{:08x}", crc32fast::hash(b"Thirty days [1]."));
    for (field, value) in
        [("status", json!("complete")), ("len", json!(16)), ("crc32", json!(crc)), ("session", json!("s_1"))]
    {
        assert_eq!(view.metadata[field], value, "{field}");
    }
}

#[test]
fn text_that_another_model_takes_back_is_withdrawn_and_what_stays_is_told_again() {
    let mut log = begun();
    let mut reader = Reader::new(&log);
    log.append_sources([source(1, None)].into(), 0);
    log.append_text("Thirty 😀 wrong", 0);
    reader.read(&log, 99, 1 << 20);
    log.fail_over(10, "first", "second", "gap");
    log.append_text("right", 0);
    finish(&mut log, Status::Complete, Ending::default());
    reader.read(&log, 99, 1 << 20);
    assert_eq!((reader.view.text().as_str(), reader.view.others()), ("Thirty 😀 right", vec!["d#1"]));
    assert_eq!(reader.view.metadata["failover"], json!({"from": "first", "to": "second", "reason": "gap"}));
}

#[test]
fn tools_keep_their_step_to_themselves_and_a_late_reader_gets_the_same() {
    let mut log = begun();
    log.append_text("Let me see. ", 0);
    log.append_call(call("c_1", 12), 0);
    let outcome = ToolOutcome { status: ToolStatus::Ok, summary: "paid".to_owned(), ..ToolOutcome::default() };
    log.append_result(&CallId::parse("c_1").unwrap(), outcome, 0);
    log.append_text("It is paid.", 0);
    finish(&mut log, Status::Complete, Ending::default());
    let (_, view) = told(&log);
    let text = |id: &str, text: &str| Part::Text { id: id.to_owned(), text: text.to_owned(), is_open: false };
    let tool = Part::Tool { id: "c_1".to_owned(), state: "tool-output-available".to_owned() };
    let expected = [Part::Step, text("text-2", "Let me see. "), tool, Part::Step, text("text-3", "It is paid.")];
    assert_eq!(view.parts, expected);
}

#[test]
fn how_far_a_tool_is_is_told_while_it_runs_and_not_behind_its_end() {
    let (run, id) = (RunId::parse("r_1").unwrap(), CallId::parse("c_1").unwrap());
    let progress = ToolProgress { call: id.clone(), progress: Some(0.5), message: Some("half".to_owned()) };
    let doing = Doing { progress: Some(Arc::new(progress)), ..Phase::Tool.into() };
    let mut chunks = Chunks::new(session(), None);
    let mut told = Vec::new();
    let (call, outcome) =
        (Arc::new(call("c_1", 0)), Arc::new(ToolOutcome { status: ToolStatus::Ok, ..ToolOutcome::default() }));
    let called = Event::ToolCall { run: run.clone(), call };
    let over = Event::ToolResult { run: run.clone(), call: id, outcome };
    let far = Step::Doing(&run, &doing);
    for step in [&far, &Step::Event(1, &called), &far, &Step::Event(2, &over), &far] {
        chunks.step(step, &mut told);
    }
    let told: Vec<Value> = told.iter().map(|chunk| serde_json::from_str(chunk).unwrap()).collect();
    let expected = [
        "data-phase",
        "start-step",
        "tool-input-available",
        "tool-output-available",
        "tool-output-available",
        "data-phase",
    ];
    assert_eq!(types(&told), expected);
    assert_eq!(
        (&told[3]["preliminary"], &told[3]["output"]),
        (&json!(true), &json!({"progress": 0.5, "message": "half"}))
    );
    assert_eq!(told[4]["preliminary"], Value::Null);
}

#[test]
fn a_call_that_waits_is_asked_for_with_what_is_to_be_said_back() {
    let mut log = begun();
    log.append_call(call("c_1", 0), 0);
    let id = CallId::parse("c_1").unwrap();
    let approval = Approval::of(id.clone(), "pay", &json!({"amount": 5}), Approver::User, Timestamp(9));
    let digest = approval.digest.clone();
    log.append_result(
        &id,
        ToolOutcome { status: ToolStatus::Waiting, approval: Some(approval), ..ToolOutcome::default() },
        0,
    );
    finish(&mut log, Status::AwaitingApproval, Ending::default());
    let (chunks, view) = told(&log);
    assert_eq!(view.tools(), [("c_1", "tool-approval-request")]);
    let asked = chunks.iter().find(|chunk| chunk["type"] == "tool-approval-request").unwrap();
    assert_eq!((&asked["approvalId"], &asked["signature"]), (&json!("c_1"), &json!(digest)));
    assert_eq!(view.end.unwrap()["finishReason"], "tool-calls");
}

#[test]
fn an_answer_that_goes_on_does_so_in_the_message_that_waited() {
    let log = begun();
    for (is_approved, expected) in [(true, "tool-output-available"), (false, "tool-output-denied")] {
        let going_on = GoingOn { view: "view".to_owned(), call: CallId::parse("c_1").unwrap(), is_approved };
        let mut chunks = Chunks::new(session(), Some(going_on));
        let mut reader = Reader::new(&log);
        let mut told = Vec::new();
        while let step = log.next(&mut reader.cursor, 9)
            && step != Step::UpToDate
        {
            chunks.step(&step, &mut told);
        }
        let mut view = View::default();
        view.parts.push(Part::Tool { id: "c_1".to_owned(), state: "approval-responded".to_owned() });
        view.take(&told);
        assert_eq!((view.id.as_str(), view.tools()), ("view", vec![("c_1", expected)]));
    }
}

#[test]
fn every_end_has_its_word() {
    for (status, kind, reason) in [
        (Status::Complete, "finish", json!("stop")),
        (Status::Length, "finish", json!("length")),
        (Status::Filtered, "finish", json!("content-filter")),
        (Status::Incomplete, "finish", json!("interrupted")),
        (Status::Interrupted, "finish", json!("interrupted")),
        (Status::Stopped, "abort", Value::Null),
        (Status::Error, "error", Value::Null),
    ] {
        let mut log = begun();
        log.append_text("x", 0);
        let error = (status == Status::Error).then(|| RunError::new("upstream", "no model could be reached", true));
        finish(&mut log, status, Ending { error, ..Ending::default() });
        let (_, view) = told(&log);
        let end = view.end.clone().unwrap();
        assert_eq!((&end["type"], &end["finishReason"]), (&json!(kind), &reason), "{status:?}");
        assert_eq!((view.metadata["status"].clone(), view.text()), (json!(status), "x".to_owned()));
        if status == Status::Error {
            assert_eq!(end["errorText"], "no model could be reached");
        }
    }
}

#[derive(Debug, Clone)]
enum Op {
    Text(String),
    Sources(u32),
    Call,
    Result(usize),
    Phase,
    Failover(u64),
    Read(usize, usize, usize),
    Anew(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => "[a-zä😀 ]{1,12}".prop_map(Op::Text),
        1 => (1..4u32).prop_map(Op::Sources),
        3 => Just(Op::Call),
        3 => (0..4usize).prop_map(Op::Result),
        1 => Just(Op::Phase),
        3 => (0..40u64).prop_map(Op::Failover),
        9 => (0..3usize, 1..6usize, 1..20usize).prop_map(|(r, n, max)| Op::Read(r, n, max)),
        2 => (0..3usize).prop_map(Op::Anew),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_a_client_puts_together_the_text_of_the_run(ops in vec(op(), 1..60)) {
        let mut log = begun();
        let mut readers: Vec<_> = (0..3).map(|_| Reader::new(&log)).collect();
        let mut calls: Vec<(CallId, bool)> = Vec::new();
        let mut sources = 0;
        for op in ops {
            match op {
                Op::Text(text) => log.append_text(&text, 0),
                Op::Sources(n) => {
                    sources = sources.max(n);
                    log.append_sources((1..=n).map(|n| source(n, None)).collect(), 0);
                }
                Op::Call => {
                    let id = format!("c_{}", calls.len());
                    log.append_call(call(&id, utf16_len(log.live_text().unwrap())), 0);
                    calls.push((CallId::parse(&id).unwrap(), false));
                }
                Op::Result(n) => {
                    if let Some((id, is_over)) = calls.iter_mut().filter(|(_, is_over)| !is_over).nth(n) {
                        *is_over = true;
                        log.append_result(id, ToolOutcome { status: ToolStatus::Ok, ..ToolOutcome::default() }, 0);
                    }
                }
                Op::Phase => log.set_doing(Doing::from(Phase::Thinking)),
                Op::Failover(keep) => {
                    // Nothing before a call is ever withdrawn.
                    let least = log.live_tools().last().map_or(0, |used| used.call.off);
                    let keep = keep.clamp(least, utf16_len(log.live_text().unwrap()).max(least));
                    let text = log.live_text().unwrap();
                    let keep = utf16_len(&text[..byte_of(text, keep)]);
                    log.fail_over(keep.max(least), "a", "b", "gap");
                }
                Op::Read(reader, steps, max_bytes) => readers[reader].read(&log, steps, max_bytes),
                Op::Anew(reader) => readers[reader] = Reader::new(&log),
            }
        }
        let text = log.live_text().unwrap().to_owned();
        finish(&mut log, Status::Complete, Ending::default());
        for mut reader in readers {
            reader.read(&log, usize::MAX, 7);
            let View { end, metadata, .. } = &reader.view;
            prop_assert!(end.is_some());
            prop_assert_eq!(reader.view.text(), text.clone());
            prop_assert_eq!(&metadata["crc32"], &json!(format!("{:08x}", crc32fast::hash(text.as_bytes()))));
            let mut shown = reader.view.others();
            shown.sort_unstable();
            let expected: Vec<_> = (1..=sources).map(|n| format!("d#{n}")).collect();
            prop_assert_eq!(shown, expected.iter().map(String::as_str).collect::<Vec<_>>());
            let tools = reader.view.tools();
            prop_assert_eq!(tools.len(), calls.len());
            for ((id, is_over), (shown, state)) in calls.iter().zip(tools) {
                let expected = if *is_over { "tool-output-available" } else { "tool-output-error" };
                prop_assert_eq!((id.as_str(), expected), (shown, state));
            }
        }
    }
}
