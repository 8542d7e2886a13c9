//! How often somebody may ask over HTTP: who is counted, and what an answer's head says of what is left.
//!
//! Whoever proves to be a principal is counted as that one; everybody else, with wrong credentials too, as their address. So
//! nobody can use up what is somebody else's, and who tries out tokens has as many tries as there are requests.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use axum::{
    Extension,
    http::{Extensions, HeaderMap, HeaderName, HeaderValue},
    response::Response,
};

use super::{client::ClientAddress, problem::Problem};
use crate::{
    auth::Caller,
    limits::{Action, Rates, Standing, Visitor},
};

/// The fields of draft-ietf-httpapi-ratelimit-headers-10.
pub(super) const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
pub(super) const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Whether a request was counted among those of whoever makes it.
#[derive(Debug, Clone, Default)]
pub(super) struct Counted(Arc<AtomicBool>);

impl Counted {
    pub(super) fn set(&self) {
        self.0.store(true, Relaxed);
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// Whose request it is.
pub(super) fn visitor(caller: Option<&Caller>, extensions: &Extensions) -> Visitor {
    let address = extensions.get::<ClientAddress>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |client| client.0);
    let unknown = Visitor::at(address);
    match caller {
        Some(caller) => caller.visitor(unknown),
        None => unknown,
    }
}

/// Counts one; what is left, where it is limited.
///
/// # Errors
/// The problem of who asks too often, which is counted in the metrics.
pub(super) async fn take(rates: &Rates, action: Action, who: &Visitor) -> Result<Option<Standing>, Problem> {
    rates.take(action, who).await.map_err(|refusal| {
        refusal.count();
        refusal.into()
    })
}

/// What the head of an answer is to say in place of how many requests are left: what is left of an assistant.
pub(super) fn of_assistant(standing: Option<Standing>) -> Option<Extension<Standing>> {
    standing.filter(|standing| standing.action == Action::Assistant).map(Extension)
}

/// Leaves in an answer what its head is to say, when it says nothing else.
pub(super) fn note(response: &mut Response, standing: Option<Standing>) {
    if let Some(standing) = standing.filter(|_| response.extensions().get::<Standing>().is_none()) {
        response.extensions_mut().insert(standing);
    }
}

/// Writes what is left into the head of an answer.
pub(super) fn tell(headers: &mut HeaderMap, standing: Standing) {
    let Standing { action, quota, left } = standing;
    let seconds = |span: std::time::Duration| span.as_micros().div_ceil(1_000_000);
    let fields = [
        (POLICY, format!("\"{}\";q={};w={}", action.name(), quota.most(), seconds(quota.window()))),
        (LIMIT, format!("\"{}\";r={};t={}", action.name(), left.remaining, seconds(left.whole_in))),
    ];
    for (name, text) in fields {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    }
}
