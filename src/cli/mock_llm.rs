//! `rivulet mock-llm`: an OpenAI-compatible server that streams scripted text, calls of tools, or injected faults.

use std::{io, net::SocketAddr, path::PathBuf, time::Duration};

use crate::mock_llm::{FAULTS, Fault, MockLlm, Options, Script};

/// What it calls.
const TOOLS: &str = r#"Where a request offers tools, the user's last message can tell it to call some, for example:
  say "Let me see." and call calc {"q":"2+2"} and call time {} then say "Done."
This is a text with two calls, and when their results are there, a text. With nothing left to do it quotes the results."#;

/// An OpenAI-compatible server that streams scripted text, for demos, tests and load.
#[derive(Debug, clap::Args)]
#[command(after_help = TOOLS)]
pub struct Args {
    /// Address and port; port 0 takes a free one, which is printed.
    #[arg(long, default_value = "127.0.0.1:0")]
    addr: SocketAddr,
    /// Tokens per second of each stream; 0 sends as fast as they are taken.
    #[arg(long, default_value_t = 50.0, value_name = "TOK_PER_S", value_parser = rate)]
    rate: f64,
    /// A text file to be said instead of the built-in text.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Milliseconds before the first token.
    #[arg(long, default_value_t = 0, value_name = "N")]
    first_token_ms: u64,
    /// Tokens of an answer; the text begins again when it is shorter.
    #[arg(long, value_name = "N")]
    tokens: Option<usize>,
    /// Says when each token was written and not a text; `rivulet load --scenario stream` measures delays by it.
    #[arg(long)]
    stamped: bool,
    // The help is made from the list of names, so that none is forgotten.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', help = fault_help())]
    fault: Vec<Fault>,
}

/// Why the mock does not run.
#[derive(Debug, thiserror::Error)]
pub enum MockLlmError {
    /// The script cannot be read.
    #[error("the script {path} cannot be read: {source}")]
    Script {
        /// Where it should be.
        path: PathBuf,
        /// Why it cannot be read.
        source: io::Error,
    },
    /// The address cannot be had.
    #[error("cannot listen on {addr}: {source}")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// Ctrl-C cannot be listened for.
    #[error("cannot wait for Ctrl-C: {0}")]
    Signal(io::Error),
}

/// Serves until Ctrl-C.
///
/// # Errors
/// [`MockLlmError`].
pub async fn run(args: Args) -> Result<(), MockLlmError> {
    let mut options = Options {
        rate: args.rate,
        first_token: Duration::from_millis(args.first_token_ms),
        tokens: args.tokens,
        stamped: args.stamped,
        faults: args.fault,
        ..Options::default()
    };
    if let Some(path) = args.script {
        let text = tokio::fs::read_to_string(&path).await;
        options.script = Script::new(&text.map_err(|source| MockLlmError::Script { path, source })?);
    }
    let addr = args.addr;
    let mock = MockLlm::bind(addr, options).await.map_err(|source| MockLlmError::Bind { addr, source })?;
    #[expect(clippy::print_stdout, reason = "the address is this command's result")]
    {
        println!("mock model at http://{}/v1", mock.addr());
    }
    tokio::select! {
        never = mock.serve() => match never {},
        stopped = tokio::signal::ctrl_c() => stopped.map_err(MockLlmError::Signal),
    }
}

fn fault_help() -> String {
    let names = FAULTS.join(", ");
    format!("How the first, second, … completion fails; the last one holds for all that follow (N: tokens): {names}")
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.0..=1_000_000.0).contains(&rate) => Ok(rate),
        _ => Err("a rate is 0 to 1000000 tokens per second".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Command::try_parse_from(std::iter::once("mock-llm").chain(line.split_whitespace())).map(|command| command.args)
    }

    #[test]
    fn the_command_line_is_checked() {
        let args = parse("--rate 0 --tokens 9 --fault cut:3 --first-token-ms 5").unwrap();
        assert_eq!((args.rate, args.tokens, args.fault), (0.0, Some(9), vec![Fault::Cut(3)]));
        let args = parse("--fault status:500,cut:1,none").unwrap();
        assert_eq!(args.fault[1..], [Fault::Cut(1), Fault::None], "a script of faults");
        for wrong in ["--rate -1", "--rate NaN", "--fault nothing", "--addr here"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_had_is_told() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = taken.local_addr().unwrap();
        let refused = run(parse(&format!("--addr {addr}")).unwrap()).await;
        assert!(matches!(refused, Err(MockLlmError::Bind { addr: told, .. }) if told == addr));
        let missing = run(parse("--script /nowhere/at/all.txt").unwrap()).await;
        assert!(matches!(missing, Err(MockLlmError::Script { .. })));
    }
}
