//! The runs in progress of all sessions, for whoever looks after all of them now and then.
//!
//! So nobody need look at every session to find those that write, and no run needs a timer of its own. A run is in the
//! list from its beginning to its end, whichever way it ends. Owns the list; uses `store`, `chat` and the session's log.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;

use crate::{
    chat::{MessageId, SessionId},
    session::{log::Saved, shared::Shared},
    store::Piece,
};

/// The runs in progress.
#[derive(Debug, Default)]
pub struct LiveRuns {
    runs: Mutex<HashMap<u64, Arc<LiveRun>>>,
    begun: AtomicU64,
}

/// A run in progress, and how much of its text is stored.
#[derive(Debug)]
pub struct LiveRun {
    shared: Arc<Shared>,
    answer: MessageId,
    saved: Mutex<Saved>,
}

/// A place in the list; given up when it is dropped.
pub(crate) struct Listed {
    list: Arc<LiveRuns>,
    place: u64,
}

impl LiveRuns {
    /// Those of this moment.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<LiveRun>> {
        self.runs.lock().values().cloned().collect()
    }

    pub(crate) fn enter(self: &Arc<Self>, shared: Arc<Shared>, answer: MessageId) -> Listed {
        let place = self.begun.fetch_add(1, Ordering::Relaxed);
        let run = LiveRun { shared, answer, saved: Mutex::default() };
        self.runs.lock().insert(place, Arc::new(run));
        Listed { list: self.clone(), place }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.list.runs.lock().remove(&self.place);
    }
}

impl LiveRun {
    /// The session that it runs in.
    #[must_use]
    pub fn session(&self) -> &SessionId {
        &self.shared.id
    }

    /// Whether nobody has watched the session for as long as `most`.
    #[must_use]
    pub fn is_unwatched(&self, most: Duration) -> bool {
        if self.shared.is_watched() {
            return false;
        }
        let unwatched = self.shared.clock.now().saturating_sub(self.shared.touched.load(Ordering::Relaxed));
        u128::from(unwatched) >= most.as_micros()
    }

    /// What was written since the last checkpoint, and what is saved when that is stored.
    #[must_use]
    pub fn unsaved(&self) -> Option<(Piece, Saved)> {
        let mut saved = *self.saved.lock();
        let log = self.shared.log.lock();
        let (at, text, tools) = log.unsaved(&self.answer, &mut saved)?;
        let (text, tools) = (text.to_owned(), tools.map(<[_]>::to_vec));
        let (session, answer) = (self.shared.id.clone(), self.answer.clone());
        Some((Piece { session, fence: self.shared.fence(), answer, at, text, tools }, saved))
    }

    /// Notes what is stored now.
    pub fn note_saved(&self, saved: Saved) {
        *self.saved.lock() = saved;
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::{chat::RunId, session::log::Log};

    /// What happens between two checkpoints, and whether the second of them is stored.
    fn steps() -> impl Strategy<Value = Vec<(Vec<Result<String, u64>>, bool)>> {
        let text = "[a-zäß€😀]{1,9}".prop_map(Ok);
        vec((vec(prop_oneof![4 => text, 1 => (0u64..40).prop_map(Err)], 0..5), any::<bool>()), 1..20)
    }

    proptest! {
        #[test]
        fn what_is_saved_follows_the_text_whatever_is_withdrawn_and_whichever_write_fails(steps in steps()) {
            let id = MessageId::random();
            let mut log = Log::new("e", Vec::new(), false, 9, 0);
            log.start_run((RunId::random(), id.clone(), MessageId::random()), crate::session::log::By { model: "m".into(), version: None, variant: None }, 0);
            let (mut kept, mut saved) = (String::new(), Saved::default());
            for (written, stored) in steps.into_iter().chain([(Vec::new(), true)]) {
                for text in written {
                    match text {
                        Ok(text) => log.append_text(&text, 0),
                        Err(keep) => log.fail_over(keep, "one", "two", "cut"),
                    }
                }
                let mut next = saved;
                if let Some((at, text, _)) = log.unsaved(&id, &mut next) {
                    prop_assert!(kept.is_char_boundary(at), "a hole at {at} of {kept:?}");
                    if stored {
                        kept.truncate(at);
                        kept.push_str(text);
                        saved = next;
                    }
                }
                if stored {
                    prop_assert_eq!(Some(&*kept), log.live_text());
                    prop_assert!(log.unsaved(&id, &mut next).is_none(), "nothing is saved twice");
                }
            }
            prop_assert!(log.unsaved(&MessageId::random(), &mut Saved::default()).is_none(), "another run");
        }
    }
}
