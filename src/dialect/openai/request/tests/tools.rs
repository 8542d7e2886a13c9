//! Tools of a caller, and the calls in its messages.

use super::*;

#[test]
fn tools_are_taken_within_their_bounds() {
    let request = parse(json!({
        "tools": [tool("f"), {"function": {"name": "g", "strict": true}}], "parallel_tool_calls": false,
        "tool_choice": {"type": "function", "function": {"name": "g"}}, "temperature": 0, "rivulet": {"cache": true},
    }));
    let [f, g] = &*request.tools.tools else { panic!("{request:?}") };
    assert_eq!((&*f.name, &*f.description, f.is_strict), ("f", "Does it.", false));
    assert_eq!((&g.parameters, g.is_strict), (&json!({"type": "object", "properties": {}}), true));
    assert_eq!((&request.tools.choice, request.tools.one_at_a_time), (&ToolChoice::Named("g".to_owned()), true));
    assert!(!request.may_share, "what tools tell is of this moment");
    for (choice, expected) in [("auto", ToolChoice::Auto), ("required", ToolChoice::Something)] {
        assert_eq!(parse(json!({"tools": [tool("f")], "tool_choice": choice})).tools.choice, expected);
    }
    let named = |name: &str| json!({"tools": [tool(name)]});
    for (fields, param) in [
        (json!({"tools": 7}), "tools"),
        (json!({"tools": vec![tool("f"); 129]}), "tools"),
        (json!({"tools": [tool("f"), tool("f")]}), "tools"),
        (json!({"tools": ["f"]}), "tools[0]"),
        (json!({"tools": [null]}), "tools[0]"),
        (json!({"tools": [{"type": 7}]}), "tools[0].type"),
        (json!({"tools": [{"type": "function"}]}), "tools[0].function"),
        (json!({"tools": [{"type": "function", "function": {}}]}), "tools[0].function.name"),
        (named(""), "tools[0].function.name"),
        (named("a b"), "tools[0].function.name"),
        (named(&"x".repeat(65)), "tools[0].function.name"),
        (json!({"tools": [{"function": {"name": "f", "description": 7}}]}), "tools[0].function.description"),
        (json!({"tools": [{"function": {"name": "f", "parameters": []}}]}), "tools[0].function.parameters"),
        (
            json!({"tools": [{"function": {"name": "f", "parameters": {"type": "string"}}}]}),
            "tools[0].function.parameters",
        ),
        (json!({"tools": [{"function": {"name": "f", "description": "x".repeat(65_536)}}]}), "tools[0].function"),
        (json!({"tools": [{"function": {"name": "f", "strict": 7}}]}), "tools[0].function.strict"),
        (json!({"tool_choice": "required"}), "tool_choice"),
        (json!({"tool_choice": 7}), "tool_choice"),
        (json!({"tools": [tool("f")], "tool_choice": "any"}), "tool_choice"),
        (json!({"tools": [tool("f")], "tool_choice": {"function": {"name": "g"}}}), "tool_choice.function.name"),
        (json!({"parallel_tool_calls": "perhaps"}), "parallel_tool_calls"),
    ] {
        assert_eq!(refused(&with(fields)), ("invalid_field", param.to_owned()));
    }
}

#[test]
fn calls_and_their_results_belong_together() {
    let user = |text: &str| json!({"role": "user", "content": text});
    let request = parse(json!({"messages": [
        user("One?"), called(&["a", "b"]), result("b", "2"), result("a", "1"), {"role": "assistant", "content": "So."},
        user("Two?"), called(&["a"]), result("a", "3"), called(&["a"]), {"role": "system", "content": "Be brief."},
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "4"}]},
    ], "tools": [tool("f")], "tool_choice": "none"}));
    let results = |messages: &[PromptMessage]| -> Vec<Vec<String>> {
        messages.iter().map(|one| one.calls.iter().map(|call| call.result.clone()).collect()).collect()
    };
    assert_eq!(request.question, "Two?");
    assert_eq!(results(&request.history), [vec![], vec!["1".to_owned(), "2".to_owned()], vec![]]);
    assert_eq!(results(&request.begun), [["3"], ["4"]]);
    assert_eq!(request.begun[0].calls[0].call.arguments, json!({"x": 1}));
    assert_eq!(
        (request.tools.tools.len(), request.tools.choice),
        (1, ToolChoice::Nothing),
        "its calls are in the prompt"
    );
    let written = |arguments: Value| {
        let call = json!([{"id": "a", "function": {"name": "f", "arguments": arguments}}]);
        let said = json!({"role": "assistant", "tool_calls": call});
        parse(json!({"messages": [user("One?"), said, result("a", "1")]})).begun[0].calls[0].call.arguments.clone()
    };
    assert_eq!([written(json!("")), written(json!({})), written(Value::Null)], [json!({}), json!({}), json!({})]);
    assert_eq!(written(json!("{\"x\":")), json!("{\"x\":"), "what a model writes need not be JSON");
    for (messages, param) in [
        (json!([user("One?"), called(&["a"])]), "messages[1].tool_calls[0].id"),
        (
            json!([{"role": "system", "content": "a", "tool_calls": called(&["a"])["tool_calls"]}]),
            "messages[0].tool_calls",
        ),
        (json!([user("One?"), called(&["a", "b"]), result("a", "1")]), "messages[1].tool_calls[1].id"),
        (json!([user("One?"), called(&["a", "a"])]), "messages[1].tool_calls[1].id"),
        (json!([user("One?"), called(&["a"]), result("a", "1"), result("a", "1")]), "messages[3].tool_call_id"),
        (json!([user("One?"), result("a", "1"), called(&["a"])]), "messages[1].tool_call_id"),
        (json!([user("One?"), {"role": "tool", "content": "1"}]), "messages[1].tool_call_id"),
        (json!([user("One?"), {"role": "assistant", "tool_calls": 7}]), "messages[1].tool_calls"),
        (json!([user("One?"), {"role": "assistant", "tool_calls": [null]}]), "messages[1].tool_calls[0]"),
        (
            json!([user("One?"), {"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}]),
            "messages[1].tool_calls[0].id",
        ),
        (
            json!([user("One?"), {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": 7}}]}]),
            "messages[1].tool_calls[0].function.arguments",
        ),
    ] {
        assert_eq!(refused(&with(json!({"messages": messages}))), ("invalid_field", param.to_owned()));
    }
}
