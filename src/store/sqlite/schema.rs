//! The layout of the file, how it came to be, and how connections are opened.

use std::{
    ffi::OsString,
    fs::{File, TryLockError},
    io,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, TransactionBehavior, config::DbConfig};

use super::{
    super::StoreError,
    lock::{beside, in_use, own_file},
    pieces,
};
use crate::chat::Status;

/// One step per version of the layout; step `n` leads from version `n` to `n + 1`, and `PRAGMA user_version`
/// says how many were taken. Steps are only ever added: files of every age are out there.
pub(super) const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE sessions (
        id            TEXT PRIMARY KEY,
        assistant     TEXT NOT NULL,
        metadata      TEXT,
        created_at    INTEGER NOT NULL,
        updated_at    INTEGER NOT NULL,
        message_count INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX sessions_by_age ON sessions (created_at DESC, id);
    CREATE INDEX sessions_by_use ON sessions (updated_at);

    -- position: the order of a conversation. Rising, because rows are only added at the end.
    CREATE TABLE messages (
        position   INTEGER PRIMARY KEY,
        session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        id         TEXT NOT NULL,
        role       TEXT NOT NULL,
        text       TEXT NOT NULL,
        status     TEXT NOT NULL,
        run        TEXT,
        model      TEXT,
        citations  TEXT,
        sources    TEXT,
        usage      TEXT,
        created_at INTEGER NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX messages_by_id ON messages (session_id, id);
    CREATE INDEX messages_in_order ON messages (session_id, position);
    CREATE INDEX messages_pending ON messages (position) WHERE status = 'pending';

    CREATE TABLE probe (id INTEGER PRIMARY KEY CHECK (id = 1), count INTEGER NOT NULL) STRICT;
    INSERT INTO probe (id, count) VALUES (1, 0);
",
    "
    -- question: of an answer, what it answers. replaced: no part of the conversation any more.
    ALTER TABLE messages ADD COLUMN question TEXT;
    ALTER TABLE messages ADD COLUMN replaces TEXT;
    ALTER TABLE messages ADD COLUMN replaced INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE messages ADD COLUMN feedback TEXT;
    UPDATE messages SET question = (
        SELECT earlier.id FROM messages AS earlier
        WHERE earlier.session_id = messages.session_id AND earlier.position < messages.position
        ORDER BY earlier.position DESC LIMIT 1
    ) WHERE role = 'assistant';
    CREATE INDEX messages_of_conversation ON messages (session_id, position) WHERE replaced = 0;
",
    "
    -- Sessions made before have none: they belong to nobody in particular. Listing is by owner from now on.
    ALTER TABLE sessions ADD COLUMN owner TEXT;
    CREATE INDEX sessions_by_owner ON sessions (owner, created_at DESC, id);
    DROP INDEX sessions_by_age;
",
    "
    -- day: counted from 1970. Only the newest is of use.
    CREATE TABLE spending (
        day     INTEGER NOT NULL,
        account TEXT NOT NULL,
        tokens  INTEGER NOT NULL,
        PRIMARY KEY (day, account)
    ) STRICT, WITHOUT ROWID;
",
    "
    -- What was added to an answer that is being written: behind its first `at` bytes stands `text` now. In the order of
    -- `id`, and rising within an answer, because its pieces go all at once.
    CREATE TABLE pieces (
        id     INTEGER PRIMARY KEY,
        answer INTEGER NOT NULL REFERENCES messages (position) ON DELETE CASCADE,
        at     INTEGER NOT NULL,
        text   TEXT NOT NULL
    ) STRICT;
    CREATE INDEX pieces_of_answer ON pieces (answer);
",
    "
    -- unerased: since when bytes of something deleted may be left; 0: they are to go at once.
    -- Whose row it is stands in every one of these. What is deleted keeps its row until the index has let go of it.
    CREATE TABLE collections (
        tenant     TEXT NOT NULL,
        name       TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        deleted_at INTEGER,
        unerased   INTEGER,
        PRIMARY KEY (tenant, name)
    ) STRICT, WITHOUT ROWID;

    -- position: the order in which they came.
    CREATE TABLE documents (
        position        INTEGER PRIMARY KEY,
        id              TEXT NOT NULL UNIQUE,
        tenant          TEXT NOT NULL,
        collection      TEXT NOT NULL,
        key             TEXT NOT NULL,
        title           TEXT NOT NULL,
        version         INTEGER NOT NULL,
        indexed_version INTEGER,
        state           TEXT NOT NULL,
        code            TEXT,
        reason          TEXT,
        metadata        TEXT,
        created_at      INTEGER NOT NULL,
        updated_at      INTEGER NOT NULL,
        deleted_at      INTEGER
    ) STRICT;
    CREATE UNIQUE INDEX documents_by_key ON documents (tenant, collection, key) WHERE deleted_at IS NULL;
    CREATE INDEX documents_in_order ON documents (tenant, position) WHERE deleted_at IS NULL;
    CREATE INDEX documents_deleted ON documents (position) WHERE deleted_at IS NOT NULL;

    -- name, title, uri: as they were given. doc_hash to chunks: what indexing it brought to light. released: by an admin.
    CREATE TABLE versions (
        document   TEXT NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
        version    INTEGER NOT NULL,
        tenant     TEXT NOT NULL,
        name       TEXT NOT NULL,
        title      TEXT,
        uri        TEXT,
        media_type TEXT NOT NULL,
        blob       TEXT NOT NULL,
        bytes      INTEGER NOT NULL,
        request    TEXT,
        doc_hash   TEXT,
        encoding   TEXT,
        warnings   TEXT,
        flags      TEXT,
        pages      INTEGER,
        chunks     INTEGER,
        released   INTEGER NOT NULL DEFAULT 0,
        created_at INTEGER NOT NULL,
        PRIMARY KEY (document, version)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX versions_by_blob ON versions (tenant, blob);
    CREATE UNIQUE INDEX versions_by_request ON versions (tenant, request) WHERE request IS NOT NULL;

    -- lease: until when somebody is at it. not_before: when it is tried again.
    CREATE TABLE jobs (
        position   INTEGER PRIMARY KEY,
        id         TEXT NOT NULL UNIQUE,
        tenant     TEXT NOT NULL,
        kind       TEXT NOT NULL,
        collection TEXT NOT NULL,
        document   TEXT,
        version    INTEGER,
        state      TEXT NOT NULL,
        stage      TEXT,
        done       INTEGER NOT NULL DEFAULT 0,
        total      INTEGER NOT NULL DEFAULT 0,
        attempts   INTEGER NOT NULL DEFAULT 0,
        lease      INTEGER NOT NULL DEFAULT 0,
        not_before INTEGER NOT NULL DEFAULT 0,
        cancelling INTEGER NOT NULL DEFAULT 0,
        code       TEXT,
        reason     TEXT,
        revision   INTEGER NOT NULL DEFAULT 1,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX jobs_in_order ON jobs (tenant, position);
    CREATE INDEX jobs_of_document ON jobs (document, position);
    CREATE INDEX jobs_waiting ON jobs (position) WHERE state = 'queued';
    CREATE INDEX jobs_running ON jobs (position) WHERE state = 'running';
    CREATE INDEX jobs_ended ON jobs (updated_at) WHERE state IN ('done', 'failed', 'cancelled');
",
    "
    -- hash: of the whole key, which is shown once and kept nowhere.
    CREATE TABLE api_keys (
        id         TEXT PRIMARY KEY,
        name       TEXT NOT NULL,
        hash       BLOB NOT NULL,
        tenant     TEXT NOT NULL,
        user       TEXT NOT NULL,
        scopes     TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER,
        used_at    INTEGER,
        revoked_at INTEGER
    ) STRICT, WITHOUT ROWID;

    -- user: empty for all of the tenant. before: tokens made earlier are not good any more.
    CREATE TABLE revocations (
        tenant TEXT NOT NULL,
        user   TEXT NOT NULL,
        before INTEGER NOT NULL,
        PRIMARY KEY (tenant, user)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX revocations_by_age ON revocations (before);
",
    "
    -- reader: a tenant that may read the collection of another one.
    CREATE TABLE readers (
        tenant     TEXT NOT NULL,
        collection TEXT NOT NULL,
        reader     TEXT NOT NULL,
        PRIMARY KEY (reader, tenant, collection)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX readers_of_collection ON readers (tenant, collection, reader);
    -- The readers of a collection look through all of it.
    CREATE INDEX documents_of_collection ON documents (tenant, collection, position) WHERE deleted_at IS NULL;
",
    "
    -- number: entries are only ever added, and leave by their age.
    CREATE TABLE audit (
        number  INTEGER PRIMARY KEY AUTOINCREMENT,
        at      INTEGER NOT NULL,
        tenant  TEXT NOT NULL,
        user    TEXT NOT NULL,
        action  TEXT NOT NULL,
        target  TEXT NOT NULL,
        address TEXT
    ) STRICT;
    CREATE INDEX audit_of_tenant ON audit (tenant, number);
    CREATE INDEX audit_by_age ON audit (at);
",
    "
    -- To count what was thought of answers without looking at all of them.
    CREATE INDEX messages_rated ON messages (created_at) WHERE feedback IS NOT NULL;
",
    "
    -- Single tokens that were taken back, by a hash; until: when they are over anyway.
    CREATE TABLE revoked_tokens (
        id     BLOB PRIMARY KEY,
        tenant TEXT NOT NULL,
        user   TEXT NOT NULL,
        until  INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX revoked_tokens_of_user ON revoked_tokens (tenant, user);
    CREATE INDEX revoked_tokens_by_age ON revoked_tokens (until);
",
    "
    -- file: the name under which the bytes lie, where that is not the hash.
    ALTER TABLE versions ADD COLUMN file TEXT;
",
];

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
