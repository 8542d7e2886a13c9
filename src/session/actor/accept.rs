//! What comes in: messages, other ways for the conversation to go on, feedback, the end of it all. Each is committed
//! before it is acknowledged, in the order of arrival.

use std::sync::{Arc, atomic::Ordering};

use futures_util::FutureExt;
use tokio::{sync::oneshot, time::Instant};
use tracing::error;

use super::{
    Actor,
    turn::{Accepting, Arriving, Asked, Current, Doubtful, Reply, WaitingTurn},
};
use crate::{
    chat::{Decision, Feedback, Message, MessageId, Role, RunId, Status, Timestamp, Undecided},
    limits::Standing,
    session::{Closed, NewMessage, Receipt, Redo, SendError, SendMode, command::Command, log::Decided},
    store::{Appended, Branch, Branched, StoreError, Turn},
    telemetry::metrics::APPROVALS,
};

/// The most messages that wait behind a running answer, commits in flight included.
const MAX_WAITING: usize = 16;

impl Actor {
    /// Counts a wish for an answer that may come in, unless it is known already.
    pub(super) fn count(&mut self, command: Command) {
        let (id, mode, by, is_vain) = match &command {
            Command::Send(message, _) => (message.id.as_ref(), message.mode, &message.by, false),
            Command::Redo(id, redo, _) => {
                (id.as_ref(), SendMode::Reject, &redo.1, self.shared.unsaved.lock().is_some())
            }
            _ => return,
        };
        if let Some(refusal) = self.refusal(mode) {
            return self.on_counted(command, Err(refusal));
        }
        if is_vain || id.is_some_and(|id| self.knows(id)) {
            return self.on_counted(command, Ok(None));
        }
        let (deps, shared, by, assistant) =
            (self.deps.clone(), self.shared.clone(), by.clone(), self.assistant.clone());
        let counting = async move {
            let counted = deps.runner.check(shared.owner.as_ref(), &by, Some(&shared.id), &assistant).await;
            (command, counted.map_err(SendError::Limit))
        };
        self.counting = Some(counting.boxed());
    }

    pub(super) fn on_counted(&mut self, command: Command, counted: Result<Option<Standing>, SendError>) {
        match command {
            Command::Send(message, reply) => self.on_send(*message, counted, reply),
            Command::Redo(id, redo, reply) => self.on_redo(id, redo.0, counted, reply),
            _ => {}
        }
    }

    fn on_send(&mut self, message: NewMessage, counted: Result<Option<Standing>, SendError>, reply: Reply<Receipt>) {
        let NewMessage { id, text, mode, .. } = message;
        let asked = Asked::Question { text: text.clone(), replaces: None };
        let Some((_, reply, standing)) = self.admit(id.as_ref(), asked, counted, reply) else { return };
        let (run, at) = (RunId::random(), Timestamp::now());
        let question = Message::question(id.unwrap_or_else(MessageId::random), text, run.clone(), at);
        let answer = Message::pending(MessageId::random(), Some(question.id.clone()), run.clone(), at);
        self.arrive(&question.id, Some(&question.id), &answer.id, (run, standing));
        let opens = self.shared.unsaved.lock().as_deref().cloned();
        let turn = Turn { opens, question, answer };
        let (store, session, fence) = (self.deps.store.clone(), self.shared.id.clone(), self.shared.fence());
        let commit = async move {
            let result = store.append_turn(&session, fence, turn.clone()).await;
            Accepting::Committed { turn: Box::new(turn), mode, reply, result }
        };
        self.accepting.push_back(commit.boxed());
    }

