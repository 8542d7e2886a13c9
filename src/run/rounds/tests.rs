//! Whatever a model says and calls: each call has one result, text is exact, nothing before a call is withdrawn.

use std::collections::{BTreeMap, VecDeque};

use futures_util::stream;
use parking_lot::Mutex;
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use super::{super::round::BREAK, *};
use crate::{
    chat::{Author, CallId, Status, ToolStatus, Usage, byte_of, utf16_len},
    config::{Assistant, BuiltIn, KnowledgeMode, Tool, Tools},
    knowledge::NoKnowledge,
    llm::{Call, Failover, FinishReason, ModelError, ModelEvent, ModelStream},
    run::{Retrieval, RunRequest, Runner},
};

/// What a model says in one round.
#[derive(Debug, Clone)]
struct Script {
    pieces: Vec<Piece>,
    end: End,
}

#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    /// Another model takes over behind so many units, or what there is.
    Failover(u64),
    Thinking,
}

#[derive(Debug, Clone)]
enum End {
    Calls(Vec<Call>),
    Finish(FinishReason),
    Fails,
}

/// Says what it is told to, and notes what it was asked.
#[derive(Debug)]
struct Scripted {
    is_stubborn: bool,
    rounds: Mutex<VecDeque<Script>>,
    asked: Mutex<Vec<ChatRequest>>,
}

impl ChatModel for Scripted {
    fn name(&self) -> Arc<str> {
        "scripted".into()
    }

    fn stream(&self, request: ChatRequest) -> ModelStream {
        // A server that does not pass on that nothing shall be called; what nobody offers is no call anywhere.
        let may_call =
            !request.tools.tools.is_empty() && (request.tools.choice == ToolChoice::Auto || self.is_stubborn);
        self.asked.lock().push(request);
        let closing = Script { pieces: vec![Piece::Text("So.".to_owned())], end: End::Finish(FinishReason::Stop) };
        let round = self.rounds.lock().pop_front().unwrap_or(closing);
        let mut events = vec![Ok(ModelEvent::By(Author::new("scripted")))];
        let mut said = String::new();
        for piece in round.pieces {
            match piece {
                Piece::Text(text) => {
                    said.push_str(&text);
                    events.push(Ok(ModelEvent::Text(text)));
                }
                Piece::Failover(keep) => {
                    let keep = keep.min(utf16_len(&said));
                    said.truncate(byte_of(&said, keep));
                    let keep = utf16_len(&said);
                    let (from, to) = ("a".to_owned(), "b".to_owned());
                    events.push(Ok(ModelEvent::Failover(Failover { keep, from, to, reason: "truncated" })));
                }
                Piece::Thinking => events.push(Ok(ModelEvent::Thinking(7))),
            }
        }
        match round.end {
            End::Calls(calls) if may_call => {
                events.push(Ok(ModelEvent::Calls(calls)));
                events.push(Ok(ModelEvent::Finish(FinishReason::Stop)));
            }
            End::Calls(_) => events.push(Ok(ModelEvent::Finish(FinishReason::Stop))),
            End::Finish(reason) => events.push(Ok(ModelEvent::Finish(reason))),
            End::Fails => events.push(Err(ModelError::Unavailable {
                target: "t".to_owned(),
                detail: "no".to_owned(),
                retry_after: None,
            })),
        }
        if !matches!(events.last(), Some(Err(_))) {
            events.push(Ok(ModelEvent::Usage(Usage { input: 10, output: 1, estimated: false })));
        }
        stream::iter(events).boxed()
    }
}

fn run(rounds: Vec<Script>, calling: Calling, is_stubborn: bool) -> (Arc<Scripted>, BoxStream<'static, RunEvent>) {
    let model = Arc::new(Scripted { is_stubborn, rounds: Mutex::new(rounds.into()), asked: Mutex::default() });
    let runner = Arc::new(Runner {
        retriever: Arc::new(NoKnowledge),
        model: model.clone(),
        retrieval: Retrieval { top_k: 5, min_score: 0.0, rewrite: false },
        max_output_tokens: 1024,
        line: Arc::default(),
        budgets: Arc::default(),
        rates: Arc::default(),
        assistants: Arc::default(),
        artifacts: Arc::default(),
        tools: Arc::default(),
    });
    let mut assistant = Assistant::plain();
    assistant.knowledge.mode = KnowledgeMode::Off;
    assistant.tools = Tools { calling, offered: vec![Tool::BuiltIn(BuiltIn::Calc)] };
    (model, runner.start(RunRequest::new(Arc::new(assistant), "How much?", Vec::new(), None)))
}

