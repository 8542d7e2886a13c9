//! `rivulet load`: many conversations at once, every text checked, sockets cut at random; prints what came out. With
//! `--history` everything is written down, and `--verify` judges that later by what the gateway has stored.

use std::{
    fmt, fs,
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::load::{
    self, Endpoint, LoadError, Plan, Report, Verdict, VerifyError,
    scenario::{self, Job, Scenario},
};

/// Files a process needs open besides its sockets.
const OTHER_FILES: u64 = 64;

/// Arguments of `rivulet load`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The gateway, like ws://127.0.0.1:8080 or http://127.0.0.1:8080, or the whole address of its WebSocket. Several that
    /// act as one are separated by commas: each connection goes to any of them, and scenarios to the first
    #[arg(long, value_parser = Endpoint::parse, value_delimiter = ',', required = true)]
    pub url: Vec<Endpoint>,
    /// Conversations at the same time
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub sessions: u32,
    /// Questions in each conversation, one after the other
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub messages: u32,
    /// Seconds over which the conversations are started
    #[arg(long, default_value_t = 0.0, value_parser = seconds, value_name = "S")]
    pub ramp: f64,
    /// Chance that a socket is cut after its welcome, after a question was sent, and after each piece of text;
    /// from 0 to less than 1
    #[arg(long, default_value_t = 0.0, value_parser = chance, value_name = "P")]
    pub cut: f64,
    /// What is asked; a number behind it makes every question another one, so that no cache answers
    #[arg(long, default_value = "What do I need to get a loan?")]
    pub text: String,
    /// A file with the text that every answer with status `complete` must be, with or without the file's last
    /// line break; without this, answers are compared with what the gateway itself announces and stores, and
    /// what is lost between the model and the gateway is not found
    #[arg(long, value_name = "FILE")]
    pub expect: Option<PathBuf>,
    /// Seconds that one answer may take, reconnects included
    #[arg(long, default_value_t = 60.0, value_parser = seconds, value_name = "S")]
    pub timeout: f64,
    /// The same seed cuts the sockets at the same places
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Writes everything that is sent and told to this file, one JSON object per line, for --verify
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,
    /// Opens no sessions: reads such a file, asks the gateway what it has stored, and tells what is lost, doubled,
    /// altered, out of order or without an end
    #[arg(long, value_name = "FILE", conflicts_with_all = ["history", "sessions", "messages", "ramp", "cut", "text",
        "expect", "timeout", "seed"])]
    pub verify: Option<PathBuf>,
    /// JSON instead of a table
    #[arg(long)]
    pub json: bool,
    /// Something else than questions; what it has come to is said on standard error
    #[arg(long, value_enum)]
    pub scenario: Option<Scenario>,
    /// And its size
    #[command(flatten)]
    pub scenario_args: ScenarioArgs,
}

