//! Who has which session: the lease of this process, and what is done when it is over.
//!
//! A process of a gateway is a node, with a lease that it renews. When a lease is over, any other node may record that its
//! owner is dead, and then, and only then, take its sessions: death is a row, never a conclusion from a clock, because a
//! node may be renewing at this very moment. A node that was taken for dead goes on under a new id, without what it had.
//! All times are the database's own.

use std::{sync::Arc, time::Duration};

use parking_lot::{Mutex, RwLock};
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, MissedTickBehavior, error::Elapsed, interval, sleep, timeout},
};
use tokio_postgres::types::{ToSql, Type};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::connect::{Database, Link, described, unavailable};
use crate::{
    chat::SessionId,
    store::{Fence, Lease, NodeId, StoreError},
    telemetry::metrics::{CLUSTER_LEASES_LOST, CLUSTER_NODES},
};

/// For how long a lease is good. So much later at the most, and [`BURY_EVERY`], others may have what a process had that is
/// gone.
pub(super) const TTL: Duration = Duration::from_secs(6);
/// How often it is renewed.
pub(super) const RENEW_EVERY: Duration = Duration::from_secs(2);
/// A renewal that is so old is not of late.
const STALE: Duration = Duration::from_secs(4);
/// How often it is looked whose lease is over.
const BURY_EVERY: Duration = Duration::from_millis(500);
/// What is left of a lease when it counts as uncertain: clocks of two machines do not go at quite the same speed.
const MARGIN: Duration = Duration::from_millis(600);
/// How long a statement may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// Sessions that are given up wait so long for others, to go with them.
const GATHER: Duration = Duration::from_millis(50);
/// The most that are given up in one statement.
const AT_ONCE: usize = 1000;

/// What this process is to the others.
#[derive(Debug, Clone)]
struct Node {
    id: Arc<str>,
    /// How often it was taken for dead.
    life: u64,
    /// When the newest renewal was sent that succeeded, and the first one since which all have.
    renewed: Instant,
    unbroken_since: Instant,
}

/// A session that others may have, and who waits until they can.
type GivenUp = (SessionId, Fence, oneshot::Sender<()>);

/// The lease of this process.
pub(super) struct Leases {
    node: RwLock<Node>,
    /// Those that are alive, without this one.
    others: RwLock<Vec<NodeId>>,
    given_up: Mutex<Vec<GivenUp>>,
    to_give_up: Notify,
}

impl Leases {
    /// Those of a process that is no node: nobody knows its id, so it can take nothing.
    pub(super) fn of_nobody() -> Self {
        let now = Instant::now();
        let node = Node { id: new_id(), life: 0, renewed: now, unbroken_since: now };
        let (others, given_up) = (RwLock::default(), Mutex::default());
        Self { node: RwLock::new(node), others, given_up, to_give_up: Notify::new() }
    }

    /// Becomes a node.
    pub(super) async fn begin(link: &Link) -> Result<Self, StoreError> {
        let leases = Self::of_nobody();
        register(link, &leases.node()).await.map_err(|error| StoreError::Unavailable(described(&error)))?;
        Ok(leases)
    }

    /// The id under which this process writes now.
    pub(super) fn node(&self) -> Arc<str> {
        self.node.read().id.clone()
    }

    pub(super) fn lease(&self) -> Lease {
        let node = self.node.read();
        let is_certain = node.renewed.elapsed() < TTL.saturating_sub(MARGIN);
        Lease { life: node.life, is_certain, nodes: self.others.read().len() + 1 }
    }

    pub(super) fn others(&self) -> Vec<NodeId> {
        self.others.read().clone()
    }

    /// Lets others have a session. There are never more of them than were in memory.
    pub(super) fn give_up(&self, session: &SessionId, fence: Fence) -> oneshot::Receiver<()> {
        let (done, is_done) = oneshot::channel();
        self.given_up.lock().push((session.clone(), fence, done));
        self.to_give_up.notify_one();
        is_done
    }

    /// Renews the lease, gives up what is to be given up, and looks after the others, until `stop`. Then nothing of this
    /// process is anybody's any more.
    pub(super) async fn keep(self: Arc<Self>, database: Database, stop: CancellationToken) {
        let mut keeper = Keeper { leases: self, database, link: None };
        let mut renewal = interval(RENEW_EVERY);
        let mut burial = interval(BURY_EVERY);
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        burial.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let outcome = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = renewal.tick() => keeper.renew().await,
                _ = burial.tick() => keeper.bury().await,
                () = keeper.leases.to_give_up.notified() => {
                    sleep(GATHER).await;
                    keeper.give_up().await
                }
            };
            if let Err(error) = outcome {
                keeper.link = None;
                warn!(%error, "the lease of this gateway's sessions was not looked after");
            }
        }
        if let Err(error) = keeper.end().await {
            warn!(%error, "the sessions of this gateway are free when its lease is over");
        }
    }
}

/// The one who does it, on a connection of its own: what people write must not hold up a renewal.
struct Keeper {
    leases: Arc<Leases>,
    database: Database,
    link: Option<Link>,
}

impl Keeper {
    /// Runs a statement, and says how many rows it changed.
    async fn execute(&mut self, sql: &str, values: &[(&(dyn ToSql + Sync), Type)]) -> Result<u64, StoreError> {
        let link = self.link().await?;
        let changed = timeout(PATIENCE, link.client.execute_typed(sql, values)).await;
        self.judge(link, changed)
    }

    async fn link(&mut self) -> Result<Link, StoreError> {
        match self.link.take().filter(|link| !link.is_over()) {
            Some(link) => Ok(link),
            None => self.database.connect().await,
        }
    }

