//! What outlives the process: sessions and their messages, what was spent, documents and the work on them.
//!
//! [`SessionStore`], [`SpendingStore`] and [`DocumentStore`] are three of the few traits of the house, because the disk
//! begins here. Uses `chat` only.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::chat::{
    Citation, Feedback, Message, MessageId, Owner, RunId, SessionId, Source, Status, Timestamp, Title, ToolUse, Usage,
};

pub mod artifacts;
pub mod audit;
pub mod blobs;
mod columns;
#[cfg(test)]
mod contract;
pub mod credentials;
pub mod documents;
mod feedback;
pub mod folder;
pub mod memories;
pub mod place;
pub mod postgres;
mod spending;
pub mod sqlite;
pub mod volatile;

pub use artifacts::ArtifactStore;
pub use documents::DocumentStore;
pub use feedback::{FeedbackCount, MAX_FEEDBACK_COUNTS};
pub use memories::MemoryStore;
pub use spending::{SpendingStore, Spent};

/// The most rows that one call of [`SessionStore::sessions`] or [`SessionStore::messages`] returns; a larger
/// `limit` is taken for this.
pub const MAX_PAGE: usize = 500;
/// The most answers in which a call waits that are listed at once.
pub const MAX_AWAITED: usize = 100;
/// The most sessions of one owner, and the most whose titles are looked through at once. Of those that belong to nobody in
/// particular there may be any number.
pub const MAX_SESSIONS: usize = 5_000;
/// The most sessions that one call of [`SessionStore::delete_expired`] deletes; a larger `limit` is taken for
/// this. Few, because the answers to all other writes wait behind them.
pub const MAX_EXPIRED: usize = 50;

/// A process of a gateway, as the others with the same store know it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NodeId(pub(crate) Arc<str>);

impl NodeId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which of the gateways that write to a session, one after the other, writes. A higher one excludes all before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fence(pub(crate) u64);

impl Fence {
    /// The first one of a session; the only one where one gateway has the store.
    pub const FIRST: Self = Self(1);

    /// Whether nobody has had the session between the one with the fence `before` and this one.
    #[must_use]
    pub const fn is_next_after(self, before: Self) -> bool {
        self.0 == before.0.saturating_add(1)
    }
}

/// How far a gateway may take itself for the one that has the sessions that it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Another number: others have taken this gateway for dead, and may have the sessions that it took before.
    pub life: u64,
    /// Whether nobody can have done so yet. Until it is known, nobody new is shown what is in memory.
    pub is_certain: bool,
    /// How many gateways with this store are alive, this one included, as of a few seconds ago.
    pub nodes: usize,
}

impl Lease {
    /// That of a gateway that has the store for itself.
    pub const SOLE: Self = Self { life: 0, is_certain: true, nodes: 1 };
}

/// A session as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionRecord {
    /// Its id.
    pub id: SessionId,
    /// The persona that answers in it.
    pub assistant: String,
    /// What the creator wanted to remember, as a JSON object; empty when nothing.
    pub metadata: Option<serde_json::Value>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its last message came or ended.
    pub updated_at: Timestamp,
    /// How many messages the conversation has; replaced ones do not count.
    pub message_count: u64,
    /// To whom it belongs; to nobody in particular when it was made without authentication.
    pub owner: Option<Owner>,
    /// Nothing that was told elsewhere is known in it, and nothing of it is remembered.
    pub is_temporary: bool,
    /// What it is called: as somebody has named it, or after its first question; nothing before that.
    pub title: Option<Title>,
}

/// A question and the answer that is to come: stored together, in one transaction, so that no crash can
/// leave an accepted question without the answer that stands for its run. The first one gives the session its title, where it
/// has none. Whatever call of an earlier answer waits to be
/// allowed waits for nothing any more.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// The session, when this may be its first message: it is stored with it, where it is not there yet.
    pub opens: Option<SessionRecord>,
    /// The user's message; its `run` is the run that will answer it.
    pub question: Message,
    /// The answer, [`Status::Pending`] and empty.
    pub answer: Message,
}

/// What became of a [`Turn`] that was to be stored.
#[derive(Debug, Clone, PartialEq)]
pub enum Appended {
    /// It is on the disk.
    Stored,
    /// A message with the question's id is there already; nothing was changed.
    Exists(Box<Message>),
}

