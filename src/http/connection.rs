//! One connection, from its first byte to its end: TLS where the port has it, and then HTTP/1.1 or HTTP/2, each with
//! limits on silence and on waiting writes. Uses its neighbours.

use std::{convert::Infallible, net::IpAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, http::StatusCode, response::Response};
use http_body_util::BodyExt;
use hyper::{
    Request,
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::Mutex,
    time::{Instant, interval, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{either::Either, sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;
use tracing::debug;

use super::{
    head::{self, HEAD_BYTES},
    places::{ConnectionPermit, RETRY_AFTER_S, TooMany},
    silence::{HeadTimer, Heard, Patience},
    stall::Stalling,
};

/// A connection that says nothing is closed after this; one that has to begin with TLS may take so long for that.
const FIRST_BYTE: Duration = Duration::from_secs(10);
/// How long a head may take, and how long a connection rests between two requests: above the 60 seconds for which
/// balancers keep theirs.
const PATIENCE: Patience = Patience { idle: Duration::from_secs(75), head: Duration::from_secs(15) };
/// What HTTP/2 begins with, when a client takes it for granted.
const HTTP2: &[u8] = b"PRI * HTTP/2";
/// What TLS begins with: the record of a handshake (RFC 8446, 5.1).
const TLS_HANDSHAKE: u8 = 22;
/// How long one write may wait. Longer than a socket's own limit, which closes with a code.
const STALL: Duration = Duration::from_secs(60);
/// Requests of one HTTP/2 connection that are answered at once, event streams included.
const STREAMS: u32 = 100;
/// How often an HTTP/2 connection is asked whether anybody is there, and how long the answer may take.
const ASK_EVERY: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));
/// Bytes of one answer that wait for an HTTP/2 client: what is behind it can still be merged.
const SEND_BUFFER: usize = 64 << 10;
/// How often it is looked at whether an HTTP/2 connection has requests.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long a refusal may take.
const REFUSAL: Duration = Duration::from_secs(1);
/// How long who asked too often waits for the answer that says so. A connection has one such answer at a time, and an
/// address has so many connections: so what a flood of refused requests costs has a bound, however fast it comes.
const TOO_OFTEN: Duration = Duration::from_millis(100);

/// What a connection runs on.
pub(super) type Transport = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// The other side of a request's connection, as an extension.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    pub(super) address: IpAddr,
    /// Whether TLS ends here.
    pub(super) has_tls: bool,
}

/// Why a connection is not served.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rejection {
    Full,
    OfOneAddress,
    Http2,
    NoTls,
}

impl From<TooMany> for Rejection {
    fn from(_: TooMany) -> Self {
        Self::OfOneAddress
    }
}

/// What a connection needs.
#[derive(Clone)]
pub(super) struct Wiring {
    pub(super) router: Router,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) permit: ConnectionPermit,
    pub(super) stop: CancellationToken,
    pub(super) tracker: TaskTracker,
    /// Held by the answer that is kept back.
    pub(super) turn: Arc<Mutex<()>>,
}

/// Serves a connection until it ends or is to stop; then the request at hand is finished.
pub(super) async fn serve(stream: TcpStream, address: IpAddr, wiring: Wiring) {
    // Without this a token waits for the acknowledgement of the one before it.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "TCP_NODELAY could not be set");
    }
    let mut start = [0; HTTP2.len()];
    let spoke = tokio::select! {
        () = wiring.stop.cancelled() => return,
        // Looked at and not only waited for: a socket may seem readable and have nothing.
        spoke = timeout(FIRST_BYTE, stream.peek(&mut start)) => spoke,
    };
    let Ok(Ok(1..)) = spoke else { return };
    let peer = Peer { address, has_tls: wiring.tls.is_some() };
    let served = match &wiring.tls {
        None if start == HTTP2 => return refuse(stream, Rejection::Http2).await,
        None => http1(Either::Left(stream), peer, wiring).await,
        Some(_) if start[0] != TLS_HANDSHAKE => return refuse(stream, Rejection::NoTls).await,
        Some(acceptor) => match timeout(FIRST_BYTE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => {
                let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let transport = Either::Right(Box::new(stream));
                if is_http2 { http2(transport, peer, wiring).await } else { http1(transport, peer, wiring).await }
            }
            Ok(Err(error)) => return debug!(%error, "a TLS handshake failed"),
            Err(_) => return debug!("a TLS handshake took too long"),
        },
    };
    if let Err(error) = served {
        debug!(%error, "a connection ended early");
    }
}

