//! How a run goes: it waits for its turn, looks things up, asks the model. Uses `knowledge`, `limits`, `llm`, `tools`, `telemetry`
//! and its neighbours.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use async_stream::stream;
use futures_util::{StreamExt, stream::BoxStream};
use tokio::time::{Instant, timeout};
use tracing::warn;

use super::{
    artifacts::Artifacts,
    assistants::{self, Assistants},
    event::RunEvent,
    lookup::{Found, Lookup, Retrieval},
    outcome::Outcome,
    prompt, recollection,
    request::RunRequest,
    rewrite,
    rounds::Rounds,
    sources,
    stages::{Answer, Before, Stages},
    watch::Watched,
    writing::{Told, Writing},
};
use crate::{
    chat::{Doing, Owner, Phase, SessionId, Status, Timestamp},
    config::{Assistant, Facts, Fallback, KnowledgeMode},
    knowledge::{KnowledgeStatus, Retriever},
    limits::{Budgets, Line, OverLimit, Rates, Spender, Standing, Visitor, quota::Quota},
    llm::{
        BY_RULES, ChatModel, ChatRequest, Choice, KnowledgeUse, ModelStream, Sharing, estimated_tokens,
        extractive::Extractive,
    },
    memory::Known,
    telemetry::{metrics::RETRIEVAL_DURATION, spans::RunSpan},
    tools::{Newest, Shared, Toolbox},
};

/// Says that nothing was found; one for all answers, for it bounds what it composes at once.
static NOTHING_FOUND: LazyLock<Extractive> = LazyLock::new(Extractive::default);

/// Generates answers.
#[derive(Debug)]
pub struct Runner {
    /// Finds passages.
    pub retriever: Arc<dyn Retriever>,
    /// Writes.
    pub model: Arc<dyn ChatModel>,
    /// How much to look up.
    pub retrieval: Retrieval,
    /// The most tokens of an answer.
    pub max_output_tokens: u32,
    /// How many runs are in progress at once.
    pub line: Arc<Line>,
    /// What may be spent.
    pub budgets: Arc<Budgets>,
    /// How often what may be asked for.
    pub rates: Arc<Rates>,
    /// Who answers.
    pub assistants: Arc<Assistants>,
    /// Keeps what tools make.
    pub artifacts: Arc<Artifacts>,
    /// What the tools of all assistants have.
    pub tools: Arc<Shared>,
}

impl Runner {
    /// Who writes for an assistant, as `run.start.model` says it.
    #[must_use]
    pub fn model_name(&self, assistant: &Assistant) -> Arc<str> {
        let chosen = assistant.model.targets.first();
        let targets = self.model.targets();
        if targets.is_empty() && assistant.fallback() == Some(Fallback::Rules) {
            return BY_RULES.into();
        }
        let target = chosen.and_then(|name| targets.into_iter().find(|target| target.name == *name));
        target.map_or_else(|| self.model.name(), |target| target.model.into())
    }

    /// Whether answers to `owner` outside of any session are kept, when they may be.
    #[must_use]
    pub fn keeps(&self, owner: Option<&Owner>) -> bool {
        self.model.keeps(owner)
    }

    /// Whether a run of `owner` may begin now, or wait for its turn. Asked before a question is taken, which is counted
    /// among those of `by`, of its session and of the assistant; what is left of that of which there is least. Of budgets and
    /// the line nothing is promised.
    ///
    /// # Errors
    /// [`OverLimit`]; then nothing was counted.
    pub async fn check(
        &self,
        owner: Option<&Owner>,
        by: &Visitor,
        session: Option<&SessionId>,
        assistant: &Assistant,
    ) -> Result<Option<Standing>, OverLimit> {
        let own =
            assistant.limits.requests.map(|most| Quota::new(most, Duration::from_secs(assistant.limits.window_s)));
        let own = own.map(|quota| (assistant.name.as_str(), quota));
        let spender = Spender::new(owner);
        let counted = match self.budgets.check(&spender).and_then(|()| self.line.check(&spender)) {
            Ok(()) => self.rates.take_message(by, session, own).await,
            Err(refusal) => Err(refusal),
        };
        counted.inspect_err(|refusal| refusal.count())
    }

