//! `/ws`: from a request to a socket. Everything is checked before the upgrade, so that a refusal is an HTTP status.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, Query, Request, State, rejection::QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use hyper::upgrade::{OnUpgrade, Parts, Upgraded};
use hyper_util::rt::TokioIo;
use tracing::{debug, error};

use super::{
    connection::Transport,
    gateway::Gateway,
    identity,
    parameters::{Parameters, parameters},
    places::ConnectionPermit,
    problem::Problem,
    rates,
    requests::foreign_page,
    sessions::session_id,
    stall::Stalling,
};
use crate::{
    chat::SessionId,
    dialect::chat_v1::SUBPROTOCOL,
    limits::Standing,
    ws::{
        self, Arrival, Socket,
        handshake::{self, Accepted},
    },
};

/// Whether it is clear already who a client is.
enum Client {
    Known(Box<Socket>),
    Unknown(Box<Arrival>),
}

/// A WebSocket on a session that is made for it.
///
/// It speaks `chat.v1`, or what other subprotocols it offers stand for.
#[utoipa::path(
    get, path = "/ws", tag = "Conversations", operation_id = "open_socket",
    params(Parameters),
    security(("bearer" = ["chat"]), ("ticket" = [])),
    responses((status = 101, description = "It is a socket from here on")),
)]
pub(super) async fn open_new(
    State(gateway): State<Arc<Gateway>>,
    given: Result<Query<Parameters>, QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let (accepted, told) = check(&gateway, given, &request, SUBPROTOCOL)?;
    upgrade(&gateway, None, told, request, &accepted).await
}

/// A WebSocket on a session that exists.
#[utoipa::path(
    get, path = "/ws/{id}", tag = "Conversations", operation_id = "open_socket_on_session",
    params(("id" = SessionId, Path), Parameters),
    security(("bearer" = ["chat"]), ("ticket" = [])),
    responses((status = 101, description = "It is a socket from here on")),
)]
pub(super) async fn open(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
    given: Result<Query<Parameters>, QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let (accepted, told) = check(&gateway, given, &request, SUBPROTOCOL)?;
    upgrade(&gateway, Some(session_id(&id)?), told, request, &accepted).await
}

/// Whether a request may become a socket on which `protocol` is spoken, as far as its head says.
pub(super) fn check(
    gateway: &Gateway,
    given: Result<Query<Parameters>, QueryRejection>,
    request: &Request,
    protocol: &'static str,
) -> Result<(Accepted, Parameters), Problem> {
    let accepted = handshake::check((request.method(), request.version()), request.headers(), protocol)?;
    if !gateway.origins.allow_request(request.headers()) {
        return Err(foreign_page(gateway, request.headers()));
    }
    let told = parameters(given)?;
    if gateway.draining.is_cancelled() {
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "the gateway is going away");
        return Err(Problem { retry_after: Some(1), ..problem });
    }
    Ok((accepted, told))
}

async fn upgrade(
    gateway: &Gateway,
    session: Option<SessionId>,
    parameters: Parameters,
    request: Request,
    accepted: &Accepted,
) -> Result<Response, Problem> {
    let ticket = parameters.ticket.as_deref();
    let asking = identity::opening(gateway, request.headers(), request.extensions(), ticket).await?;
    let arrival = Arrival {
        hub: gateway.hub.clone(),
        auth: gateway.auth.clone(),
        rates: gateway.runner.rates.clone(),
        visitor: asking.visitor,
        session,
        assistant: parameters.assistant,
        is_temporary: parameters.temporary,
        assistants: gateway.runner.assistants.clone(),
        resume: parameters.resume,
        connection: format!("c_{}", uuid::Uuid::new_v4().simple()),
        draining: gateway.draining.clone(),
        drain: gateway.drain,
    };
    let client = match asking.caller {
        Some(caller) => match arrival.admit(caller).await {
            Ok(socket) => Client::Known(Box::new(socket)),
            Err(refused) => {
                // Whoever comes again with it, perhaps a proxy to another gateway, is not to be nobody. A ticket beside a
                // header was not used.
                let used = ticket.filter(|_| !request.headers().contains_key(header::AUTHORIZATION));
                if let (Some(ticket), true) = (used, refused.may_pass()) {
                    gateway.auth.give_back_ticket(ticket).await;
                }
                return Err(refused.into());
            }
        },
        None => Client::Unknown(Box::new(arrival)),
    };
    hand_over(gateway, request, (accepted, asking.standing), move |io, read| async move {
        match client {
            Client::Known(socket) => ws::serve(io, read, *socket).await,
            // On the heap, so that the task of a client that is known has no room for what it does not need.
            Client::Unknown(arrival) => Box::pin(ws::serve_unknown(io, read, *arrival)).await,
        }
    })
}

/// Answers the handshake, and has the connection served when it is a socket.
pub(super) fn hand_over<F: Future<Output = ()> + Send + 'static>(
    gateway: &Gateway,
    mut request: Request,
    (accepted, standing): (&Accepted, Option<Standing>),
    serve: impl FnOnce(Transport, Vec<u8>) -> F + Send + 'static,
) -> Result<Response, Problem> {
    let upgrading = request.extensions_mut().remove::<OnUpgrade>().ok_or_else(|| {
        Problem::new(StatusCode::UPGRADE_REQUIRED, "invalid_field", "this connection cannot be upgraded")
    })?;
    let permit = request.extensions_mut().remove::<ConnectionPermit>();
    gateway.sockets.spawn(async move {
        let _held_while_the_socket_is_open = permit;
        let connection = match upgrading.await.map(Upgraded::downcast::<TokioIo<Stalling<Transport>>>) {
            Ok(Ok(connection)) => connection,
            Ok(Err(_)) => return error!("an upgraded connection is not one of this server"),
            Err(error) => return debug!(%error, "a client left during the upgrade"),
        };
        // From here a socket has a limit of its own for writes that wait.
        let Parts { io, read_buf, .. } = connection;
        let io = io.into_inner().into_inner();
        // Copied, which is nearly always nothing: the buffer behind it is larger than all else of an idle socket.
        let read = read_buf.to_vec();
        drop(read_buf);
        Box::pin(serve(io, read)).await; // The task has room for the upgrade, and then for no more than this.
    });
    let mut response = Response::new(Body::empty());
    rates::note(&mut response, standing);
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(key) = HeaderValue::from_str(&accepted.accept_key) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, key);
    }
    if let Some(protocol) = accepted.protocol {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    }
    Ok(response)
}
