//! The real binary as a child process, on a free port and a folder of its own.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Output, Stdio},
    sync::Arc,
};

use parking_lot::Mutex;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{sync::oneshot, task::spawn_blocking};

use super::{Client, soon};

/// How a gateway is started.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) data: Arc<TempDir>,
    env: Vec<(String, String)>,
    bind: String,
    /// What a shell does before it becomes the gateway, when there is anything.
    before: Option<String>,
}

impl Setup {
    /// Without knowledge; the extractive model answers that it knows nothing. No answer is given twice: most tests ask the
    /// same again and count.
    pub(crate) fn bare() -> Self {
        let data = Arc::new(TempDir::new().unwrap());
        let env = [("RIVULET_KNOWLEDGE_ENABLED", "false"), ("RIVULET_LLM_CACHE_ENTRIES", "0")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Self { data, env, bind: "127.0.0.1:0".to_owned(), before: None }
    }

    /// With a model server.
    pub(crate) fn with_upstream(url: &str) -> Self {
        Self::bare().set("RIVULET_LLM_BASE_URL", url)
    }

    /// The same with a folder of its own.
    pub(crate) fn elsewhere(&self) -> Self {
        Self { data: Arc::new(TempDir::new().unwrap()), ..self.clone() }
    }

    /// With one more variable.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.env.retain(|(n, _)| n != name);
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With so few open files.
    pub(crate) fn open_files(mut self, most: u32) -> Self {
        self.before = Some(format!("ulimit -n {most}; exec \"$@\""));
        self
    }

    /// With files of so many times 512 bytes at most; to write more fails as on a full disk.
    pub(crate) fn file_blocks(mut self, most: u32) -> Self {
        self.before = Some(format!("trap '' XFSZ; ulimit -S -f {most}; exec \"$@\""));
        self
    }

    /// Without the right of root to write to what may not be written to.
    pub(crate) fn bound_by_modes(mut self) -> Self {
        let without = "exec setpriv --bounding-set=-dac_override,-dac_read_search";
        let shell = format!("if [ \"$(id -u)\" = 0 ]; then {without} \"$@\"; else exec \"$@\"; fi");
        self.before = Some(shell);
        self
    }

    /// On this address.
    pub(crate) fn bind(mut self, address: &str) -> Self {
        address.clone_into(&mut self.bind);
        self
    }

    /// The binary with this environment and nothing else of ours.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let binary = env!("CARGO_BIN_EXE_rivulet");
        let mut command = match &self.before {
            None => Command::new(binary),
            Some(before) => {
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", before, "sh", binary]);
                shell
            }
        };
        command.args(arguments).env_clear().envs(self.env.iter().cloned()).current_dir(self.data.path());
        command.args(["--bind", &self.bind, "--data-dir"]).arg(self.data.path().join("data"));
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) async fn output(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        soon("a command's end", spawn_blocking(move || command.output())).await.unwrap().unwrap()
    }

    /// Starts it and waits until it listens.
    pub(crate) async fn start(self) -> TestGateway {
        let mut child = self.command(&["serve"]).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (listening, address) = oneshot::channel();
        let stderr = child.stderr.take().unwrap();
        let lines = log.clone();
        let reading = spawn_blocking(move || {
            let mut listening = Some(listening);
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some((_, url)) = line.split_once("listening on http")
                    && let Some((_, url)) = url.split_once("://")
                    && let Some(listening) = listening.take()
                {
                    let _ = listening.send(url.split([' ', '"']).next().unwrap().to_owned());
                }
                let mut log = lines.lock();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let Ok(address) = soon("a gateway that listens", address).await else {
            let _ = child.wait();
            panic!("the gateway did not start:\n{}", log.lock());
        };
        TestGateway { address, setup: self, child: Some(child), log, _reading: reading }
    }
}

/// A gateway that runs until it is dropped.
pub(crate) struct TestGateway {
    pub(crate) address: String,
    setup: Setup,
    child: Option<Child>,
    log: Arc<Mutex<String>>,
    _reading: tokio::task::JoinHandle<()>,
}

impl TestGateway {
    /// A session of one's own.
    pub(crate) async fn connect(&self) -> Client {
        Client::connect(&self.socket("")).await
    }

    /// The address of a session's socket, or of a new one's.
    pub(crate) fn socket(&self, session: &str) -> String {
        let slash = if session.is_empty() { "" } else { "/" };
        format!("ws://{}/api/v1/ws{slash}{session}", self.address)
    }

    /// The address of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Status and JSON of a GET.
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        Self::answer(reqwest::Client::new().get(self.url(path))).await
    }

    /// Status and JSON of a POST.
    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        Self::answer(reqwest::Client::new().post(self.url(path)).json(&body)).await
    }

    pub(crate) async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
        let response = soon("an HTTP answer", request.send()).await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// The value of a metric's line that begins with `name`; 0 when there is none.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.get("/metrics").await;
        let text = text.as_str().unwrap().to_owned();
        super::metrics::check(&text);
        let line = text.lines().find(|line| line.starts_with(name));
        line.map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    }

    /// SIGKILL; what is left can be started again.
    pub(crate) async fn kill(mut self) -> Setup {
        self.end();
        self.setup.clone()
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Sends a signal by name.
    pub(crate) async fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// Has it read its files again, and waits for what it says of that.
    pub(crate) async fn reload(&self, said: &str) {
        let before = self.log().matches(said).count();
        self.signal("HUP").await;
        soon(said, async {
            while self.log().matches(said).count() == before {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Bytes of memory it has now.
    pub(crate) fn memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
    }

    /// Waits for its end; its exit code.
    pub(crate) async fn exit_code(&mut self) -> Option<i32> {
        let mut child = self.child.take().unwrap();
        soon("the gateway's end", spawn_blocking(move || child.wait())).await.unwrap().unwrap().code()
    }

    fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// What it said so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().clone()
    }

    /// How it was started.
    pub(crate) fn setup(&self) -> Setup {
        self.setup.clone()
    }
}

impl Drop for TestGateway {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            eprintln!("--- the gateway's log ---\n{}", self.log.lock());
        }
    }
}
