//! Faults inside: a session that panics ends alone, a store that fails loses nothing that was acknowledged.

use std::sync::Arc;

use futures_util::{StreamExt, future::join_all, stream};
use metrics_exporter_prometheus::PrometheusBuilder;
use rivulet::{
    chat::{MessageId, Status},
    hub::Hub,
    limits::Visitor,
    llm::{ChatModel, ChatRequest, FinishReason, ModelEvent, ModelStream},
    session::{
        Closed, LOOK_UPS, NewMessage, SendError, SendMode, SessionHandle, Viewer,
        log::{Event, RunDone, Step},
        viewer::Change,
    },
    store::{Scope, SessionStore},
};
use tokio::{sync::Semaphore, task::yield_now};

use crate::harness::{Talkative, hub, soon};

async fn session(hub: &Hub) -> SessionHandle {
    let record = hub.create("default", None, None, false).await.unwrap();
    hub.get(&record.id).await.unwrap()
}

fn message(text: &str) -> NewMessage {
    NewMessage {
        id: Some(MessageId::parse(text).unwrap()),
        text: text.to_owned(),
        mode: SendMode::Reject,
        by: Visitor::at([127, 0, 0, 1].into()),
    }
}

async fn done(viewer: &mut Viewer) -> Arc<RunDone> {
    let mut found = None;
    soon("a run's end", async {
        while found.is_none() {
            assert_eq!(viewer.changed().await, Change::More);
            viewer.read(1 << 20, |step| {
                if let Step::Event(_, Event::RunDone(done)) = step {
                    found = Some(done.clone());
                }
                true
            });
        }
    })
    .await;
    found.unwrap()
}

/// Says as many words as there are permits, to who is patient; to others what [`Talkative`] says.
#[derive(Debug)]
struct Patient(Arc<Semaphore>);

impl ChatModel for Patient {
    fn name(&self) -> Arc<str> {
        "patient".into()
    }

    fn stream(&self, request: ChatRequest) -> ModelStream {
        if &*request.question != "patience" {
            return Talkative.stream(request);
        }
        let permits = self.0.clone();
        let words = stream::iter(0..WORDS).then(move |_| {
            let permits = permits.clone();
            async move {
                permits.acquire().await.unwrap().forget();
                Ok(ModelEvent::Text("word ".to_owned()))
            }
        });
        words.chain(stream::iter([Ok(ModelEvent::Finish(FinishReason::Stop))])).boxed()
    }
}

const WORDS: usize = 10;

/// Waits for more of an answer.
async fn more(viewer: &mut Viewer) {
    let mut has_come = false;
    soon("a word", async {
        while !has_come {
            assert_eq!(viewer.changed().await, Change::More);
            viewer.read(1 << 20, |step| {
                has_come |= matches!(step, Step::Delta { .. });
                true
            });
        }
    })
    .await;
}

#[tokio::test]
async fn a_panic_ends_one_session_and_what_it_had_stored_is_intact() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let counted = recorder.handle();
    let _counting = metrics::set_default_local_recorder(&recorder);
    let permits = Arc::new(Semaphore::new(1));
    let (hub, _) = hub(Patient(permits.clone()));
    let (fragile, neighbour) = (session(&hub).await, session(&hub).await);
    let (mut watching, _) = neighbour.attach(None);
    neighbour.send(message("patience")).await.unwrap();
    more(&mut watching).await;
    let id = fragile.id().clone();
    let (mut viewer, _) = fragile.attach(None);
    fragile.send(message("panic")).await.unwrap();
    soon("the end of the session", async {
        while viewer.changed().await == Change::More {
            viewer.read(1 << 20, |_| true);
        }
    })
    .await;
    assert_eq!(viewer.changed().await, Change::Closed(Closed::Failed));
    assert_eq!(fragile.send(message("more")).await, Err(SendError::Internal));

    assert!(counted.render().contains("session_panics_total 1\n"), "{}", counted.render());
    permits.add_permits(1);
    more(&mut watching).await;
    permits.add_permits(WORDS);
    assert_eq!(done(&mut watching).await.status, Status::Complete, "who was being answered beside it");
    neighbour.send(message("hello")).await.unwrap();
    assert_eq!(done(&mut watching).await.status, Status::Complete);

    let again = hub.get(&id).await.unwrap();
    let (mut viewer, attachment) = again.attach(None);
    let messages = attachment.snapshot.unwrap().messages;
    assert_eq!((messages[0].text.as_str(), messages[1].status), ("panic", Status::Interrupted));
    assert_eq!(done(&mut viewer).await.status, Status::Interrupted);
    again.send(message("hello")).await.unwrap();
    assert_eq!(done(&mut viewer).await.status, Status::Complete);
}

