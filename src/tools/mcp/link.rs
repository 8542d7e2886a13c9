//! A connection to a server: a program's standard input and output, or streamable HTTP.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use process_wrap::tokio::{ChildWrapper, CommandWrap, ProcessGroup};
use reqwest::redirect::Policy;
use rmcp::{
    ClientHandler, RoleClient, ServiceError,
    model::{
        CallToolRequest, CallToolRequestParams, CallToolResult, CancelledNotification, CancelledNotificationParam,
        ClientCapabilities, ClientConfig, ClientNotification, ClientRequest, Implementation, JsonObject,
        PaginatedRequestParams, ProgressNotificationParam, ProgressToken, ProtocolVersion, RequestId, ServerResult,
        Tool as Listed,
    },
    service::{ClientLifecycleMode, ClientServiceExt, NotificationContext, PeerRequestOptions, RunningService},
    transport::{
        async_rw::AsyncRwTransport,
        streamable_http_client::{StreamableHttpClientTransport, StreamableHttpClientTransportConfig},
    },
};
use tokio::{
    io::AsyncReadExt,
    process::{ChildStderr, Command},
    runtime::Handle,
    task::JoinSet,
    time::timeout,
};

use super::{bounded::Bounded, vouch};
use crate::{
    chat::{Owner, Timestamp},
    config::{McpReach, McpServer, McpToken, McpTool, Pin},
    llm::innermost,
    tools::{
        error::ToolError,
        guard::{Guard, REFUSED},
        http::literal,
        progress::Reporter,
    },
};

/// Longer messages of a server are not read, in bytes.
const MAX_MESSAGE: usize = 1 << 20;
/// The longest body of a refusal that is read, in bytes.
const MAX_REFUSAL: usize = 64 << 10;
/// The most pages of a list of tools, and the most tools.
const MAX_PAGES: usize = 16;
const MAX_TOOLS: usize = 128;
/// The longest description of a tool, and the longest schema, in bytes: longer ones are not offered.
const MAX_DESCRIPTION: usize = 4000;
const MAX_SCHEMA: usize = 16 << 10;
/// So much of what a program says on its standard error is logged, in bytes; the rest is read and dropped.
const MAX_LOGGED: usize = 64 << 10;
/// How long it may take to tell a server that nobody waits for an answer any more.
const TELLING: Duration = Duration::from_secs(2);

/// Why a server was of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// There is no connection; nothing was asked.
    #[error("there is no connection: {0}")]
    Connect(String),
    /// It ended before there was an answer, or what it answered cannot be read.
    #[error("{0}")]
    Gone(String),
    /// It took too long.
    #[error("it did not answer in time")]
    Slow,
    /// It says so itself.
    #[error("{0}")]
    Said(String),
    /// The tool is not as it was pinned.
    #[error("{0}")]
    Off(String),
    /// Nobody has said who asks, and it has to know.
    #[error("it is asked in the name of somebody, and nobody has said who they are")]
    Nobody,
    /// It failed too often.
    #[error("it has failed several times and is left alone for a minute")]
    Alone,
}

impl From<Fault> for ToolError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Connect(why) => Self::Off(why),
            Fault::Said(why) => Self::Said(why),
            Fault::Off(why) => Self::Off(why),
            fault @ (Fault::Alone | Fault::Nobody) => Self::Off(fault.to_string()),
            fault @ (Fault::Gone(_) | Fault::Slow) => Self::Unreachable(fault.to_string()),
        }
    }
}

impl From<ServiceError> for Fault {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::McpError(error) => Self::Said(crate::chat::printable(&error.message, 2000)),
            ServiceError::Timeout { .. } => Self::Slow,
            ServiceError::TransportClosed => Self::Gone("the connection has ended".to_owned()),
            other => Self::Gone(crate::chat::printable(&other.to_string(), 400)),
        }
    }
}

