//! What goes wrong below the store: locks, full disks, panics, and whoever loses patience.

use std::{io::Write, sync::mpsc::SyncSender, time::Duration};

use super::*;

/// Keeps the writer busy until it is released, so that what comes next shares one transaction.
async fn hold(store: &Arc<SqliteStore>) -> SyncSender<()> {
    let (release, held) = std::sync::mpsc::sync_channel::<()>(1);
    let (entered, inside) = tokio::sync::oneshot::channel();
    let wait = move |_: &Connection| {
        let _ = entered.send(());
        let _ = held.recv();
        Ok(())
    };
    // Nobody waits for the answer; the operation runs all the same.
    assert!(futures_util::poll!(Box::pin(store.write("test", wait))).is_pending());
    inside.await.expect("the writer is busy");
    release
}

#[track_caller]
fn unavailable<T: std::fmt::Debug>(answer: Result<T, StoreError>, wanted: &str) {
    assert!(matches!(&answer, Err(StoreError::Unavailable(reason)) if reason.contains(wanted)), "{answer:?}");
}

#[tokio::test]
async fn a_locked_database_is_told_to_all_who_wait_at_once_and_by_its_name() {
    let place = Place::new();
    let store = place.open();
    let patience = |connection: &Connection| Ok(connection.busy_timeout(Duration::from_millis(500))?);
    store.write("test", patience).await.expect("set");
    let outsider = Connection::open(place.file()).expect("opens");
    outsider.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let started = std::time::SystemTime::now();
    let waiting = (0..60).map(|n| store.create_session(record(&format!("s{n}"), 1)));
    for answer in futures_util::future::join_all(waiting).await {
        unavailable(answer, "database is locked");
    }
    let took = started.elapsed().expect("forwards");
    assert!(took < Duration::from_secs(5), "60 writes waited one after the other: {took:?}");
    outsider.execute_batch("ROLLBACK").expect("free");
    store.create_session(record("s0", 1)).await.expect("works again");
}

/// Between two good writes, in one transaction with the first: `bad` must cost that transaction, and no more.
async fn costs_its_transaction_only(bad: fn(&Connection) -> Result<(), StoreError>, own: &str, others: &str) {
    let place = Place::new();
    let store = Arc::new(place.open());
    let release = hold(&store).await;
    let before = store.create_session(record("before", 1));
    let bad = store.write("test", bad);
    let after = store.create_session(record("after", 1));
    tokio::pin!(before, bad, after);
    assert!(futures_util::poll!(before.as_mut()).is_pending());
    assert!(futures_util::poll!(bad.as_mut()).is_pending());
    assert!(futures_util::poll!(after.as_mut()).is_pending());
    release.send(()).expect("the writer waits");
    unavailable(before.await, others);
    unavailable(bad.await, own);
    after.await.expect("taken into the next transaction");
    let stored = store.sessions(None, None, None, 10).await.expect("read").sessions;
    assert_eq!(stored.iter().map(|session| session.id.as_str()).collect::<Vec<_>>(), ["after"]);
}

#[tokio::test]
async fn a_savepoint_that_cannot_be_undone_costs_its_transaction() {
    let bad = |connection: &Connection| {
        connection.execute_batch("UPDATE probe SET count = 99; RELEASE operation")?;
        Err(StoreError::Unavailable("on purpose".to_owned()))
    };
    costs_its_transaction_only(bad, "on purpose", "no such savepoint").await;
}

#[tokio::test]
async fn a_savepoint_that_cannot_be_released_costs_its_transaction() {
    let bad = |connection: &Connection| Ok(connection.execute_batch("RELEASE operation")?);
    costs_its_transaction_only(bad, "no such savepoint", "no such savepoint").await;
}

#[tokio::test]
async fn a_panic_costs_its_transaction_and_not_the_writer() {
    costs_its_transaction_only(|_| panic!("on purpose"), "the operation panicked", "panicked").await;
}

#[tokio::test]
async fn readers_outlive_panics() {
    let place = Place::new();
    let store = place.open();
    for _ in 0..2 * READERS {
        let failed: Result<(), _> = store.read("test", |_| panic!("on purpose")).await;
        unavailable(failed, "panicked");
    }
    assert_eq!(store.session(&session_id("s")).await.expect("read"), None);
}

#[tokio::test]
async fn the_file_stays_locked_until_the_last_write_is_done_whoever_gave_up_waiting() {
    let place = Place::new();
    let store = Arc::new(place.open());
    let release = hold(&store).await;
    let mut late = Box::pin(store.create_session(record("late", 1)));
    assert!(futures_util::poll!(late.as_mut()).is_pending());
    for _ in 0..2 {
        let mut close = Box::pin(store.close());
        assert!(futures_util::poll!(close.as_mut()).is_pending());
        drop(close);
        assert!(refusal(place.file()).contains("another process"));
    }
    release.send(()).expect("the writer waits");
    late.await.expect("was waiting already");
    store.close().await;
    assert!(place.open().session(&session_id("late")).await.expect("read").is_some());
}

