//! What the tests speak: a gateway on a free port, a client that knows the protocol, an upstream over real HTTP.

mod client;
mod documented;
mod gateway;
mod load;
#[path = "../../../src/auth/testing.rs"]
mod makers;
pub(crate) mod metrics;
mod neighbour;
mod postgres;
mod proxy;
mod raw;
mod redis;
mod storage;
mod store;
mod strace;
mod upstream;

use std::time::Duration;

pub(crate) use self::redis::{Engine, Mode, Redis, SHARED as SHARED_REDIS};
pub(crate) use client::{Answer, Client, Memory};
pub(crate) use documented::{Documented, Then, documented};
pub(crate) use gateway::{Setup, TestGateway};
pub(crate) use load::{load, report, verify};
pub(crate) use makers::{Answer as KeyAnswer, KeyServer, Maker};
pub(crate) use neighbour::Neighbour;
pub(crate) use postgres::{Postgres, SHARED};
pub(crate) use proxy::{Fault, Proxy};
pub(crate) use raw::{UPGRADE, all, close_code, frame, post, raw, raw_on};
pub(crate) use storage::{Storage, Way};
pub(crate) use store::{Talkative, Wayward, hub};
pub(crate) use strace::Strace;
pub(crate) use upstream::{Gate, Upstream, upstream};

/// Longer than anything here may take; a test that waits should say for what.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits, and says for what it did when it was in vain.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

/// Where a test's random numbers begin: `RIVULET_TEST_SEED`, or anywhere. Told when the test fails.
pub(crate) struct Seed(pub(crate) u64);

impl Seed {
    pub(crate) fn new() -> Self {
        let given =
            std::env::var("RIVULET_TEST_SEED").ok().map(|seed| seed.parse().expect("RIVULET_TEST_SEED: a number"));
        Self(given.unwrap_or_else(rand::random))
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed was {0}: RIVULET_TEST_SEED={0} repeats it", self.0);
        }
    }
}
