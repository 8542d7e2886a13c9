//! What is being done for somebody when the credential by which they asked for it is taken back: it ends, and they are told
//! why. Sockets and streams of events look by themselves, for they live longer than a request. Uses `auth`.

use std::{pin::Pin, sync::Arc, time::Duration};

use async_stream::stream;
use axum::{
    Extension,
    body::{Body, BodyDataStream},
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::time::sleep;

use super::{event_stream, gateway::Gateway, identity::unauthenticated, problem::Problem};
use crate::auth::{Authenticator, Caller, Grant};

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(400);

/// Ends with the credential: a request that is not answered yet with a problem, and an answer that is told in events with an
/// error. Whoever does something for it notices no more than when the client goes away.
pub(super) async fn end(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    request: Request,
    next: Next,
) -> Response {
    let Caller(Some(grant)) = caller else { return next.run(request).await };
    let mut over: Over = Box::pin(taken_back(gateway.auth.clone(), grant));
    let response = tokio::select! {
        biased;
        response = next.run(request) => response,
        () = &mut over => return problem().into_response(),
    };
    if !event_stream::is_one(&response) {
        return response;
    }
    response.map(|body| Body::from_stream(until(over, body.into_data_stream())))
}

type Over = Pin<Box<dyn Future<Output = ()> + Send>>;

async fn taken_back(auth: Arc<Authenticator>, grant: Grant) {
    while auth.stands(&grant) {
        sleep(LOOK).await;
    }
}

/// The events, and after them an error when it is over before they are.
fn until(mut over: Over, mut events: BodyDataStream) -> impl Stream<Item = Result<Bytes, axum::Error>> + Send {
    stream! {
        loop {
            let piece = tokio::select! {
                biased;
                () = &mut over => Err(()),
                piece = events.next() => Ok(piece),
            };
            match piece {
                Ok(Some(piece)) => yield piece,
                Ok(None) => return,
                Err(()) => {
                    drop(events); // Nobody writes what nobody may read.
                    yield Ok(problem().openai().event().into());
                    return;
                }
            }
        }
    }
}

fn problem() -> Problem {
    unauthenticated("what proved who asks was taken back")
}
