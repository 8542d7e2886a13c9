//! One session on the network: connects, asks, reads, is cut, comes back, and lets the transcript judge.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout_at},
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Error as WsError, Message, protocol::WebSocketConfig, protocol::frame::coding::CloseCode},
};

use super::{
    history::Event,
    plan::{Plan, unlike_any},
    report::{Board, Tally},
    stored::{self, FetchError},
    transcript::{Reaction, Transcript},
};

/// The longest wait before a reconnect; short, because the question is how the gateway bears it.
const BACKOFF: Duration = Duration::from_secs(2);
/// The wait before what is stored is asked for again, when the gateway could not be reached.
const FETCH_AGAIN: Duration = Duration::from_millis(500);

/// Why a session cannot go on.
struct Fatal(String);

/// Why a socket is of no use any more.
enum Gone {
    /// Connect again and resume.
    Lost,
    /// The same, on purpose.
    Cut,
    /// There is no such session.
    NotFound,
    /// There is no sense in coming back.
    Fatal(Fatal),
}

/// A question that is being answered.
struct Question {
    id: String,
    /// Of its text.
    crc32: u32,
    acked: bool,
    /// The log's incarnation when it was asked first.
    epoch: Option<String>,
    sent_at: Option<Instant>,
    /// When its newest text came over the connection that stands.
    grew_at: Option<Instant>,
    has_text: bool,
}

/// One conversation.
pub(super) struct Session {
    plan: Arc<Plan>,
    board: Arc<Board>,
    addresses: Arc<[SocketAddr]>,
    index: usize,
    rng: SmallRng,
    transcript: Transcript,
    socket: Option<WebSocketStream<TcpStream>>,
    connected_before: bool,
    /// A message was acknowledged, so that the session has to stay.
    acked: bool,
    /// Failed attempts in a row.
    attempts: u32,
    /// What the gateway asked for in a `goaway`.
    wait: Option<Duration>,
    /// The gateway has said that it goes away, while the question was open.
    draining: bool,
    tally: Tally,
}

impl Session {
    pub(super) fn new(plan: Arc<Plan>, board: Arc<Board>, addresses: Arc<[SocketAddr]>, index: usize) -> Self {
        let rng = SmallRng::seed_from_u64(plan.seed.wrapping_add(index as u64));
        Self {
            plan,
            board,
            addresses,
            index,
            rng,
            transcript: Transcript::default(),
            socket: None,
            connected_before: false,
            acked: false,
            attempts: 0,
            wait: None,
            draining: false,
            tally: Tally::default(),
        }
    }

    /// Asks every question, and then what was stored.
    pub(super) async fn run(mut self, http: &reqwest::Client) -> Tally {
        for number in 0..self.plan.messages {
            if self.plan.stop.is_cancelled() {
                break;
            }
            let id = format!("q{}-{}-{number}", self.plan.seed, self.index);
            let deadline = Instant::now() + self.plan.timeout;
            match timeout_at(deadline, self.ask(&id)).await {
                Ok(Ok(())) => self.tally.answered += 1,
                Ok(Err(Fatal(text))) => {
                    self.record(Event::GaveUp { reason: text.clone() });
                    self.tally.fail(text);
                    break;
                }
                Err(_) => {
                    self.tally.faults.lost += 1;
                    let begun = if self.transcript.begun(&id) { "its run began" } else { "no run began" };
                    let reason = format!("no whole answer within {:?}; {begun}", self.plan.timeout);
                    self.record(Event::GaveUp { reason: reason.clone() });
                    self.tally.note(reason);
                    break;
                }
            }
        }
        self.leave().await;
        self.compare(http).await;
        self.tally.faults.add(&self.transcript.faults);
        self.tally
    }

    async fn leave(&mut self) {
        if let Some(mut socket) = self.socket.take() {
            // A gateway that does not answer the close has been judged already.
            let _ = timeout_at(Instant::now() + Duration::from_secs(1), socket.close(None)).await;
        }
    }

    async fn compare(&mut self, http: &reqwest::Client) {
        let Some(session) = self.transcript.session() else { return };
        let most = usize::try_from(2 * self.tally.sent).unwrap_or(usize::MAX);
        let deadline = Instant::now() + self.plan.timeout;
        loop {
            match stored::fetch(http, &self.plan.endpoints, session, most).await {
                Ok(stored) => return stored::compare(&stored, &self.transcript, &mut self.tally),
                // Being restarted, perhaps.
                Err(FetchError::Unreachable(_)) if Instant::now() < deadline => sleep(FETCH_AGAIN).await,
                Err(FetchError::NotStored) if self.may_be_forgotten() => return,
                Err(error) => return self.tally.fail(error.to_string()),
            }
        }
    }

    /// Into the history, where one is wanted.
    fn record(&self, event: Event) {
        if let Some(history) = &self.board.history {
            history.record(self.index, self.transcript.session(), event);
        }
    }

