//! Looks into the documents for a run: all collections of its assistant, within a time. What fails ends no run: the log says
//! why, and the answer goes on without. Uses `knowledge` and `config`.

use std::{sync::Arc, time::Duration};

use futures_util::future::try_join_all;
use tokio::time::timeout;
use tracing::warn;

use super::{quotation::fit_passages, request::RunRequest};
use crate::{
    chat::{Owner, SessionId},
    config::Assistant,
    knowledge::{
        Collection, KnowledgeStatus, MAX_QUESTION_CHARS, Passage, Retrieved, Retriever, SearchMode, SearchQuery,
    },
    llm::KnowledgeUse,
    store::documents::Tenant,
    telemetry::metrics::KNOWLEDGE_RETRIEVALS,
};

/// A search that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// How much to look up.
#[derive(Debug, Clone)]
pub struct Retrieval {
    /// Passages given to the model.
    pub top_k: usize,
    /// Passages that fit worse are left out.
    pub min_score: f32,
    /// Whether the model is asked first what a question that goes on from others is about.
    pub rewrite: bool,
}

/// Who looks, and where.
#[derive(Debug, Clone)]
pub(super) struct Lookup {
    retriever: Arc<dyn Retriever>,
    assistant: Arc<Assistant>,
    top_k: usize,
    min_score: f32,
    owner: Option<Owner>,
    session: Option<SessionId>,
}

/// What a search came to.
#[derive(Debug)]
pub(super) struct Found {
    /// As many as fit into a prompt.
    pub(super) passages: Vec<Passage>,
    pub(super) knowledge: KnowledgeUse,
    /// The state of the knowledge, or a later one.
    pub(super) version: Option<u64>,
}

impl Lookup {
    /// For a run.
    pub(super) fn of(retriever: Arc<dyn Retriever>, retrieval: &Retrieval, request: &RunRequest) -> Self {
        let knowing = &request.assistant.knowledge;
        Self {
            retriever,
            top_k: knowing.top_k.unwrap_or(retrieval.top_k),
            min_score: knowing.min_score.unwrap_or(retrieval.min_score),
            assistant: request.assistant.clone(),
            owner: request.owner.clone(),
            session: request.session.clone(),
        }
    }

    /// Searches for passages about `question`.
    pub(super) async fn search(&self, question: &str) -> Found {
        let tenant = Tenant::of(self.owner.as_ref());
        let query = |collection| SearchQuery {
            text: question.chars().take(MAX_QUESTION_CHARS).collect(),
            collection,
            top_k: self.top_k,
            mode: SearchMode::Hybrid,
            min_score: Some(self.min_score),
            filter: None,
            owner: self.owner.clone(),
            session: self.session.clone(),
        };
        metrics::counter!(KNOWLEDGE_RETRIEVALS).increment(1);
        // Asked before the search: what is ready then was searched whole.
        let status = self.retriever.status();
        let searches = self.assistant.knowledge.collections.iter().map(async |name| {
            let collection = Collection::of(tenant.clone(), name)?;
            self.retriever.retrieve(&query(collection)).await
        });
        let searched = timeout(PATIENCE, try_join_all(searches)).await;
        match searched.map(|found| found.map(|found| best_of(found, self.top_k))) {
            Ok(Ok(Retrieved { passages, version })) => {
                let is_loading = status == KnowledgeStatus::Loading;
                let knowledge = if is_loading { KnowledgeUse::Loading } else { KnowledgeUse::Searched };
                return Found { passages: fit_passages(passages), knowledge, version };
            }
            Ok(Err(error)) => warn!(%error, "answering without passages"),
            Err(_) => warn!(after = ?PATIENCE, "retrieval timed out, answering without passages"),
        }
        Found { passages: Vec::new(), knowledge: KnowledgeUse::Unavailable, version: None }
    }
}

/// What fits best of all that was found, and a state of all collections together.
fn best_of(mut found: Vec<Retrieved>, top_k: usize) -> Retrieved {
    if found.len() == 1
        && let Some(alone) = found.pop()
    {
        return alone;
    }
    let version = found.iter().try_fold(0u64, |all, one| Some(all.rotate_left(1) ^ one.version?));
    let mut passages: Vec<Passage> = found.into_iter().flat_map(|one| one.passages).collect();
    passages.sort_by(|a, b| b.score.total_cmp(&a.score));
    passages.truncate(top_k);
    Retrieved { passages, version }
}
