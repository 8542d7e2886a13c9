//! What only this store does: several gateways on one database.

use std::sync::Arc;

use super::{super::contract::*, lease::TTL, *};
use crate::chat::Status;

/// The shared server of the tests of this process.
#[allow(dead_code, reason = "the integration tests use all of it")]
#[path = "../../../tests/it/harness/postgres.rs"]
pub(in crate::store) mod server;

use server::{SHARED, execute};

async fn two() -> (PostgresStore, PostgresStore, String) {
    let url = SHARED.fresh().await;
    (PostgresStore::open(&url).await.expect("opens"), PostgresStore::open(&url).await.expect("opens"), url)
}

fn is_fenced<T: std::fmt::Debug>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Fenced))
}

/// As others find it when its lease is over.
async fn declare_dead(url: &str, store: &PostgresStore) {
    execute(url, &format!("UPDATE nodes SET dead = true WHERE id = '{}'", store.leases.node())).await;
}

#[tokio::test]
async fn a_session_is_one_gateways_until_it_is_given_up() {
    let (one, other, _url) = two().await;
    one.create_session(record("s", 1)).await.expect("stored");
    let session = session_id("s");
    let fence = one.take(&session).await.expect("nobody has it");
    assert_eq!(fence, Fence::FIRST);
    assert!(matches!(other.take(&session).await, Err(StoreError::Elsewhere(_))));
    assert!(is_fenced(&other.append_turn(&session, fence, turn("q", "?", 2)).await), "a fence is of a gateway");
    assert!(matches!(one.take(&session_id("nobody")).await, Err(StoreError::NoSession)));
    one.append_turn(&session, fence, turn("q", "?", 2)).await.expect("stored");

    one.give_up(&session, fence);
    let taken = loop {
        match other.take(&session).await {
            Err(StoreError::Elsewhere(_)) => tokio::task::yield_now().await,
            taken => break taken.expect("given up"),
        }
    };
    assert!(taken > fence);
    assert!(is_fenced(&one.append_turn(&session, fence, turn("q2", "?", 3)).await));
    assert!(is_fenced(&one.finish_answer(&session, fence, finished("q", "late", Status::Complete)).await));
    let branch = Branch { at: None, question: None, answer: turn("b", "", 3).answer, decided: None };
    assert!(is_fenced(&one.branch(&session, fence, branch, 9).await));
    one.checkpoint(vec![piece("q", 0, "late")]).await.expect("nothing is kept of it");
    let answer = other.message(&session, &message_id("a-q")).await.expect("read").expect("there");
    assert_eq!((answer.text.as_str(), answer.status), ("", Status::Interrupted), "who left it pending, left it");
    other.append_turn(&session, taken, turn("q2", "?", 3)).await.expect("stored");
}

#[tokio::test]
async fn what_an_older_version_has_stored_is_called_after_its_first_question_too() {
    let (store, _, url) = two().await;
    store.create_session(record("s", 1)).await.expect("stored");
    let session = session_id("s");
    let fence = store.take(&session).await.expect("nobody has it");
    for (id, question) in [("q1", "Zero \u{0} or one?\nTwo?"), ("q2", "Three?")] {
        store.append_turn(&session, fence, turn(id, question, 2)).await.expect("stored");
    }
    execute(&url, "UPDATE sessions SET title = NULL, title_folded = NULL").await;
    let listed = store.sessions(None, None, None, 9).await.expect("read").sessions;
    assert_eq!(listed[0].title, Title::of_question("Zero or one?"));
}

#[tokio::test]
async fn what_a_dead_gateway_had_is_taken_with_what_it_had_kept() {
    let (one, other, url) = two().await;
    one.create_session(record("s", 1)).await.expect("stored");
    let session = session_id("s");
    let fence = one.take(&session).await.expect("nobody has it");
    one.append_turn(&session, fence, turn("q", "?", 2)).await.expect("stored");
    one.checkpoint(vec![piece("q", 0, "From "), piece("q", 5, "4 %")]).await.expect("kept");
    assert!(matches!(other.take(&session).await, Err(StoreError::Elsewhere(_))), "it lives");
    declare_dead(&url, &one).await;
    let taken = other.take(&session).await.expect("free");
    let answer = other.message(&session, &message_id("a-q")).await.expect("read").expect("there");
    assert_eq!((answer.text.as_str(), answer.status), ("From 4 %", Status::Interrupted));

    // It wakes up: nothing that it says counts any more, and it has nothing to take with.
    assert!(is_fenced(&one.finish_answer(&session, fence, finished("q", "whole", Status::Complete)).await));
    one.checkpoint(vec![piece("q", 8, " a year")]).await.expect("nothing is kept of it");
    one.create_session(record("t", 1)).await.expect("whoever makes a session need not have it");
    assert!(matches!(one.take(&session_id("t")).await, Err(StoreError::Unavailable(_))));
    let page = other.messages(&session, None, 9, Scope::Conversation).await.expect("read");
    assert_eq!(page.messages.len(), 2);
    assert_eq!(page.messages[1].text, "From 4 %");
    other.append_turn(&session, taken, turn("q2", "?", 3)).await.expect("stored");
}

