//! Turns and the answers that grow in them.

use tokio::task::JoinSet;

use super::*;

pub(super) async fn a_turn_is_stored_once(store: Arc<dyn SessionStore>) {
    let session = with_session(&*store).await;
    let first = turn("q1", "I need a loan", 5000);
    assert_eq!(store.append_turn(&session, Fence::FIRST, first.clone()).await.expect("stored"), Appended::Stored);

    let mut again = turn("q1", "I need a boat", 9000);
    again.answer.id = message_id("another");
    assert_eq!(
        store.append_turn(&session, Fence::FIRST, again).await.expect("kept"),
        Appended::Exists(Box::new(first.question.clone()))
    );

    // The id of an answer is an id of the session too.
    let mut stolen = turn("a-q1", "hello", 9000);
    stolen.answer.id = message_id("yet-another");
    assert_eq!(
        store.append_turn(&session, Fence::FIRST, stolen).await.expect("kept"),
        Appended::Exists(Box::new(first.answer.clone()))
    );

    let mut clash = turn("q2", "hello", 9000);
    clash.answer.id = message_id("a-q1");
    assert!(matches!(store.append_turn(&session, Fence::FIRST, clash).await, Err(StoreError::Unavailable(_))));

    let page = store.messages(&session, None, 10, Scope::Conversation).await.expect("read");
    assert_eq!(page.messages, [first.question.clone(), first.answer]);
    let record = store.session(&session).await.expect("read").expect("there");
    assert_eq!((record.message_count, record.updated_at), (2, Timestamp(5000)));
    assert_eq!(store.message(&session, &message_id("q1")).await.expect("read"), Some(first.question));
    assert_eq!(store.message(&session, &message_id("q2")).await.expect("read"), None);
}

pub(super) async fn a_session_is_stored_with_its_first_turn(store: Arc<dyn SessionStore>) {
    let session = session_id("s");
    let opened = SessionRecord { owner: Some(Owner::new("acme/ann")), ..record("s", 1000) };
    let opening = |question: &str| Turn { opens: Some(opened.clone()), ..turn(question, "?", 5000) };
    // One of several that were said at once: each may be the first.
    assert_eq!(store.append_turn(&session, Fence::FIRST, opening("q1")).await.expect("stored"), Appended::Stored);
    assert_eq!(store.append_turn(&session, Fence::FIRST, opening("q2")).await.expect("stored"), Appended::Stored);
    let again = store.append_turn(&session, Fence::FIRST, opening("q1")).await.expect("kept");
    assert!(matches!(again, Appended::Exists(_)), "{again:?}");
    let title = Title::of_question("?");
    let wanted = SessionRecord { message_count: 4, updated_at: Timestamp(5000), title, ..opened.clone() };
    assert_eq!(store.session(&session).await.expect("read"), Some(wanted.clone()));
    assert_eq!(store.sessions(opened.owner.as_ref(), None, None, 9).await.expect("read").sessions, [wanted]);

    // All or nothing.
    let mut bad = Turn { opens: Some(record("t", 1000)), ..turn("q", "?", 5000) };
    bad.answer.id = bad.question.id.clone();
    assert!(matches!(store.append_turn(&session_id("t"), Fence::FIRST, bad).await, Err(StoreError::Unavailable(_))));
    assert_eq!(store.session(&session_id("t")).await.expect("read"), None);
}

pub(super) async fn calls_are_kept_while_an_answer_grows(store: Arc<dyn SessionStore>) {
    let session = with_session(&*store).await;
    store.append_turn(&session, Fence::FIRST, turn("q", "?", 5000)).await.expect("stored");
    let mut tools = finished("q", "", Status::Complete).tools;
    tools[0].outcome = ToolOutcome::default();
    let called = Piece { tools: Some(tools.clone()), ..piece("q", 0, "Let me see.") };
    let lost = Piece { session: session_id("nobody"), ..called.clone() };
    assert_eq!(store.checkpoint(vec![called.clone(), lost]).await.expect("kept"), 1);
    assert_eq!(store.checkpoint(vec![piece("q", 11, " So")]).await.expect("kept"), 1, "and the calls stay");
    let read = async || store.message(&session, &message_id("a-q")).await.expect("read").expect("there");
    let pending = read().await;
    assert_eq!((pending.text.as_str(), &pending.tools), ("Let me see. So", &tools));
    store.finish_answer(&session, Fence::FIRST, finished("q", "Done", Status::Complete)).await.expect("ended");
    assert_eq!(store.checkpoint(vec![called]).await.expect("nothing"), 0, "it has ended");
    assert_eq!(read().await.tools, finished("q", "", Status::Complete).tools);
}

