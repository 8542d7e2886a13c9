use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;
use crate::llm::PromptRole;

mod tools;

fn with(fields: Value) -> Value {
    let mut body = json!({"model": "any", "messages": [{"role": "user", "content": "Q?"}]});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

fn parse(fields: Value) -> CompletionRequest {
    CompletionRequest::parse(&with(fields), Unsupported::Refuse).unwrap()
}

fn tool(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "description": "Does it.", "parameters": {"type": "object"}}})
}

/// A message with calls of these ids.
fn called(ids: &[&str]) -> Value {
    let call = |id: &&str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}});
    json!({"role": "assistant", "content": null, "tool_calls": ids.iter().map(call).collect::<Value>()})
}

fn result(id: &str, text: &str) -> Value {
    json!({"role": "tool", "tool_call_id": id, "content": text})
}

fn refused(body: &Value) -> (&'static str, String) {
    let error = CompletionRequest::parse(body, Unsupported::Refuse).expect_err(&body.to_string());
    (error.code, error.param)
}

#[test]
fn messages_become_instructions_history_and_a_question() {
    let request = parse(json!({"messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One?", "name": "ann"},
        {"role": "assistant", "content": "1", "refusal": null, "tool_calls": [], "audio": null},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
        {"role": "user", "content": [{"type": "text", "text": "Two"}, {"type": "text", "text": "or three?"}]},
    ]}));
    assert_eq!(request.question, "Two\nor three?");
    assert_eq!(request.instructions.as_deref(), Some("Be brief.\n\nBe kind."));
    let said: Vec<_> = request.history.iter().map(|one| (one.role, one.content.as_str())).collect();
    assert_eq!(said, [(PromptRole::User, "One?"), (PromptRole::Assistant, "1")]);
}

#[test]
fn instructions_may_stand_anywhere_and_empty_ones_say_nothing() {
    let request = parse(json!({"messages": [
        {"role": "system", "content": ""},
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": ""},
        {"role": "assistant", "content": null, "refusal": ""},
        {"role": "user", "content": "Two?"},
        {"role": "system", "content": "Be brief."},
    ]}));
    assert_eq!((request.question.as_str(), request.instructions.as_deref()), ("Two?", Some("Be brief.")));
    assert_eq!(request.history.iter().map(|one| one.content.as_str()).collect::<Vec<_>>(), ["One?"]);
}

#[test]
fn parameters_are_taken_within_their_bounds() {
    let request = parse(json!({
        "temperature": 2, "top_p": 0.5, "frequency_penalty": -2, "presence_penalty": 1.5, "seed": -7, "stop": "END",
        "max_tokens": 900, "max_completion_tokens": 99, "stream": true, "stream_options": {"include_usage": true},
    }));
    let expected = Parameters {
        temperature: Some(2.0),
        top_p: Some(0.5),
        frequency_penalty: Some(-2.0),
        presence_penalty: Some(1.5),
        seed: Some(-7),
        stop: vec!["END".to_owned()],
    };
    assert_eq!(*request.parameters, expected);
    assert_eq!((request.max_output_tokens, request.stream, request.include_usage), (Some(99), true, true));
    assert_eq!(parse(json!({"max_tokens": 1_u64 << 40})).max_output_tokens, Some(u32::MAX));
}

#[test]
fn null_and_what_asks_for_nothing_are_as_good_as_absent() {
    let names = ["temperature", "stop", "tools", "seed", "stream", "stream_options", "max_tokens", "n", "logprobs"];
    let nothing: Map<String, Value> = names.into_iter().map(|name| (name.to_owned(), Value::Null)).collect();
    let bare = parse(json!({}));
    assert_eq!(parse(Value::Object(nothing)), bare);
    let harmless = json!({
        "n": 1, "tools": [], "tool_choice": "auto", "functions": [], "response_format": {"type": "text"},
        "logprobs": false, "logit_bias": {}, "modalities": ["text"], "user": "ann", "metadata": {"a": "b"},
        "store": true, "service_tier": "auto", "parallel_tool_calls": false, "reasoning_effort": "low", "stop": [],
    });
    assert_eq!(parse(harmless), bare);
    assert!(bare.parameters.is_default());
}

