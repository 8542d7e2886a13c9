//! What is forgotten because the user says so.

use tokio::time::Instant;

use super::Memories;
use crate::{
    chat::Timestamp,
    memory::{error::MemoryError, telling::Telling, words::words},
    store::memories::{Forget, Forgotten, MemoryFilter},
    telemetry::metrics::MEMORY_DURATION,
};

/// What is to be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What<'a> {
    /// All that the notebook has.
    Everything,
    /// What was said of something.
    Of(&'a str),
}

impl Memories {
    /// Forgets what the user has said of something, or everything that the notebook has.
    ///
    /// # Errors
    /// [`MemoryError::Nothing`] when there is nothing of it.
    pub async fn forget(&self, telling: &Telling, what: What<'_>) -> Result<Forgotten, MemoryError> {
        let inner = self.inner_of(telling.notebook.owner.as_ref())?; // Whoever has switched it off can forget all the same.
        let (notebook, now) = (&telling.notebook, Timestamp::now());
        let owner = notebook.owner.as_ref();
        let begun = Instant::now();
        let assistant = notebook.assistant.clone();
        let what = match what {
            What::Everything => Forget::All(MemoryFilter { assistant: Some(assistant), ..MemoryFilter::default() }),
            What::Of(text) => Forget::Words(assistant, words(text)),
        };
        if matches!(&what, Forget::Words(_, words) if words.as_slice().is_empty()) {
            return Err(MemoryError::Nothing); // Everything has all of no words.
        }
        let all = inner.store.forget(owner, what, now).await?;
        metrics::histogram!(MEMORY_DURATION, "op" => "forget").record(begun.elapsed().as_secs_f64());
        if all == Forgotten::default() { Err(MemoryError::Nothing) } else { Ok(all) }
    }
}
