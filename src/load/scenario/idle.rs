//! Sockets that say nothing but what keeps them alive.

use std::{net::SocketAddr, sync::Arc};

use tokio::time::timeout;

use super::{
    client::Client,
    job::Job,
    seen::Seen,
    together::{Place, Together},
};

pub(super) async fn run(job: &Arc<Job>, address: SocketAddr, seen: &Arc<Seen>, stage: &impl Fn(&str)) {
    let together = Together::start(job, seen, |place| session(place, address));
    together.arrived().await;
    stage("connected");
    together.arrived().await;
    stage("held");
    together.arrived().await;
    together.over(seen).await;
}

async fn session(place: Place, address: SocketAddr) {
    place.wait().await;
    let mut client = Client::new(&place.job.endpoint, address);
    let connected = place.in_time("no welcome", client.connect(None)).await;
    place.arrive().await;
    match connected {
        Ok(()) => {
            let ended = timeout(place.job.hold, async {
                loop {
                    if let Err(text) = client.step().await {
                        return text;
                    }
                }
            });
            if let Ok(text) = ended.await {
                place.seen.fault(format!("an idle socket: {text}"));
            }
        }
        Err(text) => place.seen.fault(text),
    }
    place.arrive().await; // Held.
    place.arrive().await; // So that the sockets are still open when the stage is told.
}
