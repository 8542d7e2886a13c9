//! Files and folders → documents: what is new or changed is handed in like everything else that comes in, and the work on
//! it is waited for.
//!
//! Uses `jobs` and `extract`. Where documents are handed in is an [`Intake`]: the process's own documents, or a gateway
//! that runs beside it. What was handed in is worked on, now or after the next start, whether somebody waits for it or not.
//! Files that are gone from a folder leave their documents there: a folder that failed to mount must not empty the
//! knowledge base.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
};

use tokio::time::Instant;

use self::discover::{Discovered, SourceFile, discover};
pub use self::{
    intake::{Handed, Intake, Receipt, WORK_GONE, work_outcome},
    own::Own,
    preload::preload,
    summary::{IngestError, IngestFailure, IngestProgress, IngestSummary},
    watch::{WatchEvent, watch},
};
use crate::{
    chat::JobId,
    knowledge::blocking::{StopOnDrop, blocking},
};

mod discover;
mod intake;
mod own;
mod preload;
mod summary;
#[cfg(test)]
mod tests;
mod watch;

/// Documents that are handed in before the first of them is waited for: enough for whoever works on them never to wait
/// for a file, and few enough for others who hand something in.
const AHEAD: usize = 64;

/// Ingests files and folders. A document that has not changed costs reading its file.
///
/// # Errors
/// When nothing more can be handed in. A file that cannot be read is no error but an entry in the summary.
pub async fn ingest(
    intake: &impl Intake,
    paths: &[PathBuf],
    progress: impl FnMut(IngestProgress<'_>) + Send,
) -> Result<IngestSummary, IngestError> {
    let started = Instant::now();
    let found = look(paths.to_vec()).await?;
    let summary = IngestSummary { skipped: found.skipped, failures: found.failures, ..IngestSummary::default() };
    let mut run = Run { intake, summary, total: found.files.len(), progress, waiting: VecDeque::new() };
    for file in found.files {
        run.file(file).await?;
        if run.waiting.len() >= AHEAD {
            run.wait().await?;
        }
    }
    while !run.waiting.is_empty() {
        run.wait().await?;
    }
    Ok(IngestSummary { took: started.elapsed(), ..run.summary })
}

struct Run<'a, I, P> {
    intake: &'a I,
    summary: IngestSummary,
    total: usize,
    progress: P,
    /// What is being worked on: a document, and whether it is new.
    waiting: VecDeque<(String, JobId, bool)>,
}

impl<I: Intake, P: FnMut(IngestProgress<'_>) + Send> Run<'_, I, P> {
    async fn file(&mut self, file: SourceFile) -> Result<(), IngestError> {
        let uri = file.uri.clone();
        self.report(&uri);
        let receipt = match blocking(move || Handed::read(&file)).await? {
            Ok(handed) => self.intake.hand_in(handed).await?,
            Err(reason) => Receipt::Refused(reason),
        };
        match receipt {
            Receipt::Queued { job, is_new } => self.waiting.push_back((uri, job, is_new)),
            Receipt::Unchanged => self.counted(|summary| &mut summary.unchanged),
            Receipt::Removed => self.counted(|summary| &mut summary.replaced),
            Receipt::Nothing => self.counted(|summary| &mut summary.skipped),
            Receipt::Refused(reason) => self.failed(uri, reason),
        }
        Ok(())
    }

    /// Waits for the work that was begun first.
    async fn wait(&mut self) -> Result<(), IngestError> {
        let Some((uri, job, is_new)) = self.waiting.pop_front() else { return Ok(()) };
        self.report(&uri);
        match self.intake.ended(&job).await? {
            Ok(chunks) => {
                self.summary.chunks += chunks;
                self.counted(|summary| if is_new { &mut summary.added } else { &mut summary.replaced });
            }
            Err(reason) => self.failed(uri, reason),
        }
        Ok(())
    }

    fn counted(&mut self, what: impl Fn(&mut IngestSummary) -> &mut usize) {
        self.summary.files += 1;
        *what(&mut self.summary) += 1;
    }

    fn failed(&mut self, uri: String, reason: String) {
        self.summary.files += 1;
        self.summary.failures.push(IngestFailure { uri, reason });
    }

    fn report(&mut self, document: &str) {
        (self.progress)(IngestProgress { done: self.summary.files, total: self.total, document });
    }
}

/// Looks through files and folders, until nobody waits for it any more.
async fn look(paths: Vec<PathBuf>) -> Result<Discovered, IngestError> {
    let stopped = StopOnDrop::default();
    let asked = stopped.asked();
    Ok(blocking(move || discover(&paths, &working_folder(), &asked)).await?)
}

fn working_folder() -> PathBuf {
    let current = std::env::current_dir().and_then(|folder| folder.canonicalize());
    current.unwrap_or_else(|_| Path::new("/").to_owned())
}
