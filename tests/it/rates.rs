//! How often what may be asked for: counted for each principal and each address, told before it is used up, and nobody
//! pays for somebody else.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use reqwest::{Client as Http, Method, Response, StatusCode};
use rivulet::mock_llm::{Options, Script};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::harness::{Client, Neighbour, Setup, TestGateway, Upstream, all, soon, upstream};

const SECRET: &str = "a secret of the tests with more than 32 characters";

/// A refused connection has one answer in so long.
pub(crate) const REFUSED_EVERY: Duration = Duration::from_millis(100);
const LAST: &str = "GET /api/v1/sessions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

fn hourly(requests: u32) -> Setup {
    Setup::bare().set("RATE_LIMIT_REQUESTS", &requests.to_string()).set("RATE_LIMIT_WINDOW", "3600")
}

/// Whoever comes from this address of the machine.
fn from(address: &str) -> Http {
    Http::builder().local_address(Some(address.parse().unwrap())).build().unwrap()
}

async fn listed(gateway: &TestGateway, http: &Http, token: Option<&str>) -> Response {
    let request = http.get(gateway.url("/api/v1/sessions"));
    let request = token.map_or(request.try_clone().unwrap(), |token| request.bearer_auth(token));
    soon("an answer", request.send()).await.unwrap()
}

fn head<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// What is left, as the head says.
fn remaining(response: &Response) -> u64 {
    let limit = head(response, "ratelimit").strip_prefix("\"requests\";r=").expect("a limit of requests");
    limit.split(';').next().unwrap().parse().unwrap()
}

