//! A gateway that runs: documents are handed to it as by everybody else, over HTTP.

use std::time::Duration;

use reqwest::{Method, StatusCode, header};
use serde::Deserialize;
use tokio::time::sleep;

use crate::{
    auth::Principal,
    chat::JobId,
    cli::remote::{Remote, RemoteError, refused},
    config::AuthConfig,
    knowledge::{Collection, Handed, IngestError, Intake, Receipt, WORK_GONE, work_outcome},
    store::documents::JobState,
};

/// How often it is asked how far work is.
const EVERY: Duration = Duration::from_millis(100);
/// A gateway, and a collection in it.
pub(super) struct Gateway {
    remote: Remote,
    collection: String,
}

#[derive(Deserialize)]
struct Accepted {
    #[serde(default)]
    job: Option<JobId>,
    version: u32,
}

#[derive(Deserialize)]
struct Listed {
    documents: Vec<Known>,
}

#[derive(Deserialize)]
struct Known {
    document: String,
}

#[derive(Deserialize)]
struct Job {
    state: JobState,
    total: usize,
    error: Option<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    detail: String,
}

impl Gateway {
    /// The gateway at `url`; empty when it does not say where it is.
    pub(super) fn new(
        url: &str,
        auth: &AuthConfig,
        principal: Principal,
        collection: &Collection,
    ) -> Result<Self, IngestError> {
        Ok(Self { remote: Remote::new(url, auth, principal)?, collection: collection.as_str().to_owned() })
    }

    async fn find(&self, key: &str) -> Result<Option<String>, IngestError> {
        let place = [("collection", self.collection.as_str()), ("key", key), ("limit", "1")];
        let reply = self.remote.ask(|| Ok(self.remote.request(Method::GET, "/documents")?.query(&place))).await?;
        let listed: Listed = reply.expect()?;
        Ok(listed.documents.into_iter().next().map(|known| known.document))
    }
}

impl Intake for Gateway {
    async fn hand_in(&self, handed: Handed) -> Result<Receipt, IngestError> {
        if handed.is_empty() {
            return Ok(if self.remove(&handed.key).await? { Receipt::Removed } else { Receipt::Nothing });
        }
        let form = Form::new(&[("collection", &self.collection), ("key", &handed.key), ("uri", &handed.uri)], &handed);
        let sent = || {
            let request =
                self.remote.request(Method::POST, "/documents")?.header(header::CONTENT_TYPE, form.media_type());
            Ok(request.body(form.body.clone()))
        };
        let reply = self.remote.ask(sent).await?;
        if is_about_the_file(reply.0) {
            return Ok(Receipt::Refused(reply.detail()));
        }
        let accepted: Accepted = reply.expect()?;
        Ok(match accepted.job {
            Some(job) => Receipt::Queued { job, is_new: accepted.version == 1 },
            None => Receipt::Unchanged,
        })
    }

    async fn ended(&self, job: &JobId) -> Result<Result<usize, String>, IngestError> {
        loop {
            let reply = self.remote.ask(|| self.remote.request(Method::GET, &format!("/jobs/{job}"))).await?;
            if reply.0 == StatusCode::NOT_FOUND {
                return Ok(Err(WORK_GONE.to_owned()));
            }
            let Job { state, total, error } = reply.expect()?;
            if let Some(outcome) = work_outcome(state, total, error.as_ref().map(|error| error.detail.as_str())) {
                return Ok(outcome);
            }
            sleep(EVERY).await;
        }
    }

    async fn remove(&self, key: &str) -> Result<bool, IngestError> {
        let Some(document) = self.find(key).await? else { return Ok(false) };
        let reply = self.remote.ask(|| self.remote.request(Method::DELETE, &format!("/documents/{document}"))).await?;
        match reply.0 {
            StatusCode::NO_CONTENT | StatusCode::ACCEPTED => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(refused(reply.detail()).into()),
        }
    }
}

/// A form with a file.
struct Form {
    border: String,
    body: Vec<u8>,
}

impl Form {
    fn new(fields: &[(&str, &str)], file: &Handed) -> Self {
        // Nothing that a file holds can be known to be this.
        let border = format!("rivulet-{}", uuid::Uuid::new_v4().simple());
        let mut body = Vec::with_capacity(file.bytes.len() + 1024);
        for (name, value) in fields {
            let head = format!("--{border}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
            body.extend([head.as_bytes(), value.as_bytes(), b"\r\n"].concat());
        }
        let name: String = file.name.chars().map(|c| if c == '"' || c.is_control() { '_' } else { c }).collect();
        let head = format!("--{border}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
        body.extend([head.as_bytes(), &file.bytes, format!("\r\n--{border}--\r\n").as_bytes()].concat());
        Self { border, body }
    }

    fn media_type(&self) -> String {
        format!("multipart/form-data; boundary={}", self.border)
    }
}

/// Whether an answer says something about the file, and nothing about the next one.
fn is_about_the_file(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST
            | StatusCode::CONFLICT
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::TOO_MANY_REQUESTS
    )
}

impl From<RemoteError> for IngestError {
    fn from(RemoteError(reason): RemoteError) -> Self {
        Self::Gateway(reason)
    }
}
