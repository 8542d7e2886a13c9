//! Calls of tools, in the shapes in which servers write them.

use super::*;
use crate::llm::reading::{arguments::MAX_CALLS, calls::MAX_CALL_BYTES};

pub(super) fn offer(names: &[&str]) -> ToolOffer {
    let tool = |name: &&str| ToolSpec {
        name: (*name).to_owned(),
        description: String::new(),
        parameters: json!({}),
        is_strict: false,
    };
    ToolOffer { tools: names.iter().map(tool).collect(), ..ToolOffer::default() }
}

pub(super) fn call(name: &str, arguments: Value) -> Call {
    Call { name: name.to_owned(), arguments }
}

/// What becomes of these events, and then `[DONE]`, where something may be called.
fn called(events: &[Value]) -> Told {
    let reading = Reading::new(1 << 20, 1 << 10, false).offering(offer(&["calc", "time"]));
    run_with(reading, [(stream(events) + "data: [DONE]\n\n").as_bytes()])
}

/// Pieces of calls, each in an event of its own; then a finish.
fn pieces(pieces: &[Value], reason: &str) -> Vec<Value> {
    let event = |piece: &Value| json!({"choices":[{"index":0,"delta":{"tool_calls":[piece]}}]});
    pieces.iter().map(event).chain([finish(reason)]).collect()
}

fn piece(index: u64, id: &str, name: &str, arguments: &str) -> Value {
    json!({"index":index,"id":id,"type":"function","function":{"name":name,"arguments":arguments}})
}

/// A later piece, as OpenAI has it.
fn more(index: u64, arguments: &str) -> Value {
    json!({"index":index,"function":{"arguments":arguments}})
}

fn two() -> Vec<Call> {
    vec![call("calc", json!({"x":"1+1"})), call("time", json!({"zone":"UTC"}))]
}

fn is_whole(told: &Told, text: &str, calls: &[Call]) {
    assert_eq!((told.text.as_str(), told.calls.as_slice(), &told.end, told.bad), (text, calls, &STOP, 0), "{told:?}");
}

#[test]
fn parallel_calls_are_put_together_by_their_index() {
    let events = pieces(
        &[
            piece(0, "call_a", "calc", ""),
            piece(1, "call_b", "time", ""),
            more(0, "{\"x\":"),
            more(1, "{\"zone\":\"U"),
            more(0, "\"1+1\"}"),
            more(1, "TC\"}"),
        ],
        "tool_calls",
    );
    let told = called(&events);
    is_whole(&told, "", &two());
    assert!(told.thought > 0, "every piece is a sign of life");
    let told = called(&[&[said("Let me see.")], events.as_slice()].concat());
    is_whole(&told, "Let me see.", &two());
}

#[test]
fn calls_of_one_index_or_none_are_told_apart_by_their_ids() {
    let (calc, time) = (piece(0, "a", "calc", "{\"x\":\"1+1\"}"), piece(0, "b", "time", "{\"zone\":\"UTC\"}"));
    is_whole(&called(&pieces(&[calc.clone(), time.clone()], "tool_calls")), "", &two());
    let without = |piece: &Value, names: &[&str]| {
        let mut piece = piece.clone();
        names.iter().for_each(|name| drop(piece.as_object_mut().unwrap().remove(*name)));
        piece
    };
    for names in [&["index"][..], &["id"], &["index", "id"], &["index", "id", "type"]] {
        let (calc, time) = (without(&calc, names), without(&time, names));
        is_whole(&called(&pieces(&[calc.clone(), time.clone()], "stop")), "", &two());
        let together = json!({"choices":[{"delta":{"tool_calls":[calc, time]}}]});
        is_whole(&called(&[together, finish("tool_calls")]), "", &two());
    }
    // One tool, several times.
    let again = [piece(0, "a", "calc", "{\"x\":1}"), piece(0, "b", "calc", ""), more(0, "{\"x\""), more(0, ":1}")];
    let calls = [call("calc", json!({"x":1})), call("calc", json!({"x":1}))];
    is_whole(&called(&pieces(&again, "tool_calls")), "", &calls);
    let again =
        [("{\"x\":1}"), ("{\"x\":2}")].map(|arguments| json!({"function":{"name":"calc","arguments":arguments}}));
    let calls = [call("calc", json!({"x":1})), call("calc", json!({"x":2}))];
    is_whole(&called(&pieces(&again, "tool_calls")), "", &calls);
}

