//! The composition root: the only file that names concrete adapters. Start order, drain order.
//!
//! Start: what the configuration alone decides, the store, then everything that can fail for good, then the port; the
//! embedding model and the sample documents come in the background, since chat works without them. End: not ready, no new
//! work, answers finish or are checkpointed, sockets close, the store closes last.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use metrics_exporter_prometheus::{BuildError, PrometheusHandle};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::mpsc,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info, warn};

use self::{
    background::{lasting, look_after, until},
    live::Live,
    others::{Others, count_together},
    stores::Stores,
};
use crate::{
    auth::{Authenticator, KeyError},
    config::{Abandon, Config, Loaded, Refusal},
    datasets::Datasets,
    ephemeral::{InvalidServer, Redis, Server},
    http::{self, Clients, Gateway, Mcp, Notices, Origins, Shares, Tls, TlsError, TlsFiles, server::Port},
    hub::{Hub, INTERRUPT_GRACE, Policy},
    knowledge::{
        Knowledge, NoKnowledge, Retriever, Vectors,
        jobs::{Bounds, Documents, DocumentsError},
        parser::Parsers,
        preload,
    },
    limits::{Budgets, Capacity, Line, Rates},
    llm::{ChatModel, Current, TargetsError, cache::Answers},
    memory::Memories,
    run::{Artifacts, Assistants, Retrieval, Runner},
    store::{
        StoreError,
        audit::AuditStore,
        folder,
        postgres::PostgresStore,
        sqlite::{self, Holder, SqliteStore},
    },
    telemetry::{logging::Log, recorder},
    tools::Shared,
};

mod background;
mod live;
mod others;
mod stores;

