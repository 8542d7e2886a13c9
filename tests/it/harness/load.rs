//! `rivulet load`, which puts a load on gateways and judges what they have stored of it.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tokio::task::spawn_blocking;

use super::soon;

/// `rivulet load` with these arguments.
pub(crate) fn load(arguments: &[&str], history: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rivulet"));
    command.args(["load", "--json"]).args(arguments).arg(history);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The judge's exit code and verdict, of one gateway or several that act as one.
pub(crate) async fn verify(urls: &str, history: &Path) -> (Option<i32>, Value) {
    let mut command = load(&["--url", urls, "--verify"], history);
    let output = soon("a verdict", spawn_blocking(move || command.output())).await.unwrap().unwrap();
    (output.status.code(), report(&output))
}

/// What it said at its end.
pub(crate) fn report(output: &Output) -> Value {
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {told}"))
}
