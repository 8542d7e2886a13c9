//! Files as they change: looked at again and again, since not every file system tells.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tokio::time::sleep;

use super::{Handed, IngestError, Intake, Receipt, SourceFile, intake::key, look};
use crate::knowledge::blocking::blocking;

/// How often the files are looked at.
pub(super) const EVERY: Duration = Duration::from_secs(2);

/// What was noticed of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchEvent<'a> {
    /// A document is in the place of what there was.
    Taken(&'a str),
    /// The file is gone, and so is its document.
    Removed(&'a str),
    /// It cannot be taken; why.
    Refused(&'a str, &'a str),
    /// Nothing can be handed in for now; why.
    Waiting(&'a str),
}

/// When a file was changed, and how large it is: when neither changes, it is not read.
type Stamp = (Option<SystemTime>, u64);

/// What is known of a file: its place as it is shown, and its stamp when it was handed in.
type Known = HashMap<PathBuf, (String, Option<Stamp>)>;

/// Keeps the documents like the files, for ever: new and changed ones are handed in, those of files that are gone are
/// deleted as long as there is something left in the folder where they were, and at the path that was given. What cannot
/// be handed in is tried again.
pub async fn watch(
    intake: &impl Intake,
    paths: &[PathBuf],
    mut event: impl FnMut(WatchEvent<'_>) + Send,
) -> Infallible {
    let mut known = vec![Known::new(); paths.len()];
    loop {
        for (path, known) in paths.iter().zip(&mut known) {
            if let Err(error) = look_again(intake, path, known, &mut event).await {
                event(WatchEvent::Waiting(&error.to_string()));
            }
        }
        sleep(EVERY).await;
    }
}

async fn look_again(
    intake: &impl Intake,
    path: &Path,
    known: &mut Known,
    event: &mut (impl FnMut(WatchEvent<'_>) + Send),
) -> Result<(), IngestError> {
    let found = look(vec![path.to_owned()]).await?;
    let there: HashSet<&PathBuf> = found.files.iter().map(|file| &file.path).collect();
    let gone: Vec<PathBuf> = known.keys().filter(|path| !there.contains(path)).cloned().collect();
    // What cannot be read says nothing about what is in it.
    let is_certain = found.failures.is_empty() && !found.files.is_empty();
    for path in gone {
        let beside = path.clone();
        if !is_certain || blocking(move || is_bare(&beside)).await? {
            continue;
        }
        intake.remove(&key(&path)).await?;
        if let Some((uri, _)) = known.remove(&path) {
            event(WatchEvent::Removed(&uri));
        }
    }
    for file in found.files {
        let stamp = fs::metadata(&file.path).ok().map(|meta| (meta.modified().ok(), meta.len()));
        if known.get(&file.path).is_some_and(|(_, seen)| *seen == stamp && stamp.is_some()) {
            continue;
        }
        let (path, uri) = (file.path.clone(), file.uri.clone());
        take(intake, file, event).await?;
        known.insert(path, (uri, stamp));
    }
    Ok(())
}

/// Whether nothing at all is left where a file was: in the first folder above it that is still there. One that is not
/// mounted is empty like that, and says nothing about what was in it.
fn is_bare(path: &Path) -> bool {
    for folder in path.ancestors().skip(1) {
        match fs::read_dir(folder) {
            Ok(mut left) => return left.next().is_none(),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(_) => return true,
        }
    }
    true
}

async fn take(
    intake: &impl Intake,
    file: SourceFile,
    event: &mut (impl FnMut(WatchEvent<'_>) + Send),
) -> Result<(), IngestError> {
    let uri = file.uri.clone();
    let receipt = match blocking(move || Handed::read(&file)).await? {
        Ok(handed) => intake.hand_in(handed).await?,
        Err(reason) => Receipt::Refused(reason),
    };
    match receipt {
        Receipt::Queued { job, .. } => match intake.ended(&job).await? {
            Ok(_) => event(WatchEvent::Taken(&uri)),
            Err(reason) => event(WatchEvent::Refused(&uri, &reason)),
        },
        Receipt::Removed => event(WatchEvent::Removed(&uri)),
        Receipt::Refused(reason) => event(WatchEvent::Refused(&uri, &reason)),
        Receipt::Unchanged | Receipt::Nothing => {}
    }
    Ok(())
}
