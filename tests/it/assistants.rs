//! Assistants as files: who answers, what it is told, from what, and to whom it is shown.

use std::fs;

use futures_util::{SinkExt, StreamExt};
use reqwest::{Client as Http, Method};
use rivulet::mock_llm::{Options, Script};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

use crate::{
    documents::{self, User, form},
    harness::{Client, Setup, TestGateway, Upstream, soon, upstream},
};

mod languages;
mod limits;
mod prompts;
mod variants;

const SECRET: &str = "a secret of the tests with more than 32 characters";
const BOOKS: &str = r#"
title = "Books"
greeting = "Which book may it be?"
suggestions = ["What is new?"]
[model]
temperature = 0.25
max_output_tokens = 50
[history]
messages = 2
[knowledge]
mode = "off"
"#;

/// With these files among its assistants.
fn with(setup: Setup, files: &[(&str, &str)]) -> Setup {
    let folder = setup.data.path().join("assistants");
    fs::create_dir_all(&folder).unwrap();
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
    setup
}

async fn answering() -> Upstream {
    upstream(Options { script: Script::new("Yes."), rate: 0.0, ..Options::default() }).await
}

/// What the model was asked last.
fn asked(upstream: &Upstream) -> Value {
    serde_json::from_slice(&upstream.stats.requests().last().expect("a request").body).unwrap()
}

fn system(asked: &Value) -> &str {
    asked["messages"][0]["content"].as_str().unwrap()
}

async fn open(gateway: &TestGateway, assistant: &str) -> Client {
    Client::connect(&format!("{}?assistant={assistant}", gateway.socket(""))).await
}

async fn listed(gateway: &TestGateway, token: Option<&str>) -> Vec<Value> {
    let request = Http::new().get(gateway.url("/api/v1/assistants"));
    let request = token.map_or(request.try_clone().unwrap(), |token| request.bearer_auth(token));
    let (status, body) = TestGateway::answer(request).await;
    assert_eq!(status, 200, "{body}");
    body["assistants"].as_array().unwrap().clone()
}