#[tokio::test]
async fn dropping_does_not_wait_when_closing_was_given_up() {
    let place = Place::new();
    let store = Arc::new(place.open());
    let release = hold(&store).await;
    assert!(futures_util::poll!(Box::pin(store.close())).is_pending());
    // Would never return, for the writer is released after it only.
    drop(store);
    assert!(refusal(place.file()).contains("another process"));
    release.send(()).expect("the writer still waits");
}

#[tokio::test]
async fn expired_sessions_go_in_small_steps() {
    let place = Place::new();
    let store = place.open();
    let all = MAX_EXPIRED + 3;
    let creations = (0..all).map(|n| store.create_session(record(&format!("s{n}"), 1)));
    futures_util::future::join_all(creations).await.into_iter().for_each(|answer| answer.expect("stored"));
    assert_eq!(store.delete_expired(Timestamp(2), 500).await.expect("deleted").len(), MAX_EXPIRED);
    assert_eq!(store.delete_expired(Timestamp(2), 500).await.expect("deleted").len(), 3);
    assert_eq!(store.delete_expired(Timestamp(2), 500).await.expect("none"), []);
}

#[tokio::test]
async fn a_full_disk_is_told_and_forgotten_when_space_returns() {
    let place = Place::new();
    let store = place.open();
    store.create_session(record("s", 1)).await.expect("stored");
    store.append_turn(&session_id("s"), Fence::FIRST, turn("kept", "?", 2)).await.expect("stored");
    let pages =
        |most: i64| move |connection: &Connection| Ok(connection.pragma_update(None, "max_page_count", most)?);
    // The smallest size SQLite allows is what the file has already.
    store.write("test", pages(1)).await.expect("set");
    let big = "x".repeat(200_000);
    let full = store.append_turn(&session_id("s"), Fence::FIRST, turn("lost", &big, 3)).await;
    assert!(matches!(&full, Err(StoreError::Unavailable(reason)) if reason.contains("full")), "{full:?}");
    assert!(store.message(&session_id("s"), &message_id("kept")).await.expect("reads go on").is_some());

    store.write("test", pages(1_000_000)).await.expect("set");
    store.check().await.expect("works again");
    store.append_turn(&session_id("s"), Fence::FIRST, turn("kept-2", &big, 4)).await.expect("stored");
    assert_eq!(store.message(&session_id("s"), &message_id("lost")).await.expect("read"), None);
    assert_eq!(store.session(&session_id("s")).await.expect("read").expect("there").message_count, 4);
}

/// A file system of a given size in memory, for those who may make one.
#[cfg(target_os = "linux")]
struct SmallDisk(PathBuf);

#[cfg(target_os = "linux")]
impl SmallDisk {
    fn mount(at: &Path) -> Option<Self> {
        Self::command("mount", &["-t", "tmpfs", "-o", "size=1m,mode=1777", "tmpfs"], at).then(|| Self(at.to_owned()))
    }

    fn grow(&self) {
        assert!(Self::command("mount", &["-o", "remount,size=16m"], &self.0), "cannot grow the disk");
    }

    fn command(name: &str, arguments: &[&str], at: &Path) -> bool {
        // On somebody's own machine nothing asks for more rights than it was given.
        let sudo: &[&str] = if in_ci() { &["sudo", "-n"] } else { &[] };
        [&[], sudo].into_iter().any(|prefix| {
            let line = [prefix, &[name], arguments].concat();
            let mut command = std::process::Command::new(line[0]);
            command.args(&line[1..]).arg(at).stderr(std::process::Stdio::null());
            command.status().is_ok_and(|status| status.success())
        })
    }
}

#[cfg(target_os = "linux")]
impl Drop for SmallDisk {
    fn drop(&mut self) {
        Self::command("umount", &[], &self.0);
    }
}

#[cfg(target_os = "linux")]
fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}

/// Runs for whoever may mount, and must run in CI.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_disk_that_is_really_full_loses_nothing_that_was_acknowledged() {
    let place = Place::new();
    let Some(disk) = SmallDisk::mount(place.folder.path()) else {
        assert!(!in_ci(), "the small disk that this test fills cannot be mounted");
        // Not by the macro: what that prints is shown of failed tests only.
        let skipped = b"SKIPPED a_disk_that_is_really_full: only root may mount the small disk that it fills\n";
        std::io::stderr().write_all(skipped).expect("printed");
        return;
    };
    let store = place.open();
    store.create_session(record("s", 1)).await.expect("stored");
    let text = "x".repeat(50_000);
    let mut stored = 0;
    let full = loop {
        match store.append_turn(&session_id("s"), Fence::FIRST, turn(&format!("q{stored}"), &text, 1)).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 100, "the disk never fills");
    };
    assert!(matches!(full, StoreError::Unavailable(_)) && stored > 0, "{full}");
    let count = store.session(&session_id("s")).await.expect("reads go on").expect("there").message_count;
    assert_eq!(count, 2 * stored, "what was refused was not kept, what was acknowledged was");

    disk.grow();
    store.check().await.expect("works again");
    store.append_turn(&session_id("s"), Fence::FIRST, turn("after", &text, 1)).await.expect("stored");
    drop(store);
    let count = place.open().session(&session_id("s")).await.expect("read").expect("there").message_count;
    assert_eq!(count, 2 * stored + 2);
}
