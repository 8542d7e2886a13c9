//! Conversations that go on another way: an answer written anew, a question edited; and what people think of answers.

use serde_json::{Value, json};

use crate::harness::{Client, Setup, TestGateway, Upstream};

/// Ids and texts of the stored conversation, or of everything that was ever said in it.
async fn stored(gateway: &TestGateway, session: &str, query: &str) -> Vec<(String, String)> {
    let (status, found) = gateway.get(&format!("/api/v1/sessions/{session}{query}")).await;
    assert_eq!(status, 200, "{found}");
    let text = |message: &Value, field: &str| message[field].as_str().unwrap().to_owned();
    let messages = found["messages"].as_array().unwrap();
    if query.is_empty() {
        assert_eq!(found["message_count"], messages.len());
    }
    messages.iter().map(|message| (text(message, "id"), text(message, "text"))).collect()
}

fn ids(messages: &[(String, String)]) -> Vec<&str> {
    messages.iter().map(|(id, _)| id.as_str()).collect()
}

/// Three questions and their answers; the id of the last question is `q3`.
async fn conversation(gateway: &TestGateway) -> (Client, Vec<String>) {
    let mut client = gateway.connect().await;
    let mut answers = Vec::new();
    for question in ["one", "two", "three"] {
        answers.push(client.ask(question).await.done["message"].as_str().unwrap().to_owned());
    }
    (client, answers)
}

