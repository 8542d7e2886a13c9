//! What is saved of running answers: as much as was added, by one write at a time, whatever else waits for the store.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, future::join_all, poll, stream};
use rivulet::{
    chat::RunId,
    config::DEFAULT_ASSISTANT,
    hub::Hub,
    limits::Visitor,
    llm::{ChatModel, ChatRequest, Failover, ModelEvent, ModelStream},
    session::{NewMessage, SendError, SendMode, SessionHandle},
    store::{Scope, SessionStore},
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::harness::{Setup, Upstream, Wayward, hub, soon};

/// Says in all its answers what it is told, and never ends.
#[derive(Debug)]
struct Dictated(watch::Receiver<Vec<ModelEvent>>);

impl ChatModel for Dictated {
    fn name(&self) -> Arc<str> {
        "dictated".into()
    }

    fn stream(&self, _: ChatRequest) -> ModelStream {
        stream::unfold((self.0.clone(), 0), async |(mut script, said)| {
            let event = script.wait_for(|script| script.len() > said).await.ok()?[said].clone();
            Some((Ok(event), (script, said + 1)))
        })
        .boxed()
    }
}

/// Gives the models their words.
struct Script(watch::Sender<Vec<ModelEvent>>);

impl Script {
    fn new() -> (Self, Dictated) {
        let (script, said) = watch::channel(Vec::new());
        (Self(script), Dictated(said))
    }

    fn add(&self, event: ModelEvent) {
        self.0.send_modify(|script| script.push(event));
    }

    fn text(&self, text: &str) {
        self.add(ModelEvent::Text(text.to_owned()));
    }
}

/// Has the hub looked after until the test is over.
fn tended(hub: &Arc<Hub>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(hub.clone().tend(CancellationToken::new()));
    tasks
}

fn sessions(hub: &Hub, count: usize) -> Vec<SessionHandle> {
    (0..count).map(|_| hub.open(DEFAULT_ASSISTANT, None, false).unwrap()).collect()
}

async fn asked(session: &SessionHandle) -> Result<RunId, SendError> {
    let message = NewMessage {
        id: None,
        text: "go on".to_owned(),
        mode: SendMode::Reject,
        by: Visitor::at([127, 0, 0, 1].into()),
    };
    session.send(message).await.map(|receipt| receipt.run.unwrap())
}

/// Waits until the store has this of the session's newest answer.
async fn reads(store: &Wayward, session: &SessionHandle, text: &str) {
    soon(text, async {
        loop {
            let page = store.messages(session.id(), None, 1, Scope::Conversation).await.unwrap();
            if page.messages[0].text == text {
                return;
            }
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    soon(what, async {
        while !is_so() {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn of_a_long_answer_no_byte_is_saved_twice() {
    let (script, model) = Script::new();
    let (hub, store) = hub(model);
    let _tended = tended(&hub);
    let session = hub.open(DEFAULT_ASSISTANT, None, false).unwrap();
    asked(&session).await.unwrap();
    let mut whole = String::new();
    for round in 0..4 {
        let piece = format!("{round} ä€💰 ").repeat(2_000);
        whole.push_str(&piece);
        script.text(&piece);
        until("a checkpoint", || store.checkpointed() == whole.len()).await;
        reads(&store, &session, &whole).await;
    }
    assert_eq!(store.checkpointed(), whole.len(), "as much as it is long");
}

#[tokio::test]
async fn what_another_model_withdraws_is_withdrawn_from_what_is_saved() {
    let (script, model) = Script::new();
    let (hub, store) = hub(model);
    let _tended = tended(&hub);
    let session = hub.open(DEFAULT_ASSISTANT, None, false).unwrap();
    asked(&session).await.unwrap();
    script.text("€ 1 and that is w");
    reads(&store, &session, "€ 1 and that is w").await;
    script.add(ModelEvent::Failover(Failover { keep: 3, from: "one".to_owned(), to: "two".to_owned(), reason: "cut" }));
    reads(&store, &session, "€ 1").await;
    script.text(", no more");
    reads(&store, &session, "€ 1, no more").await;
}

/// A thousand and more answers want to be saved while the store takes nothing: what people say still has room there, and
/// nothing is lost of either when it goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_running_answers_leave_room_for_messages() {
    const ANSWERS: usize = 3_000;
    const MESSAGES: usize = 1_000;
    let (script, model) = Script::new();
    let (hub, store) = hub(model);
    let _tended = tended(&hub);
    let running = sessions(&hub, ANSWERS);
    for some in running.chunks(500) {
        for run in join_all(some.iter().map(asked)).await {
            run.unwrap();
        }
    }
    let others = sessions(&hub, MESSAGES);
    store.hold(true).await;
    script.text("Well, ");
    until("a checkpoint", || store.checkpoints_under_way() > 0).await;
    let mut sends: Vec<_> = others.iter().map(|session| Box::pin(asked(session))).collect();
    for send in &mut sends {
        assert!(poll!(send.as_mut()).is_pending(), "neither refused nor stored yet");
    }
    until("all that is said", || store.writes_under_way() > MESSAGES).await;
    script.text("yes.");
    store.hold(false).await;
    for run in soon("what was said", join_all(sends)).await {
        run.unwrap();
    }
    let texts = ANSWERS * "Well, yes.".len();
    until("all checkpoints", || store.checkpointed() >= texts).await;
    reads(&store, &running[ANSWERS - 1], "Well, yes.").await;
    assert_eq!(store.most_checkpoints(), 1, "one at a time");
}

#[tokio::test]
async fn after_kill_9_all_but_the_last_seconds_of_an_answer_is_there() {
    let text: String = (0..5_000).map(|n| format!("word{n} ")).collect();
    let upstream = Upstream::saying(&text, 100.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let mut client = gateway.connect().await;
    client.say("Tell me all").await;
    let began = Instant::now();
    let (mut heard, mut said) = (0, Vec::new());
    while began.elapsed() < Duration::from_secs(5) {
        let delta = client.until("delta").await;
        heard += delta["text"].as_str().unwrap().len();
        said.push((began.elapsed(), heard));
    }
    let setup = gateway.kill().await;
    let killed = began.elapsed();
    let gateway = setup.start().await;
    let (_, stored) = gateway.get(&format!("/api/v1/sessions/{}", client.session())).await;
    let answer = &stored["messages"][1];
    let kept = answer["text"].as_str().unwrap();
    assert_eq!(answer["status"], "interrupted");
    assert!(text.starts_with(kept), "{kept:?}");
    let old = said.iter().rfind(|(at, _)| *at + Duration::from_millis(2_500) < killed).unwrap().1;
    assert!(kept.len() >= old, "{} of {heard} bytes, of which {old} were two seconds old", kept.len());
}
