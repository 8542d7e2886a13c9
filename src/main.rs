//! The `rivulet` binary: arguments → one command. Everything else is in the library.

use std::{error::Error, process::ExitCode};

use clap::{Parser, Subcommand};
use rivulet::cli::{check, ingest, load, mock_llm, search, serve, settings::SettingsArgs};

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
    Check,
    /// Files and folders into the knowledge base
    Ingest(ingest::Args),
    /// What retrieval finds
    Search(search::Args),
    /// An OpenAI-compatible server that streams scripted text or faults
    MockLlm(mock_llm::Args),
    /// Opens many sessions, sends messages and checks every text
    Load(load::Args),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(code) => code,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the one place where a command says why it failed")]
            {
                eprintln!("rivulet: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(Arguments { settings, command }: Arguments) -> Result<ExitCode, Box<dyn Error>> {
    match command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(settings.load()?).await?,
        Command::Check => check::run(settings.load()).await?,
        Command::Ingest(args) => ingest::run(args, &settings.load()?.config).await?,
        Command::Search(args) => search::run(args, &settings.load()?.config).await?,
        Command::MockLlm(args) => mock_llm::run(args).await?,
        Command::Load(args) => load::run(args).await?,
    }
    Ok(ExitCode::SUCCESS)
}
