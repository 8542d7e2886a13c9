//! Documents on their way into the index. A commit costs the index tens of milliseconds however little is in it, so what
//! comes while one is being written goes into the next one together.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, oneshot};
use tokio_util::sync::CancellationToken;

use super::term::Term;
use crate::knowledge::{
    Collection, Knowledge, KnowledgeError,
    index::{IndexedDocument, Written},
};

/// The most chunks of a commit, but for a document that has more.
const MAX_CHUNKS: usize = 4096;

/// A document that is ready to be written.
#[derive(Debug)]
struct Waiting {
    document: IndexedDocument,
    told: CancellationToken,
    term: Term,
    reply: oneshot::Sender<Result<bool, KnowledgeError>>,
}

/// What waits to be written.
#[derive(Debug, Default)]
pub(super) struct Commits {
    waiting: Mutex<HashMap<Collection, VecDeque<Waiting>>>,
    /// Held by who writes.
    turn: AsyncMutex<()>,
}

impl Commits {
    /// Puts a document in the place of what the index has of it, unless it is deleted or was told to end, or others may work
    /// by now; whether it was done.
    pub(super) async fn write(
        &self,
        knowledge: &Arc<Knowledge>,
        collection: &Collection,
        document: IndexedDocument,
        (told, term): (CancellationToken, Term),
    ) -> Result<bool, KnowledgeError> {
        let (reply, mut written) = oneshot::channel();
        let waiting = Waiting { document, told, term, reply };
        self.waiting.lock().entry(collection.clone()).or_default().push_back(waiting);
        loop {
            tokio::select! {
                biased;
                written = &mut written => {
                    let given_up = |_| KnowledgeError::Unavailable("whoever wrote it is gone".to_owned());
                    return written.map_err(given_up)?;
                }
                _turn = self.turn.lock() => commit(knowledge, collection, self.next(collection)).await,
            }
        }
    }

    /// What goes into the next commit, in the order in which it came.
    fn next(&self, collection: &Collection) -> Vec<Waiting> {
        let mut all = self.waiting.lock();
        let Some(queue) = all.get_mut(collection) else { return Vec::new() };
        let (mut next, mut chunks): (Vec<Waiting>, usize) = (Vec::new(), 0);
        while let Some(first) = queue.front() {
            chunks += first.document.chunks.len();
            // The same document twice would be its own neighbour in one commit.
            let is_twice = next.iter().any(|other| other.document.id == first.document.id);
            if is_twice || !next.is_empty() && chunks > MAX_CHUNKS {
                break;
            }
            next.extend(queue.pop_front());
        }
        if queue.is_empty() {
            all.remove(collection);
        }
        next
    }
}

async fn commit(knowledge: &Arc<Knowledge>, collection: &Collection, next: Vec<Waiting>) {
    if next.is_empty() {
        return;
    }
    let (mut documents, mut told, mut replies) = (Vec::new(), HashMap::new(), Vec::new());
    for Waiting { document, told: own, term, reply } in next {
        told.insert(document.id.clone(), (own, term));
        replies.push((document.id.clone(), reply));
        documents.push(document);
    }
    let (living, place) = (Arc::clone(knowledge), collection.clone());
    let may = move |id: &str| {
        let goes_on = |(told, term): &(CancellationToken, Term)| !told.is_cancelled() && term.is_certain();
        told.get(id).is_some_and(goes_on) && living.tombstones().is_living(&place, id)
    };
    let written = knowledge.index().replace_if(collection, documents, may).await;
    for (id, reply) in replies {
        let told = written.as_ref().map(|written: &Written| written.contains(&id)).map_err(Clone::clone);
        // Whoever is gone by now needs no answer.
        let _nobody_waits = reply.send(told);
    }
}
