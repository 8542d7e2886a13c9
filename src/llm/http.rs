//! The HTTP client of an endpoint, and what can be read of a response besides its stream.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::StreamExt;
use parking_lot::Mutex;
use reqwest::{
    Response, Url,
    header::{DATE, HeaderMap, RETRY_AFTER},
    redirect::Policy,
};
use tokio::time::timeout;

use super::error::EndpointError;
use crate::config::{is_loopback, server_url};

/// How long the body of an error is waited for, and how much of it is read.
const ERROR_BODY: (Duration, usize) = (Duration::from_secs(2), 64 * 1024);
/// Where providers say what they call a request: OpenRouter, most others, and the proxies in front of them.
const REQUEST_IDS: [&str; 4] = ["x-generation-id", "x-request-id", "request-id", "cf-ray"];
const MAX_ID_BYTES: usize = 128;
/// Streams of one HTTP/2 connection, well below the 100 that servers commonly allow.
const STREAMS_PER_CLIENT: usize = 80;
const MAX_CLIENTS: usize = 64;
/// Idle connections that are kept: without HTTP/2 every stream needs one, and the next thousand come soon.
const MAX_IDLE: usize = 4096;

/// Checks an address: http or https, and nothing in it that belongs elsewhere.
pub(super) fn base_url(text: &str) -> Result<Url, EndpointError> {
    server_url(text).map_err(EndpointError::BaseUrl)
}

/// The HTTP clients of one endpoint: with HTTP/2, a client has one connection, on which servers commonly allow 100
/// streams; what is more than that would wait in silence. So a further client is made when all of them are busy.
#[derive(Debug)]
pub(super) struct HttpClients {
    base: Url,
    connect: Duration,
    leases: Mutex<Vec<Lease>>,
}

/// A client, and the place of one stream in it: the place is free again when the lease is dropped.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    pub(super) client: reqwest::Client,
    places: Arc<()>,
}

impl HttpClients {
    /// Sets up the first client.
    pub(super) fn new(base: Url, connect: Duration) -> Result<Self, EndpointError> {
        let first = Lease { client: http_client(&base, connect)?, places: Arc::default() };
        Ok(Self { base, connect, leases: Mutex::new(vec![first]) })
    }

    /// A place in the client with the fewest streams. Beyond all bounds, streams share what there is.
    pub(super) fn lease(&self) -> Lease {
        let mut leases = self.leases.lock();
        let least = (0..leases.len()).min_by_key(|&at| Arc::strong_count(&leases[at].places)).unwrap_or(0);
        // One of them is the list's own. Without TLS there is no HTTP/2, and every stream has its own connection.
        let is_full = self.base.scheme() == "https" && Arc::strong_count(&leases[least].places) > STREAMS_PER_CLIENT;
        if is_full && leases.len() < MAX_CLIENTS {
            // The first client could be made; when this one cannot, the first ones go on.
            if let Ok(client) = http_client(&self.base, self.connect) {
                let lease = Lease { client, places: Arc::default() };
                leases.push(lease.clone());
                return lease;
            }
        }
        leases[least].clone()
    }
}

/// A client for the server at `base`, as the gateway uses it.
///
/// # Errors
/// [`EndpointError`], when `base` is no address.
pub fn client_for(base: &str, connect: Duration) -> Result<reqwest::Client, EndpointError> {
    let base = Url::parse(base).map_err(|error| EndpointError::Http(error.to_string()))?;
    http_client(&base, connect)
}

/// See [`super::openai::Endpoint::new`] for proxies.
fn http_client(base: &Url, connect: Duration) -> Result<reqwest::Client, EndpointError> {
    // No timeout for the whole and none between reads: the clocks in `targets` count what users wait for, and
    // reqwest's count comments that keep a connection alive.
    let builder = reqwest::Client::builder()
        .connect_timeout(connect)
        .tcp_nodelay(true)
        .tcp_keepalive(Duration::from_secs(30))
        .pool_idle_timeout(Duration::from_secs(60))
        .pool_max_idle_per_host(MAX_IDLE)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .http2_keep_alive_timeout(Duration::from_secs(10))
        .redirect(Policy::none())
        .referer(false)
        .user_agent(concat!("rivulet/", env!("CARGO_PKG_VERSION")));
    let builder = if is_loopback(base) { builder.no_proxy() } else { builder };
    builder.build().map_err(|error| EndpointError::Http(chain(&error)))
}

/// The beginning of a body that is no answer, as far as it comes in time.
pub(super) async fn read_some(response: Response) -> Vec<u8> {
    let (patience, most) = ERROR_BODY;
    let mut read = Vec::new();
    let mut body = response.bytes_stream();
    let reading = async {
        while let Some(Ok(bytes)) = body.next().await {
            read.extend_from_slice(&bytes[..bytes.len().min(most - read.len())]);
            if read.len() == most {
                break;
            }
        }
    };
    // What came is worth more than why the rest did not.
    let _: Result<(), _> = timeout(patience, reading).await;
    read
}

