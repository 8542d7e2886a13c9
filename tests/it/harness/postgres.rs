//! A PostgreSQL server of the tests' own (`scripts/postgres.sh`), which is gone with them. The unit tests use this file,
//! too.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use tokio_postgres::NoTls;

/// A server.
pub(crate) struct Postgres {
    _script: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    pid: u32,
    url: String,
}

impl Postgres {
    /// Starts one, with these settings: `-c name=value`. Blocks until it takes connections.
    pub(crate) fn start(settings: &[&str]) -> Self {
        let settings = settings.iter().flat_map(|setting| ["-c", setting]);
        Self::start_with(&settings.collect::<Vec<_>>())
    }

    /// Starts a standby of this one, and has every commit wait for it from now on.
    pub(crate) async fn start_standby(&self) -> Self {
        let standby = Self::start_with(&["standby", &self.url]);
        self.execute("ALTER SYSTEM SET synchronous_standby_names = '*'").await;
        self.execute("SELECT pg_reload_conf()").await;
        let follows = "DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')
            LOOP PERFORM pg_sleep(0.05); END LOOP; END $$";
        self.execute(follows).await;
        standby
    }

    /// The same URL as one of this server, with another one as a second host.
    pub(crate) fn url_with(&self, other: &Self, url: &str) -> String {
        url.replace(self.address(), &format!("{},{}", self.address(), other.address()))
    }

    fn start_with(arguments: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/postgres.sh");
        let mut script = Command::new(script)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("scripts/postgres.sh can be run");
        let orders = script.stdin.take().expect("piped");
        let answers = BufReader::new(script.stdout.take().expect("piped"));
        let mut server = Self { _script: script, orders, answers, pid: 0, url: String::new() };
        server.wait_until_ready();
        server
    }

    /// SIGKILL, also for its workers: by themselves they follow in a while, and commit meanwhile.
    pub(crate) fn kill(&self) {
        let workers = children(self.pid);
        let all = [self.pid].into_iter().chain(workers).map(|pid| pid.to_string());
        // One of them may be gone already.
        Command::new("kill").arg("-KILL").args(all).stderr(Stdio::null()).status().expect("kill can be run");
    }

    /// Starts it again, after it was killed.
    pub(crate) fn start_again(&mut self) {
        self.orders.write_all(b"start\n").expect("the script takes orders");
        self.wait_until_ready();
    }

    fn wait_until_ready(&mut self) {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the script answers");
        let (pid, url) = line.trim().split_once(' ').expect("a PostgreSQL server: scripts/setup.sh test installs it");
        (self.pid, self.url) = (pid.parse().expect("a process id"), url.to_owned());
    }

    /// The URL of a schema of this server that nobody else has.
    pub(crate) async fn fresh(&self) -> String {
        static SCHEMAS: AtomicU32 = AtomicU32::new(0);
        let schema = format!("test_{}", SCHEMAS.fetch_add(1, Ordering::Relaxed));
        self.execute(&format!("CREATE SCHEMA {schema}")).await;
        format!("{}?options=-csearch_path%3D{schema}", self.url)
    }

    /// Where it listens, as `host:port`.
    pub(crate) fn address(&self) -> &str {
        let (_, rest) = self.url.split_once('@').expect("a URL with a user");
        rest.split('/').next().unwrap_or(rest)
    }

    /// Runs SQL on it, beside whoever uses it.
    pub(crate) async fn execute(&self, sql: &str) {
        execute(&self.url, sql).await;
    }
}

/// Runs SQL at a URL.
pub(crate) async fn execute(url: &str, sql: &str) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("connected");
    let (done, _) = futures_util::future::join(
        async {
            let done = client.batch_execute(sql).await;
            drop(client);
            done
        },
        connection,
    )
    .await;
    done.expect("executed");
}

/// The server that all tests of a process share which do it no harm. It is gone when the process is.
pub(crate) static SHARED: LazyLock<Postgres> = LazyLock::new(|| Postgres::start(&[]));

/// The processes that a process has begun.
fn children(of: u32) -> Vec<u32> {
    let parent_of = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may have anything in it.
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<u32>().ok()
    };
    let all = fs::read_dir("/proc").expect("a list of processes").flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| parent_of(*pid) == Some(of)).collect()
}
