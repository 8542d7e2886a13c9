//! Finds dead peers: any frame counts as life, a silent client is asked, and closed when it stays silent.
//!
//! One timer per socket, set anew only when it fires: frames just note the time. The same timer ends a socket whose
//! token is over.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep};

use super::{CloseReason, pass::Pass};
use crate::chat::Timestamp;

/// Silence after which a client is asked (docs/protocol.md, `heartbeat_s`).
pub(super) const HEARTBEAT: Duration = Duration::from_secs(25);
/// Silence after which it is given up: 1.4 times as long.
const GIVE_UP: Duration = Duration::from_secs(35);
/// Sockets look at multiples of this, in milliseconds.
const TICK_MS: u64 = 250;

#[derive(Debug, PartialEq, Eq)]
enum Beat {
    /// Look again after this.
    Wait(Duration),
    /// Ask for a sign of life.
    Ask,
    /// It is dead.
    GiveUp,
}

/// What to do about a client that has been silent for so long.
fn beat(silence: Duration, asked: bool) -> Beat {
    match silence {
        _ if silence < HEARTBEAT => Beat::Wait(HEARTBEAT - silence),
        _ if !asked => Beat::Ask,
        _ if silence < GIVE_UP => Beat::Wait(GIVE_UP - silence),
        _ => Beat::GiveUp,
    }
}

/// `time`, and as much more as it takes until the sockets look that have about the same time to wait: each that wakes
/// a processor for itself alone pays for that alone.
fn until_a_tick(time: Duration, now: Timestamp) -> Duration {
    let at = now.plus_millis(time).0;
    time + Duration::from_millis(TICK_MS - at % TICK_MS)
}

/// Watches over one client.
pub(super) struct Heartbeat {
    heard: Instant,
    asked: bool,
    timer: Pin<Box<Sleep>>,
}

impl Heartbeat {
    /// One of a client that was heard just now.
    pub(super) fn new() -> Self {
        Self { heard: Instant::now(), asked: false, timer: Box::pin(sleep(Duration::ZERO)) }
    }

    /// The client said something.
    pub(super) fn heard(&mut self) {
        self.heard = Instant::now();
    }

    /// Looks at the token again at once: a new one may end earlier than the old one.
    pub(super) fn look_now(&mut self) {
        self.timer.as_mut().reset(Instant::now());
    }

    /// Ready when the client is to be asked for a sign of life, or given up.
    pub(super) fn poll(&mut self, context: &mut Context<'_>, pass: &Pass) -> Poll<Result<(), CloseReason>> {
        loop {
            ready!(self.timer.as_mut().poll(context));
            let silence = self.heard.elapsed();
            self.asked &= silence >= HEARTBEAT; // It answered, or said something else.
            match beat(silence, self.asked) {
                Beat::Wait(time) => {
                    let Some(left) = pass.left() else { return Poll::Ready(Err(CloseReason::TokenExpired)) };
                    let time = until_a_tick(time.min(left), Timestamp::now());
                    self.timer.as_mut().reset(Instant::now() + time);
                }
                Beat::Ask => {
                    self.asked = true;
                    return Poll::Ready(Ok(()));
                }
                Beat::GiveUp => return Poll::Ready(Err(CloseReason::Silent)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_wake_together() {
        for (now, wait, wakes) in [(0, 25_000, 25_250), (1, 25_000, 25_250), (249, 24_700, 25_000), (7, 3, 250)] {
            let slept = until_a_tick(Duration::from_millis(wait), Timestamp(now));
            assert_eq!(u128::from(now) + slept.as_millis(), wakes, "{now} + {wait}");
        }
    }

    #[test]
    fn a_silent_peer_is_asked_once_and_then_given_up() {
        let at = Duration::from_secs;
        assert_eq!(beat(at(0), false), Beat::Wait(at(25)));
        assert_eq!(beat(at(24), false), Beat::Wait(at(1)));
        assert_eq!(beat(at(25), false), Beat::Ask);
        assert_eq!(beat(at(25), true), Beat::Wait(at(10)));
        assert_eq!(beat(at(34), true), Beat::Wait(at(1)));
        assert_eq!(beat(at(35), true), Beat::GiveUp);
        assert_eq!(beat(at(60), false), Beat::Ask, "after a stall of ours it gets its chance");
    }
}
