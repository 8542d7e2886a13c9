//! What becomes a memory, and what is over with it.

use tokio::task::spawn_blocking;

use super::Inner;
use crate::{
    chat::{Memory, MemoryId, MemoryKind, Notebook, Noted, Origin, Timestamp},
    memory::{
        error::MemoryError,
        phrases::{self, Said},
        sensitive::sensitive,
        telling::Telling,
        words::words,
    },
    store::{
        StoreError,
        memories::{Kept, NewMemory, Reworded},
    },
    telemetry::metrics::MEMORY_WRITES,
};

impl Inner {
    /// Keeps what is told with a question; what of it is new.
    pub(super) async fn note(&self, telling: &Telling) -> Result<Vec<Noted>, StoreError> {
        let said = phrases::said(&telling.text).into_iter().filter(|said| sensitive(&said.text).is_none());
        let mut new = self.new_facts(telling, said.collect()).await?;
        let now = Timestamp::now(); // A question may be answered anew when its time is over.
        new.retain_mut(|new| {
            new.is_again = !telling.is_first;
            new.memory.expires_at.is_none_or(|end| end > now)
        });
        let kept = self.keep(&telling.notebook, new).await?;
        let noted = kept.iter().filter_map(|kept| match kept {
            Kept::New { memory, ended } => Some(Noted::of(memory, ended)),
            _ => None,
        });
        Ok(noted.collect())
    }

    /// What was said, to be kept as facts.
    pub(super) async fn new_facts(&self, telling: &Telling, said: Vec<Said>) -> Result<Vec<NewMemory>, StoreError> {
        let over = self.over(&telling.notebook, said.clone()).await?;
        let each = said.into_iter().zip(over);
        Ok(each.map(|(said, over)| NewMemory { over, ..fact(telling, said) }).collect())
    }

    /// What a fact says that a user writes down in these words.
    pub(super) async fn worked_out(&self, notebook: &Notebook, text: &str) -> Result<Reworded, MemoryError> {
        if let Some(found) = sensitive(text) {
            return Err(MemoryError::Sensitive(found));
        }
        let said = phrases::said_by_fact(text).into_iter().next().filter(|said| said.attribute.is_some());
        let over = self.over(notebook, said.iter().cloned().collect()).await?.pop().unwrap_or_default();
        let (attribute, ends) = said.map_or((None, Vec::new()), |said| (said.attribute, said.ends));
        Ok(Reworded { text: text.to_owned(), words: words(text), attribute, ends, over })
    }

    /// The facts that each of these says to be over. They are named one by one: what is told meanwhile was said later.
    async fn over(&self, notebook: &Notebook, said: Vec<Said>) -> Result<Vec<Vec<MemoryId>>, StoreError> {
        let about: Vec<&String> =
            said.iter().filter(|said| said.is_over).filter_map(|said| said.attribute.as_ref()).collect();
        if about.is_empty() {
            return Ok(vec![Vec::new(); said.len()]);
        }
        let mut facts = self.store.facts(notebook, Timestamp::now()).await?;
        facts.retain(|fact| fact.attribute.as_ref().is_some_and(|attribute| about.contains(&attribute)));
        // On a thread for it: what a notebook says of one thing may be five hundred texts, all of which are read by all rules.
        let each = move || -> Vec<Vec<MemoryId>> {
            let known: Vec<(MemoryId, Vec<Said>)> =
                facts.into_iter().map(|fact| (fact.id, phrases::said_by_fact(&fact.text))).collect();
            let ended = |said: &Said| {
                let ended = known.iter().filter(|(_, others)| others.iter().any(|other| said.is_end_of(other)));
                ended.map(|(id, _)| id.clone()).collect()
            };
            said.iter().map(ended).collect()
        };
        spawn_blocking(each).await.map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    pub(super) async fn keep(&self, notebook: &Notebook, new: Vec<NewMemory>) -> Result<Vec<Kept>, StoreError> {
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
                Kept::Off => "off",
            };
            metrics::counter!(MEMORY_WRITES, "origin" => origin.as_str(), "outcome" => outcome).increment(1);
        }
        self.kept.notify_one();
        Ok(kept)
    }
}

/// Something that was said, to be kept as a fact.
fn fact(telling: &Telling, said: Said) -> NewMemory {
    let words = words(&said.text);
    let memory = telling.memory(MemoryKind::Fact, said.origin, said.text);
    let memory = Memory { attribute: said.attribute, ..memory };
    NewMemory { memory, words, ends: said.ends, over: Vec::new(), is_again: false }
}
