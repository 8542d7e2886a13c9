//! Tools of servers that speak MCP. A server is connected to with the first call, left alone for a while when it fails again and
//! again, and asked for nothing but tools that are as the operator has pinned them.
//!
//! What it says is bounded before it is read, and data: it goes to a model as any other result does.

mod answer;
mod bounded;
mod link;
mod vouch;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

use self::link::{Fault, Link, Telling};
use super::{error::ToolError, output::Output, progress::Reporter};
use crate::{
    chat::Owner,
    config::{McpReach, McpServer, McpToken, McpTool, Pin},
    formula::Arguments,
    telemetry::metrics::MCP_REQUESTS,
};

/// A server is asked for so much at a time; what follows waits.
const AT_ONCE: usize = 4;
/// After so many failures in a row a server is left alone, for so long.
const FAILURES: u32 = 3;
const LEFT_ALONE: Duration = Duration::from_secs(60);

/// A call of a tool.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) tool: &'a McpTool,
    pub(super) arguments: &'a Arguments,
    pub(super) owner: Option<&'a Owner>,
    pub(super) progress: &'a Reporter,
}

/// The servers that were asked so far, by name.
#[derive(Debug, Default)]
pub(super) struct Servers(Mutex<HashMap<String, Arc<Server>>>);

/// One server.
#[derive(Debug)]
struct Server {
    settings: Arc<McpServer>,
    places: Semaphore,
    link: tokio::sync::Mutex<Option<Arc<Link>>>,
    health: Mutex<Health>,
    /// The tools that are not as they were pinned.
    off: Mutex<BTreeSet<String>>,
    telling: Telling,
}

#[derive(Debug, Default)]
struct Health {
    failures: u32,
    until: Option<Instant>,
    /// Whose calls failed, where it has to know who asks: one person's failures say nothing of others'.
    of: Vec<Owner>,
}

impl Health {
    fn is_left_alone(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() < until)
    }
}

/// How a server stands that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerState {
    /// Its name.
    pub name: String,
    /// Whether it has failed again and again, and is not asked for a while.
    pub is_left_alone: bool,
    /// The tools that are off, because they are not as they were pinned.
    pub off: Vec<String>,
}

impl Servers {
    /// Asks the server of a tool. To stop it is to drop this: the server is told.
    pub(super) async fn call(&self, call: Call<'_>) -> Result<Output, ToolError> {
        let tool = call.tool;
        let server = self.of(&tool.server);
        let came = server.call(call).await;
        let outcome = match &came {
            Ok(_) => "ok",
            Err(Fault::Said(_)) => "error",
            Err(Fault::Off(_) | Fault::Nobody) => "off",
            Err(Fault::Alone) => "left_alone",
            Err(Fault::Slow) => "timeout",
            Err(Fault::Connect(_) | Fault::Gone(_)) => "unavailable",
        };
        metrics::counter!(MCP_REQUESTS, "server" => tool.server.name.clone(), "outcome" => outcome).increment(1);
        came.map_err(Into::into)
    }

    /// How those stand that were asked, by name.
    pub(super) fn states(&self) -> Vec<ServerState> {
        let known = self.0.lock();
        let mut states: Vec<_> = known.values().map(|server| server.state()).collect();
        states.sort_by(|one, other| one.name.cmp(&other.name));
        states
    }

    /// Forgets those that are not among `servers`; who is asking one goes on.
    pub(super) fn keep(&self, servers: &[&str]) {
        self.0.lock().retain(|name, _| servers.contains(&name.as_str()));
    }

    /// With other settings, a server is another one.
    fn of(&self, settings: &Arc<McpServer>) -> Arc<Server> {
        let mut known = self.0.lock();
        let server = known.entry(settings.name.clone()).or_insert_with(|| Arc::new(Server::new(settings)));
        if server.settings != *settings {
            *server = Arc::new(Server::new(settings));
        }
        server.clone()
    }
}

/// What the tools of a server say of themselves at the moment.
///
/// # Errors
/// Why they cannot be had, in words for the operator.
pub async fn look_at(server: &McpServer) -> Result<BTreeMap<String, Pin>, String> {
    let looked = async {
        let link = Link::open(server, None).await?;
        link.list().await
    };
    match timeout(Duration::from_secs_f64(server.connect_s), looked).await {
        Ok(found) => found.map_err(|fault| fault.to_string()),
        Err(_) => Err(Fault::Slow.to_string()),
    }
}

