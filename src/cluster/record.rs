//! What gateways say to one another. A message is a head and any number of records, in MessagePack, one behind the other:
//! a record that this version does not know is passed over, for two versions may run at once.

use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};

use crate::{
    chat::{Feedback, MessageId, RunId, SessionId},
    limits::Visitor,
    session::{
        Closed, NewMessage, Receipt, Redo, RunNotActive, SendError, StopTarget,
        log::{Change, There},
    },
    store::{Fence, NodeId},
};

/// How deep what is said may be nested. No record is half as deep, and a stack has an end.
const MAX_DEPTH: usize = 64;

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
    let head = next(&mut rest)?;
    let mut records = Vec::new();
    while !rest.is_empty() {
        let mut known = rest;
        match next(&mut known) {
            Ok(record) => {
                records.push(record);
                rest = known;
            }
            Err(Unreadable) => {
                let _: IgnoredAny = next(&mut rest)?;
            }
        }
    }
    Ok((head, records))
}

/// What is said next, which is taken from `rest`.
fn next<T: DeserializeOwned>(rest: &mut &[u8]) -> Result<T, Unreadable> {
    let mut reader = rmp_serde::Deserializer::new(rest);
    reader.set_max_depth(MAX_DEPTH);
    T::deserialize(&mut reader).map_err(|_| Unreadable)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::Index};

    use super::*;

    fn head() -> Head {
        Head(NodeId("other".into()), 7, 9)
    }

    fn records() -> Vec<Record> {
        let session = SessionId::random();
        vec![
            Record::Follow(1, session.clone(), Some("e7:3".to_owned()), 4, There { viewers: 1, typing: 0 }),
            Record::There(1, There { viewers: 2, typing: 1 }),
            Record::Changed(1, Change::Text(5, "text".to_owned())),
            Record::Over(1, Some(Closed::Deleted)),
            Record::Wish(8, session.clone(), Wish::Stop(StopTarget::Active)),
            Record::Wish(9, session, Wish::Delete),
            Record::Fulfilled(8, Outcome::Stopped(Err(RunNotActive))),
            Record::Lost,
        ]
    }

    fn message() -> Vec<u8> {
        let mut batch = Batch::new(&head());
        records().iter().for_each(|record| batch.push(record));
        batch.into_bytes()
    }

    #[test]
    fn what_is_not_known_is_passed_over_and_what_is_cut_off_is_none() {
        let mut batch = Batch::new(&head());
        let known = [Record::Leave(3), Record::Lost];
        batch.push(&known[0]);
        batch.write(&("Newer", [1, 2, 3]));
        batch.write(&std::collections::BTreeMap::from([("Changed", ("no", "change"))]));
        batch.push(&known[1]);
        let bytes = batch.into_bytes();
        assert_eq!(read(&bytes).unwrap(), (head(), known.to_vec()));
        assert!(read(&bytes[..bytes.len() - 1]).is_err() && read(&[]).is_err());
    }

    /// A stack has an end, and a length that is only said is no length.
    #[test]
    fn what_is_nested_or_long_without_end_is_none() {
        let mut begun = Batch::new(&head());
        begun.push(&Record::Lost);
        let begun = begun.into_bytes();
        // As often as it takes, a list of itself; a conversation in a conversation; what says that it is 4 GiB long.
        let said = Change::Text(1, String::new());
        let mut inner = rmp_serde::to_vec_named(&Record::Changed(1, said)).unwrap();
        let at = inner.windows(4).position(|word| word == b"Text").unwrap() - 2;
        inner.truncate(at);
        let mut within = b"\x81\xa4Said\x92\x83\xa8messages\x90\xa5older\xc2\xa8revision\x00\x91".repeat(100_000);
        within.splice(..0, inner);
        for more in [
            vec![0x91; 1 << 20],
            b"\x81\xa1a".repeat(1 << 18),
            within,
            b"\xdb\xff\xff\xff\xff".to_vec(),
            b"\xdd\xff\xff\xff\xff".to_vec(),
        ] {
            assert!(read(&[&begun[..], &more].concat()).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_none(bytes in vec(any::<u8>(), 0..200)) {
            let _either = read(&bytes);
        }

        #[test]
        fn an_altered_message_is_one_or_none(changes in vec((any::<Index>(), any::<u8>()), 0..4), end in any::<Index>()) {
            let mut bytes = message();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.truncate(bytes.len() - end.index(bytes.len()) / 8);
            if let Ok((head, records)) = read(&bytes) {
                let mut again = Batch::new(&head);
                records.iter().for_each(|record| again.push(record));
                prop_assert_eq!(read(&again.into_bytes()).unwrap(), (head, records));
            }
        }
    }
}
