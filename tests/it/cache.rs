//! Answers that are given again: what is shared with whom, and what is not.

use std::{collections::HashSet, path::Path, time::Duration};

use futures_util::future::join_all;
use rivulet::mock_llm::{Fault, Options, Script};
use serde_json::{Value, json};

use crate::harness::{Answer, Client, Gate, Setup, TestGateway, Upstream, soon, upstream};

const TEXT: &str = "A rivulet is a very small stream. It begins at a spring, and it ends in a river.";

/// A gateway that keeps answers, in front of a model server. Everybody shares them, so that conversations of their own
/// suffice to ask the same.
fn caching(upstream: &Upstream) -> Setup {
    keeping(upstream).set("RIVULET_LLM_CACHE_SHARED", "true")
}

/// The same, where nobody is given what was made for others.
fn keeping(upstream: &Upstream) -> Setup {
    Setup::with_upstream(&upstream.url).set("RIVULET_LLM_CACHE_ENTRIES", "1000")
}

/// A gateway whose users have to say who they are.
fn private(setup: Setup) -> Setup {
    setup.set("REQUIRE_AUTHENTICATION", "true").set("JWT_SECRET_KEY", "k8Jm2xQ7vR4tY9wZ3bN6cF1dH5gL0pSa")
}

async fn token(setup: &Setup, user: &str, tenant: &str, scope: &str) -> String {
    let scopes = scope.split(' ').flat_map(|scope| ["--scope", scope]);
    let arguments: Vec<_> = ["token", "--user", user, "--tenant", tenant].into_iter().chain(scopes).collect();
    let made = setup.output(&arguments).await;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

/// Asks in a conversation of its own.
async fn ask(gateway: &TestGateway, text: &str) -> Answer {
    gateway.connect().await.ask(text).await
}

fn is_cached(answer: &Answer) -> bool {
    assert_ne!(answer.done["cached"], false, "said only when it is so");
    answer.done["cached"] == true
}

/// A count of a cache, as the report for administrators has it.
async fn count(gateway: &TestGateway, cache: &str, field: &str) -> u64 {
    let (status, report) = gateway.get("/api/v1/admin/cache").await;
    assert_eq!(status, 200);
    let caches = report["caches"].as_array().unwrap();
    let cache = caches.iter().find(|one| one["name"] == cache).unwrap();
    cache[field].as_u64().unwrap_or_else(|| panic!("{field}: {cache}"))
}

#[tokio::test]
async fn the_same_question_is_answered_without_asking_the_model_again() {
    let upstream = Upstream::saying(TEXT, 0.0).await;
    let gateway = caching(&upstream).start().await;
    let first = ask(&gateway, "What is a rivulet?").await;
    let mut client = gateway.connect().await;
    let second = client.ask("What is a rivulet?").await;
    assert_eq!((is_cached(&first), is_cached(&second)), (false, true));
    assert_eq!((&first.text, first.status()), (&TEXT.to_owned(), "complete"));
    assert_eq!((&second.text, second.status()), (&first.text, "complete"));
    for field in ["model", "usage", "len", "crc32"] {
        assert_eq!(first.done[field], second.done[field], "{field}");
        assert!(!first.done[field].is_null());
    }
    assert_eq!(upstream.stats.counts().requests, 1);

    // The same words later in a conversation are another question.
    assert!(!is_cached(&client.ask("What is a rivulet?").await));
    assert_eq!(upstream.stats.counts().requests, 2);
    let counts = async |field| count(&gateway, "answers", field).await;
    assert_eq!((counts("hits").await, counts("misses").await, counts("entries").await), (1, 2, 2));
    for (outcome, times) in [("hit", 1.0), ("miss", 2.0)] {
        let name = format!("cache_requests_total{{cache=\"answers\",outcome=\"{outcome}\"}}");
        assert_eq!(gateway.metric(&name).await, times, "{outcome}");
    }
    let (_, report) = gateway.get("/api/v1/admin/cache").await;
    let kept = json!({"name": "answers", "enabled": true, "entries": 2, "capacity": 1000, "ttl_s": 900.0,
                      "hits": 1, "hits_shared": 0, "joined": 0, "misses": 2, "passed": 0});
    assert_eq!(report["caches"][0], kept);
    assert_eq!(report["caches"][1]["enabled"], false, "without knowledge there is nothing to keep of it");
}

#[tokio::test]
async fn nothing_is_kept_where_it_is_switched_off() {
    for (key, value) in [("RIVULET_LLM_CACHE_ENTRIES", "0"), ("RIVULET_LLM_CACHE_TTL_S", "0")] {
        let upstream = Upstream::saying(TEXT, 0.0).await;
        let gateway = caching(&upstream).set(key, value).start().await;
        for _ in 0..2 {
            assert!(!is_cached(&ask(&gateway, "What is a rivulet?").await));
        }
        assert_eq!(upstream.stats.counts().requests, 2);
        let (_, report) = gateway.get("/api/v1/admin/cache").await;
        let answers = &report["caches"][0];
        assert_eq!((&answers["name"], &answers["enabled"]), (&json!("answers"), &json!(false)));
    }
}

#[tokio::test]
async fn answers_are_kept_for_their_time() {
    let upstream = Upstream::saying(TEXT, 0.0).await;
    let gateway = caching(&upstream).set("RIVULET_LLM_CACHE_TTL_S", "0.5").start().await;
    ask(&gateway, "What is a rivulet?").await;
    soon("the end of its time", async { while count(&gateway, "answers", "entries").await > 0 {} }).await;
    assert!(!is_cached(&ask(&gateway, "What is a rivulet?").await));
    assert_eq!(upstream.stats.counts().requests, 2);
}

#[tokio::test]
async fn the_answer_that_is_longest_unused_leaves_first() {
    let upstream = Upstream::saying(TEXT, 0.0).await;
    let gateway = caching(&upstream).set("RIVULET_LLM_CACHE_ENTRIES", "2").start().await;
    for (question, known) in [("a", false), ("b", false), ("a", true), ("c", false), ("a", true), ("c", true)] {
        assert_eq!(is_cached(&ask(&gateway, question).await), known, "{question}");
        assert!(count(&gateway, "answers", "entries").await <= 2);
    }
    assert!(!is_cached(&ask(&gateway, "b").await));
}

#[tokio::test]
async fn tenants_do_not_share_answers() {
    let upstream = Upstream::saying(TEXT, 0.0).await;
    let setup = private(caching(&upstream));
    let (ann, bob) = (token(&setup, "ann", "north", "chat").await, token(&setup, "bob", "north", "chat").await);
    let eve = token(&setup, "eve", "south", "admin").await;
    let gateway = setup.clone().start().await;
    let ask = async |token: &str| {
        let mut client = Client::connect_as(&gateway.socket(""), token).await;
        is_cached(&client.ask("What is a rivulet?").await)
    };
    assert!(!ask(&ann).await);
    assert!(!ask(&eve).await, "of another tenant");
    assert!(ask(&bob).await, "of the same one");
    assert_eq!(upstream.stats.counts().requests, 2);
    let report = async |token: &str| {
        let request = reqwest::Client::new().get(gateway.url("/api/v1/admin/cache")).bearer_auth(token);
        TestGateway::answer(request).await.0
    };
    assert_eq!((report(&ann).await, report(&eve).await), (403, 200));
}

#[tokio::test]
async fn nobody_learns_what_others_asked() {
    let (upstream, gate) = Upstream::gated(TEXT, 3).await;
    let model = std::env::var("RIVULET_KNOWLEDGE_MODEL_DIR").expect("`make test` sets RIVULET_KNOWLEDGE_MODEL_DIR");
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-knowledge/shop/returns.md");
    let setup = private(keeping(&upstream))
        .set("RIVULET_KNOWLEDGE_ENABLED", "true")
        .set("RIVULET_KNOWLEDGE_MODEL_DIR", &model)
        .set("RIVULET_KNOWLEDGE_PRELOAD", sample.to_str().unwrap());
    let (ann, bob) = (
        token(&setup, "ann", "north", "chat knowledge:read").await,
        token(&setup, "bob", "north", "chat knowledge:read").await,
    );
    let (eve, admin) =
        (token(&setup, "eve", "south", "chat knowledge:read").await, token(&setup, "root", "north", "admin").await);
    let gateway = setup.start().await;
    soon("the knowledge", async { while gateway.get("/ready").await.1["knowledge"]["state"] != "ready" {} }).await;
    const QUESTION: &str = "How long can I return a tent?";
    let asks = async |token: &str| {
        let mut client = Client::connect_as(&gateway.socket(""), token).await;
        client.say(QUESTION).await;
        client.deltas(1).await;
        client
    };
    // While the answers are written, each user waits for one of her own.
    let mut clients = [asks(&ann).await, asks(&ann).await, asks(&bob).await, asks(&eve).await];
    assert_eq!(upstream.stats.counts().requests, 3);
    gate.open();
    let answers = join_all(clients.iter_mut().map(Client::answer)).await;
    assert_eq!(answers.iter().map(is_cached).collect::<Vec<_>>(), [false, true, false, false]);
    // When they are there, each has only hers again.
    let again = asks(&ann).await.answer().await;
    assert!(is_cached(&again));
    let search = async |token: &str| {
        let request = reqwest::Client::new().post(gateway.url("/api/v1/rag/query")).bearer_auth(token);
        TestGateway::answer(request.json(&json!({ "query": QUESTION }))).await.0
    };
    assert_eq!((search(&ann).await, search(&bob).await, search(&ann).await), (200, 200, 200));
    let request = reqwest::Client::new().get(gateway.url("/api/v1/admin/cache")).bearer_auth(&admin);
    let (_, report) = TestGateway::answer(request).await;
    let counts = |name: &str| {
        let cache = report["caches"].as_array().unwrap().iter().find(|cache| cache["name"] == name).unwrap().clone();
        ["hits", "joined", "misses"].map(|field| cache[field].as_u64().unwrap())
    };
    assert_eq!(counts("answers"), [1, 1, 3]);
    // Each user's search for an answer, and ann's and bob's own, which asks for other scores.
    assert_eq!(counts("retrieval"), [3, 0, 5]);
    assert_eq!(counts("embeddings"), [2, 0, 3], "made once for each of them");
}

#[tokio::test]
async fn without_authentication_all_are_strangers() {
    let upstream = Upstream::saying(TEXT, 0.0).await;
    let gateway = keeping(&upstream).start().await;
    for _ in 0..2 {
        assert!(!is_cached(&ask(&gateway, "What is a rivulet?").await), "of another session");
    }
    let messages = json!([{"role": "user", "content": "What is a rivulet?"}]);
    let body = json!({"model": "m", "temperature": 0, "messages": messages});
    for _ in 0..2 {
        let (status, answer) = gateway.post("/v1/chat/completions", body.clone()).await;
        assert_eq!((status, &answer["rivulet"]["cached"]), (200, &json!(false)), "of no session");
    }
    assert_eq!(upstream.stats.counts().requests, 4);
    assert_eq!((count(&gateway, "answers", "misses").await, count(&gateway, "answers", "passed").await), (2, 2));
    // A session is one's own: the same question in the same place.
    let mut client = gateway.connect().await;
    let question = client.say("What is a rivulet?").await;
    client.answer().await;
    client.tell(json!({"type": "edit", "id": "again", "message": question, "text": "What is a rivulet?"})).await;
    assert!(is_cached(&client.answer().await));
}

#[tokio::test]
async fn an_answer_anew_is_a_new_one_and_kept_instead() {
    let upstream = Upstream::saying(TEXT, 0.0).await;
    let gateway = caching(&upstream).start().await;
    let mut client = gateway.connect().await;
    client.ask("What is a rivulet?").await;
    client.tell(json!({"type": "regenerate", "id": "again"})).await;
    assert!(!is_cached(&client.answer().await));
    assert_eq!(upstream.stats.counts().requests, 2);
    assert!(is_cached(&ask(&gateway, "What is a rivulet?").await));
    assert_eq!(count(&gateway, "answers", "passed").await, 1);
}

#[tokio::test]
async fn answers_that_are_not_whole_are_not_kept() {
    let event = r#"data: {"choices":[{"delta":{"content":"A"},"finish_reason":"length"}]}"#;
    let cut_short = Fault::Raw { pieces: vec![format!("{event}\n\ndata: [DONE]\n\n").into()], pause: Duration::ZERO };
    let options = Options {
        script: Script::new(TEXT),
        rate: 0.0,
        faults: vec![Fault::Cut(3), cut_short, Fault::None],
        ..Options::default()
    };
    let upstream = upstream(options).await;
    let gateway = caching(&upstream).start().await;
    for status in ["incomplete", "length", "complete"] {
        let answer = ask(&gateway, "What is a rivulet?").await;
        assert_eq!((answer.status(), is_cached(&answer)), (status, false));
    }
    assert!(is_cached(&ask(&gateway, "What is a rivulet?").await));
    assert_eq!(upstream.stats.counts().requests, 3);
}

/// Conversations that all ask the same while the model server holds the answer, each with its first text.
async fn together(gateway: &TestGateway, sessions: usize) -> Vec<Client> {
    let asking = (0..sessions).map(|_| async {
        let mut client = gateway.connect().await;
        client.say("What is a rivulet?").await;
        client.deltas(1).await;
        client
    });
    join_all(asking).await
}

async fn held() -> (Upstream, Gate, TestGateway) {
    let (upstream, gate) = Upstream::gated(TEXT, 3).await;
    let gateway = caching(&upstream).start().await;
    (upstream, gate, gateway)
}

#[tokio::test]
async fn who_asks_the_same_at_the_same_time_shares_one_call() {
    let (upstream, gate, gateway) = held().await;
    let mut clients = together(&gateway, 8).await;
    assert_eq!(upstream.stats.counts().requests, 1);
    assert_eq!(count(&gateway, "answers", "joined").await, 7);
    gate.open();
    let answers = join_all(clients.iter_mut().map(Client::answer)).await;
    for answer in &answers {
        assert_eq!((answer.text.as_str(), answer.status()), (TEXT, "complete"));
    }
    assert_eq!(answers.iter().filter(|answer| !is_cached(answer)).count(), 1, "it was asked for one of them");
    let usages: HashSet<_> = answers.iter().map(|answer| answer.done["usage"].to_string()).collect();
    assert_eq!(usages.len(), 1);
    assert_eq!(upstream.stats.counts().requests, 1);
    assert!(is_cached(&ask(&gateway, "What is a rivulet?").await));
}

#[tokio::test]
async fn who_leaves_does_not_take_the_answer_along() {
    // Whoever came first polled the model's server first; each of them is tried.
    for leaving in 0..3 {
        let (upstream, gate, gateway) = held().await;
        let mut clients = together(&gateway, 1).await;
        clients.extend(together(&gateway, 1).await);
        clients.extend(together(&gateway, 1).await);
        let mut left = clients.remove(leaving);
        left.tell(json!({"type": "stop"})).await;
        assert_eq!(left.answer().await.status(), "stopped");
        let counts = upstream.stats.counts();
        assert_eq!((counts.requests, counts.cancelled), (1, 0));
        gate.open();
        for answer in join_all(clients.iter_mut().map(Client::answer)).await {
            assert_eq!((answer.text.as_str(), answer.status()), (TEXT, "complete"));
        }
        assert_eq!(upstream.stats.counts().requests, 1);
    }
}

#[tokio::test]
async fn when_all_have_left_the_model_server_is_told() {
    let (upstream, gate, gateway) = held().await;
    let mut clients = together(&gateway, 3).await;
    for client in &mut clients {
        assert_eq!(upstream.stats.counts().cancelled, 0);
        client.tell(json!({"type": "stop"})).await;
        assert_eq!(client.answer().await.status(), "stopped");
    }
    soon("a cancelled call", upstream.stats.wait_until(|counts| counts.cancelled == 1)).await;
    gate.open();
    let answer = ask(&gateway, "What is a rivulet?").await;
    assert_eq!((answer.text.as_str(), is_cached(&answer)), (TEXT, false));
    assert_eq!(upstream.stats.counts().requests, 2);
}

#[tokio::test]
async fn new_documents_are_noticed_also_when_another_process_reads_them() {
    let upstream = Upstream::saying("Sixty days [1].", 0.0).await;
    let model = std::env::var("RIVULET_KNOWLEDGE_MODEL_DIR").expect("`make test` sets RIVULET_KNOWLEDGE_MODEL_DIR");
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-knowledge/shop/returns.md");
    let setup = caching(&upstream).set("RIVULET_KNOWLEDGE_ENABLED", "true").set("RIVULET_KNOWLEDGE_MODEL_DIR", &model);
    let ingest = async |path: &Path| {
        let output = setup.output(&["ingest", path.to_str().unwrap()]).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    ingest(&sample).await;
    let gateway = setup.clone().start().await;
    soon("the knowledge", async { while gateway.get("/ready").await.1["knowledge"]["state"] != "ready" {} }).await;

    const QUESTION: &str = "How long can I return a tent?";
    let sources = async || -> (Vec<Value>, bool) {
        let mut client = gateway.connect().await;
        client.say(QUESTION).await;
        let sources = client.until("sources").await;
        let titles = sources["items"].as_array().unwrap().iter().map(|item| item["title"].clone());
        (titles.collect(), is_cached(&client.answer().await))
    };
    let (before, cached) = sources().await;
    assert!(!cached);
    let (again, cached) = sources().await;
    assert!(cached && again == before);
    for cache in ["embeddings", "retrieval"] {
        let counts = async |field| count(&gateway, cache, field).await;
        assert_eq!((counts("misses").await, counts("entries").await), (1, 1), "{cache}");
    }
    assert_eq!(count(&gateway, "retrieval", "hits").await, 1);

    let more = setup.data.path().join("tents.md");
    std::fs::write(&more, "# Returning tents\n\nHow long can I return a tent? A tent can be returned for 90 days.\n")
        .unwrap();
    ingest(&more).await;
    let noticed = async {
        loop {
            let (titles, cached) = sources().await;
            if titles.contains(&json!("Returning tents")) {
                return cached;
            }
            assert!(cached, "the same knowledge, and another answer");
        }
    };
    assert!(!soon("the new document", noticed).await);
    assert_eq!(upstream.stats.counts().requests, 2);
    assert_eq!(count(&gateway, "embeddings", "misses").await, 1, "the question's vector is the same");
}