    fn on_redo(
        &mut self,
        id: Option<MessageId>,
        redo: Redo,
        counted: Result<Option<Standing>, SendError>,
        reply: Reply<Receipt>,
    ) {
        let mut decided = None;
        let (at, asked) = match redo {
            Redo::Regenerate { at } => (at.clone(), Asked::Answer { at }),
            Redo::Edit { at, text } => (Some(at.clone()), Asked::Question { text, replaces: Some(at) }),
            Redo::Decide(decision) => {
                let answer = self.decide(&decision);
                let at = answer.as_ref().ok().map(|answer| answer.id.clone());
                decided = Some((decision, answer));
                (at, Asked::Decided)
            }
        };
        if self.shared.unsaved.lock().is_some() {
            return respond(reply, Err(SendError::NotFound));
        }
        let admitted = self.admit(id.as_ref(), asked, counted, reply);
        let Some((asked, reply, standing)) = admitted else { return };
        let decided = match decided {
            Some((_, Err(undecided))) => return respond(reply, Err(SendError::Undecided(undecided))),
            Some((decision, Ok(answer))) => Some((decision, answer)),
            None => None,
        };
        let (run, now) = (RunId::random(), Timestamp::now());
        let id = id.unwrap_or_else(MessageId::random);
        let tools = decided.as_ref().map(|(_, answer)| answer.tools.clone());
        let branch = match &asked {
            Asked::Question { text, .. } => {
                let question = Message::question(id.clone(), text.clone(), run.clone(), now);
                let answer = Message::pending(MessageId::random(), Some(id.clone()), run.clone(), now);
                Branch { at, question: Some(question), answer, decided: None }
            }
            Asked::Answer { .. } | Asked::Decided => {
                let answer = Message::pending(id.clone(), None, run.clone(), now);
                Branch { at, question: None, answer, decided: tools }
            }
        };
        let question =
            branch.question.as_ref().map_or_else(|| self.question_at(branch.at.as_ref()), |q| Some(q.id.clone()));
        let answer = branch.answer.id.clone();
        self.arrive(&id, question.as_ref(), &answer, (run, standing));
        if let (Some((decision, answer)), Some(arriving)) = (decided, self.arriving.last_mut()) {
            arriving.resumes = Some(Decided::of(&decision, &answer));
        }
        let (store, session, fence) = (self.deps.store.clone(), self.shared.id.clone(), self.shared.fence());
        let newest = self.deps.window();
        let commit = async move {
            let result = store.branch(&session, fence, branch, newest).await;
            Accepting::Branched { asked, answer, reply, result }
        };
        self.accepting.push_back(commit.boxed());
    }

    /// The answer that waits for a decision as it is with it.
    fn decide(&self, decision: &Decision) -> Result<Message, Undecided> {
        let log = self.shared.log.lock();
        let is_it = |answer: &&Arc<Message>| answer.tools.iter().any(|used| used.call.call == decision.call);
        let answer = log.transcript().iter().rev().find(is_it).ok_or(Undecided::Unknown)?;
        let applied = decision.applied(answer, Timestamp::now())?;
        let is_newest = log.transcript().iter().next_back().is_some_and(|newest| newest.id == applied.id);
        is_newest.then_some(applied).ok_or(Undecided::Unknown)
    }

    /// The question that an answer anew would be for, as far as the transcript in memory reaches.
    fn question_at(&self, at: Option<&MessageId>) -> Option<MessageId> {
        let log = self.shared.log.lock();
        let found = match at {
            Some(at) => log.transcript().message(at),
            None => log.transcript().iter().rev().find(|message| message.role == Role::Assistant),
        };
        found.map(|message| message.question.as_ref().unwrap_or(&message.id)).or(at).cloned()
    }

    pub(super) fn on_rate(&mut self, message: MessageId, feedback: Feedback, reply: Reply<()>) {
        if self.shared.unsaved.lock().is_some() {
            return respond(reply, Err(SendError::NotFound));
        }
        let (store, session) = (self.deps.store.clone(), self.shared.id.clone());
        let commit = async move {
            let result = store.rate(&session, &message, feedback.clone()).await;
            Accepting::Rated { message, feedback, reply, result }
        };
        self.accepting.push_back(commit.boxed());
    }

