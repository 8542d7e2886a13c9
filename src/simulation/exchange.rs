//! A Redis in memory that gateways listen at: it loses, doubles, delays and disorders what is said, as it is told to.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use redis::{Arg, Cmd, ErrorKind, PushInfo, PushKind, RedisError, Value};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};
use tokio_util::task::TaskTracker;

use super::process::Process;

/// What comes of a message, each out of a thousand.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Weather {
    pub(super) lost: u32,
    pub(super) doubled: u32,
    /// Up to so many milliseconds late, and behind others that come meanwhile.
    pub(super) late: u32,
    pub(super) late_ms: u64,
}

/// A value, and until when it is there.
type Kept = (Vec<u8>, Instant);

/// The server.
pub(super) struct Exchange {
    channels: Mutex<HashMap<String, Vec<Arc<Line>>>>,
    /// What lies there to be taken up, and until when.
    kept: Mutex<HashMap<Vec<u8>, Kept>>,
    rng: Mutex<SmallRng>,
    weather: Mutex<Weather>,
    /// It answers nobody.
    is_frozen: AtomicBool,
    tasks: TaskTracker,
}

/// A connection that listens.
struct Line {
    process: Arc<Process>,
    /// What is on its way, in order; whoever hears it in the process.
    messages: mpsc::Sender<Vec<u8>>,
    is_cut: AtomicBool,
    pushed: Pushed,
}

type Pushed = Box<dyn Fn(PushInfo) -> Result<(), redis::aio::SendError> + Send + Sync>;

/// What is on its way to a listener; beyond, the server cuts it off.
const BACKLOG: usize = 10_000;

impl Exchange {
    pub(super) fn new(seed: u64, tasks: TaskTracker) -> Arc<Self> {
        Arc::new(Self {
            channels: Mutex::default(),
            kept: Mutex::default(),
            rng: Mutex::new(SmallRng::seed_from_u64(seed)),
            weather: Mutex::default(),
            is_frozen: AtomicBool::new(false),
            tasks,
        })
    }

    pub(super) fn set_weather(&self, weather: Weather) {
        *self.weather.lock() = weather;
    }

    pub(super) fn freeze(&self, is_frozen: bool) {
        self.is_frozen.store(is_frozen, Ordering::Release);
    }

    /// Cuts all connections.
    pub(super) fn restart(&self) {
        self.kept.lock().clear();
        self.cut(|_| true);
    }

    /// Cuts those of a process.
    pub(super) fn cut_off(&self, process: &Arc<Process>) {
        self.cut(|line| Arc::ptr_eq(&line.process, process));
    }

    fn cut(&self, which: impl Fn(&Line) -> bool) {
        let mut cut = Vec::new();
        for lines in self.channels.lock().values_mut() {
            lines.retain(|line| {
                let is_cut = which(line);
                if is_cut {
                    cut.push(line.clone());
                }
                !is_cut
            });
        }
        for line in cut {
            line.is_cut.store(true, Ordering::Release);
            self.tasks.spawn(async move {
                let gone = || (line.pushed)(PushInfo { kind: PushKind::Disconnection, data: Vec::new() });
                line.process.run(async { gone().ok() }).await;
            });
        }
    }

    /// What becomes of a message: each copy, by how much later.
    fn fate(&self) -> Vec<Option<Duration>> {
        let (weather, mut rng) = (*self.weather.lock(), self.rng.lock());
        let mut of_a_thousand = |so_many: u32| rng.random_range(0..1000) < so_many;
        let copies = usize::from(!of_a_thousand(weather.lost)) + usize::from(of_a_thousand(weather.doubled));
        let late: Vec<bool> = (0..copies).map(|_| of_a_thousand(weather.late)).collect();
        let mut delay = |is_late: bool| is_late.then(|| Duration::from_millis(rng.random_range(1..=weather.late_ms)));
        late.into_iter().map(&mut delay).collect()
    }

    fn latency(&self) -> Duration {
        Duration::from_millis(self.rng.lock().random_range(0..3))
    }
}

/// The way of a process to the server, and a connection on it.
#[derive(Clone)]
pub(crate) struct Wire {
    exchange: Arc<Exchange>,
    process: Arc<Process>,
    way: Arc<AtomicBool>,
    line: Option<Arc<Line>>,
}

impl Wire {
    /// The way of a process, which is open while `way` says so.
    pub(super) fn new(exchange: Arc<Exchange>, process: Arc<Process>, way: Arc<AtomicBool>) -> Self {
        Self { exchange, process, way, line: None }
    }

