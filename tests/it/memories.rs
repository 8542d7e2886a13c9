//! The list of memories over HTTP: each user has their own alone, and can read, change, take along and delete all of it.

use std::fs;

use reqwest::{Client as Http, Method};
use serde_json::{Value, json};

use crate::{
    auth::SECRET,
    harness::{Client, Neighbour, Setup, TestGateway},
};

const FRIEND: &str = "[knowledge]\nmode = \"off\"\n[memory]\nenabled = true\n";

/// With an assistant that remembers, one whose notebook is that of all that share it, and one that remembers nothing.
fn remembering(setup: Setup) -> Setup {
    let folder = setup.data.path().join("assistants");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("friend.toml"), FRIEND).unwrap();
    fs::write(folder.join("sharing.toml"), format!("{FRIEND}scope = \"user\"\n")).unwrap();
    fs::write(folder.join("plain.toml"), "[knowledge]\nmode = \"off\"\n").unwrap();
    setup
}

/// Somebody who asks, or nobody in particular.
struct User<'a> {
    gateway: &'a TestGateway,
    token: Option<String>,
}

impl User<'_> {
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = Http::new().request(method, self.gateway.url(&format!("/api/v1/{path}")));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        TestGateway::answer(request).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(Method::GET, path, None).await
    }

    async fn delete(&self, path: &str) -> (u16, Value) {
        self.ask(Method::DELETE, path, None).await
    }

    async fn add(&self, text: &str) -> (u16, Value) {
        self.ask(Method::POST, "memories", Some(json!({"text": text, "assistant": "friend"}))).await
    }

    async fn texts(&self, path: &str) -> Vec<String> {
        let (status, list) = self.get(path).await;
        assert_eq!(status, 200, "{list}");
        let memories = list["memories"].as_array().unwrap();
        memories.iter().map(|memory| memory["text"].as_str().unwrap().to_owned()).collect()
    }
}

fn id(memory: &Value) -> &str {
    memory["id"].as_str().unwrap_or_else(|| panic!("no memory: {memory}"))
}

#[tokio::test]
async fn a_list_is_kept_changed_taken_along_and_emptied() {
    let gateway = remembering(Setup::bare()).start().await;
    let user = User { gateway: &gateway, token: None };
    let (status, name) = user.add("  My name is Ann ").await;
    assert_eq!(
        (status, &name["text"], &name["kind"], &name["origin"]),
        (201, &json!("My name is Ann"), &json!("fact"), &json!("explicit"))
    );
    assert_eq!(name["assistant"], "friend");
    let (status, same) = user.add("my NAME is ann").await;
    assert_eq!((status, id(&same)), (200, id(&name)));
    assert_eq!(user.add("I like tea").await.0, 201);
    let shared = json!({"text": "I like coffee", "assistant": "sharing"});
    let (status, shared) = user.ask(Method::POST, "memories", Some(shared)).await;
    assert_eq!((status, &shared["assistant"]), (201, &json!("*")));

    assert_eq!(user.texts("memories").await, ["I like coffee", "I like tea", "My name is Ann"]);
    assert_eq!(user.texts("memories?assistant=sharing").await, ["I like coffee"]);
    assert_eq!(user.texts("memories?assistant=friend&kind=fact&limit=1").await, ["I like tea"]);
    let (_, page) = user.get("memories?limit=1").await;
    assert_eq!((&page["more"], &page["enabled"]), (&json!(true), &json!(true)));
    let below = format!("memories?before={}", id(&page["memories"][0]));
    assert_eq!(user.texts(&below).await, ["I like tea", "My name is Ann"]);

    // Another name takes the place of the first, which holds again when that is taken back.
    let (_, other) = user.add("My name is Anna").await;
    assert!(user.get("memories").await.1["memories"][3]["ended_at"].is_string());
    let path = format!("memories/{}", id(&other));
    assert_eq!(user.delete(&format!("{path}?undo=true")).await, (200, json!({"facts": 1, "episodes": 0})));
    assert!(user.get("memories").await.1["memories"][2]["ended_at"].is_null());
    assert_eq!(user.delete(&format!("{path}?undo=true")).await.0, 404);
    let path = format!("memories/{}", id(&name));
    let (status, new) = user.ask(Method::PATCH, &path, Some(json!({"text": "Call me Annie"}))).await;
    assert_eq!((status, &new["text"], id(&new)), (200, &json!("Call me Annie"), id(&name)));
    let about =
        async |text: &str| user.ask(Method::PATCH, &path, Some(json!({ "text": text }))).await.1["attribute"].clone();
    assert_eq!(about("I live in Oslo").await, "place", "what it is about goes with its words");
    assert_eq!(about("The boat is blue").await, Value::Null);
    assert_eq!(about("Call me Annie").await, "name");

    let response = Http::new().get(gateway.url("/api/v1/memories/export")).send().await.unwrap();
    assert!(
        response.headers()["content-disposition"]
            .to_str()
            .unwrap()
            .starts_with("attachment; filename=\"memories.json\"")
    );
    let all: Value = response.json().await.unwrap();
    assert_eq!(all["memories"], user.get("memories").await.1["memories"]);

    assert_eq!(user.delete(&path).await, (200, json!({"facts": 1, "episodes": 0})));
    assert_eq!(user.delete("memories").await.1["code"], "invalid_field");
    assert_eq!(user.delete("memories?confirm=false").await.0, 400);
    assert_eq!(user.delete("memories?confirm=true&assistant=friend").await, (200, json!({"facts": 1, "episodes": 0})));
    assert_eq!(user.delete("memories?confirm=true&kind=episode").await, (200, json!({"facts": 0, "episodes": 0})));
    assert_eq!(user.texts("memories").await, ["I like coffee"]);
    assert_eq!(user.delete("memories?confirm=true").await, (200, json!({"facts": 1, "episodes": 0})));
    assert_eq!(user.get("memories/export").await, (200, json!({"memories": []})));
}

