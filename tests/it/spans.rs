//! Spans, as an OpenTelemetry collector gets them: the tree, what is in it, and nothing that anybody said.

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value},
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use prost::Message;
use rivulet::mock_llm::{Fault, Options, Script};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::Instant};

use crate::harness::{Setup, Strace, TestGateway, soon, upstream};

/// Bodies of requests, as they came, and the keys with them.
type Bodies = watch::Sender<Vec<(Option<String>, Bytes)>>;

/// Takes spans until it is dropped.
struct Collector {
    url: String,
    bodies: Arc<Bodies>,
    _server: JoinSet<io::Result<()>>,
}

impl Collector {
    async fn start() -> Self {
        async fn take(State(bodies): State<Arc<Bodies>>, headers: HeaderMap, body: Bytes) {
            let key = headers.get("x-key").map(|key| key.to_str().unwrap().to_owned());
            bodies.send_modify(|bodies| bodies.push((key, body)));
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let bodies = Arc::new(watch::Sender::new(Vec::new()));
        let router = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&bodies));
        let mut server = JoinSet::new();
        server.spawn(async { axum::serve(listener, router).await });
        Self { url, bodies, _server: server }
    }

    /// The spans that came.
    fn all(&self) -> Vec<Span> {
        let bodies = self.bodies.borrow();
        let requests = bodies.iter().map(|(_, body)| ExportTraceServiceRequest::decode(body.clone()).unwrap());
        let of_resources = requests.flat_map(|request| request.resource_spans);
        of_resources.flat_map(|of| of.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    /// The spans that came, by name, and whose they are.
    fn spans(&self) -> (BTreeMap<String, Span>, Value) {
        let (mut spans, mut resource) = (BTreeMap::new(), Value::Null);
        for (_, body) in self.bodies.borrow().iter() {
            let request = ExportTraceServiceRequest::decode(body.clone()).unwrap();
            for of_resource in request.resource_spans {
                resource = attributes(&of_resource.resource.unwrap().attributes);
                for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                    // Each error has a place of its own.
                    let name = exceptions(&span).first().filter(|_| span.name == "error").map_or_else(
                        || span.name.clone(),
                        |told| format!("error {}", told["exception.type"].as_str().unwrap()),
                    );
                    let twice = spans.insert(name, span);
                    assert!(twice.is_none(), "{twice:?}");
                }
            }
        }
        (spans, resource)
    }
}

fn attributes(pairs: &[KeyValue]) -> Value {
    let value = |pair: &KeyValue| plain(pair.value.as_ref().unwrap().value.as_ref().unwrap());
    let mut known = serde_json::Map::new();
    for pair in pairs {
        assert!(known.insert(pair.key.clone(), value(pair)).is_none(), "{} is there twice", pair.key);
    }
    Value::Object(known)
}

fn plain(value: &any_value::Value) -> Value {
    match value {
        any_value::Value::StringValue(text) => json!(text),
        any_value::Value::BoolValue(value) => json!(value),
        any_value::Value::IntValue(number) => json!(number),
        any_value::Value::DoubleValue(number) => json!(number),
        any_value::Value::ArrayValue(list) => {
            list.values.iter().map(|value| plain(value.value.as_ref().unwrap())).collect()
        }
        other => panic!("{other:?}"),
    }
}

/// What went wrong, as collectors of errors learn of it.
fn exceptions(span: &Span) -> Vec<Value> {
    let exceptions = span.events.iter().filter(|event| event.name == "exception");
    exceptions.map(|event| attributes(&event.attributes)).collect()
}

/// SIGTERM, and how long the end takes; with status 0.
async fn end(gateway: &mut TestGateway) -> Duration {
    let asked = Instant::now();
    gateway.signal("TERM").await;
    assert_eq!(gateway.exit_code().await, Some(0));
    asked.elapsed()
}

