//! `rivulet rehearse`: dialogues that an assistant must master, held over a real socket with a gateway that runs; prints what
//! is otherwise than expected.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error as WsError, Message, client::IntoClientRequest, http::HeaderValue},
};

use self::{
    dialogue::{Dialogue, Does, Turn},
    heard::Heard,
};
use crate::{
    auth::{DEFAULT_TENANT, InvalidPrincipal, MintError, Principal, Signer, UNLIMITED},
    chat::Timestamp,
    config::Config,
    load::Endpoint,
    store::{
        StoreError,
        sqlite::{self, SqliteStore},
    },
};

mod dialogue;
mod heard;

/// Who talks, among the users of the tenant.
const USER: &str = "rivulet-rehearse";
/// How long its token is good: a socket is closed when it is over.
const TOKEN_LIFE: Duration = Duration::from_secs(3600);
/// The most of an answer that is printed, in characters.
const SHOWN: usize = 300;

/// Arguments of `rivulet rehearse`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Dialogues: TOML with `assistant` and `[[turn]]`, as docs/assistants.md explains them.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The gateway, like http://127.0.0.1:8080; otherwise the one that has the data folder.
    #[arg(long, value_parser = Endpoint::parse)]
    pub url: Option<Endpoint>,
    /// Whose user talks.
    #[arg(long, value_name = "T", default_value = DEFAULT_TENANT)]
    pub tenant: String,
    /// Seconds that one answer may take.
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,
}

