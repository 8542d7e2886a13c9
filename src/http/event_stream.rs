//! Server-sent events: the answer that carries them, and what every stream of them does while nothing happens. It says that
//! it is still there, and looks whether who reads it still may. Uses `auth`.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::Stream;
use tokio::time::{Instant, timeout};

use crate::{
    auth::{Authenticator, Caller, left},
    chat::Timestamp,
};

/// A comment after so much silence keeps proxies from closing the connection.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How often it is looked whether who reads still may.
const LOOK: Duration = Duration::from_secs(1);
/// That comment. It has one line end, and so is no part of an event: some readers take the empty line behind a comment
/// for the end of one, and stumble over its missing data.
pub(super) const STILL_HERE: &str = ": still here\n";

const TYPE: &str = "text/event-stream";

/// An answer whose body are server-sent events, which nobody on the way should hold back.
pub(super) fn event_stream(events: impl Stream<Item = Result<String, Infallible>> + Send + 'static) -> Response {
    let mut response = Body::from_stream(events).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(TYPE));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// Whether an answer is such a one.
pub(super) fn is_one(response: &Response) -> bool {
    response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == TYPE)
}

/// Who reads a stream of events.
pub(super) struct Listener {
    auth: Arc<Authenticator>,
    caller: Caller,
    /// When it was told something last.
    told: Instant,
}

/// What a listener waited for.
pub(super) enum Heard<T> {
    /// What it is there for.
    Change(T),
    /// Nothing, for so long that it has to be told [`STILL_HERE`].
    Silence,
    /// What lets it listen is over, or was taken back: who comes back needs a new token.
    Over,
}

impl Listener {
    pub(super) fn new(auth: Arc<Authenticator>, caller: Caller) -> Self {
        Self { auth, caller, told: Instant::now() }
    }

    /// Whether what lets it listen still counts.
    pub(super) fn may_go_on(&self) -> bool {
        let Caller(grant) = &self.caller;
        let stands = |grant| self.auth.stands(grant);
        grant.as_ref().is_none_or(|grant| !left(grant.expires_at, Timestamp::now()).is_zero() && stands(grant))
    }

    /// It is told something now.
    pub(super) fn tell(&mut self) {
        self.told = Instant::now();
    }

    /// Waits for `change`, as long as it may and need not be told anything else.
    pub(super) async fn wait<T>(&mut self, change: impl Future<Output = T>) -> Heard<T> {
        let mut change = pin!(change);
        loop {
            match timeout(LOOK, &mut change).await {
                Ok(change) => return Heard::Change(change),
                Err(_) if !self.may_go_on() => return Heard::Over,
                Err(_) if self.told.elapsed() < KEEP_ALIVE => {}
                Err(_) => {
                    self.tell();
                    return Heard::Silence;
                }
            }
        }
    }
}
