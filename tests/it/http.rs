//! What surrounds a chat: health, metrics, version, the page, headers, CORS.

use futures_util::future::join_all;
use rivulet::mock_llm::DEFAULT_TEXT;
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpSocket};

use crate::harness::{Neighbour, Setup, Upstream, soon};

#[tokio::test]
async fn health_metrics_and_version() {
    let upstream = Upstream::saying("Yes.", 0.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    assert_eq!(gateway.get("/livez").await.0, 200);
    for path in ["/ready", "/readyz"] {
        let (status, ready) = gateway.get(path).await;
        assert_eq!((status, ready), (200, json!({"status": "ready", "knowledge": {"state": "disabled"}})));
    }
    let (status, health) = gateway.get("/health").await;
    assert_eq!(
        (status, &health["status"], &health["components"]["store"]["state"]),
        (200, &json!("ok"), &json!("ready"))
    );
    for path in ["/api/v1/version", "/api/version"] {
        let (_, version) = gateway.get(path).await;
        assert_eq!((&version["name"], &version["version"]), (&json!("rivulet"), &json!(env!("CARGO_PKG_VERSION"))));
        assert!(version["commit"].is_string() && !version["changelog"].as_array().unwrap().is_empty());
    }
    let mut client = gateway.connect().await;
    client.ask("one").await;
    let (_, text) = gateway.get("/metrics").await;
    for name in [
        "http_requests_total{method=\"GET\",route=\"/livez\",status=\"200\"} 1",
        "http_request_duration_seconds_bucket",
        "http_requests_in_progress 1",
        "llm_requests_total{",
        "knowledge_retrievals_total 1",
        "database_query_duration_seconds_bucket{op=",
        "ws_connections{protocol=\"chat.v1\"} 1",
        "sessions_active 1",
        "runs_active 0",
        "runs_total{status=\"complete\"} 1",
        "tokens_delivered_total 1",
        "run_ttft_seconds_count 1",
        "token_delay_seconds_count 1",
        "storage_commit_seconds_bucket",
        "gen_ai_client_token_usage_bucket",
        "gen_ai_client_operation_duration_seconds_bucket",
        "gen_ai_client_operation_time_to_first_chunk_seconds_bucket",
    ] {
        assert!(text.as_str().unwrap().contains(name), "{name} is missing:\n{}", text.as_str().unwrap());
    }
    assert!(!text.as_str().unwrap().contains(&client.session()), "ids are no labels");
}

#[tokio::test]
async fn every_answer_carries_an_id_and_security_headers() {
    let gateway = Setup::bare().start().await;
    let client = reqwest::Client::new();
    for (given, kept) in [("abc-123", true), ("a b", false), (&*"x".repeat(200), false)] {
        let answer = client.get(gateway.url("/nothing")).header("x-request-id", given).send().await.unwrap();
        let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert_eq!(id == given, kept, "{given}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        assert!(answer.headers().contains_key("content-security-policy"));
        let problem: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(problem["request_id"], id);
    }
}

#[tokio::test]
async fn only_listed_origins_may_read_answers() {
    let setup = Setup::bare().set("RIVULET_SERVER_ALLOWED_ORIGINS", "https://shop.example");
    let (gateway, mut neighbour) = Neighbour::of_nobody(setup).await;
    let client = reqwest::Client::new();
    for (origin, allowed) in [("https://shop.example", true), ("https://evil.example", false), ("null", false)] {
        for path in ["/api/v1/version", "/api/v1/sessions/s_unknown"] {
            let answer = client.get(gateway.url(path)).header("origin", origin).send().await.unwrap();
            let header = answer.headers().get("access-control-allow-origin").map(|h| h.to_str().unwrap().to_owned());
            assert_eq!(header.as_deref(), allowed.then_some(origin), "{path}");
        }
        let preflight = client
            .request(reqwest::Method::OPTIONS, gateway.url("/api/v1/chat"))
            .headers(
                [("origin", origin), ("access-control-request-method", "POST")]
                    .into_iter()
                    .map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap()))
                    .collect(),
            )
            .send()
            .await
            .unwrap();
        assert_eq!(preflight.headers().contains_key("access-control-allow-origin"), allowed);
        // A browser sends simple requests without asking.
        let made = client.post(gateway.url("/api/v1/sessions")).header("origin", origin).send().await.unwrap();
        assert_eq!(made.status(), if allowed { 201 } else { 403 }, "{origin}");
        neighbour.goes_on().await;
    }
    neighbour.has_all().await;
}

