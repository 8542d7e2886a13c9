//! Which collections have a copy in memory, and what of it is known to be true. No I/O: `tables` reads and compares.
//!
//! All copies together have a bound. At it, the copy of the collection that was not searched for longest goes; a
//! collection that is too large alone has none.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::{Notify, futures::OwnedNotified},
    time::Instant,
};

use super::memory::Snapshot;
use crate::telemetry::metrics::RAG_COPIES_BYTES;

/// Bytes of all copies.
pub(crate) const MAX_BYTES: usize = 256 << 20;
/// How long a copy is taken for true before the table is looked at: how soon a running gateway sees what another process
/// ingested.
pub(super) const READ_CONSISTENCY: Duration = Duration::from_secs(2);
/// After a copy was read, it is not read again for so many times as long as that took: another process that writes on and
/// on must not keep this one reading.
const REST_FACTOR: u32 = 3;
/// After a copy could not be read.
const REST_AFTER_FAILURE: Duration = Duration::from_secs(5);
/// A collection that was too large is tried again when it has lost one of so many of its rows.
const SHRUNK: usize = 8;
/// Collections that something is known about.
const MAX_KNOWN: usize = 1024;

pub(super) struct Copies {
    most: usize,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    copies: HashMap<String, Copy>,
    /// Counts searches, so that copies have an order.
    searches: u64,
}

struct Copy {
    current: Option<Current>,
    searched: u64,
    is_read: bool,
    /// Told when reading it has ended.
    read: Arc<Notify>,
    rests_until: Option<Instant>,
    /// The rows that were too many.
    too_large: Option<usize>,
}

struct Current {
    snapshot: Arc<Snapshot>,
    bytes: usize,
    /// The version of the table that says the same.
    seen: u64,
    checked: Instant,
}

impl Default for Copy {
    fn default() -> Self {
        let read = Arc::new(Notify::new());
        Self { current: None, searched: 0, is_read: false, read, rests_until: None, too_large: None }
    }
}

/// How reading a copy ended.
pub(super) enum Reading {
    /// With the copy of this version of the table.
    Copy(Snapshot, u64),
    /// It takes more than all copies may: a table of so many rows.
    TooLarge(usize),
    /// It did not work.
    Failed,
}

impl Copies {
    pub(super) fn new(most: usize) -> Self {
        Self { most, known: Mutex::default() }
    }

    /// The copy, if it was compared with its table lately.
    pub(super) fn fresh(&self, name: &str, now: Instant) -> Option<Arc<Snapshot>> {
        let mut known = self.known.lock();
        known.searches += 1;
        let searches = known.searches;
        let copy = known.copies.get_mut(name)?;
        copy.searched = searches;
        let current = copy.current.as_ref()?;
        let is_fresh = now.saturating_duration_since(current.checked) < READ_CONSISTENCY;
        is_fresh.then(|| Arc::clone(&current.snapshot))
    }

    /// The copy, and the version of the table that it was last known to be equal to.
    pub(super) fn get(&self, name: &str) -> Option<(Arc<Snapshot>, u64)> {
        let known = self.known.lock();
        let current = known.copies.get(name)?.current.as_ref()?;
        Some((Arc::clone(&current.snapshot), current.seen))
    }

    /// The table's version says the same as `snapshot`.
    pub(super) fn confirm(&self, name: &str, snapshot: &Arc<Snapshot>, version: u64, now: Instant) {
        let mut known = self.known.lock();
        let current = known.copies.get_mut(name).and_then(|copy| copy.current.as_mut());
        if let Some(current) = current.filter(|current| Arc::ptr_eq(&current.snapshot, snapshot)) {
            current.seen = current.seen.max(version);
            current.checked = now;
        }
    }

    /// Whether somebody has to read it now, and who is told when that has ended. `None` while it rests.
    pub(super) fn begin(&self, name: &str, rows: usize, now: Instant) -> Option<(bool, OwnedNotified)> {
        let mut known = self.known.lock();
        if known.copies.len() >= MAX_KNOWN {
            known.copies.retain(|_, copy| copy.current.is_some() || copy.is_read);
        }
        let copy = known.copies.entry(name.to_owned()).or_default();
        let is_too_large = copy.too_large.is_some_and(|many| rows > many - many / SHRUNK);
        if self.most == 0 || is_too_large || copy.rests_until.is_some_and(|until| now < until) {
            return None;
        }
        let is_first = !std::mem::replace(&mut copy.is_read, true);
        Some((is_first, Arc::clone(&copy.read).notified_owned()))
    }

    /// Reading it has ended.
    pub(super) fn end(&self, name: &str, reading: Reading, took: Duration, now: Instant) {
        let mut known = self.known.lock();
        let Some(copy) = known.copies.get_mut(name) else { return };
        copy.is_read = false;
        copy.read.notify_waiters();
        copy.too_large = None;
        match reading {
            Reading::Copy(snapshot, seen) => {
                copy.rests_until = Some(now + REST_FACTOR * took);
                self.publish_in(&mut known, name, snapshot, seen, now);
            }
            Reading::TooLarge(rows) => {
                copy.current = None;
                copy.too_large = Some(rows);
            }
            Reading::Failed => {
                copy.current = None;
                copy.rests_until = Some(now + REST_AFTER_FAILURE);
            }
        }
        known.tell();
    }

