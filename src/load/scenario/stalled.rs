//! Readers that ask and then read nothing: what they do to others is measured with another load beside this one.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    sync::Barrier,
    time::{sleep, timeout},
};

use super::{
    client::Client,
    job::Job,
    seen::Seen,
    together::{Together, spread},
};
use crate::load::plan::unlike_any;

/// Bytes that their side takes on credit; the least that systems give.
const RECEIVE_BUFFER: u32 = 4 << 10;

pub(super) async fn run(job: &Arc<Job>, address: SocketAddr, seen: &Arc<Seen>, stage: &impl Fn(&str)) {
    let together = Together::start(job.sessions, |index, barrier| {
        let (job, seen) = (Arc::clone(job), Arc::clone(seen));
        async move { session(&job, address, index, &seen, &barrier).await }
    });
    together.arrived().await;
    stage("asked");
    sleep(job.hold).await;
    stage("held");
    together.arrived().await;
    together.over(seen).await;
}

async fn session(job: &Job, address: SocketAddr, index: usize, seen: &Seen, barrier: &Barrier) {
    spread(job.ramp, index, job.sessions).await;
    let mut client = Client::new(&job.endpoint, address);
    let ask = async {
        client.connect(Some(RECEIVE_BUFFER)).await?;
        for number in 0..job.messages {
            client.ask(&format!("q{number}"), &unlike_any(&job.text)).await?;
        }
        Ok(())
    };
    if let Err(text) = timeout(job.timeout, ask).await.unwrap_or_else(|_| Err("no welcome".to_owned())) {
        seen.fault(text);
    }
    barrier.wait().await;
    barrier.wait().await; // Nothing is read until the scenario is over.
}
