//! `/v1` as programs that speak OpenAI's interface see it: answers, streams, refusals, and who may.

use std::collections::HashMap;

use reqwest::Method;
use rivulet::mock_llm::DEFAULT_TEXT;
use serde_json::{Value, json};

use crate::harness::{Setup, TestGateway, Upstream, soon};

mod connections;
mod faults;
mod forms;
mod tools;

/// What came back: a whole answer, an error, or a stream as far as it went.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    /// The body, when it is no stream.
    pub(crate) body: Value,
    /// The chunks of a stream.
    pub(crate) chunks: Vec<Value>,
    /// The error within a stream.
    pub(crate) error: Option<Value>,
    /// Whether a stream ended as a whole one does.
    pub(crate) done: bool,
}

impl Told {
    async fn of(response: reqwest::Response) -> Self {
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()));
        let mut told = Self { status: response.status().as_u16(), headers: headers.collect(), ..Self::default() };
        let body = soon("a body", response.text()).await.unwrap();
        if told.headers.get("content-type").is_none_or(|kind| kind != "text/event-stream") {
            told.body = serde_json::from_str(&body).unwrap_or_else(|_| panic!("no JSON: {body}"));
            return told;
        }
        for event in body.split("\n\n").filter(|event| !event.is_empty() && !event.starts_with(':')) {
            assert!(!told.done && told.error.is_none(), "nothing follows the end: {body}");
            let event = event.trim_start_matches(": still here\n");
            match event.strip_prefix("data: ").expect("one line of data") {
                "[DONE]" => told.done = true,
                data => match serde_json::from_str::<Value>(data).unwrap() {
                    event if event.get("error").is_some() => told.error = Some(event),
                    chunk => told.chunks.push(chunk),
                },
            }
        }
        told
    }

    /// The text, whichever way it came.
    pub(crate) fn text(&self) -> String {
        let whole = self.body["choices"][0]["message"]["content"].as_str().unwrap_or_default();
        let pieces = self.chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str());
        std::iter::once(whole).chain(pieces).collect()
    }

    /// Why it ended, if it is said to be whole.
    pub(crate) fn finish(&self) -> Option<&str> {
        let chunks = self.chunks.iter().map(|chunk| &chunk["choices"][0]["finish_reason"]);
        chunks.chain([&self.body["choices"][0]["finish_reason"]]).find_map(Value::as_str)
    }

    /// The code of its error, whichever way it came.
    pub(crate) fn code(&self) -> Option<&str> {
        let error = self.error.as_ref().unwrap_or(&self.body).get("error")?;
        assert!(error["message"].is_string() && error["type"].is_string(), "{error}");
        assert!(error.get("param").is_some(), "{error}");
        error["code"].as_str()
    }
}

pub(crate) fn question(text: &str) -> Value {
    json!({"model": "any", "messages": [{"role": "user", "content": text}]})
}

