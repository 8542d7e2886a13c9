//! One attempt at one OpenAI-compatible endpoint. The only file that names async-openai.
//!
//! async-openai makes the request; everything in which real servers differ is dealt with below it, in an HTTP service of
//! our own: no retries and no redirects, error bodies of every shape, whole completions instead of streams. The service
//! keeps the body, for async-openai's own stream would put a task, a second parser and an unbounded queue between the
//! server and the answer, at every token. [`reading`](super::reading) takes the body apart and decides what proves an
//! answer to be whole. Uses `chat`, `config`'s `Secret`, `telemetry`.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_openai::{Client, config::OpenAIConfig, error::OpenAIError, middleware::HttpRequestFactory};
use futures_util::{Stream, StreamExt};
use parking_lot::Mutex;
use reqwest::{
    Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION},
};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use tower::BoxError;
use tracing::{debug, info};

use self::{
    body::Body,
    request::{headers, refuses_usage},
};
use super::{
    ChatRequest, Clock, ModelError, ModelEvent, Rejection, Stage,
    attempt::Signal,
    http::{HttpClients, base_url, chain, read_some, request_id, retry_after},
    pacer::{Pacer, Reservation},
    reading::{Read, Reading, Step, UpstreamError},
    sse::BodyEnd,
};
use crate::{
    config::Secret,
    telemetry::{metrics::LLM_BAD_EVENTS, spans::Call},
};

mod body;
mod request;

/// How long a stream is read on after its finish, for usage and `[DONE]`.
const AFTER_FINISH: Duration = Duration::from_secs(2);
/// The most bytes kept of what a provider says about an error.
const MAX_DETAIL_BYTES: usize = 2048;
/// Text that a token may have on average, and the slack for short answers. A server that sends more does not keep to
/// the limit it was given; the answer ends there.
const TEXT_BYTES: (usize, usize) = (32, 1024);
/// The same for the body: JSON around every token, and reasoning.
const BODY_BYTES: (usize, usize) = (2048, 1 << 20);

/// What an endpoint is made from.
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    /// The target's name, for errors and metrics.
    pub name: String,
    /// The kind of server, for metrics and spans.
    pub provider: &'static str,
    /// Base URL up to and without `/chat/completions`; a slash at its end does not matter.
    pub base_url: String,
    /// Sent as a bearer token; none or an empty one sends no `Authorization`.
    pub api_key: Option<Secret>,
    /// The model's name at the provider.
    pub model: String,
    /// Headers of every request besides the usual ones; they win over these.
    pub headers: BTreeMap<String, Secret>,
    /// Parameters that this server refuses: `n`, `stream_options.include_usage`, `messages[].name`.
    pub strip: Vec<String>,
    /// How long the connection may take, TLS and name resolution included.
    pub connect: Duration,
}

/// Why an endpoint cannot be made. Never tells the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The base URL cannot be used.
    #[error("the base URL {0}")]
    BaseUrl(&'static str),
    /// The model's name cannot be used.
    #[error("the model's name is empty or has control characters")]
    Model,
    /// The key cannot be sent in a header.
    #[error("the API key has characters that a header cannot carry, perhaps a line end")]
    ApiKey,
    /// A header cannot be sent.
    #[error("the header {0} has a name or a value that cannot be sent")]
    Header(String),
    /// The HTTP client cannot be set up, for example without any root certificates.
    #[error("the HTTP client: {0}")]
    Http(String),
}

/// One model at one OpenAI-compatible endpoint. Holds the connection pool; cheap to share.
#[derive(Debug)]
pub struct Endpoint {
    name: String,
    provider: &'static str,
    /// Host and port.
    server: (String, u16),
    model: String,
    http: HttpClients,
    config: OpenAIConfig,
    api_key: Option<Secret>,
    headers: HeaderMap,
    strip: Vec<String>,
    pacer: Arc<Mutex<Pacer>>,
    /// OpenAI itself wants the newer name of the limit and refuses the older one for some models; most others know
    /// the older one only.
    new_limit_name: bool,
    /// It was seen to refuse the wish to be told the usage, and to answer without it.
    refuses_usage: AtomicBool,
}

