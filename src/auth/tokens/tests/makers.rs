//! Tokens of others: which key counts, and what no key is ever taken for.

use std::fs;

use super::*;
use crate::auth::key_set::KeySet;

/// Tokens checked with these public keys in files, this set, and the secret.
fn with(files: &[&Maker], set: Option<Vec<Value>>) -> Tokens {
    let folder = tempfile::tempdir().unwrap();
    let paths = files.iter().enumerate().map(|(n, maker)| {
        let path = folder.path().join(format!("{n}.pem"));
        fs::write(&path, maker.public_pem()).unwrap();
        path
    });
    let config = AuthConfig { public_keys: paths.collect(), ..config(None, None) };
    let set = set.map(|keys| KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap());
    Tokens { source: set.map(|set| Arc::new(KeySource::holding(set))), ..Tokens::from_config(&config).unwrap() }
}

fn user(token: &str, tokens: &Tokens) -> Result<String, NotTaken> {
    tokens.check_now(token, now()).map(|grant| grant.principal.user().to_owned())
}

#[test]
fn who_has_the_private_half_makes_tokens() {
    let makers = Maker::all();
    let in_files = with(&makers.each_ref(), None);
    let in_set = with(&[], Some(vec![makers[0].jwk("r"), makers[1].jwk("e"), makers[2].jwk("d")]));
    for (maker, kid) in makers.iter().zip(["r", "e", "d"]) {
        for (tokens, header) in [
            (&in_files, maker.header("")),
            (&in_files, maker.header("whatever its maker calls it")),
            (&in_set, maker.header(kid)),
            (&in_set, maker.header("")),
        ] {
            assert_eq!(user(&maker.token(&header, &claims(json!({}))), tokens).as_deref(), Ok("ann"), "{header}");
        }
        let token = maker.token(&maker.header(kid), &claims(json!({})));
        assert_eq!(user(&token, &with(&[], None)), Err(NotTaken::Refused), "nobody knows the key");
        assert_eq!(user(&token, &with(&[], Some(Vec::new()))), Err(NotTaken::UnknownKey), "it may come");
    }
    let own = signed(r#"{"alg":"HS256"}"#, &claims(json!({})).to_string());
    assert_eq!(user(&own, &in_set).as_deref(), Ok("ann"), "beside the gateway's own");
}

#[test]
fn a_name_binds_a_key_and_a_key_its_algorithm() {
    let ([rsa, ec, ed], stranger) = (Maker::all(), Maker::ec());
    let tokens = with(&[&ed], Some(vec![rsa.jwk("r"), ec.jwk("e"), Maker::ec().jwk("f")]));
    let plain = claims(json!({}));
    let refused = |token: String, why: &str| assert_eq!(user(&token, &tokens), Err(NotTaken::Refused), "{why}");
    refused(ec.token(&ec.header("r"), &plain), "the name of a key of another algorithm");
    refused(ec.token(&ec.header("f"), &plain), "the name of another key of the algorithm");
    refused(rsa.token(&json!({"alg": "ES256", "kid": "r"}), &plain), "another algorithm than the key's");
    refused(ec.token(&ec.header(""), &plain), "no name, and two that may be meant");
    refused(ed.token(&ed.header("r"), &plain), "the name of a key, signed by one without a name");
    refused(stranger.token(&stranger.header("e"), &plain), "another key of the same kind");
    refused(signed(r#"{"alg":"HS256","kid":"r"}"#, &plain.to_string()), "the secret is not called so");
    assert_eq!(user(&rsa.token(&rsa.header(""), &plain), &tokens).as_deref(), Ok("ann"), "the only one of its kind");
    assert_eq!(user(&stranger.token(&stranger.header("s"), &plain), &tokens), Err(NotTaken::UnknownKey));
    for kid in ["../../dev/null", "' OR 1=1 --", "\u{0}", &"k".repeat(2000)] {
        let unknown = Err(NotTaken::UnknownKey);
        assert_eq!(user(&stranger.token(&stranger.header(kid), &plain), &tokens), unknown, "{kid}");
    }
}

#[test]
fn no_public_key_is_taken_for_a_secret() {
    let makers = Maker::all();
    let jwks = makers.each_ref().map(|maker| maker.jwk("k"));
    let plain = claims(json!({})).to_string();
    for (maker, jwk) in makers.iter().zip(&jwks) {
        let tokens = with(&[maker], Some(vec![jwk.clone()]));
        let (pem, text) = (maker.public_pem(), jwk.to_string());
        let secrets: [&[u8]; 5] = [pem.as_bytes(), pem.trim_end().as_bytes(), text.as_bytes(), b"", b"k"];
        for secret in secrets {
            for header in [r#"{"alg":"HS256"}"#, r#"{"alg":"HS256","kid":"k"}"#, r#"{"alg":"HS256","kid":"other"}"#] {
                assert_eq!(user(&signed_with(secret, header, &plain), &tokens), Err(NotTaken::Refused), "{header}");
            }
            for alg in ["RS256", "ES256", "EdDSA", "HS384", "HS512", "PS256", "RS512", "ES384", "none"] {
                let header = json!({"alg": alg, "kid": "k"}).to_string();
                assert_eq!(user(&signed_with(secret, &header, &plain), &tokens), Err(NotTaken::Refused), "{alg}");
            }
        }
    }
}

#[test]
fn what_a_token_brings_along_is_no_key() {
    let (maker, stranger) = (Maker::ec(), Maker::ec());
    let tokens = with(&[&maker], Some(vec![maker.jwk("k")]));
    let plain = claims(json!({}));
    for (name, value) in [
        ("jwk", stranger.jwk("k")),
        ("jku", json!("http://127.0.0.1:9/keys")),
        ("x5u", json!("http://127.0.0.1:9/chain")),
        ("x5c", json!(["MII"])),
    ] {
        let mut header = stranger.header("k");
        header[name] = value.clone();
        assert_eq!(user(&stranger.token(&header, &plain), &tokens), Err(NotTaken::Refused), "{name}");
        let mut header = maker.header("k");
        header[name] = value;
        assert!(user(&maker.token(&header, &plain), &tokens).is_ok(), "{name} of its own maker is not looked at");
    }
}

#[test]
fn signatures_of_nothing_are_none() {
    for maker in Maker::all() {
        let tokens = with(&[], Some(vec![maker.jwk("k")]));
        let token = maker.token(&maker.header("k"), &claims(json!({})));
        let (message, signature) = token.rsplit_once('.').unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let mut one = vec![0; bytes.len()];
        one[bytes.len() - 1] = 1;
        let half = bytes.len() / 2;
        let der = [&[0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01][..]].concat();
        for bad in [
            vec![],
            vec![0; bytes.len()],
            one,
            vec![0xFF; bytes.len()],
            der,
            bytes[..half].to_vec(),
            [&bytes[..], &[0]].concat(),
            [&bytes[half..], &bytes[..half]].concat(),
        ] {
            let token = format!("{message}.{}", encode(&bad));
            assert_eq!(user(&token, &tokens), Err(NotTaken::Refused), "{:?} {bad:?}", maker.algorithm());
        }
        assert!(user(&token, &tokens).is_ok());
    }
}

#[test]
fn a_secret_is_changed_without_anybody_noticing() {
    let (old, new) = (Secret::new(SECRET), Secret::new("another secret of more than 32 characters"));
    let token_of =
        |secret: &Secret| signed_with(secret.expose().as_bytes(), r#"{"alg":"HS256"}"#, &claims(json!({})).to_string());
    let rotating =
        AuthConfig { jwt_secret: Some(new.clone()), previous_jwt_secret: Some(old.clone()), ..config(None, None) };
    let before = tokens(None, None);
    let while_rotating = before.changed(&rotating).unwrap();
    let after = while_rotating.changed(&AuthConfig { previous_jwt_secret: None, ..rotating.clone() }).unwrap();
    let taken = |tokens: &Tokens| [&old, &new].map(|secret| user(&token_of(secret), tokens).is_ok());
    assert_eq!((taken(&before), taken(&while_rotating), taken(&after)), ([true, false], [true, true], [false, true]));
    let principal = Principal::new("default", "ann", Vec::new()).unwrap();
    let minted = Signer::from_config(&rotating).unwrap().mint(&principal, Duration::from_secs(60), now()).unwrap();
    assert!(user(&minted.token, &after).is_ok() && user(&minted.token, &before).is_err(), "the new one signs");
    let elsewhere = AuthConfig { jwks_url: Some("https://a.example/keys".to_owned()), ..rotating };
    assert!(matches!(before.changed(&elsewhere), Err(KeyError::OtherSource)));
}

#[test]
fn files_that_are_no_keys_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    let open = |paths: Vec<PathBuf>| {
        Tokens::from_config(&AuthConfig { public_keys: paths, ..config(None, None) }).map(|_| ()).unwrap_err()
    };
    assert!(matches!(open(vec![path.clone()]), KeyError::Read { .. }));
    for text in ["".to_owned(), Maker::p384().public_pem(), "x".repeat(70_000)] {
        fs::write(&path, text).unwrap();
        let error = open(vec![path.clone()]).to_string();
        assert!(error.contains("auth.public_keys") && error.contains("key.pem"), "{error}");
    }
    fs::write(&path, Maker::ec().public_pem()).unwrap();
    assert!(matches!(open(vec![path; MAX_FILES + 1]), KeyError::TooMany));
}