#[test]
fn one_call_stays_one_whatever_its_pieces_are_called() {
    let one = [call("calc", json!({"x":"1+1"}))];
    for all in [
        // The name once, or in every piece; the id once, in every piece, or another one in each.
        vec![piece(0, "a", "calc", "{\"x\":"), more(0, "\"1+1\"}")],
        vec![piece(0, "a", "calc", "{\"x\":"), piece(0, "a", "calc", "\"1+1\"}")],
        vec![piece(0, "a", "calc", ""), piece(0, "b", "calc", "{\"x\":"), piece(0, "c", "calc", "\"1+1\"}")],
        vec![piece(0, "a", "calc", "{\"x\":"), piece(0, "b", "", "\"1+1\"}")],
        vec![piece(0, "", "calc", "{\"x\":"), json!({"function":{"name":null,"arguments":"\"1+1\"}"}})],
        vec![json!({"index":0,"id":"a"}), piece(0, "", "calc", "{\"x\":\"1+1\"}")],
        // Under another index.
        vec![piece(3, "a", "calc", "{\"x\":"), more(0, "\"1+1\"}")],
        vec![piece(0, "a", "calc", "{\"x\":"), piece(1, "a", "", "\"1+1\"}")],
        // With nothing behind, and with all of it once more.
        vec![piece(0, "a", "calc", "{\"x\":\"1+1\"}"), more(0, ""), more(0, "\n")],
        vec![piece(0, "a", "calc", "{\"x\":"), more(0, "\"1+1\"}"), more(0, "{\"x\":\"1+1\"}")],
        vec![piece(0, "a", "calc", "{\"x\":\"1+1\"}"), piece(0, "a", "calc", "{\"x\":\"1+1\"}")],
        vec![piece(0, "", "calc", "{\"x\":\"1+1\"}"), piece(0, "", "calc", "{\"x\":\"1+1\"}")],
        vec![piece(0, "a", "calc", "{}"), more(0, "{\"x\":"), more(0, "\"1+1\"}")],
        // An object instead of a text.
        vec![json!({"index":0,"id":"a","function":{"name":"calc","arguments":{"x":"1+1"}}})],
        vec![json!({"name":"calc","arguments":{"x":"1+1"}})],
        vec![piece(0, "a", "calc<|channel|>commentary", "{\"x\":\"1+1\"}")],
        vec![piece(0, "a", " calc ", "{\"x\":\"1+1\"}"), json!({"index":1}), json!(null), json!(7)],
    ] {
        for reason in ["tool_calls", "stop", "function_call", "tool_use"] {
            is_whole(&called(&pieces(&all, reason)), "", &one);
        }
    }
}

#[test]
fn calls_stand_in_other_places_too() {
    let one = [call("calc", json!({"x":1}))];
    let function = json!({"name":"calc","arguments":"{\"x\":1}"});
    let older = json!({"choices":[{"delta":{"function_call":function},"finish_reason":"function_call"}]});
    is_whole(&called(&[older]), "", &one);
    let listed = json!([{"id":"a","function":function}]);
    let completion = json!({"choices":[{"message":{"content":null,"tool_calls":listed},"finish_reason":"tool_calls"}]});
    let reading = || Reading::new(1 << 20, 1 << 10, false).offering(offer(&["calc"]));
    is_whole(&run_with(reading(), [completion.to_string().as_bytes()]), "", &one);
    let bare = json!({"choices":[{"message":{"content":"Let me see.","tool_calls":listed}}]});
    is_whole(&run_with(reading(), [bare.to_string().as_bytes()]), "Let me see.", &one);
    // Once more in a message behind the pieces, and beside them.
    let behind = json!({"choices":[{"message":{"tool_calls":listed},"finish_reason":"tool_calls"}]});
    is_whole(&called(&[pieces(&[piece(0, "b", "calc", "{\"x\": 1}")], "")[0].clone(), behind]), "", &one);
    let beside = json!({"choices":[{"delta":{"tool_calls":listed},"message":{"tool_calls":listed}}]});
    is_whole(&called(&[beside, finish("stop")]), "", &one);
    // In another choice than the text.
    let other = json!({"index":1,"delta":{"tool_calls":listed},"finish_reason":"tool_calls"});
    let first = json!({"index":0,"delta":{"content":"Let me see."}});
    is_whole(&called(&[json!({"choices":[first, other]}), finish("stop")]), "Let me see.", &one);
}

