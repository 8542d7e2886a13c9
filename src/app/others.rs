//! The way to other gateways, and what goes that way; and what is counted for all of them.

use std::sync::Arc;

use futures_util::FutureExt;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::background::{lasting, until};
use crate::{
    auth::Authenticator,
    cluster::{Bus, Cluster, Home},
    ephemeral::{Redis, Server},
    hub::Hub,
};

/// Other gateways that have the same database.
#[derive(Debug)]
pub(super) struct Others {
    bus: Arc<Bus>,
    pub(super) cluster: Arc<Cluster>,
}

impl Others {
    /// Those that meet at this Redis.
    pub(super) fn at(server: Server, redis: Arc<Redis>) -> Self {
        let (bus, inbox) = Bus::over(server);
        Self { cluster: Cluster::over(bus.clone(), inbox, redis), bus }
    }

    /// Hears and tells what happens in sessions here and elsewhere, until the `ending`.
    pub(super) fn keep_in_touch(self, background: &TaskTracker, ending: &CancellationToken, hub: &Arc<Hub>) {
        let Self { bus, cluster } = self;
        let (store, stop) = (hub.store().clone(), ending.clone());
        let keep = move || {
            let store = store.clone();
            until(stop.clone(), bus.clone().keep(move || store.node()))
        };
        background.spawn(lasting("the way to other gateways", keep));
        let (hub, stop) = (hub.clone(), ending.clone());
        let run = move || {
            let (sessions, store) = (hub.clone(), hub.store().clone());
            let home: Home = Box::new(move |id| {
                let sessions = sessions.clone();
                async move { sessions.get_here(&id).await }.boxed()
            });
            until(stop.clone(), cluster.clone().run(home, store))
        };
        background.spawn(lasting("sessions of other gateways", run));
    }
}

/// Keeps to what is counted for all gateways, until the `ending`. Those that share no store have the key of their tickets
/// there, too.
pub(super) fn count_together(
    background: &TaskTracker,
    ending: &CancellationToken,
    redis: &Arc<Redis>,
    unshared: Option<&Arc<Authenticator>>,
) {
    let (redis, auth, stop) = (redis.clone(), unshared.cloned(), ending.clone());
    let keep = move || {
        let auth = auth.clone();
        let greet = move |connection| {
            let auth = auth.clone();
            async move {
                if let Some(auth) = auth {
                    auth.share_ticket_key(connection).await;
                }
            }
        };
        until(stop.clone(), redis.clone().keep(greet))
    };
    background.spawn(lasting("what is counted for all gateways", keep));
}