    /// Takes one frame.
    fn apply(&mut self, text: &str) -> Reaction {
        let step = self.transcript.apply(text);
        if self.board.history.is_some()
            && let Some(event) = Event::told_by(text)
        {
            self.record(event);
        }
        step
    }

    /// Sends a question until it is acknowledged, and reads until its answer is proven.
    async fn ask(&mut self, id: &str) -> Result<(), Fatal> {
        let text = unlike_any(&self.plan.text);
        let frame = serde_json::json!({ "type": "send", "id": id, "text": text }).to_string();
        let mut question = Question {
            id: id.to_owned(),
            crc32: crc32fast::hash(text.as_bytes()),
            acked: false,
            epoch: None,
            sent_at: None,
            grew_at: None,
            has_text: false,
        };
        self.draining = false;
        loop {
            match self.ask_once(&mut question, &frame).await {
                Ok(()) => return self.note_end(&question),
                Err(gone @ (Gone::Lost | Gone::Cut)) => {
                    self.record(Event::Lost { cut: matches!(gone, Gone::Cut) });
                    self.socket = None;
                    question.grew_at = None;
                }
                Err(Gone::NotFound) if self.may_be_forgotten() => self.transcript.begin_anew(),
                Err(Gone::NotFound) => return Err(Fatal("the session is not there any more".to_owned())),
                Err(Gone::Fatal(fatal)) => return Err(fatal),
            }
        }
    }

    /// A session is stored with its first message, and promised with its acknowledgement.
    fn may_be_forgotten(&self) -> bool {
        !self.acked && self.transcript.is_untouched()
    }

    fn note_end(&mut self, question: &Question) -> Result<(), Fatal> {
        let Some(proof) = self.transcript.answer(&question.id) else {
            return Err(Fatal("an answer is there and not there".to_owned()));
        };
        self.record(Event::proven(&question.id, self.transcript.answer_id(&question.id), proof));
        let status = proof.status.as_str();
        *self.tally.runs.entry(status.to_owned()).or_default() += 1;
        let restarted = self.draining || question.epoch.as_deref() != Some(self.transcript.epoch());
        let excused = restarted && status == "interrupted";
        // Whatever else a status says, nobody here stopped the run, and its answer is not whole.
        if !matches!(status, "complete" | "length") && !excused {
            self.tally.fail(format!("a run ended with status {status}"));
        }
        if status == "complete"
            && let Some(text) = &self.plan.expect
            && !proof.holds(text)
            && !text.strip_suffix('\n').is_some_and(|text| proof.holds(text))
        {
            self.tally.faults.altered += 1;
            self.tally.note(format!("a complete answer of {} units is not the expected text", proof.units));
        }
        Ok(())
    }

    /// As far as one connection carries.
    async fn ask_once(&mut self, question: &mut Question, frame: &str) -> Result<(), Gone> {
        if self.socket.is_none() {
            self.connect().await?;
        }
        question.epoch.get_or_insert_with(|| self.transcript.epoch().to_owned());
        if !question.acked && !self.transcript.begun(&question.id) {
            if question.sent_at.is_none() {
                self.tally.sent += 1;
                question.sent_at = Some(Instant::now());
            }
            self.ask_again(question, frame).await?;
            self.cut()?;
        }
        while self.transcript.answer(&question.id).is_none() {
            let text = self.read().await?;
            match self.apply(&text) {
                Reaction::Grew(of) if of.as_ref().is_none_or(|of| *of == question.id) => self.grew(question)?,
                Reaction::Acked(re) if re == question.id => (question.acked, self.acked) = (true, true),
                Reaction::Refused { re, code, retryable: true, retry_in_ms } if re.as_ref() == Some(&question.id) => {
                    tracing::debug!(code, "refused for now");
                    let jitter = self.rng.random_range(10..100);
                    sleep(Duration::from_millis(retry_in_ms + jitter)).await;
                    self.ask_again(question, frame).await?;
                }
                Reaction::Refused { code, retryable: true, .. } => self.tally.note(format!("refused for now: {code}")),
                Reaction::Refused { code, .. } => return fatal(format!("refused: {code}")),
                Reaction::GivenUp => return fatal("a text stays wrong however often it is asked for".to_owned()),
                other => self.follow(other).await?,
            }
        }
        Ok(())
    }

    async fn ask_again(&mut self, question: &Question, frame: &str) -> Result<(), Gone> {
        // Before it is sent: what may have arrived must be in the history.
        self.record(Event::Sent { id: question.id.clone(), crc32: question.crc32 });
        self.send(frame.to_owned()).await
    }

