//! Who makes a request. The credentials are tried in the order of docs/protocol.md; the first that is there decides.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Request, State},
    http::{Extensions, HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use tracing::Span;

use super::{
    gateway::Gateway,
    problem::Problem,
    rates::{self, Counted},
};
use crate::{
    auth::{Authenticator, Caller, Principal, Refused, Right},
    limits::{Action, Standing, Visitor},
    ws::handshake,
};

/// Lets a request in when it is clear who makes it. Handlers find the [`Caller`] among the request's extensions.
pub(super) async fn identify(State(gateway): State<Arc<Gateway>>, mut request: Request, next: Next) -> Response {
    let known = caller(&gateway.auth, request.headers()).await;
    let (visitor, standing) = match count(&gateway, &known, request.extensions()).await {
        Ok(counted) => counted,
        Err(problem) => return problem.into_response(),
    };
    let mut response = match known {
        Ok(Some(caller)) => {
            request.extensions_mut().insert(caller);
            request.extensions_mut().insert(visitor);
            next.run(request).await
        }
        Ok(None) => nobody().into_response(),
        Err(Refused) => Problem::from(Refused).into_response(),
    };
    rates::note(&mut response, standing);
    response
}

/// Lets a request in when who makes it may do what it is for.
pub(super) async fn require(
    State(right): State<Right>,
    Extension(caller): Extension<Caller>,
    request: Request,
    next: Next,
) -> Response {
    match allow(&caller, right) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// The same for documents: who may read them may not change them.
pub(super) async fn require_by_method(Extension(caller): Extension<Caller>, request: Request, next: Next) -> Response {
    match allow(&caller, right_for(request.method())) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

pub(super) fn right_for(method: &Method) -> Right {
    if method.is_safe() { Right::ReadKnowledge } else { Right::WriteKnowledge }
}

/// Whether somebody may do this.
pub(super) fn allow(caller: &Caller, right: Right) -> Result<(), Problem> {
    if caller.may(right) {
        return Ok(());
    }
    let detail = format!("this needs the scope `{}`", right.scope());
    Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail))
}

/// Whether somebody may make a credential of `principal`: nobody gives what they have not.
pub(super) fn allow_to_give(caller: &Caller, principal: &Principal) -> Result<(), Problem> {
    let reaches_out = principal.tenant() != caller.tenant() || principal.may(Right::AdministerTenants);
    allow(caller, if reaches_out { Right::AdministerTenants } else { Right::Administer })
}

/// Counts a request, of whoever makes it as far as that is known.
async fn count(
    gateway: &Gateway,
    known: &Result<Option<Caller>, Refused>,
    extensions: &Extensions,
) -> Result<(Visitor, Option<Standing>), Problem> {
    let caller = known.as_ref().ok().and_then(Option::as_ref);
    if let Some(owner) = caller.and_then(Caller::owner) {
        Span::current().record("principal", owner.digest());
    }
    if let Some(counted) = extensions.get::<Counted>() {
        counted.set();
    }
    let visitor = rates::visitor(caller, extensions);
    let standing = rates::take(&gateway.runner.rates, Action::Requests, &visitor).await?;
    Ok((visitor, standing))
}

/// Who asks, whose requests it is counted among, and what is left of them.
pub(super) struct Asking<C> {
    pub(super) caller: C,
    pub(super) visitor: Visitor,
    pub(super) standing: Option<Standing>,
}

/// Who opens a socket; nobody yet when that has to be said in a `hello`.
pub(super) async fn opening(
    gateway: &Gateway,
    headers: &HeaderMap,
    extensions: &Extensions,
    ticket: Option<&str>,
) -> Result<Asking<Option<Caller>>, Problem> {
    let known = socket_caller(&gateway.auth, headers, ticket).await;
    let (visitor, standing) = count(gateway, &known, extensions).await?;
    Ok(Asking { caller: known?, visitor, standing })
}

/// Who opens a stream of events, which a browser asks for without any header of ours.
pub(super) async fn listening(
    gateway: &Gateway,
    (headers, extensions): (&HeaderMap, &Extensions),
    ticket: Option<&str>,
    right: Right,
) -> Result<Asking<Caller>, Problem> {
    let Asking { caller, visitor, standing } = opening(gateway, headers, extensions, ticket).await?;
    let caller = caller.ok_or_else(nobody)?;
    allow(&caller, right)?;
    Ok(Asking { caller, visitor, standing })
}

async fn socket_caller(
    auth: &Authenticator,
    headers: &HeaderMap,
    ticket: Option<&str>,
) -> Result<Option<Caller>, Refused> {
    let in_header = bearer(auth, headers)?.is_some();
    match ticket {
        Some(ticket) if !in_header => return auth.redeem_ticket(ticket).await.map(Some),
        _ => {}
    }
    let mut offered = handshake::bearers(headers);
    match (in_header, offered.next(), offered.next()) {
        (false, Some(token), None) => grant(auth, token).await.map(Some),
        (false, Some(_), Some(_)) => Err(Refused),
        _ => caller(auth, headers).await,
    }
}

/// The problem of who has to be somebody.
pub(super) fn nobody() -> Problem {
    unauthenticated("this address needs a token: `Authorization: Bearer …`")
}

/// The problem of a request without credentials.
pub(super) fn unauthenticated(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
}

impl From<Refused> for Problem {
    fn from(error: Refused) -> Self {
        unauthenticated(&error.to_string())
    }
}

/// By the header alone; `None` when there is none and one is needed.
async fn caller(auth: &Authenticator, headers: &HeaderMap) -> Result<Option<Caller>, Refused> {
    match bearer(auth, headers)? {
        Some(token) => grant(auth, token).await.map(Some),
        None => Ok((!auth.required()).then(Caller::default)),
    }
}

async fn grant(auth: &Authenticator, token: &str) -> Result<Caller, Refused> {
    Ok(Caller(Some(auth.verify(token).await?)))
}

/// The bearer token of the header, which is for the gateway only where it knows tokens.
fn bearer<'a>(auth: &Authenticator, headers: &'a HeaderMap) -> Result<Option<&'a str>, Refused> {
    if auth.has_credentials() { read_bearer(headers) } else { Ok(None) }
}