    /// A run. It does nothing until it is polled. Until it is polled again after [`RunEvent::Retrieved`], nothing is
    /// spent and no model is asked: who has to wait for something else may let it come so far, and dropping it costs
    /// nothing.
    #[must_use]
    pub fn start(self: Arc<Self>, request: RunRequest) -> BoxStream<'static, RunEvent> {
        let span = RunSpan::open(request.session.clone());
        let watched = Watched::of(&request, span.clone());
        let before = stream! {
            let spender = Spender::new(request.owner.as_ref());
            let mut place = self.line.enter(spender.clone());
            let mut position = place.position();
            while let Some(at) = position {
                yield Before::Told(RunEvent::Doing(Doing::queued(position)));
                position = place.moved_from(at).await;
            }
            if !place.take_seats().await {
                yield Before::Told(RunEvent::Doing(Doing::queued(Some(1))));
                place.wait_for_seats().await;
            }
            yield Before::Told(RunEvent::Doing(Phase::Retrieving.into()));
            let lookup = Lookup::of(self.retriever.clone(), &self.retrieval, &request);
            let ((found, retrieved), known) =
                tokio::join!(self.look_up(&lookup, &request, &spender, &span), self.recollect(&request));
            if !known.recollection.is_empty() {
                yield Before::Told(RunEvent::Remembered(Arc::new(known.recollection.clone())));
            }
            yield Before::Told(retrieved);
            yield Before::Told(RunEvent::Doing(Phase::Waiting.into()));
            let knowing = &request.assistant.knowledge;
            let has_callers = !request.tools.tools.is_empty() || request.begun.iter().any(|begun| !begun.calls.is_empty());
            let is_silent = knowing.only_grounded
                && knowing.mode == KnowledgeMode::Always
                && found.passages.is_empty()
                && !has_callers;
            let assistant = request.assistant.clone();
            let toolbox = match self.assistants.toolbox(&assistant) {
                _ if has_callers => None,
                // It was taken away meanwhile: that is what comes of the call.
                None if !request.resumes.is_empty() => Some(Arc::new(Toolbox::of(&assistant.tools))),
                found => found,
            };
            let tool_tokens =
                toolbox.as_ref().map_or_else(|| estimated_tokens(request.tools.bytes()), |toolbox| toolbox.tokens());
            let (resumes, are_kept) = (request.resumes.clone(), request.session.is_some());
            let telling = request.telling.clone();
            let (request, prompt_tokens) = self.compose(request, found, &known, tool_tokens, span);
            let spending = match self.budgets.begin(&spender, prompt_tokens.into(), request.max_output_tokens.into()).await {
                Ok(spending) => spending,
                Err(refusal) => {
                    refusal.count();
                    yield Before::Told(RunEvent::End(Outcome::refused(refusal, true)));
                    return;
                }
            };
            yield Before::Told(RunEvent::Asked(prompt_tokens));
            let writing = Writing::new(spending, prompt_tokens);
            let answer = if let Some(toolbox) = toolbox {
                let (model, budgets, artifacts) = (self.model.clone(), self.budgets.clone(), self.artifacts.clone());
                let shared = self.tools.clone();
                let bounds = assistant.tools.calling.clone();
                let rounds = Rounds { model, budgets, spender, lookup, artifacts, shared, toolbox, bounds, are_kept, telling, newest: Newest::default(), request };
                if resumes.is_empty() {
                    rounds.begin(writing, place)
                } else {
                    let mut steps = rounds.resume(resumes, writing, place);
                    while let Some(step) = steps.next().await {
                        yield step;
                    }
                    return;
                }
            } else if is_silent {
                // What is not in the documents nobody is asked for; where there are tools, they may know.
                Answer::new(NOTHING_FOUND.stream(request), writing, place)
            } else {
                Answer::new(self.model.stream(request), writing, place)
            };
            yield Before::Answer(Box::new(answer));
        };
        watched.around(Stages::Before(before.boxed())).boxed()
    }

    /// Searches for passages, as many as fit into the prompt.
    async fn look_up(
        &self,
        lookup: &Lookup,
        request: &RunRequest,
        spender: &Spender,
        span: &RunSpan,
    ) -> (Found, RunEvent) {
        let started = Instant::now();
        if request.assistant.knowledge.mode == KnowledgeMode::Off {
            let nothing = RunEvent::Retrieved { sources: Arc::from([]), took: started.elapsed() };
            return (Found { passages: Vec::new(), knowledge: KnowledgeUse::Searched, version: Some(0) }, nothing);
        }
        let rewritten = if self.retrieval.rewrite { self.rewrite(request, spender, span).await } else { None };
        let question = rewritten.as_deref().unwrap_or(&request.question);
        let search = span.retrieval(&request.assistant.knowledge.collections.join(","));
        let found = lookup.search(question).await;
        let is_failure = found.knowledge == KnowledgeUse::Unavailable;
        search.end(found.passages.len(), is_failure.then_some("unavailable"));
        let sources = sources::from_passages(&found.passages);
        (found, RunEvent::Retrieved { sources, took: started.elapsed() })
    }

    /// What is known of whoever asks.
    async fn recollect(&self, request: &RunRequest) -> Known {
        match &request.telling {
            Some(telling) => self.tools.memories.recollect(telling).await,
            None => Known::default(),
        }
    }

    /// The question as it can be searched for alone; `None` when it can be as it is, or when nobody says how. It is
    /// charged like an answer.
    async fn rewrite(&self, request: &RunRequest, spender: &Spender, span: &RunSpan) -> Option<String> {
        if !matches!(self.retriever.status(), KnowledgeStatus::Ready | KnowledgeStatus::Loading) {
            return None;
        }
        let prompt = rewrite::prompt(&request.question, &request.history)?;
        let most = self.max_output_tokens.min(rewrite::MAX_TOKENS);
        let tokens = prompt::tokens(&prompt);
        let spending = self.budgets.begin(spender, tokens.into(), most.into()).await.ok()?;
        let asker = request.owner.clone();
        // Who stands in for models rewrites nothing.
        let choice = Choice { fallback: Some(Fallback::None), ..assistants::choice(&request.assistant) };
        let span = span.clone();
        let asked = ChatRequest { choice, asker, span, ..ChatRequest::new(prompt, &request.question, most) };
        let started = Instant::now();
        let written =
            timeout(rewrite::PATIENCE, written(self.model.stream(asked), Writing::new(spending, tokens))).await;
        metrics::histogram!(RETRIEVAL_DURATION, "stage" => "rewrite").record(started.elapsed().as_secs_f64());
        let question = written.ok().flatten().as_deref().and_then(rewrite::question);
        if question.is_none() {
            warn!("a question is searched for as it was asked: no model said what it is about");
        }
        question
    }

    /// What a model is asked, and about how many tokens that is.
    fn compose(
        &self,
        request: RunRequest,
        found: Found,
        known: &Known,
        tool_tokens: u32,
        span: RunSpan,
    ) -> (ChatRequest, u32) {
        let Found { passages, knowledge, version } = found;
        let RunRequest { assistant, question, history, instructions, owner, keeps_history, .. } = request;
        let knowing = &assistant.knowledge;
        let persona = assistant.prompt.as_ref().map(|prompt| {
            let today = Timestamp::now().day();
            let (tenant, user) = (owner.as_ref().map(Owner::tenant), owner.as_ref().map(Owner::user));
            prompt.fill(&Facts { today: &today, tenant, user })
        });
        let memory = request.telling.as_ref().and_then(|_| recollection::told(known));
        let told = prompt::Told {
            persona: persona.as_deref(),
            memory: memory.as_deref(),
            documents: (knowing.mode == KnowledgeMode::Always)
                .then_some(prompt::Documents { alone_count: knowing.only_grounded }),
            tool_tokens,
            instructions: instructions.as_deref(),
        };
        let mut prompt = prompt::compose(&question, history, &passages, &told, keeps_history);
        let rests_on_calls = request.begun.iter().any(|begun| !begun.calls.is_empty());
        prompt.extend(request.begun);
        let tokens = prompt::tokens(&prompt).saturating_add(tool_tokens);
        let most =
            assistant.model.max_output_tokens.map_or(self.max_output_tokens, |own| own.min(self.max_output_tokens));
        let mut choice = assistants::choice(&assistant);
        // Who stands in for a model has passages alone; rules have what came of the calls.
        let has_nothing = rests_on_calls && passages.is_empty() && choice.fallback != Some(Fallback::Rules);
        if request.tools.choice.wants_a_call() || has_nothing {
            choice.fallback = Some(Fallback::None);
        }
        let asked = ChatRequest {
            prompt: prompt.into(),
            tools: request.tools,
            question,
            passages: passages.into(),
            knowledge,
            max_output_tokens: request.max_output_tokens.map_or(most, |tokens| tokens.min(most)),
            parameters: assistants::parameters(&assistant, &request.parameters),
            choice,
            may_withdraw: request.may_withdraw,
            sharing: Sharing {
                session: request.session,
                may_keep: request.may_share && version.is_some(),
                is_anew: request.is_anew,
            },
            asker: owner,
            span,
        };
        (asked, tokens)
    }
}

/// The whole of a short text that a model writes; `None` when it does not come to its end.
async fn written(mut events: ModelStream, mut writing: Writing) -> Option<String> {
    let mut text = String::new();
    while let Some(event) = events.next().await {
        let Told { event, end, .. } = writing.take(event);
        match event {
            Some(RunEvent::Text(piece)) => text.push_str(&piece),
            Some(RunEvent::Failover(failover)) if failover.keep == 0 => text.clear(),
            _ => {}
        }
        if end.is_some() {
            return None;
        }
    }
    (writing.end().status == Status::Complete).then_some(text)
}
