//! Chunks in the shapes of the servers that people use, written after their documented behaviour.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::llm::Rejection;

/// Feeds the events of a stream to an answer.
fn steps(events: &[Value]) -> (Vec<Step>, Answer) {
    let mut answer = Answer::new(1000);
    let steps = events
        .iter()
        .flat_map(|event| answer.take(serde_json::from_str(&event.to_string()).unwrap()))
        .flatten()
        .collect();
    (steps, answer)
}

fn text(text: &str) -> Step {
    Step::Text(text.to_owned())
}

fn counted(input: u32, output: u32) -> Option<Usage> {
    Some(Usage { input, output, estimated: false })
}

const STOP: Step = Step::Finish(FinishReason::Stop);

#[test]
fn groq_service_tier_reasoning_and_x_groq() {
    let (steps, answer) = steps(&[
        json!({"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","service_tier":"on_demand",
            "choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],
            "x_groq":{"id":"req_1"}}),
        json!({"choices":[{"index":0,"delta":{"reasoning":"hm"},"finish_reason":null}]}),
        json!({"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]}),
        json!({"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],
            "x_groq":{"id":"req_1","usage":{"prompt_tokens":9,"completion_tokens":2,"total_time":0.1}}}),
    ]);
    assert_eq!(steps, [Step::Thinking(2), text("Hi"), STOP]);
    assert_eq!(answer.usage(), counted(9, 2));
}

#[test]
fn groq_errors_inside_the_stream() {
    let (steps, _) = steps(&[
        json!({"choices":[{"delta":{"content":"a"}}]}),
        json!({"error":{"message":"Failed to call a function.","code":"tool_use_failed","status_code":400}}),
    ]);
    let failed = UpstreamError {
        status: Some(500),
        reason: Rejection::Request,
        detail: "Failed to call a function. (tool_use_failed)".to_owned(),
    };
    assert_eq!(steps, [text("a"), Step::Failed(failed)]);
    let (steps, _) = self::steps(&[json!({"choices":[],"x_groq":{"error":"over capacity"}})]);
    assert_eq!(
        steps,
        [Step::Failed(UpstreamError { status: None, reason: Rejection::Request, detail: "over capacity".to_owned() })]
    );
}

#[test]
fn ollama_empty_finish_reasons_and_empty_chunks() {
    let (steps, answer) = steps(&[
        json!({"id":"chatcmpl-7","choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":""}]}),
        json!({"id":"","object":"","created":0,"model":"","choices":[{"index":0,"delta":{},"finish_reason":null}]}),
    ]);
    assert_eq!(steps, [text("Hi")]);
    assert_eq!(answer.end(&BodyEnd::Eof), Ending::Truncated);
    assert_eq!(answer.end(&BodyEnd::Done), Ending::Finish(FinishReason::Stop));
}

#[test]
fn llama_cpp_timings_numeric_codes_and_late_usage() {
    let (steps, answer) = steps(&[
        json!({"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}],"created":1.5}),
        json!({"choices":[{"finish_reason":null,"index":0,"delta":{"reasoning_content":"so"}}]}),
        json!({"choices":[{"finish_reason":null,"index":0,"delta":{"content":"Hi"}}]}),
        json!({"choices":[{"finish_reason":"stop","index":0,"delta":{}}],"timings":{"predicted_n":1}}),
        json!({"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":1,"total_tokens":1}}),
    ]);
    assert_eq!(steps, [Step::Thinking(2), text("Hi"), STOP]);
    assert_eq!(answer.usage(), counted(0, 1), "an explicit zero is a count");
    let (steps, _) = self::steps(&[json!({"error":{"code":503,"message":"Loading model","type":"unavailable_error"}})]);
    assert_eq!(
        steps,
        [Step::Failed(UpstreamError {
            status: Some(503),
            reason: Rejection::Request,
            detail: "Loading model (503)".to_owned()
        })]
    );
}

#[test]
fn vllm_last_token_in_the_finish_chunk_continuous_usage_and_aborts() {
    let (steps, answer) = steps(&[
        json!({"choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":5,"completion_tokens":1}}),
        json!({"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"length","stop_reason":null}],
            "usage":{"prompt_tokens":5,"completion_tokens":2}}),
    ]);
    assert_eq!(steps, [text("a"), text("b"), Step::Finish(FinishReason::Length)]);
    assert_eq!(answer.usage(), counted(5, 2), "the last count wins, nothing is added up");
    let (steps, _) = self::steps(&[json!({"choices":[{"delta":{"content":"a"},"finish_reason":"abort"}]})]);
    assert!(matches!(&steps[..], [Step::Text(_), Step::Failed(error)] if error.detail.contains("abort")), "{steps:?}");
}

