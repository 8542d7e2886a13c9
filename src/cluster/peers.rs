//! Both ends of what gateways tell one another: one task that owns all of it.
//!
//! For each other gateway there is a link. It sends one message at a time, the first at once and then one every 10 ms, and followers are read when it is put
//! together: what happens meanwhile lies in the logs, and waits nowhere else. When something is missing of what a gateway
//! sent, nothing of it counts any more: its followers are dropped, and all mirrors of its sessions follow anew from where
//! they are. When it is silent, it is asked of the store whether it is dead, and who has its sessions now (`owners.rs`). `mirrors.rs`
//! is what is shown here.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::{Mutex, Semaphore, mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tracing::{debug, warn};

use super::{
    apart::Apart,
    bus::{Bus, BusDown},
    fulfil::fulfil,
    left::Left,
    line::Heard,
    link::{Dirty, Link},
    order::{Mirroring, Order, Seen},
    record::{Head, MirrorId, Outcome, Record, Wish, read},
};
use crate::{
    chat::SessionId,
    ephemeral::Redis,
    session::{Closed, Mirror, SessionHandle, log::There},
    store::{Fence, NodeId, SessionStore, StoreError},
    telemetry::metrics::CLUSTER_BUS_GAPS,
};

mod mirrors;
mod others;
mod owners;

/// Orders of this gateway that wait.
const ORDERS: usize = 1024;
/// Logs that are on their way to the Redis at a time.
const CARRIED_AT_ONCE: usize = 64;
/// How often it is looked after all of it.
const TICK: Duration = Duration::from_millis(100);

/// The session of this gateway with this id, from memory or from the store; never a mirror.
pub type Home = Box<dyn Fn(SessionId) -> BoxFuture<'static, Option<SessionHandle>> + Send + Sync>;

/// What this gateway shares with others.
pub struct Cluster {
    pub(super) bus: Arc<Bus>,
    /// Where logs lie that are on their way to others.
    pub(super) redis: Arc<Redis>,
    orders: mpsc::Sender<Order>,
    /// Turns of those who leave a log for another gateway: one that drains has thousands.
    pub(super) carrying: Semaphore,
    pub(super) left: parking_lot::Mutex<Left>,
    apart: Arc<Apart>,
    work: Mutex<Work>,
}

struct Work {
    inbox: mpsc::Receiver<Vec<u8>>,
    orders: mpsc::Receiver<Order>,
}

impl Cluster {
    /// One over this bus, whose messages come out of `inbox`, and this Redis. It does nothing before it [runs](Self::run).
    #[must_use]
    pub fn over(bus: Arc<Bus>, inbox: mpsc::Receiver<Vec<u8>>, redis: Arc<Redis>) -> Arc<Self> {
        let (orders, received) = mpsc::channel(ORDERS);
        Arc::new(Self {
            bus,
            redis,
            orders,
            carrying: Semaphore::new(CARRIED_AT_ONCE),
            left: parking_lot::Mutex::default(),
            apart: Arc::default(),
            work: Mutex::new(Work { inbox, orders: received }),
        })
    }

    /// Whether others can be reached at the moment, as far as is known.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.bus.is_up()
    }

    /// How many of those that live could not be reached of late, although the way is there: they may use another Redis.
    #[must_use]
    pub fn unreached(&self) -> usize {
        self.apart.unreached()
    }

    /// For how long others, or some of them, could not be reached.
    #[must_use]
    pub fn down_for(&self) -> Duration {
        self.bus.down_for().max(self.apart.lasts())
    }

    /// Shows a session of another gateway.
    pub async fn mirror(&self, mirroring: Mirroring) {
        let _not_running = self.orders.send(Order::Mirror(mirroring)).await;
    }

    /// Says a wish once. `None` when this gateway ends.
    pub(super) async fn say(&self, session: SessionId, wish: Wish, reply: oneshot::Sender<Outcome>) -> Option<()> {
        self.orders.send(Order::Wish(session, wish, reply)).await.ok()
    }

    /// Does all of it, for the sessions of `home` and of the `store`, for ever.
    pub async fn run(self: Arc<Self>, home: Home, store: Arc<dyn SessionStore>) {
        let mut work = self.work.lock().await;
        let Work { inbox, orders } = &mut *work;
        let mut peers = Peers {
            bus: self.bus.clone(),
            apart: self.apart.clone(),
            home: Arc::new(home),
            me: None,
            store,
            links: HashMap::new(),
            mirrors: HashMap::new(),
            sessions: HashMap::new(),
            // None that this gateway has used before: it may have failed and begun again.
            next: rand::random(),
            dirty: Arc::default(),
            doing: FuturesUnordered::new(),
        };
        peers.run(inbox, orders).await;
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("bus", &self.bus).finish_non_exhaustive()
    }
}