async fn http1(transport: Transport, peer: Peer, wiring: Wiring) -> hyper::Result<()> {
    let timer = HeadTimer { patience: PATIENCE, heard: Heard::default() };
    let io = TokioIo::new(Stalling::new(transport, STALL, timer.heard.clone()));
    let mut builder = http1::Builder::new();
    builder.timer(timer).header_read_timeout(PATIENCE.idle).max_buf_size(HEAD_BYTES);
    let stop = wiring.stop.clone();
    let service = service_fn(move |request: Request<Incoming>| answer(request, peer, &wiring));
    let serving = builder.serve_connection(io, service).with_upgrades();
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        served = serving.as_mut() => served,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    }
}

/// The library has no limit on the silence of a connection without requests, so it is ours. A head that never ends is no
/// request yet.
async fn http2(transport: Transport, peer: Peer, wiring: Wiring) -> hyper::Result<()> {
    let io = TokioIo::new(Stalling::new(transport, STALL, Heard::default()));
    let mut builder = http2::Builder::new(OnTracker(wiring.tracker.clone()));
    #[expect(clippy::cast_possible_truncation, reason = "32 KiB")]
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD_BYTES as u32)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(ASK_EVERY.0)
        .keep_alive_timeout(ASK_EVERY.1);
    let stop = wiring.stop.clone();
    // Held by every request until the last byte of its answer.
    let open = Arc::new(());
    let held = open.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (answered, open) = (answer(request, peer, &wiring), held.clone());
        async move {
            let response = answered.await?;
            Ok::<_, Infallible>(response.map(|body| Body::new(body.map_frame(move |frame| (frame, &open).0))))
        }
    });
    let mut serving = std::pin::pin!(builder.serve_connection(io, service));
    let mut look = interval(LOOK_EVERY);
    let (mut busy, mut is_leaving) = (Instant::now(), false);
    loop {
        let is_over = tokio::select! {
            served = serving.as_mut() => return served,
            () = stop.cancelled(), if !is_leaving => true,
            now = look.tick() => {
                if Arc::strong_count(&open) > IDLE_HOLDERS {
                    busy = now;
                }
                now - busy >= PATIENCE.idle
            }
        };
        match (is_over, is_leaving) {
            (false, _) => {}
            // Requests at hand are finished.
            (true, false) => {
                serving.as_mut().graceful_shutdown();
                (busy, is_leaving) = (Instant::now(), true);
            }
            // Who has none and does not take leave is left.
            (true, true) => return Ok(()),
        }
    }
}

/// `open` itself and the service.
const IDLE_HOLDERS: usize = 2;

/// Has the library's tasks waited for with all others.
#[derive(Clone)]
struct OnTracker(TaskTracker);

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for OnTracker {
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}

fn answer(
    mut request: Request<Incoming>,
    peer: Peer,
    wiring: &Wiring,
) -> impl Future<Output = Result<Response, Infallible>> + Send + use<> {
    head::name_host(&mut request);
    request.extensions_mut().insert(wiring.permit.clone());
    request.extensions_mut().insert(peer);
    let answering = wiring.router.clone().oneshot(request);
    let (turn, stop) = (wiring.turn.clone(), wiring.stop.clone());
    async move {
        let answer = answering.await?;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            let _turn = turn.lock().await;
            let _unless_all_ends = timeout(TOO_OFTEN, stop.cancelled()).await;
        }
        Ok(answer)
    }
}

/// Answers before the request is read: who floods the gateway should cost it little.
pub(super) async fn refuse(mut stream: TcpStream, refusal: Rejection) {
    let (status, title, code, detail, helps) = match refusal {
        Rejection::Full => (503, "Service Unavailable", "busy", "too many connections".to_owned(), true),
        Rejection::OfOneAddress => (429, "Too Many Requests", "rate_limited", TooMany.to_string(), true),
        Rejection::Http2 => {
            let detail = "this is HTTP/2, and without TLS the gateway speaks HTTP/1.1".to_owned();
            (505, "HTTP Version Not Supported", "unsupported_version", detail, false)
        }
        Rejection::NoTls => (400, "Bad Request", "tls_required", "this port speaks HTTPS".to_owned(), false),
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