pub(super) async fn an_answer_grows_and_ends(store: Arc<dyn SessionStore>) {
    let session = with_session(&*store).await;
    store.append_turn(&session, Fence::FIRST, turn("q", "?", 2000)).await.expect("stored");
    let answer = message_id("a-q");
    for (pieces, text) in [
        (vec![piece("q", 0, "Fr")], "Fr"),
        (vec![piece("q", 2, "om 💰"), piece("q", 9, " 4")], "From 💰 4"),
        // The same again, after nobody knew whether it was stored.
        (vec![piece("q", 9, " 4")], "From 💰 4"),
        // Another model has taken over and said nothing yet; then it has.
        (vec![piece("q", 5, "")], "From "),
        (vec![piece("q", 4, ":"), piece("q", 5, " €")], "From: €"),
        // Behind a hole, and within a character.
        (vec![piece("q", 10, "?"), piece("q", 8, "?")], "From: €"),
        (vec![], "From: €"),
    ] {
        store.checkpoint(pieces).await.expect("kept");
        let message = store.message(&session, &answer).await.expect("read").expect("there");
        assert_eq!((message.text.as_str(), message.status), (text, Status::Pending));
        let page = store.messages(&session, None, 1, Scope::Conversation).await.expect("read");
        assert_eq!(page.messages, [message]);
    }
    let end = finished("q", "From 4.1 %.", Status::Stopped);
    store.finish_answer(&session, Fence::FIRST, end.clone()).await.expect("ended");
    let message = store.message(&session, &answer).await.expect("read").expect("there");
    assert_eq!((message.text, message.status), (end.text, end.status));
    assert_eq!((message.run, message.model), (Some(end.run), end.model));
    assert_eq!((message.citations, message.sources, message.tools), (end.citations, end.sources, end.tools));
    let record = store.session(&session).await.expect("read").expect("there");
    assert!(record.updated_at > Timestamp(2000), "ending an answer is a use: {}", record.updated_at);
}

pub(super) async fn answers_grow_side_by_side(store: Arc<dyn SessionStore>) {
    let session = with_session(&*store).await;
    make(&*store, record("t", 1000)).await;
    for (session, question) in [("s", "q1"), ("s", "q2"), ("t", "q1")] {
        store.append_turn(&session_id(session), Fence::FIRST, turn(question, "?", 2000)).await.expect("stored");
    }
    let elsewhere = |at, text| Piece { session: session_id("t"), ..piece("q1", at, text) };
    let lost = Piece { session: session_id("nobody"), ..piece("q1", 0, "lost") };
    let pieces = vec![piece("q1", 0, "on"), elsewhere(0, "th"), lost, piece("q9", 0, "lost"), piece("q2", 0, "two")];
    store.checkpoint(pieces).await.expect("what is not there hinders nobody");
    store.checkpoint(vec![piece("q1", 2, "e"), elsewhere(2, "ree")]).await.expect("kept");
    let texts = async |session: &str| {
        let page = store.messages(&session_id(session), None, 9, Scope::Conversation).await.expect("read");
        page.messages.into_iter().map(|message| message.text).collect::<Vec<_>>().join("/")
    };
    assert_eq!((texts("s").await.as_str(), texts("t").await.as_str()), ("?/one/?/two", "?/three"));

    // What goes takes its pieces with it: whoever has the id next begins with nothing.
    store.finish_answer(&session, Fence::FIRST, finished("q2", "2", Status::Complete)).await.expect("ended");
    store.delete_session(&session).await.expect("deleted");
    with_session(&*store).await;
    for question in ["q2", "q1"] {
        store.append_turn(&session, Fence::FIRST, turn(question, "?", 2000)).await.expect("stored");
    }
    assert_eq!((texts("s").await.as_str(), texts("t").await.as_str()), ("?//?/", "?/three"));
}

pub(super) async fn an_ended_answer_stays_as_it_is(store: Arc<dyn SessionStore>) {
    let session = with_session(&*store).await;
    store.append_turn(&session, Fence::FIRST, turn("q", "?", 2000)).await.expect("stored");
    store.finish_answer(&session, Fence::FIRST, finished("q", "whole", Status::Complete)).await.expect("ended");
    let ended = store.message(&session, &message_id("a-q")).await.expect("read");

    store.checkpoint(vec![piece("q", 0, "late"), piece("q", 5, ", later")]).await.expect("ignored");
    store.finish_answer(&session, Fence::FIRST, finished("q", "later", Status::Error)).await.expect("ignored");
    assert_eq!(store.message(&session, &message_id("a-q")).await.expect("read"), ended);

    // A question is nobody's answer.
    store.checkpoint(vec![Piece { answer: message_id("q"), ..piece("q", 0, "forged") }]).await.expect("ignored");
    assert_eq!(store.message(&session, &message_id("q")).await.expect("read").expect("there").text, "?");
}

