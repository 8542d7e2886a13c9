//! What every [`SessionStore`] has to do, tried on each of them.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::{
    Appended, Branch, Branched, FinishedAnswer, MAX_PAGE, MessagePage, Piece, Scope, SessionRecord, SessionStore,
    SpendingStore, Spent, StoreError, Turn, memory::MemoryStore, sqlite::SqliteStore,
};
use crate::chat::{
    Citation, Feedback, Message, MessageId, Opinion, Owner, RunId, SessionId, Source, Status, Timestamp, Usage,
};

pub(super) fn session_id(text: &str) -> SessionId {
    SessionId::parse(text).expect("an id")
}

pub(super) fn message_id(text: &str) -> MessageId {
    MessageId::parse(text).expect("an id")
}

pub(super) fn record(id: &str, created_at: u64) -> SessionRecord {
    SessionRecord {
        id: session_id(id),
        assistant: "default".to_owned(),
        metadata: None,
        created_at: Timestamp(created_at),
        updated_at: Timestamp(created_at),
        message_count: 0,
        owner: None,
    }
}

pub(super) fn turn(question: &str, text: &str, created_at: u64) -> Turn {
    let run = RunId::parse(&format!("r-{question}")).expect("an id");
    let (id, created_at) = (message_id(question), Timestamp(created_at));
    Turn {
        opens: None,
        answer: Message::pending(message_id(&format!("a-{question}")), Some(id.clone()), run.clone(), created_at),
        question: Message::question(id, text.to_owned(), run, created_at),
    }
}

pub(super) fn finished(question: &str, text: &str, status: Status) -> FinishedAnswer {
    FinishedAnswer {
        id: message_id(&format!("a-{question}")),
        run: RunId::parse(&format!("r-{question}")).expect("an id"),
        text: text.to_owned(),
        status,
        model: Some("small-1".to_owned()),
        citations: vec![Citation { n: 1, start: 0, end: 4 }],
        sources: vec![Source {
            n: 1,
            document: "d1".to_owned(),
            title: "Loans \u{1f4b0}".to_owned(),
            uri: None,
            page: Some(3),
            heading: Some("Rates".to_owned()),
            score: 0.1 + 0.2,
            snippet: "From 4.1 %".to_owned(),
        }],
        usage: Some(Usage { input: 7, output: 9, estimated: true }),
    }
}

pub(super) fn piece(question: &str, at: usize, text: &str) -> Piece {
    let answer = message_id(&format!("a-{question}"));
    Piece { session: session_id("s"), answer, at, text: text.to_owned() }
}

/// Runs every test of the contract against one way of making a store.
macro_rules! contract {
    ($name:ident, $store:expr, [$($test:ident),* $(,)?]) => {
        mod $name {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let (store, _keep) = $store;
                    super::$test(Arc::new(store)).await;
                }
            )*
        }
    };
}

macro_rules! contracts {
    ($tests:tt) => {
        contract!(memory, (MemoryStore::default(), ()), $tests);
        contract!(sqlite, sqlite_store(), $tests);
    };
}

contracts!([
    a_session_comes_back_as_it_was_stored,
    a_taken_session_id_is_refused,
    sessions_are_paged_newest_first,
    sessions_are_listed_by_owner,
    a_turn_is_stored_once,
    a_session_is_stored_with_its_first_turn,
    an_answer_grows_and_ends,
    answers_grow_side_by_side,
    an_ended_answer_stays_as_it_is,
    what_cannot_be_read_again_is_refused,
    messages_are_paged_backwards,
    an_answer_is_written_anew,
    a_question_is_edited,
    a_branch_begins_in_the_conversation_only,
    feedback_is_kept_with_its_message,
    limits_are_bounded,
    deleting_a_session_takes_all_of_it,
    expired_sessions_go_and_used_ones_stay,
    missing_sessions_are_told,
    racing_duplicates_are_stored_once,
    two_hundred_turns_at_once_all_arrive,
    any_text_survives,
]);

