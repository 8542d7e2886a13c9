//! Work that somebody is at.

use parking_lot::Mutex;
use tokio::sync::watch;

use super::board::Board;
use crate::{
    chat::{JobId, Timestamp},
    store::documents::{JobRecord, Progress, Stage},
};

/// How far work is, for its worker, for the store and for those who watch.
pub(super) struct Live<'a> {
    pub(super) id: JobId,
    state: Mutex<JobRecord>,
    board: &'a Board,
    /// So that it is on the board for as long as somebody is at it.
    _on_the_board: watch::Receiver<JobRecord>,
}

impl<'a> Live<'a> {
    /// Work that somebody has just taken on.
    pub(super) fn new(board: &'a Board, job: JobRecord) -> Self {
        let on_the_board = board.watch(job.clone());
        board.publish(&job);
        Self { id: job.id.clone(), state: Mutex::new(job), board, _on_the_board: on_the_board }
    }

    /// How far it is.
    pub(super) fn progress(&self) -> Progress {
        self.state.lock().progress
    }

    /// A stage begins.
    pub(super) fn stage(&self, stage: Stage) {
        self.change(|progress| progress.stage = Some(stage));
    }

    /// So many chunks of so many have their vectors. It never falls back, also when work is begun anew.
    pub(super) fn chunks(&self, done: usize, total: usize) {
        let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
        self.change(|progress| {
            progress.total = progress.total.max(number(total));
            progress.done = progress.done.max(number(done)).min(progress.total);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Progress)) {
        let mut state = self.state.lock();
        change(&mut state.progress);
        state.progress.revision += 1;
        state.updated_at = Timestamp::now();
        self.board.publish(&state);
    }
}
