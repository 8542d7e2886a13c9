//! The model that needs no key: it answers with the sentences of the passages that fit the question, and cites them.
//!
//! It invents nothing and understands little; it makes the gateway usable before there is a model. What it computes for
//! one answer is bounded ([`compose()`]), and happens on threads for such work, a few answers at a time, so that no
//! question holds up the sockets. Uses `chat`, the knowledge's passages and the traits of its parent module.

use std::{sync::Arc, thread::available_parallelism, time::Duration};

use futures_util::StreamExt;
use tokio::{sync::Semaphore, task::spawn_blocking};
use tokio_util::task::AbortOnDropHandle;

use super::{ChatModel, ChatRequest, KnowledgeUse, ModelError, ModelStream, spoken::spoken};
use crate::chat::Author;

mod compose;
mod question;
mod rating;
#[cfg(test)]
mod sample_tests;
mod sentences;

pub use compose::{NOTHING_FOUND, compose};

/// Said instead of [`NOTHING_FOUND`] while documents are still being read.
pub const STILL_READING: &str = "The documents are still being read. Please ask again in a moment.";
/// Said instead of [`NOTHING_FOUND`] when there was no search.
pub const CANNOT_SEARCH: &str = "The documents cannot be searched at the moment.";

/// What clients are told who answers.
const NAME: &str = "extractive";
/// About fifty words a second: quick, and still visibly a stream.
pub const READABLE_PACE: Duration = Duration::from_millis(20);

/// Answers with sentences of the passages. Clones share the places in which answers are composed.
#[derive(Debug, Clone)]
pub struct Extractive {
    pace: Duration,
    /// Half of the cores: the other half is for those who wait for the rest of the gateway.
    places: Arc<Semaphore>,
}

impl Extractive {
    /// A model that says a word every `pace`; zero: all at once, still word by word.
    #[must_use]
    pub fn new(pace: Duration) -> Self {
        let places = available_parallelism().map_or(1, usize::from).div_ceil(2);
        Self { pace, places: Arc::new(Semaphore::new(places)) }
    }

    /// Composes the answer, in its turn and on another thread. The place goes along with the work: a run that is
    /// dropped gives it back at once while it waits or has not begun, and else when the work is really over.
    pub(super) async fn compose(&self, request: &ChatRequest) -> Result<String, ModelError> {
        let place = self.places.clone().acquire_owned().await.map_err(|closed| failed(&closed))?;
        let (question, passages) = (request.question.clone(), request.passages.clone());
        let work = spawn_blocking(move || {
            let _held_until_it_is_done = place;
            compose(&question, &passages)
        });
        let answer = AbortOnDropHandle::new(work).await.map_err(|error| failed(&error))?;
        Ok(match request.knowledge {
            KnowledgeUse::Loading if answer == NOTHING_FOUND => STILL_READING.to_owned(),
            KnowledgeUse::Unavailable if answer == NOTHING_FOUND => CANNOT_SEARCH.to_owned(),
            _ => answer,
        })
    }
}

fn failed(error: &dyn std::error::Error) -> ModelError {
    ModelError::Unavailable { target: NAME.to_owned(), detail: error.to_string(), retry_after: None }
}

impl Default for Extractive {
    fn default() -> Self {
        Self::new(READABLE_PACE)
    }
}

impl ChatModel for Extractive {
    fn name(&self) -> Arc<str> {
        NAME.into()
    }

    fn stream(&self, request: ChatRequest) -> ModelStream {
        let model = self.clone();
        Box::pin(async_stream::stream! {
            let answer = match model.compose(&request).await {
                Ok(answer) => answer,
                Err(error) => {
                    yield Err(error);
                    return;
                }
            };
            let passages = request.passages.iter().map(|passage| passage.text.len()).sum::<usize>();
            let read = compose::read(&request.question).len() + passages;
            let mut spoken = spoken(Author::new(NAME), answer, read, model.pace, request.max_output_tokens);
            while let Some(event) = spoken.next().await {
                yield event;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::{
        chat::Usage,
        knowledge::Passage,
        llm::{FinishReason, ModelEvent, PromptMessage},
    };

    fn request(max_output_tokens: u32) -> ChatRequest {
        let passage =
            Passage { score: 0.8, ..Passage::sample("Returns", None, "Returns are free within 30 days. 🎁") };
        let asked = ChatRequest::new(Vec::<PromptMessage>::new(), "Are returns free?", max_output_tokens);
        ChatRequest { passages: [passage].into(), ..asked }
    }

    async fn events(model: Extractive, request: ChatRequest) -> Vec<ModelEvent> {
        model.stream(request).map(|event| event.unwrap()).collect().await
    }

    fn text(events: &[ModelEvent]) -> String {
        let texts = events.iter().filter_map(|event| match event {
            ModelEvent::Text(text) => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    #[tokio::test]
    async fn it_streams_what_compose_gives() {
        let events = events(Extractive::new(Duration::ZERO), request(100)).await;
        assert_eq!(text(&events), "Returns are free within 30 days. [1]");
        let usage = Usage { input: 14, output: 9, estimated: true };
        assert_eq!(events[events.len() - 2..], [ModelEvent::Finish(FinishReason::Stop), ModelEvent::Usage(usage)]);
        assert_eq!(events.len(), 1 + 7 + 2, "its name, word by word, the end, the cost");
    }

    #[tokio::test]
    async fn it_keeps_to_the_limit() {
        let events = events(Extractive::new(Duration::ZERO), request(5)).await;
        assert_eq!(text(&events), "Returns are free ");
        assert!(events.contains(&ModelEvent::Finish(FinishReason::Length)));
    }

    #[tokio::test]
    async fn it_composes_elsewhere_and_in_turns() {
        let model = Extractive::new(Duration::ZERO);
        let places = model.places.available_permits();
        let all = u32::try_from(places).unwrap();
        let busy = model.places.clone().acquire_many_owned(all).await.unwrap();
        let mut waiting = model.stream(request(100));
        let mut leaving = model.stream(request(100));
        assert!(futures_util::poll!(waiting.next()).is_pending() && futures_util::poll!(leaving.next()).is_pending());
        drop(leaving);
        drop(busy);
        assert_eq!(model.places.available_permits(), places - 1, "who waits has its turn, who left has none");
        assert!(futures_util::poll!(waiting.next()).is_pending(), "nothing is composed while it is polled");
        assert_eq!(waiting.next().await.unwrap().unwrap(), ModelEvent::By(Author::new(NAME)));
        assert_eq!(model.places.available_permits(), places, "the place is given back when the answer is there");
    }

    #[tokio::test]
    async fn what_is_not_read_of_a_question_costs_nothing() {
        let question = format!("Are returns free? {}", "x".repeat(1 << 20)).into();
        let events = events(Extractive::new(Duration::ZERO), ChatRequest { question, ..request(100) }).await;
        assert_eq!(text(&events), "Returns are free within 30 days. [1]");
        let ModelEvent::Usage(usage) = events[events.len() - 1] else { panic!("{events:?}") };
        assert!(usage.input < 300, "{usage:?}");
    }

    #[tokio::test]
    async fn it_keeps_its_pace() {
        let start = Instant::now();
        events(Extractive::new(Duration::from_millis(20)), request(100)).await;
        assert!(start.elapsed() >= Duration::from_millis(120), "the first of seven words comes at once");
    }
}
