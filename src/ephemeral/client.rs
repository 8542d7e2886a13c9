//! A connection that is kept open, for questions that somebody waits for.
//!
//! Whether the server can be asked is known beforehand: it is probed all the time, and how long it took for that or did not
//! answer decides who may ask. So a server that is away costs nobody anything, and one that is slow only those who have the
//! patience.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::FutureExt;
use parking_lot::RwLock;
use redis::{Cmd, FromRedisValue, PushInfo, PushKind, RedisError, ScriptInvocation};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};
use tracing::{debug, info, warn};

use super::server::{Connection, Server, described};
use crate::telemetry::metrics::REDIS_UP;

/// How long a request or a message waits to be counted: one that was not until then is counted by this gateway alone.
pub const QUICKLY: Duration = Duration::from_millis(20);
/// How long anything else may take: a server that takes longer is away.
pub const PATIENTLY: Duration = Duration::from_millis(250);

/// How often the server is probed, and how soon again when it was slow or somebody waited for it in vain.
const PROBE_EVERY: Duration = Duration::from_millis(500);
const PROBE_AGAIN: Duration = Duration::from_millis(50);
/// Pauses between two attempts to connect, at the least and at the most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// How long one of the servers of a cluster may not answer.
const INCOMPLETE: Duration = Duration::from_millis(1500);
/// What it is probed with is written: a server that only reads is of no use.
const PROBE: &str = "rivulet:probe";
/// What a server says that has no room for more. It has some for what is counted ([`script`](super::script)).
const FULL: &str = "OOM";
/// How long [`PROBE`] stays, in milliseconds.
const PROBE_LIFE: u64 = 1000;

/// The server cannot be asked, or did not answer in time. What was asked may have been done all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what gateways share cannot be reached")]
pub struct Away;

/// The Redis of all gateways.
pub struct Redis {
    server: Server,
    working: RwLock<Option<Connection>>,
    /// How long its newest answer took, in microseconds: whoever waits less long does not ask.
    delay: AtomicU64,
    /// Somebody waited in vain.
    doubt: Notify,
    /// The connection is of no use any more.
    lost: Notify,
}

impl Redis {
    /// It can be asked as soon as `keep` has connected.
    #[must_use]
    pub fn at(server: Server) -> Arc<Self> {
        let (doubt, lost) = (Notify::new(), Notify::new());
        Arc::new(Self { server, working: RwLock::new(None), delay: AtomicU64::new(0), doubt, lost })
    }

    /// One that can be asked, and is not probed.
    #[cfg(test)]
    pub(crate) async fn connected(server: Server) -> Arc<Self> {
        let redis = Self::at(server.clone());
        *redis.working.write() = Some(server.connect(|_| Ok(())).await.unwrap());
        redis
    }

