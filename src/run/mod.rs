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
    chat::{Author, Doing, Owner, Phase, RunError, SessionId, Source, Status, Usage},
    knowledge::{KnowledgeStatus, Passage, Retriever, SearchMode, SearchQuery},
    limits::{Budgets, Line, Refusal, Spender},
    llm::{
        ChatModel, ChatRequest, Failover, FinishReason, KnowledgeUse, ModelError, ModelEvent, Parameters,
        PromptMessage, PromptRole, Sharing,
    },
    telemetry::{metrics::MEMORY_RETRIEVALS, spans::RunSpan},
};

use self::{prompt::estimate_tokens, watch::Watched};

pub mod citations;
pub mod prompt;
pub mod sources;
mod watch;

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

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// How.
    pub status: Status,
    /// What it cost, if known.
    pub usage: Option<Usage>,
    /// Why it failed, when it did.
    pub error: Option<RunError>,
}

impl Outcome {
    /// A run that ended without saying how, with or without text.
    #[must_use]
    pub fn broken_off(without_text: bool) -> Self {
        let status = if without_text { Status::Error } else { Status::Incomplete };
        Self { status, usage: None, error: Some(RunError::new("internal", "The answer broke off.", true)) }
    }

    /// A run of which nothing more may be spent or begun.
    fn refused(refusal: Refusal, without_text: bool) -> Self {
        let status = if without_text { Status::Error } else { Status::Incomplete };
        let error = RunError::new(refusal.code(), sentence(&refusal.to_string()), true);
        Self { status, usage: None, error: Some(error.retry_in(refusal.retry_in())) }
    }

    fn failed(error: &ModelError, without_text: bool) -> Self {
        let status = if without_text { Status::Error } else { Status::Incomplete };
        let message = match error {
            ModelError::Unavailable { .. } => "The model cannot be reached.",
            ModelError::Timeout { .. } => "The model took too long.",
            ModelError::Rejected { .. } => "The model's provider rejected the request.",
            ModelError::Truncated { .. } => "The model's answer broke off.",
        };
        let retry_after = if let ModelError::Unavailable { retry_after, .. } = error { *retry_after } else { None };
        let told = RunError::new(error.code(), message, error.is_retryable()).retry_in(retry_after);
        Self { status, usage: None, error: Some(told) }
    }
}

impl Runner {
    /// Who answers, as `run.start.model` says it.
    #[must_use]
    pub fn model_name(&self) -> &str {
        self.model.name()
    }

