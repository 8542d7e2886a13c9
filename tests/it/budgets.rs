//! What a user and a tenant may spend, and how many answers are written at once.

use std::time::Duration;

use futures_util::future::join_all;
use rivulet::mock_llm::{Fault, Options, Script};
use serde_json::{Value, json};

use crate::harness::{Client, Neighbour, Setup, TestGateway, Upstream, soon, upstream};

const SECRET: &str = "a secret of the tests with more than 32 characters";

/// About 100 tokens by the rule of four bytes.
fn long_answer() -> String {
    "word ".repeat(80)
}

async fn error(client: &mut Client) -> Value {
    loop {
        let frame = client.frame().await;
        if frame["type"] == "error" {
            return frame;
        }
    }
}

async fn saying(text: &str) -> Upstream {
    upstream(Options { script: Script::new(text), rate: 0.0, ..Options::default() }).await
}

async fn token(gateway: &TestGateway, tenant: &str, user: &str) -> String {
    let output = gateway.setup().output(&["token", "--tenant", tenant, "--user", user]).await;
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn a_spent_budget_ends_the_answer_and_refuses_the_next_also_after_a_restart() {
    let model = saying(&long_answer()).await;
    // The prompt has about 190 tokens.
    let setup = Setup::with_upstream(&model.url).set("RIVULET_LIMITS_TOKENS_PER_DAY", "220");
    let gateway = setup.start().await;
    let mut client = gateway.connect().await;
    let cut = client.ask("Why?").await;
    assert_eq!((cut.status(), &cut.done["error"]["code"]), ("incomplete", &json!("budget_exhausted")));
    assert!(cut.done["error"]["retry_in_ms"].as_u64() <= Some(86_400_000), "{}", cut.done);
    assert!(!cut.text.is_empty() && cut.text.len() < long_answer().len() && long_answer().starts_with(&cut.text));
    client.say("And now?").await;
    let refused = error(&mut client).await;
    assert_eq!((&refused["code"], &refused["retryable"]), (&json!("budget_exhausted"), &json!(true)));
    assert!((1..=86_400_000).contains(&refused["retry_in_ms"].as_u64().unwrap()), "{refused}");
    let (_, shown) = gateway.get(&format!("/api/v1/sessions/{}", client.session())).await;
    assert_eq!(shown["message_count"], 2, "the refused one is not stored");
    let (status, problem) = gateway.post("/api/v1/chat", json!({ "message": "Why?" })).await;
    assert_eq!((status, &problem["code"]), (429, &json!("budget_exhausted")));
    assert_eq!(model.stats.counts().requests, 1);
    assert!(gateway.metric("rate_limited_total{scope=\"tokens\"}").await >= 2.0);
    gateway.signal("TERM").await;
    let (mut gateway, session) = (gateway, client.session());
    assert_eq!(gateway.exit_code().await, Some(0));
    let gateway = gateway.setup().start().await;
    let mut client = Client::connect(&gateway.socket(&session)).await;
    client.tell(json!({ "message": "And tomorrow?" })).await;
    assert_eq!(error(&mut client).await["code"], "budget_exhausted", "the day is not over");
}

/// An answer over OpenAI's interface: its status and what it says.
async fn complete(gateway: &TestGateway, token: Option<&str>) -> (u16, Value) {
    let question = json!({"model": "m", "messages": [{"role": "user", "content": "Why?"}]});
    let request = reqwest::Client::new().post(gateway.url("/v1/chat/completions")).json(&question);
    TestGateway::answer(match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    })
    .await
}

