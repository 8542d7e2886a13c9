//! WebSocket frames, as bytes: each close has its code, and what is only odd is taken. That bytes may come one by one is
//! tried by `faults::connections`.

use crate::harness::{Neighbour, Setup, close_code, frame};

/// First bytes of frames: the last of their message, and one that others follow.
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
const TEXT_BEGINS: u8 = 0x01;
const GOES_ON: u8 = 0x00;
const ENDS: u8 = 0x80;

fn closing(code: u16) -> Vec<u8> {
    frame(CLOSE, &code.to_be_bytes())
}

/// The head of a text frame that announces so many bytes in eight, of which none come.
fn announcing(bytes: u64) -> Vec<u8> {
    [&[TEXT, 0xff][..], &bytes.to_be_bytes(), &[0; 4]].concat()
}

/// What breaks RFC 6455 or the bounds, and the code with which that is closed.
fn broken() -> Vec<(String, Vec<u8>, Option<u16>)> {
    let mut rows: Vec<(String, Vec<u8>, u16)> = Vec::new();
    let mut row = |what: &str, bytes: Vec<u8>, code: u16| rows.push((what.to_owned(), bytes, code));
    row("not masked", vec![TEXT, 2, b'{', b'}'], 1002);
    for reserved in [0x40, 0x20, 0x10] {
        row(&format!("bit {reserved:x}"), frame(TEXT | reserved, b"{}"), 1002);
    }
    for opcode in (3..8).chain(11..16) {
        row(&format!("opcode {opcode:x}"), frame(0x80 | opcode, b""), 1002);
    }
    row("a ping in pieces", frame(0x09, b""), 1002);
    row("a close in pieces", frame(0x08, b"\x03\xe8"), 1002);
    row("a ping of 126 bytes", frame(PING, &[b'a'; 126]), 1002);
    row("a pong of 126 bytes", frame(PONG, &[b'a'; 126]), 1002);
    row("a close of 126 bytes", frame(CLOSE, &[b'a'; 126]), 1002);
    row("a length of 64 bits", announcing(1 << 63), 1009);
    row("a length of 63 bits", announcing(u64::MAX >> 1), 1009);
    row("a frame above the bound, before it comes", announcing(65_537), 1009);
    row("a frame above the bound", frame(TEXT, &[b' '; 65_537]), 1009);
    row("a continuation of nothing", frame(ENDS, b"x"), 1002);
    row("a text within another", [frame(TEXT_BEGINS, b"{"), frame(TEXT, b"{}")].concat(), 1002);
    row("bytes", frame(BINARY, b"x"), 1003);
    let pieces = vec![frame(GOES_ON, b" "); 70_000].concat();
    row("70,000 pieces of a byte", [frame(TEXT_BEGINS, b""), pieces].concat(), 1009);
    for (what, text) in [
        ("no UTF-8", &b"\xff\xfe"[..]),
        ("a surrogate", b"\xed\xa0\x80"),
        ("an overlong form", b"\xc0\xaf"),
        ("a character cut short", b"\xe2\x82"),
        ("above U+10FFFF", b"\xf4\x90\x80\x80"),
        ("compressed", b"\x1f\x8b\x08\0\0\0\0\0\0\xff"),
    ] {
        row(what, frame(TEXT, text), 1007);
        row(what, frame(TEXT_BEGINS, text).into_iter().chain(frame(ENDS, b"")).collect(), 1007);
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535] {
        row(&format!("close code {code}"), closing(code), 1002);
    }
    row("half a close code", frame(CLOSE, b"\x03"), 1002);
    row("a reason that is no UTF-8", frame(CLOSE, b"\x03\xe8\xff"), 1007);
    // A goodbye is answered as it came.
    for code in [1000, 1001, 1011, 3000, 4999] {
        row(&format!("close code {code}"), closing(code), code);
    }
    row("words after a close", [closing(1000), frame(TEXT, b"{}")].concat(), 1000);
    let mut rows: Vec<_> = rows.into_iter().map(|(what, bytes, code)| (what, bytes, Some(code))).collect();
    rows.push(("a close without a code".to_owned(), frame(CLOSE, b""), None));
    rows
}

#[tokio::test]
async fn broken_websocket_frames_close_with_their_code_and_the_neighbour_streams_on() {
    let (gateway, mut neighbour) = Neighbour::of_nobody(Setup::bare()).await;
    for (what, bytes, code) in broken() {
        assert_eq!(close_code(&gateway, &bytes).await, code, "{what}");
        neighbour.goes_on().await;
    }
    neighbour.has_all().await;
}

#[tokio::test]
async fn what_is_only_odd_leaves_the_socket_open() {
    let (gateway, mut neighbour) = Neighbour::of_nobody(Setup::bare()).await;
    let text = |text: &str| frame(TEXT, text.as_bytes());
    let mut lengthy = vec![TEXT, 0xfe, 0, 2];
    lengthy.extend([0, 0, 0, 0, b'{', b'}']);
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("a length in more bytes than it needs", lengthy),
        (
            "20,000 pieces of nothing",
            [frame(TEXT_BEGINS, b""), vec![frame(GOES_ON, b""); 20_000].concat(), frame(ENDS, b"")].concat(),
        ),
        ("a character in two pieces", [frame(TEXT_BEGINS, b"\"\xe2\x82"), frame(ENDS, b"\xac\"")].concat()),
        ("a ping between pieces", [frame(TEXT_BEGINS, b"{"), frame(PING, b""), frame(ENDS, b"}")].concat()),
        ("400 pings", vec![frame(PING, b"a"); 400].concat()),
        ("400 pongs that nobody asked for", vec![frame(PONG, b"a"); 400].concat()),
        ("as much as a frame may have", frame(TEXT, &[b' '; 65_536])),
        ("a mark of the byte order", text("\u{feff}{}")),
        ("NUL", text("\0")),
        ("a lone carriage return", text("\r")),
        ("an empty text", text("")),
    ];
    for (what, bytes) in rows {
        // The close code of a goodbye: everything before it was taken.
        let bytes = [bytes, text(r#"{"type":"ping"}"#), closing(1000)].concat();
        assert_eq!(close_code(&gateway, &bytes).await, Some(1000), "{what}");
        neighbour.goes_on().await;
    }
    neighbour.has_all().await;
}
