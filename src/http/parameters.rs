//! What a socket and a stream of events are told in their address.

use axum::extract::{Query, rejection::QueryRejection};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{problem::Problem, sessions::query};

/// The parameters, all of them optional.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// A cursor to go on behind.
    pub(super) resume: Option<String>,
    /// The assistant that is to answer in a new conversation.
    pub(super) assistant: Option<String>,
    /// Whether a new conversation neither knows nor leaves any memories.
    #[serde(default)]
    pub(super) temporary: bool,
    /// Who the client is.
    pub(super) ticket: Option<String>,
    #[param(ignore)]
    token: Option<String>,
    #[param(ignore)]
    access_token: Option<String>,
}

/// Takes them from the address.
///
/// # Errors
/// The problem to answer with, also when a token is among them: URLs end up in logs and histories.
pub(super) fn parameters(given: Result<Query<Parameters>, QueryRejection>) -> Result<Parameters, Problem> {
    let parameters = query(given)?;
    if parameters.token.is_some() || parameters.access_token.is_some() {
        let problem =
            "must not be in the URL: send it in the `Authorization` header or in `hello`, or ask for a ticket";
        return Err(Problem::invalid_field("token", problem));
    }
    Ok(parameters)
}
