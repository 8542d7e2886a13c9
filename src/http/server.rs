//! The accept loop of a port: ours, because the framework's has no timeouts, no bound on connections, and does not wait
//! for upgraded ones.

use std::{io, sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    time::{Instant, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use super::{
    connection::{self, Rejection, Wiring, refuse},
    places::{Clients, ConnectionPermit},
    tls::Tls,
};
use crate::{limits::Capacity, telemetry::metrics::RATE_LIMITED};

/// How long the loop rests when the process has no more file descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);
/// Connections that are being told why they are refused; beyond it they are just closed.
const REFUSALS: usize = 256;

/// A port, and what is behind it.
#[derive(Debug)]
pub struct Port {
    /// Where connections come in.
    pub listener: TcpListener,
    /// Who answers.
    pub router: Router,
    /// Where the port has TLS.
    pub tls: Option<Arc<Tls>>,
    /// How many connections there are: beyond it a connection is answered with 503 and closed.
    pub connections: Arc<Capacity>,
    /// How many of them one address may have: beyond that it is answered with 429.
    pub clients: Arc<Clients>,
}

/// Serves connections until `stop`; then lets each finish the request it is at. Connections live on `tracker`.
pub async fn serve(port: Port, stop: CancellationToken, tracker: TaskTracker) {
    let Port { listener, router, tls, connections, clients } = port;
    let refusals = Arc::new(Semaphore::new(REFUSALS));
    let mut failing = None;
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok((stream, peer)) => (stream, peer.ip()),
            Err(error) if is_peers_fault(&error) => continue,
            Err(error) => {
                // Said once and not for every attempt: it may last, and the disk should not fill as well.
                failing.get_or_insert_with(|| {
                    warn!(%error, "no connection can be accepted");
                    Instant::now()
                });
                sleep(ACCEPT_BACKOFF).await;
                continue;
            }
        };
        if let Some(since) = failing.take() {
            info!(after = ?since.elapsed(), "connections are accepted again");
        }
        let admitted = match clients.connect(peer) {
            Ok(client) => connections.take().map(|place| (place, client)).ok_or(Rejection::Full),
            Err(too_many) => Err(too_many.into()),
        };
        match admitted {
            Ok(places) => {
                let permit = ConnectionPermit::new(places);
                let (router, tls) = (router.clone(), tls.as_ref().map(|tls| tls.acceptor()));
                let (stop, turn) = (stop.clone(), Arc::default());
                let wiring = Wiring { router, tls, permit, stop, tracker: tracker.clone(), turn };
                tracker.spawn(connection::serve(stream, peer, wiring));
            }
            Err(refusal) => {
                if matches!(refusal, Rejection::Full) {
                    metrics::counter!(RATE_LIMITED, "scope" => "connections").increment(1);
                }
                // A handshake would be the dearest part of an answer that says no.
                if let (None, Ok(permit)) = (&tls, refusals.clone().try_acquire_owned()) {
                    tracker.spawn(async move {
                        refuse(stream, refusal).await;
                        drop(permit);
                    });
                }
            }
        }
    }
}

/// Errors of one connection that was given up before it was accepted, and not of the process.
fn is_peers_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use tokio::{
        io::AsyncReadExt,
        net::{TcpSocket, TcpStream},
    };

    use super::*;
    use crate::config::Config;

    #[tokio::test]
    async fn refusals_are_bounded_too() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(1024).unwrap(); // Of a full queue, connections only seem to stand.
        let address = listener.local_addr().unwrap();
        let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
        let clients = Arc::new(Clients::new(&Config::default()));
        let connections = Arc::new(Capacity::new(1));
        let port = Port { listener, router: Router::new(), tls: None, connections, clients };
        tracker.spawn(serve(port, stop.clone(), tracker.clone()));
        let _the_one = TcpStream::connect(address).await.unwrap();
        // They say nothing and do not leave, so each refusal takes its time.
        let crowd = join_all((0..2 * REFUSALS).map(|_| TcpStream::connect(address))).await;
        let answers = join_all(crowd.into_iter().map(async |stream| {
            let (mut stream, mut answer) = (stream.unwrap(), [0; 12]);
            let told = stream.read_exact(&mut answer).await.is_ok() && &answer == b"HTTP/1.1 503";
            (told, stream) // Who left before the last one was read would make room for it.
        }));
        let told = answers.await.iter().filter(|(told, _)| *told).count();
        assert!((1..2 * REFUSALS).contains(&told), "{told} of {} were told", 2 * REFUSALS);
        stop.cancel();
    }
}
