//! Fields of any type: one that is not as expected costs the field and not the event. Pure.

use std::borrow::Cow;

use crate::llm::json::{Json, Unreadable, Value};

pub(super) type Result<T> = std::result::Result<T, Unreadable>;

/// A text or a bare word that is not empty.
pub(super) fn word<'a>(json: &mut Json<'a>) -> Result<Option<Cow<'a, str>>> {
    let value = json.value()?;
    Ok(match value {
        Value::Word(word) => Some(Cow::Borrowed(word)),
        Value::Text(text) => Some(text.text).filter(|text| !text.is_empty()),
        other => {
            json.skip_rest(&other)?;
            None
        }
    })
}

/// A number that is not negative, with or without quotes.
pub(super) fn count(json: &mut Json<'_>) -> Result<Option<u64>> {
    let Some(word) = word(json)? else { return Ok(None) };
    if let Ok(count) = word.parse() {
        return Ok(Some(count));
    }
    let number = word.trim().parse::<f64>().ok().filter(|number| *number >= 0.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float saturates in this cast")]
    Ok(number.map(|number| number as u64))
}
