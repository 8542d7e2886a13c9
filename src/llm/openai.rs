//! One OpenAI-compatible endpoint: requests out, and back the bodies of answers, or why there are none. The only file that
//! names async-openai.
//!
//! That has the address and the key; what it reads of answers cannot be used where servers differ: its stream would put a
//! task, a second parser and an unbounded queue between the server and the answer, at every token. So: no retries and no
//! redirects, error bodies of every shape, and [`reading`](super::reading) takes bodies apart and decides what proves an
//! answer to be whole. What a server refuses is left out from then on. Uses `chat`, `config`'s `Secret`, `telemetry`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_openai::config::{Config, OpenAIConfig};
use parking_lot::Mutex;
use reqwest::{
    Response, StatusCode, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue},
};
use tokio::time::Instant;
use tracing::{debug, info};

use self::manner::{Learnt, Manner};
use super::{
    error::{EndpointError, ModelError},
    http::{HttpClients, base_url, request_id, retry_after},
    pacer::{Pacer, Reservation},
    reading::Reading,
    request::ChatRequest,
    witness::Witnesses,
};
use crate::{
    chat::Owner,
    config::Secret,
    telemetry::{metrics::LLM_BAD_EVENTS, spans::Call},
};

mod body;
mod failure;
mod manner;
mod request;

pub(super) use body::Body;

/// Text that a token may have on average, and the slack for short answers. A server that sends more does not keep to
/// the limit it was given; the answer ends there.
const TEXT_BYTES: (usize, usize) = (32, 1024);
/// The same for the body: JSON around every token, and reasoning.
const BODY_BYTES: (usize, usize) = (2048, 1 << 20);
/// Codings that say that there is none. The last ones are known from proxies and frameworks that mean just that.
const NO_CODINGS: [&str; 6] = ["", "identity", "none", "utf-8", "utf8", "chunked"];

/// What an endpoint is made from.
#[derive(Debug, Clone)]
pub(super) struct EndpointConfig {
    /// The target's name, for errors and metrics.
    pub(super) name: String,
    /// The kind of server, for metrics and spans.
    pub(super) provider: &'static str,
    /// Base URL up to and without `/chat/completions`; a slash at its end does not matter.
    pub(super) base_url: String,
    /// Sent as a bearer token; none or an empty one sends no `Authorization`.
    pub(super) api_key: Option<Secret>,
    /// The model's name at the provider.
    pub(super) model: String,
    /// Headers of every request besides the usual ones; they win over these.
    pub(super) headers: BTreeMap<String, Secret>,
    /// Parameters that this server refuses: `n`, `stream_options.include_usage`, `messages[].name`.
    pub(super) strip: Vec<String>,
    /// Whether its answers begin with reasoning that no mark opens.
    pub(super) begins_in_thought: bool,
    /// How long the connection may take, TLS and name resolution included.
    pub(super) connect: Duration,
}

/// One model at one OpenAI-compatible endpoint. Holds the connection pool; cheap to share.
#[derive(Debug)]
pub(super) struct Endpoint {
    name: String,
    provider: &'static str,
    /// Host and port.
    server: (String, u16),
    model: String,
    url: Url,
    http: HttpClients,
    api_key: Option<Secret>,
    headers: HeaderMap,
    strip: Vec<String>,
    pacer: Arc<Mutex<Pacer>>,
    /// What it was seen to refuse.
    learnt: Learnt,
    begins_in_thought: bool,
    /// Who was answered with reasoning that only closes.
    thought: Mutex<Witnesses>,
}