    /// Nobody reads it any more.
    pub(super) fn abandon(&self, name: &str) {
        if let Some(copy) = self.known.lock().copies.get_mut(name) {
            copy.is_read = false;
            copy.read.notify_waiters();
        }
    }

    /// The next version, made of the copy.
    pub(super) fn publish(&self, name: &str, snapshot: Snapshot, now: Instant) {
        let mut known = self.known.lock();
        let seen = snapshot.version();
        self.publish_in(&mut known, name, snapshot, seen, now);
        known.tell();
    }

    /// The copy is not true any more, or nobody knows.
    pub(super) fn forget(&self, name: &str) {
        let mut known = self.known.lock();
        if let Some(copy) = known.copies.get_mut(name) {
            copy.current = None;
            copy.rests_until = None;
        }
        known.tell();
    }

    /// Bytes that a copy may take.
    pub(super) const fn most(&self) -> usize {
        self.most
    }

    fn publish_in(&self, known: &mut Known, name: &str, snapshot: Snapshot, seen: u64, now: Instant) {
        let (bytes, rows) = (snapshot.bytes(), snapshot.chunks());
        let copy = known.copies.entry(name.to_owned()).or_default();
        if bytes > self.most {
            copy.current = None;
            copy.too_large = Some(rows);
            return;
        }
        copy.current = Some(Current { snapshot: Arc::new(snapshot), bytes, seen, checked: now });
        while known.bytes() > self.most {
            let others = known.copies.iter_mut().filter(|(other, copy)| *other != name && copy.current.is_some());
            match others.min_by_key(|(_, copy)| copy.searched) {
                Some((_, copy)) => copy.current = None,
                None => return,
            }
        }
    }
}

impl Known {
    fn bytes(&self) -> usize {
        self.copies.values().filter_map(|copy| copy.current.as_ref()).map(|current| current.bytes).sum()
    }

    fn tell(&self) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        metrics::gauge!(RAG_COPIES_BYTES).set(self.bytes() as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knowledge::index::memory::tests::snapshot;

    const MOMENT: Duration = Duration::from_millis(1);

    fn read(copies: &Copies, name: &str, rows: usize, now: Instant) {
        assert!(copies.begin(name, rows, now).expect("not at rest").0);
        copies.end(name, Reading::Copy(snapshot(1, rows), 1), MOMENT, now);
    }

    #[test]
    fn the_copy_that_was_not_searched_for_longest_goes() {
        let now = Instant::now();
        let copies = Copies::new(snapshot(1, 100).bytes() * 5 / 2);
        read(&copies, "a", 100, now);
        read(&copies, "b", 100, now);
        assert!(copies.fresh("a", now).is_some());
        read(&copies, "c", 100, now);
        assert!(copies.get("a").is_some() && copies.get("b").is_none() && copies.get("c").is_some());
    }

    #[test]
    fn what_is_too_large_is_tried_again_when_it_has_become_smaller() {
        let now = Instant::now();
        let copies = Copies::new(snapshot(1, 100).bytes());
        read(&copies, "a", 400, now);
        let later = now + 10 * MOMENT;
        assert!(copies.get("a").is_none() && copies.begin("a", 390, later).is_none());
        read(&copies, "a", 90, later);
        assert!(copies.get("a").is_some());
    }

    #[test]
    fn one_reads_for_all_and_not_all_the_time() {
        let now = Instant::now();
        let copies = Copies::new(MAX_BYTES);
        let first = copies.begin("a", 1, now).expect("not at rest");
        let second = copies.begin("a", 1, now).expect("not at rest");
        assert!(first.0 && !second.0);
        copies.end("a", Reading::Copy(snapshot(1, 1), 1), 10 * MOMENT, now);
        assert!(copies.begin("a", 1, now + 29 * MOMENT).is_none());
        assert!(copies.begin("a", 1, now + 30 * MOMENT).is_some());
        copies.end("a", Reading::Failed, MOMENT, now);
        assert!(copies.get("a").is_none() && copies.begin("a", 1, now + REST_AFTER_FAILURE / 2).is_none());
    }

    #[test]
    fn it_is_true_for_a_while_and_longer_when_the_table_says_so() {
        let now = Instant::now();
        let copies = Copies::new(MAX_BYTES);
        read(&copies, "a", 1, now);
        let (snapshot, seen) = copies.get("a").expect("there");
        assert_eq!(seen, 1);
        assert!(copies.fresh("a", now + READ_CONSISTENCY / 2).is_some());
        assert!(copies.fresh("a", now + READ_CONSISTENCY).is_none());
        copies.confirm("a", &snapshot, 4, now + READ_CONSISTENCY);
        assert!(copies.fresh("a", now + READ_CONSISTENCY).is_some());
        assert_eq!(copies.get("a").map(|(snapshot, seen)| (snapshot.version(), seen)), Some((1, 4)));
        copies.forget("a");
        assert!(copies.fresh("a", now).is_none());
    }
}
