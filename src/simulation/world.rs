//! Several gateways, what is between them, and what happens to them.

use std::{
    collections::{HashMap, HashSet},
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::SmallRng, seq::IndexedRandom};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    client::Phase,
    exchange::{Exchange, Weather, Wire},
    judge::History,
    model::{Asked, Scripted},
    process::Process,
    store::{Client, Database},
};
use crate::{
    chat::{SessionId, Timestamp},
    cluster::{Bus, Cluster, Home},
    config::DEFAULT_ASSISTANT,
    ephemeral::{Redis, Server},
    hub::{Hub, Policy},
    knowledge::NoKnowledge,
    run::{Retrieval, Runner},
    store::{SessionRecord, SessionStore},
};

/// How long an answer may take to its end when a gateway is shut down.
const DRAIN: Duration = Duration::from_secs(3);
/// Without anybody who watches, a session leaves memory.
const IDLE: Duration = Duration::from_secs(8);

/// A process of a gateway, and its ways.
pub(super) struct Gateway {
    pub(super) process: Arc<Process>,
    pub(super) hub: Arc<Hub>,
    store: Client,
    is_leaving: AtomicBool,
    to_redis: Arc<AtomicBool>,
    to_database: Arc<AtomicBool>,
}

/// All of it.
pub(crate) struct World {
    pub(super) history: History,
    pub(super) asked: Asked,
    pub(super) database: Arc<Database>,
    pub(super) sessions: Vec<SessionId>,
    pub(super) phase: watch::Sender<Phase>,
    pub(super) tasks: TaskTracker,
    /// Sessions that the database has.
    known: watch::Sender<HashSet<SessionId>>,
    exchange: Arc<Exchange>,
    gateways: Mutex<Vec<Arc<Gateway>>>,
    began: Instant,
}

impl World {
    pub(super) fn new(seed: u64, gateways: usize, sessions: usize) -> Arc<Self> {
        let tasks = TaskTracker::new();
        let world = Arc::new(Self {
            history: History::default(),
            asked: Asked::default(),
            database: Database::new(seed, tasks.clone()),
            sessions: (0..sessions).map(|_| SessionId::random()).collect(),
            phase: watch::Sender::new(Phase::Work),
            known: watch::Sender::default(),
            exchange: Exchange::new(seed, tasks.clone()),
            gateways: Mutex::default(),
            began: Instant::now(),
            tasks,
        });
        for _ in 0..gateways {
            let gateway = world.begin();
            world.gateways.lock().push(gateway);
        }
        world
    }

    /// Whether a session is in the database; at the beginning some are.
    pub(super) fn make_known(&self, session: &SessionId) {
        self.known.send_if_modified(|known| known.insert(session.clone()));
    }

    /// Waits until others may know of a session.
    pub(super) async fn known(&self, session: &SessionId, is_first: bool) {
        if !is_first {
            let mut known = self.known.subscribe();
            let _it_is = known.wait_for(|known| known.contains(session)).await;
        }
    }

    /// Makes a session, as somebody does over HTTP.
    pub(super) async fn make(&self, session: &SessionId) {
        let store = self.gateways.lock()[0].store.clone();
        let at = Timestamp::now();
        let (assistant, owner) = (DEFAULT_ASSISTANT.to_owned(), None);
        let (id, metadata, message_count) = (session.clone(), None, 0);
        let record = SessionRecord {
            id,
            assistant,
            metadata,
            created_at: at,
            updated_at: at,
            message_count,
            owner,
            is_temporary: false,
            title: None,
        };
        store.create_session(record).await.expect("made");
        self.make_known(session);
    }

    /// When it is, in milliseconds since the beginning.
    pub(super) fn now(&self) -> u128 {
        self.began.elapsed().as_millis()
    }

    /// A gateway that takes sockets.
    pub(super) fn any(&self, rng: &mut SmallRng) -> Option<(usize, Arc<Gateway>)> {
        let gateways = self.gateways.lock();
        let taking = |(_, gateway): &(usize, &Arc<Gateway>)| {
            !gateway.process.is_killed() && !gateway.is_leaving.load(Ordering::Acquire)
        };
        let taking: Vec<_> = gateways.iter().enumerate().filter(taking).collect();
        taking.choose(rng).map(|(at, gateway)| (*at, (*gateway).clone()))
    }

    /// All that run.
    pub(super) fn gateways(&self) -> Vec<Arc<Gateway>> {
        self.gateways.lock().iter().filter(|gateway| !gateway.process.is_killed()).cloned().collect()
    }

