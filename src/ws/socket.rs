//! What a socket needs to know. Plain values.

use std::{sync::Arc, time::Duration};

use crate::{
    auth::{Authenticator, Caller},
    limits::Visitor,
    run::Assistants,
    session::SessionHandle,
};

/// What a socket needs to know.
#[derive(Debug)]
pub struct Socket {
    /// The assistants on offer.
    pub assistants: Arc<Assistants>,
    /// Its session.
    pub session: SessionHandle,
    /// Checks further tokens.
    pub auth: Arc<Authenticator>,
    /// Whose messages its are counted among.
    pub visitor: Visitor,
    /// Who it belongs to, and until when; nobody in particular where that is allowed.
    pub caller: Caller,
    /// For how long after the last socket left a cursor is good.
    pub resume_ttl: Duration,
    /// The cursor that came with the URL.
    pub resume: Option<String>,
    /// Names the socket in the log.
    pub connection: String,
    /// How long the end of the gateway may take.
    pub drain: Duration,
}

impl Socket {
    /// Whether its caller is shown the assistant that answers in it; of one that is not on offer the session tells.
    pub(super) fn may_ask(&self) -> bool {
        self.caller.may_ask(&self.assistants, self.session.assistant())
    }
}
