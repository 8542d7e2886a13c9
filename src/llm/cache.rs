//! Answers that are given again: a model around a model.
//!
//! Who asks exactly the same gets the answer that is known, or joins the one that is just being written. The same means:
//! of the same circle, from the same models, with the same parameters, limit and prompt. The assistant's instructions, the
//! conversation and the passages are part of the prompt, letter by letter: the knowledge has changed for a question when
//! they have, and that means the same at every gateway. A circle is one user, unless the operator lets users share: a quick
//! answer tells that somebody has asked.
//!
//! Kept is what is good for the whole circle: an answer that ended of itself, with text, from a configured model alone,
//! over knowledge that was searched whole, and without tools. Where gateways have a Redis, what one keeps all may give
//! again: that one is asked first, and of what is there and what is kept here, the newer one counts. Calls under way are
//! shared within a gateway. Uses `chat`, `config`'s [`CacheRule`] and `telemetry`.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{FutureExt, Stream, StreamExt};
use moka::{policy::EvictionPolicy, sync::Cache};
use parking_lot::Mutex;

pub use self::shared::Answers;
use self::{
    flight::{Flight, Participant, Whole},
    shared::{Asker, Change, Found, Key, LAYOUT, Names},
};
use super::{
    ChatModel, ChatRequest, FinishReason, KnowledgeUse, ModelError, ModelEvent, ModelStream, PromptRole, TargetReport,
};
use crate::{
    chat::{Circle, Owner, Timestamp},
    config::CacheRule,
    telemetry::caches::{ANSWERS, CacheReport, Lookup, Lookups},
};

mod flight;
mod shared;

/// The most bytes of a piece in which a known answer is told.
const PIECE_BYTES: usize = 32;

/// A model whose answers are given again.
pub struct Cached(Arc<Shared>);

struct Shared {
    model: Arc<dyn ChatModel>,
    /// What all keys begin with: the models.
    key: blake3::Hasher,
    /// Whose answers are kept. Nobody else's: who stands in for them today need not be wanted tomorrow.
    authors: Vec<String>,
    /// Whether the model answers from the question and the passages themselves, and not from the prompt.
    reads_passages: bool,
    kept: Cache<Key, Arc<Whole>>,
    /// Those of all gateways.
    all: Option<Arc<Answers>>,
    /// At most as many as runs in progress.
    flights: Mutex<HashMap<FlightKey, Arc<Flight>>>,
    looks: Lookups,
    rule: CacheRule,
}

/// Runs that cannot withdraw text are on flights of their own: another model may take over in the others.
type FlightKey = (Key, bool);

impl Cached {
    /// Keeps what `model` answers, as `rule` says.
    #[must_use]
    pub fn new(model: Arc<dyn ChatModel>, rule: CacheRule) -> Self {
        Self::with(model, rule, None)
    }

    /// The same, and gives again what other gateways keep that have these `settings`, and they what this one does.
    #[must_use]
    pub fn together(model: Arc<dyn ChatModel>, rule: CacheRule, all: Arc<Answers>, settings: &str) -> Self {
        Self::with(model, rule, Some((all, settings)))
    }

    fn with(model: Arc<dyn ChatModel>, rule: CacheRule, others: Option<(Arc<Answers>, &str)>) -> Self {
        let targets = model.targets();
        let mut key = blake3::Hasher::new();
        add(&mut key, LAYOUT.as_bytes());
        add(&mut key, others.as_ref().map_or("", |(_, settings)| settings).as_bytes());
        add(&mut key, model.name().as_bytes());
        for target in &targets {
            add(&mut key, target.name.as_bytes());
            add(&mut key, target.model.as_bytes());
        }
        let reads_passages = targets.is_empty(); // So does who answers without any server.
        let authors = targets.into_iter().map(|target| target.model).chain([model.name().to_string()]).collect();
        let kept = Cache::builder()
            .max_capacity(rule.entries)
            .time_to_live(rule.ttl)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        let (flights, looks) = (Mutex::default(), Lookups::new(ANSWERS));
        let all = others.map(|(all, _)| all);
        Self(Arc::new(Shared { model, key, authors, reads_passages, kept, all, flights, looks, rule }))
    }
}

impl fmt::Debug for Cached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached").field("model", &self.0.model).field("rule", &self.0.rule).finish_non_exhaustive()
    }
}

impl ChatModel for Cached {
    fn name(&self) -> Arc<str> {
        self.0.model.name()
    }

    fn stream(&self, request: ChatRequest) -> ModelStream {
        let shared = Arc::clone(&self.0);
        shared.begin(request).flatten_stream().boxed()
    }

    fn targets(&self) -> Vec<TargetReport> {
        self.0.model.targets()
    }

    fn keeps(&self, asker: Option<&Owner>) -> bool {
        Circle::of(asker, None, self.0.rule.shared).is_some()
    }

