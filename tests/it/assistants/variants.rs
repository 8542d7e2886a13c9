//! Variants: with whom something is tried, that they stay with it, and that it can be told.

use std::fs;

use reqwest::{Client as Http, Method};
use serde_json::{Value, json};

use super::{SECRET, answering, asked, open, system, with};
use crate::harness::{Client, Setup, TestGateway, Upstream};

const FILE: &str = r#"
[knowledge]
mode = "off"
[[variant]]
name = "brief"
share = 0.5
set = { "prompt.file" = "brief.md", "model.temperature" = 0.125 }
"#;

async fn started(upstream: &Upstream, file: &str) -> TestGateway {
    let files = [("books.toml", file), ("books.md", "You sell books."), ("brief.md", "Be brief.")];
    let setup = Setup::with_upstream(&upstream.url).set("JWT_SECRET_KEY", SECRET);
    with(setup, &files).start().await
}

/// How many answers came to their end of each version and variant.
async fn counted(gateway: &TestGateway, version: &Value, variant: &str) -> f64 {
    let version = version.as_str().unwrap();
    let labels = format!(r#"assistant="books",version="{version}",variant="{variant}",status="complete""#);
    gateway.metric(&format!("assistant_runs_total{{{labels}}}")).await
}

#[tokio::test]
async fn half_of_the_users_get_what_is_tried_and_stay_with_it() {
    let upstream = answering().await;
    let gateway = started(&upstream, FILE).await;
    let admin = gateway.setup().output(&["token", "--user", "root", "--scope", "admin"]).await;
    let admin = String::from_utf8(admin.stdout).unwrap().trim().to_owned();
    let http =
        |method: Method, path: &str, token: &str| Http::new().request(method, gateway.url(path)).bearer_auth(token);
    let mut tokens = Vec::new();
    for user in 0..200 {
        let wish = json!({"user": format!("user-{user}")});
        let (status, made) = TestGateway::answer(http(Method::POST, "/api/v1/auth/token", &admin).json(&wish)).await;
        assert_eq!(status, 200, "{made}");
        tokens.push(made["token"].as_str().unwrap().to_owned());
    }
    let told = async |token: &str| {
        let messages = json!([{"role": "user", "content": "Hi"}]);
        let body = json!({"model": "assistant:books", "messages": messages});
        let (status, body) = TestGateway::answer(http(Method::POST, "/v1/chat/completions", token).json(&body)).await;
        assert_eq!(status, 200, "{body}");
        let asked = asked(&upstream);
        let is_tried = system(&asked) == "Be brief.";
        assert_eq!(asked["temperature"], if is_tried { json!(0.125) } else { Value::Null });
        is_tried
    };
    let mut tried = Vec::new();
    for token in &tokens {
        tried.push(told(token).await);
    }
    let count = tried.iter().filter(|is_tried| **is_tried).count();
    assert!((70..=130).contains(&count), "{count} of 200");

    // They have it in every conversation, however they come, and its frames say so.
    let (with_it, without) = (tried.iter().position(|is| *is).unwrap(), tried.iter().position(|is| !*is).unwrap());
    let (mut versions, url) = (Vec::new(), format!("{}?assistant=books", gateway.socket("")));
    for (user, variant) in [(with_it, json!("brief")), (without, Value::Null), (with_it, json!("brief"))] {
        let mut client = Client::connect_as(&url, &tokens[user]).await;
        client.say("Hi").await;
        let start = client.until("run.start").await;
        assert_eq!(start["variant"], variant, "{start}");
        assert_eq!(client.answer().await.status(), "complete");
        versions.push(start["version"].clone());
        let rating = json!({"type": "feedback", "id": "f", "message": start["message"], "value": 1});
        client.tell(rating).await;
        assert_eq!(client.until("ack").await["re"], "f");
        let path = format!("/api/v1/sessions/{}", client.session());
        let (_, said) = TestGateway::answer(http(Method::GET, &path, &tokens[user])).await;
        let answer = said["messages"].as_array().unwrap().last().unwrap();
        assert_eq!((&answer["version"], &answer["variant"]), (&start["version"], &variant), "{answer}");
    }
    assert!(versions[0] != versions[1] && versions[0] == versions[2], "a variant has a version of its own");
    let (_, thought) = TestGateway::answer(http(Method::GET, "/api/v1/admin/feedback", &admin)).await;
    for (version, variant, good) in [(&versions[0], json!("brief"), 2), (&versions[1], Value::Null, 1)] {
        let is_it = |row: &&Value| row["version"] == *version;
        let row = thought["feedback"].as_array().unwrap().iter().find(is_it).expect("a row of each version");
        assert_eq!((&row["assistant"], &row["variant"], &row["good"]), (&json!("books"), &variant, &json!(good)));
    }
    assert_eq!(counted(&gateway, &versions[0], "brief").await, (count + 2) as f64);
    assert_eq!(counted(&gateway, &versions[1], "").await, (200 - count + 1) as f64);
}

#[tokio::test]
async fn where_nobody_is_known_a_conversation_stays_with_what_it_has() {
    let upstream = answering().await;
    let gateway = started(&upstream, FILE).await;
    let mut tried = 0;
    for _ in 0..40 {
        let mut client = open(&gateway, "books").await;
        client.ask("Hi").await;
        let is_tried = system(&asked(&upstream)) == "Be brief.";
        client.ask("And?").await;
        assert_eq!(system(&asked(&upstream)) == "Be brief.", is_tried);
        tried += u32::from(is_tried);
    }
    assert!((6..=34).contains(&tried), "{tried} of 40");

    // A reload changes the shares: all get it, then nobody.
    let file = gateway.setup().data.path().join("assistants/books.toml");
    for (share, expected) in [("1", "Be brief."), ("0", "You sell books.")] {
        fs::write(&file, FILE.replace("0.5", share)).unwrap();
        gateway.reload("the configuration was read again").await;
        let mut client = open(&gateway, "books").await;
        client.ask("Hi").await;
        assert_eq!(system(&asked(&upstream)), expected);
    }
    fs::write(&file, FILE.replace("0.5", "2")).unwrap();
    gateway.reload("the configuration stays as it was").await;

    let output = gateway.setup().output(&["check"]).await;
    assert!(
        String::from_utf8(output.stderr).unwrap().contains("books.toml:6: variant[1].share must be a number from 0")
    );
    fs::write(&file, FILE).unwrap();
    let told = String::from_utf8(gateway.setup().output(&["check"]).await.stdout).unwrap();
    assert!(told.contains("books, variant brief for 50 %: version ") && told.contains(" 3 tokens of prompt"), "{told}");
}