fn calls(expression: &Value) -> Call {
    Call { name: "calc".to_owned(), arguments: json!({ "expression": expression }) }
}

/// What everybody who hears of a run must find.
#[derive(Debug, Default)]
struct Heard {
    text: String,
    calls: BTreeMap<CallId, ToolStatus>,
    summaries: Vec<String>,
    last_call: u64,
    end: Option<Outcome>,
}

impl Heard {
    fn hear(&mut self, event: RunEvent) {
        assert!(self.end.is_none(), "nothing follows the end");
        match event {
            RunEvent::Text(text) => self.text.push_str(&text),
            RunEvent::Failover(failover) => {
                assert!(failover.keep >= self.last_call, "text before a call is not withdrawn");
                assert!(failover.keep <= utf16_len(&self.text));
                self.text.truncate(byte_of(&self.text, failover.keep));
            }
            RunEvent::ToolCall(call) => {
                assert_eq!(call.off, utf16_len(&self.text));
                self.last_call = call.off;
                assert_eq!(self.calls.insert(call.call, ToolStatus::Running), None);
            }
            RunEvent::ToolResult(call, outcome) => {
                assert_ne!(outcome.status, ToolStatus::Running);
                assert_eq!(self.calls.insert(call, outcome.status), Some(ToolStatus::Running));
                self.summaries.push(outcome.summary);
            }
            RunEvent::End(outcome) => {
                assert!(self.calls.values().all(|status| *status != ToolStatus::Running), "a result for each call");
                self.end = Some(outcome);
            }
            RunEvent::Called(_) => panic!("the caller has no tools"),
            RunEvent::Doing(_)
            | RunEvent::Remembered(_)
            | RunEvent::Retrieved { .. }
            | RunEvent::Sources(_)
            | RunEvent::Asked(_)
            | RunEvent::Keep
            | RunEvent::By(_) => {}
        }
    }
}

fn round() -> impl Strategy<Value = Script> {
    let piece = prop_oneof![
        4 => "[a-zä😀 ]{1,8}".prop_map(Piece::Text),
        1 => (0..20u64).prop_map(Piece::Failover),
        1 => Just(Piece::Thinking),
    ];
    let call = prop_oneof![
        4 => (0..4u32).prop_map(|n| calls(&json!(format!("1 + {n}")))),
        1 => Just(calls(&json!("1 /"))),
        1 => Just(calls(&json!([]))),
        1 => Just(Call { name: "transfer_money".to_owned(), arguments: json!("not even {}") }),
    ];
    let end = prop_oneof![
        6 => vec(call, 1..6).prop_map(End::Calls),
        2 => Just(End::Finish(FinishReason::Stop)),
        1 => Just(End::Finish(FinishReason::Length)),
        1 => Just(End::Fails),
    ];
    (vec(piece, 0..6), end).prop_map(|(pieces, end)| Script { pieces, end })
}

/// The text that all rounds together come to, when so many of them are asked for.
fn text_of(rounds: &[Script], asked: usize) -> String {
    let mut whole = String::new();
    for round in rounds.iter().take(asked) {
        let (before, mut said, mut is_apart) = (whole.clone(), String::new(), false);
        for piece in &round.pieces {
            match piece {
                Piece::Text(text) => {
                    said.push_str(text);
                    is_apart = true;
                }
                Piece::Failover(keep) => said.truncate(byte_of(&said, *keep)),
                Piece::Thinking => {}
            }
        }
        whole = if is_apart && !before.is_empty() { format!("{before}{BREAK}{said}") } else { before + &said };
    }
    if asked > rounds.len() {
        whole = if whole.is_empty() { "So.".to_owned() } else { format!("{whole}{BREAK}So.") };
    }
    whole
}

