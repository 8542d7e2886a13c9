//! Tables and their copies: what is written is found, on both ways, whoever writes.

use std::time::Duration;

use super::*;
use crate::knowledge::{
    chunk::Chunk,
    filter::{Filter, Pages},
};

mod many;

const DIMENSION: usize = 8;

/// A document of these texts, each on a page of its own.
fn document(id: &str, title: &str, texts: &[&str]) -> IndexedDocument {
    let chunks = texts.iter().zip(0u32..).map(|(text, number)| {
        let start = usize::try_from(number).expect("small") * 100;
        let chunk = Chunk {
            heading: None,
            text: (*text).to_owned(),
            content: format!("{title}\n{text}"),
            hash: format!("{id}{number}"),
            range: start..start + text.len(),
            page: Some(number + 1),
            page_end: None,
            place: None,
        };
        let vector = (0..DIMENSION).map(|i| if i == number as usize { 1.0 } else { 0.1 }).collect();
        (chunk, vector)
    });
    let uri = Some(format!("{title}/{id}"));
    IndexedDocument { id: id.to_owned(), title: title.to_owned(), uri, hash: "h".to_owned(), chunks: chunks.collect() }
}

fn index(folder: &std::path::Path, copied: usize) -> Index {
    Index::with_bounds(folder.to_str().expect("path"), "model", Bounds { copied, ..Bounds::default() })
}

fn within(filter: Option<Filter>) -> Within {
    Within { depth: 10, without: Vec::new(), filter }
}

async fn view(index: &Index) -> View {
    index.view(&Collection::default()).await.expect("view")
}

async fn words(index: &Index, view: &View, text: &str, within: &Within) -> Vec<String> {
    let found = index.by_words(view, text, None, within).await.expect("found");
    found.into_iter().map(|found| found.id).collect()
}

async fn write(index: &Index, documents: Vec<IndexedDocument>) {
    index.replace_if(&Collection::default(), documents, |_| true).await.expect("written");
}

fn is_copy(view: &View) -> bool {
    matches!(view, View::Copy(_))
}

#[tokio::test]
async fn a_write_is_found_when_it_is_done_and_an_older_view_stays_what_it_is() {
    let folder = tempfile::tempdir().expect("folder");
    let index = index(folder.path(), copies::MAX_BYTES);
    assert!(matches!(view(&index).await, View::Nothing));
    write(&index, vec![document("0a", "Tents", &["red tents", "blue tents"])]).await;
    let first = view(&index).await;
    assert!(is_copy(&first));

    write(&index, vec![document("0a", "Tents", &["green tents"]), document("0b", "Bags", &["blue bags"])]).await;
    let second = view(&index).await;
    assert!(is_copy(&second) && second.version() > first.version());
    let everything = within(None);
    assert_eq!(words(&index, &first, "blue", &everything).await, ["0a#1"]);
    assert_eq!(words(&index, &second, "blue", &everything).await, ["0b#0"]);
    assert_eq!(words(&index, &second, "green", &everything).await, ["0a#0"]);

    index.remove(&Collection::default(), vec!["0b".to_owned(), "0c".to_owned()]).await.expect("removed");
    let third = view(&index).await;
    assert!(is_copy(&third) && words(&index, &third, "blue", &everything).await.is_empty());
    index.refresh(&Collection::default()).await.expect("refreshed");
    assert_eq!(view(&index).await.version(), third.version(), "upkeep changes nothing that could be found");
    // A document without chunks is removed.
    write(&index, vec![document("0a", "Tents", &[])]).await;
    assert!(words(&index, &view(&index).await, "green", &everything).await.is_empty());
    index.discard(&Collection::default()).await.expect("discarded");
    assert!(matches!(view(&index).await, View::Nothing));
}

#[tokio::test]
async fn what_another_process_writes_is_read_again() {
    let folder = tempfile::tempdir().expect("folder");
    let (own, other) = (index(folder.path(), copies::MAX_BYTES), index(folder.path(), copies::MAX_BYTES));
    write(&own, vec![document("0a", "Tents", &["red tents"])]).await;
    let first = view(&own).await;
    assert!(is_copy(&first));
    write(&other, vec![document("0b", "Bags", &["blue bags"])]).await;
    let seen = async {
        while words(&own, &view(&own).await, "blue", &within(None)).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), seen).await.expect("seen");
    // Both writes are there when they come at the same time, too.
    write(&other, vec![document("0c", "Mats", &["green mats"])]).await;
    write(&own, vec![document("0d", "Mugs", &["white mugs"])]).await;
    let now = view(&own).await;
    assert_eq!(words(&own, &now, "white", &within(None)).await, ["0d#0"]);
    assert_eq!(words(&own, &now, "green", &within(None)).await, ["0c#0"]);
}

