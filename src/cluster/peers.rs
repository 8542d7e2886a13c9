//! Both ends of what gateways tell one another: one task that owns all of it.
//!
//! For each other gateway there is a link. It sends one message at a time, the first at once and then one every 10 ms, and followers are read when it is put
//! together: what happens meanwhile lies in the logs, and waits nowhere else. When something is missing of what a gateway
//! sent, nothing of it counts any more: its followers are dropped, and all mirrors of its sessions follow anew from where
//! they are. When it is silent, it is asked of the store who has its sessions now.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tracing::{debug, warn};

use super::{
    bus::{Bus, BusDown},
    fulfil::fulfil,
    line::Heard,
    link::{Dirty, Link},
    order::{Mirroring, Order, Seen},
    record::{Head, MirrorId, Outcome, Record, Wish, read},
};
use crate::{
    chat::SessionId,
    session::{
        Closed, Mirror, SessionHandle,
        log::{Change, There},
    },
    store::{NodeId, SessionStore, StoreError},
    telemetry::metrics::{CLUSTER_BUS_GAPS, CLUSTER_FOLLOWERS, CLUSTER_MIRRORS},
};

/// Orders of this gateway that wait.
const ORDERS: usize = 1024;
/// How often it is looked after all of it.
const TICK: Duration = Duration::from_millis(100);
const SILENT: Duration = Duration::from_secs(3);
/// How long a mirror waits for the first word before it is asked who has the session now, and between two such questions.
const FIRST_WORD: Duration = Duration::from_secs(1);
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// Of so many mirrors at most it is asked at a time: they may all be of one gateway that is gone.
const ASK_AT_ONCE: usize = 64;
/// A mirror that nobody has used for so long is let go, and no more is sent for it.
const MIRROR_IDLE: Duration = Duration::from_secs(6);

/// The session of this gateway with this id, from memory or from the store; never a mirror.
pub type Home = Box<dyn Fn(SessionId) -> BoxFuture<'static, Option<SessionHandle>> + Send + Sync>;

/// What this gateway shares with others.
pub struct Cluster {
    bus: Arc<Bus>,
    orders: mpsc::Sender<Order>,
    work: Mutex<Work>,
}

struct Work {
    inbox: mpsc::Receiver<Vec<u8>>,
    orders: mpsc::Receiver<Order>,
}

impl Cluster {
    /// One over this bus, whose messages come out of `inbox`. It does nothing before it [runs](Self::run).
    #[must_use]
    pub fn over(bus: Arc<Bus>, inbox: mpsc::Receiver<Vec<u8>>) -> Arc<Self> {
        let (orders, received) = mpsc::channel(ORDERS);
        Arc::new(Self { bus, orders, work: Mutex::new(Work { inbox, orders: received }) })
    }

