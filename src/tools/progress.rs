//! How far a call is, from the tool to whoever shows it: the newest word alone, since the one before is of no use to anybody.

use std::sync::Arc;

use tokio::sync::watch;

use crate::chat::{CallId, ToolProgress, printable};

/// The longest word, in bytes.
const MAX_MESSAGE: usize = 200;

/// The newest word of the calls of an answer.
pub type Newest = watch::Sender<Option<Arc<ToolProgress>>>;

/// Where a call tells how far it is.
#[derive(Debug, Clone)]
pub struct Reporter {
    call: CallId,
    newest: Newest,
}

impl Reporter {
    /// Of this call.
    #[must_use]
    pub fn new(call: &CallId, newest: &Newest) -> Self {
        Self { call: call.clone(), newest: newest.clone() }
    }

    /// Tells that so much of a total is done, where there is one, and what is done now.
    pub(super) fn tell(&self, done: f64, total: Option<f64>, message: Option<&str>) {
        let share = total.filter(|total| *total > 0.0).map(|total| (done / total).clamp(0.0, 1.0));
        let message = message.map(|message| printable(message, MAX_MESSAGE));
        let told = ToolProgress { call: self.call.clone(), progress: share.filter(|share| share.is_finite()), message };
        if told.progress.is_some() || told.message.is_some() {
            self.newest.send_replace(Some(Arc::new(told)));
        }
    }
}
