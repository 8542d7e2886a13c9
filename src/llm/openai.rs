//! One attempt at one OpenAI-compatible endpoint. The only file that names async-openai.
//!
//! async-openai makes the request; everything in which real servers differ is dealt with below it, in an HTTP service of
//! our own: no retries and no redirects, error bodies of every shape, whole completions instead of streams. The service
//! keeps the body, for async-openai's own stream would put a task, a second parser and an unbounded queue between the
//! server and the answer, at every token. [`sse`](super::sse) takes the body apart; `chunk` has the lenient types and
//! decides what proves an answer to be whole. Uses `chat`, `config`'s `Secret`, `telemetry`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_openai::{Client, config::OpenAIConfig, error::OpenAIError, middleware::HttpRequestFactory};
use futures_util::{Stream, StreamExt};
use parking_lot::Mutex;
use reqwest::{
    Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION},
};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use tower::BoxError;

use self::body::Body;
use super::{
    ChatRequest, Clock, ModelError, ModelEvent, PromptRole, Stage,
    attempt::Signal,
    chunk::{Answer, Chunk, Ending, Step, UpstreamError},
    http::{HttpClients, base_url, chain, read_some, retry_after},
    pacer::{Pacer, Reservation},
    sse::BodyEnd,
};
use crate::{
    config::Secret,
    telemetry::{metrics::LLM_BAD_EVENTS, spans::Call},
};

mod body;