#[tokio::test]
async fn the_table_and_its_copy_find_the_same() {
    let folder = tempfile::tempdir().expect("folder");
    let (copied, plain) = (index(folder.path(), copies::MAX_BYTES), index(folder.path(), 0));
    let texts =
        ["The red tents of the store", "帐篷可以在六十天内退货", "Die roten Zelte und die Häuser sind da", "Палатки"];
    write(&copied, vec![document("0a", "Shop's % tents_", &texts), document("0b", "Bags", &["A red bag", "red, red"])])
        .await;
    copied.refresh(&Collection::default()).await.expect("refreshed");
    let (copy, table) = (view(&copied).await, view(&plain).await);
    assert!(is_copy(&copy) && matches!(table, View::Table(..)));
    let pages = |from, to| Filter::Pages(Pages { from, to });
    let not = |filter| Filter::Not(Box::new(filter));
    let filters = [
        None,
        Some(Filter::Document(vec!["0b".to_owned(), "x' OR '1'='1".to_owned()])),
        Some(Filter::Document(Vec::new())),
        Some(not(Filter::Document(vec!["0b".to_owned()]))),
        Some(Filter::UriPrefix("Shop's % ".to_owned())),
        Some(not(Filter::UriPrefix("Bags/0b'".to_owned()))),
        Some(Filter::Title("Bags".to_owned())),
        Some(pages(Some(2), Some(2))),
        Some(pages(None, Some(1))),
        Some(not(pages(Some(2), None))),
        Some(Filter::Any(vec![Filter::Title("Bags".to_owned()), pages(Some(3), None)])),
        Some(Filter::All(Vec::new())),
        Some(Filter::Any(Vec::new())),
    ];
    for filter in filters {
        for without in [Vec::new(), vec!["0b".to_owned()]] {
            let within = Within { without, ..within(filter.clone()) };
            for question in ["red tents", "怎么退货", "Wo ist mein Haus?", "палатка", "nothing"] {
                let asked = Some(&[0.9, 0.5, 0.3, 0.2, 0.0, 0.0, 0.0, 0.1][..]);
                let by_copy = copied.by_words(&copy, question, asked, &within).await.expect("copy");
                let by_table = plain.by_words(&table, question, asked, &within).await.expect("table");
                same(by_copy, by_table, |found| found.bm25, &format!("{question} {within:?}"));
            }
            let asked = [0.9, 0.5, 0.3, 0.2, 0.0, 0.0, 0.0, 0.1];
            let by_copy = copied.by_vector(&copy, &asked, &within).await.expect("copy");
            let by_table = plain.by_vector(&table, &asked, &within).await.expect("table");
            same(by_copy, by_table, |found| found.cosine, &format!("{within:?}"));
        }
    }
}

/// The same rows, with nearly the same scores.
fn same(mut a: Vec<Match<Passage>>, mut b: Vec<Match<Passage>>, score: impl Fn(&Match<Passage>) -> f32, what: &str) {
    a.sort_by(|a, b| a.id.cmp(&b.id));
    b.sort_by(|a, b| a.id.cmp(&b.id));
    let rows = |found: &[Match<Passage>]| found.iter().map(|found| found.row.clone()).collect::<Vec<_>>();
    assert_eq!(rows(&a), rows(&b), "{what}");
    for (a, b) in a.iter().zip(&b) {
        assert!((score(a) - score(b)).abs() < 0.01 && (a.cosine - b.cosine).abs() < 0.01, "{what}: {a:?} {b:?}");
    }
}

#[tokio::test]
async fn what_is_too_large_for_a_copy_is_searched_all_the_same() {
    let folder = tempfile::tempdir().expect("folder");
    let index = index(folder.path(), 100);
    write(&index, vec![document("0a", "Tents", &["red tents", "blue tents"])]).await;
    index.refresh(&Collection::default()).await.expect("refreshed");
    for _ in 0..2 {
        let view = view(&index).await;
        assert!(matches!(view, View::Table(..)));
        assert_eq!(words(&index, &view, "blue", &within(None)).await, ["0a#1"]);
    }
}

/// A document of so many chunks, whose vectors point everywhere.
fn scattered(id: &str, chunks: usize) -> IndexedDocument {
    let texts: Vec<String> = (0..chunks).map(|number| format!("tent {number}")).collect();
    let mut made = document(id, "Tents", &texts.iter().map(String::as_str).collect::<Vec<_>>());
    for ((chunk, vector), number) in made.chunks.iter_mut().zip(0..) {
        let numbers = blake3::hash(format!("{} {number}", chunk.hash).as_bytes());
        *vector = numbers.as_bytes().iter().map(|byte| f32::from(*byte) - 127.5).take(DIMENSION).collect();
    }
    made
}

