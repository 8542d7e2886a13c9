//! Sessions that nobody has said anything in: they cost a place in memory, and nothing in the store.

use futures_util::{future::join_all, poll};
use reqwest::{Client as Http, StatusCode};
use rivulet::{
    chat::{Feedback, MessageId, Rating},
    config::DEFAULT_ASSISTANT,
    hub::{Hub, HubError},
    limits::Visitor,
    session::{Closed, NewMessage, Redo, SendError, SendMode, SessionHandle, viewer::Change},
    store::{Scope, SessionStore, StoreError},
};
use serde_json::{Value, json};
use tokio_tungstenite::{connect_async, tungstenite::Error};

use crate::harness::{Client, Neighbour, Setup, Talkative, TestGateway, Upstream, hub, soon};

fn path(session: &str) -> String {
    format!("/api/v1/sessions/{session}")
}

async fn listed(gateway: &TestGateway) -> Vec<Value> {
    gateway.get("/api/v1/sessions").await.1["sessions"].as_array().unwrap().clone()
}

/// The status that refuses a socket.
async fn refused(url: &str) -> u16 {
    match soon("an answer", connect_async(url)).await {
        Err(Error::Http(response)) => response.status().as_u16(),
        other => panic!("instead of a refusal: {other:?}"),
    }
}

async fn delete(gateway: &TestGateway, session: &str) -> StatusCode {
    Http::new().delete(gateway.url(&path(session))).send().await.unwrap().status()
}

#[tokio::test]
async fn a_socket_makes_a_session_that_is_stored_with_its_first_message() {
    let (gateway, mut neighbour) = Neighbour::of_nobody(Setup::bare()).await;
    let others = listed(&gateway).await;
    let (mut used, unused) = (gateway.connect().await, gateway.connect().await);
    neighbour.goes_on().await;
    assert_eq!((others.len(), listed(&gateway).await), (1, others), "the neighbour's is the one");
    let (status, found) = gateway.get(&path(&used.session())).await;
    assert_eq!((status, &found["message_count"], &found["messages"]), (200, &json!(0), &json!([])));
    assert_eq!(used.ask("one").await.status(), "complete");
    neighbour.goes_on().await;
    let now = listed(&gateway).await;
    assert_eq!((now.len(), &now[0]["session_id"]), (2, &json!(used.session())));
    assert_eq!((&now[0]["message_count"], &now[0]["created_at"]), (&json!(2), &found["created_at"]));
    let (_, promised) = gateway.post("/api/v1/sessions", json!({})).await;
    let promised = promised["session_id"].as_str().unwrap();

    let gateway = gateway.kill().await.start().await;
    assert_eq!(gateway.get(&path(&used.session())).await.1["message_count"], 2);
    assert_eq!(gateway.get(&path(promised)).await.0, 200, "who made it by hand can rely on it");
    assert_eq!(gateway.get(&path(&unused.session())).await.0, 404);
    assert_eq!(refused(&gateway.socket(&unused.session())).await, 404);
}

#[tokio::test]
async fn it_can_be_resumed_until_it_is_forgotten() {
    let gateway = Setup::bare().set("RIVULET_SESSION_IDLE_S", "2").start().await;
    let memory = gateway.connect().await.cut();
    let client = Client::resume(&gateway.socket(&memory.session.clone()), memory.clone()).await;
    assert_eq!(client.welcome["recovered"], "full");
    client.cut();
    soon("an empty gateway", async { while gateway.metric("sessions_active").await > 0.0 {} }).await;
    assert_eq!(gateway.get(&path(&memory.session)).await.0, 404);
    assert_eq!(refused(&gateway.socket(&memory.session)).await, 404);
}

#[tokio::test]
async fn it_is_deleted_like_any_other() {
    let gateway = Setup::bare().start().await;
    let mut client = gateway.connect().await;
    let session = client.session();
    assert_eq!(delete(&gateway, &session).await, 204);
    assert_eq!(client.close_code().await, 4004);
    assert_eq!(delete(&gateway, &session).await, 404);
    assert_eq!(refused(&gateway.socket(&session)).await, 404);
}

