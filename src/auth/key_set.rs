//! Sets of public keys as makers of tokens publish them (JWKS, RFC 7517). Pure: text in, keys out.

use std::collections::{HashMap, HashSet};

use jsonwebtoken::{
    Algorithm,
    jwk::{Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

use super::keys::{Key, KeyFault};

/// The largest set that is read, in bytes.
pub(super) const MAX_BYTES: usize = 256 << 10;
/// The most keys of a set; whoever publishes more is not who was meant.
const MAX_KEYS: usize = 100;
/// The most of them without a name, all of which may have to be tried.
const MAX_UNNAMED: usize = 8;
/// The longest name of a key, in bytes.
const MAX_NAME: usize = 256;

/// Why a text is no set of keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetFault {
    /// It is something else.
    #[error("it is no set of keys: an object of JSON with `keys`")]
    Form,
    /// It is too large.
    #[error("it has more than {MAX_KEYS} keys")]
    TooMany,
}

/// The keys of a set that can be used.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    named: HashMap<String, Key>,
    unnamed: Vec<Key>,
    left_out: usize,
}

/// What is known of a key that a token names, or does not name.
pub(super) enum Named<'a> {
    /// The token names this one.
    Key(&'a Key),
    /// The token names one that is not in the set.
    Unknown,
    /// The token names none, and there is only this one that can be meant besides those without a name.
    Lone(&'a Key),
    /// The token names none.
    No,
}

/// How many keys of a published set tokens can be checked with, and how many of it are left out.
///
/// # Errors
/// [`SetFault`]
pub fn count_keys(text: &[u8]) -> Result<(usize, usize), SetFault> {
    KeySet::parse(text).map(|set| (set.len(), set.left_out))
}

#[derive(Deserialize)]
struct Published {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a set. Keys that are for something else, of another kind, too weak or damaged are left out, and so are all
    /// that share a name: nobody could say which of them is meant.
    pub(super) fn parse(text: &[u8]) -> Result<Self, SetFault> {
        let Published { keys } = serde_json::from_slice(text).map_err(|_| SetFault::Form)?;
        if keys.len() > MAX_KEYS {
            return Err(SetFault::TooMany);
        }
        let (all, mut set, mut twice) = (keys.len(), Self::default(), HashSet::new());
        for published in keys {
            let Ok((name, key)) = read(published) else { continue };
            match name {
                Some(name) if set.named.contains_key(&name) => {
                    twice.insert(name);
                }
                Some(name) => {
                    set.named.insert(name, key);
                }
                None if set.unnamed.len() < MAX_UNNAMED => set.unnamed.push(key),
                None => {}
            }
        }
        set.named.retain(|name, _| !twice.contains(name));
        set.left_out = all - set.len();
        Ok(set)
    }

    /// How many keys can be used.
    pub(super) fn len(&self) -> usize {
        self.named.len() + self.unnamed.len()
    }

    /// How many were published besides.
    pub(super) fn left_out(&self) -> usize {
        self.left_out
    }

    /// The key that a token of this algorithm means.
    pub(super) fn named(&self, name: Option<&str>, algorithm: Algorithm) -> Named<'_> {
        if let Some(name) = name {
            return self.named.get(name).map_or(Named::Unknown, Named::Key);
        }
        let mut of_algorithm = self.named.values().filter(|key| key.algorithm() == algorithm);
        match (of_algorithm.next(), of_algorithm.next()) {
            (Some(key), None) => Named::Lone(key),
            _ => Named::No,
        }
    }

    /// The keys without a name.
    pub(super) fn unnamed(&self) -> &[Key] {
        &self.unnamed
    }
}

