//! The `rivulet` binary: arguments → one command. Everything else is in the library.

use std::{error::Error, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use rivulet::{
    cli::{
        api_key, backup, check, eval, ingest, knowledge, load, mcp, mock_llm, rehearse, search, serve,
        settings::SettingsArgs, token,
    },
    knowledge::{embed, parser},
};

/// A real-time streaming chat gateway between browsers and language models.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// The gateway (the default)
    Serve,
    /// What is wrong with the configuration, what it would connect to, and whether it can
    Check(check::Args),
    /// Files and folders into the knowledge base
    Ingest(ingest::Args),
    /// What retrieval finds
    Search(search::Args),
    /// The knowledge base, looked after from outside
    Knowledge(knowledge::Args),
    /// How well and how fast documents are found, on a test set
    Eval(eval::Args),
    /// API keys: made, listed, taken back
    ApiKey(api_key::Args),
    /// All that the gateway keeps, into one file; beside a gateway that runs, too
    Backup(backup::BackupArgs),
    /// What a backup has in it, into an empty data folder
    Restore(backup::RestoreArgs),
    /// A token for a user, on standard output
    Token(token::Args),
    /// An OpenAI-compatible server that streams scripted text, calls of tools, or faults
    MockLlm(mock_llm::Args),
    /// Dialogues that an assistant must master, held with a gateway that runs
    Rehearse(rehearse::Args),
    /// Servers of tools: what they say of themselves is pinned
    #[command(subcommand)]
    Mcp(mcp::Task),
    /// Opens many sessions, sends messages and checks every text
    Load(load::Args),
    /// Reads documents for the gateway, in a process that may fail
    #[command(name = parser::COMMAND, hide = true)]
    ExtractWorker,
}

/// What is still running on a thread of its own when a command is over (a hung disk, a long document being cut) gets no
/// longer: what was acknowledged is on the disk by then.
const LEFTOVERS: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if matches!(arguments.command, Some(Command::ExtractWorker)) {
        return parser::run();
    }
    let ended =
        embed::keep_quiet().and_then(|()| tokio::runtime::Runtime::new()).map_err(Into::into).and_then(|runtime| {
            let ended = runtime.block_on(run(arguments));
            runtime.shutdown_timeout(LEFTOVERS);
            ended
        });
    if let Err(error) = ended {
        #[expect(clippy::print_stderr, reason = "the one place where a command says why it failed")]
        {
            eprintln!("rivulet: {error}");
        }
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

async fn run(Arguments { settings, command }: Arguments) -> Result<(), Box<dyn Error>> {
    match command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(settings).await?,
        Command::Check(args) => check::run(args, settings.load()).await?,
        Command::Ingest(args) => ingest::run(args, &settings.load()?.config).await?,
        Command::Search(args) => search::run(args, &settings.load()?.config).await?,
        Command::Knowledge(args) => knowledge::run(args, &settings.load()?.config).await?,
        Command::Eval(args) => eval::run(args, &settings.load()?.config).await?,
        Command::ApiKey(args) => api_key::run(args, &settings.load()?.config).await?,
        Command::Backup(args) => backup::create(&args, &settings.load()?.config)?,
        Command::Restore(args) => backup::restore(&args, &settings.load()?.config)?,
        Command::Token(args) => token::run(args, &settings.load()?.config)?,
        Command::MockLlm(args) => mock_llm::run(args).await?,
        Command::Rehearse(args) => rehearse::run(args, &settings.load()?.config).await?,
        Command::Load(args) => load::run(args).await?,
        Command::Mcp(task) => mcp::run(task, &settings).await?,
        Command::ExtractWorker => {} // It was run before there were other threads.
    }
    Ok(())
}
