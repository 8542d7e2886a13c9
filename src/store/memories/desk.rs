//! What is decided of a notebook before it is written to, whichever database it is in. Pure.

use super::{Kept, MAX_FACTS, MemoryFilter, NewMemory, Words};
use crate::chat::{Memory, MemoryId, MemoryKind, MessageId, SessionId, Timestamp};

/// Something that was forgotten, as far as it must be known in order not to be remembered again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Past {
    /// When: what is said later has nothing to do with it.
    pub(in crate::store) at: Timestamp,
    /// The words that it had; `None`: all was forgotten, or all of a conversation.
    pub(in crate::store) words: Option<Words>,
    /// Where it was said.
    pub(in crate::store) session: Option<SessionId>,
    /// In which message.
    pub(in crate::store) message: Option<MessageId>,
}

impl Past {
    /// What had these words, wherever it was said, and all that was said in the message `said`.
    pub(in crate::store) fn of_words(
        at: Timestamp,
        words: Words,
        said: (Option<SessionId>, Option<MessageId>),
    ) -> Self {
        Self { at, words: Some(words), session: said.0, message: said.1 }
    }

    /// What was said in a message: it is not remembered when that is answered anew, while its words may be.
    pub(in crate::store) fn of_message(at: Timestamp, (session, message): (SessionId, MessageId)) -> Self {
        Self::of_words(at, Words::default(), (Some(session), Some(message)))
    }

    /// All that was said; with a conversation, all of that.
    pub(in crate::store) fn of_all(at: Timestamp, filter: &MemoryFilter) -> Self {
        Self { at, words: None, session: filter.session.clone(), message: None }
    }

    fn covers(&self, new: &NewMemory) -> bool {
        let is_of_session = self.session.is_some() && self.session == new.memory.session;
        let is_of_message = is_of_session && self.message.is_some() && self.message == new.memory.message;
        new.memory.said_at <= self.at
            && match &self.words {
                None => self.session.is_none() || is_of_session,
                Some(words) => is_of_message || new.words.mentions(words),
            }
    }
}

/// A memory, as far as it must be known to tell whether it goes with another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Stands {
    /// Where it is.
    pub(in crate::store) position: i64,
    /// A fact or an episode.
    pub(in crate::store) kind: MemoryKind,
    /// Its words.
    pub(in crate::store) words: Words,
    /// Where it was said.
    pub(in crate::store) said: Option<(SessionId, MessageId)>,
}

/// A memory of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct OfMessage {
    /// Which.
    pub(in crate::store) id: MemoryId,
    /// The notebook's.
    pub(in crate::store) assistant: String,
    /// A fact or an episode.
    pub(in crate::store) kind: MemoryKind,
}

/// What is taken back.
#[derive(Debug, Default)]
pub(in crate::store) struct TakenBack {
    /// These, in this order.
    pub(in crate::store) gone: Vec<MemoryId>,
    /// In the notebooks of these nothing of the message is remembered when it is answered anew.
    pub(in crate::store) assistants: Vec<String>,
}

impl TakenBack {
    /// A memory of the notebook of `assistant`, with the episode of its message.
    pub(in crate::store) fn one(id: &MemoryId, assistant: String, of_message: Vec<OfMessage>) -> Self {
        let is_episode =
            |other: &OfMessage| other.kind == MemoryKind::Episode && other.assistant == assistant && other.id != *id;
        let episodes = of_message.into_iter().filter(is_episode).map(|episode| episode.id);
        Self { gone: std::iter::once(id.clone()).chain(episodes).collect(), assistants: vec![assistant] }
    }

    /// All of a message, of which the newest comes first, in whichever notebook.
    pub(in crate::store) fn all(of_message: Vec<OfMessage>) -> Self {
        let mut back = Self::default();
        for one in of_message {
            back.gone.push(one.id);
            if !back.assistants.contains(&one.assistant) {
                back.assistants.push(one.assistant);
            }
        }
        back
    }
}

/// What goes when something is forgotten.
#[derive(Debug, Default)]
pub(in crate::store) struct Met {
    /// Where it is, and what it is.
    pub(in crate::store) gone: Vec<(i64, MemoryKind)>,
    /// The messages in which facts were said that only have words of what is to be forgotten: what they said is not
    /// remembered when they are answered anew, while others may say the same.
    pub(in crate::store) messages: Vec<(SessionId, MessageId)>,
}

impl Stands {
    /// What goes with a memory of these words: of a fact the turn in which it was said, and what mentions it: turns, and
    /// facts that have no word besides.
    pub(in crate::store) fn with(&self, all: Vec<Self>) -> Met {
        let goes = |other: &Self| match (self.kind, other.kind) {
            _ if other.position == self.position => true,
            (MemoryKind::Episode, _) => false,
            (MemoryKind::Fact, MemoryKind::Fact) => other.words == self.words,
            (MemoryKind::Fact, MemoryKind::Episode) => {
                other.words.mentions(&self.words) || self.said.is_some() && other.said == self.said
            }
        };
        Met { gone: all.into_iter().filter(goes).map(|one| (one.position, one.kind)).collect(), messages: Vec::new() }
    }

