//! Tokens made here: signed with the gateway's own secret, by HMAC-SHA-256. Pure, but for the random number that names
//! each.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde::Serialize;

use super::{
    jwt::{MAX_LIFETIME, MAX_TOKEN_BYTES},
    principal::Principal,
};
use crate::{chat::Timestamp, config::AuthConfig};

/// Why no token was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// There is no key.
    #[error("there is no secret to sign with: set auth.jwt_secret, or JWT_SECRET_KEY in the environment")]
    NoSecret,
    /// The lifetime.
    #[error("a token is good for at least a second and at most 366 days")]
    Lifetime,
    /// Its claims are so large that nobody would take it.
    #[error("the token would be longer than {MAX_TOKEN_BYTES} bytes")]
    TooLarge,
}

/// A token that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minted {
    /// The token.
    pub token: String,
    /// Its name (`jti`), by which it can be taken back.
    pub id: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Makes tokens.
#[derive(Debug, Clone)]
pub struct Signer {
    key: EncodingKey,
    issuer: Option<String>,
    audience: Option<String>,
}

#[derive(Serialize)]
struct Header {
    alg: Algorithm,
    typ: &'static str,
}

#[derive(Serialize)]
struct NewClaims<'a> {
    sub: &'a str,
    tenant: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    jti: &'a str,
    iat: u64,
    exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
}

impl Signer {
    /// With the secret of `auth.*`; `None` when there is none.
    #[must_use]
    pub fn from_config(config: &AuthConfig) -> Option<Self> {
        let key = EncodingKey::from_secret(config.jwt_secret.as_ref()?.expose().as_bytes());
        Some(Self { key, issuer: config.issuer.clone(), audience: config.audience.clone() })
    }

    /// Makes a token for `principal`.
    ///
    /// # Errors
    /// [`MintError`]
    pub fn mint(&self, principal: &Principal, lifetime: Duration, now: Timestamp) -> Result<Minted, MintError> {
        if lifetime < Duration::from_secs(1) || lifetime > MAX_LIFETIME {
            return Err(MintError::Lifetime);
        }
        let iat = now.0 / 1000;
        let exp = iat.saturating_add(lifetime.as_secs());
        let id = uuid::Uuid::new_v4().simple().to_string();
        let claims = NewClaims {
            sub: principal.user(),
            tenant: principal.tenant(),
            scope: (!principal.scopes().is_empty()).then(|| principal.scopes().join(" ")),
            jti: &id,
            iat,
            exp,
            iss: self.issuer.as_deref(),
            aud: self.audience.as_deref(),
        };
        let message = format!("{}.{}", part(&Header { alg: Algorithm::HS256, typ: "JWT" }), part(&claims));
        let token = format!("{message}.{}", self.signature(&message));
        if token.len() > MAX_TOKEN_BYTES {
            return Err(MintError::TooLarge);
        }
        Ok(Minted { token, id, expires_at: Timestamp(exp.saturating_mul(1000)) })
    }

    #[expect(clippy::expect_used, reason = "the key was made of a secret, and with that it cannot fail")]
    fn signature(&self, message: &str) -> String {
        crypto::sign(message.as_bytes(), &self.key, Algorithm::HS256).expect("a secret signs")
    }
}

#[expect(clippy::expect_used, reason = "texts and numbers in a struct: it cannot fail")]
fn part(value: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).expect("it is JSON"))
}