    /// Whether it can be asked at the moment, as far as is known.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.working.read().is_some()
    }

    /// Asks, and waits for the answer until `deadline` from now.
    ///
    /// # Errors
    /// [`Away`].
    pub async fn ask<T: FromRedisValue>(&self, command: &Cmd, deadline: Duration) -> Result<T, Away> {
        let mut connection = self.connection(deadline)?;
        let answer = connection.ask(command, deadline).await;
        self.judge(answer, deadline)
    }

    /// Has a script run, which the server is told only when it does not know it.
    ///
    /// # Errors
    /// [`Away`].
    pub async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>, deadline: Duration) -> Result<T, Away> {
        let mut connection = self.connection(deadline)?;
        let answer = connection.run(script, deadline).await;
        self.judge(answer, deadline)
    }

    /// Asks for something that nobody depends on. What becomes of it says nothing to those who ask for anything else: it may be
    /// long and slow, and is not let in where there is no room. When it was too late, the server is probed.
    ///
    /// # Errors
    /// [`Away`], also when the server refused it.
    pub async fn ask_aside<T: FromRedisValue>(&self, command: &Cmd, deadline: Duration) -> Result<T, Away> {
        let mut connection = self.connection(deadline)?;
        connection.ask(command, deadline).await.map_err(|error| {
            debug!(error = %described(&error), "something aside could not be asked");
            if error.is_timeout() {
                self.doubt.notify_one();
            } else if is_lost(&error) {
                self.lost.notify_one();
            }
            Away
        })
    }

    fn connection(&self, deadline: Duration) -> Result<Connection, Away> {
        if Duration::from_micros(self.delay.load(Relaxed)) >= deadline {
            return Err(Away);
        }
        self.working.read().clone().ok_or(Away)
    }

    fn judge<T>(&self, answer: Result<T, RedisError>, deadline: Duration) -> Result<T, Away> {
        answer.map_err(|error| {
            if error.is_timeout() {
                self.delay.fetch_max(micros(deadline), Relaxed);
                self.doubt.notify_one();
            } else {
                warn!(error = %described(&error), "what gateways share could not be asked");
                // A server that has no room, or is at something else, refuses what was asked, and no more than that.
                if is_lost(&error) {
                    self.lost.notify_one();
                }
            }
            Away
        })
    }

    /// Keeps the connection, for ever. Each time that there is a new one, `greet` has it first.
    pub(crate) async fn keep<F: Future<Output = ()>>(self: Arc<Self>, greet: impl Fn(Connection) -> F) {
        let (mut pause, mut told) = (PAUSE.0, false);
        loop {
            let ended = self.clone().work(&greet).await;
            let was_up = self.working.write().take().is_some();
            metrics::gauge!(REDIS_UP).set(0.0);
            if was_up {
                (pause, told) = (PAUSE.0, false);
            }
            if let Err(error) = ended
                && !std::mem::replace(&mut told, true)
            {
                warn!(error = %described(&error), "what gateways share cannot be reached: limits are each gateway's own");
            }
            sleep(pause).await;
            pause = (2 * pause).min(PAUSE.1);
        }
    }

    /// Connects, and stays so until the server does not answer any more.
    async fn work<F: Future<Output = ()>>(self: Arc<Self>, greet: &impl Fn(Connection) -> F) -> Result<(), RedisError> {
        let redis = self.clone();
        let mut connection = self.server.connect(move |push| redis.on_push(&push)).await?;
        let mut probe = redis::cmd("SET");
        probe.arg(PROBE).arg("").arg("PX").arg(PROBE_LIFE);
        let (mut is_new, mut is_full, mut whole) = (true, false, Instant::now());
        let _of_the_one_before = self.lost.notified().now_or_never();
        loop {
            let asked = Instant::now();
            let had_room = !is_full;
            is_full = match connection.ask::<()>(&probe, PATIENTLY).await {
                Err(error) if error.code() == Some(FULL) => true,
                written => written.map(|()| false)?,
            };
            if is_full && had_room {
                warn!("what gateways share has no room for more: answers and logs of conversations are not put there");
            }
            let delay = asked.elapsed();
            match connection.check(PATIENTLY).await {
                Ok(()) => whole = Instant::now(),
                // One of several servers may be slow for a moment, and is not all of them.
                Err(error) if is_new || whole.elapsed() > INCOMPLETE => return Err(error),
                Err(_) => {}
            }
            self.delay.store(micros(delay), Relaxed);
            if std::mem::take(&mut is_new) {
                greet(connection.clone()).await;
                *self.working.write() = Some(connection.clone());
                metrics::gauge!(REDIS_UP).set(1.0);
                info!("limits and tickets are those of all gateways");
            }
            let pause = if delay < QUICKLY { PROBE_EVERY } else { PROBE_AGAIN };
            tokio::select! {
                () = self.lost.notified() => return Ok(()),
                _ = timeout(pause, self.doubt.notified()) => sleep(PROBE_AGAIN).await,
            }
        }
    }

    fn on_push(&self, push: &PushInfo) -> Result<(), redis::aio::SendError> {
        if push.kind == PushKind::Disconnection {
            self.lost.notify_one();
        }
        Ok(())
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("server", &self.server).field("is_up", &self.is_up()).finish_non_exhaustive()
    }
}

/// Whether the connection is of no use any more. A server that refuses what was asked still answers.
fn is_lost(error: &RedisError) -> bool {
    error.is_io_error() || error.is_connection_dropped() || error.is_unrecoverable_error()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use redis::cmd;

    use super::*;
    use crate::ephemeral::stand_in::StandIn;

    #[tokio::test]
    async fn what_is_asked_aside_says_nothing_of_the_server_but_that_it_is_to_be_probed() {
        let silent = StandIn::saying("").await;
        let redis = Redis::connected(silent.server.clone()).await;
        assert_eq!(redis.ask_aside::<()>(&cmd("SET"), QUICKLY * 2).await, Err(Away));
        assert!(redis.connection(QUICKLY).is_ok(), "others ask as before");
        assert!(redis.doubt.notified().now_or_never().is_some());
        assert_eq!(redis.ask::<()>(&cmd("SET"), QUICKLY * 2).await, Err(Away));
        assert!(redis.connection(QUICKLY).is_err() && redis.connection(PATIENTLY).is_ok());

        for refusal in ["-OOM no room\r\n", "-WRONGTYPE of another kind\r\n", "-ERR\r\n"] {
            let refusing = StandIn::saying(refusal).await;
            let redis = Redis::connected(refusing.server.clone()).await;
            assert_eq!(redis.ask_aside::<()>(&cmd("SET"), PATIENTLY * 40).await, Err(Away));
            assert!(redis.connection(QUICKLY).is_ok());
            assert!(
                [&redis.doubt, &redis.lost].map(|told| told.notified().now_or_never()) == [None, None],
                "{refusal}"
            );
        }
    }
}
