//! The same questions, asked of the model's server itself over HTTP: the delay that is there before any gateway adds
//! to it.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    job::Job,
    seen::Seen,
    stamped::{Stamped, wall_clock_us},
    together::{Place, Together},
};
use crate::load::{LoadError, plan::unlike_any};

pub(super) async fn run(job: &Arc<Job>, seen: &Arc<Seen>, stage: &impl Fn(&str)) -> Result<(), LoadError> {
    let http = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build()?;
    let together = Together::start(job, seen, |place| session(place, http.clone()));
    together.arrived().await;
    stage("connected");
    together.over(seen).await;
    Ok(())
}

async fn session(place: Place, http: reqwest::Client) {
    let Place { job, seen, .. } = &place;
    place.arrive().await;
    place.wait().await;
    for _ in 0..job.messages {
        let mut answer = Stamped::default();
        let ended = timeout(job.timeout, ask(job, &http, &mut answer, seen)).await;
        seen.tokens.fetch_add(answer.tokens, Ordering::Relaxed);
        let ended = ended.unwrap_or_else(|_| Err(format!("no whole answer within {:?}", job.timeout)));
        if let Err(text) = ended {
            return seen.fault(text);
        }
    }
}

async fn ask(job: &Job, http: &reqwest::Client, answer: &mut Stamped, seen: &Seen) -> Result<(), String> {
    let failed = |error: reqwest::Error| format!("the model's server: {error}");
    let asked = wall_clock_us();
    let question = unlike_any(&job.text);
    let request = json!({ "model": "mock", "stream": true, "messages": [{ "role": "user", "content": question }] });
    let url = format!("http://{}/v1/chat/completions", job.endpoint.authority());
    let mut response = http.post(url).json(&request).send().await.map_err(failed)?;
    let mut lines = Vec::new();
    while let Some(bytes) = response.chunk().await.map_err(failed)? {
        let now = wall_clock_us();
        lines.extend_from_slice(&bytes);
        let Some(whole) = lines.iter().rposition(|byte| *byte == b'\n') else { continue };
        for event in lines[..whole].split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"data: ")) {
            let Ok(event) = serde_json::from_slice::<Value>(event) else { continue }; // `[DONE]`
            let text = event["choices"][0]["delta"]["content"].as_str().unwrap_or_default();
            if answer.tokens == 0 && !text.is_empty() {
                seen.time("first_text", Duration::from_micros(now.saturating_sub(asked)));
            }
            answer.piece(None, text, now, |age| seen.time("delay", Duration::from_micros(age)))?;
        }
        lines.drain(..=whole);
    }
    answer.end(None, None, job.tokens)
}
