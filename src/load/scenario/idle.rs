//! Sockets that say nothing but what keeps them alive.

use std::{net::SocketAddr, sync::Arc};

use tokio::{sync::Barrier, time::timeout};

use super::{
    client::Client,
    job::Job,
    seen::Seen,
    together::{Together, spread},
};

pub(super) async fn run(job: &Arc<Job>, address: SocketAddr, seen: &Arc<Seen>, stage: &impl Fn(&str)) {
    let together = Together::start(job.sessions, |index, barrier| {
        let (job, seen) = (Arc::clone(job), Arc::clone(seen));
        async move { session(&job, address, index, &seen, &barrier).await }
    });
    together.arrived().await;
    stage("connected");
    together.arrived().await;
    stage("held");
    together.arrived().await;
    together.over(seen).await;
}

async fn session(job: &Job, address: SocketAddr, index: usize, seen: &Seen, barrier: &Barrier) {
    spread(job.ramp, index, job.sessions).await;
    let mut client = Client::new(&job.endpoint, address);
    let connected = timeout(job.timeout, client.connect(None)).await.unwrap_or_else(|_| Err("no welcome".to_owned()));
    barrier.wait().await;
    match connected {
        Ok(()) => {
            let ended = timeout(job.hold, async {
                loop {
                    if let Err(text) = client.step().await {
                        return text;
                    }
                }
            });
            if let Ok(text) = ended.await {
                seen.fault(format!("an idle socket: {text}"));
            }
        }
        Err(text) => seen.fault(text),
    }
    barrier.wait().await; // Held.
    barrier.wait().await; // So that the sockets are still open when the stage is told.
}