/// Why a rehearsal failed.
#[derive(Debug, thiserror::Error)]
pub enum RehearseError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is no dialogue.
    #[error("{}: {source}", path.display())]
    Dialogue {
        /// Which file.
        path: PathBuf,
        /// What is wrong, and where.
        source: Box<toml::de::Error>,
    },
    /// Nobody is there to talk to.
    #[error("no gateway has the data folder {0}: start it first, or name one with --url")]
    NoGateway(String),
    /// The one that has the data folder cannot be reached by its address.
    #[error("the gateway at {0}: name its http:// address with --url")]
    Address(String),
    /// Who has the data folder cannot be told.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nobody can be called so.
    #[error(transparent)]
    Principal(#[from] InvalidPrincipal),
    /// There can be no token.
    #[error(transparent)]
    Token(#[from] MintError),
    /// The conversation broke off.
    #[error("the gateway: {0}")]
    Broken(String),
    /// Something was otherwise than expected; it was printed.
    #[error("{missed} of {turns} answers were otherwise than expected")]
    Missed {
        /// So many.
        missed: usize,
        /// Of so many.
        turns: usize,
    },
    /// The terminal is gone.
    #[error("cannot write the report: {0}")]
    Output(#[from] io::Error),
}

/// Holds all dialogues, one after the other, and prints each turn with what differs.
///
/// # Errors
/// See [`RehearseError`].
pub async fn run(args: Args, config: &Config) -> Result<(), RehearseError> {
    let dialogues = args.files.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
    let endpoint = match args.url {
        Some(endpoint) => endpoint,
        None => holder(config)?,
    };
    let principal = Principal::new(&args.tenant, USER, vec![UNLIMITED.to_owned()])?;
    let signer = Signer::from_config(&config.auth);
    let minted = signer.map(|signer| signer.mint(&principal, TOKEN_LIFE, Timestamp::now())).transpose()?;
    let token = minted.map(|minted| minted.token);
    let patience = Duration::from_secs(args.timeout);
    let (mut turns, mut missed) = (0, 0);
    for (path, dialogue) in args.files.iter().zip(dialogues) {
        writeln!(io::stdout(), "{}", path.display())?;
        let mut talk: Option<Talk> = None;
        for turn in &dialogue.turns {
            let mut going = match talk.take().filter(|_| !turn.new) {
                Some(going) => going,
                None => Talk::open(&endpoint, dialogue.assistant.as_deref(), token.as_deref()).await?,
            };
            let heard = timeout(patience, going.take(&turn.does)).await;
            let heard = heard.map_err(|_| RehearseError::Broken(format!("no whole answer in {patience:?}")))??;
            turns += 1;
            missed += usize::from(tell(&mut io::stdout(), turn, &heard)?);
            talk = Some(going);
        }
    }
    if missed > 0 {
        return Err(RehearseError::Missed { missed, turns });
    }
    writeln!(io::stdout(), "{turns} answers as expected")?;
    Ok(())
}

fn read(path: &Path) -> Result<Dialogue, RehearseError> {
    let text = fs::read_to_string(path).map_err(|source| RehearseError::Read { path: path.to_owned(), source })?;
    toml::from_str(&text).map_err(|error| RehearseError::Dialogue { path: path.to_owned(), source: Box::new(error) })
}

/// The gateway that has the data folder.
fn holder(config: &Config) -> Result<Endpoint, RehearseError> {
    let data_dir = &config.server.data_dir;
    let holder = SqliteStore::holder(data_dir.join(sqlite::FILE_NAME))?;
    let url =
        holder.map(|holder| holder.url).ok_or_else(|| RehearseError::NoGateway(data_dir.display().to_string()))?;
    Endpoint::parse(&url).map_err(|_| RehearseError::Address(url))
}

/// Prints a turn; whether anything was missed.
fn tell(out: &mut impl Write, turn: &Turn, heard: &Heard) -> io::Result<bool> {
    let missed = turn.expect.missed(heard);
    writeln!(out, "  {} {}", if missed.is_empty() { "ok  " } else { "FAIL" }, turn.does)?;
    for line in &missed {
        writeln!(out, "       {line}")?;
    }
    if !missed.is_empty() {
        let shown: String = heard.text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
        writeln!(out, "       the answer was: {shown}")?;
    }
    Ok(!missed.is_empty())
}

/// A conversation.
struct Talk {
    socket: WebSocketStream<TcpStream>,
    said: u32,
    /// The call that waits.
    waits: Option<Value>,
}

impl Talk {
    /// Begins one, with this assistant.
    async fn open(endpoint: &Endpoint, assistant: Option<&str>, token: Option<&str>) -> Result<Self, RehearseError> {
        let mut request = endpoint.begin(assistant).into_client_request().map_err(broken)?;
        if let Some(token) = token {
            let value = HeaderValue::try_from(format!("Bearer {token}")).map_err(broken)?;
            request.headers_mut().insert("authorization", value);
        }
        let stream = TcpStream::connect(endpoint.authority()).await.map_err(broken)?;
        let (socket, _) = client_async(request, stream).await.map_err(|error| match error {
            WsError::Http(response) => {
                let body = response.body().as_deref().unwrap_or_default();
                let problem: Value = serde_json::from_slice(body).unwrap_or_default();
                let detail = problem["detail"].as_str().map_or_else(|| response.status().to_string(), str::to_owned);
                RehearseError::Broken(detail)
            }
            other => broken(other),
        })?;
        Ok(Self { socket, said: 0, waits: None })
    }

    /// Does something, and hears the whole answer.
    async fn take(&mut self, does: &Does) -> Result<Heard, RehearseError> {
        self.said += 1;
        let id = format!("turn-{}-{}", self.said, uuid::Uuid::new_v4().simple());
        let frame = match (does, self.waits.take()) {
            (Does::Say(text), _) => json!({ "type": "send", "id": id, "text": text }),
            (Does::Decide(decided), Some(waits)) => json!({
                "type": "approve", "id": id, "approval": waits["id"], "digest": waits["digest"], "decision": decided.as_str(),
            }),
            (Does::Decide(_), None) => return Err(broken("no call waits for a decision")),
        };
        self.send(&frame).await?;
        let mut heard = Heard::default();
        loop {
            let frame = self.frame().await?;
            match frame["type"].as_str() {
                Some("ping") => self.send(&json!({ "type": "pong" })).await?,
                Some("error") if frame["re"].is_null() || frame["re"] == *id => {
                    let part = |name: &str| frame[name].as_str().unwrap_or_default().to_owned();
                    return Err(RehearseError::Broken(format!("{}: {}", part("code"), part("message"))));
                }
                _ if heard.hear(&frame) => {
                    self.waits.clone_from(&heard.waits);
                    return Ok(heard);
                }
                _ => {}
            }
        }
    }

    async fn send(&mut self, frame: &Value) -> Result<(), RehearseError> {
        self.socket.send(Message::text(frame.to_string())).await.map_err(broken)
    }

    async fn frame(&mut self) -> Result<Value, RehearseError> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).map_err(broken),
                Some(Ok(Message::Close(Some(close)))) => {
                    return Err(RehearseError::Broken(format!("closed with {}: {}", close.code, close.reason)));
                }
                Some(Ok(Message::Close(None))) | None => {
                    return Err(RehearseError::Broken("the connection is gone".to_owned()));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(broken(error)),
            }
        }
    }
}

fn broken(error: impl ToString) -> RehearseError {
    RehearseError::Broken(error.to_string())
}
