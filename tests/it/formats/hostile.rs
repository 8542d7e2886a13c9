//! Documents that are made to do harm, or that chance has made: the parser may fail, the gateway may not.

use std::{sync::LazyLock, time::Duration};

use proptest::prelude::*;
use rivulet::knowledge::{extract::ACCEPTED, parser::Parsers};
use tokio::{runtime::Runtime, time::Instant};

use super::{folder, own, parsers};

const LONGEST: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_long_line_and_deep_nesting_are_read_in_time() {
    let parsers = parsers();
    let ten_mib = 10 << 20;
    for (name, unit) in [
        ("a.txt", "x"),
        ("a.md", "> "),
        ("a.md", "["),
        ("a.html", "<b>"),
        ("a.html", "<table><tr><td>"),
        ("a.html", "<p hidden>"),
        ("a.csv", "\"a,"),
        ("a.csv", ";"),
        ("a.json", "["),
        ("a.json", "{\"a\":"),
    ] {
        let started = Instant::now();
        let text = unit.repeat(ten_mib / unit.len());
        let read = parsers.read(name, text.as_bytes()).await.map(|read| read.text.len());
        let took = started.elapsed();
        eprintln!("{name} of {unit:?}: {read:?} in {took:?}");
        assert!(took < LONGEST, "{name} of {unit:?} took {took:?}");
        assert_eq!(parsers.read("b.md", b"And on it goes.").await.unwrap().text, "And on it goes.");
    }
}

/// Items look for a list to belong to through everything that they stand in: trillions of steps, with nothing to show.
#[tokio::test]
async fn what_takes_too_long_is_given_up() {
    let parsers = parsers();
    let started = Instant::now();
    let text = "<div>".repeat(4_000) + &"<li>".repeat(2_000_000);
    let read = parsers.read("a.html", text.as_bytes()).await.map(|read| read.text.len());
    eprintln!("{read:?} in {:?}", started.elapsed());
    assert_eq!(read.map_err(|error| error.code()), Err("timeout"));
    assert_eq!(parsers.read("b.md", b"And on it goes.").await.unwrap().text, "And on it goes.");
}

static WORLD: LazyLock<(Runtime, Parsers)> = LazyLock::new(|| (Runtime::new().unwrap(), parsers()));

/// Reads in time, whatever comes of it, and the next document is read.
fn survives(name: &str, bytes: &[u8]) {
    let (runtime, parsers) = &*WORLD;
    runtime.block_on(async {
        let started = Instant::now();
        let read = parsers.read(name, bytes).await;
        assert!(started.elapsed() < LONGEST, "{name}");
        if let Err(error) = read {
            assert_ne!(error.code(), "unavailable", "{error}");
        }
        assert_eq!(parsers.read("a.md", b"And on it goes.").await.unwrap().text, "And on it goes.");
    });
}

fn names() -> impl Strategy<Value = String> {
    let names: Vec<String> = ACCEPTED.split(", ").map(|ending| format!("a{ending}")).collect();
    prop::sample::select(names)
}

fn documents() -> impl Strategy<Value = String> {
    let files = std::fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<String> = files.filter(|name| !name.ends_with(".py")).collect();
    files.sort();
    prop::sample::select(files)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_bytes_under_any_name_do_no_harm(
        name in names(),
        beginning in prop::sample::select(vec![&b""[..], b"%PDF-1.7\n", b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"<html>"]),
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        survives(&name, &[beginning, &bytes].concat());
    }

    #[test]
    fn damaged_documents_do_no_harm(
        name in documents(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        end in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut bytes = own(&name);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(end.map_or(bytes.len(), |end| end.index(bytes.len())));
        survives(&name, &bytes);
    }
}