#[tokio::test]
async fn what_cannot_be_remembered_is_refused() {
    let gateway = remembering(Setup::bare()).start().await;
    let user = User { gateway: &gateway, token: None };
    for (body, status, code) in [
        (json!({"text": " ", "assistant": "friend"}), 400, "empty_text"),
        (json!({"text": "x".repeat(301), "assistant": "friend"}), 400, "text_too_long"),
        (json!({"text": "My card is 4111 1111 1111 1111", "assistant": "friend"}), 422, "sensitive"),
        (json!({"text": "I like tea", "assistant": "nobody"}), 404, "not_found"),
        (json!({"text": "I like tea", "assistant": "plain"}), 409, "memory_off"),
        (json!({"assistant": "friend"}), 400, "invalid_field"),
        (json!({"text": 7, "assistant": "friend"}), 400, "invalid_field"),
    ] {
        let (got, problem) = user.ask(Method::POST, "memories", Some(body.clone())).await;
        assert_eq!((got, &problem["code"]), (status, &json!(code)), "{body}");
    }
    assert_eq!(user.add(&"\u{e4}".repeat(300)).await.0, 201, "characters, not bytes");
    let (_, tea) = user.add("I like tea").await;
    let path = format!("memories/{}", id(&tea));
    for (text, status) in [("", 400), ("my password is: rosebud", 422), (&*"x".repeat(301), 400)] {
        assert_eq!(user.ask(Method::PATCH, &path, Some(json!({"text": text}))).await.0, status);
    }
    for wrong in ["memories?limit=0", "memories?limit=201", "memories?kind=x"] {
        assert_eq!(user.get(wrong).await.0, 400, "{wrong}");
    }
    for wrong in ["memories?before=mem_0", "memories?before=x%0a"] {
        assert_eq!(user.get(wrong).await.0, 404, "{wrong}");
    }
    for wrong in ["memories/mem_0", "memories/x%0a", &format!("memories/{}", "x".repeat(99))] {
        assert_eq!(user.delete(wrong).await.0, 404, "{wrong}");
        assert_eq!(user.ask(Method::PATCH, wrong, Some(json!({"text": "x"}))).await.0, 404, "{wrong}");
    }

    assert_eq!(user.ask(Method::PUT, "memories/settings", Some(json!({}))).await.0, 400);
    let off = json!({"enabled": false});
    assert_eq!(user.ask(Method::PUT, "memories/settings", Some(off.clone())).await, (200, off.clone()));
    assert_eq!(user.get("memories/settings").await, (200, off));
    assert_eq!(user.get("memories").await.1["enabled"], false);
    assert_eq!(user.add("I like milk").await.1["code"], "memory_off");
    assert_eq!(user.delete(&path).await.0, 200, "to forget is always possible");
}