    fn caches(&self) -> Vec<CacheReport> {
        self.0.kept.run_pending_tasks(); // Or the newest would be missing, and what is over its time counted.
        vec![self.0.looks.report(self.0.kept.entry_count(), self.0.rule.entries, Some(self.0.rule.ttl))]
    }
}

impl Shared {
    async fn begin(self: Arc<Self>, request: ChatRequest) -> Answer {
        let Some(names) = self.names_of(&request) else {
            self.looks.count(Lookup::Passed);
            return Answer::Passed(self.model.stream(request));
        };
        let found = match &self.all {
            Some(all) => all.get(&names, &self.rule).await,
            None => None,
        };
        let asker = Asker::of(request.asker.as_ref(), request.sharing.session.as_ref());
        let (own, there) = (self.kept.get(&names.key), found.as_ref().map(Found::written_at));
        let newest = there.max(own.as_ref().map(|own| own.written_at)).unwrap_or(Timestamp(0));
        let question = Question { names, asker, newest, is_anew: request.sharing.is_anew };
        if question.is_anew {
            self.looks.count(Lookup::Passed);
            let flight = (names.key, request.may_withdraw);
            let participant = Flight::start(self.model.stream(request));
            return Answer::Flying(Flying { shared: self, question, flight, participant, is_free: false });
        }
        if let Some(found) = found {
            match (own.filter(|own| Some(own.written_at) > there), found) {
                // It was lost on its way there.
                (Some(own), found) => self.put(&question, &own, matches!(found, Found::Answer(_))),
                (None, Found::Answer(whole)) => {
                    self.looks.count(Lookup::HitShared);
                    return Answer::Known(Replay { whole, step: Step::Free });
                }
                (None, Found::Newer(_)) => {}
            }
        }
        self.begin_here(question, request)
    }

    /// What is kept at this gateway, unless a newer one is known of, what is under way, or the model.
    fn begin_here(self: Arc<Self>, question: Question, request: ChatRequest) -> Answer {
        let Question { names, newest, .. } = question;
        let flight_key = (names.key, request.may_withdraw);
        // Under one lock, and an answer is kept before its flight is taken off: it is always in one of the two.
        let mut flights = self.flights.lock();
        if let Some(whole) = self.kept.get(&names.key).filter(|whole| whole.written_at >= newest) {
            drop(flights);
            self.looks.count(Lookup::Hit);
            return Answer::Known(Replay { whole, step: Step::Free });
        }
        let (outcome, participant) = match flights.entry(flight_key) {
            Entry::Occupied(mut entry) => match entry.get().join() {
                Some(participant) => (Lookup::Joined, participant),
                None => {
                    let participant = Flight::start(self.model.stream(request));
                    entry.insert(Arc::clone(participant.flight()));
                    (Lookup::Miss, participant)
                }
            },
            Entry::Vacant(entry) => {
                let participant = Flight::start(self.model.stream(request));
                entry.insert(Arc::clone(participant.flight()));
                (Lookup::Miss, participant)
            }
        };
        drop(flights);
        self.looks.count(outcome);
        Answer::Flying(Flying { shared: self, question, flight: flight_key, participant, is_free: false })
    }

    /// What makes a request the same as another one; `None` when its answer is for nobody else.
    fn names_of(&self, request: &ChatRequest) -> Option<Names> {
        // What tools tell is of this moment and for who asks.
        if request.has_tools() || !request.sharing.may_keep || request.knowledge != KnowledgeUse::Searched {
            return None;
        }
        let circle = Circle::of(request.asker.as_ref(), request.sharing.session.as_ref(), self.rule.shared)?;
        let parameters = serde_json::to_vec(&*request.parameters).ok()?;
        let mut key = self.key.clone();
        add(&mut key, circle.as_str().as_bytes());
        key.update(&request.max_output_tokens.to_le_bytes());
        add(&mut key, &parameters);
        for target in request.choice.targets.iter() {
            add(&mut key, target.as_bytes());
        }
        key.update(&[request.choice.fallback.map_or(0, |fallback| 1 + fallback as u8)]);
        add(&mut key, request.choice.by_rules().map_or("", |rules| &rules.version).as_bytes());
        for message in request.prompt.iter() {
            key.update(&[match message.role {
                PromptRole::System => 0,
                PromptRole::User => 1,
                PromptRole::Assistant => 2,
            }]);
            add(&mut key, message.content.as_bytes());
        }
        if self.reads_passages {
            // Where the question begins cannot be told from the prompt, and how well a passage fits is not in it.
            add(&mut key, request.question.as_bytes());
            add(&mut key, &serde_json::to_vec(&*request.passages).ok()?);
        }
        Some(Names::of(&key))
    }

