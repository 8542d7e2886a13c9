//! `rivulet eval`: how well and how fast documents are found, on a test set with questions whose answers are known.
//!
//! The documents go the way of uploads, into a data folder of their own that is removed again. A document counts with its
//! best chunk.

use std::{
    collections::{HashMap, HashSet},
    fs,
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use indicatif::ProgressBar;
use serde::Serialize;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use self::{
    score::Scores,
    set::{SetError, TestSet},
};
use crate::{
    config::{Config, KnowledgeConfig},
    knowledge::{
        Collection, DEFAULT_COLLECTION, Knowledge, KnowledgeError, Retriever, SearchMode, SearchQuery,
        embed::EmbedError,
        extract::MAX_FILE_BYTES,
        jobs::{Bounds, Documents, DocumentsError, Submission},
        parser::Parsers,
    },
    store::{
        StoreError,
        blobs::Blobs,
        documents::{Accepted, Fault, Target, Tenant},
        sqlite::{self, SqliteStore},
    },
};

mod score;
mod set;

/// Chunks asked for, so that ten documents are among them.
const CHUNKS: usize = 100;
/// Failed documents that are told.
const MAX_TOLD: usize = 5;
/// How often it is looked whether the word index has everything.
const LOOK: Duration = Duration::from_millis(100);

/// Arguments of `rivulet eval`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The test set: docs.jsonl, queries.jsonl, qrels.tsv
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum EvalCommandError {
    /// The test set is none.
    #[error(transparent)]
    Set(#[from] SetError),
    /// The model cannot be used.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// The documents cannot be taken in.
    #[error(transparent)]
    Documents(#[from] DocumentsError),
    /// The index cannot be used.
    #[error(transparent)]
    Knowledge(#[from] KnowledgeError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No document can be indexed.
    #[error("not one of the documents can be indexed: {0}")]
    Nothing(String),
    /// The folder in between cannot be made.
    #[error("a temporary folder: {0}")]
    Temporary(io::Error),
    /// The process cannot be told to stop.
    #[error("signals cannot be received: {0}")]
    Signals(io::Error),
    /// Somebody wanted it to end.
    #[error("ended before anything was measured")]
    Ended,
    /// The terminal is gone.
    #[error("cannot write the figures: {0}")]
    Output(#[from] io::Error),
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    documents: usize,
    /// Those of them that could not be indexed.
    failed: usize,
    chunks: usize,
    queries: usize,
    ingest_s: f64,
    text: Scores,
    vector: Scores,
    hybrid: Scores,
}

/// Indexes the test set, asks its questions in every mode, and prints the figures.
///
/// # Errors
/// See [`EvalCommandError`].
pub async fn run(args: Args, config: &Config) -> Result<(), EvalCommandError> {
    let set = TestSet::read(&args.dir)?;
    let folder = Temporary::make().map_err(EvalCommandError::Temporary)?;
    // Dropping the folder removes it, so whoever is told to end has to get there.
    let mut terminate = signal(SignalKind::terminate()).map_err(EvalCommandError::Signals)?;
    let report = tokio::select! {
        report = evaluate(&set, &config.knowledge, &folder.0) => report?,
        _ = tokio::signal::ctrl_c() => return Err(EvalCommandError::Ended),
        _ = terminate.recv() => return Err(EvalCommandError::Ended),
    };
    let out = &mut io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &report).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        print(out, &report)?;
    }
    Ok(())
}

async fn evaluate(set: &TestSet, settings: &KnowledgeConfig, folder: &Path) -> Result<Report, EvalCommandError> {
    let settings = KnowledgeConfig { uri: None, ..settings.clone() };
    let knowledge = Arc::new(Knowledge::open(&settings, folder, Parsers::of_this_program()));
    knowledge.ready().await?;
    let store = Arc::new(SqliteStore::open(folder.join(sqlite::FILE_NAME))?);
    let bounds = Bounds { bytes: MAX_FILE_BYTES, documents: u64::MAX, erase: Duration::MAX };
    let documents = Arc::new(Documents::open(store, knowledge.clone(), Blobs::new(folder), bounds).await?);
    let started = Instant::now();
    let working = documents.clone().run(CancellationToken::new());
    let indexed = tokio::select! {
        indexed = index(&documents, set) => indexed?,
        () = working => return Err(EvalCommandError::Nothing("the work on them has ended".to_owned())),
    };
    let ingest_s = started.elapsed().as_secs_f64();
    let measured = async |mode| measure(&knowledge, mode, set, &indexed.ids).await;
    Ok(Report {
        documents: set.documents.len(),
        failed: indexed.failed,
        chunks: indexed.chunks,
        queries: set.queries.len(),
        ingest_s,
        text: measured(SearchMode::Text).await?,
        vector: measured(SearchMode::Vector).await?,
        hybrid: measured(SearchMode::Hybrid).await?,
    })
}

/// What became of the documents.
struct Indexed<'a> {
    /// The documents' names in the set, by their ids.
    ids: HashMap<String, &'a str>,
    failed: usize,
    chunks: usize,
}

/// Takes all documents in, and waits until every one is in both indexes.
async fn index<'a>(documents: &Documents, set: &'a TestSet) -> Result<Indexed<'a>, EvalCommandError> {
    let tenant = Tenant::new(Tenant::DEFAULT);
    let (mut ids, mut jobs) = (HashMap::new(), Vec::new());
    for (document, number) in set.documents.iter().zip(1..) {
        let text = format!("# {}\n\n{}\n", document.title.trim(), document.text.trim());
        let target = Target::Key { collection: DEFAULT_COLLECTION.to_owned(), key: document.id.clone() };
        let name = format!("{number}.md");
        let submission = Submission {
            target,
            name,
            media_type: "text/markdown".to_owned(),
            title: None,
            uri: None,
            metadata: None,
            request: None,
        };
        if let Accepted::Queued { document: accepted, job, .. } =
            documents.accept_bytes(&tenant, text.as_bytes(), submission).await?
        {
            ids.insert(accepted.id.as_str().to_owned(), document.id.as_str());
            jobs.push(job.id);
        }
    }
    let bar = ProgressBar::new(jobs.len() as u64);
    let (mut failed, mut reasons) = (0, Vec::new());
    for job in &jobs {
        let Some(mut watched) = documents.watch(&tenant, job).await? else { continue };
        let ended = watched.wait_for(|job| job.state.has_ended()).await.map(|job| job.fault.clone());
        bar.inc(1);
        if let Ok(Some(Fault { code, detail })) = ended {
            failed += 1;
            if reasons.len() < MAX_TOLD {
                reasons.push(format!("{code}: {detail}"));
            }
        }
    }
    bar.finish_and_clear();
    if failed == jobs.len() {
        return Err(EvalCommandError::Nothing(reasons.join("; ")));
    }
    let collection = Collection::default();
    loop {
        let (chunks, unindexed) = documents.counts(&collection).await?;
        if unindexed == 0 {
            return Ok(Indexed { ids, failed, chunks });
        }
        sleep(LOOK).await;
    }
}

