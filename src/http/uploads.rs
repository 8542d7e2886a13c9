//! Documents on their way in: a form of several parts, taken in as it comes. The file goes to the disk piece by piece, and
//! nothing of it stays there when the rest does not come.
//!
//! What is refused is still read for a moment, so that the answer is not lost in a connection that is reset.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{DefaultBodyLimit, FromRequest, Multipart, Request, multipart::Field},
    http::{HeaderMap, HeaderValue, StatusCode, header},
};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use self::metered::{Meter, metered};
use super::{body::is_plain, fields, problem::Problem};
use crate::{
    knowledge::{
        extract::{ExtractError, promised},
        jobs::Documents,
    },
    store::{blobs::Part, documents::Tenant},
};

mod metered;

/// The most parts of a form.
const MAX_PARTS: usize = 16;
/// What a form may have beside the file, in bytes.
const BESIDE: u64 = 64 << 10;
/// The most bytes of a part that is no file.
const MAX_TEXT: usize = 8 << 10;
/// The longest border between the parts (RFC 2046), in bytes. With none, every line of a file that begins with `--` is its end.
const MAX_BORDER: usize = 70;
/// How long nothing may come.
const GAP: Duration = Duration::from_secs(30);
/// Who sends more slowly than this, in bytes per second, is given up,
const SLOWEST: u64 = 4 << 10;
/// after this.
const GRACE: Duration = Duration::from_secs(60);
/// How many bytes of a file tell what it is.
const HEAD: usize = 8 << 10;
/// How much of what is refused is read, and for how long.
const REFUSED_BYTES: usize = 16 << 20;
const REFUSED: Duration = Duration::from_secs(5);

/// A form that came in whole.
pub(super) struct Form {
    pub(super) part: Part,
    pub(super) name: String,
    pub(super) media_type: &'static str,
    pub(super) collection: Option<String>,
    pub(super) key: Option<String>,
    pub(super) title: Option<String>,
    pub(super) uri: Option<String>,
    pub(super) metadata: Option<Value>,
}

/// A file that came in whole, and is in memory.
pub(super) struct Whole {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

/// Takes in a form with one file, of at most so many bytes.
pub(super) async fn whole(most: u64, request: Request) -> Result<Whole, Problem> {
    take_in(most, request, async |coming, form| coming.whole(form).await).await
}

/// Takes a form in.
pub(super) async fn read(documents: &Documents, tenant: &Tenant, request: Request) -> Result<Form, Problem> {
    take_in(documents.bounds().bytes, request, async |coming, form| {
        Intake { documents, tenant, coming }.take(form).await
    })
    .await
}

/// Has a form taken in whose file has at most so many bytes.
async fn take_in<T>(
    most: u64,
    request: Request,
    take: impl AsyncFnOnce(Coming, Multipart) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let meter = Arc::new(Meter::new(most + BESIDE));
    let (head, body) = request.into_parts();
    if announced(&head.headers).is_some_and(|bytes| bytes > most + BESIDE) {
        drain(body).await;
        return Err(too_large(most));
    }
    if !is_plain(&head.headers) {
        drain(body).await;
        let detail = "the body must not be compressed";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
    }
    let (body, rest) = metered(body, meter.clone());
    let mut request = Request::from_parts(head, body);
    DefaultBodyLimit::disable().apply(&mut request); // It has a bound of its own.
    let has_border = border(request.headers()).is_some_and(|border| (1..=MAX_BORDER).contains(&border.len()));
    let taken = match Multipart::from_request(request, &()).await {
        Ok(form) if has_border => take(Coming { meter, begun: Instant::now(), most }, form).await,
        _ => {
            let detail =
                format!("the body must be `multipart/form-data` with a boundary of 1 to {MAX_BORDER} characters");
            Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail))
        }
    };
    if taken.is_err()
        && let Some(body) = rest.take()
    {
        drain(body).await;
    }
    taken
}

