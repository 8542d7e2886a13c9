//! Fields of any type: one that is not as expected costs the field and not the event. Pure.

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

/// A string, or nothing, whatever else is there.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    deserializer.deserialize_any(Lenient).map(|scalar| match scalar {
        Scalar::Text(text) => Some(text),
        _ => None,
    })
}

/// A count, or nothing, whatever else is there.
pub(super) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    deserializer.deserialize_any(Lenient).map(|scalar| match scalar {
        Scalar::Number(number) => Some(u32::try_from(number).unwrap_or(u32::MAX)),
        _ => None,
    })
}

/// Whether there is a list with something in it, whatever that is.
pub(super) fn any_item<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    deserializer.deserialize_any(Lenient).map(|scalar| matches!(scalar, Scalar::Items))
}

/// Whether there is an object, whatever is in it.
pub(super) fn object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    deserializer.deserialize_any(Lenient).map(|scalar| matches!(scalar, Scalar::Object))
}

/// What a message says.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) text: Option<String>,
    /// Besides text there is something else: reasoning, as some servers put it there.
    pub(super) has_others: bool,
}

/// A text, or a list of parts with the texts in it; nothing, whatever else is there.
pub(super) fn content<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Content, D::Error> {
    let mut content = Content::default();
    match Value::deserialize(deserializer)? {
        Value::String(text) => content.text = Some(text),
        Value::Array(parts) => {
            for part in parts {
                let is_text = part.get("type").is_none_or(|kind| kind == "text");
                match part.get("text").and_then(Value::as_str).filter(|_| is_text) {
                    Some(text) => content.text.get_or_insert_default().push_str(text),
                    None => content.has_others |= part.is_object(),
                }
            }
        }
        _ => {}
    }
    Ok(content)
}

enum Scalar {
    Text(String),
    Number(u64),
    /// A list that is not empty.
    Items,
    Object,
    Nothing,
}

/// Takes any value, so that a field of an unexpected type costs the field and not the event.
struct Lenient;

impl<'de> Visitor<'de> for Lenient {
    type Value = Scalar;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("anything")
    }
    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }
    fn visit_string<E>(self, text: String) -> Result<Scalar, E> {
        Ok(Scalar::Text(text))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number))
    }
    fn visit_i64<E>(self, _: i64) -> Result<Scalar, E> {
        Ok(Scalar::Nothing)
    }
    fn visit_f64<E>(self, number: f64) -> Result<Scalar, E> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float saturates in this cast")]
        Ok(if number >= 0.0 { Scalar::Number(number as u64) } else { Scalar::Nothing })
    }
    fn visit_bool<E>(self, _: bool) -> Result<Scalar, E> {
        Ok(Scalar::Nothing)
    }
    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Nothing)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
        let mut items = 0_usize;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            items += 1;
        }
        Ok(if items > 0 { Scalar::Items } else { Scalar::Nothing })
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Object)
    }
}
