//! Assistants with tools, over real sockets and a model's server that calls them: what is shown, kept and told to the model.

use std::fs;

use axum::{Json, Router};
use reqwest::{Client as Http, Method};
use rivulet::mock_llm::{Fault, Options};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use crate::{
    calls::OTHER_WAYS,
    documents::{self, User, form},
    harness::{Client, Setup, TestGateway, Upstream, soon, upstream},
};

const LOAN: &str = include_str!("../assistants/loan.toml");
const EMI: &str = r#"say "Let me see." and call emi {"principal":500000,"months":36}"#;

/// With an assistant that has tools.
fn lending(setup: Setup) -> Setup {
    let folder = setup.data.path().join("assistants");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("loan.toml"), LOAN).unwrap();
    setup
}

async fn calling(fault: Option<&str>) -> Upstream {
    let faults = fault.into_iter().map(|name| name.parse::<Fault>().unwrap()).collect();
    upstream(Options { faults, rate: 0.0, ..Options::default() }).await
}

async fn open(gateway: &TestGateway) -> Client {
    Client::connect(&format!("{}?assistant=loan", gateway.socket(""))).await
}

/// All frames of the answer to a question, to its `run.done`.
async fn frames(client: &mut Client, question: &str) -> Vec<Value> {
    client.say(question).await;
    let mut frames = Vec::new();
    loop {
        let frame = client.frame().await;
        let is_over = frame["type"] == "run.done";
        frames.push(frame);
        if is_over {
            return frames;
        }
    }
}

fn of_kind<'a>(frames: &'a [Value], kind: &str) -> Vec<&'a Value> {
    frames.iter().filter(|frame| frame["type"] == kind).collect()
}

/// What the model was asked, in order.
fn asked(upstream: &Upstream) -> Vec<Value> {
    upstream.stats.requests().iter().map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
}

