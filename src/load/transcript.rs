//! One session as a client knows it: applies frames, says what to do next, and counts what must not happen. Pure.

use std::collections::{HashMap, HashSet};

use super::{
    faults::Faults,
    frame::{Frame, Message},
    proof::Proof,
    text::{HeldText, Placed},
};

/// How often the whole text of a run is asked for again before it counts as altered.
const SYNCS: u32 = 3;

/// What the frame asks of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reaction {
    /// Nothing.
    Idle,
    /// The session is known and the socket may be used.
    Welcome,
    /// New text came, for the answer to this question.
    Grew(Option<String>),
    /// A run ended, or is known to have ended, and its text is proven.
    Proven,
    /// The text of a run does not fit what was announced, however often it is asked for.
    GivenUp,
    /// The text of a run from here on is needed.
    Sync(String, u64),
    /// The message with this id is stored.
    Acked(String),
    /// The frame with this id, or something else, was refused.
    Refused { re: Option<String>, code: String, retryable: bool, retry_in_ms: u64 },
    /// The socket will be closed; come again after so many milliseconds.
    Goaway(u64),
    /// Answer with this, as JSON.
    Ping(String),
}

#[derive(Debug, Default)]
struct Run {
    question: Option<String>,
    answer: Option<String>,
    held: HeldText,
    done: Option<Proof>,
    /// Its end is known from a snapshot only; after a crash the event follows.
    untold: bool,
    /// Nothing of it is kept but the proof.
    proven: bool,
    /// A `sync` is on its way.
    asked: bool,
    syncs: u32,
}

/// What a client knows of its session.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    session: Option<String>,
    epoch: String,
    /// Of a snapshot that is still to come: a cursor of this epoch would skip it.
    next_epoch: Option<String>,
    seq: u64,
    runs: HashMap<String, Run>,
    by_question: HashMap<String, String>,
    messages: HashSet<String>,
    pub(super) faults: Faults,
}

impl Transcript {
    pub(super) fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// Whether nothing was ever said in the session: a gateway that was restarted, or that nobody asked for long, knows
    /// nothing of it.
    pub(super) fn is_untouched(&self) -> bool {
        self.runs.is_empty() && self.messages.is_empty()
    }

    /// Leaves the session for a new one.
    pub(super) fn begin_anew(&mut self) {
        *self = Self { faults: std::mem::take(&mut self.faults), ..Self::default() };
    }

    /// Where to go on after a reconnect.
    pub(super) fn cursor(&self) -> String {
        let live = self.runs.iter().find(|(_, run)| run.done.is_none());
        match live {
            Some((id, run)) => format!("{}:{}:{id}:{}", self.epoch, self.seq, run.held.units()),
            None => format!("{}:{}", self.epoch, self.seq),
        }
    }

    /// How the answer to a question ended, once its text is proven.
    pub(super) fn answer(&self, question: &str) -> Option<&Proof> {
        let run = self.runs.get(self.by_question.get(question)?)?;
        run.done.as_ref().filter(|_| run.proven)
    }

    /// The message that is the answer to a question, where it is known.
    pub(super) fn answer_id(&self, question: &str) -> Option<&str> {
        self.runs.get(self.by_question.get(question)?)?.answer.as_deref()
    }

    /// The incarnation of the log; another one tells of a restart.
    pub(super) fn epoch(&self) -> &str {
        &self.epoch
    }

    /// Whether a run was seen to start for a question.
    pub(super) fn begun(&self, question: &str) -> bool {
        self.by_question.contains_key(question)
    }

    /// All answers that were proven, by message id.
    pub(super) fn proven(&self) -> impl Iterator<Item = (&str, &Proof)> {
        self.runs.values().filter(|run| run.proven).filter_map(|run| Some((run.answer.as_deref()?, run.done.as_ref()?)))
    }

    /// Runs whose end is known and whose text is not; after a reconnect they are to be asked for again.
    pub(super) fn unproven(&self) -> Vec<(String, u64)> {
        let open = self.runs.iter().filter(|(_, run)| run.done.is_some() && !run.proven);
        open.map(|(id, run)| (id.clone(), run.held.units())).collect()
    }

