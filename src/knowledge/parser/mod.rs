//! Documents are read in processes of their own: their readers are large libraries, their bytes come from anybody, and a
//! library that asks for 12 TB or never ends must not take the gateway with it.
//!
//! Uses `extract`. The gateway starts its own program again as a parser, with nothing in its environment, hands it a
//! document, and takes back a text. Of what comes back, it reads lengths and JSON, nothing else. A parser serves several
//! documents one after the other, since starting one costs some 15 ms of CPU time, and is replaced when it fails, when it
//! has read many, or a large one. Dropping a reading kills its parser.

use std::{
    io,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::Semaphore,
    time::timeout,
};

use self::task::{Read, Task};
use crate::knowledge::extract::{ExtractError, Extracted, Grid, MAX_FILE_BYTES};

mod frame;
mod task;
mod worker;

pub use worker::run;

/// The name of the command that is a parser.
pub const COMMAND: &str = "extract-worker";
/// Parsers at a time; further documents wait.
const MAX_PARSERS: usize = 2;
/// The longest that a document is read, in all.
const PATIENCE: Duration = Duration::from_secs(60);
/// Documents that a parser reads.
const MAX_SERVED: usize = 64;
/// After a document of more bytes than this, a parser is not used again: it may hold on to much memory.
const LARGE_BYTES: usize = 256 << 10;
/// What is read of what a parser said when it died.
const LAST_WORDS: u64 = 4096;
/// How a program dies that has used up its CPU time, that gives up, and that is killed.
const SIGXCPU: i32 = 24;
const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;

/// The parsers of a gateway.
#[derive(Debug)]
pub struct Parsers {
    /// What is started; `None` where tests read in their own process.
    program: Option<PathBuf>,
    places: Semaphore,
    idle: Mutex<Vec<Parser>>,
}

impl Parsers {
    /// Parsers that are `program`, started with [`COMMAND`].
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: Some(program.into()), places: Semaphore::new(MAX_PARSERS), idle: Mutex::default() }
    }

    /// Parsers that are the running program, also when its file was replaced since.
    #[must_use]
    pub fn of_this_program() -> Self {
        let running = PathBuf::from("/proc/self/exe");
        // Where neither is known, starting one says so.
        Self::new(if running.exists() { running } else { std::env::current_exe().unwrap_or(running) })
    }

    /// Reads in this process, without bounds: only for documents that tests have made.
    #[cfg(test)]
    pub(crate) fn in_this_process() -> Self {
        Self { program: None, places: Semaphore::new(MAX_PARSERS), idle: Mutex::default() }
    }

    /// Reads a document; see [`extract`](crate::knowledge::extract::extract).
    ///
    /// # Errors
    /// See [`ExtractError`].
    pub async fn read(&self, name: &str, bytes: &[u8]) -> Result<Extracted, ExtractError> {
        match self.ask(Task::Text, name, bytes).await? {
            Read::Text(extracted) => Ok(extracted),
            Read::Table(_) => Err(nonsense()),
        }
    }

    /// Reads a table; see [`table`](crate::knowledge::extract::table).
    ///
    /// # Errors
    /// See [`ExtractError`].
    pub async fn table(&self, name: &str, bytes: &[u8]) -> Result<Grid, ExtractError> {
        match self.ask(Task::Table, name, bytes).await? {
            Read::Table(grid) => Ok(grid),
            Read::Text(_) => Err(nonsense()),
        }
    }

    async fn ask(&self, task: Task, name: &str, bytes: &[u8]) -> Result<Read, ExtractError> {
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(ExtractError::TooLarge);
        }
        let unavailable = |error: &dyn std::fmt::Display| ExtractError::Unavailable(error.to_string());
        let _place = self.places.acquire().await.map_err(|error| unavailable(&error))?;
        let Some(program) = &self.program else { return task.run(name, bytes) };
        // A name tells the kind by its end.
        let name = &name[name.ceil_char_boundary(name.len().saturating_sub(frame::MAX_NAME_BYTES))..];
        loop {
            let idle = self.idle.lock().pop();
            let mut parser = match idle {
                Some(parser) => parser,
                None => Parser::start(program).map_err(|error| unavailable(&error))?,
            };
            let is_new = parser.served == 0;
            let read = match timeout(PATIENCE, parser.exchange([task.name(), name.as_bytes(), bytes])).await {
                Ok(Ok(read)) => read,
                Ok(Err(broken)) => match parser.cause_of_death(&broken).await {
                    // It may have died of waiting, or of what other documents had left in it.
                    cause if !is_new && cause != ExtractError::Timeout => continue,
                    cause => return Err(cause),
                },
                Err(_) => return Err(ExtractError::Timeout),
            };
            parser.served += 1;
            if parser.served < MAX_SERVED && bytes.len() <= LARGE_BYTES {
                self.idle.lock().push(parser);
            }
            return read;
        }
    }

    /// Lets parsers go that nobody needs for now.
    pub fn rest(&self) {
        self.idle.lock().clear();
    }
}

