//! Everything that happens in a session, as server-sent events.
//!
//! An event stream is a viewer like a socket. It is pulled by the connection, so a slow reader has an old cursor and
//! nothing waits for it anywhere.

use std::{convert::Infallible, sync::Arc, time::Duration};

use async_stream::stream;
use axum::{
    body::Body,
    extract::{Path, Query, Request, State, rejection::QueryRejection},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::Stream;
use tokio::time::{Instant, timeout};

use super::{
    gateway::Gateway,
    identity::{Asking, listening},
    parameters::{Parameters, parameters},
    places::ConnectionPermit,
    problem::Problem,
    rates,
    sessions::session_id,
};
use crate::{
    auth::{Authenticator, Caller, Right, left},
    chat::{SessionId, Timestamp},
    dialect::chat_v1::{self, DELTA_BYTES, Welcome},
    hub::ASSISTANT,
    session::{SessionHandle, Viewer, log::Step, viewer::Change},
    ws::Goaway,
};

/// A comment after so much silence keeps proxies from closing the connection.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How often it is looked whether who reads still may.
pub(super) const LOOK: Duration = Duration::from_secs(1);
/// That comment. It has one line end, and so is no part of an event: some readers take the empty line behind a comment
/// for the end of one, and stumble over its missing data.
pub(super) const STILL_HERE: &str = ": still here\n";

/// Everything that happens in a session, as server-sent events.
///
/// Each is a frame of the protocol `chat.v1`, and its id a cursor: with `Last-Event-ID` or `resume` the stream goes on
/// behind it, without a gap and without anything twice.
#[utoipa::path(
    get, path = "/sessions/{id}/events", tag = "Conversations", operation_id = "watch_session",
    params(("id" = SessionId, Path), Parameters, ("Last-Event-ID" = Option<String>, Header)),
    security(("bearer" = ["chat"]), ("ticket" = [])),
    responses((status = 200, description = "Frames", content(("text/event-stream")))),
)]
pub(super) async fn events(
    State(gateway): State<Arc<Gateway>>,
    Path(session): Path<String>,
    given: Result<Query<Parameters>, QueryRejection>,
    mut request: Request,
) -> Result<Response, Problem> {
    let told = parameters(given)?;
    let head = (request.headers(), request.extensions());
    let Asking { caller, standing, .. } = listening(&gateway, head, told.ticket.as_deref(), Right::Chat).await?;
    let session = gateway.hub.get_own(&session_id(&session)?, caller.owner()).await?;
    // A browser that comes back by itself says what it saw last; one that is made anew can say so in the address only.
    let resume = request.headers().get("last-event-id").and_then(|cursor| cursor.to_str().ok()).map(str::to_owned);
    let resume = resume.or(told.resume);
    let resume_ttl = gateway.hub.resume_ttl();
    let permit = request.extensions_mut().remove::<ConnectionPermit>();
    let events = stream! {
        let _held_while_the_stream_is_open = permit;
        let (mut viewer, first) = begin(&session, resume.as_deref(), resume_ttl);
        yield Ok::<_, Infallible>(first);
        let mut warned = false; // That the gateway goes away.
        let mut said = Instant::now();
        loop {
            if !may_listen(&gateway.auth, &caller) {
                return; // Who comes back needs a new token.
            }
            if gateway.draining.is_cancelled() && !std::mem::replace(&mut warned, true) {
                // Browsers take `retry` for the time after which they come back by themselves.
                let Goaway { retry_in_ms, frame } = Goaway::within(gateway.drain);
                yield Ok(format!("retry: {retry_in_ms}\ndata: {frame}\n\n"));
            }
            if let Some(event) = next(&mut viewer) {
                said = Instant::now();
                yield Ok(event);
                continue;
            }
            let change = tokio::select! {
                biased; // Sessions without a run are closed with the same breath: who reads them is told first.
                () = gateway.draining.cancelled(), if !warned => continue,
                change = timeout(LOOK, viewer.changed()) => change,
            };
            match change {
                Ok(Change::More) => {}
                Ok(Change::Closed(_)) => return,
                Err(_) if said.elapsed() < KEEP_ALIVE => {}
                Err(_) => {
                    said = Instant::now();
                    yield Ok(STILL_HERE.to_owned());
                }
            }
        }
    };
    let mut response = event_stream(events);
    rates::note(&mut response, standing);
    Ok(response)
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

/// Whether what lets somebody listen still counts.
pub(super) fn may_listen(auth: &Authenticator, Caller(grant): &Caller) -> bool {
    grant.as_ref().is_none_or(|grant| !left(grant.expires_at, Timestamp::now()).is_zero() && auth.stands(grant))
}

/// A viewer, its `welcome`, and the snapshot where it needs one.
fn begin(session: &SessionHandle, resume: Option<&str>, resume_ttl: Duration) -> (Viewer, String) {
    let (viewer, attachment) = session.attach(resume);
    let welcome = chat_v1::welcome(&Welcome {
        session: session.id(),
        attachment: &attachment,
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