    /// What of a notebook goes when what has these words is forgotten: what mentions all of them, and facts that have no
    /// others, with the turns in which those were said.
    pub(in crate::store) fn mentioning(wanted: &Words, all: Vec<Self>) -> Met {
        let facts = all.iter().filter(|one| one.kind == MemoryKind::Fact);
        let partly = facts.filter(|fact| !fact.words.mentions(wanted) && wanted.mentions(&fact.words));
        let messages: Vec<(SessionId, MessageId)> = partly.filter_map(|fact| fact.said.clone()).collect();
        let goes = |one: &Self| {
            one.words.mentions(wanted)
                || match one.kind {
                    MemoryKind::Fact => wanted.mentions(&one.words),
                    MemoryKind::Episode => one.said.as_ref().is_some_and(|said| messages.contains(said)),
                }
        };
        let gone = all.iter().filter(|one| goes(one)).map(|one| (one.position, one.kind)).collect();
        Met { gone, messages }
    }
}

/// What a notebook holds that decides on what is to be kept in it.
#[derive(Debug, Default)]
pub(in crate::store) struct Desk {
    /// What was forgotten of it.
    pub(in crate::store) past: Vec<Past>,
    /// Its facts, the oldest first, those that hold no longer included. Not needed for episodes.
    pub(in crate::store) facts: Vec<Memory>,
}

/// What is to be done with something that was to be kept.
#[derive(Debug)]
pub(in crate::store) enum Decision {
    /// It is kept.
    Keep {
        /// These hold no longer.
        ended: Vec<Memory>,
        /// This one makes room for it.
        leaves: Option<MemoryId>,
    },
    /// It is not.
    Leave(Kept),
}

impl Desk {
    pub(in crate::store) fn decide(&self, new: &NewMemory) -> Decision {
        if self.past.iter().any(|past| past.covers(new)) {
            return Decision::Leave(Kept::Forgotten);
        }
        if new.memory.kind == MemoryKind::Episode {
            return Decision::Keep { ended: Vec::new(), leaves: None };
        }
        let holds = |fact: &&Memory| {
            fact.ended_at.is_none() && fact.expires_at.is_none_or(|expires| expires > new.memory.said_at)
        };
        let text = new.memory.text.to_lowercase();
        let says_the_same = |fact: &Memory| fact.text.to_lowercase() == text;
        let is_ended = |fact: &&Memory| {
            fact.attribute.as_ref().is_some_and(|attribute| new.ends.contains(attribute)) || new.over.contains(&fact.id)
        };
        let is_later = |fact: &Memory| fact.said_at > new.memory.said_at;
        if self.facts.iter().filter(holds).filter(is_ended).any(is_later) {
            return Decision::Leave(Kept::Known); // What was said earlier does not take the place of what was said later.
        }
        let mut ended: Vec<Memory> =
            self.facts.iter().filter(holds).filter(is_ended).filter(|fact| !says_the_same(fact)).cloned().collect();
        let same = self.facts.iter().filter(holds).find(|fact| says_the_same(fact));
        match same {
            // It is said again, for something else had been said meanwhile.
            Some(same) if !ended.is_empty() => ended.push(same.clone()),
            Some(_) => return Decision::Leave(Kept::Known),
            None => {}
        }
        if self.facts.len() < MAX_FACTS {
            return Decision::Keep { ended, leaves: None };
        }
        match self.facts.iter().find(|fact| !holds(fact)).or(ended.first()) {
            Some(oldest) => Decision::Keep { leaves: Some(oldest.id.clone()), ended },
            None => Decision::Leave(Kept::Full),
        }
    }

    /// Whether these were said in a message that was answered before, and of which something was kept or forgotten then.
    pub(in crate::store) fn is_known(&self, new: &[NewMemory]) -> bool {
        new.iter().filter(|new| new.is_again && new.memory.kind == MemoryKind::Fact).any(|new| {
            let is_of = |session: &Option<SessionId>, message: &Option<MessageId>| {
                message.is_some() && (session, message) == (&new.memory.session, &new.memory.message)
            };
            self.facts.iter().any(|fact| is_of(&fact.session, &fact.message))
                || self.past.iter().any(|past| is_of(&past.session, &past.message))
        })
    }

    /// That was done.
    pub(in crate::store) fn note(&mut self, memory: &Memory, ended: &[Memory], leaves: Option<&MemoryId>) {
        if memory.kind == MemoryKind::Episode {
            return;
        }
        self.facts.retain(|fact| Some(&fact.id) != leaves);
        for fact in self.facts.iter_mut().filter(|fact| ended.iter().any(|ended| ended.id == fact.id)) {
            fact.ended_at = Some(memory.said_at);
        }
        self.facts.push(memory.clone());
    }
}
