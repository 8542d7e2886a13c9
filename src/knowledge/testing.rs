//! What tests share: the real model, real folders, made-up passages.

use std::{
    fs,
    ops::Deref,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio_util::sync::CancellationToken;

use crate::{
    config::KnowledgeConfig,
    knowledge::{
        Collection, IngestSummary, Knowledge, Own, Passage, Retriever, SearchMode, SearchQuery,
        jobs::{Bounds, Documents},
        parser::Parsers,
    },
    store::{
        blobs::Blobs,
        sqlite::{self, SqliteStore},
    },
};

impl Passage {
    /// A passage of some document, for whoever reads passages.
    pub(crate) fn sample(title: &str, heading: Option<&str>, text: &str) -> Self {
        Self {
            document: "d".to_owned(),
            title: title.to_owned(),
            uri: None,
            chunk: 0,
            page: None,
            page_end: None,
            place: None,
            start: 0,
            end: 0,
            heading: heading.map(str::to_owned),
            text: text.to_owned(),
            score: 1.0,
        }
    }
}

/// The folder of the default model, as `scripts/fetch-models.sh` makes it.
pub(crate) fn model_dir() -> PathBuf {
    fetched("all-MiniLM-L6-v2")
}

/// The folder of the second model, as `scripts/fetch-models.sh DEST multilingual` makes it.
pub(crate) fn multilingual_dir() -> PathBuf {
    fetched("multilingual-e5-small")
}

fn fetched(model: &str) -> PathBuf {
    let cache = std::env::var_os("RIVULET_CACHE").map(PathBuf::from).unwrap_or_else(|| {
        PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache").join("rivulet")
    });
    let folder = cache.join("deps").join(model);
    assert!(
        folder.is_dir(),
        "no model in {}: run scripts/fetch-models.sh {} multilingual",
        folder.display(),
        cache.join("deps").display()
    );
    folder
}

/// A knowledge base with the real model and an index below a folder.
pub(crate) struct Base {
    pub(crate) knowledge: Arc<Knowledge>,
    data: PathBuf,
}

impl Deref for Base {
    type Target = Knowledge;

    fn deref(&self) -> &Knowledge {
        &self.knowledge
    }
}

pub(crate) fn knowledge(data: &Path) -> Base {
    let config = KnowledgeConfig { model_dir: Some(model_dir()), ..KnowledgeConfig::default() };
    Base::with(Knowledge::open(&config, data, Parsers::in_this_process()), data)
}

impl Base {
    pub(crate) fn with(knowledge: Knowledge, data: &Path) -> Self {
        Self { knowledge: Arc::new(knowledge), data: data.to_owned() }
    }

    /// Does something with the documents while they are worked on, as long as it takes.
    pub(crate) async fn working<T>(&self, work: impl AsyncFnOnce(Arc<Documents>) -> T) -> T {
        let store = Arc::new(SqliteStore::open(self.data.join(sqlite::FILE_NAME)).expect("a store"));
        let bounds = Bounds::of(&KnowledgeConfig::default());
        let documents =
            Documents::open(store.clone(), Arc::clone(&self.knowledge), Blobs::new(&self.data), bounds).await;
        let (documents, ending) = (Arc::new(documents.expect("documents")), CancellationToken::new());
        let working = Arc::clone(&documents).run(ending.clone());
        let work = async {
            let done = work(documents).await;
            ending.cancel();
            done
        };
        let ((), done) = tokio::join!(working, work);
        store.close().await;
        done
    }
}

/// Files below `folder`, made with their folders.
pub(crate) fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("parent")).expect("folder");
        fs::write(path, text).expect("file");
    }
}

/// A search with nothing left out.
pub(crate) fn query(text: &str, mode: SearchMode) -> SearchQuery {
    SearchQuery {
        text: text.to_owned(),
        collection: Collection::default(),
        top_k: 5,
        mode,
        min_score: None,
        filter: None,
        owner: None,
        session: None,
    }
}

/// What is found, which must not fail.
pub(crate) async fn find(knowledge: &Knowledge, query: &SearchQuery) -> Vec<Passage> {
    knowledge.retrieve(query).await.unwrap_or_else(|error| panic!("{query:?}: {error}")).passages
}

/// What is found for `text`, which must not fail.
pub(crate) async fn search(knowledge: &Knowledge, text: &str, mode: SearchMode) -> Vec<Passage> {
    find(knowledge, &query(text, mode)).await
}

/// The folder of documents that comes with the gateway.
pub(crate) fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-knowledge")
}

/// Ingests a folder or file, which must not fail.
pub(crate) async fn ingest(base: &Base, folder: &Path) -> IngestSummary {
    base.working(async |documents| {
        let own = Own::new(documents, Collection::default());
        super::ingest(&own, &[folder.to_owned()], |_| ()).await.expect("ingested")
    })
    .await
}

/// The uris of all chunks that the words of `text` are in.
pub(crate) async fn places(knowledge: &Knowledge, text: &str) -> Vec<(String, u32)> {
    let found = SearchQuery { top_k: 100, ..query(text, SearchMode::Text) };
    let passages = find(knowledge, &found).await;
    let mut places: Vec<_> = passages.into_iter().map(|p| (p.uri.expect("uri"), p.chunk)).collect();
    places.sort();
    places
}
