//! A text that is there at once, said word by word. Uses `chat` and the events of its parent.

use std::time::Duration;

use tokio::time::interval;

use super::{
    event::{FinishReason, ModelEvent},
    model::ModelStream,
    tokens::estimated_tokens,
};
use crate::chat::{Author, Usage};

/// Says `text` as `author`, a word every `pace`, in so many tokens at the most; zero: all at once, still word by word.
/// `read` bytes were read for it.
pub(super) fn spoken(author: Author, text: String, read: usize, pace: Duration, max_tokens: u32) -> ModelStream {
    Box::pin(async_stream::stream! {
        let mut beat = (!pace.is_zero()).then(|| interval(pace));
        yield Ok(ModelEvent::By(author));
        let mut said = 0;
        let mut finish = FinishReason::Stop;
        for word in text.split_inclusive(' ') {
            if estimated_tokens(said + word.len()) > max_tokens {
                finish = FinishReason::Length;
                break;
            }
            if let Some(beat) = &mut beat {
                beat.tick().await;
            }
            said += word.len();
            yield Ok(ModelEvent::Text(word.to_owned()));
        }
        yield Ok(ModelEvent::Finish(finish));
        yield Ok(ModelEvent::Usage(Usage {
            input: estimated_tokens(read),
            output: estimated_tokens(said),
            estimated: true,
        }));
    })
}
