//! What the tests speak: a gateway on a free port, a client that knows the protocol, an upstream over real HTTP.

mod client;
mod gateway;
mod upstream;

use std::time::Duration;

pub(crate) use client::{Client, Memory};
pub(crate) use gateway::{Setup, TestGateway};
pub(crate) use upstream::{Upstream, upstream};

/// Longer than anything here may take; a test that waits should say for what.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits, and says for what it did when it was in vain.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}