#[tokio::test]
async fn a_gateway_that_was_taken_for_dead_goes_on_under_another_name() {
    let (one, other, url) = two().await;
    one.create_session(record("s", 1)).await.expect("stored");
    let (session, before) = (session_id("s"), one.lease());
    let lost = one.take(&session).await.expect("nobody has it");
    declare_dead(&url, &one).await;
    while one.lease().life == before.life {
        tokio::time::sleep(lease::RENEW_EVERY / 20).await;
    }
    assert!(one.lease().is_certain);
    let again = one.take(&session).await.expect("nobody has taken it");
    assert!(again > lost);
    assert!(is_fenced(&one.append_turn(&session, lost, turn("q", "?", 2)).await));
    assert!(matches!(other.take(&session).await, Err(StoreError::Elsewhere(_))));
}

#[tokio::test]
async fn a_command_beside_gateways_is_none_of_them() {
    let (one, _other, url) = two().await;
    let beside = PostgresStore::open_beside(&url).await.expect("opens");
    beside.create_session(record("s", 1)).await.expect("stored");
    assert!(matches!(beside.take(&session_id("s")).await, Err(StoreError::Unavailable(_))));
    while one.lease().nodes < 2 {
        tokio::time::sleep(lease::RENEW_EVERY / 20).await;
    }
    assert_eq!(one.lease().nodes, 2);
    one.take(&session_id("s")).await.expect("nobody has it");
}

#[tokio::test]
async fn of_many_who_want_a_session_one_has_it() {
    let url = SHARED.fresh().await;
    let mut stores = Vec::new();
    for _ in 0..4 {
        stores.push(Arc::new(PostgresStore::open(&url).await.expect("opens")));
    }
    for n in 0..8 {
        let session = session_id(&format!("s{n}"));
        stores[0].create_session(record(session.as_str(), 1)).await.expect("stored");
        let taking = stores.iter().map(|store| store.take(&session));
        let taken = futures_util::future::join_all(taking).await;
        assert_eq!(taken.iter().filter(|taken| taken.is_ok()).count(), 1, "{taken:?}");
        let elsewhere = taken.iter().filter(|taken| matches!(taken, Err(StoreError::Elsewhere(_))));
        assert_eq!(elsewhere.count(), 3, "{taken:?}");
    }
    // The same id opened by two at once, as a client may choose it.
    let opening = || Turn { opens: Some(record("chosen", 1)), ..turn("q", "?", 2) };
    let session = session_id("chosen");
    let opening = stores.iter().map(|store| store.append_turn(&session, Fence::FIRST, opening()));
    let opened = futures_util::future::join_all(opening).await;
    assert_eq!(opened.iter().filter(|opened| opened.is_ok()).count(), 1, "{opened:?}");
    assert_eq!(opened.iter().filter(|opened| is_fenced(opened)).count(), 3, "{opened:?}");
}

#[tokio::test]
async fn whoever_closes_leaves_its_sessions_at_once_and_whoever_vanishes_when_its_lease_is_over() {
    let (one, other, _url) = two().await;
    for id in ["s", "t"] {
        one.create_session(record(id, 1)).await.expect("stored");
        one.take(&session_id(id)).await.expect("nobody has it");
    }
    one.close().await;
    other.take(&session_id("s")).await.expect("left");
    assert!(matches!(one.session(&session_id("s")).await, Ok(Some(_))), "reading goes on");
    let late = one.append_turn(&session_id("s"), Fence::FIRST, turn("q", "?", 2)).await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");

    let url = SHARED.fresh().await;
    let heir = PostgresStore::open(&url).await.expect("opens");
    heir.create_session(record("t", 1)).await.expect("stored");
    // Somebody whose process was killed: nobody renews its lease, and nobody says that it is gone.
    let gone = "INSERT INTO nodes (id, expires_at) VALUES ('gone', clock_timestamp() + interval '1 s');
        UPDATE sessions SET node = 'gone', fence = 1 WHERE id = 't'";
    execute(&url, gone).await;
    let started = Instant::now();
    while let Err(error) = heir.take(&session_id("t")).await {
        assert!(matches!(error, StoreError::Elsewhere(_)), "{error:?}");
        assert!(started.elapsed() < TTL * 3, "nobody buries the dead");
        tokio::time::sleep(TTL / 60).await;
    }
}