/// Refuses without having looked at the body.
pub(super) async fn refuse(request: Request, problem: Problem) -> Problem {
    drain(request.into_body()).await;
    problem
}

async fn drain(body: Body) {
    let _what_came_in_time = timeout(REFUSED, async {
        let (mut body, mut left) = (body, REFUSED_BYTES);
        while let Some(Ok(frame)) = body.frame().await
            && left > 0
        {
            left = left.saturating_sub(frame.data_ref().map_or(0, bytes::Bytes::len));
        }
    })
    .await;
}

/// What is between the parts, as the first field that says so has it.
fn border(headers: &HeaderMap) -> Option<&str> {
    let fields = headers.get(header::CONTENT_TYPE)?.to_str().ok()?.split(';').skip(1);
    let mut borders = fields
        .filter_map(|field| field.split_once('='))
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"));
    borders.next().map(|(_, border)| border.trim().trim_matches('"'))
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A form that comes in, within its time and its bytes.
struct Coming {
    meter: Arc<Meter>,
    begun: Instant,
    most: u64,
}

struct Intake<'a> {
    documents: &'a Documents,
    tenant: &'a Tenant,
    coming: Coming,
}

struct File {
    part: Part,
    name: String,
    media_type: &'static str,
}

impl Intake<'_> {
    async fn take(self, mut form: Multipart) -> Result<Form, Problem> {
        let coming = &self.coming;
        let (mut file, mut collection, mut key, mut title, mut uri, mut metadata) =
            (None, None, None, None, None, None);
        // The last look finds the end.
        for _ in 0..=MAX_PARTS {
            let next = coming.in_time(form.next_field()).await?;
            let Some(field) = next.map_err(|error| coming.problem(&error))? else {
                let File { part, name, media_type } = file.ok_or_else(|| missing("file"))?;
                return Ok(Form { part, name, media_type, collection, key, title, uri, metadata });
            };
            let name = field.name().unwrap_or_default().to_owned();
            match name.as_str() {
                "file" if file.is_some() => return Err(Problem::invalid_field("file", "must be there once")),
                "file" => file = Some(self.file(field).await?),
                "collection" => once(&name, &mut collection, coming.text(&name, field).await?)?,
                "key" => once(&name, &mut key, fields::key(&coming.text(&name, field).await?)?)?,
                "title" => once(&name, &mut title, fields::title(&coming.text(&name, field).await?)?)?,
                "uri" => once(&name, &mut uri, fields::uri(&coming.text(&name, field).await?)?)?,
                "metadata" => once(&name, &mut metadata, fields::metadata_text(&coming.text(&name, field).await?)?)?,
                _ => drop(coming.text("a part", field).await?),
            }
        }
        Err(too_many_parts())
    }

    async fn file(&self, mut field: Field<'_>) -> Result<File, Problem> {
        let coming = &self.coming;
        let name = name_of(&field)?;
        promised(&name, b"")?; // A name alone can be enough to refuse it.
        let mut part = self.documents.begin(self.tenant).await?;
        let (mut head, mut kind) = (Vec::new(), None);
        while let Some(piece) = coming.in_time(field.chunk()).await?.map_err(|error| coming.problem(&error))? {
            coming.meter.taken(piece.len());
            if part.bytes() + piece.len() as u64 > coming.most {
                return Err(too_large(coming.most));
            }
            if kind.is_none() {
                head.extend_from_slice(piece.get(..HEAD).unwrap_or(&piece));
                if head.len() >= HEAD {
                    kind = Some(promised(&name, &head)?);
                }
            }
            part.write(&piece).await.map_err(crate::knowledge::jobs::DocumentsError::Files)?;
        }
        if part.bytes() == 0 {
            return Err(Problem::new(StatusCode::BAD_REQUEST, "empty_text", "the file is empty"));
        }
        let kind = kind.map_or_else(|| promised(&name, &head), Ok)?;
        Ok(File { part, name, media_type: kind.media_type() })
    }
}

