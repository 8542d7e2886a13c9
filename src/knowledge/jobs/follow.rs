//! What other processes do to the documents, seen from here: what they delete is hidden, work that somebody looks at here is
//! told as it goes on there, and what they wrote into the index is found because every search looks for newer versions.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Documents, DocumentsError, health::LOOK};
use crate::knowledge::Collection;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);

impl Documents {
    /// Follows the others until `ending`, when there can be any.
    pub(super) async fn follow(&self, ending: &CancellationToken) {
        if self.store.has_others() {
            ending.run_until_cancelled(self.follow_on()).await;
        }
    }

    async fn follow_on(&self) {
        let [mut every, mut look] = [EVERY, LOOK].map(interval);
        for tick in [&mut every, &mut look] {
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        let mut is_told = false;
        loop {
            tokio::select! {
                _ = every.tick() => {
                    let followed = self.follow_once().await;
                    if let (Err(error), false) = (&followed, is_told) {
                        tracing::warn!(%error, "what other gateways do to the documents is not known here");
                    }
                    is_told = followed.is_err();
                }
                // Who works does that for itself.
                _ = look.tick(), if !self.is_leading() => {
                    if let Err(error) = self.look_over(None).await {
                        tracing::warn!(%error, "the knowledge base cannot be looked at");
                    }
                }
            }
        }
    }

    async fn follow_once(&self) -> Result<(), DocumentsError> {
        let tombstones = self.knowledge.tombstones();
        // Before the store is asked: what is buried meanwhile is not taken for gone.
        let before = tombstones.graves();
        let (documents, places) = self.store.deleted().await?;
        let documents = documents
            .into_iter()
            .map(|known| Ok((known.document.as_str().to_owned(), Collection::of(known.tenant, &known.collection)?)));
        let documents = documents.collect::<Result<_, DocumentsError>>()?;
        let places = places.into_iter().map(|(tenant, name)| Collection::of(tenant, &name));
        for gone in tombstones.follow(before, documents, places.collect::<Result<_, _>>()?) {
            self.knowledge.index().forget(&gone);
        }
        for (tenant, id) in self.board.watched() {
            match self.store.job(&tenant, &id).await? {
                Some(job) => self.board.publish(&job),
                None => self.board.forget(&id),
            }
        }
        Ok(())
    }
}
