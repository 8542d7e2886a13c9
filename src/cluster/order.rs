//! What this gateway wants of others.

use tokio::sync::oneshot;

use super::record::{Outcome, Wish};
use crate::{chat::SessionId, session::Mirror, store::NodeId};

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
    /// Dropped when it is over.
    pub alive: oneshot::Sender<()>,
}

pub(super) enum Order {
    Mirror(Mirroring),
    Wish(SessionId, Wish, oneshot::Sender<Outcome>),
}
