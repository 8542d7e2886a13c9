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
    telling::Telling,
    words::words,
};
use crate::{
    chat::{
        Circle, Memory, MemoryId, MemoryKind, Message, Notebook, Noted, Origin, Owner, Recalled, Recollection, Status,
        Timestamp,
    },
    config::{BuiltIn, Extract},
    knowledge::Vectors,
    llm::estimated_tokens,
    store::{
        MemoryStore, StoreError,
        memories::{Forget, Kept, NewMemory, Reworded},
    },
    telemetry::metrics::{MEMORY_DURATION, MEMORY_RETRIEVALS, MEMORY_UNAVAILABLE, MEMORY_WRITES},
};

mod forgetting;
mod tending;

pub use self::forgetting::What;

/// Looking that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(2);
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

    /// Remembers what is told, and what is known that fits. What fails ends no answer: it goes on without.
    pub async fn recollect(&self, telling: &Telling) -> Known {
        let begun = Instant::now();
        metrics::counter!(MEMORY_RETRIEVALS).increment(1);
        let known = match timeout(PATIENCE * 2, self.try_recollect(telling)).await {
            Ok(Ok(known)) => known,
            Ok(Err(MemoryError::Off | MemoryError::Nobody)) => Known::default(),
            Ok(Err(error)) => unavailable(&error.to_string()),
            Err(_) => unavailable("it took too long"),
        };
        metrics::histogram!(MEMORY_DURATION, "op" => "recall").record(begun.elapsed().as_secs_f64());
        known
    }

    /// What is told is noted first, and told whatever becomes of the rest.
    async fn try_recollect(&self, telling: &Telling) -> Result<Known, MemoryError> {
        let (notebook, rule) = (&telling.notebook, &telling.rule);
        let owner = notebook.owner.as_ref();
        if let Some(former) = &telling.replaces {
            let former = Forget::UndoMessage(telling.session.clone(), former.clone());
            self.inner_of(owner)?.store.forget(owner, former, Timestamp::now()).await?;
        }
        let inner = self.open(telling).await?;
        let mut recollection = Recollection::default();
        if rule.extract == Extract::Rules {
            let said = phrases::said(&telling.text).into_iter().filter(|said| sensitive(&said.text).is_none());
            let mut new = inner.new_facts(telling, said.collect()).await?;
            let now = Timestamp::now(); // A question may be answered anew when its time is over.
            new.retain_mut(|new| {
                new.is_again = !telling.is_first;
                new.memory.expires_at.is_none_or(|end| end > now)
            });
            for kept in inner.keep(notebook, new).await? {
                if let Kept::New { memory, ended } = kept {
                    recollection.noted.push(Noted::of(&memory, &ended));
                }
            }
        }
        let mut facts = inner.store.facts(notebook, Timestamp::now()).await?;
        let mut left = rule.profile_tokens;
        let fits = |fact: &&Memory| {
            let tokens = estimated_tokens(fact.text.len()) + 8;
            let fits = tokens <= left;
            left = left.saturating_sub(tokens);
            fits
        };
        let newest = facts.iter().rev().take(rule.profile_items).take_while(fits).count();
        facts.drain(..facts.len() - newest);
        let looking = timeout(PATIENCE, inner.episodes(telling, &telling.text, rule.episodes)).await;
        let episodes = looking.unwrap_or_else(|_| Err(StoreError::Unavailable("it took too long".to_owned())));
        let episodes = episodes.unwrap_or_else(|error| {
            recollection.unavailable = unavailable(&error.to_string()).recollection.unavailable;
            Vec::new()
        });
        // What was told just now is no memory of it.
        let is_now = |fact: &&Memory| {
            fact.session.as_ref() == Some(&telling.session) && fact.message.as_ref() == Some(&telling.message)
        };
        let earlier = facts.iter().filter(|fact| !is_now(fact));
        recollection.recalled = earlier.chain(&episodes).map(Recalled::from).collect();
        Ok(Known { facts, episodes, recollection })
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
            Ok(Err(error)) => drop(unavailable(&error.to_string())),
            Err(_) => drop(unavailable("it took too long")),
        }
        metrics::histogram!(MEMORY_DURATION, "op" => "keep").record(begun.elapsed().as_secs_f64());
    }

    async fn try_keep_turn(&self, telling: &Telling) -> Result<(), MemoryError> {
        let inner = self.open(telling).await?;
        let text = beginning(&telling.text, QUESTION_CHARS);
        let words = words(&text);
        let memory = telling.memory(MemoryKind::Episode, Origin::Turn, text);
        inner
            .keep(
                &telling.notebook,
                vec![NewMemory { memory, words, ends: Vec::new(), over: Vec::new(), is_again: false }],
            )
            .await?;
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
        let inner = self.open(telling).await?;
        // A part of a sentence may say the contrary: what rules know of it is what they know of the whole.
        let is_meant = |said: &Said| phrases::is_own_words(quote, &said.text);
        let mut said: Vec<Said> = phrases::said(&telling.text).into_iter().filter(is_meant).collect();
        if said.is_empty() {
            let text = beginning(quote, FACT_CHARS);
            let (value, ends) = (None, Vec::new());
            said.push(Said { attribute: None, text, value, ends, is_over: false, origin: Origin::Explicit });
        }
        let new = inner.new_facts(telling, said).await?;
        let wanted: Vec<Memory> = new.iter().map(|new| new.memory.clone()).collect();
        let mut remembered = Vec::new();
        for (kept, wanted) in inner.keep(&telling.notebook, new).await?.into_iter().zip(wanted) {
            remembered.push(what_is_new(kept)?.unwrap_or(wanted));
        }
        Ok(remembered)
    }

    /// Remembers a fact that the user writes down; `None`: that is known already.
    ///
    /// # Errors
    /// [`MemoryError`].
    pub async fn write_down(&self, notebook: &Notebook, fact: Memory) -> Result<Option<Memory>, MemoryError> {
        if let Some(found) = sensitive(&fact.text) {
            return Err(MemoryError::Sensitive(found));
        }
        let said = phrases::said(&fact.text).into_iter().next().filter(|said| said.attribute.is_some());
        let inner = self.inner_of(notebook.owner.as_ref())?;
        let over = inner.over(notebook, said.as_ref()).await?;
        let (attribute, ends) = said.map_or((None, Vec::new()), |said| (said.attribute, said.ends));
        let words = words(&fact.text);
        let new = NewMemory { words, ends, over, is_again: false, memory: Memory { attribute, ..fact } };
        inner.keep(notebook, vec![new]).await?.pop().map_or(Ok(None), what_is_new)
    }

    /// Puts a fact in other words; what it is about is worked out anew. `None` when `owner` has no such fact.
    ///
    /// # Errors
    /// [`MemoryError`].
    pub async fn reword(
        &self,
        owner: Option<&Owner>,
        id: &MemoryId,
        text: &str,
    ) -> Result<Option<Memory>, MemoryError> {
        if let Some(found) = sensitive(text) {
            return Err(MemoryError::Sensitive(found));
        }
        let said = phrases::said(text).into_iter().next().filter(|said| said.attribute.is_some());
        let (attribute, ends) = said.map_or((None, Vec::new()), |said| (said.attribute, said.ends));
        let new = Reworded { text: text.to_owned(), words: words(text), attribute, ends };
        Ok(self.inner_of(owner)?.store.reword(owner, id, new, Timestamp::now()).await?)
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
    /// What was said, to be kept as facts.
    async fn new_facts(&self, telling: &Telling, said: Vec<Said>) -> Result<Vec<NewMemory>, StoreError> {
        let mut new = Vec::with_capacity(said.len());
        for said in said {
            let over = self.over(&telling.notebook, Some(&said)).await?;
            new.push(NewMemory { over, ..fact(telling, said) });
        }
        Ok(new)
    }

    /// The facts that say what `said` says to be over. They are named one by one: what is told meanwhile was said later.
    async fn over(&self, notebook: &Notebook, said: Option<&Said>) -> Result<Vec<MemoryId>, StoreError> {
        let Some(said) = said.filter(|said| said.is_over) else { return Ok(Vec::new()) };
        let mut facts = self.store.facts(notebook, Timestamp::now()).await?;
        facts.retain(|fact| phrases::said(&fact.text).iter().any(|other| said.is_end_of(other)));
        Ok(facts.into_iter().map(|fact| fact.id).collect())
    }

    async fn keep(&self, notebook: &Notebook, new: Vec<NewMemory>) -> Result<Vec<Kept>, StoreError> {
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let origins: Vec<Origin> = new.iter().map(|new| new.memory.origin).collect();
        let kept = self.store.keep_memories(notebook, new).await?;
        for (kept, origin) in kept.iter().zip(origins) {
            let outcome = match kept {
                Kept::New { ended, .. } if ended.is_empty() => "added",
                Kept::New { .. } => "updated",
                Kept::Known => "known",
                Kept::Forgotten => "forgotten",
                Kept::Full => "full",
            };
            metrics::counter!(MEMORY_WRITES, "origin" => origin.as_str(), "outcome" => outcome).increment(1);
        }
        self.kept.notify_one();
        Ok(kept)
    }

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
    }
}

/// Something that was said, to be kept as a fact.
fn fact(telling: &Telling, said: Said) -> NewMemory {
    let words = words(&said.text);
    let memory = telling.memory(MemoryKind::Fact, said.origin, said.text);
    let memory = Memory { attribute: said.attribute, ..memory };
    NewMemory { memory, words, ends: said.ends, over: Vec::new(), is_again: false }
}

/// Whether an attribute is the one that is asked for, or one of its kind, as [`phrases::asked`] says it.
fn is_of(attribute: &str, asked: &str) -> bool {
    let is_kind = asked.is_empty() || asked.ends_with(':') && attribute.starts_with(asked);
    is_kind || attribute.strip_prefix(asked).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

fn unavailable(reason: &str) -> Known {
    metrics::counter!(MEMORY_UNAVAILABLE).increment(1);
    warn!(reason, "the memory is not available");
    Known { recollection: Recollection { unavailable: true, ..Recollection::default() }, ..Known::default() }
}

/// The beginning of a text, with so many characters at the most.
fn beginning(text: &str, most: usize) -> String {
    text.trim().chars().take(most).collect()
}
