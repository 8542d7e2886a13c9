//! The load generator's scenarios against the real gateway: what they claim to do happens, and faults are found.

use std::{sync::Mutex, time::Duration};

use rivulet::{
    load::{
        Endpoint,
        scenario::{Job, Measured, Scenario, run},
    },
    mock_llm::Options,
};

use crate::harness::{Setup, TestGateway, Upstream, soon, upstream};

const TOKENS: usize = 12;

async fn stamping() -> Upstream {
    upstream(Options { stamped: true, tokens: Some(TOKENS), rate: 100.0, ..Options::default() }).await
}

fn job(gateway: &TestGateway, scenario: Scenario) -> Job {
    Job {
        scenario,
        endpoint: Endpoint::parse(&format!("ws://{}", gateway.address)).unwrap(),
        sessions: 4,
        viewers: 1,
        messages: 2,
        text: "Why?".to_owned(),
        tokens: Some(TOKENS as u64),
        ramp: Duration::from_millis(20),
        hold: Duration::from_millis(200),
        timeout: Duration::from_secs(10),
        model: None,
    }
}

async fn play(job: Job) -> (Measured, Vec<String>) {
    let stages = Mutex::new(Vec::new());
    let outcome = soon("a scenario's end", run(job, |stage| stages.lock().unwrap().push(stage.to_owned()))).await;
    (outcome.unwrap(), stages.into_inner().unwrap())
}

fn count(outcome: &Measured, figure: &str) -> u64 {
    outcome.figures[figure]["count"].as_u64().unwrap()
}

#[tokio::test]
async fn every_token_is_timed_for_every_viewer() {
    let upstream = stamping().await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let (outcome, stages) = play(Job { viewers: 3, ..job(&gateway, Scenario::Stream) }).await;
    assert_eq!((outcome.faults, stages), (0, vec!["connected".to_owned()]), "{outcome}");
    let tokens = (4 * 3 * 2 * TOKENS) as u64;
    assert_eq!((outcome.figures["tokens"].as_u64(), count(&outcome, "delay")), (Some(tokens), tokens));
    assert_eq!(count(&outcome, "first_text"), 4 * 3 * 2);

    let endpoint = Endpoint::parse(&upstream.url.replace("http", "ws").replace("/v1", "")).unwrap();
    let (direct, _) = play(Job { endpoint, ..job(&gateway, Scenario::Model) }).await;
    assert_eq!((direct.faults, count(&direct, "delay")), (0, (4 * 2 * TOKENS) as u64), "{direct}");
}

#[tokio::test]
async fn a_token_too_few_and_a_text_without_stamps_are_faults() {
    let stamped = stamping().await;
    let gateway = Setup::with_upstream(&stamped.url).start().await;
    let (outcome, _) = play(Job { tokens: Some(TOKENS as u64 + 1), ..job(&gateway, Scenario::Stream) }).await;
    assert_eq!(outcome.faults, 4, "{outcome}");
    let plain = Upstream::saying("A text without stamps.", 0.0).await;
    let gateway = Setup::with_upstream(&plain.url).start().await;
    let (outcome, _) = play(job(&gateway, Scenario::Stream)).await;
    assert_eq!(outcome.faults, 4, "{outcome}");
}

#[tokio::test]
async fn idle_sockets_are_held_and_stalled_ones_have_asked() {
    let upstream = stamping().await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let (outcome, stages) = play(job(&gateway, Scenario::Idle)).await;
    assert_eq!((outcome.faults, stages.join(" ")), (0, "connected held".to_owned()), "{outcome}");
    let (outcome, stages) = play(job(&gateway, Scenario::Stalled)).await;
    assert_eq!((outcome.faults, stages.join(" ")), (0, "asked held".to_owned()), "{outcome}");
    soon("the answers nobody reads", upstream.stats.wait_until(|counts| counts.finished == 8)).await;
}

#[tokio::test]
async fn after_a_storm_every_answer_is_proven() {
    let upstream = Upstream::saying(&"word ".repeat(40), 50.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let (outcome, stages) = play(Job { sessions: 30, ..job(&gateway, Scenario::Storm) }).await;
    assert_eq!((outcome.faults, stages.join(" ")), (0, "connected cut resumed".to_owned()), "{outcome}");
    assert_eq!((count(&outcome, "welcome"), count(&outcome, "text")), (30, 30));
    assert_eq!(upstream.stats.counts().requests, 30, "no answer was begun twice");
}

#[tokio::test]
async fn the_model_notices_every_stop() {
    let upstream = upstream(Options { tokens: Some(1000), rate: 20.0, ..Options::default() }).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let model = Endpoint::parse(&upstream.url.replace("http", "ws").replace("/v1", "")).unwrap();
    let (outcome, _) = play(Job { sessions: 10, model: Some(model), ..job(&gateway, Scenario::Stop) }).await;
    assert_eq!((outcome.faults, count(&outcome, "upstream_closed")), (0, 10), "{outcome}");
    assert_eq!(upstream.stats.counts().cancelled, 10);
}