impl Endpoint {
    /// Checks the configuration and sets up the HTTP client. Connects to nothing.
    ///
    /// Proxies of the environment are honoured, except for loopback addresses, which no proxy could reach.
    ///
    /// # Errors
    /// [`EndpointError`] when a request could never be made.
    pub(super) fn new(config: EndpointConfig) -> Result<Self, EndpointError> {
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
            url: base_url(&openai.url("/chat/completions"))?,
            headers: headers(openai.headers(), api_key.is_some(), config.headers)?,
            api_key,
            strip: config.strip,
            pacer: Arc::default(),
            learnt: Learnt::of(base.host_str().unwrap_or_default()),
            begins_in_thought: config.begins_in_thought,
            thought: Mutex::default(),
            http: HttpClients::new(base, config.connect)?,
        })
    }

    /// The target's name.
    #[must_use]
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The model's name at the provider.
    #[must_use]
    pub(super) fn model(&self) -> &str {
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

    /// Sends a request and waits for the head of an answer. Whoever drops the body closes the connection.
    ///
    /// A server that refuses something that can be left out is asked again at once without it. When it answers then, it
    /// is not sent that any more.
    pub(super) async fn open(
        self: Arc<Self>,
        request: ChatRequest,
        reservation: Reservation,
    ) -> Result<Body, ModelError> {
        let lease = self.http.lease();
        let first = self.learnt.manner();
        let mut manner = first;
        let (response, id) = loop {
            match self.send(&lease.client, &request, manner).await {
                Err(ModelError::Rejected { status, detail, .. })
                    if let Some(other) = manner.after(first, &request, status, &detail) =>
                {
                    info!(target_name = self.name, %detail, "a target is asked again without what it refuses");
                    manner = other;
                }
                answered => break answered?,
            }
        };
        if manner != first {
            self.learnt.keep(manner);
        }
        drop(reservation); // The server has told what is left.
        let begins_in_thought = self.begins_in_thought || self.thought.lock().bind(request.asker.as_ref());
        let tokens = request.max_output_tokens;
        let reading = Reading::new(allowed(tokens, BODY_BYTES), allowed(tokens, TEXT_BYTES), begins_in_thought)
            .offering(request.tools);
        Ok(Body::new(response, reading, id, lease))
    }

    /// An answer to `asker` turned out to have begun with reasoning that nothing had opened. The next ones will too, then,
    /// until one does not; what one caller alone has seen is assumed for that caller alone.
    pub(super) fn has_thought(&self, asker: Option<&Owner>) {
        if !self.begins_in_thought && self.thought.lock().add(asker) {
            info!(
                target_name = self.name,
                "a target closes reasoning that it has not opened; begins_in_thought = true would tell so from the start"
            );
        }
    }

    /// An answer was whole without such reasoning.
    pub(super) fn has_not_thought(&self) {
        *self.thought.lock() = Witnesses::default();
    }

    /// An event of a stream could not be read.
    pub(super) fn count_bad_event(&self) {
        metrics::counter!(LLM_BAD_EVENTS, "target" => self.name.clone()).increment(1);
    }

    /// A request out, and back the response that begins an answer, with what the provider calls it.
    async fn send(
        &self,
        http: &reqwest::Client,
        request: &ChatRequest,
        manner: Manner,
    ) -> Result<(Response, Option<String>), ModelError> {
        let asked = http.post(self.url.clone()).headers(self.headers.clone()).json(&self.body(request, manner));
        let response = asked.send().await.map_err(|error| self.not_sent(error))?;
        let rests_for = retry_after(response.headers()).filter(|_| response.status() == StatusCode::TOO_MANY_REQUESTS);
        self.pacer.lock().told(response.headers(), rests_for, Instant::now());
        let id = request_id(response.headers());
        debug!(target_name = self.name, id, status = response.status().as_u16(), "a target answers");
        match self.head(response, !request.tools.tools.is_empty()).await {
            Ok(response) => Ok((response, id)),
            Err(error) => {
                self.failed_as(id.as_deref());
                Err(error)
            }
        }
    }

    /// Judges the head of an answer; what its body is, that tells itself.
    async fn head(&self, response: Response, may_call: bool) -> Result<Response, ModelError> {
        if !response.status().is_success() {
            return self.refused(response, may_call).await;
        }
        let codings =
            response.headers().get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_none = |coding: &str| NO_CODINGS.iter().any(|none| coding.eq_ignore_ascii_case(none));
        match codings.split(',').map(str::trim).find(|coding| !is_none(coding)) {
            None => Ok(response),
            Some(coding) => {
                let detail = format!("the answer comes as {coding}, which was not asked for");
                Err(self.failed(502, &detail, None))
            }
        }
    }
}

/// The headers of every request: the usual ones, and those of the configuration over them.
fn headers(usual: HeaderMap, has_key: bool, own: BTreeMap<String, Secret>) -> Result<HeaderMap, EndpointError> {
    let mut headers = usual;
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    if !has_key {
        headers.remove(AUTHORIZATION);
    } else if let Some(key) = headers.get_mut(AUTHORIZATION) {
        key.set_sensitive(true);
    }
    for (name, value) in own {
        let parsed = (HeaderName::try_from(&name), HeaderValue::from_str(value.expose()));
        let (Ok(key), Ok(mut value)) = parsed else { return Err(EndpointError::Header(name)) };
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}

fn allowed(tokens: u32, (each, slack): (usize, usize)) -> usize {
    usize::try_from(tokens).unwrap_or(usize::MAX).saturating_mul(each).saturating_add(slack)
}

#[cfg(test)]
mod tests;
