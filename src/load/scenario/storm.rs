//! Every socket cut at once in the middle of an answer; all come back at once, and every answer is proven.

use std::{net::SocketAddr, sync::Arc};

use tokio::time::Instant;

use super::{
    client::Client,
    job::Job,
    seen::Seen,
    together::{Place, Together},
};
use crate::load::plan::unlike_any;

pub(super) async fn run(job: &Arc<Job>, address: SocketAddr, seen: &Arc<Seen>, stage: &impl Fn(&str)) {
    let together = Together::start(job, seen, |place| session(place, address));
    together.arrived().await;
    stage("connected");
    let cut = together.arrived().await;
    stage("cut");
    together.arrived().await;
    seen.figure("all_resumed_s", cut.elapsed().as_secs_f64());
    stage("resumed");
    together.over(seen).await;
}

async fn session(place: Place, address: SocketAddr) {
    let mut client = Client::new(&place.job.endpoint, address);
    place.wait().await;
    let connected = place.in_time("no welcome", client.connect(None)).await;
    place.arrive().await;
    place.wait().await;
    let begin = async {
        connected?;
        client.begin("q", &unlike_any(&place.job.text)).await
    };
    let begun = place.in_time("no text", begin).await;
    place.arrive().await;
    let cut = Instant::now();
    client.cut();
    let resume = async {
        begun?;
        resume(&mut client, cut, &place.seen).await
    };
    let resumed = place.in_time("not resumed in time", resume).await;
    place.arrive().await;
    let prove = async {
        resumed?;
        client.proof("q").await
    };
    match place.in_time("no proof in time", prove).await {
        Ok(status) if status == "complete" => {}
        Ok(status) => place.seen.fault(format!("a run ended with status {status}")),
        Err(text) => place.seen.fault(text),
    }
    if !client.transcript.faults.is_none() {
        place.seen.fault(format!("{:?}", client.transcript.faults));
    }
}

/// Until the session goes on where it was: the welcome, and then text that was not there before.
async fn resume(client: &mut Client, cut: Instant, seen: &Seen) -> Result<(), String> {
    client.arrive().await;
    seen.time("welcome", cut.elapsed());
    client.text().await?;
    seen.time("text", cut.elapsed());
    Ok(())
}
