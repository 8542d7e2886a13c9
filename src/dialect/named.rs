//! What clients of other protocols call their conversations and runs. Pure.

use serde_json::{Map, Value};

use super::openai::{Invalid, invalid};

/// The most characters of such a name.
pub const MAX_NAME_CHARS: usize = 128;

/// Whether a text is one: 1 to [`MAX_NAME_CHARS`] characters, none of which is a control character.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let chars = text.chars().take(MAX_NAME_CHARS + 1).count();
    (1..=MAX_NAME_CHARS).contains(&chars) && !text.chars().any(char::is_control)
}

/// The name in a field; none where that is absent or `null`.
pub(super) fn named(fields: &Map<String, Value>, field: &str) -> Result<Option<String>, Invalid> {
    let value = fields.get(field).filter(|value| !value.is_null());
    let name = |value: &Value| value.as_str().filter(|text| is_name(text)).map(str::to_owned);
    value.map(|value| name(value).ok_or_else(|| no_name(field))).transpose()
}

/// A field has to be a name, and is none.
pub(super) fn no_name(field: &str) -> Invalid {
    let problem = format!("must be a text of 1 to {MAX_NAME_CHARS} characters, none of which is a control character");
    invalid(field, &problem)
}