fn read(published: Value) -> Result<(Option<String>, Key), KeyFault> {
    let jwk: Jwk = serde_json::from_value(published).map_err(|_| KeyFault::Numbers)?;
    let key = Key::from_jwk(&jwk)?;
    let about = jwk.common;
    let is_for_signatures = about.public_key_use.is_none_or(|purpose| purpose == PublicKeyUse::Signature)
        && about.key_operations.is_none_or(|operations| operations.contains(&KeyOperations::Verify));
    let is_for_these = about.key_algorithm.is_none_or(|named| named == KeyAlgorithm::from(key.algorithm()));
    let name = about.key_id.filter(|name| !name.is_empty());
    if !is_for_signatures || !is_for_these || name.as_ref().is_some_and(|name| name.len() > MAX_NAME) {
        return Err(KeyFault::Purpose);
    }
    Ok((name, key))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::auth::testing::Maker;

    fn with(jwk: Value, changes: Value) -> Value {
        let mut jwk = jwk;
        for (name, value) in changes.as_object().unwrap() {
            jwk[name] = value.clone();
        }
        jwk
    }

    fn parse(keys: Vec<Value>) -> KeySet {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn what_is_for_something_else_is_left_out() {
        let (rsa, ec, ed) = (Maker::rsa().jwk("r"), Maker::ec().jwk("e"), Maker::ed().jwk("d"));
        let all = parse(vec![rsa.clone(), ec.clone(), ed.clone()]);
        assert_eq!((all.len(), all.left_out()), (3, 0));
        for (key, why) in [
            (with(rsa.clone(), json!({"use": "enc"})), "it encrypts"),
            (with(rsa.clone(), json!({"key_ops": ["encrypt"]})), "it encrypts, said otherwise"),
            (with(rsa.clone(), json!({"alg": "RS512"})), "another algorithm"),
            (with(rsa.clone(), json!({"alg": "HS256"})), "an algorithm of secrets"),
            (with(ec.clone(), json!({"alg": "RS256"})), "an algorithm of another kind"),
            (with(ec.clone(), json!({"crv": "P-384"})), "another curve"),
            (with(ec.clone(), json!({"x": "AAAA"})), "no point"),
            (with(ed.clone(), json!({"x": "AAAA"})), "too short"),
            (with(ed.clone(), json!({"kty": "AKP"})), "another kind"),
            (with(rsa.clone(), json!({"n": &rsa["n"].as_str().unwrap()[..86]})), "an RSA key of 512 bits"),
            (with(rsa.clone(), json!({"kid": 5})), "a name that is none"),
            (with(rsa.clone(), json!({"kid": "k".repeat(257)})), "a name without end"),
            (json!({"kty": "oct", "kid": "o", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}), "a secret"),
            (json!({"kty": "oct", "kid": "o", "alg": "HS256", "k": "c2VjcmV0"}), "a secret with its algorithm"),
            (json!("key"), "no key"),
            (json!({}), "nothing"),
        ] {
            let set = parse(vec![key, ed.clone()]);
            assert_eq!((set.len(), set.left_out()), (1, 1), "{why}");
        }
        let plain = with(rsa.clone(), json!({"use": "sig", "alg": "RS256", "key_ops": ["verify"], "x5c": ["MII"]}));
        assert_eq!(parse(vec![plain]).len(), 1, "what Keycloak and others publish");
    }

    #[test]
    fn a_name_is_one_keys_or_nobodys() {
        let (rsa, ec) = (Maker::rsa(), Maker::ec());
        let set = parse(vec![rsa.jwk("a"), ec.jwk("a"), ec.jwk("b"), rsa.jwk("")]);
        assert_eq!((set.len(), set.left_out()), (2, 2));
        let named = |name, algorithm| match set.named(name, algorithm) {
            Named::Key(key) => Some(key.algorithm()),
            Named::Lone(key) => Some(key.algorithm()).filter(|_| name.is_none()),
            Named::Unknown | Named::No => None,
        };
        assert_eq!(named(Some("a"), Algorithm::RS256), None);
        assert_eq!(named(Some("b"), Algorithm::RS256), Some(Algorithm::ES256), "whatever the token says");
        assert_eq!(named(None, Algorithm::ES256), Some(Algorithm::ES256), "it is the only one");
        assert_eq!(named(None, Algorithm::RS256), None);
        assert_eq!(set.unnamed().len(), 1);
        assert_eq!(parse((0..20).map(|_| ec.jwk("")).collect()).len(), MAX_UNNAMED);
    }

    #[test]
    fn what_is_no_set_is_refused_as_a_whole() {
        for text in ["", "<html>", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#, "null"] {
            assert_eq!(KeySet::parse(text.as_bytes()).unwrap_err(), SetFault::Form, "{text}");
        }
        assert_eq!(parse(Vec::new()).len(), 0, "whoever takes all keys back says so");
        let many = json!({"keys": vec![json!({}); 101]}).to_string();
        assert_eq!(KeySet::parse(many.as_bytes()).unwrap_err(), SetFault::TooMany);
        let deep = format!("{{\"keys\":[{}", "[".repeat(100_000));
        assert_eq!(KeySet::parse(deep.as_bytes()).unwrap_err(), SetFault::Form);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in any::<Vec<u8>>(), field in "[a-z_5#]{1,7}", value in ".{0,40}") {
            let _ = KeySet::parse(&text);
            let set = parse(vec![with(Maker::ec().jwk("a"), json!({ field: value }))]);
            prop_assert!(set.len() + set.left_out() == 1);
        }
    }
}
