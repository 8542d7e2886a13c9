//! The keys that tokens are checked with. Pure.
//!
//! A key knows its one algorithm from what it is made of, a secret HS256 and a public key that of its kind, and checks
//! signatures by no other: whatever a token's head says, no public key is ever taken for a secret.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey, crypto,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk},
};

use crate::config::Secret;

/// The sizes of RSA keys, in bits: smaller ones can be broken, larger ones make work.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// Bytes of a number of P-256 and of Ed25519.
const CURVE_BYTES: usize = 32;

/// Why something is no key for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// It is not the text of a public key.
    #[error("it is no public key in PEM, which begins with `-----BEGIN PUBLIC KEY-----`")]
    NoPem,
    /// It is the other half.
    #[error("it has a private key in it, which belongs to whoever makes the tokens: take its public half")]
    Private,
    /// Only the first would count.
    #[error("it has more than one key in it: put each into a file of its own")]
    Several,
    /// Tokens of that kind are not taken.
    #[error("its kind is none of RSA (RS256), P-256 (ES256) and Ed25519 (EdDSA)")]
    Kind,
    /// It says that it is for something else.
    #[error("it is not for checking signatures by the algorithm of its kind")]
    Purpose,
    /// It is an RSA key of another size.
    #[error("an RSA key has {} to {} bits", RSA_BITS.start(), RSA_BITS.end())]
    Size,
    /// Its numbers make no key.
    #[error("its numbers are no key")]
    Numbers,
}

/// A key, and the algorithm that it is for.
#[derive(Clone)]
pub(super) struct Key {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Key").field(&self.algorithm).finish()
    }
}

impl Key {
    /// For tokens that are signed with this secret.
    pub(super) fn of_secret(secret: &Secret) -> Self {
        Self { algorithm: Algorithm::HS256, key: DecodingKey::from_secret(secret.expose().as_bytes()) }
    }

    /// A public key in PEM.
    pub(super) fn from_pem(text: &str) -> Result<Self, KeyFault> {
        if text.contains("PRIVATE KEY-----") {
            return Err(KeyFault::Private);
        }
        match text.matches("-----BEGIN ").count() {
            0 => return Err(KeyFault::NoPem),
            1 => {}
            _ => return Err(KeyFault::Several),
        }
        if !["-----BEGIN PUBLIC KEY-----", "-----BEGIN RSA PUBLIC KEY-----"].iter().any(|mark| text.contains(mark)) {
            return Err(KeyFault::NoPem); // A certificate, say: nobody here looks whether it is still good.
        }
        let bytes = text.as_bytes();
        let readers = [DecodingKey::from_rsa_pem, DecodingKey::from_ec_pem, DecodingKey::from_ed_pem];
        let key = readers.iter().find_map(|read| read(bytes).ok()).ok_or(KeyFault::Kind)?;
        Self::from_jwk(&Jwk::from_decoding_key(&key, None).map_err(|_| KeyFault::Kind)?)
    }

    /// A public key of a set.
    pub(super) fn from_jwk(jwk: &Jwk) -> Result<Self, KeyFault> {
        match &jwk.algorithm {
            AlgorithmParameters::RSA(rsa) => Self::rsa(&number(&rsa.n)?, &number(&rsa.e)?),
            AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => {
                Self::p256(&number(&ec.x)?, &number(&ec.y)?)
            }
            AlgorithmParameters::OctetKeyPair(ed) if ed.curve == EllipticCurve::Ed25519 => {
                Self::ed25519(&number(&ed.x)?)
            }
            _ => Err(KeyFault::Kind),
        }
    }

    fn rsa(n: &[u8], e: &[u8]) -> Result<Self, KeyFault> {
        if !RSA_BITS.contains(&bits(n)) {
            return Err(KeyFault::Size);
        }
        let is_odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
        if !is_odd(n) || !is_odd(e) || !(2..=33).contains(&bits(e)) {
            return Err(KeyFault::Numbers);
        }
        Ok(Self { algorithm: Algorithm::RS256, key: DecodingKey::from_rsa_raw_components(n, e) })
    }

