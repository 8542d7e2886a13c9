//! Grounded answers with the real model and the real index, through the real gateway.

use std::{path::Path, time::Duration};

use rivulet::mock_llm::{Fault, Options, Script};
use serde_json::json;
use tokio::{task::JoinSet, time::Instant};

use crate::harness::{Setup, TestGateway, soon};

/// What a gateway with the sample knowledge needs.
fn with_sample() -> Setup {
    let model = std::env::var("RIVULET_KNOWLEDGE_MODEL_DIR").expect("`make test` sets RIVULET_KNOWLEDGE_MODEL_DIR");
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-knowledge");
    Setup::bare()
        .set("RIVULET_KNOWLEDGE_ENABLED", "true")
        .set("RIVULET_KNOWLEDGE_MODEL_DIR", &model)
        .set("RIVULET_KNOWLEDGE_PRELOAD", sample.to_str().unwrap())
}

/// A gateway with the sample knowledge.
pub(crate) async fn knowing() -> TestGateway {
    let gateway = with_sample().start().await;
    assert_eq!(gateway.get("/ready").await.0, 200, "chat does not wait for knowledge");
    gateway
}

pub(crate) async fn until_loaded(gateway: &TestGateway) {
    soon("the knowledge", async { while gateway.get("/ready").await.1["knowledge"]["state"] != "ready" {} }).await;
}

/// ONNX Runtime notes a machine's id and what is run in the user's home before it sends them to its makers.
#[tokio::test]
async fn nobody_is_told_that_a_model_runs_here() {
    let setup = with_sample();
    let home = setup.data.clone();
    let gateway = setup.set("HOME", home.path().to_str().unwrap()).start().await;
    until_loaded(&gateway).await;
    assert!(!home.path().join(".cache").exists(), "something was written down about this machine");
    let (status, found) = gateway.post("/api/v1/rag/query", json!({"query": "return a tent", "mode": "vector"})).await;
    assert!(status == 200 && !found["results"].as_array().unwrap().is_empty(), "the model was asked: {found}");
    let name = std::fs::read_to_string(format!("/proc/{}/comm", gateway.pid())).unwrap();
    assert_eq!(name.trim(), "rivulet", "the process that was started is the one that runs, by its name");
}

