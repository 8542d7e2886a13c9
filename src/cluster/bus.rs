//! What carries messages from one gateway to another, and may lose, double and disorder them.
//!
//! Each gateway listens in one channel, named by its node. Whether the way works is known by what comes back of what a
//! gateway says to itself, whichever kind of server it is: who hears nothing of itself connects anew, within two seconds.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::RwLock;
use redis::{PushInfo, PushKind, RedisError, Value, aio::SendError};
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep, timeout},
};
use tracing::{info, warn};

use crate::{
    ephemeral::{Connection, Server, described},
    store::NodeId,
    telemetry::metrics::{CLUSTER_BUS_DROPPED, CLUSTER_BUS_MESSAGES, CLUSTER_BUS_RECONNECTS, CLUSTER_BUS_UP},
};

/// Messages that wait to be read. What comes beyond is lost, and noticed by its number.
const INBOX: usize = 4096;
/// How long a server has for anything.
const DEADLINE: Duration = Duration::from_millis(250);
/// How often a gateway says something to itself, and after what silence the way is given up.
const PROBE_EVERY: Duration = Duration::from_millis(500);
const SILENCE: Duration = Duration::from_millis(1500);
/// Pauses between two attempts to connect, at the least and at the most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// What a gateway says to itself. Every other message is longer.
const PROBE: &[u8] = b"?";

/// The way to the others does not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("other gateways cannot be reached")]
pub(super) struct BusDown;

/// The way, over a Redis.
pub struct Bus {
    server: Server,
    /// The one that works, and whose channel it hears.
    working: RwLock<Option<Connection>>,
    inbox: mpsc::Sender<Vec<u8>>,
    /// When a probe came back last, in milliseconds since `began`.
    heard: AtomicU64,
    began: Instant,
    /// A connection says that it is over.
    lost: Notify,
}

impl Bus {
    /// A way over `server`, and where the messages for this gateway come out. It works as soon as
    /// [`keep`](Self::keep) has connected.
    #[must_use]
    pub fn over(server: Server) -> (Arc<Self>, mpsc::Receiver<Vec<u8>>) {
        let (inbox, messages) = mpsc::channel(INBOX);
        let (heard, began) = (AtomicU64::new(0), Instant::now());
        let bus = Self { server, working: RwLock::new(None), inbox, heard, began, lost: Notify::new() };
        (Arc::new(bus), messages)
    }

    /// Sends a message to a gateway: whether anybody was there to hear it.
    ///
    /// # Errors
    /// [`BusDown`]; it may have come all the same.
    pub(super) async fn send(&self, to: &NodeId, message: &[u8]) -> Result<bool, BusDown> {
        let Some(mut connection) = self.working.read().clone() else { return Err(BusDown) };
        metrics::counter!(CLUSTER_BUS_MESSAGES).increment(1);
        let heard_by = connection.publish(&channel(to), message, DEADLINE).await;
        heard_by.map(|by| by > 0).map_err(|_| BusDown)
    }

    /// Whether the way works at the moment, as far as is known.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.working.read().is_some()
    }

    /// For how long nothing has come through.
    pub(super) fn down_for(&self) -> Duration {
        if self.is_up() { Duration::ZERO } else { self.silence() }
    }

    /// Keeps the way open for the gateway that `node` names at the time, for ever.
    pub async fn keep(self: Arc<Self>, node: impl Fn() -> Option<NodeId> + Send) {
        let (mut pause, mut told) = (PAUSE.0, false);
        loop {
            let Some(me) = node() else {
                sleep(PAUSE.1).await;
                continue;
            };
            match self.clone().work(&me, &node).await {
                Ok(()) => {
                    (pause, told) = (PAUSE.0, false);
                    info!("the way to other gateways begins anew");
                }
                Err(error) => {
                    if !std::mem::replace(&mut told, true) {
                        warn!(error = %described(&error), "other gateways cannot be reached");
                    }
                    sleep(pause).await;
                    pause = (2 * pause).min(PAUSE.1);
                }
            }
        }
    }

    /// Connects and stays so until the way does not work any more, or this gateway has another name.
    async fn work(self: Arc<Self>, me: &NodeId, node: &(impl Fn() -> Option<NodeId> + Send)) -> Result<(), RedisError> {
        let bus = self.clone();
        let mut connection = self.server.connect(move |push| bus.on_push(push)).await?;
        let channel = channel(me);
        connection.subscribe(&channel, 4 * DEADLINE).await?;
        self.note_heard();
        let speaking = self.speak_to_itself(&mut connection, &channel, node);
        let ended = speaking.await;
        self.working.write().take();
        metrics::gauge!(CLUSTER_BUS_UP).set(0.0);
        metrics::counter!(CLUSTER_BUS_RECONNECTS).increment(1);
        ended
    }

    async fn speak_to_itself(
        &self,
        connection: &mut Connection,
        channel: &str,
        node: &(impl Fn() -> Option<NodeId> + Send),
    ) -> Result<(), RedisError> {
        let (mut is_up, mut whole) = (false, Instant::now());
        while node().is_some_and(|now| self::channel(&now) == channel) {
            let heard_by = connection.publish(channel, PROBE, DEADLINE).await;
            if !is_up {
                // Nobody is told that it works before something went all the way.
                if heard_by? == 0 {
                    return Ok(());
                }
                connection.check(DEADLINE).await?;
                is_up = true;
                *self.working.write() = Some(connection.clone());
                metrics::gauge!(CLUSTER_BUS_UP).set(1.0);
            } else if heard_by.is_ok_and(|by| by == 0) || self.silence() > SILENCE || whole.elapsed() > SILENCE {
                return Ok(());
            }
            // What is said to others may go over another server than what comes back.
            if connection.check(DEADLINE).await.is_ok() {
                whole = Instant::now();
            }
            if timeout(PROBE_EVERY, self.lost.notified()).await.is_ok() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn on_push(&self, push: PushInfo) -> Result<(), SendError> {
        match push.kind {
            PushKind::Message | PushKind::SMessage => {
                let Some(Value::BulkString(message)) = push.data.into_iter().nth(1) else { return Ok(()) };
                if message == PROBE {
                    self.note_heard();
                } else if self.inbox.try_send(message).is_err() {
                    metrics::counter!(CLUSTER_BUS_DROPPED).increment(1);
                }
            }
            PushKind::Disconnection | PushKind::SUnsubscribe => self.lost.notify_one(),
            _ => {}
        }
        Ok(())
    }

    fn note_heard(&self) {
        self.heard.store(self.age(), Ordering::Relaxed);
    }

    fn silence(&self) -> Duration {
        Duration::from_millis(self.age().saturating_sub(self.heard.load(Ordering::Relaxed)))
    }

    fn age(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus").field("server", &self.server).field("is_up", &self.is_up()).finish_non_exhaustive()
    }
}

fn channel(node: &NodeId) -> String {
    format!("in:{}", node.as_str())
}