    /// A flight may have come to its end: what is worth it is kept.
    fn settle(&self, question: &Question, key: &FlightKey, flight: &Arc<Flight>) {
        let Some(whole) = flight.settle() else { return };
        if let Some(whole) = whole.filter(|whole| self.authors.iter().any(|author| **author == *whole.author.model)) {
            // Whatever clocks say.
            let written_at = whole.written_at.max(Timestamp(question.newest.0.saturating_add(1)));
            let whole = Arc::new(Whole { written_at, ..whole });
            self.put(question, &whole, question.is_anew);
            self.kept.insert(question.names.key, whole);
        }
        self.take_off(key, flight);
    }

    /// Has it put where all gateways look.
    fn put(&self, question: &Question, whole: &Arc<Whole>, replaces: bool) {
        let Some(all) = &self.all else { return };
        let Question { names, asker, .. } = *question;
        all.put(Change { names, asker, whole: Arc::clone(whole), replaces, rule: self.rule });
    }

    fn take_off(&self, key: &FlightKey, flight: &Arc<Flight>) {
        if let Entry::Occupied(entry) = self.flights.lock().entry(*key)
            && Arc::ptr_eq(entry.get(), flight)
        {
            entry.remove();
        }
    }
}

/// What is asked, as far as its answer is to be kept.
#[derive(Clone, Copy)]
struct Question {
    names: Names,
    asker: Asker,
    /// When the newest answer was written that is known of, here or in the Redis; 0: none.
    newest: Timestamp,
    /// Whether another answer than the known one is wanted.
    is_anew: bool,
}

/// Adds a part to a key, so that its borders cannot be mistaken.
fn add(key: &mut blake3::Hasher, part: &[u8]) {
    key.update(&(part.len() as u64).to_le_bytes()).update(part);
}

/// An answer as the caller gets it.
enum Answer {
    /// Nobody else's business.
    Passed(ModelStream),
    /// Known already.
    Known(Replay),
    /// Being written, perhaps for others as well.
    Flying(Flying),
}

impl Stream for Answer {
    type Item = Result<ModelEvent, ModelError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.get_mut() {
            Self::Passed(stream) => stream.poll_next_unpin(context),
            Self::Known(replay) => Poll::Ready(replay.next().map(Ok)),
            Self::Flying(flying) => flying.poll_next_unpin(context),
        }
    }
}

/// A known answer, told anew: in small pieces, as a model would, and without a pause.
struct Replay {
    whole: Arc<Whole>,
    step: Step,
}

enum Step {
    Free,
    Author,
    Text(usize),
    Usage,
    Over,
}

impl Replay {
    fn next(&mut self) -> Option<ModelEvent> {
        let whole = &self.whole;
        match self.step {
            Step::Free => {
                self.step = Step::Author;
                Some(ModelEvent::Free(true))
            }
            Step::Author => {
                self.step = Step::Text(0);
                Some(ModelEvent::By(whole.author.clone()))
            }
            Step::Text(at) if at < whole.text.len() => {
                let end = at + piece(&whole.text[at..]);
                self.step = Step::Text(end);
                Some(ModelEvent::Text(whole.text[at..end].to_owned()))
            }
            Step::Text(_) => {
                self.step = Step::Usage;
                Some(ModelEvent::Finish(FinishReason::Stop))
            }
            Step::Usage => {
                self.step = Step::Over;
                whole.usage.map(ModelEvent::Usage)
            }
            Step::Over => None,
        }
    }
}

/// How many bytes of `text` make the next piece: whole words where they fit, and whole characters always.
fn piece(text: &str) -> usize {
    if text.len() <= PIECE_BYTES {
        return text.len();
    }
    let most = text.floor_char_boundary(PIECE_BYTES);
    let words = text[..most].rfind(char::is_whitespace).map_or(0, |at| text.ceil_char_boundary(at + 1));
    if words > 0 { words } else { most }
}

/// A participant of a flight that keeps the books of the cache.
struct Flying {
    shared: Arc<Shared>,
    question: Question,
    flight: FlightKey,
    participant: Participant,
    /// What was told: whether somebody else pays.
    is_free: bool,
}

impl Stream for Flying {
    type Item = Result<ModelEvent, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        // At the beginning for who has joined, and when who paid has left and the model goes on for this one.
        let is_free = !this.participant.pays();
        if std::mem::replace(&mut this.is_free, is_free) != is_free {
            return Poll::Ready(Some(Ok(ModelEvent::Free(is_free))));
        }
        let event = futures_util::ready!(this.participant.poll_next_unpin(context));
        if matches!(event, None | Some(Err(_))) {
            this.shared.settle(&this.question, &this.flight, this.participant.flight());
        }
        Poll::Ready(event)
    }
}

impl Drop for Flying {
    fn drop(&mut self) {
        let left = self.participant.leave();
        if left.was_last {
            self.shared.take_off(&self.flight, self.participant.flight());
        }
    }
}

#[cfg(test)]
mod tests;
