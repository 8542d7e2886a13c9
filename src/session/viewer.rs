//! A reader of a session: a cursor that can wait.
//!
//! Owns its place in the log and nothing else: what it has not read stays in the log, once, for everybody.

use std::{
    future::poll_fn,
    sync::{Arc, atomic::Ordering},
    task::{Poll, Waker},
    time::Duration,
};

use crate::{
    chat::RunId,
    session::{
        Closed, Moment,
        log::{Attachment, Cursor, Presence, Snapshot, Step},
        shared::Shared,
        wakers::Waiting,
    },
};

/// A reader of one session's log.
#[derive(Debug)]
pub struct Viewer {
    shared: Arc<Shared>,
    waiting: Waiting,
    cursor: Cursor,
    /// Text of an earlier run that is sent again on request: the run, and the offset that comes next.
    resend: Option<(RunId, u64)>,
    /// Whether the person at this end types.
    types: bool,
    /// What was told last of who is there; nobody tells it to someone who is alone.
    told: Presence,
}

/// Why [`Viewer::changed`] returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// There is something to read.
    More,
    /// The session is over, and all of it was read.
    Closed(Closed),
}

/// The text that was asked for is not kept any more, or has no such offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("that text is not kept any more")]
pub struct TextGone;

impl Viewer {
    pub(crate) fn attach(shared: Arc<Shared>, resume: Option<&str>) -> (Self, Attachment) {
        let waiting = shared.wakers.enter();
        let attachment = shared.log.lock().attach(resume);
        let cursor = attachment.cursor.clone();
        if shared.viewers.fetch_add(1, Ordering::Relaxed) > 0 {
            shared.wakers.wake();
        }
        let told = Presence { viewers: 1, typing: false };
        (Self { shared, waiting, cursor, resend: None, types: false, told }, attachment)
    }

    /// Begins anew behind the cursor `resume`, or at a snapshot.
    pub fn reattach(&mut self, resume: Option<&str>) -> Attachment {
        let attachment = self.shared.log.lock().attach(resume);
        self.cursor = attachment.cursor.clone();
        self.resend = None;
        attachment
    }

    /// The session's time, to measure delays against a delta's `since`.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.shared.clock.now()
    }

    /// Shows everything that lies after the cursor to `visit`, until that returns false or nothing is left.
    ///
    /// The log is locked meanwhile: `visit` encodes, and does nothing that waits. After [`Step::Trimmed`] the
    /// caller takes a [`Viewer::snapshot`]. Deltas have at most `max_bytes` of text.
    pub fn read(&mut self, max_bytes: usize, mut visit: impl FnMut(Step<'_>) -> bool) {
        let log = self.shared.log.lock();
        while let Some((run, off)) = &mut self.resend {
            let Some((start, text)) = log.text_of(run, *off, max_bytes).filter(|(_, text)| !text.is_empty()) else {
                self.resend = None;
                break;
            };
            *off = start + crate::chat::utf16_len(text);
            if !visit(Step::Delta { run, off: start, text, since: None }) {
                return;
            }
        }
        loop {
            let step = log.next(&mut self.cursor, max_bytes);
            if step == Step::UpToDate {
                break;
            }
            let last = step == Step::Trimmed;
            if !visit(step) || last {
                return;
            }
        }
        let presence = presence(&self.shared, self.types);
        if std::mem::replace(&mut self.told, presence) != presence {
            visit(Step::Presence(presence));
        }
    }

    /// Notes whether the person at this end types; the other viewers see it.
    pub fn set_typing(&mut self, types: bool) {
        match (std::mem::replace(&mut self.types, types), types) {
            (false, true) => self.shared.typing.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.shared.typing.fetch_sub(1, Ordering::Relaxed),
            _ => return,
        };
        self.shared.wakers.wake();
    }

    /// The newest state; reading goes on behind it.
    pub fn snapshot(&mut self) -> Snapshot {
        let (snapshot, cursor) = self.shared.log.lock().snapshot();
        self.cursor = cursor;
        snapshot
    }

    /// Has the text of `run` read again from `off` (UTF-16).
    ///
    /// # Errors
    /// [`TextGone`]; a snapshot has the text then.
    pub fn sync(&mut self, run: &RunId, off: u64) -> Result<(), TextGone> {
        let log = self.shared.log.lock();
        if log.seek(&mut self.cursor, run, off) {
            return Ok(());
        }
        log.text_of(run, off, 0).ok_or(TextGone)?;
        self.resend = Some((run.clone(), off));
        Ok(())
    }

    /// The cursor as clients carry it.
    #[must_use]
    pub fn cursor_text(&self) -> String {
        self.shared.log.lock().cursor_text(&self.cursor)
    }

    /// Has `waker` woken when there may be more to read, somebody comes or goes, or the session is over. To miss
    /// nothing, look after this and not before.
    pub fn wake(&self, waker: &Waker) {
        self.waiting.wait(waker);
    }

    /// Why the session is over, when it is. There may still be something to read.
    #[must_use]
    pub fn closed(&self) -> Option<Closed> {
        self.shared.closed.get().copied()
    }

    /// Within what time those who watch should come back, when the gateway is about to end.
    #[must_use]
    pub fn goes_away(&self) -> Option<Duration> {
        self.shared.goes_away.get().copied()
    }

    /// Waits until there is something to read.
    pub async fn changed(&self) -> Change {
        poll_fn(|context| {
            self.wake(context.waker());
            let all_told = self.resend.is_none() && presence(&self.shared, self.types) == self.told;
            if !all_told || !self.shared.log.lock().is_up_to_date(&self.cursor) {
                return Poll::Ready(Change::More);
            }
            self.closed().map_or(Poll::Pending, |cause| Poll::Ready(Change::Closed(cause)))
        })
        .await
    }
}

/// Who is there, as a viewer sees it whose person types or not.
fn presence(shared: &Shared, types: bool) -> Presence {
    let viewers = shared.viewers.load(Ordering::Relaxed) + shared.viewers_elsewhere.load(Ordering::Relaxed);
    let typing = shared.typing.load(Ordering::Relaxed) + shared.typing_elsewhere.load(Ordering::Relaxed);
    Presence { viewers, typing: typing > usize::from(types) }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        // The session's idle time begins when the last viewer leaves: before it is known that they have left.
        self.shared.touched.store(self.shared.clock.now(), Ordering::Relaxed);
        self.set_typing(false);
        self.shared.wakers.leave(&self.waiting);
        if self.shared.viewers.fetch_sub(1, Ordering::AcqRel) > 1 {
            self.shared.wakers.wake();
        } else {
            self.shared.note_unused();
        }
    }
}
