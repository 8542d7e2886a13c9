//! The actor of a mirror: what is wanted of the session goes to the gateway that has it.
//!
//! Every wish has an id before it leaves, so that it can be said again until it is answered, and is done once.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, future::BoxFuture};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until, timeout, timeout_at},
};

use super::{
    order::{Inherited, Underway},
    peers::Cluster,
    record::{Outcome, Wish},
};
use crate::{
    chat::{MessageId, SessionId},
    session::{Command, RunNotActive, SendError, StopTarget, Wishes},
    store::Fence,
};

/// How long a wish is repeated that nobody answers, and how long each time.
const PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE_EACH: Duration = Duration::from_secs(1);
/// How long it is not said again after it was answered that the session is elsewhere.
const PAUSE: Duration = Duration::from_millis(200);
/// How long answers are waited for when the session is over.
const LAST_WORD: Duration = Duration::from_millis(250);
/// Wishes of one mirror that wait for their answer; those beyond are refused.
const MAX_WISHES: usize = 64;

impl Cluster {
    /// Passes on what is wanted of a session, until nobody can want anything any more, or it is over, or this gateway's.
    pub(crate) async fn pass_on(
        self: Arc<Self>,
        session: SessionId,
        mut wishes: Wishes,
        mut alive: oneshot::Receiver<Fence>,
    ) -> Option<Inherited> {
        let mut underway = Underway::new();
        loop {
            tokio::select! {
                Some(()) = underway.next() => {}
                ended = &mut alive => {
                    if let Ok(fence) = ended {
                        return Some(Inherited { fence, wishes, underway });
                    }
                    // The answer to who wanted that end is a moment behind it. All others come back, and find out.
                    let _told = timeout(LAST_WORD, async { while underway.next().await.is_some() {} }).await;
                    return None;
                }
                command = wishes.next() => match command {
                    Some(command) => underway.extend(self.pass(&session, command, underway.len() < MAX_WISHES)),
                    None => break,
                },
            }
        }
        while underway.next().await.is_some() {}
        None
    }

    fn pass(self: &Arc<Self>, session: &SessionId, command: Command, has_room: bool) -> Option<BoxFuture<'static, ()>> {
        let refused = has_room.then_some(()).ok_or(SendError::Busy);
        match command {
            Command::Send(mut message, reply) => {
                message.id.get_or_insert_with(MessageId::random);
                self.told(session, Wish::Send(message), refused, reply, |outcome| match outcome {
                    Some(Outcome::Sent(sent)) => sent,
                    _ => Err(SendError::Elsewhere),
                })
            }
            Command::Redo(id, redo, reply) => {
                let (redo, by) = *redo;
                let wish = Wish::Redo(id.unwrap_or_else(MessageId::random), redo, by);
                self.told(session, wish, refused, reply, |outcome| match outcome {
                    Some(Outcome::Sent(sent)) => sent,
                    _ => Err(SendError::Elsewhere),
                })
            }
            Command::Rate(message, feedback, reply) => {
                self.told(session, Wish::Rate(message, *feedback), refused, reply, |outcome| match outcome {
                    Some(Outcome::Rated(rated)) => rated,
                    _ => Err(SendError::Elsewhere),
                })
            }
            Command::Stop(stop, reply) => {
                let refused = refused.map_err(|_| RunNotActive);
                self.told(session, Wish::Stop(stop.target), refused, reply, |outcome| match outcome {
                    Some(Outcome::Stopped(stopped)) => stopped,
                    _ => Err(RunNotActive),
                })
            }
            Command::Delete(reply) => {
                let (cluster, session) = (self.clone(), session.clone());
                let passing = async move {
                    // Nobody answers: whoever asks deletes it in the store.
                    if let Some(Outcome::Deleted(deleted)) = cluster.wish(&session, &Wish::Delete).await {
                        let _gone_asker_does_not_matter = reply.send(Ok(deleted));
                    }
                };
                Some(passing.boxed())
            }
            // Whoever has the session sees to it.
            Command::Abandon | Command::Interrupt | Command::Leave => None,
        }
    }

    fn told<T: Send + 'static, E: Send + 'static>(
        self: &Arc<Self>,
        session: &SessionId,
        wish: Wish,
        refused: Result<(), E>,
        reply: oneshot::Sender<Result<T, E>>,
        answer: impl FnOnce(Option<Outcome>) -> Result<T, E> + Send + 'static,
    ) -> Option<BoxFuture<'static, ()>> {
        if let Err(refusal) = refused {
            let _gone_asker_does_not_matter = reply.send(Err(refusal));
            return None;
        }
        let (cluster, session) = (self.clone(), session.clone());
        let passing = async move {
            let outcome = cluster.wish(&session, &wish).await;
            let _gone_asker_does_not_matter = reply.send(answer(outcome));
        };
        Some(passing.boxed())
    }

    /// Says a wish, again and again until it is answered or that takes too long.
    async fn wish(&self, session: &SessionId, wish: &Wish) -> Option<Outcome> {
        // Said twice, it could stop the next one too.
        let patience = if *wish == Wish::Stop(StopTarget::Active) { PATIENCE_EACH } else { PATIENCE };
        let until = Instant::now() + patience;
        while Instant::now() < until {
            let (reply, answer) = oneshot::channel();
            self.say(session.clone(), wish.clone(), reply).await?;
            let this_time = until.min(Instant::now() + PATIENCE_EACH);
            match timeout_at(this_time, answer).await {
                Err(_) => {}
                // Whoever has it now is being looked for.
                Ok(Ok(Outcome::Elsewhere) | Err(_)) => sleep_until(this_time.min(Instant::now() + PAUSE)).await,
                Ok(Ok(outcome)) => return Some(outcome),
            }
        }
        None
    }
}
