//! The same conversation without a WebSocket: messages by POST, everything that happens by server-sent events.
//!
//! An event stream is a viewer like a socket. It is pulled by the connection, so a slow reader has an old cursor and
//! nothing waits for it anywhere.

use std::{convert::Infallible, time::Duration};

use async_stream::stream;
use axum::{
    Extension, Json as Answer,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::Stream;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::{Gateway, body::Json, problem::Problem, server::ConnectionPermit, sessions::session_id};
use crate::{
    auth::{Caller, left},
    chat::{MessageId, RunId, Timestamp},
    dialect::chat_v1::{self, DELTA_BYTES, Welcome, check_text},
    hub::ASSISTANT,
    session::{NewMessage, SendMode, SessionHandle, StopTarget, Viewer, log::Step, viewer::Change},
    ws::Goaway,
};

/// A comment after so much silence keeps proxies from closing the connection.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);

#[derive(Deserialize)]
pub(super) struct Message {
    id: Option<MessageId>,
    text: String,
    #[serde(default)]
    mode: Mode,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Reject,
    Queue,
    Replace,
}

#[derive(Serialize)]
pub(super) struct Accepted {
    message: MessageId,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<RunId>,
    duplicate: bool,
    queued: bool,
}

#[derive(Serialize)]
pub(super) struct Stopped {
    run: RunId,
}

pub(super) async fn send(
    State(gateway): State<Gateway>,
    Extension(caller): Extension<Caller>,
    Path(session): Path<String>,
    Json(Message { id, text, mode }): Json<Message>,
) -> Result<(StatusCode, Answer<Accepted>), Problem> {
    check_text(&text)?;
    let session = gateway.hub.get_own(&session_id(&session)?, caller.owner()).await?;
    let mode = match mode {
        Mode::Reject => SendMode::Reject,
        Mode::Queue => SendMode::Queue,
        Mode::Replace => SendMode::Replace,
    };
    let receipt = session.send(NewMessage { id, text, mode }).await?;
    let (message, run) = (receipt.message, receipt.run);
    let accepted = Accepted { message, run, duplicate: receipt.duplicate, queued: receipt.queued };
    Ok((StatusCode::ACCEPTED, Answer(accepted)))
}

pub(super) async fn stop(
    State(gateway): State<Gateway>,
    Extension(caller): Extension<Caller>,
    Path((session, run)): Path<(String, String)>,
) -> Result<(StatusCode, Answer<Stopped>), Problem> {
    let session = gateway.hub.get_own(&session_id(&session)?, caller.owner()).await?;
    let run = RunId::parse(&run).map_err(|_| Problem::not_found("run"))?;
    let run = session.stop(StopTarget::Run(run)).await?;
    Ok((StatusCode::ACCEPTED, Answer(Stopped { run })))
}

pub(super) async fn events(
    State(gateway): State<Gateway>,
    Extension(caller): Extension<Caller>,
    Path(session): Path<String>,
    headers: HeaderMap,
    permit: Option<Extension<ConnectionPermit>>,
) -> Result<Response, Problem> {
    let session = gateway.hub.get_own(&session_id(&session)?, caller.owner()).await?;
    let resume = headers.get("last-event-id").and_then(|cursor| cursor.to_str().ok()).map(str::to_owned);
    let resume_ttl = gateway.hub.resume_ttl();
    let events = stream! {
        let _held_while_the_stream_is_open = permit;
        let (mut viewer, first) = begin(&session, resume.as_deref(), resume_ttl);
        yield Ok::<_, Infallible>(first);
        let mut told = false; // That the gateway goes away.
        loop {
            if time_left(&caller).is_zero() {
                return; // Who comes back needs a new token.
            }
            if gateway.draining.is_cancelled() && !std::mem::replace(&mut told, true) {
                // Browsers take `retry` for the time after which they come back by themselves.
                let Goaway { retry_in_ms, frame } = Goaway::within(gateway.drain);
                yield Ok(format!("retry: {retry_in_ms}\ndata: {frame}\n\n"));
            }
            if let Some(event) = next(&mut viewer) {
                yield Ok(event);
                continue;
            }
            let change = tokio::select! {
                biased; // Sessions without a run are closed with the same breath: who reads them is told first.
                () = gateway.draining.cancelled(), if !told => continue,
                change = timeout(KEEP_ALIVE.min(time_left(&caller)), viewer.changed()) => change,
            };
            match change {
                Ok(Change::More) => {}
                Ok(Change::Closed(_)) => return,
                Err(_) => yield Ok(": still here\n\n".to_owned()),
            }
        }
    };
    Ok(event_stream(events))
}

/// An answer whose body are server-sent events, which nobody on the way should hold back.
pub(super) fn event_stream(events: impl Stream<Item = Result<String, Infallible>> + Send + 'static) -> Response {
    let mut response = Body::from_stream(events).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// How long the caller's token still counts.
fn time_left(Caller(grant): &Caller) -> Duration {
    grant.as_ref().map_or(Duration::MAX, |grant| left(grant.expires_at, Timestamp::now()))
}

/// A viewer, its `welcome`, and the snapshot where it needs one.
fn begin(session: &SessionHandle, resume: Option<&str>, resume_ttl: Duration) -> (Viewer, String) {
    let (viewer, attachment) = session.attach(resume);
    let welcome = chat_v1::welcome(&Welcome {
        session: session.id(),
        epoch: &attachment.epoch,
        seq: attachment.seq,
        recovered: attachment.recovered,
        connection: "sse",
        assistant: ASSISTANT,
        heartbeat_s: KEEP_ALIVE.as_secs(),
        resume_ttl_s: resume_ttl.as_secs(),
    });
    // Without an id of its own: who is cut before the snapshot must not go on behind it.
    let mut first = format!("data: {welcome}\n\n");
    if let Some(snapshot) = &attachment.snapshot {
        first.push_str(&event(&viewer, &chat_v1::snapshot(snapshot)));
    }
    (viewer, first)
}

/// The next frame as an event; `None` when there is nothing to read.
fn next(viewer: &mut Viewer) -> Option<String> {
    let mut frame = None;
    let mut trimmed = false;
    viewer.read(DELTA_BYTES, |step| {
        trimmed = step == Step::Trimmed;
        frame = chat_v1::step(&step);
        false
    });
    if trimmed {
        frame = Some(chat_v1::snapshot(&viewer.snapshot()));
    }
    frame.map(|frame| event(viewer, &frame))
}

/// A frame with the cursor behind it. JSON has no line breaks, so it is one line of data.
fn event(viewer: &Viewer, frame: &str) -> String {
    format!("id: {}\ndata: {frame}\n\n", viewer.cursor_text())
}