pub(super) async fn what_cannot_be_read_again_is_refused(store: Arc<dyn SessionStore>) {
    let session = with_session(&*store).await;
    store.append_turn(&session, Fence::FIRST, turn("q", "?", 2000)).await.expect("stored");
    let mut infinite = finished("q", "text", Status::Complete);
    infinite.sources[0].score = f32::NAN;
    for bad in [finished("q", "text", Status::Pending), infinite, finished("unknown", "text", Status::Complete)] {
        let answer = store.finish_answer(&session, Fence::FIRST, bad).await;
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    }
    let message = store.message(&session, &message_id("a-q")).await.expect("read").expect("there");
    assert_eq!(message.status, Status::Pending);
}

pub(super) async fn messages_are_paged_backwards(store: Arc<dyn SessionStore>) {
    let session = with_session(&*store).await;
    // The clock jumps back: the order is the order of arrival.
    for (question, created_at) in [("q1", 3000), ("q2", 1000), ("q3", 2000)] {
        store.append_turn(&session, Fence::FIRST, turn(question, "?", created_at)).await.expect("stored");
    }
    let page = store.messages(&session, None, 4, Scope::Conversation).await.expect("read");
    assert_eq!((ids(&page.messages), page.more), (vec!["q2", "a-q2", "q3", "a-q3"], true));
    let page = store.messages(&session, Some(&message_id("q2")), 4, Scope::Conversation).await.expect("read");
    assert_eq!((ids(&page.messages), page.more), (vec!["q1", "a-q1"], false));
    let page = store.messages(&session, Some(&message_id("a-q1")), 1, Scope::Conversation).await.expect("read");
    assert_eq!((ids(&page.messages), page.more), (vec!["q1"], false));
    let page = store.messages(&session, Some(&message_id("unknown")), 4, Scope::Conversation).await.expect("read");
    assert_eq!((page.messages.len(), page.more), (0, false));
    let page = store.messages(&session, None, 0, Scope::Conversation).await.expect("read");
    assert_eq!((page.messages.len(), page.more), (0, true));
}

pub(super) async fn racing_duplicates_are_stored_once(store: Arc<dyn SessionStore>) {
    let session = with_session(&*store).await;
    let mut racers = JoinSet::new();
    for n in 0..64 {
        let (store, session) = (Arc::clone(&store), session.clone());
        racers.spawn(async move {
            let mut turn = turn("q", "same", 2000);
            turn.answer.id = message_id(&format!("answer-{n}"));
            store.append_turn(&session, Fence::FIRST, turn).await.expect("an answer")
        });
    }
    let outcomes = racers.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Appended::Stored).count(), 1);
    assert_eq!(store.session(&session).await.expect("read").expect("there").message_count, 2);
}

pub(super) async fn two_hundred_turns_at_once_all_arrive(store: Arc<dyn SessionStore>) {
    let session = with_session(&*store).await;
    let mut writers = JoinSet::new();
    for n in 0..200 {
        let (store, session) = (Arc::clone(&store), session.clone());
        writers.spawn(async move {
            let (question, id) = (format!("q{n}"), message_id(&format!("q{n}")));
            assert_eq!(
                store.append_turn(&session, Fence::FIRST, turn(&question, "?", n)).await.expect("stored"),
                Appended::Stored
            );
            // What was acknowledged can be read, by whomever.
            assert!(store.message(&session, &id).await.expect("read").is_some());
        });
    }
    writers.join_all().await;
    let page = store.messages(&session, None, 500, Scope::Conversation).await.expect("read");
    assert_eq!(page.messages.len(), 400);
    for pair in page.messages.chunks(2) {
        assert_eq!(format!("a-{}", pair[0].id), pair[1].id.to_string(), "an answer follows its question");
    }
}

pub(super) async fn any_text_survives(store: Arc<dyn SessionStore>) {
    let session = with_session(&*store).await;
    for (n, text) in ["", "\0", "a\0b", "\u{feff}x", "👩‍👩‍👧", "'; DROP TABLE messages; --", "\r\n\t", "\u{10ffff}"]
        .into_iter()
        .enumerate()
    {
        let turn = turn(&format!("q'{n}\u{202e}"), text, 1);
        store.append_turn(&session, Fence::FIRST, turn.clone()).await.expect("stored");
        assert_eq!(store.message(&session, &turn.question.id).await.expect("read"), Some(turn.question));
    }
}
