//! Server-sent events: the answer that carries them, and what every stream of them does while nothing happens. It says that
//! it is still there, and one that has no end of its own looks whether who reads it still may. Uses `auth`.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use async_stream::stream;
use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::{Stream, StreamExt};
use tokio::time::timeout;

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

/// An answer whose body are server-sent events, which nobody on the way should hold back. After so much silence it has
/// [`STILL_HERE`] among them.
pub(super) fn event_stream(silence: Duration, events: impl Stream<Item = String> + Send + 'static) -> Response {
    let events = stream! {
        let mut events = pin!(events);
        loop {
            match timeout(silence, events.next()).await {
                Ok(Some(event)) => yield Ok::<_, Infallible>(event),
                Ok(None) => return,
                Err(_) => yield Ok(STILL_HERE.to_owned()),
            }
        }
    };
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
}

/// What a listener waited for.
pub(super) enum Heard<T> {
    /// What it is there for.
    Change(T),
    /// What lets it listen is over, or was taken back: who comes back needs a new token.
    Over,
}

impl Listener {
    pub(super) fn new(auth: Arc<Authenticator>, caller: Caller) -> Self {
        Self { auth, caller }
    }

    /// Whether what lets it listen still counts.
    pub(super) fn may_go_on(&self) -> bool {
        let Caller(grant) = &self.caller;
        let stands = |grant| self.auth.stands(grant);
        grant.as_ref().is_none_or(|grant| !left(grant.expires_at, Timestamp::now()).is_zero() && stands(grant))
    }

    /// Waits for `change`, as long as it may.
    pub(super) async fn wait<T>(&self, change: impl Future<Output = T>) -> Heard<T> {
        let mut change = pin!(change);
        loop {
            match timeout(LOOK, &mut change).await {
                Ok(change) => return Heard::Change(change),
                Err(_) if self.may_go_on() => {}
                Err(_) => return Heard::Over,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use tokio::time::sleep;

    use super::*;

    #[tokio::test]
    async fn a_stream_says_that_it_is_still_there_and_ends_with_its_events() {
        const SILENCE: Duration = Duration::from_millis(10);
        let events = stream! {
            yield "a".to_owned();
            sleep(5 * SILENCE).await;
            yield "b".to_owned();
        };
        let told = to_bytes(event_stream(SILENCE, events).into_body(), usize::MAX).await.unwrap();
        let told = String::from_utf8(told.to_vec()).unwrap();
        let between =
            told.strip_prefix('a').and_then(|told| told.strip_suffix('b')).expect("the events in their order");
        assert!(!between.is_empty() && between.replace(STILL_HERE, "").is_empty(), "{told}");
    }
}
