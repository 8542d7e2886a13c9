//! Work that computes for long or waits for the disk, on threads for it: on those of the sockets it would hold up everybody.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::KnowledgeError;

/// Runs work on a thread for such work. Dropping the future does not end it: see [`StopOnDrop`].
///
/// # Errors
/// [`KnowledgeError::Unavailable`] when the work panicked.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, KnowledgeError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| KnowledgeError::Unavailable(format!("work on another thread failed: {error}")))
}

/// Tells such work that nobody wants it any more: it cannot be aborted.
#[derive(Debug, Default)]
pub(super) struct StopOnDrop(Arc<AtomicBool>);

impl StopOnDrop {
    /// Whether to stop, for the work to ask.
    pub(super) fn asked(&self) -> impl Fn() -> bool + Send + use<> {
        let stopped = Arc::clone(&self.0);
        move || stopped.load(Ordering::Relaxed)
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