async fn nearest(index: &Index, asked: &[f32], within: &Within) -> Vec<String> {
    let found = index.by_vector(&view(index).await, asked, within).await.expect("found");
    found.into_iter().map(|found| found.id).collect()
}

/// The folders of the indices in all of an index, one for each.
fn indices(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let all = walkdir::WalkDir::new(folder).into_iter().map(|entry| entry.expect("entry").into_path());
    all.filter(|path| path.is_dir() && path.parent().is_some_and(|parent| parent.ends_with("_indices"))).collect()
}

#[tokio::test]
async fn many_vectors_have_an_index_that_follows_what_is_written_and_erased() {
    let folder = tempfile::tempdir().expect("folder");
    let bounds = Bounds { copied: 0, index_vectors_from: 300 };
    let index = Index::with_bounds(folder.path().to_str().expect("path"), "model", bounds);
    let collection = Collection::default();
    write(&index, vec![scattered("0a", 200)]).await;
    index.refresh(&collection).await.expect("refreshed");
    assert_eq!(indices(folder.path()).len(), 1, "too few for one of vectors");

    let (more, last) = (scattered("0b", 200), scattered("0c", 20));
    let (asked, newest) = (more.chunks[123].1.clone(), last.chunks[7].1.clone());
    write(&index, vec![more]).await;
    let look = index.look(&collection).await.expect("looked").expect("there");
    assert_eq!((look.chunks, look.unindexed), (400, 400), "it is due");
    index.refresh(&collection).await.expect("refreshed");
    assert_eq!(index.counts(&collection).await.expect("counted"), (400, 0));
    assert_eq!(nearest(&index, &asked, &within(None)).await[0], "0b#123");

    // What the index does not know yet is found, too.
    write(&index, vec![last]).await;
    assert_eq!(nearest(&index, &newest, &within(None)).await[0], "0c#7");
    let known = indices(folder.path());
    index.refresh(&collection).await.expect("refreshed");
    assert_eq!(index.counts(&collection).await.expect("counted"), (420, 0));
    assert_eq!(nearest(&index, &newest, &within(None)).await[0], "0c#7");
    // A filter that leaves little is answered from farther away.
    let few = within(Some(Filter::Document(vec!["0c".to_owned()])));
    assert_eq!(nearest(&index, &asked, &few).await.len(), few.depth);

    // A damaged one is noticed by whoever reads everything.
    index.read_through(&collection).await.expect("sound");
    let codes = indices(folder.path()).into_iter().map(|index| index.join("auxiliary.idx"));
    // Those of older versions too: which one is in use is not for us to know.
    let sound: Vec<_> =
        codes.filter(|file| file.exists()).map(|file| (std::fs::read(&file).expect("read"), file)).collect();
    assert!(!sound.is_empty(), "the index of the vectors");
    for (bytes, file) in &sound {
        std::fs::write(file, vec![7; bytes.len()]).expect("written");
    }
    let other = Index::with_bounds(folder.path().to_str().expect("path"), "model", bounds);
    assert!(other.read_through(&collection).await.is_err());
    for (bytes, file) in &sound {
        std::fs::write(file, bytes).expect("written");
    }

    index.remove(&collection, vec!["0c".to_owned()]).await.expect("removed");
    assert!(!nearest(&index, &newest, &within(None)).await.contains(&"0c#7".to_owned()));
    index.erase(&collection).await.expect("erased");
    let renewed = indices(folder.path());
    assert!(renewed.len() == 2 && renewed.iter().all(|index| !known.contains(index)), "{known:?} {renewed:?}");
    assert_eq!(nearest(&index, &asked, &within(None)).await[0], "0b#123");

    index.remove(&collection, vec!["0a".to_owned()]).await.expect("removed");
    index.erase(&collection).await.expect("erased");
    assert_eq!(indices(folder.path()).len(), 1, "an index of what is gone is of no use");
    assert_eq!(nearest(&index, &asked, &within(None)).await[0], "0b#123");
}

/// What is only ever replaced leaves few files to merge.
#[tokio::test]
async fn versions_of_what_is_replaced_again_and_again_do_not_pile_up() {
    let folder = tempfile::tempdir().expect("folder");
    let index = index(folder.path(), 0);
    let versions = || {
        let all = walkdir::WalkDir::new(folder.path()).into_iter().map(|entry| entry.expect("entry"));
        all.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "manifest")).count()
    };
    let mut most = 0;
    for n in 0..50 {
        write(&index, vec![document("a", "One", &[&format!("word{n}")])]).await;
        index.tables.refresh(&Collection::default(), lancedb::table::Duration::try_seconds(0)).await.expect("tidied");
        most = most.max(versions());
    }
    assert!(most < 45 && versions() < 45, "{most} at most, {} in the end", versions());
    assert_eq!(words(&index, &view(&index).await, "word49", &within(None)).await.len(), 1);
}