#[test]
fn what_is_no_object_stays_as_it_was_written() {
    for (written, arguments) in [
        ("", json!({})),
        (" \n", json!({})),
        ("{\"x\":", json!("{\"x\":")),
        ("{'x': 1}", json!("{'x': 1}")),
        ("{\"x\":1}{\"x\":2}", json!("{\"x\":1}{\"x\":2}")),
        ("[1]", json!("[1]")),
        ("1+1", json!("1+1")),
    ] {
        let told = called(&pieces(&[piece(0, "a", "calc", written)], "tool_calls"));
        is_whole(&told, "", &[call("calc", arguments)]);
    }
    let halves = r#"data: {"choices":[{"delta":{"tool_calls":[{"function":{"name":"calc","arguments":"{\"x\":\"\ud83d"}}]}}]}

data: {"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"\ude00\"}"}}]},"finish_reason":"stop"}]}

data: [DONE]

"#;
    let reading = Reading::new(1 << 20, 1 << 10, false).offering(offer(&["calc"]));
    is_whole(&run_with(reading, [halves.as_bytes()]), "", &[call("calc", json!({"x":"😀"}))]);
}

#[test]
fn calls_are_told_with_proof_alone() {
    let all = pieces(&[piece(0, "a", "calc", "{\"x\":1}")], "length");
    let told = called(&all);
    assert_eq!((told.calls.len(), &told.end), (0, &LENGTH), "in the midst of them");
    assert!(called(&all[..1]).calls == [call("calc", json!({"x":1}))], "[DONE] is the proof");
    let filtered = pieces(&[piece(0, "a", "calc", "{\"x\":1}")], "content_filter");
    assert_eq!(called(&filtered).end, End::Finished(FinishReason::Filtered));

    let broken = |events: &[Value], is_silent: bool| {
        let mut reading = Reading::new(1 << 20, 1 << 10, false).offering(offer(&["calc"]));
        reading.push(stream(events).as_bytes());
        let rests = reading.has_finished();
        if is_silent {
            reading.silent()
        } else {
            reading.broken("reset".to_owned())
        }
        let steps: Vec<_> = std::iter::from_fn(|| reading.take()).collect();
        (rests, steps.iter().any(|step| matches!(step, Step::Calls(_))), steps.last().cloned())
    };
    let finished = pieces(&[piece(0, "a", "calc", "{\"x\":1}")], "tool_calls");
    for is_silent in [false, true] {
        assert_eq!(broken(&finished, is_silent), (true, true, Some(Step::End(STOP))), "the reason stood apart");
        let (rests, has_calls, end) = broken(&finished[..1], is_silent);
        assert!(!rests && !has_calls && matches!(end, Some(Step::End(End::Truncated(_)))));
    }
    let failed = called(&[finished[0].clone(), json!({"error":{"message":"boom"}})]);
    assert!(failed.calls.is_empty() && matches!(failed.end, End::Failed(_)), "{failed:?}");
    let torn = "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"name\":\"calc\",\"argu\n\n";
    let reading = Reading::new(1 << 20, 1 << 10, false).offering(offer(&["calc"]));
    let told = run_with(reading, [(stream(&finished[..1]) + torn + &stream(&finished[1..])).as_bytes()]);
    assert!(told.calls.is_empty() && is_truncated(&told), "{told:?}");
}