#[tokio::test]
async fn answers_at_once_cannot_spend_one_budget_many_times() {
    let (model, gate) = Upstream::gated("One two three.", 1).await;
    // For two answers of 1,024 tokens, and their prompts of about 150; and for a part of a third.
    let setup = Setup::with_upstream(&model.url).set("RIVULET_LIMITS_TOKENS_PER_DAY", "3000");
    let setup = setup.set("RIVULET_AUTH_REQUIRED", "true").set("RIVULET_AUTH_JWT_SECRET", SECRET);
    let gateway = setup.start().await;
    let ben = token(&gateway, "t", "ben").await;
    let mut neighbour = Client::connect_as(&gateway.socket(""), &ben).await;
    neighbour.say("Why?").await;
    neighbour.deltas(1).await;
    let ann = token(&gateway, "t", "ann").await;
    let asking = join_all((0..30).map(|_| complete(&gateway, Some(&ann))));
    let opened = async {
        soon("the refusals", async { while gateway.metric("rate_limited_total{scope=\"tokens\"}").await < 27.0 {} })
            .await;
        gate.allow(2);
        neighbour.deltas(1).await;
        gate.open();
        assert_eq!(neighbour.answer().await.text, "One two three.");
    };
    let (answers, ()) = tokio::join!(asking, opened);
    let refused: Vec<_> = answers.iter().filter(|(status, _)| *status != 200).collect();
    assert_eq!((refused.len(), model.stats.counts().requests), (27, 1 + 3), "the neighbour's is the one");
    for (status, problem) in refused {
        assert_eq!((*status, &problem["error"]["code"]), (429, &json!("budget_exhausted")), "{problem}");
    }
    assert_eq!(complete(&gateway, Some(&ann)).await.0, 200, "what was only held back is free again");
}

#[tokio::test]
async fn reasoning_is_paid_for_also_by_who_stops_before_the_first_word() {
    let reasoning = json!({"choices": [{"delta": {"reasoning": "x".repeat(4000)}}]});
    let reasons = Fault::Raw { pieces: vec![format!("data: {reasoning}\n\n").into()], pause: Duration::from_secs(60) };
    // For a prompt of about 150, 1,000 tokens of reasoning, and another prompt.
    let setup = Setup::bare().set("RIVULET_LIMITS_TOKENS_PER_DAY", "1500");
    let setup = setup.set("RIVULET_AUTH_REQUIRED", "true").set("RIVULET_AUTH_JWT_SECRET", SECRET);
    let bens = async |gateway: &TestGateway| Some(token(gateway, "t", "ben").await);
    let (gateway, mut neighbour) = Neighbour::among(setup, bens, vec![reasons]).await;
    let mut client = Client::connect_as(&gateway.socket(""), &token(&gateway, "t", "ann").await).await;
    client.say("Why?").await;
    while client.until("run.phase").await["phase"] != "thinking" {}
    client.tell(json!({ "type": "stop" })).await;
    assert_eq!(client.until("run.done").await["status"], "stopped");
    neighbour.goes_on().await;
    client.say("Why not?").await;
    let ended = client.until("run.done").await;
    assert_eq!((&ended["status"], &ended["error"]["code"]), (&json!("error"), &json!("budget_exhausted")));
    client.say("And now?").await;
    assert_eq!(error(&mut client).await["code"], "budget_exhausted");
    neighbour.goes_on().await;
    assert_eq!(neighbour.model().counts().requests, 1 + 2, "the neighbour's is the one");
}

#[tokio::test]
async fn an_answer_that_never_came_costs_its_prompt_and_a_refusal_nothing() {
    let options = Options {
        script: Script::new("Yes."),
        rate: 0.0,
        faults: vec![Fault::Refuse, Fault::StallHeaders, Fault::None],
        ..Options::default()
    };
    let model = upstream(options).await;
    let setup = Setup::with_upstream(&model.url)
        .set("RIVULET_LLM_RETRIES", "0")
        .set("RIVULET_LLM_FIRST_TOKEN_S", "0.3")
        .set("RIVULET_LIMITS_TOKENS_PER_DAY", "250"); // For one prompt.
    let gateway = setup.start().await;
    let (status, _) = complete(&gateway, None).await;
    assert_eq!(status, 502);
    let (status, _) = complete(&gateway, None).await;
    assert_eq!(status, 504, "the refused one left room for this one");
    let (status, problem) = complete(&gateway, None).await;
    assert_eq!((status, &problem["error"]["code"]), (429, &json!("budget_exhausted")), "and this one for none");
    assert_eq!(model.stats.counts().requests, 2);
}

