//! Ids and value types that the whole house speaks: sessions, messages, runs, sources.
//!
//! Plain data. Imports nothing of ours, does no I/O, knows no clock but the one it is told.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

/// The longest id a client may choose, in characters (docs/protocol.md, `send.id`).
pub const MAX_ID_CHARS: usize = 64;

/// Why a string is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id has 1 to {MAX_ID_CHARS} characters and no control character")]
pub struct InvalidId;

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String")]
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

/// To whom a session belongs: the name of a principal, made by `auth`. Shown to nobody.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner(Arc<str>);

impl Owner {
    /// An owner of this name. The caller sees to it that different principals have different names.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tenant it belongs to: what stands before the first slash.
    #[must_use]
    pub fn tenant(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }
}

/// Those among whom what was made for one may be given to another, so that nobody outside learns from it what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Circle(String);

impl Circle {
    /// The circle of who asks. By default that is one user alone; of those who need not say who they are, who are
    /// strangers to one another, one session; and outside of any session, nobody. Where the operator lets them share,
    /// it is everybody of a tenant, and all who need not say who they are.
    #[must_use]
    pub fn of(owner: Option<&Owner>, session: Option<&SessionId>, is_shared: bool) -> Option<Self> {
        Some(Self(match (owner, session) {
            (Some(owner), _) if is_shared => format!("tenant {}", owner.tenant()),
            (None, _) if is_shared => "everybody".to_owned(),
            (Some(owner), _) => format!("user {}", owner.as_str()),
            (None, Some(session)) => format!("session {session}"),
            (None, None) => return None,
        }))
    }

    /// Its name, which no other circle has.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A moment, in milliseconds since the Unix epoch; RFC 3339 in UTC on every wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The wall clock's time.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// This moment plus `time`, to the millisecond.
    #[must_use]
    pub fn plus_millis(self, time: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
    }

    /// This moment plus `seconds`.
    #[must_use]
    pub const fn plus_seconds(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1000)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // humantime stops at the year 9999.
        let bounded = self.0.min(253_402_300_799_999);
        let time = UNIX_EPOCH + Duration::from_millis(bounded);
        humantime::format_rfc3339_millis(time).fmt(f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Who said a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// How a message, or the run that wrote it, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// An answer that is queued or still being written. Never seen on the wire after its `run.done`.
    Pending,
    /// Whole: a user's message, or an answer whose model said that it had finished.
    Complete,
    /// Somebody stopped it; the written part is kept.
    Stopped,
    /// The model reached its limit of output tokens.
    Length,
    /// The provider's content filter cut it.
    Filtered,
    /// The stream ended without the proof that the answer is whole.
    Incomplete,
    /// It failed; the part written before, if any, is kept.
    Error,
    /// The gateway ended while it was being written; the text is the last checkpoint.
    Interrupted,
}

impl Status {
    /// The name on the wire and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Complete => "complete",
            Self::Stopped => "stopped",
            Self::Length => "length",
            Self::Filtered => "filtered",
            Self::Incomplete => "incomplete",
            Self::Error => "error",
            Self::Interrupted => "interrupted",
        }
    }
}

/// What a session keeps of one utterance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Message {
    /// Unique within the session.
    pub id: MessageId,
    /// Who said it.
    pub role: Role,
    /// The text; of an answer that is being written, what was checkpointed last.
    pub text: String,
    /// How it ended.
    pub status: Status,
    /// Of an answer, the run that wrote it; of a question, the run that answers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Of an answer, the question.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub question: Option<MessageId>,
    /// The message whose place it took: that one and all after it are no part of the conversation any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<MessageId>,
    /// Whether another message took its place, or that of one before it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replaced: bool,
    /// Which model wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Which parts of the text rest on which source.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub citations: Vec<Citation>,
    /// What was found for it, so that a reloaded page can show it again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// What the person thinks of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feedback: Option<Feedback>,
    /// When it was accepted.
    pub created_at: Timestamp,
}

impl Message {
    /// What the person said, to be answered by `run`.
    #[must_use]
    pub fn question(id: MessageId, text: String, run: RunId, created_at: Timestamp) -> Self {
        Self {
            id,
            role: Role::User,
            text,
            status: Status::Complete,
            run: Some(run),
            question: None,
            replaces: None,
            replaced: false,
            model: None,
            citations: Vec::new(),
            sources: Vec::new(),
            feedback: None,
            created_at,
        }
    }

    /// The answer that `run` is going to write: empty and pending.
    #[must_use]
    pub fn pending(id: MessageId, question: Option<MessageId>, run: RunId, created_at: Timestamp) -> Self {
        Self {
            role: Role::Assistant,
            status: Status::Pending,
            question,
            ..Self::question(id, String::new(), run, created_at)
        }
    }
}

/// What the person thinks of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feedback {
    /// Whether it is good.
    pub value: Opinion,
    /// Why, in the person's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Good or bad: 1 or -1 on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i8", into = "i8")]
pub enum Opinion {
    /// 1
    Good,
    /// -1
    Bad,
}

/// Neither 1 nor -1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 or -1")]
pub struct InvalidOpinion;

