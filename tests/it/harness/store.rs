//! A store that does what a test tells it: fails, takes its time, counts. A hub over it, and a model for that.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use rivulet::{
    chat::{Feedback, Message, MessageId, Owner, SessionId, Timestamp, Title},
    hub::{Hub, Policy},
    knowledge::NoKnowledge,
    llm::{ChatModel, ChatRequest, FinishReason, ModelEvent, ModelStream},
    run::{Retrieval, Runner},
    store::{
        Appended, Awaited, Awaiting, Branch, Branched, FeedbackCount, Fence, FinishedAnswer, MessagePage, Piece, Scope,
        SessionPage, SessionRecord, SessionStore, StoreError, Turn, volatile::VolatileStore,
    },
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Writes that may wait, as in the store that gateways use.
const QUEUE: usize = 1024;

/// A store in memory whose writes fail or wait while they are told to.
#[derive(Debug)]
pub(crate) struct Wayward {
    inner: VolatileStore,
    failing: AtomicBool,
    /// Held by the write that is done; the others wait in the order in which they came.
    gate: Semaphore,
    /// Writes under way; and of these, checkpoints.
    writes: AtomicUsize,
    checkpoints: AtomicUsize,
    /// The most checkpoints that were under way at once.
    most_checkpoints: AtomicUsize,
    /// The bytes of all checkpoints.
    checkpointed: AtomicUsize,
    /// Look-ups of messages under way, and the most that were.
    look_ups: AtomicUsize,
    most_look_ups: AtomicUsize,
}

/// Counts while it lives.
struct UnderWay<'a> {
    count: &'a AtomicUsize,
    before: usize,
}

impl<'a> UnderWay<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        Self { count, before: count.fetch_add(1, Ordering::SeqCst) }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Wayward {
    pub(crate) fn new() -> Self {
        Self {
            inner: VolatileStore::new(100_000, 1_000),
            failing: AtomicBool::new(false),
            gate: Semaphore::new(1),
            writes: AtomicUsize::new(0),
            checkpoints: AtomicUsize::new(0),
            most_checkpoints: AtomicUsize::new(0),
            checkpointed: AtomicUsize::new(0),
            look_ups: AtomicUsize::new(0),
            most_look_ups: AtomicUsize::new(0),
        }
    }

    /// Lets writes fail, or succeed.
    pub(crate) fn fail(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
    }

    /// Lets writes and look-ups wait, or go on.
    pub(crate) async fn hold(&self, held: bool) {
        match held {
            true => self.gate.acquire().await.unwrap().forget(),
            false => self.gate.add_permits(1),
        }
    }

    pub(crate) fn writes_under_way(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }

    pub(crate) fn checkpoints_under_way(&self) -> usize {
        self.checkpoints.load(Ordering::SeqCst)
    }

    pub(crate) fn most_checkpoints(&self) -> usize {
        self.most_checkpoints.load(Ordering::SeqCst)
    }

    pub(crate) fn checkpointed(&self) -> usize {
        self.checkpointed.load(Ordering::SeqCst)
    }

    pub(crate) fn look_ups_under_way(&self) -> usize {
        self.look_ups.load(Ordering::SeqCst)
    }

    pub(crate) fn most_look_ups(&self) -> usize {
        self.most_look_ups.load(Ordering::SeqCst)
    }

    /// A write begins, when nothing holds it, and unless too many wait.
    async fn enter(&self) -> Result<(SemaphorePermit<'_>, UnderWay<'_>), StoreError> {
        let under_way = UnderWay::begin(&self.writes);
        if under_way.before >= QUEUE {
            return Err(StoreError::Unavailable("too many operations wait already".to_owned()));
        }
        if self.failing.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("no space left on device".to_owned()));
        }
        Ok((self.gate.acquire().await.unwrap(), under_way))
    }
}

