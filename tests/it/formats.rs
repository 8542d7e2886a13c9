//! Documents of all kinds through the real parser: the program itself, started again.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use rivulet::knowledge::{
    extract::{ExtractError, Extracted, Flag, Place, Warning},
    parser::{COMMAND, Parsers},
};

use crate::harness::{Setup, soon};

mod corpus;
mod hostile;

fn parsers() -> Parsers {
    Parsers::new(env!("CARGO_BIN_EXE_rivulet"))
}

/// The project's own documents; `make.py` there makes them.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files")
}

fn own(name: &str) -> Vec<u8> {
    fs::read(folder().join(name)).unwrap()
}

async fn read(name: &str) -> Extracted {
    parsers().read(name, &own(name)).await.unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// All parts that words stand in: `page 2`, or `sheet Tents` and `row 4`.
fn places(document: &Extracted, words: &str) -> Vec<String> {
    let at = document.text.find(words).unwrap_or_else(|| panic!("{words:?} is not in {:?}", document.text));
    let mut found: Vec<String> = Vec::new();
    for mark in document.places.iter().filter(|mark| mark.start <= at) {
        let (kind, name) = match &mark.place {
            Place::Page(page) => ("page", page.to_string()),
            Place::Slide(slide) => ("slide", slide.to_string()),
            Place::Sheet(sheet) => ("sheet", sheet.clone()),
            Place::Row(row) => ("row", row.to_string()),
            Place::Chapter(chapter) => ("chapter", chapter.clone()),
        };
        found.retain(|other| kind == "row" && !other.starts_with("row"));
        found.push(format!("{kind} {name}"));
    }
    found
}

#[tokio::test]
async fn every_kind_of_document_is_read_with_its_places() {
    let huts = read("huts.docx").await;
    assert_eq!(huts.title, "Handbook of huts");
    assert_eq!(
        huts.text,
        "Alpine club\n\n# Handbook of huts\n\n# Keys\n\nThe key hangs behind the beam\n\nSecond beam from the door.\n\n\
         ## Locks\n\n- Four digits.\n\nIn a box.\n\n| Hut | Beds | Stove |\n| --- | --- | --- |\n| Larchwood | twelve |  |"
    );
    assert_eq!(huts.warnings, [Warning::HiddenText]);
    assert!(
        matches!(&huts.flags[..], [Flag::HiddenInstructions(words)] if words.starts_with("Ignore all")),
        "{huts:?}"
    );

    let talk = read("talk.pptx").await;
    assert_eq!(
        talk.text,
        "## A year on the mountain\n\nSpring report\n\n## Visitors by month\n\n| Month | Visitors |\n| --- | --- |\n\
         | May | 310 |\n\nPause here and ask."
    );
    assert_eq!((places(&talk, "Spring"), places(&talk, "Pause")), (vec!["slide 1".into()], vec!["slide 2".into()]));
    assert_eq!(talk.warnings, [Warning::HiddenParts(1)]);

    let prices = read("prices.xlsx").await;
    assert_eq!(
        prices.text,
        "# Tents\n\n- Prices of this season\n- Tent: Kestrel; Euros: 449; Since: 2021-01-01\n\
         - Tent: Heron; Since: 2021-01-02 12:00:00\n\n# Far\n\n- here\n- and there"
    );
    assert_eq!(places(&prices, "Heron"), ["sheet Tents", "row 5"]);
    assert_eq!(places(&prices, "and there"), ["sheet Far", "row 1048576"]);
    assert_eq!(prices.warnings, [Warning::HiddenParts(1)]);

    let passes = read("passes.xls").await;
    assert_eq!(passes.text, "# Passes\n\n- Pass: Furka; Metres: 2429\n- Pass: Grimsel; Metres: 2164");
    assert_eq!(places(&passes, "Grimsel"), ["sheet Passes", "row 3"]);

    let guides = read("guides.ods").await;
    assert_eq!(guides.text, "# Guides\n\n- Guide: Vreni; Valley: Engadin\n- Guide: Luca; Valley: Maggia");
    assert_eq!(places(&guides, "Luca"), ["sheet Guides", "row 3"]);

    let water = read("water.odt").await;
    assert_eq!(
        water.text,
        "# Water\n\nBoil it first.\n\nTen minutes above 3000 m.\n\n- Springs\n- Streams\n\n\
         | Place | Litres |\n| --- | --- |\n| Larchwood | forty |"
    );

    let marmot = read("marmot.epub").await;
    assert_eq!(marmot.title, "The marmot");
    assert_eq!(marmot.text, "# Summer\n\nThe marmot eats all day.\n\n# Winter\n\nIt sleeps for seven months.");
    assert_eq!(places(&marmot, "seven months"), ["chapter Winter"]);
}

#[tokio::test]
async fn pages_of_a_pdf_are_kept_and_what_is_drawn_invisibly_is_told() {
    let bulletin = read("avalanche.pdf").await;
    assert_eq!(places(&bulletin, "danger is moderate"), ["page 1"]);
    assert_eq!(places(&bulletin, "Wind loads"), ["page 2"]);
    assert!(bulletin.text.contains("# Outlook"), "bookmarks are headings: {}", bulletin.text);
    assert_eq!(bulletin.warnings, [Warning::PagesWithoutText(vec![3])]);
    assert_eq!(bulletin.flags, []);
    // Something may stand before the header.
    let late = [b"<html>an error page</html>\n".repeat(10), own("avalanche.pdf")].concat();
    let late = parsers().read("late.pdf", &late).await.unwrap();
    assert!(late.text.contains("danger is moderate") && !late.text.contains("error page"), "{}", late.text);

    assert_eq!(read("two-layers.pdf").await.flags, [Flag::InvisibleText(1)]);
    assert_eq!(parsers().read("blank.pdf", &own("blank.pdf")).await, Err(ExtractError::NoText));
}

#[tokio::test]
async fn a_parser_serves_many_documents_and_ends_with_a_dropped_reading() {
    let program = Program::new();
    let parsers = program.parsers();
    for i in 0..100 {
        let name = format!("{i}.md");
        let read = parsers.read(&name, format!("# Number {i}\n\nText.").as_bytes()).await.unwrap();
        assert_eq!(read.title, format!("Number {i}"));
        assert_eq!(parsers.read(&name, b"no\0text").await.unwrap_err().code(), "type_mismatch");
        assert!(program.running().len() <= 2, "the last one ends while the next one works");
    }
    parsers.rest();
    program.until_gone().await;
    // A file that is long to read, by somebody who does not wait.
    let long = "<p>words <b>and</b> more ".repeat(300_000);
    let reading = parsers.read("long.html", long.as_bytes());
    assert!(tokio::time::timeout(Duration::from_millis(200), reading).await.is_err(), "it was to be cut short");
    program.until_gone().await;
    assert_eq!(parsers.read("a.md", b"again").await.unwrap().text, "again");
}

#[tokio::test]
async fn a_parser_that_dies_is_replaced() {
    let program = Program::new();
    let parsers = program.parsers();
    parsers.read("a.md", b"text").await.unwrap();
    for parser in program.running() {
        let killed = std::process::Command::new("kill").args(["-9", &parser]).status().unwrap();
        assert!(killed.success());
    }
    program.until_gone().await;
    assert_eq!(parsers.read("a.md", b"text").await.unwrap().text, "text");
    let none = Parsers::new("/nowhere/rivulet").read("a.md", b"text").await;
    assert_eq!(none.unwrap_err().code(), "unavailable");
}

#[tokio::test]
async fn no_more_than_two_parsers_work_at_a_time() {
    let program = Program::new();
    let parsers = program.parsers();
    let readings = (0..8).map(|i| {
        let (program, parsers) = (&program, &parsers);
        async move {
            let read = parsers.read("a.md", format!("Number {i}").as_bytes()).await.unwrap();
            assert!(program.running().len() <= 2);
            read.text
        }
    });
    let read = futures_util::future::join_all(readings).await;
    assert_eq!(read, (0..8).map(|i| format!("Number {i}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_parser_ends_with_the_gateway() {
    let program = env!("CARGO_BIN_EXE_rivulet");
    let mut parser = std::process::Command::new(program)
        .arg(COMMAND)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(parser.stdin.take());
    let ended = tokio::task::spawn_blocking(move || parser.wait().unwrap());
    assert!(tokio::time::timeout(Duration::from_secs(10), ended).await.expect("in time").unwrap().success());
}

#[tokio::test]
async fn ingest_reads_all_kinds_and_says_what_it_could_not_read() {
    let model = std::env::var("RIVULET_KNOWLEDGE_MODEL_DIR").expect("`make test` sets RIVULET_KNOWLEDGE_MODEL_DIR");
    let setup = Setup::bare().set("RIVULET_KNOWLEDGE_MODEL_DIR", &model);
    let work = tempfile::tempdir().unwrap();
    for name in ["huts.docx", "talk.pptx", "prices.xlsx", "avalanche.pdf", "marmot.epub", "blank.pdf"] {
        fs::copy(folder().join(name), work.path().join(name)).unwrap();
    }
    fs::write(work.path().join("letter.docx"), "%PDF-1.7 no letter").unwrap();
    fs::write(work.path().join("picture.png"), "\u{89}PNG").unwrap();
    let folder = work.path().to_str().unwrap();
    let output = setup.output(&["ingest", folder]).await;
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{shown}");
    for expected in [
        "4 added, 0 replaced, 0 unchanged, 1 skipped, 3 failed",
        "huts.docx: it may be meant to steer a model",
        "blank.pdf: there is no text in it",
        "letter.docx: its name and its content disagree: the content is Pdf",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    let named = setup.output(&["ingest", work.path().join("picture.png").to_str().unwrap()]).await;
    assert!(String::from_utf8_lossy(&named.stdout).contains("not a format that can be read; these can: .md"));
    for (question, place) in [
        ("wind loads slopes", "page 2"),
        ("May visitors", "slide 2"),
        ("Kestrel", "sheet “Tents”, rows 1–5"),
        ("sleeps seven months", "chapter “Winter”"),
    ] {
        let search = setup.output(&["search", "--mode", "text", question]).await;
        let found = String::from_utf8_lossy(&search.stdout).into_owned();
        assert!(found.lines().next().unwrap().contains(place), "{question}: {found}");
    }
    let search = setup.output(&["search", "--mode", "text", "--json", "wind loads slopes"]).await;
    let found: serde_json::Value = serde_json::from_slice(&search.stdout).unwrap();
    let best = &found["results"][0];
    assert_eq!((&best["page"], &best["heading"]), (&2.into(), &"Outlook".into()), "{best}");
    assert!(best["start"].as_u64().unwrap() < best["end"].as_u64().unwrap());
    let again = setup.output(&["ingest", folder]).await;
    assert!(String::from_utf8_lossy(&again.stdout).contains("0 added, 0 replaced, 5 unchanged"));
}

/// A program under a name of its own, so that its processes can be told from those of other tests.
struct Program {
    folder: tempfile::TempDir,
}

impl Program {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_rivulet"), folder.path().join("parser")).unwrap();
        Self { folder }
    }

    fn parsers(&self) -> Parsers {
        Parsers::new(self.folder.path().join("parser"))
    }

    /// The ids of its processes. One that has ended has no command any more.
    fn running(&self) -> Vec<String> {
        let path = self.folder.path().to_str().unwrap();
        let ids = fs::read_dir("/proc").unwrap().flatten().filter(|entry| {
            fs::read_to_string(entry.path().join("cmdline")).is_ok_and(|command| command.starts_with(path))
        });
        ids.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    async fn until_gone(&self) {
        soon("the end of the parser", async {
            while !self.running().is_empty() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}
