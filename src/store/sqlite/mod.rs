//! Sessions, messages and spending in one SQLite file. Uses `chat` and `telemetry` only.
//!
//! One thread owns the only connection that writes. It takes everything that waits, runs it in one transaction
//! and answers after the commit, which is the fsync: so an answer means durable, and a hundred callers cost one
//! fsync. Two threads read beside it, on connections of their own; the write-ahead log lets them. The file's
//! layout is in `schema.rs`, the threads in `threads.rs`, rows and statements in `rows.rs`, lists of sessions in
//! `sessions.rs`. What an answer has come to is
//! added to it piece by piece (`pieces.rs`); what accounts have spent is in `spending.rs`, what the knowledge base should
//! hold in `documents.rs`; API keys and revocations are in `credentials.rs`, and
//! what was done by whom in `audit.rs`; what tools have made is in `artifacts.rs`, what is remembered in `memories.rs`; what was thought of answers is counted in `feedback.rs`.

use std::{fmt, path::Path};

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::time::Instant;

pub use self::lock::Holder;
use self::threads::{Readers, Writer};
use super::{
    Appended, Awaited, Awaiting, Branch, Branched, FeedbackCount, Fence, FinishedAnswer, MAX_EXPIRED, MAX_PAGE,
    MessagePage, Piece, Scope, SessionPage, SessionRecord, SessionStore, StoreError, Turn, refuse_unfit,
};
use crate::{
    chat::{Feedback, Message, MessageId, Owner, SessionId, Timestamp, Title},
    telemetry::metrics::DATABASE_DURATION,
};

mod artifacts;
mod audit;
mod branch;
mod credentials;
mod documents;
mod feedback;
mod lock;
mod memories;
mod pieces;
mod rows;
mod schema;
mod sessions;
mod spending;
mod threads;

/// The name of the file in a gateway's data folder.
pub const FILE_NAME: &str = "rivulet.db";
/// Readers beside the writer. A read takes microseconds; the second one is there for the day when a page of
/// long messages is being fetched.
const READERS: usize = 2;

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// The store that a gateway uses. Cheap to share behind an `Arc`.
///
/// At most 1024 writes and 1024 reads wait; the next one is answered [`StoreError::Unavailable`] at once. When
/// the disk is full or fails, the same answer comes, nothing is half written, and the store goes on working as
/// soon as the disk does.
pub struct SqliteStore {
    readers: Readers,
    /// `None`: it was opened to be read.
    writer: Option<Writer>,
}

