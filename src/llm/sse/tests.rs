//! Streams as servers send them, and what is left of them.

use proptest::prelude::*;

use super::*;

/// The data that come out of `chunks`, stray lines with a mark before them, and how they end.
fn run<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, BodyEnd) {
    let mut events = Events::new(usize::MAX);
    let mut data = Vec::new();
    let mut each = |item: Item<'_>| {
        data.push(match item {
            Item::Data(data) => data.to_owned(),
            Item::Stray(line) => format!("stray {line}"),
        });
    };
    for chunk in chunks {
        events.push(chunk, &mut each);
    }
    events.finish(&mut each);
    let end = events.end().expect("an end").clone();
    (data, end)
}

fn data(input: &[u8]) -> Vec<String> {
    let (data, end) = run([input]);
    assert!(!matches!(end, BodyEnd::Broken(_)));
    data
}

#[test]
fn a_byte_order_mark_goes() {
    assert_eq!(data(b"\xEF\xBB\xBFdata: 1\n\n"), ["1"]);
}

#[test]
fn every_line_end_is_understood() {
    assert_eq!(data(b"data: 1\r\n\r\ndata: 2\r\rdata: 3\n\n"), ["1", "2", "3"]);
    assert_eq!(data(b"event: x\r\ndata: 1\r\ndata: 2\r\n\r\n"), ["1\n2"]);
}

#[test]
fn invalid_utf8_becomes_replacement_characters_and_nothing_else_is_lost() {
    assert_eq!(data(b"data: a\xFFb\n\ndata: c\n\n"), ["a\u{fffd}b", "c"]);
}

#[test]
fn what_is_no_part_of_an_answer_goes() {
    assert_eq!(data(b": ping\n\nid: 7\nretry: 9\n\nevent: keepalive\n\ndata:\n\ndata:x\n\n"), ["x"]);
    assert_eq!(data(b"event: keepalive\ndata: {}\n\ndata: x\n\n"), ["x"]);
}

#[test]
fn errors_become_data() {
    assert_eq!(data(b"error: {\"code\":500}\n\n"), ["{\"error\":{\"code\":500}}"]);
    assert_eq!(data(b"error: out of memory\n\n"), ["{\"error\":\"out of memory\"}"]);
    assert_eq!(data(b"event: error\ndata: {\"message\":\"m\"}\n\n"), ["{\"error\":{\"message\":\"m\"}}"]);
    assert_eq!(data(b"data: {\"message\":\"m\"}\nevent: error\n\n"), ["{\"error\":{\"message\":\"m\"}}"]);
    assert_eq!(data(b"event: error\ndata: {\ndata: \"code\":1}\n\n"), ["{\"error\":{\"code\":1}}"]);
    assert_eq!(data(b"event: error\ndata: {\"error\":\"m\"}\n\ndata: {}\n\n"), ["{\"error\":\"m\"}", "{}"]);
}

#[test]
fn the_last_blank_line_may_be_missing() {
    assert_eq!(data(b"data: 1\n\ndata: 2"), ["1", "2"]);
    assert_eq!(data(b"data: 1\n"), ["1"]);
    assert_eq!(data(b"data: 1\n\n"), ["1"]);
}

#[test]
fn done_ends_the_stream() {
    assert_eq!(run([b"data: 1\ndata: [DONE]\ndata: 2\n\n".as_slice()]), (vec!["1".to_owned()], BodyEnd::Done));
    assert_eq!(run([b"data:[DONE] ".as_slice()]), (vec![], BodyEnd::Done));
}

#[test]
fn long_lines_and_long_events_are_refused_after_what_came_before() {
    let too_large = || BodyEnd::Broken(EventTooLarge.to_string());
    let line = [b"data: 1\n\ndata: ", "x".repeat(MAX_EVENT_BYTES).as_bytes(), b"\n\n"].concat();
    assert_eq!(run([line.as_slice()]), (vec!["1".to_owned()], too_large()));
    let unfinished = &line[..line.len() - 2];
    assert_eq!(run([unfinished]), (vec!["1".to_owned()], too_large()));
    let event = "data: x\n".repeat(MAX_EVENT_BYTES / 2 + 1);
    assert_eq!(run([event.as_bytes()]), (vec![], too_large()));
}

