//! What every request goes through: an id, counters, security headers, and the body of a problem.

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::time::Instant;
use tracing::{Instrument, debug, field::Empty, info, info_span};

use super::{
    client::ClientAddress,
    completions,
    connection::Peer,
    deep_chat,
    gateway::Gateway,
    head,
    places::ConnectionPermit,
    problem::Problem,
    rates::{self, Counted},
};
use crate::{
    limits::{Action, Standing, Visitor},
    telemetry::metrics::{HTTP_DURATION, HTTP_IN_PROGRESS, HTTP_REQUESTS},
};

/// The page needs none of what these would give, and nobody else a window or an embedded answer of the gateway.
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Answers a request within its span.
pub(super) async fn observe(request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let method = request.method().as_str().to_owned();
    let render = form_of_errors(request.uri().path());
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let span = info_span!("request", id = %id, method = %method, route = %route, principal = Empty);
    let started = Instant::now();
    let in_progress = InProgress::begin();
    let has_tls = request.extensions().get::<Peer>().is_some_and(|peer| peer.has_tls);

    let mut response = next.run(request).instrument(span.clone()).await;
    let standing = response.extensions_mut().remove::<Standing>();
    let problem = response.extensions_mut().remove::<Problem>().or_else(|| plain_error(&response));
    let standing = problem.as_ref().and_then(|problem| problem.standing.as_deref().copied()).or(standing);
    if let Some(problem) = problem {
        let rendered = render(&problem, &id);
        let headers = std::mem::take(response.headers_mut());
        response = rendered;
        // What inner layers said (CORS, above all) holds for a problem too.
        for (name, value) in headers {
            if let Some(name) = name
                && !response.headers().contains_key(&name)
                && name != header::CONTENT_LENGTH
                && name != header::CONTENT_TYPE
            {
                response.headers_mut().append(name, value);
            }
        }
    }
    drop(in_progress);
    let status = response.status().as_u16();
    let took = started.elapsed();
    let took_ms = (took.as_secs_f64() * 1e6).round() / 1e3;
    span.in_scope(|| match route.as_str() {
        // Asked for all the time, by programs, and of no interest.
        "/livez" | "/ready" | "/readyz" | "/health" | "/metrics" => debug!(status, took_ms, "a request was answered"),
        _ => info!(status, took_ms, "a request was answered"),
    });
    let method = if KNOWN_METHODS.contains(&method.as_str()) { method } else { "other".to_owned() };
    metrics::counter!(HTTP_REQUESTS, "method" => method.clone(), "route" => route.clone(), "status" => status.to_string())
        .increment(1);
    metrics::histogram!(HTTP_DURATION, "method" => method, "route" => route).record(took.as_secs_f64());
    decorate(response.headers_mut(), &id);
    if has_tls {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    if let Some(standing) = standing {
        rates::tell(response.headers_mut(), standing);
    }
    response
}

/// How whoever asks at this address is told of errors.
fn form_of_errors(path: &str) -> fn(&Problem, &str) -> Response {
    match path {
        path if completions::is_below(path) => |problem, _| problem.render_as_openai(),
        path if deep_chat::is_below(path) => |problem, _| problem.render_for_deep_chat(),
        _ => Problem::render,
    }
}

/// Refuses requests whose head can be misunderstood, whatever they ask for.
pub(super) async fn check_head(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    match head::check(&head) {
        Ok(()) => next.run(Request::from_parts(head, body)).await,
        // Where it ends may be in question as well: nothing behind it is read.
        Err(problem) => ([(header::CONNECTION, "close")], problem).into_response(),
    }
}

/// Refuses requests that call the gateway by a name that it does not answer to.
pub(super) async fn check_name(State(gateway): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    if gateway.origins.answers_to(request.headers()) {
        return next.run(request).await;
    }
    gateway.notices.host_refused(&text(request.headers(), &header::HOST));
    let detail = "the gateway does not answer to this name, for nobody has to say who they are: its operator can list \
                  the origin in `server.allowed_origins`, or set `auth.required`";
    Problem::new(StatusCode::MISDIRECTED_REQUEST, "forbidden", detail).into_response()
}

/// Refuses pages of other origins whatever would change something. A browser keeps them from reading answers, but sends
/// simple requests all the same.
pub(super) async fn check_origin(State(gateway): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    if request.method().is_safe() || gateway.origins.allow_request(request.headers()) {
        return next.run(request).await;
    }
    foreign_page(&gateway, request.headers()).into_response()
}

/// Why a page of another origin is refused, and what can be done about it; the operator is told as well.
pub(super) fn foreign_page(gateway: &Gateway, headers: &HeaderMap) -> Problem {
    gateway.notices.origin_refused(&text(headers, &header::ORIGIN), &text(headers, &header::HOST));
    let detail = "`Origin` is neither the host that the request names nor listed: a proxy in front has to pass `Host` on \
                  as it came, and other pages have to be listed in `server.allowed_origins`";
    Problem::new(StatusCode::FORBIDDEN, "forbidden", detail)
}

/// What a header says, as far as it can be shown.
fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
}

