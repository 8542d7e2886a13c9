//! A body that is handed on piece by piece. Who reads forms keeps all that it can get before it looks at it; so it gets a
//! piece at a time, and no more when it cannot make anything of what it has.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::Frame;
use parking_lot::Mutex;

/// What may have been handed on without having been made anything of, in bytes.
const MOST_HELD: u64 = 128 << 10;

/// How much of a body was handed on, and taken.
#[derive(Debug)]
pub(super) struct Meter {
    most: u64,
    handed: AtomicU64,
    taken: AtomicU64,
    exceeded: AtomicBool,
}

impl Meter {
    /// For at most so many bytes.
    pub(super) fn new(most: u64) -> Self {
        Self { most, handed: AtomicU64::new(0), taken: AtomicU64::new(0), exceeded: AtomicBool::new(false) }
    }

    /// Bytes of parts came out.
    pub(super) fn taken(&self, bytes: usize) {
        self.taken.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn handed(&self) -> u64 {
        self.handed.load(Ordering::Relaxed)
    }

    /// Whether there was more than there may be.
    pub(super) fn is_exceeded(&self) -> bool {
        self.exceeded.load(Ordering::Relaxed)
    }

    fn hand(&self, bytes: usize) -> Result<(), Exceeded> {
        let handed = self.handed.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        let held = handed.saturating_sub(self.taken.load(Ordering::Relaxed));
        if handed > self.most || held > MOST_HELD {
            self.exceeded.store(handed > self.most, Ordering::Relaxed);
            return Err(Exceeded);
        }
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the body is too large")]
struct Exceeded;

/// What is left of a body once nobody reads it any more.
pub(super) struct Rest(Arc<Mutex<Option<Body>>>);

impl Rest {
    pub(super) fn take(&self) -> Option<Body> {
        self.0.lock().take()
    }
}

struct Metered {
    body: Arc<Mutex<Option<Body>>>,
    meter: Arc<Meter>,
    /// Whether the next look finds nothing, so that what was handed on is looked at first.
    pausing: bool,
}

/// The body, and what will be left of it.
pub(super) fn metered(body: Body, meter: Arc<Meter>) -> (Body, Rest) {
    let body = Arc::new(Mutex::new(Some(body)));
    let rest = Rest(body.clone());
    (Body::new(Metered { body, meter, pausing: false }), rest)
}

impl HttpBody for Metered {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        if std::mem::take(&mut self.pausing) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let frame = {
            let mut body = self.body.lock();
            let Some(body) = body.as_mut() else { return Poll::Ready(None) };
            ready!(Pin::new(body).poll_frame(cx))
        };
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                self.pausing = true;
                let handed = self.meter.hand(frame.data_ref().map_or(0, Bytes::len));
                Some(handed.map(|()| frame).map_err(Into::into))
            }
            Some(Err(error)) => Some(Err(error.into())),
            None => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn nothing_is_held_without_bound() {
        let piece = vec![0; 64 << 10];
        let whole = |count: usize| {
            Body::from_stream(futures_util::stream::iter((0..count).map({
                let piece = piece.clone();
                move |_| Ok::<_, std::io::Error>(piece.clone())
            })))
        };
        let meter = Arc::new(Meter::new(1 << 20));
        let (mut body, _rest) = metered(whole(100), meter.clone());
        for _ in 0..2 {
            body.frame().await.expect("a piece").expect("read");
        }
        assert!(body.frame().await.expect("an error").is_err() && !meter.is_exceeded(), "nothing was taken");

        let meter = Arc::new(Meter::new(1 << 20));
        let (mut body, rest) = metered(whole(100), meter.clone());
        let mut pieces = 0;
        while let Some(Ok(frame)) = body.frame().await {
            meter.taken(frame.data_ref().expect("bytes").len());
            pieces += 1;
        }
        assert!(pieces == 16 && meter.is_exceeded());
        drop(body);
        assert!(rest.take().is_some(), "it can be read to its end");
    }
}
