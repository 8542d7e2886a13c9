//! Peers that say nothing: at the handshake, in the middle of a head, on an open socket. These tests take the gateway's
//! real times, side by side.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{client_async, tungstenite::Message};

use crate::harness::Setup;

/// Above the longest of the gateway's times, 35 s for a silent socket.
const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_connection_that_says_nothing_or_half_is_closed() {
    let gateway = Setup::bare().start().await;
    for start in ["", "GET /livez HTTP/1.1\r\nHost: loc"] {
        let mut stream = TcpStream::connect(&gateway.address).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(LONG, stream.read_to_string(&mut answer)).await.expect("it is closed").unwrap();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
}

#[tokio::test]
async fn a_dead_peer_is_asked_and_closed_while_one_that_answers_pings_lives() {
    let gateway = Setup::bare().start().await;
    let mut living = gateway.connect().await;

    // A socket whose answers to pings never leave: the client's side is read by hand.
    let stream = TcpStream::connect(&gateway.address).await.unwrap();
    let (mut socket, _) = client_async(gateway.socket(""), stream).await.unwrap();
    let mut asked = false;
    let dead = async {
        // The library answers pings by itself when it is polled again, so it is polled for one frame at a time, and its
        // answer is never flushed: reading goes on below it.
        while !asked {
            match socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    asked = serde_json::from_str::<Value>(&text).unwrap()["type"] == "ping";
                }
                other => panic!("instead of a ping: {other:?}"),
            }
        }
        let mut rest = Vec::new();
        socket.get_mut().read_to_end(&mut rest).await.unwrap();
        rest
    };
    let (rest, _) = tokio::join!(async { timeout(LONG, dead).await.expect("it is closed") }, async {
        timeout(LONG, living.ping_pong()).await.expect("it is asked, too")
    },);
    let code = 4201_u16.to_be_bytes();
    assert!(rest.windows(2).any(|bytes| bytes == code), "the close frame says 4201: {rest:?}");
    living.tell(serde_json::json!({"type": "ping"})).await;
    living.until("pong").await;
}
