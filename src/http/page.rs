//! `/`, `/admin` and `/docs`: the demo page, the admin page and that of the interface, built from `web-demo/` and held in
//! the binary; and `/widget.js`, built from `packages/widget/`, which other pages load.

use std::borrow::Cow;

use axum::{
    body::Bytes,
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use rust_embed::RustEmbed;

use super::problem::Problem;

#[derive(RustEmbed)]
#[folder = "web-demo/dist"]
#[allow_missing = true]
struct Dist;

/// The page loads nothing from elsewhere, talks to nobody else, and runs no script but its own.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

pub(super) async fn index(headers: HeaderMap) -> Response {
    page("index.html", &headers)
}

/// For everybody, as what it shows is not.
pub(super) async fn admin(headers: HeaderMap) -> Response {
    page("admin.html", &headers)
}

/// Shows what `/openapi.json` tells, and tries it out.
pub(super) async fn docs(headers: HeaderMap) -> Response {
    page("docs.html", &headers)
}

/// The launcher of `<rivulet-chat>`, for pages of any allowed origin. What it loads when it is opened lies below `/assets`.
pub(super) async fn widget(headers: HeaderMap) -> Response {
    page("widget.js", &headers)
}

fn page(name: &str, headers: &HeaderMap) -> Response {
    file(name, headers).unwrap_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "not_found", "this binary was built without the page: `make web` builds it")
            .into_response()
    })
}

pub(super) async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response {
    file(&format!("assets/{path}"), &headers).unwrap_or_else(|| Problem::not_found("file").into_response())
}

pub(super) async fn favicon(headers: HeaderMap) -> Response {
    file("favicon.svg", &headers).unwrap_or_else(|| Problem::not_found("file").into_response())
}

pub(super) async fn theme(headers: HeaderMap) -> Response {
    file("theme-at-start.js", &headers).unwrap_or_else(|| Problem::not_found("file").into_response())
}

/// `None`: there is no such file.
fn file(path: &str, asked: &HeaderMap) -> Option<Response> {
    let file = Dist::get(path)?;
    let tag = tag_of(&file.metadata.sha256_hash());
    let kind = mime_guess::from_path(path).first_or_octet_stream();
    let kind = match (kind.type_().as_str(), kind.as_ref()) {
        ("text", essence) => format!("{essence}; charset=utf-8"),
        (_, essence) => essence.to_owned(),
    };
    // The build names assets by their content.
    let cache = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    // What is in the binary is not copied: whoever reads slowly holds no memory with it.
    let data = match file.data {
        Cow::Borrowed(data) => Bytes::from_static(data),
        Cow::Owned(data) => data.into(),
    };
    let known = asked.get_all(header::IF_NONE_MATCH).iter().any(|tags| names(tags, &tag));
    let mut response = if known { StatusCode::NOT_MODIFIED.into_response() } else { data.into_response() };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, HeaderValue::from_str(&tag).ok()?);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(&kind).ok()?);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    Some(response)
}

/// Half of a hash is more than enough to tell the builds of one file apart.
fn tag_of(hash: &[u8]) -> String {
    let half = hash.first_chunk().copied().unwrap_or_default();
    format!("\"{:032x}\"", u128::from_be_bytes(half))
}

/// Whether an `If-None-Match` has this tag. A proxy that compresses makes tags weak; what they stand for is the same.
fn names(tags: &HeaderValue, tag: &str) -> bool {
    let Ok(tags) = tags.to_str() else { return false };
    tags.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}
