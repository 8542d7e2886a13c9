//! An OpenAI-compatible server that streams a script, calls of tools, or a fault, at a steady rate: for demos, tests and
//! load.
//!
//! Cheap enough to feed thousands of streams from the machine that is measured: chunks are encoded once per model
//! name and written as they are. Uses nothing of ours.

use std::{
    convert::Infallible,
    future::Future,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::{net::TcpListener, task::JoinSet, time::sleep};

mod answer;
mod calls;
mod deviation;
mod fault;
mod named;
mod options;
mod plan;
mod reply;
mod request;
mod rules;
mod script;
pub mod stamp;
mod stats;
mod strict;
mod wild;

use self::{
    answer::{Answer, Body, Said},
    request::CompletionRequest,
    script::Encoded,
    stats::Open,
};

pub use self::{
    fault::{Fault, Quirk, Strict},
    named::{FAULTS, UnknownFault},
    options::Options,
    script::{DEFAULT_TEXT, Script},
    stats::{Cancelled, Counts, SeenRequest, Stats},
};

/// The model that it says it has. It answers to every name.
pub const MODEL: &str = "mock";

const MAX_BODY_BYTES: usize = 4 << 20;

/// A mock that is bound and not yet serving.
#[derive(Debug)]
pub struct MockLlm {
    listener: TcpListener,
    addr: SocketAddr,
    stats: Stats,
    options: Arc<Options>,
}

impl MockLlm {
    /// Takes the address; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn bind(addr: SocketAddr, options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        Ok(Self { listener, addr, stats: Stats::default(), options: Arc::new(options) })
    }

    /// The address that it has.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What it will have seen.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats.clone()
    }

    /// Serves until the future is dropped, which closes every connection.
    pub async fn serve(self) -> Infallible {
        let service = Arc::new(Service { stats: self.stats, options: self.options, next: AtomicUsize::new(0) });
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((socket, _)) => {
                        // Without it the socket still works, only tokens arrive in lumps.
                        let _: io::Result<()> = socket.set_nodelay(true);
                        connections.spawn(connection(socket, Arc::clone(&service)));
                    }
                    // Out of file descriptors, most likely: others will close theirs.
                    Err(_) => sleep(Duration::from_millis(50)).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

fn connection(socket: tokio::net::TcpStream, service: Arc<Service>) -> impl Future<Output = ()> + Send {
    let answer = service_fn(move |request| {
        let service = Arc::clone(&service);
        async move { service.answer(request).await }
    });
    async move {
        // A connection that ends badly is one of the things this server is for.
        let _: hyper::Result<()> = http1::Builder::new().serve_connection(TokioIo::new(socket), answer).await;
    }
}

struct Service {
    stats: Stats,
    options: Arc<Options>,
    /// The number of the next completion, to find its fault.
    next: AtomicUsize,
}

impl Service {
    async fn answer(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        match (request.method(), request.uri().path()) {
            (&Method::POST, "/v1/chat/completions") => self.complete(request).await,
            (&Method::GET, "/v1/models") => {
                Ok(json_response(json!({ "object": "list", "data": [{ "id": MODEL, "object": "model" }] })))
            }
            (&Method::GET, "/cancelled") => Ok(json_response(json!(self.stats.cancelled()))),
            (&Method::GET, "/stats") => {
                Ok(json_response(json!({ "completions": self.stats.counts(), "tokens": self.stats.tokens() })))
            }
            _ => Ok(error_response(StatusCode::NOT_FOUND, "no such route")),
        }
    }

    async fn complete(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, MAX_BODY_BYTES).collect().await.map_err(io::Error::other)?.to_bytes();
        let asked: CompletionRequest = match serde_json::from_slice(&body) {
            Ok(asked) => asked,
            Err(error) => return Ok(error_response(StatusCode::BAD_REQUEST, &error.to_string())),
        };
        let prompt_tokens = body.len().div_ceil(4);
        self.stats.remember(SeenRequest { headers: head.headers, body: body.clone() });
        let question = asked.messages.last().and_then(|message| message.content.as_str()).unwrap_or_default();
        let mut open = Open::new(self.stats.clone(), question.to_owned());
        let (number, fault) = self.next_fault();
        if let Some(refusal) = rules::refusal(&asked) {
            open.finished = true;
            return Ok(error_response(StatusCode::BAD_REQUEST, &refusal));
        }
        let fault = match fault {
            Fault::Strict(strict) => strict.judge(&body),
            Fault::ToolUseFailed(words) => {
                let calls = reply::reply(&asked, false).0.map_or_else(Vec::new, |round| round.calls);
                deviation::tool_use_failed(words.filter(|_| asked.stream), &calls::failed_generation(&calls))
            }
            fault => fault,
        };
        let mut answered = self.by_fault(fault, asked, prompt_tokens, open).await?;
        let id = header::HeaderValue::from(number);
        answered.headers_mut().entry("x-request-id").or_insert(id);
        Ok(answered)
    }

    async fn by_fault(
        &self,
        fault: Fault,
        asked: CompletionRequest,
        prompt_tokens: usize,
        mut open: Open,
    ) -> io::Result<Response<Body>> {
        match fault {
            Fault::Refuse => Err(io::Error::other("refused on demand")),
            Fault::Status { status, headers, body } => {
                open.finished = true;
                status_response(status, &headers, body)
            }
            Fault::StallHeaders => std::future::pending().await,
            Fault::Raw { pieces, pause } => Ok(stream_response(answer::raw(pieces, pause, open))),
            fault => {
                let said = self.said(&asked, &fault);
                let answer = Answer::new(&self.options, &asked, said, prompt_tokens, fault);
                if !asked.stream || answer.fault == Fault::Json {
                    sleep(self.options.first_token).await;
                    open.finished = true;
                    return Ok(response(StatusCode::OK, "application/json", answer.whole()));
                }
                Ok(stream_response(answer.stream(open)))
            }
        }
    }

    fn said(&self, asked: &CompletionRequest, fault: &Fault) -> (Said, Arc<Encoded>) {
        let quirk = if let Fault::Tools(quirk) = fault { Some(*quirk) } else { None };
        match reply::reply(asked, quirk == Some(Quirk::Loop)) {
            (Some(round), number) => Said::round(round, number, quirk, &asked.model),
            (None, _) => (Said::Script, self.stats.encoded(&self.options.script, &asked.model)),
        }
    }

    /// The number of a completion, from 0, and its fault.
    fn next_fault(&self) -> (usize, Fault) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let faults = &self.options.faults;
        let fault = match faults.get(number).or(faults.last()).cloned().unwrap_or_default() {
            Fault::Flapping if number % 2 == 1 => Fault::None,
            Fault::Flapping => Fault::Status { status: 500, headers: Vec::new(), body: String::new() },
            fault => fault,
        };
        (number, fault)
    }
}

fn json_response(value: serde_json::Value) -> Response<Body> {
    response(StatusCode::OK, "application/json", value.to_string().into())
}

fn error_response(status: StatusCode, message: &str) -> Response<Body> {
    let error = json!({ "error": { "message": message, "type": "invalid_request_error", "code": null } });
    response(status, "application/json", error.to_string().into())
}

fn status_response(status: u16, headers: &[(String, String)], body: String) -> io::Result<Response<Body>> {
    let status = StatusCode::from_u16(status).map_err(io::Error::other)?;
    let builder = headers.iter().fold(Response::builder().status(status), |builder, (name, value)| {
        builder.header(name.as_str(), value.as_str())
    });
    builder.body(full(body.into())).map_err(io::Error::other)
}

fn response(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Body> {
    with_type(status, content_type, full(body))
}

fn stream_response(body: Body) -> Response<Body> {
    with_type(StatusCode::OK, "text/event-stream", body)
}

fn with_type(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

fn full(body: Bytes) -> Body {
    Full::new(body).map_err(|never: Infallible| match never {}).boxed_unsync()
}
