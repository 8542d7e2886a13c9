use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    auth::{
        grant::{Credential, TokenId},
        mint::{MintError, Signer},
        principal::Principal,
        testing::Maker,
    },
    config::Secret,
};

mod makers;

const NOW: u64 = 1_800_000_000;
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn config(issuer: Option<&str>, audience: Option<&str>) -> AuthConfig {
    AuthConfig {
        required: true,
        jwt_secret: Some(Secret::new(SECRET)),
        issuer: issuer.map(str::to_owned),
        audience: audience.map(str::to_owned),
        ..AuthConfig::default()
    }
}

fn tokens(issuer: Option<&str>, audience: Option<&str>) -> Tokens {
    Tokens::from_config(&config(issuer, audience)).unwrap()
}

impl Tokens {
    fn verify(&self, token: &str, now: Timestamp) -> Result<Grant, Refused> {
        self.check_now(token, now).map_err(|_| Refused)
    }
}

fn now() -> Timestamp {
    Timestamp(NOW * 1000)
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Signs anything, well.
fn signed(header: &str, claims: &str) -> String {
    signed_with(SECRET.as_bytes(), header, claims)
}

fn signed_with(secret: &[u8], header: &str, claims: &str) -> String {
    let message = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    format!("{message}.{}", encode(hmac::sign(&key, message.as_bytes()).as_ref()))
}

fn of(claims: &Value) -> Result<Grant, Refused> {
    tokens(None, None).verify(&signed(r#"{"alg":"HS256","typ":"JWT"}"#, &claims.to_string()), now())
}

fn claims(changes: Value) -> Value {
    let mut claims = json!({"sub": "ann", "exp": NOW + 60});
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

#[test]
fn what_was_made_is_taken() {
    let principal = Principal::new("acme", "ann@example.org", vec!["admin".into(), "chat:read".into()]).unwrap();
    for (issuer, audience) in [(None, None), (Some("me"), Some("chat"))] {
        let signer = Signer::from_config(&config(issuer, audience)).unwrap();
        let minted = signer.mint(&principal, Duration::from_secs(60), now()).unwrap();
        let expires_at = Timestamp((NOW + 60) * 1000);
        assert_eq!(minted.expires_at, expires_at);
        let id = TokenId::named("acme", &minted.id);
        let (principal, credential) = (Arc::new(principal.clone()), Credential::Token { id, made: Some(now()) });
        let granted = tokens(issuer, audience).verify(&minted.token, now());
        assert_eq!(granted, Ok(Grant { principal, expires_at, credential }));
    }
    let signer = Signer::from_config(&config(None, None)).unwrap();
    let lifetime = |seconds| signer.mint(&principal, Duration::from_secs(seconds), now()).map(|_| ());
    assert_eq!((lifetime(0), lifetime(367 * 24 * 3600)), (Err(MintError::Lifetime), Err(MintError::Lifetime)));
    let scopes = (0..32).map(|n| format!("{n:0>64}")).collect();
    let large = Principal::new("acme", &"😀".repeat(128), scopes).unwrap();
    let minted = signer.mint(&large, Duration::from_secs(60), now()).expect("the largest principal fits");
    assert!(tokens(None, None).verify(&minted.token, now()).is_ok());
}

#[test]
fn times_count_with_a_little_leeway() {
    for (changes, valid) in [
        (json!({"exp": NOW - 4}), true),
        (json!({"exp": NOW - 5}), false),
        (json!({"exp": NOW + 366 * 24 * 3600}), true),
        (json!({"exp": NOW + 366 * 24 * 3600 + 1}), false),
        (json!({"exp": u64::MAX}), false),
        (json!({"exp": u64::MAX, "iat": NOW}), true),
        (json!({"exp": u64::MAX, "iat": NOW - 366 * 24 * 3600 - 4}), true),
        (json!({"exp": u64::MAX, "iat": NOW - 366 * 24 * 3600 - 5}), false),
        (json!({"iat": NOW + 5}), true),
        (json!({"iat": NOW + 6}), false),
        (json!({"iat": NOW as f64 - 0.5}), true),
        (json!({"iat": "yesterday"}), true),
        (json!({"exp": 0}), false),
        (json!({"nbf": NOW + 5}), true),
        (json!({"nbf": NOW + 6}), false),
        (json!({"nbf": u64::MAX}), false),
    ] {
        assert_eq!(of(&claims(changes.clone())).is_ok(), valid, "{changes}");
    }
    let endless = of(&claims(json!({"exp": u64::MAX, "iat": NOW - 60}))).unwrap();
    assert_eq!(endless.expires_at, Timestamp((NOW - 60 + 366 * 24 * 3600) * 1000), "no token lives longer than a year");
}

#[test]
fn scopes_are_read_by_all_their_names() {
    let scopes = |changes| of(&claims(changes)).unwrap().principal.scopes().to_vec();
    assert_eq!(scopes(json!({"scope": " chat  openid "})), ["chat", "openid"]);
    assert_eq!(scopes(json!({"scp": "chat admin"})), ["chat", "admin"]);
    assert_eq!(scopes(json!({"scp": ["chat"], "scope": "openid chat"})), ["openid", "chat"]);
    assert_eq!(scopes(json!({"scope": "openid", "permissions": ["knowledge:read"]})), ["openid", "knowledge:read"]);
    assert_eq!(scopes(json!({"scope": null, "scp": []})), [""; 0]);
    assert_eq!(scopes(json!({"scope": vec!["s"; 33]})), ["s"]);
}

#[test]
fn a_token_is_known_by_its_name_or_by_what_it_says() {
    let id = |changes: Value, header: &str| match tokens(None, None)
        .verify(&signed(header, &claims(changes).to_string()), now())
        .unwrap()
        .credential
    {
        Credential::Token { id, .. } => id,
        Credential::ApiKey(_) => panic!("no API key"),
    };
    let plain = r#"{"alg":"HS256"}"#;
    let named = id(json!({"jti": "a"}), plain);
    assert_eq!(named, TokenId::named("default", "a"));
    assert_eq!(named, id(json!({"jti": "a", "sub": "ben"}), r#"{"alg":"HS256","typ":"JWT"}"#));
    assert_ne!(named, id(json!({"jti": "a", "tenant": "north"}), plain), "names are a tenant's");
    assert_ne!(id(json!({}), plain), id(json!({"sub": "ben"}), plain));
    assert_eq!(id(json!({}), plain), id(json!({}), plain));
}

#[test]
fn issuer_and_audience_are_checked_when_they_are_set() {
    let verify = |tokens: Tokens, changes: Value| {
        tokens.verify(&signed(r#"{"alg":"HS256"}"#, &claims(changes).to_string()), now()).is_ok()
    };
    for (issuer, changes, valid) in [
        (None, json!({"iss": "anyone"}), true),
        (Some("me"), json!({"iss": "me"}), true),
        (Some("me"), json!({"iss": "Me"}), false),
        (Some("me"), json!({}), false),
        (Some("me"), json!({"iss": ["me"]}), false),
    ] {
        assert_eq!(verify(tokens(issuer, None), changes.clone()), valid, "{issuer:?} {changes}");
    }
    for (audience, changes, valid) in [
        (None, json!({}), true),
        (None, json!({"aud": "chat"}), false),
        (None, json!({"aud": []}), false),
        (Some("chat"), json!({"aud": "chat"}), true),
        (Some("chat"), json!({"aud": ["other", "chat"]}), true),
        (Some("chat"), json!({"aud": ["other"]}), false),
        (Some("chat"), json!({"aud": []}), false),
        (Some("chat"), json!({"aud": 5}), false),
        (Some("chat"), json!({}), false),
    ] {
        assert_eq!(verify(tokens(None, audience), changes.clone()), valid, "{audience:?} {changes}");
    }
}

#[test]
fn well_signed_nonsense_is_refused() {
    for bad in [
        json!({"exp": (NOW + 60).to_string()}),
        json!({"exp": NOW as f64 + 60.5}),
        json!({"exp": -1}),
        json!({"exp": null}),
        json!({"exp": [NOW + 60]}),
        json!({"nbf": "now"}),
        json!({"sub": ""}),
        json!({"sub": 5}),
        json!({"sub": "a\nb"}),
        json!({"sub": "u".repeat(129)}),
        json!({"tenant": "a/b"}),
        json!({"tenant": ""}),
        json!({"scope": {"admin": true}}),
        json!({"scope": ["a b"]}),
        json!({"scope": (0..33).map(|n| n.to_string()).collect::<Vec<_>>()}),
        json!({"scp": 5}),
        json!({"permissions": {"chat": true}}),
        json!({"jti": 5}),
    ] {
        assert_eq!(of(&claims(bad.clone())), Err(Refused), "{bad}");
    }
    let header = r#"{"alg":"HS256"}"#;
    for bad in [
        "{}",
        "[]",
        "",
        "null",
        r#"{"sub":"ann"}"#,
        r#"{"exp":1800000060}"#,
        r#"{"sub":"ann","exp":1e400}"#,
        r#"{"sub":"ann","exp":1800000060,"exp":1900000000}"#,
        r#"{"sub":"ann","sub":"ben","exp":1800000060}"#,
        r#"{"sub":"ann","exp":1800000060,"scope":"a","scope":"admin"}"#,
        r#"{"sub":"ann","exp":1800000060} {}"#,
    ] {
        assert_eq!(tokens(None, None).verify(&signed(header, bad), now()), Err(Refused), "{bad}");
    }
    for bad in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"None"}"#,
        r#"{"alg":"RS256"}"#,
        r#"{"alg":"HS512"}"#,
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"typ":"JWT"}"#,
        r#"{"alg":"HS256","typ":"dpop+jwt"}"#,
        r#"{"alg":"HS256","crit":["exp"]}"#,
        r#"{"alg":"HS256","b64":false}"#,
        r#"{"alg":"HS256","zip":"DEF"}"#,
        r#"{"alg":"HS256","cty":"JWT"}"#,
        "HS256",
        "",
    ] {
        let token = signed(bad, &claims(json!({})).to_string());
        assert_eq!(tokens(None, None).verify(&token, now()), Err(Refused), "{bad}");
    }
    for bad in [r#"{"alg":"HS256","kid":5}"#, r#"{"alg":"HS256","kid":["a"]}"#, r#"{"alg":["HS256"]}"#] {
        let token = signed(bad, &claims(json!({})).to_string());
        assert_eq!(tokens(None, None).verify(&token, now()), Err(Refused), "{bad}");
    }
    for good in
        [r#"{"alg":"HS256","kid":"../../etc/passwd","jku":"http://x.example"}"#, r#"{"alg":"HS256","typ":"at+JWT"}"#]
    {
        assert!(tokens(None, None).verify(&signed(good, &claims(json!({})).to_string()), now()).is_ok(), "{good}");
    }
}

#[test]
fn only_the_right_signature_over_three_parts_counts() {
    let good = signed(r#"{"alg":"HS256"}"#, &claims(json!({})).to_string());
    let tokens = tokens(None, None);
    assert!(tokens.verify(&good, now()).is_ok());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (header, body) = message.split_once('.').unwrap();
    let padded = "=".repeat((4 - signature.len() % 4) % 4);
    for bad in [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        message.to_owned(),
        format!("{message}."),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{signature}"),
        format!("{header}.{body}.{body}.{signature}"),
        format!("{good}{padded}"),
        format!(" {good}"),
        format!("{good}\n"),
        format!("{message}.{}", &signature[..20]),
        format!("{message}.{}", encode(&[0; 32])),
        format!("{}.{body}.", encode(br#"{"alg":"none"}"#)),
        format!("{header}.{}.{signature}", encode(br#"{"sub":"ben","exp":9999999999}"#)),
        format!("{}{good}", "x".repeat(5000)),
    ] {
        assert_eq!(tokens.verify(&bad, now()), Err(Refused), "{bad}");
    }
    let long = signed(r#"{"alg":"HS256"}"#, &claims(json!({"x": "x".repeat(4000)})).to_string());
    assert_eq!(tokens.verify(&long, now()), Err(Refused), "well signed and too long");
}

proptest! {
    #[test]
    fn nothing_makes_it_panic_and_no_changed_token_is_taken(
        text in ".{0,100}", header in ".{0,60}", body in ".{0,100}", at in any::<proptest::sample::Index>(), bit in 0_u8..7,
    ) {
        let tokens = tokens(None, None);
        prop_assert_eq!(tokens.verify(&text, now()), Err(Refused));
        prop_assert_eq!(tokens.verify(&signed(&header, &body), now()), Err(Refused));
        let good = signed(r#"{"alg":"HS256"}"#, &claims(json!({})).to_string());
        let mut bytes = good.clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let changed = String::from_utf8(bytes).unwrap();
        prop_assert_eq!(tokens.verify(&changed, now()), Err(Refused));
    }
}
