//! Ingestion as a whole: real files, the real model, a real index.

use std::{fs, path::Path, sync::Arc, time::Duration};

use tokio::sync::mpsc;

use super::{Own, WatchEvent, watch};
use crate::knowledge::{
    Collection, extract,
    jobs::Documents,
    testing::{ingest, knowledge, places, write},
};

#[tokio::test]
async fn ingesting_again_changes_what_changed() {
    let (data, work) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
    let docs = work.path().join("docs");
    write(
        &docs,
        &[
            ("a.md", "# Alpha\n\n## One\n\nThe zebra eats grass.\n\n## Two\n\nThe walrus eats mussels.\n"),
            ("b.txt", "Bees make honey."),
            ("c.rtf", "not read"),
            ("d.md", "  \n"),
        ],
    );
    let knowledge = knowledge(data.path());
    let first = ingest(&knowledge, &docs).await;
    assert_eq!((first.files, first.added, first.skipped, first.chunks), (3, 2, 2, 3));
    let again = ingest(&knowledge, &docs).await;
    assert_eq!((again.added, again.replaced, again.unchanged, again.chunks), (0, 0, 2, 0));

    // One section changes, one goes, one comes: the vector of what stayed is kept, what went is not found any more.
    write(&docs, &[("a.md", "# Alpha\n\n## Two\n\nThe walrus eats mussels.\n\n## Three\n\nThe heron eats fish.\n")]);
    fs::remove_file(docs.join("b.txt")).expect("there");
    let changed = ingest(&knowledge, &docs).await;
    assert_eq!((changed.replaced, changed.chunks), (1, 2));
    assert_eq!(places(&knowledge, "zebra").await, []);
    assert_eq!(places(&knowledge, "walrus").await, [("docs/a.md".to_owned(), 0)]);
    assert_eq!(places(&knowledge, "heron").await, [("docs/a.md".to_owned(), 1)]);
    // The file is gone, the document stays.
    assert_eq!(places(&knowledge, "honey").await.len(), 1);

    // Emptied: nothing of it may be found.
    write(&docs, &[("a.md", "")]);
    assert_eq!(ingest(&knowledge, &docs).await.replaced, 1);
    assert_eq!(places(&knowledge, "walrus heron").await, []);
}

#[tokio::test]
async fn files_of_the_same_name_in_two_folders_are_two_documents() {
    let (data, work) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
    write(work.path(), &[("a/readme.md", "The numbat eats termites."), ("b/readme.md", "The numbat sleeps at night.")]);
    let knowledge = knowledge(data.path());
    for folder in ["a", "b", "a"] {
        ingest(&knowledge, &work.path().join(folder).join("readme.md")).await;
    }
    let expected = ["readme.md", "readme.md"].map(|uri| (uri.to_owned(), 0));
    assert_eq!(places(&knowledge, "numbat").await, expected);
}

#[tokio::test]
async fn ingesting_at_the_same_time_makes_no_duplicates() {
    let (data, work) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
    let docs = work.path().join("docs");
    for i in 0..12 {
        write(&docs, &[(&format!("{i}.md"), &format!("# Animal {i}\n\nThe quokka number {i} smiles.\n"))]);
    }
    let knowledge = knowledge(data.path());
    let twice = async |documents: Arc<Documents>| {
        let own = Own::new(documents, Collection::default());
        let paths = [docs.clone()];
        let (one, two) = tokio::join!(super::ingest(&own, &paths, |_| ()), super::ingest(&own, &paths, |_| ()));
        for summary in [one.expect("ingested"), two.expect("ingested")] {
            assert_eq!((summary.files, summary.failures.len()), (12, 0), "{summary:?}");
        }
    };
    knowledge.working(twice).await;
    assert_eq!(places(&knowledge, "quokka").await.len(), 12);
}

#[tokio::test]
async fn strange_files_are_reported_and_do_no_harm() {
    let (data, work) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
    let docs = work.path().join("docs");
    write(&docs, &[("good.md", "The axolotl regrows its legs."), ("empty.txt", "")]);
    fs::write(docs.join("binary.md"), b"\x7fELF\x02\x01\x01\0\0\0").expect("file");
    fs::write(docs.join("latin1.txt"), b"caf\xe9").expect("file");
    fs::write(docs.join("page.pdf"), "<!doctype html><p>Not found").expect("file");
    fs::write(docs.join("huge.txt"), vec![b'a'; extract::MAX_FILE_BYTES as usize + 1]).expect("file");
    let knowledge = knowledge(data.path());
    let summary = ingest(&knowledge, &docs).await;
    let mut failed: Vec<_> = summary.failures.iter().map(|failure| failure.uri.as_str()).collect();
    failed.sort_unstable();
    assert_eq!(failed, ["docs/binary.md", "docs/huge.txt", "docs/page.pdf"]);
    assert_eq!((summary.added, summary.skipped), (2, 1));
    assert_eq!(places(&knowledge, "café").await.len(), 1, "whatever its encoding");
    assert_eq!(places(&knowledge, "axolotl").await.len(), 1);
    let gone = ingest(&knowledge, &docs.join("nothing-here")).await;
    assert_eq!((gone.files, gone.failures.len()), (0, 1));
}

/// Everything that is told of a watch, as lines.
async fn watching(own: &Own, folder: &Path, told: mpsc::Sender<String>) {
    let event = move |event: WatchEvent<'_>| told.try_send(format!("{event:?}")).expect("somebody listens");
    match watch(own, &[folder.to_owned()], event).await {}
}

#[tokio::test]
async fn what_is_watched_follows_the_files() {
    let (data, work) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
    let docs = work.path().join("docs");
    write(&docs, &[("a.md", "The numbat eats termites."), ("b.md", "The dingo howls.")]);
    let knowledge = knowledge(data.path());
    let changes = async |documents: Arc<Documents>| {
        let own = Own::new(documents, Collection::default());
        let (tell, mut told) = mpsc::channel(64);
        let mut next = async || {
            let next = tokio::time::timeout(Duration::from_secs(60), told.recv()).await;
            next.expect("told within a minute").expect("watching")
        };
        let all = async {
            assert_eq!(next().await, r#"Taken("docs/a.md")"#);
            assert_eq!(next().await, r#"Taken("docs/b.md")"#);
            write(&docs, &[("a.md", "The numbat sleeps all the night.")]);
            assert_eq!(next().await, r#"Taken("docs/a.md")"#);
            assert_eq!(places(&knowledge, "termites").await, []);
            fs::remove_file(docs.join("b.md")).expect("there");
            assert_eq!(next().await, r#"Removed("docs/b.md")"#);
            assert_eq!(places(&knowledge, "dingo").await, []);
            // A folder that is empty all at once may be one that is not mounted.
            fs::remove_file(docs.join("a.md")).expect("there");
            write(&docs, &[("c.md", "")]);
            assert_eq!(next().await, r#"Removed("docs/a.md")"#);
            write(&docs, &[("c.md", "The emu runs.")]);
            assert_eq!(next().await, r#"Taken("docs/c.md")"#);
            fs::remove_file(docs.join("c.md")).expect("there");
            tokio::time::sleep(3 * super::watch::EVERY).await;
            assert_eq!(places(&knowledge, "emu").await.len(), 1);
        };
        tokio::select! {
            () = watching(&own, &docs, tell) => {}
            () = all => {}
        }
    };
    knowledge.working(changes).await;
}
