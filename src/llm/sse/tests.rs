//! Streams as servers send them, and what is left of them.

use futures_util::stream;
use proptest::prelude::*;

use super::*;

/// What comes out of `chunks`, and whether it was too large.
fn run<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (String, bool) {
    let mut sanitizer = Sanitizer::default();
    let mut events = VecDeque::new();
    let mut failed = false;
    for chunk in chunks {
        if sanitizer.push(chunk, &mut events).is_err() {
            failed = true;
            break;
        }
    }
    failed = failed || sanitizer.finish(&mut events).is_err();
    let text = events.iter().map(|event| std::str::from_utf8(event).unwrap()).collect();
    (text, failed)
}

fn clean(input: &[u8]) -> String {
    let (text, failed) = run([input]);
    assert!(!failed);
    text
}

#[test]
fn a_byte_order_mark_goes() {
    assert_eq!(clean(b"\xEF\xBB\xBFdata: 1\n\n"), "data: 1\n\n");
    assert_eq!(clean(b"\xEF\xBB\xBF\xEF\xBB\xBFdata: 1\n\ndata: 2\n\n"), "data: 2\n\n");
}

#[test]
fn every_line_end_is_understood() {
    assert_eq!(clean(b"data: 1\r\n\r\ndata: 2\r\rdata: 3\n\n"), "data: 1\n\ndata: 2\n\ndata: 3\n\n");
    assert_eq!(clean(b"event: x\r\ndata: 1\r\ndata: 2\r\n\r\n"), "event: x\ndata: 1\ndata: 2\n\n");
}

#[test]
fn invalid_utf8_becomes_replacement_characters_and_nothing_else_is_lost() {
    assert_eq!(clean(b"data: a\xFFb\n\ndata: c\n\n"), "data: a\u{fffd}b\n\ndata: c\n\n");
}

#[test]
fn comments_ids_and_events_without_data_go() {
    assert_eq!(clean(b": ping\n\nid: 7\nretry: 9\n\nevent: keepalive\n\ndata:x\n\n"), "data: x\n\n");
    assert_eq!(clean(b"event: keepalive\ndata: {}\n\n"), "event: keepalive\ndata: {}\n\n");
}

#[test]
fn errors_become_data() {
    assert_eq!(clean(b"error: {\"code\":500}\n\n"), "data: {\"error\":{\"code\":500}}\n\n");
    assert_eq!(clean(b"error: out of memory\n\n"), "data: {\"error\":\"out of memory\"}\n\n");
    assert_eq!(clean(b"event: error\ndata: {\"message\":\"m\"}\n\n"), "data: {\"error\":{\"message\":\"m\"}}\n\n");
    assert_eq!(clean(b"data: {\"message\":\"m\"}\nevent: error\n\n"), "data: {\"error\":{\"message\":\"m\"}}\n\n");
    assert_eq!(clean(b"event: error\ndata: {\ndata: \"code\":1}\n\n"), "data: {\"error\":{\"code\":1}}\n\n");
    assert_eq!(
        clean(b"event: error\ndata: {\"error\":\"m\"}\n\ndata: {}\n\n"),
        "data: {\"error\":\"m\"}\n\ndata: {}\n\n"
    );
}

#[test]
fn the_missing_last_blank_line_is_added_once() {
    assert_eq!(clean(b"data: 1\n\ndata: 2"), "data: 1\n\ndata: 2\n\n");
    assert_eq!(clean(b"data: 1\n"), "data: 1\n\n");
    assert_eq!(clean(b"data: 1\n\n"), "data: 1\n\n");
}

#[test]
fn done_stands_alone_and_ends_the_stream() {
    assert_eq!(clean(b"data: 1\ndata: [DONE]\ndata: 2\n\n"), "data: 1\n\ndata: [DONE]\n\n");
    assert_eq!(clean(b"data:[DONE] "), "data: [DONE]\n\n");
}

#[test]
fn long_lines_and_long_events_are_refused_after_what_came_before() {
    let line = [b"data: 1\n\ndata: ", "x".repeat(MAX_EVENT_BYTES).as_bytes(), b"\n\n"].concat();
    assert_eq!(run([line.as_slice()]), ("data: 1\n\n".to_owned(), true));
    let unfinished = &line[..line.len() - 2];
    assert_eq!(run([unfinished]), ("data: 1\n\n".to_owned(), true));
    let event = "data: x\n".repeat(MAX_EVENT_BYTES / 8 + 1);
    assert_eq!(run([event.as_bytes()]), (String::new(), true));
}

#[tokio::test]
async fn the_end_of_a_body_is_noted() {
    async fn end_of(chunks: Vec<Result<Bytes, &'static str>>, limit: usize) -> (usize, BodyEnd) {
        let end = Arc::new(OnceLock::new());
        let items: Vec<_> = sanitised(stream::iter(chunks), limit, Arc::clone(&end)).collect().await;
        (items.iter().filter(|item| item.is_ok()).count(), end.get().cloned().unwrap())
    }
    let event = || Ok(Bytes::from_static(b"data: 1\n\n"));
    let done = || Ok(Bytes::from_static(b"data: [DONE]\n\n"));
    assert_eq!(end_of(vec![event(), done(), event()], 1000).await, (2, BodyEnd::Done));
    assert_eq!(end_of(vec![event()], 1000).await, (1, BodyEnd::Eof));
    let unframed = || Ok(Bytes::from_static(b"{\"error\":\n\"no\"}"));
    assert_eq!(end_of(vec![unframed()], 1000).await, (0, BodyEnd::NoEvents("{\"error\":\n\"no\"}".to_owned())));
    assert_eq!(end_of(vec![event(), unframed()], 1000).await, (1, BodyEnd::Eof));
    assert_eq!(end_of(vec![Ok(Bytes::from_static(b": ping\n\n"))], 1000).await, (0, BodyEnd::Eof));
    assert_eq!(end_of(vec![Ok(Bytes::new())], 1000).await, (0, BodyEnd::Eof));
    assert_eq!(end_of(vec![event(), event()], 10).await, (1, BodyEnd::TooLong));
    assert_eq!(end_of(vec![event(), Err("reset")], 1000).await, (1, BodyEnd::Broken("reset".to_owned())));
}

/// Bytes in which line ends, marks and fields are frequent enough to meet at chunk borders.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"data: {\"a\":1}".to_vec()),
        Just(b"data:[DONE]".to_vec()),
        Just(b"event: error".to_vec()),
        Just(b"error: no".to_vec()),
        Just(b": ping".to_vec()),
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
        // What comes out is clean: sanitising it again changes nothing.
        prop_assert_eq!(&run([whole.0.as_bytes()]).0, &whole.0);
    }
}
