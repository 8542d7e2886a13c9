//! What failures at a server are called, and what of a provider's words is shown of them: never the key, and nothing that
//! a terminal would take for more than text.

use std::time::Duration;

use reqwest::{Response, StatusCode, header::LOCATION};
use tracing::info;

use super::Endpoint;
use crate::{
    chat::printable,
    llm::{
        error::{Clock, ModelError, Rejection, Stage},
        http::{chain, read_some, retry_after},
        upstream_error::{Blame, UpstreamError},
    },
};

/// The most bytes kept of what a provider says about an error.
pub(super) const MAX_DETAIL_BYTES: usize = 2048;

impl Endpoint {
    /// The server did not answer as one does that answers. A refusal of what the model wrote, where that is told and a
    /// tool may be called, is an answer all the same: the call may be in it.
    pub(super) async fn refused(&self, response: Response, may_call: bool) -> Result<Response, ModelError> {
        let status = response.status();
        let retry_after = retry_after(response.headers());
        if status.is_redirection() {
            let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("nowhere");
            let detail = format!("it redirects to {to}; redirects are not followed, for the key would follow too");
            return Err(self.failed(status.as_u16(), &detail, None));
        }
        let body = read_some(response).await;
        let error = UpstreamError::from_body(&body);
        // What is said about the pace or with a failure of its own is not about the question.
        let is_client_error = status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS;
        Err(match error.blame {
            Blame::Filter if is_client_error => self.rejected(status.as_u16(), &error, Rejection::Filter),
            // Some say it as if it were their own fault, which may pass.
            Blame::ContextLength if is_client_error || status.is_server_error() => {
                self.rejected(status.as_u16(), &error, Rejection::ContextLength)
            }
            Blame::Tools if is_client_error || status.is_server_error() => {
                self.rejected(status.as_u16(), &error, Rejection::Tools)
            }
            Blame::Output if is_client_error && may_call && error.generation.is_some() => {
                return Ok(Response::from(http::Response::new(body)));
            }
            Blame::Output if is_client_error => self.unusable(&error.detail),
            _ => {
                // Some faults of the server's own come as if the request were to blame.
                let meant = error.status.filter(|meant| *meant >= 500).unwrap_or(status.as_u16());
                self.failed(meant, &error.detail, retry_after)
            }
        })
    }

    /// What a provider says within a stream that began well.
    pub(in crate::llm) fn said(&self, error: &UpstreamError) -> ModelError {
        match error.blame {
            Blame::Status => self.failed(error.status.unwrap_or(500), &error.detail, None),
            Blame::Filter => self.rejected(error.status.unwrap_or(400), error, Rejection::Filter),
            Blame::ContextLength => self.rejected(error.status.unwrap_or(400), error, Rejection::ContextLength),
            Blame::Tools => self.rejected(error.status.unwrap_or(400), error, Rejection::Tools),
            Blame::Output => self.unusable(&error.detail),
        }
    }

    /// The stream ended without proof.
    pub(in crate::llm) fn truncated(&self, detail: &str) -> ModelError {
        ModelError::Truncated { target: self.name.clone(), detail: self.shown(detail) }
    }

    /// What the model wrote is no answer.
    pub(in crate::llm) fn unusable(&self, detail: &str) -> ModelError {
        ModelError::Unusable { target: self.name.clone(), detail: self.shown(detail) }
    }

    /// The error behind a status: the caller's and the key's faults are rejections, all else may pass.
    pub(super) fn failed(&self, status: u16, detail: &str, retry_after: Option<Duration>) -> ModelError {
        let (target, detail) = (self.name.clone(), self.shown(detail));
        match status {
            408 | 409 | 425 | 429 | 498.. => ModelError::Unavailable { target, detail, retry_after },
            _ => ModelError::Rejected { target, status, detail, reason: Rejection::Request },
        }
    }

    fn rejected(&self, status: u16, error: &UpstreamError, reason: Rejection) -> ModelError {
        ModelError::Rejected { target: self.name.clone(), status, detail: self.shown(&error.detail), reason }
    }

    /// The request did not arrive, or no answer to it.
    pub(super) fn not_sent(&self, error: reqwest::Error) -> ModelError {
        if error.is_timeout() && error.is_connect() {
            return ModelError::Timeout { target: self.name.clone(), clock: Clock::Connect, stage: Stage::Asked };
        }
        self.failed(503, &chain(&error.without_url()), None)
    }

    /// Logs what the provider calls a request that failed, for whoever has to ask them about it.
    pub(in crate::llm) fn failed_as(&self, id: Option<&str>) {
        if let Some(id) = id {
            info!(target_name = self.name, id, "an attempt failed that the provider knows by this id");
        }
    }

    /// The one way in which a provider's words get into an error, and so into the log: without the key, which is taken out
    /// before anything is cut, and at most [`MAX_DETAIL_BYTES`] of them.
    fn shown(&self, detail: &str) -> String {
        match &self.api_key {
            Some(key) => printable(&detail.replace(key.expose(), "***"), MAX_DETAIL_BYTES),
            None => printable(detail, MAX_DETAIL_BYTES),
        }
    }
}
