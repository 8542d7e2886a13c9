//! The gateway, and requests to it; the programs beside this one begin with it.

use std::{error::Error, fmt, time::Duration};

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, header::RETRY_AFTER};
use serde_json::Value;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

const TRIES: u32 = 7;
/// A whole answer may take two minutes.
const TIMEOUT: Duration = Duration::from_secs(150);

/// What the gateway does not do, with the id under which its log has the request.
#[derive(Debug)]
pub(crate) struct Refused(Value);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(problem) = self;
        write!(f, "{} {}: {} ({})", problem["status"], problem["code"], problem["detail"], problem["request_id"])
    }
}

impl Error for Refused {}

/// `RIVULET_URL` names the gateway, `RIVULET_TOKEN` is a token or an API key, where one is needed.
pub(crate) struct Gateway {
    pub(crate) url: String,
    pub(crate) token: Option<String>,
    client: Client,
}

impl Gateway {
    pub(crate) fn from_environment() -> Self {
        Self {
            url: std::env::var("RIVULET_URL").unwrap_or_else(|_| "http://127.0.0.1:8080".to_owned()),
            token: std::env::var("RIVULET_TOKEN").ok(),
            client: Client::new(),
        }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}/api/v1/{path}", self.url));
        self.token.iter().fold(request, RequestBuilder::bearer_auth)
    }

    /// Makes a request. What is lost, and what the gateway cannot do just now, is tried again: after as long as it
    /// says, or longer each time. So what changes something needs an id of its own.
    pub(crate) async fn call(&self, request: RequestBuilder) -> Result<Response> {
        let request = request.timeout(TIMEOUT).build()?;
        for attempt in 0.. {
            let again = request.try_clone().ok_or("this request cannot be repeated")?;
            let pause = match self.client.execute(again).await {
                Ok(answer) if answer.status().is_success() => return Ok(answer),
                Ok(answer) if attempt + 1 >= TRIES || !may_pass(answer.status()) => {
                    return Err(Refused(answer.json().await?).into());
                }
                Ok(answer) => retry_after(answer.headers().get(RETRY_AFTER)).unwrap_or_else(|| backoff(attempt)),
                Err(error) if attempt + 1 >= TRIES => return Err(error.into()),
                Err(_) => backoff(attempt),
            };
            tokio::time::sleep(pause).await;
        }
        unreachable!("the last try returns")
    }

    /// Sends JSON, and gives the answer's.
    pub(crate) async fn send(&self, path: &str, body: &Value) -> Result<Value> {
        let answer = self.call(self.request(Method::POST, path).json(body)).await?.bytes().await?;
        Ok(if answer.is_empty() { Value::Null } else { serde_json::from_slice(&answer)? })
    }
}

/// Whether the gateway may do it a while later.
fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 503)
}

/// How long `Retry-After` says, and a little longer, so that not all come at once.
pub(crate) fn retry_after(header: Option<&reqwest::header::HeaderValue>) -> Option<Duration> {
    let seconds = header?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds) + backoff(0))
}

/// Full jitter, so that not all clients come back at once: 1 second at most, then 2, 4, up to 30.
pub(crate) fn backoff(attempt: u32) -> Duration {
    let most = Duration::from_secs(2_u64.saturating_pow(attempt).min(30));
    most.mul_f64(rand::random())
}
