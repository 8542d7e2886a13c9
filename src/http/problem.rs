//! Errors on HTTP: RFC 9457 `application/problem+json` with `code` and `request_id`, OpenAI's form below `/v1`, and that of
//! `deep-chat` where it asks. The one place where an error becomes a status; what clients read here never holds internals.

use std::borrow::Cow;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::Value;
use tracing::error;
use utoipa::ToSchema;

use super::places::{RETRY_AFTER_S, TooMany};
use crate::{
    chat::RunError,
    dialect::{
        chat_v1::FrameError,
        deep_chat,
        openai::{Invalid, response::ErrorBody},
    },
    hub::{HubError, NotAsked},
    knowledge::KnowledgeError,
    limits::{OverLimit, Standing},
    session::{RunNotActive, SendError},
    store::StoreError,
    ws::{NotAdmitted, handshake::HandshakeError},
};

/// The conversation is longer than the model reads.
const CONTEXT_LENGTH: &str = "context_length_exceeded";

/// The status of what sockets and runs are told by its code alone.
fn status_of(code: &str) -> StatusCode {
    match code {
        "bad_json" | "unknown_type" | "invalid_field" | "empty_text" | "text_too_long" | CONTEXT_LENGTH => {
            StatusCode::BAD_REQUEST
        }
        "not_found" => StatusCode::NOT_FOUND,
        "forbidden" => StatusCode::FORBIDDEN,
        "idempotency_conflict" | "run_not_active" | "already_decided" | "digest_mismatch" | "expired" => {
            StatusCode::CONFLICT
        }
        "budget_exhausted" | "rate_limited" | "queue_full" | "too_many" => StatusCode::TOO_MANY_REQUESTS,
        "upstream_unavailable" | "upstream_rejected" => StatusCode::BAD_GATEWAY,
        "upstream_timeout" => StatusCode::GATEWAY_TIMEOUT,
        "busy" | "storage_unavailable" => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An error for the caller. The request's layer adds the request id and writes the body.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) code: Cow<'static, str>,
    pub(super) detail: String,
    /// Seconds, for `Retry-After`.
    pub(super) retry_after: Option<u32>,
    /// The quota that is used up.
    pub(super) standing: Option<Box<Standing>>,
    /// The field that is to blame, where OpenAI's interface names it.
    pub(super) param: Option<String>,
    /// What else OpenAI's interface tells, in the gateway's own field.
    pub(super) extension: Option<Box<Value>>,
    /// What those without a token are told instead of `Bearer`.
    pub(super) challenge: Option<Box<HeaderValue>>,
    /// Trying again changes nothing, although the status looks as if it could.
    pub(super) is_final: bool,
}

/// Why something was not done.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    /// For people.
    detail: &'a str,
    /// For programs.
    code: &'a str,
    /// By which the log is found.
    request_id: &'a str,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        let code = code.into();
        let detail = detail.into();
        Self {
            status,
            code,
            detail,
            retry_after: None,
            standing: None,
            param: None,
            extension: None,
            challenge: None,
            is_final: false,
        }
    }

    /// What a socket would be told with this code. Where waiting helps, it is told for how long.
    fn coded(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        let code = code.into();
        let status = status_of(&code);
        let helps = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        Self { retry_after: helps.then_some(RETRY_AFTER_S), ..Self::new(status, code, detail) }
    }

    pub(super) fn invalid_field(field: &str, problem: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_field", format!("`{field}` {problem}"))
    }

    pub(super) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no such {what}"))
    }

    /// The answer, once the request's id is known.
    pub(super) fn render(&self, request_id: &str) -> Response {
        let body = ProblemBody {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: &self.code,
            request_id,
        };
        let body = serde_json::to_string(&body).unwrap_or_default();
        self.with_headers(body, HeaderValue::from_static("application/problem+json"))
    }

    /// The answer in the form of OpenAI's interface, whose clients take the request's id from its header.
    pub(super) fn render_as_openai(&self) -> Response {
        let body = self.openai().json();
        let mut response = self.with_headers(body, HeaderValue::from_static("application/json"));
        if self.is_final {
            response.headers_mut().insert("x-should-retry", HeaderValue::from_static("false"));
        }
        response
    }

    /// The answer in the form of the element `deep-chat`.
    pub(super) fn render_for_deep_chat(&self) -> Response {
        self.with_headers(deep_chat::refusal(&self.code, &self.detail), HeaderValue::from_static("application/json"))
    }

    /// The error in the form of OpenAI's interface.
    pub(super) fn openai(&self) -> ErrorBody<'_> {
        let body = ErrorBody::new(self.status.as_u16(), &self.code, &self.detail, self.param.as_deref());
        body.with(self.extension.as_deref())
    }

    fn with_headers(&self, body: String, kind: HeaderValue) -> Response {
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, kind);
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = self.challenge.as_deref().cloned();
            headers.insert(header::WWW_AUTHENTICATE, challenge.unwrap_or_else(|| HeaderValue::from_static("Bearer")));
        }
        if self.status == StatusCode::UPGRADE_REQUIRED {
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<NotAdmitted> for Problem {
    fn from(error: NotAdmitted) -> Self {
        match error {
            NotAdmitted::Forbidden => Self::new(StatusCode::FORBIDDEN, "forbidden", error.to_string()),
            NotAdmitted::NoAssistant => Self::not_found("assistant"),
            NotAdmitted::TooOften(refusal) => refusal.into(),
            NotAdmitted::Hub(error) => error.into(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSession => Self::not_found("session"),
            StoreError::TooManySessions => Self::coded("too_many", error.to_string()),
            StoreError::Elsewhere(_) | StoreError::Fenced => {
                let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", error.to_string());
                Self { retry_after: Some(1), ..problem }
            }
            StoreError::Unavailable(_) => {
                error!(%error, "the store refused");
                let detail = "the store cannot be reached at the moment";
                let retry_after = Some(5);
                Self { retry_after, ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "storage_unavailable", detail) }
            }
        }
    }
}

impl From<HubError> for Problem {
    fn from(error: HubError) -> Self {
        match error {
            HubError::Store(error) => error.into(),
            HubError::Full => {
                let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", error.to_string());
                Self { retry_after: Some(5), ..problem }
            }
        }
    }
}

impl From<TooMany> for Problem {
    fn from(error: TooMany) -> Self {
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", error.to_string());
        Self { retry_after: Some(RETRY_AFTER_S), ..problem }
    }
}

impl From<SendError> for Problem {
    fn from(error: SendError) -> Self {
        match error {
            // Only this session has no time for it.
            SendError::Busy => Self::new(StatusCode::CONFLICT, error.code(), error.to_string()),
            SendError::Limit(refusal) => refusal.into(),
            _ => Self::coded(error.code(), error.to_string()),
        }
    }
}

impl From<NotAsked> for Problem {
    fn from(error: NotAsked) -> Self {
        match error {
            NotAsked::Refused(error) => error.into(),
            NotAsked::Store(error) => error.into(),
        }
    }
}

impl From<OverLimit> for Problem {
    fn from(refusal: OverLimit) -> Self {
        let wait = refusal.retry_in().map_or(1, |wait| wait.as_millis().div_ceil(1000));
        let retry_after = Some(u32::try_from(wait).unwrap_or(u32::MAX));
        let standing = if let OverLimit::TooOften(standing) = refusal { Some(Box::new(standing)) } else { None };
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, refusal.code(), refusal.to_string());
        Self { retry_after, standing, ..problem }
    }
}

