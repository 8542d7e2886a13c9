//! Handshakes, as bytes: what is no good one is refused before the upgrade, by status and in words.

use crate::harness::{Neighbour, Setup, UPGRADE, post, raw};

#[tokio::test]
async fn handshakes_are_checked_before_the_upgrade() {
    let setup = Setup::bare().set("RIVULET_SERVER_ALLOWED_ORIGINS", "https://shop.example");
    let (gateway, mut neighbour) = Neighbour::of_nobody(setup).await;
    let session = gateway.connect().await.session();
    let good = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let path = "/api/v1/ws";
    for (path, headers, status) in [
        (path.to_owned(), good.to_owned(), 101),
        (format!("{path}/{session}"), good.to_owned(), 101),
        (path.to_owned(), format!("{good}Sec-WebSocket-Protocol: soap, chat.v1\r\n"), 101),
        (path.to_owned(), format!("{good}Sec-WebSocket-Protocol: chat.v1, bearer.x\r\n"), 401),
        (path.to_owned(), format!("{good}Origin: https://shop.example\r\n"), 101),
        (path.to_owned(), format!("{good}Origin: http://{}\r\n", gateway.address), 101),
        (path.to_owned(), format!("{good}Origin: https://evil.example\r\n"), 403),
        (path.to_owned(), format!("{good}Origin: null\r\n"), 403),
        (path.to_owned(), format!("{good}Sec-WebSocket-Protocol: graphql-ws\r\n"), 400),
        (path.to_owned(), good.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"), 400),
        (path.to_owned(), good.replace("13", "8"), 426),
        (path.to_owned(), good.replace("13", "14"), 426),
        (path.to_owned(), good.replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ"), 400),
        (path.to_owned(), good.replace("dGhlIHNhbXBsZSBub25jZQ==", ""), 400),
        (path.to_owned(), format!("{good}Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n"), 400),
        (path.to_owned(), good.replace("Connection: Upgrade", "Connection: keep-alive, upgrade"), 101),
        (path.to_owned(), good.replace("Upgrade: websocket", "Upgrade: h2c, WebSocket"), 101),
        (path.to_owned(), good.replace("Upgrade: websocket", "Upgrade: h2c"), 426),
        (path.to_owned(), good.replace("Connection: Upgrade", "Connection: close"), 426),
        (path.to_owned(), format!("{good}Sec-WebSocket-Protocol: \r\n"), 101),
        (path.to_owned(), format!("{good}Sec-WebSocket-Protocol: chat.v1\r\nSec-WebSocket-Protocol: chat.v1\r\n"), 101),
        (path.to_owned(), format!("{good}Sec-WebSocket-Protocol: {}\r\n", "x".repeat(4096)), 400),
        (
            path.to_owned(),
            format!("{good}Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=0\r\n"),
            101,
        ),
        (
            path.to_owned(),
            format!("{good}Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=99\r\n"),
            101,
        ),
        (path.to_owned(), "Accept: */*\r\n".to_owned(), 426),
        (format!("{path}/s_unknown"), good.to_owned(), 404),
        (format!("{path}/%00"), good.to_owned(), 404),
        (format!("{path}/%ff"), good.to_owned(), 400),
        (format!("{path}?token=abc"), good.to_owned(), 400),
    ] {
        let answer = raw(&gateway, &format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", gateway.address)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path} {headers}: {answer}");
        if status != 101 {
            assert!(answer.contains("application/problem+json") && answer.contains("request_id"), "{answer}");
        } else {
            let answer = answer.to_lowercase();
            assert!(answer.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{answer}");
            assert!(!answer.contains("sec-websocket-extensions"), "nothing is unpacked: {answer}");
        }
        neighbour.goes_on().await;
    }
    let upgrade =
        |method: &str, version: &str| format!("{method} {path} HTTP/{version}\r\nHost: localhost\r\n{good}\r\n");
    for (request, status) in [(upgrade("POST", "1.1"), 405), (upgrade("GET", "1.0"), 426)] {
        let answer = raw(&gateway, &request).await;
        assert_eq!(answer.split(' ').nth(1), Some(status.to_string().as_str()), "{request}: {answer}");
        neighbour.goes_on().await;
    }
    neighbour.has_all().await;
}

/// Exactly the listed ones, and the gateway's own. What a page could send is compared as a whole: no case of it is a prefix,
/// a suffix, or a part of a name.
#[tokio::test]
async fn what_only_looks_like_a_listed_origin_opens_and_changes_nothing() {
    let setup = Setup::bare().set("RIVULET_SERVER_ALLOWED_ORIGINS", "https://shop.example");
    let (gateway, mut neighbour) = Neighbour::of_nobody(setup).await;
    let host = gateway.address.clone();
    let upgrade = UPGRADE.replace("localhost", &host);
    for (origins, may) in [
        (vec!["https://shop.example".to_owned()], true),
        (vec!["https://SHOP.example".to_owned()], true),
        (vec![format!("http://{host}")], true),
        (vec![format!("https://{host}")], true), // TLS may end at a proxy.
        (vec![], true),
        (vec!["null".to_owned()], false),
        (vec![String::new()], false),
        (vec!["http://shop.example".to_owned()], false),
        (vec!["https://shop.example:444".to_owned()], false),
        (vec!["https://shop.example/".to_owned()], false),
        (vec!["https://shop.example.evil.example".to_owned()], false),
        (vec!["https://evilshop.example".to_owned()], false),
        (vec!["https://evil.example/https://shop.example".to_owned()], false),
        (vec!["https://shop.example@evil.example".to_owned()], false),
        (vec!["https://xn--shp-9na.example".to_owned()], false),
        (vec!["https://sh\u{f6}p.example".to_owned()], false),
        (vec!["file://".to_owned()], false),
        (vec![format!("http://{host}0")], false),
        (vec![format!("ws://{host}")], false),
        (vec!["https://shop.example, https://evil.example".to_owned()], false),
        (vec!["https://shop.example".to_owned(), "https://shop.example".to_owned()], false),
        (vec!["https://shop.example".to_owned(), "https://evil.example".to_owned()], false),
    ] {
        let fields: String = origins.iter().map(|origin| format!("Origin: {origin}\r\n")).collect();
        let opened = upgrade.replace("Upgrade: websocket\r\n", &format!("Upgrade: websocket\r\n{fields}"));
        let opened = raw(&gateway, &opened);
        let made = post("/api/v1/sessions", &fields, "{}").replace("localhost", &host);
        let made = raw(&gateway, &made);
        for (what, answer, good) in [("a socket", opened.await, 101), ("a change", made.await, 201)] {
            let expected = if may { good } else { 403 };
            assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{what} {origins:?}: {answer}");
            let told = answer.to_lowercase().contains("access-control-allow-origin");
            // Of two, the first one is told that it may read the refusal.
            assert!(may || !told || origins.len() > 1, "{what} {origins:?}: {answer}");
        }
        neighbour.goes_on().await;
    }
    let rebound = raw(&gateway, "GET /api/v1/sessions HTTP/1.1\r\nHost: evil.example:8080\r\n\r\n").await;
    assert!(rebound.starts_with("HTTP/1.1 421 ") && rebound.contains("does not answer to this name"), "{rebound}");
    neighbour.has_all().await;
}
