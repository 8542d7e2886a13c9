//! What has to be allowed before a tool is called: who may, until when. Pure.

use std::fmt;

use serde::{Deserialize, Serialize, de::Error};
use serde_json::Value;
use utoipa::ToSchema;

use super::{digest::digest, id::CallId, time::Timestamp};

/// What has to be allowed before a tool is called, and what was decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Approval {
    /// That of the call: one is asked for it once.
    pub id: CallId,
    /// Tells this tool with these arguments from any others: whoever decides says it back, so that nothing else is allowed
    /// than what they saw.
    pub digest: String,
    /// Who may decide: `user`, or `scope:NAME`.
    #[schema(value_type = String)]
    pub approver: Approver,
    /// Until when. After that it is denied.
    pub expires_at: Timestamp,
    /// Who decided, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What they said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Who may decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Approver {
    /// Whose conversation it is.
    User,
    /// Whoever of the same tenant has this scope.
    Scope(String),
}

/// Nobody is called that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("user, or scope: and a name")]
pub struct InvalidApprover;

/// The longest scope, in bytes.
const MAX_SCOPE: usize = 64;

fn is_of_scope(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\')
}

impl Approver {
    /// Who is called that.
    ///
    /// # Errors
    /// [`InvalidApprover`] when it is neither `user` nor `scope:NAME`.
    pub fn parse(text: &str) -> Result<Self, InvalidApprover> {
        match text.strip_prefix("scope:") {
            // As `auth` has them.
            Some(scope) if (1..=MAX_SCOPE).contains(&scope.len()) && scope.bytes().all(is_of_scope) => {
                Ok(Self::Scope(scope.to_owned()))
            }
            None if text == "user" => Ok(Self::User),
            _ => Err(InvalidApprover),
        }
    }
}

impl fmt::Display for Approver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User => f.write_str("user"),
            Self::Scope(scope) => write!(f, "scope:{scope}"),
        }
    }
}

impl Serialize for Approver {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Approver {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl Approval {
    /// Asks for a call of this tool with these arguments.
    #[must_use]
    pub fn of(id: CallId, tool: &str, args: &Value, approver: Approver, expires_at: Timestamp) -> Self {
        let digest = digest([tool.as_bytes(), args.to_string().as_bytes()]).to_hex().to_string();
        Self { id, digest, approver, expires_at, by: None, comment: None }
    }

    /// What it weighs, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.digest.len() + self.comment.as_ref().map_or(0, String::len)
    }
}
