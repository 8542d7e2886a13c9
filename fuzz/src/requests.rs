//! Whole requests to everything that the gateway serves over HTTP: heads, addresses, bodies, and documents as forms.

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header},
};
use futures_util::stream;
use rivulet::{app::App, config::Config};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

use super::{
    data::{folder, holds_nothing_half, runtime},
    parts::{cut, first_line},
};

/// The most bytes of a head, and of an answer.
const HEAD: usize = 32 << 10;
const ANSWER: usize = 64 << 20;
/// Sessions in memory, and documents, so that a long run does not fill the machine.
const SESSIONS: usize = 100;
const DOCUMENTS: u64 = 100;

/// No request makes the gateway fail: it is answered, or refused with a code. A head that can be misunderstood is
/// refused whatever it asks for. How the body of a form was cut into pieces makes no difference, and nothing is left of
/// one that is refused. The input is the line of a request, its fields in lines, an empty line, and its body.
pub fn requests(bytes: &[u8]) {
    let Some(asked) = Asked::read(bytes) else { return };
    WORLD.with(|world| {
        let whole = world.told(&asked, &[asked.body]);
        asked.is_answered_right(&whole);
        if asked.is_form() {
            let pieces = world.told(&asked, &cut(asked.body));
            // Of two faults the one that is seen first is told.
            assert_eq!(pieces.is_refused(), whole.is_refused(), "{} and {}", pieces.code, whole.code);
            holds_nothing_half(world.folder.path());
        }
    });
}

struct Asked<'a> {
    method: Method,
    target: Uri,
    version: Version,
    fields: HeaderMap,
    body: &'a [u8],
}

impl<'a> Asked<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (line, mut rest) = first_line(bytes);
        let mut words = line.split(|byte| *byte == b' ');
        let method = Method::from_bytes(words.next()?).ok()?;
        let target = Uri::try_from(words.next()?).ok()?;
        let version = if words.next() == Some(b"HTTP/1.0") { Version::HTTP_10 } else { Version::HTTP_11 };
        let mut fields = HeaderMap::new();
        loop {
            let (line, more) = first_line(rest);
            rest = more;
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { break };
            let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
            fields.append(HeaderName::from_bytes(&line[..colon]).ok()?, value);
        }
        Some(Self { method, target, version, fields, body: rest })
    }

    fn request(&self, pieces: &[&[u8]]) -> Request<Body> {
        let pieces: Vec<_> =
            pieces.iter().map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece))).collect();
        let mut request = Request::new(Body::from_stream(stream::iter(pieces)));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.target.clone();
        *request.version_mut() = self.version;
        *request.headers_mut() = self.fields.clone();
        request
    }

    fn is_form(&self) -> bool {
        let kind = self.fields.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        kind.starts_with(b"multipart/")
    }

    fn is_answered_right(&self, told: &Told) {
        let Told { status, code, .. } = told;
        assert_ne!(*status, StatusCode::INTERNAL_SERVER_ERROR, "{code}");
        assert!(told.is_refused() != code.is_empty(), "{status} {code:?}");
        let hosts = self.fields.get_all(header::HOST).iter().count();
        let is_unmistakable = hosts == 1 || (hosts == 0 && self.version == Version::HTTP_10);
        assert!(is_unmistakable || told.is_refused(), "{hosts} hosts: {status}");
        let codings: Vec<_> = self.fields.get_all(header::TRANSFER_ENCODING).iter().collect();
        let is_known = |coding: &&HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
        assert!(codings.is_empty() || (codings.len() == 1 && codings.iter().all(is_known)) || told.is_refused());
        let kinds = self.fields.get_all(header::CONTENT_TYPE).iter().count();
        assert!(kinds <= 1 || told.is_refused(), "{kinds} types: {status}");
        let size: usize = self.fields.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        assert!(size <= HEAD || told.is_refused(), "{size} bytes: {status}");
    }
}

/// What came of a request.
struct Told {
    status: StatusCode,
    /// That of a refusal.
    code: String,
}

impl Told {
    fn is_refused(&self) -> bool {
        self.status.is_client_error() || self.status.is_server_error()
    }
}

/// A gateway that nobody else asks.
struct World {
    folder: TempDir,
    /// It lasts as long as what it runs on.
    router: &'static Router,
}

thread_local! {
    static WORLD: World = World::begin();
}

impl World {
    fn begin() -> Self {
        let folder = folder();
        let mut config = Config::default();
        config.server.data_dir = folder.path().to_owned();
        config.server.bind = ([127, 0, 0, 1], 0).into();
        // Where one can end the gateway.
        config.server.admin_bind = Some(config.server.bind);
        config.knowledge.model_dir = None;
        config.knowledge.documents = DOCUMENTS;
        config.limits.sessions = SESSIONS;
        let app = runtime().block_on(App::start(config)).expect("a gateway");
        Self { folder, router: Box::leak(Box::new(app.surface().public)) }
    }

    fn told(&self, asked: &Asked<'_>, pieces: &[&[u8]]) -> Told {
        runtime().block_on(async {
            let answer = self.router.clone().oneshot(asked.request(pieces)).await.expect("it cannot fail");
            told(answer).await
        })
    }
}

async fn told(answer: Response<Body>) -> Told {
    let (head, body) = answer.into_parts();
    let status = head.status;
    let kind = head.headers.get(header::CONTENT_TYPE).map(|kind| kind.to_str().expect("text").to_owned());
    let kind = kind.unwrap_or_default();
    for name in ["x-request-id", "x-content-type-options", "content-security-policy", "cache-control"] {
        assert_eq!(head.headers.get_all(name).iter().count(), 1, "{name}");
    }
    if kind.starts_with("text/event-stream") {
        return Told { status, code: String::new() }; // It goes on.
    }
    let body = to_bytes(body, ANSWER).await.expect("a body");
    let is_json = kind.starts_with("application/json") || kind == "application/problem+json";
    let said: Value = if is_json { serde_json::from_slice(&body).expect("JSON") } else { Value::Null };
    let is_refused = status.is_client_error() || status.is_server_error();
    // Nobody reads the body of an answer to HEAD.
    let code = said.pointer("/code").or_else(|| said.pointer("/error/code")).and_then(Value::as_str);
    let code = if is_refused { code.unwrap_or("no code") } else { "" };
    Told { status, code: code.to_owned() }
}