    fn p256(x: &[u8], y: &[u8]) -> Result<Self, KeyFault> {
        let point = [&[4], x, y].concat(); // Uncompressed.
        if x.len() != CURVE_BYTES || ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point).is_err() {
            return Err(KeyFault::Numbers);
        }
        Ok(Self { algorithm: Algorithm::ES256, key: DecodingKey::from_ec_der(&point) })
    }

    fn ed25519(x: &[u8]) -> Result<Self, KeyFault> {
        if x.len() != CURVE_BYTES || ParsedPublicKey::new(&ED25519, x).is_err() {
            return Err(KeyFault::Numbers);
        }
        Ok(Self { algorithm: Algorithm::EdDSA, key: DecodingKey::from_ed_der(x) })
    }

    /// The algorithm that it is for.
    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether `signature`, in base64, is its holder's over `message`. What cannot be read is none.
    pub(super) fn has_signed(&self, message: &str, signature: &str) -> bool {
        crypto::verify(signature, message.as_bytes(), &self.key, self.algorithm).unwrap_or(false)
    }
}

/// Whether a text is a public key in PEM that tokens can be checked with.
///
/// # Errors
/// [`KeyFault`]
pub fn check_public_key(text: &str) -> Result<(), KeyFault> {
    Key::from_pem(text).map(drop)
}

fn number(text: &str) -> Result<Vec<u8>, KeyFault> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyFault::Numbers)
}

/// Of a number, the most significant byte first.
fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let significant = &number[zeros..];
    significant.first().map_or(0, |first| significant.len() * 8 - first.leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::testing::{Maker, pem};

    #[test]
    fn the_kind_of_a_key_is_its_algorithm() {
        for maker in Maker::all() {
            let key = Key::from_pem(&maker.public_pem()).unwrap();
            assert_eq!(key.algorithm(), maker.algorithm());
            let signature = maker.sign("message");
            assert!(key.has_signed("message", &signature) && !key.has_signed("massage", &signature));
            assert!(!key.has_signed("message", "") && !key.has_signed("message", "!"));
        }
        let rsa = Maker::rsa();
        assert_eq!(Key::from_pem(&rsa.public_pem_of_pkcs1()).unwrap().algorithm(), Algorithm::RS256);
    }

    #[test]
    fn what_is_no_good_key_is_refused_by_name() {
        let ec = Maker::ec();
        let public = ec.public_pem();
        for (text, fault) in [
            (String::new(), KeyFault::NoPem),
            ("a secret".to_owned(), KeyFault::NoPem),
            (public.replace("PUBLIC KEY", "CERTIFICATE"), KeyFault::NoPem),
            (public.replace("PUBLIC KEY", "PRIVATE KEY"), KeyFault::Private),
            (format!("{public}{public}"), KeyFault::Several),
            (pem("PUBLIC KEY", b"nonsense"), KeyFault::Kind),
            (Maker::p384().public_pem(), KeyFault::Kind),
        ] {
            assert_eq!(Key::from_pem(&text).unwrap_err(), fault, "{text}");
        }
        let n = |bytes: usize| [&[0x80][..], &vec![1; bytes - 1]].concat();
        let rsa = |n: &[u8], e: &[u8]| Key::rsa(n, e).map(|key| key.algorithm());
        assert_eq!(rsa(&n(256), &[1, 0, 1]), Ok(Algorithm::RS256));
        assert_eq!(rsa(&n(64), &[1, 0, 1]), Err(KeyFault::Size), "of 512 bits");
        assert_eq!(rsa(&[&[0; 128][..], &n(128)].concat(), &[1, 0, 1]), Err(KeyFault::Size), "zeros do not count");
        assert_eq!(rsa(&n(1025), &[1, 0, 1]), Err(KeyFault::Size));
        assert_eq!(rsa(&[], &[]), Err(KeyFault::Size));
        for e in [&[1][..], &[2], &[], &[1, 0, 0, 0, 0, 1, 1]] {
            assert_eq!(rsa(&n(256), e), Err(KeyFault::Numbers), "{e:?}");
        }
        assert_eq!(Key::p256(&[1; 32], &[1; 32]).unwrap_err(), KeyFault::Numbers, "no point of the curve");
        assert_eq!(Key::p256(&[], &[]).unwrap_err(), KeyFault::Numbers);
        assert_eq!(Key::ed25519(&[1; 31]).unwrap_err(), KeyFault::Numbers);
    }
}
