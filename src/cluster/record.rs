//! What gateways say to one another. A message is a head and any number of records, in MessagePack, one behind the other:
//! a record that this version does not know is passed over, for two versions may run at once.

use serde::{Deserialize, Serialize};

use crate::{
    chat::{Feedback, MessageId, RunId, SessionId},
    limits::Visitor,
    session::{
        Closed, NewMessage, Receipt, Redo, RunNotActive, SendError, StopTarget,
        log::{Change, There},
    },
    store::{Fence, NodeId},
};

/// Names a mirror among those of its gateway. Another one each time that it begins to follow.
pub(super) type MirrorId = u32;

/// Who says it, on which line, with which number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Head(pub(super) NodeId, pub(super) u64, pub(super) u64);

/// One thing that is said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Record {
    /// A mirror wants to hear what happens in a session, from a cursor on, and says who is there.
    Follow(MirrorId, SessionId, Option<String>, u64, There),
    /// Who is there now.
    There(MirrorId, There),
    /// Who is there besides them.
    Others(MirrorId, There),
    /// It does not want to hear any more.
    Leave(MirrorId),
    /// Something happened.
    Changed(MirrorId, Change),
    /// The session is over for those who watch it; without a cause, it is not here.
    Over(MirrorId, Option<Closed>),
    /// The session is free, and the mirror has all of its log: whoever takes it as the next one after this fence goes on with
    /// that.
    Free(MirrorId, Fence),
    /// Somebody wants something.
    Wish(u64, SessionId, Wish),
    /// What came of it.
    Fulfilled(u64, Outcome),
    /// Something did not come: nothing that was said before counts.
    Lost,
}

/// What somebody wants of a session. All of it can be said twice and is done once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Wish {
    Send(Box<NewMessage>),
    Redo(MessageId, Redo, Visitor),
    Rate(MessageId, Feedback),
    Stop(StopTarget),
    Delete,
}

/// What came of a wish.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Outcome {
    Sent(Result<Receipt, SendError>),
    Rated(Result<(), SendError>),
    Stopped(Result<RunId, RunNotActive>),
    /// Whether there was anything.
    Deleted(bool),
    /// The session is not here.
    Elsewhere,
}

/// Something that is no message of ours.
#[derive(Debug, thiserror::Error)]
#[error("this is no message")]
pub(super) struct Unreadable;

/// A message that is being put together.
#[derive(Debug)]
pub(super) struct Batch(Vec<u8>);

impl Batch {
    pub(super) fn new(head: &Head) -> Self {
        let mut batch = Self(Vec::new());
        batch.write(head);
        batch
    }

    pub(super) fn push(&mut self, record: &Record) {
        self.write(record);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn write(&mut self, value: &impl Serialize) {
        // Named fields: those that are left out, or that another version does not know, do no harm.
        let written = value.serialize(&mut rmp_serde::Serializer::new(&mut self.0).with_struct_map());
        debug_assert!(written.is_ok(), "{written:?}"); // There is always room, and all of it can be said.
    }
}

/// Takes a message apart.
///
/// # Errors
/// [`Unreadable`] where it has no head.
pub(super) fn read(message: &[u8]) -> Result<(Head, Vec<Record>), Unreadable> {
    let mut rest = message;
    let head = rmp_serde::from_read(&mut rest).map_err(|_| Unreadable)?;
    let mut records = Vec::new();
    while !rest.is_empty() {
        let mut known = rest;
        match rmp_serde::from_read(&mut known) {
            Ok(record) => {
                records.push(record);
                rest = known;
            }
            Err(_) => {
                let _: serde::de::IgnoredAny = rmp_serde::from_read(&mut rest).map_err(|_| Unreadable)?;
            }
        }
    }
    Ok((head, records))
}
