//! Assistants that answer by rules: the shipped ones as they are, over real sockets, without a model and in place of one.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Json, Router, routing::post};
use rivulet::{
    config::{Config, Overrides},
    mock_llm::{Fault, Options},
    rules::{Next, Rules, Said},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

use crate::{
    harness::{Client, Setup, TestGateway, upstream},
    knowledge::until_loaded,
};

fn shipped() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assistants")
}

fn offering(setup: Setup) -> Setup {
    setup.set("RIVULET_ASSISTANTS_DIR", shipped().to_str().unwrap())
}

async fn open(gateway: &TestGateway) -> Client {
    Client::connect(&format!("{}?assistant=loan", gateway.socket(""))).await
}

/// All frames of the answer to a question, to its `run.done`.
async fn frames(client: &mut Client, question: &str) -> Vec<Value> {
    client.say(question).await;
    let mut frames = vec![client.frame().await];
    while frames.last().unwrap()["type"] != "run.done" {
        frames.push(client.frame().await);
    }
    frames
}

fn of_kind<'a>(frames: &'a [Value], kind: &str) -> Vec<&'a Value> {
    frames.iter().filter(|frame| frame["type"] == kind).collect()
}

/// The dialogue of this name, held with a gateway: whether all was as expected, and what was printed.
async fn rehearse(gateway: &TestGateway, dialogue: &Path) -> (bool, String) {
    let url = gateway.url("");
    let output = gateway.setup().output(&["rehearse", dialogue.to_str().unwrap(), "--url", &url]).await;
    let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.success(), told.concat())
}

#[tokio::test]
async fn figures_are_exact_without_any_model() {
    let gateway = offering(Setup::bare()).start().await;
    let mut client = open(&gateway).await;
    let frames = frames(&mut client, "What is the EMI for 5 lakh over 3 years?").await;
    let (calls, results) = (of_kind(&frames, "tool.call"), of_kind(&frames, "tool.result"));
    assert_eq!((calls.len(), &calls[0]["title"]), (1, &json!("Monthly instalment")));
    assert_eq!(calls[0]["args"], json!({"principal": 500_000, "annual_rate": 10.5, "months": 36}));
    assert_eq!(results[0]["data"], json!({"emi": 16251.22, "total": 585_043.92, "interest": 85_043.92}));
    assert_eq!(of_kind(&frames, "run.start")[0]["model"], "rules");
    let done = frames.last().unwrap();
    assert_eq!((&done["status"], &done["usage"]["estimated"]), (&json!("complete"), &json!(true)));
    let text = client.memory.texts[done["run"].as_str().unwrap()].clone();
    assert!(text.starts_with("500,000 over 36 months at 10.5 %: **16,251.22 a month**"), "{text}");
    assert!(text.contains("585,043.92") && text.contains("85,043.92"), "{text}");
    // What was said before counts after a restart, too: it is in the messages.
    let session = client.session();
    let gateway = gateway.kill().await.start().await;
    let mut client = Client::connect(&gateway.socket(&session)).await;
    client.until("snapshot").await;
    client.tell(json!({"type": "send", "id": "after", "text": "and over 5 years?"})).await;
    let answer = client.answer().await;
    assert!(answer.text.contains("10,746.95") && answer.text.contains("644,817.00"), "{}", answer.text);
    // Without documents it says so in the words of the tool, and what it does not understand it cannot look up.
    client.tell(json!({"type": "send", "id": "more", "text": "Which documents do I need?"})).await;
    let answer = client.answer().await;
    assert!(answer.status() == "complete" && answer.text.contains("documents"), "{}", answer.text);
    // Everybody else is asked the same.
    let body = json!({"message": "EMI for 3 lakh at 12 % over 24 months", "assistant": "loan"});
    let (status, answer) = gateway.post("/api/v1/chat", body).await;
    assert!(status == 200 && answer["response"].as_str().unwrap().contains("14,122.04"), "{answer}");
}

/// With some of the documents, for to read all takes a while, and the data.
fn knowing(setup: Setup) -> Setup {
    let model = std::env::var("RIVULET_KNOWLEDGE_MODEL_DIR").expect("`make test` sets RIVULET_KNOWLEDGE_MODEL_DIR");
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-knowledge");
    let read = setup.data.path().join("sample");
    for name in ["loans/products.md", "loans/documents.md", "loans/fees.md", "shop/returns.md"] {
        fs::create_dir_all(read.join(name).parent().unwrap()).unwrap();
        fs::copy(sample.join(name), read.join(name)).unwrap();
    }
    setup
        .set("RIVULET_KNOWLEDGE_ENABLED", "true")
        .set("RIVULET_KNOWLEDGE_MODEL_DIR", &model)
        .set("RIVULET_KNOWLEDGE_PRELOAD", read.to_str().unwrap())
        .set("RIVULET_DATASETS_PRELOAD", concat!(env!("CARGO_MANIFEST_DIR"), "/sample-data/trade.csv"))
}