impl Endpoint {
    /// Checks the configuration and sets up the HTTP client. Connects to nothing.
    ///
    /// Proxies of the environment are honoured, except for loopback addresses, which no proxy could reach.
    ///
    /// # Errors
    /// [`EndpointError`] when a request could never be made.
    pub fn new(config: EndpointConfig) -> Result<Self, EndpointError> {
        let base = base_url(&config.base_url)?;
        if config.model.is_empty() || config.model.chars().any(char::is_control) {
            return Err(EndpointError::Model);
        }
        let api_key = config.api_key.filter(|key| !key.expose().is_empty());
        let key = api_key.as_ref().map_or("", Secret::expose);
        HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| EndpointError::ApiKey)?;
        // Organisation and project would come from the environment, unchecked.
        let openai = OpenAIConfig::new()
            .with_api_base(base.as_str().trim_end_matches('/'))
            .with_api_key(key)
            .with_org_id("")
            .with_project_id("");
        Ok(Self {
            name: config.name,
            provider: config.provider,
            server: (base.host_str().unwrap_or_default().to_owned(), base.port_or_known_default().unwrap_or_default()),
            model: config.model,
            config: openai,
            api_key,
            headers: headers(config.headers)?,
            strip: config.strip,
            pacer: Arc::default(),
            new_limit_name: base.host_str() == Some("api.openai.com"),
            refuses_usage: AtomicBool::new(false),
            http: HttpClients::new(base, config.connect)?,
        })
    }

    /// The target's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The model's name at the provider.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// What is known of its rate limits.
    pub(super) fn pacer(&self) -> &Arc<Mutex<Pacer>> {
        &self.pacer
    }

    /// Who is asked, as spans have it.
    pub(super) fn call(&self) -> Call<'_> {
        let (address, port) = (self.server.0.as_str(), self.server.1);
        Call { target: &self.name, provider: self.provider, model: &self.model, address, port }
    }

    /// Asks once. Nothing happens before the stream is polled; dropping it closes the upstream connection.
    ///
    /// The stream ends after a finish, for which there is proof (a known finish reason, or `[DONE]` after text), or
    /// after one error. Has no clocks but the connection's and the one for what follows a finish.
    pub(super) fn attempt(
        self: &Arc<Self>,
        request: ChatRequest,
        reservation: Reservation,
    ) -> impl Stream<Item = Result<Signal, ModelError>> + Send + use<> {
        let endpoint = Arc::clone(self);
        async_stream::stream! {
            // Held for as long as the stream lives.
            let lease = endpoint.http.lease();
            let mut body = match endpoint.open(&lease.client, &request).await {
                Ok(body) => body,
                Err(error) => {
                    yield Err(error);
                    return;
                }
            };
            drop((request.prompt, reservation)); // The server has told what is left.
            yield Ok(Signal::Head);
            let mut read_until = None;
            let failed = loop {
                let read = match read_until {
                    None => body.next().await,
                    Some(at) => timeout_at(at, body.next()).await.unwrap_or(Read::Over),
                };
                match read {
                    Read::Step(Step::Thinking(bytes)) => yield Ok(Signal::Model(ModelEvent::Thinking(bytes))),
                    Read::Step(Step::Text(text)) => yield Ok(Signal::Model(ModelEvent::Text(text))),
                    Read::Step(Step::Finish(reason)) => {
                        yield Ok(Signal::Model(ModelEvent::Finish(reason)));
                        read_until = Some(Instant::now() + AFTER_FINISH);
                    }
                    Read::Step(Step::Failed(error)) => break Some(endpoint.said(error, 500)),
                    Read::BadEvent => {
                        metrics::counter!(LLM_BAD_EVENTS, "target" => endpoint.name.clone()).increment(1);
                    }
                    Read::Truncated(detail) => break Some(endpoint.truncated(detail)),
                    Read::Over => break None,
                }
            };
            // Some servers count as they go: then a part of an answer has its price, too.
            let (usage, id) = (body.usage(), body.id.take());
            drop(body);
            if let Some(usage) = usage {
                yield Ok(Signal::Model(ModelEvent::Usage(usage)));
            }
            if let Some(error) = failed {
                endpoint.failed_as(id.as_deref());
                yield Err(error);
            }
        }
    }

    /// Sends the request and waits for the head of a stream. A server that refuses `stream_options` is asked again at
    /// once without them; when it answers then, they are not sent to it any more.
    async fn open(self: &Arc<Self>, http: &reqwest::Client, request: &ChatRequest) -> Result<Body, ModelError> {
        let with_usage = !self.refuses_usage.load(Ordering::Relaxed);
        match self.post(http, request, with_usage).await {
            Err(ModelError::Rejected { status, detail, .. }) if with_usage && refuses_usage(status, &detail) => {
                let body = self.post(http, request, false).await?;
                self.refuses_usage.store(true, Ordering::Relaxed);
                info!(target_name = self.name, %detail, "a target refuses stream_options; they are not sent any more");
                Ok(body)
            }
            answered => answered,
        }
    }

    async fn post(
        self: &Arc<Self>,
        http: &reqwest::Client,
        request: &ChatRequest,
        with_usage: bool,
    ) -> Result<Body, ModelError> {
        let (endpoint, service_http) = (Arc::clone(self), http.clone());
        let tokens = request.max_output_tokens;
        let opened = Arc::new(Mutex::new(None));
        let kept = Arc::clone(&opened);
        // A client per attempt costs two allocations and lets the service know which attempt it serves.
        let client = Client::build(http.clone(), self.config.clone()).with_http_service(tower::service_fn(
            move |factory: HttpRequestFactory| {
                let (endpoint, http, kept) = (Arc::clone(&endpoint), service_http.clone(), Arc::clone(&kept));
                async move {
                    *kept.lock() = Some(endpoint.send(&http, factory, tokens).await?);
                    // All that async-openai gets to see of a good answer.
                    Ok::<Response, BoxError>(::http::Response::new("null").into())
                }
            },
        ));
        let sent: Result<(), OpenAIError> = client.chat().create_byot(self.body(request, with_usage)).await;
        sent.map_err(|error| match error {
            OpenAIError::Boxed(inner) => match inner.downcast::<ModelError>() {
                Ok(error) => *error,
                Err(other) => self.failed(500, other.to_string(), None),
            },
            other => self.failed(500, other.to_string(), None),
        })?;
        let body = opened.lock().take();
        body.ok_or_else(|| self.failed(500, "the request was not sent".to_owned(), None))
    }

    /// The HTTP service below async-openai: a request out, and back either the body of an answer or a [`ModelError`].
    async fn send(&self, http: &reqwest::Client, factory: HttpRequestFactory, tokens: u32) -> Result<Body, BoxError> {
        let mut request = factory.build().await?;
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        if self.api_key.is_none() {
            headers.remove(AUTHORIZATION);
        } else if let Some(key) = headers.get_mut(AUTHORIZATION) {
            key.set_sensitive(true);
        }
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        let response = http.execute(request).await.map_err(|error| self.not_sent(error))?;
        let rests_for = retry_after(response.headers()).filter(|_| response.status() == StatusCode::TOO_MANY_REQUESTS);
        self.pacer.lock().told(response.headers(), rests_for, Instant::now());
        let id = request_id(response.headers());
        debug!(target_name = self.name, id, status = response.status().as_u16(), "a target answers");
        let mut body = self.head(response, tokens).await.inspect_err(|_| self.failed_as(id.as_deref()))?;
        body.id = id;
        Ok(body)
    }

    /// Judges the head of an answer of at most `tokens` tokens.
    async fn head(&self, response: Response, tokens: u32) -> Result<Body, ModelError> {
        if !response.status().is_success() {
            return Err(self.refused(response).await);
        }
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let encoding = header(CONTENT_ENCODING).trim();
        if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") {
            return Err(self.failed(502, format!("the answer comes as {encoding}, which was not asked for"), None));
        }
        let content_type = header(CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if content_type == "text/html" {
            let error = UpstreamError::from_body(&read_some(response).await);
            return Err(self.failed(502, error.detail, None));
        }
        let (body_bytes, text_bytes) = (allowed(tokens, BODY_BYTES), allowed(tokens, TEXT_BYTES));
        if content_type.ends_with("json") {
            let json = self.whole(response, body_bytes).await?;
            return Ok(Body::whole(Reading::whole(&json, text_bytes)));
        }
        Ok(Body::new(response, Reading::new(body_bytes, text_bytes)))
    }

    /// Reads JSON where a stream was asked for: an error, or a whole completion, which becomes a stream of one event.
    async fn whole(&self, response: Response, limit: usize) -> Result<String, ModelError> {
        let mut body = response.bytes_stream();
        let mut read = Vec::new();
        while let Some(bytes) = body.next().await {
            let bytes = bytes.map_err(|error| self.truncated(chain(&error.without_url())))?;
            if read.len() + bytes.len() > limit {
                return Err(self.failed(500, BodyEnd::TooLong.to_string(), None));
            }
            read.extend_from_slice(&bytes);
        }
        let value: Value =
            serde_json::from_slice(&read).map_err(|error| self.truncated(format!("a JSON answer: {error}")))?;
        if let Some(error) = UpstreamError::from_json(&value) {
            return Err(self.said(error, 500));
        }
        Ok(value.to_string())
    }

    async fn refused(&self, response: Response) -> ModelError {
        let status = response.status();
        let retry_after = retry_after(response.headers());
        if status.is_redirection() {
            let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("nowhere");
            let detail = format!("it redirects to {to}; redirects are not followed, for the key would follow too");
            return self.failed(status.as_u16(), detail, None);
        }
        let error = UpstreamError::from_body(&read_some(response).await);
        match error.reason {
            Rejection::Filter if status.is_client_error() => self.rejected(status.as_u16(), error),
            // Some say it as if it were their own fault, which may pass. About the pace it is not.
            Rejection::ContextLength if status != StatusCode::TOO_MANY_REQUESTS => {
                self.rejected(status.as_u16(), error)
            }
            // Some faults of the server's own come as if the request were to blame.
            _ => {
                let meant = error.status.filter(|meant| *meant >= 500).unwrap_or(status.as_u16());
                self.failed(meant, error.detail, retry_after)
            }
        }
    }

    /// Logs what the provider calls a request that failed, for whoever has to ask them about it.
    fn failed_as(&self, id: Option<&str>) {
        if let Some(id) = id {
            info!(target_name = self.name, id, "an attempt failed that the provider knows by this id");
        }
    }

    /// What a provider says within a stream that began well; `status` when it does not say one.
    fn said(&self, error: UpstreamError, status: u16) -> ModelError {
        if error.reason != Rejection::Request {
            return self.rejected(error.status.unwrap_or(400), error);
        }
        self.failed(error.status.unwrap_or(status), error.detail, None)
    }

    fn rejected(&self, status: u16, error: UpstreamError) -> ModelError {
        let (target, detail) = (self.name.clone(), self.without_key(&error.detail));
        ModelError::Rejected { target, status, detail, reason: error.reason }
    }

    /// The error behind a status: the caller's and the key's faults are rejections, all else may pass.
    fn failed(&self, status: u16, detail: String, retry_after: Option<Duration>) -> ModelError {
        let target = self.name.clone();
        let detail = self.without_key(&detail);
        match status {
            408 | 409 | 425 | 429 | 498.. => ModelError::Unavailable { target, detail, retry_after },
            _ => ModelError::Rejected { target, status, detail, reason: Rejection::Request },
        }
    }

    fn truncated(&self, detail: String) -> ModelError {
        ModelError::Truncated { target: self.name.clone(), detail: self.without_key(&detail) }
    }

    fn not_sent(&self, error: reqwest::Error) -> ModelError {
        if error.is_timeout() && error.is_connect() {
            return ModelError::Timeout { target: self.name.clone(), clock: Clock::Connect, stage: Stage::Asked };
        }
        self.failed(503, chain(&error.without_url()), None)
    }

    /// The first [`MAX_DETAIL_BYTES`] of `detail`, the key taken out before.
    fn without_key(&self, detail: &str) -> String {
        let detail = match &self.api_key {
            Some(key) => detail.replace(key.expose(), "***"),
            None => detail.to_owned(),
        };
        detail[..detail.floor_char_boundary(MAX_DETAIL_BYTES)].to_owned()
    }
}

fn allowed(tokens: u32, (each, slack): (usize, usize)) -> usize {
    usize::try_from(tokens).unwrap_or(usize::MAX).saturating_mul(each).saturating_add(slack)
}

#[cfg(test)]
mod tests;