#[tokio::test]
async fn what_is_asked_while_the_database_is_away_is_refused_and_it_works_again_when_it_is_back() {
    let mut postgres = server::Postgres::start(&[]);
    let store = PostgresStore::open(&postgres.fresh().await).await.expect("opens");
    let session = session_id("s");
    store.create_session(record("s", 1)).await.expect("stored");
    let fence = store.take(&session).await.expect("nobody has it");
    postgres.kill();
    let refused = loop {
        // What was under way with the end of the server nobody knows of.
        match store.append_turn(&session, fence, turn("q", "?", 2)).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    assert!(matches!(store.session(&session).await, Err(StoreError::Unavailable(_))));
    assert!(store.check().await.is_err());
    postgres.start_again();
    store.check().await.expect("it is back");
    store.append_turn(&session, fence, turn("q", "?", 2)).await.expect("stored, now or before");
    assert!(store.session(&session).await.expect("read").is_some());
    let page = store.messages(&session, None, 9, Scope::Conversation).await.expect("read");
    assert_eq!(page.messages.len(), 2);
}

#[tokio::test]
async fn an_operation_that_the_database_refuses_takes_no_other_with_it() {
    let url = SHARED.fresh().await;
    let store = PostgresStore::open(&url).await.expect("opens");
    let sessions: Vec<_> = (0..32).map(|n| session_id(&format!("s{n}"))).collect();
    for session in &sessions {
        store.create_session(record(session.as_str(), 1)).await.expect("stored");
        store.take(session).await.expect("nobody has it");
    }
    let before = store.commits();
    let turns = sessions.iter().enumerate().map(|(n, session)| {
        let mut turn = turn("q", "?", 2);
        if n % 8 == 0 {
            turn.answer.id = turn.question.id.clone(); // Twice the same id: the database says no.
        }
        store.append_turn(session, Fence::FIRST, turn)
    });
    let outcomes = futures_util::future::join_all(turns).await;
    for (n, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome.is_err(), n % 8 == 0, "{n}: {outcome:?}");
    }
    assert!(store.commits() - before <= 28, "those of a connection were tried together first");
}

#[tokio::test]
async fn a_database_that_forgets_is_refused() {
    let postgres = server::Postgres::start(&["synchronous_commit=off"]);
    let url = postgres.fresh().await;
    for refused in [PostgresStore::inspect(&url).await.map(drop), PostgresStore::open(&url).await.map(drop)] {
        assert!(refused.is_err_and(|error| error.to_string().contains("synchronous_commit")));
    }
}

#[tokio::test]
async fn programs_of_two_versions_work_on_one_layout_unless_the_newer_one_says_no() {
    let url = SHARED.fresh().await;
    PostgresStore::inspect(&url).await.expect("there is nothing yet");
    PostgresStore::open(&url).await.expect("opens");
    execute(&url, "UPDATE layout SET version = 99; ALTER TABLE sessions ADD COLUMN later text").await;
    let store = PostgresStore::open(&url).await.expect("a newer one only added something");
    store.create_session(record("s", 1)).await.expect("stored");
    execute(&url, "UPDATE layout SET oldest = 99").await;
    for refused in [PostgresStore::inspect(&url).await.map(drop), PostgresStore::open(&url).await.map(drop)] {
        assert!(refused.is_err_and(|error| error.to_string().contains("99")));
    }
}

#[tokio::test]
async fn gateways_that_start_together_make_one_layout() {
    let url = SHARED.fresh().await;
    let opened = futures_util::future::join_all((0..6).map(|_| PostgresStore::open(&url))).await;
    assert!(opened.iter().all(Result::is_ok), "{opened:?}");
}

#[tokio::test]
async fn a_commit_whose_wait_for_the_standby_is_broken_off_is_no_acknowledgement() {
    let postgres = server::Postgres::start(&[]);
    let url = postgres.fresh().await;
    let store = Arc::new(PostgresStore::open(&url).await.expect("opens"));
    let session = session_id("s");
    store.create_session(record("s", 1)).await.expect("stored");
    let fence = store.take(&session).await.expect("nobody has it");
    // From now on commits wait for a standby that there is not.
    postgres.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'").await;
    postgres.execute("SELECT pg_reload_conf()").await;
    // It has read that when one of them waits.
    let appending = {
        let (store, session) = (store.clone(), session.clone());
        async move {
            for number in 2.. {
                let question = format!("q{number}");
                match store.append_turn(&session, fence, turn(&question, "?", number)).await {
                    Ok(Appended::Stored) => assert!(number < 1000, "nothing waits"),
                    other => return (question, number, other),
                }
            }
            unreachable!("it goes on")
        }
    };
    // An administrator who looks for what hangs, and cancels it.
    let cancelling = async {
        let cancel = "SET synchronous_commit = local;
            SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        loop {
            postgres.execute(cancel).await;
            tokio::time::sleep(TTL / 100).await;
        }
    };
    let (question, number, appended) = tokio::select! {
        appended = appending => appended,
        () = cancelling => unreachable!("it goes on for ever"),
    };
    let Err(StoreError::Unavailable(reason)) = appended else { panic!("{appended:?}") };
    assert!(reason.contains("warned"), "{reason}");

    postgres.execute("ALTER SYSTEM RESET synchronous_standby_names").await;
    postgres.execute("SELECT pg_reload_conf()").await;
    // The server has it all the same, and whoever asks again is told so.
    let again = store.append_turn(&session, fence, turn(&question, "?", number)).await.expect("stored");
    assert!(matches!(again, Appended::Exists(_)), "{again:?}");
}
