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

/// A handshake that is as it should be.
pub(crate) const UPGRADE: &str = "GET /api/v1/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                                  Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Sends bytes on a connection of their own; everything that comes back until its end.
pub(crate) async fn all(gateway: &TestGateway, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(&gateway.address).await.unwrap();
    let _refused_early = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    // A reset ends it too: what came before counts.
    let _read_to_its_end = soon("an end", stream.read_to_end(&mut answer)).await;
    answer
}

/// A frame as a client has to mask it, with any first byte.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [7, 1, 3, 9];
    let mut frame = vec![first];
    match u16::try_from(payload.len()) {
        Ok(length @ 0..126) => frame.push(0x80 | u8::try_from(length).unwrap()),
        Ok(length) => {
            frame.push(0x80 | 126);
            frame.extend(length.to_be_bytes());
        }
        Err(_) => {
            frame.push(0x80 | 127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// Sends bytes behind a handshake, all at once. The code with which that is closed; `None` when there is none in the close
/// frame.
pub(crate) async fn close_code(gateway: &TestGateway, bytes: &[u8]) -> Option<u16> {
    let mut stream = TcpStream::connect(&gateway.address).await.unwrap();
    let _closed_early = stream.write_all(&[UPGRADE.as_bytes(), bytes].concat()).await;
    let mut came = Vec::new();
    soon("a close", async {
        loop {
            if let Some(close) = close_frame(&came) {
                return close;
            }
            assert!(
                stream.read_buf(&mut came).await.unwrap() > 0,
                "no close frame: {:?}",
                String::from_utf8_lossy(&came)
            );
        }
    })
    .await
}

/// The close frame among what a server sent, and its code.
fn close_frame(came: &[u8]) -> Option<Option<u16>> {
    let head = came.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    assert!(came.starts_with(b"HTTP/1.1 101 "), "{:?}", String::from_utf8_lossy(came));
    let mut rest = &came[head + 4..];
    loop {
        let (first, length, start) = match *rest {
            [first, 126, high, low, ..] => (first, usize::from(u16::from_be_bytes([high, low])), 4),
            [first, length @ 0..126, ..] => (first, usize::from(length), 2),
            _ => return None,
        };
        let payload = rest.get(start..start + length)?;
        if first == 0x88 {
            return Some(payload.first_chunk().map(|code| u16::from_be_bytes(*code)));
        }
        rest = &rest[start + length..];
    }
}
