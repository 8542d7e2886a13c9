//! How long a connection may wait for a head. Between two requests it may rest for longer than balancers keep theirs:
//! who closes first decides whether a request crosses the close and is lost. A head that has begun has less time.
//!
//! The library knows one limit for both. It asks a timer for it whenever a head is awaited, so the timer is ours, and
//! looks at when the first byte came.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::rt;
use parking_lot::Mutex;
use tokio::time::{Instant, Sleep, sleep_until};

/// How long a head may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Until its first byte, on a connection that was used already.
    pub(super) idle: Duration,
    /// From then on.
    pub(super) head: Duration,
}

/// When the first byte came of what is awaited.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard(Arc<Mutex<Option<Instant>>>);

impl Heard {
    /// Something came.
    pub(super) fn note(&self) {
        self.0.lock().get_or_insert_with(Instant::now);
    }
}

/// Gives the library the limits of one connection.
#[derive(Debug, Clone)]
pub(super) struct HeadTimer {
    pub(super) patience: Patience,
    pub(super) heard: Heard,
}

impl rt::Timer for HeadTimer {
    fn sleep(&self, _: Duration) -> Pin<Box<dyn rt::Sleep>> {
        *self.heard.0.lock() = None;
        let over = Box::pin(sleep_until(Instant::now() + self.patience.idle));
        Box::pin(HeadSleep { patience: self.patience, heard: self.heard.clone(), has_begun: false, over })
    }

    fn sleep_until(&self, _: std::time::Instant) -> Pin<Box<dyn rt::Sleep>> {
        self.sleep(self.patience.idle)
    }

    fn now(&self) -> std::time::Instant {
        Instant::now().into_std()
    }
}

/// Over when a head has taken too long. The library polls it whenever something came, too.
struct HeadSleep {
    patience: Patience,
    heard: Heard,
    has_begun: bool,
    over: Pin<Box<Sleep>>,
}

impl Future for HeadSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let first = if self.has_begun { None } else { *self.heard.0.lock() };
        if let Some(first) = first {
            let end = first + self.patience.head;
            self.has_begun = true;
            self.over.as_mut().reset(end);
        }
        self.over.as_mut().poll(cx)
    }
}

impl rt::Sleep for HeadSleep {}

#[cfg(test)]
mod tests {
    use hyper::rt::Timer;

    use super::*;

    #[tokio::test]
    async fn a_head_that_has_begun_has_less_time() {
        let patience = Patience { idle: Duration::from_secs(2), head: Duration::from_millis(50) };
        let timer = HeadTimer { patience, heard: Heard::default() };
        for begins in [true, false, true] {
            timer.heard.note(); // Of the request before.
            let mut sleep = timer.sleep_until(timer.now());
            let since = Instant::now();
            if begins {
                let at_first = std::future::poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx))).await;
                assert!(at_first.is_pending());
                timer.heard.note();
            }
            sleep.await;
            let took = since.elapsed();
            let limit = if begins { patience.head } else { patience.idle };
            assert!(took >= limit && (took < patience.idle) == begins, "{took:?}");
        }
    }
}