    /// What any frame may ask for, whatever is being waited for.
    async fn follow(&mut self, step: Reaction) -> Result<(), Gone> {
        match step {
            Reaction::Sync(run, off) => {
                self.tally.syncs += 1;
                self.send(serde_json::json!({ "type": "sync", "run": run, "off": off }).to_string()).await
            }
            Reaction::Ping(pong) => self.send(pong).await,
            Reaction::Goaway(retry_in_ms) => {
                self.wait = Some(Duration::from_millis(retry_in_ms));
                self.draining = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Measures, and perhaps cuts the socket.
    fn grew(&mut self, question: &mut Question) -> Result<(), Gone> {
        let now = Instant::now();
        self.board.delta();
        if let Some(before) = question.grew_at.replace(now) {
            self.board.next_text(now - before);
        }
        if !question.has_text {
            question.has_text = true;
            self.board.first_text(now - question.sent_at.unwrap_or(now));
        }
        self.cut()
    }

    /// Perhaps cuts the socket: dropped, without a close frame, with whatever is under way in it.
    fn cut(&mut self) -> Result<(), Gone> {
        if self.plan.cut > 0.0 && self.rng.random_bool(self.plan.cut) {
            self.tally.cuts += 1;
            return Err(Gone::Cut);
        }
        Ok(())
    }

    /// Connects, says where to go on, and waits for the welcome. Asks again for what is missing of ended runs.
    async fn connect(&mut self) -> Result<(), Gone> {
        self.pause().await;
        let cursor = self.transcript.cursor();
        let at = self.rng.random_range(0..self.addresses.len());
        let resumed = self.transcript.session().map(|session| (session, cursor.as_str()));
        let opened = open(&self.plan.endpoints[at].socket(resumed), self.addresses[at]).await;
        if self.connected_before {
            self.tally.reconnects += 1;
        }
        self.socket = Some(opened?);
        loop {
            let text = self.read().await?;
            match self.apply(&text) {
                Reaction::Welcome => break,
                Reaction::Refused { code, retryable: false, .. } => return fatal(format!("refused: {code}")),
                other => self.follow(other).await?,
            }
        }
        self.attempts = 0;
        self.connected_before = true;
        self.cut()?;
        for (run, off) in self.transcript.unproven() {
            self.follow(Reaction::Sync(run, off)).await?;
        }
        Ok(())
    }

    /// Waits before a connection that is not the first: what a goaway said, or a random part of a time that
    /// doubles with every failure.
    async fn pause(&mut self) {
        let longest = BACKOFF.min(Duration::from_millis(50) * 2u32.saturating_pow(self.attempts));
        let first = !self.connected_before && self.attempts == 0;
        self.attempts = self.attempts.saturating_add(1).min(16);
        if let Some(wait) = self.wait.take() {
            sleep(wait).await;
        } else if !first {
            sleep(longest.mul_f64(self.rng.random())).await;
        }
    }

    async fn send(&mut self, text: String) -> Result<(), Gone> {
        let Some(socket) = &mut self.socket else { return Err(Gone::Lost) };
        socket.send(Message::text(text)).await.map_err(|_| Gone::Lost)
    }

    /// The next text frame.
    async fn read(&mut self) -> Result<tokio_tungstenite::tungstenite::Utf8Bytes, Gone> {
        let Some(socket) = &mut self.socket else { return Err(Gone::Lost) };
        loop {
            match socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Close(Some(close)))) if is_terminal(close.code) => {
                    return fatal(format!("closed with {}: {}", u16::from(close.code), close.reason));
                }
                Some(Ok(Message::Binary(_))) => self.transcript.faults.malformed += 1,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Gone::Lost),
                Some(Ok(_)) => {}
            }
        }
    }
}

fn fatal<T>(text: String) -> Result<T, Gone> {
    Err(Gone::Fatal(Fatal(text)))
}

/// Close codes after which docs/protocol.md forbids coming back.
fn is_terminal(code: CloseCode) -> bool {
    matches!(u16::from(code), 1002 | 1003 | 1007 | 1009 | 4000..=4099)
}

async fn open(url: &str, address: SocketAddr) -> Result<WebSocketStream<TcpStream>, Gone> {
    let stream = TcpStream::connect(address).await.map_err(|_| Gone::Lost)?;
    stream.set_nodelay(true).map_err(|_| Gone::Lost)?;
    // Thousands of sockets in one process: the default of 128 KiB each would be the load generator's own weight.
    let config = WebSocketConfig::default()
        .read_buffer_size(4 << 10)
        .write_buffer_size(0)
        .max_write_buffer_size(256 << 10)
        .max_message_size(Some(16 << 20));
    match client_async_with_config(url, stream, Some(config)).await {
        Ok((socket, _)) => Ok(socket),
        Err(WsError::Http(response)) if response.status() == 404 => Err(Gone::NotFound),
        Err(WsError::Http(response)) if response.status().is_client_error() && response.status() != 429 => {
            fatal(format!("the handshake was refused: {}", response.status()))
        }
        Err(_) => Err(Gone::Lost),
    }
}