fn names(listed: &[Value]) -> Vec<&str> {
    listed.iter().map(|one| one["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn each_answers_as_its_files_say() {
    let upstream = answering().await;
    let files = [("books.toml", BOOKS), ("books.md", "You sell books."), ("plain.toml", "")];
    let gateway = with(Setup::with_upstream(&upstream.url), &files).start().await;
    let offered = listed(&gateway, None).await;
    assert_eq!(names(&offered), ["default", "books", "plain"]);
    assert!(!serde_json::to_string(&offered).unwrap().contains("You sell"), "a prompt is nobody's business");
    let books = &offered[1];
    assert_eq!((&books["title"], &books["greeting"]), (&json!("Books"), &json!("Which book may it be?")));

    let mut client = open(&gateway, "books").await;
    assert_eq!(client.welcome["assistant"], "books");
    for text in ["one", "two", "three"] {
        client.say(text).await;
        assert_eq!(client.until("run.start").await["version"], books["version"]);
        client.answer().await;
    }
    let told = asked(&upstream);
    assert_eq!(system(&told), "You sell books.", "no word of documents");
    assert_eq!((&told["temperature"], &told["max_tokens"]), (&json!(0.25), &json!(50)), "{told}");
    let said: Vec<_> = told["messages"].as_array().unwrap().iter().map(|message| &message["content"]).collect();
    assert_eq!(said[1..], [&json!("two"), &json!("Yes."), &json!("three")]);

    // Whoever names none gets the one that there is without any file.
    let mut plain = gateway.connect().await;
    assert_eq!(plain.welcome["assistant"], "default");
    plain.ask("one").await;
    assert!(system(&asked(&upstream)).starts_with("You are the assistant of a website."));
    assert!(asked(&upstream)["temperature"].is_null());
    let version = books["version"].as_str().unwrap();
    let series =
        format!(r#"assistant_runs_total{{assistant="books",version="{version}",variant="",status="complete"}}"#);
    assert_eq!(gateway.metric(&series).await, 3.0);
    // The conversation has it after a restart, too.
    let (memory, setup) = (client.cut(), gateway.kill().await);
    let gateway = setup.start().await;
    let mut client = Client::resume(&gateway.socket(&memory.session.clone()), memory).await;
    assert_eq!(client.welcome["assistant"], "books");
    client.ask("four").await;
    assert_eq!(system(&asked(&upstream)), "You sell books.");
}

#[tokio::test]
async fn whoever_chooses_one_sees_what_it_can_do() {
    let upstream = answering().await;
    let loan = include_str!("../assistants/loan.toml");
    let files = [("loan.toml", loan), ("plain.toml", "")];
    let gateway = with(Setup::with_upstream(&upstream.url), &files).start().await;
    let offered = listed(&gateway, None).await;
    let tools = json!([
        {"name": "calc", "title": "Calculator"},
        {"name": "time", "title": "Date and time"},
        {"name": "emi", "title": "Monthly instalment"},
        {"name": "eligibility", "title": "Eligibility"},
    ]);
    assert_eq!((&offered[1]["tools"], &offered[2]["tools"]), (&tools, &json!([])));
}

#[tokio::test]
async fn who_answers_is_chosen_where_a_conversation_begins() {
    let upstream = answering().await;
    let files = [("books.toml", BOOKS), ("books.md", "You sell books."), ("other.toml", "")];
    let setup = Setup::with_upstream(&upstream.url).set("RIVULET_ASSISTANTS_DEFAULT", "books");
    let gateway = with(setup, &files).start().await;
    assert_eq!(names(&listed(&gateway, None).await), ["books", "other"], "the plain one is not missed");
    assert_eq!(gateway.connect().await.welcome["assistant"], "books");

    let (status, made) = gateway.post("/api/v1/sessions", json!({"assistant": "books"})).await;
    assert_eq!((status, &made["assistant"]), (201, &json!("books")));
    let (status, body) = gateway.post("/api/v1/sessions", json!({"assistant": "cooks"})).await;
    assert_eq!((status, &body["code"]), (404, &json!("not_found")));
    let (status, body) = gateway.post("/api/v1/chat", json!({"message": "Hi", "assistant": "cooks"})).await;
    assert_eq!((status, &body["code"]), (404, &json!("not_found")));
    let (status, _) = gateway.post("/api/v1/chat", json!({"message": "Hi", "assistant": "books"})).await;
    assert_eq!(status, 200);
    let (_, other) = gateway.post("/api/v1/sessions", json!({"assistant": "other"})).await;
    let asked_another = json!({"message": "Hi", "assistant": "books", "session_id": other["session_id"]});
    assert_eq!(gateway.post("/api/v1/chat", asked_another).await.0, 404);

    let session = made["session_id"].as_str().unwrap();
    for url in
        [format!("{}?assistant=cooks", gateway.socket("")), format!("{}?assistant=default", gateway.socket(session))]
    {
        let refused = soon("a refusal", tokio_tungstenite::connect_async(&url)).await.unwrap_err();
        assert!(refused.to_string().contains("404"), "{url}: {refused}");
    }
    let mut client = Client::connect(&format!("{}?assistant=books", gateway.socket(session))).await;
    client.tell(json!({"type": "send", "id": "a", "text": "Hi", "assistant": "default"})).await;
    let error = client.until("error").await;
    assert_eq!((&error["code"], &error["re"]), (&json!("not_found"), &json!("a")));
    client.tell(json!({"type": "send", "id": "b", "text": "Hi", "assistant": "books"})).await;
    assert_eq!(client.answer().await.status(), "complete");

    // Programs choose by the name of a model.
    let complete = async |model: &str| {
        let messages = json!([{"role": "user", "content": "Hi"}, {"role": "system", "content": "Be brief."}]);
        gateway.post("/v1/chat/completions", json!({"model": model, "messages": messages})).await
    };
    assert_eq!(complete("assistant:books").await.0, 200);
    assert_eq!(system(&asked(&upstream)), "You sell books.\n\nBe brief.");
    let (status, body) = complete("assistant:cooks").await;
    assert_eq!(
        (status, &body["error"]["code"], &body["error"]["param"]),
        (404, &json!("model_not_found"), &json!("model"))
    );
    assert_eq!(complete("whatever").await.0, 200);
}

#[tokio::test]
async fn models_are_asked_for_those_whom_they_write_for() {
    let (one, two) = (answering().await, answering().await);
    let targets = format!(
        r#"[{{"name":"one","base_url":"{}","model":"m1"}},{{"name":"two","base_url":"{}","model":"m2"}}]"#,
        one.url, two.url
    );
    let gone = "http://127.0.0.1:9/v1";
    let targets =
        targets.trim_end_matches(']').to_owned() + &format!(r#",{{"name":"gone","base_url":"{gone}","model":"m3"}}]"#);
    let files = [
        ("second.toml", "[model]\ntargets = [\"two\"]"),
        ("saved.toml", "[model]\ntargets = [\"gone\"]\nfallback = \"extractive\""),
        ("lost.toml", "[model]\ntargets = [\"gone\"]"),
    ];
    let setup = Setup::bare().set("RIVULET_LLM_TARGETS", &targets).set("RIVULET_LLM_RETRIES", "0");
    let gateway = with(setup, &files).start().await;
    let mut client = open(&gateway, "second").await;
    client.say("Hi").await;
    assert_eq!(client.until("run.start").await["model"], "m2");
    assert_eq!(client.answer().await.done["model"], "m2");
    assert_eq!((one.stats.counts().requests, two.stats.counts().requests), (0, 1));
    let answer = open(&gateway, "saved").await.ask("Hi").await;
    assert_eq!((answer.status(), &answer.done["model"]), ("complete", &json!("extractive")));
    let answer = open(&gateway, "lost").await.ask("Hi").await;
    assert_eq!(answer.status(), "error", "nobody else is asked for it");
    assert_eq!((one.stats.counts().requests, two.stats.counts().requests), (0, 1));
}

#[tokio::test]
async fn each_answers_from_its_own_documents_or_not_at_all() {
    let upstream = answering().await;
    let files = [
        ("tents.toml", "[knowledge]\ncollections = [\"tents\"]\nonly_grounded = true"),
        ("both.toml", "[knowledge]\ncollections = [\"tents\", \"boats\"]\ntop_k = 2"),
        ("none.toml", "[knowledge]\nmode = \"off\""),
    ];
    let setup = documents::setup().set("RIVULET_LLM_BASE_URL", &upstream.url);
    let gateway = with(setup, &files).start().await;
    for (collection, text) in [
        ("tents", "A tent can be returned within sixty days of the purchase."),
        ("boats", "A boat can be returned within five days of the purchase."),
    ] {
        let (file, text) = (format!("{collection}.md"), format!("# {collection}\n\n{text}\n"));
        let parts = [("collection", None, collection.as_bytes()), ("file", Some(&*file), text.as_bytes())];
        let user = User::of(&gateway);
        let (status, accepted) = user.send(Method::POST, "/documents", form(&parts)).await;
        assert_eq!(status, 202, "{accepted}");
        assert_eq!(user.ended(accepted["job"].as_str().unwrap()).await["state"], "done");
    }
    let question = "Within how many days can it be returned after the purchase?";
    let sources = async |assistant: &str| {
        let mut client = open(&gateway, assistant).await;
        client.say(question).await;
        let (mut titles, mut done) = (Vec::new(), Value::Null);
        while done.is_null() {
            let frame = client.frame().await;
            match frame["type"].as_str() {
                Some("sources") => {
                    let items = frame["items"].as_array().unwrap().iter();
                    titles.extend(items.map(|item| item["title"].as_str().unwrap().to_owned()));
                }
                Some("run.done") => done = frame,
                _ => {}
            }
        }
        titles.sort();
        (titles, done["status"].clone())
    };
    assert_eq!(sources("tents").await, (vec!["tents".to_owned()], json!("complete")));
    assert_eq!(sources("both").await, (vec!["boats".to_owned(), "tents".to_owned()], json!("complete")));
    assert_eq!(sources("none").await, (vec![], json!("complete")));
    assert_eq!(sources("default").await, (vec![], json!("complete")), "its collection is another one");
    let before = upstream.stats.counts().requests;
    let answer = open(&gateway, "tents").await.ask("Who won the world cup of 1998?").await;
    assert_eq!((answer.status(), &answer.done["model"]), ("complete", &json!("extractive")));
    assert_eq!(upstream.stats.counts().requests, before, "no model is asked for what is not in the documents");
}

#[tokio::test]
async fn one_that_is_not_for_everybody_does_not_exist_for_others() {
    let files = [("north.toml", "visibility = \"tenant:north\""), ("staff.toml", "visibility = \"scope:staff\"")];
    let setup = Setup::bare().set("JWT_SECRET_KEY", SECRET).set("REQUIRE_AUTHENTICATION", "true");
    let gateway = with(setup, &files).start().await;
    let token = async |more: &[&str]| {
        let output = gateway.setup().output(&[&["token", "--user", "ann"], more].concat()).await;
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let north = token(&["--tenant", "north"]).await;
    let south = token(&["--tenant", "south"]).await;
    let staff = token(&["--tenant", "south", "--scope", "chat", "--scope", "staff"]).await;
    assert_eq!(names(&listed(&gateway, Some(&north)).await), ["default", "north"]);
    assert_eq!(names(&listed(&gateway, Some(&south)).await), ["default"]);
    assert_eq!(names(&listed(&gateway, Some(&staff)).await), ["default", "staff"]);
    let url = |assistant: &str| format!("{}?assistant={assistant}", gateway.socket(""));
    let mut client = Client::connect_as(&url("north"), &north).await;
    assert_eq!(client.welcome["assistant"], "north");
    client.ask("Hi").await;
    let session = client.session();
    for (assistant, token) in [("north", &south), ("staff", &south), ("staff", &north)] {
        let request = Http::new().post(gateway.url("/api/v1/sessions")).bearer_auth(token);
        let (status, body) = TestGateway::answer(request.json(&json!({"assistant": assistant}))).await;
        assert_eq!((status, &body["code"]), (404, &json!("not_found")));
        // Who says only then who they are, too.
        let hello = json!({"type": "hello", "token": token}).to_string();
        let (mut socket, _) = tokio_tungstenite::connect_async(url(assistant)).await.unwrap();
        socket.send(Message::text(hello)).await.unwrap();
        let answer = soon("a close", socket.next()).await.unwrap().unwrap();
        let Message::Close(Some(close)) = answer else { panic!("{answer:?}") };
        assert_eq!(u16::from(close.code), 4004, "{assistant}");
    }
    // What was said can be read when it is not for them any more, and that is all.
    fs::write(gateway.setup().data.path().join("assistants/north.toml"), "visibility = \"tenant:south\"").unwrap();
    gateway.reload("the configuration was read again").await;
    client.say("Hi").await;
    assert_eq!(client.until("error").await["code"], "not_found", "on a socket that is open, too");
    let path = format!("/api/v1/sessions/{session}");
    let http = |method: Method, path: &str| Http::new().request(method, gateway.url(path)).bearer_auth(&north);
    let (status, said) = TestGateway::answer(http(Method::GET, &path)).await;
    assert_eq!((status, said["messages"].as_array().unwrap().len()), (200, 2));
    for (path, body) in [
        (format!("{path}/messages"), json!({"text": "Hi"})),
        ("/api/v1/chat".to_owned(), json!({"message": "Hi", "session_id": session})),
    ] {
        let (status, body) = TestGateway::answer(http(Method::POST, &path).json(&body)).await;
        assert_eq!((status, &body["code"]), (404, &json!("not_found")), "{path}");
    }
    let mut request = gateway.socket(&session).into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {north}").parse().unwrap());
    let refused = soon("a refusal", tokio_tungstenite::connect_async(request)).await.unwrap_err();
    assert!(refused.to_string().contains("404"), "{refused}");
}

#[tokio::test]
async fn the_files_are_read_again_and_what_is_answered_goes_on_as_it_began() {
    let (upstream, gate) = Upstream::gated("One two three.", 1).await;
    let setup = with(Setup::with_upstream(&upstream.url), &[("books.toml", ""), ("books.md", "You sell books.")]);
    let folder = setup.data.path().join("assistants");
    let gateway = setup.start().await;
    let mut client = open(&gateway, "books").await;
    client.say("one").await;
    let first = client.until("run.start").await["version"].clone();
    client.deltas(1).await;
    fs::write(folder.join("books.md"), "You sell old books.").unwrap();
    gateway.reload("the configuration was read again").await;
    gate.open();
    assert_eq!(client.answer().await.status(), "complete");
    client.say("two").await;
    assert_ne!(client.until("run.start").await["version"], first);
    client.answer().await;
    assert!(system(&asked(&upstream)).starts_with("You sell old books.\n"));

    fs::write(folder.join("books.toml"), "titel = 1").unwrap();
    gateway.reload("the configuration stays as it was").await;
    assert_eq!(client.ask("three").await.status(), "complete");
    assert!(system(&asked(&upstream)).starts_with("You sell old books.\n"));

    // One that is taken away answers nobody, and comes back.
    fs::remove_file(folder.join("books.toml")).unwrap();
    gateway.reload("the configuration was read again").await;
    let id = client.say("four").await;
    let error = client.until("error").await;
    assert_eq!((&error["code"], &error["re"]), (&json!("not_found"), &json!(id)));
    assert_eq!(names(&listed(&gateway, None).await), ["default"]);
    fs::write(folder.join("books.toml"), "").unwrap();
    gateway.reload("the configuration was read again").await;
    assert_eq!(client.ask("five").await.status(), "complete");
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_told_before_a_port_is_opened() {
    let setup = with(Setup::bare(), &[("books.toml", "title = \"Books\"\n[model]\ntargets = [\"groq\"]\n")]);
    let output = setup.output(&["check"]).await;
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{told}");
    let expected =
        "assistants/books.toml:3: model.targets must be names of llm.targets (there are none), but is the text";
    assert!(told.contains(expected), "{told}");
    let setup = with(setup, &[("books.toml", BOOKS), ("books.md", "You sell books.")]);
    let output = setup.output(&["check"]).await;
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("assistant      books: version ") && told.contains(" 4 tokens of prompt"), "{told}");
}
