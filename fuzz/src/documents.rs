//! Documents of every format. What is between the gateway's readers and the bytes are parsers that others have made:
//! where one of them panics, the process for it ends and the document is refused, so that is none of the faults looked
//! for here.

use std::{
    cell::Cell,
    io::{Cursor, Write},
    panic::{self, PanicHookInfo},
    path::Path,
    sync::Once,
    thread,
};

use rivulet::knowledge::extract::{ExtractError, Extracted, Kind, Warning, extract};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::parts::{first_line, parts};

/// As the process has that reads documents.
const STACK_BYTES: usize = 64 << 20;
/// The longest title, in bytes.
const TITLE: usize = 200;
/// The most words of a reason, in bytes.
const REASON: usize = 1000;

/// A document is refused for a reason, or read: its text is clean, its marks lie in it in their order, and it says what
/// it is. The input is a name in a line, then the document; of an archive, its parts will do.
pub fn documents(bytes: &[u8]) {
    let (name, content) = first_line(bytes);
    let name = String::from_utf8_lossy(name).into_owned();
    let content = packed(content).unwrap_or_else(|| content.to_vec());
    match in_a_thread(move || extract(&name, &content).map(|read| (name, read))) {
        Some(Ok((name, read))) => sound(&name, &read),
        Some(Err(error)) => refused(&error),
        None => {} // A parser has panicked.
    }
}

fn refused(error: &ExtractError) {
    let reason = error.to_string();
    assert!(!error.code().is_empty() && reason.len() <= REASON && !reason.contains(char::is_control), "{error:?}");
    assert!(!matches!(error, ExtractError::Timeout | ExtractError::OutOfMemory | ExtractError::Unavailable(_)));
}

fn sound(name: &str, read: &Extracted) {
    assert_eq!(Kind::promised(Path::new(name)), Some(read.kind));
    assert!(!read.title.is_empty() && read.title.len() <= TITLE, "{:?}", read.title);
    assert!(!read.title.contains(char::is_control), "{:?}", read.title);
    let is_unseen = |c: char| matches!(c, '\r' | '\0' | '\u{feff}' | '\u{200b}' | '\u{202e}' | '\u{e0041}');
    assert!(!read.text.contains(is_unseen), "{:?}", read.text);
    let mut last = 0;
    for mark in &read.places {
        assert!(mark.start >= last && read.text.is_char_boundary(mark.start), "{mark:?} behind {last}");
        last = mark.start;
    }
    for warning in &read.warnings {
        if let Warning::PagesWithoutText(pages) = warning {
            assert!(pages.len() <= Warning::MAX_LISTED && pages.is_sorted());
        }
    }
    serde_json::to_string(read).expect("it goes from one process to another as JSON");
}

/// An archive of the parts, when these are some.
fn packed(content: &[u8]) -> Option<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts(content).filter(|parts| !parts.is_empty())? {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        archive.start_file(name, options).ok()?;
        archive.write_all(&content).ok()?;
    }
    Some(archive.finish().ok()?.into_inner())
}

thread_local! {
    static READS: Cell<bool> = const { Cell::new(false) };
    static IS_OURS: Cell<bool> = const { Cell::new(false) };
}

/// Runs it on a stack as deep as there; `None` when it panicked in code of others.
fn in_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !is_of_others(info) {
                before(info)
            }
        }));
    });
    let worker = thread::Builder::new().stack_size(STACK_BYTES).spawn(|| {
        READS.set(true);
        panic::catch_unwind(panic::AssertUnwindSafe(work)).map_err(|_| IS_OURS.get())
    });
    match worker.expect("a thread").join().expect("it catches its panics") {
        Ok(done) => Some(done),
        Err(is_ours) => {
            assert!(!is_ours, "a reader of ours has panicked");
            None
        }
    }
}

/// Whether a reading thread has panicked in a file of some crate. What the standard library panics for is somebody's.
fn is_of_others(info: &PanicHookInfo<'_>) -> bool {
    if !READS.get() {
        return false;
    }
    let is_ours = info.location().is_some_and(|place| !place.file().contains("/registry/"));
    IS_OURS.set(is_ours);
    !is_ours
}