    /// Keeps a connection that has answered.
    fn judge<T>(
        &mut self,
        link: Link,
        answer: Result<Result<T, tokio_postgres::Error>, Elapsed>,
    ) -> Result<T, StoreError> {
        let answer = answer.map_err(|_| unavailable("the database does not answer"))?.map_err(|error| {
            link.is_demoted_by(&error);
            StoreError::Unavailable(described(&error))
        })?;
        self.link = Some(link);
        Ok(answer)
    }

    async fn renew(&mut self) -> Result<(), StoreError> {
        let (sent, node) = (Instant::now(), self.leases.node());
        let renewed = self.execute(RENEW, &[(&&*node, Type::TEXT), (&seconds(TTL), Type::FLOAT8)]).await;
        match renewed {
            Ok(0) => return self.begin_anew(sent).await,
            Ok(_) => {
                let mut node = self.leases.node.write();
                if sent.saturating_duration_since(node.renewed) > STALE {
                    node.unbroken_since = sent; // It was stopped, and perhaps everybody was.
                }
                node.renewed = sent;
            }
            Err(error) => {
                // After an outage everybody renews before anybody is declared dead.
                self.leases.node.write().unbroken_since = sent + RENEW_EVERY;
                return Err(error);
            }
        }
        let link = self.link().await?;
        let others = timeout(PATIENCE, link.client.query_typed(OTHERS, &[(&&*node, Type::TEXT)])).await;
        let others = self.judge(link, others)?;
        metrics::gauge!(CLUSTER_NODES).set(others.len() as f64 + 1.0);
        *self.leases.others.write() = others.iter().map(|row| NodeId(row.get::<_, &str>(0).into())).collect();
        self.execute(FORGET, &[]).await?;
        Ok(())
    }

    /// Others have taken this process for dead: it goes on as another one.
    async fn begin_anew(&mut self, sent: Instant) -> Result<(), StoreError> {
        let id = new_id();
        self.execute(REGISTER, &[(&&*id, Type::TEXT), (&seconds(TTL), Type::FLOAT8)]).await?;
        let mut node = self.leases.node.write();
        metrics::counter!(CLUSTER_LEASES_LOST).increment(1);
        warn!(was = %node.id, is = %id, "this gateway was taken for dead");
        *node = Node { id, life: node.life + 1, renewed: sent, unbroken_since: sent };
        Ok(())
    }

    /// Records who is dead, unless this process could not renew itself of late: then everybody renews first.
    async fn bury(&mut self) -> Result<(), StoreError> {
        let Node { renewed, unbroken_since, .. } = *self.leases.node.read();
        if renewed.saturating_duration_since(unbroken_since) < TTL || renewed.elapsed() > STALE {
            return Ok(());
        }
        let dead = self.execute(BURY, &[]).await?;
        if dead > 0 {
            info!(nodes = dead, "gateways are gone: their sessions are free");
        }
        Ok(())
    }

    /// Gives up as many as one statement takes: a renewal may be due before the next.
    async fn give_up(&mut self) -> Result<(), StoreError> {
        let (some, has_more) = {
            let mut given_up = self.leases.given_up.lock();
            let most = given_up.len().min(AT_ONCE);
            let some: Vec<GivenUp> = given_up.drain(..most).collect();
            (some, !given_up.is_empty())
        };
        let ids: Vec<&str> = some.iter().map(|(id, ..)| id.as_str()).collect();
        let fences: Vec<i64> = some.iter().map(|(_, fence, _)| fence.0 as i64).collect();
        let node = self.leases.node();
        let values: [(&(dyn ToSql + Sync), Type); 3] =
            [(&&*node, Type::TEXT), (&ids, Type::TEXT_ARRAY), (&fences, Type::INT8_ARRAY)];
        let given_up = self.execute(GIVE_UP, &values).await;
        if given_up.is_err() {
            self.leases.given_up.lock().extend(some);
            sleep(RENEW_EVERY / 4).await; // Not as fast as it can fail.
        }
        if has_more || given_up.is_err() {
            self.leases.to_give_up.notify_one();
        }
        given_up.map(drop)
    }

    /// Nothing is written any more: whoever wants a session of this process may have it.
    async fn end(&mut self) -> Result<(), StoreError> {
        let node = self.leases.node();
        self.execute("UPDATE nodes SET dead = true WHERE id = $1", &[(&&*node, Type::TEXT)]).await?;
        Ok(())
    }
}

const REGISTER: &str = "INSERT INTO nodes (id, expires_at) VALUES ($1, clock_timestamp() + make_interval(secs => $2))";
const RENEW: &str =
    "UPDATE nodes SET expires_at = clock_timestamp() + make_interval(secs => $2) WHERE id = $1 AND NOT dead";
const OTHERS: &str = "SELECT id FROM nodes WHERE NOT dead AND expires_at > clock_timestamp() AND id <> $1";
const BURY: &str = "UPDATE nodes SET dead = true WHERE NOT dead AND expires_at < clock_timestamp()";
const FORGET: &str = "DELETE FROM nodes WHERE dead AND expires_at < clock_timestamp() - interval '1 hour'
    AND NOT EXISTS (SELECT FROM sessions WHERE sessions.node = nodes.id)";
const GIVE_UP: &str = "UPDATE sessions SET node = NULL FROM unnest($2, $3) AS given (id, fence)
    WHERE sessions.id = given.id AND sessions.fence = given.fence AND sessions.node = $1";

async fn register(link: &Link, id: &str) -> Result<(), tokio_postgres::Error> {
    link.client.execute_typed(REGISTER, &[(&id, Type::TEXT), (&seconds(TTL), Type::FLOAT8)]).await?;
    Ok(())
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

fn new_id() -> Arc<str> {
    uuid::Uuid::new_v4().simple().to_string()[..16].into()
}