/// Arguments that only some scenarios use.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Scenarios")]
pub struct ScenarioArgs {
    /// stream: sockets on each conversation
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000), requires = "scenario")]
    pub viewers: u16,
    /// stream: tokens that every answer must have
    #[arg(long, value_name = "N", requires = "scenario")]
    pub tokens: Option<u64>,
    /// idle, stalled: how long, in seconds
    #[arg(long, default_value_t = 60.0, value_parser = seconds, value_name = "S", requires = "scenario")]
    pub hold: f64,
    /// stop: the mock model, like ws://127.0.0.1:9100
    #[arg(long, value_parser = Endpoint::parse, value_name = "URL", requires = "scenario")]
    pub model: Option<Endpoint>,
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub enum LoadCommandError {
    /// It could not begin.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A history could not be judged.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// A file of `--expect` or `--verify` cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It ended, and something was lost, doubled, altered or refused; the report says what.
    #[error("the gateway did not keep its promises: {0}")]
    Faults(String),
    /// What is stored is not what was acknowledged; the verdict says what.
    #[error("the gateway did not keep what it had acknowledged: {0}")]
    Violations(String),
    /// It was interrupted twice.
    #[error("interrupted before the open questions were answered")]
    Interrupted,
    /// The report could not be written.
    #[error("cannot write the report: {0}")]
    Output(#[from] io::Error),
}

impl From<serde_json::Error> for LoadCommandError {
    fn from(error: serde_json::Error) -> Self {
        Self::Output(error.into())
    }
}

/// Puts the load on the gateway, or judges an earlier one, and prints the report to standard output. The first
/// interrupt ends the asking, the second one all of it.
///
/// # Errors
/// [`LoadCommandError`], also when a single answer was not what it had to be.
pub async fn run(args: Args) -> Result<(), LoadCommandError> {
    let json = args.json;
    if let Some(path) = args.verify {
        let verdict = load::verify(&args.url, &read(path)?).await?;
        print(&verdict, json)?;
        return judged(&verdict);
    }
    let sockets = u64::from(args.sessions) * u64::from(args.scenario_args.viewers);
    raise_file_limit(sockets + OTHER_FILES);
    if let Some(scenario) = args.scenario {
        return play(scenario, args).await;
    }
    let plan = plan(args)?;
    let stop = plan.stop.clone();
    let report = tokio::select! {
        report = load::run(plan) => report?,
        interrupted = interrupts(stop) => {
            interrupted?;
            return Err(LoadCommandError::Interrupted);
        }
    };
    print(&report, json)?;
    verdict(&report)
}

async fn play(scenario: Scenario, mut args: Args) -> Result<(), LoadCommandError> {
    let (json, endpoint) = (args.json, args.url.remove(0)); // The parser insists on one.
    let outcome = scenario::run(job(scenario, endpoint, args), |stage| {
        // Whoever measures waits for these lines; where nobody does, it is no matter that they cannot be written.
        let _ = writeln!(io::stderr(), "{stage}");
    });
    let outcome = outcome.await?;
    print(&outcome, json)?;
    match outcome.faults {
        0 => Ok(()),
        faults => Err(LoadCommandError::Faults(format!("{faults} times"))),
    }
}

fn job(scenario: Scenario, endpoint: Endpoint, args: Args) -> Job {
    Job {
        scenario,
        endpoint,
        sessions: args.sessions as usize,
        viewers: usize::from(args.scenario_args.viewers),
        messages: args.messages as usize,
        text: args.text,
        tokens: args.scenario_args.tokens,
        ramp: Duration::from_secs_f64(args.ramp),
        hold: Duration::from_secs_f64(args.scenario_args.hold),
        timeout: Duration::from_secs_f64(args.timeout),
        model: args.scenario_args.model,
    }
}

/// Returns after the second one.
async fn interrupts(stop: CancellationToken) -> io::Result<()> {
    tokio::signal::ctrl_c().await?;
    stop.cancel();
    tokio::signal::ctrl_c().await
}

fn print(result: &(impl Serialize + fmt::Display), json: bool) -> Result<(), LoadCommandError> {
    let mut out = io::stdout();
    if json {
        serde_json::to_writer_pretty(&mut out, result)?;
        writeln!(out)?;
    } else {
        write!(out, "{result}")?;
    }
    Ok(())
}

fn read(path: PathBuf) -> Result<String, LoadCommandError> {
    fs::read_to_string(&path).map_err(|source| LoadCommandError::Read { path, source })
}

fn judged(verdict: &Verdict) -> Result<(), LoadCommandError> {
    if verdict.is_clean() {
        return Ok(());
    }
    let count: u64 = verdict.violations.values().sum();
    Err(LoadCommandError::Violations(format!("{count} violations")))
}

fn plan(args: Args) -> Result<Plan, LoadCommandError> {
    Ok(Plan {
        endpoints: args.url,
        sessions: args.sessions as usize,
        messages: args.messages as usize,
        ramp: Duration::from_secs_f64(args.ramp),
        cut: args.cut,
        text: args.text,
        expect: args.expect.map(read).transpose()?,
        timeout: Duration::from_secs_f64(args.timeout),
        seed: args.seed,
        history: args.history,
        stop: CancellationToken::new(),
    })
}

fn verdict(report: &Report) -> Result<(), LoadCommandError> {
    let faults = &report.faults;
    if faults.is_none() {
        return Ok(());
    }
    Err(LoadCommandError::Faults(format!(
        "{} lost, {} duplicated, {} altered, {} disordered, {} malformed, {} errors",
        faults.lost, faults.duplicated, faults.altered, faults.disordered, faults.malformed, faults.errors
    )))
}

/// Each session is a socket, and the usual limit is 1024.
fn raise_file_limit(needed: u64) {
    match rlimit::increase_nofile_limit(needed) {
        Ok(limit) if limit < needed => tracing::warn!(limit, needed, "too few open files are allowed: see `ulimit -n`"),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the limit of open files stays as it is"),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    within(text, 86_400.0)
}

fn chance(text: &str) -> Result<f64, String> {
    within(text, 1.0)
        .ok()
        .filter(|chance| *chance < 1.0)
        .ok_or_else(|| "must be a number from 0 to less than 1".to_owned())
}

fn within(text: &str, most: f64) -> Result<f64, String> {
    let wrong = || format!("must be a number from 0 to {most}");
    text.parse().ok().filter(|number| (0.0..=most).contains(number)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn parse(arguments: &[&str]) -> Result<Args, clap::Error> {
        Command::try_parse_from([&["load"], arguments].concat()).map(|command| command.args)
    }

    #[test]
    fn arguments_are_checked() {
        let args = parse(&["--url", "ws://localhost:1", "--cut", "0.5", "--sessions", "3"]).expect("fine");
        let plan = plan(args).expect("nothing to read");
        assert_eq!((plan.sessions, plan.messages, plan.timeout), (3, 1, Duration::from_secs(60)));
        for bad in [
            &["--sessions", "3"][..],
            &["--url", "https://localhost"],
            &["--url", "ws://a", "--verify", "f", "--history", "g"],
            &["--url", "ws://a", "--verify", "f", "--seed", "3"],
            &["--url", "ws://a", "--cut", "1"],
            &["--url", "ws://a", "--cut", "1.1"],
            &["--url", "ws://a", "--cut", "nan"],
            &["--url", "ws://a", "--sessions", "0"],
            &["--url", "ws://a", "--timeout", "-1"],
            &["--url", "ws://a", "--ramp", "inf"],
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_expected_text_is_read_or_the_file_named() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), "größer\n").expect("written");
        let path = file.path().to_str().expect("UTF-8");
        let args = parse(&["--url", "ws://a", "--expect", path]).expect("fine");
        assert_eq!(plan(args).expect("read").expect.as_deref(), Some("größer\n"));
        let absent = parse(&["--url", "ws://a", "--expect", "/no/such/file"]).expect("fine");
        assert!(plan(absent).expect_err("refused").to_string().contains("/no/such/file"));
    }

    #[tokio::test]
    async fn a_history_that_is_not_there_or_not_one_is_named() {
        let absent = parse(&["--url", "http://a", "--verify", "/no/such/file"]).expect("fine");
        assert!(run(absent).await.expect_err("refused").to_string().contains("/no/such/file"));
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), "größer\n").expect("written");
        let path = file.path().to_str().expect("UTF-8");
        let other = parse(&["--url", "http://a", "--verify", path]).expect("fine");
        assert!(run(other).await.expect_err("refused").to_string().contains("line 1"));
    }

    #[test]
    fn any_fault_is_a_failure() {
        let mut report = Report::default();
        assert!(verdict(&report).is_ok());
        report.faults.altered = 1;
        assert!(verdict(&report).expect_err("a failure").to_string().contains("1 altered"));
        let mut verdict = Verdict::default();
        assert!(judged(&verdict).is_ok());
        verdict.violations.insert(load::Violation::Lost, 2);
        assert!(judged(&verdict).expect_err("a failure").to_string().contains("2 violations"));
    }
}