impl Server {
    fn new(settings: &Arc<McpServer>) -> Self {
        Self {
            settings: settings.clone(),
            places: Semaphore::new(AT_ONCE),
            link: tokio::sync::Mutex::default(),
            health: Mutex::default(),
            off: Mutex::default(),
            telling: Telling::default(),
        }
    }

    fn state(&self) -> ServerState {
        ServerState {
            name: self.settings.name.clone(),
            is_left_alone: self.health.lock().is_left_alone(),
            off: self.off.lock().iter().cloned().collect(),
        }
    }

    /// Whether it has to know who asks.
    fn is_personal(&self) -> bool {
        matches!(self.settings.reach, McpReach::Http { token: Some(McpToken::OfWhoAsks(_)), .. })
    }

    async fn call(&self, call: Call<'_>) -> Result<Output, Fault> {
        let owner = call.owner;
        if self.is_personal() && owner.is_none() {
            return Err(Fault::Nobody);
        }
        let Ok(_place) = self.places.acquire().await else { return Err(Fault::Alone) };
        if self.health.lock().is_left_alone() {
            return Err(Fault::Alone);
        }
        let came = self.ask(call).await;
        match &came {
            Err(fault @ (Fault::Connect(_) | Fault::Gone(_) | Fault::Slow)) => self.failed(fault, owner).await,
            _ => *self.health.lock() = Health::default(),
        }
        came
    }

    async fn ask(&self, Call { tool, arguments, owner, progress }: Call<'_>) -> Result<Output, Fault> {
        let link = self.linked(owner).await?;
        let holds = link.holds(tool, Duration::from_secs_f64(self.settings.connect_s)).await;
        match &holds {
            Ok(()) => drop(self.off.lock().remove(&tool.title)),
            Err(Fault::Off(_)) => drop(self.off.lock().insert(tool.title.clone())),
            Err(_) => {}
        }
        holds?;
        let clocks = (self.settings.call_s, self.settings.call_total_s);
        let clocks = (Duration::from_secs_f64(clocks.0), Duration::from_secs_f64(clocks.1));
        let called = (tool.remote.as_str(), arguments.as_json().clone());
        let said = link.ask(called, clocks, progress, &self.telling).await?;
        answer::read(said).map_err(Fault::Said)
    }

    /// The connection: the one that there is, or a new one. Where the server has to know who asks, each call has its own: no
    /// session there is two people's.
    async fn linked(&self, owner: Option<&Owner>) -> Result<Arc<Link>, Fault> {
        if self.is_personal() {
            return self.open(owner).await;
        }
        let mut link = self.link.lock().await;
        if let Some(link) = link.as_ref().filter(|link| link.is_open()) {
            return Ok(link.clone());
        }
        *link = None; // What it was of ends first.
        Ok(link.insert(self.open(None).await?).clone())
    }

    async fn open(&self, owner: Option<&Owner>) -> Result<Arc<Link>, Fault> {
        let opening = timeout(Duration::from_secs_f64(self.settings.connect_s), Link::open(&self.settings, owner));
        Ok(Arc::new(opening.await.map_err(|_| Fault::Connect("it did not answer in time".to_owned()))??))
    }

    async fn failed(&self, fault: &Fault, owner: Option<&Owner>) {
        let is_too_much = {
            let mut health = self.health.lock();
            match owner.filter(|_| self.is_personal()) {
                Some(owner) if health.of.contains(owner) => {}
                owner => {
                    health.failures += 1;
                    health.of.extend(owner.cloned());
                }
            }
            let is_too_much = health.failures >= FAILURES;
            if is_too_much {
                *health = Health { until: Some(Instant::now() + LEFT_ALONE), ..Health::default() };
            }
            is_too_much
        };
        let name = &self.settings.name;
        tracing::warn!(server = %name, %fault, left_alone = is_too_much, "a server of tools failed");
        if is_too_much {
            *self.link.lock().await = None; // It begins anew.
        }
    }
}
