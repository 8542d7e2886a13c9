//! `rivulet search`: what retrieval finds, with scores.

use std::{
    io::{self, Write},
    time::Duration,
};

use serde::Serialize;
use tokio::time::Instant;

use crate::{
    cli::stored::Stored,
    config::Config,
    knowledge::{
        Collection, DEFAULT_COLLECTION, Knowledge, KnowledgeError, Passage, Retriever, SearchMode, SearchQuery,
        embed::EmbedError, parser::Parsers,
    },
    store::{StoreError, sqlite},
};

/// Characters of a passage that the table shows.
const SNIPPET_CHARS: usize = 100;

/// Arguments of `rivulet search`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// What is asked.
    pub query: String,
    /// The collection to search.
    #[arg(long, value_name = "C", default_value = DEFAULT_COLLECTION)]
    pub collection: String,
    /// Which index answers.
    #[arg(long, value_enum, default_value = "hybrid")]
    pub mode: Mode,
    /// JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// `--mode`
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Mode {
    /// Vectors and words.
    Hybrid,
    /// Vectors alone.
    Vector,
    /// Words alone (BM25).
    Text,
}

impl From<Mode> for SearchMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Hybrid => Self::Hybrid,
            Mode::Vector => Self::Vector,
            Mode::Text => Self::Text,
        }
    }
}

/// Why nothing could be searched.
#[derive(Debug, thiserror::Error)]
pub enum SearchCommandError {
    /// The embedding model cannot be used; `--mode text` works without it.
    #[error("{0} (`--mode text` works without it)")]
    Embed(#[from] EmbedError),
    /// The index cannot be used.
    #[error(transparent)]
    Knowledge(#[from] KnowledgeError),
    /// What was deleted cannot be told.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The terminal is gone.
    #[error("cannot write the results: {0}")]
    Output(#[from] io::Error),
}

/// Searches as a run does, with `knowledge.top_k` and, in hybrid mode, `knowledge.min_score`, and prints what was found.
///
/// # Errors
/// See [`SearchCommandError`]. Finding nothing is no error.
pub async fn run(args: Args, config: &Config) -> Result<(), SearchCommandError> {
    let mode = args.mode.into();
    let mut settings = config.knowledge.clone();
    if mode == SearchMode::Text {
        // Words need no model, and loading one takes longer than the search.
        settings.model_dir = None;
    }
    let knowledge = Knowledge::open(&settings, &config.server.data_dir, Parsers::of_this_program());
    let query = SearchQuery {
        text: args.query,
        collection: Collection::parse(&args.collection)?,
        top_k: config.knowledge.top_k,
        mode,
        // The setting is tuned for hybrid scores; those of one index alone mean something else.
        min_score: (mode == SearchMode::Hybrid).then_some(config.knowledge.min_score),
        filter: None,
        owner: None,
        session: None,
    };
    // A gateway may be about to remove it, or have ended before it could.
    let is_there = config.server.data_dir.join(sqlite::FILE_NAME).is_file() || config.store.database_url.is_some();
    if is_there {
        let (store, _, closing) = Stored::to_read(config).await?.taken();
        knowledge.hide(store.deleted().await?)?;
        closing.close().await;
    }
    if query.mode != SearchMode::Text {
        knowledge.ready().await?;
    }
    let started = Instant::now();
    let results = knowledge.retrieve(&query).await?.passages;
    let took = started.elapsed();
    let out = &mut io::stdout().lock();
    if args.json {
        print_json(out, &results, took)?
    } else {
        print_table(out, &results, took)?
    }
    Ok(())
}

fn print_json(out: &mut impl Write, results: &[Passage], took: Duration) -> io::Result<()> {
    /// As `POST /rag/query` answers.
    #[derive(Serialize)]
    struct Output<'a> {
        results: &'a [Passage],
        took_ms: f64,
    }
    serde_json::to_writer_pretty(&mut *out, &Output { results, took_ms: took.as_secs_f64() * 1000.0 })?;
    writeln!(out)
}

fn print_table(out: &mut impl Write, results: &[Passage], took: Duration) -> io::Result<()> {
    for passage in results {
        let place = passage.uri.as_deref().unwrap_or(&passage.document);
        let heading = passage.heading.as_deref().map(|heading| format!(" › {heading}")).unwrap_or_default();
        let within = within(passage).map(|within| format!(", {within}")).unwrap_or_default();
        writeln!(out, "{:.3}  {}{heading}  ({place}#{}{within})", passage.score, passage.title, passage.chunk)?;
        let line = passage.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let snippet: String = line.chars().take(SNIPPET_CHARS).collect();
        writeln!(out, "       {snippet}{}", if snippet.len() < line.len() { "…" } else { "" })?;
    }
    writeln!(out, "{} found in {:.1} ms", results.len(), took.as_secs_f64() * 1000.0)
}

/// Where in its document a passage is, in words.
fn within(passage: &Passage) -> Option<String> {
    match (passage.page, passage.page_end) {
        (Some(page), Some(last)) => Some(format!("pages {page}–{last}")),
        (Some(page), None) => Some(format!("page {page}")),
        _ => passage.place.clone(),
    }
}