#[tokio::test]
async fn a_question_is_answered_from_the_right_document() {
    let gateway = knowing().await;
    let mut client = gateway.connect().await;
    let early = client.ask("How long can I return a tent?").await;
    assert_eq!(early.status(), "complete", "while it is loading");
    assert!(early.text.contains("still being read") || early.text.contains("[1]"), "{}", early.text);
    until_loaded(&gateway).await;

    client.say("How long can I return a tent?").await;
    let sources = client.until("sources").await;
    assert_eq!(sources["items"][0]["title"], "Returns and refunds");
    let answer = client.answer().await;
    assert!(answer.text.contains("60 days") && answer.text.contains("[1]"), "{}", answer.text);
    let citation = &answer.done["citations"][0];
    assert_eq!(citation["n"], 1);
    assert!(citation["end"].as_u64().unwrap() <= answer.done["len"].as_u64().unwrap());
    assert_eq!(answer.done["usage"]["estimated"], true);

    let nothing = client.ask("What is the capital of Mongolia?").await;
    assert_eq!(nothing.status(), "complete");
    assert!(nothing.done.get("citations").is_none(), "{}", nothing.text);

    let (_, stored) = gateway.get(&format!("/api/v1/sessions/{}", client.session())).await;
    assert_eq!(stored["messages"][3]["sources"][0]["title"], "Returns and refunds");

    for mode in ["hybrid", "vector", "text"] {
        let query = json!({"query": "How much does the Kestrel 2 cost?", "mode": mode, "top_k": 3});
        let (status, found) = gateway.post("/api/v1/rag/query", query).await;
        assert_eq!(status, 200);
        let results = found["results"].as_array().unwrap();
        assert!((1..=3).contains(&results.len()), "{mode}: {found}");
        let right = results.iter().find(|r| r["heading"] == "Kestrel 2").unwrap_or_else(|| panic!("{mode}: {found}"));
        assert!(right["text"].as_str().unwrap().contains("449"), "{mode}");
        let scores: Vec<_> = results.iter().map(|r| r["score"].as_f64().unwrap()).collect();
        assert!(scores.is_sorted_by(|a, b| a >= b) && scores.iter().all(|s| (0.0..=1.0).contains(s)), "{scores:?}");
    }
    let asked =
        |filter: serde_json::Value| json!({"query": "How long can I return a tent?", "top_k": 20, "filter": filter});
    let uris = async |filter| {
        let (status, found) = gateway.post("/api/v1/rag/query", asked(filter)).await;
        assert_eq!(status, 200, "{found}");
        let results = found["results"].as_array().unwrap();
        results.iter().map(|result| result["uri"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let rivulet = uris(json!({"uri_prefix": "sample-knowledge/rivulet/"})).await;
    assert!(
        !rivulet.is_empty() && rivulet.iter().all(|uri| uri.starts_with("sample-knowledge/rivulet/")),
        "{rivulet:?}"
    );
    let without =
        uris(json!({"all": [{"not": {"title": "Returns and refunds"}}, {"uri_prefix": "sample-knowledge/shop/"}]}))
            .await;
    assert!(!without.is_empty() && !without.contains(&"sample-knowledge/shop/returns.md".to_owned()), "{without:?}");
    let version = async || gateway.post("/api/v1/rag/query", json!({"query": "tent"})).await.1["version"].clone();
    assert!(version().await.is_string());
    assert_eq!(version().await, version().await, "nothing has changed");

    let (status, none) = gateway.post("/api/v1/rag/query", json!({"query": "tent", "collection": "other"})).await;
    assert_eq!((status, &none["results"]), (200, &json!([])));
    let (status, _) = gateway.post("/api/v1/rag/query", json!({"query": "tent", "collection": "a b"})).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn passages_reach_a_model_as_quotation_and_the_log_stays_calm() {
    let upstream = crate::harness::Upstream::saying("Sixty days [1].", 0.0).await;
    let model = std::env::var("RIVULET_KNOWLEDGE_MODEL_DIR").expect("`make test` sets RIVULET_KNOWLEDGE_MODEL_DIR");
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-knowledge");
    let setup = Setup::with_upstream(&upstream.url)
        .set("RIVULET_KNOWLEDGE_ENABLED", "true")
        .set("RIVULET_KNOWLEDGE_MODEL_DIR", &model);
    let output = setup.output(&["ingest", sample.to_str().unwrap()]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let search = setup.output(&["search", "--json", "return a tent"]).await;
    let found: serde_json::Value = serde_json::from_slice(&search.stdout).unwrap();
    assert!(found.to_string().contains("Returns and refunds"));

    let gateway = setup.start().await;
    until_loaded(&gateway).await;
    let mut client = gateway.connect().await;
    let answer = client.ask("How long can I return a tent?").await;
    assert_eq!(answer.done["citations"], json!([{"n": 1, "start": 0, "end": 10}]));
    let asked: serde_json::Value = serde_json::from_slice(&upstream.stats.requests()[0].body).unwrap();
    let last = asked["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap().to_owned();
    assert!(last.starts_with("Quotations") && last.ends_with("How long can I return a tent?"), "{last}");
    assert!(gateway.log().lines().count() < 20, "{}", gateway.log());
}

/// The sample knowledge behind a model server, and questions that go on from others rewritten by it.
async fn rewriting(model: &crate::harness::Upstream) -> TestGateway {
    let folder = std::env::var("RIVULET_KNOWLEDGE_MODEL_DIR").expect("`make test` sets RIVULET_KNOWLEDGE_MODEL_DIR");
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-knowledge");
    let setup = Setup::with_upstream(&model.url)
        .set("RIVULET_KNOWLEDGE_ENABLED", "true")
        .set("RIVULET_KNOWLEDGE_MODEL_DIR", &folder)
        .set("RIVULET_KNOWLEDGE_PRELOAD", sample.to_str().unwrap())
        .set("RIVULET_KNOWLEDGE_REWRITE", "true")
        .set("RIVULET_LLM_RETRIES", "0");
    let gateway = setup.start().await;
    until_loaded(&gateway).await;
    gateway
}

/// The last message of each request that a model server was sent.
fn asked(model: &crate::harness::Upstream) -> Vec<String> {
    let requests = model.stats.requests();
    let bodies = requests.iter().map(|request| serde_json::from_slice::<serde_json::Value>(&request.body).unwrap());
    bodies
        .map(|body| body["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap().into())
        .collect()
}

#[tokio::test]
async fn a_question_that_goes_on_from_another_is_searched_for_as_the_model_says_it() {
    let model = crate::harness::Upstream::saying("How long can I return a tent?", 0.0).await;
    let gateway = rewriting(&model).await;
    let mut client = gateway.connect().await;
    client.ask("I bought one of the Kestrels.").await;
    assert_eq!(model.stats.counts().requests, 1, "nothing was said before it");
    client.say("And if I do not like it?").await;
    let sources = client.until("sources").await;
    assert_eq!(sources["items"][0]["title"], "Returns and refunds", "{sources}");
    assert_eq!(client.answer().await.status(), "complete");
    let asked = asked(&model);
    assert_eq!(asked.len(), 3);
    assert!(
        asked[1].contains("> User: I bought one of the Kestrels.") && asked[1].ends_with("And if I do not like it?")
    );
    assert!(asked[2].starts_with("Quotations") && asked[2].ends_with("And if I do not like it?"), "{}", asked[2]);
    assert!(gateway.metric("retrieval_duration_seconds_count{stage=\"rewrite\"}").await >= 1.0);
}

#[tokio::test]
async fn a_model_that_does_not_rewrite_keeps_nobody_from_an_answer() {
    let faults = vec![Fault::None, "status:400".parse().unwrap(), Fault::None, Fault::StallHeaders, Fault::None];
    let options = Options { script: Script::new("Yes."), rate: 0.0, faults, ..Options::default() };
    let model = crate::harness::upstream(options).await;
    let gateway = rewriting(&model).await;
    let mut client = gateway.connect().await;
    client.ask("Hello!").await;
    for _refused_then_silent in 0..2 {
        client.say("How long can I return a tent?").await;
        assert_eq!(client.until("sources").await["items"][0]["title"], "Returns and refunds");
        let answer = client.answer().await;
        assert_eq!((answer.status(), answer.text.as_str()), ("complete", "Yes."));
    }
    assert_eq!(model.stats.counts().requests, 5);
}

/// What a question may cost has a bound, and is computed on threads that answer nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_questions_to_the_built_in_model_hold_up_nobody() {
    let gateway = knowing().await;
    until_loaded(&gateway).await;
    let words: String = (0..100_000).map(|n| format!(" word{n}")).collect();
    let question = format!("How long can I return a tent?{words}");
    let body = json!({"model": "m", "messages": [{"role": "user", "content": question}]}).to_string();
    let client = reqwest::Client::new();
    let mut asking = JoinSet::new();
    for _ in 0..8 {
        let request = client.post(gateway.url("/v1/chat/completions")).header("content-type", "application/json");
        asking.spawn(request.body(body.clone()).send());
    }
    let (mut looks, mut longest) = (0, Duration::ZERO);
    while !asking.is_empty() {
        let asked = Instant::now();
        let live = client.get(gateway.url("/livez")).send().await.unwrap();
        (looks, longest) = (looks + 1, longest.max(asked.elapsed()));
        assert_eq!(live.status(), 200);
        while let Some(answer) = asking.try_join_next() {
            assert_eq!(answer.unwrap().unwrap().status(), 200);
        }
    }
    // On the threads of the sockets, each of them took seconds.
    assert!(looks > 10 && longest < Duration::from_secs(1), "{looks} looks, the longest took {longest:?}");
}