/// `Retry-After` in seconds, with or without a fraction, or in milliseconds as some providers have it, or as a date, by
/// the server's own clock where it tells that. A date that is over is no wait.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| Some(headers.get(name)?.to_str().ok()?.trim());
    let number = |name: &str| text(name)?.parse::<f64>().ok();
    let date = |name: &str| httpdate::parse_http_date(text(name)?).ok();
    if let Some(seconds) = number("retry-after-ms").map(|ms| ms / 1000.0).or_else(|| number(RETRY_AFTER.as_str())) {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let until = date(RETRY_AFTER.as_str())?;
    Some(until.duration_since(date(DATE.as_str()).unwrap_or_else(SystemTime::now)).unwrap_or_default())
}

/// What a provider calls the request that it answers, with the header's name, if it can be shown.
pub(super) fn request_id(headers: &HeaderMap) -> Option<String> {
    REQUEST_IDS.iter().find_map(|name| {
        let id = headers.get(*name)?.to_str().ok()?.trim();
        (!id.is_empty() && id.len() <= MAX_ID_BYTES).then(|| format!("{name} {id}"))
    })
}

/// An error with everything below it: reqwest's own words leave the cause out.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// The innermost reason, for people: the outer ones only say that a request failed, and where to.
#[must_use]
pub fn innermost(error: reqwest::Error) -> String {
    let error = error.without_url();
    let reasons = std::iter::successors(Some(&error as &dyn std::error::Error), |reason| reason.source());
    reasons.last().map_or_else(String::new, ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_seconds_and_milliseconds() {
        let read = |name: &'static str, value: &str| {
            retry_after(&HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]))
        };
        assert_eq!(read("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(read("retry-after", "1.5"), Some(Duration::from_millis(1500)));
        assert_eq!(read("retry-after-ms", "250"), Some(Duration::from_millis(250)));
        for odd in ["-1", "soon", "1e400", "NaN"] {
            assert_eq!(read("retry-after", odd), None, "{odd}");
        }
    }

    #[test]
    fn retry_after_is_read_as_a_date_in_all_its_forms() {
        let read = |at: &str| {
            let headers = [("retry-after", at), ("date", "Sun, 06 Nov 1994 08:49:07 GMT")];
            retry_after(
                &headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).into_iter().collect(),
            )
        };
        for at in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(read(at), Some(Duration::from_secs(30)), "{at}");
        }
        assert_eq!(read("Sun, 06 Nov 1994 08:48:37 GMT"), Some(Duration::ZERO), "over");
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
        let without_date = retry_after(&HeaderMap::from_iter([(RETRY_AFTER, soon.parse().unwrap())])).unwrap();
        assert!((58..=60).contains(&without_date.as_secs()), "{without_date:?}");
    }

    #[test]
    fn ids_of_requests_are_told_when_they_can_be_shown() {
        let id = |pairs: &[(&'static str, &str)]| {
            request_id(&pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect())
        };
        let both = [("x-request-id", "req_1"), ("X-Generation-Id", "gen-1")];
        assert_eq!(id(&both[..1]).as_deref(), Some("x-request-id req_1"));
        assert_eq!(id(&both).as_deref(), Some("x-generation-id gen-1"));
        assert_eq!(id(&[("x-request-id", " "), ("cf-ray", "8f")]).as_deref(), Some("cf-ray 8f"));
        assert_eq!(id(&[("x-request-id", &"x".repeat(MAX_ID_BYTES + 1))]), None);
        assert_eq!(id(&[]), None);
    }

    #[test]
    fn busy_clients_are_joined_by_others_where_there_may_be_http2() {
        let clients = |base: &str| HttpClients::new(Url::parse(base).unwrap(), Duration::from_secs(1)).unwrap();
        let tls = clients("https://127.0.0.1/v1");
        let mut held: Vec<Lease> = (0..STREAMS_PER_CLIENT).map(|_| tls.lease()).collect();
        assert_eq!(tls.leases.lock().len(), 1);
        held.push(tls.lease());
        assert_eq!(tls.leases.lock().len(), 2);
        held.clear();
        held.extend((0..2 * STREAMS_PER_CLIENT).map(|_| tls.lease()));
        assert_eq!(tls.leases.lock().len(), 2, "places are used again");
        let plain = clients("http://127.0.0.1/v1");
        held.extend((0..2 * STREAMS_PER_CLIENT).map(|_| plain.lease()));
        assert_eq!(plain.leases.lock().len(), 1);
    }
}
