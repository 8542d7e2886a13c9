//! HTTP/2 as bytes: what no library would send. A request that is none ends its stream or its connection by name, and a flood
//! of what costs the sender nothing ends the connection, in little memory.

use tokio::io::AsyncReadExt;

use super::*;

const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const WHOLE: u8 = END_STREAM | END_HEADERS;

const PROTOCOL_ERROR: u32 = 1;
const ENHANCE_YOUR_CALM: u32 = 11;
/// A connection's own is at most this, and what is left of it when it was cut.
const MOST_MEMORY: usize = 16 << 20;

/// What comes of it.
#[derive(Debug, PartialEq)]
enum Comes {
    /// An answer of this status.
    Head(u16),
    /// The stream is reset.
    Reset(u32),
    /// The connection ends.
    Ended(u32),
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A field as it is, in no table.
fn field(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}

/// `GET /livez`, with more fields.
fn head(more: &[u8]) -> Vec<u8> {
    [&[0x82, 0x87, 0x04, 6], &b"/livez"[..], &[0x01, 9], b"localhost", more].concat()
}

/// Heads that are none, and heads and frames without end.
fn rows() -> Vec<(&'static str, Vec<u8>, Comes)> {
    let one = |more: &[u8]| frame(HEADERS, WHOLE, 1, &head(more));
    let big = [&[0x40, 1, b'a', 0x7f, 0xb9, 0x16][..], &[b'v'; 3000]].concat();
    let resets: Vec<u8> = (0..20_000_u32)
        .flat_map(|at| {
            [frame(HEADERS, WHOLE, 2 * at + 1, &head(&[])), frame(RESET, 0, 2 * at + 1, &[0, 0, 0, 8])].concat()
        })
        .collect();
    let more = frame(CONTINUATION, 0, 1, &field(&"a".repeat(20), &"b".repeat(100)));
    let indexed = frame(HEADERS, WHOLE, 3, &head(&[0xbe; 8000]));
    vec![
        ("a request", one(&[]), Comes::Head(200)),
        ("another host beside the target's", one(&field("host", "evil.example")), Comes::Head(400)),
        ("a coding of HTTP/1.1", one(&field("transfer-encoding", "chunked")), Comes::Reset(PROTOCOL_ERROR)),
        ("a field of the connection", one(&field("connection", "close")), Comes::Reset(PROTOCOL_ERROR)),
        ("a length that the body has not", one(&field("content-length", "5")), Comes::Reset(PROTOCOL_ERROR)),
        ("a name in capitals", one(&field("X-A", "b")), Comes::Ended(PROTOCOL_ERROR)),
        ("a line end in a value", one(&field("x-a", "b\r\nc: d")), Comes::Ended(PROTOCOL_ERROR)),
        ("a line end in a name", one(&field("x\r\na", "b")), Comes::Ended(PROTOCOL_ERROR)),
        ("requests that are taken back at once", resets, Comes::Ended(ENHANCE_YOUR_CALM)),
        (
            "a head without end",
            [frame(HEADERS, END_STREAM, 1, &head(&[])), more.repeat(20_000)].concat(),
            Comes::Ended(ENHANCE_YOUR_CALM),
        ),
        ("24 MB of fields in 8 KB", [one(&big), indexed].concat(), Comes::Ended(ENHANCE_YOUR_CALM)),
    ]
}

/// Sends it behind the opening of a connection; what comes of it: the first answer, unless something worse is `expected`.
async fn sent(stream: TlsStream<TcpStream>, bytes: &[u8], expected: &Comes) -> Comes {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let opening = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(SETTINGS, 0, 0, &[]), bytes].concat();
    let writing = async {
        let _cut_before_its_end = writer.write_all(&opening).await;
    };
    let reading = async {
        let mut head = [0; 9];
        while reader.read_exact(&mut head).await.is_ok() {
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            if reader.read_exact(&mut payload).await.is_err() {
                break;
            }
            let code = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
            match head[3] {
                GOAWAY => return Comes::Ended(code(4)),
                RESET => return Comes::Reset(code(0)),
                // As the table of names and values has these two statuses.
                HEADERS if matches!(expected, Comes::Head(_)) => {
                    return Comes::Head(if payload[0] == 0x88 { 200 } else { 400 });
                }
                _ => {}
            }
        }
        panic!("it ended without a word")
    };
    tokio::select! {
        comes = soon("an end or an answer", reading) => comes,
        () = async { writing.await; std::future::pending().await } => unreachable!(),
    }
}

#[tokio::test]
async fn broken_and_endless_frames_end_what_they_belong_to_and_the_neighbour_does_not_notice() {
    let (gateway, certificate) = with_tls().await;
    let stream = certificate.connect(&gateway, b"http/1.1").await;
    let (mut neighbour, _) = client_async(gateway.socket(""), stream).await.unwrap();
    let memory = gateway.memory();
    for (what, bytes, comes) in rows() {
        assert_eq!(sent(certificate.connect(&gateway, b"h2").await, &bytes, &comes).await, comes, "{what}");
        let grown = gateway.memory().saturating_sub(memory);
        assert!(grown < MOST_MEMORY, "{what}: {} KB more than before", grown >> 10);
        neighbour.send(Message::text(json!({"type": "ping", "t": what}).to_string())).await.unwrap();
        soon("a pong", async {
            while !matches!(neighbour.next().await, Some(Ok(Message::Text(text))) if text.contains(what)) {}
        })
        .await;
    }
}
