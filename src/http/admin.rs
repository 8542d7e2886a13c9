//! What an operator wants to know of the parts.

use axum::{Extension, Json, extract::State, http::StatusCode};
use serde_json::{Value, json};

use super::{Gateway, problem::Problem};
use crate::auth::{ADMIN, Caller};

/// How each target stands, without addresses and keys. A caller who is known needs the scope `admin`; one who is not
/// gets here only where nobody has to be.
pub(super) async fn llm(
    State(gateway): State<Gateway>,
    Extension(Caller(grant)): Extension<Caller>,
) -> Result<Json<Value>, Problem> {
    if grant.is_some_and(|grant| !grant.principal.has_scope(ADMIN)) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", "this needs the scope `admin`"));
    }
    let reports = gateway.model.targets();
    let targets = reports.iter().map(|target| {
        json!({
            "name": target.name,
            "model": target.model,
            "breaker": target.breaker.as_str(),
            "open_for_ms": target.open_for.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
            "failures": target.failures,
            "last_failure": target.last_failure,
            "tokens_left": target.tokens_left,
            "requests_left": target.requests_left,
        })
    });
    Ok(Json(json!({ "model": gateway.model.name(), "targets": targets.collect::<Vec<_>>() })))
}
