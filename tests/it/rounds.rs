//! Whatever happens to an answer that calls tools (stops, cuts, kill -9, decisions, models that write calls oddly or break off):
//! each call has one result, what has an effect is done at most once and never without leave, numbers have no gaps, and all
//! see the same text. `Client` insists on the rules of the protocol in every frame.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
};

use rand::{RngExt, SeedableRng, rngs::SmallRng};
use rivulet::mock_llm::{Fault, Options};
use serde_json::{Value, json};

use crate::{
    approvals::{Office, decision, writing},
    harness::{Client, Setup, TestGateway, Upstream, upstream},
};

const QUESTIONS: [&str; 6] = [
    "What is a rivulet?",
    r#"say "One moment. " and call calc {"expression":"1 + 1"} and call calc {"expression":"2 + 2"} then say "That is it.""#,
    r#"call calc {"expression":"1 / 0"} then call nothing_like_it {} then say "Well.""#,
    r#"say "I can write it." and call letter {"name":"Asha Rao","amount":500000} then say "There it is.""#,
    r#"call calc {"expression":"3 * 3"} and call letter {"name":"Bo","amount":1} and call letter {"name":"Cy","amount":2}"#,
    r#"call letter {"name":"nobody"} then call letter {"name":"Di","amount":7} then say "Written.""#,
];
/// What models' servers do. The last one holds for all that follow, so that answers come to an end.
const FAULTS: [&str; 14] = [
    "none",
    "none",
    "cut:2",
    "cut:0",
    "end:1",
    "status:500",
    "tools-index-zero",
    "tools-no-index",
    "tools-one-delta",
    "tools-args-object",
    "tools-args-repeat",
    "tools-id-changes",
    "tools-finish-stop",
    "tools-unknown",
];

#[derive(Debug, Clone, Copy)]
enum Trouble {
    Nothing,
    Stop,
    Cut,
    Kill,
}

/// A conversation in which things go wrong.
struct World {
    random: SmallRng,
    gateway: Option<TestGateway>,
    client: Option<Client>,
    /// Whether anything was acknowledged. Before that, a conversation may be gone after kill -9.
    is_kept: bool,
    /// What was done, for whoever reads of a failure.
    done: Vec<String>,
}

impl World {
    fn gateway(&self) -> &TestGateway {
        self.gateway.as_ref().unwrap()
    }

    fn trouble(&mut self) -> Trouble {
        [Trouble::Nothing, Trouble::Nothing, Trouble::Stop, Trouble::Cut, Trouble::Kill][self.random.random_range(0..5)]
    }

    /// Says or decides something, whatever comes in between, until the answer to it has ended. Said again, it is the same.
    async fn settle(&mut self, frame: &Value) {
        let mut trouble = self.trouble();
        let mut calm: usize = self.random.random_range(0..9);
        self.done.push(format!("{frame} {trouble:?} after {calm}"));
        loop {
            let mut client = self.client.take().unwrap();
            let mut run = None::<String>;
            let mut is_open = client.try_tell(frame).await.is_some();
            while is_open {
                let is_over = client.memory.live.is_none();
                if run.as_ref().is_some_and(|run| is_over && client.memory.texts.contains_key(run)) {
                    self.client = Some(client);
                    return;
                }
                if calm == 0 {
                    match std::mem::replace(&mut trouble, Trouble::Nothing) {
                        Trouble::Nothing => {}
                        Trouble::Stop => {
                            is_open = client.try_tell(&json!({"type": "stop", "id": "stop"})).await.is_some()
                        }
                        Trouble::Cut => break,
                        Trouble::Kill => {
                            let gateway = self.gateway.take().unwrap();
                            self.gateway = Some(gateway.kill().await.start().await);
                            break;
                        }
                    }
                }
                calm = calm.wrapping_sub(1); // Once is enough.
                match client.try_frame().await {
                    Some(frame) if frame["type"] == "ack" => {
                        run = frame["run"].as_str().map(str::to_owned);
                        self.is_kept = true;
                    }
                    Some(frame) if frame["type"] == "error" => {
                        assert_eq!(frame["code"], "run_not_active", "{frame}: {:?}", self.done);
                    }
                    Some(_) => {}
                    None => is_open = false,
                }
            }
            let session = client.session();
            let mut memory = client.cut();
            self.client = loop {
                match Client::try_resume(&self.gateway().socket(&session), memory).await {
                    Ok(client) => break Some(client),
                    Err(_) if !self.is_kept => break Some(begin(self.gateway()).await),
                    Err(kept) => memory = kept,
                }
            };
        }
    }

    /// The conversation as whoever opens it sees it.
    async fn shown(&self) -> Vec<Value> {
        let session = self.client.as_ref().unwrap().session();
        let mut other = Client::connect(&self.gateway().socket(&session)).await;
        other.until("snapshot").await["messages"].as_array().unwrap().clone()
    }
}

