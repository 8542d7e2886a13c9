//! What is wanted elsewhere of a session that is here.

use futures_util::{FutureExt, future::BoxFuture};
use tokio::sync::oneshot;

use super::record::{Outcome, Wish};
use crate::session::{Command, SessionHandle};

/// Hands a wish from elsewhere to the session here, in order; what comes of it.
pub(super) fn fulfil(session: &SessionHandle, wish: Wish) -> BoxFuture<'static, Outcome> {
    fn then<T: Send + 'static>(
        answer: Option<oneshot::Receiver<T>>,
        outcome: impl FnOnce(T) -> Outcome + Send + 'static,
    ) -> BoxFuture<'static, Outcome> {
        async move {
            match answer {
                Some(answer) => answer.await.map_or(Outcome::Elsewhere, outcome),
                None => Outcome::Elsewhere,
            }
        }
        .boxed()
    }
    match wish {
        Wish::Send(message) => then(session.wish(|reply| Command::Send(message, reply)), Outcome::Sent),
        Wish::Redo(id, redo, by) => {
            then(session.wish(|reply| Command::Redo(Some(id), Box::new((redo, by)), reply)), Outcome::Sent)
        }
        Wish::Rate(message, feedback) => {
            then(session.wish(|reply| Command::Rate(message, Box::new(feedback), reply)), Outcome::Rated)
        }
        Wish::Stop(target) => then(session.wish_to_stop(target), Outcome::Stopped),
        Wish::Delete => then(session.wish(Command::Delete), |deleted| match deleted {
            Ok(deleted) => Outcome::Deleted(deleted),
            Err(_) => Outcome::Elsewhere, // The store refused: it is tried again.
        }),
    }
}
