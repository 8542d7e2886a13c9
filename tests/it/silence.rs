//! Peers that say nothing: at the handshake, in the middle of a head, on an open socket. These tests take the gateway's
//! real times, side by side.

use std::{future::pending, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{interval, timeout},
};
use tokio_tungstenite::{client_async, tungstenite::Message};

use crate::harness::{Neighbour, Setup, TestGateway};

/// Above the longest of the gateway's times, 35 s for a silent socket.
const LONG: Duration = Duration::from_secs(60);

/// Says the beginning of something, and then nothing more or `more` again and again; what comes back until the end.
async fn hesitate(gateway: &TestGateway, start: &str, more: Option<&str>) -> String {
    let (mut reader, mut writer) = TcpStream::connect(&gateway.address).await.unwrap().into_split();
    writer.write_all(start.as_bytes()).await.unwrap();
    let dripping = async {
        let mut tick = interval(Duration::from_millis(500));
        while let Some(more) = more
            && writer.write_all(more.as_bytes()).await.is_ok()
        {
            tick.tick().await;
        }
        pending::<()>().await
    };
    let mut answer = Vec::new();
    tokio::select! {
        _read = timeout(LONG, reader.read_to_end(&mut answer)) => {}
        () = dripping => {}
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn what_is_slow_is_cut_and_the_neighbour_streams_on() {
    let (gateway, mut neighbour) = Neighbour::of_nobody(Setup::bare()).await;
    let head = "POST /api/v1/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let body = format!("{head}Content-Length: 9999\r\n\r\n{{");
    let chunks = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
    let expecting = format!("{head}Expect: 100-continue\r\nContent-Length: 99\r\n\r\n");
    let line = "GET /livez HTTP/1.1\r\nHost: loc";
    let mut slow: FuturesUnordered<_> = [
        ("nothing", "", None, ""),
        ("half a line", "GET /li", None, ""),
        ("half a head", line, None, ""),
        ("a head byte by byte", line, Some("a"), ""),
        ("a head line by line", "GET /livez HTTP/1.1\r\nHost: localhost\r\n", Some("X-A: b\r\n"), ""),
        ("half a body", &body, None, "HTTP/1.1 408 "),
        ("a body byte by byte", &body, Some(" "), "HTTP/1.1 408 "),
        ("a body in small chunks", &chunks, Some("1\r\n \r\n"), "HTTP/1.1 408 "),
        ("a body that was asked for", &expecting, None, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 408 "),
    ]
    .into_iter()
    .map(async |(what, start, more, expected)| (what, hesitate(&gateway, start, more).await, expected))
    .collect();
    while let Some((what, answer, expected)) = slow.next().await {
        assert!(answer.starts_with(expected) && answer.is_empty() == expected.is_empty(), "{what}: {answer}");
        assert!(expected.is_empty() || answer.contains("\"timeout\""), "{what}: {answer}");
        neighbour.goes_on().await;
    }
    neighbour.has_all().await;
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
