//! Credentials and keys as text: tokens, public keys, sets of keys.

use std::{
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rivulet::{
    auth::{Authenticator, check_public_key, count_keys},
    config::{AuthConfig, Secret},
};
use serde_json::Value;

use super::parts::first_line;

const SECRET: &str = "9f1c2b7e5d3a48609f1c2b7e5d3a4860";

/// Nothing is a token that its secret has not signed, and of what it has signed only what says the right things. The
/// input is one of three by its first line: `pem`, `jwks`, or else the head of a token, with the claims below.
pub fn credentials(bytes: &[u8]) {
    let (first, rest) = first_line(bytes);
    match first {
        b"pem" => {
            if let Ok(text) = std::str::from_utf8(rest)
                && check_public_key(text).is_ok()
            {
                assert!(text.contains("PUBLIC KEY-----") && !text.contains("PRIVATE KEY-----"));
            }
        }
        b"jwks" => {
            if let Ok((good, left_out)) = count_keys(rest) {
                assert!(good + left_out <= 100, "{good} {left_out}");
            }
        }
        head => signed(head, rest),
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert!(authenticator().verify_now(text).is_err(), "nobody signed this");
    }
}

fn authenticator() -> &'static Authenticator {
    static AUTHENTICATOR: OnceLock<Authenticator> = OnceLock::new();
    AUTHENTICATOR.get_or_init(|| {
        let config = AuthConfig { jwt_secret: Some(Secret::new(SECRET)), ..AuthConfig::default() };
        Authenticator::new(&config).expect("there are no files to read")
    })
}

fn signed(head: &[u8], claims: &[u8]) {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims));
    let sign = |secret: &str| {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
    };
    assert!(authenticator().verify_now(&sign("another secret")).is_err());
    assert!(authenticator().verify_now(&format!("{message}.")).is_err());
    let Ok(grant) = authenticator().verify_now(&sign(SECRET)) else { return };
    let (Some(head), Some(claims)) = (object(head), object(claims)) else { return };
    assert_eq!(head["alg"], "HS256");
    assert!(
        ["crit", "b64", "zip", "enc", "cty"].iter().all(|name| head.get(*name).is_none_or(Value::is_null)),
        "{head}"
    );
    assert_eq!(grant.principal.user(), claims["sub"]);
    assert_eq!(grant.principal.tenant(), claims.get("tenant").and_then(Value::as_str).unwrap_or("default"));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later").as_secs();
    let longest = Duration::from_secs(367 * 24 * 3600).as_secs();
    assert!(claims["exp"].as_u64().is_some_and(|exp| exp.saturating_add(6) >= now), "{claims}");
    assert!(grant.expires_at.0 / 1000 <= now + longest, "{claims}");
    assert!(claims.get("aud").is_none_or(Value::is_null), "it is for somebody else: {claims}");
}

/// `None` when something is wrong with what nobody looks at.
fn object(text: &[u8]) -> Option<Value> {
    serde_json::from_slice(text).ok()
}
