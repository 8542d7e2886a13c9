//! A gateway that runs, asked by the operator's own commands over HTTP as by everybody else. Uses `auth`, `config`.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, StatusCode, header};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::time::sleep;

use crate::{
    auth::{DEFAULT_TENANT, MintError, Principal, Signer},
    chat::Timestamp,
    config::AuthConfig,
};

/// How long a token is good. Each request has its own.
const TOKEN_LIFE: Duration = Duration::from_secs(60);
/// The longest that a request takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a gateway that is busy is asked again, and after how long.
const ATTEMPTS: u32 = 50;
const AGAIN: Duration = Duration::from_millis(200);

/// What the gateway did not do, in words for the operator.
#[derive(Debug, thiserror::Error)]
#[error("the gateway that has the data folder: {0}")]
pub struct RemoteError(pub String);

/// A gateway, and who asks it.
pub(super) struct Remote {
    client: Client,
    api: String,
    /// None where nobody need say who they are.
    signer: Option<Signer>,
    principal: Principal,
}

/// What came back, by its status.
pub(super) struct Reply(pub(super) StatusCode, String);

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    code: String,
    detail: String,
}

impl Remote {
    /// The gateway at `url`; empty when it does not say where it is.
    pub(super) fn new(url: &str, auth: &AuthConfig, principal: Principal) -> Result<Self, RemoteError> {
        if url.is_empty() {
            return Err(refused("another program is working on it; try again when that is done"));
        }
        // It is on this machine and has the data folder, where it says so itself; its certificate is for the name that
        // others call it by.
        let client = Client::builder().timeout(PATIENCE).no_proxy().tls_danger_accept_invalid_certs(true);
        let client = client.build().map_err(refused)?;
        let signer = Signer::from_config(auth);
        if signer.is_none() && auth.required {
            return Err(refused(MintError::NoSecret));
        }
        if signer.is_none() && principal.tenant() != DEFAULT_TENANT {
            return Err(refused(format!("it has no tokens, so everything is of `{DEFAULT_TENANT}`")));
        }
        Ok(Self { client, api: format!("{url}/api/v1"), signer, principal })
    }

    pub(super) fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, RemoteError> {
        let request = self.client.request(method, format!("{}{path}", self.api));
        let Some(signer) = &self.signer else { return Ok(request) };
        let minted = signer.mint(&self.principal, TOKEN_LIFE, Timestamp::now()).map_err(refused)?;
        Ok(request.bearer_auth(minted.token))
    }

    /// Asks, and again while the gateway has too much to do.
    pub(super) async fn ask(
        &self,
        request: impl Fn() -> Result<RequestBuilder, RemoteError> + Sync,
    ) -> Result<Reply, RemoteError> {
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
}

impl Reply {
    pub(super) fn expect<T: DeserializeOwned>(self) -> Result<T, RemoteError> {
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

    pub(super) fn detail(&self) -> String {
        let problem = serde_json::from_str::<Problem>(&self.1);
        problem.map_or_else(|_| format!("it answered {}", self.0), |problem| problem.detail)
    }
}

pub(super) fn refused(reason: impl ToString) -> RemoteError {
    RemoteError(reason.to_string())
}

/// Without the address, which the library puts into its errors.
fn unreachable(error: reqwest::Error) -> RemoteError {
    refused(error.without_url())
}