/// A connection to a server.
pub(super) struct Link {
    service: RunningService<RoleClient, Watcher>,
    /// What its tools say of themselves; `None`: that has to be asked.
    listed: tokio::sync::Mutex<Option<BTreeMap<String, Pin>>>,
    is_stale: Arc<AtomicBool>,
    calls: InHand,
    /// The program, where there is one.
    _child: Option<Child>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

/// Who is told how far the calls are that a server has in hand, and how far they are known to be: words may overtake each other
/// on their way here, and progress only rises.
type InHand = Arc<Mutex<HashMap<ProgressToken, (Reporter, f64)>>>;

/// A call that is told of, until it has come back.
struct Heard<'a> {
    calls: &'a InHand,
    token: ProgressToken,
}

impl<'a> Heard<'a> {
    fn new(calls: &'a InHand, token: ProgressToken, progress: &Reporter) -> Self {
        calls.lock().insert(token.clone(), (progress.clone(), f64::NEG_INFINITY));
        Self { calls, token }
    }
}

impl Drop for Heard<'_> {
    fn drop(&mut self) {
        self.calls.lock().remove(&self.token);
    }
}

/// Hears that a server has other tools by now, and how far it is with what it was asked. A server is offered nothing: no
/// sampling, no roots, no questions to people.
struct Watcher {
    is_stale: Arc<AtomicBool>,
    calls: InHand,
}

impl ClientHandler for Watcher {
    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(ClientCapabilities::default(), Implementation::new("rivulet", env!("CARGO_PKG_VERSION")))
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.is_stale.store(true, Ordering::Release);
    }

    async fn on_progress(&self, told: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        if let Some((call, before)) = self.calls.lock().get_mut(&told.progress_token)
            && told.progress > *before
        {
            *before = told.progress;
            call.tell(told.progress, told.total, told.message.as_deref());
        }
    }
}

/// A program, and all that it has begun: they end with this.
struct Child {
    process: Mutex<Box<dyn ChildWrapper>>,
    _errors: JoinSet<()>,
}

impl Drop for Child {
    fn drop(&mut self) {
        // There is nobody to be told; one that has ended already is as good.
        let _ = self.process.get_mut().start_kill();
    }
}

impl Link {
    /// Connects, and finds out which version of the protocol is spoken. How long that may take is the caller's to say. A server
    /// that has to know who asks is told `owner`, or that it is the gateway.
    pub(super) async fn open(server: &McpServer, owner: Option<&Owner>) -> Result<Self, Fault> {
        let is_stale = Arc::new(AtomicBool::new(false));
        let calls = InHand::default();
        let watcher = Watcher { is_stale: is_stale.clone(), calls: calls.clone() };
        let lifecycle =
            ClientLifecycleMode::Auto { preferred_versions: vec![ProtocolVersion::V_2026_07_28], legacy_version: None };
        let unfit = |error: &dyn std::fmt::Display| Fault::Connect(crate::chat::printable(&error.to_string(), 400));
        let (service, child) = match &server.reach {
            McpReach::Child { .. } => {
                let (child, transport) = begin(server).map_err(|error| unfit(&error))?;
                let service = watcher.serve_with_lifecycle(Bounded::new(transport), lifecycle).await;
                (service.map_err(|error| unfit(&error))?, Some(child))
            }
            McpReach::Http { url, private_hosts, token } => {
                let client = client(url, Guard::new(private_hosts)).map_err(Fault::Connect)?;
                let config = StreamableHttpClientTransportConfig::with_uri(url.as_str())
                    .max_json_response_size(MAX_MESSAGE)
                    .max_sse_event_size(MAX_MESSAGE)
                    .max_error_response_size(MAX_REFUSAL)
                    .session_recovery_timeout(Duration::from_secs(5))
                    .reinit_on_expired_session(true);
                let config = match token {
                    Some(McpToken::Fixed(token)) => config.auth_header(token.expose()),
                    Some(McpToken::OfWhoAsks(secret)) => {
                        let token = vouch::token(secret, url, owner, Timestamp::now());
                        config.auth_header(token.map_err(|error| unfit(&error))?)
                    }
                    None => config,
                };
                let transport = StreamableHttpClientTransport::with_client(client, config);
                let service = watcher.serve_with_lifecycle(Bounded::new(transport), lifecycle).await;
                (service.map_err(|error| unfit(&error))?, None)
            }
        };
        Ok(Self { service, listed: tokio::sync::Mutex::default(), is_stale, calls, _child: child })
    }

