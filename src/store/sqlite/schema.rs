//! The layout of the file, and how connections are opened.

use std::{
    ffi::OsString,
    fs::{File, TryLockError},
    io,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, TransactionBehavior, config::DbConfig};

pub(super) use self::steps::MIGRATIONS;
use super::{
    super::StoreError,
    lock::{beside, in_use, own_file},
    pieces,
};
use crate::chat::Status;

mod steps;

/// How long a connection waits for a lock of SQLite's own. Only a program that looks into the file from
/// outside can hold one for long.
const BUSY: Duration = Duration::from_secs(5);
/// Statements kept compiled per connection; there are fewer in the house.
const STATEMENTS: usize = 96;
/// What the write-ahead log is cut down to after it was copied back, in bytes.
const WAL_BYTES: i64 = 16 << 20;

/// Finds what would make [`lock`](super::lock::lock) and [`open_writer`] refuse an existing file, and leaves everything as it is.
pub(super) fn inspect(path: &Path) -> Result<(), StoreError> {
    let unreadable = |error: io::Error| StoreError::Unavailable(format!("cannot be read: {error}"));
    let _shared = match File::open(beside(path, ".lock")) {
        Ok(file) => match file.try_lock_shared() {
            Ok(()) => Some(file),
            Err(TryLockError::WouldBlock) => return Err(in_use()),
            Err(TryLockError::Error(error)) => return Err(unreadable(error)),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(unreadable(error)),
    };
    if !path.try_exists().map_err(unreadable)? {
        return Ok(());
    }
    let connection = if beside(path, "-wal").try_exists().map_err(unreadable)? {
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?
    } else {
        // Without a log nothing can change meanwhile, and SQLite need not make its files beside it.
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        Connection::open_with_flags(immutable(path).map_err(unreadable)?, flags)?
    };
    connection.busy_timeout(BUSY)?;
    refuse_foreign(&connection, version(&connection)?)
}

/// The path as the kind of address in which SQLite takes options.
fn immutable(path: &Path) -> io::Result<PathBuf> {
    let mut address = b"file://".to_vec();
    for byte in std::path::absolute(path)?.as_os_str().as_encoded_bytes() {
        match byte {
            b'%' => address.extend_from_slice(b"%25"),
            b'?' => address.extend_from_slice(b"%3f"),
            b'#' => address.extend_from_slice(b"%23"),
            byte => address.push(*byte),
        }
    }
    address.extend_from_slice(b"?immutable=1");
    Ok(PathBuf::from(OsString::from_vec(address)))
}

/// Opens the connection that writes and leaves the file ready: current layout, no pending answers.
pub(super) fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    let refused = |error: io::Error| StoreError::Unavailable(format!("cannot be made: {error}"));
    own_file().append(true).open(path).map_err(refused)?;
    let mut connection = Connection::open_with_flags(path, flags())?;
    connection.busy_timeout(BUSY)?;
    // Before anything is changed, so that a file we cannot use stays as it is.
    let version = version(&connection)?;
    refuse_foreign(&connection, version)?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(StoreError::Unavailable(format!("its file system allows no write-ahead log (mode {mode})")));
    }
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES)?;
    keep_statements(&connection)?;
    migrate(&mut connection, version)?;
    interrupt_pending(&mut connection)?;
    // One process at a time has the file, so nobody works on anything now.
    connection.execute("UPDATE jobs SET lease = 0 WHERE state = 'running'", [])?;
    Ok(connection)
}

/// Opens a connection that reads beside the writer.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    // Not SQLITE_OPEN_READ_ONLY: a reader of a write-ahead log takes part in its shared index.
    let connection = Connection::open_with_flags(path, flags())?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "query_only", true)?;
    keep_statements(&connection)?;
    Ok(connection)
}

/// Keeps statements compiled, whatever is bound to them: by default SQLite looks at the values, of a `LIMIT` above all,
/// and compiles anew with every one.
fn keep_statements(connection: &Connection) -> Result<(), StoreError> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Opens a connection that reads, whoever writes.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    let connection = open_reader(path)?;
    let version = version(&connection)?;
    refuse_foreign(&connection, version)?;
    if version < MIGRATIONS.len() {
        let reason = "its layout is older than this program: start the gateway once, which brings it up to date";
        return Err(StoreError::Unavailable(reason.to_owned()));
    }
    Ok(connection)
}

fn flags() -> OpenFlags {
    // Each connection lives on one thread, so SQLite's own mutexes are not needed. No URI names: a path is a path.
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

fn version(connection: &Connection) -> Result<usize, StoreError> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    usize::try_from(version).map_err(|_| StoreError::Unavailable(format!("its layout version is {version}")))
}

fn refuse_foreign(connection: &Connection, version: usize) -> Result<(), StoreError> {
    if version > MIGRATIONS.len() {
        return Err(StoreError::Unavailable(format!(
            "its layout has version {version} and this program knows {}: a newer version of the program wrote it",
            MIGRATIONS.len()
        )));
    }
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if version == 0 && tables > 0 {
        return Err(StoreError::Unavailable("it is a database of another program".to_owned()));
    }
    Ok(())
}

fn migrate(connection: &mut Connection, from: usize) -> Result<(), StoreError> {
    for (step, sql) in MIGRATIONS.iter().enumerate().skip(from) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", step as i64 + 1)?;
        transaction.commit()?;
        tracing::info!(version = step + 1, "database layout brought up to date");
    }
    Ok(())
}

/// Whatever was being written stays as far as it is stored.
fn interrupt_pending(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let interrupted = pieces::put_all_together(&transaction, Status::Interrupted)?;
    transaction.commit()?;
    if interrupted > 0 {
        tracing::warn!(answers = interrupted, "answers were interrupted by the end of the last process");
    }
    Ok(())
}
