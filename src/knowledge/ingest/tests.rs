//! Ingestion as a whole: real files, the real model, a real index.

use std::{collections::HashSet, fs, sync::Arc, time::Duration};

use super::{IngestError, IngestProgress};
use crate::knowledge::{
    KnowledgeError, Retriever, SearchMode,
    embed::{Embedder, Loaded, Model},
    extract,
    index::Index,
    parser::Parsers,
    testing::{self, default_collection, ingest, knowledge, places, query, write},
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
    assert_eq!((changed.replaced, changed.chunks, changed.kept_vectors), (1, 2, 1));
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
    // Two of one process, and one that shares nothing with them, as another process would.
    let (ours, other) = (knowledge(data.path()), knowledge(data.path()));
    tokio::join!(ingest(&ours, &docs), ingest(&ours, &docs), ingest(&other, &docs));
    let fresh = knowledge(data.path());
    assert_eq!(places(&fresh, "quokka").await.len(), 12);
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
    let gone = knowledge.ingest(&default_collection(), &[docs.join("nothing-here")], |_| ()).await.expect("no error");
    assert_eq!((gone.files, gone.failures.len()), (0, 1));
}

#[tokio::test]
async fn a_text_that_the_model_fails_on_stops_no_other() {
    let (data, work) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
    write(work.path(), &[("a.md", "The dingo howls."), ("b.md", "A poisoned text."), ("c.md", "The emu runs.")]);
    let embedder = Embedder::start(|| {
        let mut loaded = Loaded::from(Model::load(&testing::model_dir())?);
        let call = Box::new(move |texts: Vec<String>| {
            assert!(!texts.iter().any(|text| text.contains("poison")), "deliberate");
            (loaded.call)(texts)
        });
        Ok(Loaded { ready: loaded.ready, call })
    });
    let index = Index::new(data.path().to_string_lossy(), "test");
    let (collection, paths) = (default_collection(), [work.path().to_owned()]);
    let summary = super::ingest(&embedder, &index, &Parsers::in_this_process(), &collection, &paths, |_| ())
        .await
        .expect("the others are ingested");
    assert_eq!((summary.added, summary.failures.len()), (2, 1), "{summary:?}");
    assert!(summary.failures[0].uri.ends_with("b.md"), "{summary:?}");
    assert_eq!(index.documents(&collection).await.expect("index").len(), 2);
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_an_error() {
    let (data, work) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
    let docs = work.path().join("docs");
    write(&docs, &[("a.md", "text")]);
    // A file where a folder should be stops even root.
    let blocked = data.path().join("file");
    fs::write(&blocked, "").expect("file");
    let knowledge = knowledge(&blocked);
    let error = knowledge.ingest(&default_collection(), &[docs], |_| ()).await.expect_err("nowhere to write");
    assert!(matches!(error, IngestError::Knowledge(KnowledgeError::Unavailable(_))), "{error}");
    let searched = knowledge.retrieve(&query("text", SearchMode::Text)).await;
    assert!(matches!(searched, Err(KnowledgeError::Unavailable(_))), "{searched:?}");
}

#[tokio::test]
async fn a_dropped_ingestion_leaves_a_sound_index() {
    let (data, work) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
    let docs = work.path().join("docs");
    write(&docs, &[("a.md", "The kakapo cannot fly.")]);
    let knowledge = knowledge(data.path());
    ingest(&knowledge, &docs).await;
    for i in 0..60 {
        write(&docs, &[(&format!("{i}.md"), &"The kakapo climbs trees at night. ".repeat(40))]);
    }
    let paths = [docs.clone()];
    let collection = default_collection();
    let ingestion = knowledge.ingest(&collection, &paths, |_| ());
    assert!(tokio::time::timeout(Duration::from_millis(500), ingestion).await.is_err(), "it was to be cut short");
    assert_eq!(places(&knowledge, "kakapo fly").await.first().map(|(uri, _)| uri.as_str()), Some("docs/a.md"));
    // Taken up again, it is completed.
    ingest(&knowledge, &docs).await;
    let documents: HashSet<_> = places(&knowledge, "climbs").await.into_iter().map(|(uri, _)| uri).collect();
    assert_eq!(documents.len(), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn cutting_a_long_text_ends_with_its_ingestion() {
    let (data, work) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
    write(work.path(), &[("long.txt", &"Some words that say nothing at all. ".repeat(250_000))]);
    let knowledge = Arc::new(knowledge(data.path()));
    knowledge.ready().await.expect("loaded");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("runtime");
    let (begun, seen) = tokio::sync::oneshot::channel();
    let (ours, paths) = (Arc::clone(&knowledge), [work.path().to_owned()]);
    let mut begun = Some(begun);
    let ingestion = async move {
        let progress = |_: IngestProgress<'_>| {
            if let Some(begun) = begun.take() {
                begun.send(()).expect("waited for");
            }
        };
        ours.ingest(&default_collection(), &paths, progress).await.map(drop)
    };
    let ingestion = runtime.handle().spawn(ingestion);
    seen.await.expect("the file was begun");
    // Reading takes less than this, cutting much more; were it otherwise, the test would prove less, but not fail.
    tokio::time::sleep(Duration::from_millis(500)).await;
    ingestion.abort();
    // The end of a runtime waits for the blocking work that has begun.
    let ended = tokio::task::spawn_blocking(move || drop(runtime));
    tokio::time::timeout(Duration::from_secs(5), ended).await.expect("ended soon").expect("no panic");
}
