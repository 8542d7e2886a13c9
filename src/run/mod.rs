//! One run: retrieve → prompt → model → events, as a stream that knows no session. Dropping it cancels everything.
//!
//! Uses `llm`, `knowledge`, `chat`. What fails before the model is asked (retrieval) does not end a run: an answer
//! without passages is better than none, and the log says why.

use std::{sync::Arc, time::Duration};

use async_stream::stream;
use futures_util::{StreamExt, stream::BoxStream};
use tokio::time::{Instant, timeout};
use tracing::warn;

use crate::{
    chat::{Author, Doing, Owner, Phase, SessionId, Source},
    knowledge::{KnowledgeStatus, MAX_QUESTION_CHARS, Passage, Retrieved, Retriever, SearchMode, SearchQuery},
    limits::{Budgets, Line, OverLimit, Spender},
    llm::{
        ChatModel, ChatRequest, Failover, KnowledgeUse, Parameters, PromptMessage, PromptRole, Sharing,
        estimated_tokens,
    },
    telemetry::{metrics::MEMORY_RETRIEVALS, spans::RunSpan},
};

use self::{
    quotation::fit_passages,
    stages::{Answer, Before, Stages},
    watch::Watched,
    writing::Writing,
};

pub mod citations;
mod outcome;
pub mod prompt;
mod quotation;
pub mod sources;
mod stages;
mod watch;
mod writing;

pub use self::outcome::Outcome;

/// The most bytes of one answer, whatever `llm.max_output_tokens` allows. A snapshot with it, escaped, fits into what
/// a socket may buffer.
pub const MAX_ANSWER_BYTES: usize = 2 << 20;
/// Retrieval that takes longer is given up; the answer goes on without passages.
const RETRIEVAL_TIMEOUT: Duration = Duration::from_secs(5);

/// Generates answers.
#[derive(Debug)]
pub struct Runner {
    /// Finds passages.
    pub retriever: Arc<dyn Retriever>,
    /// Answers.
    pub model: Arc<dyn ChatModel>,
    /// Where and how much to look up.
    pub retrieval: Retrieval,
    /// The most tokens of an answer.
    pub max_output_tokens: u32,
    /// How many runs are in progress at once.
    pub line: Arc<Line>,
    /// What may be spent.
    pub budgets: Arc<Budgets>,
}

/// Where and how much to look up.
#[derive(Debug, Clone)]
pub struct Retrieval {
    /// The collection.
    pub collection: String,
    /// Passages given to the model.
    pub top_k: usize,
    /// Passages that fit worse are left out.
    pub min_score: f32,
}

/// What is to be answered.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// The question.
    pub question: Arc<str>,
    /// What was said before it, oldest first.
    pub history: Vec<PromptMessage>,
    /// What the caller tells the model besides the assistant's instructions.
    pub instructions: Option<String>,
    /// Who asks; `None` where nobody need say so.
    pub owner: Option<Owner>,
    /// How the answer begins, when it does already: it is to be gone on with.
    pub beginning: Option<String>,
    /// How it is to be written.
    pub parameters: Arc<Parameters>,
    /// The most tokens of the answer, when it shall be fewer than usual.
    pub max_output_tokens: Option<u32>,
    /// Whether all of the history is given to the model, however long it is: the provider says when it is too long.
    pub keeps_history: bool,
    /// Whether text that was passed on can be withdrawn again.
    pub may_withdraw: bool,
    /// Whether another answer than the one that may be known already is wanted.
    pub is_anew: bool,
    /// Whether the answer may be kept and given to others, and one that is known may be given.
    pub may_share: bool,
    /// The session it belongs to, as its span shall say.
    pub session: Option<SessionId>,
}

impl RunRequest {
    /// A question of `owner`, as a conversation has it.
    #[must_use]
    pub fn new(question: &str, history: Vec<PromptMessage>, owner: Option<Owner>) -> Self {
        Self {
            question: question.into(),
            history,
            instructions: None,
            beginning: None,
            owner,
            parameters: Arc::default(),
            max_output_tokens: None,
            keeps_history: false,
            may_withdraw: true,
            is_anew: false,
            may_share: true,
            session: None,
        }
    }
}

/// A step of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum RunEvent {
    /// It is doing something else now.
    Doing(Doing),
    /// Retrieval is over, with or without a find.
    Retrieved {
        /// What was found, best first.
        sources: Arc<[Source]>,
        /// How long it took.
        took: Duration,
    },
    /// A model is asked, with a prompt of about so many tokens.
    Asked(u32),
    /// Who writes the text that follows.
    By(Author),
    /// A piece of the answer, never empty.
    Text(String),
    /// Another model takes over; its text follows.
    Failover(Failover),
    /// It is over; nothing follows.
    End(Outcome),
}

impl Runner {
    /// Who answers, as `run.start.model` says it.
    #[must_use]
    pub fn model_name(&self) -> &str {
        self.model.name()
    }

    /// Whether answers to `owner` outside of any session are kept, when they may be.
    #[must_use]
    pub fn keeps(&self, owner: Option<&Owner>) -> bool {
        self.model.keeps(owner)
    }

