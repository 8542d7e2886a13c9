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
use crate::{auth::Caller, chat::Timestamp, store::audit::AuditEntry};

/// The most bytes of a path that are noted.
const TARGET_BYTES: usize = 500;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// The own one when absent.
    tenant: Option<String>,
    /// The last number of the page before.
    #[param(maximum = 18_446_744_073_709_551_615_u64)]
    before: Option<u64>,
    /// The most entries wanted; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct AuditLog {
    entries: Vec<Entry>,
    /// Whether there are older ones; ask again with `before` set to the last one's number.
    more: bool,
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
    let Page { tenant, before, limit } = query(page)?;
    let (tenant, limit) = (reachable(&caller, tenant.as_deref())?, page_limit(limit)?);
    let mut entries = gateway.audit.audit(tenant, before, limit + 1).await?;
    let more = entries.len() > limit;
    entries.truncate(limit);
    let entries = entries.into_iter().map(|(number, entry)| {
        let AuditEntry { at, user, action, target, address, .. } = entry;
        Entry { number, at, user, action, target, address }
    });
    Ok(Reply(AuditLog { entries: entries.collect(), more }))
}