#[tokio::test]
async fn the_page_is_in_the_binary_and_loads_nothing_from_elsewhere() {
    let gateway = Setup::bare().start().await;
    let answer = reqwest::get(gateway.url("/")).await.unwrap();
    assert_eq!(answer.status(), 200);
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"));
    assert!(policy.contains("connect-src 'self';"), "{policy}");
    let page = answer.text().await.unwrap();
    let script = page.split("src=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let script = reqwest::get(gateway.url(script.trim_start_matches('.'))).await.unwrap();
    assert_eq!(script.status(), 200);
    assert!(script.headers()["content-type"].to_str().unwrap().contains("javascript"));
    for path in ["/assets/../Cargo.toml", "/assets/%2e%2e/index.html", "/assets/none.js"] {
        assert_eq!(gateway.get(path).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn the_widget_is_for_pages_of_listed_origins_and_fetched_again_only_when_it_is_another() {
    const SHOP: &str = "https://shop.example";
    let gateway = Setup::bare().set("RIVULET_SERVER_ALLOWED_ORIGINS", SHOP).start().await;
    let client = reqwest::Client::new();
    let get = async |path: &str, origin: &str, tag: &str| {
        let request = client.get(gateway.url(path)).header("origin", origin).header("if-none-match", tag);
        request.send().await.unwrap()
    };
    let header = |answer: &reqwest::Response, name: &str| {
        answer.headers().get(name).map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
    };

    let launcher = get("/widget.js", SHOP, "\"another\"").await;
    assert_eq!(launcher.status(), 200);
    assert!(header(&launcher, "content-type").contains("javascript"));
    assert_eq!(header(&launcher, "access-control-allow-origin"), SHOP);
    assert_eq!(header(&launcher, "cache-control"), "no-cache");
    let tag = header(&launcher, "etag");
    let program = launcher.text().await.unwrap();
    for known in [tag.clone(), format!("\"another\", W/{tag}")] {
        let again = get("/widget.js", SHOP, &known).await;
        assert_eq!((again.status().as_u16(), header(&again, "etag")), (304, tag.clone()));
        assert_eq!(header(&again, "access-control-allow-origin"), SHOP);
        assert_eq!(again.text().await.unwrap(), "");
    }
    assert_eq!(header(&get("/widget.js", "https://evil.example", "").await, "access-control-allow-origin"), "");

    // What it loads is named by its content, and may be kept.
    let (_, rest) = program.split_once("./assets/widget-panel-").unwrap();
    let panel = format!("/assets/widget-panel-{}", rest.split_once(".js").unwrap().0);
    let panel = get(&format!("{panel}.js"), SHOP, "").await;
    assert_eq!((panel.status().as_u16(), header(&panel, "access-control-allow-origin")), (200, SHOP.to_owned()));
    assert!(header(&panel, "cache-control").contains("immutable"));
    assert!(header(&panel, "vary").contains("origin"), "a cache keeps it for this page alone");
}

/// Anybody may ask for it, so who reads slowly, or not at all, must hold next to nothing with it.
#[tokio::test]
async fn of_the_page_there_is_one_copy_however_many_read_it_slowly() {
    const READERS: usize = 300;
    let gateway = Setup::bare().start().await;
    let page = gateway.get("/").await.1;
    let script =
        page.as_str().unwrap().split("src=\"./assets/").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let script = format!("/assets/{script}");
    let size = reqwest::get(gateway.url(&script)).await.unwrap().bytes().await.unwrap().len();
    let before = gateway.memory();
    // More than the kernel takes.
    let request = format!("GET {script} HTTP/1.1\r\nHost: localhost\r\n\r\n").repeat(10);
    let readers = join_all((0..READERS).map(async |_| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 << 10).unwrap(); // So that it is the gateway that has the rest.
        let mut stream = soon("a connection", socket.connect(gateway.address.parse().unwrap())).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        soon("the beginning", stream.readable()).await.unwrap();
        stream
    }))
    .await;
    let grown = gateway.memory().saturating_sub(before);
    assert!(size > 100 << 10 && grown < READERS * size / 2, "{size} bytes, {grown} for {} readers", readers.len());
}

/// A stream of server-sent events.
struct Events {
    response: reqwest::Response,
    rest: String,
}

impl Events {
    async fn open(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-cache, no-transform");
        Self { response, rest: String::new() }
    }

    /// The next event's id and frame.
    async fn next(&mut self) -> (String, serde_json::Value) {
        loop {
            if let Some((event, rest)) = self.rest.split_once("\n\n") {
                let field = |name| event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
                let found = (field("id: ").to_owned(), serde_json::from_str(field("data: ")).unwrap());
                self.rest = rest.to_owned();
                return found;
            }
            let chunk = soon("an event", self.response.chunk()).await.unwrap().expect("the stream goes on");
            self.rest += std::str::from_utf8(&chunk).unwrap();
        }
    }

    /// All events up to the first of this type.
    async fn until(&mut self, kind: &str) -> Vec<(String, serde_json::Value)> {
        let mut events = Vec::new();
        while events.last().is_none_or(|(_, frame): &(String, serde_json::Value)| frame["type"] != kind) {
            events.push(self.next().await);
        }
        events
    }
}

#[tokio::test]
async fn a_conversation_without_a_websocket() {
    let upstream = Upstream::saying(DEFAULT_TEXT, 500.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let (_, session) = gateway.post("/api/v1/sessions", json!({})).await;
    let base = format!("/api/v1/sessions/{}", session["session_id"].as_str().unwrap());
    let client = reqwest::Client::new();
    let mut listening = Events::open(client.get(gateway.url(&format!("{base}/events")))).await;
    let mut seen = vec![listening.next().await];
    assert_eq!((&seen[0].1["type"], &seen[0].1["recovered"]), (&json!("welcome"), &json!("new")));
    let send = json!({"id": "m-1", "text": "What is a rivulet?"});
    let (status, accepted) = gateway.post(&format!("{base}/messages"), send.clone()).await;
    assert_eq!((status, &accepted["message"], &accepted["duplicate"]), (202, &json!("m-1"), &json!(false)));
    assert_eq!(gateway.post(&format!("{base}/messages"), send).await.1["duplicate"], true);
    seen.extend(listening.until("run.done").await);
    let text = |seen: &[(String, serde_json::Value)]| -> String {
        seen.iter().filter(|(_, f)| f["type"] == "delta").map(|(_, f)| f["text"].as_str().unwrap()).collect()
    };
    assert_eq!(text(&seen), DEFAULT_TEXT);

    // From any event on, the rest is the same.
    for at in [2, seen.len() / 2, seen.len() - 2] {
        let resumed = client.get(gateway.url(&format!("{base}/events"))).header("last-event-id", &seen[at].0);
        let rest = Events::open(resumed).await.until("run.done").await;
        assert_eq!(rest[0].1["recovered"], "full");
        assert_eq!(text(&seen[..=at]) + &text(&rest), DEFAULT_TEXT, "from {:?}", seen[at]);
    }
    let foreign = client.get(gateway.url(&format!("{base}/events"))).header("last-event-id", "e:1");
    let foreign = Events::open(foreign).await.until("snapshot").await;
    assert_eq!(foreign[1].1["messages"][1]["text"], DEFAULT_TEXT);

    let run = accepted["run"].as_str().unwrap();
    let (status, problem) = gateway.post(&format!("{base}/runs/{run}/stop"), json!({})).await;
    assert_eq!((status, &problem["code"]), (409, &json!("run_not_active")));
    for (path, body, status) in [
        (format!("{base}/messages"), json!({"text": ""}), 400),
        (format!("{base}/messages"), json!({"text": "a", "mode": "maybe"}), 400),
        (format!("{base}/messages"), json!({"id": "m-1", "text": "other"}), 409),
        ("/api/v1/sessions/s_unknown/messages".to_owned(), json!({"text": "a"}), 404),
    ] {
        assert_eq!(gateway.post(&path, body).await.0, status, "{path}");
    }
}

#[tokio::test]
async fn an_event_stream_is_told_of_the_end_and_reads_the_answer_first() {
    let (upstream, gate) = Upstream::gated(DEFAULT_TEXT, 5).await;
    let mut gateway = Setup::with_upstream(&upstream.url).start().await;
    let (_, session) = gateway.post("/api/v1/sessions", json!({})).await;
    let base = format!("/api/v1/sessions/{}", session["session_id"].as_str().unwrap());
    let mut events = Events::open(reqwest::Client::new().get(gateway.url(&format!("{base}/events")))).await;
    gateway.post(&format!("{base}/messages"), json!({"text": "one"})).await;
    events.until("delta").await;
    gateway.signal("TERM").await;
    let told = events.until("goaway").await.pop().unwrap().1;
    assert_eq!(told["reason"], "drain");
    assert!(told["retry_in_ms"].as_u64().unwrap() >= 500, "{told}");
    gate.open();
    assert_eq!(events.until("run.done").await.pop().unwrap().1["status"], "complete");
    assert_eq!(gateway.exit_code().await, Some(0));
}
