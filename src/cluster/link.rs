//! What is between this gateway and another one: what is to be said to it, and the followers that read sessions for it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Wake, Waker},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{
    line::{Receiving, Sending},
    record::{Batch, Head, MirrorId, Outcome, Record},
};
use crate::{
    chat::SessionId,
    session::{Ended, Follower, log::There},
    store::NodeId,
};

/// Between two messages to the same gateway.
pub(super) const WINDOW: Duration = Duration::from_millis(10);
/// A message that has so many bytes takes no more of what happened, and one of twice as many nothing at all.
const MESSAGE_BYTES: usize = 256 << 10;
/// Text in one record, in bytes.
const TEXT_BYTES: usize = 16 << 10;
/// Records that wait for a gateway, besides what is in the logs. Beyond, all is told anew.
const MAX_RECORDS: usize = 8192;
/// How often it says something; after what silence of the other one the store is asked whether it is dead, and how often; and
/// after what silence nothing is read for it any more.
const BEAT: Duration = Duration::from_secs(1);
const SILENT: Duration = Duration::from_secs(3);
const GONE: Duration = Duration::from_secs(10);
pub(super) const ASK_AGAIN: Duration = Duration::from_millis(500);
/// So long at least a session stays at a gateway that nobody watches it at, so as not to go to and fro.
const STAY: Duration = Duration::from_secs(30);

/// Followers that have something to tell.
#[derive(Default)]
pub(super) struct Dirty {
    followers: Mutex<Vec<(NodeId, MirrorId)>>,
    pub(super) some: Notify,
}

impl Dirty {
    /// Takes them.
    pub(super) fn take(&self) -> Vec<(NodeId, MirrorId)> {
        std::mem::take(&mut *self.followers.lock())
    }
}

/// Notes that a follower has something to tell.
struct FollowerWaker {
    dirty: Arc<Dirty>,
    of: (NodeId, MirrorId),
    is_dirty: AtomicBool,
}

impl Wake for FollowerWaker {
    fn wake(self: Arc<Self>) {
        if !self.is_dirty.swap(true, Ordering::AcqRel) {
            self.dirty.followers.lock().push(self.of.clone());
            self.dirty.some.notify_one();
        }
    }
}

/// Another gateway.
pub(super) struct Link {
    pub(super) receiving: Receiving,
    /// Mirrors whose sessions are being looked for, and who watches at each.
    coming: HashMap<MirrorId, There>,
    /// What is to be said to it, besides what happens in sessions.
    pub(super) records: VecDeque<Record>,
    /// Wishes that it has not answered.
    pub(super) asked: HashMap<u64, oneshot::Sender<Outcome>>,
    /// When it was heard last.
    pub(super) heard: Instant,
    /// When somebody took what was sent to it last.
    pub(super) reached: Instant,
    /// A message is on its way.
    pub(super) is_sending: bool,
    /// The store is being asked whether it is dead, and when it was last.
    pub(super) is_asked_for: bool,
    asked_for: Instant,
    sending: Sending,
    sent: Instant,
    /// It has to be told something, only to hear of this gateway.
    is_beating: bool,
    followers: HashMap<MirrorId, (Follower, Arc<FollowerWaker>)>,
    dirty: VecDeque<MirrorId>,
}