/// Other schemes are none of ours: a proxy in front may use them.
fn read_bearer(headers: &HeaderMap) -> Result<Option<&str>, Refused> {
    let mut found = None;
    for value in headers.get_all(header::AUTHORIZATION) {
        let value = value.as_bytes();
        let scheme = value.split(|b| *b == b' ').next().unwrap_or_default();
        if !scheme.eq_ignore_ascii_case(b"bearer") {
            continue;
        }
        let token = std::str::from_utf8(&value[scheme.len()..]).map_err(|_| Refused)?.trim_matches(' ');
        if found.replace(token).is_some() {
            return Err(Refused); // Which of them would the caller be?
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_scheme_is_read_in_any_case_and_once() {
        let read = |values: &[&'static [u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
            }
            read_bearer(&headers).map(|token| token.map(str::to_owned))
        };
        assert_eq!(read(&[b"bEARER  a.b.c "]), Ok(Some("a.b.c".to_owned())));
        assert_eq!(read(&[b"Bearer"]), Ok(Some(String::new())), "no token is a wrong token");
        assert_eq!(read(&[b"Basic YTpi"]), Ok(None));
        assert_eq!(read(&[b"Basic YTpi", b"Bearer x"]), Ok(Some("x".to_owned())));
        assert_eq!(read(&[b"Bearerx"]), Ok(None));
        assert_eq!(read(&[b"Bearer x", b"Bearer x"]), Err(Refused));
        assert_eq!(read(&[b"Bearer \xff"]), Err(Refused));
        assert_eq!(read(&[]), Ok(None));
    }
}
