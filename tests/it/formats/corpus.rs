//! Real and hostile documents of others, where they are at hand: in the folder that `RIVULET_CORPUS` names. Its
//! `MANIFEST.tsv` says what has to be found in them.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use rivulet::knowledge::extract::{ExtractError, Extracted};
use tokio::time::Instant;

use super::{parsers, places};

/// What one document may take.
const LONGEST: Duration = Duration::from_secs(20);
/// What reading all of them may leave in this process, in kilobytes.
const MOST_MEMORY_KB: u64 = 50 * 1024;

struct Row {
    file: String,
    expected: String,
    phrases: Vec<String>,
    places: Vec<String>,
}

/// A folder that is named has to be there: a slip of the pen must not pass for a test.
fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("RIVULET_CORPUS").map(PathBuf::from);
    match &folder {
        None => eprintln!("skipped: RIVULET_CORPUS names no folder of documents"),
        Some(folder) => assert!(folder.join("MANIFEST.tsv").is_file(), "no MANIFEST.tsv in {}", folder.display()),
    }
    folder
}

fn rows(folder: &Path) -> Vec<Row> {
    let manifest = fs::read_to_string(folder.join("MANIFEST.tsv")).unwrap();
    let list =
        |cell: &str| cell.split('¦').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('\t').collect();
        Row {
            file: cells[0].to_owned(),
            expected: cells[6].to_owned(),
            phrases: list(cells[7]),
            places: list(cells[8]),
        }
    };
    manifest.lines().skip(1).map(row).collect()
}

/// What is wrong with what was read of a document.
fn judge(row: &Row, raw: &[u8], read: &Result<Extracted, ExtractError>) -> Vec<String> {
    let expected = &row.expected;
    match read {
        Err(error) => {
            let may_refuse = expected.contains(error.code())
                || (error.code() == "unsupported_type" && expected.contains("415"))
                || expected.contains("or refuse;");
            if may_refuse { vec![] } else { vec![format!("{}: {error}", error.code())] }
        }
        Ok(_) if !expected.contains("text") => vec!["was not refused".to_owned()],
        Ok(document) => {
            // What a manifest cannot say in one line is compared without line ends.
            let text = document.text.split_whitespace().collect::<Vec<_>>().join(" ");
            let mut wrong = Vec::new();
            for (phrase, place) in row.phrases.iter().zip(&row.places) {
                let whole = format!("{} {text}", document.title);
                if !whole.contains(phrase.as_str()) {
                    wrong.push(format!("{phrase:?} is missing"));
                    continue;
                }
                let place = place.split(',').next().unwrap_or_default();
                let is_told = ["page ", "slide ", "sheet ", "row "].iter().any(|kind| place.starts_with(kind));
                if is_told && document.text.contains(phrase.as_str()) {
                    let found = places(document, phrase);
                    if !found.iter().any(|found| found == place) {
                        wrong.push(format!("{phrase:?} is in {found:?}, not in {place}"));
                    }
                }
            }
            // Whatever is quoted behind NOT, or part of it.
            let not = expected.split_once("NOT").map_or("", |(_, not)| not);
            let raw = String::from_utf8_lossy(raw);
            let is_there = |banned: &&str| match not.contains("fewer times than in the raw file") {
                true => text.contains(*banned) && text.matches(*banned).count() >= raw.matches(*banned).count(),
                false => text.contains(*banned),
            };
            let banned = not.split('"').skip(1).step_by(2).filter(is_there);
            wrong.extend(banned.map(|banned| format!("{banned:?} is there")));
            if expected.contains("flagged") && document.flags.is_empty() {
                wrong.push("is not flagged".to_owned());
            }
            wrong
        }
    }
}

fn memory_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_document_of_the_corpus_is_read_or_refused_as_it_should() {
    let Some(folder) = corpus() else {
        return;
    };
    let (parsers, before) = (parsers(), memory_kb());
    let mut wrong = Vec::new();
    for row in rows(&folder) {
        let bytes = fs::read(folder.join(&row.file)).unwrap();
        let started = Instant::now();
        let read = parsers.read(&row.file, &bytes).await;
        let took = started.elapsed();
        let problems = judge(&row, &bytes, &read);
        let outcome = read.map_or_else(
            |error| error.code().to_owned(),
            |read| {
                format!("{} bytes, {} places, {:?} {:?}", read.text.len(), read.places.len(), read.warnings, read.flags)
            },
        );
        eprintln!("{:32} {:6} ms  {outcome}", row.file, took.as_millis());
        wrong.extend(problems.into_iter().map(|problem| format!("{}: {problem}", row.file)));
        if took > LONGEST {
            wrong.push(format!("{} took {took:?}", row.file));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let grown = memory_kb().saturating_sub(before);
    assert!(grown < MOST_MEMORY_KB, "{grown} kB more than before");
    assert_eq!(parsers.read("a.md", b"And on it goes.").await.unwrap().text, "And on it goes.");
}

/// The order of words on a page with two columns, and rows that stay rows.
#[tokio::test]
async fn columns_and_rows_of_the_corpus_keep_their_order() {
    let Some(folder) = corpus() else { return };
    let parsers = parsers();
    for (file, first, second) in [
        ("multi-column-2p.pdf", "Open-domain question answering relies", "1 Introduction"),
        ("html-before-pdf.pdf", "Core mutations", "Several reports have described"),
        ("dates-1904.xlsx", "2021-01-01", "255:10:10"),
    ] {
        let read = parsers.read(file, &fs::read(folder.join(file)).unwrap()).await.unwrap();
        let at = |words: &str| read.text.find(words).unwrap_or_else(|| panic!("{file}: no {words:?}"));
        assert!(at(first) < at(second), "{file}");
    }
    for (file, words) in [
        ("two-sheets-merged.xlsx", "- Team: Maple Leafs; Location: "),
        ("semicolons.csv", "City: East Leonard"),
        ("headings-tables.docx", "### Subsection 1.1"),
        ("bookmarks-3p.pdf", "# 3.1 Payment Schedule"),
    ] {
        let read = parsers.read(file, &fs::read(folder.join(file)).unwrap()).await.unwrap();
        assert!(read.text.contains(words), "{file}: no {words:?}");
    }
}
