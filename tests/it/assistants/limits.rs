//! How often an assistant may be asked: by each, on every way in, and at all gateways together.

use futures_util::future::join_all;
use reqwest::{Client as Http, Response};
use serde_json::{Value, json};

use super::{SECRET, answering, open, with};
use crate::{
    harness::{Client, SHARED_REDIS, Setup, TestGateway, soon},
    together::gateways,
};

/// So many questions in so long that none comes back while a test runs.
fn monthly(requests: u32) -> String {
    format!("[limits]\nrequests = {requests}\nwindow_s = {MONTH_S}\n[knowledge]\nmode = \"off\"")
}

const MONTH_S: u64 = 2_678_400;

async fn chat(gateway: &TestGateway, path: &str, token: Option<&str>, body: Value) -> Response {
    let request = Http::new().post(gateway.url(path)).json(&body);
    let request = token.into_iter().fold(request, |request, token| request.bearer_auth(token));
    soon("an answer", request.send()).await.unwrap()
}

fn head<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// What its head says is left of the assistant, when it says so.
fn remaining(response: &Response) -> Option<u64> {
    let left = head(response, "ratelimit").strip_prefix("\"assistant\";r=")?;
    left.split(';').next().unwrap().parse().ok()
}

#[tokio::test]
async fn an_assistant_is_asked_so_often_by_each_and_the_next_is_refused() {
    let upstream = answering().await;
    let setup = Setup::with_upstream(&upstream.url).set("JWT_SECRET_KEY", SECRET);
    let setup = setup.set("RATE_LIMIT_REQUESTS", "1000").set("RIVULET_LIMITS_MESSAGES_PER_MIN", "1000");
    let gateway = with(setup, &[("books.toml", &monthly(100)), ("free.toml", "")]).start().await;
    let token = async |user: &str| {
        let output = gateway.setup().output(&["token", "--user", user]).await;
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let (ann, ben) = (token("ann").await, token("ben").await);
    let url = format!("{}?assistant=books", gateway.socket(""));
    let mut client = Client::connect_as(&url, &ann).await;
    let session = client.session();
    let messages = json!([{"role": "user", "content": "Hi"}]);
    let completion = json!({"model": "assistant:books", "messages": messages});
    for left in (0..100).rev() {
        // On every way in, one after the other.
        match left % 4 {
            0 => {
                let id = client.say("Hi").await;
                let ack = client.until("ack").await;
                assert_eq!((&ack["re"], &ack["remaining"]), (&json!(id), &json!(left)));
                assert_eq!(client.answer().await.status(), "complete");
            }
            1 => {
                let told = chat(&gateway, "/v1/chat/completions", Some(&ann), completion.clone()).await;
                assert_eq!((told.status().as_u16(), remaining(&told)), (200, Some(left)));
                assert_eq!(head(&told, "ratelimit-policy"), format!("\"assistant\";q=100;w={MONTH_S}"));
            }
            2 => {
                let body = json!({"message": "Hi", "assistant": "books"});
                let told = chat(&gateway, "/api/v1/chat", Some(&ann), body).await;
                assert_eq!((told.status().as_u16(), remaining(&told)), (200, Some(left)));
            }
            _ => {
                let path = format!("/api/v1/sessions/{session}/messages");
                let told = chat(&gateway, &path, Some(&ann), json!({"text": "Hi"})).await;
                assert_eq!((told.status().as_u16(), remaining(&told)), (202, Some(left)));
                let body: Value = told.json().await.unwrap();
                assert_eq!(body["remaining"], json!(left));
                assert_eq!(client.answer().await.status(), "complete");
            }
        }
    }
    let asked = upstream.stats.counts().requests;
    let id = client.say("Hi").await;
    let error = client.until("error").await;
    assert_eq!((&error["code"], &error["re"], &error["retryable"]), (&json!("rate_limited"), &json!(id), &json!(true)));
    assert!((1..=10 * MONTH_S).contains(&error["retry_in_ms"].as_u64().unwrap()), "{error}");
    for (path, body) in [
        ("/v1/chat/completions", completion.clone()),
        ("/api/v1/chat", json!({"message": "Hi", "assistant": "books"})),
        (&format!("/api/v1/sessions/{session}/messages"), json!({"text": "Hi"})),
    ] {
        let refused = chat(&gateway, path, Some(&ann), body).await;
        assert_eq!((refused.status().as_u16(), remaining(&refused)), (429, Some(0)), "{path}");
        assert!((1..=MONTH_S / 100).contains(&head(&refused, "retry-after").parse::<u64>().unwrap()), "{path}");
    }
    assert_eq!(upstream.stats.counts().requests, asked, "nobody was asked for what was refused");
    assert_eq!(gateway.metric("rate_limited_total{scope=\"assistant\"}").await, 4.0);

    // Others have theirs, who is not known has that of the address, and other assistants are others.
    let told = chat(&gateway, "/v1/chat/completions", Some(&ben), completion.clone()).await;
    assert_eq!(remaining(&told), Some(99));
    let told = chat(&gateway, "/v1/chat/completions", None, completion).await;
    assert_eq!(remaining(&told), Some(99));
    let told =
        chat(&gateway, "/v1/chat/completions", Some(&ann), json!({"model": "assistant:free", "messages": messages}))
            .await;
    assert_eq!((told.status().as_u16(), remaining(&told)), (200, None));
    assert!(head(&told, "ratelimit").starts_with("\"requests\";r="));
}

#[tokio::test]
async fn gateways_count_together_what_an_assistant_is_asked() {
    let upstream = answering().await;
    let setup = with(Setup::with_upstream(&upstream.url), &[("books.toml", &monthly(5))]);
    let folder = setup.data.path().join("assistants").display().to_string();
    let redis = SHARED_REDIS.fresh();
    let gateways = gateways::<2>(setup.set("RIVULET_ASSISTANTS_DIR", &folder), &redis).await;
    let mut told = Vec::new();
    for at in 0..12 {
        let mut client = open(&gateways[at % 2], "books").await;
        client.say("Hi").await;
        let answer = loop {
            let frame = client.frame().await;
            if matches!(frame["type"].as_str(), Some("ack" | "error")) {
                break frame;
            }
        };
        told.push((answer["remaining"].clone(), answer["code"].clone()));
    }
    // What a gateway decided by itself, because the Redis was slow for a moment, comes on top.
    let metric = "limits_alone_total{scope=\"assistant\"}";
    let alone = join_all(gateways.iter().map(|gateway| gateway.metric(metric))).await.iter().sum::<f64>() as usize;
    let refused = (Value::Null, json!("rate_limited"));
    let answered = told.iter().filter(|one| **one != refused).count();
    assert!((5..=5 + alone).contains(&answered), "{told:?}, {alone} alone");
    if alone == 0 {
        let left: Vec<_> = told[..5].iter().map(|(left, _)| left.clone()).collect();
        assert_eq!(left, [4, 3, 2, 1, 0].map(Value::from));
    }
}
