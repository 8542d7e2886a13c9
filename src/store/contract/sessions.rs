//! Sessions: made, listed, named, bounded, deleted, expired.

use futures_util::{StreamExt, stream};

use super::*;

pub(super) async fn a_session_comes_back_as_it_was_stored(store: Arc<dyn SessionStore>) {
    let metadata = serde_json::json!({ "customer": "ü\u{0}", "nested": [1, 2.5, null] });
    let wanted = SessionRecord { metadata: Some(metadata), updated_at: Timestamp(1500), ..record("s", 1000) };
    store.create_session(SessionRecord { message_count: 99, ..wanted.clone() }).await.expect("stored");
    assert_eq!(store.session(&wanted.id).await.expect("read"), Some(wanted));
    assert_eq!(store.session(&session_id("other")).await.expect("read"), None);
    store.check().await.expect("works");
}

pub(super) async fn a_taken_session_id_is_refused(store: Arc<dyn SessionStore>) {
    with_session(&*store).await;
    let second = store.create_session(SessionRecord { assistant: "evil".to_owned(), ..record("s", 2000) }).await;
    assert!(matches!(second, Err(StoreError::Unavailable(_))), "{second:?}");
    assert_eq!(store.session(&session_id("s")).await.expect("read"), Some(record("s", 1000)));
}

pub(super) async fn sessions_are_paged_newest_first(store: Arc<dyn SessionStore>) {
    for (id, created_at) in [("c", 20), ("a", 10), ("b", 20), ("e", 30), ("d", 20)] {
        store.create_session(record(id, created_at)).await.expect("stored");
    }
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = store.sessions(None, None, before.as_ref(), 2).await.expect("read");
        assert!(page.sessions.len() <= 2);
        seen.extend(page.sessions.iter().map(|session| session.id.to_string()));
        before = page.sessions.last().map(|session| session.id.clone());
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, ["e", "b", "c", "d", "a"]);
    let after_the_last = store.sessions(None, None, Some(&session_id("a")), 10).await.expect("read");
    assert_eq!((after_the_last.sessions.len(), after_the_last.more), (0, false));
}

pub(super) async fn an_owner_has_so_many_sessions_and_others_have_theirs(store: Arc<dyn SessionStore>) {
    let of = |owner: Option<&str>, id: &str| SessionRecord { owner: owner.map(Owner::new), ..record(id, 1) };
    let made = (0..MAX_SESSIONS).map(|n| store.create_session(of(Some("acme/ann"), &format!("s{n}"))));
    let made: Vec<_> = stream::iter(made).buffer_unordered(100).collect().await;
    assert!(made.iter().all(Result::is_ok), "{:?}", made.iter().find(|made| made.is_err()));
    let one_more = store.create_session(of(Some("acme/ann"), "more")).await;
    assert!(matches!(one_more, Err(StoreError::TooManySessions)), "{one_more:?}");
    let opening = Turn { opens: Some(of(Some("acme/ann"), "more")), ..turn("q1", "why", 1) };
    let opened = store.append_turn(&session_id("more"), Fence::FIRST, opening).await;
    assert!(matches!(opened, Err(StoreError::TooManySessions)), "{opened:?}");
    store.create_session(of(Some("acme/ben"), "bens")).await.expect("another's");
    store.create_session(of(None, "nobodys")).await.expect("nobody's");
    assert!(store.delete_session(&session_id("s7")).await.expect("deleted"));
    store.create_session(of(Some("acme/ann"), "more")).await.expect("there is room again");
}