async fn token(gateway: &TestGateway, user: &str, more: &[&str]) -> String {
    let output = gateway.setup().output(&[&["token", "--user", user], more].concat()).await;
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

async fn talkative() -> Upstream {
    upstream(Options { script: Script::new("Yes."), rate: 0.0, ..Options::default() }).await
}

#[tokio::test]
async fn a_hundred_an_hour_are_counted_down_and_the_next_is_refused() {
    let gateway = hourly(100).start().await;
    let here = Http::new();
    for left in (0..100).rev() {
        let response = listed(&gateway, &here, None).await;
        assert_eq!((response.status(), remaining(&response)), (StatusCode::OK, left));
        assert_eq!(head(&response, "ratelimit-policy"), "\"requests\";q=100;w=3600");
    }
    let refused = listed(&gateway, &here, None).await;
    assert_eq!((refused.status(), remaining(&refused)), (StatusCode::TOO_MANY_REQUESTS, 0));
    assert!((1..=36).contains(&head(&refused, "retry-after").parse::<u64>().unwrap()));
    let problem: Value = serde_json::from_str(&refused.text().await.unwrap()).unwrap();
    assert_eq!((&problem["code"], &problem["status"]), (&json!("rate_limited"), &json!(429)));

    // Not even a socket, and not under `/v1`.
    let opened = soon("a handshake", tokio_tungstenite::connect_async(gateway.socket(""))).await;
    assert!(matches!(opened, Err(tungstenite::Error::Http(refused)) if refused.status() == 429));
    let (status, problem) = gateway.get("/v1/models").await;
    assert_eq!((status, &problem["error"]["code"]), (429, &json!("rate_limited")));

    let there = listed(&gateway, &from("127.0.0.2"), None).await;
    assert_eq!((there.status(), remaining(&there)), (StatusCode::OK, 99), "others have their own");
    for open in ["/livez", "/readyz", "/health", "/", "/api/v1/version"] {
        assert_eq!(gateway.get(open).await.0, 200, "{open}");
    }
    assert!(gateway.metric("rate_limited_total{scope=\"requests\"}").await >= 3.0);
}

#[tokio::test]
async fn a_principal_has_their_own_and_who_tries_out_tokens_those_of_their_address() {
    let gateway = hourly(3).set("REQUIRE_AUTHENTICATION", "true").set("JWT_SECRET_KEY", SECRET).start().await;
    let here = Http::new();
    let (ann, ben) = (token(&gateway, "ann", &[]).await, token(&gateway, "ben", &[]).await);
    for expected in [2, 1, 0] {
        assert_eq!(remaining(&listed(&gateway, &here, Some(&ann)).await), expected);
    }
    assert_eq!(listed(&gateway, &here, Some(&ann)).await.status(), 429);
    assert_eq!(listed(&gateway, &from("127.0.0.2"), Some(&ann)).await.status(), 429, "wherever they are");
    assert_eq!(remaining(&listed(&gateway, &here, Some(&ben)).await), 2);
    for expected in [401, 401, 401, 429, 429] {
        assert_eq!(listed(&gateway, &here, Some("guessed")).await.status(), expected);
    }
    assert_eq!(listed(&gateway, &here, None).await.status(), 429);
    assert_eq!(remaining(&listed(&gateway, &here, Some(&ben)).await), 1, "whoever shares an address with them");
    let tools = token(&gateway, "crm", &["--scope", "unlimited"]).await;
    for _ in 0..10 {
        let response = listed(&gateway, &here, Some(&tools)).await;
        assert_eq!((response.status(), head(&response, "ratelimit")), (StatusCode::OK, ""), "nothing is counted");
    }
}

#[tokio::test]
async fn messages_are_counted_on_every_way_in_and_repetitions_are_not() {
    let model = talkative().await;
    let gateway = Setup::with_upstream(&model.url).set("RIVULET_LIMITS_MESSAGES_PER_MIN", "4").start().await;
    let mut client = gateway.connect().await;
    let mut send = async |id: &str| {
        client.tell(json!({"type": "send", "id": id, "text": "Why?"})).await;
        loop {
            let frame = client.frame().await;
            if frame["re"] == id {
                if frame["type"] == "ack" && frame["duplicate"] == false {
                    client.until("run.done").await;
                }
                return frame;
            }
        }
    };
    assert_eq!(send("one").await["remaining"], 3);
    assert_eq!(send("two").await["remaining"], 2);
    let again = send("two").await;
    assert_eq!((&again["duplicate"], again.get("remaining")), (&json!(true), None));
    let question = json!({"model": "m", "messages": [{"role": "user", "content": "Why?"}]});
    assert_eq!(gateway.post("/v1/chat/completions", question.clone()).await.0, 200);
    assert_eq!(gateway.post("/api/v1/chat", json!({"message": "Why?"})).await.0, 200);

    let refused = send("three").await;
    assert_eq!((&refused["type"], &refused["code"]), (&json!("error"), &json!("rate_limited")));
    assert_eq!(refused["retryable"], true);
    assert!((1..=15_000).contains(&refused["retry_in_ms"].as_u64().unwrap()), "{refused}");
    assert_eq!(send("two").await["duplicate"], true, "what is known is answered all the same");
    let asked = Http::new().post(gateway.url("/v1/chat/completions")).json(&question).send().await.unwrap();
    assert_eq!((asked.status().as_u16(), head(&asked, "ratelimit-policy")), (429, "\"messages\";q=4;w=60"));
    let (status, problem) = gateway.post("/api/v1/chat", json!({"message": "Why?"})).await;
    assert_eq!((status, &problem["code"]), (429, &json!("rate_limited")));
    assert_eq!(model.stats.counts().requests, 4, "nothing refused reached the model");
    assert!(gateway.metric("rate_limited_total{scope=\"messages\"}").await >= 3.0);
}

#[tokio::test]
async fn new_sessions_are_counted_and_known_ones_are_not() {
    let setup = Setup::bare().set("RIVULET_LIMITS_SESSIONS_PER_HOUR", "3").set("REQUIRE_AUTHENTICATION", "true");
    let setup = setup.set("JWT_SECRET_KEY", SECRET);
    let (gateway, mut neighbour) =
        Neighbour::beside(setup, async |gateway| Some(token(gateway, "neighbour", &[]).await)).await;
    let ann = token(&gateway, "ann", &[]).await;
    let create = async || {
        let request = Http::new().request(Method::POST, gateway.url("/api/v1/sessions")).bearer_auth(&ann);
        TestGateway::answer(request.json(&json!({}))).await
    };
    let (status, first) = create().await;
    assert_eq!(status, 201);
    drop(Client::connect_as(&gateway.socket(""), &ann).await);
    assert_eq!(create().await.0, 201);
    let (status, problem) = create().await;
    assert_eq!((status, &problem["code"]), (429, &json!("rate_limited")));
    drop(Client::connect_as(&gateway.socket(first["session_id"].as_str().unwrap()), &ann).await);

    // Who says who it is in a `hello` is told by the close code.
    let (mut socket, _) = soon("a socket", tokio_tungstenite::connect_async(gateway.socket(""))).await.unwrap();
    let hello = json!({"type": "hello", "token": ann}).to_string();
    socket.send(Message::text(hello)).await.unwrap();
    let closed = soon("a close", socket.next()).await.unwrap().unwrap();
    assert!(matches!(closed, Message::Close(Some(frame)) if u16::from(frame.code) == 4129));
    neighbour.has_all().await;
}

#[tokio::test]
async fn documents_that_are_sent_are_counted() {
    let model = std::env::var("RIVULET_KNOWLEDGE_MODEL_DIR").expect("`make test` sets RIVULET_KNOWLEDGE_MODEL_DIR");
    let setup = Setup::bare().set("RIVULET_KNOWLEDGE_ENABLED", "true").set("RIVULET_KNOWLEDGE_MODEL_DIR", &model);
    let gateway = setup.set("RIVULET_LIMITS_UPLOADS_PER_HOUR", "2").start().await;
    let send = async |title: &str| {
        gateway.post("/api/v1/documents/text", json!({"title": title, "text": "Huts are warm."})).await
    };
    assert_eq!((send("one").await.0, send("two").await.0), (202, 202));
    let (status, problem) = send("three").await;
    assert_eq!((status, &problem["code"]), (429, &json!("rate_limited")));
    let (_, listed) = gateway.get("/api/v1/documents").await;
    assert_eq!(listed["documents"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_for_everybody_or_not_there_is_counted_apart_and_by_address() {
    let (gateway, mut neighbour) = Neighbour::of_nobody(hourly(5)).await;
    let many =
        "GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2499) + &LAST.replace("/api/v1/sessions", "/livez");
    let answers = String::from_utf8(all(&gateway, many.as_bytes()).await).unwrap();
    let of = |status: &str| answers.matches(&format!("HTTP/1.1 {status} ")).count();
    let (taken, refused) = (of("404") + of("200"), of("429"));
    assert!(taken >= 2000 && refused > 0 && taken + refused == 2500, "{taken} {refused}");
    assert!(answers.contains("\"other_requests\";q=2000;w=20"), "it is said what it was");
    neighbour.has_all().await;
    let other = from("127.0.0.2").get(gateway.url("/none")).send().await.unwrap();
    assert_eq!(other.status(), 404);
    assert_eq!(remaining(&listed(&gateway, &from("127.0.0.1"), None).await), 3, "the others are what they were");
}

/// Who asks too often is told late, and one answer at a time of a connection, so that a flood costs no more than that.
#[tokio::test]
async fn a_flood_waits_for_its_refusals_and_others_do_not() {
    // Of the six, opening a socket takes one.
    let (gateway, mut neighbour) = Neighbour::of_nobody(hourly(6)).await;
    let refused = "GET /api/v1/sessions HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(5 + 4) + LAST;
    let begun = Instant::now();
    let flooding = async {
        let answers = String::from_utf8(all(&gateway, refused.as_bytes()).await).unwrap();
        (answers.matches("HTTP/1.1 200 ").count(), answers.matches("HTTP/1.1 429 ").count())
    };
    let asking = async {
        let there = from("127.0.0.2");
        for left in (0..6).rev() {
            assert_eq!(remaining(&listed(&gateway, &there, None).await), left);
            neighbour.goes_on().await;
        }
    };
    let (answers, ()) = tokio::join!(flooding, asking);
    assert_eq!(answers, (5, 5));
    assert!(begun.elapsed() >= REFUSED_EVERY * 5, "{:?}", begun.elapsed());
    neighbour.has_all().await;
}
