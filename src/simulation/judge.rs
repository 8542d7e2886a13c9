//! What clients were told, and whether that may be.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use parking_lot::Mutex;

use super::world::World;
use crate::{
    chat::{Message, MessageId, Role, RunId, SessionId, Status, utf16_len},
    session::log::{Event, RunDone},
};

/// Everything that anybody was told.
#[derive(Default)]
pub(super) struct History(Mutex<Told>);

#[derive(Default)]
struct Told {
    /// Events by epoch and number, and texts of runs by epoch: the longest that somebody has.
    events: HashMap<(Arc<str>, u64), Event>,
    texts: HashMap<(Arc<str>, RunId), String>,
    /// How runs and messages ended.
    done: HashMap<RunId, (Status, u64, u32)>,
    ended: HashMap<MessageId, (Status, String)>,
    /// What was acknowledged, in the order in which each client sent it.
    acked: Vec<Acked>,
    wrong: Vec<String>,
}

/// An acknowledgement.
#[derive(Debug, Clone)]
pub(super) struct Acked {
    pub(super) client: usize,
    pub(super) session: SessionId,
    pub(super) message: MessageId,
    pub(super) text: String,
    pub(super) run: Option<RunId>,
}

impl History {
    /// Tells what happens, for whoever looks at one seed.
    pub(super) fn note(&self, at: u128, what: impl FnOnce() -> String) {
        if std::env::var_os("RIVULET_TEST_TRACE").is_some() {
            println!("{at:>7} {}", what());
        }
    }

    /// What was wrong.
    pub(super) fn wrong(&self) -> Vec<String> {
        self.0.lock().wrong.clone()
    }

    pub(super) fn is_wrong(&self, what: String) {
        self.0.lock().wrong.push(what);
    }

    pub(super) fn acked(&self, acked: Acked) {
        self.0.lock().acked.push(acked);
    }

    /// An event has one number in an epoch, and everybody hears the same.
    pub(super) fn event(&self, epoch: &Arc<str>, seq: u64, event: &Event) {
        let mut told = self.0.lock();
        let known = told.events.entry((epoch.clone(), seq)).or_insert_with(|| event.clone()).clone();
        if known != *event {
            told.wrong.push(format!("event {seq} of {epoch} is {known:?}, and elsewhere {event:?}"));
        }
        if let Event::RunDone(done) = event {
            told.done(done);
        }
    }

    /// Of two texts of a run in an epoch one is the beginning of the other.
    pub(super) fn text(&self, epoch: &Arc<str>, run: &RunId, text: &str) {
        let mut told = self.0.lock();
        let known = told.texts.entry((epoch.clone(), run.clone())).or_default();
        if text.starts_with(known.as_str()) {
            text.clone_into(known);
        } else if !known.starts_with(text) {
            let wrong = format!("of {run} in {epoch} one has {known:?}, another one {text:?}");
            told.wrong.push(wrong);
        }
    }

    /// A message that is not being written any more.
    pub(super) fn message(&self, message: &Message) {
        if matches!(message.status, Status::Error | Status::Pending) {
            return; // It could not be stored, and another gateway ends it otherwise.
        }
        let ended = (message.status, message.text.clone());
        let mut told = self.0.lock();
        let known = told.ended.entry(message.id.clone()).or_insert_with(|| ended.clone()).clone();
        if known != ended {
            told.wrong.push(format!("{} is {known:?}, and elsewhere {ended:?}", message.id));
        }
        if let (Role::Assistant, Some(run)) = (message.role, &message.run)
            && let Some((status, len, crc)) = told.done.get(run).copied()
            && (status, len, crc)
                != (message.status, utf16_len(&message.text), crc32fast::hash(message.text.as_bytes()))
        {
            told.wrong.push(format!("{run} ended as {status:?} with {len}, and is stored as {ended:?}"));
        }
    }

    /// Looks at what is stored in the end.
    pub(super) fn judge(&self, world: &World) {
        for session in &world.sessions {
            let (messages, written) = world.database.rows(session);
            for message in &messages {
                self.message(message);
            }
            let mut told = self.0.lock();
            let rows: HashMap<&MessageId, usize> = messages.iter().enumerate().map(|(at, row)| (&row.id, at)).collect();
            if rows.len() != messages.len() {
                told.wrong.push(format!("{session} has an id twice"));
            }
            let mut last: HashMap<usize, usize> = HashMap::new();
            let acked: Vec<Acked> = told.acked.iter().filter(|acked| acked.session == *session).cloned().collect();
            for acked in acked {
                let Some(at) = rows.get(&acked.message).copied() else {
                    told.wrong.push(format!("{acked:?} is not stored"));
                    continue;
                };
                if messages[at].text != acked.text || messages[at].run != acked.run {
                    told.wrong.push(format!("{acked:?} is stored as {:?}", messages[at]));
                }
                let answers: Vec<&Message> =
                    messages.iter().filter(|answer| answer.question.as_ref() == Some(&acked.message)).collect();
                match answers[..] {
                    [answer] if answer.status != Status::Pending && answer.run == acked.run => {}
                    _ => told.wrong.push(format!("{acked:?} has the answers {answers:?}")),
                }
                if last.insert(acked.client, at).is_some_and(|before| before > at) {
                    told.wrong.push(format!("{acked:?} is stored before what its client sent earlier"));
                }
            }
            let mut by = HashMap::new();
            for (of, (message, node, fence)) in written.iter().enumerate() {
                if *by.entry(*fence).or_insert(node) != node {
                    told.wrong.push(format!("{message} is of another node under fence {fence}"));
                }
                if of > 0 && written[of - 1].2 > *fence {
                    told.wrong.push(format!("{message} has fence {fence}, and what is before it a higher one"));
                }
            }
            let twice = world.asked();
            for question in messages.iter().filter(|message| message.role == Role::User) {
                let asked = twice.get(question.text.as_str()).copied().unwrap_or(0);
                if asked > 1 {
                    told.wrong.push(format!("the model was asked {asked} times for {}", question.id));
                }
            }
            let stored: HashSet<&str> = messages.iter().map(|message| message.text.as_str()).collect();
            for (text, _) in twice.iter().filter(|(text, _)| text.starts_with(session.as_str())) {
                if !stored.contains(&**text) {
                    told.wrong.push(format!("the model was asked for {text:?}, which is not stored"));
                }
            }
        }
    }
}

impl Told {
    fn done(&mut self, done: &RunDone) {
        if done.status == Status::Error {
            return; // It could not be stored, and another gateway ends it otherwise.
        }
        let ended = (done.status, done.len, done.crc32);
        let known = *self.done.entry(done.run.clone()).or_insert(ended);
        if known != ended {
            self.wrong.push(format!("{} ended as {known:?}, and elsewhere as {ended:?}", done.run));
        }
    }
}
