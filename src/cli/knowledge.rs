//! `rivulet knowledge`: what is in the knowledge base, looked after from outside.

use std::{
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
};

use serde::Serialize;

use crate::{
    auth::{InvalidPrincipal, check_tenant},
    cli::stored::{self, Closing, Stored},
    config::Config,
    knowledge::{
        Collection, Compacted, Knowledge, KnowledgeError,
        archive::{self, ArchiveError, Exported, Imported},
        jobs::{Bounds, Documents, DocumentsError, Finding, Verified, verify},
        parser::Parsers,
    },
    store::{StoreError, documents::Tenant, folder, place},
};

/// What is to be done.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Task {
    /// Whether rows, files and index fit together; also while the gateway runs. Exit code 1 when they do not
    Verify {
        /// JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Merges the files of the index, without what was deleted, and drops older versions; also while the gateway runs
    Compact {
        /// JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Takes the index away, of one collection or of all, so that a gateway makes it anew; also while one runs
    Rebuild {
        /// Of this collection only.
        #[arg(long, value_name = "C")]
        collection: Option<String>,
        /// Whose collections; those of all when neither is said.
        #[arg(long, value_name = "T")]
        tenant: Option<String>,
    },
    /// Documents into a new folder, with all that is said of them; also while the gateway runs
    Export {
        /// The folder.
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
        /// Whose documents.
        #[arg(long, value_name = "T", default_value = Tenant::DEFAULT)]
        tenant: String,
        /// Of this collection only.
        #[arg(long, value_name = "C")]
        collection: Option<String>,
    },
    /// Says that the documents of the database lie in this configuration's folder or object storage from now on, when the one
    /// that gateways had is lost, or came from a backup without its id. Not while a gateway runs
    Adopt,
    /// Documents out of such a folder. Not while the gateway runs, which works on them when it starts; with a database also
    /// while it does
    Import {
        /// The folder.
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
        /// Whose they are to be.
        #[arg(long, value_name = "T", default_value = Tenant::DEFAULT)]
        tenant: String,
    },
}

/// Arguments of `rivulet knowledge`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// What is to be done.
    #[command(subcommand)]
    pub task: Task,
}

