//! Every socket cut at once in the middle of an answer; all come back at once, and every answer is proven.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    sync::Barrier,
    time::{Instant, timeout},
};

use super::{
    client::Client,
    job::Job,
    seen::Seen,
    together::{Together, spread},
};
use crate::load::plan::unlike_any;

pub(super) async fn run(job: &Arc<Job>, address: SocketAddr, seen: &Arc<Seen>, stage: &impl Fn(&str)) {
    let together = Together::start(job.sessions, |index, barrier| {
        let (job, seen) = (Arc::clone(job), Arc::clone(seen));
        async move { session(&job, address, index, &seen, &barrier).await }
    });
    together.arrived().await;
    stage("connected");
    let cut = together.arrived().await;
    stage("cut");
    together.arrived().await;
    seen.figure("all_resumed_s", cut.elapsed().as_secs_f64());
    stage("resumed");
    together.over(seen).await;
}

async fn session(job: &Job, address: SocketAddr, index: usize, seen: &Seen, barrier: &Barrier) {
    let mut client = Client::new(&job.endpoint, address);
    spread(job.ramp, index, job.sessions).await;
    let connected = timeout(job.timeout, client.connect(None)).await.unwrap_or_else(|_| Err("no welcome".to_owned()));
    barrier.wait().await;
    spread(job.ramp, index, job.sessions).await;
    let begun = match connected {
        Ok(()) => timeout(job.timeout, client.begin("q", &unlike_any(&job.text)))
            .await
            .unwrap_or_else(|_| Err("no text".to_owned())),
        Err(text) => Err(text),
    };
    barrier.wait().await;
    let cut = Instant::now();
    client.cut();
    let resumed = match begun {
        Ok(()) => timeout(job.timeout, resume(&mut client, cut, seen))
            .await
            .unwrap_or_else(|_| Err("not resumed in time".to_owned())),
        Err(text) => Err(text),
    };
    barrier.wait().await;
    let ended = match resumed {
        Ok(()) => timeout(job.timeout, client.proof("q")).await.unwrap_or_else(|_| Err("no proof in time".to_owned())),
        Err(text) => Err(text),
    };
    match ended {
        Ok(status) if status == "complete" => {}
        Ok(status) => seen.fault(format!("a run ended with status {status}")),
        Err(text) => seen.fault(text),
    }
    if !client.transcript.faults.is_none() {
        seen.fault(format!("{:?}", client.transcript.faults));
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
