//! What stands between clients and the gateway, and what it does to them: names, origins, one address for all, connections
//! that rest. What is wrong with a set-up is said in the answer and in the log, once, with the remedy.

use std::time::Duration;

use serde_json::Value;
use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use crate::harness::{Neighbour, Setup, TestGateway, raw, raw_on, soon};

/// A request, or a handshake, with these fields.
async fn status(gateway: &TestGateway, request: &str, fields: &str) -> (u16, String) {
    let answer = raw(gateway, &format!("{request} HTTP/1.1\r\n{fields}\r\n")).await;
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

const SOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const POST: &str = "Content-Type: application/json\r\nContent-Length: 2\r\n";

async fn both(gateway: &TestGateway, host: &str, origin: &str) -> [u16; 2] {
    let names = format!("Host: {host}\r\nOrigin: {origin}\r\n");
    let socket = status(gateway, "GET /api/v1/ws", &format!("{names}{SOCKET}")).await.0;
    let answer = raw(gateway, &format!("POST /api/v1/sessions HTTP/1.1\r\n{names}{POST}\r\n{{}}")).await;
    [socket, answer.split(' ').nth(1).unwrap().parse().unwrap()]
}

/// The line of the log with these words; there is one.
async fn told_once(gateway: &TestGateway, words: &str) -> String {
    let lines =
        || -> Vec<String> { gateway.log().lines().filter(|line| line.contains(words)).map(str::to_owned).collect() };
    soon("a line of the log", async {
        while lines().is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let [line] = <[String; 1]>::try_from(lines()).unwrap_or_else(|lines| panic!("once: {lines:?}"));
    line
}

#[tokio::test]
async fn a_page_whose_proxy_hides_the_host_is_told_why_it_is_refused() {
    let gateway = Setup::bare().start().await;
    let own = gateway.address.clone();
    for _ in 0..3 {
        assert_eq!(both(&gateway, &own, "https://chat.example").await, [403, 403]);
    }
    let names = format!("Host: {own}\r\nOrigin: https://chat.example\r\n");
    let (_, answer) = status(&gateway, "GET /api/v1/ws", &format!("{names}{SOCKET}")).await;
    let problem: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("`Host`") && detail.contains("server.allowed_origins"), "{detail}");
    assert!(!detail.contains(&own), "what the gateway is called inside is nobody's business: {detail}");
    let line = told_once(&gateway, "https://chat.example").await;
    assert!(line.contains("`Host`") && line.contains("server.allowed_origins"), "{line}");
    // Nobody is believed who only says what the host was.
    let forwarded = format!("{names}X-Forwarded-Host: chat.example\r\n");
    assert_eq!(status(&gateway, "GET /api/v1/ws", &format!("{forwarded}{SOCKET}")).await.0, 403);
}

#[tokio::test]
async fn a_host_is_the_same_with_the_port_that_its_scheme_has() {
    let gateway = Setup::bare().set("CORS_ORIGINS", "https://listed.example").set("JWT_SECRET_KEY", "x").start().await;
    for (host, origin, expected) in [
        ("127.0.0.1:443", "https://127.0.0.1", 101),
        ("127.0.0.1:80", "http://127.0.0.1", 101),
        ("127.0.0.1:443", "http://127.0.0.1", 403),
        ("listed.example:443", "https://listed.example", 101),
        ("listed.example", "https://listed.example", 101),
    ] {
        let [socket, _] = both(&gateway, host, origin).await;
        assert_eq!(socket, expected, "{host} {origin}");
    }
}

#[tokio::test]
async fn apps_with_origins_of_their_own_are_refused_until_they_are_listed() {
    let apps = ["tauri://localhost", "http://tauri.localhost", "chrome-extension://abcdefghijklmnop"];
    let strict = Setup::bare().start().await;
    let open = Setup::bare().set("CORS_ORIGINS", &apps.join(",")).start().await;
    for app in apps {
        assert_eq!(both(&strict, "localhost", app).await, [403, 403], "{app}");
        assert_eq!(both(&open, "localhost", app).await, [101, 201], "{app}");
        let names = format!("Host: localhost\r\nOrigin: {app}\r\nAccess-Control-Request-Method: POST\r\n");
        let asked = format!("{names}Access-Control-Request-Private-Network: true\r\n");
        let allowed = "access-control-allow-private-network: true";
        let (_, answer) = status(&open, "OPTIONS /v1/chat/completions", &asked).await;
        assert!(answer.to_lowercase().contains(allowed), "{answer}");
        let (_, answer) = status(&strict, "OPTIONS /v1/chat/completions", &asked).await;
        assert!(!answer.to_lowercase().contains("access-control-allow-private-network"), "{answer}");
        let (_, answer) = status(&open, "OPTIONS /v1/chat/completions", &names).await;
        assert!(!answer.to_lowercase().contains(allowed), "nobody asked: {answer}");
    }
}

#[tokio::test]
async fn a_rebound_name_reads_nothing_wherever_the_gateway_listens() {
    for bind in ["127.0.0.1:0", "0.0.0.0:0"] {
        let setup = Setup::bare().bind(bind).set("CORS_ORIGINS", "http://chat.lan:8080");
        let (gateway, mut neighbour) = Neighbour::of_nobody(setup).await;
        let port = gateway.address.rsplit(':').next().unwrap().to_owned();
        let evil = format!("evil.example:{port}");
        let origin = format!("http://{evil}");
        for _ in 0..2 {
            assert_eq!(both(&gateway, &evil, &origin).await, [421, 421], "{bind}");
        }
        let names = format!("Host: {evil}\r\nOrigin: {origin}\r\n");
        let (code, answer) = status(&gateway, "GET /api/v1/sessions", &names).await;
        assert!(code == 421 && answer.contains("server.allowed_origins"), "{answer}");
        let line = told_once(&gateway, &evil).await;
        assert!(line.contains("server.allowed_origins"), "{line}");
        for host in ["localhost", "127.0.0.1", "192.0.2.7:1", "[::1]", "chat.lan:8080"] {
            assert_eq!(status(&gateway, "GET /api/v1/sessions", &format!("Host: {host}\r\n")).await.0, 200, "{host}");
        }
        neighbour.has_all().await;
    }
    let secret = "6f1c0d9be27a43588b3f5c2ad4e9071633a9d8c1f0b24e7596ad3b8c7e5f1024";
    let closed = Setup::bare().set("REQUIRE_AUTHENTICATION", "true").set("JWT_SECRET_KEY", secret).start().await;
    let (code, _) = status(&closed, "GET /api/v1/sessions", "Host: evil.example\r\n").await;
    assert_eq!(code, 401, "where everybody has to say who they are, a name gives nobody anything");
}

#[tokio::test]
async fn one_address_for_everybody_is_named_in_the_log_with_the_remedy() {
    let gateway = Setup::bare().set("RIVULET_LIMITS_CONNECTIONS_PER_IP", "1").start().await;
    let _held = gateway.connect().await;
    for _ in 0..3 {
        let refused = raw(&gateway, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert!(refused.starts_with("HTTP/1.1 429 "), "{refused}");
    }
    let line = told_once(&gateway, "server.trusted_proxies").await;
    assert!(line.contains("127.0.0.1") && line.contains("limits.connections_per_ip"), "{line}");
}

/// Takes the gateway's real times, side by side with the other tests.
#[tokio::test]
async fn a_connection_rests_longer_than_a_balancer_keeps_it_and_a_head_that_began_does_not() {
    let gateway = Setup::bare().start().await;
    let get = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let opened = async |begins: &'static str| {
        let mut stream = TcpStream::connect(&gateway.address).await.unwrap();
        assert!(raw_on(&mut stream, get).await.starts_with("HTTP/1.1 200 "));
        if !begins.is_empty() {
            tokio::io::AsyncWriteExt::write_all(&mut stream, begins.as_bytes()).await.unwrap();
        }
        stream
    };
    let rests = async {
        let mut stream = opened("").await;
        sleep(Duration::from_secs(62)).await;
        assert!(raw_on(&mut stream, get).await.starts_with("HTTP/1.1 200 "), "after a balancer's 60 seconds");
    };
    let closes = async |begins: &'static str| {
        let mut stream = opened(begins).await;
        let since = Instant::now();
        let mut rest = Vec::new();
        timeout(Duration::from_secs(120), stream.read_to_end(&mut rest)).await.expect("it is closed").unwrap();
        assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
        since.elapsed().as_secs()
    };
    let first = async {
        let mut stream = TcpStream::connect(&gateway.address).await.unwrap();
        let since = Instant::now();
        timeout(Duration::from_secs(60), stream.read_to_end(&mut Vec::new())).await.expect("it is closed").unwrap();
        since.elapsed().as_secs()
    };
    let ((), begun, idle, first) = tokio::join!(rests, closes("GET /livez HTT"), closes(""), first);
    assert!((14..=25).contains(&begun), "a head: {begun} s");
    assert!((70..=100).contains(&idle), "between two requests: {idle} s");
    assert!((9..=13).contains(&first), "the first byte: {first} s");
}