/// A process that reads documents. Dropped, it is killed, and the runtime sees to what is left of it.
#[derive(Debug)]
struct Parser {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    served: usize,
}

impl Parser {
    fn start(program: &PathBuf) -> io::Result<Self> {
        let mut child = Command::new(program)
            .arg(COMMAND)
            .env_clear()
            // One of the allocators that this program may be built with takes a gigabyte at once otherwise.
            .env("MIMALLOC_DISALLOW_ARENA_ALLOC", "1")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let closed = || io::Error::other("a parser has no streams");
        let (input, output) = child.stdin.take().zip(child.stdout.take()).ok_or_else(closed)?;
        Ok(Self { child, input, output, served: 0 })
    }

    async fn exchange(&mut self, frames: [&[u8]; 3]) -> io::Result<Result<Read, ExtractError>> {
        for frame in frames {
            let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
            self.input.write_all(&length.to_be_bytes()).await?;
            self.input.write_all(frame).await?;
        }
        self.input.flush().await?;
        frame::answered(&mut self.output).await
    }

    /// Why the parser failed, by how it died.
    async fn cause_of_death(mut self, broken: &io::Error) -> ExtractError {
        // One that has died keeps its own cause.
        if let Err(error) = self.child.start_kill() {
            tracing::debug!(%error, "a parser that failed was over already");
        }
        let mut last_words = String::new();
        if let Some(stderr) = self.child.stderr.take()
            && let Err(error) = stderr.take(LAST_WORDS).read_to_string(&mut last_words).await
        {
            tracing::debug!(%error, "a parser's last words are lost");
        }
        let status = match self.child.wait().await {
            Ok(status) => status,
            Err(error) => return ExtractError::Unavailable(error.to_string()),
        };
        tracing::debug!(%status, %broken, %last_words, "a parser failed");
        match broken.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => judged(status, &last_words),
            _ => nonsense(),
        }
    }
}

fn nonsense() -> ExtractError {
    ExtractError::Damaged("it makes its parser talk nonsense".to_owned())
}

fn judged(status: ExitStatus, last_words: &str) -> ExtractError {
    let damaged = |how: &str| ExtractError::Damaged(how.to_owned());
    match (status.signal(), status.code()) {
        (Some(SIGXCPU), _) => ExtractError::Timeout,
        (Some(SIGABRT), _) => match asked_for(last_words) {
            // No sound document needs more at once than there may be in all.
            Some(bytes) if bytes > u128::from(worker::MAX_MEMORY_BYTES) => {
                damaged("a number in it is beyond all measure")
            }
            Some(_) => ExtractError::OutOfMemory,
            None => damaged("it is nested without end"),
        },
        (Some(SIGKILL), _) => ExtractError::OutOfMemory,
        (_, Some(worker::PANICKED)) => damaged("it makes its parser fail"),
        (_, Some(_)) if !last_words.is_empty() => ExtractError::Unavailable(last_words.trim().to_owned()),
        _ => damaged("it ends its parser"),
    }
}

/// The bytes that a program wanted and did not get, in the words of Rust's runtime.
fn asked_for(last_words: &str) -> Option<u128> {
    let (_, rest) = last_words.split_once("memory allocation of ")?;
    rest.split_once(" bytes failed")?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deaths_have_causes() {
        let aborted = ExitStatus::from_raw(SIGABRT);
        let memory = |bytes: u128| format!("memory allocation of {bytes} bytes failed\n");
        assert_eq!(judged(aborted, &memory(1 << 20)), ExtractError::OutOfMemory);
        assert_eq!(judged(aborted, &memory(12_000_000_000_000)).code(), "damaged");
        assert_eq!(judged(aborted, "thread 'x' has overflowed its stack").code(), "damaged");
        assert_eq!(judged(ExitStatus::from_raw(SIGXCPU), ""), ExtractError::Timeout);
        assert_eq!(judged(ExitStatus::from_raw(SIGKILL), ""), ExtractError::OutOfMemory);
        assert_eq!(judged(ExitStatus::from_raw(worker::PANICKED << 8), "").code(), "damaged");
        assert_eq!(judged(ExitStatus::from_raw(1 << 8), "limits: none").code(), "unavailable");
    }
}