/// A session of another gateway.
struct Shown {
    session: SessionId,
    mirror: Mirror,
    owner: NodeId,
    /// Told once something was heard.
    seen: Option<oneshot::Sender<Seen>>,
    alive: oneshot::Sender<Fence>,
    told: There,
    /// Since when it waits for the first word; `None` when that came.
    waits: Option<Instant>,
    /// When it was asked last who has the session.
    looked: Instant,
    is_looking: bool,
}

enum Done {
    Sent(NodeId, Result<bool, BusDown>),
    Found(NodeId, Box<Record>, Option<SessionHandle>),
    Fulfilled(NodeId, u64, Outcome),
    /// A wish was done that nobody elsewhere is told of.
    Here,
    Owner(SessionId, Result<Option<NodeId>, StoreError>),
    Gone(NodeId, Result<bool, StoreError>),
    Taken(MirrorId, SessionId, Fence, Result<Fence, StoreError>),
}

struct Peers {
    bus: Arc<Bus>,
    apart: Arc<Apart>,
    home: Arc<Home>,
    store: Arc<dyn SessionStore>,
    me: Option<NodeId>,
    links: HashMap<NodeId, Link>,
    mirrors: HashMap<MirrorId, Shown>,
    sessions: HashMap<SessionId, MirrorId>,
    next: u32,
    dirty: Arc<Dirty>,
    doing: FuturesUnordered<BoxFuture<'static, Done>>,
}

impl Peers {
    async fn run(&mut self, inbox: &mut mpsc::Receiver<Vec<u8>>, orders: &mut mpsc::Receiver<Order>) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let dirty = self.dirty.clone();
        self.me = self.store.node();
        loop {
            let due = self.links.values().filter_map(Link::due).min();
            tokio::select! {
                Some(message) = inbox.recv() => {
                    self.on_message(&message);
                    for _ in 0..64 {
                        let Ok(message) = inbox.try_recv() else { break };
                        self.on_message(&message);
                    }
                }
                Some(order) = orders.recv() => self.on_order(order),
                Some(done) = self.doing.next() => self.on_done(done),
                () = dirty.some.notified() => {}
                _ = tick.tick() => self.look_after_all(),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
            for (node, id) in dirty.take() {
                if let Some(link) = self.links.get_mut(&node) {
                    link.note_dirty(id);
                }
            }
            self.flush();
        }
    }

    fn on_order(&mut self, order: Order) {
        match order {
            Order::Mirror(mirroring) => self.show(mirroring),
            Order::Wish(session, wish, reply) => {
                let Some(shown) = self.sessions.get(&session).and_then(|id| self.mirrors.get(id)) else {
                    return self.fulfil_here(session, wish, reply);
                };
                let owner = shown.owner.clone();
                self.next = self.next.wrapping_add(1);
                let number = u64::from(self.next);
                let link = self.link(&owner);
                link.asked.retain(|_, reply| !reply.is_closed());
                link.asked.insert(number, reply);
                link.records.push_back(Record::Wish(number, session, wish));
            }
        }
    }

    fn link(&mut self, node: &NodeId) -> &mut Link {
        self.links.entry(node.clone()).or_insert_with(Link::new)
    }

    fn on_message(&mut self, message: &[u8]) {
        let Ok((Head(from, line, number), records)) = read(message) else {
            return warn!(bytes = message.len(), "another gateway says what cannot be understood");
        };
        if Some(&from) == self.me.as_ref() {
            return;
        }
        let link = self.link(&from);
        link.heard = Instant::now();
        match link.receiving.hear(line, number) {
            Heard::Next => {}
            Heard::Again => return,
            Heard::Gap => {
                metrics::counter!(CLUSTER_BUS_GAPS).increment(1);
                debug!(from = from.as_str(), "something is missing of what another gateway sent");
                link.lose();
                self.follow_all_anew(&from);
            }
        }
        for record in records {
            self.on_record(&from, record);
        }
    }