#[tokio::test]
async fn users_have_budgets_of_their_own_and_tenants_one_for_all() {
    let model = saying("Yes.").await;
    let setup = Setup::with_upstream(&model.url)
        .set("RIVULET_AUTH_REQUIRED", "true")
        .set("RIVULET_AUTH_JWT_SECRET", SECRET)
        .set("RIVULET_LIMITS_TOKENS_PER_DAY", "200")
        .set("RIVULET_LIMITS_TENANT_TOKENS_PER_DAY", "450");
    let gateway = setup.start().await;
    let mut codes = Vec::new();
    for (tenant, user) in [("a", "ann"), ("a", "ann"), ("a", "ben"), ("a", "cid"), ("a", "dan"), ("b", "ann")] {
        let token = token(&gateway, tenant, user).await;
        let mut client = Client::connect_as(&gateway.socket(""), &token).await;
        client.say("Is it so?").await;
        let end = loop {
            let frame = client.frame().await;
            match frame["type"].as_str() {
                Some("error") => break frame["code"].clone(),
                Some("run.done") if frame.get("error").is_some() => break frame["error"]["code"].clone(),
                Some("run.done") => break frame["status"].clone(),
                _ => {}
            }
        };
        codes.push(format!("{tenant}/{user} {}", end.as_str().unwrap()));
    }
    // An answer costs somewhat more than 200 tokens: the server counts the whole request.
    let expected = ["a/ann complete", "a/ann budget_exhausted", "a/ben complete"];
    assert_eq!(codes[..3], expected);
    assert_eq!(codes[3..], ["a/cid budget_exhausted", "a/dan budget_exhausted", "b/ann complete"], "the tenant's");
    assert_eq!(model.stats.counts().requests, 3);
}

#[tokio::test]
async fn answers_wait_in_line_and_are_told_where() {
    let (model, gate) = Upstream::gated("One two three.", 1).await;
    let gateway = Setup::with_upstream(&model.url)
        .set("RIVULET_LIMITS_RUNS", "1")
        .set("RIVULET_LIMITS_WAITING_RUNS", "2")
        .start()
        .await;
    let mut first = gateway.connect().await;
    first.say("A?").await;
    first.until("delta").await;
    let (mut second, mut third, mut fourth) =
        (gateway.connect().await, gateway.connect().await, gateway.connect().await);
    for (client, position) in [(&mut second, 1), (&mut third, 2)] {
        client.say("B?").await;
        let phase = client.until("run.phase").await;
        assert_eq!((&phase["phase"], &phase["position"]), (&json!("queued"), &json!(position)));
    }
    fourth.say("C?").await;
    assert_eq!(error(&mut fourth).await["code"], "queue_full");
    assert_eq!(gateway.metric("runs_waiting ").await, 2.0);
    assert_eq!(model.stats.counts().requests, 1);
    // Who leaves the line makes room in it.
    second.tell(json!({ "type": "stop" })).await;
    assert_eq!(second.until("run.done").await["status"], "stopped");
    let phase = third.until("run.phase").await;
    assert_eq!((&phase["phase"], &phase["position"]), (&json!("queued"), &json!(1)));
    gate.open();
    assert_eq!(first.answer().await.status(), "complete");
    let last = third.answer().await;
    assert_eq!((last.status(), last.text.as_str()), ("complete", "One two three."));
    assert!(last.done["timing"]["queue_ms"].as_u64().unwrap() > 0, "{}", last.done);
    assert_eq!(fourth.ask("Again?").await.status(), "complete");
    assert_eq!(gateway.metric("rate_limited_total{scope=\"waiting_runs\"}").await, 1.0);
    assert_eq!(gateway.metric("runs_waiting ").await, 0.0);
}

#[tokio::test]
async fn a_user_has_so_many_answers_at_once_and_others_have_theirs() {
    let setup = Setup::bare().set("RIVULET_AUTH_REQUIRED", "true").set("RIVULET_AUTH_JWT_SECRET", SECRET);
    let bens = async |gateway: &TestGateway| Some(token(gateway, "t", "ben").await);
    let (gateway, mut neighbour) = Neighbour::in_step(setup.set("RIVULET_LIMITS_RUNS_PER_USER", "1"), bens).await;
    let ann = token(&gateway, "t", "ann").await;
    let mut first = Client::connect_as(&gateway.socket(""), &ann).await;
    first.say("A?").await;
    first.until("delta").await;
    let mut second = Client::connect_as(&gateway.socket(""), &ann).await;
    second.say("B?").await;
    let phase = second.until("run.phase").await;
    assert_eq!((&phase["phase"], &phase["position"]), (&json!("queued"), &json!(1)));
    neighbour.goes_on().await;
    assert_eq!(neighbour.model().counts().requests, 2);
    neighbour.has_all().await;
    for client in [&mut first, &mut second] {
        assert_eq!(client.answer().await.status(), "complete");
    }
}
