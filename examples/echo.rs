//! Echoes WebSocket messages through the gateway's own handshake checks and socket settings, so that a conformance
//! suite judges what the gateway uses. See docs/conformance.md.
//!
//! One thing differs: the gateway takes no message above 64 KiB and the suite sends up to 16 MiB, so that the bounds
//! are raised. `--bounded` leaves them as they are.
//!
//! ```text
//! cargo run --example echo -- 127.0.0.1:9001
//! ```

use std::{convert::Infallible, error::Error};

use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use futures_util::{SinkExt, StreamExt};
use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rivulet::{
    dialect::chat_v1::{FRAME_BYTES, SUBPROTOCOL},
    ws::{self, handshake},
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error as WsError,
        protocol::{Role, WebSocketConfig},
    },
};
use tokio_util::task::TaskTracker;

/// The largest message of the suite, and some room.
const SUITE_BYTES: usize = 32 << 20;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("the address is missing, like 127.0.0.1:9001")?;
    let config = match arguments.next().as_deref() {
        Some("--bounded") => ws::config(FRAME_BYTES),
        Some(other) => return Err(format!("{other} is not known").into()),
        None => ws::config(FRAME_BYTES)
            .max_message_size(Some(SUITE_BYTES))
            .max_frame_size(Some(SUITE_BYTES))
            .max_write_buffer_size(2 * SUITE_BYTES),
    };
    let listener = TcpListener::bind(address).await?;
    let sockets = TaskTracker::new();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let stream = accepted?.0;
                stream.set_nodelay(true)?;
                let sockets = sockets.clone();
                let answer = service_fn(move |request| std::future::ready(upgrade(request, config, &sockets)));
                connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer).with_upgrades());
            }
            // A connection that ends badly is what the suite is about.
            Some(_) = connections.join_next() => {}
        }
    }
}

fn upgrade(
    request: Request<Incoming>,
    config: WebSocketConfig,
    sockets: &TaskTracker,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::default());
    let accepted = match handshake::check((request.method(), request.version()), request.headers(), SUBPROTOCOL) {
        Ok(accepted) => accepted,
        Err(error) => {
            *response.status_mut() = StatusCode::BAD_REQUEST;
            *response.body_mut() = Full::from(error.to_string());
            return Ok(response);
        }
    };
    sockets.spawn(async move {
        let Ok(upgraded) = hyper::upgrade::on(request).await else { return };
        let io = TokioIo::new(upgraded);
        // How it ends is for the other side to judge.
        let _ = echo(WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await).await;
    });
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(key) = HeaderValue::from_str(&accepted.accept_key) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, key);
    }
    Ok(response)
}

async fn echo(mut socket: WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>) -> Result<(), WsError> {
    while let Some(message) = socket.next().await {
        match message {
            Ok(message) if message.is_text() || message.is_binary() => socket.send(message).await?,
            Ok(_) => {}
            Err(error) => {
                // As the gateway does: the reason is told in a close frame.
                let reason = ws::CloseReason::from_error(&error);
                return socket.close(reason.frame()).await;
            }
        }
    }
    Ok(())
}
