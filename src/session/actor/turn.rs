//! The turns of a session: on their way to the store, waiting, being answered, being stored. Plain values and one
//! judgement.

use std::sync::Arc;

use futures_util::{future::BoxFuture, stream::BoxStream};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    chat::{Author, Feedback, Message, MessageId, Role, RunId, Source, Timing},
    config::Assistant,
    limits::Standing,
    memory::Telling,
    run::RunEvent,
    session::{
        Receipt, SendError, SendMode,
        command::Command,
        live::Listed,
        log::{Decided, Ending},
    },
    store::{Appended, Branched, SessionRecord, StoreError, Turn},
};

pub(super) type Reply<T> = oneshot::Sender<Result<T, SendError>>;

/// A wish for an answer, and what is left of messages, where they are counted; or why it may not come in.
pub(super) type Counted = (Command, Result<Option<Standing>, SendError>);

/// A question, and the answer that it is to get, while they are being committed.
pub(super) struct Arriving {
    /// The id by which a repetition is known.
    pub(super) id: MessageId,
    /// As far as it is known before the store has spoken.
    pub(super) question: Option<MessageId>,
    pub(super) answer: MessageId,
    pub(super) run: RunId,
    /// What is left of messages, where they are counted.
    pub(super) standing: Option<Standing>,
    pub(super) since: Instant,
    /// Somebody stopped it before it began.
    pub(super) stopped: bool,
    /// There was an answer already, and another one is wanted.
    pub(super) is_anew: bool,
    /// The decision with which it goes on from another answer.
    pub(super) resumes: Option<Decided>,
}

/// A wish that was answered as not stored, by its id.
pub(super) struct Doubtful {
    pub(super) id: MessageId,
    pub(super) run: RunId,
    /// None of another way for the conversation to go on.
    pub(super) turn: Option<Box<Turn>>,
}

/// What a known id must belong to, to be a repetition.
pub(super) enum Asked {
    /// A question of this text; of an edit, in the place of that one.
    Question { text: String, replaces: Option<MessageId> },
    /// An answer in the place of that one, or to that question; of no matter which, in the place of any.
    Answer { at: Option<MessageId> },
    /// The one that goes on from a decision: what was decided stands in its id.
    Decided,
}

impl Asked {
    /// The id of the question that `known` is or answers, when it came of the same wish.
    pub(super) fn is_met_by(&self, known: &Message) -> Option<MessageId> {
        match (self, known.role) {
            (Self::Question { text, replaces }, Role::User) if *text == known.text && *replaces == known.replaces => {
                Some(known.id.clone())
            }
            (Self::Answer { at }, Role::Assistant) if known.replaces.is_some() => {
                let same = at.is_none() || *at == known.replaces || *at == known.question;
                known.question.clone().filter(|_| same)
            }
            (Self::Decided, Role::Assistant) => known.question.clone(),
            _ => None,
        }
    }
}

/// A step of accepting that came back from the store.
pub(super) enum Accepting {
    /// Something would be refused, but may be a repetition of what is not in memory: older, or replaced.
    LookedUp {
        asked: Asked,
        refusal: SendError,
        reply: Reply<Receipt>,
        found: Box<Result<Option<Message>, StoreError>>,
    },
    /// A message.
    Committed { turn: Box<Turn>, mode: SendMode, reply: Reply<Receipt>, result: Result<Appended, StoreError> },
    /// Another way for the conversation to go on.
    Branched { asked: Asked, answer: MessageId, reply: Reply<Receipt>, result: Result<Branched, StoreError> },
    /// Feedback.
    Rated { message: MessageId, feedback: Feedback, reply: Reply<()>, result: Result<bool, StoreError> },
    /// The session's end; what it is to be if that could not be stored.
    Deleted {
        unsaved: Option<Box<SessionRecord>>,
        reply: oneshot::Sender<Result<bool, StoreError>>,
        result: Result<bool, StoreError>,
    },
}

/// A turn that is not being answered yet.
pub(super) struct WaitingTurn {
    pub(super) question: Arc<Message>,
    pub(super) answer: MessageId,
    pub(super) run: RunId,
    /// When it was handed in.
    pub(super) since: Instant,
    /// Somebody stopped it before it began.
    pub(super) stopped: bool,
    /// There was an answer already, and another one is wanted.
    pub(super) is_anew: bool,
    /// The decision with which it goes on from another answer.
    pub(super) resumes: Option<Decided>,
}

/// What the session is busy with.
pub(super) enum Current {
    Idle,
    Running(Box<Running>),
    Storing(Box<Storing>),
}

/// A run in progress.
pub(super) struct Running {
    pub(super) turn: WaitingTurn,
    pub(super) assistant: Arc<Assistant>,
    /// What is told with the question, where that is remembered.
    pub(super) telling: Option<Arc<Telling>>,
    pub(super) events: BoxStream<'static, RunEvent>,
    pub(super) started: Instant,
    /// About how long the prompt was, once a model was asked.
    pub(super) prompt_tokens: Option<u32>,
    /// Who writes, once that is known.
    pub(super) author: Option<Author>,
    pub(super) timing: Timing,
    pub(super) sources: Arc<[Source]>,
    /// What was told has to be kept before it goes on.
    pub(super) keeping: Option<BoxFuture<'static, Result<usize, StoreError>>>,
    /// For those who look after all runs.
    pub(super) _listed: Listed,
}

/// A run that is over, while its answer is being committed.
pub(super) struct Storing {
    pub(super) turn: WaitingTurn,
    pub(super) assistant: Arc<Assistant>,
    pub(super) answer: Arc<Message>,
    pub(super) ending: Ending,
    pub(super) committed: BoxFuture<'static, Result<(), StoreError>>,
}
