//! The accept loop: ours, because the framework's has no timeouts, no bound on connections, and does not wait for
//! upgraded ones.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;
use tracing::{debug, info, warn};

use super::{
    head::HEAD_BYTES,
    places::{AddressPlace, Clients, RETRY_AFTER_S, TooMany},
    silence::{HeadTimer, Heard, Patience},
    stall::Stalling,
};
use crate::telemetry::metrics::RATE_LIMITED;

/// A connection that says nothing is closed after this.
const FIRST_BYTE: Duration = Duration::from_secs(10);
/// How long a head may take, and how long a connection rests between two requests: above the 60 seconds for which
/// balancers keep theirs.
const PATIENCE: Patience = Patience { idle: Duration::from_secs(75), head: Duration::from_secs(15) };
/// What HTTP/2 begins with, when a client takes it for granted.
const HTTP2: &[u8] = b"PRI * HTTP/2";
/// How long one write may wait. Longer than a socket's own limit, which closes with a code.
const STALL: Duration = Duration::from_secs(60);
/// How long the loop rests when the process has no more file descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);
/// Connections that are being told why they are refused; beyond it they are just closed.
const REFUSALS: usize = 256;
/// How long a refusal may take.
const REFUSAL: Duration = Duration::from_secs(1);

/// Serves connections until `stop`; then lets each finish the request it is at. Connections live on `tracker`.
///
/// `most` bounds open connections, sockets included: beyond it a connection is answered with 503 and closed; 0 is no
/// bound. `clients` bounds those of one address, which is answered with 429.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    (most, clients): (usize, Arc<Clients>),
    stop: CancellationToken,
    tracker: TaskTracker,
) {
    let permits = Arc::new(Semaphore::new(if most == 0 { Semaphore::MAX_PERMITS } else { most }));
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
        match admit(&permits, &clients, peer) {
            Ok(permit) => {
                tracker.spawn(connection(stream, router.clone(), permit, peer, stop.clone()));
            }
            Err(refusal) => {
                if let Ok(permit) = refusals.clone().try_acquire_owned() {
                    tracker.spawn(async move {
                        refuse(stream, refusal).await;
                        drop(permit);
                    });
                }
            }
        }
    }
}

/// A connection's places among all and among those of its client. A request carries it as an extension; an upgraded
/// socket keeps it.
#[derive(Debug, Clone)]
pub struct ConnectionPermit {
    _connection: Arc<(OwnedSemaphorePermit, Option<AddressPlace>)>,
    /// The place of a client behind a proxy.
    client: Option<Arc<AddressPlace>>,
}

impl ConnectionPermit {
    /// Keeps a place for as long as this permit and its clones live.
    pub(super) fn hold(&mut self, place: AddressPlace) {
        self.client = Some(Arc::new(place));
    }
}

/// The other side of a request's connection, as an extension.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// Why a connection is not served.
enum Rejection {
    Full,
    OfOneAddress,
    Http2,
}

impl From<TooMany> for Rejection {
    fn from(_: TooMany) -> Self {
        Self::OfOneAddress
    }
}

fn admit(permits: &Arc<Semaphore>, clients: &Clients, peer: IpAddr) -> Result<ConnectionPermit, Rejection> {
    let place = clients.connect(peer)?;
    let permit = permits.clone().try_acquire_owned().map_err(|_| {
        metrics::counter!(RATE_LIMITED, "scope" => "connections").increment(1);
        Rejection::Full
    })?;
    Ok(ConnectionPermit { _connection: Arc::new((permit, place)), client: None })
}

async fn connection(
    stream: TcpStream,
    router: Router,
    permit: ConnectionPermit,
    peer: IpAddr,
    stop: CancellationToken,
) {
    // Without this a token waits for the acknowledgement of the one before it.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "TCP_NODELAY could not be set");
    }
    let mut start = [0; HTTP2.len()];
    let spoke = tokio::select! {
        () = stop.cancelled() => return,
        // Looked at and not only waited for: a socket may seem readable and have nothing.
        spoke = timeout(FIRST_BYTE, stream.peek(&mut start)) => spoke,
    };
    match spoke {
        Ok(Ok(1..)) if start == HTTP2 => return refuse(stream, Rejection::Http2).await,
        Ok(Ok(1..)) => {}
        _ => return,
    }
    let timer = HeadTimer { patience: PATIENCE, heard: Heard::default() };
    let io = TokioIo::new(Stalling::new(stream, STALL, timer.heard.clone()));
    let mut builder = http1::Builder::new();
    builder.timer(timer).header_read_timeout(PATIENCE.idle).max_buf_size(HEAD_BYTES);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(permit.clone());
        request.extensions_mut().insert(Peer(peer));
        router.clone().oneshot(request)
    });
    let serving = builder.serve_connection(io, service).with_upgrades();
    let mut serving = std::pin::pin!(serving);
    let served = tokio::select! {
        served = serving.as_mut() => served,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        debug!(%error, "a connection ended early");
    }
}

/// Answers before the request is read: who floods the gateway should cost it little.
async fn refuse(mut stream: TcpStream, refusal: Rejection) {
    let (status, title, code, detail, helps) = match refusal {
        Rejection::Full => (503, "Service Unavailable", "busy", "too many connections".to_owned(), true),
        Rejection::OfOneAddress => (429, "Too Many Requests", "rate_limited", TooMany.to_string(), true),
        Rejection::Http2 => {
            let detail = "this is HTTP/2, and the gateway speaks HTTP/1.1".to_owned();
            (505, "HTTP Version Not Supported", "unsupported_version", detail, false)
        }
    };
    let retry_after = if helps { format!("Retry-After: {RETRY_AFTER_S}\r\n") } else { String::new() };
    let body =
        format!(r#"{{"type":"about:blank","title":"{title}","status":{status},"detail":"{detail}","code":"{code}"}}"#);
    let answer = format!(
        "HTTP/1.1 {status} {title}\r\n{retry_after}Connection: close\r\n\
         Content-Type: application/problem+json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let _the_peer_may_be_gone = timeout(REFUSAL, async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        // With its request unread the connection would be reset, and the reset may overtake the answer.
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
    })
    .await;
}

/// Errors of one connection that was given up before it was accepted, and not of the process.
fn is_peers_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use tokio::{io::AsyncReadExt, net::TcpSocket};

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
        tracker.spawn(serve(listener, Router::new(), (1, clients), stop.clone(), tracker.clone()));
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
