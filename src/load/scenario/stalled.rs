//! Readers that ask and then read nothing: what they do to others is measured with another load beside this one.

use std::{net::SocketAddr, sync::Arc};

use tokio::time::sleep;

use super::{
    client::Client,
    job::Job,
    seen::Seen,
    together::{Place, Together},
};
use crate::load::plan::unlike_any;

/// Bytes that their side takes on credit; the least that systems give.
const RECEIVE_BUFFER: u32 = 4 << 10;

pub(super) async fn run(job: &Arc<Job>, address: SocketAddr, seen: &Arc<Seen>, stage: &impl Fn(&str)) {
    let together = Together::start(job, seen, |place| session(place, address));
    together.arrived().await;
    stage("asked");
    sleep(job.hold).await;
    stage("held");
    together.arrived().await;
    together.over(seen).await;
}

async fn session(place: Place, address: SocketAddr) {
    place.wait().await;
    let mut client = Client::new(&place.job.endpoint, address);
    let ask = async {
        client.connect(Some(RECEIVE_BUFFER)).await?;
        for number in 0..place.job.messages {
            client.ask(&format!("q{number}"), &unlike_any(&place.job.text)).await?;
        }
        Ok(())
    };
    if let Err(text) = place.in_time("no welcome", ask).await {
        place.seen.fault(text);
    }
    place.arrive().await;
    place.arrive().await; // Nothing is read until the scenario is over.
}