#[tokio::test]
async fn the_last_answer_is_written_anew() {
    let upstream = Upstream::saying("Yes.", 0.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let (mut client, answers) = conversation(&gateway).await;
    let mut other = Client::connect(&gateway.socket(&client.session())).await;

    client.tell(json!({"type": "regenerate", "id": "again"})).await;
    let [ack, start] = client.until_all(["ack", "run.start"]).await;
    assert_eq!((&ack["re"], &ack["message"], &ack["duplicate"]), (&json!("again"), &json!("q3"), &json!(false)));
    let seen = other.until("run.start").await;
    for (client, start) in [(&mut client, start), (&mut other, seen)] {
        assert_eq!((&start["run"], &start["for"]), (&ack["run"], &json!("q3")));
        assert_eq!((&start["message"], &start["replaces"]), (&json!("again"), &json!(answers[2])));
        assert_eq!(client.answer().await.text, "Yes.");
    }
    let session = client.session();
    let conversation = stored(&gateway, &session, "").await;
    assert_eq!(ids(&conversation), ["q1", &answers[0], "q2", &answers[1], "q3", "again"]);
    let all = stored(&gateway, &session, "?replaced=true").await;
    assert_eq!(ids(&all), ["q1", &answers[0], "q2", &answers[1], "q3", &answers[2], "again"]);

    // A page that is loaded later sees the conversation as it is, and who repeats the frame hears of the same run.
    let mut late = Client::connect(&gateway.socket(&session)).await;
    let snapshot = late.frame().await;
    let shown: Vec<_> = snapshot["messages"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap()).collect();
    assert_eq!(shown, ids(&conversation));
    late.tell(json!({"type": "regenerate", "id": "again"})).await;
    let again = late.until("ack").await;
    assert_eq!((&again["run"], &again["duplicate"], &again["message"]), (&ack["run"], &json!(true), &json!("q3")));
    assert_eq!(upstream.stats.counts().requests, 4);
}

#[tokio::test]
async fn an_earlier_answer_is_written_anew_and_what_followed_goes() {
    let upstream = Upstream::saying("Yes.", 0.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let (mut client, answers) = conversation(&gateway).await;
    client.tell(json!({"type": "regenerate", "id": 7, "message": answers[0]})).await;
    let ack = client.until("ack").await;
    assert_eq!((&ack["re"], &ack["message"]), (&json!(7), &json!("q1")));
    let done = client.answer().await.done;
    let conversation = stored(&gateway, &client.session(), "").await;
    assert_eq!(ids(&conversation), ["q1", done["message"].as_str().unwrap()]);
    // The conversation goes on from there, and the model is told of nothing else.
    client.ask("four").await;
    let said: Value = serde_json::from_slice(&upstream.stats.requests().last().unwrap().body).unwrap();
    let said: Vec<_> = said["messages"].as_array().unwrap().iter().skip(1).map(|m| m["content"].clone()).collect();
    assert_eq!(said, [json!("one"), json!("Yes."), json!("four")]);
}

#[tokio::test]
async fn a_question_is_edited_also_across_a_reconnect() {
    let upstream = Upstream::saying("Yes.", 0.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let (client, answers) = conversation(&gateway).await;
    let memory = client.cut();
    let session = memory.session.clone();
    let mut other = Client::connect(&gateway.socket(&session)).await;
    let edit = json!({"type": "edit", "id": "q2b", "message": "q2", "text": "two and a half"});
    other.tell(edit.clone()).await;
    assert_eq!(other.until("ack").await["message"], "q2b");
    other.answer().await;

    let mut client = Client::resume(&gateway.socket(&session), memory).await;
    assert_eq!(client.welcome["recovered"], "full");
    let message = client.until("message").await["message"].clone();
    assert_eq!((&message["id"], &message["replaces"]), (&json!("q2b"), &json!("q2")));
    assert_eq!((&message["role"], &message["text"]), (&json!("user"), &json!("two and a half")));
    let start = client.until("run.start").await;
    assert_eq!((&start["for"], start.get("replaces")), (&json!("q2b"), None));
    let answer = client.answer().await.done["message"].as_str().unwrap().to_owned();
    client.tell(edit).await;
    assert_eq!(client.until("ack").await["duplicate"], true);
    client.tell(json!({"type": "edit", "id": "q2b", "message": "q2", "text": "another"})).await;
    assert_eq!(client.until("error").await["code"], "idempotency_conflict");

    let conversation = stored(&gateway, &session, "").await;
    assert_eq!(ids(&conversation), ["q1", &answers[0], "q2b", &answer]);
    // All of it is there after a crash, too.
    let gateway = gateway.kill().await.start().await;
    assert_eq!(stored(&gateway, &session, "").await, conversation);
    let all = stored(&gateway, &session, "?replaced=true").await;
    assert_eq!(ids(&all), ["q1", &answers[0], "q2", &answers[1], "q3", &answers[2], "q2b", &answer]);
    let mut client = Client::connect(&gateway.socket(&session)).await;
    client.tell(json!({"type": "regenerate", "message": "q2b"})).await;
    assert_eq!(client.until("run.start").await["replaces"], *answer);
}

#[tokio::test]
async fn what_cannot_be_done_anew_is_refused_and_nothing_changes() {
    let (upstream, gate) = Upstream::gated("Yes, of course.", usize::MAX).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let (mut client, answers) = conversation(&gateway).await;
    let before = stored(&gateway, &client.session(), "?replaced=true").await;
    for (frame, code) in [
        (json!({"type": "regenerate", "message": "unknown"}), "not_found"),
        (json!({"type": "edit", "message": "unknown", "text": "x"}), "not_found"),
        (json!({"type": "edit", "message": answers[0], "text": "x"}), "invalid_field"),
        (json!({"type": "regenerate", "id": "q1"}), "idempotency_conflict"),
        (json!({"type": "feedback", "message": "unknown", "value": 1}), "not_found"),
    ] {
        client.tell(frame.clone()).await;
        assert_eq!(client.until("error").await["code"], code, "{frame}");
    }
    gate.allow(1);
    client.say("four").await;
    client.deltas(1).await;
    for frame in [json!({"type": "regenerate"}), json!({"type": "edit", "message": "q1", "text": "x"})] {
        client.tell(frame.clone()).await;
        assert_eq!(client.until("error").await["code"], "busy", "{frame}");
    }
    gate.open();
    client.answer().await;
    let after = stored(&gateway, &client.session(), "?replaced=true").await;
    assert_eq!(after[..before.len()], before);
    assert_eq!(after.len(), before.len() + 2);
    let mut empty = gateway.connect().await;
    empty.tell(json!({"type": "regenerate"})).await;
    assert_eq!(empty.until("error").await["code"], "not_found");
}

#[tokio::test]
async fn a_message_out_of_memory_is_found_in_the_store() {
    let upstream = Upstream::saying("Yes.", 0.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let mut client = gateway.connect().await;
    for n in 0..30 {
        client.ask(&format!("question {n}")).await; // The snapshot has the newest 50 messages of 60.
    }
    client.tell(json!({"type": "edit", "message": "q1", "text": "from the beginning"})).await;
    client.until("ack").await;
    client.answer().await;
    let conversation = stored(&gateway, &client.session(), "").await;
    assert_eq!(conversation.len(), 2);
    let mut late = Client::connect(&gateway.socket(&client.session())).await;
    let snapshot = late.frame().await;
    assert_eq!((snapshot["messages"].as_array().unwrap().len(), snapshot.get("more")), (2, None));
}

#[tokio::test]
async fn a_repetition_is_known_also_when_it_was_replaced_meanwhile() {
    let (upstream, gate) = Upstream::gated("Yes, of course.", usize::MAX).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let (mut client, answers) = conversation(&gateway).await;
    let again = json!({"type": "regenerate", "id": "a2", "message": answers[1]});
    client.tell(again.clone()).await;
    let run = client.until("ack").await["run"].clone();
    client.answer().await;
    gate.allow(1);
    let edit = json!({"type": "edit", "id": "q1b", "message": "q1", "text": "other"});
    client.tell(edit.clone()).await;
    client.deltas(1).await;
    // While an answer is being written, nothing new may come in; these are not new.
    for (frame, run) in
        [(&again, Some(&run)), (&json!({"type": "send", "id": "q3", "text": "three"}), None), (&edit, None)]
    {
        client.tell(frame.clone()).await;
        let ack = client.until("ack").await;
        assert_eq!(ack["duplicate"], true, "{frame}");
        assert!(run.is_none_or(|run| *run == ack["run"]));
    }
    // The same id for something else is.
    for frame in [
        json!({"type": "regenerate", "id": "a2", "message": answers[0]}),
        json!({"type": "regenerate", "id": answers[0]}),
        json!({"type": "edit", "id": "q1b", "message": "q2", "text": "other"}),
        json!({"type": "send", "id": "q1b", "text": "other"}),
    ] {
        client.tell(frame.clone()).await;
        assert_eq!(client.until("error").await["code"], "idempotency_conflict", "{frame}");
    }
    gate.open();
    client.answer().await;
    assert_eq!(upstream.stats.counts().requests, 5);
}

#[tokio::test]
async fn feedback_is_kept_with_the_message() {
    let upstream = Upstream::saying("Yes.", 0.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let (mut client, answers) = conversation(&gateway).await;
    let frame = json!({"type": "feedback", "id": "f1", "message": answers[1], "value": -1, "comment": "too short"});
    client.tell(frame).await;
    assert_eq!(client.until("ack").await, json!({"type": "ack", "re": "f1"}));
    let wanted = json!({"value": -1, "comment": "too short"});
    let mut late = Client::connect(&gateway.socket(&client.session())).await;
    let snapshot = late.frame().await;
    assert_eq!(snapshot["messages"][3]["feedback"], wanted);
    assert_eq!(snapshot["messages"][1].get("feedback"), None);
    let gateway = gateway.kill().await.start().await;
    let (_, found) = gateway.get(&format!("/api/v1/sessions/{}", late.session())).await;
    assert_eq!(found["messages"][3]["feedback"], wanted);
    let mut client = Client::connect(&gateway.socket(&late.session())).await;
    client.tell(json!({"type": "feedback", "message": answers[1], "value": 1})).await;
    client.until("ack").await;
    let (_, found) = gateway.get(&format!("/api/v1/sessions/{}", late.session())).await;
    assert_eq!(found["messages"][3]["feedback"], json!({"value": 1}), "the newest rating counts");
}