#[test]
fn a_refusal_names_the_field() {
    for (fields, param) in [
        (json!({"model": 7}), "model"),
        (json!({"model": "x".repeat(257)}), "model"),
        (json!({"messages": null}), "messages"),
        (json!({"messages": []}), "messages"),
        (json!({"messages": "hi"}), "messages"),
        (json!({"messages": ["hi"]}), "messages[0]"),
        (json!({"messages": [{"content": "hi"}]}), "messages[0].role"),
        (json!({"messages": [{"role": "robot", "content": "hi"}]}), "messages[0].role"),
        (json!({"messages": [{"role": "user", "content": 7}]}), "messages[0].content"),
        (json!({"messages": [{"role": "user", "content": [7]}]}), "messages[0].content[0].type"),
        (json!({"temperature": 2.1}), "temperature"),
        (json!({"temperature": "hot"}), "temperature"),
        (json!({"top_p": -0.1}), "top_p"),
        (json!({"frequency_penalty": 2.5}), "frequency_penalty"),
        (json!({"presence_penalty": -3}), "presence_penalty"),
        (json!({"seed": 1.5}), "seed"),
        (json!({"stop": ["a", "b", "c", "d", "e"]}), "stop"),
        (json!({"stop": 7}), "stop"),
        (json!({"stop": ["a", 7]}), "stop"),
        (json!({"max_tokens": -2}), "max_tokens"),
        (json!({"max_tokens": 0.5}), "max_tokens"),
        (json!({"max_tokens": "all"}), "max_tokens"),
        (json!({"stream": "yes"}), "stream"),
        (json!({"stream": 1}), "stream"),
        (json!({"rivulet": true}), "rivulet"),
        (json!({"rivulet": {"cache": 1}}), "rivulet.cache"),
        (json!({"messages": [null]}), "messages"),
        (json!({"messages": [{"role": "assistant", "content": "hi"}]}), "messages"),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "text", "text": 7}]}]}),
            "messages[0].content[0].text",
        ),
        (json!({"stream_options": true}), "stream_options"),
        (json!({"stream_options": {"include_usage": 1}}), "stream_options.include_usage"),
    ] {
        assert_eq!(refused(&with(fields)), ("invalid_field", param.to_owned()));
    }
    assert_eq!(refused(&json!([])), ("invalid_field", "body".to_owned()));
}

#[test]
fn what_the_gateway_does_not_do_is_not_passed_over() {
    let image = json!([{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": "x"}}]);
    for (fields, param) in [
        (json!({"n": 2}), "n"),
        (json!({"tools": [{"type": "web_search"}]}), "tools[0].type"),
        (json!({"tools": [tool("f")], "tool_choice": {"type": "allowed_tools", "tools": []}}), "tool_choice.type"),
        (json!({"functions": [{"name": "f"}]}), "functions"),
        (json!({"function_call": {"name": "f"}}), "function_call"),
        (json!({"response_format": {"type": "json_object"}}), "response_format"),
        (json!({"logprobs": true}), "logprobs"),
        (json!({"top_logprobs": 3}), "top_logprobs"),
        (json!({"logit_bias": {"5": 1}}), "logit_bias"),
        (json!({"audio": {"voice": "x"}}), "audio"),
        (json!({"modalities": ["text", "audio"]}), "modalities"),
        (json!({"prediction": {"type": "content"}}), "prediction"),
        (json!({"messages": [{"role": "function", "content": "4", "name": "f"}]}), "messages[0].role"),
        (json!({"messages": [{"role": "user", "content": image}]}), "messages[0].content[1].type"),
        (
            json!({"messages": [{"role": "assistant", "content": "a", "function_call": {"name": "f"}}]}),
            "messages[0].function_call",
        ),
        (
            json!({"messages": [
                {"role": "user", "content": "a"}, called(&["c"]),
                {"role": "tool", "tool_call_id": "c", "content": image},
            ]}),
            "messages[2].content[1].type",
        ),
    ] {
        assert_eq!(refused(&with(fields)), ("unsupported_parameter", param.to_owned()));
    }
}

#[test]
fn the_last_instruction_is_the_question_where_there_is_no_other() {
    let system = |text: &str| json!({"role": "system", "content": text});
    let title = parse(json!({"messages": [system("Be brief."), system("Make a title of: …")]}));
    assert_eq!((title.question.as_str(), title.instructions.as_deref()), ("Make a title of: …", Some("Be brief.")));
    let alone = parse(json!({"messages": [system("Make a title."), {"role": "assistant", "content": "Title:"}]}));
    assert_eq!(
        (alone.question.as_str(), alone.instructions, alone.begun),
        ("Make a title.", None, vec![PromptMessage::new(PromptRole::Assistant, "Title:")])
    );
}

#[test]
fn what_the_assistant_says_last_is_how_the_answer_begins() {
    let request = parse(json!({"messages": [
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "1"},
        {"role": "user", "content": "A tale."},
        {"role": "assistant", "content": "Once"},
        {"role": "system", "content": "Be brief."},
        {"role": "assistant", "content": "upon \n"},
        {"role": "assistant", "content": ""},
    ]}));
    let begun = vec![PromptMessage::new(PromptRole::Assistant, "Once\n\nupon")];
    assert_eq!((request.question.as_str(), request.begun), ("A tale.", begun));
    assert_eq!(request.history.len(), 2);
}

#[test]
fn what_says_nothing_in_a_history_is_left_out() {
    let image = json!({"type": "image_url", "image_url": {"url": "x"}});
    let request = parse(json!({"messages": [
        null,
        {"role": "user", "content": ""},
        {"role": "assistant", "content": "Hi"},
        {"role": "user"},
        {"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text"}, null]},
        {"role": "user", "content": [image]},
        {"role": "user", "content": [{"type": "text", "text": "What is it?"}, image]},
        {"role": "assistant", "content": null, "refusal": "I cannot see."},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {"role": "user", "content": "And now?"},
    ]}));
    let said: Vec<_> = request.history.iter().map(|one| one.content.as_str()).collect();
    assert_eq!(said, ["Hi", "What is it?", "I cannot see.", "No."]);
}

