use std::{fs, sync::Arc};

use axum::{
    Json, Router,
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse, Redirect},
};
use futures_util::FutureExt;
use parking_lot::Mutex;
use serde_json::json;
use tokio::{net::TcpListener, task::JoinSet};

use super::*;
use crate::{
    chat::{CallId, Timestamp},
    config::{Config, Overrides},
    tools::{Context, Newest, Reporter, Shared, Toolbox},
};

/// The port of a server, what it was asked (method, address, what it was told in confidence, body), and its task.
async fn server() -> (u16, Arc<Mutex<Vec<String>>>, JoinSet<()>) {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = asked.clone();
    let router = Router::new().fallback(move |request: Request| async move {
        let (head, body) = request.into_parts();
        let told = head.headers.get("x-token").map_or("-", |value| value.to_str().unwrap()).to_owned();
        let body = axum::body::to_bytes(body, 1000).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        seen.lock().push(format!("{} {} {told} {body}", head.method, head.uri));
        match head.uri.path() {
            "/moved/x" => Redirect::temporary("/v1/x").into_response(),
            "/long/x" => Json(json!({"text": "x".repeat(70_000)})).into_response(),
            "/page/x" => "<html>".into_response(),
            "/broken/x" => ([(header::CONTENT_TYPE, "application/json")], "{\"a\":").into_response(),
            "/away/x" => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            _ => Json(json!({"data": {"score": 712, "of": ["a"]}, "secret": 1})).into_response(),
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut running = JoinSet::new();
    running.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (port, asked, running)
}

/// The tool that a file makes, called.
async fn called(tool: &str, arguments: Value) -> Result<Output, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = format!(
        "[tools]\nuse = [\"score\"]\n[[tool]]\nname = \"score\"\nkind = \"http\"\ndescription = \"Asks.\"\n\
         input.pan = {{ type = \"string\" }}\n{tool}"
    );
    fs::write(folder.path().join("a.toml"), file).unwrap();
    let env = [("RIVULET_ASSISTANTS_DIR", folder.path().to_str().unwrap()), ("BUREAU_TOKEN", "s3cret")];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let loaded = Config::load(None, env, Overrides::default()).map_err(|refusal| refusal.to_string())?;
    let toolbox = Toolbox::of(&loaded.config.offered[0].tools);
    let tool = toolbox.find("score").unwrap();
    let arguments = tool.check(&arguments).unwrap();
    let search = |_: String| async { None }.boxed();
    let call = CallId::parse("c-1").unwrap();
    tool.run(
        &arguments,
        Context {
            call: &call,
            progress: &Reporter::new(&call, &Newest::default()),
            now: Timestamp(0),
            search: &search,
            owner: None,
            keeps_files: true,
            telling: None,
            shared: &Shared::default(),
        },
    )
    .await
    .map_err(|error| error.to_string())
}

fn here(port: u16, path: &str) -> String {
    format!("private_hosts = [\"127.0.0.1\"]\nurl = \"http://127.0.0.1:{port}{path}\"\n")
}

#[tokio::test]
async fn a_server_is_asked_and_what_is_wanted_is_taken_out_of_its_answer() {
    let (port, asked, _running) = server().await;
    let tool = here(port, "/v1/{pan}")
        + "headers = { X-Token = \"Bearer {env.BUREAU_TOKEN}\" }\npick = { score = \"/data/score\", no = \"/no\" }\n\
           summary = \"{score} for {pan}\"";
    let output = called(&tool, json!({"pan": "../x"})).await.unwrap();
    assert_eq!((output.data, &*output.summary), (json!({"score": 712}), "712 for ../x"));
    assert_eq!(*asked.lock(), ["GET /v1/..%2Fx Bearer s3cret "]);
    let posted = here(port, "/v1/score") + "method = \"POST\"\neffect = \"read\"";
    let output = called(&posted, json!({"pan": "ABC"})).await.unwrap();
    assert_eq!(output.data["data"]["of"], json!(["a"]));
    assert_eq!(asked.lock()[1], "POST /v1/score - {\"pan\":\"ABC\"}");
}

#[tokio::test]
async fn answers_that_are_of_no_use_are_told_in_words() {
    let (port, asked, _running) = server().await;
    let rows = [
        ("/moved/{pan}", "the server answered with status 307"),
        ("/long/{pan}", "the server's answer is longer than 64 KiB"),
        ("/page/{pan}", "the server's answer is no JSON"),
        ("/broken/{pan}", "the server's answer is no JSON"),
        ("/away/{pan}", "the server answered with status 503"),
    ];
    for (path, expected) in rows {
        assert_eq!(called(&here(port, path), json!({"pan": "x"})).await, Err(expected.to_owned()), "{path}");
    }
    assert_eq!(asked.lock().len(), rows.len(), "nobody follows where it sends");
    assert_eq!(
        called(&here(port, "/v1/{pan}"), json!({"pan": ".."})).await,
        Err("pan: neither empty nor . or .., and no control character".to_owned())
    );
}

#[tokio::test]
async fn no_way_of_writing_it_leads_into_the_own_network() {
    let (port, asked, _running) = server().await;
    let hosts = [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "①②⑦.0.0.1",
        "127。0。0。1",
    ];
    for host in hosts {
        let tool = format!("url = \"http://{host}:{port}/{{pan}}\"");
        let told = called(&tool, json!({"pan": "x"})).await;
        // Some systems do not know this one name at all.
        let expected = if host == "localhost." { "" } else { "its address is not public" };
        assert!(
            told.clone().is_err_and(|told| told.starts_with(&format!("the server cannot be reached: {expected}"))),
            "{host}: {told:?}"
        );
    }
    assert!(asked.lock().is_empty());
    // A name of a private host leads there where that is allowed.
    let named = format!("private_hosts = [\"127.0.0.0/8\", \"::1\"]\nurl = \"http://localhost:{port}/{{pan}}\"");
    assert!(called(&named, json!({"pan": "x"})).await.is_ok());
}

#[tokio::test]
async fn what_is_wrong_with_one_is_told_with_its_line() {
    let with = |more: &str| format!("url = \"https://bureau.example/{{pan}}\"\n{more}");
    let rows: [(&str, &str); 13] = [
        ("", "tool.score.url must be an http:// or https:// address"),
        ("url = \"https://bureau.example/\"", "tool.score.url must be an address with a place for the input `pan`"),
        (
            "url = \"https://bureau.example/{pin}\"",
            "tool.score.url must be an address with places for inputs alone, but is one with a place for `pin`",
        ),
        ("url = \"https://{pan}.example/\"", "tool.score.url must be an address whose server is fixed"),
        (&with("effect = \"write\""), "tool.score.method must be POST where a call changes something"),
        (&with("approver = \"user\""), "tool.score.approver must be left out where no call has to be allowed"),
        (&with("approval = \"always\"\napprover = \"boss\""), "tool.score.approver must be user, or scope: and a name"),
        (
            &with("headers = { A = \"{env.NOBODY}\" }"),
            "tool.score.headers.A must be made of variables that are set (NOBODY is not)",
        ),
        (
            &with("headers = { A = \"{HOME}\" }"),
            "tool.score.headers.A must be a text in which {env.NAME} stands for a variable",
        ),
        (&with("pick = { a = \"b\" }"), "tool.score.pick.a must be a JSON pointer"),
        (&with("output.x = { expr = \"1\" }"), "tool.score.output must be left out where kind is http"),
        (&with("summary = \"{x}\""), "tool.score.summary must be a line with names"),
        (&with("private_hosts = [\"0.0.0.0/0\"]"), "tool.score.private_hosts must be a list of addresses or networks"),
    ];
    for (tool, expected) in rows {
        let told = called(tool, json!({"pan": "x"})).await.expect_err(tool);
        assert!(told.contains(expected), "{tool}: {told}");
        assert!(!told.contains("s3cret"), "{told}");
    }
}
