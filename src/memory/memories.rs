//! What users have told, and what of it is known when they ask. Uses `store`, vectors of `knowledge`, `telemetry` and its pure
//! neighbours.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Notify,
    task::spawn_blocking,
    time::{Instant, timeout},
};
use tracing::warn;

use super::{
    error::MemoryError,
    phrases::{self, Said},
    recall::{self, Question},
    sensitive::sensitive,
    telling::{Telling, notebook, written},
    words::words,
};
use crate::{
    chat::{
        Circle, Memory, MemoryId, MemoryKind, Message, Notebook, Origin, Owner, Recalled, Recollection, Status,
        Timestamp,
    },
    config::{Assistant, BuiltIn, Extract},
    knowledge::Vectors,
    llm::estimated_tokens,
    store::{
        MemoryStore, StoreError,
        memories::{Kept, NewMemory, Reworded},
    },
    telemetry::metrics::{MEMORY_DURATION, MEMORY_RETRIEVALS, MEMORY_UNAVAILABLE},
};

mod forgetting;
mod noting;
mod tending;

pub use self::forgetting::What;

/// Looking that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(2);
const TOO_LONG: &str = "it took too long";
/// The most characters of a question in an episode.
const QUESTION_CHARS: usize = 2000;
/// The most characters of a fact.
pub const FACT_CHARS: usize = 300;

/// What users have told.
#[derive(Debug, Default)]
pub struct Memories(Option<Inner>);

#[derive(Debug)]
struct Inner {
    store: Arc<dyn MemoryStore>,
    vectors: Option<Arc<Vectors>>,
    /// Whether those who need not say who they are have a memory, all one together.
    of_nobody: bool,
    /// Something was kept that has no vector yet.
    kept: Notify,
}

/// What an answer begins with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// The facts that hold, the oldest first.
    pub facts: Vec<Memory>,
    /// The episodes that fit, the best first.
    pub episodes: Vec<Memory>,
    /// What viewers are told.
    pub recollection: Recollection,
}

impl Memories {
    /// Those in `store`; by words alone where there are no vectors. `of_nobody`: whether those who need not say who they are have
    /// a memory, too, which is one for all of them.
    #[must_use]
    pub fn kept_in(store: Arc<dyn MemoryStore>, vectors: Option<Arc<Vectors>>, of_nobody: bool) -> Self {
        Self(Some(Inner { store, vectors, of_nobody, kept: Notify::new() }))
    }

    /// Where those of `owner` are kept.
    ///
    /// # Errors
    /// [`MemoryError::Nobody`]; [`MemoryError::Unavailable`] where none are.
    pub fn of(&self, owner: Option<&Owner>) -> Result<&Arc<dyn MemoryStore>, MemoryError> {
        self.inner_of(owner).map(|inner| &inner.store)
    }

    fn inner_of(&self, owner: Option<&Owner>) -> Result<&Inner, MemoryError> {
        let inner = self.inner()?;
        if owner.is_some() || inner.of_nobody { Ok(inner) } else { Err(MemoryError::Nobody) }
    }

    fn inner(&self) -> Result<&Inner, MemoryError> {
        let nowhere = || StoreError::Unavailable("nothing is remembered by this gateway".to_owned());
        Ok(self.0.as_ref().ok_or_else(nowhere)?)
    }

    /// Remembers what is told, and what is known that fits. What fails ends no answer: it goes on without. What was noted, and what
    /// was found until then, is told whatever becomes of the rest.
    pub async fn recollect(&self, telling: &Telling) -> Known {
        let begun = Instant::now();
        metrics::counter!(MEMORY_RETRIEVALS).increment(1);
        let mut known = Known::default();
        let failed = match timeout(PATIENCE * 2, self.try_recollect(telling, &mut known)).await {
            Ok(Ok(()) | Err(MemoryError::Off | MemoryError::Nobody)) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(TOO_LONG.to_owned()),
        };
        if let Some(reason) = failed {
            unavailable(&reason);
            known.recollection.unavailable = true;
        }
        // What was told just now is no memory of it.
        let is_now = |fact: &&Memory| {
            fact.session.as_ref() == Some(&telling.session) && fact.message.as_ref() == Some(&telling.message)
        };
        let earlier = known.facts.iter().filter(|fact| !is_now(fact));
        known.recollection.recalled = earlier.chain(&known.episodes).map(Recalled::from).collect();
        metrics::histogram!(MEMORY_DURATION, "op" => "recall").record(begun.elapsed().as_secs_f64());
        known
    }

