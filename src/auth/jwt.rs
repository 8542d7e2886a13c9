//! JSON Web Tokens (RFC 7519) signed with HMAC-SHA-256. Pure: text and a time in, a grant or a refusal out.
//!
//! The key decides the algorithm and the header has no say: what is signed otherwise fails at the signature, before
//! anything of it is parsed. A key of another kind would be another variant beside `key`.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};

use serde_json::Value;

use super::{
    grant::{Credential, Grant, LEEWAY, Refused},
    principal::{DEFAULT_TENANT, Principal},
};
use crate::{chat::Timestamp, config::AuthConfig};

/// The longest token taken, in bytes.
pub const MAX_TOKEN_BYTES: usize = 4096;
/// The longest life of a token made here.
pub const MAX_LIFETIME: Duration = Duration::from_secs(366 * 24 * 3600);

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

/// Checks tokens, and makes them.
#[derive(Debug)]
pub struct Tokens {
    key: hmac::Key,
    issuer: Option<String>,
    audience: Option<String>,
}

impl Tokens {
    /// With the secret of `auth.*`; `None` when there is none.
    #[must_use]
    pub fn from_config(config: &AuthConfig) -> Option<Self> {
        let secret = config.jwt_secret.as_ref()?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
        Some(Self { key, issuer: config.issuer.clone(), audience: config.audience.clone() })
    }

    /// Checks a token.
    ///
    /// # Errors
    /// [`Refused`], whatever is wrong with it.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Grant, Refused> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Refused);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Refused)?;
        let (header, claims) = message.split_once('.').ok_or(Refused)?;
        // In constant time. A fourth part would be a dot within `claims`, which no base64 has.
        hmac::verify(&self.key, message.as_bytes(), &decode(signature)?).map_err(|_| Refused)?;
        if !parse::<Header>(header)?.is_plain() {
            return Err(Refused);
        }
        self.grant(parse(claims)?, now)
    }

    fn grant(&self, claims: Claims, now: Timestamp) -> Result<Grant, Refused> {
        let (now, leeway) = (now.0 / 1000, LEEWAY.as_secs());
        let over = claims.exp.saturating_add(leeway) <= now;
        let early = claims.nbf.is_some_and(|nbf| nbf > now.saturating_add(leeway));
        let foreign = self.issuer.is_some() && claims.iss != self.issuer;
        // A token that names its audience is for nobody else, also where none is configured (RFC 7519, 4.1.3).
        let meant_for_us = match (&self.audience, &claims.aud) {
            (None, aud) => aud.is_none(),
            (Some(own), Some(aud)) => aud.iter().any(|name| name == own),
            (Some(_), None) => false,
        };
        if over || early || foreign || !meant_for_us {
            return Err(Refused);
        }
        let scopes = claims.scope.map(Scope::list).unwrap_or_default();
        let tenant = claims.tenant.as_deref().unwrap_or(DEFAULT_TENANT);
        let principal = Arc::new(Principal::new(tenant, &claims.sub, scopes).map_err(|_| Refused)?);
        // Other makers write fractions of seconds, or nothing that is a time.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of floats saturates")]
        let made = claims.iat.and_then(|iat| iat.as_f64()).map(|iat| Timestamp((iat as u64).saturating_mul(1000)));
        let expires_at = Timestamp(claims.exp.saturating_mul(1000));
        Ok(Grant { principal, expires_at, credential: Credential::Token(made) })
    }

    /// Makes a token for `principal`; says also when it ends.
    ///
    /// # Errors
    /// [`MintError`]
    pub fn mint(
        &self,
        principal: &Principal,
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<(String, Timestamp), MintError> {
        if lifetime < Duration::from_secs(1) || lifetime > MAX_LIFETIME {
            return Err(MintError::Lifetime);
        }
        let iat = now.0 / 1000;
        let exp = iat.saturating_add(lifetime.as_secs());
        let claims = NewClaims {
            sub: principal.user(),
            tenant: principal.tenant(),
            scope: (!principal.scopes().is_empty()).then(|| principal.scopes().join(" ")),
            iat,
            exp,
            iss: self.issuer.as_deref(),
            aud: self.audience.as_deref(),
        };
        let message = format!("{}.{}", encode(br#"{"alg":"HS256","typ":"JWT"}"#), encode(&json(&claims)));
        let token = format!("{message}.{}", encode(hmac::sign(&self.key, message.as_bytes()).as_ref()));
        if token.len() > MAX_TOKEN_BYTES {
            return Err(MintError::TooLarge);
        }
        Ok((token, Timestamp(exp.saturating_mul(1000))))
    }
}

/// What is read of a header. `kid`, `jku`, `x5u`, `jwk` and the like are not: nobody chooses our key for us.
#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    crit: Option<IgnoredAny>,
    b64: Option<IgnoredAny>,
    zip: Option<IgnoredAny>,
    enc: Option<IgnoredAny>,
    cty: Option<IgnoredAny>,
}

impl Header {
    /// Whether it describes a plain token: no extension that must be understood, nothing nested or compressed, and
    /// not something signed for another purpose.
    fn is_plain(&self) -> bool {
        let extended = [&self.crit, &self.b64, &self.zip, &self.enc, &self.cty].iter().any(|field| field.is_some());
        let typ = self.typ.as_ref().map(|typ| typ.to_ascii_lowercase());
        let typ = typ.as_deref().map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
        self.alg == "HS256" && !extended && matches!(typ, None | Some("jwt" | "at+jwt"))
    }
}

/// What is read of the claims. A claim that is there twice, or of another type, is an error.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    tenant: Option<String>,
    scope: Option<Scope>,
    iat: Option<Value>,
    exp: u64,
    nbf: Option<u64>,
    iss: Option<String>,
    aud: Option<OneOrMany>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn iter(&self) -> std::slice::Iter<'_, String> {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names,
        }
        .iter()
    }
}

/// One text with blanks in between (RFC 8693), or a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scope {
    Text(String),
    List(Vec<String>),
}

impl Scope {
    fn list(self) -> Vec<String> {
        match self {
            Self::Text(text) => text.split_ascii_whitespace().map(str::to_owned).collect(),
            Self::List(scopes) => scopes,
        }
    }
}

#[derive(Serialize)]
struct NewClaims<'a> {
    sub: &'a str,
    tenant: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    iat: u64,
    exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
}

fn parse<T: DeserializeOwned>(part: &str) -> Result<T, Refused> {
    serde_json::from_slice(&decode(part)?).map_err(|_| Refused)
}

fn decode(part: &str) -> Result<Vec<u8>, Refused> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Refused)
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[expect(clippy::expect_used, reason = "texts and numbers in a struct: it cannot fail")]
fn json(claims: &NewClaims<'_>) -> Vec<u8> {
    serde_json::to_vec(claims).expect("claims are JSON")
}

#[cfg(test)]
mod tests;