/// The name of a file that is sent as it is.
fn name_of(field: &Field<'_>) -> Result<String, Problem> {
    let given = field.file_name().ok_or_else(|| Problem::invalid_field("file", "needs a file name in UTF-8"))?;
    if field.headers().get("content-transfer-encoding").is_some_and(is_encoded) {
        return Err(Problem::invalid_field("file", "must be sent as it is, and not in a `Content-Transfer-Encoding`"));
    }
    Ok(fields::file_name(given)?)
}

impl Coming {
    /// The one file of a form.
    async fn whole(&self, mut form: Multipart) -> Result<Whole, Problem> {
        let mut file = None;
        for _ in 0..=MAX_PARTS {
            let next = self.in_time(form.next_field()).await?;
            let Some(mut field) = next.map_err(|error| self.problem(&error))? else {
                return file.ok_or_else(|| missing("file"));
            };
            if field.name() != Some("file") {
                drop(self.text("a part", field).await?);
                continue;
            }
            let (name, mut bytes) = (name_of(&field)?, Vec::new());
            while let Some(piece) = self.in_time(field.chunk()).await?.map_err(|error| self.problem(&error))? {
                self.meter.taken(piece.len());
                if bytes.len() as u64 + piece.len() as u64 > self.most {
                    return Err(too_large(self.most));
                }
                bytes.extend_from_slice(&piece);
            }
            if bytes.is_empty() {
                return Err(Problem::new(StatusCode::BAD_REQUEST, "empty_text", "the file is empty"));
            }
            once("file", &mut file, Whole { name, bytes })?;
        }
        Err(too_many_parts())
    }

    async fn text(&self, name: &str, mut field: Field<'_>) -> Result<String, Problem> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.in_time(field.chunk()).await?.map_err(|error| self.problem(&error))? {
            self.meter.taken(piece.len());
            bytes.extend_from_slice(&piece);
            if bytes.len() > MAX_TEXT {
                return Err(Problem::invalid_field(name, &format!("is longer than {MAX_TEXT} bytes")));
            }
        }
        String::from_utf8(bytes).map_err(|_| Problem::invalid_field(name, "must be UTF-8"))
    }

    async fn in_time<T>(&self, next: impl Future<Output = T>) -> Result<T, Problem> {
        let late = || Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", "the body comes too slowly");
        let most = GRACE + Duration::from_secs(self.meter.handed() / SLOWEST);
        if self.begun.elapsed() > most {
            return Err(late());
        }
        timeout(GAP, next).await.map_err(|_| late())
    }

    fn problem(&self, error: &axum::extract::multipart::MultipartError) -> Problem {
        if self.meter.is_exceeded() {
            return too_large(self.most);
        }
        tracing::debug!(%error, "a form cannot be read");
        broken("the form breaks off, or is none")
    }
}

/// Whether a part's bytes are other ones than the file's: nobody decodes them.
fn is_encoded(encoding: &HeaderValue) -> bool {
    !["7bit", "8bit", "binary"].iter().any(|plain| encoding.as_bytes().eq_ignore_ascii_case(plain.as_bytes()))
}

fn once<T>(name: &str, place: &mut Option<T>, value: T) -> Result<(), Problem> {
    if place.replace(value).is_some() {
        return Err(Problem::invalid_field(name, "must be there once"));
    }
    Ok(())
}

fn too_many_parts() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_field", format!("the form has more than {MAX_PARTS} parts"))
}

fn missing(field: &str) -> Problem {
    Problem::invalid_field(field, "is missing")
}

fn broken(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_form", detail)
}

pub(super) fn too_large(most: u64) -> Problem {
    let detail = format!("a file has at most {most} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
}

impl From<ExtractError> for Problem {
    fn from(error: ExtractError) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error.code(), error.to_string())
    }
}
