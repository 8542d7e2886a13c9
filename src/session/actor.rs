//! The one task that writes to a session: takes messages, commits them, drives the run, ends it.
//!
//! The run is a stream polled here: no second task, no abort handle; dropping it cancels the upstream. What it has
//! ready is one append and wakes the viewers once. Commits are futures polled here too, so that a slow disk delays an ack but neither the tokens nor a `stop`. Order of things:
//! commit, then log, then ack; and at the end of a run: commit, then `run.done`, so that whatever a client was told
//! survives a crash.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_channel::mpsc;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesOrdered};
use metrics::Counter;
use tokio::sync::Semaphore;

use self::turn::{Accepting, Arriving, Counted, Current, Doubtful, WaitingTurn};
use crate::{
    chat::{MessageId, RunId},
    config::Assistant,
    run::Runner,
    session::{
        Clock, Closed, Lists, RunNotActive, StopTarget,
        command::{Command, Stop},
        live::LiveRuns,
        log::SNAPSHOT_MESSAGES,
        shared::{Shared, Underway},
    },
    store::SessionStore,
    telemetry::metrics::{RUN_STOP, RUNS_ACTIVE, TOKENS_AFTER_STOP},
};

mod accept;
mod answer;
mod turn;

/// How often in a row a session takes commands, commits and what its run has ready, before others have their turn.
const TURNS: usize = 16;

/// How many refused messages are looked up at once ([`Deps::look_ups`]).
pub const LOOK_UPS: usize = 64;

/// What every session needs from outside.
#[derive(Debug)]
pub struct Deps {
    /// Where messages survive.
    pub store: Arc<dyn SessionStore>,
    /// Generates answers.
    pub runner: Arc<Runner>,
    /// Messages of the conversation given to the model.
    pub history_messages: usize,
    /// The time of all sessions.
    pub clock: Clock,
    /// The gateway takes no more messages.
    pub draining: AtomicBool,
    /// Answers have to end now, as interrupted. Set before those that are being written are told.
    pub interrupting: AtomicBool,
    /// The runs in progress.
    pub live: Arc<LiveRuns>,
    /// Who is to be looked at later.
    pub lists: Arc<Lists>,
    /// What is refused is looked up all the same, for it may be known: so many at a time of all sessions, so that nobody
    /// fills the queue of the store with them.
    pub look_ups: Semaphore,
    /// `tokens_delivered_total`, looked up once and not for every token.
    pub tokens: Counter,
}

impl Deps {
    /// How many of a session's newest messages are kept in memory.
    pub(crate) fn window(&self) -> usize {
        self.history_messages.max(SNAPSHOT_MESSAGES)
    }
}

pub(super) fn run(
    shared: Arc<Shared>,
    deps: Arc<Deps>,
    mut commands: mpsc::Receiver<Underway>,
) -> impl Future<Output = ()> + Send + use<> {
    let assistants = &deps.runner.assistants;
    let assistant = assistants.get(Some(&shared.assistant)).unwrap_or_else(|| assistants.default_one());
    let mut actor = Actor {
        is_open: true,
        shared,
        deps,
        assistant,
        counting: None,
        accepting: FuturesOrdered::new(),
        arriving: Vec::new(),
        queue: VecDeque::new(),
        doubtful: Vec::new(),
        differs: false,
        current: Current::Idle,
    };
    poll_fn(move |context| actor.poll(&mut commands, context))
}

struct Actor {
    /// Commands may still come.
    is_open: bool,
    shared: Arc<Shared>,
    deps: Arc<Deps>,
    /// Who answers; as it was last on offer.
    assistant: Arc<Assistant>,
    /// A message that is being counted among those of whoever sends it; what comes later waits for it.
    counting: Option<BoxFuture<'static, Counted>>,
    /// Looked up or being committed, in the order of arrival.
    accepting: FuturesOrdered<BoxFuture<'static, Accepting>>,
    /// The questions that `accepting` commits.
    arriving: Vec<Arriving>,
    queue: VecDeque<WaitingTurn>,
    /// What the store did not take, as far as is known: it may have it all the same.
    doubtful: Vec<Doubtful>,
    /// The store may have something else than the log, and nobody knows what.
    differs: bool,
    current: Current,
}