async fn measure(
    knowledge: &Knowledge,
    mode: SearchMode,
    set: &TestSet,
    ids: &HashMap<String, &str>,
) -> Result<Scores, EvalCommandError> {
    let mut scores = Scores::default();
    for query in &set.queries {
        let search = SearchQuery {
            text: query.text.clone(),
            collection: Collection::default(),
            top_k: CHUNKS,
            mode,
            min_score: None,
            filter: None,
            owner: None,
            session: None,
        };
        let started = Instant::now();
        let passages = knowledge.retrieve(&search).await?.passages;
        let took = started.elapsed();
        let mut seen = HashSet::new();
        let found = passages.iter().filter_map(|passage| ids.get(&passage.document).copied());
        let ranking: Vec<&str> = found.filter(|id| seen.insert(*id)).collect();
        scores.add(&ranking, &query.grades, took);
    }
    Ok(scores.mean())
}

fn print(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let Report { documents, failed, chunks, queries, ingest_s, .. } = report;
    writeln!(
        out,
        "{documents} documents ({failed} not indexed), {chunks} chunks in {ingest_s:.1} s; {queries} questions"
    )?;
    writeln!(out, "{:8}{:>9}{:>11}{:>9}{:>10}{:>10}", "", "nDCG@10", "recall@10", "MRR@10", "p50 ms", "p95 ms")?;
    for (mode, scores) in [("text", &report.text), ("vector", &report.vector), ("hybrid", &report.hybrid)] {
        let Scores { ndcg, recall, mrr, p50_ms, p95_ms, .. } = scores;
        writeln!(out, "{mode:8}{ndcg:>9.4}{recall:>11.4}{mrr:>9.4}{p50_ms:>10.1}{p95_ms:>10.1}")?;
    }
    Ok(())
}

/// A folder for a while.
struct Temporary(PathBuf);

impl Temporary {
    fn make() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("rivulet-eval-{}", uuid::Uuid::new_v4().simple()));
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "a temporary folder is left");
        }
    }
}