impl From<FrameError> for Problem {
    fn from(error: FrameError) -> Self {
        Self::coded(error.code, error.message)
    }
}

impl From<Invalid> for Problem {
    fn from(error: Invalid) -> Self {
        let problem = Self::new(StatusCode::BAD_REQUEST, error.code, error.to_string());
        Self { param: Some(error.param), ..problem }
    }
}

/// A run that failed, as an answer to the request that waited for it.
impl From<&RunError> for Problem {
    fn from(error: &RunError) -> Self {
        let problem = Self::coded(error.code.clone(), error.message.clone());
        let known = error.retry_in_ms.map(|wait| u32::try_from(wait.div_ceil(1000)).unwrap_or(u32::MAX));
        let param = (error.code == CONTEXT_LENGTH).then(|| "messages".to_owned());
        Self { retry_after: known.or(problem.retry_after), is_final: !error.retryable, param, ..problem }
    }
}

impl From<RunNotActive> for Problem {
    fn from(error: RunNotActive) -> Self {
        Self::coded("run_not_active", error.to_string())
    }
}

impl From<KnowledgeError> for Problem {
    fn from(error: KnowledgeError) -> Self {
        match error {
            KnowledgeError::InvalidCollection => Self::new(StatusCode::BAD_REQUEST, "invalid_field", error.to_string()),
            KnowledgeError::Loading | KnowledgeError::Busy => {
                let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", error.to_string());
                Self { retry_after: Some(2), ..problem }
            }
            KnowledgeError::Unavailable(_) => {
                error!(%error, "the knowledge base refused");
                let detail = "the knowledge base is not available";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "knowledge_unavailable", detail)
            }
        }
    }
}

impl From<HandshakeError> for Problem {
    fn from(error: HandshakeError) -> Self {
        let status = match error {
            HandshakeError::NotAnUpgrade | HandshakeError::Version => StatusCode::UPGRADE_REQUIRED,
            HandshakeError::Key | HandshakeError::Protocol(_) => StatusCode::BAD_REQUEST,
        };
        Self::new(status, "invalid_field", error.to_string())
    }
}
