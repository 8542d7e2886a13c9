//! Calls that change something: kept before they are made, made when somebody has allowed them, and made once.

use std::{fs, sync::Arc};

use axum::{Json, Router, http::HeaderMap};
use parking_lot::Mutex;
use reqwest::{Client as Http, Method};
use rivulet::mock_llm::Options;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use crate::harness::{Client, Setup, TestGateway, Upstream, soon, upstream};

const SECRET: &str = "a secret of the tests with more than 32 characters";
const LETTER: &str = r#"say "I can write it." and call letter {"name":"Asha Rao","amount":500000}"#;

/// What it was sent: the key of each request, and its body.
type Sent = Arc<Mutex<Vec<(String, Value)>>>;

/// A server that writes letters, when it may.
pub(crate) struct Office {
    url: String,
    pub(crate) sent: Sent,
    came: watch::Sender<usize>,
    may: watch::Sender<bool>,
    _running: JoinSet<()>,
}

impl Office {
    pub(crate) async fn open() -> Self {
        let (sent, came, may) = (Sent::default(), watch::channel(0).0, watch::channel(true).0);
        let (all, seen, gate) = (sent.clone(), came.clone(), may.clone());
        let router = Router::new().fallback(move |head: HeaderMap, Json(body): Json<Value>| {
            let key = head.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
            all.lock().push((key, body));
            seen.send_modify(|came| *came += 1);
            let mut may = gate.subscribe();
            async move {
                may.wait_for(|may| *may).await.unwrap();
                Json(json!({"letter": "L-1"}))
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut running = JoinSet::new();
        running.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, sent, came, may, _running: running }
    }

    fn letters(&self) -> usize {
        self.sent.lock().len()
    }
}

/// An assistant with a tool that has an effect at this office. `more`: lines of the tool.
pub(crate) fn writing(setup: Setup, office: &Office, more: &str) -> Setup {
    let file = format!(
        "[knowledge]\nmode = \"off\"\n[tools]\nuse = [\"calc\", \"letter\"]\n[[tool]]\nname = \"letter\"\n\
         title = \"Sanction letter\"\nkind = \"http\"\nmethod = \"POST\"\neffect = \"write\"\ndescription = \"Writes it.\"\n\
         url = \"{}/letters\"\nprivate_hosts = [\"127.0.0.1\"]\n{more}\ninput.name = {{ type = \"string\" }}\n\
         input.amount = {{ type = \"number\" }}\n",
        office.url
    );
    let folder = setup.data.path().join("assistants");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("loan.toml"), file).unwrap();
    setup
}

async fn calling() -> Upstream {
    upstream(Options { rate: 0.0, ..Options::default() }).await
}

async fn open(gateway: &TestGateway) -> Client {
    Client::connect(&format!("{}?assistant=loan", gateway.socket(""))).await
}

/// What waits, after a question that asks for a letter.
async fn asked(client: &mut Client) -> Value {
    client.say(LETTER).await;
    let [request, done] = client.until_all(["approval.request", "run.done"]).await;
    assert_eq!(done["status"], "awaiting_approval");
    request["approval"].clone()
}

pub(crate) fn decision(approval: &Value, decision: &str) -> Value {
    json!({"type": "approve", "id": "d", "approval": approval["id"], "digest": approval["digest"], "decision": decision})
}

async fn shown(gateway: &TestGateway, session: &str) -> Vec<Value> {
    let mut other = Client::connect(&gateway.socket(session)).await;
    other.until("snapshot").await["messages"].as_array().unwrap().clone()
}

fn last_told(upstream: &Upstream) -> Vec<Value> {
    let asked: Value = serde_json::from_slice(&upstream.stats.requests().last().unwrap().body).unwrap();
    asked["messages"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_call_with_an_effect_is_made_once_when_it_was_allowed_and_all_tabs_see_it() {
    let (upstream, office) = (calling().await, Office::open().await);
    let gateway = writing(Setup::with_upstream(&upstream.url), &office, "").start().await;
    let mut client = open(&gateway).await;
    let approval = asked(&mut client).await;
    assert_eq!((&approval["approver"], office.letters()), (&json!("user"), 0));

    // It is there after a reload and after a restart, and decided in another tab.
    let session = client.session();
    let gateway = gateway.kill().await.start().await;
    let waiting = shown(&gateway, &session).await.pop().unwrap();
    assert_eq!((&waiting["status"], &waiting["text"]), (&json!("awaiting_approval"), &json!("I can write it.")));
    let used = &waiting["tools"][0];
    assert_eq!((&used["status"], &used["approval"], &used["changes"]), (&json!("waiting"), &approval, &json!(true)));
    assert_eq!(used["args"], json!({"name": "Asha Rao", "amount": 500_000}));
    let mut first = Client::connect(&gateway.socket(&session)).await;
    let mut second = Client::connect(&gateway.socket(&session)).await;
    second.tell(decision(&approval, "approved")).await;
    let ack = second.until("ack").await;
    for client in [&mut first, &mut second] {
        let [resolved, start, call, result, done] =
            client.until_all(["approval.resolved", "run.start", "tool.call", "tool.result", "run.done"]).await;
        assert_eq!((&resolved["decision"], &resolved["message"]), (&json!("approved"), &waiting["id"]));
        assert_eq!((&start["run"], &start["for"]), (&ack["run"], &waiting["for"]));
        assert_eq!((&call["tool"], &call["args"], &call["changes"]), (&json!("letter"), &used["args"], &json!(true)));
        assert_ne!(call["call"], used["call"], "the call that is made is another one");
        assert_eq!((&result["status"], &result["data"]), (&json!("ok"), &json!({"letter": "L-1"})));
        assert_eq!(done["status"], "complete");
    }
    let sent = office.sent.lock().clone();
    assert_eq!(sent.len(), 1);
    assert!(sent[0].0.starts_with("c_") && sent[0].1 == json!({"name": "Asha Rao", "amount": 500_000}), "{sent:?}");
    // The model knows what it had asked for, and what came of it.
    let told = last_told(&upstream);
    let [called, result] = &told[told.len() - 2..] else { panic!("{told:?}") };
    assert_eq!((&called["content"], &result["role"]), (&json!("I can write it."), &json!("tool")));
    assert!(result["content"].as_str().unwrap().contains("L-1"), "{result}");

    // Said once more, it is the same answer; said otherwise, it is too late.
    second.tell(decision(&approval, "approved")).await;
    let again = second.until("ack").await;
    assert_eq!((&again["run"], &again["duplicate"]), (&ack["run"], &json!(true)));
    second.tell(decision(&approval, "denied")).await;
    assert_eq!(second.until("error").await["code"], "already_decided");
    assert_eq!(office.letters(), 1);
    assert_eq!(gateway.metric(r#"approvals_total{decision="approved"}"#).await, 1.0);
    let statuses: Vec<_> = shown(&gateway, &session).await.iter().map(|message| message["status"].clone()).collect();
    assert_eq!(statuses, ["complete", "complete", "complete"]);
    // The next question is one like any other.
    first.tell(json!({"type": "send", "id": "next", "text": "What is a rivulet?"})).await;
    assert_eq!(first.answer().await.status(), "complete");
}

#[tokio::test]
async fn what_was_not_allowed_is_not_done_and_the_model_is_told() {
    let (upstream, office) = (calling().await, Office::open().await);
    let gateway = writing(Setup::with_upstream(&upstream.url), &office, "").start().await;
    let mut client = open(&gateway).await;
    let approval = asked(&mut client).await;
    let mut no = decision(&approval, "denied");
    no["comment"] = json!("Too much.");
    client.tell(no).await;
    let [resolved, done] = client.until_all(["approval.resolved", "run.done"]).await;
    assert_eq!((&resolved["decision"], &resolved["comment"]), (&json!("denied"), &json!("Too much.")));
    assert_eq!((&done["status"], office.letters()), (&json!("complete"), 0));
    let told = last_told(&upstream).pop().unwrap()["content"].as_str().unwrap().to_owned();
    assert!(told.contains("not allowed") && told.contains("Too much."), "{told}");

    // One writes on instead: it waits for nothing any more.
    let approval = asked(&mut client).await;
    client.say("Never mind.").await;
    let [resolved, done] = client.until_all(["approval.resolved", "run.done"]).await;
    assert_eq!((&resolved["decision"], &done["status"]), (&json!("superseded"), &json!("complete")));
    client.tell(decision(&approval, "approved")).await;
    assert_eq!(client.until("error").await["code"], "not_found");

    // Others say something else than what was asked.
    let approval = asked(&mut client).await;
    let mut other = decision(&approval, "approved");
    other["digest"] = json!("0".repeat(64));
    client.tell(other).await;
    assert_eq!(client.until("error").await["code"], "digest_mismatch");
    for (field, wrong) in [("approval", json!(7)), ("decision", json!("yes")), ("digest", Value::Null)] {
        let mut bad = decision(&approval, "approved");
        bad[field] = wrong;
        client.tell(bad).await;
        let error = client.until("error").await;
        assert_eq!(error["code"], "invalid_field");
        assert!(error["message"].as_str().unwrap().contains(field), "{error}");
    }
    assert_eq!(office.letters(), 0);
    let session = client.session();
    let gateway = gateway.kill().await.start().await;
    let all = shown(&gateway, &session).await;
    let statuses: Vec<_> = all.iter().filter_map(|message| message["tools"][0]["status"].as_str()).collect();
    assert_eq!(statuses, ["denied", "superseded", "waiting"]);
}

#[tokio::test]
async fn whoever_has_the_scope_decides_and_nobody_else_sees_it() {
    let (upstream, office) = (calling().await, Office::open().await);
    let setup = Setup::with_upstream(&upstream.url).set("JWT_SECRET_KEY", SECRET);
    let setup = setup.set("REQUIRE_AUTHENTICATION", "true");
    let gateway = writing(setup, &office, "approver = \"scope:officer\"\napproval_ttl_h = 1").start().await;
    let token = async |user: &str, more: &[&str]| {
        let output = gateway.setup().output(&[&["token", "--user", user], more].concat()).await;
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let ann = token("ann", &["--tenant", "north"]).await;
    let officer = token("olga", &["--tenant", "north", "--scope", "chat", "--scope", "officer"]).await;
    let colleague = token("carl", &["--tenant", "north"]).await;
    let stranger = token("otto", &["--tenant", "south", "--scope", "chat", "--scope", "officer"]).await;
    let list = async |token: &str| {
        let request = Http::new().get(gateway.url("/api/v1/approvals?status=pending")).bearer_auth(token);
        let (status, body) = TestGateway::answer(request).await;
        assert_eq!(status, 200, "{body}");
        body["approvals"].as_array().unwrap().clone()
    };
    let mut client = Client::connect_as(&format!("{}?assistant=loan", gateway.socket("")), &ann).await;
    let approval = asked(&mut client).await;
    let listed = list(&officer).await;
    assert_eq!((listed.len(), &listed[0]["user"], &listed[0]["args"]["name"]), (1, &json!("ann"), &json!("Asha Rao")));
    assert_eq!((&listed[0]["digest"], &listed[0]["title"]), (&approval["digest"], &json!("Sanction letter")));
    assert_eq!((list(&ann).await.len(), list(&colleague).await.len(), list(&stranger).await.len()), (1, 0, 0));

    let decide = async |token: &str, how: &str| {
        let url = gateway.url(&format!("/api/v1/approvals/{}", approval["id"].as_str().unwrap()));
        let body = json!({"decision": how, "digest": approval["digest"]});
        TestGateway::answer(Http::new().request(Method::POST, url).bearer_auth(token).json(&body)).await
    };
    client.tell(decision(&approval, "approved")).await;
    assert_eq!(client.until("error").await["code"], "forbidden");
    for (token, expected) in [(&ann, 403), (&colleague, 404), (&stranger, 404)] {
        assert_eq!(decide(token, "approved").await.0, expected);
    }
    assert_eq!(office.letters(), 0);
    let (status, accepted) = decide(&officer, "approved").await;
    assert_eq!(status, 202, "{accepted}");
    let [resolved, done] = client.until_all(["approval.resolved", "run.done"]).await;
    assert_eq!((&resolved["by"], &done["status"], office.letters()), (&json!("olga"), &json!("complete"), 1));
    assert_eq!((decide(&officer, "denied").await.0, list(&officer).await.len()), (404, 0));
}

#[tokio::test]
async fn a_call_that_was_under_way_when_the_gateway_died_is_known_and_not_made_again() {
    let (upstream, office) = (calling().await, Office::open().await);
    office.may.send_replace(false);
    let gateway = writing(Setup::with_upstream(&upstream.url), &office, "").start().await;
    let mut client = open(&gateway).await;
    let approval = asked(&mut client).await;
    client.tell(decision(&approval, "approved")).await;
    soon("the office is asked", office.came.subscribe().wait_for(|came| *came == 1)).await.unwrap();
    let session = client.session();
    let gateway = gateway.kill().await.start().await;
    office.may.send_replace(true);
    let all = shown(&gateway, &session).await;
    assert_eq!(
        all.iter().map(|message| message["status"].as_str().unwrap()).collect::<Vec<_>>(),
        ["complete", "complete", "interrupted"]
    );
    let used = &all[2]["tools"][0];
    assert_eq!((&used["tool"], &used["status"]), (&json!("letter"), &json!("error")));
    assert!(used["summary"].as_str().unwrap().contains("not known"), "{used}");
    let mut client = Client::connect(&gateway.socket(&session)).await;
    client.tell(decision(&approval, "approved")).await;
    let [_, ack] = client.until_all(["run.done", "ack"]).await;
    assert_eq!(ack["duplicate"], true);
    client.tell(json!({"type": "send", "id": "next", "text": "What is a rivulet?"})).await;
    assert_eq!((client.answer().await.status(), office.letters()), ("complete", 1));
}

#[tokio::test]
async fn without_a_conversation_nothing_is_changed() {
    let (upstream, office) = (calling().await, Office::open().await);
    let gateway = writing(Setup::with_upstream(&upstream.url), &office, "approval = \"never\"").start().await;
    let body = json!({"model": "assistant:loan", "messages": [{"role": "user", "content": LETTER}]});
    let (status, answer) = gateway.post("/v1/chat/completions", body).await;
    assert_eq!((status, office.letters()), (200, 0), "{answer}");
    // In one it is, at once, where the operator says so.
    let mut client = open(&gateway).await;
    client.say(LETTER).await;
    let [result, done] = client.until_all(["tool.result", "run.done"]).await;
    assert_eq!((&result["status"], &done["status"], office.letters()), (&json!("ok"), &json!("complete"), 1));
}
