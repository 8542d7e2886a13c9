//! JSON as clients write it: the one place where text from outside becomes values. Pure.
//!
//! JavaScript cuts texts between the two halves of an emoji and escapes what is left, as in `"abc\ud83d"`. No string of
//! ours can hold half a character, so it is taken for U+FFFD, as browsers do when they send such a text themselves.

use std::{borrow::Cow, fmt};

use memchr::{memchr, memchr2, memmem};
use serde::de::{DeserializeOwned, DeserializeSeed, MapAccess, Visitor};
use serde_json::{Deserializer, Error, Map, Value};

/// An object that could not be read to its end.
#[derive(Debug)]
pub struct Broken {
    /// Those of its fields that stand whole before the fault.
    pub fields: Map<String, Value>,
    /// What is wrong.
    pub error: Error,
}

/// Reads a value.
///
/// # Errors
/// What is wrong with the text, or does not fit `T`.
pub fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Error> {
    let (read, text) = with_whole_characters(text, |text| serde_json::from_slice(text));
    match read {
        Err(error) if error.is_data() && may_have_fractions(&text) => serde_json::from_slice(&whole_numbers(&text)),
        read => read,
    }
}

/// Reads an object. Of doubled fields the last one counts.
///
/// # Errors
/// [`Broken`]: it is no JSON, or no object, and then [`Error::is_data`].
pub fn object(text: &[u8]) -> Result<Map<String, Value>, Broken> {
    with_whole_characters(text, read_object).0
}

/// What is read of the text, and the text that it was read of: another one only where there is none of it as it stands.
fn with_whole_characters<T, E>(text: &[u8], read: impl Fn(&[u8]) -> Result<T, E>) -> (Result<T, E>, Cow<'_, [u8]>) {
    match read(text) {
        Err(_) if may_have_halves(text) => {
            let text = whole_characters(text);
            (read(&text), Cow::Owned(text))
        }
        read => (read, Cow::Borrowed(text)),
    }
}

fn read_object(text: &[u8]) -> Result<Map<String, Value>, Broken> {
    let mut fields = Map::new();
    let mut reader = Deserializer::from_slice(text);
    match FieldReader(&mut fields).deserialize(&mut reader).and_then(|()| reader.end()) {
        Ok(()) => Ok(fields),
        Err(error) => Err(Broken { fields, error }),
    }
}

/// Reads the fields of an object one by one, so that those before a fault are known.
struct FieldReader<'a>(&'a mut Map<String, Value>);

impl<'de> DeserializeSeed<'de> for FieldReader<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FieldReader<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let mut newest = None;
        loop {
            match object.next_key::<String>() {
                Ok(None) => return Ok(()),
                Ok(Some(name)) => {
                    let value = object.next_value()?;
                    newest = matches!(value, Value::Number(_)).then(|| name.clone());
                    self.0.insert(name, value);
                }
                Err(error) => {
                    // A number ends with what follows it, and there it may have been cut.
                    if let Some(number) = newest {
                        self.0.remove(&number);
                    }
                    return Err(error);
                }
            }
        }
    }
}

fn may_have_halves(text: &[u8]) -> bool {
    memmem::find(text, br"\ud").is_some() || memmem::find(text, br"\uD").is_some()
}

/// Puts U+FFFD in the place of every half of a pair whose other half is missing. Everything stays where it is, so that
/// errors name the right column.
fn whole_characters(text: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    let mut at = 0;
    while let Some(step) = text.get(at..).and_then(|rest| memchr(b'\\', rest)) {
        at += step;
        at += match unit(&text[at..]) {
            None => 2, // Some other escape: what follows the backslash belongs to it.
            Some(0xd800..=0xdbff) if matches!(unit(&text[at + 6..]), Some(0xdc00..=0xdfff)) => 12,
            Some(0xd800..=0xdfff) => {
                text[at + 2..at + 6].copy_from_slice(b"fffd");
                6
            }
            Some(_) => 6,
        };
    }
    text
}

fn may_have_fractions(text: &[u8]) -> bool {
    memmem::find(text, b".0").is_some()
}

/// Takes the fraction from every number that is whole: some languages write `5.0` for `5`. Everything stays where it is.
fn whole_numbers(text: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    let mut at = 0;
    while let Some(step) = text.get(at..).and_then(|rest| memchr2(b'"', b'.', rest)) {
        at += step;
        if text[at] == b'"' {
            at += string(&text[at..]);
            continue;
        }
        let zeros = text[at + 1..].iter().take_while(|byte| **byte == b'0').count();
        let is_whole = zeros > 0 && !matches!(text.get(at + 1 + zeros), Some(b'0'..=b'9' | b'e' | b'E'));
        if is_whole {
            text[at..=at + zeros].fill(b' ');
        }
        at += 1 + zeros;
    }
    text
}

