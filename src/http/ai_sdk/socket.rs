//! The socket of the AI SDK's `WebSocketChatTransport`. A view that no longer listens to what it has asked says so by the same
//! frame, whether its reader has pressed stop or it was only mounted anew: the answer is stopped a little later, unless a
//! view is back by then.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    extract::{Query, Request, State, rejection::QueryRejection},
    response::Response,
};
use futures_util::FutureExt;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::asking::ask;
use crate::{
    auth::{Caller, Right},
    dialect::ai_sdk::{self, Asked, BODY_BYTES, Chunks, Frame, FrameFault, Framed, SUBPROTOCOL, Said},
    http::{
        gateway::Gateway,
        identity::{Asking, listening},
        parameters::Parameters,
        problem::Problem,
        socket,
        told::known_session_of_chat,
    },
    limits::Visitor,
    session::{Answer, SendMode, SessionHandle, StopTarget, answer::Next},
    ws::{self, Desk, Heard, Line},
};

/// So long after nobody listens any more an answer is stopped.
const GRACE: Duration = Duration::from_secs(1);
/// So long the end of an answer that makes room is waited for: it is stored first.
const ROOM: Duration = Duration::from_secs(5);

/// A WebSocket for chats of the AI SDK: its requests and their chunks, for as many chats as a page has.
#[utoipa::path(
    get, path = "/ai-sdk/ws", tag = "AI SDK", operation_id = "ai_sdk_socket",
    params(("ticket" = Option<String>, Query, description = "Who the client is")),
    security(("bearer" = ["chat"]), ("ticket" = [])),
    responses((status = 101, description = "It is a socket from here on")),
)]
pub(in crate::http) async fn open(
    State(gateway): State<Arc<Gateway>>,
    given: Result<Query<Parameters>, QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let (accepted, told) = socket::check(&gateway, given, &request, SUBPROTOCOL)?;
    if told.temporary || told.resume.is_some() {
        let field = if told.temporary { "temporary" } else { "resume" };
        return Err(Problem::invalid_field(field, "is nothing that this socket knows"));
    }
    let head = (request.headers(), request.extensions());
    let Asking { caller, visitor, standing } = listening(&gateway, head, told.ticket.as_deref(), Right::Chat).await?;
    let line = Line {
        protocol: SUBPROTOCOL,
        frame_bytes: BODY_BYTES,
        auth: gateway.auth.clone(),
        caller: caller.clone(),
        connection: format!("c_{}", uuid::Uuid::new_v4().simple()),
        draining: gateway.draining.clone(),
    };
    let mut views =
        Views { gateway: gateway.clone(), caller, visitor, assistant: told.assistant, asked: HashMap::new() };
    socket::hand_over(&gateway, request, (&accepted, standing), move |io, read| {
        ws::carry(io, read, line, move |text, desk| views.hear(text, desk))
    })
}

/// The views of one page.
struct Views {
    gateway: Arc<Gateway>,
    caller: Caller,
    visitor: Visitor,
    /// Who answers in new chats that ask for nobody.
    assistant: Option<String>,
    /// What this socket has asked, and in which chat, until its answer is over or stopped.
    asked: HashMap<String, (String, Weak<Left>)>,
}

/// What becomes of an answer that nobody listens to.
#[derive(Default)]
struct Left {
    /// Nobody listens to it.
    is_left: AtomicBool,
    /// Somebody is back, or has asked something else.
    back: CancellationToken,
}