impl SqliteStore {
    /// Opens the file, makes it when there is none, brings its layout up to date, and marks every answer that
    /// was being written when the last process ended as interrupted; its text is what the checkpoints have of it.
    ///
    /// Blocks while it does so. A file that is not a database, has a newer layout or belongs to another program
    /// is left as it is. Damage inside the file shows when the damaged part is read.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] with the path and the reason, also when another process has the file open.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let named = |error| named(path, &error);
        let lock = lock::lock(path).map_err(named)?;
        let connection = schema::open_writer(path).map_err(named)?;
        let writer = Writer::start(connection, lock)?;
        let readers = (0..READERS).map(|_| schema::open_reader(path)).collect::<Result<Vec<_>, _>>().map_err(named)?;
        Ok(Self { readers: Readers::start(readers)?, writer: Some(writer) })
    }

    /// Opens the file to read it only, also beside a gateway that has it open. What is to be written is answered
    /// [`StoreError::Unavailable`]. Blocks.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] with the path and the reason, also when there is no file, or its layout is not that of
    /// this program.
    pub fn open_to_read(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let open = || Ok(Self { readers: Readers::start(vec![schema::open_to_read(path)?])?, writer: None });
        open().map_err(|error| named(path, &error))
    }

    /// Whether [`open`](Self::open) would take the file as it is: nobody has it open, and it is of this program and
    /// of no newer layout. A file that is not there yet is fine. Blocks, and changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] with the path and the reason.
    pub fn inspect(path: impl AsRef<Path>) -> Result<(), StoreError> {
        let path = path.as_ref();
        schema::inspect(path).map_err(|error| named(path, &error))
    }

    /// Copies the database as it is now into a new file, also beside a gateway that has it open. Blocks.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] with the path and the reason, also when there is no database, or its layout is not that
    /// of this program.
    pub fn snapshot(path: impl AsRef<Path>, copy: impl AsRef<Path>) -> Result<(), StoreError> {
        let (path, copy) = (path.as_ref(), copy.as_ref());
        let copied = || {
            let connection = schema::open_to_read(path)?;
            connection.pragma_update(None, "query_only", false)?; // It writes, if elsewhere.
            connection.execute("VACUUM INTO ?1", [copy.to_string_lossy()])?;
            Ok(())
        };
        copied().map_err(|error| named(path, &error))
    }

    /// Whether a database that nobody has open is whole, and one that [`open`](Self::open) would take. Blocks.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] with the path and the reason.
    pub fn verify(path: impl AsRef<Path>) -> Result<(), StoreError> {
        let path = path.as_ref();
        let verified = || {
            schema::inspect(path)?;
            let found: String = schema::open_reader(path)?.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
            if found == "ok" { Ok(()) } else { Err(StoreError::Unavailable(found)) }
        };
        verified().map_err(|error| named(path, &error))
    }

    /// Says to other programs where the process that has the file can be asked. Blocks.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] with the path and the reason.
    pub fn announce(path: impl AsRef<Path>, holder: &Holder) -> Result<(), StoreError> {
        let path = path.as_ref();
        lock::announce(path, holder).map_err(|error| named(path, &StoreError::Unavailable(error.to_string())))
    }

    /// Where the process can be asked that has the file; `None` when nobody has it. Blocks.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] with the path and the reason.
    pub fn holder(path: impl AsRef<Path>) -> Result<Option<Holder>, StoreError> {
        let path = path.as_ref();
        lock::holder(path).map_err(|error| named(path, &StoreError::Unavailable(error.to_string())))
    }

    /// Finishes what waits, copies the write-ahead log into the file and gives the file free. What is asked of
    /// the store afterwards is answered [`StoreError::Unavailable`].
    ///
    /// Dropping the store does the same, blocking, unless this was called before: whoever gave up waiting here
    /// is not made to wait there. The file stays locked until the last write is done in any case.
    pub async fn close(&self) {
        // Not joined: a disk that hangs must not keep the process from ending.
        drop((self.readers.queue.stop(), self.writer.as_ref().map(|writer| writer.queue.stop())));
        self.readers.queue.ended().await;
        if let Some(writer) = &self.writer {
            writer.queue.ended().await;
        }
    }

    /// How many transactions were committed; with the number of operations it shows how well they are grouped.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.writer.as_ref().map_or(0, Writer::commits)
    }

    async fn write<T, F>(&self, op: &'static str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let started = Instant::now();
        let writer = self.writer.as_ref().ok_or_else(|| StoreError::Unavailable("it is open to be read".to_owned()))?;
        let result = writer.run(work).await;
        metrics::histogram!(DATABASE_DURATION, "op" => op).record(started.elapsed().as_secs_f64());
        result
    }

    /// Runs `work` on one moment of the database, however many statements it takes.
    async fn read<T, F>(&self, op: &'static str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let started = Instant::now();
        let result = self.readers.run(|connection| work(&*connection.unchecked_transaction()?)).await;
        metrics::histogram!(DATABASE_DURATION, "op" => op).record(started.elapsed().as_secs_f64());
        result
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        threads::join(self.readers.queue.stop());
        if let Some(writer) = &self.writer {
            threads::join(writer.queue.stop());
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("commits", &self.commits()).finish_non_exhaustive()
    }
}

#[async_trait]
impl SessionStore for SqliteStore {
    async fn create_session(&self, session: SessionRecord) -> Result<(), StoreError> {
        self.write("create_session", move |connection| rows::insert_session(connection, &session)).await
    }

    async fn session(&self, id: &SessionId) -> Result<Option<SessionRecord>, StoreError> {
        let id = id.clone();
        self.read("session", move |connection| rows::session(connection, &id)).await
    }

