//! `/`, `/admin` and `/docs`: the demo page, the admin page and that of the interface, built from `web-demo/` and held in
//! the binary.

use std::borrow::Cow;

use axum::{
    body::Bytes,
    extract::Path,
    http::{HeaderValue, StatusCode, header},
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

pub(super) async fn index() -> Response {
    page("index.html")
}

/// For everybody, as what it shows is not.
pub(super) async fn admin() -> Response {
    page("admin.html")
}

/// Shows what `/openapi.json` tells, and tries it out.
pub(super) async fn docs() -> Response {
    page("docs.html")
}

fn page(name: &str) -> Response {
    file(name).unwrap_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "not_found", "this binary was built without the page: `make web` builds it")
            .into_response()
    })
}

pub(super) async fn asset(Path(path): Path<String>) -> Response {
    file(&format!("assets/{path}")).unwrap_or_else(|| Problem::not_found("file").into_response())
}

pub(super) async fn favicon() -> Response {
    file("favicon.svg").unwrap_or_else(|| Problem::not_found("file").into_response())
}

pub(super) async fn theme() -> Response {
    file("theme-at-start.js").unwrap_or_else(|| Problem::not_found("file").into_response())
}

fn file(path: &str) -> Option<Response> {
    let file = Dist::get(path)?;
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
    let mut response = data.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(&kind).ok()?);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    Some(response)
}
