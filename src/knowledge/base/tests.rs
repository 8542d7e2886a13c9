use super::*;
use crate::knowledge::{
    embed::{Loaded, Model},
    testing::{ingest, knowledge, model_dir, search, write},
};

#[tokio::test]
async fn a_model_that_takes_too_long_is_not_waited_for() {
    let (data, work) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
    write(work.path(), &[("a.md", "The pangolin has scales.")]);
    ingest(&knowledge(data.path()), work.path()).await;
    let (go, wait) = std::sync::mpsc::sync_channel::<()>(1);
    let embedder = Embedder::start(move || {
        let loaded = Loaded::from(Model::load(&model_dir())?);
        let stuck = move |_| {
            let _told = wait.recv();
            Err(EmbedError::Failed("too late".to_owned()))
        };
        Ok(Loaded { call: Box::new(stuck), ..loaded })
    });
    embedder.ready().await.expect("loaded");
    let opened = Knowledge::open(&KnowledgeConfig::default(), data.path(), Parsers::in_this_process());
    let slow = Knowledge { embedder, ..opened };
    let searching = timeout(2 * VECTOR_PATIENCE, search(&slow, "pangolin", SearchMode::Hybrid));
    let found = searching.await;
    // The model's thread has to end before anything may fail: dropping the embedder waits for it.
    drop(go);
    assert_eq!(found.expect("answered in time").len(), 1);
}