    async fn sessions(
        &self,
        owner: Option<&Owner>,
        part: Option<&Title>,
        before: Option<&SessionId>,
        limit: usize,
    ) -> Result<SessionPage, StoreError> {
        let (owner, part, before) = (owner.cloned(), part.map(Title::folded), before.cloned());
        let page = move |connection: &Connection| {
            sessions::page(connection, owner.as_ref(), part.as_deref(), before.as_ref(), limit.min(MAX_PAGE))
        };
        self.read("sessions", page).await
    }

    async fn rename_session(&self, id: &SessionId, title: Title) -> Result<bool, StoreError> {
        let id = id.clone();
        self.write("rename_session", move |connection| sessions::rename(connection, &id, &title)).await
    }

    async fn delete_session(&self, id: &SessionId) -> Result<bool, StoreError> {
        let id = id.clone();
        self.write("delete_session", move |connection| rows::delete_session(connection, &id)).await
    }

    async fn append_turn(&self, session: &SessionId, _fence: Fence, turn: Turn) -> Result<Appended, StoreError> {
        let session = session.clone();
        self.write("append_turn", move |connection| rows::append_turn(connection, &session, &turn)).await
    }

    async fn branch(
        &self,
        session: &SessionId,
        _fence: Fence,
        branch: Branch,
        newest: usize,
    ) -> Result<Branched, StoreError> {
        let (session, newest) = (session.clone(), newest.min(MAX_PAGE));
        self.write("branch", move |connection| branch::branch(connection, &session, &branch, newest)).await
    }

    async fn rate(&self, session: &SessionId, message: &MessageId, feedback: Feedback) -> Result<bool, StoreError> {
        let (session, message) = (session.clone(), message.clone());
        self.write("rate", move |connection| rows::rate(connection, &session, &message, &feedback)).await
    }

    async fn feedback(&self, tenant: Option<&str>, since: Timestamp) -> Result<Vec<FeedbackCount>, StoreError> {
        let tenant = tenant.map(str::to_owned);
        self.read("feedback", move |connection| feedback::feedback(connection, tenant.as_deref(), since)).await
    }

    async fn checkpoint(&self, pieces: Vec<Piece>) -> Result<usize, StoreError> {
        self.write("checkpoint", move |connection| pieces::keep(connection, &pieces)).await
    }

    async fn awaiting(&self, whose: Awaiting<'_>, part: Option<&str>) -> Result<Vec<Awaited>, StoreError> {
        let (owners, part) = (whose.bounds(), part.map(str::to_owned));
        self.read("awaiting", move |connection| rows::awaiting(connection, &owners, part.as_deref())).await
    }

    async fn finish_answer(
        &self,
        session: &SessionId,
        _fence: Fence,
        answer: FinishedAnswer,
    ) -> Result<(), StoreError> {
        refuse_unfit(&answer)?;
        let session = session.clone();
        self.write("finish_answer", move |connection| rows::finish_answer(connection, &session, &answer)).await
    }

    async fn message(&self, session: &SessionId, id: &MessageId) -> Result<Option<Message>, StoreError> {
        let (session, id) = (session.clone(), id.clone());
        self.read("message", move |connection| rows::message(connection, &session, &id)).await
    }

    async fn messages(
        &self,
        session: &SessionId,
        before: Option<&MessageId>,
        limit: usize,
        scope: Scope,
    ) -> Result<MessagePage, StoreError> {
        let (session, before, limit) = (session.clone(), before.cloned(), limit.min(MAX_PAGE));
        self.read("messages", move |connection| rows::messages(connection, &session, before.as_ref(), limit, scope))
            .await
    }

    async fn delete_expired(&self, cutoff: Timestamp, limit: usize) -> Result<Vec<SessionId>, StoreError> {
        let limit = limit.min(MAX_EXPIRED);
        self.write("delete_expired", move |connection| rows::delete_expired(connection, cutoff, limit)).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.write("check", rows::probe).await
    }
}

fn named(path: &Path, error: &StoreError) -> StoreError {
    StoreError::Unavailable(format!("{}: {}", path.display(), reason(error)))
}

/// The bare reason, without the words that [`StoreError`] puts before it.
fn reason(error: &StoreError) -> String {
    match error {
        StoreError::Unavailable(reason) => reason.clone(),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
