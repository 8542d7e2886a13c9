use std::{fs, path::PathBuf, sync::Arc};

use tokio::task::JoinSet;

use super::{
    super::contract::{finished, message_id, piece, record, session_id, turn},
    *,
};
use crate::chat::{Owner, Status};

mod failures;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("rivulet.db")
    }

    fn open(&self) -> SqliteStore {
        SqliteStore::open(self.file()).expect("opens")
    }
}

fn refusal(path: impl AsRef<Path>) -> String {
    match SqliteStore::open(path) {
        Err(StoreError::Unavailable(reason)) => reason,
        other => panic!("must be refused: {other:?}"),
    }
}

fn inspection(path: impl AsRef<Path>) -> String {
    match SqliteStore::inspect(path) {
        Err(StoreError::Unavailable(reason)) => reason,
        other => panic!("must be refused: {other:?}"),
    }
}

#[test]
fn an_inspection_leaves_everything_as_it_is() {
    let place = Place { folder: tempfile::Builder::new().prefix("a ?#%41 ü").tempdir().expect("a folder") };
    let names = || {
        let entries = fs::read_dir(place.folder.path()).expect("read");
        let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
        names.sort();
        names
    };
    SqliteStore::inspect(place.file()).expect("nothing is there yet");
    assert!(names().is_empty());
    drop(place.open());
    let before = (names(), fs::read(place.file()).expect("read"));
    SqliteStore::inspect(place.file()).expect("would open");
    assert_eq!((names(), fs::read(place.file()).expect("read")), before);
    // What a crash leaves: the newer layout is in the log only.
    let outsider = Connection::open(place.file()).expect("opens");
    outsider.pragma_update(None, "user_version", 999).expect("set");
    assert!(inspection(place.file()).contains("999"));
}

