//! Documents of every dialect, and strings that are no strings.

use proptest::prelude::*;

use super::*;

fn tree(text: &str) -> Result<Tree> {
    Json::new(text).tree()
}

fn string(text: &str) -> Text<'_> {
    match Json::new(text).value() {
        Ok(Value::Text(text)) => text,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn what_dialects_add_is_read() {
    let object = serde_json::json!({ "a": [1, "NaN", "-Infinity", null], "b": { "c": true, "d": "it's" } });
    for text in [
        r#"{"a":[1,NaN,-Infinity,null],"b":{"c":true,"d":"it's"}}"#,
        r#"{'a': [1, NaN, -Infinity, None], 'b': {'c': True, 'd': "it's"}}"#,
        r#"{a:[1,NaN,-Infinity,undefined,],b:{c:true,d:'it\'s',},}"#,
        "{\"a\":[1,\"NaN\",\"-Infinity\",null,],,\"b\":\n{\"c\":true,\t\"d\":\"it\\u0027s\"}} and more",
    ] {
        assert_eq!(tree(text), Ok(object.clone()), "{text}");
    }
    assert_eq!(tree(r#"{"a":,"b":1e400,"c":0x1f}"#), Ok(serde_json::json!({ "a": null, "b": "1e400", "c": "0x1f" })));
    assert_eq!(tree(r#"{"a":1,"a":2}"#), Ok(serde_json::json!({ "a": 2 })));
}

#[test]
fn what_is_cut_or_does_not_match_is_unreadable() {
    for text in ["", "{", "{]", "[}", r#"{"a"}"#, r#"{"a":"b"#, r#"{"a":[1}"#, r#"["\"#, "{,:1}", "[:]"] {
        assert_eq!(tree(text), Err(Unreadable), "{text}");
    }
    assert_eq!(tree(&"[".repeat(100)), Err(Unreadable));
}

#[test]
fn any_depth_is_passed_over() {
    for depth in [1, 127, 128, 129, 500, 100_000] {
        let deep = format!("{}{}, 7", "[{\"a\":".repeat(depth), "}]".repeat(depth));
        let mut json = Json::new(&deep);
        assert_eq!((json.skip(), json.rest()), (Ok(()), ", 7"), "{depth}");
    }
}

#[test]
fn halves_are_kept_for_what_comes_before_and_behind() {
    let text = |before, text: &'static str, after| Text { before, text: text.into(), after };
    assert_eq!(string(r#""a\ud83d""#), text(None, "a", Some(0xd83d)));
    assert_eq!(string(r#""\ude00b""#), text(Some(0xde00), "b", None));
    assert_eq!(string(r#""\ude00""#), text(Some(0xde00), "", None));
    assert_eq!(string(r#""\ud83d\ude00""#), text(None, "😀", None));
    assert_eq!(string(r#""\ud83dx\ude00y\ud83d\ud83d""#), text(None, "\u{fffd}x\u{fffd}y\u{fffd}", Some(0xd83d)));
    assert_eq!(string(r#""\ude00\ude00""#), text(Some(0xde00), "\u{fffd}", None));
    let mut whole = string(r#""a\ud83d""#);
    whole.append(string(r#""\ude00""#));
    whole.append(string(r#""b\ud83d""#));
    whole.append(string(r#""c""#));
    assert_eq!(whole, text(None, "a😀b\u{fffd}c", None));
    assert_eq!(string(r#""\ud83d""#).mended(), "\u{fffd}");
}

#[test]
fn escapes_that_nobody_knows_stay() {
    assert_eq!(string(r#""\alpha\q\u12\x4\"""#).text, r#"\alpha\q\u12\x4""#);
    assert_eq!(string(r"'\x41\U0001f600\ud83d\ude00'").text, "A😀😀");
}

/// A document in strict JSON, and what stands in it.
fn documents() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::from),
        any::<i64>().prop_map(Tree::from),
        any::<String>().prop_map(Tree::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Tree::from),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|members| Tree::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn strict_documents_are_read_as_they_are(document in documents()) {
        for text in [document.to_string(), serde_json::to_string_pretty(&document).unwrap()] {
            prop_assert_eq!(tree(&text), Ok(document.clone()));
            let mut json = Json::new(&text);
            prop_assert_eq!((json.skip(), json.rest()), (Ok(()), ""));
        }
    }

    #[test]
    fn nothing_makes_it_panic_or_read_on_for_ever(text in r#"[\[\]{},:'"\\a1 uxU😀]{0,40}"#) {
        let _ = tree(&text);
        let mut json = Json::new(&text);
        let _ = json.skip();
        prop_assert!(text.ends_with(json.rest()));
    }

    #[test]
    fn what_is_cut_is_never_whole(document in documents(), cut in any::<prop::sample::Index>()) {
        let text = Tree::Array(vec![document]).to_string();
        let cut = text.floor_char_boundary(cut.index(text.len()));
        prop_assert_eq!(Json::new(&text[..cut]).skip(), Err(Unreadable));
        prop_assert_eq!(tree(&text[..cut]), Err(Unreadable));
    }

    /// Halves, wherever a text is cut between its units.
    #[test]
    fn a_text_cut_between_units_comes_together_again(said in "[a😀é\u{fffd}𝄞]{0,12}", cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5)) {
        let units: Vec<u16> = said.encode_utf16().collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(units.len() + 1)).collect();
        cuts.extend([0, units.len()]);
        cuts.sort_unstable();
        let mut whole = Text::default();
        for cut in cuts.windows(2) {
            let escaped: String = units[cut[0]..cut[1]].iter().map(|unit| format!("\\u{unit:04x}")).collect();
            let quoted = format!("\"{escaped}\"");
            whole.append(string(&quoted));
        }
        prop_assert_eq!(whole, Text::from(said.as_str()));
    }
}