/// How long the string is that the text begins with.
fn string(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(step) = text.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += step;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

/// The UTF-16 unit whose escape the text begins with.
fn unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(br"\u")?.get(..4)?;
    digits.iter().try_fold(0, |unit, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(unit << 4 | u16::try_from(digit).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn text(json: &str) -> String {
        parse(json.as_bytes()).unwrap_or_else(|error| panic!("{json}: {error}"))
    }

    #[test]
    fn half_a_character_is_a_replacement_character() {
        for (json, expected) in [
            (r#""abc\ud83d""#, "abc\u{fffd}"),
            (r#""\uDE00 b""#, "\u{fffd} b"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
            (r#""\ud83dA""#, "\u{fffd}A"),
            (r#""\ud83d\n\ude00""#, "\u{fffd}\n\u{fffd}"),
            (r#""\\ud83d \ud83d""#, "\\ud83d \u{fffd}"),
            (r#""\\\ud83d\\""#, "\\\u{fffd}\\"),
        ] {
            assert_eq!(text(json), expected, "{json}");
        }
        let nested: Value = parse(br#"{"\ud800":["\udfff"]}"#).unwrap();
        assert_eq!(nested, json!({"\u{fffd}": ["\u{fffd}"]}));
        assert_eq!(object(br#"{"id":"\ud800"}"#).unwrap()["id"], "\u{fffd}");
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_fraction() {
        #[derive(serde::Deserialize, Debug, PartialEq)]
        struct Page {
            limit: u32,
            share: f64,
        }
        let page = |json: &str| parse::<Page>(json.as_bytes());
        assert_eq!(page(r#"{"limit": 5.0, "share": 1}"#).unwrap(), Page { limit: 5, share: 1.0 });
        assert_eq!(page(r#"{"limit": 5.000,"share": 0.5}"#).unwrap(), Page { limit: 5, share: 0.5 });
        assert_eq!(parse::<(String, u8)>(br#"["a\"1.0", 2.0]"#).unwrap(), ("a\"1.0".to_owned(), 2));
        assert_eq!(parse::<(String, u8)>(br#"["\ud83d", 2.0]"#).unwrap(), ("\u{fffd}".to_owned(), 2));
        for wrong in [r#"{"limit": 5.5, "share": 1.0}"#, r#"{"limit": 5.01, "share": 1.0}"#] {
            let error = page(wrong).unwrap_err();
            assert_eq!((error.line(), error.column()), (1, wrong.find(',').unwrap()), "{error}");
        }
        for wrong in
            [r#"{"limit": 5.0e1, "share": 1}"#, r#"{"limit": 5.0, "limit": 5.0, "share": 1}"#, r#"{"limit": 5.0"#]
        {
            assert!(page(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_broken_otherwise_stays_so_and_says_where() {
        for json in [r#""\ud83"#, r#""\ud83d"#, r#""\ud83d\x""#, r#""\ud83d\"#, r#"["\ud83d",]"#] {
            assert!(parse::<Value>(json.as_bytes()).is_err(), "{json}");
        }
        let error = parse::<Value>(br#"{"a":"\ud83d","b":?}"#).unwrap_err();
        assert_eq!((error.line(), error.column()), (1, 19));
    }

    #[test]
    fn fields_before_a_fault_are_known() {
        for (json, id) in [
            (r#"{"id":"a","text":"#, json!("a")),
            (r#"{"id":"a""#, json!("a")),
            (r#"{"id":12,"text":"b"#, json!(12)),
            (r#"{"id":12}}"#, json!(12)),
            (r#"{"id":"a","x":[[[}"#, json!("a")),
            (r#"{"id":"\ud800","x":?"#, json!("\u{fffd}")),
            (r#"{"id":"a","id":"b",?"#, json!("b")),
            // It may have been longer.
            (r#"{"id":12"#, Value::Null),
            (r#"{"id":"a"#, Value::Null),
            (r#"{"x":"#, Value::Null),
            ("", Value::Null),
            (r#"["id","a"]"#, Value::Null),
        ] {
            let broken = object(json.as_bytes()).expect_err(json);
            assert_eq!(broken.fields.get("id").cloned().unwrap_or_default(), id, "{json}");
        }
        assert!(object(b"[1]").unwrap_err().error.is_data() && !object(b"{").unwrap_err().error.is_data());
    }

    proptest! {
        #[test]
        fn every_text_of_javascript_is_read(units in prop::collection::vec(prop_oneof![
            any::<u16>(), 0xd7f0_u16..0xe010, Just(u16::from(b'\\')), Just(u16::from(b'u')), Just(u16::from(b'd')),
        ], 0..40)) {
            // As `JSON.stringify` writes it: units that make no character are escaped, a backslash is doubled.
            let mut json = String::from("\"");
            for unit in char::decode_utf16(units.iter().copied()) {
                match unit {
                    Ok(c) => {
                        let quoted = serde_json::to_string(&c).unwrap();
                        json.push_str(&quoted[1..quoted.len() - 1]);
                    }
                    Err(half) => json.push_str(&format!("\\u{:04x}", half.unpaired_surrogate())),
                }
            }
            json.push('"');
            prop_assert_eq!(text(&json), String::from_utf16_lossy(&units));
        }

        #[test]
        fn what_is_whole_is_left_alone(json in r#"(\\\\|\\u[0-9a-cA-C][0-9a-f]{3}|\\ud83d\\ude00|\\n|[a-zü]){0,30}"#) {
            prop_assert_eq!(whole_characters(json.as_bytes()), json.as_bytes());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\\'), Just(b'u'), Just(b'd')], 0..60)) {
            prop_assert_eq!(whole_characters(&bytes).len(), bytes.len());
            let _either = object(&bytes);
        }
    }
}