#[tokio::test]
async fn nobody_reaches_the_memories_of_another() {
    let setup = Setup::bare().set("JWT_SECRET_KEY", SECRET).set("REQUIRE_AUTHENTICATION", "true");
    let token = async |gateway: &TestGateway, user: &str, tenant: &str| {
        let output = gateway.setup().output(&["token", "--user", user, "--tenant", tenant]).await;
        Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    };
    let beside = Neighbour::beside(remembering(setup), async |gateway| token(gateway, "neighbour", "north").await);
    let (gateway, mut neighbour) = beside.await;
    let user = async |user: &str, tenant: &str| User { gateway: &gateway, token: token(&gateway, user, tenant).await };
    let users = [user("ann", "north").await, user("bob", "north").await, user("ann", "south").await];
    let mut own = Vec::new();
    for (at, user) in users.iter().enumerate() {
        own.push(user.add(&format!("I like number {at}")).await.1);
    }
    for (at, user) in users.iter().enumerate() {
        assert_eq!(user.texts("memories").await, [format!("I like number {at}")]);
        for other in own.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, memory)| id(memory)) {
            let path = format!("memories/{other}");
            assert_eq!(user.ask(Method::PATCH, &path, Some(json!({"text": "x"}))).await.0, 404);
            assert_eq!(user.delete(&path).await.0, 404);
            assert_eq!(user.delete(&format!("{path}?undo=true")).await.0, 404);
            assert_eq!(user.get(&format!("memories?before={other}")).await.0, 404);
        }
        assert_eq!(user.get("memories/export").await.1, json!({"memories": [own[at]]}));
    }
    let nobody = User { gateway: &gateway, token: None };
    for (method, path) in [
        (Method::GET, "memories"),
        (Method::POST, "memories"),
        (Method::DELETE, "memories?confirm=true"),
        (Method::PATCH, "memories/mem_0"),
        (Method::DELETE, "memories/mem_0"),
        (Method::GET, "memories/export"),
        (Method::GET, "memories/settings"),
        (Method::PUT, "memories/settings"),
    ] {
        assert_eq!(nobody.ask(method.clone(), path, None).await.0, 401, "{method} {path}");
    }
    let off = users[0].ask(Method::PUT, "memories/settings", Some(json!({"enabled": false}))).await;
    assert_eq!((off.0, users[0].delete("memories?confirm=true").await.1["facts"].clone()), (200, json!(1)));
    for (at, user) in users.iter().enumerate().skip(1) {
        assert_eq!(user.get("memories/settings").await.1, json!({"enabled": true}));
        assert_eq!(user.texts("memories").await, [format!("I like number {at}")]);
    }
    neighbour.goes_on().await;
}

#[tokio::test]
async fn a_conversation_is_deleted_with_its_turns_and_its_facts_when_that_is_wanted() {
    let gateway = remembering(Setup::bare()).start().await;
    let user = User { gateway: &gateway, token: None };
    for (query, facts) in [("", 1), ("?memories=true", 0)] {
        let (_, session) = user.ask(Method::POST, "sessions", Some(json!({"assistant": "friend"}))).await;
        assert!(session["temporary"].is_null());
        let path = session["session_id"].as_str().unwrap().to_owned();
        let mut client = Client::connect(&gateway.socket(&path)).await;
        client.say("I'm allergic to nuts").await;
        while client.frame().await["type"] != "run.done" {}
        assert_eq!(user.delete(&format!("sessions/{path}{query}")).await.0, 204);
        let kinds = user.get("memories").await.1["memories"].as_array().unwrap().len();
        assert_eq!(kinds, facts, "{query}");
        assert_eq!(user.delete("memories?confirm=true").await.0, 200);
    }
    let temporary = json!({"assistant": "friend", "temporary": true});
    let (status, session) = user.ask(Method::POST, "sessions", Some(temporary)).await;
    assert_eq!((status, &session["temporary"]), (201, &json!(true)));
    let (_, shown) = user.get(&format!("sessions/{}", session["session_id"].as_str().unwrap())).await;
    assert_eq!(shown["temporary"], true);
}
