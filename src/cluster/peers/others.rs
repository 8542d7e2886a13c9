//! The other gateways, looked after all the time: something is said every second to each that lives, so that it is known
//! whether anybody hears it.

use std::collections::{HashMap, HashSet};

use tokio::time::Instant;

use super::Peers;
use crate::{
    cluster::link::Link,
    session::Closed,
    store::NodeId,
    telemetry::metrics::{CLUSTER_FOLLOWERS, CLUSTER_MIRRORS, CLUSTER_UNREACHED},
};

impl Peers {
    /// Looks after mirrors, links and what should be elsewhere.
    pub(super) fn look_after_all(&mut self) {
        let me = self.store.node();
        if std::mem::replace(&mut self.me, me.clone()) != me {
            // Others have taken this gateway for dead: whatever was between it and them is void.
            self.links.clear();
            self.mirrors.values().for_each(|shown| shown.mirror.close(Closed::Moved));
            (self.mirrors, self.sessions) = (HashMap::new(), HashMap::new());
        }
        // While nothing comes through, who has what is of no use.
        let (now, is_up) = (Instant::now(), self.bus.is_up());
        self.look_after_mirrors(now, is_up);
        let used: HashSet<NodeId> = self.mirrors.values().map(|shown| shown.owner.clone()).collect();
        self.look_after_links(now, is_up, &used);
        if is_up {
            used.iter().for_each(|node| self.look_whether_gone(node));
        }
        // Nobody could take what leaves while the store is away.
        if is_up && self.store.lease().is_certain {
            self.let_move();
        }
        self.links.retain(|_, link| !link.is_over(now));
        metrics::gauge!(CLUSTER_MIRRORS).set(self.mirrors.len() as f64);
        metrics::gauge!(CLUSTER_FOLLOWERS).set(self.links.values().map(Link::followers).sum::<usize>() as f64);
    }

    /// Looks after all links; those to the gateways in `used` are of sessions that are shown here.
    fn look_after_links(&mut self, now: Instant, is_up: bool, used: &HashSet<NodeId>) {
        let living: HashSet<NodeId> = self.store.others().into_iter().collect();
        for node in &living {
            self.links.entry(node.clone()).or_insert_with(Link::new);
        }
        let mut unreached = 0;
        for (node, link) in &mut self.links {
            link.tend(now, used.contains(node) || living.contains(node));
            if !is_up {
                link.reached = now; // Nothing can be said, and nothing is known of them.
            }
            unreached += usize::from(living.contains(node) && link.is_unreached(now));
        }
        self.apart.note(unreached, now);
        metrics::gauge!(CLUSTER_UNREACHED).set(unreached as f64);
    }
}
