//! JSON Web Tokens (RFC 7519). Pure: text and a time in, a grant or a refusal out.
//!
//! Who has the keys reads a token (`Sealed::read`), looks for the key that it needs and proves its signature, and only
//! then asks what it says (`Sealed::grant`). Of a token that nobody has proven, no more is looked at than which kind of
//! key it needs, and what that is called.

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::Value;

use super::{
    grant::{Credential, Grant, LEEWAY, Refused, TokenId},
    principal::{DEFAULT_TENANT, Principal},
};
use crate::{chat::Timestamp, config::AuthConfig};

/// The longest token taken, in bytes.
pub const MAX_TOKEN_BYTES: usize = 4096;
/// The longest life of a token. What was taken back need not be known for longer.
pub const MAX_LIFETIME: Duration = Duration::from_secs(366 * 24 * 3600);

/// A token whose signature is still to be proven.
#[derive(Debug)]
pub(super) struct Sealed<'a> {
    /// What is signed.
    pub(super) message: &'a str,
    /// In base64.
    pub(super) signature: &'a str,
    /// By what it says that it is signed.
    pub(super) algorithm: Algorithm,
    /// What it calls the key.
    pub(super) kid: Option<String>,
    claims: &'a str,
}

/// What claims must be, beyond what they must be everywhere.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    issuer: Option<String>,
    audience: Option<String>,
}

impl Rules {
    pub(super) fn from_config(config: &AuthConfig) -> Self {
        Self { issuer: config.issuer.clone(), audience: config.audience.clone() }
    }
}

impl<'a> Sealed<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// [`Refused`] when it is no plain token of an algorithm that is taken.
    pub(super) fn read(token: &'a str) -> Result<Self, Refused> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Refused);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Refused)?;
        // A fourth part would be a dot within `claims`, which no base64 has.
        let (header, claims) = message.split_once('.').ok_or(Refused)?;
        let header: Header = parse(header)?;
        if !header.is_plain() {
            return Err(Refused);
        }
        let algorithm = match header.alg.as_str() {
            "HS256" => Algorithm::HS256,
            "RS256" => Algorithm::RS256,
            "ES256" => Algorithm::ES256,
            "EdDSA" => Algorithm::EdDSA,
            _ => return Err(Refused),
        };
        Ok(Self { message, signature, algorithm, kid: header.kid, claims })
    }

    /// What it grants, once its signature is proven.
    ///
    /// # Errors
    /// [`Refused`] when its claims are not such as they must be.
    pub(super) fn grant(&self, rules: &Rules, now: Timestamp) -> Result<Grant, Refused> {
        let claims: Claims = parse(self.claims)?;
        let (now, leeway) = (now.0 / 1000, LEEWAY.as_secs());
        let made = claims.made();
        let exp = match made {
            // What was taken back is known by when it was made, and for as long as a token lives at most.
            Some(made) if made > now.saturating_add(leeway) => return Err(Refused),
            Some(made) => claims.exp.min(made.saturating_add(MAX_LIFETIME.as_secs())),
            None if claims.exp > now.saturating_add(MAX_LIFETIME.as_secs()) => return Err(Refused),
            None => claims.exp,
        };
        let over = exp.saturating_add(leeway) <= now;
        let early = claims.nbf.is_some_and(|nbf| nbf > now.saturating_add(leeway));
        if over || early || !rules.allow(&claims) {
            return Err(Refused);
        }
        let Claims { sub, tenant, jti, .. } = &claims;
        let tenant = tenant.as_deref().unwrap_or(DEFAULT_TENANT);
        let id = TokenId::of(tenant, jti.as_deref(), self.message);
        let principal = Principal::new(tenant, sub, claims.scopes()).map_err(|_| Refused)?;
        let made = made.map(|made| Timestamp(made.saturating_mul(1000)));
        let expires_at = Timestamp(exp.saturating_mul(1000));
        Ok(Grant { principal: Arc::new(principal), expires_at, credential: Credential::Token { id, made } })
    }
}

impl Rules {
    fn allow(&self, claims: &Claims) -> bool {
        let is_ours = self.issuer.is_none() || claims.iss == self.issuer;
        // A token that names its audience is for nobody else, also where none is configured (RFC 7519, 4.1.3).
        is_ours
            && match (&self.audience, &claims.aud) {
                (None, aud) => aud.is_none(),
                (Some(own), Some(aud)) => aud.iter().any(|name| name == own),
                (Some(_), None) => false,
            }
    }
}

/// What is read of a header. `jku`, `x5u`, `jwk` and the like are not: nobody brings the key along.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
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
        !extended && matches!(typ, None | Some("jwt" | "at+jwt"))
    }
}

/// What is read of the claims. A claim that is there twice, or of another type, is an error.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    tenant: Option<String>,
    scope: Option<Scope>,
    /// What some makers call it.
    scp: Option<Scope>,
    /// And what others do, beside it.
    permissions: Option<Scope>,
    jti: Option<String>,
    iat: Option<Value>,
    exp: u64,
    nbf: Option<u64>,
    iss: Option<String>,
    aud: Option<OneOrMany>,
}

impl Claims {
    /// When it was made, in seconds. Some makers write fractions, or nothing that is a time.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of floats saturates")]
    fn made(&self) -> Option<u64> {
        self.iat.as_ref().and_then(Value::as_f64).map(|iat| iat as u64)
    }

    /// All that it names, each once.
    fn scopes(&self) -> Vec<String> {
        let mut scopes: Vec<String> = Vec::new();
        for scope in [&self.scope, &self.scp, &self.permissions].into_iter().flatten().flat_map(Scope::list) {
            if !scopes.iter().any(|known| known == scope) {
                scopes.push(scope.to_owned());
            }
        }
        scopes
    }
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
    fn list(&self) -> Vec<&str> {
        match self {
            Self::Text(text) => text.split_ascii_whitespace().collect(),
            Self::List(scopes) => scopes.iter().map(String::as_str).collect(),
        }
    }
}

fn parse<T: DeserializeOwned>(part: &str) -> Result<T, Refused> {
    let text = URL_SAFE_NO_PAD.decode(part).map_err(|_| Refused)?;
    serde_json::from_slice(&text).map_err(|_| Refused)
}
