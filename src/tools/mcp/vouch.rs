//! Who asks, as a server is told it: a short-lived token that is signed with a secret which that server alone shares. It opens
//! nothing else, for neither the gateway nor another server knows that secret. Pure, but for the number that names each.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;

use crate::{
    chat::{Owner, Timestamp},
    config::Secret,
};

/// How long it is good, in seconds.
const LIFETIME_S: u64 = 300;
/// In whose name a server is asked what it has, and who has signed.
const GATEWAY: &str = "rivulet";

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'static str,
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    aud: &'a str,
    jti: String,
    iat: u64,
    exp: u64,
}

/// A token of `owner` for the server at `audience`; `None`: of the gateway itself, which has no tenant.
///
/// # Errors
/// Why there is none.
pub(super) fn token(
    secret: &Secret,
    audience: &str,
    owner: Option<&Owner>,
    now: Timestamp,
) -> Result<String, jsonwebtoken::errors::Error> {
    let iat = now.0 / 1000;
    let claims = Claims {
        iss: GATEWAY,
        sub: owner.map_or(GATEWAY, Owner::user),
        tenant: owner.map(Owner::tenant),
        aud: audience,
        jti: uuid::Uuid::new_v4().simple().to_string(),
        iat,
        exp: iat.saturating_add(LIFETIME_S),
    };
    encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(secret.expose().as_bytes()))
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_token_says_who_asks_whom_and_for_five_minutes() {
        let secret = Secret::new("s".repeat(32));
        let of = |owner: Option<&Owner>| {
            let token = token(&secret, "https://crm.example/mcp", owner, Timestamp(1_000_000)).unwrap();
            let claims = token.split('.').nth(1).unwrap();
            serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
        };
        let claims = of(Some(&Owner::new("acme/ann/b")));
        assert_eq!((&claims["sub"], &claims["tenant"]), (&"ann/b".into(), &"acme".into()));
        assert_eq!(claims["aud"], "https://crm.example/mcp");
        assert_eq!((&claims["iat"], &claims["exp"]), (&1000.into(), &1300.into()));
        let claims = of(None);
        assert_eq!((&claims["sub"], &claims["tenant"]), (&"rivulet".into(), &Value::Null));
    }
}
