//! Vectors of texts, for whoever asks: by the model that documents are found with, in its turn, behind all questions.

use std::sync::Arc;

use super::{
    KnowledgeError,
    base::Knowledge,
    blocking::blocking,
    embed::{EmbedStatus, ReadyModel, Vector},
};
use crate::chat::Circle;

/// Makes vectors of texts.
#[derive(Debug)]
pub struct Vectors {
    knowledge: Arc<Knowledge>,
    model: String,
}

/// What became of some texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    /// A vector of length 1 for each, in their order.
    pub vectors: Vec<Vector>,
    /// The tokens that the model has read.
    pub tokens: usize,
    /// Which of them are longer than it reads, from 0: their ends do not count.
    pub cut: Vec<usize>,
}

impl Vectors {
    /// Those of `knowledge`, whose model has this name.
    #[must_use]
    pub fn of(knowledge: Arc<Knowledge>, model: &str) -> Self {
        Self { knowledge, model: model.to_owned() }
    }

    /// The name of the model.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// How many numbers a vector has.
    ///
    /// # Errors
    /// [`KnowledgeError`] as long as there is no model.
    pub fn dimension(&self) -> Result<usize, KnowledgeError> {
        Ok(self.ready()?.dimension)
    }

    /// The vector of a question, and the cosine of texts that have nothing to do with each other. It is kept for `circle`.
    ///
    /// # Errors
    /// [`KnowledgeError`] as long as there is no model, when it fails, and when too many wait for it.
    pub async fn of_question(&self, text: &str, circle: Option<&Circle>) -> Result<(Vector, f32), KnowledgeError> {
        let unrelated = self.ready()?.unrelated();
        Ok((self.knowledge.embedder().embed_query(text, circle).await?, unrelated))
    }

    /// The vectors of texts, as chunks of documents have them. Dropping the future leaves little work behind.
    ///
    /// # Errors
    /// [`KnowledgeError`] as long as there is no model, and when it fails.
    pub async fn embed(&self, texts: Vec<String>) -> Result<Embedded, KnowledgeError> {
        let model = self.ready()?;
        let (texts, read) = blocking(move || {
            let read: Vec<_> = texts.iter().map(|text| model.read(text)).collect();
            (texts, read)
        })
        .await?;
        let vectors = self.knowledge.embedder().embed_documents(texts).await?;
        let cut = read.iter().enumerate().filter(|(_, read)| read.is_cut).map(|(at, _)| at).collect();
        Ok(Embedded { vectors, tokens: read.iter().map(|read| read.tokens).sum(), cut })
    }

    fn ready(&self) -> Result<Arc<ReadyModel>, KnowledgeError> {
        match self.knowledge.embedder().status() {
            EmbedStatus::Ready(model) => Ok(model),
            EmbedStatus::Loading => Err(KnowledgeError::Loading),
            EmbedStatus::Failed(error) => Err(error.into()),
        }
    }
}
