use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
};

use super::*;
use crate::config::Overrides;

fn load(pairs: &[(&str, &str)]) -> Result<Loaded, Refusal> {
    let env = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(None, env, Overrides::default())
}

async fn text(pairs: &[(&str, &str)]) -> (String, Result<(), CheckError>) {
    let mut out = Vec::new();
    let outcome = report(&Args::default(), load(pairs), &mut out).await;
    (String::from_utf8(out).expect("UTF-8"), outcome)
}

#[tokio::test]
async fn a_machine_that_is_ready_is_told_so_and_left_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("not/yet/made");
    let data = data.to_str().expect("UTF-8");
    let (text, outcome) = text(&[("RIVULET_SERVER_DATA_DIR", data), ("PORT", "0")]).await;
    outcome.expect("would start");
    assert!(text.contains("ok    data") && text.contains("ok    listen") && text.contains("extractive"), "{text}");
    assert!(text.contains("warn  knowledge"), "{text}");
    assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 0);
}

#[tokio::test]
async fn what_would_keep_it_from_starting_fails() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let file = tempfile::NamedTempFile::new().expect("a file");
    let inside = file.path().join("data");
    let data = inside.to_str().expect("UTF-8");
    let (text, outcome) = text(&[("RIVULET_SERVER_DATA_DIR", data), ("PORT", &port)]).await;
    assert!(matches!(outcome, Err(CheckError::WouldNotStart(2))), "{outcome:?}");
    assert!(text.contains("fail  listen") && text.contains("fail  data"), "{text}");
}

#[tokio::test]
async fn all_that_is_wrong_with_the_settings_is_told_at_once() {
    let wrong = [
        ("PORT", "x"),
        ("RIVULET_LLM_TOP_P", "1"),
        ("RIVULET_KNOWLEDGE_TOP_K", "0"),
        ("ENVIRONMENT", "production"),
        ("RIVULET_SERVER_BIND", "0.0.0.0:8080"),
        ("JWT_SECRET_KEY", "hunter2"),
        ("CORS_ORIGINS", "*"),
    ];
    let named =
        ["PORT", "RIVULET_LLM_TOP_P", "knowledge.top_k", "auth.required", "auth.jwt_secret", "`*`", "behind_proxy"];
    let (_, outcome) = text(&wrong).await;
    let shown = outcome.expect_err("refused").to_string();
    assert_eq!(shown.lines().count(), 7, "{shown}");
    let mut json = Vec::new();
    let outcome = report(&Args { json: true }, load(&wrong), &mut json).await;
    assert!(matches!(outcome, Err(CheckError::WouldNotStart(7))));
    let told: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!((&told[0]["verdict"], &told[0]["subject"]), (&"fail".into(), &"configuration".into()));
    for name in named {
        assert!(shown.contains(name) && told.to_string().contains(name), "{name} is missing in {shown}");
    }
    assert!(!shown.contains("hunter2"), "{shown}");
}

/// Answers one request with `status`, and tells what it was asked.
async fn model_server(status: &'static str, tasks: &mut JoinSet<String>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    tasks.spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("a connection");
        let mut request = vec![0; 4096];
        let read = socket.read(&mut request).await.expect("a request");
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        socket.write_all(answer.as_bytes()).await.expect("written");
        String::from_utf8_lossy(&request[..read]).into_owned()
    });
    url
}

#[tokio::test]
async fn the_model_server_is_asked_with_the_key_and_the_key_is_not_shown() {
    for (status, wanted) in
        [("200 OK", "ok    model"), ("401 Unauthorized", "refuses the key"), ("502 Bad Gateway", "warn  model")]
    {
        let mut tasks = JoinSet::new();
        let url = model_server(status, &mut tasks).await;
        let (text, _) = text(&[("OPENAI_BASE_URL", &url), ("OPENAI_API_KEY", "sk-hunter2"), ("PORT", "0")]).await;
        assert!(text.contains(wanted) && text.contains(&url) && !text.contains("hunter2"), "{text}");
        let request = tasks.join_all().await.remove(0).to_lowercase();
        assert!(request.starts_with("get /v1/models ") && request.contains("bearer sk-hunter2"), "{request}");
    }
}

#[tokio::test]
async fn a_model_server_that_is_not_there_is_a_warning() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let url = format!("http://{closed}/v1");
    let config = LlmConfig { base_url: Some(url), model: Some("m".to_owned()), ..LlmConfig::default() };
    let findings = models(&config).await;
    assert_eq!((findings.len(), findings[0].0), (1, Verdict::Doubtful));
    assert!(findings[0].2.contains("does not answer"), "{}", findings[0].2);
}