#[tokio::test]
async fn what_was_spent_on_a_day_comes_back_in_memory() {
    what_was_spent_comes_back(&MemoryStore::default()).await;
}

#[tokio::test]
async fn what_was_spent_on_a_day_comes_back_from_sqlite() {
    let (store, _keep) = sqlite_store();
    what_was_spent_comes_back(&store).await;
}

fn sqlite_store() -> (SqliteStore, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    (SqliteStore::open(folder.path().join("rivulet.db")).expect("opens"), folder)
}

async fn what_was_spent_comes_back(store: &dyn SpendingStore) {
    let spent = |account: &str, tokens| Spent { account: account.to_owned(), tokens };
    let on = async |day| {
        let mut found = store.spent(day, 9).await.expect("read");
        found.sort_by(|a, b| a.account.cmp(&b.account));
        found
    };
    store.spend(10, vec![spent("a/u", 5), spent("b", 7)]).await.expect("noted");
    store.spend(10, vec![spent("a/u", 9)]).await.expect("noted");
    assert_eq!(on(10).await, [spent("a/u", 9), spent("b", 7)], "in all, not added");
    assert_eq!(store.spent(10, 1).await.expect("read").len(), 1);
    store.spend(11, vec![spent("b", 1)]).await.expect("noted");
    assert_eq!((on(10).await.len(), on(11).await), (2, vec![spent("b", 1)]), "yesterday is known");
    store.spend(12, Vec::new()).await.expect("noted");
    assert_eq!((on(10).await.len(), on(11).await.len()), (0, 1), "what was before is not");
}

async fn with_session(store: &dyn SessionStore) -> SessionId {
    store.create_session(record("s", 1000)).await.expect("stored");
    session_id("s")
}

fn ids(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.id.as_str()).collect()
}

async fn a_session_comes_back_as_it_was_stored(store: Arc<dyn SessionStore>) {
    let metadata = serde_json::json!({ "customer": "ü\u{0}", "nested": [1, 2.5, null] });
    let wanted = SessionRecord { metadata: Some(metadata), updated_at: Timestamp(1500), ..record("s", 1000) };
    store.create_session(SessionRecord { message_count: 99, ..wanted.clone() }).await.expect("stored");
    assert_eq!(store.session(&wanted.id).await.expect("read"), Some(wanted));
    assert_eq!(store.session(&session_id("other")).await.expect("read"), None);
    store.check().await.expect("works");
}

async fn a_taken_session_id_is_refused(store: Arc<dyn SessionStore>) {
    with_session(&*store).await;
    let second = store.create_session(SessionRecord { assistant: "evil".to_owned(), ..record("s", 2000) }).await;
    assert!(matches!(second, Err(StoreError::Unavailable(_))), "{second:?}");
    assert_eq!(store.session(&session_id("s")).await.expect("read"), Some(record("s", 1000)));
}

async fn sessions_are_paged_newest_first(store: Arc<dyn SessionStore>) {
    for (id, created_at) in [("c", 20), ("a", 10), ("b", 20), ("e", 30), ("d", 20)] {
        store.create_session(record(id, created_at)).await.expect("stored");
    }
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = store.sessions(None, before.as_ref(), 2).await.expect("read");
        assert!(page.sessions.len() <= 2);
        seen.extend(page.sessions.iter().map(|session| session.id.to_string()));
        before = page.sessions.last().map(|session| session.id.clone());
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, ["e", "b", "c", "d", "a"]);
    let after_the_last = store.sessions(None, Some(&session_id("a")), 10).await.expect("read");
    assert_eq!((after_the_last.sessions.len(), after_the_last.more), (0, false));
}

