//! `rivulet ingest`: files and folders into the knowledge base.

use std::{
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    config::Config,
    knowledge::{
        Collection, DEFAULT_COLLECTION, IngestError, IngestProgress, IngestSummary, Knowledge, KnowledgeError,
        parser::Parsers,
    },
    store::folder,
};

/// Arguments of `rivulet ingest`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Files (.md, .txt, .html, .pdf, .docx, .pptx, .xlsx, .xls, .ods, .odt, .csv, .json, .epub) or folders. Unchanged
    /// ones cost nothing; documents whose files are gone stay.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// The collection that they go into.
    #[arg(long, value_name = "C", default_value = DEFAULT_COLLECTION)]
    pub collection: String,
}

/// Why nothing, or not everything, was ingested.
#[derive(Debug, thiserror::Error)]
pub enum IngestCommandError {
    /// The collection's name cannot be one.
    #[error(transparent)]
    Collection(#[from] KnowledgeError),
    /// The model or the index cannot be used.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// Some files were not ingested; they were listed.
    #[error("{0} could not be ingested")]
    Incomplete(usize),
    /// The data folder cannot be made.
    #[error("the data folder cannot be used: {0}")]
    DataDir(io::Error),
    /// The terminal is gone.
    #[error("cannot write the summary: {0}")]
    Output(#[from] io::Error),
}

/// Ingests, shows how far it is on stderr, and prints a summary on stdout.
///
/// # Errors
/// See [`IngestCommandError`]; also when only some of the files failed.
pub async fn run(args: Args, config: &Config) -> Result<(), IngestCommandError> {
    let collection = Collection::parse(&args.collection)?;
    folder::prepare(&config.server.data_dir).map_err(IngestCommandError::DataDir)?;
    let knowledge = Knowledge::open(&config.knowledge, &config.server.data_dir, Parsers::of_this_program());
    let bar = progress_bar();
    let ingested = knowledge.ingest(&collection, &args.paths, |progress| show(&bar, &progress)).await;
    bar.finish_and_clear();
    let summary = ingested?;
    print(&mut io::stdout().lock(), &collection, &summary)?;
    match summary.failures.len() {
        0 => Ok(()),
        failed => Err(IngestCommandError::Incomplete(failed)),
    }
}

fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn show(bar: &ProgressBar, progress: &IngestProgress<'_>) {
    bar.set_length(progress.total as u64);
    bar.set_position(progress.done as u64);
    if progress.chunks_total > 0 {
        bar.set_message(format!("{} ({}/{})", progress.document, progress.chunks_done, progress.chunks_total));
    } else {
        bar.set_message(progress.document.to_owned());
    }
}

fn print(out: &mut impl Write, collection: &Collection, summary: &IngestSummary) -> io::Result<()> {
    writeln!(
        out,
        "{} files into `{collection}` in {:.1} s: {} added, {} replaced, {} unchanged, {} skipped, {} failed; {} chunks written",
        summary.files,
        summary.took.as_secs_f64(),
        summary.added,
        summary.replaced,
        summary.unchanged,
        summary.skipped,
        summary.failures.len(),
        summary.chunks,
    )?;
    for failure in &summary.failures {
        writeln!(out, "  failed: {}: {}", failure.uri, failure.reason)?;
    }
    Ok(())
}