#[test]
fn openrouter_mid_stream_errors_and_lm_studio_error_texts() {
    let (steps, _) = steps(&[json!({"id":"gen-1","provider":"x","error":{"code":429,"message":"slow down"},
        "choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"error","native_finish_reason":null}]})]);
    let failed = UpstreamError { status: Some(429), reason: Rejection::Request, detail: "slow down (429)".to_owned() };
    assert_eq!(steps, [text("a"), Step::Failed(failed)]);
    let (steps, _) = self::steps(&[json!({"error":"The model has crashed"})]);
    assert!(matches!(&steps[..], [Step::Failed(error)] if error.detail == "The model has crashed"));
}

#[test]
fn fields_of_odd_types_cost_the_field_only() {
    let (steps, answer) = steps(&[
        json!({}),
        json!({"choices":null,"usage":null,"x_groq":null,"error":null}),
        json!({"choices":[{"index":"0","delta":{"content":["x"],"reasoning":{}},"finish_reason":7}],"usage":{}}),
        json!({"choices":[{"delta":null,"finish_reason":null}]}),
        json!({"choices":[{"index":1,"delta":{"content":"another choice"}},{"index":0.0,"delta":{"content":"a"}}]}),
        json!({"choices":[{"delta":{},"finishReason":"END_TURN"}],"usage":{"prompt_tokens":-1,"completion_tokens":2.0}}),
    ]);
    assert_eq!(steps, [text("a"), STOP]);
    assert_eq!(answer.usage(), counted(0, 2));
}

#[test]
fn content_may_be_a_list_of_parts() {
    let parts = json!([{"type":"text","text":"a"}, {"type":"text","text":"b"}]);
    let (steps, _) = steps(&[
        json!({"choices":[{"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]}}]}),
        json!({"choices":[{"delta":{"content":parts}}]}),
        json!({"choices":[{"delta":{},"finish_reason":"stop"}]}),
    ]);
    assert_eq!(steps, [Step::Thinking(2), text("ab"), STOP]);
}

#[test]
fn an_unknown_reason_is_no_proof_and_an_empty_stop_no_answer() {
    let (_, answer) = steps(&[json!({"choices":[{"delta":{"content":"a"},"finish_reason":"brownout"}]})]);
    assert_eq!(answer.end(&BodyEnd::Eof), Ending::Truncated);
    assert_eq!(answer.end(&BodyEnd::Done), Ending::Finish(FinishReason::Stop));
    assert_eq!(Answer::new(10).end(&BodyEnd::Done), Ending::Empty);
    let (steps, _) = self::steps(&[json!({"choices":[{"delta":{},"finish_reason":"stop"}]})]);
    assert!(matches!(&steps[..], [Step::Failed(error)] if error.detail == "the answer is empty"));
    let (steps, _) = self::steps(&[json!({"choices":[{"delta":{},"finish_reason":"length"}]})]);
    assert!(matches!(&steps[..], [Step::Failed(error)] if error.detail.contains("limit of tokens")), "{steps:?}");
    let (steps, _) = self::steps(&[
        json!({"choices":[{"delta":{"reasoning":"hm"}}]}),
        json!({"choices":[{"delta":{},"finish_reason":"length"}]}),
    ]);
    assert!(matches!(&steps[..], [Step::Thinking(2), Step::Failed(_)]), "all tokens went into reasoning: {steps:?}");
}

#[test]
fn reasoning_has_many_names_and_is_no_text() {
    for reasoning in [
        json!({"reasoning_content":"hm"}),
        json!({"reasoning":"hm"}),
        json!({"reasoning_details":[{"type":"reasoning.text","text":"hm"}]}),
        json!({"content":"<think>hm"}),
        json!({"content":"<think>"}),
    ] {
        let (steps, _) = steps(&[
            json!({"choices":[{"delta":reasoning}]}),
            json!({"choices":[{"delta":{"content":"</think>\n\nHi"},"finish_reason":"stop"}]}),
        ]);
        let hi = if reasoning.get("content").is_some() { "Hi" } else { "</think>\n\nHi" };
        assert_eq!(steps, [Step::Thinking(2), text(hi), STOP], "{reasoning}");
    }
    let nothing = json!({"reasoning_details":[],"reasoning_content":"","tool_calls":[],"function_call":null});
    assert_eq!(steps(&[json!({"choices":[{"delta":nothing}]})]).0, []);
}

#[test]
fn text_that_was_held_back_comes_with_the_end() {
    let (steps, mut answer) = steps(&[json!({"choices":[{"delta":{"content":"<thi"}}]})]);
    assert_eq!((steps, answer.rest(), answer.rest()), (vec![], Some(text("<thi")), None));
    assert_eq!(answer.end(&BodyEnd::Done), Ending::Finish(FinishReason::Stop));
    let (steps, _) = self::steps(&[json!({"choices":[{"delta":{"content":"<"},"finish_reason":"length"}]})]);
    assert_eq!(steps, [text("<"), Step::Finish(FinishReason::Length)]);
    let (steps, mut answer) = self::steps(&[json!({"choices":[{"delta":{"content":" \n"}}]})]);
    assert_eq!((steps, answer.rest()), (vec![], None));
    assert_eq!(answer.end(&BodyEnd::Done), Ending::Empty, "white space is no answer");
}

#[test]
fn tool_calls_that_nobody_asked_for_are_no_answer() {
    let call = |name: &str, arguments: &str| {
        json!({"choices":[{"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function",
            "function":{"name":name,"arguments":arguments}}]}}]})
    };
    for reason in ["tool_calls", "stop", "function_call"] {
        let end = json!({"choices":[{"delta":{},"finish_reason":reason}]});
        let (steps, _) = steps(&[call("search", "{"), call("", "}"), end.clone()]);
        assert_eq!(steps[..2], [Step::Thinking(2), Step::Thinking(2)], "a sign of life");
        assert!(matches!(&steps[2..], [Step::Failed(error)] if error.detail.contains("called a tool")), "{steps:?}");
        let said = json!({"choices":[{"delta":{"content":"Let me see."}}]});
        let (steps, _) = self::steps(&[said, call("search", "{}"), end]);
        assert_eq!(steps, [text("Let me see."), Step::Thinking(2), STOP], "the text is kept");
    }
    let old = json!({"choices":[{"delta":{"function_call":{"name":"search"}},"finish_reason":"function_call"}]});
    let (steps, _) = steps(&[old]);
    assert!(matches!(&steps[..], [Step::Thinking(2), Step::Failed(_)]), "{steps:?}");
}

#[test]
fn whole_completions_are_chunks_too() {
    let (steps, answer) = steps(&[json!({"object":"chat.completion","choices":[{"index":0,
        "message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":3,"completion_tokens":1}})]);
    assert_eq!(steps, [text("Hi"), STOP]);
    assert_eq!(answer.usage(), counted(3, 1));
}

#[test]
fn too_long_an_answer_is_cut_between_characters() {
    let mut answer = Answer::new(4);
    let event = json!({"choices":[{"delta":{"content":"ab😀"}}]});
    let steps = answer.take(serde_json::from_str(&event.to_string()).unwrap());
    assert_eq!(steps, [Some(text("ab")), Some(Step::Finish(FinishReason::Length))]);
}

#[test]
fn error_bodies_of_every_shape() {
    let of = |body: &str| UpstreamError::from_body(body.as_bytes());
    for (body, status, detail) in [
        (
            r#"{"error":{"message":"m","type":"tokens","code":"rate_limit_exceeded"}}"#,
            Some(429),
            "m (rate_limit_exceeded)",
        ),
        (r#"{"error":{"message":"m","code":429}}"#, Some(429), "m (429)"),
        (r#"{"error":{"message":"m","code":null}}"#, None, "m"),
        (r#"{"error":"m"}"#, None, "m"),
        (r#"{"detail":"m"}"#, None, "m"),
        (r#"{"detail":[{"loc":["body"]}]}"#, None, r#"[{"loc":["body"]}]"#),
        (r#"{"message":"m"}"#, None, "m"),
        (r#"{"odd":1}"#, None, r#"{"odd":1}"#),
        (r#"[{"error":{"message":"m","code":503,"status":"UNAVAILABLE"}}]"#, Some(503), "m (503)"),
        ("<html><head><title> 502 Bad Gateway </title></head></html>", None, "a web page: 502 Bad Gateway"),
        ("<!doctype html>", None, "a web page: without a title"),
        ("plain", None, "plain"),
        (" ", None, "no reason given"),
    ] {
        assert_eq!(of(body), UpstreamError { status, reason: Rejection::Request, detail: detail.to_owned() }, "{body}");
    }
}

proptest! {
    /// No event, however it is made up, makes more text than it holds or panics.
    #[test]
    fn any_json_is_survived(content in any::<Option<String>>(), reason in any::<Option<String>>(), number in any::<f64>(), limit in 0_usize..64) {
        let event = json!({"choices":[{"index":0,"delta":{"content":content,"reasoning":number},"finish_reason":reason}],
            "usage":{"prompt_tokens":number,"completion_tokens":reason}});
        let mut answer = Answer::new(limit);
        let chunk = serde_json::from_str(&event.to_string()).unwrap();
        let said: usize = answer.take(chunk).into_iter().flatten().map(|step| match step {
            Step::Text(text) => text.len(),
            _ => 0,
        }).sum();
        prop_assert!(said <= limit && said <= content.map_or(0, |text| text.len()));
        let _ = UpstreamError::from_body(event.to_string().as_bytes());
    }
}
