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
use serde_json::{Value, json};

use super::{
    body::Json,
    gateway::Gateway,
    identity::{allow, allow_to_give},
    problem::Problem,
    sessions::query,
};
use crate::{
    auth::{
        Caller, Principal, RevokeError, Right,
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

#[derive(Deserialize)]
pub(super) struct NewKey {
    name: String,
    /// Without one, whoever makes it.
    user: Option<String>,
    tenant: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    expires_in_s: Option<u64>,
}

#[derive(Deserialize)]
pub(super) struct Of {
    tenant: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Whose {
    tenant: Option<String>,
    user: Option<String>,
    /// A single token, by its name.
    jti: Option<String>,
    /// A single token, itself.
    token: Option<Secret>,
}

#[derive(Serialize)]
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

pub(super) async fn create(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Json(new): Json<NewKey>,
) -> Result<(StatusCode, Reply<ApiKey>), Problem> {
    let tenant = new.tenant.as_deref().unwrap_or(caller.tenant());
    let own_user = caller.0.as_ref().map(|grant| grant.principal.user());
    let Some(user) = new.user.as_deref().or(own_user) else {
        return Err(Problem::invalid_field("user", "is missing"));
    };
    let principal = Principal::new(tenant, user, new.scopes)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "invalid_field", error.to_string()))?;
    allow_to_give(&caller, &principal)?;
    if new.expires_in_s.is_some_and(|life| !(1..=MAX_LIFE_S).contains(&life)) {
        return Err(Problem::invalid_field("expires_in_s", &format!("must be 1 to {MAX_LIFE_S}")));
    }
    let expires_at = new.expires_in_s.map(|life| Timestamp::now().plus_seconds(life));
    let (key, record) = keys(&gateway)?.add(&new.name, principal, expires_at).await?;
    Ok((StatusCode::CREATED, Reply(ApiKey { key: Some(key), ..record.into() })))
}

pub(super) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    of: Result<Query<Of>, QueryRejection>,
) -> Result<Reply<Value>, Problem> {
    let tenant = query(of)?.tenant;
    let tenant = reachable(&caller, tenant.as_deref())?;
    let records = keys(&gateway)?.list(Some(tenant)).into_iter().map(ApiKey::from);
    Ok(Reply(json!({ "api_keys": records.collect::<Vec<_>>() })))
}

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
    Principal::new(tenant, user.unwrap_or("anybody"), Vec::new())
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "invalid_field", error.to_string()))?;
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
