//! What is done to credentials and documents is noted: who, what, to what, from where. `/admin/audit` shows it.
//!
//! Noted is what was done, after it was; what was refused is not, or floods of it would hide the rest.

use std::sync::Arc;

use axum::{
    Extension, Json as Reply,
    extract::{MatchedPath, Query, Request, State, rejection::QueryRejection},
    middleware::Next,
    response::Response,
};
use serde::{Deserialize, Serialize};
use tracing::error;
use utoipa::{IntoParams, ToSchema};

use super::{
    client::ClientAddress, credentials::reachable, desk::page_limit, gateway::Gateway, problem::Problem,
    sessions::query,
};
use crate::{
    auth::Caller,
    chat::Timestamp,
    store::audit::{AuditEntry, AuditPage, AuditWords},
};

/// The most bytes of a path that are noted.
const TARGET_BYTES: usize = 500;
/// The longest text that is looked for.
const WORDS_CHARS: usize = 200;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// The own one when absent.
    tenant: Option<String>,
    /// Words that an entry has to have, all of them, anywhere in who, what, to what and where.
    #[param(max_length = 200)]
    words: Option<String>,
    /// `next` of the page before.
    #[param(maximum = 18_446_744_073_709_551_615_u64)]
    before: Option<u64>,
    /// The most entries wanted; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct AuditLog {
    entries: Vec<Entry>,
    /// Whether there are older ones that were not looked at.
    more: bool,
    /// What `before` has to be to go on with those.
    next: Option<u64>,
}

/// Something that was done.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
struct Entry {
    number: u64,
    at: Timestamp,
    user: String,
    /// The method and the route.
    action: String,
    /// The path.
    target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
}

/// Notes what a request that changes something did.
pub(super) async fn note(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    route: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let path = request.uri().path(); // Below `/api/v1`, of which the route has the whole.
    let entry = AuditEntry {
        at: Timestamp::now(),
        tenant: caller.tenant().to_owned(),
        user: caller.0.as_ref().map_or("", |grant| grant.principal.user()).to_owned(),
        action: format!("{} {}", request.method(), route.as_str()),
        target: path[..path.floor_char_boundary(TARGET_BYTES)].to_owned(),
        address: request.extensions().get::<ClientAddress>().map(|client| client.0.to_string()),
    };
    let response = next.run(request).await;
    if response.status().is_success()
        && let Err(error) = gateway.audit.note(entry, gateway.audit_days).await
    {
        // It is done already, and whoever did it should not do it again.
        error!(%error, "what was done could not be noted in the audit log");
    }
    response
}

/// What was done to credentials and documents: newest first.
#[utoipa::path(
    get, path = "/admin/audit", tag = "Administration", operation_id = "read_audit_log",
    params(Page),
    responses((status = 200, description = "A page of it", body = AuditLog)),
)]
pub(super) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Reply<AuditLog>, Problem> {
    let Page { tenant, words, before, limit } = query(page)?;
    let (tenant, limit) = (reachable(&caller, tenant.as_deref())?, page_limit(limit)?);
    let words = words.unwrap_or_default();
    if words.chars().count() > WORDS_CHARS {
        return Err(Problem::invalid_field("words", &format!("has at most {WORDS_CHARS} characters")));
    }
    let AuditPage { entries, next } = gateway.audit.audit(tenant, AuditWords::of(&words), before, limit).await?;
    let entries = entries.into_iter().map(|(number, entry)| {
        let AuditEntry { at, user, action, target, address, .. } = entry;
        Entry { number, at, user, action, target, address }
    });
    Ok(Reply(AuditLog { entries: entries.collect(), more: next.is_some(), next }))
}