#[async_trait]
impl SessionStore for Wayward {
    async fn create_session(&self, session: SessionRecord) -> Result<(), StoreError> {
        let _under_way = self.enter().await?;
        self.inner.create_session(session).await
    }
    async fn session(&self, id: &SessionId) -> Result<Option<SessionRecord>, StoreError> {
        self.inner.session(id).await
    }
    async fn sessions(
        &self,
        owner: Option<&Owner>,
        part: Option<&Title>,
        before: Option<&SessionId>,
        limit: usize,
    ) -> Result<SessionPage, StoreError> {
        self.inner.sessions(owner, part, before, limit).await
    }
    async fn rename_session(&self, id: &SessionId, title: Title) -> Result<bool, StoreError> {
        let _under_way = self.enter().await?;
        self.inner.rename_session(id, title).await
    }
    async fn delete_session(&self, id: &SessionId) -> Result<bool, StoreError> {
        let _under_way = self.enter().await?;
        self.inner.delete_session(id).await
    }
    async fn append_turn(&self, session: &SessionId, fence: Fence, turn: Turn) -> Result<Appended, StoreError> {
        let _under_way = self.enter().await?;
        self.inner.append_turn(session, fence, turn).await
    }
    async fn branch(
        &self,
        session: &SessionId,
        fence: Fence,
        branch: Branch,
        newest: usize,
    ) -> Result<Branched, StoreError> {
        let _under_way = self.enter().await?;
        self.inner.branch(session, fence, branch, newest).await
    }
    async fn rate(&self, session: &SessionId, message: &MessageId, feedback: Feedback) -> Result<bool, StoreError> {
        let _under_way = self.enter().await?;
        self.inner.rate(session, message, feedback).await
    }
    async fn feedback(&self, tenant: Option<&str>, since: Timestamp) -> Result<Vec<FeedbackCount>, StoreError> {
        self.inner.feedback(tenant, since).await
    }
    async fn awaiting(&self, whose: Awaiting<'_>, part: Option<&str>) -> Result<Vec<Awaited>, StoreError> {
        self.inner.awaiting(whose, part).await
    }
    async fn checkpoint(&self, pieces: Vec<Piece>) -> Result<usize, StoreError> {
        let checkpoint = UnderWay::begin(&self.checkpoints);
        self.most_checkpoints.fetch_max(checkpoint.before + 1, Ordering::SeqCst);
        let _under_way = self.enter().await?;
        self.checkpointed.fetch_add(pieces.iter().map(|piece| piece.text.len()).sum(), Ordering::SeqCst);
        self.inner.checkpoint(pieces).await
    }
    async fn finish_answer(&self, session: &SessionId, fence: Fence, answer: FinishedAnswer) -> Result<(), StoreError> {
        let _under_way = self.enter().await?;
        self.inner.finish_answer(session, fence, answer).await
    }
    async fn message(&self, session: &SessionId, id: &MessageId) -> Result<Option<Message>, StoreError> {
        let look_up = UnderWay::begin(&self.look_ups);
        self.most_look_ups.fetch_max(look_up.before + 1, Ordering::SeqCst);
        let _permit = self.gate.acquire().await.unwrap();
        self.inner.message(session, id).await
    }
    async fn messages(
        &self,
        session: &SessionId,
        before: Option<&MessageId>,
        limit: usize,
        scope: Scope,
    ) -> Result<MessagePage, StoreError> {
        self.inner.messages(session, before, limit, scope).await
    }
    async fn delete_expired(&self, cutoff: Timestamp, limit: usize) -> Result<Vec<SessionId>, StoreError> {
        let _under_way = self.enter().await?;
        self.inner.delete_expired(cutoff, limit).await
    }
    async fn check(&self) -> Result<(), StoreError> {
        self.enter().await.map(drop)
    }
}

/// Answers at once. Panics when it is asked to.
#[derive(Debug)]
pub(crate) struct Talkative;

impl ChatModel for Talkative {
    fn name(&self) -> Arc<str> {
        "talkative".into()
    }

    fn stream(&self, request: ChatRequest) -> ModelStream {
        let question = request.question.clone();
        stream::iter(["Well", ", yes."])
            .map(move |text| {
                assert!(&*question != "panic" || text == "Well", "asked to panic");
                Ok(ModelEvent::Text(text.to_owned()))
            })
            .chain(stream::iter([Ok(ModelEvent::Finish(FinishReason::Stop))]))
            .boxed()
    }
}

/// A hub over such a store. Nobody tends it.
pub(crate) fn hub(model: impl ChatModel) -> (Arc<Hub>, Arc<Wayward>) {
    let store = Arc::new(Wayward::new());
    let runner = Arc::new(Runner {
        retriever: Arc::new(NoKnowledge),
        model: Arc::new(model),
        retrieval: Retrieval { top_k: 5, min_score: 0.0, rewrite: false },
        max_output_tokens: 100_000,
        line: Arc::default(),
        budgets: Arc::default(),
        rates: Arc::default(),
        assistants: Arc::default(),
        artifacts: Arc::default(),
        tools: Arc::default(),
    });
    let hour = Duration::from_secs(3600);
    let policy = Policy { idle: hour, ttl: hour, abandon: None, history_messages: 50, sessions: 0 };
    (Arc::new(Hub::new(store.clone(), runner, policy)), store)
}
