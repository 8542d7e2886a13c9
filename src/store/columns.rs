//! What values are in a column, whichever database it is of. Uses `chat` only.

use serde::Serialize;

use super::StoreError;
use crate::chat::{Role, Timestamp};

pub(super) const fn role_name(role: Role) -> &'static str {
    match role {
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

/// The integers of databases end at 2^63; that is the year 292 million.
pub(super) fn millis(time: Timestamp) -> i64 {
    integer(time.0)
}

pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn time(millis: i64) -> Timestamp {
    Timestamp(u64::try_from(millis).unwrap_or(0))
}

pub(super) fn json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Unavailable(format!("cannot be written as JSON: {error}")))
}

/// Most messages cite nothing: an empty list is NULL.
pub(super) fn json_list<T: Serialize>(values: &[T]) -> Result<Option<String>, StoreError> {
    if values.is_empty() { Ok(None) } else { json(&values).map(Some) }
}
