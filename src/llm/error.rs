//! Why a model did not answer, or cannot be asked at all. A leaf; uses `config`.

use std::{fmt, time::Duration};

use crate::config::TargetFault;

/// Which clock ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Until the connection stood.
    Connect,
    /// Until the model says something: text, or the first sign of reasoning.
    FirstToken,
    /// Between two such signs of life; comments that keep a connection alive do not count.
    Gap,
    /// The whole answer.
    Total,
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connect",
            Self::FirstToken => "first token",
            Self::Gap => "gap",
            Self::Total => "total",
        })
    }
}

/// How far an attempt at a target has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The request is on its way: the connection, and then the head of the answer, are awaited.
    Asked,
    /// The head came, and no visible text yet: roles, empty pieces, reasoning.
    Preamble,
    /// Text was passed on; from here nobody can take over in silence.
    Committed,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asked => "before the head of the answer",
            Self::Preamble => "before the first text",
            Self::Committed => "within the text",
        })
    }
}

/// What a provider does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// The request as it is, or the key.
    Request,
    /// What was asked: its content filter refused it. Nobody else is asked then.
    Filter,
    /// So long a prompt: with a shorter one the same may succeed.
    ContextLength,
    /// Tools, whichever they are: without any the same may succeed.
    Tools,
}

/// Why a model did not answer, or did not finish. The texts are for the log; clients see [`ModelError::code`].
#[derive(Debug, Clone, thiserror::Error)]
pub enum ModelError {
    /// Refused, unresolvable, overloaded or broken: somebody else may do better, or later.
    #[error("{target}: {detail}")]
    Unavailable {
        /// The target's name.
        target: String,
        /// What happened.
        detail: String,
        /// When the provider says it will do better.
        retry_after: Option<Duration>,
    },
    /// One of the clocks ran out.
    #[error("{target}: the {clock} clock ran out {stage}")]
    Timeout {
        /// The target's name.
        target: String,
        /// Which clock.
        clock: Clock,
        /// How far the attempt had come.
        stage: Stage,
    },
    /// The provider does not take this request or this key; trying again changes nothing.
    #[error("{target}: rejected with {status}: {detail}")]
    Rejected {
        /// The target's name.
        target: String,
        /// The HTTP status.
        status: u16,
        /// What the provider said, at most 2 KiB, without the key.
        detail: String,
        /// What it does not take.
        reason: Rejection,
    },
    /// What the model wrote is no answer; another time it may be one. Says nothing about the server.
    #[error("{target}: {detail}")]
    Unusable {
        /// The target's name.
        target: String,
        /// What it wrote.
        detail: String,
    },
    /// The stream ended without the proof that the answer is whole.
    #[error("{target}: the stream ended early: {detail}")]
    Truncated {
        /// The target's name.
        target: String,
        /// What was missing.
        detail: String,
    },
}

impl ModelError {
    /// The error code that clients see (docs/protocol.md).
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } | Self::Unusable { .. } | Self::Truncated { .. } => "upstream_unavailable",
            Self::Timeout { .. } => "upstream_timeout",
            Self::Rejected { reason: Rejection::ContextLength, .. } => "context_length_exceeded",
            Self::Rejected { .. } => "upstream_rejected",
        }
    }

    /// How an attempt failed, as metrics and reports call it.
    pub(super) const fn outcome(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "unavailable",
            Self::Timeout { clock: Clock::Connect, .. } => "timeout_connect",
            Self::Timeout { clock: Clock::FirstToken, .. } => "timeout_first_token",
            Self::Timeout { clock: Clock::Gap, .. } => "timeout_gap",
            Self::Timeout { clock: Clock::Total, .. } => "timeout_total",
            Self::Rejected { reason: Rejection::Filter, .. } => "filtered",
            Self::Rejected { reason: Rejection::ContextLength, .. } => "context_length",
            Self::Rejected { .. } => "rejected",
            Self::Unusable { .. } => "unusable",
            Self::Truncated { .. } => "truncated",
        }
    }

    /// Whether asking again later can help.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        !matches!(self, Self::Rejected { .. })
    }
}

/// Why an endpoint cannot be made. Never tells the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The base URL cannot be used.
    #[error("the base URL must be {0}")]
    BaseUrl(&'static str),
    /// The model's name cannot be used.
    #[error("the model's name is empty or has control characters")]
    Model,
    /// The key cannot be sent in a header.
    #[error("the API key has characters that a header cannot carry, perhaps a line end")]
    ApiKey,
    /// A header cannot be sent.
    #[error("the header {0} has a name or a value that cannot be sent")]
    Header(String),
    /// The HTTP client cannot be set up, for example without any root certificates.
    #[error("the HTTP client: {0}")]
    Http(String),
}

/// Why the configured targets cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetsError {
    /// A setting of a target cannot be.
    #[error("{} must be {}", .0.key(), .0.expected)]
    Setting(TargetFault),
    /// A clock that cannot run.
    #[error("{0}: {1} must be more than 0 seconds and at most a day")]
    Clock(String, &'static str),
    /// The endpoint cannot be used.
    #[error("{0}: {1}")]
    Endpoint(String, EndpointError),
}
