//! SIGHUP: what of the configuration is read again while the gateway runs.

use std::fs;

use rivulet::mock_llm::Options;
use serde_json::json;

use crate::harness::{Client, Setup, TestGateway, upstream};

/// A gateway with a file that can be changed.
async fn with_file(text: &str) -> TestGateway {
    let setup = Setup::bare();
    fs::write(setup.data.path().join("rivulet.toml"), text).unwrap();
    setup.start().await
}

/// Writes the file anew, has it read, and waits for what the gateway says of it.
async fn reload(gateway: &TestGateway, text: &str, said: &str) {
    fs::write(gateway.setup().data.path().join("rivulet.toml"), text).unwrap();
    gateway.reload(said).await;
}

#[tokio::test]
async fn limits_models_and_the_logs_level_change_while_it_runs() {
    let options = || Options { rate: 0.0, ..Options::default() };
    let (one, two) = (upstream(options()).await, upstream(options()).await);
    let llm = |url: &str, model: &str| format!("[llm]\nbase_url = \"{url}\"\nmodel = \"{model}\"\n");
    let gateway = with_file(&llm(&one.url, "first")).await;
    let mut open = gateway.connect().await;
    let answers = async |open: &mut Client| {
        open.say("what is new?").await;
        let model = open.until("run.start").await["model"].clone();
        open.answer().await;
        model
    };
    assert_eq!(answers(&mut open).await, "first");

    let changed = llm(&two.url, "second") + "[limits]\nmessages_per_min = 1\n[telemetry]\nlog_level = \"debug\"\n";
    reload(&gateway, &changed, "the configuration was read again").await;
    assert_eq!(answers(&mut open).await, "second", "an open socket asks the new one");
    let breaker = async |url: &str| {
        let host = url.trim_start_matches("http://").trim_end_matches("/v1");
        gateway.metric(&format!("breaker_state{{target=\"{host}\"}}")).await
    };
    assert!(breaker(&one.url).await.is_nan(), "no alert about a target that is gone");
    assert_eq!(breaker(&two.url).await, 0.0);
    open.say("once more").await;
    assert_eq!(open.until("error").await["code"], "rate_limited");
    assert!(gateway.log().contains("DEBUG"), "{}", gateway.log());

    let changed = llm(&two.url, "second") + "[telemetry]\nlog_level = \"warn\"\n[session]\nttl_s = 60\n";
    reload(&gateway, &changed, "what is new in session waits for the next start").await;
    assert_eq!(open.ask("four").await.status(), "complete", "the limit is gone");
    assert_eq!(gateway.metric(r#"config_reloads_total{outcome="taken"}"#).await, 2.0);
}

#[tokio::test]
async fn an_invalid_file_changes_nothing() {
    let gateway = with_file("[limits]\nmessages_per_min = 1\n").await;
    let mut open = gateway.connect().await;
    assert_eq!(open.ask("one").await.status(), "complete");
    for (text, said) in [
        ("[limits]\nmessages_per_min = 0\nrequest = 5\n", "there is no setting"),
        ("[limits]\nmessages_per_min = 0\n[llm]\nbase_url = \"ftp://x\"\nmodel = \"m\"\n", "llm.base_url"),
        ("limits = 0\n[", "rivulet.toml:"),
    ] {
        reload(&gateway, text, "the configuration stays as it was").await;
        assert!(gateway.log().contains(said), "{said}: {}", gateway.log());
        open.say("more").await;
        assert_eq!(open.until("error").await["code"], "rate_limited", "{said}");
    }
    assert_eq!(gateway.metric(r#"config_reloads_total{outcome="refused"}"#).await, 3.0);
    assert_eq!(gateway.get("/livez").await.0, 200);
}

#[tokio::test]
async fn fewer_answers_at_once_hold_for_those_that_come_and_more_for_those_that_wait() {
    let slow = upstream(Options { rate: 5.0, tokens: Some(100), ..Options::default() }).await;
    let llm = format!("[llm]\nbase_url = \"{}\"\nmodel = \"m\"\n", slow.url);
    let gateway = with_file(&format!("{llm}[limits]\nruns = 1\n")).await;
    let (mut first, mut second) = (gateway.connect().await, gateway.connect().await);
    first.say("one").await;
    first.deltas(1).await;
    second.say("two").await;
    assert_eq!(second.until("run.phase").await["phase"], "queued");
    reload(&gateway, &format!("{llm}[limits]\nruns = 2\n"), "the configuration was read again").await;
    second.deltas(1).await;
    assert!(first.memory.live.is_some(), "the first one is still being written");
    for client in [&mut first, &mut second] {
        let run = client.memory.live.clone().unwrap();
        client.tell(json!({ "type": "stop", "run": run })).await;
        client.until("run.done").await;
    }
}
