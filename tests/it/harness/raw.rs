//! Requests as bytes: what a library would not send, or would hide.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{TestGateway, soon};

/// Sends bytes on a connection of their own; the answer to them.
pub(crate) async fn raw(gateway: &TestGateway, request: &str) -> String {
    let mut stream = TcpStream::connect(&gateway.address).await.unwrap();
    raw_on(&mut stream, request).await
}

/// Sends bytes on a connection; the answer, or what there is of it when the connection ends.
pub(crate) async fn raw_on(stream: &mut TcpStream, request: &str) -> String {
    let _refused_early = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    soon("an answer", async {
        while let Ok(count @ 1..) = stream.read(&mut piece).await {
            answer.extend_from_slice(&piece[..count]);
            let text = String::from_utf8_lossy(&answer);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|l| l.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
                if head.contains(" 101 ") || body.len() >= length.unwrap_or(0) {
                    break;
                }
            }
        }
    })
    .await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// A POST of JSON.
pub(crate) fn post(path: &str, more: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{more}Content-Length: {length}\r\n\
         \r\n{body}"
    )
}
