//! What this gateway wants of others.

use futures_util::{future::BoxFuture, stream::FuturesUnordered};
use tokio::sync::oneshot;

use super::record::{Outcome, Wish};
use crate::{
    chat::SessionId,
    session::{Mirror, Wishes},
    store::{Fence, NodeId},
};

/// Whether anything was heard of a session from the gateway that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen;

/// A mirror that is to begin.
pub struct Mirroring {
    /// Which session.
    pub session: SessionId,
    /// Who has it.
    pub owner: NodeId,
    /// The copy.
    pub mirror: Mirror,
    /// Told when something was heard of it; dropped when that cannot be.
    pub seen: oneshot::Sender<Seen>,
    /// Dropped when it is over; told the fence when the session is this gateway's from now on, with the log as it is here.
    pub alive: oneshot::Sender<Fence>,
}

/// What was shown here, and is this gateway's now.
pub(crate) struct Inherited {
    /// By what it may write.
    pub(crate) fence: Fence,
    /// What is wanted of the session from now on.
    pub(crate) wishes: Wishes,
    /// What was wanted before, until it is answered.
    pub(crate) underway: Underway,
}

/// Wishes that are not answered yet.
pub(crate) type Underway = FuturesUnordered<BoxFuture<'static, ()>>;

pub(super) enum Order {
    Mirror(Mirroring),
    Wish(SessionId, Wish, oneshot::Sender<Outcome>),
}
