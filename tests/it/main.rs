//! Integration tests: one binary, because linking the gateway is slow; a module per behaviour.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test that cannot go on should stop"
)]

mod ag_ui;
mod agents;
mod ai_sdk;
mod answers_anew;
mod answers_together;
mod approvals;
mod artifacts;
mod assistants;
mod auth;
mod backup;
mod bad_input;
mod branches;
mod budgets;
mod cache;
mod calls;
mod chat;
mod checkpoints;
mod clients;
mod company;
mod completions;
mod crash;
mod datasets;
mod dependencies;
mod deviations;
mod disk;
mod documents;
mod elsewhere;
mod embeddings;
mod eval;
mod failover;
mod faults;
mod formats;
mod fuzz;
mod harness;
mod http;
mod isolation;
mod knowledge;
mod layers;
mod limits;
mod logs;
mod manual;
mod mcp;
mod memories;
mod memory;
mod metrics;
mod mirrors;
mod mock_tools;
mod monitoring;
mod openapi;
mod pacing;
mod ports;
mod proxies;
mod rates;
mod recall;
mod redis_servers;
mod reload;
mod repetitions;
mod reported;
mod resume;
mod rounds;
mod rules;
mod scenarios;
mod shared_store;
mod silence;
#[cfg(feature = "otlp")]
mod spans;
mod startup;
mod targets;
mod telemetry;
mod titles;
mod tls;
mod together;
mod tools;
mod unsaved;
mod upstream;
mod wild;