async fn sessions_are_listed_by_owner(store: Arc<dyn SessionStore>) {
    let owners = [None, Some(Owner::new("acme/ann")), Some(Owner::new("acme/ben"))];
    for (n, id) in ["a0", "b1", "c2", "d0", "e1", "f1"].iter().enumerate() {
        let owner = owners[usize::from(id.as_bytes()[1] - b'0')].clone();
        let wanted = SessionRecord { owner, ..record(id, 10 * n as u64) };
        store.create_session(wanted.clone()).await.expect("stored");
        assert_eq!(store.session(&wanted.id).await.expect("read"), Some(wanted));
    }
    let list = async |owner: &Option<Owner>, before: Option<&str>, limit| {
        let page = store.sessions(owner.as_ref(), before.map(session_id).as_ref(), limit).await?;
        Ok::<_, StoreError>((page.sessions.iter().map(|s| s.id.to_string()).collect::<Vec<_>>().join(" "), page.more))
    };
    let [nobody, ann, ben] = &owners;
    assert_eq!(list(nobody, None, 9).await.expect("read"), ("d0 a0".to_owned(), false));
    assert_eq!(list(ann, None, 2).await.expect("read"), ("f1 e1".to_owned(), true));
    assert_eq!(list(ann, Some("e1"), 2).await.expect("read"), ("b1".to_owned(), false));
    assert_eq!(list(ben, None, 1).await.expect("read"), ("c2".to_owned(), false));
    assert_eq!(list(&Some(Owner::new("acme/cid")), None, 9).await.expect("read"), (String::new(), false));
    for (owner, before) in [(ben, "e1"), (nobody, "c2"), (ann, "d0")] {
        assert!(
            matches!(list(owner, Some(before), 1).await, Err(StoreError::NoSession)),
            "{before} is somebody else's"
        );
    }
}

async fn a_turn_is_stored_once(store: Arc<dyn SessionStore>) {
    let session = with_session(&*store).await;
    let first = turn("q1", "I need a loan", 5000);
    assert_eq!(store.append_turn(&session, first.clone()).await.expect("stored"), Appended::Stored);

    let mut again = turn("q1", "I need a boat", 9000);
    again.answer.id = message_id("another");
    assert_eq!(
        store.append_turn(&session, again).await.expect("kept"),
        Appended::Exists(Box::new(first.question.clone()))
    );

    // The id of an answer is an id of the session too.
    let mut stolen = turn("a-q1", "hello", 9000);
    stolen.answer.id = message_id("yet-another");
    assert_eq!(
        store.append_turn(&session, stolen).await.expect("kept"),
        Appended::Exists(Box::new(first.answer.clone()))
    );

    let mut clash = turn("q2", "hello", 9000);
    clash.answer.id = message_id("a-q1");
    assert!(matches!(store.append_turn(&session, clash).await, Err(StoreError::Unavailable(_))));

    let page = store.messages(&session, None, 10, Scope::Conversation).await.expect("read");
    assert_eq!(page.messages, [first.question.clone(), first.answer]);
    let record = store.session(&session).await.expect("read").expect("there");
    assert_eq!((record.message_count, record.updated_at), (2, Timestamp(5000)));
    assert_eq!(store.message(&session, &message_id("q1")).await.expect("read"), Some(first.question));
    assert_eq!(store.message(&session, &message_id("q2")).await.expect("read"), None);
}

async fn a_session_is_stored_with_its_first_turn(store: Arc<dyn SessionStore>) {
    let session = session_id("s");
    let opened = SessionRecord { owner: Some(Owner::new("acme/ann")), ..record("s", 1000) };
    let opening = |question: &str| Turn { opens: Some(opened.clone()), ..turn(question, "?", 5000) };
    // One of several that were said at once: each may be the first.
    assert_eq!(store.append_turn(&session, opening("q1")).await.expect("stored"), Appended::Stored);
    assert_eq!(store.append_turn(&session, opening("q2")).await.expect("stored"), Appended::Stored);
    let again = store.append_turn(&session, opening("q1")).await.expect("kept");
    assert!(matches!(again, Appended::Exists(_)), "{again:?}");
    let wanted = SessionRecord { message_count: 4, updated_at: Timestamp(5000), ..opened.clone() };
    assert_eq!(store.session(&session).await.expect("read"), Some(wanted.clone()));
    assert_eq!(store.sessions(opened.owner.as_ref(), None, 9).await.expect("read").sessions, [wanted]);

    // All or nothing.
    let mut bad = Turn { opens: Some(record("t", 1000)), ..turn("q", "?", 5000) };
    bad.answer.id = bad.question.id.clone();
    assert!(matches!(store.append_turn(&session_id("t"), bad).await, Err(StoreError::Unavailable(_))));
    assert_eq!(store.session(&session_id("t")).await.expect("read"), None);
}

