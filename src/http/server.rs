//! The accept loop: ours, because the framework's has no timeouts, no bound on connections, and does not wait for
//! upgraded ones.

use std::{io, sync::Arc, time::Duration};

use axum::Router;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;
use tracing::{debug, warn};

use super::stall::Stalling;

/// A connection that says nothing is closed after this.
const FIRST_BYTE: Duration = Duration::from_secs(10);
/// A request's head must be complete within this; an idle kept-alive connection is closed after it.
const HEADER: Duration = Duration::from_secs(15);
/// The most bytes of a request's head.
const HEAD_BYTES: usize = 32 << 10;
/// How long the loop rests when the process has no more file descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// Serves connections until `stop`; then lets each finish the request it is at. Connections live on `tracker`.
///
/// `most` bounds open connections, sockets included: beyond it a connection is answered with 503 and closed.
/// 0 is no bound.
pub async fn serve(listener: TcpListener, router: Router, most: usize, stop: CancellationToken, tracker: TaskTracker) {
    let permits = Arc::new(Semaphore::new(if most == 0 { Semaphore::MAX_PERMITS } else { most }));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) if is_peers_fault(&error) => continue,
            Err(error) => {
                warn!(%error, "no connection can be accepted");
                sleep(ACCEPT_BACKOFF).await;
                continue;
            }
        };
        match permits.clone().try_acquire_owned() {
            Ok(permit) => {
                let permit = ConnectionPermit(Arc::new(permit));
                tracker.spawn(connection(stream, router.clone(), permit, stop.clone()));
            }
            Err(_) => {
                tracker.spawn(refuse(stream));
            }
        }
    }
}

/// A connection's place among [`serve`]'s `most`. A request carries it as an extension; an upgraded socket keeps it.
#[derive(Debug, Clone)]
pub struct ConnectionPermit(#[expect(dead_code, reason = "held for its drop")] Arc<OwnedSemaphorePermit>);

async fn connection(stream: TcpStream, router: Router, permit: ConnectionPermit, stop: CancellationToken) {
    // Without this a token waits for the acknowledgement of the one before it.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "TCP_NODELAY could not be set");
    }
    let spoke = tokio::select! {
        () = stop.cancelled() => return,
        spoke = timeout(FIRST_BYTE, stream.readable()) => spoke,
    };
    if !matches!(spoke, Ok(Ok(()))) {
        return;
    }
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER).max_buf_size(HEAD_BYTES);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(permit.clone());
        router.clone().oneshot(request)
    });
    let serving = builder.serve_connection(TokioIo::new(Stalling::new(stream)), service).with_upgrades();
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

async fn refuse(mut stream: TcpStream) {
    let body = r#"{"title":"Service Unavailable","status":503,"code":"busy","detail":"too many connections"}"#;
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n\
         Content-Type: application/problem+json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let _the_peer_may_be_gone = timeout(Duration::from_secs(1), async {
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
