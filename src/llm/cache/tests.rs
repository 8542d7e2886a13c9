//! What is the same question, what is kept, and how it is told again.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::{future, stream};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::{
    chat::{Author, Owner, SessionId, Usage},
    llm::{
        Answered, Call, Choice, Failover, Parameters, PromptMessage, Sharing, ToolOffer, ToolSpec,
        breaker::BreakerState,
    },
};
use crate::{knowledge::Passage, telemetry::spans::RunSpan};

/// Says always the same, and counts how often it was asked.
#[derive(Debug)]
struct Scripted {
    events: Vec<Result<ModelEvent, ModelError>>,
    asked: AtomicUsize,
}

impl ChatModel for Scripted {
    fn name(&self) -> Arc<str> {
        "first".into()
    }

    fn stream(&self, _: ChatRequest) -> ModelStream {
        self.asked.fetch_add(1, Ordering::Relaxed);
        stream::iter(self.events.clone()).boxed()
    }

    fn targets(&self) -> Vec<TargetReport> {
        let target = |name: &str, model: &str| TargetReport {
            name: name.to_owned(),
            model: model.to_owned(),
            takes_tools: true,
            breaker: BreakerState::Closed,
            open_for: None,
            failures: 0,
            last_failure: None,
            tokens_left: None,
            requests_left: None,
        };
        vec![target("a", "first"), target("b", "second")]
    }
}

fn by(model: &str) -> ModelEvent {
    ModelEvent::By(Author::new(model))
}

fn text(text: &str) -> ModelEvent {
    ModelEvent::Text(text.to_owned())
}

const STOP: ModelEvent = ModelEvent::Finish(FinishReason::Stop);
const COST: ModelEvent = ModelEvent::Usage(Usage { input: 3, output: 2, estimated: false });

fn cached(events: Vec<Result<ModelEvent, ModelError>>) -> (Cached, Arc<Scripted>) {
    let model = Arc::new(Scripted { events, asked: AtomicUsize::new(0) });
    let rule = CacheRule { ttl: Duration::from_secs(900), entries: 10, shared: false };
    (Cached::new(model.clone(), rule), model)
}

fn request() -> ChatRequest {
    let message = PromptMessage::new(PromptRole::User, "Why?");
    ChatRequest {
        tools: ToolOffer::default(),
        prompt: [message].into(),
        question: "Why?".into(),
        passages: [].into(),
        knowledge: KnowledgeUse::Searched,
        max_output_tokens: 100,
        parameters: Arc::default(),
        choice: Choice::default(),
        may_withdraw: true,
        asker: Some(Owner::new("north/ann")),
        sharing: Sharing { session: None, may_keep: true, is_anew: false },
        span: RunSpan::default(),
    }
}

async fn ask(model: &Cached, request: ChatRequest) -> Vec<ModelEvent> {
    model.stream(request).filter_map(|event| future::ready(event.ok())).collect().await
}

/// How often the model is asked when the same is asked twice.
async fn asked_twice(events: Vec<ModelEvent>, request: ChatRequest) -> usize {
    let (cached, model) = cached(events.into_iter().map(Ok).collect());
    ask(&cached, request.clone()).await;
    ask(&cached, request).await;
    model.asked.load(Ordering::Relaxed)
}

#[tokio::test]
async fn a_known_answer_is_told_in_pieces_with_its_author_and_its_cost() {
    let said = "A rivulet is a very small stream. It begins at a spring, and it ends in a river.";
    let (cached, model) = cached([by("second"), text(said), STOP, COST].map(Ok).into());
    let first = ask(&cached, request()).await;
    assert_eq!(first, [by("second"), text(said), STOP, COST]);
    let second = ask(&cached, request()).await;
    assert_eq!(second[..2], [ModelEvent::Free(true), by("second")]);
    let pieces: Vec<_> = second[2..second.len() - 2].iter().map(|event| format!("{event:?}")).collect();
    assert_eq!(
        pieces,
        [text("A rivulet is a very small "), text("stream. It begins at a spring, "), text("and it ends in a river."),]
            .map(|event| format!("{event:?}"))
    );
    assert_eq!(second[second.len() - 2..], [STOP, COST]);
    assert_eq!(model.asked.load(Ordering::Relaxed), 1);
    let report = cached.caches()[0];
    assert_eq!((report.hits, report.joined, report.misses, report.entries), (1, 0, 1, 1));
}

