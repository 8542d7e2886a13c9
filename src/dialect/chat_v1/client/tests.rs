use proptest::prelude::*;
use serde_json::json;

use super::*;

fn code(text: &str) -> &'static str {
    parse(text).unwrap_err().code
}

#[test]
fn the_short_form_is_a_send() {
    let frame = parse(r#"{"message": "I need a loan"}"#).unwrap();
    let ClientFrame::Send { id: None, text, mode: SendMode::Reject, assistant: None } = frame.body else {
        panic!("{frame:?}")
    };
    assert_eq!(text, "I need a loan");
}

#[test]
fn ids_of_both_kinds_are_echoed() {
    assert_eq!(parse(r#"{"type":"stop","id":7}"#).unwrap().id, Some(json!(7)));
    assert_eq!(parse(r#"{"type":"send","id":"m_1","text":""}"#).unwrap_err().re, Some(json!("m_1")));
    assert_eq!(code(r#"{"type":"send","id":7,"text":"a"}"#), "invalid_field");
}

#[test]
fn an_error_says_whose_it_is_whenever_that_can_be_read() {
    for (text, re) in [
        (r#"{"id":"a","type":"send","text":5}"#, json!("a")),
        (r#"{"type":{},"id":7}"#, json!(7)),
        (r#"{"type":"dance","id":"a"}"#, json!("a")),
        (r#"{"type":"send","id":"","text":"b"}"#, json!("")),
        (r#"{"id":"a","type":"send","text":"b}"#, json!("a")),
        (r#"{"id":7,"type":"send",}"#, json!(7)),
        (r#"{"id":"a"} x"#, json!("a")),
        (r#"{"type":"ping","id":[]}"#, Value::Null),
    ] {
        assert_eq!(parse(text).unwrap_err().re.unwrap_or_default(), re, "{text}");
    }
    let long = json!({"type": "dance", "id": "x".repeat(ID_BYTES)});
    assert_eq!(parse(&long.to_string()).unwrap_err().re, None);
}

#[test]
fn half_a_character_is_taken_for_a_replacement() {
    let frame = parse(r#"{"type":"send","id":"q","text":"abc\ud83d"}"#).unwrap();
    assert!(matches!(frame.body, ClientFrame::Send { text, .. } if text == "abc\u{fffd}"));
}

#[test]
fn bad_input_is_named() {
    for (text, expected) in [
        ("", "bad_json"),
        ("null", "bad_json"),
        ("[]", "bad_json"),
        ("{} {}", "bad_json"),
        ("{}", "unknown_type"),
        (r#"{"type":"dance"}"#, "unknown_type"),
        (r#"{"type":5}"#, "invalid_field"),
        (r#"{"type":"send"}"#, "invalid_field"),
        (r#"{"type":"send","text":5}"#, "invalid_field"),
        (r#"{"type":"send","text":"a","mode":"maybe"}"#, "invalid_field"),
        (r#"{"type":"send","text":"a","metadata":[]}"#, "invalid_field"),
        (r#"{"type":"send","text":" \n"}"#, "empty_text"),
        (r#"{"message":""}"#, "empty_text"),
        (r#"{"message":["a"]}"#, "invalid_field"),
        (r#"{"type":"sync","run":"r_1"}"#, "invalid_field"),
        (r#"{"type":"sync","run":"r_1","off":-1}"#, "invalid_field"),
        (r#"{"type":"sync","run":"r_1","off":1.5}"#, "invalid_field"),
        (r#"{"type":"stop","run":{}}"#, "invalid_field"),
        (r#"{"type":"ping","id":[]}"#, "invalid_field"),
        (r#"{"type":"regenerate","message":5}"#, "invalid_field"),
        (r#"{"type":"edit","text":"a"}"#, "invalid_field"),
        (r#"{"type":"edit","message":"m"}"#, "invalid_field"),
        (r#"{"type":"edit","message":"m","text":" "}"#, "empty_text"),
        (r#"{"type":"feedback","value":1}"#, "invalid_field"),
        (r#"{"type":"feedback","message":"m"}"#, "invalid_field"),
        (r#"{"type":"feedback","message":"m","value":0}"#, "invalid_field"),
        (r#"{"type":"feedback","message":"m","value":257}"#, "invalid_field"),
        (r#"{"type":"feedback","message":"m","value":true}"#, "invalid_field"),
        (r#"{"type":"feedback","message":"m","value":1,"comment":[]}"#, "invalid_field"),
        (r#"{"type":"typing"}"#, "invalid_field"),
        (r#"{"type":"typing","on":1}"#, "invalid_field"),
    ] {
        assert_eq!(code(text), expected, "{text}");
    }
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(code(&deep), "bad_json");
}

#[test]
fn tokens_are_read_and_never_shown() {
    for text in [r#"{"type":"auth","token":"hunter2"}"#, r#"{"type":"hello","token":"hunter2","resume":"e:1"}"#] {
        let frame = parse(text).unwrap();
        let (ClientFrame::Auth { token } | ClientFrame::Hello { token: Some(token), .. }) = &frame.body else {
            panic!("{frame:?}")
        };
        assert_eq!(token.expose(), "hunter2");
        assert!(!format!("{frame:?}").contains("hunter2"));
    }
    assert_eq!(code(r#"{"type":"auth"}"#), "invalid_field");
    assert_eq!(code(r#"{"type":"auth","token":5}"#), "invalid_field");
    assert_eq!(code(r#"{"type":"hello","token":{}}"#), "invalid_field");
}

#[test]
fn the_text_is_bounded_in_characters_and_not_in_bytes() {
    let text = |n| json!({"type": "send", "text": "é".repeat(n)}).to_string();
    assert!(parse(&text(TEXT_CHARS)).is_ok());
    assert_eq!(code(&text(TEXT_CHARS + 1)), "text_too_long");
    let edit = json!({"type": "edit", "message": "m", "text": "é".repeat(TEXT_CHARS + 1)});
    assert_eq!(code(&edit.to_string()), "text_too_long");
    let comment = |n| json!({"type": "feedback", "message": "m", "value": -1, "comment": "é".repeat(n)}).to_string();
    assert!(parse(&comment(COMMENT_CHARS)).is_ok());
    assert_eq!(code(&comment(COMMENT_CHARS + 1)), "invalid_field");
}

proptest! {
    #[test]
    fn no_frame_makes_it_panic(text in ".{0,200}", kind in "(send|stop|sync|hello|ping|regenerate|edit|feedback|typing|x)", field in "(id|run|off|text|mode|message|value|on)", value in ".{0,20}") {
        let _either = parse(&text);
        let _either = parse(&json!({"type": kind, field: value}).to_string());
    }
}
