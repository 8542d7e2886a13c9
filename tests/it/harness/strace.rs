//! Makes system calls of a running gateway fail, or slow, or seen, for as long as it is held.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use tokio::{sync::oneshot, task::spawn_blocking};

use super::{TestGateway, soon};

/// A tracer that is attached until it is dropped.
pub(crate) struct Strace(Child);

impl Strace {
    /// Attaches to every thread of the gateway; what is traced goes to `output`.
    pub(crate) async fn attach(gateway: &TestGateway, output: &Path, expressions: &[&str]) -> Self {
        let mut command = Command::new("strace");
        command.args(["-f", "-s", "8192", "-p", &gateway.pid().to_string(), "-o"]).arg(output);
        command.args(expressions.iter().flat_map(|expression| ["-e", expression]));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("strace is needed: scripts/setup.sh test installs it");
        let (attached, said) = oneshot::channel();
        let stderr = child.stderr.take().unwrap();
        let _reads_until_it_ends = spawn_blocking(move || {
            let mut attached = Some(attached);
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some(attached) = attached.take() {
                    let _ = attached.send(line);
                }
            }
        });
        let tracer = Self(child);
        let said = soon("strace to attach", said).await.unwrap_or_else(|_| "it ended".to_owned());
        assert!(
            said.contains(" attached"),
            "strace may not look at the gateway: {said}\nRun this test as root, with kernel.yama.ptrace_scope = 0, or, \
             in a container, with the capability SYS_PTRACE."
        );
        tracer
    }

    /// Lets the gateway go.
    pub(crate) async fn detach(self) {
        spawn_blocking(move || drop(self)).await.unwrap();
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        // Not SIGKILL: it lets go of the threads first.
        let _ = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).stderr(Stdio::null()).status();
        let _ = self.0.wait();
    }
}
