//! A small gateway that speaks as much of `chat.v1` as the load generator needs, and can lie on demand.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use futures_util::{SinkExt, StreamExt};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_tungstenite::{WebSocketStream, accept_async, tungstenite::Message};

pub(super) const ANSWER: &str = "You need a passport, a pay slip 😀 and a bit of patience: größer als 0 €.";
/// Messages of a page, however many are asked for.
const PAGE: usize = 2;
/// Characters of a delta.
const PIECE: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lie {
    None,
    CutsInsteadOfAck,
    SkipsText,
    AltersText,
    StoresOtherText,
    StoresTwice,
    RunsTwice,
    ForgetsMessages,
    NeverEnds,
    Refuses,
    SaysNothing,
    SkipsEvents,
    Interrupts,
    MiscountsMessages,
    PagesForEver,
}

pub(super) struct Gateway {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Conversation {
    /// Events with their `seq`, and of a `run.done` the run.
    log: Vec<(Value, Option<String>)>,
    runs: HashMap<String, Run>,
    active: Option<String>,
    messages: Vec<Value>,
    questions: HashMap<String, String>,
    lied: bool,
}

#[derive(Default)]
struct Run {
    text: String,
    answer: String,
}

struct Shared {
    lie: Lie,
    sessions: Mutex<HashMap<String, Arc<Mutex<Conversation>>>>,
    changed: watch::Sender<u64>,
}

/// What a socket has been sent.
struct Cursor {
    seq: usize,
    run: String,
    off: u64,
}

impl Gateway {
    pub(super) async fn start(lie: Lie) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared { lie, sessions: Mutex::default(), changed: watch::Sender::new(0) });
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut sockets = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                sockets.spawn(serve(Arc::clone(&shared), stream));
            }
        });
        Self { address, _tasks: tasks }
    }

    pub(super) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }
}

async fn serve(shared: Arc<Shared>, mut stream: TcpStream) {
    let mut head = vec![0; 4096];
    let request = loop {
        let Ok(read) = stream.peek(&mut head).await else { return };
        let text = String::from_utf8_lossy(&head[..read]).into_owned();
        if read == 0 || text.contains("\r\n\r\n") {
            break text;
        }
    };
    let Some(path) = request.split(' ').nth(1).map(str::to_owned) else { return };
    if request.to_lowercase().contains("upgrade: websocket") {
        if let Ok(socket) = accept_async(stream).await {
            // A socket that the client cut ends with an error; that is what this is for.
            let _ = talk(&shared, socket, &path).await;
        }
        return;
    }
    let (id, query) = path.trim_start_matches("/api/v1/sessions/").split_once('?').unwrap_or((&path, ""));
    assert!(query.contains("limit=200"), "{query}");
    let before = query.split_once("&before=").map(|(_, before)| before);
    let conversation = shared.sessions.lock().get(id).map(Arc::clone);
    let (status, body) = match conversation {
        Some(conversation) => ("200 OK", stored(shared.lie, &conversation.lock(), id, before)),
        None => ("404 Not Found", json!({})),
    };
    let body = body.to_string();
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    let _ = stream.read(&mut head).await;
    let _ = stream.write_all(answer.as_bytes()).await;
}

fn stored(lie: Lie, conversation: &Conversation, id: &str, before: Option<&str>) -> Value {
    let mut messages = conversation.messages.clone();
    for message in &mut messages {
        if message["role"] == "assistant" {
            let run = message["run"].as_str().expect("a run").to_owned();
            message["text"] = conversation.runs[&run].text.clone().into();
        }
    }
    match lie {
        Lie::StoresTwice => messages.push(messages[1].clone()),
        Lie::ForgetsMessages => messages.truncate(1),
        // The oldest answer, which is not on the first page.
        Lie::StoresOtherText => messages[1]["text"] = "something else".into(),
        _ => {}
    }
    let count = messages.len() + usize::from(lie == Lie::MiscountsMessages);
    let end = before.and_then(|id| messages.iter().rposition(|message| message["id"] == id)).unwrap_or(messages.len());
    let start = if lie == Lie::PagesForEver { 0 } else { end.saturating_sub(PAGE) };
    let more = start > 0 || lie == Lie::PagesForEver;
    let end = if lie == Lie::PagesForEver { messages.len() } else { end };
    json!({ "session_id": id, "message_count": count, "messages": messages[start..end], "more": more })
}

