//! Something is asked in a session, and its answer is there to be read: that of a repetition, too, wherever it is by now.
//! Uses `session` and `store`.

use std::sync::Arc;

use super::Hub;
use crate::{
    chat::{Decision, Message, MessageId, Role, RunId, Status},
    limits::Visitor,
    session::{
        Answer, NewMessage, Receipt, Redo, SendError, SendMode, SessionHandle, Viewer,
        log::{Event, RunDone, Snapshot, Step},
    },
    store::{MAX_PAGE, Scope, StoreError},
};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Something is said. The caller has checked the bounds of the text.
    Say {
        /// By which a repetition is known; none is one of its own.
        id: Option<MessageId>,
        /// The text.
        text: String,
        /// What to do when an answer is being written.
        mode: SendMode,
    },
    /// The conversation is to go on another way.
    Redo {
        /// As in [`Ask::Say`].
        id: Option<MessageId>,
        /// Which.
        redo: Redo,
    },
    /// A call that waits is allowed or not.
    Decide(Decision),
}

/// Why there is no answer to read.
#[derive(Debug, thiserror::Error)]
pub enum NotAsked {
    /// It was not accepted.
    #[error(transparent)]
    Refused(#[from] SendError),
    /// It was accepted some time ago, and what became of it is not known now.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Hub {
    /// Asks in a session. Returns when that is stored, with its answer to read: from its beginning on, whether it is being
    /// written, waits for its turn, or was written long ago.
    ///
    /// # Errors
    /// [`NotAsked`].
    pub async fn ask(&self, session: &SessionHandle, ask: Ask, by: Visitor) -> Result<(Receipt, Answer), NotAsked> {
        let (viewer, attachment) = session.attach(None);
        let receipt = match ask {
            Ask::Say { id, text, mode } => session.send(NewMessage { id, text, mode, by }).await?,
            Ask::Redo { id, redo } => session.redo(id, redo, by).await?,
            Ask::Decide(decision) => session.decide(decision, by).await?,
        };
        let run = receipt.run.clone().ok_or(SendError::Internal)?;
        let answer = if receipt.duplicate {
            self.asked_before(session, (viewer, &attachment.epoch), run).await?
        } else {
            Answer::coming(viewer, run)
        };
        Ok((receipt, answer))
    }

    /// The answer of a run that was there before `viewer` came, or of one that waits.
    async fn asked_before(
        &self,
        session: &SessionHandle,
        (viewer, epoch): (Viewer, &str),
        run: RunId,
    ) -> Result<Answer, StoreError> {
        let (now, attachment) = session.attach(None);
        let mut written = None;
        if let Some(Snapshot { live, messages, .. }) = attachment.snapshot {
            if let Some(live) = live.filter(|live| live.run == run) {
                return Ok(Answer::underway(now, live));
            }
            // Those that are being written, or wait, are not among them.
            written = messages.iter().rfind(|message| is_by(message, &run)).map(|answer| Message::clone(answer));
        }
        let done = end_of(session, epoch, &run);
        let written = match written {
            Some(answer) => Some(answer),
            None => self.written_by(session, &run).await?,
        };
        match written {
            Some(answer) if answer.status != Status::Pending => Ok(Answer::over(now, run, answer, done)),
            // Its end could not be stored.
            Some(answer) if done.is_some() => Ok(Answer::over(now, run, answer.interrupted(), None)),
            // It waits, or begins elsewhere in this moment.
            _ => Ok(Answer::coming(viewer, run)),
        }
    }

    /// The answer that the store has of a run.
    async fn written_by(&self, session: &SessionHandle, run: &RunId) -> Result<Option<Message>, StoreError> {
        let mut before = None;
        loop {
            let page = self.store().messages(session.id(), before.as_ref(), MAX_PAGE, Scope::Everything).await?;
            let oldest = page.messages.first().map(|message| message.id.clone());
            if let Some(answer) = page.messages.into_iter().find(|message| is_by(message, run)) {
                return Ok(Some(answer));
            }
            before = oldest.filter(|_| page.more);
            if before.is_none() {
                return Ok(None);
            }
        }
    }
}

/// Whether a message is the answer of a run.
fn is_by(message: &Message, run: &RunId) -> bool {
    message.role == Role::Assistant && message.run.as_ref() == Some(run)
}

/// How a run ended, while the log has it.
fn end_of(session: &SessionHandle, epoch: &str, run: &RunId) -> Option<Arc<RunDone>> {
    let (mut viewer, _) = session.attach(Some(&format!("{epoch}:0")));
    let mut end = None;
    viewer.read(usize::MAX, |step| {
        if let Step::Event(_, Event::RunDone(done)) = step
            && done.run == *run
        {
            end = Some(done.clone());
        }
        end.is_none()
    });
    end
}
