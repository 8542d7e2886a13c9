//! `rivulet ingest`: files and folders into the knowledge base.

use std::{
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

use self::gateway::Gateway;
use crate::{
    auth::{DEFAULT_TENANT, InvalidPrincipal, Principal, UNLIMITED},
    cli::stored::Stored,
    config::Config,
    knowledge::{
        Collection, DEFAULT_COLLECTION, IngestError, IngestProgress, IngestSummary, Intake, Knowledge, KnowledgeError,
        Own, WatchEvent,
        embed::EmbedError,
        ingest,
        jobs::{Bounds, Documents},
        parser::Parsers,
        watch,
    },
    store::{
        StoreError,
        documents::Tenant,
        folder,
        sqlite::{self, SqliteStore},
    },
};

mod gateway;

/// Who hands documents in, among the users of the tenant.
const USER: &str = "rivulet-ingest";

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
    /// Whose documents they are.
    #[arg(long, value_name = "T", default_value = DEFAULT_TENANT)]
    pub tenant: String,
    /// Goes on until it is stopped: what changes is ingested, what goes is deleted. The gateway has to be running.
    #[arg(long)]
    pub watch: bool,
}

/// Why nothing, or not everything, was ingested.
#[derive(Debug, thiserror::Error)]
pub enum IngestCommandError {
    /// The collection's name cannot be one.
    #[error(transparent)]
    Collection(#[from] KnowledgeError),
    /// Nobody can be called so.
    #[error(transparent)]
    Principal(#[from] InvalidPrincipal),
    /// The model cannot be used.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// The knowledge base cannot be used.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// What is stored cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Some files were not ingested; they were listed.
    #[error("{0} could not be ingested")]
    Incomplete(usize),
    /// Nobody is there to hand changes to.
    #[error("no gateway has the data folder {0}: start it first")]
    NoGateway(String),
    /// The data folder cannot be made.
    #[error("the data folder cannot be used: {0}")]
    DataDir(io::Error),
    /// The terminal is gone.
    #[error("cannot write the summary: {0}")]
    Output(#[from] io::Error),
}

/// Ingests, shows how far it is on stderr, and prints a summary on stdout. A gateway that has the data folder is handed the
/// documents; without one, this process works on them itself, or whoever works on those of the database.
///
/// # Errors
/// See [`IngestCommandError`]; also when only some of the files failed.
pub async fn run(args: Args, config: &Config) -> Result<(), IngestCommandError> {
    let principal = Principal::new(&args.tenant, USER, vec![UNLIMITED.to_owned()])?;
    let collection = Collection::of(Tenant::new(&args.tenant), &args.collection)?;
    let data_dir = &config.server.data_dir;
    folder::prepare(data_dir).map_err(IngestCommandError::DataDir)?;
    match SqliteStore::holder(data_dir.join(sqlite::FILE_NAME))? {
        Some(holder) => {
            let gateway = Gateway::new(&holder.url, &config.auth, principal, &collection)?;
            if args.watch {
                match watch(&gateway, &args.paths, told).await {}
            }
            ingest_all(&gateway, &args, &collection).await
        }
        None if args.watch => Err(IngestCommandError::NoGateway(data_dir.display().to_string())),
        None => alone(&args, config, collection).await,
    }
}

/// Works on the documents in this process.
async fn alone(args: &Args, config: &Config, collection: Collection) -> Result<(), IngestCommandError> {
    let data_dir = &config.server.data_dir;
    let knowledge = Arc::new(Knowledge::open(&config.knowledge, data_dir, Parsers::of_this_program()));
    knowledge.ready().await?;
    let (store, blobs, closing) = Stored::to_write(config).await?.taken();
    let bounds = Bounds::of(&config.knowledge);
    let documents = Documents::open(store, knowledge, blobs, bounds).await.map_err(IngestError::from)?;
    let (documents, ending) = (Arc::new(documents), CancellationToken::new());
    let working = Arc::clone(&documents).run(ending.clone());
    let ingesting = async {
        let ingested = ingest_all(&Own::new(documents, collection.clone()), args, &collection).await;
        ending.cancel();
        ingested
    };
    let ((), ingested) = tokio::join!(working, ingesting);
    closing.close().await;
    ingested
}

async fn ingest_all(intake: &impl Intake, args: &Args, collection: &Collection) -> Result<(), IngestCommandError> {
    let bar = progress_bar();
    let ingested = ingest(intake, &args.paths, |progress| show(&bar, &progress)).await;
    bar.finish_and_clear();
    let summary = ingested?;
    print(&mut io::stdout().lock(), collection, &summary)?;
    match summary.failures.len() {
        0 => Ok(()),
        failed => Err(IngestCommandError::Incomplete(failed)),
    }
}

/// A line for everything that happens, for people and for logs.
fn told(event: WatchEvent<'_>) {
    let line = match event {
        WatchEvent::Taken(uri) => format!("ingested: {uri}"),
        WatchEvent::Removed(uri) => format!("deleted: {uri}"),
        WatchEvent::Refused(uri, reason) => format!("failed: {uri}: {reason}"),
        WatchEvent::Waiting(reason) => format!("waiting: {reason}"),
    };
    // Whoever reads it may be gone; the files still matter.
    let _nobody_reads = writeln!(io::stdout().lock(), "{line}");
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
    bar.set_message(progress.document.to_owned());
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
