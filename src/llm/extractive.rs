//! The model that needs no key: it answers with the sentences of the passages that fit the question, and cites them.
//!
//! It invents nothing and understands little; it makes the gateway usable before there is a model. Uses `chat`, the
//! knowledge's passages and the traits of its parent module.

use std::time::Duration;

use tokio::time::interval;

use super::{ChatModel, ChatRequest, FinishReason, KnowledgeUse, ModelEvent, ModelStream, estimated_tokens};
use crate::chat::{Author, Usage};

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

/// Answers with sentences of the passages.
#[derive(Debug, Clone, Copy)]
pub struct Extractive {
    pace: Duration,
}

impl Extractive {
    /// A model that says a word every `pace`; zero: all at once, still word by word.
    #[must_use]
    pub const fn new(pace: Duration) -> Self {
        Self { pace }
    }
}

impl Default for Extractive {
    fn default() -> Self {
        Self::new(READABLE_PACE)
    }
}

impl ChatModel for Extractive {
    fn name(&self) -> &str {
        NAME
    }

    fn stream(&self, request: ChatRequest) -> ModelStream {
        let pace = self.pace;
        Box::pin(async_stream::stream! {
            let mut answer = compose(&request.question, &request.passages);
            if answer == NOTHING_FOUND {
                match request.knowledge {
                    KnowledgeUse::Searched => {}
                    KnowledgeUse::Loading => answer = STILL_READING.to_owned(),
                    KnowledgeUse::Unavailable => answer = CANNOT_SEARCH.to_owned(),
                }
            }
            let mut beat = (!pace.is_zero()).then(|| interval(pace));
            yield Ok(ModelEvent::By(Author::new(NAME)));
            let mut said = 0;
            let mut finish = FinishReason::Stop;
            for word in answer.split_inclusive(' ') {
                if estimated_tokens(said + word.len()) > request.max_output_tokens {
                    finish = FinishReason::Length;
                    break;
                }
                if let Some(beat) = &mut beat {
                    beat.tick().await;
                }
                said += word.len();
                yield Ok(ModelEvent::Text(word.to_owned()));
            }
            let read = request.question.len() + request.passages.iter().map(|passage| passage.text.len()).sum::<usize>();
            yield Ok(ModelEvent::Finish(finish));
            yield Ok(ModelEvent::Usage(Usage {
                input: estimated_tokens(read),
                output: estimated_tokens(said),
                estimated: true,
            }));
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::StreamExt;
    use tokio::time::Instant;

    use super::*;
    use crate::{knowledge::Passage, llm::Sharing, telemetry::spans::RunSpan};

    fn request(max_output_tokens: u32) -> ChatRequest {
        let passage = Passage {
            document: "d".to_owned(),
            title: "Returns".to_owned(),
            uri: None,
            chunk: 0,
            page: None,
            heading: None,
            text: "Returns are free within 30 days. 🎁".to_owned(),
            score: 0.8,
        };
        ChatRequest {
            prompt: [].into(),
            question: "Are returns free?".into(),
            passages: [passage].into(),
            knowledge: KnowledgeUse::default(),
            max_output_tokens,
            parameters: Arc::default(),
            may_withdraw: true,
            asker: None,
            sharing: Sharing::default(),
            span: RunSpan::default(),
        }
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
    async fn it_keeps_its_pace() {
        let start = Instant::now();
        events(Extractive::new(Duration::from_millis(20)), request(100)).await;
        assert!(start.elapsed() >= Duration::from_millis(120), "the first of seven words comes at once");
    }
}