#[tokio::test]
async fn only_what_is_good_for_everybody_is_kept() {
    let answer = |events: &[ModelEvent]| events.to_vec();
    let failover =
        ModelEvent::Failover(Failover { keep: 0, from: "a".to_owned(), to: "b".to_owned(), reason: "truncated" });
    assert_eq!(asked_twice(answer(&[by("second"), ModelEvent::Thinking(2), text("Yes."), STOP]), request()).await, 1);
    for (why, events) in [
        ("who stood in", answer(&[by("extractive"), text("Yes."), STOP])),
        ("two authors", answer(&[by("first"), text("Ye"), failover, by("second"), text("Yes."), STOP])),
        ("cut", answer(&[by("first"), text("Yes."), ModelEvent::Finish(FinishReason::Length)])),
        ("filtered", answer(&[by("first"), text("Yes."), ModelEvent::Finish(FinishReason::Filtered)])),
        ("without an end", answer(&[by("first"), text("Yes.")])),
        ("without text", answer(&[by("first"), STOP])),
        ("too long", answer(&[by("first"), text(&"x".repeat(flight::MAX_SHARED_BYTES + 1)), STOP])),
    ] {
        assert_eq!(asked_twice(events, request()).await, 2, "{why}");
    }
    let good = || answer(&[by("first"), text("Yes."), STOP]);
    for knowledge in [KnowledgeUse::Loading, KnowledgeUse::Unavailable] {
        assert_eq!(asked_twice(good(), ChatRequest { knowledge, ..request() }).await, 2, "{knowledge:?}");
    }
    let unknown = ChatRequest { sharing: Sharing::default(), ..request() };
    assert_eq!(
        asked_twice(good(), unknown).await,
        2,
        "not for others, or a state of the knowledge that cannot be told"
    );
    let tool =
        ToolSpec { name: "time".to_owned(), description: String::new(), parameters: Value::Null, is_strict: false };
    let offered = ToolOffer { tools: [tool].into(), ..ToolOffer::default() };
    assert_eq!(asked_twice(good(), ChatRequest { tools: offered, ..request() }).await, 2, "tools");
    let call = Call { name: "time".to_owned(), arguments: Value::Null };
    let calls = vec![Answered { call, result: "noon".to_owned() }];
    let prompt = [PromptMessage { calls, ..PromptMessage::new(PromptRole::Assistant, "") }];
    assert_eq!(asked_twice(good(), ChatRequest { prompt: prompt.into(), ..request() }).await, 2, "what came of them");
    let failed =
        [Ok(by("first")), Ok(text("Yes.")), Err(ModelError::Truncated { target: "a".into(), detail: "".into() })];
    let (cached, model) = cached(failed.into());
    ask(&cached, request()).await;
    ask(&cached, request()).await;
    assert_eq!(model.asked.load(Ordering::Relaxed), 2, "failed");
    assert!(cached.0.flights.lock().is_empty());
}

#[tokio::test]
async fn whatever_makes_a_question_another_one_counts() {
    let (cached, model) = cached([by("first"), text("Yes."), STOP].map(Ok).into());
    let of = |name: &str| Some(Owner::new(name));
    let session = |id: &str| Sharing { session: SessionId::parse(id).ok(), ..request().sharing };
    let message = |role, content: &str| PromptMessage::new(role, content);
    let others = [
        request(),
        ChatRequest { asker: of("north/bob"), ..request() },
        ChatRequest { asker: of("south/ann"), ..request() },
        ChatRequest { asker: None, sharing: session("one"), ..request() },
        ChatRequest { asker: None, sharing: session("two"), ..request() },
        ChatRequest { max_output_tokens: 99, ..request() },
        ChatRequest { parameters: Arc::new(Parameters { seed: Some(1), ..Parameters::default() }), ..request() },
        ChatRequest { prompt: [message(PromptRole::System, "Why?")].into(), ..request() },
        ChatRequest { prompt: [message(PromptRole::User, "Wh"), message(PromptRole::User, "y?")].into(), ..request() },
    ];
    for (at, other) in others.iter().enumerate() {
        ask(&cached, other.clone()).await;
        assert_eq!(model.asked.load(Ordering::Relaxed), at + 1);
    }
    for known in others {
        ask(&cached, known).await;
    }
    let elsewhere = ChatRequest { may_withdraw: false, ..request() };
    ask(&cached, elsewhere).await;
    ask(&cached, ChatRequest { sharing: session("one"), ..request() }).await;
    assert_eq!(model.asked.load(Ordering::Relaxed), 9, "a known answer withdraws nothing, and a user has sessions");
}

/// Answers from the question and the passages themselves.
#[derive(Debug, Default)]
struct Reading(AtomicUsize);

impl ChatModel for Reading {
    fn name(&self) -> Arc<str> {
        "extractive".into()
    }

    fn stream(&self, _: ChatRequest) -> ModelStream {
        self.0.fetch_add(1, Ordering::Relaxed);
        stream::iter([by("extractive"), text("Yes."), STOP].map(Ok)).boxed()
    }
}

