//! `/admin/api-keys`, `/admin/revocations`: API keys made, listed, taken back; tokens taken back.
//!
//! An administrator has those of the own tenant; who may administer all names another.

use std::sync::Arc;

use axum::{
    Extension, Json as Reply,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    body::Json,
    gateway::Gateway,
    identity::{allow, allow_to_give},
    names::{Purpose, Scope, TenantName, User, principal},
    problem::Problem,
    sessions::query,
};
use crate::{
    auth::{
        Caller, RevokeError, Right,
        api_keys::{ApiKeyError, ApiKeys},
        jwt::MAX_TOKEN_BYTES,
    },
    chat::Timestamp,
    config::Secret,
    store::credentials::ApiKeyRecord,
};

/// The longest name of a token, in bytes: none that is taken has a longer one.
const MAX_JTI: usize = MAX_TOKEN_BYTES;
/// The longest life of a key that ends, in seconds: a hundred years.
const MAX_LIFE_S: u64 = 100 * 366 * 24 * 3600;

#[derive(Deserialize, ToSchema)]
#[schema(as = NewApiKey)]
pub(super) struct NewKey {
    /// What it is for.
    name: Purpose,
    /// Without one, whoever makes it.
    user: Option<User>,
    /// The own one when absent.
    tenant: Option<TenantName>,
    #[serde(default)]
    #[schema(max_items = 32)]
    scopes: Vec<Scope>,
    /// Never when absent.
    #[schema(minimum = 1, maximum = 3_162_240_000_u64)]
    expires_in_s: Option<u64>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Of {
    /// The own one when absent.
    tenant: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = Revocation)]
pub(super) struct Whose {
    /// The own one when absent.
    tenant: Option<String>,
    /// All of this user's.
    user: Option<String>,
    /// A single token, by its name.
    jti: Option<String>,
    /// A single token, itself.
    #[schema(value_type = Option<String>)]
    token: Option<Secret>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ApiKey {
    id: String,
    name: String,
    tenant: String,
    user: String,
    scopes: Vec<String>,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    used_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    /// The key itself, this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ApiKeyList {
    api_keys: Vec<ApiKey>,
}

/// Makes an API key. It is shown this once.
#[utoipa::path(
    post, path = "/admin/api-keys", tag = "Administration", operation_id = "create_api_key",
    request_body = NewKey,
    responses((status = 201, description = "The key", body = ApiKey)),
)]
pub(super) async fn create(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Json(new): Json<NewKey>,
) -> Result<(StatusCode, Reply<ApiKey>), Problem> {
    let tenant = new.tenant.as_ref().map_or(caller.tenant(), |TenantName(tenant)| tenant);
    let own_user = caller.0.as_ref().map(|grant| grant.principal.user());
    let Some(user) = new.user.as_ref().map(|User(user)| user.as_str()).or(own_user) else {
        return Err(Problem::invalid_field("user", "is missing"));
    };
    let principal = principal(tenant, user, new.scopes)?;
    allow_to_give(&caller, &principal)?;
    if new.expires_in_s.is_some_and(|life| !(1..=MAX_LIFE_S).contains(&life)) {
        return Err(Problem::invalid_field("expires_in_s", &format!("must be 1 to {MAX_LIFE_S}")));
    }
    let expires_at = new.expires_in_s.map(|life| Timestamp::now().plus_seconds(life));
    let (key, record) = keys(&gateway)?.add(&new.name.0, principal, expires_at).await?;
    Ok((StatusCode::CREATED, Reply(ApiKey { key: Some(key), ..record.into() })))
}

/// Lists the API keys of a tenant.
#[utoipa::path(
    get, path = "/admin/api-keys", tag = "Administration", operation_id = "list_api_keys",
    params(Of),
    responses((status = 200, description = "All of them, without the keys themselves", body = ApiKeyList)),
)]
pub(super) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    of: Result<Query<Of>, QueryRejection>,
) -> Result<Reply<ApiKeyList>, Problem> {
    let tenant = query(of)?.tenant;
    let tenant = reachable(&caller, tenant.as_deref())?;
    let api_keys = keys(&gateway)?.list(Some(tenant)).into_iter().map(ApiKey::from).collect();
    Ok(Reply(ApiKeyList { api_keys }))
}