pub(super) async fn sessions_are_listed_by_owner(store: Arc<dyn SessionStore>) {
    let owners = [None, Some(Owner::new("acme/ann")), Some(Owner::new("acme/ben"))];
    for (n, id) in ["a0", "b1", "c2", "d0", "e1", "f1"].iter().enumerate() {
        let owner = owners[usize::from(id.as_bytes()[1] - b'0')].clone();
        let wanted = SessionRecord { owner, ..record(id, 10 * n as u64) };
        store.create_session(wanted.clone()).await.expect("stored");
        assert_eq!(store.session(&wanted.id).await.expect("read"), Some(wanted));
    }
    let list = async |owner: &Option<Owner>, before: Option<&str>, limit| {
        let page = store.sessions(owner.as_ref(), None, before.map(session_id).as_ref(), limit).await?;
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

fn title(text: &str) -> Title {
    Title::parse(text).expect("a title")
}

pub(super) async fn a_session_is_called_after_its_first_question_and_as_somebody_names_it(
    store: Arc<dyn SessionStore>,
) {
    let called = async |id: &str| store.session(&session_id(id)).await.expect("read").expect("there").title;
    let session = with_session(&*store).await;
    assert_eq!(called("s").await, None);
    for (id, question) in [("q1", "How do I wash\tthe \u{1f3d5}?\nAnd dry it?"), ("q2", "Something else")] {
        store.append_turn(&session, Fence::FIRST, turn(id, question, 2000)).await.expect("stored");
    }
    assert_eq!(called("s").await, Some(title("How do I wash the \u{1f3d5}?")));
    assert!(store.rename_session(&session, title("Ünique '%_")).await.expect("stored"));
    store.append_turn(&session, Fence::FIRST, turn("q3", "One more", 3000)).await.expect("stored");
    assert_eq!(called("s").await, Some(title("Ünique '%_")));
    assert_eq!(store.sessions(None, None, None, 9).await.expect("read").sessions[0].title, Some(title("Ünique '%_")));

    let named = make(&*store, record("named", 1000)).await;
    store.rename_session(&named, title("Before")).await.expect("stored");
    store.append_turn(&named, Fence::FIRST, turn("q", "A question", 2000)).await.expect("stored");
    assert_eq!(called("named").await, Some(title("Before")), "a name is older than the question");
    let silent = make(&*store, record("silent", 1000)).await;
    store.append_turn(&silent, Fence::FIRST, turn("q", "\u{1}\u{0}", 2000)).await.expect("stored");
    assert_eq!(called("silent").await, None);
    assert!(!store.rename_session(&session_id("nobody"), title("x")).await.expect("none"));
}

pub(super) async fn sessions_are_found_by_their_titles(store: Arc<dyn SessionStore>) {
    let ann = Owner::new("acme/ann");
    let titles = ["100 % wool", "Tents", "ÄRGER with a tent", "100 bottles", "Nothing of that"];
    for (n, text) in titles.iter().enumerate() {
        let made =
            SessionRecord { owner: Some(ann.clone()), title: Some(title(text)), ..record(&format!("s{n}"), n as u64) };
        store.create_session(made).await.expect("stored");
    }
    store
        .create_session(SessionRecord { title: Some(title("Tents of others")), ..record("other", 9) })
        .await
        .expect("stored");
    store.create_session(SessionRecord { owner: Some(ann.clone()), ..record("untitled", 9) }).await.expect("stored");
    let found = async |part: &str, before: Option<&str>, limit| {
        let page = store.sessions(Some(&ann), Some(&title(part)), before.map(session_id).as_ref(), limit).await;
        let page = page.expect("read");
        (page.sessions.iter().map(|s| s.id.to_string()).collect::<Vec<_>>().join(" "), page.more)
    };
    assert_eq!(found("tENT", None, 9).await, ("s2 s1".to_owned(), false));
    assert_eq!(found("tent", None, 1).await, ("s2".to_owned(), true));
    assert_eq!(found("tent", Some("s2"), 1).await, ("s1".to_owned(), false));
    assert_eq!(found("ärger", None, 9).await, ("s2".to_owned(), false));
    assert_eq!(found("100 %", None, 9).await, ("s0".to_owned(), false), "nothing stands for anything else");
    assert_eq!(found("_", None, 9).await, (String::new(), false));
    let theirs = store.sessions(None, Some(&title("tent")), None, 9).await.expect("read").sessions;
    assert_eq!(theirs.iter().map(|session| session.id.as_str()).collect::<Vec<_>>(), ["other"]);
}

pub(super) async fn limits_are_bounded(store: Arc<dyn SessionStore>) {
    let session = with_session(&*store).await;
    for n in 0..=MAX_PAGE / 2 {
        store.append_turn(&session, Fence::FIRST, turn(&format!("q{n}"), "?", 2000)).await.expect("stored");
    }
    let page = store.messages(&session, None, usize::MAX, Scope::Conversation).await.expect("read");
    assert_eq!((page.messages.len(), page.more), (MAX_PAGE, true));
    assert!(store.sessions(None, None, None, usize::MAX).await.is_ok());
    assert_eq!(store.delete_expired(Timestamp(0), usize::MAX).await.expect("none"), []);
}

pub(super) async fn deleting_a_session_takes_all_of_it(store: Arc<dyn SessionStore>) {
    let session = with_session(&*store).await;
    store.append_turn(&session, Fence::FIRST, turn("q", "?", 2000)).await.expect("stored");
    assert!(store.delete_session(&session).await.expect("deleted"));
    assert!(!store.delete_session(&session).await.expect("gone already"));
    assert_eq!(store.message(&session, &message_id("q")).await.expect("read"), None);
    // The same id again starts empty.
    with_session(&*store).await;
    assert_eq!(store.messages(&session, None, 10, Scope::Conversation).await.expect("read").messages, []);
    assert_eq!(
        store.append_turn(&session, Fence::FIRST, turn("q", "?", 2000)).await.expect("stored"),
        Appended::Stored
    );
}

pub(super) async fn expired_sessions_go_and_used_ones_stay(store: Arc<dyn SessionStore>) {
    for (id, created_at) in [("old", 10), ("older", 5), ("edge", 100), ("used", 7)] {
        make(&*store, record(id, created_at)).await;
    }
    store.append_turn(&session_id("used"), Fence::FIRST, turn("q", "?", 500)).await.expect("stored");
    let gone = store.delete_expired(Timestamp(100), 1).await.expect("deleted");
    assert_eq!(gone, [session_id("older")], "the longest unused first");
    assert_eq!(store.delete_expired(Timestamp(100), 10).await.expect("deleted"), [session_id("old")]);
    assert_eq!(store.delete_expired(Timestamp(100), 10).await.expect("none left"), []);
    let left = store.sessions(None, None, None, 10).await.expect("read").sessions;
    assert_eq!(left.iter().map(|session| session.id.as_str()).collect::<Vec<_>>(), ["edge", "used"]);
}

pub(super) async fn missing_sessions_are_told(store: Arc<dyn SessionStore>) {
    let nobody = session_id("nobody");
    assert!(matches!(store.append_turn(&nobody, Fence::FIRST, turn("q", "?", 1)).await, Err(StoreError::NoSession)));
    let end = finished("q", "", Status::Complete);
    assert!(matches!(store.finish_answer(&nobody, Fence::FIRST, end).await, Err(StoreError::NoSession)));
    assert!(matches!(store.messages(&nobody, None, 1, Scope::Conversation).await, Err(StoreError::NoSession)));
    assert!(matches!(store.sessions(None, None, Some(&nobody), 1).await, Err(StoreError::NoSession)));
    assert_eq!(store.message(&nobody, &message_id("q")).await.expect("read"), None);
}