/// Connections the kernel may hold until they are accepted: a reconnect storm comes all at once.
const BACKLOG: u32 = 4096;
/// What the kernel keeps of a connection for a client that does not read, in bytes; it doubles this for its own needs.
/// By itself it would take up to 4 MiB for each, and text that waits there cannot be merged any more.
const SEND_BUFFER: u32 = 128 << 10;
/// Connections of the admin port, which others cannot fill.
const ADMIN_CONNECTIONS: usize = 256;
/// How long sockets have for the closing handshake at the end.
const GOODBYE: Duration = Duration::from_secs(3);

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The data folder cannot be used.
    #[error("the data folder {path} cannot be used: {source}")]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The session store cannot be opened.
    #[error("the session store cannot be opened: {0}")]
    Store(#[from] StoreError),
    /// The documents cannot be looked through.
    #[error("the documents of the knowledge base cannot be used: {0}")]
    Documents(#[from] DocumentsError),
    /// The model's settings are wrong.
    #[error(transparent)]
    Targets(#[from] TargetsError),
    /// There are no keys to check tokens with.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// There is no TLS.
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    /// The address of the database is none.
    #[error("store.database_url: {0}")]
    Database(StoreError),
    /// The address of other gateways' meeting place is none.
    #[error("cluster.redis_url: {0}")]
    Cluster(#[from] InvalidServer),
    /// Metrics cannot be recorded.
    #[error("metrics cannot be recorded: {0}")]
    Metrics(#[from] BuildError),
}

/// A gateway that listens.
#[derive(Debug)]
pub struct App {
    listener: TcpListener,
    address: SocketAddr,
    admin: Option<(TcpListener, SocketAddr)>,
    tls: Option<Arc<Tls>>,
    hub: Arc<Hub>,
    stores: Stores,
    others: Option<Others>,
    model: Arc<Current>,
    answers: Option<Arc<Answers>>,
    gateway: Gateway,
    config: Config,
}

impl App {
    /// Puts the gateway together and binds its port. Call it once in a process: metrics are the process's.
    ///
    /// # Errors
    /// [`AppError`]: what keeps it from starting.
    pub async fn start(config: Config) -> Result<Self, AppError> {
        let metrics = recorder::install()?;
        // What the configuration alone decides, before anything is made that would stay.
        let auth = Authenticator::new(&config.auth)?;
        let tls = TlsFiles::of(&config).map(|files| Tls::open(&files)).transpose()?.map(Arc::new);
        let server = config.cluster.redis_url.as_ref().map(|url| Server::parse(url.expose())).transpose()?;
        let database = config.store.database_url.as_ref().map(|url| PostgresStore::check_url(url.expose()));
        database.transpose().map_err(AppError::Database)?;
        let redis = server.clone().map(Redis::at);
        let answers = redis.clone().map(Answers::over);
        let model = Arc::new(Current::new(live::model(&config.llm, answers.as_ref())?));
        let data_dir = &config.server.data_dir;
        folder::prepare(data_dir).map_err(|source| AppError::DataDir { path: data_dir.clone(), source })?;
        let stores = Stores::open(&config).await?;
        let cache = config.llm.cache();
        let knowledge = config.knowledge.enabled.then(|| {
            let knowledge = Knowledge::open(&config.knowledge, data_dir, Parsers::of_this_program());
            Arc::new(match cache {
                Some(rule) => knowledge.keeping(rule),
                None => knowledge,
            })
        });
        let retriever: Arc<dyn Retriever> = match &knowledge {
            Some(knowledge) => knowledge.clone(),
            None => Arc::new(NoKnowledge),
        };
        // What was deleted has to be known before anybody searches.
        let documents = match &knowledge {
            Some(knowledge) => Some(open_documents(&config, &stores, knowledge).await?),
            None => None,
        };
        let (listener, address) = listen(config.server.bind)?;
        let admin = config.server.admin_bind.map(listen).transpose()?;
        let vectors = knowledge.map(|knowledge| Arc::new(Vectors::of(knowledge, &config.knowledge.model)));
        let runner = runner(&config, &retriever, &model, &stores, vectors.as_ref(), redis.as_ref());
        runner.budgets.load(&*stores.spending).await?;
        // Who shares no store has no sessions to show to others.
        let others =
            server.zip(redis.clone()).filter(|_| stores.are_shared()).map(|(server, redis)| Others::at(server, redis));
        let hub = Hub::new(stores.sessions.clone(), runner.clone(), policy(&config));
        let hub = Arc::new(match &others {
            Some(others) => hub.with_cluster(others.cluster.clone()),
            None => hub,
        });
        let auth = auth.with(stores.credentials.clone()).await?;
        let auth = Arc::new(match &redis {
            Some(redis) => auth.with_redis(redis.clone()),
            None => auth,
        });
        let gateway = Gateway {
            documents,
            vectors,
            redis,
            ..gateway(&config, &hub, (auth, stores.audit.clone()), runner, metrics)
        };
        let app = Self { listener, address, admin, tls, hub, stores, others, model, answers, gateway, config };
        let holder = Holder { url: app.url(), admin_url: app.admin_url().unwrap_or_else(|| app.url()) };
        SqliteStore::announce(app.config.server.data_dir.join(sqlite::FILE_NAME), &holder)?;
        Ok(app)
    }

    /// Where it listens, as a browser would have it.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of(self.address)
    }

    /// Where administrators find it, when that is somewhere else.
    #[must_use]
    pub fn admin_url(&self) -> Option<String> {
        self.admin.as_ref().map(|(_, address)| self.url_of(*address))
    }

    fn url_of(&self, mut address: SocketAddr) -> String {
        if address.ip().is_unspecified() {
            address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
        }
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{address}")
    }

    /// Who answers.
    #[must_use]
    pub fn model(&self) -> Arc<str> {
        self.gateway.model.name()
    }

    /// What it answers with, for who brings requests by another way than its port. Nothing is done in the background.
    #[must_use]
    pub fn surface(self) -> http::Surface {
        http::surface(self.gateway, self.admin.is_some())
    }

    /// Serves until `stop`, then drains and returns. Configurations that come meanwhile are taken over as far as that can
    /// be, the log's level through `log`.
    pub async fn run(self, stop: impl Future<Output = ()>, log: Log, changes: mpsc::Receiver<Result<Loaded, Refusal>>) {
        let Self { listener, admin, tls, hub, stores, others, model, answers, gateway, config, .. } = self;
        let (ending, background, connections) = (CancellationToken::new(), TaskTracker::new(), TaskTracker::new());
        let (draining, sockets) = (gateway.draining.clone(), gateway.sockets.clone());
        let (completions, interrupting) = (gateway.completions.clone(), gateway.interrupting.clone());
        look_after(&background, &ending, &gateway, &stores, &log);
        if let Some(others) = others {
            others.keep_in_touch(&background, &ending, &hub);
        }
        if let Some(redis) = &gateway.redis {
            let unshared = Some(&gateway.auth).filter(|_| !stores.are_shared());
            count_together(&background, &ending, redis, unshared);
            let (line, store, stop) = (gateway.runner.line.clone(), stores.sessions.clone(), ending.clone());
            let keep = move || line.clone().keep(store.clone(), stop.clone());
            background.spawn(lasting("answers of all gateways", keep));
        }
        if let Some(answers) = answers.clone() {
            let stop = ending.clone();
            let keep = move || until(stop.clone(), answers.clone().keep());
            background.spawn(lasting("answers that are given again", keep));
        }
        if let Some(documents) = gateway.documents.clone() {
            let preloading = preload(documents, config.knowledge.preload.clone());
            background.spawn(until(ending.clone(), preloading));
        }
        let (auth, clients, runner) = (gateway.auth.clone(), gateway.clients.clone(), gateway.runner.clone());
        let surface = http::surface(gateway, admin.is_some());
        let accepting = CancellationToken::new();
        let most = Arc::new(Capacity::new(config.limits.connections));
        let serve = |listener, router, connections_at_most| {
            let (tls, clients) = (tls.clone(), clients.clone());
            let port = Port { listener, router, tls, connections: connections_at_most, clients };
            background.spawn(http::server::serve(port, accepting.clone(), connections.clone()))
        };
        let server = serve(listener, surface.public, most.clone());
        if let (Some((listener, _)), Some(router)) = (admin, surface.admin) {
            serve(listener, router, Arc::new(Capacity::new(ADMIN_CONNECTIONS)));
        }
        let drain = Duration::from_secs(config.server.drain_s);
        let (hub_of_all, spending) = (hub.clone(), stores.spending.clone());
        let live = Live {
            config,
            log,
            auth,
            tls,
            connections: most,
            clients,
            hub: hub_of_all,
            runner,
            model,
            answers,
            spending,
        };
        background.spawn(until(ending.clone(), live.follow(changes)));

        tokio::select! {
            () = stop => info!("shutting down: running answers may finish"),
            () = draining.cancelled() => info!("shutting down, as an administrator has asked"),
            _ = server => error!("no more connections are accepted: shutting down"),
        }
        draining.cancel();
        // The whole end fits into `drain_s`: whoever sent the signal kills after some such time.
        let most = drain.saturating_sub(INTERRUPT_GRACE + GOODBYE);
        completions.close();
        tokio::join!(hub.drain(most), async {
            if timeout(most, completions.wait()).await.is_err() {
                warn!(completions = completions.len(), "completions are interrupted by the shutdown");
            }
            interrupting.cancel();
        });
        accepting.cancel();
        sockets.close();
        connections.close();
        let closed = timeout(GOODBYE, async {
            sockets.wait().await;
            connections.wait().await;
        });
        if closed.await.is_err() {
            warn!(sockets = sockets.len(), connections = connections.len(), "connections are cut");
        }
        ending.cancel();
        background.close();
        let stored = timeout(GOODBYE, async {
            background.wait().await;
            stores.close().await;
        });
        if stored.await.is_err() {
            error!("the store did not close in time; what was acknowledged is on the disk");
        }
        info!("goodbye");
    }
}

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), AppError> {
    let bind = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?; // A restart need not wait for the old connections to be forgotten.
        socket.set_send_buffer_size(SEND_BUFFER)?; // Accepted connections inherit it.
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bind().map_err(|source| AppError::Bind { address, source })
}

async fn open_documents(
    config: &Config,
    stores: &Stores,
    knowledge: &Arc<Knowledge>,
) -> Result<Arc<Documents>, DocumentsError> {
    let (store, blobs) = stores.documents(config).await?;
    Documents::open(store, knowledge.clone(), blobs, Bounds::of(&config.knowledge)).await.map(Arc::new)
}

fn runner(
    config: &Config,
    retriever: &Arc<dyn Retriever>,
    model: &Arc<Current>,
    stores: &Stores,
    vectors: Option<&Arc<Vectors>>,
    redis: Option<&Arc<Redis>>,
) -> Arc<Runner> {
    let datasets = Datasets::kept(&config.datasets, &config.server.data_dir, stores.are_shared());
    let memories = Memories::kept_in(stores.memories.clone(), vectors.cloned(), config.server.bind.ip().is_loopback());
    let (rates, line) = (Rates::new(config.rate_rules()), Line::new(&config.limits));
    let budgets = Budgets::new(&config.limits);
    let (rates, line, budgets) = match redis {
        Some(redis) => (
            rates.together(redis.clone(), stores.sessions.clone()),
            line.together(redis.clone()),
            budgets.together(redis.clone(), stores.sessions.clone()),
        ),
        None => (rates, line, budgets),
    };
    Arc::new(Runner {
        retriever: retriever.clone(),
        model: model.clone(),
        retrieval: Retrieval {
            top_k: config.knowledge.top_k,
            min_score: config.knowledge.min_score,
            // What needs no server rewrites nothing.
            rewrite: config.knowledge.rewrite && !model.targets().is_empty(),
        },
        max_output_tokens: config.llm.max_output_tokens,
        line: Arc::new(line),
        budgets: Arc::new(budgets),
        rates: Arc::new(rates),
        assistants: Arc::new(Assistants::of(config)),
        artifacts: Arc::new(Artifacts::kept_in(stores.artifacts.clone(), &config.artifacts)),
        tools: Arc::new(Shared::with(Arc::new(datasets), Arc::new(memories))),
    })
}

fn policy(config: &Config) -> Policy {
    Policy {
        idle: Duration::from_secs(config.session.idle_s.min(config.session.ttl_s)),
        ttl: Duration::from_secs(config.session.ttl_s),
        abandon: match config.session.abandon {
            Abandon::Finish => None,
            Abandon::Stop => Some(Duration::from_secs(config.session.abandon_s)),
        },
        history_messages: config.session.history_messages,
        sessions: config.limits.sessions,
    }
}

fn gateway(
    config: &Config,
    hub: &Arc<Hub>,
    (auth, audit): (Arc<Authenticator>, Arc<dyn AuditStore>),
    runner: Arc<Runner>,
    metrics: PrometheusHandle,
) -> Gateway {
    Gateway {
        hub: hub.clone(),
        auth,
        audit,
        audit_days: config.auth.audit_days,
        retriever: runner.retriever.clone(),
        documents: None,
        vectors: None,
        redis: None,
        uploads: Shares::of_documents(),
        tables: Shares::of_tables(),
        vectors_asked: Shares::of_vectors(),
        model: runner.model.clone(),
        runner,
        unsupported: config.llm.unsupported,
        completions: TaskTracker::new(),
        interrupting: CancellationToken::new(),
        top_k: config.knowledge.top_k,
        mcp: Mcp::new(config),
        origins: Arc::new(Origins::new(config)),
        notices: Notices::default(),
        clients: Arc::new(Clients::new(config)),
        sockets: TaskTracker::new(),
        draining: CancellationToken::new(),
        drain: Duration::from_secs(config.server.drain_s),
        store_health: Arc::default(),
        metrics,
    }
}
