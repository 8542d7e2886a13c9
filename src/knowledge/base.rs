//! The knowledge base as the rest of the house sees it: an embedding model and an index, put together.

use std::{
    fmt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

use crate::{
    chat::Circle,
    config::{CacheRule, KnowledgeConfig},
    knowledge::{
        KnowledgeError, KnowledgeStatus, Passage, Retrieved, Retriever, SearchMode, SearchQuery,
        blocking::blocking,
        embed::{EmbedError, EmbedStatus, Embedder, Vector},
        fuse::{self, Match},
        index::{Index, Trouble, View, Within},
        joined,
        memo::{self, Memo},
        parser::Parsers,
        terms::Question,
        tombstones::Tombstones,
    },
    telemetry::{
        caches::{CacheReport, RETRIEVAL},
        metrics::RETRIEVAL_DURATION,
    },
};

/// Candidates that each leg of a search brings, at least.
const DEPTH: usize = 50;
/// The most passages of one search.
const MAX_TOP_K: usize = 100;
/// How long a hybrid search waits for the question's vector before it goes by words only.
const VECTOR_PATIENCE: Duration = Duration::from_secs(2);
/// Searches that are worked on at a time; more would only share the same cores.
const SEARCHES: usize = 8;
/// Searches that may wait or be worked on; the next one is refused.
const MAX_SEARCHES: usize = 256;

/// Where the count of deletions stands in a version, above that of the table.
const DELETION_BITS: u32 = 40;
/// The longest passages of one search that are kept, in bytes.
const MAX_KEPT_BYTES: usize = 64 << 10;

/// Documents that can be searched.
pub struct Knowledge {
    embedder: Embedder,
    index: Index,
    parsers: Parsers,
    /// What must not be found any more, whatever the index says.
    tombstones: Tombstones,
    loading: Arc<AtomicUsize>,
    places: Semaphore,
    turns: Semaphore,
    /// What was found, by everything that it depends on.
    found: Option<Memo<Arc<[Passage]>>>,
    /// Whether users are given what was made for others of their tenant.
    is_shared: bool,
}

impl Knowledge {
    /// Returns at once: the model is loaded in the background, the index is opened by the first search. The index lies
    /// in `<data_dir>/lancedb` unless `knowledge.uri` says otherwise. Documents are read by `parsers`.
    #[must_use]
    pub fn open(config: &KnowledgeConfig, data_dir: &Path, parsers: Parsers) -> Self {
        Self {
            embedder: Embedder::load(config.model_dir.clone(), config.model.clone()),
            index: Index::new(config.place(data_dir), config.model.clone()),
            parsers,
            tombstones: Tombstones::default(),
            loading: Arc::default(),
            places: Semaphore::new(MAX_SEARCHES),
            turns: Semaphore::new(SEARCHES),
            found: None,
            is_shared: false,
        }
    }

    /// The same, and it keeps the vectors of questions, and as `rule` says what was found for them; both for the circle
    /// of who asks.
    #[must_use]
    pub fn keeping(self, rule: CacheRule) -> Self {
        let found = Some(Memo::new(RETRIEVAL, rule.entries, Some(rule.ttl)));
        Self { embedder: self.embedder.keeping(), found, is_shared: rule.shared, ..self }
    }

    /// Waits until the embedding model works.
    ///
    /// # Errors
    /// Why it never will.
    pub async fn ready(&self) -> Result<(), EmbedError> {
        self.embedder.ready().await.map(drop)
    }

    /// From now on, and until the answer is dropped, documents are being read that questions may be about: the status is
    /// [`KnowledgeStatus::Loading`].
    pub(super) fn loading(&self) -> Loading {
        self.loading.fetch_add(1, Ordering::Relaxed);
        Loading(Arc::clone(&self.loading))
    }

    pub(super) fn embedder(&self) -> &Embedder {
        &self.embedder
    }

    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    pub(super) fn parsers(&self) -> &Parsers {
        &self.parsers
    }

    pub(super) fn tombstones(&self) -> &Tombstones {
        &self.tombstones
    }

    /// The question's vector; `None` when only words can be searched.
    async fn embed(&self, query: &SearchQuery) -> Result<Option<Asked>, KnowledgeError> {
        if query.mode == SearchMode::Text {
            return Ok(None);
        }
        let started = Instant::now();
        let circle = self.circle(query);
        let embedding = async {
            let vector = self.embedder.embed_query(&query.text, circle.as_ref()).await?;
            Ok(Asked { vector, unrelated: self.embedder.ready().await?.unrelated() })
        };
        let embedded = match query.mode {
            SearchMode::Hybrid => timeout(VECTOR_PATIENCE, embedding).await.unwrap_or(Err(EmbedError::Busy)),
            _ => embedding.await,
        };
        record("embed", started);
        match embedded {
            Ok(asked) => Ok(Some(asked)),
            // Words can be searched without a model, and that is better than nothing.
            Err(error) if query.mode == SearchMode::Hybrid => {
                tracing::debug!(%error, "searching by words only");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What was found, best first, and whether everything was searched that should be.
    async fn search(
        &self,
        query: &SearchQuery,
        view: &View,
        asked: Option<&Asked>,
    ) -> Result<(Vec<(f32, Passage)>, bool), KnowledgeError> {
        let collection = &query.collection;
        let top_k = query.top_k.min(MAX_TOP_K);
        // The dead would take the places of the living.
        let without = self.tombstones.of(collection);
        let within = Within { depth: top_k.max(DEPTH), without, filter: query.filter.clone() };
        let vector = asked.map(|asked| asked.vector.as_slice());
        let unrelated = asked.map_or(0.0, |asked| asked.unrelated);
        let by_words = self.index.by_words(view, &query.text, vector, &within);
        let hybrid = |found| fuse::rank(found, |found| fuse::hybrid_score(found, unrelated), query.min_score, top_k);
        let mut is_whole = vector.is_some() || query.mode == SearchMode::Text;
        let ranked = match (vector, query.mode) {
            (Some(vector), SearchMode::Vector) => {
                let found = self.index.by_vector(view, vector, &within).await?;
                fuse::rank(found, |found| fuse::vector_score(found, unrelated), query.min_score, top_k)
            }
            (Some(vector), _) => match tokio::join!(self.index.by_vector(view, vector, &within), by_words) {
                (Ok(near), Ok(worded)) => hybrid(fuse::union(near, worded)),
                (Ok(near), Err(error)) => {
                    tracing::warn!(%error, "searched by vectors only");
                    is_whole = false;
                    hybrid(near)
                }
                (Err(error), Ok(worded)) => {
                    tracing::warn!(%error, "searched by words only");
                    is_whole = false;
                    by_share(worded, query, top_k).await?
                }
                (Err(error), Err(_)) => return Err(error),
            },
            (None, _) => by_share(by_words.await?, query, top_k).await?,
        };
        Ok((ranked, is_whole))
    }

    /// Searches one version of the collection, in its turn.
    async fn find(&self, query: &SearchQuery, view: Result<View, KnowledgeError>) -> Result<Arc<[Passage]>, NotKept> {
        let _place = self.places.try_acquire().map_err(|_| KnowledgeError::Busy)?;
        let asked = self.embed(query).await?;
        let started = Instant::now();
        let _turn = self.turns.acquire().await.map_err(|_| KnowledgeError::Busy)?;
        let ranked = match &view {
            Ok(view) => self.search(query, view, asked.as_ref()).await,
            Err(error) => Err(error.clone()),
        };
        record("search", started);
        // Only of the collection that answers come from: a look into another one says nothing about it.
        if query.collection.is_of_answers() {
            self.index.troubles().judge(&query.collection, Trouble::Unsearchable, &ranked);
        }
        let (ranked, is_whole) = ranked?;
        let passages = ranked.into_iter().map(|(score, passage)| Passage { score, ..passage }).collect();
        let passages: Arc<[_]> = joined::joined(passages).into();
        let bytes: usize = passages.iter().map(|passage| passage.text.len()).sum();
        if is_whole && bytes <= MAX_KEPT_BYTES { Ok(passages) } else { Err(NotKept::TooMuch(passages)) }
    }

    fn circle(&self, query: &SearchQuery) -> Option<Circle> {
        Circle::of(query.owner.as_ref(), query.session.as_ref(), self.is_shared)
    }

    /// What a search of this version of the index depends on; `None` when its result is not to be kept or looked up.
    fn key_of(&self, query: &SearchQuery, version: Option<u64>) -> Option<memo::Key> {
        let circle = self.circle(query)?;
        // After a failure it is really searched, so that the report of it does not outlive it.
        let version = version.filter(|_| self.status() == KnowledgeStatus::Ready)?;
        let min_score = query.min_score.map_or([0; 5], |score| {
            let [a, b, c, d] = score.to_le_bytes();
            [1, a, b, c, d]
        });
        Some(memo::key([
            circle.as_str().as_bytes(),
            query.collection.tenant().as_str().as_bytes(),
            query.collection.as_str().as_bytes(),
            query.text.as_bytes(),
            &query.top_k.min(MAX_TOP_K).to_le_bytes(),
            &[match query.mode {
                SearchMode::Hybrid => 0,
                SearchMode::Vector => 1,
                SearchMode::Text => 2,
            }],
            &min_score,
            &version.to_le_bytes(),
            &serde_json::to_vec(&query.filter).ok()?,
        ]))
    }
}

impl fmt::Debug for Knowledge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Knowledge")
            .field("embedder", &self.embedder)
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

/// A question as vectors are searched.
struct Asked {
    vector: Vector,
    /// The cosine that its model gives to what has nothing to do with it.
    unrelated: f32,
}

/// What came of a search and is for those who wait for it, but for nobody after them.
#[derive(Clone)]
enum NotKept {
    /// Passages that may be others in a moment.
    TooMuch(Arc<[Passage]>),
    /// Nothing.
    Failed(KnowledgeError),
}

impl From<KnowledgeError> for NotKept {
    fn from(error: KnowledgeError) -> Self {
        Self::Failed(error)
    }
}

/// What the words alone found, less what has too few of them. Reads all of it, so it is computed where that holds up
/// nobody.
async fn by_share(
    found: Vec<Match<Passage>>,
    query: &SearchQuery,
    top_k: usize,
) -> Result<Vec<(f32, Passage)>, KnowledgeError> {
    let (question, min_share) = (Question::of(&query.text), query.min_score);
    let rank = move || {
        let share =
            |row: &Passage| question.share([row.title.as_str(), row.heading.as_deref().unwrap_or(""), &row.text]);
        fuse::rank_words(found, share, min_share, top_k)
    };
    blocking(rank).await
}

#[async_trait]
impl Retriever for Knowledge {
    async fn retrieve(&self, query: &SearchQuery) -> Result<Retrieved, KnowledgeError> {
        // Before the search, so that what is found is not older than this.
        let collection = &query.collection;
        let deletions = self.tombstones.deletions(collection);
        let view = self.index.view(collection).await;
        let version = view.as_ref().ok().map(|view| view.version().wrapping_add(deletions << DELETION_BITS));
        if query.text.trim().is_empty() || query.top_k == 0 || self.tombstones.is_closed(collection) {
            return Ok(Retrieved { passages: Vec::new(), version });
        }
        let found = match (&self.found, self.key_of(query, version)) {
            (None, _) => self.find(query, view).await,
            (Some(found), Some(key)) => found.get(key, self.find(query, view)).await,
            (Some(found), None) => {
                found.pass();
                self.find(query, view).await
            }
        };
        match found {
            Ok(passages) | Err(NotKept::TooMuch(passages)) => {
                // What was deleted while it was searched for is not found either.
                Ok(Retrieved { passages: self.tombstones.living(collection, &passages), version })
            }
            // Its table was taken away during the search.
            Err(NotKept::Failed(_)) if self.tombstones.is_closed(collection) => {
                Ok(Retrieved { passages: Vec::new(), version })
            }
            Err(NotKept::Failed(error)) => Err(error),
        }
    }

    fn status(&self) -> KnowledgeStatus {
        if let Some(problem) = self.index.troubles().of_answers() {
            return KnowledgeStatus::Failed(problem);
        }
        match self.embedder.status() {
            EmbedStatus::Failed(error) => KnowledgeStatus::Failed(error.to_string()),
            EmbedStatus::Loading => KnowledgeStatus::Loading,
            EmbedStatus::Ready(_) if self.loading.load(Ordering::Relaxed) > 0 => KnowledgeStatus::Loading,
            EmbedStatus::Ready(_) => KnowledgeStatus::Ready,
        }
    }

    async fn caches(&self) -> Vec<CacheReport> {
        let mut reports = Vec::from_iter(self.embedder.cache().await);
        if let Some(found) = &self.found {
            reports.push(found.report().await);
        }
        reports
    }
}

/// Somebody who reads documents that questions may be about.
#[derive(Debug)]
pub(super) struct Loading(Arc<AtomicUsize>);

impl Drop for Loading {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn record(stage: &'static str, started: Instant) {
    metrics::histogram!(RETRIEVAL_DURATION, "stage" => stage).record(started.elapsed().as_secs_f64());
}

#[cfg(test)]
mod tests;
mod upkeep;