    pub(super) fn is_open(&self) -> bool {
        !self.service.is_closed() && !self.service.is_transport_closed()
    }

    /// Whether a tool is as it was pinned.
    pub(super) async fn holds(&self, tool: &McpTool, patience: Duration) -> Result<(), Fault> {
        let mut listed = self.listed.lock().await;
        if self.is_stale.swap(false, Ordering::AcqRel) {
            *listed = None;
        }
        let tools = match &mut *listed {
            Some(tools) => tools,
            unknown => {
                let found = timeout(patience, self.list()).await.map_err(|_| Fault::Slow)??;
                unknown.insert(found)
            }
        };
        let why = match tools.get(&tool.remote) {
            Some(found) if found.hash == tool.pin.hash => return Ok(()),
            Some(_) => "it is not what it was when the operator looked at it",
            None => "its server has no such tool any more",
        };
        tracing::warn!(tool = %tool.title, "a tool is off: {why}");
        Err(Fault::Off(why.to_owned()))
    }

    /// What its tools say of themselves.
    pub(super) async fn list(&self) -> Result<BTreeMap<String, Pin>, Fault> {
        let (mut tools, mut cursor) = (BTreeMap::new(), None);
        for _ in 0..MAX_PAGES {
            let page = PaginatedRequestParams::default().with_cursor(cursor);
            let listed = self.service.peer().list_tools(Some(page)).await?;
            for tool in listed.tools {
                let (name, pin) = pinned(tool);
                let is_fit = !name.is_empty()
                    && pin.description.len() <= MAX_DESCRIPTION
                    && serde_json::to_string(&pin.schema).is_ok_and(|text| text.len() <= MAX_SCHEMA);
                if is_fit {
                    tools.insert(name, pin);
                }
            }
            if tools.len() > MAX_TOOLS {
                return Err(Fault::Gone(format!("it has more than {MAX_TOOLS} tools")));
            }
            cursor = listed.next_cursor;
            if cursor.is_none() {
                return Ok(tools);
            }
        }
        Err(Fault::Gone(format!("its list of tools has more than {MAX_PAGES} pages")))
    }

    /// Calls a tool. Every word of progress gives it `clocks.0` again, but no more than `clocks.1` in all. The server is told when
    /// it is over, and when this is dropped before there is an answer; who tells it is among `cancelling`.
    pub(super) async fn ask(
        self: Arc<Self>,
        (name, arguments): (&str, JsonObject),
        clocks: (Duration, Duration),
        progress: &Reporter,
        cancelling: &Cancelling,
    ) -> Result<CallToolResult, Fault> {
        let params = CallToolRequestParams::new(name.to_owned()).with_arguments(arguments);
        let options =
            PeerRequestOptions::with_timeout(clocks.0).reset_timeout_on_progress().with_max_total_timeout(clocks.1);
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        let sent = self.service.peer().send_request_with_option(request, options).await?;
        // What was said before this is not missed: more of it follows.
        let _heard = Heard::new(&self.calls, sent.progress_token.clone(), progress);
        let mut waiting = Waiting { id: Some(sent.id.clone()), link: self.clone(), cancelling };
        let came = sent.await_response().await;
        waiting.id = None;
        match came? {
            ServerResult::CallToolResult(result) => Ok(result),
            ServerResult::EmptyResult(_) => Ok(CallToolResult::default()),
            _ => Err(Fault::Gone("what it answered is no result of a tool".to_owned())),
        }
    }

