//! All sessions in memory at one glance, for whoever looks after the gateway. Uses `session`.

use std::cmp::Reverse;

use super::Hub;
use crate::session::{Activity, SessionHandle, SessionReport};

/// How much goes on in the sessions in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// The sessions.
    pub sessions: usize,
    /// Those of them that somebody watches.
    pub watched: usize,
    /// How many watch.
    pub viewers: usize,
    /// Those in which an answer is being written or waits.
    pub busy: usize,
}

impl Hub {
    /// The sessions of a tenant, or of all: how much goes on in them, and the `most` in which most does, the busy ones
    /// first and then what was used last. Those that are told of are locked for a moment, one after the other; the others
    /// are not.
    #[must_use]
    pub fn overview(&self, tenant: Option<&str>, most: usize) -> (Counts, Vec<SessionReport>) {
        let mut counts = Counts::default();
        let is_meant = |handle: &SessionHandle| {
            tenant.is_none_or(|tenant| handle.owner().is_some_and(|owner| owner.tenant() == tenant))
        };
        let mut seen: Vec<(Activity, SessionHandle)> =
            self.handles().into_iter().filter(is_meant).map(|handle| (handle.activity(), handle)).collect();
        for (activity, _) in &seen {
            counts.sessions += 1;
            counts.viewers += activity.viewers;
            counts.watched += usize::from(activity.viewers > 0);
            counts.busy += usize::from(activity.busy);
        }
        let rank = |(activity, _): &(Activity, SessionHandle)| {
            Reverse((activity.busy, activity.viewers > 0, activity.touched))
        };
        if most < seen.len() {
            seen.select_nth_unstable_by_key(most, rank);
            seen.truncate(most);
        }
        seen.sort_unstable_by_key(rank);
        (counts, seen.iter().map(|(_, handle)| handle.report()).collect())
    }
}