pub(crate) fn with(mut body: Value, fields: Value) -> Value {
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

pub(crate) async fn ask(gateway: &TestGateway, body: &Value) -> Told {
    ask_with(gateway, &[], body).await
}

async fn ask_with(gateway: &TestGateway, headers: &[(&str, &str)], body: &Value) -> Told {
    let mut request = reqwest::Client::new().post(gateway.url("/v1/chat/completions")).json(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Told::of(soon("an answer's head", request.send()).await.unwrap()).await
}

pub(crate) async fn ask_both(gateway: &TestGateway, text: &str) -> [Told; 2] {
    [ask(gateway, &question(text)).await, ask(gateway, &with(question(text), json!({"stream": true}))).await]
}

#[tokio::test]
async fn an_answer_comes_whole_or_in_chunks() {
    let upstream = Upstream::saying(DEFAULT_TEXT, 0.0).await;
    let gateway = Setup::with_upstream(&upstream.url).set("RIVULET_LLM_MODEL", "some-model").start().await;
    let whole = ask(&gateway, &question("What is a rivulet?")).await;
    assert_eq!((whole.status, whole.text().as_str(), whole.finish()), (200, DEFAULT_TEXT, Some("stop")));
    let body = &whole.body;
    assert_eq!((&body["object"], &body["model"]), (&json!("chat.completion"), &json!("some-model")));
    assert!(body["id"].as_str().unwrap().starts_with("chatcmpl-") && body["created"].as_u64().unwrap() > 1_700_000_000);
    let message = &body["choices"][0]["message"];
    assert_eq!((&message["role"], message.get("refusal")), (&json!("assistant"), Some(&Value::Null)));
    let usage =
        |of: &Value| ["prompt_tokens", "completion_tokens", "total_tokens"].map(|name| of[name].as_u64().unwrap());
    let [input, output, total] = usage(&body["usage"]);
    assert!(input > 0 && output > 0 && total == input + output, "{body}");
    assert_eq!(
        body["rivulet"],
        json!({"status": "complete", "sources": [], "citations": [], "cached": false, "estimated_usage": false})
    );

    let asked = with(question("And now?"), json!({"stream": true, "stream_options": {"include_usage": true}}));
    let stream = ask(&gateway, &asked).await;
    assert_eq!((stream.status, stream.text().as_str(), stream.finish()), (200, DEFAULT_TEXT, Some("stop")));
    assert!(stream.done && stream.chunks.len() > 5, "{stream:?}");
    assert_eq!(stream.headers["content-type"], "text/event-stream");
    let first = &stream.chunks[0];
    assert_eq!(first["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
    assert_eq!((&first["rivulet"]["sources"], &first["object"]), (&json!([]), &json!("chat.completion.chunk")));
    let (last, rest) = stream.chunks.split_last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(usage(&last["usage"])[1], output);
    assert!(rest.iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)), "each says that it has none");
    assert_eq!(rest.last().unwrap()["rivulet"]["status"], "complete");
    assert!(stream.chunks.iter().all(|chunk| chunk["id"] == first["id"] && chunk["model"] == "some-model"));

    let without = ask(&gateway, &with(question("And?"), json!({"stream": true}))).await;
    assert!(without.done && without.chunks.iter().all(|chunk| chunk.get("usage").is_none()), "nobody asked for it");
    assert_eq!(gateway.metric("runs_total{status=\"complete\"}").await, 3.0);
    assert_eq!(gateway.metric("runs_active").await, 0.0);
    assert_eq!(gateway.metric("run_ttft_seconds_count").await, 3.0);
}

#[tokio::test]
async fn an_answer_that_reached_its_limit_says_so() {
    let upstream = Upstream::saying(DEFAULT_TEXT, 0.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    for stream in [false, true] {
        let told = ask(&gateway, &with(question("Why?"), json!({"max_tokens": 3, "stream": stream}))).await;
        assert_eq!((told.finish(), told.text().as_str()), (Some("length"), "A rivulet is"));
    }
}

#[tokio::test]
async fn what_was_said_before_reaches_the_model_and_so_do_the_parameters() {
    let upstream = Upstream::saying("Yes.", 0.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let asked = json!({
        "model": "any",
        "messages": [
            {"role": "system", "content": "Answer like a pirate."},
            {"role": "user", "content": "One?"},
            {"role": "assistant", "content": "Aye."},
            {"role": "user", "content": [{"type": "text", "text": "Two?"}]},
        ],
        "temperature": 0.5, "top_p": 0.25, "frequency_penalty": 1, "presence_penalty": -1, "seed": 42, "stop": ["END"],
        "max_tokens": 77, "user": "somebody",
    });
    assert_eq!(ask(&gateway, &asked).await.text(), "Yes.");
    let sent: Value = serde_json::from_slice(&upstream.stats.requests()[0].body).unwrap();
    let messages = sent["messages"].as_array().unwrap();
    let said: Vec<_> = messages.iter().map(|one| (one["role"].as_str().unwrap(), &one["content"])).collect();
    assert_eq!(said[1..], [("user", &json!("One?")), ("assistant", &json!("Aye.")), ("user", &json!("Two?"))]);
    assert!(said[0].0 == "system" && said[0].1.as_str().unwrap().ends_with("\n\nAnswer like a pirate."), "{sent}");
    for (name, value) in
        [("temperature", 0.5), ("top_p", 0.25), ("frequency_penalty", 1.0), ("presence_penalty", -1.0), ("seed", 42.0)]
    {
        assert_eq!(sent[name].as_f64(), Some(value), "{sent}");
    }
    assert_eq!(sent["stop"], json!(["END"]));
    assert_eq!(sent["max_tokens"].as_u64().or(sent["max_completion_tokens"].as_u64()), Some(77));
    assert!(sent.get("user").is_none());
}

#[tokio::test]
async fn refusals_have_the_interfaces_form_and_name_the_field() {
    let gateway = Setup::bare().start().await;
    let question = question("Why?");
    for (body, status, code, param) in [
        (with(question.clone(), json!({"temperature": 3})), 400, "invalid_field", Some("temperature")),
        (with(question.clone(), json!({"n": 2})), 400, "unsupported_parameter", Some("n")),
        (with(question.clone(), json!({"messages": []})), 400, "invalid_field", Some("messages")),
        (
            with(question.clone(), json!({"messages": [{"role": "user", "content": ""}]})),
            400,
            "empty_text",
            Some("messages[0].content"),
        ),
        (json!([]), 400, "invalid_field", Some("body")),
        (json!({"messages": [], "x": "x".repeat(1 << 20)}), 413, "too_large", None),
    ] {
        let told = ask(&gateway, &body).await;
        assert_eq!((told.status, told.code()), (status, Some(code)), "{told:?}");
        assert_eq!(told.body["error"]["param"].as_str(), param);
        assert_eq!(told.body["error"]["type"], "invalid_request_error");
        assert!(!told.headers["x-request-id"].is_empty());
    }
    let client = reqwest::Client::new();
    let post = || client.post(gateway.url("/v1/chat/completions"));
    let stranger = [("origin", "https://evil.example")];
    for (request, status, code) in [
        (post().header("content-type", "application/json").body("{"), 400, "bad_json"),
        (post().header("content-type", "text/plain").body("{}"), 415, "unsupported_media_type"),
        (post().header(stranger[0].0, stranger[0].1).json(&question), 403, "forbidden"),
        (post().header("host", "evil.example").json(&question), 421, "forbidden"),
        (client.get(gateway.url("/v1/chat/completions")), 405, "method_not_allowed"),
        (client.post(gateway.url("/v1/responses")).json(&question), 404, "not_found"),
        (client.get(gateway.url("/v1/models/gpt-99")), 404, "model_not_found"),
    ] {
        let told = Told::of(soon("an answer", request.send()).await.unwrap()).await;
        assert_eq!((told.status, told.code()), (status, Some(code)), "{told:?}");
    }
    let (_, elsewhere) = gateway.get("/api/v1/none").await;
    assert!(elsewhere.get("error").is_none() && elsewhere["code"] == "not_found", "{elsewhere}");
}

#[tokio::test]
async fn a_key_is_looked_at_where_there_are_tokens_and_nowhere_else() {
    let open = Setup::bare().start().await;
    let keys = ["Bearer sk-placeholder", "Bearer ", "Bearer undefined", "Bearer eyJhIjoxfQ.b.c", "Basic YTpi"];
    let api = async |gateway: &TestGateway, key: &str| {
        let api = reqwest::Client::new().post(gateway.url("/api/v1/chat")).json(&json!({"message": "Why?"}));
        TestGateway::answer(api.header("authorization", key)).await.0
    };
    for key in keys {
        assert_eq!(ask_with(&open, &[("authorization", key)], &question("Why?")).await.status, 200, "{key}");
        assert_eq!(api(&open, key).await, 200, "{key}");
    }

    // Where there are tokens, what is brought must be one, whether one is needed or not.
    let secret = "6f1c0d9be27a43588b3f5c2ad4e9071633a9d8c1f0b24e7596ad3b8c7e5f1024";
    let both = Setup::bare().set("JWT_SECRET_KEY", secret).start().await;
    for key in keys {
        let expected = if key.starts_with("Bearer") { 401 } else { 200 };
        assert_eq!(ask_with(&both, &[("authorization", key)], &question("Why?")).await.status, expected, "{key}");
        assert_eq!(api(&both, key).await, expected, "{key}");
    }
    assert_eq!(ask(&both, &question("Why?")).await.status, 200);

    let setup = Setup::bare().set("REQUIRE_AUTHENTICATION", "true").set("JWT_SECRET_KEY", secret);
    let token = setup.output(&["token", "--user", "ann"]).await;
    let token = String::from_utf8(token.stdout).unwrap().trim().to_owned();
    let closed = setup.start().await;
    for headers in [vec![], vec![("authorization", "Bearer sk-placeholder")], vec![("authorization", "Bearer a.b.c")]] {
        let told = ask_with(&closed, &headers, &question("Why?")).await;
        assert_eq!((told.status, told.code()), (401, Some("unauthenticated")));
        assert_eq!(told.headers["www-authenticate"], "Bearer");
        assert_eq!(told.body["error"]["type"], "authentication_error");
    }
    assert_eq!(closed.get("/v1/models").await.0, 401);
    let bearer = format!("Bearer {token}");
    assert_eq!(ask_with(&closed, &[("authorization", &bearer)], &question("Why?")).await.status, 200);
}

#[tokio::test]
async fn a_spent_budget_is_an_error_within_an_answer_and_before_the_next() {
    let upstream = Upstream::saying(&"word ".repeat(80), 0.0).await;
    for stream in [false, true] {
        // The prompt has about 190 tokens, the answer 100.
        let setup = Setup::with_upstream(&upstream.url).set("RIVULET_LIMITS_TOKENS_PER_DAY", "220");
        let gateway = setup.start().await;
        let asked = with(question("Why?"), json!({"stream": stream}));
        let cut = ask(&gateway, &asked).await;
        assert_eq!((cut.status, cut.code()), (if stream { 200 } else { 429 }, Some("budget_exhausted")), "{cut:?}");
        assert_eq!((cut.finish(), cut.done), (None, false));
        let refused = ask(&gateway, &asked).await;
        assert_eq!((refused.status, refused.code()), (429, Some("budget_exhausted")), "{refused:?}");
        assert_eq!(refused.body["error"]["type"], "rate_limit_error");
        assert!(refused.headers["retry-after"].parse::<u32>().unwrap() > 0);
    }
}

#[tokio::test]
async fn models_are_the_assistant_and_those_behind_it() {
    let bare = Setup::bare().start().await;
    let (status, listed) = bare.get("/v1/models").await;
    assert_eq!((status, &listed["object"]), (200, &json!("list")));
    let names = |listed: &Value| -> Vec<String> {
        listed["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&listed), ["default", "extractive"]);
    assert_eq!(listed["data"][0], json!({"id": "default", "object": "model", "created": 0, "owned_by": "rivulet"}));

    let targets = r#"[{"name":"a","base_url":"http://127.0.0.1:9/v1","model":"Qwen/Qwen3-8B"},
        {"name":"b","base_url":"http://127.0.0.1:9/v1","model":"Qwen/Qwen3-8B"},
        {"name":"c","base_url":"http://127.0.0.1:9/v1","model":"other"}]"#;
    let gateway = Setup::bare().set("RIVULET_LLM_TARGETS", targets).start().await;
    assert_eq!(names(&gateway.get("/v1/models").await.1), ["default", "Qwen/Qwen3-8B", "other"]);
    for path in ["/v1/models/Qwen/Qwen3-8B", "/v1/models/Qwen%2FQwen3-8B"] {
        let (status, model) = gateway.get(path).await;
        assert_eq!((status, &model["id"], &model["owned_by"]), (200, &json!("Qwen/Qwen3-8B"), &json!("a")));
    }
}

#[tokio::test]
async fn pages_of_listed_origins_may_use_the_package_in_a_browser() {
    let gateway = Setup::bare().set("CORS_ORIGINS", "https://shop.example").start().await;
    let preflight = reqwest::Client::new()
        .request(Method::OPTIONS, gateway.url("/v1/chat/completions"))
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type,x-stainless-lang,x-stainless-retry-count",
        );
    let response = soon("an answer", preflight.send()).await.unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], "https://shop.example");
    let allowed = response.headers()["access-control-allow-headers"].to_str().unwrap();
    for name in ["authorization", "content-type", "x-stainless-lang", "x-stainless-retry-count"] {
        assert!(allowed.split(',').any(|allowed| allowed.trim() == name), "{name} in {allowed}");
    }
}

#[tokio::test]
async fn sources_and_citations_ride_in_the_gateways_own_field() {
    let gateway = crate::knowledge::knowing().await;
    crate::knowledge::until_loaded(&gateway).await;
    let [whole, stream] = ask_both(&gateway, "How long can I return a tent?").await;
    for told in [&whole, &stream] {
        assert!(told.text().contains("60 days") && told.finish() == Some("stop"), "{told:?}");
    }
    let (begin, end) = (&stream.chunks[0]["rivulet"], &stream.chunks.last().unwrap()["rivulet"]);
    assert_eq!(begin["sources"][0]["title"], "Returns and refunds");
    assert_eq!(begin["sources"], whole.body["rivulet"]["sources"]);
    assert_eq!((&end["citations"][0]["n"], &end["citations"]), (&json!(1), &whole.body["rivulet"]["citations"]));
    assert_eq!((&whole.body["model"], &stream.chunks[0]["model"]), (&json!("extractive"), &json!("extractive")));
    assert_eq!(end["estimated_usage"], true);

    // A question as long as a request may be costs no more than its first words.
    let long = format!("How long can I return a tent? {}", "and again ".repeat(100_000));
    let told = ask(&gateway, &question(&long)).await;
    assert_eq!(told.status, 200, "{:?}", told.body);
    let (_, sessions) = gateway.get("/api/v1/sessions").await;
    assert_eq!(sessions["sessions"], json!([]), "nothing is stored");
}

#[tokio::test]
async fn all_of_a_callers_history_goes_to_the_model() {
    let upstream = Upstream::saying("Yes.", 0.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let document = "word ".repeat(8_000);
    let messages = json!([
        {"role": "user", "content": document},
        {"role": "assistant", "content": "I have read it."},
        {"role": "user", "content": "What does it say?"},
    ]);
    assert_eq!(ask(&gateway, &with(question("?"), json!({"messages": messages}))).await.status, 200);
    let asked: Value = serde_json::from_slice(&upstream.stats.requests()[0].body).unwrap();
    assert_eq!((asked["messages"].as_array().unwrap().len(), &asked["messages"][1]["content"]), (4, &json!(document)));
}

#[tokio::test]
async fn a_known_answer_says_so_and_can_be_asked_for_anew() {
    let upstream = Upstream::saying("Yes.", 0.0).await;
    let setup = Setup::with_upstream(&upstream.url).set("RIVULET_LLM_CACHE_ENTRIES", "10");
    let gateway = setup.set("RIVULET_LLM_CACHE_SHARED", "true").start().await;
    let anew = [("cache-control", "no-cache")];
    let (fixed, asked) = (json!({"temperature": 0}), json!({"rivulet": {"cache": true}}));
    for (headers, fields, status, requests) in [
        (&[][..], &fixed, "fwd=miss", 1),
        (&[], &fixed, "hit", 1),
        (&anew, &fixed, "fwd=request", 2),
        (&[], &fixed, "hit", 2),
        (&[], &asked, "fwd=miss", 3),
        (&[], &asked, "hit", 3),
        // Who leaves the choice of words to chance, or says nothing of it, wants other ones.
        (&[], &json!({}), "fwd=bypass", 4),
        (&[], &json!({}), "fwd=bypass", 5),
        (&[], &json!({"temperature": 0.7}), "fwd=bypass", 6),
        (&[], &json!({"temperature": 0, "rivulet": {"cache": false}}), "fwd=bypass", 7),
    ] {
        let told = ask_with(&gateway, headers, &with(question("Is it?"), fields.clone())).await;
        assert_eq!((told.text().as_str(), told.finish()), ("Yes.", Some("stop")));
        assert_eq!(told.headers["cache-status"], format!("rivulet; {status}"), "{fields}");
        assert_eq!(
            (told.body["rivulet"]["cached"] == true, upstream.stats.counts().requests),
            (status == "hit", requests)
        );
    }
    let stream = ask(&gateway, &with(question("Is it?"), json!({"temperature": 0, "stream": true}))).await;
    assert_eq!((stream.headers["cache-status"].as_str(), stream.done), ("rivulet; hit", true));
}

#[tokio::test]
async fn where_nothing_is_kept_no_answer_pretends_to_have_been_looked_for() {
    let upstream = Upstream::saying("Yes.", 0.0).await;
    for entries in ["10", "0"] {
        let setup = Setup::with_upstream(&upstream.url).set("RIVULET_LLM_CACHE_ENTRIES", entries);
        let gateway = setup.start().await;
        for stream in [false, true] {
            let fields = json!({"temperature": 0, "stream": stream});
            let told = ask(&gateway, &with(question("Is it?"), fields)).await;
            assert_eq!(told.headers["cache-status"], "rivulet; fwd=bypass", "{entries} entries");
        }
    }
}