#[tokio::test]
async fn the_shipped_dialogues_are_held_without_a_key() {
    let gateway = knowing(offering(Setup::bare())).start().await;
    until_loaded(&gateway).await;
    let mut held = 0;
    for entry in fs::read_dir(shipped().join("dialogues")).unwrap() {
        let dialogue = entry.unwrap().path();
        let (is_as_expected, told) = rehearse(&gateway, &dialogue).await;
        assert!(is_as_expected, "{told}");
        held += 1;
    }
    assert!(held >= 6);
    let (_, listed) = gateway.get("/api/v1/assistants").await;
    let names: Vec<_> = listed["assistants"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert!(names.contains(&json!("default")) && names.contains(&json!("autbot")) && names.contains(&json!("loan")));
}

/// A model's server that says and calls what `model` does, as models do: the whole way there and back over HTTP.
async fn served(
    model: impl Fn(&Value) -> Value + Clone + Send + Sync + 'static,
) -> (String, Arc<AtomicUsize>, JoinSet<()>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let router = Router::new().fallback(post(move |Json(asked): Json<Value>| {
        count.fetch_add(1, Ordering::Relaxed);
        let delta = model(&asked);
        let finish = if delta["tool_calls"].is_array() { "tool_calls" } else { "stop" };
        let chunk =
            |choice: Value| json!({"id": "1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]});
        let chunks = [
            chunk(json!({"index": 0, "delta": delta, "finish_reason": null})),
            chunk(json!({"index": 0, "delta": {}, "finish_reason": finish})),
        ];
        let body: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
        async move { ([("content-type", "text/event-stream")], body + "data: [DONE]\n\n") }
    }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let mut running = JoinSet::new();
    running.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, asked, running)
}

/// What a model says that keeps to the documents: what it is shown first of them, word by word, and where it can look for
/// itself, it does.
fn read_out(asked: &Value) -> Value {
    let messages = asked["messages"].as_array().unwrap();
    let question = messages.iter().rposition(|message| message["role"] == "user").unwrap();
    let shown = messages[question..].iter().filter_map(|message| message["content"].as_str());
    let quoted = shown.filter_map(|content| content.split_once("[1]")).map(|(_, first)| first).next_back();
    if let Some(quoted) = quoted {
        let lines = quoted.lines().skip(1).take_while(|line| line.starts_with('>')).skip(1);
        let text: Vec<&str> = lines.map(|line| line.trim_start_matches(['>', ' '])).collect();
        return json!({"role": "assistant", "content": format!("{} [1]", text.join(" ").trim())});
    }
    if asked["tools"].as_array().is_some_and(|tools| tools.iter().any(|tool| tool["function"]["name"] == "knowledge")) {
        let arguments = json!({"query": messages[question]["content"]}).to_string();
        let function = json!({"name": "knowledge", "arguments": arguments});
        return json!({"role": "assistant", "tool_calls": [{"index": 0, "id": "call_0", "type": "function", "function": function}]});
    }
    json!({"role": "assistant", "content": "I found nothing in the documents."})
}

fn said_by(rules: &Rules, asked: &Value) -> Value {
    let messages = asked["messages"].as_array().unwrap();
    let content = |message: &Value| message["content"].as_str().unwrap_or_default().to_owned();
    let question = messages.iter().rposition(|message| message["role"] == "user").unwrap();
    let texts: Vec<(bool, String)> = messages[..=question]
        .iter()
        .filter(|message| message["role"] == "user" || (message["role"] == "assistant" && !content(message).is_empty()))
        .map(|message| (message["role"] == "user", content(message)))
        .collect();
    let said: Vec<Said<'_>> =
        texts.iter().map(|(is_user, text)| if *is_user { Said::User(text) } else { Said::Assistant(text) }).collect();
    let calls = messages[question..].iter().filter_map(|message| message["tool_calls"].as_array()).flatten();
    let told: Vec<String> = calls
        .map(|call| {
            let is_its = |message: &&Value| message["tool_call_id"] == call["id"];
            let result = content(messages.iter().find(is_its).expect("each call has its result"));
            let arguments = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
            rules.tell(&said, call["function"]["name"].as_str().unwrap(), &arguments, &result)
        })
        .collect();
    if !told.is_empty() {
        return json!({"role": "assistant", "content": told.join("\n\n")});
    }
    match rules.next(&said) {
        Next::Say(text) | Next::Documents(text) => json!({"role": "assistant", "content": text}),
        Next::Call(name, arguments) => {
            let function = json!({"name": name, "arguments": arguments.to_string()});
            json!({"role": "assistant", "tool_calls": [{"index": 0, "id": "call_0", "type": "function", "function": function}]})
        }
    }
}

#[tokio::test]
async fn a_model_that_calls_the_tools_holds_the_dialogues_too() {
    let model = std::env::var("RIVULET_KNOWLEDGE_MODEL_DIR").expect("`make test` sets RIVULET_KNOWLEDGE_MODEL_DIR");
    let env = [("RIVULET_ASSISTANTS_DIR".to_owned(), shipped().display().to_string())];
    let offered = Config::load(None, env, Overrides::default()).unwrap().config.offered;
    for (name, dialogue) in [("loan", "loan"), ("loan", "loan-letter"), ("companion", "companion"), ("econ", "econ")] {
        let rules = offered.iter().find(|one| one.name == name).unwrap().rules.clone().unwrap();
        let (url, asked, _running) = served(move |asked| said_by(&rules, asked)).await;
        let setup = offering(Setup::with_upstream(&url))
            .set("RIVULET_KNOWLEDGE_ENABLED", "true")
            .set("RIVULET_KNOWLEDGE_MODEL_DIR", &model)
            .set("RIVULET_DATASETS_PRELOAD", concat!(env!("CARGO_MANIFEST_DIR"), "/sample-data/trade.csv"));
        let gateway = setup.start().await;
        until_loaded(&gateway).await;
        let (is_as_expected, told) = rehearse(&gateway, &shipped().join(format!("dialogues/{dialogue}.toml"))).await;
        assert!(is_as_expected, "{told}");
        let asked = asked.load(Ordering::Relaxed);
        assert!(asked > 3, "a model was asked, not the rules: {asked}");
    }
}

#[tokio::test]
async fn a_model_that_reads_the_documents_out_holds_the_dialogues_over_them() {
    let (url, asked, _running) = served(read_out).await;
    let gateway = knowing(offering(Setup::with_upstream(&url))).start().await;
    until_loaded(&gateway).await;
    for (dialogue, times) in [("autbot", 1), ("loan-documents", 2)] {
        let before = asked.load(Ordering::Relaxed);
        let (is_as_expected, told) = rehearse(&gateway, &shipped().join(format!("dialogues/{dialogue}.toml"))).await;
        assert!(is_as_expected, "{told}");
        let asked = asked.load(Ordering::Relaxed) - before;
        assert!(asked >= times, "{dialogue}: a model was asked {asked} times");
    }
}

#[tokio::test]
async fn a_rehearsal_tells_what_is_otherwise() {
    let gateway = offering(Setup::bare()).start().await;
    let setup = gateway.setup();
    let dialogue = setup.data.path().join("dialogue.toml");
    let turn = "assistant = \"loan\"\n[[turn]]\nsay = \"I need a loan\"\nexpect.text = [\"amount\"]\n";
    fs::write(&dialogue, turn).unwrap();
    assert!(rehearse(&gateway, &dialogue).await.0);
    fs::write(
        &dialogue,
        format!("{turn}[[turn]]\nsay = \"5 lakh\"\nexpect.tool = \"emi\"\nexpect.not = [\"months\"]\n"),
    )
    .unwrap();
    let (is_as_expected, told) = rehearse(&gateway, &dialogue).await;
    assert!(!is_as_expected && told.contains("ok   I need a loan"), "{told}");
    for line in ["FAIL 5 lakh", "emi is to be called, and no tool was", "\"months\" is in the answer", "1 of 2 answers"]
    {
        assert!(told.contains(line), "{line}: {told}");
    }
    // The gateway that has the data folder is found without its address.
    fs::write(&dialogue, turn).unwrap();
    let output = setup.output(&["rehearse", dialogue.to_str().unwrap()]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::write(&dialogue, turn.replace("loan\"\n[[", "loam\"\n[[")).unwrap();
    let (is_as_expected, told) = rehearse(&gateway, &dialogue).await;
    assert!(!is_as_expected && told.contains("rivulet: the gateway: "), "{told}");
    fs::write(&dialogue, "[[turn]]\nsays = \"x\"").unwrap();
    let (is_as_expected, told) = rehearse(&gateway, &dialogue).await;
    assert!(!is_as_expected && told.contains("unknown field `says`"), "{told}");
}

#[tokio::test]
async fn rules_answer_when_no_model_can_be_reached_and_say_so_once() {
    let down = upstream(Options { faults: vec!["status:503".parse::<Fault>().unwrap()], ..Options::default() }).await;
    let setup = Setup::with_upstream(&down.url).set("RIVULET_LLM_RETRIES", "0");
    let gateway = offering(setup).start().await;
    let mut client = open(&gateway).await;
    let frames = frames(&mut client, "What is the EMI for 5 lakh over 3 years?").await;
    let done = frames.last().unwrap();
    let text = client.memory.texts[done["run"].as_str().unwrap()].clone();
    let (notice, rest) = text.split_once("\n\n").unwrap();
    assert!(
        notice.starts_with("The language model cannot be reached.") && !rest.contains("cannot be reached"),
        "{text}"
    );
    assert!(rest.starts_with("500,000 over 36 months") && rest.contains("16,251.22"), "{text}");
    assert_eq!(of_kind(&frames, "tool.result")[0]["status"], "ok");
    assert_eq!(down.stats.requests().len(), 1, "who has begun to stand in for it ends the answer");
    let answer = client.ask("Am I eligible?").await;
    assert!(answer.text.ends_with("\n\nWhat is your monthly income?"), "{}", answer.text);
    // A question of its own is understood behind the notice.
    let answer = client.ask("60000").await;
    assert!(answer.text.ends_with("How much do you pay for existing loans each month?"), "{}", answer.text);
}

#[tokio::test]
async fn rules_go_on_where_a_model_broke_off_after_its_call() {
    let faults = [Fault::None, "status:503".parse().unwrap()];
    let upstream = upstream(Options { faults: faults.to_vec(), rate: 0.0, ..Options::default() }).await;
    let setup = Setup::with_upstream(&upstream.url).set("RIVULET_LLM_RETRIES", "0");
    let gateway = offering(setup).start().await;
    let mut client = open(&gateway).await;
    let answer = client.ask(r#"say "Let me see." and call emi {"principal":500000,"months":36}"#).await;
    assert_eq!(answer.status(), "complete");
    assert!(answer.text.starts_with("Let me see.\n\nThe language model cannot be reached."), "{}", answer.text);
    assert!(answer.text.contains("16,251.22 a month"), "{}", answer.text);
    let (status, told) = gateway.get("/metrics").await;
    assert!(status == 200 && told.as_str().unwrap().contains(r#"tool_calls_total{tool="emi",status="ok"} 1"#));
}

/// The blocks of TOML below a heading of docs/assistants.md.
fn documented(heading: &str) -> Vec<String> {
    let manual = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/assistants.md")).unwrap();
    let section = manual.split(&format!("\n## {heading}\n")).nth(1).expect("the heading");
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```toml\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.map(|block| block.lines().map(|line| line.trim_start().to_owned() + "\n").collect()).collect()
}

#[tokio::test]
async fn the_assistant_of_the_manual_does_what_the_manual_says() {
    let setup = Setup::bare();
    let folder = setup.data.path().join("assistants");
    fs::create_dir_all(&folder).unwrap();
    let blocks = documented("One more, in ten minutes");
    let [assistant, rules, dialogue] = &*blocks else { panic!("{blocks:?}") };
    fs::write(folder.join("tip.toml"), assistant).unwrap();
    fs::write(folder.join("tip.rules.toml"), rules).unwrap();
    let held = setup.data.path().join("tip-dialogue.toml");
    fs::write(&held, dialogue).unwrap();
    let gateway = setup.start().await;
    let (is_as_expected, told) = rehearse(&gateway, &held).await;
    assert!(is_as_expected, "{told}");
}

#[tokio::test]
async fn an_operator_is_told_of_rules_that_cannot_be() {
    let setup = Setup::bare();
    let folder = setup.data.path().join("assistants");
    fs::create_dir_all(&folder).unwrap();
    for name in ["loan.toml", "loan.md", "loan-letter.txt"] {
        fs::copy(shipped().join(name), folder.join(name)).unwrap();
    }
    let rules = fs::read_to_string(shipped().join("loan.rules.toml")).unwrap();
    fs::write(folder.join("loan.rules.toml"), rules.replace("{emi:money}", "{emo:money}")).unwrap();
    let output = setup.output(&["check"]).await;
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && told.contains("loan.rules.toml:") && told.contains("`emo`"), "{told}");
    fs::write(folder.join("loan.rules.toml"), rules).unwrap();
    let output = setup.output(&["check"]).await;
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("loan: ") && told.contains(", rules for 4 intents"), "{told}");
}