/// A conversation that goes on another way from one of its messages on. What it leaves behind stays in the store,
/// marked as replaced.
#[derive(Debug, Clone, PartialEq)]
pub struct Branch {
    /// Where: a question; of a question that is answered again, its answer will do too. `None`: the newest answer.
    pub at: Option<MessageId>,
    /// The question that takes the place of the one at `at`; `None` when that one is answered again.
    pub question: Option<Message>,
    /// The answer to come, [`Status::Pending`] and empty. The store fills in its question.
    pub answer: Message,
    /// The answer at `at` is not replaced, but gone on from: what waited in it is decided, and these are its calls now.
    pub decided: Option<Vec<ToolUse>>,
}

/// What became of a [`Branch`] that was to be stored.
#[derive(Debug, Clone, PartialEq)]
pub enum Branched {
    /// It is on the disk.
    Stored {
        /// The question that is to be answered.
        question: Box<Message>,
        /// The newest messages of the conversation as it is now, question and pending answer included.
        page: MessagePage,
    },
    /// A message with the new question's id, or with the answer's when there is none, is there already; nothing was
    /// changed.
    Exists(Box<Message>),
    /// There is no such message in the conversation.
    NotFound,
    /// An answer cannot be edited.
    NotAQuestion,
}

/// Which messages of a session are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those of the conversation.
    Conversation,
    /// Those that were replaced, too, in the order in which they were said.
    Everything,
}

/// How an answer ended.
#[derive(Debug, Clone, PartialEq)]
pub struct FinishedAnswer {
    /// The message to finish.
    pub id: MessageId,
    /// The run that wrote it.
    pub run: RunId,
    /// All of its text.
    pub text: String,
    /// How it ended; never [`Status::Pending`].
    pub status: Status,
    /// Which model wrote it.
    pub model: Option<String>,
    /// The version of the assistant that it answers for.
    pub version: Option<String>,
    /// Which variant of it, when it is one.
    pub variant: Option<String>,
    /// What it cites.
    pub citations: Vec<Citation>,
    /// What was found for it.
    pub sources: Vec<Source>,
    /// The tools that were called for it.
    pub tools: Vec<ToolUse>,
    /// What it cost.
    pub usage: Option<Usage>,
}

impl FinishedAnswer {
    /// The end of the answer `message`, which `run` wrote.
    #[must_use]
    pub fn of(message: &Message, run: RunId, usage: Option<Usage>) -> Self {
        Self {
            id: message.id.clone(),
            run,
            text: message.text.clone(),
            status: message.status,
            model: message.model.clone(),
            version: message.version.clone(),
            variant: message.variant.clone(),
            citations: message.citations.clone(),
            sources: message.sources.clone(),
            tools: message.tools.clone(),
            usage,
        }
    }
}

/// What was added to an answer that is being written: behind the first `at` bytes of its text stands `text` now. So it
/// takes back what stood there, and to store it twice does no harm.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// The session.
    pub session: SessionId,
    /// Whose piece it is.
    pub fence: Fence,
    /// The message.
    pub answer: MessageId,
    /// Where, in bytes.
    pub at: usize,
    /// The text.
    pub text: String,
    /// All of the answer's calls as they stand, where that has changed.
    pub tools: Option<Vec<ToolUse>>,
}

/// Continues `written` by a piece. One that would leave a hole is left out: what stands there is what was said.
fn continue_text(written: &mut String, at: usize, text: &str) {
    if written.is_char_boundary(at) {
        written.truncate(at);
        written.push_str(text);
    }
}

/// A stretch of a conversation, oldest message first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MessagePage {
    /// The messages.
    pub messages: Vec<Message>,
    /// Whether there are older ones.
    pub more: bool,
}

/// Whose waiting calls are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaiting<'a> {
    /// Those of this owner.
    Of(&'a Owner),
    /// Those of all owners of this tenant.
    Tenant(&'a str),
}

impl Awaiting<'_> {
    /// The names of their owners lie between these, which are included.
    fn bounds(self) -> (String, String) {
        match self {
            Self::Of(owner) => (owner.as_str().to_owned(), owner.as_str().to_owned()),
            // An owner is `tenant/user`, and `0` follows the slash.
            Self::Tenant(tenant) => (format!("{tenant}/"), format!("{tenant}0")),
        }
    }
}