#[test]
fn calls_that_nobody_can_make_are_no_answer() {
    let is_unusable = |told: Told| assert!(matches!(told.end, End::Unusable(_)) && told.calls.is_empty(), "{told:?}");
    is_unusable(called(&pieces(&[more(0, "{\"x\":1}")], "tool_calls")));
    is_unusable(called(&[finish("tool_calls")]));
    is_unusable(called(&pieces(&[piece(0, "a", "<|channel|>", "{}")], "tool_calls")));
    is_unusable(called(&[json!({"choices":[{"delta":{"tool_calls":"calc(1+1)"}}]}), finish("tool_calls")]));
    let finished = pieces(&[piece(0, "a", "calc", "{}")], "tool_calls");
    is_unusable(done(&finished));
    // A server that does not pass on that there shall be none.
    let over = ToolOffer { choice: ToolChoice::Nothing, ..offer(&["calc"]) };
    let reading = Reading::new(1 << 20, 1 << 10, false).offering(over);
    assert_eq!(run_with(reading, [stream(&finished).as_bytes()]).calls.len(), 1);

    let many = |count: usize| (0..count).map(|at| piece(at as u64, &at.to_string(), "calc", "{}")).collect::<Vec<_>>();
    assert_eq!(called(&pieces(&many(MAX_CALLS), "stop")).calls.len(), MAX_CALLS);
    is_unusable(called(&pieces(&many(MAX_CALLS + 1), "stop")));
    let long = |bytes: usize| vec![piece(0, "", "calc", ""); 5000].into_iter().chain([more(0, &"x".repeat(bytes))]);
    let long = |bytes: usize| called(&pieces(&long(bytes).collect::<Vec<_>>(), "stop"));
    assert_eq!(long(MAX_CALL_BYTES - 4).calls.len(), 1, "a name counts once");
    is_unusable(long(MAX_CALL_BYTES - 3));
}

#[test]
fn a_call_that_its_server_could_not_read_is_rescued_when_it_was_offered() {
    let failed = |generation: &str| json!({"error":{"message":"Failed to call a function.","code":"tool_use_failed","failed_generation":generation}});
    let (one, none) = (call("calc", json!({"x":"1+1"})), call("time", json!({})));
    for (generation, calls) in [
        (r#"{"name":"calc","arguments":{"x":"1+1"}}"#, vec![one.clone()]),
        (r#"{"name": "calc", "parameters": {"x": "1+1"}}"#, vec![one.clone()]),
        (r#"{"type":"function","name":"calc","arguments":"{\"x\":\"1+1\"}"}"#, vec![one.clone()]),
        (
            r#"{"tool_calls":[{"id":"a","type":"function","function":{"name":"calc","arguments":{"x":"1+1"}}}]}"#,
            vec![one.clone()],
        ),
        (
            r#"[{"name":"calc","parameters":{"x":"1+1"}},{"name":"time","parameters":{}}]"#,
            vec![one.clone(), none.clone()],
        ),
        (r#"<function=calc={"x":"1+1"}</function>"#, vec![one.clone()]),
        (r#"<function=calc>{"x":"1+1"}</function>"#, vec![one.clone()]),
        (r#"<function=calc{"x":"1+1"}</function>"#, vec![one.clone()]),
        (
            r#"Let me see. <function=calc({"x":"1+1"})</function> <function=time></function>"#,
            vec![one.clone(), none.clone()],
        ),
        (
            "<tool_call>\n{\"name\":\"calc\",\"arguments\":{\"x\":\"1+1\"}}\n</tool_call>\n<tool_call>{\"name\":\"time\",\"arguments\":{}}",
            vec![one.clone(), none.clone()],
        ),
        ("```json\n{\"name\":\"calc\",\"arguments\":{\"x\":\"1+1\",}}\n```", vec![one.clone()]),
    ] {
        let told = called(&[failed(generation)]);
        is_whole(&told, "", &calls);
        assert_eq!(told.thought as usize, generation.len(), "it is paid for");
        is_whole(&called(&[said("Hm."), failed(generation)]), "Hm.", &calls);
        let Told { end, calls, .. } = done(&[failed(generation)]);
        assert!(matches!(end, End::Failed(_)) && calls.is_empty(), "nothing was offered");
    }
    for generation in [
        "",
        "I cannot do that.",
        r#"{"name":"wipe","arguments":{}}"#,
        r#"[{"name":"calc","parameters":{"x":"1+1"}},{"name":"wipe","parameters":{}}]"#,
        r#"{"name":"calc","arguments":{"x":"1+"#,
        r#"{"name":"calc","arguments":"1+1"}"#,
        r#"{"name":"calc"}"#,
        "<function=calc",
        "<function=calc>",
        "<function=>{}</function>",
        &"{".repeat(10_000),
        &r#"{"name":"calc","arguments":{}}"#.repeat(MAX_CALLS + 1),
    ] {
        let told = called(&[failed(generation)]);
        assert!(matches!(told.end, End::Failed(ref error) if error.blame == Blame::Output), "{generation}: {told:?}");
        assert!(told.calls.is_empty());
    }
}