#[tokio::test]
async fn of_who_reads_passages_the_question_and_how_they_fit_count_too() {
    let model = Arc::new(Reading::default());
    let rule = CacheRule { ttl: Duration::from_secs(900), entries: 10, shared: false };
    let cached = Cached::new(model.clone(), rule);
    let passage = |score| Passage { score, ..Passage::sample("Why", None, "Because.") };
    let with = |score| ChatRequest { passages: [passage(score)].into(), ..request() };
    let others = [request(), ChatRequest { question: "y?".into(), ..request() }, with(0.5), with(0.6)];
    for (at, other) in others.iter().enumerate() {
        ask(&cached, other.clone()).await;
        assert_eq!(model.0.load(Ordering::Relaxed), at + 1);
    }
    for known in others {
        ask(&cached, known).await;
    }
    assert_eq!(model.0.load(Ordering::Relaxed), 4);

    let (cached, model) = super::tests::cached([by("first"), text("Yes."), STOP].map(Ok).into());
    for score in [0.5, 0.6] {
        ask(&cached, with(score)).await;
    }
    assert_eq!(model.asked.load(Ordering::Relaxed), 1, "who is given the prompt alone answers the same");
}

#[tokio::test]
async fn strangers_share_nothing_and_users_of_a_tenant_what_they_are_let() {
    let (cached, model) = cached([by("first"), text("Yes."), STOP].map(Ok).into());
    let stranger = || ChatRequest { asker: None, ..request() };
    for _ in 0..2 {
        ask(&cached, stranger()).await;
    }
    assert_eq!((model.asked.load(Ordering::Relaxed), cached.caches()[0].passed), (2, 2), "of no session");

    let rule = CacheRule { shared: true, ..cached.0.rule };
    let shared = Cached::new(model.clone(), rule);
    let (bob, eve) = (Some(Owner::new("north/bob")), Some(Owner::new("south/eve")));
    for (asker, asked) in [(request().asker, 3), (bob, 3), (eve, 4), (None, 5), (None, 5)] {
        ask(&shared, ChatRequest { asker, ..request() }).await;
        assert_eq!(model.asked.load(Ordering::Relaxed), asked);
    }
}

/// Says nothing until it is let.
#[derive(Debug, Default)]
struct Held(tokio::sync::Notify, AtomicUsize);

impl ChatModel for Arc<Held> {
    fn name(&self) -> Arc<str> {
        "first".into()
    }

    fn stream(&self, _: ChatRequest) -> ModelStream {
        self.1.fetch_add(1, Ordering::Relaxed);
        let held = Arc::clone(self);
        let said = stream::iter([by("first"), text("Yes."), STOP].map(Ok));
        future::lazy(|_| ())
            .then(move |()| async move { held.0.notified().await })
            .map(|()| said)
            .flatten_stream()
            .boxed()
    }
}

#[tokio::test]
async fn an_answer_on_its_way_is_joined_by_its_own_circle_alone_and_free_for_who_joins() {
    let held = Arc::<Held>::default();
    let rule = CacheRule { ttl: Duration::from_secs(900), entries: 10, shared: false };
    let cached = Cached::new(Arc::new(held.clone()), rule);
    let mut first = cached.stream(request());
    let mut second = cached.stream(request());
    let mut other = cached.stream(ChatRequest { asker: Some(Owner::new("north/bob")), ..request() });
    assert!(futures_util::poll!(first.next()).is_pending() && futures_util::poll!(other.next()).is_pending());
    assert_eq!(second.next().await.unwrap().unwrap(), ModelEvent::Free(true));
    assert!(futures_util::poll!(second.next()).is_pending());
    assert_eq!(held.1.load(Ordering::Relaxed), 2, "for one and the other");
    drop(first);
    assert_eq!(second.next().await.unwrap().unwrap(), ModelEvent::Free(false), "it goes on for this one alone");
    held.0.notify_waiters();
    held.0.notify_one();
    assert_eq!(second.next().await.unwrap().unwrap(), by("first"));
}

#[tokio::test]
async fn an_answer_anew_is_asked_for_and_takes_the_place_of_the_former() {
    let (cached, model) = cached([by("first"), text("Yes."), STOP].map(Ok).into());
    let anew = || ChatRequest { sharing: Sharing { is_anew: true, ..request().sharing }, ..request() };
    for _ in 0..2 {
        ask(&cached, anew()).await;
    }
    assert_eq!(model.asked.load(Ordering::Relaxed), 2);
    let known = ask(&cached, request()).await;
    assert_eq!(known[..2], [ModelEvent::Free(true), by("first")]);
    assert_eq!((cached.caches()[0].passed, cached.caches()[0].hits), (2, 1));
}

#[tokio::test]
async fn nothing_is_asked_before_the_stream_is_polled() {
    let (cached, model) = cached(Vec::new());
    drop(cached.stream(request()));
    assert_eq!((model.asked.load(Ordering::Relaxed), cached.caches()[0].misses), (0, 0));
}

proptest! {
    #[test]
    fn pieces_make_the_whole(text in "\\PC{0,200}") {
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(piece(rest));
            prop_assert!((1..=PIECE_BYTES).contains(&now.len()));
            rest = later;
        }
    }
}
