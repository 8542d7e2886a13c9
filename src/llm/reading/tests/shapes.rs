//! Chunks in the shapes in which servers write them.

use super::*;

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
        let failed = UpstreamError { status, blame: Blame::Status, detail: detail.to_owned(), generation: None };
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
fn an_event_that_is_itself_an_error_is_one() {
    for error in [
        json!({"object":"error","message":"The engine died","type":"InternalServerError","param":null,"code":500}),
        json!({"type":"error","message":"The engine died","status":500}),
    ] {
        let told = done(&[said("a"), error.clone()]);
        let End::Failed(failed) = &told.end else { panic!("{told:?}") };
        assert_eq!((told.text.as_str(), failed.status), ("a", Some(500)), "{error}");
        assert!(failed.detail.contains("The engine died"), "{failed:?}");
        assert_eq!(
            whole(&done(&[said("a"), finish("stop"), error])),
            "a",
            "behind a finish it says nothing of the text"
        );
    }
}

#[test]
fn text_without_choices_is_not_passed_over() {
    for stray in [
        json!({"response":"b"}),
        json!({"content":"b","stop":false}),
        json!({"type":"response.output_text.delta","delta":"b"}),
        json!({"delta":{"content":[{"type":"text","text":"b"}]}}),
        json!({"text":7}),
    ] {
        let told = done(&[said("a"), stray.clone(), said("c"), finish("stop")]);
        assert!(is_truncated(&told) && told.text == "a", "{stray}: {told:?}");
    }
    for nothing in [
        json!({"type":"ping","content":"","text":null}),
        json!({"message":"keep-alive"}),
        json!({"choices":[],"content":"b"}),
        json!({"object":"x","delta":{}}),
    ] {
        assert_eq!(whole(&done(&[said("a"), nothing, said("b"), finish("stop")])), "ab");
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