/// Why it was not done, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum KnowledgeCommandError {
    /// The tenant's name cannot be one.
    #[error(transparent)]
    Tenant(#[from] InvalidPrincipal),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The data folder cannot be made.
    #[error("the data folder cannot be used: {0}")]
    DataDir(io::Error),
    /// Rows or files cannot be read.
    #[error(transparent)]
    Documents(#[from] DocumentsError),
    /// The index cannot be used.
    #[error(transparent)]
    Knowledge(#[from] KnowledgeError),
    /// Documents cannot be written or read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// There is no such collection.
    #[error("there is no such collection")]
    NoCollection,
    /// Something is not as it should be; it was told.
    #[error("{0} not as it should be")]
    Found(usize),
    /// Some documents were left out; they were told.
    #[error("{0} left out")]
    LeftOut(usize),
    /// The terminal is gone.
    #[error("cannot write what came of it: {0}")]
    Output(#[from] io::Error),
}

/// Does it, and tells on standard output what came of it.
///
/// # Errors
/// See [`KnowledgeCommandError`].
pub async fn run(args: Args, config: &Config) -> Result<(), KnowledgeCommandError> {
    let out = &mut io::stdout().lock();
    match args.task {
        Task::Verify { json } => {
            let Stored { store, blobs, .. } = Stored::to_read(config).await?;
            let found = verify(&*store, &knowledge(config), &blobs).await?;
            if json {
                print_json(out, &found)?
            } else {
                print_verified(out, &found)?
            }
            match found.findings.len() {
                0 => Ok(()),
                some => Err(KnowledgeCommandError::Found(some)),
            }
        }
        Task::Compact { json } => {
            let compacted = knowledge(config).compact().await?;
            if json {
                print_json(out, &compacted)?
            } else {
                print_compacted(out, &compacted)?
            }
            Ok(())
        }
        Task::Rebuild { collection, tenant } => rebuild(out, config, tenant.as_deref(), collection.as_deref()).await,
        Task::Export { folder, tenant, collection } => {
            let Stored { store, blobs, .. } = Stored::to_read(config).await?;
            let tenant = tenant_of(&tenant)?;
            let done = archive::export(&*store, &blobs, &tenant, collection.as_deref(), &folder).await?;
            print_exported(out, &done)?;
            left_out(done.damaged.len())
        }
        Task::Adopt => {
            let place = config.knowledge.place(&config.server.data_dir);
            let database = stored::database(config).await?;
            place::adopt(&database, &place, &config.server.data_dir).await?;
            database.close().await;
            Ok(writeln!(out, "the documents of the database lie in {place}")?)
        }
        Task::Import { folder, tenant } => {
            let tenant = tenant_of(&tenant)?;
            let (documents, closing) = to_write(config).await?;
            let done = archive::import(&documents, &tenant, &folder).await;
            drop(documents);
            closing.close().await;
            let done = done?;
            print_imported(out, &done)?;
            left_out(done.refused)
        }
    }
}

/// Which are meant is what the store says: a damaged index cannot tell what is in it.
async fn rebuild(
    out: &mut impl Write,
    config: &Config,
    tenant: Option<&str>,
    name: Option<&str>,
) -> Result<(), KnowledgeCommandError> {
    let Stored { store, .. } = Stored::to_read(config).await?;
    let tenants = match tenant.or_else(|| name.map(|_| Tenant::DEFAULT)) {
        Some(tenant) => vec![tenant_of(tenant)?],
        None => store.tenants().await?,
    };
    let knowledge = knowledge(config);
    let mut rebuilt = 0;
    for tenant in tenants {
        for own in store.collections(&tenant).await?.iter().filter(|own| name.is_none_or(|name| own.name == name)) {
            knowledge.rebuild(&Collection::of(tenant.clone(), &own.name)?).await?;
            writeln!(out, "{}/{}: {} documents to be indexed again", tenant.as_str(), own.name, own.documents)?;
            rebuilt += 1;
        }
    }
    if rebuilt == 0 && name.is_some() {
        return Err(KnowledgeCommandError::NoCollection);
    }
    Ok(writeln!(out, "{rebuilt} collections; a gateway begins within a minute, or when it starts")?)
}

/// The tenant of this name, which is one that a token could have.
fn tenant_of(name: &str) -> Result<Tenant, InvalidPrincipal> {
    check_tenant(name).map(|()| Tenant::new(name))
}

fn left_out(documents: usize) -> Result<(), KnowledgeCommandError> {
    if documents == 0 { Ok(()) } else { Err(KnowledgeCommandError::LeftOut(documents)) }
}

/// The index alone: no question is asked, so no model is loaded.
fn knowledge(config: &Config) -> Knowledge {
    let mut settings = config.knowledge.clone();
    settings.model_dir = None;
    Knowledge::open(&settings, &config.server.data_dir, Parsers::of_this_program())
}

async fn to_write(config: &Config) -> Result<(Documents, Closing), KnowledgeCommandError> {
    folder::prepare(&config.server.data_dir).map_err(KnowledgeCommandError::DataDir)?;
    let (store, blobs, closing) = Stored::to_write(config).await?.taken();
    let documents = Documents::open(store, Arc::new(knowledge(config)), blobs, Bounds::of(&config.knowledge)).await?;
    Ok((documents, closing))
}

fn print_json(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

fn print_verified(out: &mut impl Write, found: &Verified) -> io::Result<()> {
    for Finding { tenant, collection, document, key, wrong, detail, mended_by } in &found.findings {
        let place = collection.as_deref().map_or_else(|| tenant.clone(), |collection| format!("{tenant}/{collection}"));
        let what = match (key, document) {
            (Some(key), Some(document)) => format!(" {key} ({document})"),
            (None, Some(document)) => format!(" {document}"),
            _ => String::new(),
        };
        let detail = detail.as_deref().map(|detail| format!(", {detail}")).unwrap_or_default();
        writeln!(out, "{place}{what}: {}{detail}; {}", wrong.as_str(), mended_by.as_str())?;
    }
    writeln!(
        out,
        "{} collections, {} documents in {} versions, {} chunks: {} not as it should be",
        found.collections,
        found.documents,
        found.versions,
        found.chunks,
        found.findings.len()
    )
}

fn print_compacted(out: &mut impl Write, all: &[Compacted]) -> io::Result<()> {
    for Compacted { collection, chunks, files: (before, after), versions, bytes } in all {
        writeln!(
            out,
            "{collection}: {chunks} chunks in {after} files ({before} before), {versions} older versions dropped, {bytes} bytes free again"
        )?;
    }
    writeln!(out, "{} collections compacted", all.len())
}

fn print_exported(out: &mut impl Write, done: &Exported) -> io::Result<()> {
    for key in &done.damaged {
        writeln!(out, "left out: {key}: its content is gone or damaged")?;
    }
    if done.silent > 0 {
        writeln!(out, "{} documents that do not answer yet, or never will, are not in it", done.silent)?;
    }
    writeln!(out, "{} documents exported, {} bytes", done.documents, done.bytes)
}

fn print_imported(out: &mut impl Write, done: &Imported) -> io::Result<()> {
    for reason in &done.reasons {
        writeln!(out, "left out: {reason}")?;
    }
    writeln!(
        out,
        "{} documents taken in, {} unchanged, {} left out; a gateway works on them when it starts",
        done.accepted, done.unchanged, done.refused
    )
}
