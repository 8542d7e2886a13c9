//! The child's side: documents come in over standard input, what they say goes out over standard output, one at a time.
//!
//! Before anything is read, the process takes from itself what no document needs: memory, time, files to write. A parser
//! that fails ends the process; the gateway knows what to make of that. It ends as well when the gateway does, since its
//! standard input ends then.

use std::{
    fs, io, panic,
    process::{self, ExitCode},
    thread,
};

use rlimit::{Resource, setrlimit};

use super::{
    frame::{self, MAX_NAME_BYTES},
    task::Task,
};
use crate::knowledge::extract::MAX_FILE_BYTES;

/// Memory that a process may have beside its program, in bytes: heap and stacks.
pub(super) const MAX_MEMORY_BYTES: u64 = 512 << 20;
/// The CPU time of a document, in seconds.
const CPU_SECONDS: u64 = 20;
/// The stack of a parser: pages and trees of objects are nested as deeply as somebody likes.
const STACK_BYTES: usize = 64 << 20;
/// Open files: the streams, and what the system's own libraries look at.
const MAX_FILES: u64 = 16;
/// Clock ticks of a second, as Linux reports CPU time.
const TICKS: u64 = 100;

/// Runs until standard input ends.
pub fn run() -> ExitCode {
    // A document's words have no place on a terminal or in a log.
    panic::set_hook(Box::new(|_| ()));
    if let Err(error) = limit() {
        #[expect(clippy::print_stderr, reason = "the gateway reads it when the process is over")]
        {
            eprintln!("limits: {error}");
        }
        return ExitCode::FAILURE;
    }
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn limit() -> io::Result<()> {
    // Not the address space: the program alone takes up to 300 MB of that, by how it was built.
    setrlimit(Resource::DATA, MAX_MEMORY_BYTES, MAX_MEMORY_BYTES)?;
    setrlimit(Resource::FSIZE, 0, 0)?;
    setrlimit(Resource::CORE, 0, 0)?;
    setrlimit(Resource::NOFILE, MAX_FILES, MAX_FILES)
}

fn serve() -> io::Result<()> {
    let mut input = io::stdin().lock();
    // While a document is parsed, this thread waits for the next one, or for the end.
    while let Some(task) = frame::read(&mut input, MAX_NAME_BYTES)? {
        let task = Task::named(&task);
        let name = frame::read(&mut input, MAX_NAME_BYTES)?.unwrap_or_default();
        let bytes = frame::read(&mut input, usize::try_from(MAX_FILE_BYTES).unwrap_or(usize::MAX))?;
        let (name, bytes) = (String::from_utf8_lossy(&name).into_owned(), bytes.unwrap_or_default());
        let (until, forever) = (cpu_seconds() + CPU_SECONDS, rlimit::INFINITY);
        setrlimit(Resource::CPU, until, forever)?;
        thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
            let read = panic::catch_unwind(|| task.run(&name, &bytes));
            let answered = read.map(|read| frame::answer(&mut io::stdout().lock(), read));
            // What is left of a parser that failed is not used again.
            if !matches!(answered, Ok(Ok(()))) {
                process::exit(PANICKED);
            }
        })?;
    }
    Ok(())
}

/// How a process ends whose parser panicked.
pub(super) const PANICKED: i32 = 101;

/// The CPU time that this process has had, rounded up.
fn cpu_seconds() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the program's name, which may have anything in it: user time is the 12th, system time the 13th.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks.div_ceil(TICKS)
}