/// How long a stream is read on after its finish, for usage and `[DONE]`.
const AFTER_FINISH: Duration = Duration::from_secs(2);
/// The most bytes kept of what a provider says about an error.
const MAX_DETAIL_BYTES: usize = 2048;
/// So many events that are not JSON end a stream.
const MAX_BAD_EVENTS: u32 = 3;
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
            let mut answer = Answer::new(allowed(request.max_output_tokens, TEXT_BYTES));
            let mut read_until = None;
            let mut bad_events = 0;
            let ended = loop {
                let next = match read_until {
                    None => body.next().await,
                    Some(at) => timeout_at(at, body.next()).await.unwrap_or(Err(BodyEnd::Eof)),
                };
                let data = match next {
                    Ok(data) => data,
                    Err(ended) => break ended,
                };
                match serde_json::from_str::<Chunk>(&data) {
                    Ok(chunk) => {
                        for step in answer.take(chunk).into_iter().flatten() {
                            match step {
                                Step::Thinking => yield Ok(Signal::Model(ModelEvent::Thinking)),
                                Step::Text(text) => yield Ok(Signal::Model(ModelEvent::Text(text))),
                                Step::Finish(reason) => {
                                    yield Ok(Signal::Model(ModelEvent::Finish(reason)));
                                    read_until = Some(Instant::now() + AFTER_FINISH);
                                }
                                Step::Failed(error) => {
                                    yield Err(endpoint.said(error, 500));
                                    return;
                                }
                            }
                        }
                    }
                    Err(_) => {
                        metrics::counter!(LLM_BAD_EVENTS, "target" => endpoint.name.clone()).increment(1);
                        bad_events += 1;
                        if bad_events == MAX_BAD_EVENTS && !answer.is_finished() {
                            yield Err(endpoint.truncated(format!("{bad_events} events were not JSON")));
                            return;
                        }
                    }
                }
                if answer.is_cut() {
                    break BodyEnd::TooLong;
                }
            };
            drop(body);
            if let BodyEnd::NoEvents(body) = &ended {
                yield Err(endpoint.said(UpstreamError::from_body(body.as_bytes()), 500));
                return;
            }
            match answer.end(&ended) {
                Ending::Finish(_) if answer.is_finished() => {}
                Ending::Finish(reason) => yield Ok(Signal::Model(ModelEvent::Finish(reason))),
                Ending::Empty => {
                    yield Err(endpoint.failed(500, format!("the answer is empty: {ended}"), None));
                    return;
                }
                Ending::Truncated => {
                    yield Err(endpoint.truncated(ended.to_string()));
                    return;
                }
            }
            if let Some(usage) = answer.usage() {
                yield Ok(Signal::Model(ModelEvent::Usage(usage)));
            }
        }
    }

    /// Sends the request and waits for the head of a stream.
    async fn open(self: &Arc<Self>, http: &reqwest::Client, request: &ChatRequest) -> Result<Body, ModelError> {
        let (endpoint, service_http) = (Arc::clone(self), http.clone());
        let limit = allowed(request.max_output_tokens, BODY_BYTES);
        let opened = Arc::new(Mutex::new(None));
        let kept = Arc::clone(&opened);
        // A client per attempt costs two allocations and lets the service know which attempt it serves.
        let client = Client::build(http.clone(), self.config.clone()).with_http_service(tower::service_fn(
            move |factory: HttpRequestFactory| {
                let (endpoint, http, kept) = (Arc::clone(&endpoint), service_http.clone(), Arc::clone(&kept));
                async move {
                    *kept.lock() = Some(endpoint.send(&http, factory, limit).await?);
                    // All that async-openai gets to see of a good answer.
                    Ok::<Response, BoxError>(::http::Response::new("null").into())
                }
            },
        ));
        let sent: Result<(), OpenAIError> = client.chat().create_byot(self.body(request)).await;
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
    async fn send(&self, http: &reqwest::Client, factory: HttpRequestFactory, limit: usize) -> Result<Body, BoxError> {
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
        if !response.status().is_success() {
            return Err(self.refused(response).await.into());
        }
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        let content_type = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        if content_type == "text/html" {
            let error = UpstreamError::from_body(&read_some(response).await);
            return Err(self.failed(502, error.detail, None).into());
        }
        if content_type.ends_with("json") {
            return Ok(Body::whole(&self.whole(response, limit).await?));
        }
        Ok(Body::new(response, limit))
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

    fn body(&self, request: &ChatRequest) -> Value {
        let messages = request.prompt.iter().map(|message| {
            let role = match message.role {
                PromptRole::System => "system",
                PromptRole::User => "user",
                PromptRole::Assistant => "assistant",
            };
            json!({ "role": role, "content": message.content })
        });
        let limit = if self.new_limit_name { "max_completion_tokens" } else { "max_tokens" };
        let mut body = json!({
            "model": self.model,
            "messages": messages.collect::<Value>(),
            "stream": true,
            "stream_options": { "include_usage": true },
            limit: request.max_output_tokens,
        });
        // What is said of them is valid, and none of them has a name from above.
        if let (Some(body), Ok(Value::Object(said))) =
            (body.as_object_mut(), serde_json::to_value(&*request.parameters))
        {
            body.extend(said);
        }
        for path in &self.strip {
            strip(&mut body, path);
        }
        body
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
        let filter = error.filter && status.is_client_error();
        match self.failed(status.as_u16(), error.detail, retry_after) {
            ModelError::Rejected { target, status, detail, .. } => {
                ModelError::Rejected { target, status, detail, filter }
            }
            other => other,
        }
    }

    /// What a provider says within a stream that began well; `status` when it does not say one.
    fn said(&self, error: UpstreamError, status: u16) -> ModelError {
        if error.filter {
            let (target, detail) = (self.name.clone(), self.without_key(&error.detail));
            return ModelError::Rejected { target, status: error.status.unwrap_or(400), detail, filter: true };
        }
        self.failed(error.status.unwrap_or(status), error.detail, None)
    }

    /// The error behind a status: the caller's and the key's faults are rejections, all else may pass.
    fn failed(&self, status: u16, detail: String, retry_after: Option<Duration>) -> ModelError {
        let target = self.name.clone();
        let detail = self.without_key(&detail);
        match status {
            408 | 409 | 425 | 429 | 498.. => ModelError::Unavailable { target, detail, retry_after },
            _ => ModelError::Rejected { target, status, detail, filter: false },
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

fn headers(config: BTreeMap<String, Secret>) -> Result<HeaderMap, EndpointError> {
    let mut headers = HeaderMap::new();
    for (name, value) in config {
        let parsed = (HeaderName::try_from(&name), HeaderValue::from_str(value.expose()));
        let (Ok(key), Ok(mut value)) = parsed else { return Err(EndpointError::Header(name)) };
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}

/// Takes the parameter at `path` out of a request: names parted by dots, `[]` behind a name for all of its items.
fn strip(value: &mut Value, path: &str) {
    let Some((name, rest)) = path.split_once('.') else {
        if let Some(object) = value.as_object_mut() {
            object.remove(path);
        }
        return;
    };
    match name.strip_suffix("[]") {
        Some(name) => {
            for item in value.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten() {
                strip(item, rest);
            }
        }
        None => {
            if let Some(inner) = value.get_mut(name) {
                strip(inner, rest);
            }
        }
    }
}

fn allowed(tokens: u32, (each, slack): (usize, usize)) -> usize {
    usize::try_from(tokens).unwrap_or(usize::MAX).saturating_mul(each).saturating_add(slack)
}

#[cfg(test)]
mod tests;