proptest! {
    #[test]
    fn an_answer_in_rounds_is_whole(rounds in vec(round(), 0..8), most in 1..5u32, most_calls in 1..9u32, stops in prop::option::of(0..30usize), is_stubborn: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let calling = Calling { max_rounds: most, max_calls: most_calls, ..Calling::default() };
        let (model, mut events) = run(rounds.clone(), calling, is_stubborn);
        let mut heard = Heard::default();
        runtime.block_on(async {
            let mut steps = 0;
            while let Some(event) = events.next().await {
                heard.hear(event);
                steps += 1;
                if stops.is_some_and(|stops| steps > stops) {
                    return;
                }
            }
        });
        let asked = model.asked.lock();
        prop_assert!(asked.len() <= most as usize + usize::from(is_stubborn));
        for (n, request) in asked.iter().enumerate() {
            let is_last = n + 1 >= most as usize;
            prop_assert!(!is_last || request.tools.choice == ToolChoice::Nothing || request.tools.tools.is_empty(), "the last goes without tools");
            let answered: Vec<_> = request.prompt.iter().flat_map(|message| &message.calls).collect();
            prop_assert_eq!(request.prompt.iter().filter(|message| !message.calls.is_empty()).count(), n);
            prop_assert!(answered.iter().all(|one| !one.result.is_empty()));
        }
        let Some(end) = heard.end else {
            prop_assert!(stops.is_some(), "it says how it ends");
            return Ok(());
        };
        prop_assert_eq!(&heard.text, &text_of(&rounds, asked.len()));
        let run = heard.calls.values().filter(|status| matches!(status, ToolStatus::Ok)).count();
        prop_assert!(run <= most_calls as usize);
        match rounds.get(asked.len() - 1).map(|round| &round.end) {
            Some(End::Fails) => prop_assert!(end.error.is_some()),
            Some(End::Finish(FinishReason::Length)) => prop_assert_eq!(end.status, Status::Length),
            _ => prop_assert_eq!(end.status, Status::Complete),
        }
        if end.error.is_none() {
            let input = 10 * u32::try_from(asked.len()).unwrap();
            prop_assert_eq!(end.usage.map(|usage| usage.input), Some(input), "every round is paid for");
        }
    }
}

async fn heard(rounds: Vec<Script>) -> (Arc<Scripted>, Heard) {
    let (model, mut events) = run(rounds, Calling::default(), false);
    let mut heard = Heard::default();
    while let Some(event) = events.next().await {
        heard.hear(event);
    }
    (model, heard)
}

fn asks(expressions: &[&str]) -> Script {
    Script { pieces: Vec::new(), end: End::Calls(expressions.iter().map(|one| calls(&json!(one))).collect()) }
}

#[tokio::test]
async fn a_model_is_told_what_its_calls_came_to() {
    let (model, heard) = heard(vec![asks(&["6 * 7", "1 / 0"])]).await;
    assert_eq!(heard.text, "So.");
    let asked = model.asked.lock();
    let calls = &asked[1].prompt.last().unwrap().calls;
    let results: Vec<Value> = calls.iter().map(|one| serde_json::from_str(&one.result).unwrap()).collect();
    assert!(results[0].to_string().contains("42"), "{results:?}");
    assert!(results[1]["error"].is_string(), "{results:?}");
    let system = &asked[0].prompt[0].content;
    assert!(system.contains("call it"), "{system}");
}

#[tokio::test]
async fn the_same_call_is_not_run_for_ever() {
    let (model, heard) = heard((0..4).map(|_| asks(&["6 * 7"])).collect()).await;
    assert_eq!(heard.calls.len(), 4);
    let asked = model.asked.lock();
    let result = |round: usize| asked[round].prompt.last().unwrap().calls[0].result.clone();
    assert_eq!(result(1), result(2));
    assert!(result(3).starts_with(&result(1)) && result(3).contains("not run again"), "{}", result(3));
}

#[tokio::test]
async fn a_call_of_what_is_not_there_is_told_and_the_answer_goes_on() {
    let unknown = Call { name: "transfer\u{202e}_money".to_owned(), arguments: json!({}) };
    let (_, heard) = heard(vec![Script { pieces: Vec::new(), end: End::Calls(vec![unknown]) }]).await;
    assert_eq!(heard.calls.into_values().collect::<Vec<_>>(), [ToolStatus::Error]);
    assert!(
        heard.summaries[0].contains("no tool") && !heard.summaries[0].contains('\u{202e}'),
        "{:?}",
        heard.summaries
    );
    assert_eq!(heard.end.unwrap().status, Status::Complete);
}
