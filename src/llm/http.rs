//! The HTTP client of an endpoint, and what can be read of a response besides its stream. No async-openai here.

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::{
    Response, Url,
    header::{HeaderMap, RETRY_AFTER},
    redirect::Policy,
};
use tokio::time::timeout;

use super::openai::EndpointError;

/// How long the body of an error is waited for, and how much of it is read.
const ERROR_BODY: (Duration, usize) = (Duration::from_secs(2), 64 * 1024);

/// Checks a base URL: http or https, and nothing in it that belongs elsewhere.
pub(super) fn base_url(text: &str) -> Result<Url, EndpointError> {
    let url = Url::parse(text.trim()).map_err(|_| EndpointError::BaseUrl("is not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(EndpointError::BaseUrl("is not an http or https URL"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(EndpointError::BaseUrl("has a user or a password in it"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(EndpointError::BaseUrl("has a query or a fragment"));
    }
    Ok(url)
}

/// A client for thousands of streams to one host; see [`super::openai::Endpoint::new`] for proxies.
pub(super) fn http_client(base: &Url, connect: Duration) -> Result<reqwest::Client, EndpointError> {
    // No timeout for the whole and none between reads: the clocks in `targets` count what users wait for, and
    // reqwest's count comments that keep a connection alive.
    let builder = reqwest::Client::builder()
        .connect_timeout(connect)
        .tcp_nodelay(true)
        .tcp_keepalive(Duration::from_secs(30))
        .pool_idle_timeout(Duration::from_secs(60))
        .pool_max_idle_per_host(256)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .http2_keep_alive_timeout(Duration::from_secs(10))
        .redirect(Policy::none())
        .referer(false)
        .user_agent(concat!("rivulet/", env!("CARGO_PKG_VERSION")));
    let host = base.host_str().unwrap_or("").trim_matches(['[', ']']);
    let is_loopback = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    let builder = if is_loopback { builder.no_proxy() } else { builder };
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

/// `Retry-After` in seconds, with or without a fraction, or in milliseconds as some providers have it. The form with a
/// date is not read: no provider is known to send it.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds = number("retry-after-ms").map(|ms| ms / 1000.0).or_else(|| number(RETRY_AFTER.as_str()))?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// An error with everything below it: reqwest's own words leave the cause out.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
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
}
