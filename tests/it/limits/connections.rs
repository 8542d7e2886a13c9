//! Connections: of one address, behind proxies, and when the process may not have more of them.

use std::{fs, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, interval},
};
use tokio_tungstenite::tungstenite::Message;

use super::{all, close, from, retry_after, upgrade};
use crate::harness::{Neighbour, Setup, TestGateway, Upstream, soon};

#[tokio::test]
async fn an_address_has_so_many_connections_and_others_have_theirs() {
    let setup = Setup::bare().set("RIVULET_LIMITS_CONNECTIONS_PER_IP", "3");
    let (gateway, mut neighbour) = Neighbour::of_nobody(setup).await;
    let first = upgrade(from("127.0.0.2", &gateway).await, &gateway, &[]).await.unwrap();
    let mut second = upgrade(from("127.0.0.2", &gateway).await, &gateway, &[]).await.unwrap();
    let mut kept_alive = from("127.0.0.2", &gateway).await;
    kept_alive.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    soon("an answer", kept_alive.readable()).await.unwrap();

    let refused = all(from("127.0.0.2", &gateway).await, &close("/livez")).await;
    assert!(refused.starts_with("HTTP/1.1 429 ") && refused.contains("\r\nRetry-After: "), "{refused}");
    let (head, body) = refused.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("application/problem+json"), "{head}");
    assert_eq!(serde_json::from_str::<Value>(body).unwrap()["code"], "rate_limited");
    let refused = upgrade(from("127.0.0.2", &gateway).await, &gateway, &["198.51.100.1"]).await.unwrap_err();
    assert_eq!(refused.status(), 429, "whoever is no proxy says nothing with a header");
    assert!(retry_after(refused.headers()) > 0);

    let other = all(from("127.0.0.3", &gateway).await, &close("/livez")).await;
    assert!(other.starts_with("HTTP/1.1 200 "), "{other}");
    let counted = metric("127.0.0.3", &gateway, "rate_limited_total{scope=\"connections_per_ip\"}").await;
    assert!((counted - 2.0).abs() < f64::EPSILON, "{counted}");
    neighbour.goes_on().await;

    drop(first);
    soon("a place", async {
        while !all(from("127.0.0.2", &gateway).await, &close("/livez")).await.starts_with("HTTP/1.1 200 ") {}
    })
    .await;
    second.send(Message::text(r#"{"type":"ping"}"#)).await.unwrap();
    let pong = soon("a pong", second.next()).await.unwrap().unwrap().into_text().unwrap();
    assert!(pong.contains("pong"), "{pong}");
    neighbour.has_all().await;
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_client_is_counted_and_not_the_proxy() {
    let setup = Setup::bare().set("RIVULET_LIMITS_CONNECTIONS_PER_IP", "2");
    let setup = setup.set("RIVULET_SERVER_TRUSTED_PROXIES", "127.0.0.2,127.0.0.8/30");
    let (gateway, mut neighbour) = Neighbour::of_nobody(setup).await;
    let proxied = async |forwarded: &[&str]| upgrade(from("127.0.0.2", &gateway).await, &gateway, forwarded).await;
    let first = proxied(&["6.6.6.6, 198.51.100.7"]).await.unwrap();
    let created = TestGateway::answer(reqwest::Client::new().post(gateway.url("/api/v1/sessions"))).await.1;
    let events = format!(
        "GET /api/v1/sessions/{}/events HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 6.6.6.7\r\n\
         X-Forwarded-For: 198.51.100.7:999, 127.0.0.9\r\n\r\n",
        created["session_id"].as_str().unwrap()
    );
    let mut stream = from("127.0.0.2", &gateway).await;
    stream.write_all(events.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    soon("events", stream.read_exact(&mut head)).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");

    // However it begins, the header ends with what the proxies wrote.
    for forwarded in
        [&["198.51.100.7"][..], &["9.9.9.9, ::ffff:198.51.100.7"], &["9.9.9.9", "198.51.100.7, 127.0.0.10"]]
    {
        let refused = proxied(forwarded).await.unwrap_err();
        assert_eq!(refused.status(), 429, "{forwarded:?}");
        assert!(retry_after(refused.headers()) > 0 && refused.headers().contains_key("x-request-id"));
        neighbour.goes_on().await;
    }
    let _another_client = proxied(&["198.51.100.8"]).await.unwrap();
    let mut many = Vec::new();
    for n in 0..5 {
        many.push(proxied(&[&format!("198.51.100.{}", 100 + n)]).await.unwrap());
    }
    // A proxy that does not say for whom it comes is the client itself, and is not counted.
    many.push(proxied(&["unknown"]).await.unwrap());

    drop(first);
    soon("a place", async { while proxied(&["198.51.100.7"]).await.is_err() {} }).await;
    drop(stream);
    soon("another place", async { while proxied(&["198.51.100.7"]).await.is_err() {} }).await;

    let direct = async || upgrade(from("127.0.0.5", &gateway).await, &gateway, &["198.51.100.50"]).await;
    let (_one, _two) = (direct().await.unwrap(), direct().await.unwrap());
    assert_eq!(direct().await.unwrap_err().status(), 429, "the header of anybody else is not read");
    neighbour.has_all().await;
}

/// Processor time of a process so far.
fn processor_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10) // 100 ticks a second, on every Linux that Rust runs on.
}

#[tokio::test]
async fn without_file_descriptors_the_gateway_rests_serves_who_is_there_and_recovers() {
    let upstream = Upstream::saying("Yes.", 0.0).await;
    for (setup, needs_model) in [(Setup::bare(), false), (Setup::with_upstream(&upstream.url), true)] {
        let gateway = setup.open_files(64).start().await;
        let mut client = gateway.connect().await;
        let mut crowd = Vec::new();
        soon("exhaustion", async {
            while !gateway.log().contains("no connection can be accepted") {
                let mut stream = TcpStream::connect(&gateway.address).await.unwrap();
                stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
                crowd.push(stream);
            }
        })
        .await;

        let (before, started) = (processor_time(gateway.pid()), Instant::now());
        let mut every = interval(Duration::from_millis(100));
        while started.elapsed() < Duration::from_secs(2) {
            every.tick().await;
            client.tell(json!({"type": "ping"})).await;
            client.until("pong").await;
        }
        let spent = processor_time(gateway.pid()) - before;
        assert!(spent < started.elapsed() / 8, "it spins: {spent:?} of {:?}", started.elapsed());

        let answer = client.ask("What is the capital?").await;
        if needs_model && answer.status() != "complete" {
            // A connection to the model is a file, too.
            let error = &answer.done["error"];
            assert_eq!((answer.status(), &error["code"]), ("error", &json!("upstream_unavailable")), "{answer:?}");
        } else {
            assert_eq!(answer.status(), "complete");
        }
        let said = gateway.log().matches("no connection can be accepted").count();
        assert!(said < 20, "said {said} times");

        drop(crowd);
        let mut newcomer = gateway.connect().await;
        assert_eq!(newcomer.ask("And now?").await.status(), "complete");
        assert_eq!(client.ask("And for me?").await.status(), "complete");
        assert!(gateway.log().contains("connections are accepted again"), "{}", gateway.log());
    }
}

async fn metric(source: &str, gateway: &TestGateway, name: &str) -> f64 {
    let text = all(from(source, gateway).await, &close("/metrics")).await;
    let line = text.lines().find(|line| line.starts_with(name));
    line.map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}
