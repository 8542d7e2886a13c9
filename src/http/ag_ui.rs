//! `/ag-ui`: an answer for pages that speak AG-UI. A conversation is the client's thread, and what the user said last is asked
//! in it; the run is told as it is written.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Path, Request, State},
    response::Response,
};
use serde_json::Value;

use super::{
    body,
    gateway::Gateway,
    places::ConnectionPermit,
    problem::Problem,
    rates,
    told::{session_of_chat, told},
};
use crate::{
    auth::Caller,
    chat::{CallId, ToolStatus},
    dialect::{
        ag_ui::{AgUi, Asked, RunAgentInput, Verdict, described},
        chat_v1::{check_comment, check_text},
    },
    hub::Ask,
    limits::{Action, Visitor},
    session::{SendMode, SessionHandle},
};

/// The largest request, in bytes: the client sends the whole history.
const MAX_BODY_BYTES: usize = 1 << 20;

/// An answer, for pages that speak AG-UI.
///
/// The same message asked again, as after a lost connection, is the same answer, told from its beginning. A request that is
/// hung up does not stop it.
#[utoipa::path(
    post, path = "/ag-ui/{assistant}", tag = "Conversations", operation_id = "run_ag_ui",
    params(("assistant" = String, Path)),
    request_body = described::Run,
    responses((status = 200, description = "The events of a run", content(("text/event-stream")))),
)]
pub(super) async fn run(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Extension(by): Extension<Visitor>,
    permit: Option<Extension<ConnectionPermit>>,
    Path(assistant): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let body: Value = body::json(request, MAX_BODY_BYTES).await?;
    let mut input = RunAgentInput::parse(&body)?;
    drop(body);
    let ask = asked(&caller, &input.asked)?;
    let session = session_of_chat(&gateway, (&caller, &by), &input.thread, Some(&assistant)).await?;
    // A call that does not wait any more has its result, and is told no other.
    input.settled = input.settled.filter(|(call, status)| *status != ToolStatus::Superseded || waits(&session, call));
    let (receipt, answer) = gateway.hub.ask(&session, ask, by).await?;
    let codec = AgUi::new(input, session.id().clone());
    let mut response = told(answer, codec, None, permit.map(|Extension(permit)| permit));
    rates::note(&mut response, receipt.standing.filter(|standing| standing.action == Action::Assistant));
    Ok(response)
}

fn waits(session: &SessionHandle, call: &CallId) -> bool {
    let snapshot = session.attach(None).1.snapshot;
    let waiting = snapshot.iter().flat_map(|snapshot| &snapshot.messages).filter_map(|message| message.waiting());
    waiting.map(|used| &used.call.call).any(|waiting| waiting == call)
}

fn asked(caller: &Caller, asked: &Asked) -> Result<Ask, Problem> {
    match asked.clone() {
        Asked::Say { id, text } => {
            check_text(&text)?;
            Ok(Ask::Say { id: Some(id), text, mode: SendMode::Reject })
        }
        Asked::Decide(Verdict { call, digest, is_approved, comment }) => {
            let comment = check_comment(comment)?;
            Ok(Ask::Decide(caller.decision(call, digest, is_approved, comment)))
        }
    }
}
