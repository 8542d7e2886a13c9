//! A gateway that runs: documents are handed to it as by everybody else, over HTTP.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, StatusCode, header};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::time::sleep;

use crate::{
    auth::{Authenticator, DEFAULT_TENANT, Principal},
    chat::JobId,
    config::AuthConfig,
    knowledge::{Collection, Handed, IngestError, Intake, Receipt, WORK_GONE, work_outcome},
    store::documents::JobState,
};

/// How long a token is good. Each request has its own.
const TOKEN_LIFE: Duration = Duration::from_secs(60);
/// The longest that a request takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is asked how far work is.
const EVERY: Duration = Duration::from_millis(100);
/// How often a gateway that is busy is asked again, and after how long.
const ATTEMPTS: u32 = 50;
const AGAIN: Duration = Duration::from_millis(200);

/// A gateway, and a collection in it.
pub(super) struct Gateway {
    client: Client,
    api: String,
    auth: Authenticator,
    principal: Principal,
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
    #[serde(default)]
    code: String,
    detail: String,
}

/// What came back, by its status.
struct Reply(StatusCode, String);

impl Gateway {
    /// The gateway at `url`; empty when it does not say where it is.
    pub(super) fn new(
        url: &str,
        auth: &AuthConfig,
        principal: Principal,
        collection: &Collection,
    ) -> Result<Self, IngestError> {
        if url.is_empty() {
            return Err(refused("another program is working on it; try again when that is done"));
        }
        let client = Client::builder().timeout(PATIENCE).no_proxy().build().map_err(refused)?;
        let auth = Authenticator::new(auth);
        if !auth.has_tokens() && principal.tenant() != DEFAULT_TENANT {
            return Err(refused(format!("it has no tokens, so all documents are those of `{DEFAULT_TENANT}`")));
        }
        Ok(Self { client, api: format!("{url}/api/v1"), auth, principal, collection: collection.as_str().to_owned() })
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, IngestError> {
        let request = self.client.request(method, format!("{}{path}", self.api));
        if !self.auth.has_tokens() {
            return Ok(request);
        }
        let (token, _) = self.auth.mint(&self.principal, TOKEN_LIFE).map_err(refused)?;
        Ok(request.bearer_auth(token))
    }

    /// Asks, and again while the gateway has too much to do.
    async fn ask(
        &self,
        request: impl Fn() -> Result<RequestBuilder, IngestError> + Sync,
    ) -> Result<Reply, IngestError> {
        let mut attempt = 1;
        loop {
            let response = request()?.send().await.map_err(unreachable)?;
            let status = response.status();
            let wait = response.headers().get(header::RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.parse().ok());
            let reply = Reply(status, response.text().await.map_err(unreachable)?);
            if reply.is_too_often() {
                sleep(Duration::from_secs(wait.unwrap_or(1))).await;
            } else if status == StatusCode::SERVICE_UNAVAILABLE && attempt < ATTEMPTS {
                attempt += 1;
                sleep(AGAIN).await;
            } else {
                return Ok(reply);
            }
        }
    }

    async fn find(&self, key: &str) -> Result<Option<String>, IngestError> {
        let place = [("collection", self.collection.as_str()), ("key", key), ("limit", "1")];
        let reply = self.ask(|| Ok(self.request(Method::GET, "/documents")?.query(&place))).await?;
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
            let request = self.request(Method::POST, "/documents")?.header(header::CONTENT_TYPE, form.media_type());
            Ok(request.body(form.body.clone()))
        };
        let reply = self.ask(sent).await?;
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
            let reply = self.ask(|| self.request(Method::GET, &format!("/jobs/{job}"))).await?;
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
        let reply = self.ask(|| self.request(Method::DELETE, &format!("/documents/{document}"))).await?;
        match reply.0 {
            StatusCode::NO_CONTENT | StatusCode::ACCEPTED => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(refused(reply.detail())),
        }
    }
}

impl Reply {
    fn expect<T: DeserializeOwned>(self) -> Result<T, IngestError> {
        if !self.0.is_success() {
            return Err(refused(self.detail()));
        }
        serde_json::from_str(&self.1).map_err(refused)
    }

    /// Whether it may be asked again in a while, as the gateway's limits are. Another bound has another code.
    fn is_too_often(&self) -> bool {
        let problem = serde_json::from_str::<Problem>(&self.1);
        self.0 == StatusCode::TOO_MANY_REQUESTS && problem.is_ok_and(|problem| problem.code == "rate_limited")
    }

    fn detail(&self) -> String {
        let problem = serde_json::from_str::<Problem>(&self.1);
        problem.map_or_else(|_| format!("it answered {}", self.0), |problem| problem.detail)
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

fn refused(reason: impl ToString) -> IngestError {
    IngestError::Gateway(reason.to_string())
}

/// Without the address, which the library puts into its errors.
fn unreachable(error: reqwest::Error) -> IngestError {
    refused(error.without_url())
}