    async fn stopped(&self, id: RequestId) {
        let said = CancelledNotificationParam::new(Some(id), Some("nobody waits for it any more".to_owned()));
        let said = ClientNotification::CancelledNotification(CancelledNotification::new(said));
        let _ = timeout(TELLING, self.service.peer().send_notification(said)).await; // One that is gone need not know.
    }
}

/// Those that tell servers that nobody waits any more.
pub(super) type Cancelling = Mutex<JoinSet<()>>;

/// Somebody waits for an answer.
struct Waiting<'a> {
    id: Option<RequestId>,
    link: Arc<Link>,
    cancelling: &'a Cancelling,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let (Some(id), Ok(runtime)) = (self.id.take(), Handle::try_current()) else { return };
        let link = self.link.clone();
        let mut cancelling = self.cancelling.lock();
        while cancelling.try_join_next().is_some() {}
        cancelling.spawn_on(async move { link.stopped(id).await }, &runtime);
    }
}

fn pinned(tool: Listed) -> (String, Pin) {
    let reads = tool.annotations.as_ref().is_some_and(|hints| hints.read_only_hint == Some(true));
    let description = tool.description.unwrap_or_default().into_owned();
    let schema = Arc::unwrap_or_clone(tool.input_schema);
    let pin = Pin::new(&tool.name, description, schema, reads);
    (tool.name.into_owned(), pin)
}

type Pipes = AsyncRwTransport<RoleClient, tokio::process::ChildStdout, tokio::process::ChildStdin>;

/// Begins a program, in a folder and a group of its own, with no more of an environment than it is given.
fn begin(server: &McpServer) -> std::io::Result<(Child, Pipes)> {
    let McpReach::Child { command, args, env, folder } = &server.reach else {
        return Err(std::io::Error::other("it is no program"));
    };
    fs::create_dir_all(folder)?;
    let mut program = Command::new(command);
    program.args(args).env_clear().envs(env.iter().map(|(name, value)| (name, value.expose()))).current_dir(folder);
    program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut process = CommandWrap::from(program).wrap(ProcessGroup::leader()).spawn()?;
    let pipes = (process.stdout().take(), process.stdin().take(), process.stderr().take());
    let mut errors = JoinSet::new();
    let (Some(output), Some(input), Some(said)) = pipes else {
        return Err(std::io::Error::other("it has no standard input and output"));
    };
    errors.spawn(log(server.name.clone(), said));
    let transport = AsyncRwTransport::new(output, input).with_max_line_length(MAX_MESSAGE);
    Ok((Child { process: Mutex::new(process), _errors: errors }, transport))
}

/// What a program says on its standard error. It is read to its end, or the program would wait for that.
async fn log(server: String, mut said: ChildStderr) {
    let (mut piece, mut logged) = (vec![0; 4096], 0);
    while let Ok(read @ 1..) = said.read(&mut piece).await {
        if logged < MAX_LOGGED {
            let text = crate::chat::printable(&String::from_utf8_lossy(&piece[..read]), 4096);
            tracing::debug!(%server, "{text}");
            logged += read;
        }
    }
}

/// As tools of kind `http` are asked: at the address that is written, and nowhere else.
fn client(url: &str, guard: Guard) -> Result<reqwest::Client, String> {
    let url = reqwest::Url::parse(url).map_err(|error| error.to_string())?;
    if literal(&url).is_some_and(|address| !guard.allows(address)) {
        return Err(REFUSED.to_owned());
    }
    let builder = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(5))
        .redirect(Policy::none())
        .referer(false)
        .no_proxy()
        .dns_resolver(guard)
        .user_agent(concat!("rivulet/", env!("CARGO_PKG_VERSION")));
    builder.build().map_err(innermost)
}
