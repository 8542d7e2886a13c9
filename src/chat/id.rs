//! Ids: short texts, chosen by clients or drawn at random. Pure.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The longest id a client may choose, in characters (docs/protocol.md, `send.id`).
pub const MAX_ID_CHARS: usize = 64;

/// Why a string is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id has 1 to {MAX_ID_CHARS} characters and no control character")]
pub struct InvalidId;

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
        #[serde(try_from = "String")]
        #[schema(value_type = String, min_length = 1, max_length = 64, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$")]
        pub struct $name(Arc<str>);

        impl $name {
            /// A new id with 122 random bits, so that it can be neither guessed nor met twice.
            #[must_use]
            pub fn random() -> Self {
                Self(format!(concat!($prefix, "{}"), uuid::Uuid::new_v4().simple()).into())
            }

            /// Takes an id that came from outside.
            ///
            /// # Errors
            /// [`InvalidId`] when it is empty, longer than [`MAX_ID_CHARS`] or has a control character.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                let chars = text.chars().take(MAX_ID_CHARS + 1).count();
                if chars == 0 || chars > MAX_ID_CHARS || text.chars().any(char::is_control) {
                    return Err(InvalidId);
                }
                Ok(Self(text.into()))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::parse(&text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id_type!(
    /// One conversation. Whoever holds the id may read the session when authentication is off.
    SessionId, "s_"
);
id_type!(
    /// One message, unique within its session. Clients choose the ids of the messages they send.
    MessageId, "m_"
);
id_type!(
    /// One generation of an answer. Never reused.
    RunId, "r_"
);
id_type!(
    /// One call of a tool. Never reused.
    CallId, "c_"
);
id_type!(
    /// One file that a tool has made. Never reused.
    ArtifactId, "f_"
);
id_type!(
    /// Something that a user has told. Never used again.
    MemoryId, "mem_"
);
id_type!(
    /// One document of the knowledge base. 32 hexadecimal digits when it was made here; never used again.
    DocumentId, ""
);
id_type!(
    /// One dataset. Never used again.
    DatasetId, "d_"
);
id_type!(
    /// One piece of work on a document or a collection.
    JobId, "j_"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_bounded_and_free_of_control_characters() {
        for bad in ["", "a\n", "\u{0}", &"x".repeat(65)] {
            assert_eq!(MessageId::parse(bad), Err(InvalidId), "{bad:?}");
        }
        assert!(MessageId::parse(&"ä".repeat(64)).is_ok());
    }
}