    /// Deletes the session. In the store's order of writes, messages that came before are deleted with it, and what comes
    /// later finds that it is gone: it is not opened once more.
    pub(super) fn on_delete(&mut self, reply: oneshot::Sender<Result<bool, StoreError>>) {
        let (store, session) = (self.deps.store.clone(), self.shared.id.clone());
        let unsaved = self.shared.unsaved.lock().take();
        let commit = async move {
            let result = store.delete_session(&session).await;
            Accepting::Deleted { unsaved, reply, result }
        };
        self.accepting.push_back(commit.boxed());
    }

    pub(super) fn on_accepted(&mut self, accepting: Accepting) {
        match accepting {
            Accepting::LookedUp { asked, refusal, reply, found } => {
                let answer = match *found {
                    Ok(None) => Err(refusal),
                    Ok(Some(known)) => {
                        self.make_good(&known);
                        self.repeated(&asked, &known)
                    }
                    Err(error) => Err(self.storage_failed("look-up", &error)),
                };
                respond(reply, answer);
            }
            Accepting::Committed { turn, mode, reply, result } => {
                let Some(arrived) = self.arrived(&turn.answer.id) else { return };
                self.note_doubt(&arrived, &result, Some(&turn));
                let Turn { question, answer, .. } = *turn;
                if result.is_ok() {
                    self.shared.unsaved.lock().take();
                }
                let answer = match result {
                    Ok(Appended::Stored) => {
                        self.settle_doubt(&arrived.id);
                        Ok(self.on_committed(question, answer, arrived, mode))
                    }
                    Ok(Appended::Exists(known)) => {
                        self.make_good(&known);
                        self.repeated(&Asked::Question { text: question.text, replaces: None }, &known)
                    }
                    Err(error) => Err(self.storage_failed("message", &error)),
                };
                respond(reply, answer);
            }
            Accepting::Branched { asked, answer, reply, result } => {
                let Some(arrived) = self.arrived(&answer) else { return };
                self.note_doubt(&arrived, &result, None);
                let answer = match result {
                    Ok(Branched::Stored { question, mut page }) => {
                        self.settle_doubt(&arrived.id);
                        // An answer whose end could not be stored is over all the same.
                        for left in page.messages.iter_mut().filter(|left| left.id != answer) {
                            if left.status == Status::Pending {
                                *left = left.clone().interrupted();
                            }
                        }
                        let question: Arc<Message> = question.into();
                        let edited = matches!(asked, Asked::Question { .. }).then(|| question.clone());
                        let now = self.deps.clock.now();
                        let mut log = self.shared.log.lock();
                        log.branch(page.messages, page.more, edited, now);
                        if let Some(decided) = &arrived.resumes {
                            metrics::counter!(APPROVALS, "decision" => decided.decision.as_str()).increment(1);
                            log.decide(decided.clone(), now);
                        }
                        drop(log);
                        Ok(self.enqueue(question, arrived))
                    }
                    Ok(Branched::Exists(known)) => {
                        self.make_good(&known);
                        self.repeated(&asked, &known)
                    }
                    Ok(Branched::NotFound) => {
                        if arrived.resumes.is_some() {
                            self.lose(); // The store has something else than the log.
                        }
                        Err(SendError::NotFound)
                    }
                    Ok(Branched::NotAQuestion) => Err(SendError::NotAQuestion),
                    Err(error) => Err(self.storage_failed("branch", &error)),
                };
                respond(reply, answer);
            }
            Accepting::Rated { message, feedback, reply, result } => {
                let answer = match result {
                    Ok(true) => {
                        self.shared.log.lock().rate(&message, feedback);
                        self.shared.wakers.wake(); // For copies elsewhere.
                        Ok(())
                    }
                    Ok(false) => Err(SendError::NotFound),
                    Err(error) => Err(self.storage_failed("feedback", &error)),
                };
                respond(reply, answer);
            }
            Accepting::Deleted { unsaved, reply, result } => {
                let deleted = result.map(|was_stored| was_stored || unsaved.is_some());
                if deleted.is_ok() {
                    self.shared.close(Closed::Deleted);
                    self.abandon();
                } else {
                    *self.shared.unsaved.lock() = unsaved;
                }
                let _gone_asker_does_not_matter = reply.send(deleted);
            }
        }
    }

