//! Every fault ends in the stated way here too, and nothing that broke off is told as whole.

use rivulet::mock_llm::{DEFAULT_TEXT, Fault, Options, Script};
use serde_json::json;

use super::{Told, ask, ask_both, question, with};
use crate::{
    deviations::requests_of,
    harness::{Documented, Setup, Then, Upstream, documented, upstream},
};

fn setup(targets: &[(&str, &str, &str)]) -> Setup {
    let targets: Vec<_> = targets
        .iter()
        .map(|(name, url, more)| format!(r#"{{"name":"{name}","base_url":"{url}","model":"model-{name}"{more}}}"#))
        .collect();
    Setup::bare()
        .set("RIVULET_LLM_TARGETS", &format!("[{}]", targets.join(",")))
        .set("RIVULET_LLM_RETRIES", "0")
        .set("RIVULET_LLM_BREAKER_FAILURES", "1000")
        .set("RIVULET_LLM_FIRST_TOKEN_S", "1")
        .set("RIVULET_LLM_GAP_S", "1")
}

/// A server that answers each request with the next one of these.
async fn failing(faults: impl IntoIterator<Item = Fault>) -> Upstream {
    upstream(Options { rate: 0.0, faults: faults.into_iter().collect(), ..Options::default() }).await
}

/// What a server does that fails in these ways, one after the other.
fn named(faults: &[Documented]) -> Vec<Fault> {
    let fault = |fault: &Documented| fault.name.parse::<Fault>().expect("a fault");
    faults.iter().map(fault).flat_map(|fault| vec![fault.clone(); requests_of(&fault)]).collect()
}

/// What stands in an answer that ended in this way, when that is an end.
fn finish_of(status: &str) -> Option<&'static str> {
    match status {
        "complete" => Some("stop"),
        "length" => Some("length"),
        "filtered" => Some("content_filter"),
        _ => None,
    }
}

/// The status that stands for a failed run.
fn status_of(code: &str) -> u16 {
    match code {
        "upstream_timeout" => 504,
        "context_length_exceeded" => 400,
        _ => 502,
    }
}

fn is_whole(told: &Told) {
    has_ended(told, Some("stop"));
}

fn has_ended(told: &Told, finish: Option<&str>) {
    assert_eq!((told.status, told.finish(), told.code()), (200, finish, None), "{told:?}");
    assert!(told.chunks.is_empty() || told.done, "{told:?}");
}

fn is_refused(told: &Told, code: &str) {
    assert_eq!((told.status, told.code(), told.finish()), (status_of(code), Some(code), None), "{told:?}");
    assert!(told.chunks.is_empty() && !told.done, "{told:?}");
    // Who is rejected is told that asking again changes nothing, or the client would try twice more by itself.
    let final_ = told.headers.get("x-should-retry").map(String::as_str);
    let is_final = matches!(code, "upstream_rejected" | "context_length_exceeded");
    assert_eq!(final_, is_final.then_some("false"));
}

fn is_broken_off(told: &Told, code: &str) {
    assert_eq!((told.status, told.code(), told.finish(), told.done), (200, Some(code), None, false), "{told:?}");
    assert!(!told.text().is_empty());
    assert_eq!(told.error.as_ref().unwrap()["rivulet"]["status"], "incomplete");
}

#[tokio::test]
async fn with_a_single_target_every_fault_ends_in_the_stated_way() {
    let faults = documented();
    let (whole, streamed) = (failing(named(&faults)).await, failing(named(&faults)).await);
    let of_whole = setup(&[("a", &whole.url, "")]).start().await;
    let of_streamed = setup(&[("a", &streamed.url, "")]).start().await;
    for Documented { name, status, code, then, .. } in &faults {
        let (plain, stream) = (question("Hello?"), with(question("Hello?"), json!({"stream": true})));
        let (told, pieces) = tokio::join!(ask(&of_whole, &plain), ask(&of_streamed, &stream));
        eprintln!("{name}: {} {:?}, {} {:?}", told.status, told.code(), pieces.status, pieces.code());
        let Some(code) = code else {
            has_ended(&told, finish_of(status));
            if *then == Then::Withdrawn {
                is_broken_off(&pieces, "upstream_unavailable");
                continue;
            }
            has_ended(&pieces, finish_of(status));
            assert_eq!(told.text(), pieces.text());
            continue;
        };
        assert_eq!(finish_of(status), None, "{name}");
        is_refused(&told, code);
        assert_eq!(told.body["rivulet"]["status"], *status, "{name}");
        let partial = told.body["rivulet"]["partial"].as_str();
        assert_eq!(partial.is_some(), status == "incomplete", "{name}");
        if status == "incomplete" {
            is_broken_off(&pieces, code);
            assert_eq!(partial, Some(pieces.text().as_str()), "{name}");
        } else {
            is_refused(&pieces, code);
        }
    }
}

/// What was sent of a stream cannot be taken back, so a target that would begin anew is not asked.
#[tokio::test]
async fn with_another_target_answers_are_rescued_and_streams_as_long_as_nothing_was_sent() {
    let faults = documented();
    let (whole, streamed) = (failing(named(&faults)).await, failing(named(&faults)).await);
    let second = Upstream::saying("other", 0.0).await;
    let of_whole = setup(&[("a", &whole.url, ""), ("b", &second.url, "")]).start().await;
    let of_streamed = setup(&[("a", &streamed.url, ""), ("b", &second.url, "")]).start().await;
    for Documented { name, status, code, then, .. } in &faults {
        let (plain, stream) = (question("Hello?"), with(question("Hello?"), json!({"stream": true})));
        let (told, pieces) = tokio::join!(ask(&of_whole, &plain), ask(&of_streamed, &stream));
        let finish = if *then == Then::Same { finish_of(status) } else { Some("stop") };
        has_ended(&told, finish);
        let is_other = matches!(then, Then::Other | Then::Failover);
        assert_eq!(told.text() == "other", is_other, "{name}");
        assert_eq!(told.body["model"], if is_other { "model-b" } else { "model-a" }, "{name}");
        if matches!(then, Then::Failover | Then::Withdrawn) {
            is_broken_off(&pieces, code.as_deref().unwrap_or("upstream_unavailable"));
            continue;
        }
        has_ended(&pieces, finish);
        assert_eq!(pieces.text(), told.text(), "{name}");
        assert!(pieces.chunks.iter().all(|chunk| chunk["model"] == told.body["model"]), "{name}");
    }
}

#[tokio::test]
async fn a_target_that_goes_on_rescues_a_stream_too() {
    let (before, rest) = DEFAULT_TEXT.split_at("A rivulet is a very".len());
    let faults = || [Fault::Cut(5), Fault::Stall(5)];
    let first = failing(faults()).await;
    let second = Upstream::saying(rest, 0.0).await;
    let gateway = setup(&[("a", &first.url, ""), ("b", &second.url, r#","continue":true"#)]).start().await;
    for _ in faults() {
        let told = ask(&gateway, &with(question("Hello?"), json!({"stream": true}))).await;
        is_whole(&told);
        assert_eq!(told.text(), format!("{before}{rest}"));
        let models: Vec<_> = told.chunks.iter().map(|chunk| chunk["model"].as_str().unwrap()).collect();
        assert_eq!((models[0], models[models.len() - 1]), ("model-a", "model-b"));
    }

    // One that was thought to go on and begins anew all the same.
    let first = failing([Fault::Cut(5), Fault::Cut(5)]).await;
    let second = Upstream::saying(DEFAULT_TEXT, 0.0).await;
    let gateway = setup(&[("a", &first.url, ""), ("b", &second.url, r#","continue":true"#)]).start().await;
    let [whole, stream] = ask_both(&gateway, "Hello?").await;
    is_whole(&whole);
    assert_eq!(whole.text(), DEFAULT_TEXT);
    is_broken_off(&stream, "upstream_unavailable");
    assert_eq!(stream.text(), before);
}

#[tokio::test]
async fn a_slow_first_token_is_waited_for_within_its_clock() {
    for (wait_ms, is_in_time) in [(300, true), (5_000, false)] {
        let first_token = std::time::Duration::from_millis(wait_ms);
        let slow =
            upstream(Options { rate: 0.0, first_token, script: Script::new("late"), ..Options::default() }).await;
        let gateway = setup(&[("a", &slow.url, "")]).start().await;
        for told in ask_both(&gateway, "Hello?").await {
            if is_in_time {
                is_whole(&told);
                assert_eq!(told.text(), "late");
            } else {
                is_refused(&told, "upstream_timeout");
            }
        }
    }
}

#[tokio::test]
async fn a_flapping_target_is_rescued_by_its_retry() {
    let flapping = failing([Fault::Flapping]).await;
    let gateway = setup(&[("a", &flapping.url, "")]).set("RIVULET_LLM_RETRIES", "1").start().await;
    for told in ask_both(&gateway, "Hello?").await {
        is_whole(&told);
        assert_eq!(told.text(), DEFAULT_TEXT);
    }
    assert_eq!(flapping.stats.counts().requests, 4);
}

#[tokio::test]
async fn what_a_filter_refuses_is_whole_and_says_why() {
    let body = r#"{"error":{"message":"no","code":"content_filter"}}"#.to_owned();
    let refusing = failing([Fault::Status { status: 400, headers: vec![], body }]).await;
    let gateway = setup(&[("a", &refusing.url, "")]).start().await;
    let [whole, stream] = ask_both(&gateway, "Hello?").await;
    for told in [whole, stream] {
        assert_eq!((told.status, told.finish(), told.text().as_str()), (200, Some("content_filter"), ""));
    }
}