#[tokio::test]
async fn statements_are_compiled_once_whatever_is_bound_to_them() {
    let compiled_anew = |connection: &Connection| {
        let mut statement = connection.prepare_cached("SELECT id FROM sessions WHERE owner = ?1 LIMIT 1 OFFSET ?2")?;
        for offset in 0..3 {
            let _nobodys = statement.exists(rusqlite::params!["acme/ann", offset])?;
        }
        Ok(statement.get_status(rusqlite::StatementStatus::RePrepare))
    };
    let place = Place::new();
    let store = place.open();
    assert_eq!(store.write("test", compiled_anew).await.expect("written"), 0);
    assert_eq!(store.read("test", compiled_anew).await.expect("read"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_taken_in_the_middle_of_writing_holds_everything_acknowledged() {
    let place = Place::new();
    let store = Arc::new(place.open());
    store.create_session(record("s", 1)).await.expect("stored");
    // A log that is copied back into the file between the two copies below would tear them.
    let no_copying_back = |connection: &Connection| Ok(connection.pragma_update(None, "wal_autocheckpoint", 0)?);
    store.write("test", no_copying_back).await.expect("set");
    let copy = tempfile::tempdir().expect("a folder");
    let acknowledged = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let writer = {
        let (store, acknowledged) = (Arc::clone(&store), Arc::clone(&acknowledged));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            for n in 0..400 {
                store
                    .append_turn(&session_id("s"), Fence::FIRST, turn(&format!("q{n}"), "text", n))
                    .await
                    .expect("stored");
                acknowledged.store(n + 1, std::sync::atomic::Ordering::SeqCst);
            }
        });
        tasks
    };
    while acknowledged.load(std::sync::atomic::Ordering::SeqCst) < 100 {
        tokio::task::yield_now().await;
    }
    // What a power cut would leave: the file, and the log with what is not in it yet.
    let before = acknowledged.load(std::sync::atomic::Ordering::SeqCst);
    fs::copy(place.file(), copy.path().join("rivulet.db")).expect("copied");
    fs::copy(place.folder.path().join("rivulet.db-wal"), copy.path().join("rivulet.db-wal")).expect("copied");
    writer.join_all().await;

    let survivor = SqliteStore::open(copy.path().join("rivulet.db")).expect("opens");
    let page = survivor.messages(&session_id("s"), None, 500, Scope::Conversation).await.expect("read");
    let count = survivor.session(&session_id("s")).await.expect("read").expect("there").message_count;
    assert!(count >= 2 * before, "{count} of {before} acknowledged turns");
    assert_eq!(count % 2, 0, "a question never comes without its answer");
    assert!(
        page.messages
            .iter()
            .filter(|message| message.role == crate::chat::Role::Assistant)
            .all(|answer| { answer.status == Status::Interrupted })
    );
}

#[tokio::test]
async fn pending_answers_are_interrupted_by_a_restart_and_keep_their_checkpoint() {
    let place = Place::new();
    let store = place.open();
    store.create_session(record("s", 1)).await.expect("stored");
    for question in ["q1", "q2"] {
        store.append_turn(&session_id("s"), Fence::FIRST, turn(question, "?", 2)).await.expect("stored");
    }
    store.checkpoint(vec![piece("q1", 0, "half an"), piece("q2", 0, "who")]).await.expect("kept");
    store.checkpoint(vec![piece("q1", 7, " ans")]).await.expect("kept");
    store
        .finish_answer(&session_id("s"), Fence::FIRST, finished("q2", "whole", Status::Complete))
        .await
        .expect("ended");
    drop(store);

    let store = place.open();
    let messages = store.messages(&session_id("s"), None, 10, Scope::Conversation).await.expect("read").messages;
    let ends: Vec<_> = messages.iter().map(|message| (message.text.as_str(), message.status)).collect();
    assert_eq!(
        ends,
        [
            ("?", Status::Complete),
            ("half an ans", Status::Interrupted),
            ("?", Status::Complete),
            ("whole", Status::Complete)
        ]
    );
    let used = store.session(&session_id("s")).await.expect("read").expect("there").updated_at;
    drop(store);
    let store = place.open();
    let again = store.session(&session_id("s")).await.expect("read").expect("there").updated_at;
    assert_eq!(used, again, "a restart is not a use");
    assert_eq!(pieces(&store).await, 0, "their texts have them");
}

async fn pieces(store: &SqliteStore) -> i64 {
    let count =
        |connection: &Connection| Ok(connection.query_row("SELECT count(*) FROM pieces", [], |row| row.get(0))?);
    store.read("test", count).await.expect("counted")
}

#[tokio::test]
async fn pieces_go_with_the_end_of_their_answer_and_with_their_session() {
    let place = Place::new();
    let store = place.open();
    store.create_session(record("s", 1)).await.expect("stored");
    for question in ["q1", "q2"] {
        store.append_turn(&session_id("s"), Fence::FIRST, turn(question, "?", 2)).await.expect("stored");
        store.checkpoint(vec![piece(question, 0, "a"), piece(question, 1, "b")]).await.expect("kept");
    }
    assert_eq!(pieces(&store).await, 4);
    store.finish_answer(&session_id("s"), Fence::FIRST, finished("q1", "ab", Status::Complete)).await.expect("ended");
    assert_eq!(pieces(&store).await, 2);
    store.checkpoint(vec![piece("q1", 2, "late")]).await.expect("ignored");
    assert_eq!(pieces(&store).await, 2);
    store.delete_session(&session_id("s")).await.expect("deleted");
    assert_eq!(pieces(&store).await, 0);
}

#[tokio::test]
async fn an_answer_that_an_older_program_was_writing_keeps_its_text() {
    let place = Place::new();
    let old = Connection::open(place.file()).expect("opens");
    for step in &schema::MIGRATIONS[..4] {
        old.execute_batch(step).expect("made");
    }
    old.pragma_update(None, "user_version", 4).expect("set");
    old.execute_batch(
        "INSERT INTO sessions (id, assistant, created_at, updated_at, message_count) VALUES ('s', 'default', 1, 1, 2);
         INSERT INTO messages (session_id, id, role, text, status, created_at)
         VALUES ('s', 'q', 'user', '?', 'complete', 1), ('s', 'a', 'assistant', 'half an', 'pending', 1)",
    )
    .expect("inserted");
    drop(old);
    let answer = place.open().message(&session_id("s"), &message_id("a")).await.expect("read").expect("there");
    assert_eq!((answer.text.as_str(), answer.status), ("half an", Status::Interrupted));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_writes_share_a_commit() {
    let place = Place::new();
    let store = Arc::new(place.open());
    store.create_session(record("s", 1)).await.expect("stored");
    // Hold the writer while the others line up behind it.
    let (release, held) = std::sync::mpsc::sync_channel::<()>(0);
    let (entered, inside) = tokio::sync::oneshot::channel();
    let mut tasks = JoinSet::new();
    let holder = Arc::clone(&store);
    tasks.spawn(async move {
        let wait = move |_: &Connection| {
            let _ = entered.send(());
            held.recv().map_err(|error| StoreError::Unavailable(error.to_string()))
        };
        holder.write("test", wait).await.expect("released");
    });
    inside.await.expect("the writer is busy");
    let before = store.commits();
    let (queued, mut all_queued) = tokio::sync::mpsc::channel(200);
    for n in 0..200 {
        let (store, queued) = (Arc::clone(&store), queued.clone());
        tasks.spawn(async move {
            let session = session_id("s");
            let append = store.append_turn(&session, Fence::FIRST, turn(&format!("q{n}"), "?", n));
            tokio::pin!(append);
            assert!(futures_util::poll!(append.as_mut()).is_pending());
            queued.send(()).await.expect("counted");
            append.await.expect("stored");
        });
    }
    for _ in 0..200 {
        all_queued.recv().await.expect("queued");
    }
    release.send(()).expect("the writer waits");
    tasks.join_all().await;
    let commits = store.commits() - before;
    assert!(commits <= 3, "200 writes took {commits} commits");
    assert_eq!(store.session(&session_id("s")).await.expect("read").expect("there").message_count, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_write_does_not_undo_its_neighbours_and_a_full_queue_says_so() {
    let place = Place::new();
    let store = Arc::new(place.open());
    store.create_session(record("s", 1)).await.expect("stored");
    let (release, held) = std::sync::mpsc::sync_channel::<()>(0);
    let (entered, inside) = tokio::sync::oneshot::channel();
    let mut tasks = JoinSet::new();
    let holder = Arc::clone(&store);
    tasks.spawn(async move {
        let wait = move |connection: &Connection| -> Result<(), StoreError> {
            let _ = entered.send(());
            let _ = held.recv();
            connection.execute("DELETE FROM sessions", [])?;
            Err(StoreError::Unavailable("on purpose".to_owned()))
        };
        let failed = holder.write("test", wait).await;
        assert!(matches!(failed, Err(StoreError::Unavailable(reason)) if reason == "on purpose"));
    });
    inside.await.expect("the writer is busy");
    let mut waiting = Vec::new();
    let refused = loop {
        let store = Arc::clone(&store);
        let id = format!("s{}", waiting.len());
        let mut create = Box::pin(async move { store.create_session(record(&id, 5)).await });
        match futures_util::poll!(create.as_mut()) {
            std::task::Poll::Pending => waiting.push(create),
            std::task::Poll::Ready(answer) => break answer,
        }
        assert!(waiting.len() < 5000, "the queue has no end");
    };
    assert!(matches!(&refused, Err(StoreError::Unavailable(reason)) if reason.contains("wait already")), "{refused:?}");
    assert!(store.session(&session_id("s")).await.expect("reads go on").is_some());
    release.send(()).expect("the writer waits");
    let accepted = waiting.len();
    for create in waiting {
        create.await.expect("stored");
    }
    tasks.join_all().await;
    assert!(store.session(&session_id("s")).await.expect("read").is_some(), "the failed delete was undone");
    assert!(store.session(&session_id(&format!("s{}", accepted - 1))).await.expect("read").is_some());
}

#[tokio::test]
async fn closing_finishes_what_waits_and_leaves_one_file() {
    let place = Place::new();
    let store = Arc::new(place.open());
    store.create_session(record("s", 1)).await.expect("stored");
    let session = session_id("s");
    let mut late = Box::pin(store.append_turn(&session, Fence::FIRST, turn("q", "?", 2)));
    assert!(futures_util::poll!(late.as_mut()).is_pending());
    store.close().await;
    late.await.expect("was waiting already");
    assert!(matches!(store.check().await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.session(&session_id("s")).await, Err(StoreError::Unavailable(_))));
    store.close().await;
    assert!(!place.folder.path().join("rivulet.db-wal").exists(), "the log was copied back");
    // The closed store still exists, and the file is free.
    let reopened = place.open();
    assert!(reopened.message(&session_id("s"), &message_id("q")).await.expect("read").is_some());
}

#[test]
fn a_second_process_is_refused() {
    let place = Place::new();
    let first = place.open();
    for reason in [refusal(place.file()), inspection(place.file())] {
        assert!(reason.contains("another process") && reason.contains("rivulet.db"), "{reason}");
    }
    drop(first);
    place.open();
}

#[test]
fn a_newer_layout_is_refused_and_left_alone() {
    let place = Place::new();
    drop(place.open());
    let connection = Connection::open(place.file()).expect("opens");
    connection.pragma_update(None, "user_version", 999).expect("set");
    connection.pragma_update(None, "journal_mode", "delete").expect("set");
    drop(connection);
    let before = fs::read(place.file()).expect("read");
    for reason in [refusal(place.file()), inspection(place.file())] {
        assert!(reason.contains("999") && reason.contains("newer"), "{reason}");
    }
    assert_eq!(fs::read(place.file()).expect("read"), before);
}

#[test]
fn files_that_are_not_ours_are_refused_and_left_alone() {
    let place = Place::new();
    let mut damaged = {
        drop(place.open());
        fs::read(place.file()).expect("read")
    };
    damaged[20..4000].fill(0xff);
    let foreign = place.folder.path().join("foreign.db");
    Connection::open(&foreign).expect("opens").execute_batch("CREATE TABLE photos (name TEXT)").expect("made");
    let foreign = fs::read(foreign).expect("read");
    for (content, wanted) in
        [(b"This is a diary.".repeat(300), "not a database"), (damaged, "database"), (foreign, "another program")]
    {
        fs::write(place.file(), &content).expect("written");
        for reason in [refusal(place.file()), inspection(place.file())] {
            assert!(reason.contains(wanted) && reason.contains("rivulet.db"), "{reason}");
        }
        assert_eq!(fs::read(place.file()).expect("read"), content);
    }
}

#[tokio::test]
async fn sessions_of_an_older_file_belong_to_nobody_and_listing_goes_by_an_index() {
    let place = Place::new();
    let old = Connection::open(place.file()).expect("opens");
    old.execute_batch(schema::MIGRATIONS[0]).expect("made");
    old.pragma_update(None, "user_version", 1).expect("set");
    old.execute("INSERT INTO sessions VALUES ('s', 'default', NULL, 1, 1, 2)", []).expect("inserted");
    let question = "INSERT INTO messages (session_id, id, role, text, status, created_at)
        VALUES ('s', 'q', 'user', 'How old are you?\nReally?', 'complete', 1)";
    old.execute(question, []).expect("inserted");
    drop(old);
    let store = place.open();
    let listed = store.sessions(None, None, None, 10).await.expect("read").sessions;
    let title = Title::of_question("How old are you?");
    assert_eq!(listed, [SessionRecord { message_count: 2, title, ..record("s", 1) }]);
    assert!(store.sessions(Some(&Owner::new("s")), None, None, 10).await.expect("read").sessions.is_empty());
    let connection = Connection::open(place.file()).expect("opens");
    let plan: String = connection
        .query_row(
            "EXPLAIN QUERY PLAN SELECT id FROM sessions WHERE owner IS ?1 AND created_at <= 5
             AND (created_at < 5 OR id > 's') ORDER BY created_at DESC, id LIMIT 3",
            [None::<&str>],
            |row| row.get("detail"),
        )
        .expect("planned");
    assert!(plan.contains("sessions_by_owner (owner=? AND created_at<?)"), "{plan}");
}

#[tokio::test]
async fn an_empty_file_is_version_0_and_folders_are_made() {
    let place = Place::new();
    fs::write(place.file(), []).expect("written");
    place.open().check().await.expect("works");
    let version: i64 = Connection::open(place.file())
        .expect("opens")
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .expect("read");
    assert_eq!(version, schema::MIGRATIONS.len() as i64);
    let deep = SqliteStore::open(place.folder.path().join("a/b/c.db")).expect("opens");
    deep.check().await.expect("works");
}

#[test]
fn places_that_cannot_be_written_are_refused_by_name() {
    let place = Place::new();
    fs::write(place.folder.path().join("file"), "x").expect("written");
    refusal(place.folder.path().join("file/rivulet.db"));
    refusal(place.folder.path());
    // Nobody, not even root, can make files there.
    #[cfg(target_os = "linux")]
    assert!(refusal("/proc/self/rivulet.db").contains("/proc/self/rivulet.db"));
}
