//! `rivulet backup` and `rivulet restore`: the data folder in one file, and back.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use crate::{
    backup::{self, BackupError, Identity, Recipient, Summary},
    config::Config,
};

/// Arguments of `rivulet backup`.
#[derive(Debug, Clone, clap::Args)]
pub struct BackupArgs {
    /// The file to write; there must be none of this name.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Encrypt it for this key of age (age1…); can be given several times.
    #[arg(long = "recipient", value_name = "KEY")]
    pub recipients: Vec<Recipient>,
}

/// Arguments of `rivulet restore`.
#[derive(Debug, Clone, clap::Args)]
pub struct RestoreArgs {
    /// The file that `rivulet backup` wrote.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The file with the key of age that opens it.
    #[arg(long, value_name = "FILE")]
    pub identity: Option<PathBuf>,
}

/// Why it did not work.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// There is no backup, or nothing was made of one.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// What is to be kept is in a database, which is backed up by its own means.
    #[error(
        "what is to be kept is not in the data folder, but in the database of store.database_url{0}: back the database up by its \
         own means, such as pg_dump{1}"
    )]
    Database(String, &'static str),
    /// The terminal is gone.
    #[error("cannot write the summary: {0}")]
    Output(#[from] io::Error),
}

/// Writes a backup, beside a gateway that runs or without one, and says what is in it.
///
/// # Errors
/// [`Failed`]; always where there is a database.
pub fn create(args: &BackupArgs, config: &Config) -> Result<(), Failed> {
    if config.store.database_url.is_some() {
        let folder = config.knowledge.enabled.then(|| config.knowledge.place(&config.server.data_dir));
        let (also, then) = folder.map_or_else(Default::default, |folder| {
            let what = if folder.contains("://") {
                ", and what is in the object storage after it (docs/scale-out.md)"
            } else {
                ", and the folder after it (docs/scale-out.md)"
            };
            (format!(", and the documents' files in {folder}"), what)
        });
        return Err(Failed::Database(also, then));
    }
    let Summary { files, bytes } = backup::create(&config.server.data_dir, &args.file, &args.recipients)?;
    let how = if args.recipients.is_empty() { "not encrypted" } else { "encrypted" };
    writeln!(io::stdout(), "{}: {files} files, {bytes} bytes, {how}", args.file.display())?;
    if let Some(uri) = config.knowledge.uri.as_deref().filter(|uri| uri.contains("://")) {
        writeln!(
            io::stdout(),
            "the index is not in it, for it lies in {uri}: a restored gateway compares and mends it"
        )?;
    }
    Ok(())
}

/// Makes a data folder of a backup, and says what is in it.
///
/// # Errors
/// [`Failed`]; then the folder is as it was.
pub fn restore(args: &RestoreArgs, config: &Config) -> Result<(), Failed> {
    let identity = args.identity.as_deref().map(Identity::read).transpose()?;
    let folder = &config.server.data_dir;
    let Summary { files, bytes } = backup::restore(&args.file, folder, identity.as_ref())?;
    writeln!(io::stdout(), "{}: {files} files, {bytes} bytes, each as its hash says", folder.display())?;
    Ok(())
}
