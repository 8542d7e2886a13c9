//! Documents that are made to do harm, or that chance has made: the parser may fail, the gateway may not.

use std::{
    io::{Cursor, Write},
    sync::LazyLock,
    time::Duration,
};

use proptest::prelude::*;
use rivulet::knowledge::{extract::ACCEPTED, parser::Parsers};
use tokio::{runtime::Runtime, time::Instant};
use zip::{ZipWriter, write::SimpleFileOptions};

use super::{folder, own, parsers};

const LONGEST: Duration = Duration::from_secs(30);

/// An archive with one part of so many equal bytes, beside what makes it a document.
fn bomb(part: &str, bytes: usize) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    let relations = "<Relationships><Relationship Id=\"a\" Type=\"x/officeDocument\" Target=\"word/document.xml\"/></Relationships>";
    for (name, text) in
        [("[Content_Types].xml", "<Types/>"), ("_rels/.rels", relations), ("xl/workbook.xml", "<workbook/>")]
    {
        zip.start_file(name, options).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.start_file(part, options).unwrap();
    for _ in 0..bytes >> 20 {
        zip.write_all(&[b' '; 1 << 20]).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[tokio::test]
async fn what_is_large_only_when_unpacked_is_refused() {
    let parsers = parsers();
    for (name, part) in [("a.docx", "word/document.xml"), ("a.xlsx", "xl/sharedStrings.xml")] {
        let bomb = bomb(part, 200 << 20);
        assert!(bomb.len() < 1 << 20);
        let started = Instant::now();
        assert_eq!(parsers.read(name, &bomb).await.unwrap_err().code(), "too_large_unpacked", "{name}");
        assert!(started.elapsed() < LONGEST);
    }
    // Much text of few bytes is as bad.
    let head: Vec<String> = (0..200).map(|i| format!("column {i}")).collect();
    let wide = format!("{}\n{}", head.join(","), format!("x{}\n", ",x".repeat(199)).repeat(20_000));
    let read = parsers.read("a.csv", wide.as_bytes()).await.map(|read| read.text.len());
    assert_eq!(read.map_err(|error| error.code()), Err("too_large_unpacked"));
}

#[tokio::test]
async fn definitions_without_end_define_nothing() {
    let mut entities = "<!DOCTYPE r [<!ENTITY a \"boom\">".to_owned();
    for (before, name) in ('a'..='y').zip('b'..='z') {
        let ten = format!("&{before};").repeat(10);
        entities.push_str(&format!("<!ENTITY {name} \"{ten}\">"));
    }
    let text = format!("{entities}]><container><rootfiles><rootfile full-path=\"&z;\"/></rootfiles></container>");
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in [("mimetype", "application/epub+zip"), ("META-INF/container.xml", &text)] {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    let book = zip.finish().unwrap().into_inner();
    assert_eq!(parsers().read("a.epub", &book).await.unwrap_err().code(), "damaged");
}

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