    /// Whether a run of `owner` may begin now, or wait for its turn. Asked before a question is taken; nothing is
    /// promised by it.
    ///
    /// # Errors
    /// [`OverLimit`].
    pub fn check(&self, owner: Option<&Owner>) -> Result<(), OverLimit> {
        let spender = Spender::new(owner);
        let refused = self.budgets.check(&spender).and_then(|()| self.line.check(&spender));
        refused.inspect_err(|refusal| refusal.count())
    }

    /// A run. It does nothing until it is polled. Until it is polled again after [`RunEvent::Retrieved`], nothing is
    /// spent and no model is asked: who has to wait for something else may let it come so far, and dropping it costs
    /// nothing.
    #[must_use]
    pub fn start(self: Arc<Self>, request: RunRequest) -> BoxStream<'static, RunEvent> {
        let span = RunSpan::open(request.session.clone());
        let watched = span.clone();
        let before = stream! {
            let spender = Spender::new(request.owner.as_ref());
            let place = self.line.enter(spender.clone());
            let mut position = place.position();
            while let Some(at) = position {
                yield Before::Told(RunEvent::Doing(Doing { phase: Phase::Queued, position }));
                position = place.moved_from(at).await;
            }
            yield Before::Told(RunEvent::Doing(Phase::Retrieving.into()));
            let (found, retrieved) = self.look_up(&request, &span).await;
            yield Before::Told(retrieved);
            yield Before::Told(RunEvent::Doing(Phase::Waiting.into()));
            let (request, prompt_tokens) = self.compose(request, found, span);
            let spending = match self.budgets.open(&spender, prompt_tokens.into(), request.max_output_tokens.into()) {
                Ok(spending) => spending,
                Err(refusal) => {
                    refusal.count();
                    yield Before::Told(RunEvent::End(Outcome::refused(refusal, true)));
                    return;
                }
            };
            yield Before::Told(RunEvent::Asked(prompt_tokens));
            let answer = Answer::new(self.model.stream(request), Writing::new(spending), place);
            yield Before::Answer(Box::new(answer));
        };
        Watched::new(Stages::Before(before.boxed()), watched).boxed()
    }

    /// Searches for passages, as many as fit into the prompt.
    async fn look_up(&self, request: &RunRequest, span: &RunSpan) -> (Found, RunEvent) {
        let started = Instant::now();
        let search = span.retrieval(&self.retrieval.collection);
        let found = self.retrieve(request).await;
        let is_failure = found.knowledge == KnowledgeUse::Unavailable;
        search.end(found.passages.len(), is_failure.then_some("unavailable"));
        let found = Found { passages: fit_passages(found.passages), ..found };
        let sources = sources::from_passages(&found.passages);
        (found, RunEvent::Retrieved { sources, took: started.elapsed() })
    }

    async fn retrieve(&self, request: &RunRequest) -> Found {
        let query = SearchQuery {
            text: request.question.chars().take(MAX_QUESTION_CHARS).collect(),
            collection: self.retrieval.collection.clone(),
            top_k: self.retrieval.top_k,
            mode: SearchMode::Hybrid,
            min_score: Some(self.retrieval.min_score),
            owner: request.owner.clone(),
            session: request.session.clone(),
        };
        metrics::counter!(MEMORY_RETRIEVALS).increment(1);
        // Asked before the search: what is ready then was searched whole.
        let status = self.retriever.status();
        match timeout(RETRIEVAL_TIMEOUT, self.retriever.retrieve(&query)).await {
            Ok(Ok(Retrieved { passages, version })) => {
                let is_loading = status == KnowledgeStatus::Loading;
                let knowledge = if is_loading { KnowledgeUse::Loading } else { KnowledgeUse::Searched };
                return Found { passages, knowledge, version };
            }
            Ok(Err(error)) => warn!(%error, "answering without passages"),
            Err(_) => warn!(after = ?RETRIEVAL_TIMEOUT, "retrieval timed out, answering without passages"),
        }
        Found { passages: Vec::new(), knowledge: KnowledgeUse::Unavailable, version: None }
    }

    /// What a model is asked, and about how many tokens that is.
    fn compose(&self, request: RunRequest, found: Found, span: RunSpan) -> (ChatRequest, u32) {
        let Found { passages, knowledge, version } = found;
        let RunRequest { question, history, instructions, owner, parameters, keeps_history, .. } = request;
        let mut prompt = prompt::compose(&question, history, &passages, instructions.as_deref(), keeps_history);
        prompt.extend(request.beginning.map(|content| PromptMessage { role: PromptRole::Assistant, content }));
        let tokens = estimated_tokens(prompt.iter().map(|message| message.content.len()).sum());
        let most = self.max_output_tokens;
        let asked = ChatRequest {
            prompt: prompt.into(),
            question,
            passages: passages.into(),
            knowledge,
            max_output_tokens: request.max_output_tokens.map_or(most, |tokens| tokens.min(most)),
            parameters,
            may_withdraw: request.may_withdraw,
            sharing: Sharing {
                session: request.session,
                knowledge: version.filter(|_| request.may_share),
                is_anew: request.is_anew,
            },
            asker: owner,
            span,
        };
        (asked, tokens)
    }
}

/// What retrieval came to.
struct Found {
    passages: Vec<Passage>,
    knowledge: KnowledgeUse,
    /// The state of the knowledge, or a later one.
    version: Option<u64>,
}
