//! What takes the place of what was said, and what is thought of it.

use super::*;

pub(super) fn another_answer(id: &str, at: Option<&str>) -> Branch {
    let run = RunId::parse(&format!("r-{id}")).expect("an id");
    Branch {
        at: at.map(message_id),
        question: None,
        answer: Message::pending(message_id(id), None, run, Timestamp(7000)),
        decided: None,
    }
}

pub(super) fn edited(id: &str, at: &str, text: &str) -> Branch {
    let mut branch = another_answer(&format!("a-{id}"), Some(at));
    let run = branch.answer.run.clone().expect("a run");
    branch.question = Some(Message::question(message_id(id), text.to_owned(), run, Timestamp(7000)));
    branch
}

async fn three_turns(store: &dyn SessionStore) -> SessionId {
    let session = with_session(store).await;
    for question in ["q1", "q2", "q3"] {
        store.append_turn(&session, Fence::FIRST, turn(question, "?", 2000)).await.expect("stored");
        store.finish_answer(&session, Fence::FIRST, finished(question, "!", Status::Complete)).await.expect("ended");
    }
    session
}

async fn page(store: &dyn SessionStore, session: &SessionId, scope: Scope) -> MessagePage {
    store.messages(session, None, 100, scope).await.expect("read")
}

pub(super) async fn stored(store: &dyn SessionStore, session: &SessionId, branch: Branch) -> (Message, MessagePage) {
    match store.branch(session, Fence::FIRST, branch, 100).await.expect("stored") {
        Branched::Stored { question, page } => (*question, page),
        refused => panic!("{refused:?}"),
    }
}

/// An answer in which a call waits.
fn waiting(question: &str, call: &CallId) -> FinishedAnswer {
    let mut answer = finished(question, "Shall I?", Status::AwaitingApproval);
    answer.tools[0].call.call = call.clone();
    let args = answer.tools[0].call.args.clone();
    let outcome = &mut answer.tools[0].outcome;
    outcome.status = ToolStatus::Waiting;
    outcome.approval = Some(Approval::of(call.clone(), "emi", &args, Approver::User, Timestamp(9000)));
    answer
}

