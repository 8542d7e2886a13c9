//! Streams in the shapes of the servers that people use, written after their documented behaviour and what their users
//! report, and what becomes of them however they are cut and whatever comes between.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::llm::{
    FinishReason,
    call::{Call, ToolChoice, ToolOffer, ToolSpec},
    upstream_error::Blame,
};

mod calls;
mod properties;
mod shapes;

/// What became of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    text: String,
    thought: u32,
    withdrawn: u32,
    bad: u32,
    calls: Vec<Call>,
    end: End,
    usage: Option<(u32, u32)>,
}

fn run<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Told {
    run_with(Reading::new(1 << 20, 1 << 10, false), chunks)
}

fn run_with<'a>(mut reading: Reading, chunks: impl IntoIterator<Item = &'a [u8]>) -> Told {
    let mut told = (String::new(), 0, 0, 0, None);
    let mut calls = Vec::new();
    let mut drain = |reading: &mut Reading| {
        while let Some(step) = reading.take() {
            assert!(told.4.is_none(), "nothing follows an end");
            assert!(calls.is_empty() || step == Step::End(STOP), "calls are the last thing that is told");
            match step {
                Step::Thinking(bytes) => told.1 += bytes,
                Step::Text(text) => {
                    assert!(!text.is_empty());
                    told.0.push_str(&text);
                }
                Step::Withdrawn => {
                    told.0.clear();
                    told.2 += 1;
                }
                Step::BadEvent => told.3 += 1,
                Step::Calls(told) => calls = told,
                Step::End(end) => told.4 = Some(end),
            }
        }
    };
    for chunk in chunks {
        reading.push(chunk);
        drain(&mut reading);
    }
    reading.finish();
    drain(&mut reading);
    let (text, thought, withdrawn, bad, end) = told;
    let usage = reading.usage().map(|usage| (usage.input, usage.output));
    Told { text, thought, withdrawn, bad, calls, end: end.expect("an end"), usage }
}

fn body(text: &str) -> Told {
    run([text.as_bytes()])
}

/// These events, and then `[DONE]`.
fn done(events: &[Value]) -> Told {
    body(&(stream(events) + "data: [DONE]\n\n"))
}

/// These events, and a clean end.
fn ended(events: &[Value]) -> Told {
    body(&stream(events))
}

fn stream(events: &[Value]) -> String {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

fn said(text: &str) -> Value {
    json!({"choices":[{"delta":{"content":text}}]})
}

fn finish(reason: &str) -> Value {
    json!({"choices":[{"delta":{},"finish_reason":reason}]})
}

/// Chunks with this as their content, written as it is; then a stop.
fn contents(contents: &[&str]) -> String {
    let chunk =
        |content: &&str| format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{content}}}}}]}}\n\n");
    contents.iter().map(chunk).collect::<String>() + &stream(&[finish("stop")]) + "data: [DONE]\n\n"
}

const STOP: End = End::Finished(FinishReason::Stop);
const LENGTH: End = End::Finished(FinishReason::Length);

fn whole(told: &Told) -> &str {
    assert_eq!((&told.end, told.bad, told.withdrawn, told.calls.len()), (&STOP, 0, 0, 0), "{told:?}");
    &told.text
}

fn is_truncated(told: &Told) -> bool {
    matches!(told.end, End::Truncated(_))
}

#[test]
fn pings_cost_nothing_however_many() {
    for ping in [
        "data: ping",
        "data: : PROCESSING",
        "data:",
        "data: null",
        "data: \"still here\"",
        "data: 1",
        "data: []",
        ": ping",
        "event: ping\ndata: {\"type\":\"ping\"}",
        "event: ping",
        "id: 1",
        "retry: 5",
        "x-ping: now",
        "ping",
        "data: {}",
    ] {
        let between = format!("{ping}\n\n").repeat(50);
        let parts =
            [stream(&[said("Hel")]), stream(&[said("lo.")]), stream(&[finish("stop")]), "data: [DONE]\n\n".to_owned()];
        assert_eq!(whole(&body(&(between.clone() + &parts.join(&between)))), "Hello.", "{ping}");
    }
}

