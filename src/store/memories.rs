//! What users have told assistants. What memories are found by stands beside them, and can be made of them again: so there is
//! one truth, and who deletes one deletes both. Plain values; uses `chat` only.

use async_trait::async_trait;

pub(in crate::store) use self::desk::{Decision, Desk, Met, OfMessage, Past, Stands, TakenBack};
use super::StoreError;
use crate::chat::{Memory, MemoryId, MemoryKind, Notebook, Owner, SessionId, Timestamp};

mod desk;

/// The most facts of a notebook, those that hold no longer included: of these the oldest makes room for another.
pub const MAX_FACTS: usize = 500;
/// The most episodes of a notebook: the oldest goes when there is another.
pub const MAX_EPISODES: usize = 10_000;
/// The most that was forgotten of a notebook and is not to be remembered again. What is over becomes one: nothing of what was said
/// until then is remembered again.
pub const MAX_FORGOTTEN: usize = 500;
/// The most memories that one call of [`MemoryStore::memories`] returns; a larger `limit` is taken for this.
pub const MAX_MEMORY_PAGE: usize = 500;
/// The most that one call of [`MemoryStore::delete_expired_memories`] deletes; a larger `limit` is taken for this.
pub const MAX_EXPIRED_MEMORIES: usize = 500;

/// The words of a text that it is found by: a number for each, in order, each once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Words(Vec<u32>);

impl Words {
    /// These.
    #[must_use]
    pub fn new(mut words: Vec<u32>) -> Self {
        words.sort_unstable();
        words.dedup();
        Self(words)
    }

    /// The numbers, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[u32] {
        &self.0
    }

    /// Whether all words of `others` are among these; of no words they are.
    #[must_use]
    pub fn has_all_of(&self, others: &Self) -> bool {
        others.0.iter().all(|word| self.0.binary_search(word).is_ok())
    }

    /// Whether `others` are mentioned in these; where there are no others, nothing is.
    pub(in crate::store) fn mentions(&self, others: &Self) -> bool {
        !others.0.is_empty() && self.has_all_of(others)
    }

    /// As they stand in a column: four bytes each, the lowest first.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// As they stand in a column; bytes that are left over count for nothing.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self::new(bytes.chunks_exact(4).map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect())
    }
}

/// Something to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMemory {
    /// What. Its `assistant` is that of the notebook, whatever stands there.
    pub memory: Memory,
    /// The words of what was said.
    pub words: Words,
    /// The attributes of facts that hold no longer when this is kept: its own, where there can be one alone.
    pub ends: Vec<String>,
    /// Facts that hold no longer besides, as far as they are in the notebook.
    pub over: Vec<MemoryId>,
    /// Whether its message was answered before: nothing is kept then when something of it was kept, or forgotten, already.
    pub is_again: bool,
}

/// What a fact says in other words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reworded {
    /// The words.
    pub text: String,
    /// What it is found by.
    pub words: Words,
    /// What it is about now.
    pub attribute: Option<String>,
    /// The attributes of other facts that hold no longer.
    pub ends: Vec<String>,
    /// Facts that hold no longer besides, as far as they are in the same notebook.
    pub over: Vec<MemoryId>,
}

/// What became of something that was to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// It is kept; these facts hold no longer.
    New {
        /// As it is kept.
        memory: Box<Memory>,
        /// As they were.
        ended: Vec<Memory>,
    },
    /// A fact that says the same, capitals aside, holds already, or this message is an episode already.
    Known,
    /// It was said before the user wanted that forgotten, or in a message that is no part of the conversation any more; or it is
    /// an episode of a conversation that is deleted.
    Forgotten,
    /// The user wants nothing to be remembered.
    Off,
    /// There are [`MAX_FACTS`] facts, and all of them hold.
    Full,
}

/// What an episode is found by.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// Which.
    pub id: MemoryId,
    /// The conversation in which it was said.
    pub session: Option<SessionId>,
    /// When.
    pub said_at: Timestamp,
    /// The words of what was said.
    pub words: Words,
    /// Its vector, by the model that was asked for, whatever its length; `None` as long as nobody has made one.
    pub vector: Option<Vec<i8>>,
}

/// Which memories of a user are meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemoryFilter {
    /// Those of one notebook alone.
    pub assistant: Option<String>,
    /// Those of one sort alone.
    pub kind: Option<MemoryKind>,
    /// Those that were said in one conversation alone.
    pub session: Option<SessionId>,
}

/// Memories, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemoryPage {
    /// The memories.
    pub memories: Vec<Memory>,
    /// Whether there are older ones.
    pub more: bool,
}