impl Actor {
    /// Does all there is to do. Over when the last handle is gone and nothing is left to finish.
    fn poll(&mut self, commands: &mut mpsc::Receiver<Underway>, context: &mut Context<'_>) -> Poll<()> {
        // A model that always has text ready must starve neither a stop nor other sessions.
        for _ in 0..TURNS {
            loop {
                if let Some(counting) = &mut self.counting {
                    let Poll::Ready((command, counted)) = counting.poll_unpin(context) else { break };
                    self.counting = None;
                    self.on_counted(command, counted);
                } else if self.is_open
                    && let Poll::Ready(command) = commands.poll_next_unpin(context)
                {
                    match command {
                        Some(underway) => self.on_command(underway.command),
                        None => {
                            self.is_open = false;
                            if self.shared.closed.get() == Some(&Closed::Deleted) {
                                self.abandon(); // The session was deleted.
                            }
                        }
                    }
                } else {
                    break;
                }
                self.note_busy(); // Before the command counts no more.
            }
            while let Poll::Ready(Some(accepting)) = self.accepting.poll_next_unpin(context) {
                self.on_accepted(accepting);
                self.note_busy();
            }
            if !self.is_open && !self.is_busy() {
                return Poll::Ready(());
            }
            ready!(self.poll_current(context));
            self.note_busy();
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Send(..) | Command::Redo(..) => self.count(command),
            Command::Rate(message, feedback, reply) => self.on_rate(message, *feedback, reply),
            Command::Stop(stop, reply) => {
                let _gone_asker_does_not_matter = reply.send(self.on_stop(&stop));
            }
            Command::Delete(reply) => self.on_delete(reply),
            // Somebody may have come back meanwhile.
            Command::Abandon if !self.shared.is_watched() => self.abandon(),
            Command::Abandon => {}
            Command::Interrupt => self.interrupt_current(),
            Command::Leave if self.is_busy() => {}
            Command::Leave if self.deps.draining.load(Ordering::SeqCst) || !self.shared.is_watched_here() => {
                self.leave()
            }
            Command::Leave => {}
        }
    }

    fn on_stop(&mut self, Stop { target, came, pieces }: &Stop) -> Result<RunId, RunNotActive> {
        let wanted = |run: &RunId, question: Option<&MessageId>| match target {
            StopTarget::Active => true,
            StopTarget::Run(wanted) => run == wanted,
            StopTarget::For(message) => question == Some(message),
        };
        if let Current::Running(running) = &self.current
            && wanted(&running.turn.run, Some(&running.turn.question.id))
        {
            let run = running.turn.run.clone();
            self.stop_current();
            let took = Duration::from_micros(self.deps.clock.now().saturating_sub(*came));
            metrics::histogram!(RUN_STOP).record(took.as_secs_f64());
            let in_vain = self.shared.pieces.load(Ordering::Relaxed).saturating_sub(*pieces);
            metrics::counter!(TOKENS_AFTER_STOP).increment(in_vain);
            return Ok(run);
        }
        if let Current::Storing(storing) = &self.current
            && wanted(&storing.turn.run, Some(&storing.turn.question.id))
        {
            return Err(RunNotActive); // It is over; a second click must not stop what comes next.
        }
        let queued = self.queue.iter_mut().map(|turn| (&turn.run, Some(&turn.question.id), &mut turn.stopped));
        let arriving = self.arriving.iter_mut().map(|turn| (&turn.run, turn.question.as_ref(), &mut turn.stopped));
        let mut waiting = queued.chain(arriving);
        let found = waiting.find(|(run, question, stopped)| !**stopped && wanted(run, *question));
        let (run, _, stopped) = found.ok_or(RunNotActive)?;
        *stopped = true;
        Ok(run.clone())
    }

    /// Nothing that is being answered, or waits for it, is wanted any more.
    fn abandon(&mut self) {
        for turn in &mut self.queue {
            turn.stopped = true;
        }
        for turn in &mut self.arriving {
            turn.stopped = true;
        }
        self.stop_current();
    }

    /// Takes nothing more. What follows, and who is told, the hub knows.
    fn leave(&mut self) {
        if !std::mem::replace(&mut self.is_open, false) || self.shared.closed.get().is_some() {
            return; // It was lost, or deleted: nobody goes on with this log.
        }
        if self.doubtful.is_empty() && !self.differs {
            self.shared.leaves.store(true, Ordering::Release);
        } else {
            // The log may lack what the store has: it is made anew, elsewhere.
            let draining = self.deps.draining.load(Ordering::SeqCst);
            self.shared.close(if draining { Closed::Shutdown } else { Closed::Moved });
        }
    }

    /// Another gateway writes to the session now: what is here of it is of no use any more.
    fn lose(&mut self) {
        self.shared.close(Closed::Moved);
        self.is_open = false;
        self.queue.clear();
        if let Current::Running(_) = self.current {
            metrics::gauge!(RUNS_ACTIVE).decrement(1.0);
            self.current = Current::Idle; // Closes the upstream connection.
        }
    }

    fn is_busy(&self) -> bool {
        !matches!(self.current, Current::Idle)
            || self.counting.is_some()
            || !self.accepting.is_empty()
            || !self.queue.is_empty()
    }

    /// Tells the hub whether there is something to finish.
    fn note_busy(&mut self) {
        let busy = self.is_busy();
        if self.shared.busy.swap(busy, Ordering::SeqCst) != busy {
            if !busy {
                self.shared.note_unused();
                self.shared.note_aging();
            }
            if !busy && self.deps.draining.load(Ordering::SeqCst) {
                self.leave(); // Who watched until the end can go elsewhere now.
            }
        }
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        // After a panic the gauge would count this run for ever.
        if !matches!(self.current, Current::Idle) {
            metrics::gauge!(RUNS_ACTIVE).decrement(1.0);
        }
    }
}
