//! Makers of tokens, for tests here and in `tests/it`: key pairs of each kind that is taken, their public halves in the forms
//! in which they are published, and signatures over anything, not by the library that checks them; and a server for sets of
//! keys, over real HTTP.

#![allow(dead_code, reason = "the tests here and those in tests/it each need a part of it")]

use std::{
    future::pending,
    net::Ipv4Addr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
        RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents,
    },
};
use axum::{
    Router,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::Algorithm;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};

/// A key pair.
#[derive(Clone)]
pub(crate) enum Maker {
    Rsa(Arc<RsaKeyPair>),
    Ec(Arc<EcdsaKeyPair>),
    Ed(Arc<Ed25519KeyPair>),
}

impl Maker {
    /// An RSA key of 2,048 bits, the same each time: they are slow to make.
    pub(crate) fn rsa() -> Self {
        static RSA: OnceLock<Arc<RsaKeyPair>> = OnceLock::new();
        Self::Rsa(RSA.get_or_init(|| Arc::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())).clone())
    }

    /// A new key of P-256.
    pub(crate) fn ec() -> Self {
        Self::Ec(Arc::new(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()))
    }

    /// A new key of P-384, by which no tokens are taken.
    pub(crate) fn p384() -> Self {
        Self::Ec(Arc::new(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap()))
    }

    /// A new key of Ed25519.
    pub(crate) fn ed() -> Self {
        Self::Ed(Arc::new(Ed25519KeyPair::generate().unwrap()))
    }

    /// One of each kind.
    pub(crate) fn all() -> [Self; 3] {
        [Self::rsa(), Self::ec(), Self::ed()]
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa(_) => Algorithm::RS256,
            Self::Ec(_) => Algorithm::ES256,
            Self::Ed(_) => Algorithm::EdDSA,
        }
    }

    /// A signature, in base64.
    pub(crate) fn sign(&self, message: &str) -> String {
        let (message, random) = (message.as_bytes(), SystemRandom::new());
        URL_SAFE_NO_PAD.encode(match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
            Self::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        })
    }

    /// A token of this head and these claims.
    pub(crate) fn token(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        format!("{message}.{}", self.sign(&message))
    }

    /// The head of its tokens, with the key's name unless that is empty.
    pub(crate) fn header(&self, kid: &str) -> Value {
        let mut header = json!({"typ": "JWT", "alg": format!("{:?}", self.algorithm())});
        if !kid.is_empty() {
            header["kid"] = kid.into();
        }
        header
    }

    /// The public key as a set has it, with this name unless that is empty.
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match self {
            Self::Rsa(pair) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({"kty": "RSA", "n": text(&public.n), "e": text(&public.e)})
            }
            Self::Ec(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": text(x), "y": text(y)})
            }
            Self::Ed(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": text(pair.public_key().as_ref())}),
        };
        if !kid.is_empty() {
            jwk["kid"] = kid.into();
        }
        jwk
    }

    /// The public key in PEM.
    pub(crate) fn public_pem(&self) -> String {
        let der: PublicKeyX509Der<'_> = match self {
            Self::Rsa(pair) => pair.public_key().as_der().unwrap(),
            Self::Ec(pair) => pair.public_key().as_der().unwrap(),
            Self::Ed(pair) => pair.public_key().as_der().unwrap(),
        };
        pem("PUBLIC KEY", der.as_ref())
    }

    /// An RSA key in the form of its own.
    pub(crate) fn public_pem_of_pkcs1(&self) -> String {
        let Self::Rsa(pair) = self else { panic!("no RSA key") };
        pem("RSA PUBLIC KEY", pair.public_key().as_ref())
    }
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

/// What a server for keys answers.
#[derive(Clone)]
pub(crate) enum Answer {
    /// A set.
    Keys(Vec<Value>),
    /// A set as it was when it was asked for, once there is a permit.
    Held(Arc<Semaphore>, Vec<Value>),
    /// Anything else.
    Text(StatusCode, String),
    /// The set is elsewhere.
    Elsewhere(String),
    /// Nothing.
    Never,
}

/// A server for a set of keys, until it is dropped.
pub(crate) struct KeyServer {
    pub(crate) url: String,
    answer: Arc<Mutex<Answer>>,
    hits: Arc<AtomicUsize>,
    _server: JoinSet<()>,
}

impl KeyServer {
    pub(crate) async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let (answer, hits) = (Arc::new(Mutex::new(answer)), Arc::new(AtomicUsize::new(0)));
        let (now, counted) = (answer.clone(), hits.clone());
        let router = Router::new().route(
            "/keys",
            get(move || {
                counted.fetch_add(1, Ordering::SeqCst);
                let answer = now.lock().clone();
                give(answer)
            }),
        );
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, answer, hits, _server: server }
    }

    /// A server for these keys.
    pub(crate) async fn of(keys: Vec<Value>) -> Self {
        Self::start(Answer::Keys(keys)).await
    }

    /// Answers so from now on.
    pub(crate) fn answer(&self, answer: Answer) {
        *self.answer.lock() = answer;
    }

    /// How often it was asked.
    pub(crate) fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }
}

async fn give(answer: Answer) -> axum::response::Response {
    let set = |keys: Vec<Value>| json!({ "keys": keys }).to_string();
    match answer {
        Answer::Keys(keys) => set(keys).into_response(),
        Answer::Held(gate, keys) => {
            gate.acquire().await.unwrap().forget();
            set(keys).into_response()
        }
        Answer::Text(status, text) => (status, text).into_response(),
        Answer::Elsewhere(url) => (StatusCode::FOUND, [(header::LOCATION, url)]).into_response(),
        Answer::Never => pending().await,
    }
}