impl Link {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            receiving: Receiving::default(),
            coming: HashMap::new(),
            records: VecDeque::new(),
            asked: HashMap::new(),
            heard: now,
            reached: now,
            is_sending: false,
            is_asked_for: false,
            asked_for: now,
            sending: Sending::new(rand::random()),
            sent: now.checked_sub(WINDOW).unwrap_or(now),
            is_beating: false,
            followers: HashMap::new(),
            dirty: VecDeque::new(),
        }
    }

    /// When the next message may go, if there is something to say.
    pub(super) fn due(&self) -> Option<Instant> {
        let has_more = self.is_beating || !self.records.is_empty() || !self.dirty.is_empty();
        (has_more && !self.is_sending).then(|| self.sent + WINDOW)
    }

    /// Whether it has been silent for so long that the store should be asked, and is not being asked; then it is from now on.
    pub(super) fn may_be_gone(&mut self, now: Instant) -> bool {
        let may_be = !self.is_asked_for && now - self.heard > SILENT && now - self.asked_for > ASK_AGAIN;
        if may_be {
            (self.is_asked_for, self.asked_for) = (true, now);
        }
        may_be
    }

    /// Whether what is sent to it has come to nobody for some time.
    pub(super) fn is_unreached(&self, now: Instant) -> bool {
        now - self.reached > SILENT
    }

    /// Something that it sent is missing: nothing of it counts any more.
    pub(super) fn lose(&mut self) {
        self.coming.clear();
        self.followers.clear();
        self.records.push_back(Record::Lost);
    }

    /// One of its mirrors wants to follow a session, which is being looked for.
    pub(super) fn expect(&mut self, id: MirrorId, there: There) {
        self.coming.insert(id, there);
    }

    /// Who watches there, if it still wants to, now that the session was found, or not.
    pub(super) fn expected(&mut self, id: MirrorId) -> Option<There> {
        self.coming.remove(&id)
    }

    /// Has a session read for one of its mirrors.
    pub(super) fn add(&mut self, of: (NodeId, MirrorId), follower: Follower, dirty: &Arc<Dirty>) {
        let id = of.1;
        let waker = FollowerWaker { dirty: dirty.clone(), of, is_dirty: AtomicBool::new(false) };
        self.followers.insert(id, (follower, Arc::new(waker)));
        self.dirty.push_back(id);
    }

    /// Notes who watches at one of its mirrors.
    pub(super) fn set_there(&mut self, id: MirrorId, there: There) {
        if let Some((follower, _)) = self.followers.get_mut(&id) {
            follower.set_there(there);
        } else if let Some(coming) = self.coming.get_mut(&id) {
            *coming = there;
        }
    }

    pub(super) fn remove(&mut self, id: MirrorId) {
        self.coming.remove(&id);
        self.followers.remove(&id);
    }

    pub(super) fn followers(&self) -> usize {
        self.followers.len()
    }

    /// Sessions that had better be at that gateway.
    pub(super) fn out_of_place(&self) -> impl Iterator<Item = &SessionId> {
        let out_of_place = self.followers.values().filter(|(follower, _)| follower.is_out_of_place(STAY));
        out_of_place.map(|(follower, _)| follower.session())
    }

    /// One of its followers has something to tell.
    pub(super) fn note_dirty(&mut self, id: MirrorId) {
        self.dirty.push_back(id);
    }

    /// Looks after it; `is_used`: sessions of it are shown here, or it should be known whether it hears.
    pub(super) fn tend(&mut self, now: Instant, is_used: bool) {
        if now - self.heard > GONE && !self.followers.is_empty() {
            self.followers.clear();
            self.records.push_back(Record::Lost); // It may be there after all, and has missed nothing that has a number.
        }
        // Told when the next message is put together: what changes until then would be told before what waits.
        for (id, (follower, waker)) in &self.followers {
            if follower.has_others() && !waker.is_dirty.swap(true, Ordering::AcqRel) {
                self.dirty.push_back(*id);
            }
        }
        self.is_beating = (is_used || !self.followers.is_empty()) && now - self.sent > BEAT;
        if self.records.len() > MAX_RECORDS {
            // It does not take what is for it: it is told all anew when it does.
            self.records.clear();
            self.followers.clear();
            self.sending = Sending::new(rand::random());
        }
    }

    /// Whether there is nothing between the two any more.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        let nothing = self.records.is_empty() && self.followers.is_empty() && self.asked.is_empty();
        nothing && !self.is_sending && now - self.heard > GONE && now - self.sent > GONE
    }

    /// The next message: what followers have to tell, and what waits.
    pub(super) fn message(&mut self, me: &NodeId, now: Instant) -> Vec<u8> {
        (self.is_sending, self.sent, self.is_beating) = (true, now, false);
        let (line, number) = self.sending.next();
        let mut batch = Batch::new(&Head(me.clone(), line, number));
        while batch.len() < MESSAGE_BYTES
            && let Some(id) = self.dirty.pop_front()
        {
            let Some((follower, waker)) = self.followers.get_mut(&id) else { continue };
            // Whatever comes from now on makes it dirty again.
            waker.is_dirty.store(false, Ordering::Release);
            follower.wake(&Waker::from(waker.clone()));
            let mut is_cut = false;
            follower.tell(TEXT_BYTES, |change| {
                batch.push(&Record::Changed(id, change));
                is_cut = batch.len() >= MESSAGE_BYTES;
                !is_cut
            });
            if is_cut {
                self.dirty.push_front(id);
                break;
            }
            if let Some(others) = follower.others() {
                batch.push(&Record::Others(id, others));
            }
            if let Some(ended) = follower.ended() {
                batch.push(&match ended {
                    Ended::Closed(cause) => Record::Over(id, Some(cause)),
                    Ended::Free(fence) => Record::Free(id, fence),
                });
                self.followers.remove(&id);
            }
        }
        // Behind what happened, so that what is answered has been seen by then.
        while batch.len() < 2 * MESSAGE_BYTES
            && let Some(record) = self.records.pop_front()
        {
            batch.push(&record);
        }
        batch.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cluster::record::read, session::log::There, simulation};

    #[tokio::test]
    async fn who_watches_is_told_as_it_is_in_the_end() {
        let (_world, session) = simulation::a_session();
        let there = |viewers| There { viewers, typing: 0 };
        let (dirty, me) = (Arc::<Dirty>::default(), NodeId("me".into()));
        let (mut link, of) = (Link::new(), (NodeId("other".into()), 7));
        link.add(of, session.follow(None, 0, there(1)), &dirty);
        let told = |link: &mut Link| {
            dirty.take().into_iter().for_each(|(_, id)| link.note_dirty(id));
            let message = link.message(&me, Instant::now());
            let records = read(&message).expect("a message").1;
            let others =
                |record: &Record| if let Record::Others(7, there) = record { Some(there.viewers) } else { None };
            records.iter().filter_map(others).collect::<Vec<_>>()
        };
        assert_eq!(told(&mut link), [0]);
        let (second, third) = (session.follow(None, 0, there(1)), session.follow(None, 0, there(2)));
        link.tend(Instant::now(), true);
        assert_eq!(told(&mut link), [3]);
        drop(second);
        link.tend(Instant::now(), true);
        drop(third); // Behind what was noted to be told.
        assert_eq!(told(&mut link).last(), Some(&0));
        assert_eq!(told(&mut link), [0; 0]);
        let (viewer, _) = session.attach(None);
        link.tend(Instant::now(), true);
        assert_eq!(told(&mut link), [1], "the first one who watches here wakes nobody");
        drop(viewer);
    }

    #[test]
    fn who_watches_is_known_from_when_it_was_said_last() {
        let there = |viewers| There { viewers, typing: 0 };
        let mut link = Link::new();
        link.expect(7, there(1));
        link.set_there(7, there(2)); // While the session is being looked for.
        link.set_there(8, there(3));
        assert_eq!((link.expected(7), link.expected(7), link.expected(8)), (Some(there(2)), None, None));
    }
}