/// An answer in which a call waits to be allowed.
#[derive(Debug, Clone, PartialEq)]
pub struct Awaited {
    /// Where.
    pub session: SessionId,
    /// Whose that is.
    pub owner: Owner,
    /// The answer.
    pub answer: Message,
}

/// A page of sessions, newest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SessionPage {
    /// The sessions.
    pub sessions: Vec<SessionRecord>,
    /// Whether there are older ones.
    pub more: bool,
}

/// Why the store did not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// No such session; it may have been deleted meanwhile.
    #[error("no such session")]
    NoSession,
    /// Its owner has [`MAX_SESSIONS`] already.
    #[error("there are as many conversations as one may have: delete some")]
    TooManySessions,
    /// This other gateway has the session, or had it when it was last heard of; none that is known when it is changing hands.
    #[error("another gateway has the session")]
    Elsewhere(Option<NodeId>),
    /// Another gateway has taken the session: nothing was changed, and nothing will be under this fence.
    #[error("another gateway has taken the session")]
    Fenced,
    /// The disk or the database refused; the text is for the log, not for clients.
    #[error("storage is not available: {0}")]
    Unavailable(String),
}

/// Sessions and messages that survive.
///
/// Every method that writes returns after the data is durable: an acknowledgement may follow at once.
/// Dropping a returned future does not undo the write. Implementations queue a bounded number of
/// operations and answer [`StoreError::Unavailable`] beyond it.
///
/// Where several gateways have one store, each session is written to by the one that took it last: writes to a
/// conversation carry its [`Fence`].
#[async_trait]
pub trait SessionStore: Send + Sync + std::fmt::Debug + 'static {
    /// Makes this gateway the one that writes to a session. Answers that others have left pending are interrupted, each
    /// with what was kept of it. Where one gateway has the store there is nothing to be done.
    ///
    /// # Errors
    /// [`StoreError::Elsewhere`] while another gateway has it, [`StoreError::NoSession`] when there is none.
    async fn take(&self, _session: &SessionId) -> Result<Fence, StoreError> {
        Ok(Fence::FIRST)
    }

    /// Which other gateway has a session; `None` when none has and it can be taken.
    ///
    /// # Errors
    /// [`StoreError::NoSession`] when there is none.
    async fn owner(&self, _session: &SessionId) -> Result<Option<NodeId>, StoreError> {
        Ok(None)
    }

    /// Lets others take a session: nothing more is written under this fence. What is returned is over as soon as they can,
    /// which need not be waited for.
    fn give_up(&self, _session: &SessionId, _fence: Fence) -> oneshot::Receiver<()> {
        oneshot::channel().1
    }

    /// Whether another gateway is known to be dead: whatever it had can be taken.
    async fn is_gone(&self, _node: &NodeId) -> Result<bool, StoreError> {
        Ok(true)
    }

    /// What this gateway is to others with the same store; `None` where it has the store for itself.
    fn node(&self) -> Option<NodeId> {
        None
    }

    /// The others with the same store that are alive, as of a few seconds ago.
    fn others(&self) -> Vec<NodeId> {
        Vec::new()
    }

    /// How far what was taken still holds.
    fn lease(&self) -> Lease {
        Lease::SOLE
    }

    /// Stores a new session, without messages whatever its `message_count` says.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the id is taken.
    async fn create_session(&self, session: SessionRecord) -> Result<(), StoreError>;

    /// One session, if it exists.
    async fn session(&self, id: &SessionId) -> Result<Option<SessionRecord>, StoreError>;

    /// Sessions of `owner` (of nobody in particular: `None`) older than `before`, newest first, at most `limit`. Sessions of
    /// the same millisecond are ordered by id. With `part`: those in whose titles that stands, in capital letters or not, of
    /// the [`MAX_SESSIONS`] newest that are older than `before`.
    ///
    /// # Errors
    /// [`StoreError::NoSession`] when `before` is gone or somebody else's: what lies below it cannot be told any more.
    async fn sessions(
        &self,
        owner: Option<&Owner>,
        part: Option<&Title>,
        before: Option<&SessionId>,
        limit: usize,
    ) -> Result<SessionPage, StoreError>;

    /// Calls a session something else; false when there is none.
    async fn rename_session(&self, id: &SessionId, title: Title) -> Result<bool, StoreError>;

    /// Deletes a session and all that belongs to it; false when there was none.
    async fn delete_session(&self, id: &SessionId) -> Result<bool, StoreError>;

    /// Stores a question with its pending answer, and the session that it opens, which this gateway has then with
    /// [`Fence::FIRST`].
    ///
    /// # Errors
    /// [`StoreError::NoSession`] when the session is gone, or was never there and is not opened; [`StoreError::Fenced`].
    async fn append_turn(&self, session: &SessionId, fence: Fence, turn: Turn) -> Result<Appended, StoreError>;

    /// Lets the conversation go on another way. `newest` is how many messages the page of
    /// [`Branched::Stored`] has at most.
    ///
    /// # Errors
    /// [`StoreError::NoSession`] when the session is gone; [`StoreError::Fenced`].
    async fn branch(
        &self,
        session: &SessionId,
        fence: Fence,
        branch: Branch,
        newest: usize,
    ) -> Result<Branched, StoreError>;

    /// Keeps what the person thinks of a message, in place of what they thought before; false when there is no such
    /// message.
    ///
    /// # Errors
    /// [`StoreError::NoSession`] when the session is gone.
    async fn rate(&self, session: &SessionId, message: &MessageId, feedback: Feedback) -> Result<bool, StoreError>;

    /// What was thought of the answers of a tenant, or of all of them, that were asked for since a moment: counted by the
    /// day, the model and the version of the assistant, the newest day first, at most [`MAX_FEEDBACK_COUNTS`] rows. Of nobody in particular only among all.
    async fn feedback(&self, tenant: Option<&str>, since: Timestamp) -> Result<Vec<FeedbackCount>, StoreError>;

    /// Keeps what was added to pending answers, one piece after the other; all of it, or nothing. It costs as much as the
    /// pieces are long, however long the answers are. An answer that is finished already stays as it is, and of one
    /// that is not there (any more), or is another gateway's, nothing is kept. Of how many something is.
    async fn checkpoint(&self, pieces: Vec<Piece>) -> Result<usize, StoreError>;

    /// Answers in which a call waits to be allowed; the newest first, at most [`MAX_AWAITED`]. `part`: with this in what is
    /// stored of their calls, as [`ToolUse`] is written in JSON.
    async fn awaiting(&self, whose: Awaiting<'_>, part: Option<&str>) -> Result<Vec<Awaited>, StoreError>;

    /// Ends a pending answer. One that is finished already stays as it is. Behind one in which a call waits nothing was said
    /// yet; otherwise it waits for nothing, and is complete.
    ///
    /// # Errors
    /// [`StoreError::NoSession`] when the session is gone; [`StoreError::Fenced`].
    async fn finish_answer(&self, session: &SessionId, fence: Fence, answer: FinishedAnswer) -> Result<(), StoreError>;

    /// One message, if it exists; also one that was replaced.
    async fn message(&self, session: &SessionId, id: &MessageId) -> Result<Option<Message>, StoreError>;

    /// The newest `limit` messages that are older than `before`; none when there is no message `before`.
    ///
    /// # Errors
    /// [`StoreError::NoSession`] when the session is gone.
    async fn messages(
        &self,
        session: &SessionId,
        before: Option<&MessageId>,
        limit: usize,
        scope: Scope,
    ) -> Result<MessagePage, StoreError>;

    /// Deletes at most `limit` sessions, and never more than [`MAX_EXPIRED`], that were last used before `cutoff`;
    /// returns their ids. Fewer than `limit` does not mean that there are no more: none does.
    async fn delete_expired(&self, cutoff: Timestamp, limit: usize) -> Result<Vec<SessionId>, StoreError>;

    /// Whether a write would succeed now; for readiness, never for liveness.
    async fn check(&self) -> Result<(), StoreError>;
}

/// Refuses what could be written but not read again.
fn refuse_unfit(answer: &FinishedAnswer) -> Result<(), StoreError> {
    if answer.status == Status::Pending {
        return Err(StoreError::Unavailable(format!("answer {} cannot end as pending", answer.id)));
    }
    // JSON has no word for infinity.
    if answer.sources.iter().any(|source| !source.score.is_finite()) {
        return Err(StoreError::Unavailable(format!("a source of answer {} has no finite score", answer.id)));
    }
    Ok(())
}

fn session_taken(id: &SessionId) -> StoreError {
    StoreError::Unavailable(format!("session {id} exists already"))
}

fn unknown_answer(id: &MessageId) -> StoreError {
    StoreError::Unavailable(format!("there is no answer {id}"))
}
