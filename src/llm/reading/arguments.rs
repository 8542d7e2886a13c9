//! The arguments of a call, as a model has written them. Pure, a leaf.

use serde_json::{Deserializer, Map, Value};

/// The most calls of one answer.
pub(super) const MAX_CALLS: usize = 32;

/// What was written as the arguments of a call: nothing at all is an empty object, and what is no object stays as it is.
pub(super) fn arguments(written: &str) -> Value {
    if written.trim().is_empty() {
        return Map::new().into();
    }
    object(written).map_or_else(|| Value::from(written), Value::Object)
}

/// The one object of a text. Servers write it twice, or an empty one before it.
fn object(text: &str) -> Option<Map<String, Value>> {
    let mut found: Option<Map<String, Value>> = None;
    for object in Deserializer::from_str(text).into_iter() {
        let object = object.ok()?;
        match &found {
            Some(before) if !before.is_empty() && *before != object => return None,
            _ => found = Some(object),
        }
    }
    found
}