impl Views {
    fn hear(&mut self, text: &str, mut desk: Desk<'_>) -> Heard {
        let Frame { request, said } = match ai_sdk::frame(text) {
            Ok(frame) => frame,
            Err(FrameFault { request, error }) => {
                return Heard::Say(ai_sdk::error(request.as_deref(), &error.message));
            }
        };
        if said != Said::Abort
            && let Err(refused) = desk.check(&request)
        {
            return Heard::Say(ai_sdk::error(Some(&request), refused));
        }
        let (gateway, caller) = (self.gateway.clone(), self.caller.clone());
        match said {
            Said::Abort => self.leave(request),
            Said::Resume { chat } => {
                self.somebody_is_back(&chat);
                let asking = resume(gateway, caller, request.clone(), chat).boxed();
                Heard::Ask { request, asking }
            }
            Said::Send(asked) => {
                let asked = Asked { assistant: asked.assistant.or_else(|| self.assistant.clone()), ..asked };
                let replaces = self.somebody_is_back(&asked.chat);
                let left = Arc::new(Left::default());
                self.asked.retain(|_, (_, left)| left.strong_count() > 0);
                self.asked.insert(request.clone(), (asked.chat.clone(), Arc::downgrade(&left)));
                let by = (caller, self.visitor.clone());
                let asking = send(gateway, by, request.clone(), (asked, replaces), left).boxed();
                Heard::Ask { request, asking }
            }
        }
    }

    /// Nobody listens to a request any more.
    fn leave(&mut self, request: String) -> Heard {
        if let Some(left) = self.asked.get(&request).and_then(|(_, left)| left.upgrade()) {
            left.is_left.store(true, Ordering::Relaxed);
        }
        Heard::Leave(request)
    }

    /// No answer in a chat is stopped because nobody listens; whether one was about to be.
    fn somebody_is_back(&self, chat: &str) -> bool {
        let here = self.asked.values().filter(|(asked, _)| asked == chat).filter_map(|(_, left)| left.upgrade());
        let left: Vec<_> = here.filter(|left| left.is_left.load(Ordering::Relaxed)).collect();
        for left in &left {
            left.back.cancel();
        }
        !left.is_empty()
    }
}

async fn send(
    gateway: Arc<Gateway>,
    (caller, by): (Caller, Visitor),
    request: String,
    (asked, replaces): (Asked, bool),
    left: Arc<Left>,
) -> Result<ws::Request, String> {
    let mode = if replaces {
        // What nobody wants any more makes room at once.
        if let Ok(Some(session)) = known_session_of_chat(&gateway, &caller, &asked.chat).await {
            make_room(&session).await;
        }
        SendMode::Replace
    } else {
        SendMode::Reject
    };
    let (session, answer, chunks) =
        ask(&gateway, (&caller, by), asked, mode).await.map_err(|problem| refused(&request, &problem))?;
    let left = stop_later(session, StopTarget::Run(answer.run().clone()), left).boxed();
    Ok(ws::Request { answer, codec: Box::new(Framed::new(request, chunks)), left: Some(left) })
}

/// Stops the answer that is being written, and waits until nothing of it is in the way of what is asked now.
async fn make_room(session: &SessionHandle) {
    let Some(mut answer) = Answer::live(session) else { return };
    if session.stop(StopTarget::Run(answer.run().clone())).await.is_err() {
        return; // It has ended by itself.
    }
    let over = async {
        loop {
            match answer.next(usize::MAX, |_| {}) {
                Next::Shown => {}
                Next::Over | Next::Lost => return,
                Next::UpToDate => match answer.changed().await {
                    Ok(()) => {}
                    Err(_) => return,
                },
            }
        }
    };
    let _refused_as_busy_then = timeout(ROOM, over).await;
}

async fn resume(gateway: Arc<Gateway>, caller: Caller, request: String, chat: String) -> Result<ws::Request, String> {
    let session = known_session_of_chat(&gateway, &caller, &chat).await;
    let session = session.map_err(|problem| refused(&request, &problem))?;
    let found = session.and_then(|session| Answer::live(&session).map(|answer| (session, answer)));
    let (session, answer) = found.ok_or_else(|| ai_sdk::no_active(&request))?;
    let chunks = Chunks::new(session.id().clone(), None);
    Ok(ws::Request { answer, codec: Box::new(Framed::new(request, chunks)), left: None })
}

/// Stops an answer when nobody is back in time.
async fn stop_later(session: SessionHandle, run: StopTarget, left: Arc<Left>) {
    let is_back = tokio::time::timeout(GRACE, left.back.cancelled()).await.is_ok();
    if !is_back {
        let _over_is_fine = session.stop(run).await;
    }
}

fn refused(request: &str, problem: &Problem) -> String {
    ai_sdk::error(Some(request), &problem.detail)
}
