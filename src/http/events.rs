//! Everything that happens in a session, as server-sent events.
//!
//! An event stream is a viewer like a socket. It is pulled by the connection, so a slow reader has an old cursor and
//! nothing waits for it anywhere.

use std::{sync::Arc, time::Duration};

use async_stream::stream;
use axum::{
    extract::{Path, Query, Request, State, rejection::QueryRejection},
    response::Response,
};

use super::{
    event_stream::{Heard, KEEP_ALIVE, Listener, event_stream},
    gateway::Gateway,
    identity::{Asking, listening},
    parameters::{Parameters, parameters},
    places::ConnectionPermit,
    problem::Problem,
    rates,
    sessions::session_id,
};
use crate::{
    auth::Right,
    chat::SessionId,
    dialect::chat_v1::{self, DELTA_BYTES, Welcome},
    session::{SessionHandle, Viewer, log::Step, viewer::Change},
    ws::Goaway,
};

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
    session.catch_up(resume.as_deref()).await?;
    let resume_ttl = gateway.hub.resume_ttl();
    let permit = request.extensions_mut().remove::<ConnectionPermit>();
    let events = stream! {
        let _held_while_the_stream_is_open = permit;
        let (mut viewer, first) = begin(&session, resume.as_deref(), resume_ttl);
        yield first;
        let mut warned = false; // That the gateway goes away.
        let listener = Listener::new(gateway.auth.clone(), caller);
        while listener.may_go_on() {
            if gateway.draining.is_cancelled() && !std::mem::replace(&mut warned, true) {
                // Browsers take `retry` for the time after which they come back by themselves.
                let Goaway { retry_in_ms, frame } = Goaway::of(gateway.drain, gateway.hub.back_within());
                yield format!("retry: {retry_in_ms}\ndata: {frame}\n\n");
            }
            if let Some(event) = next(&mut viewer) {
                yield event;
                continue;
            }
            let heard = tokio::select! {
                biased; // Sessions without a run are closed with the same breath: who reads them is told first.
                () = gateway.draining.cancelled(), if !warned => continue,
                heard = listener.wait(viewer.changed()) => heard,
            };
            match heard {
                Heard::Change(Change::More) => {}
                Heard::Change(Change::Closed(_)) | Heard::Over => return,
            }
        }
    };
    let mut response = event_stream(KEEP_ALIVE, events);
    rates::note(&mut response, standing);
    Ok(response)
}

/// A viewer, its `welcome`, and the snapshot where it needs one.
fn begin(session: &SessionHandle, resume: Option<&str>, resume_ttl: Duration) -> (Viewer, String) {
    let (viewer, attachment) = session.attach(resume);
    let welcome = chat_v1::welcome(&Welcome {
        session: session.id(),
        attachment: &attachment,
        connection: "sse",
        assistant: session.assistant(),
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