#[tokio::test]
async fn every_target_is_asked_and_told() {
    let mut tasks = JoinSet::new();
    let (first, second) = (model_server("200 OK", &mut tasks).await, model_server("403 Forbidden", &mut tasks).await);
    let targets = format!(
        r#"[{{"name":"a","base_url":"{first}","model":"x","headers":{{"X-Team":"blue"}}}},
            {{"name":"b","base_url":"{second}","model":"y"}}]"#
    );
    let (text, _) = text(&[("RIVULET_LLM_TARGETS", &targets), ("PORT", "0")]).await;
    let told = text.find(&format!("ok    model          a: x at {first} answers"));
    let then = text.find(&format!("warn  model          b: y at {second} wants a key"));
    assert!(told.is_some() && told < then, "{text}");
    assert!(tasks.join_all().await.iter().any(|request| request.contains("x-team: blue")));
}

#[tokio::test]
async fn a_database_that_would_not_open_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_str().expect("UTF-8");
    let file = folder.path().join(FILE_NAME);
    let store = SqliteStore::open(&file).expect("opens");
    let settings = [("RIVULET_SERVER_DATA_DIR", data), ("PORT", "0")];
    let (shown, outcome) = text(&settings).await;
    assert!(matches!(outcome, Err(CheckError::WouldNotStart(1))), "{outcome:?}");
    assert!(shown.contains("fail  data") && shown.contains("another process"), "{shown}");
    drop(store);
    let (shown, outcome) = text(&settings).await;
    outcome.expect("would start");
    assert!(shown.contains("ok    data"), "{shown}");
    fs::write(&file, "This is a diary. ".repeat(300)).expect("written");
    let (shown, outcome) = text(&settings).await;
    assert!(matches!(outcome, Err(CheckError::WouldNotStart(1))), "{outcome:?}");
    assert!(shown.contains("fail  data") && shown.contains("not a database"), "{shown}");
}

#[test]
fn an_incomplete_model_folder_is_named() {
    let deps = tempfile::tempdir().expect("a folder");
    let folder = deps.path().join("model");
    fs::create_dir(&folder).expect("made");
    let config = KnowledgeConfig { model_dir: Some(folder.clone()), ..KnowledgeConfig::default() };
    let absent = KnowledgeConfig { preload: vec![folder.join("gone")], ..config.clone() };
    assert!(knowledge(&absent).2.contains("gone"));
    for (name, content) in [
        ("model.onnx", "location model.safetensors"),
        ("model.safetensors", "x"),
        ("tokenizer.json", "x"),
        ("config.json", "x"),
        ("special_tokens_map.json", "x"),
        ("tokenizer_config.json", "x"),
    ] {
        let (verdict, _, text) = knowledge(&config);
        assert!(verdict == Verdict::Doubtful && text.contains(name), "{text}");
        fs::write(folder.join(name), content).expect("written");
    }
    // The environment may name another one, which is there or not.
    if std::env::var_os("ORT_DYLIB_PATH").is_none() {
        let (verdict, _, text) = knowledge(&config);
        assert!(verdict == Verdict::Doubtful && text.contains("libonnxruntime.so"), "{text}");
        fs::create_dir(deps.path().join("onnxruntime")).expect("made");
        fs::write(deps.path().join("onnxruntime/libonnxruntime.so"), "x").expect("written");
        assert_eq!(knowledge(&config).0, Verdict::Good);
    }
}

#[tokio::test]
async fn tools_are_told_with_what_they_cost() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/assistants");
    let data = tempfile::tempdir().expect("a folder");
    let (folder, data) = (folder.to_str().expect("UTF-8"), data.path().to_str().expect("UTF-8"));
    let (text, outcome) =
        text(&[("RIVULET_ASSISTANTS_DIR", folder), ("RIVULET_SERVER_DATA_DIR", data), ("PORT", "0")]).await;
    outcome.expect("would start");
    let line = text.lines().find(|line| line.contains("loan: version")).expect("a line");
    let tokens =
        line.split_once("tools calc, time, emi, eligibility (").and_then(|(_, rest)| rest.strip_suffix(" tokens)"));
    assert!(tokens.is_some_and(|tokens| tokens.parse::<u32>().is_ok_and(|tokens| tokens > 100)), "{line}");
}