async fn an_answer_grows_and_ends(store: Arc<dyn SessionStore>) {
    let session = with_session(&*store).await;
    store.append_turn(&session, turn("q", "?", 2000)).await.expect("stored");
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
    store.finish_answer(&session, end.clone()).await.expect("ended");
    let message = store.message(&session, &answer).await.expect("read").expect("there");
    assert_eq!((message.text, message.status), (end.text, end.status));
    assert_eq!((message.run, message.model), (Some(end.run), end.model));
    assert_eq!((message.citations, message.sources), (end.citations, end.sources));
    let record = store.session(&session).await.expect("read").expect("there");
    assert!(record.updated_at > Timestamp(2000), "ending an answer is a use: {}", record.updated_at);
}

async fn answers_grow_side_by_side(store: Arc<dyn SessionStore>) {
    let session = with_session(&*store).await;
    store.create_session(record("t", 1000)).await.expect("stored");
    for (session, question) in [("s", "q1"), ("s", "q2"), ("t", "q1")] {
        store.append_turn(&session_id(session), turn(question, "?", 2000)).await.expect("stored");
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
    store.finish_answer(&session, finished("q2", "2", Status::Complete)).await.expect("ended");
    store.delete_session(&session).await.expect("deleted");
    with_session(&*store).await;
    for question in ["q2", "q1"] {
        store.append_turn(&session, turn(question, "?", 2000)).await.expect("stored");
    }
    assert_eq!((texts("s").await.as_str(), texts("t").await.as_str()), ("?//?/", "?/three"));
}

async fn an_ended_answer_stays_as_it_is(store: Arc<dyn SessionStore>) {
    let session = with_session(&*store).await;
    store.append_turn(&session, turn("q", "?", 2000)).await.expect("stored");
    store.finish_answer(&session, finished("q", "whole", Status::Complete)).await.expect("ended");
    let ended = store.message(&session, &message_id("a-q")).await.expect("read");

    store.checkpoint(vec![piece("q", 0, "late"), piece("q", 5, ", later")]).await.expect("ignored");
    store.finish_answer(&session, finished("q", "later", Status::Error)).await.expect("ignored");
    assert_eq!(store.message(&session, &message_id("a-q")).await.expect("read"), ended);

    // A question is nobody's answer.
    store.checkpoint(vec![Piece { answer: message_id("q"), ..piece("q", 0, "forged") }]).await.expect("ignored");
    assert_eq!(store.message(&session, &message_id("q")).await.expect("read").expect("there").text, "?");
}

async fn what_cannot_be_read_again_is_refused(store: Arc<dyn SessionStore>) {
    let session = with_session(&*store).await;
    store.append_turn(&session, turn("q", "?", 2000)).await.expect("stored");
    let mut infinite = finished("q", "text", Status::Complete);
    infinite.sources[0].score = f32::NAN;
    for bad in [finished("q", "text", Status::Pending), infinite, finished("unknown", "text", Status::Complete)] {
        let answer = store.finish_answer(&session, bad).await;
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    }
    let message = store.message(&session, &message_id("a-q")).await.expect("read").expect("there");
    assert_eq!(message.status, Status::Pending);
}

async fn messages_are_paged_backwards(store: Arc<dyn SessionStore>) {
    let session = with_session(&*store).await;
    // The clock jumps back: the order is the order of arrival.
    for (question, created_at) in [("q1", 3000), ("q2", 1000), ("q3", 2000)] {
        store.append_turn(&session, turn(question, "?", created_at)).await.expect("stored");
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

fn another_answer(id: &str, at: Option<&str>) -> Branch {
    let run = RunId::parse(&format!("r-{id}")).expect("an id");
    Branch {
        at: at.map(message_id),
        question: None,
        answer: Message::pending(message_id(id), None, run, Timestamp(7000)),
    }
}

fn edited(id: &str, at: &str, text: &str) -> Branch {
    let mut branch = another_answer(&format!("a-{id}"), Some(at));
    let run = branch.answer.run.clone().expect("a run");
    branch.question = Some(Message::question(message_id(id), text.to_owned(), run, Timestamp(7000)));
    branch
}

async fn three_turns(store: &dyn SessionStore) -> SessionId {
    let session = with_session(store).await;
    for question in ["q1", "q2", "q3"] {
        store.append_turn(&session, turn(question, "?", 2000)).await.expect("stored");
        store.finish_answer(&session, finished(question, "!", Status::Complete)).await.expect("ended");
    }
    session
}

async fn page(store: &dyn SessionStore, session: &SessionId, scope: Scope) -> MessagePage {
    store.messages(session, None, 100, scope).await.expect("read")
}

async fn stored(store: &dyn SessionStore, session: &SessionId, branch: Branch) -> (Message, MessagePage) {
    match store.branch(session, branch, 100).await.expect("stored") {
        Branched::Stored { question, page } => (*question, page),
        refused => panic!("{refused:?}"),
    }
}

async fn an_answer_is_written_anew(store: Arc<dyn SessionStore>) {
    let session = three_turns(&*store).await;
    let (question, now) = stored(&*store, &session, another_answer("b", None)).await;
    assert_eq!(question.id, message_id("q3"));
    assert_eq!(question.run, Some(RunId::parse("r-b").expect("an id")), "the question's run is the newest one");
    assert_eq!(ids(&now.messages), ["q1", "a-q1", "q2", "a-q2", "q3", "b"]);
    let answer = now.messages.last().expect("there");
    assert_eq!((answer.question.clone(), answer.replaces.clone()), (Some(question.id), Some(message_id("a-q3"))));
    assert_eq!(answer.status, Status::Pending);
    assert_eq!(page(&*store, &session, Scope::Conversation).await, now);

    // Anew, from the middle, named by the question or by the answer; what came later goes with it.
    let (_, now) = stored(&*store, &session, another_answer("c", Some("q2"))).await;
    assert_eq!(ids(&now.messages), ["q1", "a-q1", "q2", "c"]);
    let (_, now) = stored(&*store, &session, another_answer("d", Some("c"))).await;
    assert_eq!(ids(&now.messages), ["q1", "a-q1", "q2", "d"]);
    assert_eq!(store.session(&session).await.expect("read").expect("there").message_count, 4);

    let all = page(&*store, &session, Scope::Everything).await;
    assert_eq!(ids(&all.messages), ["q1", "a-q1", "q2", "a-q2", "q3", "a-q3", "b", "c", "d"]);
    let replaced: Vec<_> = all.messages.iter().filter(|message| message.replaced).cloned().collect();
    assert_eq!(ids(&replaced), ["a-q2", "q3", "a-q3", "b", "c"]);

    let again = store.branch(&session, another_answer("d", None), 100).await.expect("known");
    assert_eq!(again, Branched::Exists(Box::new(now.messages[3].clone())), "a repetition is known by the answer's id");
    let short = store.branch(&session, another_answer("e", None), 3).await.expect("stored");
    let Branched::Stored { page, .. } = short else { panic!("{short:?}") };
    assert_eq!((ids(&page.messages), page.more), (vec!["a-q1", "q2", "e"], true));
}

async fn a_question_is_edited(store: Arc<dyn SessionStore>) {
    let session = three_turns(&*store).await;
    let (question, now) = stored(&*store, &session, edited("n", "q2", "other")).await;
    assert_eq!((question.text.as_str(), question.replaces), ("other", Some(message_id("q2"))));
    assert_eq!(ids(&now.messages), ["q1", "a-q1", "n", "a-n"]);
    assert_eq!(now.messages[3].question, Some(message_id("n")));
    assert_eq!(store.session(&session).await.expect("read").expect("there").message_count, 4);
    let again = store.branch(&session, edited("n", "q2", "other"), 100).await.expect("known");
    assert_eq!(again, Branched::Exists(Box::new(now.messages[2].clone())));
    store.append_turn(&session, turn("q4", "?", 9000)).await.expect("stored");
    let now = page(&*store, &session, Scope::Conversation).await;
    assert_eq!(ids(&now.messages), ["q1", "a-q1", "n", "a-n", "q4", "a-q4"]);
}

async fn a_branch_begins_in_the_conversation_only(store: Arc<dyn SessionStore>) {
    let session = with_session(&*store).await;
    let nothing = store.branch(&session, another_answer("b", None), 9).await.expect("read");
    assert_eq!(nothing, Branched::NotFound, "no answer is there to be written anew");
    let session = {
        store.delete_session(&session).await.expect("deleted");
        three_turns(&*store).await
    };
    stored(&*store, &session, edited("n", "q2", "other")).await;
    let before = page(&*store, &session, Scope::Everything).await;
    for (branch, expected) in [
        (another_answer("b", Some("unknown")), Branched::NotFound),
        (another_answer("b", Some("a-q2")), Branched::NotFound),
        (another_answer("b", Some("q3")), Branched::NotFound),
        (edited("b", "unknown", "x"), Branched::NotFound),
        (edited("b", "q2", "x"), Branched::NotFound),
        (edited("b", "a-q1", "x"), Branched::NotAQuestion),
    ] {
        assert_eq!(store.branch(&session, branch.clone(), 9).await.expect("refused"), expected, "{branch:?}");
    }
    assert_eq!(page(&*store, &session, Scope::Everything).await, before);
    let nobody = session_id("nobody");
    assert!(matches!(store.branch(&nobody, another_answer("b", None), 9).await, Err(StoreError::NoSession)));
}

async fn feedback_is_kept_with_its_message(store: Arc<dyn SessionStore>) {
    let session = three_turns(&*store).await;
    let bad = Feedback { value: Opinion::Bad, comment: Some("wrong \u{1f4b0}".to_owned()) };
    let good = Feedback { value: Opinion::Good, comment: None };
    for feedback in [bad, good] {
        assert!(store.rate(&session, &message_id("a-q1"), feedback.clone()).await.expect("kept"));
        let message = store.message(&session, &message_id("a-q1")).await.expect("read").expect("there");
        assert_eq!(message.feedback, Some(feedback.clone()));
        assert!(!store.rate(&session, &message_id("unknown"), feedback.clone()).await.expect("told"));
        let nobody = store.rate(&session_id("nobody"), &message_id("a-q1"), feedback).await;
        assert!(matches!(nobody, Err(StoreError::NoSession)));
    }
}

async fn limits_are_bounded(store: Arc<dyn SessionStore>) {
    let session = with_session(&*store).await;
    for n in 0..=MAX_PAGE / 2 {
        store.append_turn(&session, turn(&format!("q{n}"), "?", 2000)).await.expect("stored");
    }
    let page = store.messages(&session, None, usize::MAX, Scope::Conversation).await.expect("read");
    assert_eq!((page.messages.len(), page.more), (MAX_PAGE, true));
    assert!(store.sessions(None, None, usize::MAX).await.is_ok());
    assert_eq!(store.delete_expired(Timestamp(0), usize::MAX).await.expect("none"), []);
}

async fn deleting_a_session_takes_all_of_it(store: Arc<dyn SessionStore>) {
    let session = with_session(&*store).await;
    store.append_turn(&session, turn("q", "?", 2000)).await.expect("stored");
    assert!(store.delete_session(&session).await.expect("deleted"));
    assert!(!store.delete_session(&session).await.expect("gone already"));
    assert_eq!(store.message(&session, &message_id("q")).await.expect("read"), None);
    // The same id again starts empty.
    with_session(&*store).await;
    assert_eq!(store.messages(&session, None, 10, Scope::Conversation).await.expect("read").messages, []);
    assert_eq!(store.append_turn(&session, turn("q", "?", 2000)).await.expect("stored"), Appended::Stored);
}

async fn expired_sessions_go_and_used_ones_stay(store: Arc<dyn SessionStore>) {
    for (id, created_at) in [("old", 10), ("older", 5), ("edge", 100), ("used", 7)] {
        store.create_session(record(id, created_at)).await.expect("stored");
    }
    store.append_turn(&session_id("used"), turn("q", "?", 500)).await.expect("stored");
    let gone = store.delete_expired(Timestamp(100), 1).await.expect("deleted");
    assert_eq!(gone, [session_id("older")], "the longest unused first");
    assert_eq!(store.delete_expired(Timestamp(100), 10).await.expect("deleted"), [session_id("old")]);
    assert_eq!(store.delete_expired(Timestamp(100), 10).await.expect("none left"), []);
    let left = store.sessions(None, None, 10).await.expect("read").sessions;
    assert_eq!(left.iter().map(|session| session.id.as_str()).collect::<Vec<_>>(), ["edge", "used"]);
}

async fn missing_sessions_are_told(store: Arc<dyn SessionStore>) {
    let nobody = session_id("nobody");
    assert!(matches!(store.append_turn(&nobody, turn("q", "?", 1)).await, Err(StoreError::NoSession)));
    let end = finished("q", "", Status::Complete);
    assert!(matches!(store.finish_answer(&nobody, end).await, Err(StoreError::NoSession)));
    assert!(matches!(store.messages(&nobody, None, 1, Scope::Conversation).await, Err(StoreError::NoSession)));
    assert!(matches!(store.sessions(None, Some(&nobody), 1).await, Err(StoreError::NoSession)));
    assert_eq!(store.message(&nobody, &message_id("q")).await.expect("read"), None);
}

async fn racing_duplicates_are_stored_once(store: Arc<dyn SessionStore>) {
    let session = with_session(&*store).await;
    let mut racers = JoinSet::new();
    for n in 0..64 {
        let (store, session) = (Arc::clone(&store), session.clone());
        racers.spawn(async move {
            let mut turn = turn("q", "same", 2000);
            turn.answer.id = message_id(&format!("answer-{n}"));
            store.append_turn(&session, turn).await.expect("an answer")
        });
    }
    let outcomes = racers.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Appended::Stored).count(), 1);
    assert_eq!(store.session(&session).await.expect("read").expect("there").message_count, 2);
}

async fn two_hundred_turns_at_once_all_arrive(store: Arc<dyn SessionStore>) {
    let session = with_session(&*store).await;
    let mut writers = JoinSet::new();
    for n in 0..200 {
        let (store, session) = (Arc::clone(&store), session.clone());
        writers.spawn(async move {
            let (question, id) = (format!("q{n}"), message_id(&format!("q{n}")));
            assert_eq!(store.append_turn(&session, turn(&question, "?", n)).await.expect("stored"), Appended::Stored);
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

async fn any_text_survives(store: Arc<dyn SessionStore>) {
    let session = with_session(&*store).await;
    for (n, text) in ["", "\0", "a\0b", "\u{feff}x", "👩‍👩‍👧", "'; DROP TABLE messages; --", "\r\n\t", "\u{10ffff}"]
        .into_iter()
        .enumerate()
    {
        let turn = turn(&format!("q'{n}\u{202e}"), text, 1);
        store.append_turn(&session, turn.clone()).await.expect("stored");
        assert_eq!(store.message(&session, &turn.question.id).await.expect("read"), Some(turn.question));
    }
}