    async fn try_recollect(&self, telling: &Telling, known: &mut Known) -> Result<(), MemoryError> {
        let (notebook, rule) = (&telling.notebook, &telling.rule);
        let inner = self.open(telling).await?;
        if rule.extract == Extract::Rules {
            known.recollection.noted = inner.note(telling).await?;
        }
        known.facts = inner.store.facts(notebook, Timestamp::now()).await?;
        let mut left = rule.profile_tokens;
        let fits = |fact: &&Memory| {
            let tokens = estimated_tokens(fact.text.len()) + 8;
            let fits = tokens <= left;
            left = left.saturating_sub(tokens);
            fits
        };
        let newest = known.facts.iter().rev().take(rule.profile_items).take_while(fits).count();
        known.facts.drain(..known.facts.len() - newest);
        let looking = timeout(PATIENCE, inner.episodes(telling, &telling.text, rule.episodes)).await;
        known.episodes = looking.unwrap_or_else(|_| Err(StoreError::Unavailable(TOO_LONG.to_owned())))?;
        Ok(())
    }

    /// The notebook of a telling, when its user wants one.
    async fn open(&self, telling: &Telling) -> Result<&Inner, MemoryError> {
        let inner = self.inner_of(telling.notebook.owner.as_ref())?;
        if inner.store.remembers(telling.notebook.owner.as_ref()).await? { Ok(inner) } else { Err(MemoryError::Off) }
    }

    /// Keeps what was said in a turn as an episode, when the answer to it is whole: not what only asks, what was said to have
    /// something forgotten, and what must not lie about. Nothing of the answer is kept: documents and tools may speak through it.
    /// What fails is told in the log alone.
    pub async fn keep_turn(&self, telling: &Telling, answer: &Message) {
        let forgets = answer.tools.iter().any(|used| used.call.tool == BuiltIn::Forget.name());
        let text = &telling.text;
        let is_wanted = answer.status == Status::Complete && !answer.text.trim().is_empty() && !forgets;
        if !is_wanted || phrases::is_question(text) || phrases::is_forgetting(text) || sensitive(text).is_some() {
            return;
        }
        let begun = Instant::now();
        match timeout(PATIENCE, self.try_keep_turn(telling)).await {
            Ok(Ok(()) | Err(MemoryError::Off | MemoryError::Nobody)) => {}
            Ok(Err(error)) => unavailable(&error.to_string()),
            Err(_) => unavailable(TOO_LONG),
        }
        metrics::histogram!(MEMORY_DURATION, "op" => "keep").record(begun.elapsed().as_secs_f64());
    }

    async fn try_keep_turn(&self, telling: &Telling) -> Result<(), MemoryError> {
        let inner = self.inner_of(telling.notebook.owner.as_ref())?;
        let text = beginning(&telling.text, QUESTION_CHARS);
        let words = words(&text);
        let memory = telling.memory(MemoryKind::Episode, Origin::Turn, text);
        let new = NewMemory { memory, words, ends: Vec::new(), over: Vec::new(), is_again: false };
        inner.keep(&telling.notebook, vec![new]).await.map(drop)?;
        Ok(())
    }

    /// Remembers what the user says in these words of theirs; what is remembered of it.
    ///
    /// # Errors
    /// [`MemoryError`]; then nothing new is.
    pub async fn remember(&self, telling: &Telling, quote: &str) -> Result<Vec<Memory>, MemoryError> {
        let quote = quote.trim();
        if !phrases::is_own_words(&telling.text, quote) {
            return Err(MemoryError::NotSaid);
        }
        if let Some(found) = sensitive(quote) {
            return Err(MemoryError::Sensitive(found));
        }
        let inner = self.inner_of(telling.notebook.owner.as_ref())?;
        // A part of a sentence may say the contrary: what rules know of it is what they know of the whole.
        let is_meant = |said: &Said| phrases::is_own_words(quote, &said.text);
        let mut said: Vec<Said> = phrases::said(&telling.text).into_iter().filter(is_meant).collect();
        if said.is_empty() {
            let text = beginning(quote, FACT_CHARS);
            let (values, ends) = (Vec::new(), Vec::new());
            said.push(Said { attribute: None, text, values, ends, is_over: false, origin: Origin::Explicit });
        }
        let new = inner.new_facts(telling, said).await?;
        let wanted: Vec<Memory> = new.iter().map(|new| new.memory.clone()).collect();
        let mut remembered = Vec::new();
        for (kept, wanted) in inner.keep(&telling.notebook, new).await?.into_iter().zip(wanted) {
            remembered.push(what_is_new(kept)?.unwrap_or(wanted));
        }
        Ok(remembered)
    }

    /// Remembers a fact that the user writes down for an assistant; `None`: that is known already.
    ///
    /// # Errors
    /// [`MemoryError`].
    pub async fn write_down(
        &self,
        assistant: &Assistant,
        owner: Option<&Owner>,
        text: &str,
    ) -> Result<Option<Memory>, MemoryError> {
        let (inner, notebook) = (self.inner_of(owner)?, notebook(assistant, owner));
        let fact = written(assistant, &notebook, text.to_owned());
        let Reworded { text, words, attribute, ends, over } = inner.worked_out(&notebook, text).await?;
        let new = NewMemory { words, ends, over, is_again: false, memory: Memory { attribute, text, ..fact } };
        inner.keep(&notebook, vec![new]).await?.pop().map_or(Ok(None), what_is_new)
    }

