//! A model that says to each question what its text decides, piece by piece, and counts how often it was asked.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use async_stream::stream;
use futures_util::StreamExt;
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tokio::time::sleep;

use super::process::Process;
use crate::{
    chat::Author,
    llm::{ChatModel, ChatRequest, FinishReason, ModelEvent, ModelStream},
};

/// How often each question was asked, by all gateways.
pub(super) type Asked = Arc<Mutex<HashMap<Arc<str>, u32>>>;

/// What is said: texts of one, two and more code units and bytes.
const WORDS: [&str; 6] = ["well", ", so ", "räte", "💰", " 4.1 %", "\n"];

/// The model, as one process asks it.
#[derive(Debug)]
pub(super) struct Scripted {
    pub(super) process: Arc<Process>,
    pub(super) asked: Asked,
}

impl ChatModel for Scripted {
    fn name(&self) -> Arc<str> {
        "scripted".into()
    }

    fn stream(&self, request: ChatRequest) -> ModelStream {
        let (process, asked, question) = (self.process.clone(), self.asked.clone(), request.question);
        stream! {
            *asked.lock().entry(question.clone()).or_default() += 1;
            yield Ok(ModelEvent::By(Author::new("scripted")));
            let mut hasher = DefaultHasher::new();
            question.hash(&mut hasher);
            let mut rng = SmallRng::seed_from_u64(hasher.finish());
            let slowest = [5, 60, 300][rng.random_range(0..3)];
            for _ in 0..rng.random_range(0..25) {
                process.run_or_hang(sleep(Duration::from_millis(rng.random_range(0..slowest)))).await;
                yield Ok(ModelEvent::Text(WORDS[rng.random_range(0..WORDS.len())].to_owned()));
            }
            yield Ok(ModelEvent::Finish(FinishReason::Stop));
        }
        .boxed()
    }
}
