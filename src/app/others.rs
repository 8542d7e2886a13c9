//! The way to other gateways, and what goes that way.

use std::sync::Arc;

use futures_util::FutureExt;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::background::{lasting, until};
use crate::{
    cluster::{Bus, Cluster, Home, InvalidServer, Server},
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
    pub(super) fn at(redis_url: &str) -> Result<Self, InvalidServer> {
        let (bus, inbox) = Bus::over(Server::parse(redis_url)?);
        Ok(Self { cluster: Cluster::over(bus.clone(), inbox), bus })
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