impl TryFrom<i8> for Opinion {
    type Error = InvalidOpinion;
    fn try_from(value: i8) -> Result<Self, InvalidOpinion> {
        match value {
            1 => Ok(Self::Good),
            -1 => Ok(Self::Bad),
            _ => Err(InvalidOpinion),
        }
    }
}

impl From<Opinion> for i8 {
    fn from(opinion: Opinion) -> Self {
        match opinion {
            Opinion::Good => 1,
            Opinion::Bad => -1,
        }
    }
}

/// A passage shown beside an answer. All of a run's sources together stay under 16 KiB of JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// The number by which the text cites it, from 1.
    pub n: u32,
    /// The document's id.
    pub document: String,
    /// The document's title.
    pub title: String,
    /// Where the original lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// The page, from 1, in formats that have pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// The heading above the passage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heading: Option<String>,
    /// How well it fits, 0 to 1.
    pub score: f32,
    /// The beginning of the passage.
    pub snippet: String,
}

/// A stretch of an answer that rests on source `n`; offsets in UTF-16 code units, end exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Citation {
    /// The source's number.
    pub n: u32,
    /// Where the stretch begins.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
}

/// Who writes an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The model's name at its provider, or that of a built-in model.
    pub model: Arc<str>,
    /// Whether it was written before, for somebody who asked the same.
    pub cached: bool,
}

impl Author {
    /// This model, now.
    #[must_use]
    pub fn new(model: &str) -> Self {
        Self { model: model.into(), cached: false }
    }
}

/// Tokens of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub input: u32,
    /// Tokens of the answer.
    pub output: u32,
    /// True when the provider did not say and we counted ourselves.
    pub estimated: bool,
}

/// What a run is doing. Not part of the log: only the newest phase matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Waits for its turn.
    Queued,
    /// Looks for passages.
    Retrieving,
    /// The model was asked and has not said anything.
    Waiting,
    /// The model reasons without visible text.
    Thinking,
    /// Text is coming.
    Streaming,
    /// The model calls a tool.
    Tool,
}

/// What a run is doing, and where it is in line while it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doing {
    /// What.
    pub phase: Phase,
    /// How many have their turn before it is over with them all, itself included; 1 is the next.
    pub position: Option<usize>,
}

impl From<Phase> for Doing {
    fn from(phase: Phase) -> Self {
        Self { phase, position: None }
    }
}

/// Milliseconds that the parts of a run took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Timing {
    /// From acceptance to the start of the run.
    pub queue_ms: u64,
    /// Looking for passages.
    pub retrieval_ms: u64,
    /// From the start of the run to its first text; 0 when there was none.
    pub ttft_ms: u64,
    /// From the start of the run to its end.
    pub total_ms: u64,
}

/// A failure as clients may know it: a code of docs/protocol.md and a sentence, no internals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunError {
    /// The code.
    pub code: &'static str,
    /// The sentence.
    pub message: String,
    /// Whether trying again later can help.
    pub retryable: bool,
    /// Not before so many milliseconds, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_in_ms: Option<u64>,
}

impl RunError {
    /// A failure of which nobody knows when it will be over.
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>, retryable: bool) -> Self {
        Self { code, message: message.into(), retryable, retry_in_ms: None }
    }

    /// The same, over after `wait`.
    #[must_use]
    pub fn retry_in(self, wait: Option<Duration>) -> Self {
        Self { retry_in_ms: wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)), ..self }
    }
}

/// The number of UTF-16 code units of `text`, the unit of every offset on the wire.
#[must_use]
pub fn utf16_len(text: &str) -> u64 {
    if text.is_ascii() {
        return text.len() as u64;
    }
    text.chars().map(|c| c.len_utf16() as u64).sum()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_bounded_and_free_of_control_characters() {
        for bad in ["", "a\n", "\u{0}", &"x".repeat(65)] {
            assert_eq!(MessageId::parse(bad), Err(InvalidId), "{bad:?}");
        }
        assert!(MessageId::parse(&"ä".repeat(64)).is_ok());
    }

    #[test]
    fn a_circle_is_as_small_as_it_is_told_to_be() {
        let (ann, bob, eve) = (Owner::new("north/ann"), Owner::new("north/bob"), Owner::new("south/ann"));
        let (one, two) = (SessionId::parse("one").unwrap(), SessionId::parse("two").unwrap());
        let own = |owner, session| Circle::of(owner, session, false);
        assert_eq!(own(Some(&ann), Some(&one)), own(Some(&ann), None), "in all conversations of one user");
        let all = [own(Some(&ann), None), own(Some(&bob), None), own(Some(&eve), None), own(None, Some(&one))];
        let names: HashSet<_> = all.into_iter().chain([own(None, Some(&two))]).flatten().collect();
        assert_eq!((names.len(), own(None, None)), (5, None));
        let shared = |owner| Circle::of(owner, Some(&one), true);
        assert_eq!(shared(Some(&ann)), shared(Some(&bob)));
        let names: HashSet<_> = [shared(Some(&ann)), shared(Some(&eve)), shared(None)].into_iter().flatten().collect();
        assert_eq!(names.len(), 3);
        assert_eq!(shared(None), Circle::of(None, None, true));
    }

    #[test]
    fn timestamps_are_rfc_3339_and_never_panic() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp(u64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn utf16_counts_surrogate_pairs_twice() {
        assert_eq!(utf16_len("aé😀"), 4);
    }
}