/// What is to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forget {
    /// A memory; with a fact also the facts of its notebook that have the same words and no others, the episode of its message, and
    /// the episodes that mention all of its words.
    /// Whatever was said before, in this message or with these words, is not remembered again.
    One(MemoryId),
    /// A memory is taken back, with a fact the episode of its message: the facts that it ended hold again, or end with what has
    /// ended it. What was said can be remembered again when it is said again, in another message.
    Undo(MemoryId),
    /// In the notebook of this assistant all facts that mention all of these words, or whose words are all among them, and
    /// whatever else mentions these words. Nothing that was said before with them is remembered again.
    Words(String, Words),
    /// All of these. Nothing that was said before is remembered again in these notebooks; with a conversation, nothing of it.
    All(MemoryFilter),
}

/// How much was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forgotten {
    /// So many facts.
    pub facts: usize,
    /// So many episodes.
    pub episodes: usize,
}

impl MemoryFilter {
    /// The same, for each of the sorts that are meant.
    pub(in crate::store) fn by_kind(&self) -> Vec<(MemoryKind, Self)> {
        let all = [MemoryKind::Fact, MemoryKind::Episode].into_iter();
        let meant = all.filter(|kind| self.kind.is_none_or(|asked| asked == *kind));
        meant.map(|kind| (kind, Self { kind: Some(kind), ..self.clone() })).collect()
    }
}

impl Forgotten {
    /// So many more of a sort.
    pub(in crate::store) const fn count(&mut self, kind: MemoryKind, more: usize) {
        match kind {
            MemoryKind::Fact => self.facts += more,
            MemoryKind::Episode => self.episodes += more,
        }
    }
}

/// Memories that survive. Methods that write return after the data is durable. Whoever is not their owner has none of them.
#[async_trait]
pub trait MemoryStore: Send + Sync + std::fmt::Debug + 'static {
    /// Keeps memories in a notebook, one after the other, all in one transaction; what became of each. Of episodes the
    /// [`MAX_EPISODES`] that were kept last stay. What is edited is taken back by [`SessionStore::branch`], and what comes of it
    /// later is not kept.
    ///
    /// [`SessionStore::branch`]: super::SessionStore::branch
    async fn keep_memories(&self, notebook: &Notebook, new: Vec<NewMemory>) -> Result<Vec<Kept>, StoreError>;

    /// The facts of a notebook that hold at `now`, the oldest first.
    async fn facts(&self, notebook: &Notebook, now: Timestamp) -> Result<Vec<Memory>, StoreError>;

    /// What the episodes of a notebook are found by that hold at `now`; with vectors of `model` alone.
    async fn traces(&self, notebook: &Notebook, model: Option<&str>, now: Timestamp) -> Result<Vec<Trace>, StoreError>;

    /// Memories of `owner` that were kept before `before`, the newest first, at most `limit`; also those that hold no longer.
    ///
    /// # Errors
    /// [`StoreError::NoSession`] when there is no memory `before`.
    async fn memories(
        &self,
        owner: Option<&Owner>,
        filter: &MemoryFilter,
        before: Option<&MemoryId>,
        limit: usize,
    ) -> Result<MemoryPage, StoreError>;

    /// Those of `owner` with these ids, in any order; others are left out.
    async fn memories_by_id(&self, owner: Option<&Owner>, ids: &[MemoryId]) -> Result<Vec<Memory>, StoreError>;

    /// Puts other words in a fact of `owner`; it is explicit from then on. `None` when there is none, and for an episode. While
    /// it holds, it takes the place of other facts, as if it were new.
    async fn reword(
        &self,
        owner: Option<&Owner>,
        id: &MemoryId,
        new: Reworded,
        now: Timestamp,
    ) -> Result<Option<Memory>, StoreError>;

    /// Forgets, at `now`; how much. Nothing when there is none of `owner`.
    async fn forget(&self, owner: Option<&Owner>, what: Forget, now: Timestamp) -> Result<Forgotten, StoreError>;

    /// Whether `owner` wants anything to be remembered; by default they do.
    async fn remembers(&self, owner: Option<&Owner>) -> Result<bool, StoreError>;

    /// Sets that.
    async fn set_remembers(&self, owner: Option<&Owner>, does: bool) -> Result<(), StoreError>;

    /// At most `limit` episodes of anybody that have no vector by `model`, with their texts: those without any, and then those
    /// of other models, the newest of each first.
    async fn without_vector(&self, model: &str, limit: usize) -> Result<Vec<(MemoryId, String)>, StoreError>;

    /// Keeps vectors by `model`. Of what is gone meanwhile nothing is kept.
    async fn set_vectors(&self, model: &str, vectors: Vec<(MemoryId, Vec<i8>)>) -> Result<(), StoreError>;

    /// Deletes at most `limit` memories, and never more than [`MAX_EXPIRED_MEMORIES`], whose time is over at `now`; how many.
    async fn delete_expired_memories(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError>;

    /// How many facts and how many episodes there are, of all users.
    async fn count_memories(&self) -> Result<(u64, u64), StoreError>;
}