    pub(crate) async fn connect(
        &self,
        pushed: impl Fn(PushInfo) -> Result<(), redis::aio::SendError> + Send + Sync + 'static,
    ) -> Result<Self, RedisError> {
        self.go().await?;
        let (messages, mut heard) = mpsc::channel::<Vec<u8>>(BACKLOG);
        let (is_cut, process) = (AtomicBool::new(false), self.process.clone());
        let line = Arc::new(Line { process, messages, is_cut, pushed: Box::new(pushed) });
        let (hearing, way) = (Arc::downgrade(&line), self.way.clone());
        self.exchange.tasks.spawn(async move {
            while let Some(message) = heard.recv().await {
                let Some(line) = hearing.upgrade() else { return };
                while !way.load(Ordering::Acquire) && !line.is_cut.load(Ordering::Acquire) {
                    sleep(Duration::from_millis(20)).await;
                }
                let message = vec![Value::Nil, Value::BulkString(message)];
                let push = PushInfo { kind: PushKind::Message, data: message };
                let heard = line.process.run(async { (line.pushed)(push).ok() }).await;
                if heard.is_none() {
                    return;
                }
            }
        });
        Ok(Self { line: Some(line), ..self.clone() })
    }

    pub(crate) async fn subscribe(&self, channel: &str) -> Result<(), RedisError> {
        self.go().await?;
        let line = self.line.clone().ok_or_else(cut)?;
        self.exchange.channels.lock().entry(channel.to_owned()).or_default().push(line);
        Ok(())
    }

    pub(crate) async fn publish(&self, channel: &str, message: &[u8]) -> Result<usize, RedisError> {
        self.go().await?;
        let mut lines = self.exchange.channels.lock().get(channel).cloned().unwrap_or_default();
        lines.retain(|line| !line.process.is_killed());
        for line in &lines {
            for delay in self.exchange.fate() {
                match delay {
                    None => line.take(message.to_vec()),
                    Some(delay) => {
                        let (line, message) = (line.clone(), message.to_vec());
                        self.exchange.tasks.spawn(async move {
                            sleep(delay).await;
                            line.take(message);
                        });
                    }
                }
            }
        }
        Ok(lines.len())
    }

    /// What gateways ask besides: to keep something, and to have it.
    pub(crate) async fn ask(&self, command: &Cmd) -> Result<Value, RedisError> {
        self.go().await?;
        let words = command.args_iter().filter_map(|word| if let Arg::Simple(word) = word { Some(word) } else { None });
        let words: Vec<&[u8]> = words.collect();
        let mut kept = self.exchange.kept.lock();
        match words[..] {
            [b"SET", key, value, b"PX", millis] => {
                let millis = std::str::from_utf8(millis).ok().and_then(|millis| millis.parse().ok());
                let until = Instant::now() + Duration::from_millis(millis.expect("milliseconds"));
                kept.insert(key.to_vec(), (value.to_vec(), until));
                Ok(Value::Okay)
            }
            [b"GETDEL", key] => {
                let value = kept.remove(key).filter(|(_, until)| *until > Instant::now());
                Ok(value.map_or(Value::Nil, |(value, _)| Value::BulkString(value)))
            }
            [b"DEL", key] => Ok(Value::Int(i64::from(kept.remove(key).is_some()))),
            _ => panic!("nobody asks {words:?}"),
        }
    }

    /// Comes to the server, as soon as there is a way; whoever waits has a deadline.
    async fn go(&self) -> Result<(), RedisError> {
        sleep(self.exchange.latency()).await;
        while self.exchange.is_frozen.load(Ordering::Acquire) || !self.way.load(Ordering::Acquire) {
            sleep(Duration::from_millis(20)).await;
        }
        let is_cut = self.line.as_ref().is_some_and(|line| line.is_cut.load(Ordering::Acquire));
        if is_cut { Err(cut()) } else { Ok(()) }
    }
}

impl Line {
    fn take(&self, message: Vec<u8>) {
        if !self.is_cut.load(Ordering::Acquire) && self.messages.try_send(message).is_err() {
            self.is_cut.store(true, Ordering::Release);
        }
    }
}

fn cut() -> RedisError {
    (ErrorKind::Io, "the connection is cut").into()
}

impl PartialEq for Wire {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.process, &other.process)
    }
}

impl Eq for Wire {}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("process", &self.process).finish_non_exhaustive()
    }
}
