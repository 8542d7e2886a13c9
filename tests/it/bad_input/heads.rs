//! HTTP as bytes: every head has one reading, and nothing behind a request that is refused becomes another one.

use crate::harness::{Neighbour, Setup, all};

/// A whole request, which nobody is to answer where it stands in a body or behind a refused head.
const SMUGGLED: &str = "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const MAKE: &str = "POST /api/v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

/// The statuses of all answers, in their order.
fn statuses(answer: &[u8]) -> Vec<u16> {
    let answer = String::from_utf8_lossy(answer);
    let heads = answer.split("HTTP/1.").skip(1);
    heads.filter_map(|head| head.get(2..5)?.parse().ok()).collect()
}

/// `POST /api/v1/sessions` with these fields and this body, a smuggled request behind it.
fn make(fields: &str, body: &str) -> String {
    format!("{MAKE}{fields}\r\n{body}{SMUGGLED}")
}

/// A GET that ends its connection.
fn get(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n")
}

/// Lengths and codings: how long a body is has one reading or none.
fn lengths() -> Vec<(String, &'static [u16])> {
    let chunks = |body: &str| make(CHUNKED, body);
    let length = |fields: &str| make(fields, "{}");
    vec![
        // Chunks count, and the connection ends.
        (make(&format!("Content-Length: 2\r\n{CHUNKED}"), "2\r\n{}\r\n0\r\n\r\n"), &[201]),
        (make(&format!("{CHUNKED}Content-Length: 2\r\n"), "2\r\n{}\r\n0\r\n\r\n"), &[201]),
        (length("Content-Length: 2\r\nContent-Length: 3\r\n"), &[400]),
        (length("Content-Length: 2, 2\r\n"), &[400]),
        (length("Content-Length: +2\r\n"), &[400]),
        (length("Content-Length: -2\r\n"), &[400]),
        (length("Content-Length: 0x2\r\n"), &[400]),
        (length("Content-Length: 99999999999999999999\r\n"), &[400]),
        (length("Content-Length : 2\r\n"), &[400]),
        (length("X-Fold: a\r\n b\r\nContent-Length: 2\r\n"), &[400]),
        (make("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), &[400]),
        (make("Transfer-Encoding: identity\r\n", ""), &[400]),
        (make("Transfer-Encoding:\u{b}chunked\r\n", "0\r\n\r\n"), &[400]),
        (make(&format!("{CHUNKED}{CHUNKED}"), "2\r\n{}\r\n0\r\n\r\n"), &[501]),
        (make("Transfer-Encoding: gzip, chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"), &[501]),
        (make("Transfer-Encoding: gzip, chunked\r\n", "2\r\n{}\r\n0\r\n\r\n").replacen("POST", "OPTIONS", 1), &[501]),
        (chunks("2\r\n{}\r\n0\r\n\r\n").replacen("HTTP/1.1", "HTTP/1.0", 1), &[400]),
        (chunks("zz\r\n{}\r\n0\r\n\r\n"), &[400]),
        (chunks("-2\r\n{}\r\n0\r\n\r\n"), &[400]),
        (chunks("fffffffffffffffff\r\n{}\r\n0\r\n\r\n"), &[400]),
        (chunks("2;a\n{}\r\n0\r\n\r\n"), &[400]),
        (chunks(&format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "a".repeat(20_480))), &[400]),
        (chunks("2\r\n{}0\r\n\r\n"), &[400]),
        (chunks(&format!("2\r\n{{}}\r\n0\r\n{}\r\n", "X-A: b\r\n".repeat(5000))), &[400]),
    ]
}

/// Lines, names and targets.
fn heads() -> Vec<(String, &'static [u16])> {
    let hosted = |host: &str| format!("GET /api/v1/sessions HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
    vec![
        (get("/livez", ""), &[200]),
        (get("http://localhost/livez", ""), &[200]),
        (get("http://evil.example/livez", ""), &[400]),
        (get("//livez", ""), &[404]),
        (get("/%00", ""), &[404]),
        (get("/assets/%2e%2e/%2e%2e/etc/passwd", ""), &[404]),
        (get("/../../etc/passwd", ""), &[404]),
        (get(&format!("/{}", "a".repeat(20_000)), ""), &[404]),
        (get(&format!("/{}", "a".repeat(40_000)), ""), &[431]),
        (get("", ""), &[400]),
        (get("/livez", &format!("X-Long: {}\r\n", "a".repeat(1 << 20))), &[431]),
        (get("/livez", "X\rA: b\r\n"), &[400]),
        (get("/livez", "X-A: a\0b\r\n"), &[400]),
        (get("/livez", "X-A\r\n"), &[400]),
        (get("/livez", ": b\r\n"), &[400]),
        (get("/livez", "X-A: \u{e4}\r\n"), &[200]),
        (get("/", &format!("Range: bytes=5-10,{}7-8\r\n", "5-6,".repeat(500))), &[200]),
        (hosted("Host: a b\r\n"), &[421]),
        (hosted("Host: localhost@evil.example\r\n"), &[421]),
        (hosted("Host: \r\n"), &[421]),
        (hosted("Host: local\u{1}host\r\n"), &[400]),
        (hosted(""), &[400]),
        (hosted("Host: localhost\r\nHost: localhost\r\n"), &[400]),
        (hosted("Host: localhost\r\nHost: localhost\r\n").replacen("GET", "OPTIONS", 1), &[400]),
        ("GET\t/livez HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), &[400]),
        ("GET /livez HTTP/9.9\r\nHost: localhost\r\n\r\n".to_owned(), &[400]),
        ("GET /livez\r\n\r\n".to_owned(), &[400]),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\r\n\r\n".to_owned(), &[400]),
        (get("/livez", "").replacen("GET", "get", 1), &[405]),
        (get("/livez", "").replacen("GET", "PUT", 1), &[405]),
        (get("/livez", "").replacen("GET", "TRACE", 1), &[405]),
        (get("/livez", "").replacen("GET", "HEAD", 1), &[200]),
        (get("*", "").replacen("GET", "OPTIONS", 1), &[200]),
        (get("localhost:80", "").replacen("GET", "CONNECT", 1), &[400]),
    ]
}

/// Bodies of what is refused before they are read, and requests one behind the other.
fn bodies() -> Vec<(String, Vec<u16>)> {
    let hidden =
        |head: &str| format!("{head}Host: localhost\r\nContent-Length: {}\r\n\r\n{SMUGGLED}{SMUGGLED}", SMUGGLED.len());
    let more = "Connection: close\r\nContent-Length: 2\r\n";
    let typed = |kind: &str| format!("POST /api/v1/sessions HTTP/1.1\r\nHost: localhost\r\n{kind}{more}\r\n{{}}");
    vec![
        (hidden("GET /livez HTTP/1.1\r\n"), vec![200, 200]),
        (hidden("POST /nothing HTTP/1.1\r\n"), vec![404, 200]),
        (hidden("POST /api/v1/sessions HTTP/1.1\r\nOrigin: https://evil.example\r\n"), vec![403, 200]),
        (format!("{MAKE}Connection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{{}}"), vec![100, 201]),
        (typed(""), vec![415]),
        (typed("Content-Type: text/plain\r\n"), vec![415]),
        (typed("Content-Type: application/json; charset=utf-8\r\n"), vec![201]),
        (typed("Content-Type: application/json\r\nContent-Type: text/plain\r\n"), vec![400]),
        (typed("Content-Type: text/plain\r\nContent-Type: application/json\r\n"), vec![400]),
        (typed("Content-Type: application/json\r\nContent-Encoding: gzip\r\n"), vec![415]),
        ("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(999) + SMUGGLED, vec![200; 1000]),
    ]
}

#[tokio::test]
async fn heads_have_one_reading_and_nothing_is_smuggled_behind_them() {
    let (gateway, mut neighbour) = Neighbour::of_nobody(Setup::bare()).await;
    let fixed = lengths().into_iter().chain(heads()).map(|(request, statuses)| (request, statuses.to_vec()));
    for (request, expected) in fixed.chain(bodies()) {
        let answer = all(&gateway, request.as_bytes()).await;
        let shown = request.get(..request.len().min(300)).unwrap_or_default();
        assert_eq!(statuses(&answer), expected, "{shown}\n{}", String::from_utf8_lossy(&answer));
        neighbour.goes_on().await;
    }
    neighbour.has_all().await;
}
