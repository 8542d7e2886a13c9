//! HTTP: the accept loop, routes, extractors, problem+json; one file per resource.
//!
//! Every error becomes a status in `problem.rs`, every route is listed in `router.rs`. Uses `ws`, `hub`, `auth`, `run`,
//! `llm`, `knowledge`, `telemetry`.

use std::{sync::Arc, time::Duration};

use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{auth::Authenticator, hub::Hub, knowledge::Retriever, llm::ChatModel, run::Runner};

mod admin;
mod auth;
mod body;
mod chat;
pub mod client;
mod completions;
mod health;
mod identity;
mod knowledge;
mod messages;
mod models;
pub mod origin;
mod page;
mod places;
mod problem;
mod requests;
mod router;
pub mod server;
mod sessions;
mod socket;
mod stall;
mod version;

pub use health::StoreHealth;
pub use origin::Origins;
pub use places::Clients;
pub use router::router;

/// What the routes need.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// The sessions.
    pub hub: Arc<Hub>,
    /// Checks credentials.
    pub auth: Arc<Authenticator>,
    /// The knowledge base.
    pub retriever: Arc<dyn Retriever>,
    /// Who answers, for the reports.
    pub model: Arc<dyn ChatModel>,
    /// Generates the answers that belong to no session.
    pub runner: Arc<Runner>,
    /// Those that are being written, so that a shutdown can wait for them.
    pub completions: TaskTracker,
    /// Cancelled when it waits no longer.
    pub interrupting: CancellationToken,
    /// Passages returned when a caller does not say how many.
    pub top_k: usize,
    /// Which pages may talk to the gateway.
    pub origins: Arc<Origins>,
    /// Who clients are, and how many connections each may have.
    pub clients: Arc<Clients>,
    /// Open sockets, so that a shutdown can wait for them.
    pub sockets: TaskTracker,
    /// Cancelled when the gateway takes no more work.
    pub draining: CancellationToken,
    /// How long the end may take, from then on.
    pub drain: Duration,
    /// Whether the store answered last.
    pub store_health: Arc<StoreHealth>,
    /// Renders `/metrics`.
    pub metrics: PrometheusHandle,
}
