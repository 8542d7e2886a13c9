//! A process of a gateway, as the simulation runs it: it can be stopped, continued and killed.

use std::pin::pin;

use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Stopped,
    Killed,
}

/// Whether a process runs. Whatever it does, it does [in](Self::run) it.
#[derive(Debug)]
pub(super) struct Process(watch::Sender<State>);

impl Process {
    pub(super) fn begin() -> Self {
        Self(watch::Sender::new(State::Running))
    }

    /// As by SIGSTOP.
    pub(super) fn stop(&self) {
        self.0.send_if_modified(|state| {
            *state == State::Running && {
                *state = State::Stopped;
                true
            }
        });
    }

    /// As by SIGCONT.
    pub(super) fn go_on(&self) {
        self.0.send_if_modified(|state| {
            *state == State::Stopped && {
                *state = State::Running;
                true
            }
        });
    }

    /// As by SIGKILL.
    pub(super) fn kill(&self) {
        self.0.send_replace(State::Killed);
    }

    pub(super) fn is_killed(&self) -> bool {
        *self.0.borrow() == State::Killed
    }

    pub(super) fn is_running(&self) -> bool {
        *self.0.borrow() == State::Running
    }

    /// Does something in the process: not while it is stopped, and no more once it is killed; then it is `None`.
    pub(super) async fn run<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut state = self.0.subscribe();
        let mut work = pin!(work);
        loop {
            match *state.wait_for(|state| *state != State::Stopped).await.ok()? {
                State::Killed => return None,
                State::Running | State::Stopped => {}
            }
            tokio::select! {
                biased;
                _ = state.changed() => {}
                done = &mut work => return Some(done),
            }
        }
    }

    /// Does something that others wait for in the process: they wait for ever once it is killed.
    pub(super) async fn run_or_hang<T>(&self, work: impl Future<Output = T>) -> T {
        match self.run(work).await {
            Some(done) => done,
            None => std::future::pending().await,
        }
    }
}