#[tokio::test]
async fn a_question_over_http_stores_its_session() {
    let upstream = Upstream::saying("Yes.", 0.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let (status, answer) = gateway.post("/api/v1/chat", json!({"message": "one"})).await;
    assert_eq!((status, &answer["response"]), (200, &json!("Yes.")));
    let now = listed(&gateway).await;
    assert_eq!((now.len(), &now[0]["session_id"]), (1, &answer["session_id"]));
}

fn open(hub: &Hub) -> SessionHandle {
    hub.open(DEFAULT_ASSISTANT, None, false).unwrap()
}

fn message(id: &str) -> NewMessage {
    NewMessage {
        id: Some(MessageId::parse(id).unwrap()),
        text: id.to_owned(),
        mode: SendMode::Queue,
        by: Visitor::at([127, 0, 0, 1].into()),
    }
}

#[tokio::test]
async fn a_store_that_fails_for_a_moment_costs_a_repetition() {
    let (hub, store) = hub(Talkative);
    let session = open(&hub);
    store.fail(true);
    let refused = join_all(["one", "two"].map(|id| session.send(message(id)))).await;
    assert_eq!(refused, [Err(SendError::StorageUnavailable), Err(SendError::StorageUnavailable)]);
    assert_eq!(store.session(session.id()).await.unwrap(), None);
    store.fail(false);
    for receipt in join_all(["one", "two", "one"].map(|id| session.send(message(id)))).await {
        receipt.unwrap();
    }
    let stored = store.messages(session.id(), None, 9, Scope::Conversation).await.unwrap().messages;
    let questions: Vec<_> = stored.iter().step_by(2).map(|message| message.text.as_str()).collect();
    assert_eq!(questions, ["one", "two"]);
    assert_eq!(hub.record(session.id(), None).await.unwrap().message_count, 4);
}

#[tokio::test]
async fn there_is_nothing_in_it_to_answer_anew_or_to_rate() {
    let (hub, _) = hub(Talkative);
    let session = open(&hub);
    let feedback = Feedback { value: Rating::Good, comment: None };
    assert_eq!(
        session.redo(None, Redo::Regenerate { at: None }, Visitor::at([127, 0, 0, 1].into())).await,
        Err(SendError::NotFound)
    );
    assert_eq!(session.rate(MessageId::random(), feedback).await, Err(SendError::NotFound));
    session.send(message("one")).await.unwrap();
}

/// Whatever is said while it is being deleted, it does not come back.
#[tokio::test]
async fn what_is_deleted_stays_deleted() {
    let (hub, store) = hub(Talkative);
    let session = open(&hub);
    let (mut viewer, _) = session.attach(None);
    store.hold(true).await;
    let mut first = Box::pin(session.send(message("before")));
    assert!(poll!(first.as_mut()).is_pending());
    soon("a write", async {
        while store.writes_under_way() < 1 {
            tokio::task::yield_now().await
        }
    })
    .await;
    let mut deleting = Box::pin(hub.delete(session.id()));
    assert!(poll!(deleting.as_mut()).is_pending());
    soon("the next write", async {
        while store.writes_under_way() < 2 {
            tokio::task::yield_now().await
        }
    })
    .await;
    let mut late = Box::pin(session.send(message("after")));
    assert!(poll!(late.as_mut()).is_pending());
    store.hold(false).await;
    assert!(soon("an answer", first).await.is_ok());
    assert!(soon("an answer", deleting).await.unwrap());
    assert_eq!(soon("an answer", late).await, Err(SendError::Gone));
    soon("the end", async {
        while viewer.changed().await != Change::Closed(Closed::Deleted) {
            viewer.read(1 << 20, |_| true);
        }
    })
    .await;
    assert_eq!(session.send(message("once more")).await, Err(SendError::Gone));
    assert_eq!(store.session(session.id()).await.unwrap(), None);
    assert!(matches!(hub.get_own(session.id(), None).await, Err(HubError::Store(StoreError::NoSession))));
}

#[tokio::test]
async fn a_deletion_that_fails_changes_nothing() {
    let (hub, store) = hub(Talkative);
    let session = open(&hub);
    store.fail(true);
    assert!(hub.delete(session.id()).await.is_err());
    store.fail(false);
    session.send(message("one")).await.unwrap();
    assert_eq!(hub.record(session.id(), None).await.unwrap().message_count, 2);
    assert!(hub.delete(session.id()).await.unwrap());
    assert!(!hub.delete(session.id()).await.unwrap());
}
