//! Who may come in, by which credential, for how long, and what of whom they see.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use rivulet::chat::Timestamp;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{self, Message, client::IntoClientRequest},
};

use crate::harness::{Client, KeyAnswer, KeyServer, Maker, Neighbour, Setup, TestGateway, raw_on, soon};

mod keys;
mod overview;
mod principals;
mod revocation;
mod scopes;
mod sockets;
mod tokens;

pub(crate) const SECRET: &str = "6f1c0d9be27a43588b3f5c2ad4e9071633a9d8c1f0b24e7596ad3b8c7e5f1024";
/// What takes its place.
const NEW_SECRET: &str = "0b9f2c7d61e84a35b0c8d4e7f2a19563c7d8e9f0a1b2c3d4e5f60718293a4b5c";

pub(crate) fn setup() -> Setup {
    Setup::bare().set("REQUIRE_AUTHENTICATION", "true").set("JWT_SECRET_KEY", SECRET)
}

pub(crate) fn now() -> u64 {
    Timestamp::now().0 / 1000
}

/// Signs anything.
pub(crate) fn forge(header: &str, claims: &(impl AsRef<[u8]> + ?Sized), secret: &str) -> String {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let message = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_ref()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("{message}.{}", encode(hmac::sign(&key, message.as_bytes()).as_ref()))
}

pub(crate) fn with(claims: Value) -> String {
    forge(r#"{"alg":"HS256","typ":"JWT"}"#, &claims.to_string(), SECRET)
}

/// A token of a user of the default tenant, for an hour.
pub(crate) fn token(user: &str) -> String {
    with(json!({"sub": user, "exp": now() + 3600}))
}

/// A gateway, and somebody with a good token whose answer is being written.
async fn beside(setup: Setup) -> (TestGateway, Neighbour) {
    Neighbour::beside(setup, async |_| Some(token("neighbour"))).await
}

/// Status and JSON, with or without a token.
pub(crate) async fn call(
    gateway: &TestGateway,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: Value,
) -> (u16, Value) {
    let mut request = reqwest::Client::new().request(method, gateway.url(path)).json(&body);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    TestGateway::answer(request).await
}

pub(crate) async fn get(gateway: &TestGateway, path: &str, token: &str) -> (u16, Value) {
    call(gateway, Method::GET, path, Some(token), Value::Null).await
}

/// The status that refuses a socket, or 101.
pub(crate) async fn knock(url: &str, headers: &[(&'static str, String)]) -> u16 {
    let mut request = url.into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    match soon("an answer", connect_async(request)).await {
        Ok((_, response)) => response.status().as_u16(),
        Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("{error}"),
    }
}

pub(crate) fn bearer(token: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {token}"))
}

/// Says these frames on a socket without credentials; everything that comes back, and the close code.
pub(crate) async fn say_unknown(gateway: &TestGateway, frames: &[Value]) -> (Vec<Value>, u16) {
    let (mut socket, _) = connect_async(gateway.socket("")).await.unwrap();
    for frame in frames {
        socket.send(Message::text(frame.to_string())).await.unwrap();
    }
    let mut said = Vec::new();
    loop {
        match soon("a frame", socket.next()).await {
            Some(Ok(Message::Text(text))) => said.push(serde_json::from_str(&text).unwrap()),
            Some(Ok(Message::Close(Some(frame)))) => return (said, frame.code.into()),
            Some(Ok(_)) => {}
            other => panic!("instead of a frame: {other:?}"),
        }
    }
}
