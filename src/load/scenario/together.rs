//! The sessions of a scenario: started, spread over a time, held together.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Barrier,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::{job::Job, seen::Seen};

/// Where the sessions of a scenario wait for one another, and the scenario for them.
pub(super) struct Together {
    tasks: JoinSet<()>,
    barrier: Arc<Barrier>,
}

impl Together {
    /// One task per session. Each must come wherever the scenario waits for all of them, whatever befalls it.
    pub(super) fn start<F: Future<Output = ()> + Send + 'static>(
        job: &Arc<Job>,
        seen: &Arc<Seen>,
        session: impl Fn(Place) -> F,
    ) -> Self {
        let barrier = Arc::new(Barrier::new(job.sessions + 1));
        let mut tasks = JoinSet::new();
        for index in 0..job.sessions {
            let (job, seen, barrier) = (Arc::clone(job), Arc::clone(seen), Arc::clone(&barrier));
            tasks.spawn(session(Place { job, seen, index, barrier }));
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

/// One session among the others.
pub(super) struct Place {
    pub(super) job: Arc<Job>,
    pub(super) seen: Arc<Seen>,
    pub(super) index: usize,
    barrier: Arc<Barrier>,
}

impl Place {
    /// When it is its turn, where the sessions are spread over a time.
    pub(super) fn turn(&self) -> Duration {
        self.job.ramp.mul_f64(self.index as f64 / self.job.sessions as f64)
    }

    /// Waits for its turn.
    pub(super) async fn wait(&self) {
        sleep(self.turn()).await;
    }

    /// Waits for the others, and the scenario.
    pub(super) async fn arrive(&self) {
        self.barrier.wait().await;
    }

    /// What comes of it in time, or `late`.
    pub(super) async fn in_time<T>(
        &self,
        late: &str,
        work: impl Future<Output = Result<T, String>>,
    ) -> Result<T, String> {
        timeout(self.job.timeout, work).await.unwrap_or_else(|_| Err(late.to_owned()))
    }
}