    /// Remembers what the store may have all the same, until that is known.
    fn note_doubt<T>(&mut self, arrived: &Arriving, result: &Result<T, StoreError>, turn: Option<&Turn>) {
        if let Err(StoreError::Unavailable(_)) = result {
            if self.doubtful.len() == MAX_WAITING {
                self.differs = true; // The first attempts are the ones that may have come through.
                return;
            }
            let (id, run, turn) = (arrived.id.clone(), arrived.run.clone(), turn.cloned().map(Box::new));
            self.doubtful.push(Doubtful { id, run, turn });
        }
    }

    /// It is known what the store has of this wish.
    fn settle_doubt(&mut self, id: &MessageId) {
        self.doubtful.retain(|doubtful| doubtful.id != *id);
    }

    /// Goes on from what was answered as not stored and is `known` now: nobody else does.
    fn make_good(&mut self, known: &Message) {
        let is_known = |doubtful: &Doubtful| doubtful.id == known.id && known.run.as_ref() == Some(&doubtful.run);
        let found = self.doubtful.iter().position(is_known).map(|at| self.doubtful.swap_remove(at));
        self.settle_doubt(&known.id);
        let Some(Doubtful { id, run, turn }) = found else {
            let is_unknown = self.differs && self.shared.log.lock().transcript().message(&known.id).is_none();
            if is_unknown {
                self.lose();
            }
            return;
        };
        match turn {
            Some(turn) => {
                let Turn { question, answer, .. } = *turn;
                let (asked, answer_id, since) = (Some(question.id.clone()), answer.id.clone(), Instant::now());
                let (standing, stopped, is_anew, resumes) = (None, false, false, None);
                let arrived = Arriving {
                    id,
                    question: asked,
                    answer: answer_id,
                    run,
                    standing,
                    since,
                    stopped,
                    is_anew,
                    resumes,
                };
                self.on_committed(question, answer, arrived, SendMode::Queue);
            }
            None => self.lose(), // What the conversation is now, is found out by whoever loads it.
        }
    }

    /// Lets in what nothing speaks against, and answers the rest. A repetition is answered first, whatever else would
    /// speak against it.
    fn admit(
        &mut self,
        id: Option<&MessageId>,
        asked: Asked,
        counted: Result<Option<Standing>, SendError>,
        reply: Reply<Receipt>,
    ) -> Option<(Asked, Reply<Receipt>, Option<Standing>)> {
        let known = id.and_then(|id| self.shared.log.lock().transcript().message(id).cloned());
        if let Some(known) = known {
            respond(reply, self.repeated(&asked, &known));
            return None;
        }
        // While its twin is being committed: the store keeps the order of writes, so it will know the answer.
        let has_twin = self.waiting() < 2 * MAX_WAITING && self.arriving.iter().any(|known| Some(&known.id) == id);
        match (counted, id) {
            (Ok(standing), _) => return Some((asked, reply, standing)),
            (Err(_), _) if has_twin => return Some((asked, reply, None)),
            (Err(refusal), Some(id)) => {
                let (deps, session, id) = (self.deps.clone(), self.shared.id.clone(), id.clone());
                let look_up = async move {
                    let _turn = deps.look_ups.acquire().await; // It is never closed.
                    let found = Box::new(deps.store.message(&session, &id).await);
                    Accepting::LookedUp { asked, refusal, reply, found }
                };
                self.accepting.push_back(look_up.boxed());
            }
            (Err(refusal), None) => respond(reply, Err(refusal)),
        }
        None
    }

    /// What speaks against something new, whoever wants it.
    fn refusal(&mut self, mode: SendMode) -> Option<SendError> {
        let occupied = !matches!(self.current, Current::Idle) || self.waiting() > 0;
        let assistant = self.deps.runner.assistants.get(Some(&self.shared.assistant));
        let is_on_offer = assistant.map(|assistant| self.assistant = assistant).is_some();
        match mode {
            _ if self.deps.draining.load(Ordering::SeqCst) => Some(SendError::Draining),
            _ if !is_on_offer => Some(SendError::NoAssistant),
            SendMode::Reject if occupied => Some(SendError::Busy),
            // What a replacement stops still has to be committed, one after the other: the bound holds for both.
            SendMode::Queue | SendMode::Replace if self.waiting() >= MAX_WAITING => Some(SendError::QueueFull),
            _ => None,
        }
    }

