//! The sessions of a scenario: started, spread over a time, held together.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Barrier,
    task::JoinSet,
    time::{Instant, sleep},
};

use super::seen::Seen;

/// Where the sessions of a scenario wait for one another, and the scenario for them.
pub(super) struct Together {
    tasks: JoinSet<()>,
    barrier: Arc<Barrier>,
}

impl Together {
    /// One task per session. Each must come to every barrier that the scenario comes to, whatever befalls it.
    pub(super) fn start<F: Future<Output = ()> + Send + 'static>(
        sessions: usize,
        session: impl Fn(usize, Arc<Barrier>) -> F,
    ) -> Self {
        let barrier = Arc::new(Barrier::new(sessions + 1));
        let mut tasks = JoinSet::new();
        for index in 0..sessions {
            tasks.spawn(session(index, Arc::clone(&barrier)));
        }
        Self { tasks, barrier }
    }

    pub(super) async fn arrived(&self) -> Instant {
        self.barrier.wait().await;
        Instant::now()
    }

    pub(super) async fn over(mut self, seen: &Seen) {
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                seen.fault(format!("a session of the load generator failed: {error}"));
            }
        }
    }
}

/// Spreads sessions over a time.
pub(super) async fn spread(over: Duration, index: usize, of: usize) {
    sleep(over.mul_f64(index as f64 / of.max(1) as f64)).await;
}