#[test]
fn the_end_of_a_body_is_known() {
    fn end_of(chunks: &[&[u8]], limit: usize, broken: bool) -> (usize, BodyEnd) {
        let (mut events, mut count) = (Events::new(limit), 0);
        let mut each = |_: Item<'_>| count += 1;
        chunks.iter().for_each(|chunk| events.push(chunk, &mut each));
        if broken {
            events.broken("reset".to_owned());
        }
        events.finish(&mut each);
        let end = events.end().expect("an end").clone();
        (count, end)
    }
    let (event, done, text) = (b"data: 1\n\n".as_slice(), b"data: [DONE]\n\n".as_slice(), b"no\nmodel");
    assert_eq!(end_of(&[event, done, event], 1000, false), (1, BodyEnd::Done));
    assert_eq!(end_of(&[event], 1000, false), (1, BodyEnd::Eof));
    assert_eq!(end_of(&[text], 1000, false), (2, BodyEnd::NoEvents("no\nmodel".to_owned())));
    assert_eq!(end_of(&[event, text], 1000, false), (3, BodyEnd::Eof));
    assert_eq!(end_of(&[b": ping\n\n"], 1000, false), (0, BodyEnd::Eof));
    assert_eq!(end_of(&[b""], 1000, false), (0, BodyEnd::Eof));
    assert_eq!(end_of(&[event, event], 10, false), (1, BodyEnd::TooLong));
    assert_eq!(end_of(&[event], 1000, true), (1, BodyEnd::Broken("reset".to_owned())));
    assert_eq!(end_of(&[event, done], 1000, true), (1, BodyEnd::Done));
    assert_eq!(end_of(&[b"<html>", b"</html>"], 1000, false), (0, BodyEnd::NoEvents("<html></html>".to_owned())));
    let endless = [b"<html>".as_slice(), &[b'x'; MAX_STRAY_BYTES]];
    assert!(matches!(end_of(&endless, usize::MAX, false), (0, BodyEnd::NoEvents(_))), "a page is not read for ever");
}

#[test]
fn json_needs_no_framing() {
    assert_eq!(
        run([b" {\"a\":\n\"}\\\"\"}\n".as_slice()]),
        (vec!["{\"a\":\n\"}\\\"\"}".to_owned()], BodyEnd::Document)
    );
    assert_eq!(run([b"{}\n{'a': '}'}\n".as_slice()]), (vec!["{}".to_owned(), "{'a': '}'}".to_owned()], BodyEnd::Eof));
    assert_eq!(run([b"[{}".as_slice()]), (vec!["[{}".to_owned()], BodyEnd::Eof));
    assert_eq!(run([b"{}\n\ndata: 1\n\n".as_slice()]), (vec!["{}".to_owned(), "1".to_owned()], BodyEnd::Eof));
}

#[test]
fn lines_that_are_no_fields_are_told() {
    assert_eq!(data(b"data: {\nb\":1}\n\n"), ["{", "stray b\":1}"]);
    assert_eq!(data(b"data: 1\n\nx: y\n\n"), ["1", "stray x: y"]);
}

#[test]
fn halves_that_were_encoded_become_escapes() {
    assert_eq!(data(b"data: a\xed\xa0\xbd\n\ndata: \xed\xb8\x80b\n\n"), ["a\\ud83d", "\\ude00b"]);
}

/// Bytes in which line ends, marks and fields are frequent enough to meet at chunk borders.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"data: {\"a\":1}".to_vec()),
        Just(b"data:[DONE]".to_vec()),
        Just(b"event: error".to_vec()),
        Just(b"error: no".to_vec()),
        Just(b": ping".to_vec()),
        Just(b"{\"a\":\"".to_vec()),
        Just(b"\"}".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just("é😀\u{feff}".as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 0..6),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn the_cuts_make_no_difference(input in streams(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        cuts.sort_unstable();
        let mut chunks = Vec::new();
        let mut from = 0;
        for cut in cuts {
            chunks.push(&input[from..cut]);
            from = cut;
        }
        chunks.push(&input[from..]);
        let whole = run([input.as_slice()]);
        prop_assert_eq!(&run(chunks), &whole);
        prop_assert_eq!(&run(input.chunks(1)), &whole);
        prop_assert!(whole.0.iter().all(|data| !data.is_empty()));
    }
}
