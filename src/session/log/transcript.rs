//! The newest messages of a session, as its prompt and its snapshots want them. Pure.

use std::{collections::VecDeque, sync::Arc};

use super::event::Decided;
use crate::chat::{Feedback, Message, MessageId, Status, ToolUse};

/// The most bytes of messages kept in memory; older ones are in the store.
pub(super) const MAX_BYTES: usize = 256 << 10;

/// What a message weighs: its text, and what tools were given and said for it.
fn bytes_of(message: &Message) -> usize {
    message.text.len() + message.tools.iter().map(ToolUse::bytes).sum::<usize>()
}

/// The newest messages, pending answers included, in the order of the store.
#[derive(Debug)]
pub struct Transcript {
    messages: VecDeque<Arc<Message>>,
    bytes: usize,
    limit: usize,
    /// Whether the store has older ones.
    older: bool,
}

impl Transcript {
    pub(super) fn new(limit: usize, older: bool) -> Self {
        Self { messages: VecDeque::new(), bytes: 0, limit, older }
    }

    /// The messages, oldest first; those with [`Status::Pending`] are being written or wait.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Message>> {
        self.messages.iter()
    }

    /// A message, when it is among them.
    #[must_use]
    pub fn message(&self, id: &MessageId) -> Option<&Arc<Message>> {
        self.messages.iter().rev().find(|message| message.id == *id)
    }

    /// Whether these are all there are, so that what is not here does not exist.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        !self.older
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// How many bytes of text they have.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, message: Arc<Message>) {
        self.bytes += bytes_of(&message);
        self.messages.push_back(message);
        self.bound();
    }

    /// Takes these instead: the conversation goes on another way.
    pub(super) fn reset(&mut self, messages: impl IntoIterator<Item = Arc<Message>>, older: bool) {
        self.messages.clear();
        (self.bytes, self.older) = (0, older);
        for message in messages {
            self.push(message);
        }
    }

    /// Notes what the person thinks of a message, when it is among them.
    pub(super) fn rate(&mut self, id: &MessageId, feedback: Feedback) {
        if let Some(slot) = self.messages.iter_mut().rev().find(|message| message.id == *id) {
            Arc::make_mut(slot).feedback = Some(feedback);
        }
    }

    /// Notes what became of a call that waits.
    pub(super) fn decide(&mut self, decided: &Decided) {
        let Some(slot) = self.messages.iter_mut().rev().find(|message| message.id == decided.message) else { return };
        if slot.status == Status::AwaitingApproval {
            let answer = Arc::make_mut(slot);
            answer.status = Status::Complete;
            if let Some(used) = answer.tools.iter_mut().find(|used| used.call.call == decided.call) {
                used.outcome.status = decided.decision;
                if let Some(approval) = &mut used.outcome.approval {
                    approval.by.clone_from(&decided.by);
                    approval.comment.clone_from(&decided.comment);
                }
            }
        }
    }

    /// Puts a finished answer in the place of the pending one.
    pub(super) fn replace(&mut self, answer: Arc<Message>) {
        if let Some(slot) = self.messages.iter_mut().find(|message| message.id == answer.id) {
            self.bytes = self.bytes + bytes_of(&answer) - bytes_of(slot);
            // It may have come while the answer was being stored.
            let feedback = slot.feedback.clone();
            *slot = answer;
            if feedback.is_some() {
                Arc::make_mut(slot).feedback = feedback;
            }
        }
        self.bound();
    }

    fn bound(&mut self) {
        while self.messages.len() > self.limit || (self.bytes > MAX_BYTES && self.messages.len() > 1) {
            // A question that waits is needed, and its answer has its place here. The actor bounds how many wait.
            if self.messages.iter().take(2).any(|message| message.status == Status::Pending) {
                return;
            }
            let Some(oldest) = self.messages.pop_front() else { return };
            self.bytes -= bytes_of(&oldest);
            self.older = true;
        }
    }
}