    /// Whether others can be reached at the moment, as far as is known.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.bus.is_up()
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
struct Copy {
    session: SessionId,
    mirror: Mirror,
    owner: NodeId,
    /// Told once something was heard.
    seen: Option<oneshot::Sender<Seen>>,
    _alive: oneshot::Sender<()>,
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
    Owner(SessionId, Result<Option<NodeId>, StoreError>),
}

struct Peers {
    bus: Arc<Bus>,
    home: Arc<Home>,
    store: Arc<dyn SessionStore>,
    me: Option<NodeId>,
    links: HashMap<NodeId, Link>,
    mirrors: HashMap<MirrorId, Copy>,
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
            Order::Mirror(mirroring) => {
                let Mirroring { session, owner, mirror, seen, alive } = mirroring;
                let now = Instant::now();
                let copy = Copy {
                    session: session.clone(),
                    mirror,
                    owner,
                    seen: Some(seen),
                    _alive: alive,
                    told: There::default(),
                    waits: Some(now),
                    looked: now,
                    is_looking: false,
                };
                if let Some(before) = self.sessions.remove(&session) {
                    self.let_go(before);
                }
                self.follow(copy, false);
            }
            Order::Wish(session, wish, reply) => {
                let Some(copy) = self.sessions.get(&session).and_then(|id| self.mirrors.get(id)) else { return };
                let owner = copy.owner.clone();
                self.next = self.next.wrapping_add(1);
                let number = u64::from(self.next);
                let link = self.link(&owner);
                link.asked.retain(|_, reply| !reply.is_closed());
                link.asked.insert(number, reply);
                link.records.push_back(Record::Wish(number, session, wish));
            }
        }
    }

    /// Has a mirror hear what happens, from where it is on, or all of it.
    fn follow(&mut self, mut copy: Copy, from_nothing: bool) {
        let (Some((at, revision)), Some(there)) = (copy.mirror.end(), copy.mirror.there()) else { return };
        let at = at.filter(|_| !from_nothing);
        self.next = self.next.wrapping_add(1);
        let id = self.next;
        (copy.told, copy.waits) = (there, Some(Instant::now()));
        self.link(&copy.owner.clone()).records.push_back(Record::Follow(id, copy.session.clone(), at, revision, there));
        self.sessions.insert(copy.session.clone(), id);
        self.mirrors.insert(id, copy);
    }

    fn follow_anew(&mut self, id: MirrorId, from_nothing: bool) {
        if let Some(copy) = self.mirrors.remove(&id) {
            self.link(&copy.owner.clone()).records.push_back(Record::Leave(id));
            self.sessions.remove(&copy.session);
            self.follow(copy, from_nothing);
        }
    }

    /// Nobody shows it any more.
    fn let_go(&mut self, id: MirrorId) {
        if let Some(copy) = self.mirrors.remove(&id) {
            if self.sessions.get(&copy.session) == Some(&id) {
                self.sessions.remove(&copy.session);
            }
            self.link(&copy.owner.clone()).records.push_back(Record::Leave(id));
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

    fn follow_all_anew(&mut self, owner: &NodeId) {
        let of_owner = |(id, copy): (&MirrorId, &Copy)| (copy.owner == *owner).then_some(*id);
        let ids: Vec<MirrorId> = self.mirrors.iter().filter_map(of_owner).collect();
        for id in ids {
            self.follow_anew(id, false);
        }
    }

    fn on_record(&mut self, from: &NodeId, record: Record) {
        match record {
            Record::Follow(id, ref session, ..) => {
                let session = session.clone();
                self.link(from).expect(id);
                self.find(from, session, record);
            }
            Record::Wish(_, ref session, _) => {
                let session = session.clone();
                self.find(from, session, record);
            }
            Record::There(id, there) => {
                if let Some(follower) = self.link(from).follower(id) {
                    follower.set_there(there);
                }
            }
            Record::Leave(id) => self.link(from).remove(id),
            Record::Changed(id, change) => {
                let Some(copy) = self.mirrors.get_mut(&id).filter(|copy| copy.owner == *from) else {
                    // It was let go, and that is not known there.
                    return self.link(from).records.push_back(Record::Leave(id));
                };
                let is_whole = matches!(change, Change::Whole(_));
                match copy.mirror.repeat(change) {
                    Ok(true) => {
                        copy.waits = None;
                        if let Some(seen) = copy.seen.take() {
                            let _nobody_waits = seen.send(Seen);
                        }
                    }
                    Ok(false) => self.let_go(id),
                    Err(_) => self.on_out_of_step(id, is_whole),
                }
            }
            Record::Others(id, others) => {
                if let Some(copy) = self.mirrors.get_mut(&id).filter(|copy| copy.owner == *from) {
                    // Nothing had happened where it follows from.
                    copy.waits = None;
                    copy.mirror.set_others(others);
                }
            }
            Record::Over(id, cause) => {
                let Some(copy) = self.mirrors.get(&id).filter(|copy| copy.owner == *from) else { return };
                match cause {
                    Some(Closed::Deleted) => copy.mirror.close(Closed::Deleted),
                    Some(_) => copy.mirror.close(Closed::Moved),
                    None => return self.look_for_owner(id),
                }
                self.let_go(id);
            }
            Record::Fulfilled(number, outcome) => {
                if let Some(reply) = self.link(from).asked.remove(&number) {
                    let _nobody_waits = reply.send(outcome);
                }
            }
            Record::Lost => self.follow_all_anew(from),
        }
    }

    /// What came does not fit what is here: something was missed, or it is another incarnation of the session.
    fn on_out_of_step(&mut self, id: MirrorId, was_whole: bool) {
        if !was_whole {
            return self.follow_anew(id, true);
        }
        // Readers cannot go on in another incarnation: they come back, to this one's successor.
        if let Some(copy) = self.mirrors.get(&id) {
            copy.mirror.close(Closed::Moved);
        }
        self.let_go(id);
    }

    fn on_done(&mut self, done: Done) {
        match done {
            Done::Sent(node, sent) => {
                let Some(link) = self.links.get_mut(&node) else { return };
                link.is_sending = false;
                if sent == Ok(false) {
                    // Nobody is there.
                    let ids = self.mirrors.iter().filter(|(_, copy)| copy.owner == node).map(|(id, _)| *id);
                    for id in ids.collect::<Vec<_>>() {
                        self.look_for_owner(id);
                    }
                }
            }
            Done::Found(from, record, session) => self.on_found(from, *record, session),
            Done::Fulfilled(node, number, outcome) => {
                self.link(&node).records.push_back(Record::Fulfilled(number, outcome));
            }
            Done::Owner(session, owner) => self.on_owner(&session, owner),
        }
    }

    /// Looks for a session that another gateway speaks of.
    fn find(&mut self, from: &NodeId, session: SessionId, record: Record) {
        let (home, from) = (self.home.clone(), from.clone());
        let finding = async move { Done::Found(from, Box::new(record), home(session).await) };
        self.doing.push(finding.boxed());
    }

    fn on_found(&mut self, from: NodeId, record: Record, session: Option<SessionHandle>) {
        match (record, session) {
            (Record::Follow(id, _, at, revision, there), session) => {
                let dirty = self.dirty.clone();
                let link = self.link(&from);
                match session {
                    _ if !link.is_expected(id) => {}
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

    /// Asks the store who has a session, unless that was done just now.
    fn look_for_owner(&mut self, id: MirrorId) {
        let Some(copy) = self.mirrors.get_mut(&id) else { return };
        if copy.is_looking || copy.looked.elapsed() < ASK_AGAIN {
            copy.waits.get_or_insert_with(Instant::now);
            return;
        }
        (copy.is_looking, copy.looked) = (true, Instant::now());
        let (store, session) = (self.store.clone(), copy.session.clone());
        let looking = async move {
            let owner = store.owner(&session).await;
            Done::Owner(session, owner)
        };
        self.doing.push(looking.boxed());
    }

    fn on_owner(&mut self, session: &SessionId, owner: Result<Option<NodeId>, StoreError>) {
        let Some(id) = self.sessions.get(session).copied() else { return };
        let Some(copy) = self.mirrors.get_mut(&id) else { return };
        copy.is_looking = false;
        match owner {
            // Those who watch come back, and whichever gateway they come to has it then.
            Ok(None) => copy.mirror.close(Closed::Moved),
            Err(StoreError::NoSession) => copy.mirror.close(Closed::Deleted),
            Ok(Some(node)) => {
                copy.owner = node;
                return self.follow_anew(id, false);
            }
            Err(_) => return,
        }
        self.let_go(id);
    }

    fn look_after_all(&mut self) {
        let me = self.store.node();
        if std::mem::replace(&mut self.me, me.clone()) != me {
            // Others have taken this gateway for dead: whatever was between it and them is void.
            self.links.clear();
            self.mirrors.values().for_each(|copy| copy.mirror.close(Closed::Moved));
            (self.mirrors, self.sessions) = (HashMap::new(), HashMap::new());
        }
        // While nothing comes through, who has what is of no use.
        let (now, is_up) = (Instant::now(), self.bus.is_up());
        let (mut unused, mut lost) = (Vec::new(), Vec::new());
        for (id, copy) in &mut self.mirrors {
            let Some(there) = copy.mirror.there() else {
                unused.push(*id);
                continue;
            };
            if copy.mirror.unused() > MIRROR_IDLE {
                copy.mirror.close(Closed::Moved);
                unused.push(*id);
                continue;
            }
            let link = self.links.entry(copy.owner.clone()).or_insert_with(Link::new);
            if std::mem::replace(&mut copy.told, there) != there {
                link.records.push_back(Record::There(*id, there));
            }
            let waits_long = copy.waits.is_some_and(|since| now - since > FIRST_WORD);
            let is_due = !copy.is_looking && copy.looked.elapsed() > ASK_AGAIN && lost.len() < ASK_AT_ONCE;
            if is_due && is_up && (waits_long || now - link.heard > SILENT) {
                lost.push(*id);
            }
        }
        unused.into_iter().for_each(|id| self.let_go(id));
        lost.into_iter().for_each(|id| self.look_for_owner(id));
        let used: HashSet<&NodeId> = self.mirrors.values().map(|copy| &copy.owner).collect();
        self.links.iter_mut().for_each(|(node, link)| link.tend(now, used.contains(node)));
        self.links.retain(|_, link| !link.is_over(now));
        metrics::gauge!(CLUSTER_MIRRORS).set(self.mirrors.len() as f64);
        metrics::gauge!(CLUSTER_FOLLOWERS).set(self.links.values().map(Link::followers).sum::<usize>() as f64);
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
