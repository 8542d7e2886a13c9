//! Streams in the shapes of the servers that people use, written after their documented behaviour and what their users
//! report, and what becomes of them however they are cut and whatever comes between.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::llm::{FinishReason, upstream_error::Blame};

mod properties;

/// What became of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    text: String,
    thought: u32,
    withdrawn: u32,
    bad: u32,
    end: End,
    usage: Option<(u32, u32)>,
}

fn run<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Told {
    run_with(Reading::new(1 << 20, 1 << 10, false), chunks)
}

fn run_with<'a>(mut reading: Reading, chunks: impl IntoIterator<Item = &'a [u8]>) -> Told {
    let mut told = (String::new(), 0, 0, 0, None);
    let mut drain = |reading: &mut Reading| {
        while let Some(step) = reading.take() {
            assert!(told.4.is_none(), "nothing follows an end");
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
    Told { text, thought, withdrawn, bad, end: end.expect("an end"), usage }
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
    assert_eq!((&told.end, told.bad, told.withdrawn), (&STOP, 0, 0), "{told:?}");
    &told.text
}

fn is_truncated(told: &Told) -> bool {
    matches!(told.end, End::Truncated(_))
}

#[test]
fn groq_service_tier_reasoning_and_x_groq() {
    let told = ended(&[
        json!({"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","service_tier":"on_demand",
            "choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],
            "x_groq":{"id":"req_1"}}),
        json!({"choices":[{"index":0,"delta":{"reasoning":"hm"},"finish_reason":null}]}),
        json!({"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]}),
        json!({"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],
            "x_groq":{"id":"req_1","usage":{"prompt_tokens":9,"completion_tokens":2,"total_time":0.1}}}),
    ]);
    assert_eq!((whole(&told), told.thought, told.usage), ("Hi", 2, Some((9, 2))));
}

#[test]
fn errors_inside_a_stream_are_told_after_what_was_said() {
    for (error, status, detail) in [
        (
            json!({"message":"over capacity","code":"overloaded","status_code":529}),
            Some(529),
            "over capacity (overloaded)",
        ),
        (json!({"code":503,"message":"Loading model","type":"unavailable_error"}), Some(503), "Loading model (503)"),
        (json!("The model has crashed"), None, "The model has crashed"),
    ] {
        let failed = UpstreamError { status, blame: Blame::Status, detail: detail.to_owned() };
        let told = done(&[said("a"), json!({"error":error})]);
        assert_eq!((told.text.as_str(), &told.end), ("a", &End::Failed(failed.clone())));
        let told = done(&[json!({"choices":[],"x_groq":{"error":error}})]);
        assert_eq!(told.end, End::Failed(failed));
    }
    let told = done(&[json!({"id":"gen-1","provider":"x","error":{"code":429,"message":"slow down"},
        "choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"error","native_finish_reason":null}]})]);
    assert!(matches!((told.text.as_str(), &told.end), ("a", End::Failed(_))), "{told:?}");
    for none in [json!(null), json!(""), json!(false), json!({}), json!([]), json!(0)] {
        assert_eq!(whole(&done(&[json!({"error":none,"choices":[{"delta":{"content":"a"}}]}), finish("stop")])), "a");
    }
}

#[test]
fn ollama_empty_finish_reasons_and_empty_chunks() {
    let events = [
        json!({"id":"chatcmpl-7","choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":""}]}),
        json!({"id":"","object":"","created":0,"model":"","choices":[{"index":0,"delta":{},"finish_reason":null}]}),
    ];
    assert!(is_truncated(&ended(&events)));
    assert_eq!(whole(&done(&events)), "Hi");
}

#[test]
fn llama_cpp_timings_and_late_usage() {
    let told = ended(&[
        json!({"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}],"created":1.5}),
        json!({"choices":[{"finish_reason":null,"index":0,"delta":{"reasoning_content":"so"}}]}),
        json!({"choices":[{"finish_reason":null,"index":0,"delta":{"content":"Hi"}}]}),
        json!({"choices":[{"finish_reason":"stop","index":0,"delta":{}}],"timings":{"predicted_n":1}}),
        json!({"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":1,"total_tokens":5}}),
    ]);
    assert_eq!((whole(&told), told.thought, told.usage), ("Hi", 2, Some((4, 1))));
}

#[test]
fn vllm_last_token_in_the_finish_chunk_continuous_usage_and_aborts() {
    let told = ended(&[
        json!({"choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":5,"completion_tokens":1}}),
        json!({"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"length","stop_reason":null}],
            "usage":{"prompt_tokens":5,"completion_tokens":2}}),
    ]);
    assert_eq!((told.text.as_str(), told.end, told.usage), ("ab", LENGTH, Some((5, 2))));
    let told = done(&[json!({"choices":[{"delta":{"content":"a"},"finish_reason":"abort"}]})]);
    assert!(matches!(&told.end, End::Failed(error) if error.detail.contains("abort")), "{told:?}");
}

#[test]
fn azure_filters_and_choices_without_a_delta() {
    let told = done(&[
        json!({"id":"","object":"","created":0,"model":"","choices":[],"prompt_filter_results":[{}]}),
        said("Hel"),
        said("lo."),
        finish("stop"),
        json!({"id":"","choices":[{"finish_reason":null,"index":0,"content_filter_offsets":{}}]}),
    ]);
    assert_eq!(whole(&told), "Hello.");
}

#[test]
fn fields_of_odd_types_cost_the_field_only() {
    let told = ended(&[
        json!({}),
        json!({"choices":null,"usage":null,"x_groq":null,"error":null}),
        json!({"choices":[{"index":"0","delta":{"content":[],"reasoning":{}},"finish_reason":7}],"usage":{}}),
        json!({"choices":[{"delta":null,"finish_reason":null}]}),
        json!({"choices":[null, 1, {"index":0.0,"delta":{"content":"a"}}]}),
        json!({"choices":{"index":"0","delta":{"content":"b"}}}),
        json!({"choices":[{"delta":{},"finishReason":"END_TURN"}],"usage":{"prompt_tokens":-1,"completion_tokens":"2"}}),
    ]);
    assert_eq!((whole(&told), told.usage), ("ab", Some((0, 2))));
}

#[test]
fn scalars_stand_as_they_are_on_the_wire() {
    let told = body(&contents(&[
        "\"Within \"",
        "60",
        "\" days [\"",
        "1",
        "\"], $\"",
        "0.005",
        "\", \"",
        "1e400",
        "\" \"",
        "-0",
        "\" \"",
        "12345678901234567890123",
        "\" \"",
        "true",
        "\" \"",
        "NaN",
        "null",
        "\".\"",
    ]));
    assert_eq!(whole(&told), "Within 60 days [1], $0.005, 1e400 -0 12345678901234567890123 true NaN.");
}

#[test]
fn of_keys_that_come_twice_the_last_one_counts() {
    let told = body(&contents(&[r#""","reasoning_content":"h","reasoning_content":"hm""#, r#""No","content":"Yes.""#]));
    assert_eq!((whole(&told), told.thought), ("Yes.", 2));
    let twice = r#"data: {"choices":[{"delta":{"content":"a"}}],"choices":[{"delta":{"content":"b"}}]}"#;
    assert_eq!(whole(&body(&format!("{twice}\n\ndata: [DONE]\n\n"))), "b");
}

#[test]
fn halves_of_pairs_come_together_across_chunks_and_lone_ones_are_replaced() {
    let told = body(&contents(&[
        r#""Hi a\ud83d""#,
        r#""\ude00b""#,
        r#""\ud83d""#,
        "\"\"",
        "null",
        r#""\ude80""#,
        r#"[{"type":"text","text":"\ud83d"},"\ude80"]"#,
    ]));
    assert_eq!(whole(&told), "Hi a😀b🚀🚀");
    assert_eq!(
        whole(&body(&contents(&[r#""a\ud83d""#, r#""b\ude00c""#, r#""\ud83d""#]))),
        "a\u{fffd}b\u{fffd}c\u{fffd}"
    );
    // Encoded like characters, as no UTF-8 has them.
    let text = contents(&["\"aH\"", "\"Lb\""]);
    let bytes: Vec<u8> = text
        .bytes()
        .flat_map(|byte| match byte {
            b'H' => vec![0xed, 0xa0, 0xbd],
            b'L' => vec![0xed, 0xb8, 0x80],
            byte => vec![byte],
        })
        .collect();
    assert_eq!(whole(&run([bytes.as_slice()])), "a😀b");
}

#[test]
fn dialects_in_fields_that_nobody_reads_cost_nothing() {
    for odd in ["NaN", "-Infinity", "[1,2,]", "'x'", "{a:None,}", "undefined", "\"\\q\\ud83d\"", ""] {
        let chunk = format!(
            r#"data: {{"logprobs":{odd},"choices":[{{"delta":{{"content":"a"}},"logprobs":{odd}}}],"x":{odd}}}"#
        );
        assert_eq!(whole(&body(&format!("{chunk}\n\n{}data: [DONE]\n\n", stream(&[finish("stop")])))), "a", "{odd}");
    }
    let python = "data: {'choices': [{'index': 0, 'delta': {'content': \"it's\"}, 'finish_reason': None}], 'usage': \
                  {'prompt_tokens': 3, 'completion_tokens': 1, 'estimated': True}}\n\ndata: [DONE]\n\n";
    let told = body(python);
    assert_eq!((whole(&told), told.usage), ("it's", Some((3, 1))));
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
fn content_comes_in_many_shapes() {
    let parts = json!([{"type":"text","text":"a"}, {"type":"output_text","text":"b"}, {"text":{"value":"c"}}, "d", 5]);
    for (content, text) in [
        (json!([{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}, {"type":"text","text":"a"}]), "a"),
        (parts, "abcd5"),
        (json!({"type":"text","text":"a"}), "a"),
        (
            json!([{"type":"reference","reference_ids":[1]}, {"type":"text","text":"a"}, {"type":"image_url","image_url":{}}]),
            "a",
        ),
        (
            json!([{"type":"reasoning","text":"hm"}, {"type":"summary_text","text":"hm"}, {"type":"text","text":"a"}]),
            "a",
        ),
    ] {
        assert_eq!(
            whole(&done(&[json!({"choices":[{"delta":{"content":content}}]}), finish("stop")])),
            text,
            "{content}"
        );
    }
    for choice in
        [json!({"text":"a"}), json!({"delta":"a"}), json!({"delta":{"refusal":"a"}}), json!({"delta":{"text":"a"}})]
    {
        assert_eq!(whole(&done(&[json!({"choices":[choice]}), finish("stop")])), "a", "{choice}");
    }
}

#[test]
fn reasoning_has_many_names_and_is_no_text() {
    for (reasoning, bytes) in [
        (json!({"reasoning_content":"hmm"}), 3),
        (json!({"reasoning":"hmm"}), 3),
        (json!({"thinking":"hmm"}), 3),
        (json!({"reasoning":"hmm","reasoning_content":"hmm"}), 3),
        (json!({"content":"<think>hmm"}), 3),
        (json!({"content":"[THINK]hmm[/THINK]"}), 3),
    ] {
        let told = done(&[json!({"choices":[{"delta":reasoning}]}), said("</think>\n\nHi"), finish("stop")]);
        assert_eq!((whole(&told), told.thought), ("Hi", bytes), "{reasoning}");
    }
    let details = json!({"reasoning_details":[{"type":"reasoning.text","text":"hm"}]});
    assert!(done(&[json!({"choices":[{"delta":details}]}), said("Hi"), finish("stop")]).thought > 0);
    let nothing = json!({"reasoning_details":[],"reasoning_content":"","tool_calls":[],"function_call":null});
    assert_eq!(done(&[json!({"choices":[{"delta":nothing}]}), said("Hi")]).thought, 0);
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
fn tool_calls_that_nobody_asked_for_are_no_answer() {
    let call = |name: &str, arguments: &str| {
        json!({"choices":[{"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function",
            "function":{"name":name,"arguments":arguments}}]}}]})
    };
    for reason in ["tool_calls", "stop", "function_call"] {
        let told = done(&[call("search", "{"), call("", "}"), finish(reason)]);
        assert!(told.thought > 0 && matches!(told.end, End::Unusable(what) if what.contains("tool")), "{told:?}");
        let told = done(&[said("Let me see."), call("search", "{}"), finish(reason)]);
        assert_eq!(whole(&told), "Let me see.", "the text is kept");
    }
    let old = json!({"choices":[{"delta":{"function_call":{"name":"search"}},"finish_reason":"function_call"}]});
    assert!(matches!(done(&[old]).end, End::Unusable(_)));
}

#[test]
fn an_unknown_reason_is_no_proof() {
    let events = [json!({"choices":[{"delta":{"content":"a"},"finish_reason":"brownout"}]})];
    assert!(is_truncated(&ended(&events)));
    assert_eq!(whole(&done(&events)), "a");
}

#[test]
fn zeros_never_replace_counts() {
    let usage =
        |input: u32, output: u32| json!({"choices":[],"usage":{"prompt_tokens":input,"completion_tokens":output}});
    let told = |counts: &[Value]| done(&[&[said("a"), finish("stop")], counts].concat()).usage;
    assert_eq!(told(&[usage(0, 0)]), None);
    assert_eq!(told(&[usage(7, 2), usage(0, 0)]), Some((7, 2)));
    assert_eq!(told(&[usage(7, 0), usage(0, 2)]), Some((7, 2)));
    assert_eq!(told(&[usage(0, 3)]), Some((0, 3)));
    assert_eq!(told(&[usage(7, 2), usage(8, 3)]), Some((8, 3)));
    let other_names = json!({"choices":[],"usage":{"input_tokens":4,"output_tokens":5.0}});
    assert_eq!(told(&[other_names]), Some((4, 5)));
}

#[test]
fn text_that_was_held_back_comes_with_the_end() {
    assert_eq!(whole(&done(&[said("<thi")])), "<thi");
    assert_eq!(done(&[said("<"), finish("length")]).text, "<");
    assert_eq!(whole(&done(&[said("a</thi")])), "a</thi");
}

#[test]
fn too_long_an_answer_is_cut_between_characters() {
    let told = run_with(Reading::new(1 << 20, 4, false), [stream(&[said("ab😀"), said("c")]).as_bytes()]);
    assert_eq!((told.text.as_str(), told.end), ("ab", LENGTH));
    let told = run_with(Reading::new(200, 1 << 10, false), [stream(&[said("a")]).as_bytes(), &[b' '; 200]]);
    assert_eq!((told.text.as_str(), told.end), ("a", LENGTH));
}