/// Two model's servers, of which the second stands in for the first, with faults of their own.
async fn models(random: &mut SmallRng) -> [Upstream; 2] {
    let mut one = async || {
        let faults: Vec<Fault> = (0..random.random_range(0..4))
            .map(|_| FAULTS[random.random_range(0..FAULTS.len())])
            .chain(["none"])
            .map(|name| name.parse().unwrap())
            .collect();
        upstream(Options { faults, rate: 400.0, ..Options::default() }).await
    };
    [one().await, one().await]
}

/// What a model was told: each call stands before its one result.
fn whole(asked: &Value) {
    let mut waiting = HashSet::new();
    for message in asked["messages"].as_array().unwrap() {
        if message["role"] == "tool" {
            assert!(waiting.remove(message["tool_call_id"].as_str().unwrap()), "a result of no call: {asked}");
            continue;
        }
        assert!(waiting.is_empty(), "a call without a result: {asked}");
        let calls = message["tool_calls"].as_array().into_iter().flatten();
        waiting.extend(calls.map(|call| call["id"].as_str().unwrap().to_owned()));
    }
    assert!(waiting.is_empty(), "a call without a result: {asked}");
}

async fn begin(gateway: &TestGateway) -> Client {
    Client::connect(&format!("{}?assistant=loan", gateway.socket(""))).await
}

/// What became of the answers, and how many letters were written.
async fn play(seed: u64) -> (BTreeMap<String, usize>, usize) {
    let mut random = SmallRng::seed_from_u64(seed);
    let (upstreams, office) = (models(&mut random).await, Office::open().await);
    let setup = Setup::bare();
    let targets = ["a", "b"].iter().zip(&upstreams);
    let targets: String = targets
        .map(|(name, one)| format!("[[llm.targets]]\nname = \"{name}\"\nbase_url = \"{}\"\nmodel = \"m\"\n", one.url))
        .collect();
    fs::write(setup.data.path().join("rivulet.toml"), targets).unwrap();
    let gateway = writing(setup, &office, "").start().await;
    let client = Some(begin(&gateway).await);
    let done = vec![format!("seed {seed}")];
    let mut world = World { random, gateway: Some(gateway), client, is_kept: false, done };
    let mut allowed = 0;
    for number in 0..5 {
        let question = QUESTIONS[world.random.random_range(0..QUESTIONS.len())];
        world.settle(&json!({"type": "send", "id": format!("q{number}"), "text": question})).await;
        let last = world.shown().await.pop().unwrap();
        let mut waiting = last["tools"].as_array().into_iter().flatten().filter(|used| used["status"] == "waiting");
        let Some(used) = waiting.next() else { continue };
        assert!(waiting.next().is_none() && last["status"] == "awaiting_approval", "{last}");
        let said = ["approved", "approved", "denied", "nothing"][world.random.random_range(0..4)];
        if said != "nothing" {
            allowed += usize::from(said == "approved");
            let mut frame = decision(&used["approval"], said);
            frame["id"] = json!(format!("d{number}"));
            world.settle(&frame).await;
        }
    }

    let done = &world.done;
    let messages = world.shown().await;
    let mut statuses = BTreeMap::<String, usize>::new();
    for message in messages.iter().filter(|message| message["role"] == "assistant") {
        *statuses.entry(message["status"].as_str().unwrap().to_owned()).or_default() += 1;
        for used in message["tools"].as_array().into_iter().flatten() {
            assert_ne!(used["status"], "running", "{done:?}");
        }
        // Whoever was there from the beginning has the same text.
        let texts = &world.client.as_ref().unwrap().memory.texts;
        if let Some(text) = texts.get(message["run"].as_str().unwrap()) {
            assert_eq!(message["text"], **text, "{done:?}");
        }
    }
    let known = ["complete", "stopped", "interrupted", "awaiting_approval", "error"];
    assert!(statuses.keys().all(|status| known.contains(&&**status)), "{statuses:?}: {done:?}");
    assert_eq!(messages.iter().filter(|message| message["role"] == "user").count(), 5, "{done:?}");
    let sent = office.sent.lock().clone();
    let keys: HashSet<&String> = sent.iter().map(|(key, _)| key).collect();
    assert!(sent.len() == keys.len() && sent.len() <= allowed, "{sent:?}, allowed {allowed}: {done:?}");
    for request in upstreams.iter().flat_map(|one| one.stats.requests()) {
        whole(&serde_json::from_slice(&request.body).unwrap());
    }
    (statuses, sent.len())
}

/// `RIVULET_TEST_SEEDS` plays more of them.
#[tokio::test]
async fn an_answer_with_tools_holds_whatever_happens_to_it() {
    let seeds = std::env::var("RIVULET_TEST_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(12);
    let (mut all, mut letters) = (BTreeMap::<String, usize>::new(), 0);
    for seed in 0..seeds {
        let (statuses, sent) = play(seed).await;
        letters += sent;
        statuses.into_iter().for_each(|(status, count)| *all.entry(status).or_default() += count);
    }
    let has = |status| all.get(status).is_some_and(|count| *count > 0);
    assert!(letters > 0 && has("complete") && has("interrupted") && has("awaiting_approval"), "{letters} {all:?}");
}