/// Finds out who the client is, and gives a request that came through a trusted proxy a place among its client's.
pub(super) async fn know_client(State(gateway): State<Arc<Gateway>>, mut request: Request, next: Next) -> Response {
    let Some(Peer { address, .. }) = request.extensions().get::<Peer>().copied() else {
        return next.run(request).await;
    };
    match gateway.clients.request(address, request.headers()) {
        Ok((client, place)) => {
            let extensions = request.extensions_mut();
            extensions.insert(ClientAddress(client));
            let counted = Counted::default();
            extensions.insert(counted.clone());
            if let (Some(place), Some(permit)) = (place, extensions.get_mut::<ConnectionPermit>()) {
                permit.hold(place);
            }
            // Handlers take the request apart before they are done with it.
            let _held_while_it_is_answered = extensions.get::<ConnectionPermit>().cloned();
            let response = next.run(request).await;
            if counted.is_set() {
                return response;
            }
            // What nobody has to be somebody for is counted as well, or a flood of it would be free.
            match rates::take(&gateway.runner.rates, Action::OtherRequests, &Visitor::at(client)).await {
                Ok(_) => response,
                Err(problem) => problem.into_response(),
            }
        }
        Err(too_many) => Problem::from(too_many).into_response(),
    }
}

/// An error that the framework answered in plain text.
fn plain_error(response: &Response) -> Option<Problem> {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("text/plain");
    if !(status.is_client_error() || status.is_server_error()) || !kind.starts_with("text/plain") {
        return None;
    }
    let code = match status {
        StatusCode::NOT_FOUND => "not_found",
        _ if status.is_client_error() => "invalid_field",
        _ => "internal",
    };
    Some(Problem::new(status, code, status.canonical_reason().unwrap_or("the request failed")))
}

/// Labels are bounded: a method is whatever a client writes.
const KNOWN_METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// The caller's id when it is a sane one, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let sane = |id: &&str| {
        (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
    };
    let given = headers.get(&REQUEST_ID).and_then(|value| value.to_str().ok()).filter(sane);
    given.map_or_else(|| uuid::Uuid::new_v4().simple().to_string(), str::to_owned)
}

fn decorate(headers: &mut HeaderMap, id: &str) {
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
    headers
        .insert(PERMISSIONS_POLICY, HeaderValue::from_static("camera=(), geolocation=(), microphone=(), payment=()"));
    if !headers.contains_key(RESOURCE_POLICY) {
        headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
        headers.insert(header::CONTENT_SECURITY_POLICY, nothing);
    }
}

/// Counts a request until it is dropped, answered or not.
struct InProgress;

impl InProgress {
    fn begin() -> Self {
        metrics::gauge!(HTTP_IN_PROGRESS).increment(1.0);
        Self
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        metrics::gauge!(HTTP_IN_PROGRESS).decrement(1.0);
    }
}