    /// Whether this is a repetition, as far as that is known without the store.
    fn knows(&self, id: &MessageId) -> bool {
        self.arriving.iter().any(|arriving| arriving.id == *id)
            || self.shared.log.lock().transcript().message(id).is_some()
    }

    /// How many questions wait, or are being committed.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len() + self.arriving.len()
    }

    fn arrive(
        &mut self,
        id: &MessageId,
        question: Option<&MessageId>,
        answer: &MessageId,
        (run, standing): (RunId, Option<Standing>),
    ) {
        let (id, question, answer) = (id.clone(), question.cloned(), answer.clone());
        // Only an answer anew has the id of the wish.
        let is_anew = id == answer;
        let since = Instant::now();
        let (stopped, resumes) = (false, None);
        self.arriving.push(Arriving { id, question, answer, run, standing, since, stopped, is_anew, resumes });
    }

    fn arrived(&mut self, answer: &MessageId) -> Option<Arriving> {
        let at = self.arriving.iter().position(|arriving| arriving.answer == *answer)?;
        Some(self.arriving.remove(at))
    }

    /// The message is durable: now it exists for everybody.
    fn on_committed(&mut self, question: Message, answer: Message, arrived: Arriving, mode: SendMode) -> Receipt {
        let (question, now) = (Arc::new(question), self.deps.clock.now());
        let mut log = self.shared.log.lock();
        log.supersede(now);
        log.append_turn(question.clone(), Arc::new(answer), now);
        drop(log);
        if mode == SendMode::Replace {
            for earlier in &mut self.queue {
                earlier.stopped = true;
            }
            self.stop_current();
        }
        let receipt = self.enqueue(question, arrived);
        // A replacement waits for a commit only, not for another answer.
        Receipt { queued: receipt.queued && mode != SendMode::Replace, ..receipt }
    }

    /// Has a question answered, at once when no other answer is being written.
    fn enqueue(&mut self, question: Arc<Message>, arrived: Arriving) -> Receipt {
        let (message, run, standing) = (question.id.clone(), arrived.run.clone(), arrived.standing);
        let queued = !matches!(self.current, Current::Idle);
        let Arriving { answer, run: its_run, since, stopped, is_anew, resumes, .. } = arrived;
        self.queue.push_back(WaitingTurn { question, answer, run: its_run, since, stopped, is_anew, resumes });
        self.start_next();
        self.shared.wakers.wake();
        Receipt { message, run: Some(run), duplicate: false, queued, standing }
    }

    /// The answer to something whose id is known.
    fn repeated(&self, asked: &Asked, known: &Message) -> Result<Receipt, SendError> {
        let question = asked.is_met_by(known).ok_or(SendError::IdempotencyConflict)?;
        let queued = self.queue.iter().any(|turn| turn.question.id == question);
        Ok(Receipt { message: question, run: known.run.clone(), duplicate: true, queued, standing: None })
    }

    fn storage_failed(&mut self, what: &str, error: &StoreError) -> SendError {
        match error {
            StoreError::NoSession => {
                // At another gateway, or because it was too old there: nobody could tell this one.
                self.shared.close(Closed::Deleted);
                self.is_open = false;
                self.abandon();
                SendError::Gone
            }
            StoreError::TooManySessions => SendError::TooManySessions,
            StoreError::Fenced | StoreError::Elsewhere(_) => {
                self.lose();
                SendError::StorageUnavailable
            }
            StoreError::Unavailable(_) => {
                error!(session = %self.shared.id, %error, what, "the store refused");
                SendError::StorageUnavailable
            }
        }
    }
}

fn respond<T>(reply: Reply<T>, answer: Result<T, SendError>) {
    let _gone_asker_does_not_matter = reply.send(answer);
}
