//! Keeps ONNX Runtime from talking to its makers.
//!
//! As it is distributed it has a reporter in it that gives the machine an id, writes down under the user's home what is run,
//! and sends it away, from the moment that it is loaded. It asks the environment alone whether it may; and a
//! program cannot safely change its own. So the program is started anew, in the same process, with a "no" in it.
//! Uses nothing of ours.

use std::{env, io, os::unix::process::CommandExt, process::Command};

/// What ONNX Runtime looks for in the environment.
const VARIABLE: &str = "ORT_DISABLE_TELEMETRY";
/// What has to be there.
const NO: &str = "1";

/// Returns when nothing will be sent. To be called before there are threads, connections and locks: all but the process,
/// its files and its arguments begins again.
///
/// # Errors
/// When the program cannot be started anew.
pub fn keep_quiet() -> io::Result<()> {
    if env::var_os(VARIABLE).is_some_and(|said| said == NO) {
        return Ok(());
    }
    let mut arguments = env::args_os();
    let mut again = Command::new(env::current_exe()?);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    Err(again.args(arguments).env(VARIABLE, NO).exec())
}
