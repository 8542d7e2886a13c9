//! Texts → vectors: an embedding model on threads of its own.
//!
//! The model takes `&mut self` and a whole core while it works, so it lives on an OS thread behind a bounded queue, and where
//! there is a core for it, a second one on another, for questions alone.
//! Questions go before documents, short ones before long ones, and documents go in small batches: a question waits for
//! the call that is running and for the questions before it. Short questions that wait together share a call.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::Arc,
    thread::JoinHandle,
};

use tokenizers::Tokenizer;
use tokio::sync::{oneshot, watch};

use self::queue::{Does, Job, Queue};
use crate::{
    chat::Circle,
    knowledge::{
        MAX_QUESTION_CHARS,
        memo::{self, Memo},
    },
    telemetry::caches::{CacheReport, EMBEDDINGS},
};

mod description;
mod library;
mod model;
mod queue;
mod quiet;
mod vector;

use description::Description;
pub(crate) use model::{Model, check_name, missing_files};
pub use quiet::keep_quiet;
pub use vector::{EmbedError, Vector};

/// Bytes of one call of the model for documents, counting every text as long as the longest; a longer text has a call of
/// its own. That is about one chunk at full length, which a core takes 50 ms for. More in a call would make questions wait
/// and gain nothing: each text would take as long, or longer, since what is between the layers fits into no cache.
const DOCUMENT_CALL_BYTES: usize = 1000;
/// The most questions whose vectors are kept; 6 MiB at 384 numbers each.
const KEPT_QUESTIONS: u64 = 4096;

/// How far the model is.
#[derive(Debug, Clone)]
pub enum EmbedStatus {
    /// It is being loaded.
    Loading,
    /// It works.
    Ready(Arc<ReadyModel>),
    /// It does not, and why.
    Failed(EmbedError),
}

/// What is known about a loaded model.
pub struct ReadyModel {
    /// Numbers in a vector.
    pub dimension: usize,
    tokenizer: Tokenizer,
    description: Description,
}

impl ReadyModel {
    /// The cosine of texts that have nothing to do with each other; 0 and up.
    #[must_use]
    pub fn unrelated(&self) -> f32 {
        self.description.unrelated
    }

    /// The tokens that the model makes of `text`, without the cut at its maximum. Text that cannot be tokenized counts
    /// a token for every two characters, which is more than any tokenizer makes of it.
    #[must_use]
    pub fn tokens(&self, text: &str) -> usize {
        let encoded = self.tokenizer.encode_fast(text, false);
        encoded.map_or_else(|_| text.chars().count().div_ceil(2), |encoding| encoding.len())
    }

    /// What the model reads of a text that it is given as a document is.
    #[must_use]
    pub fn read(&self, text: &str) -> Read {
        let text = format!("{}{text}", self.description.before_document);
        let encoded = self.tokenizer.encode_fast(text.as_str(), true);
        let (all, most) = (encoded.map_or(0, |encoding| encoding.len()), self.description.max_tokens);
        Read { tokens: all.min(most), is_cut: all > most }
    }
}

/// What the model reads of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// Its tokens, with the model's own marks.
    pub tokens: usize,
    /// Whether the text has more.
    pub is_cut: bool,
}

impl fmt::Debug for ReadyModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadyModel").field("dimension", &self.dimension).finish_non_exhaustive()
    }
}

/// The model's threads and the queue in front of them. Dropping it ends the threads after at most one batch.
pub struct Embedder {
    queue: Arc<Queue>,
    /// Vectors of questions: they do not change, since the model does not.
    kept: Option<Memo<Vector>>,
    status: watch::Receiver<EmbedStatus>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Embedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedder").field("status", &*self.status.borrow()).finish_non_exhaustive()
    }
}

