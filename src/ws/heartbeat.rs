//! Finds dead peers: any frame counts as life, a silent client is asked, and closed when it stays silent.
//!
//! One timer per socket, set anew only when it fires: frames just note the time.

use std::time::Duration;

use tokio::time::sleep;

use super::{Answer, CloseReason, Shared};
use crate::dialect::chat_v1;

/// Silence after which a client is asked (PROTOCOL.md, `heartbeat_s`).
pub(super) const HEARTBEAT: Duration = Duration::from_secs(25);
/// Silence after which it is given up: 1.4 times as long.
const GIVE_UP: Duration = Duration::from_secs(35);

/// Returns when the client is dead.
pub(super) async fn watch(shared: &Shared) -> CloseReason {
    loop {
        let silence = shared.life.silence();
        if silence < HEARTBEAT {
            sleep(HEARTBEAT - silence).await;
            continue;
        }
        // Both: a page cannot see the WebSocket's own ping, the smallest clients do not know ours.
        shared.outbox.push(Answer::Frame(chat_v1::ping()));
        shared.outbox.push(Answer::Ping);
        sleep(GIVE_UP.saturating_sub(silence)).await;
        if shared.life.silence() >= GIVE_UP {
            return CloseReason::Silent;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::{Life, Outbox};

    #[tokio::test(start_paused = true)]
    async fn a_silent_peer_is_asked_and_given_up_and_a_living_one_is_not() {
        let shared = Shared { outbox: Outbox::default(), life: Life::new() };
        let talk = async {
            for _ in 0..10 {
                sleep(Duration::from_secs(24)).await;
                shared.life.sign();
            }
            assert!(shared.outbox.pop().is_none(), "a talking peer is not asked");
            std::future::pending::<()>().await;
        };
        let start = tokio::time::Instant::now();
        tokio::select! {
            reason = watch(&shared) => assert_eq!(reason, CloseReason::Silent),
            () = talk => unreachable!(),
        }
        let silent = start.elapsed() - Duration::from_secs(240);
        assert!(silent >= GIVE_UP && silent < GIVE_UP + Duration::from_secs(1), "{silent:?}");
        assert!(matches!(shared.outbox.pop(), Some(Answer::Frame(frame)) if frame == chat_v1::ping()));
        assert!(matches!(shared.outbox.pop(), Some(Answer::Ping)));
        assert!(shared.outbox.pop().is_none(), "asked once");
    }
}