#[test]
fn numbers_and_switches_are_taken_in_every_form_that_leaves_no_doubt() {
    let request = parse(json!({
        "temperature": "0.7", "top_p": "1", "seed": 1.0, "n": "1", "max_tokens": "1024", "stream": "true",
        "stream_options": {"include_usage": "True"}, "top_logprobs": 0.0, "model": null,
    }));
    assert_eq!((request.parameters.temperature, request.parameters.seed), (Some(0.7), Some(1)));
    assert_eq!((request.max_output_tokens, request.stream, request.include_usage), (Some(1024), true, true));
    for (limit, expected) in [(json!(-1), None), (json!(0), None), (json!("-1"), None), (json!(6000.5), Some(6000))] {
        assert_eq!(parse(json!({"max_tokens": limit})).max_output_tokens, expected, "{limit}");
    }
    for nothing in [json!(""), json!([""]), json!([null]), json!([]), json!(["", null, ""])] {
        assert_eq!(parse(json!({"stop": nothing})).parameters.stop, Vec::<String>::new());
    }
    assert_eq!(parse(json!({"stop": ["", "a", null, "b", "c", "d"]})).parameters.stop, ["a", "b", "c", "d"]);
}

#[test]
fn an_operator_may_have_wishes_answered_in_text() {
    let tools = json!([tool("f")]);
    for wish in [
        json!({"functions": tools, "function_call": "auto"}),
        json!({"response_format": {"type": "json_object"}}),
        json!({"response_format": {"type": "json_schema", "json_schema": {}}}),
        json!({"verbosity": "low"}),
    ] {
        let error = CompletionRequest::parse(&with(wish.clone()), Unsupported::Refuse).unwrap_err();
        assert_eq!((error.code, error.problem.contains("llm.unsupported")), ("unsupported_parameter", true));
        let answered = CompletionRequest::parse(&with(wish), Unsupported::Text).unwrap();
        assert_eq!(answered, parse(json!({})));
    }
    // A text is no answer to these.
    for wish in [json!({"n": 2}), json!({"logprobs": true})] {
        let error = CompletionRequest::parse(&with(wish), Unsupported::Text).unwrap_err();
        assert_eq!((error.code, error.problem.contains("llm.unsupported")), ("unsupported_parameter", false));
    }
    // The same where there are tools, and nobody who takes them.
    let (mut auto, mut required) =
        (parse(json!({"tools": tools})), parse(json!({"tools": tools, "tool_choice": "required"})));
    assert_eq!(auto.leave_out_tools(Unsupported::Refuse).unwrap_err().param, "tools");
    assert_eq!(required.leave_out_tools(Unsupported::Text).unwrap_err().param, "tool_choice");
    auto.leave_out_tools(Unsupported::Text).unwrap();
    assert_eq!(auto, parse(json!({})));
    // Whose tools may not be used asks for a text, whoever is asked.
    for wish in [json!({"tools": tools, "tool_choice": "none"}), json!({"functions": tools, "function_call": "none"})] {
        assert_eq!(parse(wish), parse(json!({})));
    }
}

#[test]
fn who_wants_other_words_is_not_given_known_ones() {
    let may_share = |fields: Value| parse(fields).may_share;
    assert!(may_share(json!({"temperature": 0})) && may_share(json!({"temperature": "0.0"})));
    assert!(!may_share(json!({})) && !may_share(json!({"temperature": 0.1})));
    assert!(may_share(json!({"temperature": 1, "rivulet": {"cache": true}})));
    assert!(!may_share(json!({"temperature": 0, "rivulet": {"cache": false}})));
}

#[test]
fn a_question_without_text_is_refused() {
    for content in [json!(" \n"), json!([]), json!([{"type": "text", "text": ""}]), json!(null)] {
        let body = with(json!({"messages": [{"role": "user", "content": content}]}));
        assert_eq!(refused(&body), ("empty_text", "messages[0].content".to_owned()));
    }
}

/// Any JSON.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z]{0,8}".prop_map(Value::from),
        Just(json!("user")),
        Just(json!("text")),
        Just(json!("tool")),
        Just(json!("assistant")),
        Just(called(&["c"])),
        Just(result("c", "1")),
        Just(tool("f")),
    ];
    let key = prop_oneof!["[a-z]{1,4}", Just("role".to_owned()), Just("content".to_owned()), Just("type".to_owned())];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn no_body_makes_it_panic_and_what_is_taken_is_within_bounds(
        messages in value(), temperature in value(), stop in value(), tools in value(),
    ) {
        let body = json!({
            "model": "any", "messages": messages, "temperature": temperature, "stop": stop, "tools": tools,
        });
        if let Ok(request) = CompletionRequest::parse(&body, Unsupported::Refuse) {
            prop_assert!(!request.question.trim().is_empty());
            prop_assert!(request.parameters.temperature.is_none_or(|number| (0.0..=2.0).contains(&number)));
            prop_assert!(request.parameters.stop.len() <= 4);
            prop_assert!(request.tools.tools.len() <= 128);
        }
    }
}