#[tokio::test]
async fn nothing_is_acknowledged_that_is_not_stored() {
    let (hub, store) = hub(Talkative);
    let session = session(&hub).await;
    let (mut viewer, _) = session.attach(None);
    session.send(message("one")).await.unwrap();
    done(&mut viewer).await;

    store.fail(true);
    assert_eq!(session.send(message("two")).await, Err(SendError::StorageUnavailable));
    assert!(hub.create("default", None, None, false).await.is_err());
    let (_, attachment) = session.attach(None);
    assert_eq!(attachment.snapshot.unwrap().messages.len(), 2, "what is stored can still be read");

    store.fail(false);
    assert!(!session.send(message("two")).await.unwrap().duplicate, "the same id works once there is room");
    assert_eq!(done(&mut viewer).await.status, Status::Complete);
}

#[tokio::test]
async fn concurrent_twins_run_once() {
    let (hub, store) = hub(Talkative);
    let session = session(&hub).await;
    let (mut viewer, _) = session.attach(None);
    let twins = (0..20).map(|_| session.send(message("twin")));
    let receipts: Vec<_> = join_all(twins).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(receipts.iter().filter(|r| !r.duplicate).count(), 1);
    assert!(receipts.iter().all(|r| r.run == receipts[0].run));
    done(&mut viewer).await;
    assert_eq!(store.messages(session.id(), None, 100, Scope::Conversation).await.unwrap().messages.len(), 2);
}

/// Whoever sends what is refused, on however many sockets, leaves room in the store's queue for others.
#[tokio::test]
async fn what_is_refused_is_looked_up_by_so_many_at_a_time() {
    let (hub, store) = hub(Talkative);
    let sessions = join_all((0..10).map(|_| session(&hub))).await;
    store.hold(true).await;
    let sent = sessions.iter().flat_map(|session| (0..20).map(|at| session.send(message(&format!("m{at}")))));
    let crowd = join_all(sent);
    let watched = async {
        soon("look-ups", async {
            while store.look_ups_under_way() < LOOK_UPS {
                yield_now().await
            }
        })
        .await;
        store.hold(false).await;
    };
    let (answers, ()) = tokio::join!(crowd, watched);
    let busy = answers.iter().filter(|answer| **answer == Err(SendError::Busy)).count();
    assert_eq!((answers.len() - busy, store.most_look_ups()), (10, LOOK_UPS), "{answers:?}");
}

#[tokio::test]
async fn of_a_session_that_others_have_nothing_more_is_answered() {
    let (hub, store) = hub(Patient(Arc::new(Semaphore::new(0))));
    let session = session(&hub).await;
    session.send(message("patience")).await.unwrap();
    session.send(NewMessage { mode: SendMode::Queue, ..message("next") }).await.unwrap();
    session.close(Closed::Moved);
    session.interrupt();
    soon("an idle session", async {
        while session.is_busy() {
            yield_now().await;
        }
    })
    .await;
    let stored = store.messages(session.id(), None, 10, Scope::Conversation).await.unwrap().messages;
    let statuses: Vec<_> = stored.iter().skip(1).step_by(2).map(|answer| answer.status).collect();
    assert_eq!(statuses, [Status::Interrupted, Status::Pending], "{stored:?}");
}