async fn talk(
    shared: &Shared,
    mut socket: WebSocketStream<TcpStream>,
    path: &str,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (session, resume) = path.trim_start_matches("/api/v1/ws").split_once("?resume=").unwrap_or(("", ""));
    let mut session = session.trim_start_matches('/').to_owned();
    let new = session.is_empty();
    if new {
        session = format!("s_{}", uuid::Uuid::new_v4().simple());
    }
    let conversation = Arc::clone(shared.sessions.lock().entry(session.clone()).or_default());
    let mut parts = resume.split(':').skip(1);
    let mut cursor = Cursor {
        seq: parts.next().map_or(0, |seq| seq.parse().expect("a number")),
        run: parts.next().unwrap_or_default().to_owned(),
        off: parts.next().map_or(0, |off| off.parse().expect("a number")),
    };
    let mut changed = shared.changed.subscribe();
    let head = conversation.lock().log.len();
    let recovered = if new { "new" } else { "full" };
    let welcome = json!({ "type": "welcome", "session": session, "epoch": "e", "seq": head, "recovered": recovered });
    socket.send(Message::text(welcome.to_string())).await?;
    socket.send(Message::text(r#"{"type":"ping","t":1}"#)).await?;
    loop {
        changed.mark_unchanged();
        let frames = conversation.lock().after(&mut cursor);
        for frame in frames {
            socket.send(Message::text(frame.to_string())).await?;
        }
        let busy = conversation.lock().active.is_some();
        tokio::select! {
            biased;
            frame = socket.next() => {
                let Some(frame) = frame else { return Ok(()) };
                let Message::Text(text) = frame? else { continue };
                let frame: Value = serde_json::from_str(&text)?;
                let answers = conversation.lock().answer(shared.lie, &frame, &mut cursor);
                let Some(answers) = answers else { return Ok(()) };
                for answer in answers {
                    socket.send(Message::text(answer.to_string())).await?;
                }
            }
            // Another socket of the session, or of another one, has done something; that is not to be told on.
            _ = changed.changed() => continue,
            () = tokio::task::yield_now(), if busy => conversation.lock().write_on(shared.lie, &mut cursor),
        }
        shared.changed.send_modify(|count| *count += 1);
    }
}

impl Conversation {
    fn push(&mut self, mut event: Value, run: Option<String>) {
        event["seq"] = (self.log.len() + 1).into();
        self.log.push((event, run));
    }

    /// Everything that lies after the cursor, which moves to the end.
    fn after(&mut self, cursor: &mut Cursor) -> Vec<Value> {
        let mut frames = Vec::new();
        while let Some((event, ends)) = self.log.get(cursor.seq) {
            if let Some(run) = ends {
                frames.extend(self.text_after(run, cursor));
            }
            frames.push(event.clone());
            cursor.seq += 1;
        }
        if let Some(run) = &self.active {
            frames.extend(self.text_after(run, cursor));
        }
        frames
    }

    fn text_after(&self, run: &str, cursor: &mut Cursor) -> Option<Value> {
        if cursor.run != run {
            (cursor.run, cursor.off) = (run.to_owned(), 0);
        }
        let units: Vec<u16> = self.runs[run].text.encode_utf16().collect();
        let off = usize::try_from(cursor.off).expect("small");
        let text = String::from_utf16(units.get(off..).unwrap_or_default()).expect("a whole character");
        cursor.off = cursor.off.max(units.len() as u64);
        (!text.is_empty()).then(|| json!({ "type": "delta", "run": run, "off": off, "text": text }))
    }

    /// The model says a bit more, or is done.
    fn write_on(&mut self, lie: Lie, cursor: &mut Cursor) {
        let Some(id) = self.active.clone() else { return };
        let run = self.runs.get_mut(&id).expect("the active run");
        let written = run.text.chars().count();
        let piece: String = ANSWER.chars().skip(written).take(PIECE).collect();
        if !piece.is_empty() {
            run.text.push_str(&piece);
            if lie == Lie::SkipsText && written == 3 * PIECE {
                cursor.off += piece.encode_utf16().count() as u64;
            }
            return;
        }
        if lie == Lie::NeverEnds {
            return;
        }
        let mut crc = crc32fast::hash(run.text.as_bytes());
        if lie == Lie::AltersText {
            crc ^= 1;
        }
        let status = if lie == Lie::Interrupts { "interrupted" } else { "complete" };
        let event = json!({
            "type": "run.done", "run": id, "message": run.answer, "status": status,
            "len": run.text.encode_utf16().count(), "crc32": format!("{crc:08x}"), "timing": { "total_ms": 1 },
        });
        self.active = None;
        self.push(event, Some(id));
        if lie == Lie::SkipsEvents && !self.lied {
            self.lied = true;
            for (event, _) in self.log.iter_mut().rev().take(1) {
                event["seq"] = (event["seq"].as_u64().expect("a number") + 3).into();
            }
        }
    }

    /// Frames that answer a client's frame; `None` cuts the socket.
    fn answer(&mut self, lie: Lie, frame: &Value, cursor: &mut Cursor) -> Option<Vec<Value>> {
        let text = |name: &str| frame[name].as_str().unwrap_or_default().to_owned();
        match frame["type"].as_str().expect("a type") {
            "sync" => {
                (cursor.run, cursor.off) = (text("run"), frame["off"].as_u64().expect("a number"));
                Some(self.text_after(&text("run"), cursor).into_iter().collect())
            }
            "send" if lie == Lie::Refuses => Some(vec![
                json!({ "type": "error", "re": frame["id"], "code": "forbidden", "message": "no", "retryable": false }),
            ]),
            "send" if lie == Lie::SaysNothing => Some(Vec::new()),
            "send" => {
                let id = text("id");
                let known = self.questions.get(&id).cloned();
                let duplicate = known.is_some();
                let run = known.unwrap_or_else(|| self.begin(lie, &id, &text("text")));
                if lie == Lie::CutsInsteadOfAck && !duplicate {
                    return None;
                }
                let ack = json!({ "type": "ack", "re": id, "message": id, "run": run, "duplicate": duplicate });
                Some(vec![ack])
            }
            _ => Some(Vec::new()),
        }
    }

    fn begin(&mut self, lie: Lie, question: &str, text: &str) -> String {
        let run = format!("r_{}", uuid::Uuid::new_v4().simple());
        let answer = format!("a_{run}");
        self.questions.insert(question.to_owned(), run.clone());
        let message = json!({ "id": question, "role": "user", "text": text, "status": "complete", "run": run });
        self.messages.push(message.clone());
        self.messages.push(json!({ "id": answer, "role": "assistant", "text": "", "status": "complete", "run": run }));
        self.push(json!({ "type": "message", "message": message }), None);
        let start = json!({ "type": "run.start", "run": run, "message": answer, "for": question });
        self.push(start.clone(), None);
        if lie == Lie::RunsTwice {
            self.push(start, None);
        }
        self.runs.insert(run.clone(), Run { answer, ..Run::default() });
        self.active = Some(run.clone());
        run
    }
}