pub(super) async fn an_answer_waits_and_another_goes_on_from_it_once(store: Arc<dyn SessionStore>) {
    let owner = Owner::new("acme/ann");
    let session = make(&*store, SessionRecord { owner: Some(owner.clone()), ..record("s", 1000) }).await;
    let calls = [CallId::random(), CallId::random(), CallId::random()];
    let found = async |whose: Awaiting<'_>, part: Option<&str>| {
        let found = store.awaiting(whose, part).await.expect("read");
        found.into_iter().map(|one| (one.session, one.owner, one.answer.id)).collect::<Vec<_>>()
    };
    store.append_turn(&session, Fence::FIRST, turn("q1", "?", 2000)).await.expect("stored");
    store.finish_answer(&session, Fence::FIRST, waiting("q1", &calls[0])).await.expect("ended");
    let it = (session.clone(), owner.clone(), message_id("a-q1"));
    assert_eq!(found(Awaiting::Of(&owner), None).await, std::slice::from_ref(&it));
    assert_eq!(found(Awaiting::Tenant("acme"), Some(&format!(r#""call":"{}""#, calls[0]))).await, [it]);
    assert_eq!(found(Awaiting::Tenant("acme"), Some(&format!(r#""call":"{}""#, calls[1]))).await, []);
    for whose in [Awaiting::Of(&Owner::new("acme/anna")), Awaiting::Tenant("acm"), Awaiting::Tenant("acme2")] {
        assert_eq!(found(whose, None).await, []);
    }

    let mut tools = waiting("q1", &calls[0]).tools;
    tools[0].outcome.status = ToolStatus::Approved;
    let yes = |id: &str, at: &str| Branch { decided: Some(tools.clone()), ..another_answer(id, Some(at)) };
    let (question, now) = stored(&*store, &session, yes("b", "a-q1")).await;
    assert_eq!((question.id, ids(&now.messages)), (message_id("q1"), vec!["q1", "a-q1", "b"]));
    assert_eq!((now.messages[1].status, &now.messages[1].tools), (Status::Complete, &tools));
    assert_eq!((now.messages[2].status, &now.messages[2].question), (Status::Pending, &Some(message_id("q1"))));
    assert_eq!(store.session(&session).await.expect("read").expect("there").message_count, 3);
    assert_eq!(found(Awaiting::Of(&owner), None).await, []);
    let again = store.branch(&session, Fence::FIRST, yes("b", "a-q1"), 9).await.expect("known");
    assert!(matches!(again, Branched::Exists(_)), "{again:?}");
    for (id, at) in [("c", "a-q1"), ("d", "b"), ("e", "q1"), ("f", "nothing")] {
        assert_eq!(
            store.branch(&session, Fence::FIRST, yes(id, at), 9).await.expect("read"),
            Branched::NotFound,
            "{at}"
        );
    }

    // Anew means all that came of the question.
    let (_, now) = stored(&*store, &session, another_answer("g", Some("b"))).await;
    assert_eq!((ids(&now.messages), &now.messages[1].replaces), (vec!["q1", "g"], &Some(message_id("a-q1"))));

    // Something else is said instead: it waits for nothing any more.
    store.append_turn(&session, Fence::FIRST, turn("q2", "?", 3000)).await.expect("stored");
    store.finish_answer(&session, Fence::FIRST, waiting("q2", &calls[1])).await.expect("ended");
    let known = store.append_turn(&session, Fence::FIRST, turn("q2", "?", 3000)).await.expect("known");
    assert!(matches!(known, Appended::Exists(_)), "{known:?}");
    assert_eq!(found(Awaiting::Of(&owner), None).await.len(), 1, "what is said already changes nothing");
    store.append_turn(&session, Fence::FIRST, turn("q3", "!", 4000)).await.expect("stored");
    let left = store.message(&session, &message_id("a-q2")).await.expect("read").expect("there");
    assert_eq!((left.status, left.tools[0].outcome.status), (Status::Complete, ToolStatus::Superseded));
    assert_eq!(found(Awaiting::Of(&owner), None).await, []);

    // Whose end comes after that, too.
    store.append_turn(&session, Fence::FIRST, turn("q4", "!", 5000)).await.expect("stored");
    store.finish_answer(&session, Fence::FIRST, waiting("q3", &calls[2])).await.expect("ended");
    let late = store.message(&session, &message_id("a-q3")).await.expect("read").expect("there");
    assert_eq!((late.status, late.tools[0].outcome.status), (Status::Complete, ToolStatus::Superseded));

    // What is replaced waits for nothing either.
    store.finish_answer(&session, Fence::FIRST, waiting("q4", &calls[2])).await.expect("ended");
    assert_eq!(found(Awaiting::Of(&owner), None).await.len(), 1);
    stored(&*store, &session, another_answer("h", Some("q4"))).await;
    assert_eq!(found(Awaiting::Of(&owner), None).await, []);
}

pub(super) async fn an_answer_is_written_anew(store: Arc<dyn SessionStore>) {
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

    let again = store.branch(&session, Fence::FIRST, another_answer("d", None), 100).await.expect("known");
    assert_eq!(again, Branched::Exists(Box::new(now.messages[3].clone())), "a repetition is known by the answer's id");
    let short = store.branch(&session, Fence::FIRST, another_answer("e", None), 3).await.expect("stored");
    let Branched::Stored { page, .. } = short else { panic!("{short:?}") };
    assert_eq!((ids(&page.messages), page.more), (vec!["a-q1", "q2", "e"], true));
}

pub(super) async fn a_question_is_edited(store: Arc<dyn SessionStore>) {
    let session = three_turns(&*store).await;
    let (question, now) = stored(&*store, &session, edited("n", "q2", "other")).await;
    assert_eq!((question.text.as_str(), question.replaces), ("other", Some(message_id("q2"))));
    assert_eq!(ids(&now.messages), ["q1", "a-q1", "n", "a-n"]);
    assert_eq!(now.messages[3].question, Some(message_id("n")));
    assert_eq!(store.session(&session).await.expect("read").expect("there").message_count, 4);
    let again = store.branch(&session, Fence::FIRST, edited("n", "q2", "other"), 100).await.expect("known");
    assert_eq!(again, Branched::Exists(Box::new(now.messages[2].clone())));
    store.append_turn(&session, Fence::FIRST, turn("q4", "?", 9000)).await.expect("stored");
    let now = page(&*store, &session, Scope::Conversation).await;
    assert_eq!(ids(&now.messages), ["q1", "a-q1", "n", "a-n", "q4", "a-q4"]);
}

pub(super) async fn a_branch_begins_in_the_conversation_only(store: Arc<dyn SessionStore>) {
    let session = with_session(&*store).await;
    let nothing = store.branch(&session, Fence::FIRST, another_answer("b", None), 9).await.expect("read");
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
        assert_eq!(
            store.branch(&session, Fence::FIRST, branch.clone(), 9).await.expect("refused"),
            expected,
            "{branch:?}"
        );
    }
    assert_eq!(page(&*store, &session, Scope::Everything).await, before);
    let nobody = session_id("nobody");
    assert!(matches!(
        store.branch(&nobody, Fence::FIRST, another_answer("b", None), 9).await,
        Err(StoreError::NoSession)
    ));
}

pub(super) async fn feedback_is_counted_by_day_model_and_version(store: Arc<dyn SessionStore>) {
    let day = 24 * 3600 * 1000;
    let rated = [
        ("north/ann", "n1", 100 * day, Rating::Good),
        ("north/ann", "n2", 101 * day + 5, Rating::Good),
        ("north/ben", "n3", 102 * day - 1, Rating::Bad),
        ("north0/eve", "o1", 101 * day, Rating::Bad),
        ("nort/eve", "p1", 101 * day, Rating::Bad),
    ];
    for (owner, name, at, value) in rated {
        let session = session_id(&format!("s-{name}"));
        let record = SessionRecord { owner: Some(Owner::new(owner)), ..record(session.as_str(), 1000) };
        make(&*store, record).await;
        store.append_turn(&session, Fence::FIRST, turn(name, "?", at)).await.expect("stored");
        let variant = (name == "n3").then(|| "brief".to_owned());
        let answer = FinishedAnswer { variant, ..finished(name, "!", Status::Complete) };
        store.finish_answer(&session, Fence::FIRST, answer.clone()).await.expect("ended");
        let message = store.message(&session, &answer.id).await.expect("read").expect("there");
        assert_eq!((message.version, message.variant), (answer.version, answer.variant));
        let feedback = Feedback { value, comment: Some("\"value\":-1".to_owned()) };
        assert!(store.rate(&session, &message_id(&format!("a-{name}")), feedback).await.expect("kept"));
    }
    let of = async |tenant: Option<&str>, since: u64| {
        let counted = store.feedback(tenant, Timestamp(since * day)).await.expect("counted");
        let answer = finished("n1", "", Status::Complete);
        let of = (&answer.model, "default", &answer.version);
        assert!(counted.iter().all(|row| (&row.model, &*row.assistant, &row.version) == of));
        let row = |row: FeedbackCount| (row.day.0 / day, row.variant.is_some(), row.good, row.bad);
        counted.into_iter().map(row).collect::<Vec<_>>()
    };
    let north = [(101, false, 1, 0), (101, true, 0, 1), (100, false, 1, 0)];
    assert_eq!(of(Some("north"), 0).await, north);
    assert_eq!(of(Some("north"), 101).await, north[..2]);
    assert_eq!(of(None, 0).await, [(101, false, 1, 2), north[1], north[2]]);
    assert_eq!(of(Some("south"), 0).await, []);
    assert_eq!(of(None, 102).await, []);
}

pub(super) async fn feedback_is_kept_with_its_message(store: Arc<dyn SessionStore>) {
    let session = three_turns(&*store).await;
    let bad = Feedback { value: Rating::Bad, comment: Some("wrong \u{1f4b0}".to_owned()) };
    let good = Feedback { value: Rating::Good, comment: None };
    for feedback in [bad, good] {
        assert!(store.rate(&session, &message_id("a-q1"), feedback.clone()).await.expect("kept"));
        let message = store.message(&session, &message_id("a-q1")).await.expect("read").expect("there");
        assert_eq!(message.feedback, Some(feedback.clone()));
        assert!(!store.rate(&session, &message_id("unknown"), feedback.clone()).await.expect("told"));
        let nobody = store.rate(&session_id("nobody"), &message_id("a-q1"), feedback).await;
        assert!(matches!(nobody, Err(StoreError::NoSession)));
    }
}
