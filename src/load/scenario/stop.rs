//! Every run stopped; the mock model says when it noticed that the connection to it was closed.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout};

use super::{
    client::Client,
    job::Job,
    seen::Seen,
    stamped::wall_clock_us,
    together::{Place, Together},
};
use crate::load::{Endpoint, LoadError};

/// How long the mock model may take to notice the last one.
const NOTICED_WITHIN: Duration = Duration::from_secs(10);

/// When each run was stopped, by its question.
type Stopped = Mutex<HashMap<String, u64>>;

#[derive(Deserialize)]
struct Cancelled {
    question: String,
    at_us: u64,
}

pub(super) async fn run(
    job: &Arc<Job>,
    address: SocketAddr,
    seen: &Arc<Seen>,
    stage: &impl Fn(&str),
) -> Result<(), LoadError> {
    let stopped = Arc::new(Stopped::default());
    let together = Together::start(job, seen, |place| session(place, address, Arc::clone(&stopped)));
    together.arrived().await;
    stage("connected");
    together.arrived().await;
    stage("running");
    together.over(seen).await;
    if let Some(model) = &job.model {
        let stopped = std::mem::take(&mut *stopped.lock());
        if let Err(text) = noticed(model, stopped, seen).await {
            seen.fault(text);
        }
    }
    Ok(())
}

async fn session(place: Place, address: SocketAddr, stopped: Arc<Stopped>) {
    let mut client = Client::new(&place.job.endpoint, address);
    let question = format!("{} ({}, {})", place.job.text, place.index, wall_clock_us());
    place.wait().await;
    let connected = place.in_time("no welcome", client.connect(None)).await;
    place.arrive().await;
    let begin = async {
        connected?;
        client.begin("q", &question).await
    };
    let begun = place.in_time("no text", begin).await;
    place.arrive().await;
    let ended = match begun {
        Ok(()) => {
            // The answer goes on while this waits: what comes meanwhile is read.
            let _until_its_turn = timeout(place.turn(), async { while client.step().await.is_ok() {} }).await;
            stopped.lock().insert(question, wall_clock_us());
            let sent = Instant::now();
            let stop = async {
                client.send(r#"{"type":"stop"}"#.to_owned()).await?;
                client.proof("q").await
            };
            let ended = place.in_time("no end in time", stop).await;
            place.seen.time("told", sent.elapsed());
            ended
        }
        Err(text) => Err(text),
    };
    match ended {
        Ok(status) if status == "stopped" => {}
        Ok(status) => place.seen.fault(format!("a run ended with status {status}")),
        Err(text) => place.seen.fault(text),
    }
}

/// Asks the mock model until it has noticed all of them.
async fn noticed(model: &Endpoint, mut stopped: HashMap<String, u64>, seen: &Seen) -> Result<(), String> {
    let http = reqwest::Client::builder().no_proxy().build().map_err(|error| error.to_string())?;
    let url = format!("http://{}/cancelled", model.authority());
    let ask = async || -> reqwest::Result<Vec<Cancelled>> { http.get(&url).send().await?.json().await };
    let deadline = Instant::now() + NOTICED_WITHIN;
    while !stopped.is_empty() {
        let cancelled = ask().await.map_err(|error| format!("the mock model: {error}"))?;
        for Cancelled { question, at_us } in cancelled {
            if let Some(sent) = stopped.remove(&question) {
                seen.time("upstream_closed", Duration::from_micros(at_us.saturating_sub(sent)));
            }
        }
        if Instant::now() > deadline {
            return Err(format!("{} stopped runs were not cancelled at the model", stopped.len()));
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
