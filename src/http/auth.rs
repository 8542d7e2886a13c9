//! `/auth`, `/tickets`, `/auth/token`, `/auth/validate`, `/auth/revoke`: how one signs in, and credentials made, looked at
//! and given up.

use std::{sync::Arc, time::Duration};

use axum::{Extension, Json as Reply, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    body::Json,
    gateway::Gateway,
    identity::{allow, allow_to_give, unauthenticated},
    names::{Scope, TenantName, User, principal},
    problem::Problem,
};
use crate::{
    auth::{Caller, Grant, MintError, Minted, Principal, Right, TICKET_LIFE, TicketError},
    chat::Timestamp,
    config::Secret,
};

/// How long a token is good when nobody says, in seconds.
const DEFAULT_LIFETIME_S: u64 = 3600;

/// How a browser gets to be somebody.
#[derive(Serialize, ToSchema)]
pub(super) struct SignIn {
    /// Whether everybody has to be somebody.
    required: bool,
    /// Where a browser gets a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    sign_in_url: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Ticket {
    ticket: String,
    expires_in_s: u64,
}

#[derive(Deserialize, ToSchema)]
pub(super) struct NewToken {
    user: User,
    /// The own one when absent.
    tenant: Option<TenantName>,
    #[serde(default)]
    #[schema(max_items = 32)]
    scopes: Vec<Scope>,
    /// 3,600 when absent.
    #[schema(minimum = 1, maximum = 31_622_400)]
    expires_in_s: Option<u64>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Token {
    token: String,
    token_type: &'static str,
    /// By which it can be taken back.
    jti: String,
    expires_in_s: u64,
    expires_at: Timestamp,
}

#[derive(Deserialize, ToSchema)]
pub(super) struct Candidate {
    #[schema(value_type = String)]
    token: Secret,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Validity {
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

/// How one signs in.
#[utoipa::path(
    get, path = "/auth", tag = "Credentials", operation_id = "how_to_sign_in",
    responses((status = 200, description = "Whether one has to, and where", body = SignIn)),
)]
pub(super) async fn sign_in(State(gateway): State<Arc<Gateway>>) -> Reply<SignIn> {
    Reply(SignIn { required: gateway.auth.required(), sign_in_url: gateway.auth.sign_in_url().map(str::to_owned) })
}

/// A ticket, by which a browser opens one socket or one stream of events without a header.
#[utoipa::path(
    post, path = "/tickets", tag = "Credentials", operation_id = "create_ticket",
    responses((status = 201, description = "The ticket", body = Ticket)),
)]
pub(super) async fn ticket(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
) -> Result<(StatusCode, Reply<Ticket>), Problem> {
    let ticket = gateway.auth.issue_ticket(&caller)?;
    Ok((StatusCode::CREATED, Reply(Ticket { ticket, expires_in_s: TICKET_LIFE.as_secs() })))
}

/// Makes a token, for the own tenant or, with `admin:tenants`, for another.
#[utoipa::path(
    post, path = "/auth/token", tag = "Credentials", operation_id = "create_token",
    security(("bearer" = ["admin"])),
    request_body = NewToken,
    responses((status = 200, description = "The token", body = Token)),
)]
pub(super) async fn mint(
    State(gateway): State<Arc<Gateway>>,
    Extension(Caller(grant)): Extension<Caller>,
    Json(new): Json<NewToken>,
) -> Result<Reply<Token>, Problem> {
    let grant = grant.ok_or_else(|| unauthenticated("this address needs a token with the scope `admin`"))?;
    let caller = Caller(Some(grant.clone()));
    allow(&caller, Right::Administer)?; // Before anything is said of what was asked for.
    let tenant = new.tenant.as_ref().map_or(caller.tenant(), |TenantName(tenant)| tenant);
    let principal = principal(tenant, &new.user.0, new.scopes)?;
    allow_to_give(&caller, &principal)?;
    let most = left_to_give(&grant, &principal);
    let expires_in_s = new.expires_in_s.unwrap_or(DEFAULT_LIFETIME_S.min(most));
    if expires_in_s > most {
        let detail = format!("must be at most {most}: a token that can make others ends with the one that made it");
        return Err(Problem::invalid_field("expires_in_s", &detail));
    }
    let Minted { token, id: jti, expires_at } = gateway.auth.mint(&principal, Duration::from_secs(expires_in_s))?;
    Ok(Reply(Token { token, token_type: "Bearer", jti, expires_in_s, expires_at }))
}

/// How long a token may be good that `grant` makes, in seconds. Who could make one after another would never have to come
/// back, and nothing would be won by giving them one for an hour.
fn left_to_give(grant: &Grant, principal: &Principal) -> u64 {
    if !principal.may(Right::Administer) {
        return u64::MAX;
    }
    (grant.expires_at.0.saturating_sub(Timestamp::now().0) / 1000).max(1)
}

/// Whether a token is good, and whose it is.
#[utoipa::path(
    post, path = "/auth/validate", tag = "Credentials", operation_id = "validate_token",
    request_body = Candidate,
    responses((status = 200, description = "What is known of it", body = Validity)),
)]
pub(super) async fn validate(
    State(gateway): State<Arc<Gateway>>,
    Json(Candidate { token }): Json<Candidate>,
) -> Reply<Validity> {
    let grant = gateway.auth.verify(token.expose()).await.ok();
    let principal = grant.as_ref().map(|grant| &grant.principal);
    Reply(Validity {
        valid: grant.is_some(),
        tenant: principal.map(|principal| principal.tenant().to_owned()),
        user: principal.map(|principal| principal.user().to_owned()),
        scopes: principal.map(|principal| principal.scopes().to_vec()),
        expires_at: grant.as_ref().map(|grant| grant.expires_at),
    })
}

/// Takes back the token that the caller came with: they are signed out, here and wherever else it was used.
#[utoipa::path(
    post, path = "/auth/revoke", tag = "Credentials", operation_id = "revoke_own_token",
    responses((status = 204, description = "It is no longer good, and what it had opened is closed")),
)]
pub(super) async fn revoke(
    State(gateway): State<Arc<Gateway>>,
    Extension(Caller(grant)): Extension<Caller>,
) -> Result<StatusCode, Problem> {
    let grant = grant.ok_or_else(|| unauthenticated("this address needs the token that is to be taken back"))?;
    if !gateway.auth.revoke_grant(&grant).await? {
        let detail = "an API key is taken back by who administers it, at `/admin/api-keys/{id}`";
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail));
    }
    gateway.hub.wake_own(grant.principal.owner());
    Ok(StatusCode::NO_CONTENT)
}

impl From<TicketError> for Problem {
    fn from(error: TicketError) -> Self {
        let (status, code) = match error {
            TicketError::TooManyOwn => (StatusCode::TOO_MANY_REQUESTS, "rate_limited"),
            TicketError::TooMany => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
        };
        let retry_after = u32::try_from(TICKET_LIFE.as_secs()).ok();
        Self { retry_after, ..Self::new(status, code, error.to_string()) }
    }
}

impl From<MintError> for Problem {
    fn from(error: MintError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_field", error.to_string())
    }
}
