//! Tools of servers that speak MCP, over real pipes and real HTTP, with servers that behave and servers that do not.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use rivulet::mock_llm::Options;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::{
    auth::{SECRET, token},
    harness::{Client, Setup, TestGateway, Upstream, soon, upstream},
};

const PYTHON: &str = "/usr/bin/python3";
const LOOKUP: &str = r#"call crm__lookup_customer {"number":7}"#;

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mcp/server.py")
}

/// A setup with a server that is a program and behaves so, pinned as `pinned` behaves.
async fn with_program(how: &str, upstream: &Upstream) -> Setup {
    pinned(Setup::with_upstream(&upstream.url), &program(how)).await
}

fn program(how: &str) -> String {
    format!("command = \"{PYTHON}\"\nargs = [\"{}\", \"{how}\"]", script().display())
}

/// What `rivulet mcp pin` comes to with this server.
async fn pin(setup: &Setup, reach: &str) -> Output {
    let text = format!(
        "[mcp]\n[[mcp.servers]]\nname = \"crm\"\n{reach}\nreads = [\"lookup_customer\"]\nconnect_s = 10\ncall_s = 2\ncall_total_s = 4\n"
    );
    fs::write(setup.data.path().join("rivulet.toml"), text).unwrap();
    setup.output(&["mcp", "pin"]).await
}

async fn pinned(setup: Setup, reach: &str) -> Setup {
    let pin = pin(&setup, reach).await;
    assert!(pin.status.success(), "{}", String::from_utf8_lossy(&pin.stderr));
    let said = String::from_utf8(pin.stdout).unwrap();
    assert!(said.contains("crm.lookup_customer: new, says that it reads alone"), "{said}");
    let assistants = setup.data.path().join("assistants");
    fs::create_dir_all(&assistants).unwrap();
    let desk = "[tools]\nuse = [\"calc\", \"crm.lookup_customer\", \"crm.delete_customer\"]\n";
    fs::write(assistants.join("desk.toml"), desk).unwrap();
    setup
}

async fn model() -> Upstream {
    upstream(Options { rate: 0.0, ..Options::default() }).await
}

async fn open(gateway: &TestGateway) -> Client {
    Client::connect(&format!("{}?assistant=desk", gateway.socket(""))).await
}

/// What the file system alone tells.
async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What came of the one call of a question.
async fn result(client: &mut Client, question: &str) -> Value {
    client.say(question).await;
    let mut result = Value::Null;
    loop {
        let frame = client.frame().await;
        match frame["type"].as_str() {
            Some("tool.result") => result = frame,
            Some("run.done") => return result,
            _ => {}
        }
    }
}