    fn on_record(&mut self, from: &NodeId, record: Record) {
        match record {
            Record::Follow(id, ref session, _, _, there) => {
                let session = session.clone();
                self.link(from).expect(id, there);
                self.find(from, session, record);
            }
            Record::Wish(_, ref session, _) => {
                let session = session.clone();
                self.find(from, session, record);
            }
            Record::There(id, there) => {
                self.link(from).set_there(id, there);
            }
            Record::Leave(id) => self.link(from).remove(id),
            Record::Changed(id, change) => self.on_changed(from, id, change),
            Record::Others(id, others) => {
                if let Some(shown) = self.mirrors.get_mut(&id).filter(|shown| shown.owner == *from) {
                    // Nothing had happened where it follows from.
                    shown.waits = None;
                    shown.mirror.set_others(others);
                }
            }
            Record::Over(id, cause) => {
                let Some(shown) = self.mirrors.get(&id).filter(|shown| shown.owner == *from) else { return };
                match cause {
                    Some(Closed::Deleted) => shown.mirror.close(Closed::Deleted),
                    Some(_) => shown.mirror.close(Closed::Moved),
                    None => return self.look_for_owner(id),
                }
                self.let_go(id);
            }
            Record::Free(id, fence) => self.on_free(from, id, fence),
            Record::Fulfilled(number, outcome) => {
                if let Some(reply) = self.link(from).asked.remove(&number) {
                    let _nobody_waits = reply.send(outcome);
                }
            }
            Record::Lost => self.follow_all_anew(from),
        }
    }

    fn on_done(&mut self, done: Done) {
        match done {
            Done::Sent(node, sent) => {
                let Some(link) = self.links.get_mut(&node) else { return };
                link.is_sending = false;
                match sent {
                    Ok(true) => link.reached = Instant::now(),
                    Ok(false) => self.look_whether_gone(&node), // Nobody is there.
                    Err(BusDown) => {}
                }
            }
            Done::Found(from, record, session) => self.on_found(from, *record, session),
            Done::Fulfilled(node, number, outcome) => {
                self.link(&node).records.push_back(Record::Fulfilled(number, outcome));
            }
            Done::Here => {}
            Done::Owner(session, owner) => self.on_owner(&session, owner),
            Done::Gone(node, gone) => self.on_gone(&node, gone),
            Done::Taken(id, session, before, taken) => self.on_taken(id, &session, before, taken),
        }
    }

    /// The session may be this gateway's meanwhile.
    fn fulfil_here(&mut self, session: SessionId, wish: Wish, reply: oneshot::Sender<Outcome>) {
        let home = self.home.clone();
        let fulfilling = async move {
            if let Some(session) = home(session).await {
                let _gone_asker_does_not_matter = reply.send(fulfil(&session, wish).await);
            }
            Done::Here
        };
        self.doing.push(fulfilling.boxed());
    }

    /// Looks for a session that another gateway speaks of.
    fn find(&mut self, from: &NodeId, session: SessionId, record: Record) {
        let (home, from) = (self.home.clone(), from.clone());
        let finding = async move { Done::Found(from, Box::new(record), home(session).await) };
        self.doing.push(finding.boxed());
    }

    fn on_found(&mut self, from: NodeId, record: Record, session: Option<SessionHandle>) {
        match (record, session) {
            (Record::Follow(id, _, at, revision, _), session) => {
                let dirty = self.dirty.clone();
                let link = self.link(&from);
                let Some(there) = link.expected(id) else { return };
                match session {
                    Some(session) => link.add((from, id), session.follow(at.as_deref(), revision, there), &dirty),
                    None => link.records.push_back(Record::Over(id, None)),
                }
            }
            (Record::Wish(number, _, wish), Some(session)) => {
                let fulfilling = fulfil(&session, wish);
                self.doing.push(fulfilling.map(move |outcome| Done::Fulfilled(from, number, outcome)).boxed());
            }
            (Record::Wish(number, ..), None) => {
                self.link(&from).records.push_back(Record::Fulfilled(number, Outcome::Elsewhere));
            }
            _ => {}
        }
    }

    /// Sends what is to be sent, on every link that may.
    fn flush(&mut self) {
        let Some(me) = &self.me else { return };
        let now = Instant::now();
        for (node, link) in &mut self.links {
            if link.due().is_none_or(|due| due > now) {
                continue;
            }
            let message = link.message(me, now);
            let (bus, node) = (self.bus.clone(), node.clone());
            let sending = async move {
                let sent = bus.send(&node, &message).await;
                Done::Sent(node, sent)
            };
            self.doing.push(sending.boxed());
        }
    }
}
