//! Calls that wait until somebody allows them: which they are, and what is said to them.
//!
//! One's own are listed, and those of one's tenant that a scope of one's own decides. All others look as if there were none.

use std::sync::Arc;

use axum::{
    Extension, Json as Reply,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{
    body::Json,
    gateway::Gateway,
    messages::Accepted,
    problem::Problem,
    sessions::{may_ask, query, session_id},
};
use crate::{
    auth::Caller,
    chat::{Approver, CallId, SessionId, Timestamp},
    dialect::chat_v1::check_comment,
    limits::Visitor,
    session::SessionHandle,
    store::{Awaited, Awaiting},
};

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Decided {
    Approved,
    Denied,
}

/// What is said to a call.
#[derive(Deserialize, ToSchema)]
pub(super) struct Decision {
    decision: Decided,
    /// That of the call, as it was shown: nothing else is allowed.
    #[schema(min_length = 1, max_length = 64)]
    digest: String,
    /// For whoever reads the conversation, and for the model.
    #[schema(max_length = 2000)]
    comment: Option<String>,
    /// The conversation, which need not be said by those who are somebody. With it, the same said twice is answered alike.
    session: Option<SessionId>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// `pending`, as when absent: others are in their conversations.
    #[param(pattern = "^pending$")]
    status: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ApprovalList {
    /// The newest first: at most 100 of one's own, and of each scope of one's own.
    approvals: Vec<Approval>,
}

/// A call that waits.
#[derive(Serialize, ToSchema)]
#[schema(as = WaitingCall)]
struct Approval {
    approval: CallId,
    session: SessionId,
    /// Who asks for it.
    user: String,
    tool: String,
    title: String,
    args: Value,
    digest: String,
    /// Who decides: `user`, or `scope:NAME`.
    #[schema(value_type = String)]
    approver: Approver,
    created_at: Timestamp,
    expires_at: Timestamp,
}

/// Lists calls that wait to be allowed.
#[utoipa::path(
    get, path = "/approvals", tag = "Conversations", operation_id = "list_approvals",
    params(Which),
    responses((status = 200, description = "Those that wait", body = ApprovalList)),
)]
pub(super) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Reply<ApprovalList>, Problem> {
    if query(which)?.status.is_some_and(|status| status != "pending") {
        return Err(Problem::invalid_field("status", "must be pending: others are in their conversations"));
    }
    let Some(owner) = caller.owner() else { return Ok(Reply(ApprovalList { approvals: Vec::new() })) };
    let mut found = gateway.hub.store().awaiting(Awaiting::Of(owner), None).await?;
    for scope in caller.0.iter().flat_map(|grant| grant.principal.scopes()) {
        let part = format!("\"approver\":\"scope:{scope}\"");
        let others = gateway.hub.store().awaiting(Awaiting::Tenant(caller.tenant()), Some(&part)).await?;
        found.extend(others.into_iter().filter(|awaited| awaited.owner != *owner && decides(&caller, awaited)));
    }
    let now = Timestamp::now();
    let mut approvals: Vec<_> =
        found.into_iter().filter_map(Approval::of).filter(|approval| approval.expires_at > now).collect();
    approvals.sort_by_key(|approval| std::cmp::Reverse(approval.created_at));
    Ok(Reply(ApprovalList { approvals }))
}

/// Allows a call that waits, or not. The conversation goes on with it.
#[utoipa::path(
    post, path = "/approvals/{id}", tag = "Conversations", operation_id = "decide_approval",
    params(("id" = CallId, Path)),
    request_body = Decision,
    responses((status = 202, description = "It is decided, and the conversation goes on", body = Accepted)),
)]
pub(super) async fn decide(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Extension(by): Extension<Visitor>,
    Path(call): Path<String>,
    Json(Decision { decision, digest, comment, session }): Json<Decision>,
) -> Result<(StatusCode, Reply<Accepted>), Problem> {
    let call = CallId::parse(&call).map_err(|_| Problem::not_found("approval"))?;
    let comment = check_comment(comment)?;
    let (session, is_owner) = match session {
        Some(session) => (gateway.hub.get_own(&session_id(session.as_str())?, caller.owner()).await?, true),
        None => find(&gateway, &caller, &call).await?,
    };
    if is_owner {
        may_ask(&gateway, &caller, &session)?;
    }
    let decision = caller.decision(call, digest, matches!(decision, Decided::Approved), comment);
    let receipt = session.decide(crate::chat::Decision { is_owner, ..decision }, by).await?;
    Ok((StatusCode::ACCEPTED, Reply(Accepted::of(receipt))))
}

/// The conversation in which a call waits that the caller sees, and whether it is theirs.
async fn find(gateway: &Gateway, caller: &Caller, call: &CallId) -> Result<(SessionHandle, bool), Problem> {
    let part = format!("\"call\":{}", Value::from(call.as_str()));
    let found = gateway.hub.store().awaiting(Awaiting::Tenant(caller.tenant()), Some(&part)).await?;
    let is_own = |awaited: &Awaited| Some(&awaited.owner) == caller.owner();
    let is_it = |awaited: &Awaited| awaited.answer.waiting().is_some_and(|used| used.call.call == *call);
    let seen =
        |awaited: &Awaited| caller.owner().is_some() && is_it(awaited) && (is_own(awaited) || decides(caller, awaited));
    let awaited = found.into_iter().find(seen).ok_or_else(|| Problem::not_found("approval"))?;
    Ok((gateway.hub.get_own(&awaited.session, Some(&awaited.owner)).await?, is_own(&awaited)))
}

/// Whether a scope of the caller decides it.
fn decides(caller: &Caller, awaited: &Awaited) -> bool {
    let approval = awaited.answer.waiting().and_then(|used| used.outcome.approval.as_ref());
    match approval.map(|approval| &approval.approver) {
        Some(Approver::Scope(scope)) => caller.0.as_ref().is_some_and(|grant| grant.principal.has_scope(scope)),
        _ => false,
    }
}

impl Approval {
    fn of(awaited: Awaited) -> Option<Self> {
        let used = awaited.answer.waiting()?.clone();
        let approval = used.outcome.approval?;
        Some(Self {
            approval: approval.id,
            session: awaited.session,
            user: awaited.owner.user().to_owned(),
            tool: used.call.tool,
            title: used.call.title,
            args: used.call.args,
            digest: approval.digest,
            approver: approval.approver,
            created_at: awaited.answer.created_at,
            expires_at: approval.expires_at,
        })
    }
}