impl Embedder {
    /// Returns at once; the model is loaded in the background. `folder` holds `model.onnx`, its weights and its
    /// tokenizer files; `name` is what the model in it has to be.
    #[must_use]
    pub fn load(folder: Option<PathBuf>, name: String) -> Self {
        let load = move || Ok(Model::load(folder.as_deref().ok_or(EmbedError::NotConfigured)?, &name)?.into());
        let has_core = std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1);
        Self::start(load.clone(), has_core.then(|| Box::new(load) as Load))
    }

    /// The same, and it keeps the vectors of questions: at most 4,096, the longest unused leave first.
    #[must_use]
    pub fn keeping(mut self) -> Self {
        self.kept = Some(Memo::new(EMBEDDINGS, KEPT_QUESTIONS, None));
        self
    }

    /// How the kept questions stand; `None` when none are kept.
    pub async fn cache(&self) -> Option<CacheReport> {
        Some(self.kept.as_ref()?.report().await)
    }

    /// `load` makes the model on the thread that it is for, and `second` another one once that works, for questions alone:
    /// they need not wait for the chunk of a document that is under way, and many at once are answered twice as fast.
    pub(super) fn start(
        load: impl FnOnce() -> Result<Loaded, EmbedError> + Send + 'static,
        second: Option<Load>,
    ) -> Self {
        let queue = Arc::new(Queue::default());
        let (report, status) = watch::channel(EmbedStatus::Loading);
        let work = Arc::clone(&queue);
        let body = move || {
            // Nobody may wait for a thread that is gone: whatever ends it is told, and the queue is closed.
            let outcome = catch_unwind(AssertUnwindSafe(|| serve(load, second, &work, &report)));
            let error = match outcome {
                Ok(Ok(())) => EmbedError::Failed("it was shut down".to_owned()),
                Ok(Err(error)) => error,
                Err(_) => EmbedError::Failed("its thread panicked".to_owned()),
            };
            report.send_replace(EmbedStatus::Failed(error));
            work.close();
        };
        let thread = std::thread::Builder::new().name("embedder".to_owned()).spawn(body);
        match thread {
            Ok(thread) => Self { queue, kept: None, status, thread: Some(thread) },
            Err(error) => {
                queue.close();
                let failed = EmbedStatus::Failed(EmbedError::Failed(format!("no thread for it: {error}")));
                Self { queue, kept: None, status: watch::channel(failed).1, thread: None }
            }
        }
    }

    /// How far it is.
    #[must_use]
    pub fn status(&self) -> EmbedStatus {
        self.status.borrow().clone()
    }

    /// Waits until the model is loaded.
    ///
    /// # Errors
    /// Why it never will be.
    pub async fn ready(&self) -> Result<Arc<ReadyModel>, EmbedError> {
        let mut status = self.status.clone();
        let loaded = status.wait_for(|status| !matches!(status, EmbedStatus::Loading)).await;
        match loaded.as_deref() {
            Ok(EmbedStatus::Ready(model)) => Ok(Arc::clone(model)),
            Ok(EmbedStatus::Failed(error)) => Err(error.clone()),
            Ok(EmbedStatus::Loading) | Err(_) => Err(self.gone()),
        }
    }

    /// The vector of a question; only its first [`MAX_QUESTION_CHARS`] count. It is kept for the `circle`; without one,
    /// for nobody.
    ///
    /// # Errors
    /// [`EmbedError::Loading`] while the model is being loaded, [`EmbedError::Busy`] when too many are waiting.
    pub async fn embed_query(&self, text: &str, circle: Option<&Circle>) -> Result<Vector, EmbedError> {
        let model = match self.status() {
            EmbedStatus::Loading => return Err(EmbedError::Loading),
            EmbedStatus::Failed(error) => return Err(error),
            EmbedStatus::Ready(model) => model,
        };
        let text: String =
            model.description.before_question.chars().chain(text.chars().take(MAX_QUESTION_CHARS)).collect();
        match (&self.kept, circle) {
            (None, _) => self.embed_one(text).await,
            (Some(kept), Some(circle)) => {
                let key = memo::key([circle.as_str(), &text].map(str::as_bytes));
                kept.get(key, self.embed_one(text)).await
            }
            (Some(kept), None) => {
                kept.pass();
                self.embed_one(text).await
            }
        }
    }

    async fn embed_one(&self, text: String) -> Result<Vector, EmbedError> {
        let (reply, answer) = oneshot::channel();
        self.queue.push_query(Job { texts: vec![text], reply })?;
        let vectors = answer.await.map_err(|_| self.gone())??;
        vectors.into_iter().next().ok_or_else(|| EmbedError::Failed("no vector came back".to_owned()))
    }

    /// The vectors of chunks, in the order of `texts`. Waits for the model to be loaded, and for its turn. Dropping the
    /// future leaves at most one small batch of work behind.
    ///
    /// # Errors
    /// When the model is not there, or fails.
    pub async fn embed_documents(&self, texts: Vec<String>) -> Result<Vec<Vector>, EmbedError> {
        let model = self.ready().await?;
        let before = &model.description.before_document;
        // A batch is padded to its longest text, so texts of similar length belong together.
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&i| texts[i].len());
        let mut vectors = vec![Vector::new(); texts.len()];
        let mut rest = &order[..];
        while !rest.is_empty() {
            let (part, others) = rest.split_at(fitting(rest.iter().map(|&i| texts[i].len())));
            rest = others;
            let (reply, answer) = oneshot::channel();
            let texts = part.iter().map(|&i| format!("{before}{}", texts[i])).collect();
            self.queue.push_documents(Job { texts, reply }).await?;
            let embedded = answer.await.map_err(|_| self.gone())??;
            for (&i, vector) in part.iter().zip(embedded) {
                vectors[i] = vector;
            }
        }
        Ok(vectors)
    }

    fn gone(&self) -> EmbedError {
        match self.status() {
            EmbedStatus::Failed(error) => error,
            EmbedStatus::Loading | EmbedStatus::Ready(_) => EmbedError::Failed("its thread is gone".to_owned()),
        }
    }
}

