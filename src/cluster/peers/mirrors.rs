//! The sessions of other gateways that are shown here: what is heard of them, and from whom.

use std::time::Duration;

use tokio::time::Instant;

use super::{Peers, Shown, owners::ASK_AT_ONCE};
use crate::{
    cluster::{
        link::{ASK_AGAIN, Link},
        order::{Mirroring, Seen},
        record::{MirrorId, Record},
    },
    session::{
        Closed,
        log::{Change, There},
    },
    store::NodeId,
};

/// Who has said nothing for so long, although something is said every second, may have said what did not come.
const QUIET: Duration = Duration::from_millis(1500);
/// How long a mirror waits for the first word before it is asked who has the session now.
const FIRST_WORD: Duration = Duration::from_secs(1);
/// A mirror that nobody has used for so long is let go, and no more is sent for it.
const MIRROR_IDLE: Duration = Duration::from_secs(6);

impl Peers {
    /// Shows a session of another gateway.
    pub(super) fn show(&mut self, mirroring: Mirroring) {
        let Mirroring { session, owner, mirror, seen, alive } = mirroring;
        let now = Instant::now();
        let shown = Shown {
            session: session.clone(),
            mirror,
            owner,
            seen: Some(seen),
            alive,
            told: There::default(),
            waits: Some(now),
            looked: now,
            is_looking: false,
        };
        if let Some(before) = self.sessions.remove(&session) {
            self.let_go(before);
        }
        self.follow(shown, false);
    }

    /// Has a mirror hear what happens, from where it is on, or all of it.
    pub(super) fn follow(&mut self, mut shown: Shown, from_nothing: bool) {
        let (Some((at, revision)), Some(there)) = (shown.mirror.end(), shown.mirror.there()) else {
            self.sessions.remove(&shown.session);
            return;
        };
        shown.is_looking = false; // Whatever was asked before is answered for another id.
        let at = at.filter(|_| !from_nothing);
        self.next = self.next.wrapping_add(1);
        let id = self.next;
        (shown.told, shown.waits) = (there, Some(Instant::now()));
        self.link(&shown.owner.clone()).records.push_back(Record::Follow(
            id,
            shown.session.clone(),
            at,
            revision,
            there,
        ));
        self.sessions.insert(shown.session.clone(), id);
        self.mirrors.insert(id, shown);
    }

    pub(super) fn follow_anew(&mut self, id: MirrorId, from_nothing: bool) {
        if let Some(shown) = self.mirrors.remove(&id) {
            self.link(&shown.owner.clone()).records.push_back(Record::Leave(id));
            self.sessions.remove(&shown.session);
            self.follow(shown, from_nothing);
        }
    }

    /// Nobody shows it any more.
    pub(super) fn let_go(&mut self, id: MirrorId) {
        if let Some(shown) = self.mirrors.remove(&id) {
            if self.sessions.get(&shown.session) == Some(&id) {
                self.sessions.remove(&shown.session);
            }
            self.link(&shown.owner.clone()).records.push_back(Record::Leave(id));
        }
    }

    pub(super) fn follow_all_anew(&mut self, owner: &NodeId) {
        let of_owner = |(id, shown): (&MirrorId, &Shown)| (shown.owner == *owner).then_some(*id);
        let ids: Vec<MirrorId> = self.mirrors.iter().filter_map(of_owner).collect();
        for id in ids {
            self.follow_anew(id, false);
        }
    }

    pub(super) fn on_changed(&mut self, from: &NodeId, id: MirrorId, change: Change) {
        let Some(shown) = self.mirrors.get_mut(&id).filter(|shown| shown.owner == *from) else {
            // It was let go, and that is not known there.
            return self.link(from).records.push_back(Record::Leave(id));
        };
        let is_whole = matches!(change, Change::Whole(_));
        match shown.mirror.repeat(change) {
            Ok(true) => {
                shown.waits = None;
                if let Some(seen) = shown.seen.take() {
                    let _nobody_waits = seen.send(Seen);
                }
            }
            Ok(false) => self.let_go(id),
            Err(_) => self.on_out_of_step(id, is_whole),
        }
    }

    /// What came does not fit what is here: something was missed, or it is another incarnation of the session.
    fn on_out_of_step(&mut self, id: MirrorId, was_whole: bool) {
        if !was_whole {
            return self.follow_anew(id, true);
        }
        // Readers cannot go on in another incarnation: they come back, to this one's successor.
        if let Some(shown) = self.mirrors.get(&id) {
            shown.mirror.close(Closed::Moved);
        }
        self.let_go(id);
    }

    /// Lets those go that nobody uses, and asks for those of whom nothing is heard.
    pub(super) fn look_after_mirrors(&mut self, now: Instant, is_up: bool) {
        let (mut unused, mut lost) = (Vec::new(), Vec::new());
        for (id, shown) in &mut self.mirrors {
            let Some(there) = shown.mirror.there() else {
                unused.push(*id);
                continue;
            };
            if shown.mirror.unused() > MIRROR_IDLE {
                shown.mirror.close(Closed::Moved);
                unused.push(*id);
                continue;
            }
            let link = self.links.entry(shown.owner.clone()).or_insert_with(Link::new);
            shown.mirror.set_current(is_up && shown.waits.is_none() && now - link.heard < QUIET);
            if std::mem::replace(&mut shown.told, there) != there {
                link.records.push_back(Record::There(*id, there));
            }
            let waits_long = shown.waits.is_some_and(|since| now - since > FIRST_WORD);
            let is_due = !shown.is_looking && shown.looked.elapsed() > ASK_AGAIN && lost.len() < ASK_AT_ONCE;
            if is_due && is_up && waits_long {
                lost.push(*id);
            }
        }
        unused.into_iter().for_each(|id| self.let_go(id));
        lost.into_iter().for_each(|id| self.look_for_owner(id));
    }
}
