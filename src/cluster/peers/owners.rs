//! Who has the sessions that are shown here: asked of the store, and changed when one of them moves.

use futures_util::FutureExt;
use tokio::time::Instant;

use super::{Done, Peers};
use crate::{
    chat::SessionId,
    cluster::{link::ASK_AGAIN, record::MirrorId},
    session::Closed,
    store::{Fence, NodeId, StoreError},
    telemetry::metrics::CLUSTER_MOVES,
};

/// Of so many mirrors at most it is asked at a time: they may all be of one gateway that is gone.
pub(super) const ASK_AT_ONCE: usize = 64;

impl Peers {
    /// Asks the store who has a session, unless that was done just now.
    pub(super) fn look_for_owner(&mut self, id: MirrorId) {
        let Some(shown) = self.mirrors.get_mut(&id) else { return };
        if shown.is_looking || shown.looked.elapsed() < ASK_AGAIN {
            shown.waits.get_or_insert_with(Instant::now);
            return;
        }
        (shown.is_looking, shown.looked) = (true, Instant::now());
        let (store, session) = (self.store.clone(), shown.session.clone());
        let looking = async move {
            let owner = store.owner(&session).await;
            Done::Owner(session, owner)
        };
        self.doing.push(looking.boxed());
    }

    pub(super) fn on_owner(&mut self, session: &SessionId, owner: Result<Option<NodeId>, StoreError>) {
        let Some(id) = self.sessions.get(session).copied() else { return };
        let Some(shown) = self.mirrors.get_mut(&id) else { return };
        shown.is_looking = false;
        match owner {
            // Those who watch come back, and whichever gateway they come to has it then.
            Ok(None) => shown.mirror.close(Closed::Moved),
            Err(StoreError::NoSession) => shown.mirror.close(Closed::Deleted),
            Ok(Some(node)) => {
                shown.owner = node;
                return self.follow_anew(id, false);
            }
            Err(_) => return,
        }
        self.let_go(id);
    }

    /// Asks the store whether a gateway is dead that says nothing any more: once for all that it had.
    pub(super) fn look_whether_gone(&mut self, node: &NodeId) {
        let link = self.link(node);
        if !link.may_be_gone(Instant::now()) {
            return;
        }
        let (store, node) = (self.store.clone(), node.clone());
        let looking = async move {
            let gone = store.is_gone(&node).await;
            Done::Gone(node, gone)
        };
        self.doing.push(looking.boxed());
    }

    pub(super) fn on_gone(&mut self, node: &NodeId, gone: Result<bool, StoreError>) {
        self.link(node).is_asked_for = false;
        let of_node = self.mirrors.iter().filter(|(_, shown)| shown.owner == *node).map(|(id, _)| *id);
        if matches!(gone, Ok(false)) {
            // It is there and says nothing: it may have none of them any more, and another one has them.
            let some: Vec<MirrorId> = of_node.take(ASK_AT_ONCE).collect();
            return some.into_iter().for_each(|id| self.look_for_owner(id));
        }
        if gone.is_err() {
            return;
        }
        for id in of_node.collect::<Vec<_>>() {
            if let Some(shown) = self.mirrors.get(&id) {
                shown.mirror.close(Closed::Moved);
            }
            self.let_go(id);
        }
    }

    /// Sends sessions away that are watched at another gateway only.
    pub(super) fn let_move(&mut self) {
        let sessions: Vec<SessionId> = self.links.values().flat_map(|link| link.out_of_place().cloned()).collect();
        for session in sessions {
            let home = self.home.clone();
            let leaving = async move {
                if let Some(session) = home(session).await {
                    session.leave();
                }
                Done::Here
            };
            self.doing.push(leaving.boxed());
        }
    }

    /// A session is free, and its mirror has all of it: this gateway goes on with it, if somebody watches it here.
    pub(super) fn on_free(&mut self, from: &NodeId, id: MirrorId, before: Fence) {
        let Some(shown) = self.mirrors.get_mut(&id).filter(|shown| shown.owner == *from) else { return };
        if shown.mirror.there().is_none_or(|there| there.viewers == 0) {
            shown.mirror.close(Closed::Moved);
            return self.let_go(id);
        }
        shown.is_looking = true;
        let (store, session) = (self.store.clone(), shown.session.clone());
        let taking = async move {
            let taken = store.take(&session).await;
            Done::Taken(id, session, before, taken)
        };
        self.doing.push(taking.boxed());
    }

    pub(super) fn on_taken(
        &mut self,
        id: MirrorId,
        session: &SessionId,
        before: Fence,
        taken: Result<Fence, StoreError>,
    ) {
        let Some(mut shown) = self.mirrors.remove(&id) else {
            if let Ok(fence) = taken {
                drop(self.store.give_up(session, fence)); // It was let go meanwhile.
            }
            return;
        };
        match taken {
            Ok(fence) if fence.is_next_after(before) => {
                self.sessions.remove(session);
                metrics::counter!(CLUSTER_MOVES, "outcome" => "inherited").increment(1);
                if shown.alive.send(fence).is_err() {
                    drop(self.store.give_up(session, fence)); // Nobody shows it any more.
                }
            }
            // Another one was faster: who watches here hears it from there.
            Err(StoreError::Elsewhere(Some(node))) => {
                shown.owner = node;
                self.follow(shown, false);
            }
            taken => {
                if let Ok(fence) = taken {
                    drop(self.store.give_up(session, fence)); // Another one had it in between.
                }
                let deleted = matches!(taken, Err(StoreError::NoSession));
                shown.mirror.close(if deleted { Closed::Deleted } else { Closed::Moved });
                self.sessions.remove(session);
            }
        }
    }
}