impl Drop for Embedder {
    fn drop(&mut self) {
        self.queue.close();
        // ONNX Runtime must not be torn down by the end of the process while this thread is inside it.
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported through the status.
            let _reported = thread.join();
        }
    }
}

/// How many of the first of these lengths, of which none is shorter than the one before, one call may hold; at least one.
fn fitting(lengths: impl Iterator<Item = usize>) -> usize {
    lengths.zip(1..).take_while(|(length, count)| *count == 1 || count * length <= DOCUMENT_CALL_BYTES).count()
}

/// A model that can be called, and what is known about it.
pub(super) struct Loaded {
    pub(super) ready: ReadyModel,
    pub(super) call: Box<Call>,
}

/// Makes a model.
pub(super) type Load = Box<dyn FnOnce() -> Result<Loaded, EmbedError> + Send>;

/// One call of the model: the vectors come in the order of the texts.
type Call = dyn FnMut(Vec<String>) -> Result<Vec<Vector>, EmbedError>;

impl From<Model> for Loaded {
    fn from(mut model: Model) -> Self {
        let description = model.description().clone();
        let ready = ReadyModel { dimension: model.dimension(), tokenizer: model.tokenizer(), description };
        Self { ready, call: Box::new(move |texts| model.embed(texts)) }
    }
}

/// Works until the queue is closed.
fn serve(
    load: impl FnOnce() -> Result<Loaded, EmbedError>,
    second: Option<Load>,
    queue: &Queue,
    report: &watch::Sender<EmbedStatus>,
) -> Result<(), EmbedError> {
    let Loaded { ready, mut call } = load()?;
    report.send_replace(EmbedStatus::Ready(Arc::new(ready)));
    std::thread::scope(|scope| {
        if let Some(second) = second {
            let body = || match second() {
                Ok(Loaded { mut call, .. }) => work(queue, Does::Questions, &mut call),
                Err(error) => tracing::warn!(%error, "questions wait for documents: the model is there once only"),
            };
            let started = std::thread::Builder::new().name("questions".to_owned()).spawn_scoped(scope, body);
            if let Err(error) = started {
                tracing::warn!(%error, "questions wait for documents: there is no thread for them");
            }
        }
        work(queue, Does::Everything, &mut call);
    });
    Ok(())
}

fn work(queue: &Queue, does: Does, call: &mut Call) {
    while let Some(jobs) = queue.next(does) {
        embed(call, jobs);
    }
}

/// Embeds the texts of all jobs in one call and answers each job. A panic is an error of this call only.
fn embed(call: &mut Call, jobs: Vec<Job>) {
    let counts: Vec<usize> = jobs.iter().map(|job| job.texts.len()).collect();
    let (texts, replies): (Vec<_>, Vec<_>) = jobs.into_iter().map(|job| (job.texts, job.reply)).unzip();
    let outcome = catch_unwind(AssertUnwindSafe(|| call(texts.concat())));
    let outcome = outcome.unwrap_or_else(|_| Err(EmbedError::Failed("it panicked on these texts".to_owned())));
    let mut vectors = match outcome {
        Ok(vectors) => vectors.into_iter(),
        Err(error) => {
            for reply in replies {
                // Whoever does not wait any more does not need to know.
                let _unheard = reply.send(Err(error.clone()));
            }
            return;
        }
    };
    for (reply, count) in replies.into_iter().zip(counts) {
        let _unheard = reply.send(Ok(vectors.by_ref().take(count).collect()));
    }
}

#[cfg(test)]
mod tests;
