//! Integration tests: one binary, because linking the gateway is slow.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop and say where")]

mod upstream;