    /// A new process of a gateway.
    fn begin(&self) -> Arc<Gateway> {
        let process = Arc::new(Process::begin());
        let (to_redis, to_database) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
        let store = Client::new(self.database.clone(), process.clone(), to_database.clone());
        let runner = Runner {
            retriever: Arc::new(NoKnowledge),
            model: Arc::new(Scripted { process: process.clone(), asked: self.asked.clone() }),
            retrieval: Retrieval { top_k: 1, min_score: 0.0, rewrite: false },
            max_output_tokens: 10_000,
            line: Arc::default(),
            budgets: Arc::default(),
            rates: Arc::default(),
            assistants: Arc::default(),
            artifacts: Arc::default(),
            tools: Arc::default(),
        };
        let hour = Duration::from_secs(3600);
        let policy = Policy { idle: IDLE, ttl: hour, abandon: None, history_messages: 4, sessions: 0 };
        let wire = Wire::new(self.exchange.clone(), process.clone(), to_redis.clone());
        let (bus, inbox) = Bus::over(Server::simulated(wire.clone()));
        let redis = Redis::at(Server::simulated(wire));
        let cluster = Cluster::over(bus.clone(), inbox, redis.clone());
        let shared = Arc::new(store.clone());
        let hub = Arc::new(Hub::new(shared.clone(), Arc::new(runner), policy).with_cluster(cluster.clone()));
        let sessions = hub.clone();
        let home: Home = Box::new(move |id| {
            let sessions = sessions.clone();
            async move { sessions.get_here(&id).await }.boxed()
        });
        let node = shared.clone();
        self.spawn(&process, store.clone().keep());
        self.spawn(&process, bus.keep(move || node.node()));
        self.spawn(&process, redis.keep(|_| ready(())));
        self.spawn(&process, cluster.run(home, shared));
        self.spawn(&process, hub.clone().tend(CancellationToken::new()));
        Arc::new(Gateway { process, hub, store, is_leaving: AtomicBool::new(false), to_redis, to_database })
    }

    fn spawn(&self, process: &Arc<Process>, work: impl Future<Output = ()> + Send + 'static) {
        let process = process.clone();
        self.tasks.spawn(async move { process.run(work).await });
    }

    fn put(&self, at: usize, gateway: Arc<Gateway>) {
        self.gateways.lock()[at] = gateway;
    }

    /// Lets things happen for a while.
    pub(super) async fn suffer(self: &Arc<Self>, seed: u64) {
        let mut rng = SmallRng::seed_from_u64(seed ^ 0xfa17);
        let severe = |lost, doubled, late, late_ms| Weather { lost, doubled, late, late_ms };
        let weathers = [Weather::default(), severe(5, 5, 20, 200), severe(30, 30, 60, 400), severe(120, 60, 120, 1500)];
        self.exchange.set_weather(weathers[rng.random_range(0..weathers.len())]);
        self.database.set_doubtful([0, 0, 5, 30][rng.random_range(0..4)]);
        let kinds: Vec<u32> = (0..7).filter(|_| rng.random()).collect();
        for _ in 0..rng.random_range(0..7) {
            sleep(Duration::from_millis(rng.random_range(50..4000))).await;
            let Some(kind) = kinds.choose(&mut rng).copied() else { continue };
            let Some((at, gateway)) = self.any(&mut rng) else { continue };
            let long = [300, 2_000, 5_000, 12_000][rng.random_range(0..4)];
            let long = Duration::from_millis(rng.random_range(long / 10..long));
            self.history.note(self.now(), || format!("fault {kind} at {at} for {long:?}"));
            self.befall(kind, (at, gateway), long);
        }
        sleep(Duration::from_millis(rng.random_range(0..6000))).await;
    }

    fn befall(self: &Arc<Self>, kind: u32, (at, gateway): (usize, Arc<Gateway>), long: Duration) {
        let world = self.clone();
        match kind {
            0 => gateway.process.stop(),
            1 => gateway.process.kill(),
            2 => gateway.is_leaving.store(true, Ordering::Release),
            3 => self.exchange.freeze(true),
            4 => self.exchange.restart(),
            5 => gateway.to_redis.store(false, Ordering::Release),
            _ => gateway.to_database.store(false, Ordering::Release),
        }
        self.tasks.spawn(async move {
            if kind == 2 {
                gateway.process.run(gateway.hub.drain(DRAIN)).await;
                if !gateway.process.is_killed() {
                    gateway.store.end();
                    gateway.process.kill();
                }
            }
            sleep(long).await;
            match kind {
                0 => gateway.process.go_on(),
                1 | 2 => world.replace(at, &gateway),
                3 => world.exchange.freeze(false),
                4 => {}
                5 => gateway.to_redis.store(true, Ordering::Release),
                _ => gateway.to_database.store(true, Ordering::Release),
            }
        });
        if kind == 5 && long.as_millis().is_multiple_of(2) {
            self.exchange.cut_off(&self.gateways.lock()[at].process);
        }
    }

    /// A new process in the place of one that is gone.
    fn replace(&self, at: usize, gone: &Arc<Gateway>) {
        let is_there = Arc::ptr_eq(&self.gateways.lock()[at], gone);
        if is_there && gone.process.is_killed() {
            self.put(at, self.begin());
        }
    }

    /// Everything works from now on.
    pub(super) fn heal(&self) {
        self.exchange.set_weather(Weather::default());
        self.exchange.freeze(false);
        self.database.set_doubtful(0);
        let all: Vec<_> = self.gateways.lock().iter().cloned().enumerate().collect();
        for (at, gateway) in all {
            gateway.to_redis.store(true, Ordering::Release);
            gateway.to_database.store(true, Ordering::Release);
            gateway.process.go_on();
            self.replace(at, &gateway);
        }
    }

    /// How many mirrors there are, and of how many viewers elsewhere gateways have heard.
    pub(super) fn copies(&self) -> (usize, usize) {
        let mut copies = (0, 0);
        for gateway in self.gateways() {
            let (mirrors, elsewhere) = gateway.hub.copies();
            copies = (copies.0 + mirrors, copies.1 + elsewhere);
        }
        copies
    }

    /// How often each question was asked.
    pub(super) fn asked(&self) -> HashMap<Arc<str>, u32> {
        self.asked.lock().clone()
    }
}
