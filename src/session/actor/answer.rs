//! How a session's actor writes an answer: begins the run, takes its events, ends, commits.

use std::{
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::{FutureExt, StreamExt};
use tokio::time::{Instant, sleep};
use tracing::{error, warn};

use super::{
    Actor,
    turn::{Current, Running, Storing, WaitingTurn},
};
use crate::{
    chat::{Message, Phase, RunError, SessionId, Status, Timestamp, Timing, ToolStatus, Usage},
    config::Assistant,
    llm::{Failover, PromptMessage, estimated_tokens},
    memory::Telling,
    run::{Outcome, RunEvent, RunRequest, citations, count_ended, drawn},
    session::{
        Closed,
        log::{By, Decided, Ending},
    },
    store::{Fence, FinishedAnswer, Piece, SessionStore, StoreError},
    telemetry::metrics::{RUN_TTFT, RUNS_ACTIVE},
};

/// Text that is appended at once at the most, and what comes in one piece.
const APPEND_BYTES: usize = 16 << 10;
/// Pauses before the commit of an answer is tried again.
const COMMIT_PAUSES: [Duration; 4] =
    [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(400), Duration::from_millis(800)];

impl Actor {
    pub(super) fn stop_current(&mut self) {
        self.end_run(|_| Outcome { status: Status::Stopped, usage: None, error: None });
    }

    pub(super) fn interrupt_current(&mut self) {
        self.end_run(|_| Outcome { status: Status::Interrupted, usage: None, error: None });
    }

    /// Begins the next run, when none is in progress.
    pub(super) fn start_next(&mut self) {
        if !matches!(self.current, Current::Idle) {
            return;
        }
        if self.shared.closed.get() == Some(&Closed::Moved) {
            // Others have it, and say how these end: nothing is generated twice.
            self.queue.clear();
        }
        let Some(turn) = self.queue.pop_front() else { return };
        if let Some(as_it_is_now) = self.deps.runner.assistants.get(Some(&self.shared.assistant)) {
            self.assistant = as_it_is_now; // The question may have waited for long.
        }
        let assistant = drawn(&self.assistant, self.shared.owner.as_ref(), Some(&self.shared.id));
        let by = By {
            model: self.deps.runner.model_name(&assistant),
            version: Some(assistant.version.as_str().into()),
            variant: assistant.variant.as_deref().map(Arc::from),
        };
        let telling = self.telling(&turn, &assistant);
        let request = {
            let mut log = self.shared.log.lock();
            let now = self.deps.clock.now();
            log.start_run((turn.run.clone(), turn.answer.clone(), turn.question.id.clone()), by, now);
            let before = log.transcript().iter().rev().skip_while(|m| m.id != turn.question.id).skip(1);
            let most = assistant
                .history
                .messages
                .map_or(self.deps.history_messages, |own| own.min(self.deps.history_messages));
            let said = before.filter(|m| !m.text.is_empty()).take(most);
            let mut history: Vec<PromptMessage> = said.map(|message| PromptMessage::from(&**message)).collect();
            history.reverse();
            let request = RunRequest::new(assistant.clone(), &turn.question.text, history, self.shared.owner.clone());
            let (session, run) = (Some(self.shared.id.clone()), Some(turn.run.clone()));
            let is_before = |answer: &&Arc<Message>| {
                answer.question.as_ref() == Some(&turn.question.id) && answer.id != turn.answer
            };
            let resumes = match &turn.resumes {
                Some(_) => log.transcript().iter().filter(is_before).cloned().collect(),
                None => Vec::new(),
            };
            RunRequest { is_anew: turn.is_anew, resumes, session, run, telling: telling.clone(), ..request }
        };
        metrics::gauge!(RUNS_ACTIVE).increment(1.0);
        let stopped = turn.stopped;
        let listed = self.deps.live.enter(self.shared.clone(), turn.answer.clone());
        self.current = Current::Running(Box::new(Running {
            turn,
            assistant,
            telling,
            events: self.deps.runner.clone().start(request),
            started: Instant::now(),
            prompt_tokens: None,
            author: None,
            timing: Timing::default(),
            sources: Arc::from([]),
            keeping: None,
            _listed: listed,
        }));
        if stopped {
            self.stop_current();
        } else if self.deps.interrupting.load(Ordering::Acquire) {
            self.interrupt_current();
        }
    }

    /// What is told with a question, where that is remembered.
    fn telling(&self, turn: &WaitingTurn, assistant: &Assistant) -> Option<Arc<Telling>> {
        if self.shared.is_temporary {
            return None;
        }
        let is_first = !turn.is_anew && turn.resumes.is_none();
        let (owner, session) = (self.shared.owner.as_ref(), &self.shared.id);
        Telling::of(assistant, owner, session, &turn.question, is_first).map(Arc::new)
    }

    /// Goes on with what the session is busy with: ready when that has changed, or may have more at once.
    pub(super) fn poll_current(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.current {
            Current::Idle => Poll::Pending,
            Current::Storing(storing) => {
                let stored = ready!(storing.committed.as_mut().poll(context));
                self.on_finished(stored);
                Poll::Ready(())
            }
            Current::Running(_) => self.poll_run(context),
        }
    }

    /// Takes what the run has ready: what one read of the upstream brought is one append and one wake.
    fn poll_run(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Current::Running(running) = &mut self.current else { return Poll::Pending };
        if let Some(keeping) = &mut running.keeping {
            let kept = ready!(keeping.as_mut().poll(context));
            running.keeping = None;
            if !matches!(kept, Ok(1..)) {
                error!(session = %self.shared.id, ?kept, "a call could not be kept, and was not made");
                self.end_run(|_| unkept());
                return Poll::Ready(());
            }
            return self.poll_run(context);
        }
        let (text, pieces, next) = running.poll(context);
        if pieces > 0 {
            self.on_text(&text, pieces);
        }
        match next {
            Poll::Ready(Some(event)) => self.on_run_event(event),
            Poll::Ready(None) => {
                error!(session = %self.shared.id, "a run ended without saying how");
                self.end_run(|text| Outcome::broken_off(text.is_empty()));
            }
            Poll::Pending => {
                if pieces > 0 {
                    self.shared.wakers.wake();
                }
                return Poll::Pending;
            }
        }
        self.shared.wakers.wake();
        Poll::Ready(())
    }

    fn on_text(&mut self, text: &str, pieces: u64) {
        let Current::Running(running) = &mut self.current else { return };
        if running.timing.ttft_ms == 0 {
            let ttft = running.started.elapsed();
            running.timing.ttft_ms = millis(ttft).max(1);
            metrics::histogram!(RUN_TTFT).record(ttft.as_secs_f64());
        }
        self.shared.log.lock().append_text(text, self.deps.clock.now());
        self.shared.pieces.fetch_add(pieces, Ordering::Relaxed);
        self.deps.tokens.increment(pieces);
    }

    fn on_run_event(&mut self, event: RunEvent) {
        let Current::Running(running) = &mut self.current else { return };
        match event {
            RunEvent::Doing(doing) => {
                if doing.phase == Phase::Retrieving {
                    // It has waited for its turn until now.
                    running.timing.queue_ms = millis(running.turn.since.elapsed());
                    running.started = Instant::now();
                }
                self.shared.log.lock().set_doing(doing);
            }
            RunEvent::Retrieved { sources, took } => {
                running.timing.retrieval_ms = millis(took);
                running.sources = sources;
                if !running.sources.is_empty() {
                    self.shared.log.lock().append_sources(running.sources.clone(), self.deps.clock.now());
                }
            }
            RunEvent::Remembered(recollection) => {
                self.shared.log.lock().append_recollection(recollection, self.deps.clock.now());
            }
            RunEvent::Sources(sources) => {
                running.sources = sources;
                self.shared.log.lock().append_sources(running.sources.clone(), self.deps.clock.now());
            }
            RunEvent::Asked(prompt_tokens) => {
                let before = running.prompt_tokens.unwrap_or(0); // A run with tools asks more than once.
                running.prompt_tokens = Some(before.saturating_add(prompt_tokens));
            }
            RunEvent::ToolCall(call) => self.shared.log.lock().append_call(call, self.deps.clock.now()),
            RunEvent::ToolResult(call, outcome) => {
                self.shared.log.lock().append_result(&call, *outcome, self.deps.clock.now());
            }
            RunEvent::Keep => {
                let log = self.shared.log.lock();
                let (text, tools) = (log.live_text().unwrap_or_default(), log.live_tools().to_vec());
                let piece = Piece {
                    session: self.shared.id.clone(),
                    fence: self.shared.fence(),
                    answer: running.turn.answer.clone(),
                    at: 0,
                    text: text.to_owned(),
                    tools: Some(tools),
                };
                drop(log);
                let store = self.deps.store.clone();
                running.keeping = Some(async move { store.checkpoint(vec![piece]).await }.boxed());
            }
            RunEvent::By(author) => {
                self.shared.log.lock().set_model(author.model.clone());
                running.author = Some(author);
            }
            RunEvent::Text(text) => self.on_text(&text, 1),
            RunEvent::Failover(Failover { keep, from, to, reason }) => {
                self.shared.log.lock().fail_over(keep, &from, &to, reason);
            }
            RunEvent::Called(_) => {} // Who asks in a conversation has no tools.
            RunEvent::End(outcome) => self.end_run(|_| outcome),
        }
    }

    /// Ends the run in progress: cancels what still generates and commits the answer. `run.done` follows the commit.
    pub(super) fn end_run(&mut self, outcome: impl FnOnce(&str) -> Outcome) {
        let running = match std::mem::replace(&mut self.current, Current::Idle) {
            Current::Running(running) => running,
            over_already => {
                self.current = over_already;
                return;
            }
        };
        let Running { turn, assistant, telling, events, started, prompt_tokens, author, mut timing, sources, .. } =
            *running;
        drop(events); // Closes the upstream connection, before anything else takes its time.
        let (text, tools) = {
            let mut log = self.shared.log.lock();
            log.cancel_calls(self.deps.clock.now());
            (log.live_text().unwrap_or_default().to_owned(), log.live_tools().to_vec())
        };
        let mut outcome = outcome(&text);
        if outcome.status == Status::AwaitingApproval && self.waiting() > 0 {
            outcome.status = Status::Complete; // Something else was said meanwhile.
        }
        // The provider never said: it was stopped before. From the cache it cost nothing.
        if author.as_ref().is_some_and(|author| !author.cached) {
            let (input, output) = (prompt_tokens.unwrap_or(0), estimated_tokens(text.len()));
            outcome.usage = outcome.usage.or(Some(Usage { input, output, estimated: true }));
        }
        timing.total_ms = millis(started.elapsed());
        let known = self.shared.log.lock().transcript().message(&turn.answer).cloned();
        let (question, run) = (Some(turn.question.id.clone()), turn.run.clone());
        let pending = || Message::pending(turn.answer.clone(), question, run, Timestamp::now());
        let answer = Message {
            status: outcome.status,
            model: author.as_ref().map(|author| author.model.to_string()),
            version: Some(assistant.version.clone()),
            variant: assistant.variant.clone(),
            citations: citations::find(&text, sources.len()),
            sources: sources.to_vec(),
            tools,
            text,
            ..known.map_or_else(pending, Arc::unwrap_or_clone)
        };
        let answer = Arc::new(answer.settled());
        let (citations, usage) = (answer.citations.clone(), outcome.usage);
        let ending = Ending { author, citations, usage, timing, error: outcome.error };
        let (store, session) = (self.deps.store.clone(), (self.shared.id.clone(), self.shared.fence()));
        let finished = FinishedAnswer::of(&answer, turn.run.clone(), outcome.usage);
        let committed = commit_answer(store, session, finished);
        let committed = match telling {
            // Who hears of the end can rely on it that it is remembered.
            Some(telling) => {
                let (memories, answer) = (self.deps.runner.tools.memories.clone(), answer.clone());
                async move {
                    let committed = committed.await;
                    if committed.is_ok() {
                        memories.keep_turn(&telling, &answer).await;
                    }
                    committed
                }
                .boxed()
            }
            None => committed.boxed(),
        };
        self.current = Current::Storing(Box::new(Storing { turn, assistant, answer, ending, committed }));
    }

    /// The answer is durable, or will not be: either way everybody hears how it ended.
    pub(super) fn on_finished(&mut self, result: Result<(), StoreError>) {
        let Current::Storing(storing) = std::mem::replace(&mut self.current, Current::Idle) else { return };
        let Storing { assistant, mut answer, mut ending, .. } = *storing;
        if let Err(StoreError::Fenced) = result {
            metrics::gauge!(RUNS_ACTIVE).decrement(1.0);
            return self.lose(); // How the answer ended is for others to say.
        }
        if let Err(error @ StoreError::Unavailable(_)) = result {
            error!(session = %self.shared.id, %error, "an answer could not be stored");
            self.differs = true;
            answer = Arc::new(Message { status: Status::Error, ..(*answer).clone() }.settled());
            ending.error = Some(unkept_error("The answer could not be stored."));
        }
        let now = self.deps.clock.now();
        count_ended(&assistant, answer.status);
        metrics::gauge!(RUNS_ACTIVE).decrement(1.0);
        let mut log = self.shared.log.lock();
        log.finish_run(answer.clone(), ending, now);
        if !self.queue.is_empty() {
            log.supersede(now);
        }
        for used in answer.tools.iter().filter(|used| used.outcome.status == ToolStatus::Superseded) {
            let (message, call, decision) = (answer.id.clone(), used.call.call.clone(), ToolStatus::Superseded);
            log.decide(Decided { message, call, decision, by: None, comment: None }, now);
        }
        drop(log);
        self.shared.touched.store(now, Ordering::Relaxed);
        self.start_next();
        self.shared.wakers.wake();
    }
}

impl Running {
    /// The text that is ready, of how many pieces it is, and what comes behind it.
    fn poll(&mut self, context: &mut Context<'_>) -> (String, u64, Poll<Option<RunEvent>>) {
        let (mut text, mut pieces) = (String::new(), 0);
        loop {
            match self.events.poll_next_unpin(context) {
                Poll::Ready(Some(RunEvent::Text(piece))) if pieces == 0 => text = piece,
                Poll::Ready(Some(RunEvent::Text(piece))) if text.len() < APPEND_BYTES => text.push_str(&piece),
                next => return (text, pieces, next),
            }
            pieces += 1;
        }
    }
}

/// Commits an answer. A store that is busy for a moment must not turn a whole answer into an error.
async fn commit_answer(
    store: Arc<dyn SessionStore>,
    (session, fence): (SessionId, Fence),
    answer: FinishedAnswer,
) -> Result<(), StoreError> {
    for pause in COMMIT_PAUSES {
        match store.finish_answer(&session, fence, answer.clone()).await {
            Err(StoreError::Unavailable(reason)) => {
                warn!(session = %session, reason, "an answer was not stored, trying again");
                sleep(pause).await;
            }
            done => return done,
        }
    }
    store.finish_answer(&session, fence, answer).await
}

/// A call was to be made, and could not be kept before.
fn unkept() -> Outcome {
    Outcome {
        status: Status::Error,
        usage: None,
        error: Some(unkept_error("The call could not be stored, and was not made.")),
    }
}

fn unkept_error(message: &str) -> RunError {
    RunError::new("storage_unavailable", message, true)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