#[test]
fn what_cannot_be_read_ends_the_answer_and_is_never_passed_over() {
    let (before, after) =
        (stream(&[said("One "), said("two ")]), stream(&[said("four."), finish("stop")]) + "data: [DONE]\n\n");
    for bad in [
        "data: {]\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"three\n\n",
        "data: {\"choices\":[{]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"del\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":[[\"three\"]]}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":{\"type\":\"poem\",\"text\":\"three\"}}}]}\n\n",
        "data: [{\"choices\":[{\"delta\":{\"content\":\"thr\n\n",
        "other: {\"choices\":[{\"delta\":{\"content\":\"three\"}}]}\n\n",
        "ta\":{\"content\":\"three\"}}]}\n\n",
    ] {
        let told = body(&format!("{before}{bad}{after}"));
        assert_eq!((told.text.as_str(), told.bad, is_truncated(&told)), ("One two ", 1, true), "{bad}: {told:?}");
        let told = body(&format!("{bad}{after}"));
        assert_eq!((told.text.as_str(), is_truncated(&told)), ("", true), "{bad}");
        let told = body(&format!("{before}{}{bad}data: [DONE]\n\n", stream(&[finish("stop")])));
        assert_eq!((told.text.as_str(), is_truncated(&told)), ("One two ", true), "behind a finish: {bad}");
    }
    let whole_choices = "data: {\"choices\":[{\"delta\":{\"content\":\"three\"}}],\"usa\n\n";
    let told = body(&format!("{before}{whole_choices}{after}"));
    assert_eq!((told.text.as_str(), is_truncated(&told)), ("One two three", true), "what was read was said");
}

#[test]
fn an_event_that_a_ping_has_cut_is_put_together_when_there_is_one_way() {
    let event = stream(&[json!({"choices":[{"index":0,"delta":{"content":"two "}}],"safety_buffering":false})]);
    let cut = |at: usize, ping: &str| {
        let text = format!(
            "{}{}{ping}{}{}",
            stream(&[said("One ")]),
            &event[..at],
            &event[at..],
            stream(&[said("three."), finish("stop")])
        );
        body(&(text + "data: [DONE]\n\n"))
    };
    for ping in [": keepalive\n\n", ":\n\n", ": ping - 2025-01-01 10:00:00\n\n", ": keepalive\n"] {
        for at in 0..event.len() - 2 {
            let told = cut(at, ping);
            if is_truncated(&told) {
                assert!(["One ", "One two "].contains(&told.text.as_str()), "{at}: {told:?}");
            } else {
                assert_eq!(whole(&told), "One two three.", "{ping:?} at {at}");
            }
        }
        let told = cut(event.find("buffering").unwrap(), ping);
        assert_eq!(whole(&told), "One two three.", "{ping:?}");
    }
    let doubtful = "data: {\"choices\":[{\"delta\":{\"content\":\"a: b: keepalive\n\nc\"}}]}\n\ndata: [DONE]\n\n";
    assert!(is_truncated(&body(doubtful)), "two ways");
}

#[test]
fn a_body_is_judged_by_its_first_bytes() {
    let chunks = stream(&[said("Hel"), said("lo."), finish("stop")]);
    let lines = chunks.replace("data: ", "").replace("\n\n", "\n");
    assert_eq!(whole(&body(&lines)), "Hello.", "one document in each line");
    let list = format!("[{}]", lines.trim().replace('\n', ","));
    assert_eq!(whole(&body(&list)), "Hello.", "a list of them");
    assert_eq!(whole(&body(&format!("\u{feff}\n {chunks}"))), "Hello.");
    assert_eq!(whole(&body(&format!("{{\"status\":\"queued\"}}\n{chunks}"))), "Hello.", "a document before the stream");
    let completion = json!({"choices":[{"message":{"content":"Hi"}}]});
    for text in [completion.to_string(), serde_json::to_string_pretty(&completion).unwrap() + "\n"] {
        assert_eq!(whole(&body(&text)), "Hi");
        assert!(is_truncated(&body(&text[..text.len() - 3])));
    }
    assert!(is_truncated(&body(&said("Hi").to_string())), "a piece is no whole");
    let failed = |text: &str| match body(text).end {
        End::Failed(error) => error.detail,
        other => panic!("{other:?}"),
    };
    assert_eq!(failed(r#"{"error":{"message":"boom"}}"#), "boom");
    assert_eq!(failed(r#"{"choices":[],"error":"boom"}"#), "boom");
    assert_eq!(failed(r#"{"detail":"boom"}"#), "boom");
    assert_eq!(failed(r#"{"object":"error","message":"boom"}"#), "boom");
    assert_eq!(failed(r#"[{"error":{"message":"boom"}}]"#), "boom");
    assert_eq!(failed("Internal Server Error"), "Internal Server Error");
    assert_eq!(failed("<html><title>Not a model</title>"), "a web page: Not a model");
}

#[test]
fn events_without_the_blank_line_between_them_lose_nothing() {
    let events = stream(&[said("a"), said("b"), said("c"), finish("stop")]);
    assert_eq!(whole(&body(&events.replace("\n\n", "\n"))), "abc");
    assert_eq!(whole(&body(&(events.replace("\n\n", "") + "\n\n"))), "abc", "nor without any line end");
}

#[test]
fn a_finish_is_believed_when_no_text_follows() {
    let stops = |text: &str| json!({"choices":[{"delta":{"content":text},"finish_reason":"stop"}]});
    assert_eq!(whole(&done(&[stops("One "), stops("two "), stops("three.")])), "One two three.");
    assert_eq!(whole(&ended(&[stops("One "), stops("two "), stops("three.")])), "One two three.");
    let thought = json!({"choices":[{"delta":{"content":"","reasoning_content":"hm"},"finish_reason":"stop"}]});
    let told = done(&[thought.clone(), thought, said("Yes."), finish("stop")]);
    assert_eq!((whole(&told), told.thought), ("Yes.", 4));
    assert_eq!(whole(&done(&[finish("stop"), said("Yes."), finish("stop")])), "Yes.");
    assert_eq!(
        whole(&done(&[said("Let me see. "), finish("tool_calls"), said("Yes."), finish("stop")])),
        "Let me see. Yes."
    );
    assert!(is_truncated(&ended(&[finish("stop"), said("Yes.")])), "a finish before the text proves nothing of it");
}

#[test]
fn a_finish_that_stands_apart_needs_no_end_and_others_do() {
    let broken = |events: &[Value]| {
        let mut reading = Reading::new(1 << 20, 1 << 10, false);
        reading.push(stream(events).as_bytes());
        let rests = reading.has_finished();
        reading.broken("reset".to_owned());
        let end = std::iter::from_fn(|| reading.take()).last();
        (rests, end)
    };
    assert_eq!(broken(&[said("a"), finish("stop")]), (true, Some(Step::End(STOP))));
    let truncated = Some(Step::End(End::Truncated("reset".to_owned())));
    let last = json!({"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]});
    for events in [
        vec![last.clone()],
        vec![last.clone(), said("b"), finish("stop")],
        vec![said("a"), finish("tool_calls")],
        vec![finish("stop")],
        vec![said("a")],
    ] {
        assert_eq!(broken(&events), (false, truncated.clone()), "{events:?}");
    }
    let late = json!({"error":"late"});
    assert_eq!(whole(&done(&[said("a"), finish("stop"), late.clone()])), "a", "nothing of the answer is missing");
    assert!(matches!(done(&[last, late]).end, End::Failed(_)), "here something may be");
}

#[test]
fn a_message_beside_pieces_gives_its_text_once() {
    let message =
        |text: &str, finish: Value| json!({"choices":[{"index":0,"message":{"content":text},"finish_reason":finish}]});
    let stop = || json!("stop");
    let (hello, world) = (said("Hello "), said("world."));
    assert_eq!(whole(&done(&[hello.clone(), world.clone(), message("Hello world.", stop())])), "Hello world.");
    assert_eq!(whole(&done(&[hello.clone(), world.clone(), message(" Hello world. ", stop())])), "Hello world.");
    assert_eq!(whole(&done(&[hello.clone(), message("Hello world.", stop())])), "Hello world.", "the rest");
    assert_eq!(
        whole(&done(&[hello.clone(), world.clone(), message("<think>hm</think>Hello world.", stop())])),
        "Hello world."
    );
    assert_eq!(whole(&done(&[said("a [1"), message("a [1]", stop())])), "a [1]");
    assert_eq!(
        whole(&done(&[message("Hello ", json!(null)), message("Hello world.", json!(null)), finish("stop")])),
        "Hello world."
    );
    assert_eq!(whole(&done(&[message("Hello ", json!(null)), message("world.", stop())])), "Hello world.", "pieces");
    let both = |delta: &str, whole: &str| json!({"choices":[{"delta":{"content":delta},"message":{"content":whole}}]});
    assert_eq!(
        whole(&done(&[both("Hello ", "Hello "), both("world.", "Hello world."), finish("stop")])),
        "Hello world."
    );
    assert_eq!(whole(&done(&[both("Hello ", "Hello "), both("world.", "world."), finish("stop")])), "Hello world.");
    assert_eq!(
        whole(&done(&[both("Hello ", ""), both("world.", "Hello "), finish("stop")])),
        "Hello world.",
        "one behind"
    );
    for other in ["Goodbye.", "Hello", "ello world."] {
        let told = done(&[hello.clone(), world.clone(), message(other, stop())]);
        assert!(is_truncated(&told) && told.text == "Hello world.", "{other}: {told:?}");
    }
}

#[test]
fn of_several_choices_all_are_this_answer_or_it_is_not_whole() {
    let choice = |index: u64, text: &str| json!({"index":index,"delta":{"content":text}});
    assert_eq!(
        whole(&done(&[json!({"choices":[choice(0, "Hello "), choice(0, "world.")]}), finish("stop")])),
        "Hello world."
    );
    assert_eq!(
        whole(&done(&[json!({"choices":[choice(1, "Hello ")]}), json!({"choices":[choice(1, "world.")]})])),
        "Hello world."
    );
    let call = json!({"index":1,"delta":{"tool_calls":[{"function":{"name":"search"}}]},"finish_reason":"tool_calls"});
    let told = done(&[json!({"choices":[choice(0, "Hello."), call]}), finish("stop")]);
    assert!(whole(&told) == "Hello." && told.thought > 0, "{told:?}");
    let told = done(&[json!({"choices":[choice(0, "Hello "), choice(1, "world.")]}), finish("stop")]);
    assert!(is_truncated(&told), "two answers, or two parts of one: {told:?}");
    let two =
        json!({"choices":[{"index":0,"message":{"content":"Hello "}},{"index":0,"message":{"content":"world."}}]});
    assert_eq!(whole(&body(&two.to_string())), "Hello world.");
}

#[test]
fn reasoning_that_is_only_closed_is_withdrawn_or_where_it_is_known_never_shown() {
    let events = [said("Okay, the user says "), said("hello.\n</th"), said("ink>\n\n"), said("Hello!"), finish("stop")];
    let told = done(&events);
    assert_eq!((told.text.as_str(), told.withdrawn, &told.end), ("Hello!", 1, &STOP));
    let assumed = |events: &[Value]| run_with(Reading::new(1 << 20, 1 << 10, true), [stream(events).as_bytes()]);
    let told = assumed(&events);
    assert_eq!((whole(&told), told.thought), ("Hello!", 27));
    assert_eq!(whole(&assumed(&[said("Hel"), said("lo!"), finish("stop")])), "Hello!", "there was none");
    let told = assumed(&[said("Okay, the user"), finish("length")]);
    assert_eq!((told.text.as_str(), &told.end), ("", &LENGTH), "nothing but reasoning");
    let apart = [json!({"choices":[{"delta":{"reasoning_content":"hm"}}]}), said("Hello!"), finish("stop")];
    assert_eq!(whole(&assumed(&apart)), "Hello!");
    let told = run_with(Reading::new(1 << 20, 1 << 10, true), [stream(&[said("Hel"), said("lo")]).as_bytes()]);
    assert_eq!((told.text.as_str(), is_truncated(&told)), ("", true));
}

#[test]
fn an_empty_answer_with_a_known_finish_is_one() {
    for (reason, end) in [("stop", STOP), ("length", LENGTH), ("content_filter", End::Finished(FinishReason::Filtered))]
    {
        for events in [
            vec![finish(reason)],
            vec![said(" \n"), finish(reason)],
            vec![json!({"choices":[{"delta":{"reasoning":"hm"}}]}), finish(reason)],
        ] {
            for told in [done(&events), ended(&events)] {
                assert_eq!((told.text.as_str(), &told.end), ("", &end), "{events:?}");
            }
        }
    }
    assert!(
        matches!(body("data: [DONE]\n\n").end, End::Failed(error) if error.detail.starts_with("the answer is empty"))
    );
    assert!(is_truncated(&body("")));
    let told = done(&[said("<think>Hello! How are you?"), finish("stop")]);
    assert!(matches!(told.end, End::Unusable(_)), "it may have been the answer: {told:?}");
    assert_eq!(done(&[said("<think>hm"), finish("length")]).end, LENGTH);
}

#[test]
fn text_that_was_held_back_comes_with_the_end() {
    assert_eq!(whole(&done(&[said("<thi")])), "<thi");
    assert_eq!(done(&[said("<"), finish("length")]).text, "<");
    assert_eq!(whole(&done(&[said("a</thi")])), "a</thi");
}

#[test]
fn what_may_have_become_something_else_is_not_shown_of_an_answer_that_breaks_off() {
    let error = json!({"error": {"message": "out of memory"}});
    let failed = json!({"choices": [{"delta": {}, "finish_reason": "error"}]});
    for (held, text) in [(r#""Hi \ud83d""#, "Hi "), (r#""<thi""#, ""), (r#""Hi </thi""#, "Hi ")] {
        let whole = contents(&[held]);
        let (begun, _) = whole.split_once("\n\n").expect("an event");
        for end in [String::new(), stream(std::slice::from_ref(&error)), stream(std::slice::from_ref(&failed))] {
            let told = body(&format!("{begun}\n\n{end}"));
            assert_eq!(told.text, text, "{held} {end}");
            assert!(!matches!(told.end, End::Finished(_)), "{told:?}");
        }
    }
}

#[test]
fn too_long_an_answer_is_cut_between_characters() {
    let told = run_with(Reading::new(1 << 20, 4, false), [stream(&[said("ab😀"), said("c")]).as_bytes()]);
    assert_eq!((told.text.as_str(), told.end), ("ab", LENGTH));
    let told = run_with(Reading::new(200, 1 << 10, false), [stream(&[said("a")]).as_bytes(), &[b' '; 200]]);
    assert_eq!((told.text.as_str(), told.end), ("a", LENGTH));
}