    /// Whether a run of `owner` may begin now, or wait for its turn. Asked before a question is taken; nothing is
    /// promised by it.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn check(&self, owner: Option<&Owner>) -> Result<(), Refusal> {
        let spender = Spender::new(owner);
        let refused = self.budgets.check(&spender).and_then(|()| self.line.check(&spender));
        refused.inspect_err(|refusal| refusal.count())
    }

    /// A run. It does nothing until it is polled.
    #[must_use]
    pub fn start(self: Arc<Self>, request: RunRequest) -> BoxStream<'static, RunEvent> {
        let span = RunSpan::open(request.session.clone());
        let run = span.clone();
        let events = stream! {
            let spender = Spender::new(request.owner.as_ref());
            let place = self.line.enter(spender.clone());
            let mut position = place.position();
            while let Some(at) = position {
                yield RunEvent::Doing(Doing { phase: Phase::Queued, position });
                position = place.moved_from(at).await;
            }
            yield RunEvent::Doing(Phase::Retrieving.into());
            let started = Instant::now();
            let search = span.retrieval(&self.retrieval.collection);
            let Found { passages, knowledge, version } = self.retrieve(&request.question).await;
            search.end(passages.len(), (knowledge == KnowledgeUse::Unavailable).then_some("unavailable"));
            let passages = prompt::fit_passages(passages);
            yield RunEvent::Retrieved { sources: sources::from_passages(&passages), took: started.elapsed() };

            yield RunEvent::Doing(Phase::Waiting.into());
            let mut spending = self.budgets.open(spender);
            let RunRequest { question, history, instructions, owner, parameters, may_withdraw, is_anew, may_share, keeps_history, .. } = request;
            let mut prompt = prompt::compose(&question, history, &passages, instructions.as_deref(), keeps_history);
            prompt.extend(request.beginning.map(|content| PromptMessage { role: PromptRole::Assistant, content }));
            let tokens: usize = prompt.iter().map(|message| estimate_tokens(&message.content)).sum();
            if let Err(refusal) = spending.prompt(tokens) {
                spending.settle(None); // Nobody was asked.
                refusal.count();
                yield RunEvent::End(Outcome::refused(refusal, true));
                return;
            }
            yield RunEvent::Asked(u32::try_from(tokens).unwrap_or(u32::MAX));
            let mut events = self.model.stream(ChatRequest {
                prompt: prompt.into(),
                question,
                passages: passages.into(),
                knowledge,
                max_output_tokens: request.max_output_tokens.map_or(self.max_output_tokens, |most| most.min(self.max_output_tokens)),
                parameters,
                may_withdraw,
                sharing: Sharing { tenant: owner.map(|owner| owner.tenant().into()), knowledge: version.filter(|_| may_share), is_anew },
                span,
            });
            let mut doing = Doing::from(Phase::Waiting);
            let mut is_cached = false;
            let mut bytes = 0;
            let mut usage = None;
            let mut finish = None;
            while let Some(event) = events.next().await {
                let now = match &event {
                    Ok(ModelEvent::Queued(position)) => Doing { phase: Phase::Queued, position: Some(*position) },
                    Ok(ModelEvent::Asked) => Phase::Waiting.into(),
                    Ok(ModelEvent::Thinking) => Phase::Thinking.into(),
                    Ok(ModelEvent::Text(_)) => Phase::Streaming.into(),
                    _ => doing,
                };
                if now != doing {
                    doing = now;
                    yield RunEvent::Doing(doing);
                }
                match event {
                    Ok(ModelEvent::Queued(_) | ModelEvent::Asked | ModelEvent::Thinking) => {}
                    Ok(ModelEvent::By(author)) => {
                        is_cached = author.cached;
                        if is_cached {
                            spending.settle(None); // Nobody was asked for it.
                        }
                        yield RunEvent::By(author);
                    }
                    Ok(ModelEvent::Text(mut text)) => {
                        let whole = text.len();
                        text.truncate(text.floor_char_boundary(MAX_ANSWER_BYTES - bytes));
                        bytes += text.len();
                        let is_cut = text.len() < whole;
                        let spent = if is_cached { Ok(()) } else { spending.text(&text) };
                        if !text.is_empty() {
                            yield RunEvent::Text(text);
                        }
                        if let Err(refusal) = spent {
                            refusal.count();
                            yield RunEvent::End(Outcome { usage, ..Outcome::refused(refusal, false) });
                            return;
                        }
                        if is_cut {
                            warn!(bytes, "an answer was cut: it is too long");
                            yield RunEvent::End(Outcome { status: Status::Length, usage, error: None });
                            return;
                        }
                    }
                    Ok(ModelEvent::Failover(failover)) => {
                        if failover.keep == 0 {
                            bytes = 0; // What is withdrawn does not count.
                        }
                        yield RunEvent::Failover(failover);
                    }
                    Ok(ModelEvent::Usage(newest)) => {
                        usage = Some(newest);
                        if !is_cached {
                            spending.settle(usage);
                        }
                    }
                    Ok(ModelEvent::Finish(reason)) => finish = Some(reason),
                    Err(error) => {
                        warn!(%error, "a model did not finish its answer");
                        if usage.is_none() && bytes == 0 {
                            spending.settle(None); // Nobody answered.
                        }
                        yield RunEvent::End(Outcome { usage, ..Outcome::failed(&error, bytes == 0) });
                        return;
                    }
                }
            }
            yield RunEvent::End(match finish {
                Some(reason) => Outcome { status: status_of(reason), usage, error: None },
                None => Outcome { usage, ..Outcome::broken_off(bytes == 0) },
            });
        };
        Watched::new(events, run).boxed()
    }

    async fn retrieve(&self, question: &str) -> Found {
        let query = SearchQuery {
            text: question.to_owned(),
            collection: self.retrieval.collection.clone(),
            top_k: self.retrieval.top_k,
            mode: SearchMode::Hybrid,
            min_score: Some(self.retrieval.min_score),
        };
        metrics::counter!(MEMORY_RETRIEVALS).increment(1);
        // Asked before the search: what is ready then was searched whole, and what was found is not older than this.
        let status = self.retriever.status();
        let searching = async {
            let version = self.retriever.version(&query.collection).await;
            (version.ok(), self.retriever.retrieve(&query).await)
        };
        match timeout(RETRIEVAL_TIMEOUT, searching).await {
            Ok((version, Ok(passages))) => {
                let is_loading = status == KnowledgeStatus::Loading;
                let knowledge = if is_loading { KnowledgeUse::Loading } else { KnowledgeUse::Searched };
                return Found { passages, knowledge, version };
            }
            Ok((_, Err(error))) => warn!(%error, "answering without passages"),
            Err(_) => warn!(after = ?RETRIEVAL_TIMEOUT, "retrieval timed out, answering without passages"),
        }
        Found { passages: Vec::new(), knowledge: KnowledgeUse::Unavailable, version: None }
    }
}

/// What retrieval came to.
struct Found {
    passages: Vec<Passage>,
    knowledge: KnowledgeUse,
    /// The state of the knowledge, or a later one.
    version: Option<u64>,
}

/// An error's words as a sentence for people.
fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), chars.as_str()))
}

const fn status_of(reason: FinishReason) -> Status {
    match reason {
        FinishReason::Stop => Status::Complete,
        FinishReason::Length => Status::Length,
        FinishReason::Filtered => Status::Filtered,
    }
}