    /// Takes one frame.
    pub(super) fn apply(&mut self, text: &str) -> Reaction {
        let Ok(frame) = serde_json::from_str::<Frame<'_>>(text) else {
            self.faults.malformed += 1;
            return Reaction::Idle;
        };
        let step = match frame.kind.as_ref() {
            "delta" => self.delta(&frame),
            "welcome" => self.welcome(&frame),
            "snapshot" => self.snapshot(&frame),
            "ack" => frame.re.as_ref().map(|re| Reaction::Acked(re.to_owned())),
            "error" => Some(refused(&frame)),
            "failover" => self.failover(&frame),
            "goaway" => Some(Reaction::Goaway(frame.retry_in_ms.unwrap_or(0))),
            "ping" => {
                let t = frame.t.map_or(String::new(), |t| format!(r#","t":{}"#, t.get()));
                Some(Reaction::Ping(format!(r#"{{"type":"pong"{t}}}"#)))
            }
            _ => self.event(&frame),
        };
        step.unwrap_or_else(|| {
            self.faults.malformed += 1;
            Reaction::Idle
        })
    }

    /// `None` when a field is missing; the same below.
    fn delta(&mut self, frame: &Frame<'_>) -> Option<Reaction> {
        let (id, off, text) = (frame.run.as_ref()?.as_str(), frame.off?, frame.text.as_ref()?.as_str());
        let Some(run) = self.runs.get_mut(id) else {
            // Text of a run that nobody announced.
            self.faults.disordered += 1;
            return Some(Reaction::Idle);
        };
        if run.proven {
            return Some(Reaction::Idle);
        }
        match run.held.place(off, text) {
            Placed::Grew(_) => {
                run.asked = false;
                let question = run.question.clone();
                Some(self.prove(id).unwrap_or(Reaction::Grew(question)))
            }
            Placed::Known => Some(self.prove(id).unwrap_or(Reaction::Idle)),
            Placed::Gap if run.asked => Some(Reaction::Idle),
            Placed::Gap => {
                run.asked = true;
                Some(Reaction::Sync(id.to_owned(), run.held.units()))
            }
            Placed::Conflict => {
                self.faults.altered += 1;
                Some(Reaction::Idle)
            }
        }
    }

    fn welcome(&mut self, frame: &Frame<'_>) -> Option<Reaction> {
        let (session, epoch) = (frame.session.as_ref()?.as_str(), frame.epoch.as_ref()?.as_str());
        let (head, recovered) = (frame.seq?, frame.recovered.as_ref()?.as_str());
        let changed = self.session.as_ref().is_some_and(|known| known != session);
        let continued = recovered == "full";
        if changed || (continued && self.epoch != epoch) || (continued && head < self.seq) {
            self.faults.disordered += 1;
        }
        self.session = Some(session.to_owned());
        self.next_epoch = None;
        match recovered {
            "new" => {
                epoch.clone_into(&mut self.epoch);
                self.seq = head;
            }
            // The events up to the head are still to come.
            "full" => epoch.clone_into(&mut self.epoch),
            "snapshot" => self.next_epoch = Some(epoch.to_owned()),
            _ => return None,
        }
        for run in self.runs.values_mut() {
            run.asked = false;
        }
        Some(Reaction::Welcome)
    }

    /// Replaces what is held; ended runs keep their proof for the comparison at the end. What was held must come
    /// back: all of it, unless the gateway lost its memory and the answer was interrupted by that.
    fn snapshot(&mut self, frame: &Frame<'_>) -> Option<Reaction> {
        let (seq, messages) = (frame.seq?, frame.messages.as_ref()?);
        self.seq = seq;
        let restarted = self.next_epoch.take().is_some_and(|epoch| {
            let changed = epoch != self.epoch;
            self.epoch = epoch;
            changed
        });
        let (proven, held): (HashMap<_, _>, HashMap<_, _>) =
            std::mem::take(&mut self.runs).into_iter().partition(|(_, run)| run.proven);
        self.runs = proven;
        let mut altered = 0;
        let mut compare = |id: &str, text: &str, interrupted: bool| {
            let before = held.get(id).map_or("", |run| run.held.as_str());
            let whole = text.starts_with(before);
            let shorter = restarted && interrupted && before.starts_with(text);
            altered += u64::from(!whole && !shorter);
        };
        for message in messages {
            self.messages.insert(message.id.to_owned());
            let Some(id) = message.run.as_ref().map(super::frame::Str::as_str) else { continue };
            if message.role.as_str() == "user" {
                self.by_question.insert(message.id.to_owned(), id.to_owned());
                self.runs.entry(id.to_owned()).or_default().question = Some(message.id.to_owned());
                continue;
            }
            let run = self.runs.entry(id.to_owned()).or_default();
            run.answer = Some(message.id.to_owned());
            let Some(status) = message.status.as_ref().map(super::frame::Str::as_str) else { continue };
            let text = message.text.as_str();
            if let Some(proof) = run.done.as_ref().filter(|_| run.proven) {
                self.faults.altered += u64::from(!proof.holds(text));
            } else if status != "pending" {
                compare(id, text, status == "interrupted");
                run.done = Some(Proof::of(text, status));
                run.proven = true;
                run.untold = true;
            }
        }
        for live in frame.runs.iter().flatten() {
            let id = live.run.as_str();
            compare(id, live.text.as_str(), false);
            let run = self.runs.entry(id.to_owned()).or_default();
            run.held = HeldText::default();
            run.held.place(0, live.text.as_str());
            if let Some(answer) = &live.message {
                run.answer = Some(answer.to_owned());
            }
        }
        self.faults.altered += altered;
        if restarted {
            // Each incarnation of the log tells the end of what a crash had interrupted.
            for run in self.runs.values_mut() {
                run.untold |= run.done.as_ref().is_some_and(|proof| proof.status == "interrupted");
            }
        }
        Some(Reaction::Proven)
    }

    fn failover(&mut self, frame: &Frame<'_>) -> Option<Reaction> {
        let (id, keep) = (frame.run.as_ref()?.as_str(), frame.keep?);
        if let Some(run) = self.runs.get_mut(id).filter(|run| !run.proven && keep < run.held.units())
            && !run.held.keep(keep)
        {
            self.faults.altered += 1;
        }
        Some(Reaction::Idle)
    }

    /// What is in the log and has a `seq`; and whatever a later server may say besides.
    fn event(&mut self, frame: &Frame<'_>) -> Option<Reaction> {
        let Some(seq) = frame.seq else { return Some(Reaction::Idle) };
        if seq <= self.seq {
            // A replay of what is known. Harmless.
            return Some(Reaction::Idle);
        }
        if seq > self.seq + 1 {
            self.faults.disordered += 1;
        }
        self.seq = seq;
        match frame.kind.as_ref() {
            "message" => self.message(frame),
            "run.start" => self.run_start(frame),
            "run.done" => self.run_done(frame),
            _ => Some(Reaction::Idle),
        }
    }

    fn message(&mut self, frame: &Frame<'_>) -> Option<Reaction> {
        let message: Message<'_> = serde_json::from_str(frame.message?.get()).ok()?;
        if !self.messages.insert(message.id.to_owned()) {
            self.faults.duplicated += 1;
        }
        Some(Reaction::Idle)
    }

    fn run_start(&mut self, frame: &Frame<'_>) -> Option<Reaction> {
        let (id, question) = (frame.run.as_ref()?.as_str(), frame.question.as_ref()?.as_str());
        let answer: String = serde_json::from_str(frame.message?.get()).ok()?;
        let known = self.by_question.insert(question.to_owned(), id.to_owned());
        let again = self.runs.get(id).is_some_and(|run| run.question.is_some());
        if known.is_some() || again {
            self.faults.duplicated += 1;
        }
        let run = self.runs.entry(id.to_owned()).or_default();
        run.question = Some(question.to_owned());
        run.answer = Some(answer);
        Some(Reaction::Idle)
    }

    fn run_done(&mut self, frame: &Frame<'_>) -> Option<Reaction> {
        let id = frame.run.as_ref()?.as_str();
        let proof = Proof {
            units: frame.len?,
            crc32: u32::from_str_radix(frame.crc32.as_ref()?.as_str(), 16).ok()?,
            status: frame.status.as_ref()?.to_owned(),
        };
        let Some(run) = self.runs.get_mut(id) else {
            self.faults.disordered += 1;
            return Some(Reaction::Idle);
        };
        if let Some(known) = &run.done {
            if !std::mem::take(&mut run.untold) {
                self.faults.duplicated += 1;
            } else if *known != proof {
                self.faults.altered += 1;
            }
            return Some(Reaction::Idle);
        }
        run.done = Some(proof);
        if let Some(step) = self.prove(id) {
            return Some(step);
        }
        // Ended, and something is missing: ask for all of it.
        let run = self.runs.get_mut(id)?;
        run.held = HeldText::default();
        run.asked = true;
        run.syncs += 1;
        Some(Reaction::Sync(id.to_owned(), 0))
    }

    /// Compares the text of a run that ended with what was announced. `None` while it has not ended or is too
    /// short still.
    fn prove(&mut self, id: &str) -> Option<Reaction> {
        let run = self.runs.get_mut(id)?;
        let done = run.done.as_ref()?;
        if run.held.units() < done.units {
            return None;
        }
        if done.holds(run.held.as_str()) {
            run.held = HeldText::default();
            run.proven = true;
            return Some(Reaction::Proven);
        }
        run.held = HeldText::default();
        if run.syncs >= SYNCS {
            self.faults.altered += 1;
            return Some(Reaction::GivenUp);
        }
        run.syncs += 1;
        run.asked = true;
        Some(Reaction::Sync(id.to_owned(), 0))
    }
}

fn refused(frame: &Frame<'_>) -> Reaction {
    Reaction::Refused {
        re: frame.re.as_ref().map(super::frame::Str::to_owned),
        code: frame.code.as_ref().map_or_else(|| "no code".to_owned(), super::frame::Str::to_owned),
        retryable: frame.retryable,
        retry_in_ms: frame.retry_in_ms.unwrap_or(0),
    }
}

#[cfg(test)]
mod tests;