#[tokio::test]
async fn a_run_is_a_tree_of_spans_in_the_conventions_words() {
    let collector = Collector::start().await;
    let failing = Fault::Status { status: 503, headers: Vec::new(), body: String::new() };
    let first = upstream(Options { faults: vec![failing], ..Options::default() }).await;
    let script = Script::new("Forty-two wombats.");
    let second = upstream(Options { rate: 0.0, script, ..Options::default() }).await;
    let targets = json!([
        { "name": "a", "base_url": first.url, "model": "x", "api_key": "sk-hunter2" },
        { "name": "b", "preset": "vllm", "base_url": second.url, "model": "y", "api_key": "sk-hunter2" },
    ]);
    let setup = Setup::bare().set("RIVULET_LLM_TARGETS", &targets.to_string()).set("RIVULET_LLM_RETRIES", "0");
    let setup = setup.set("OTEL_EXPORTER_OTLP_HEADERS", "x-key=of%20the%20collector");
    let mut gateway = setup.set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url).start().await;
    let mut client = gateway.connect().await;
    let answer = client.ask("How many quokkas?").await;
    assert_eq!((answer.status(), answer.text.as_str()), ("complete", "Forty-two wombats."));
    let session = client.memory.session.clone();
    drop(client);
    // What waits for a whole batch is not lost at the end.
    end(&mut gateway).await;

    let (spans, resource) = collector.spans();
    assert_eq!(resource["service.name"], "rivulet");
    assert_eq!(spans.keys().collect::<Vec<_>>(), ["chat x", "chat y", "retrieval default", "run"]);
    let run = &spans["run"];
    assert!(run.parent_span_id.is_empty());
    assert_eq!(
        attributes(&run.attributes),
        json!({ "gen_ai.conversation.id": session, "rivulet.run.status": "complete" })
    );
    for part in spans.values().filter(|span| span.name != "run") {
        assert_eq!((&part.parent_span_id, &part.trace_id), (&run.span_id, &run.trace_id), "{}", part.name);
        assert!(part.start_time_unix_nano >= run.start_time_unix_nano, "{}", part.name);
        assert!(part.end_time_unix_nano <= run.end_time_unix_nano, "{}", part.name);
    }
    let retrieval = attributes(&spans["retrieval default"].attributes);
    assert_eq!(
        (&retrieval["gen_ai.operation.name"], &retrieval["rivulet.retrieval.passages"]),
        (&json!("retrieval"), &json!(0))
    );

    let failed = &spans["chat x"];
    let told = attributes(&failed.attributes);
    assert_eq!((&told["error.type"], &told["rivulet.outcome"]), (&json!("unavailable"), &json!("unavailable")));
    assert_eq!(failed.status.as_ref().unwrap().code(), StatusCode::Error);
    assert_eq!(exceptions(failed), [json!({ "exception.type": "unavailable" })]);
    assert!(exceptions(run).is_empty());
    let good = &spans["chat y"];
    assert_eq!(good.kind(), SpanKind::Client);
    let mut told = attributes(&good.attributes);
    for measured in ["gen_ai.response.time_to_first_chunk", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"] {
        let value = told.as_object_mut().unwrap().remove(measured);
        assert!(value.as_ref().and_then(Value::as_f64).is_some_and(|value| value > 0.0), "{measured}: {value:?}");
    }
    let port: u16 = second.url.rsplit(':').next().unwrap().split('/').next().unwrap().parse().unwrap();
    let wanted = json!({
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": "y",
        "gen_ai.request.stream": true,
        "gen_ai.conversation.id": session,
        "gen_ai.response.finish_reasons": ["stop"],
        "server.address": "127.0.0.1",
        "server.port": port,
        "rivulet.target": "b",
        "rivulet.outcome": "ok",
    });
    assert_eq!(told, wanted);

    for (key, body) in collector.bodies.borrow().iter() {
        assert_eq!(key.as_deref(), Some("of the collector"));
        let body = String::from_utf8_lossy(body).to_lowercase();
        for said in ["quokka", "wombat", "hunter2"] {
            assert!(!body.contains(said), "{said} was told");
        }
    }
}

#[tokio::test]
async fn each_call_of_a_tool_is_a_span() {
    let collector = Collector::start().await;
    let upstream = upstream(Options { rate: 0.0, ..Options::default() }).await;
    let setup = Setup::with_upstream(&upstream.url).set("RIVULET_TELEMETRY_OTLP_ENDPOINT", &collector.url);
    let folder = setup.data.path().join("assistants");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("desk.toml"), "[tools]\nuse = [\"calc\", \"time\"]\n").unwrap();
    let mut gateway = setup.start().await;
    let mut client = crate::harness::Client::connect(&format!("{}?assistant=desk", gateway.socket(""))).await;
    client
        .say(r#"call calc {"expression":"4711 / 0"} and call time {} and call nothing_like_it {} then say "So.""#)
        .await;
    let call = client.until("tool.call").await["call"].clone();
    assert_eq!(client.answer().await.status(), "complete");
    drop(client);
    end(&mut gateway).await;
    // The answer takes two rounds, whose spans are alike.
    let spans: Vec<Span> = collector.all();
    let of = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    assert_eq!(spans.iter().filter(|span| span.name.starts_with("execute_tool")).count(), 2);
    let (run, failed, good) = (of("run"), of("execute_tool calc"), of("execute_tool time"));
    assert_eq!((&failed.parent_span_id, &good.parent_span_id), (&run.span_id, &run.span_id));
    let told = attributes(&failed.attributes);
    assert_eq!((&told["gen_ai.tool.call.id"], &told["rivulet.tool.status"]), (&call, &json!("error")));
    assert_eq!((failed.status.as_ref().unwrap().code(), &told["error.type"]), (StatusCode::Error, &json!("error")));
    assert_eq!(attributes(&good.attributes)["rivulet.tool.status"], "ok");
    for (_, body) in collector.bodies.borrow().iter() {
        assert!(!String::from_utf8_lossy(body).contains("4711"), "what a tool was given was told");
    }
}

