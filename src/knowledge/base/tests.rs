use std::fs;

use super::*;
use crate::knowledge::{
    Collection,
    embed::{Loaded, Model},
    index::Bounds,
    testing::{find, ingest, knowledge, model_dir, query, search, write},
};

/// The same without copies in memory: every search goes to the tables.
fn uncopied(data: &Path) -> Knowledge {
    let uri = data.join("lancedb").to_string_lossy().into_owned();
    let config = KnowledgeConfig { model_dir: Some(model_dir()), ..KnowledgeConfig::default() };
    let index = Index::with_bounds(uri, config.model.clone(), Bounds { copied: 0, ..Bounds::default() });
    Knowledge { index, ..Knowledge::open(&config, data, Parsers::in_this_process()) }
}

#[tokio::test]
async fn one_damaged_index_leaves_the_other_one() {
    let (data, work) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
    let docs = work.path().join("docs");
    write(&docs, &[("a.md", "The quoll hunts at night.")]);
    ingest(&knowledge(data.path()), &docs).await;
    for entry in walkdir::WalkDir::new(data.path()) {
        let entry = entry.expect("entry");
        if entry.file_type().is_file() && entry.path().components().any(|part| part.as_os_str() == "_indices") {
            fs::write(entry.path(), b"damaged").expect("file");
        }
    }
    // A copy is made of the rows, and needs no index.
    let copied = knowledge(data.path());
    assert_eq!(search(&copied, "Where do quolls hunt?", SearchMode::Text).await.len(), 1);
    let knowledge = uncopied(data.path());
    knowledge.ready().await.expect("loaded");
    assert_eq!(search(&knowledge, "Where do quolls hunt?", SearchMode::Hybrid).await.len(), 1);
    assert_eq!(knowledge.status(), KnowledgeStatus::Ready);
    // Another collection's fate says nothing about the one that answers.
    let words =
        SearchQuery { collection: Collection::parse("other").expect("valid"), ..query("quoll", SearchMode::Text) };
    assert!(knowledge.retrieve(&query("quoll", SearchMode::Text)).await.is_err());
    assert_eq!(find(&knowledge, &words).await, []);
    assert!(matches!(knowledge.status(), KnowledgeStatus::Failed(_)));
}

#[tokio::test]
async fn a_model_that_takes_too_long_is_not_waited_for() {
    let (data, work) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
    write(work.path(), &[("a.md", "The pangolin has scales.")]);
    ingest(&knowledge(data.path()), work.path()).await;
    let (go, wait) = std::sync::mpsc::sync_channel::<()>(1);
    let embedder = Embedder::start(
        move || {
            let loaded = Loaded::from(Model::load(&model_dir(), &KnowledgeConfig::default().model)?);
            let stuck = move |_| {
                let _told = wait.recv();
                Err(EmbedError::Failed("too late".to_owned()))
            };
            Ok(Loaded { call: Box::new(stuck), ..loaded })
        },
        None,
    );
    embedder.ready().await.expect("loaded");
    let opened = Knowledge::open(&KnowledgeConfig::default(), data.path(), Parsers::in_this_process());
    let slow = Knowledge { embedder, ..opened };
    let searching = timeout(2 * VECTOR_PATIENCE, search(&slow, "pangolin", SearchMode::Hybrid));
    let found = searching.await;
    // The model's thread has to end before anything may fail: dropping the embedder waits for it.
    drop(go);
    assert_eq!(found.expect("answered in time").len(), 1);
}