    /// Puts a fact in other words; what it is about, and what is over with it, is worked out anew. `None` when `owner` has no such
    /// fact.
    ///
    /// # Errors
    /// [`MemoryError`].
    pub async fn reword(
        &self,
        owner: Option<&Owner>,
        id: &MemoryId,
        text: &str,
    ) -> Result<Option<Memory>, MemoryError> {
        let inner = self.inner_of(owner)?;
        let Some(known) = inner.store.memories_by_id(owner, std::slice::from_ref(id)).await?.pop() else {
            return Ok(None);
        };
        let notebook = Notebook { owner: owner.cloned(), assistant: known.assistant };
        let new = inner.worked_out(&notebook, text).await?;
        Ok(inner.store.reword(owner, id, new, Timestamp::now()).await?)
    }

    /// What is known of something; of everything: all facts. Facts come first.
    ///
    /// # Errors
    /// [`MemoryError`].
    pub async fn recall(&self, telling: &Telling, about: Option<&str>) -> Result<Vec<Memory>, MemoryError> {
        let inner = self.open(telling).await?;
        metrics::counter!(MEMORY_RETRIEVALS).increment(1);
        let mut found = inner.store.facts(&telling.notebook, Timestamp::now()).await?;
        if let Some(about) = about {
            let asked = phrases::asked(about).unwrap_or_else(|| about.trim().to_lowercase());
            let is_asked = |fact: &Memory| fact.attribute.as_ref().is_some_and(|attribute| is_of(attribute, &asked));
            if found.iter().any(is_asked) {
                found.retain(is_asked); // What else was said of it may hold no longer.
                return Ok(found);
            }
            let wanted = words(about);
            found.retain(|fact| {
                words(&fact.text).as_slice().iter().any(|word| wanted.as_slice().binary_search(word).is_ok())
            });
            let episodes = inner.episodes(telling, about, telling.rule.episodes.max(1)).await?;
            // Who has only asked has told nothing.
            found.extend(episodes.into_iter().filter(|episode| !phrases::is_question(&episode.text)));
        }
        if found.is_empty() { Err(MemoryError::Nothing) } else { Ok(found) }
    }
}

impl Inner {
    /// The episodes of other conversations that fit `text`, the best first.
    async fn episodes(&self, telling: &Telling, text: &str, most: usize) -> Result<Vec<Memory>, StoreError> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let circle = Circle::of(telling.notebook.owner.as_ref(), Some(&telling.session), false);
        let of_question = match &self.vectors {
            Some(vectors) => vectors.of_question(text, circle.as_ref()).await.ok(),
            None => None,
        };
        let model = self.vectors.as_ref().filter(|_| of_question.is_some()).map(|vectors| vectors.model());
        let traces = self.store.traces(&telling.notebook, model, Timestamp::now()).await?;
        let (words, session, min_score) = (words(text), telling.session.clone(), telling.rule.min_score);
        let best = move || -> Vec<MemoryId> {
            let question = Question {
                words,
                vector: of_question.as_ref().map(|(vector, _)| vector.as_slice()),
                session: Some(&session),
                unrelated: of_question.as_ref().map_or(0.0, |(_, unrelated)| *unrelated),
            };
            let ranked = recall::rank(&question, &traces, most, min_score);
            ranked.iter().map(|(_, at)| traces[*at].id.clone()).collect()
        };
        // On a thread for it: ten thousand take milliseconds, which the answers of others would wait for.
        let ids = spawn_blocking(best).await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut found = self.store.memories_by_id(telling.notebook.owner.as_ref(), &ids).await?;
        found.sort_by_key(|memory| ids.iter().position(|id| *id == memory.id));
        Ok(found)
    }
}

/// The memory that was kept; `None`: it is known already.
fn what_is_new(kept: Kept) -> Result<Option<Memory>, MemoryError> {
    match kept {
        Kept::New { memory, .. } => Ok(Some(*memory)),
        Kept::Known => Ok(None),
        Kept::Full => Err(MemoryError::Full),
        Kept::Forgotten => Err(MemoryError::Forgotten),
        Kept::Off => Err(MemoryError::Off),
    }
}

/// Whether an attribute is the one that is asked for, or one of its kind, as [`phrases::asked`] says it.
fn is_of(attribute: &str, asked: &str) -> bool {
    let is_kind = asked.is_empty() || asked.ends_with(':') && attribute.starts_with(asked);
    is_kind || attribute.strip_prefix(asked).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

fn unavailable(reason: &str) {
    metrics::counter!(MEMORY_UNAVAILABLE).increment(1);
    warn!(reason, "the memory is not available");
}

/// The beginning of a text, with so many characters at the most.
fn beginning(text: &str, most: usize) -> String {
    text.trim().chars().take(most).collect()
}