#[tokio::test]
async fn a_run_that_is_stopped_says_so() {
    let collector = Collector::start().await;
    let upstream = crate::harness::Upstream::stalling(3).await;
    let mut gateway = Setup::with_upstream(&upstream.url)
        .set("RIVULET_LLM_MODEL", "m")
        .set("RIVULET_TELEMETRY_OTLP_ENDPOINT", &format!("{}/", collector.url))
        .start()
        .await;
    let mut client = gateway.connect().await;
    client.tell(json!({"type": "send", "id": "q", "text": "one"})).await;
    client.until("delta").await;
    client.tell(json!({"type": "stop"})).await;
    assert_eq!(client.until("run.done").await["status"], "stopped");
    drop(client);
    end(&mut gateway).await;
    let (spans, _) = collector.spans();
    assert_eq!(attributes(&spans["run"].attributes)["rivulet.run.status"], "cancelled");
    let attempt = attributes(&spans["chat m"].attributes);
    assert_eq!((&attempt["rivulet.outcome"], attempt.get("error.type")), (&json!("cancelled"), None));
}

#[tokio::test]
async fn a_collector_that_is_not_there_disturbs_nobody_and_is_named_once() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let setup = Setup::bare().set("RIVULET_TELEMETRY_OTLP_ENDPOINT", &format!("http://{closed}"));
    let mut gateway = setup.start().await;
    let mut client = gateway.connect().await;
    for _ in 0..2 {
        let lost = gateway.metric("otlp_spans_total{outcome=\"lost\"}").await;
        assert_eq!(client.ask("one").await.status(), "complete");
        let metric = async { while gateway.metric("otlp_spans_total{outcome=\"lost\"}").await <= lost {} };
        soon("a batch that was lost", metric).await;
    }
    drop(client);
    end(&mut gateway).await;
    assert_eq!(gateway.log().matches("spans are lost").count(), 1, "{}", gateway.log());
}

#[tokio::test]
async fn a_collector_that_hangs_holds_up_the_end_for_two_seconds_at_most() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let mut gateway = Setup::bare().set("RIVULET_TELEMETRY_OTLP_ENDPOINT", &url).start().await;
    let mut client = gateway.connect().await;
    assert_eq!(client.ask("one").await.status(), "complete");
    drop(client);
    let took = end(&mut gateway).await;
    assert!(took >= Duration::from_secs(2), "it was waited for: {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(gateway.log().contains("not exported in time"), "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_of_the_gateway_is_a_span_of_its_own() {
    let (collector, traces) = (Collector::start().await, tempfile::TempDir::new().unwrap());
    let setup = Setup::bare().set("RIVULET_TELEMETRY_OTLP_ENDPOINT", &collector.url);
    let mut gateway = setup.start().await;
    let mut client = gateway.connect().await;
    let syncs = ["trace=fdatasync,fsync", "inject=fdatasync,fsync:error=EIO"];
    let failing = Strace::attach(&gateway, &traces.path().join("1"), &syncs).await;
    client.tell(json!({"type": "send", "id": "q", "text": "How many quokkas?"})).await;
    assert_eq!(client.until("error").await["code"], "storage_unavailable");
    failing.detach().await;
    drop(client);
    end(&mut gateway).await;
    let (spans, _) = collector.spans();
    let error = &spans["error rivulet::store::sqlite::threads"];
    assert!(error.parent_span_id.is_empty());
    assert_eq!(error.status.as_ref().unwrap().code(), StatusCode::Error);
    let told = &exceptions(error)[0];
    let message = told["exception.message"].as_str().unwrap();
    assert!(message.starts_with("a transaction was lost: "), "{message}");
}