#[tokio::test]
async fn a_model_computes_with_a_tool_and_everybody_sees_it() {
    let upstream = calling(None).await;
    let gateway = lending(Setup::with_upstream(&upstream.url)).start().await;
    let mut client = open(&gateway).await;
    let frames = frames(&mut client, EMI).await;
    let (calls, results) = (of_kind(&frames, "tool.call"), of_kind(&frames, "tool.result"));
    let args = json!({"principal": 500_000, "annual_rate": 10.5, "months": 36});
    assert_eq!(
        (&calls[0]["tool"], &calls[0]["title"], &calls[0]["off"]),
        (&json!("emi"), &json!("Monthly instalment"), &json!(11))
    );
    assert_eq!(calls[0]["args"], args, "with what was left out");
    assert_eq!((&results[0]["status"], &results[0]["summary"]), (&json!("ok"), &json!("16,251.22 a month")));
    assert_eq!(results[0]["data"], json!({"emi": 16251.22, "total": 585_043.92, "interest": 85_043.92}));
    let run = calls[0]["run"].as_str().unwrap();
    let text = client.memory.texts[run].clone();
    assert!(text.starts_with("Let me see.\n\n") && text.contains("16251.22"), "{text}");
    assert_eq!(frames.last().unwrap()["status"], "complete");
    assert_eq!(frames.last().unwrap()["usage"]["estimated"], false);

    // The model was offered its tools, and told what came of its call.
    let asked = asked(&upstream);
    assert_eq!(asked.len(), 2);
    let names: Vec<_> = asked[0]["tools"].as_array().unwrap().iter().map(|tool| &tool["function"]["name"]).collect();
    assert_eq!(names, ["calc", "time", "emi", "eligibility"]);
    let told = asked[1]["messages"].as_array().unwrap();
    let [called, result] = &told[told.len() - 2..] else { panic!("{told:?}") };
    assert_eq!((&called["role"], &called["content"]), (&json!("assistant"), &json!("Let me see.")));
    assert_eq!((&result["role"], &result["tool_call_id"]), (&json!("tool"), &called["tool_calls"][0]["id"]));
    assert!(result["content"].as_str().unwrap().contains("16251.22"));

    // It is with the message, in a snapshot, over HTTP and after a restart.
    let expected = json!([{
        "call": calls[0]["call"], "tool": "emi", "title": "Monthly instalment", "args": args, "off": 11, "status": "ok",
        "ms": results[0]["ms"], "summary": "16,251.22 a month", "data": results[0]["data"],
    }]);
    let session = client.session();
    let shown = async |gateway: &TestGateway| {
        let mut other = Client::connect(&gateway.socket(&session)).await;
        other.until("snapshot").await["messages"][1]["tools"].clone()
    };
    assert_eq!(shown(&gateway).await, expected);
    let gateway = gateway.kill().await.start().await;
    assert_eq!(shown(&gateway).await, expected);
    let (_, messages) = gateway.get(&format!("/api/v1/sessions/{session}")).await;
    assert_eq!(messages["messages"][1]["tools"], expected);
    assert_eq!(gateway.metric(r#"tool_calls_total{tool="emi",status="ok"}"#).await, 0.0, "it has begun anew");
    let mut client = Client::connect(&gateway.socket(&session)).await;
    client.tell(json!({"type": "send", "id": "again", "text": r#"call calc {"expression":"6 * 7"}"#})).await;
    client.answer().await;
    assert_eq!(gateway.metric(r#"tool_calls_total{tool="calc",status="ok"}"#).await, 1.0);
}

#[tokio::test]
async fn whatever_a_model_gets_wrong_it_is_told_and_the_answer_goes_on() {
    let upstream = calling(None).await;
    let gateway = lending(Setup::with_upstream(&upstream.url)).start().await;
    let mut client = open(&gateway).await;
    let question = r#"call emi {"principal":500000,"months":0} and call calc {"expression":"6 * 7"} and
        call calc {"expression":"1 / 0"} and call emi {"principal":500000,"monts":36}"#;
    let frames = frames(&mut client, question).await;
    let status = |call: &Value| {
        of_kind(&frames, "tool.result").into_iter().find(|result| result["call"] == call["call"]).unwrap().clone()
    };
    let results: Vec<_> = of_kind(&frames, "tool.call").into_iter().map(status).collect();
    let statuses: Vec<_> = results.iter().map(|result| result["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["invalid", "ok", "error", "invalid"]);
    assert!(results[0]["summary"].as_str().unwrap().contains("months: at least 6"), "{}", results[0]);
    assert!(results[3]["summary"].as_str().unwrap().contains("monts"), "{}", results[3]);
    assert_eq!(frames.last().unwrap()["status"], "complete");
    let told = asked(&upstream).pop().unwrap()["messages"].as_array().unwrap().clone();
    assert_eq!(told.iter().filter(|message| message["role"] == "tool").count(), 4, "a result for each call");
}

#[tokio::test]
async fn whichever_way_a_server_writes_calls_they_are_the_same() {
    for fault in OTHER_WAYS {
        let upstream = calling(Some(fault)).await;
        let gateway = lending(Setup::with_upstream(&upstream.url)).start().await;
        let mut client = open(&gateway).await;
        let question = r#"call emi {"principal":500000,"months":36} and call calc {"expression":"6 * 7"}"#;
        let frames = frames(&mut client, question).await;
        let calls = of_kind(&frames, "tool.call");
        let called: Vec<_> = calls.iter().map(|call| (call["tool"].as_str().unwrap(), call["args"].clone())).collect();
        let emi = json!({"principal": 500_000, "annual_rate": 10.5, "months": 36});
        assert_eq!(called, [("emi", emi), ("calc", json!({"expression": "6 * 7"}))], "{fault}");
        assert!(of_kind(&frames, "tool.result").iter().all(|result| result["status"] == "ok"), "{fault}");
        assert_eq!(frames.last().unwrap()["status"], "complete", "{fault}");
    }
}

#[tokio::test]
async fn a_model_that_calls_for_ever_comes_to_an_end() {
    let upstream = calling(Some("tools-loop")).await;
    let gateway = lending(Setup::with_upstream(&upstream.url)).start().await;
    let mut client = open(&gateway).await;
    let frames = frames(&mut client, r#"call calc {"expression":"6 * 7"}"#).await;
    assert_eq!(frames.last().unwrap()["status"], "complete", "{frames:?}");
    let asked = asked(&upstream);
    assert_eq!(asked.len(), 6, "as often as a model is asked");
    let choices: Vec<_> = asked.iter().map(|request| &request["tool_choice"]).collect();
    assert_eq!(choices.last().unwrap(), &"none", "{choices:?}");
    assert!(of_kind(&frames, "tool.call").len() <= 12);
}

#[tokio::test]
async fn a_socket_that_is_cut_between_calls_misses_nothing() {
    let upstream = upstream(Options { rate: 20.0, ..Options::default() }).await;
    let gateway = lending(Setup::with_upstream(&upstream.url)).start().await;
    let mut client = open(&gateway).await;
    client.say(r#"call calc {"expression":"6 * 7"} then call calc {"expression":"7 * 8"} then say "Done.""#).await;
    client.until("tool.result").await;
    let memory = client.cut();
    let mut client = Client::resume(&gateway.socket(&memory.session.clone()), memory).await;
    assert_eq!(client.welcome["recovered"], "full");
    client.answer().await;
    assert_eq!(client.memory.tools.len(), 2);
}

#[tokio::test]
async fn other_interfaces_tell_the_answer_and_not_its_calls() {
    let upstream = calling(None).await;
    let gateway = lending(Setup::with_upstream(&upstream.url)).start().await;
    let body = json!({"model": "assistant:loan", "messages": [{"role": "user", "content": EMI}]});
    let request = Http::new().post(gateway.url("/v1/chat/completions")).json(&body);
    let (status, answer) = TestGateway::answer(request).await;
    assert_eq!(status, 200, "{answer}");
    let message = &answer["choices"][0]["message"];
    assert!(
        message["content"].as_str().unwrap().contains("16251.22") && message.get("tool_calls").is_none(),
        "{answer}"
    );
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    let (status, answer) = gateway.post("/api/v1/chat", json!({"message": EMI, "assistant": "loan"})).await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer["response"].as_str().unwrap().contains("16251.22"), "{answer}");
}

/// A server that says what it is asked for: how many were asked at once, and whether a connection was closed before it
/// answered.
struct Slow {
    url: String,
    asked: watch::Sender<usize>,
    left: watch::Sender<usize>,
    answers: watch::Sender<bool>,
    _running: JoinSet<()>,
}

/// Counts whoever goes before it has its answer.
struct Leaving(watch::Sender<usize>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.send_modify(|left| *left += 1);
    }
}

async fn slow() -> Slow {
    let (asked, left, answers) = (watch::channel(0).0, watch::channel(0).0, watch::channel(false).0);
    let (seen, gone, may) = (asked.clone(), left.clone(), answers.clone());
    let router = Router::new().fallback(move || {
        let (seen, gone, mut may) = (seen.clone(), gone.clone(), may.subscribe());
        async move {
            seen.send_modify(|asked| *asked += 1);
            let leaving = Leaving(gone);
            may.wait_for(|may| *may).await.unwrap();
            std::mem::forget(leaving);
            Json(json!({"score": 712}))
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut running = JoinSet::new();
    running.spawn(async move { axum::serve(listener, router).await.unwrap() });
    Slow { url, asked, left, answers, _running: running }
}

/// An assistant that asks this server, with so many seconds for a call.
fn scoring(setup: Setup, server: &str, call_s: u32) -> Setup {
    let file = format!(
        "[knowledge]\nmode = \"off\"\n[tools]\nuse = [\"score\"]\ncall_s = {call_s}\n[[tool]]\nname = \"score\"\n\
         kind = \"http\"\ndescription = \"Asks.\"\nurl = \"{server}/v1/{{pan}}\"\nprivate_hosts = [\"127.0.0.1\"]\n\
         input.pan = {{ type = \"string\" }}\n"
    );
    let folder = setup.data.path().join("assistants");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("loan.toml"), file).unwrap();
    setup
}

const BOTH: &str = r#"say "Let me see." and call score {"pan":"a"} and call score {"pan":"b"}"#;

#[tokio::test]
async fn calls_of_a_round_run_at_the_same_time_and_a_reader_sees_that_they_run() {
    let (upstream, server) = (calling(None).await, slow().await);
    let gateway = scoring(Setup::with_upstream(&upstream.url), &server.url, 30).start().await;
    let mut client = open(&gateway).await;
    client.say(BOTH).await;
    soon("both are asked", server.asked.subscribe().wait_for(|asked| *asked == 2)).await.unwrap();
    while client.until("run.phase").await["phase"] != "tool" {}
    let mut second = Client::connect(&gateway.socket(&client.session())).await;
    let shown = second.until("snapshot").await["runs"][0].clone();
    assert_eq!((&shown["text"], &shown["phase"]), (&json!("Let me see."), &json!("tool")));
    assert_eq!(shown["tools"].as_array().unwrap().len(), 2);
    assert_eq!(shown["tools"][1]["status"], "running");
    server.answers.send_replace(true);
    for client in [&mut client, &mut second] {
        client.answer().await;
        assert!(client.memory.tools.values().all(|status| status == "ok"));
    }
}

#[tokio::test]
async fn a_stop_cancels_what_runs() {
    let (upstream, server) = (calling(None).await, slow().await);
    let gateway = scoring(Setup::with_upstream(&upstream.url), &server.url, 30).start().await;
    let mut client = open(&gateway).await;
    client.say(BOTH).await;
    soon("both are asked", server.asked.subscribe().wait_for(|asked| *asked == 2)).await.unwrap();
    client.tell(json!({"type": "stop"})).await;
    let done = client.until("run.done").await;
    assert_eq!(done["status"], "stopped");
    assert!(client.memory.tools.values().all(|status| status == "cancelled"), "{:?}", client.memory.tools);
    soon("nobody waits for them", server.left.subscribe().wait_for(|left| *left == 2)).await.unwrap();
    // The next question is answered, and its prompt has no call without a result.
    server.answers.send_replace(true);
    assert_eq!(client.ask("What is a rivulet?").await.status(), "complete");
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_given_up_and_the_answer_goes_on() {
    let (upstream, server) = (calling(None).await, slow().await);
    let gateway = scoring(Setup::with_upstream(&upstream.url), &server.url, 1).start().await;
    let mut client = open(&gateway).await;
    let frames = frames(&mut client, BOTH).await;
    assert!(of_kind(&frames, "tool.result").iter().all(|result| result["status"] == "timeout"), "{frames:?}");
    assert_eq!(frames.last().unwrap()["status"], "complete");
    assert_eq!(gateway.metric(r#"tool_calls_total{tool="score",status="timeout"}"#).await, 2.0);
}

#[tokio::test]
async fn what_was_said_before_a_call_stays_when_the_model_breaks_off_after_it() {
    let first =
        upstream(Options { faults: vec![Fault::None, "end:2".parse().unwrap()], rate: 0.0, ..Options::default() })
            .await;
    let second = calling(None).await;
    let targets = [("first", &first.url), ("second", &second.url)]
        .map(|(name, url)| json!({"name": name, "base_url": url, "model": "m"}));
    let setup = lending(Setup::bare()).set("RIVULET_LLM_TARGETS", &json!(targets).to_string());
    let gateway = setup.set("RIVULET_LLM_RETRIES", "0").start().await;
    let mut client = open(&gateway).await;
    let frames = frames(&mut client, EMI).await;
    let done = frames.last().unwrap();
    assert_eq!((&done["status"], of_kind(&frames, "failover").len()), (&json!("complete"), 1), "{frames:?}");
    let text = &client.memory.texts[done["run"].as_str().unwrap()];
    assert_eq!(text.matches("Let me see.").count(), 1, "{text}");
    assert_eq!(text.matches("16251.22").count(), 1, "{text}");
    assert_eq!(of_kind(&frames, "tool.call").len(), 1, "what was called is not called again");
}

#[tokio::test]
async fn a_model_looks_into_the_documents_in_words_of_its_own() {
    let upstream = calling(None).await;
    let setup = documents::setup().set("RIVULET_LLM_BASE_URL", &upstream.url);
    let folder = setup.data.path().join("assistants");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("loan.toml"), "[knowledge]\nmode = \"off\"\n[tools]\nuse = [\"knowledge\"]\n").unwrap();
    let gateway = setup.start().await;
    let text = "# Tents\n\nA tent can be returned within sixty days of the purchase.\n";
    let user = User::of(&gateway);
    let (status, accepted) =
        user.send(Method::POST, "/documents", form(&[("file", Some("tents.md"), text.as_bytes())])).await;
    assert_eq!(status, 202, "{accepted}");
    assert_eq!(user.ended(accepted["job"].as_str().unwrap()).await["state"], "done");

    let mut client = open(&gateway).await;
    let question = r#"call knowledge {"query":"Within how many days can a tent be returned?"} then
        call knowledge {"query":"How long may one keep a tent?"} and call knowledge {"query":"Zeppelin"}"#;
    let frames = frames(&mut client, question).await;
    let results = of_kind(&frames, "tool.result");
    assert_eq!((&results[0]["status"], &results[0]["summary"]), (&json!("ok"), &json!("1 passage found")));
    assert_eq!(results.len(), 3, "{frames:?}");
    let sources = of_kind(&frames, "sources");
    assert_eq!(sources.len(), 1, "what is known already is not told again");
    assert_eq!((&sources[0]["items"][0]["title"], &sources[0]["items"][0]["n"]), (&json!("Tents"), &json!(1)));
    let done = frames.last().unwrap();
    assert_eq!((&done["status"], &done["citations"][0]["n"]), (&json!("complete"), &json!(1)), "{done}");
    let told = asked(&upstream).pop().unwrap();
    let quoted = told["messages"].as_array().unwrap().iter().filter(|message| message["role"] == "tool");
    let quoted: Vec<_> = quoted.map(|message| message["content"].as_str().unwrap()).collect();
    assert!(quoted[0].starts_with("[1]\n> ") && quoted[0].contains("> A tent can be returned"), "{quoted:?}");
}

#[tokio::test]
async fn a_model_whose_server_does_not_say_that_nothing_shall_be_called_is_asked_once_more() {
    let faults = vec![Fault::None, "tools:0".parse().unwrap(), Fault::None];
    let upstream = upstream(Options { faults, rate: 0.0, ..Options::default() }).await;
    let setup = lending(Setup::with_upstream(&upstream.url));
    let file = setup.data.path().join("assistants/loan.toml");
    fs::write(&file, LOAN.replace("max_rounds = 6", "max_rounds = 2")).unwrap();
    let gateway = setup.start().await;
    let mut client = open(&gateway).await;
    let frames = frames(&mut client, r#"call calc {"expression":"6 * 7"}"#).await;
    assert_eq!(frames.last().unwrap()["status"], "complete", "{frames:?}");
    let statuses: Vec<_> = of_kind(&frames, "tool.result").iter().map(|result| result["status"].clone()).collect();
    assert!(statuses[0] == "ok" && statuses[1..].iter().all(|status| status == "error"), "{statuses:?}");
    let asked = asked(&upstream);
    let told: Vec<_> =
        asked.iter().map(|request| (request["tool_choice"] == "none", request["tools"].is_array())).collect();
    assert_eq!(told, [(false, true), (true, true), (false, false)]);
}