/// Takes an API key back.
#[utoipa::path(
    delete, path = "/admin/api-keys/{id}", tag = "Administration", operation_id = "revoke_api_key",
    params(("id" = String, Path)),
    responses((status = 204, description = "It is no longer good, and what it had opened is closed")),
)]
pub(super) async fn revoke(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let within = (!caller.may(Right::AdministerTenants)).then(|| caller.tenant());
    if !gateway.auth.revoke_key(&id, within).await? {
        return Err(Problem::not_found("API key"));
    }
    gateway.hub.wake();
    Ok(StatusCode::NO_CONTENT)
}

/// Takes back a single token, or those of a user, or of a tenant when none is named, that were made until now.
#[utoipa::path(
    post, path = "/admin/revocations", tag = "Administration", operation_id = "revoke_tokens",
    request_body = Whose,
    responses((status = 204, description = "They are no longer good, and what they had opened is closed")),
)]
pub(super) async fn revoke_tokens(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Json(whose): Json<Whose>,
) -> Result<StatusCode, Problem> {
    let tenant = reachable(&caller, whose.tenant.as_deref())?;
    match (&whose.user, &whose.jti, &whose.token) {
        (None, Some(jti), None) => revoke_named(&gateway, tenant, jti).await?,
        (None, None, Some(token)) => revoke_shown(&gateway, &caller, token).await?,
        (user, None, None) => revoke_all(&gateway, tenant, user.as_deref()).await?,
        _ => {
            let detail = "only one of `user`, `jti` and `token` can be named";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_field", detail));
        }
    }
    gateway.hub.wake();
    Ok(StatusCode::NO_CONTENT)
}

async fn revoke_named(gateway: &Gateway, tenant: &str, jti: &str) -> Result<(), Problem> {
    if jti.is_empty() || jti.len() > MAX_JTI {
        return Err(Problem::invalid_field("jti", &format!("has 1 to {MAX_JTI} bytes")));
    }
    Ok(gateway.auth.revoke_named(tenant, jti).await?)
}

/// One that is over or taken back already is not good any more, and whoever asks is told so.
async fn revoke_shown(gateway: &Gateway, caller: &Caller, token: &Secret) -> Result<(), Problem> {
    let not_good = || Problem::invalid_field("token", "is no token that is good");
    let grant = gateway.auth.verify(token.expose()).await.map_err(|_| not_good())?;
    reachable(caller, Some(grant.principal.tenant()))?;
    if gateway.auth.revoke_grant(&grant).await? { Ok(()) } else { Err(not_good()) }
}

async fn revoke_all(gateway: &Gateway, tenant: &str, user: Option<&str>) -> Result<(), Problem> {
    principal(tenant, user.unwrap_or("anybody"), Vec::new())?;
    Ok(gateway.auth.revoke_tokens(tenant, user).await?)
}

fn keys(gateway: &Gateway) -> Result<&ApiKeys, Problem> {
    gateway.auth.keys().ok_or_else(|| Problem::not_found("store of API keys"))
}

/// The tenant that is meant, when the caller may administer it.
pub(super) fn reachable<'a>(caller: &'a Caller, named: Option<&'a str>) -> Result<&'a str, Problem> {
    let own = caller.tenant();
    let tenant = named.unwrap_or(own);
    if tenant != own {
        allow(caller, Right::AdministerTenants)?;
    }
    Ok(tenant)
}

impl From<ApiKeyRecord> for ApiKey {
    fn from(record: ApiKeyRecord) -> Self {
        let ApiKeyRecord { id, name, tenant, user, scopes, created_at, expires_at, used_at, revoked_at, .. } = record;
        Self { id, name, tenant, user, scopes, created_at, expires_at, used_at, revoked_at, key: None }
    }
}

impl From<ApiKeyError> for Problem {
    fn from(error: ApiKeyError) -> Self {
        match error {
            ApiKeyError::Name => Self::new(StatusCode::BAD_REQUEST, "invalid_field", format!("`name`: {error}")),
            ApiKeyError::TooMany => Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many", error.to_string()),
            ApiKeyError::Store(error) => error.into(),
        }
    }
}

impl From<RevokeError> for Problem {
    fn from(error: RevokeError) -> Self {
        match error {
            RevokeError::TooMany | RevokeError::TooManyTokens => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many", error.to_string())
            }
            RevokeError::Store(error) => error.into(),
        }
    }
}