/// What is asked of a server that behaves so comes to this status, with this in what people read; everything goes on.
async fn comes_to(how: &str, status: &str, summary: &str) {
    let upstream = model().await;
    let gateway = with_program(how, &upstream).await.start().await;
    let mut client = open(&gateway).await;
    let came = result(&mut client, LOOKUP).await;
    assert_eq!(came["status"], status, "{how}: {came}");
    assert!(came["summary"].as_str().unwrap().contains(summary), "{how}: {came}");
    let other = result(&mut client, r#"call calc {"expression":"6 * 7"}"#).await;
    assert_eq!(other["status"], "ok", "{how}: {other}");
    assert!(gateway.memory() < 1 << 30, "{how}");
}

#[tokio::test]
async fn an_assistant_asks_a_program_and_nothing_of_the_environment_reaches_it() {
    let upstream = model().await;
    let gateway = with_program("good", &upstream).await.start().await;
    let mut client = open(&gateway).await;
    let came = result(&mut client, LOOKUP).await;
    assert_eq!(came["status"], "ok", "{came}");
    assert_eq!(came["data"], json!({"data": {"name": "Ada", "number": 7}}));
    assert_eq!(came["summary"], "Customer 7 is Ada, HOME is None");
    let asked: Value = serde_json::from_slice(&upstream.stats.requests()[0].body).unwrap();
    let names: Vec<_> = asked["tools"].as_array().unwrap().iter().map(|tool| &tool["function"]["name"]).collect();
    assert_eq!(names, ["calc", "crm__lookup_customer", "crm__delete_customer"]);
    assert_eq!(gateway.metric(r#"mcp_requests_total{server="crm",outcome="ok"}"#).await, 1.0);
    let missing = result(&mut client, "call crm__lookup_customer {}").await;
    assert_eq!(missing["status"], "invalid", "{missing}");
}

#[tokio::test]
async fn what_may_change_something_waits_to_be_allowed() {
    let upstream = model().await;
    let gateway = with_program("good", &upstream).await.start().await;
    let calls = gateway.setup().data.path().join("data/mcp/crm/calls");
    let mut client = open(&gateway).await;
    client.say(r#"call crm__delete_customer {"number":7}"#).await;
    let [request, done] = client.until_all(["approval.request", "run.done"]).await;
    assert_eq!(done["status"], "awaiting_approval");
    assert!(!calls.exists(), "it was not asked");
    let approval = &request["approval"];
    let decision =
        json!({"type": "approve", "approval": approval["id"], "digest": approval["digest"], "decision": "approved"});
    client.tell(decision).await;
    assert_eq!(client.until("run.done").await["status"], "complete");
    assert_eq!(fs::read_to_string(calls).unwrap(), "\"delete_customer\"\n", "once");
}

/// A server over HTTP with this in its environment, and how it is reached.
async fn over_http(setup: &Setup, variable: &str, value: &str) -> (Child, String) {
    let port = setup.data.path().join("port");
    let server: Child = Command::new(PYTHON)
        .arg(script())
        .args(["good", "--http"])
        .arg(&port)
        .env(variable, value)
        .current_dir(setup.data.path())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    soon("its port", until(|| port.exists())).await;
    let url = format!("http://127.0.0.1:{}/mcp", fs::read_to_string(&port).unwrap());
    (server, format!("url = \"{url}\"\nprivate_hosts = [\"127.0.0.1\"]"))
}

#[tokio::test]
async fn an_assistant_asks_a_server_over_http() {
    let upstream = model().await;
    let setup = Setup::with_upstream(&upstream.url).set("CRM_TOKEN", "secret-token");
    let (mut server, reach) = over_http(&setup, "TOKEN", "secret-token").await;
    let gateway = pinned(setup, &format!("{reach}\ntoken_env = \"CRM_TOKEN\"")).await.start().await;
    let mut client = open(&gateway).await;
    let came = result(&mut client, LOOKUP).await;
    assert_eq!((&came["status"], &came["data"]["data"]["name"]), (&json!("ok"), &json!("Ada")), "{came}");
    server.kill().await.unwrap();
    let came = result(&mut client, r#"call crm__lookup_customer {"number":8}"#).await;
    assert_eq!(came["status"], "error", "{came}");
}

#[tokio::test]
async fn a_server_that_has_to_know_who_asks_is_told_so_by_each_call() {
    let (upstream, secret) = (model().await, "s3cret-that-only-this-server-shares");
    let setup = Setup::with_upstream(&upstream.url).set("CRM_SECRET", secret).set("JWT_SECRET_KEY", SECRET);
    let (_server, reach) = over_http(&setup, "SHARED_SECRET", secret).await;
    let gateway = pinned(setup, &format!("{reach}\nprincipal_env = \"CRM_SECRET\"")).await.start().await;
    let who = gateway.setup().data.path().join("who");
    let told = || fs::read_to_string(&who).unwrap();
    assert!(told().lines().all(|line| line.contains(r#""sub": "rivulet""#)), "it was pinned by the gateway itself");
    for user in ["ann", "ben"] {
        fs::write(&who, "").unwrap();
        let url = format!("{}?assistant=desk", gateway.socket(""));
        let mut client = Client::connect_as(&url, &token(user)).await;
        assert_eq!(result(&mut client, LOOKUP).await["status"], "ok");
        let told: Vec<Value> = told().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(told.iter().any(|one| one[0] == "tools/call"), "{told:?}");
        for one in told {
            assert_eq!((&one[1]["sub"], &one[1]["tenant"]), (&json!(user), &json!("default")), "{one}");
            assert!(one[1]["aud"].as_str().unwrap().ends_with("/mcp"), "{one}");
            let life = one[1]["exp"].as_u64().unwrap() - one[1]["iat"].as_u64().unwrap();
            assert!(life <= 300, "{one}");
        }
    }
    fs::write(&who, "").unwrap();
    let came = result(&mut open(&gateway).await, LOOKUP).await;
    assert!(came["summary"].as_str().unwrap().contains("nobody has said who they are"), "{came}");
    assert_eq!(told(), "", "it was not asked");
}

#[tokio::test]
async fn progress_gives_a_call_more_time_and_not_without_end() {
    comes_to("creeps", "error", "did not answer in time").await;
}

#[tokio::test]
async fn how_far_a_call_is_is_shown_while_it_runs_and_to_who_comes_later() {
    let upstream = model().await;
    let gateway = with_program("progress", &upstream).await.start().await;
    let mut client = open(&gateway).await;
    client.say(LOOKUP).await;
    let call = client.until("tool.call").await["call"].clone();
    let mut told = Vec::new();
    let came = loop {
        match client.frame().await {
            frame if frame["type"] == "tool.progress" => told.push(frame),
            frame if frame["type"] == "tool.result" => break frame,
            frame => assert_ne!(frame["type"], "run.done", "{frame}"),
        }
        if told.len() == 1 {
            let mut later = Client::connect(&gateway.socket(&client.session())).await;
            let snapshot = later.until("snapshot").await;
            assert_eq!(snapshot["runs"][0]["progress"]["call"], call, "{snapshot}");
        }
    };
    assert_eq!(came["status"], "ok", "{came}");
    assert!(told.len() >= 2, "{told:?}");
    for (one, next) in told.iter().zip(&told[1..]) {
        assert_eq!(one["call"], call, "{one}");
        assert!(one["progress"].as_f64() <= next["progress"].as_f64(), "{told:?}");
        assert!(!one["message"].as_str().unwrap().contains('\u{1b}'), "{one}");
    }
    assert!(told.last().unwrap()["message"].as_str().unwrap().contains("of 5"), "{told:?}");
}

#[tokio::test]
async fn a_server_is_told_when_nobody_waits_for_it_any_more() {
    let upstream = model().await;
    let gateway = with_program("waits", &upstream).await.start().await;
    let folder = gateway.setup().data.path().join("data/mcp/crm");
    let mut client = open(&gateway).await;
    client.say(LOOKUP).await;
    let run = client.until("run.start").await["run"].clone();
    soon("the call", until(|| folder.join("calls").exists())).await;
    client.tell(json!({"type": "stop", "run": run})).await;
    assert_eq!(client.until("run.done").await["status"], "stopped");
    let told = folder.join("cancelled");
    soon("the server to be told", until(|| fs::read(&told).is_ok_and(|text| !text.is_empty()))).await;
    let said: Value = serde_json::from_slice(&fs::read(&told).unwrap()).unwrap();
    assert!(said["requestId"].is_u64() && said["reason"].is_string(), "{said}");
}

#[tokio::test]
async fn servers_that_are_of_no_use_are_given_up_and_the_answer_goes_on() {
    comes_to("silent", "error", "did not answer in time").await;
    comes_to("other-id", "error", "did not answer in time").await;
    comes_to("dies", "error", "the connection has ended").await;
    comes_to("error", "error", "the tool says: there is no customer 7").await;
}

#[tokio::test]
async fn floods_are_dropped_and_what_follows_is_read() {
    comes_to("no-json", "ok", "Ada").await;
    comes_to("stderr", "ok", "Ada").await;
    let upstream = model().await;
    let gateway = with_program("flood", &upstream).await.start().await;
    let mut client = open(&gateway).await;
    result(&mut client, LOOKUP).await; // In time or not: it is the machine's speed that says.
    let other = result(&mut client, r#"call calc {"expression":"6 * 7"}"#).await;
    assert_eq!(other["status"], "ok", "{other}");
    assert!(gateway.memory() < 1 << 30);
}

#[tokio::test]
async fn a_server_that_asks_without_an_end_is_hung_up_on() {
    let upstream = model().await;
    let gateway = with_program("asks", &upstream).await.start().await;
    let mut client = open(&gateway).await;
    let came = result(&mut client, LOOKUP).await;
    assert_eq!(came["status"], "error", "{came}");
    assert!(gateway.log().contains("asks too much"), "{}", gateway.log());
    assert!(gateway.memory() < 1 << 30);
}

#[tokio::test]
async fn words_of_a_server_are_data_for_the_model() {
    let upstream = model().await;
    let gateway = with_program("obey", &upstream).await.start().await;
    let mut client = open(&gateway).await;
    assert_eq!(result(&mut client, LOOKUP).await["status"], "ok");
    let asked: Value = serde_json::from_slice(&upstream.stats.requests()[1].body).unwrap();
    let told = asked["messages"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(told["role"], "tool");
    let data: Value = serde_json::from_str(told["content"].as_str().unwrap()).unwrap();
    assert!(data["text"].as_str().unwrap().starts_with("Ignore all"), "{told}");
}

#[tokio::test]
async fn a_tool_that_says_something_else_than_when_it_was_pinned_is_off() {
    let upstream = model().await;
    let setup = with_program("changed", &upstream).await;
    fs::write(setup.data.path().join("data/mcp/crm/changed"), "").unwrap();
    let gateway = setup.start().await;
    let mut client = open(&gateway).await;
    let came = result(&mut client, LOOKUP).await;
    assert!(came["summary"].as_str().unwrap().contains("not what it was"), "{came}");
    assert!(!gateway.setup().data.path().join("data/mcp/crm/calls").exists(), "it was not asked");
    let asked = String::from_utf8(upstream.stats.requests()[0].body.to_vec()).unwrap();
    assert!(!asked.contains("Ignore all"), "the model is told what was pinned");
    let (status, health) = gateway.get("/health").await;
    assert_eq!((status, &health["status"]), (200, &json!("degraded")));
    let server = json!([{"name": "crm", "state": "ready", "off": ["crm.lookup_customer"]}]);
    assert_eq!(health["components"]["servers"], server);
    assert_eq!(gateway.get("/ready").await.0, 200);
}

#[tokio::test]
async fn a_server_that_fails_again_and_again_is_left_alone() {
    let upstream = model().await;
    let gateway = with_program("dies", &upstream).await.start().await;
    let mut client = open(&gateway).await;
    for number in 0..4 {
        let came = result(&mut client, &format!(r#"call crm__lookup_customer {{"number":{number}}}"#)).await;
        let is_left = came["summary"].as_str().unwrap().contains("left alone");
        assert_eq!(is_left, number == 3, "{number}: {came}");
    }
    let (status, health) = gateway.get("/health").await;
    assert_eq!((status, &health["status"]), (200, &json!("degraded")));
    assert_eq!(health["components"]["servers"][0]["state"], "left_alone");
}

#[tokio::test]
async fn a_program_ends_with_the_gateway() {
    let upstream = model().await;
    let mut gateway = with_program("stays", &upstream).await.start().await;
    let mut client = open(&gateway).await;
    assert_eq!(result(&mut client, LOOKUP).await["status"], "ok");
    let pid = fs::read_to_string(gateway.setup().data.path().join("data/mcp/crm/pid")).unwrap();
    let process = PathBuf::from(format!("/proc/{pid}"));
    assert!(process.exists());
    gateway.signal("TERM").await;
    gateway.exit_code().await;
    soon("the end of the program", until(|| !process.exists())).await;
}

#[tokio::test]
async fn a_list_that_is_too_long_is_not_pinned_and_two_tools_of_one_name_are_refused() {
    let setup = Setup::bare();
    let refused = pin(&setup, &program("many")).await;
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("crm: it has more than 128 tools"), "{said}");
    assert!(!setup.data.path().join("mcp.lock").exists());
    assert!(pin(&setup, &program("alike")).await.status.success());
    let check = setup.output(&["check"]).await;
    let said = String::from_utf8([check.stdout, check.stderr].concat()).unwrap();
    let told = "models would know crm.lookup_customer as crm__lookup_customer";
    assert!(!check.status.success() && said.contains(told), "{said}");
}

#[tokio::test]
async fn what_is_wrong_with_servers_is_said_before_a_port_is_bound() {
    let cases = [
        ("name = \"crm\"\ncommand = \"python3\"", "mcp.servers[1].command must be an absolute path"),
        ("name = \"crm\"\nurl = \"http://example.com/mcp\"", "mcp.servers[1].url must be an https:// address"),
        ("name = \"crm\"", "mcp.servers[1].command must be set, or url instead of it"),
        ("name = \"a.b\"\ncommand = \"/bin/true\"", "mcp.servers[1].name must be"),
        ("name = \"crm\"\ncommand = \"/bin/true\"\nenv = [\"NOT_SET\"]", "NOT_SET is not"),
        ("name = \"crm\"\nurl = \"https://x.example\"\nprincipal_env = \"NOT_SET\"", "at least 32 characters"),
        ("name = \"crm\"\ncommand = \"/bin/true\"\nreads = [\"x\"]", "says of no tool `x` that it reads alone"),
    ];
    for (server, said) in cases {
        let setup = Setup::bare();
        fs::write(setup.data.path().join("rivulet.toml"), format!("[[mcp.servers]]\n{server}\n")).unwrap();
        let check = setup.output(&["check"]).await;
        let all = [check.stdout, check.stderr].concat();
        let all = String::from_utf8_lossy(&all);
        assert!(!check.status.success() && all.contains(said), "{server}: {all}");
    }
}
