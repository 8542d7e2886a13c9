//! What the routes need, put together once and shared by all of them.

use std::{sync::Arc, time::Duration};

use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    notices::Notices, origin::Origins, places::Clients, protected::Mcp, shares::Shares, store_health::StoreHealth,
};
use crate::{
    auth::Authenticator,
    config::Unsupported,
    ephemeral::Redis,
    hub::Hub,
    knowledge::{Retriever, Vectors, jobs::Documents},
    limits::Visitor,
    llm::ChatModel,
    run::Runner,
    store::{audit::AuditStore, documents::Tenant},
};

/// What the routes need.
#[derive(Debug)]
pub struct Gateway {
    /// The sessions.
    pub hub: Arc<Hub>,
    /// Checks credentials.
    pub auth: Arc<Authenticator>,
    /// The knowledge base.
    pub retriever: Arc<dyn Retriever>,
    /// The documents in it; `None` where there is no knowledge.
    pub documents: Option<Arc<Documents>>,
    /// Makes vectors of texts; `None` where there is no knowledge.
    pub vectors: Option<Arc<Vectors>>,
    /// What gateways count in together; `None` where one counts for itself.
    pub redis: Option<Arc<Redis>>,
    /// Documents that are coming in.
    pub uploads: Shares<Tenant>,
    /// Tables that are.
    pub tables: Shares<Visitor>,
    /// Requests for vectors.
    pub vectors_asked: Shares<Visitor>,
    /// Who answers, for the reports.
    pub model: Arc<dyn ChatModel>,
    /// Generates the answers that belong to no session.
    pub runner: Arc<Runner>,
    /// What becomes of requests for what a text may stand in for.
    pub unsupported: Unsupported,
    /// Those that are being written, so that a shutdown can wait for them.
    pub completions: TaskTracker,
    /// Cancelled when it waits no longer.
    pub interrupting: CancellationToken,
    /// Passages returned when a caller does not say how many.
    pub top_k: usize,
    /// What was done by whom.
    pub audit: Arc<dyn AuditStore>,
    /// For how many days that is kept.
    pub audit_days: u32,
    /// Whether agents of others may ask for knowledge.
    pub mcp: Mcp,
    /// Which pages may talk to the gateway.
    pub origins: Arc<Origins>,
    /// What of this was said in the log already.
    pub notices: Notices,
    /// Who clients are, and how many connections each may have.
    pub clients: Arc<Clients>,
    /// Open sockets, so that a shutdown can wait for them.
    pub sockets: TaskTracker,
    /// Cancelled when the gateway takes no more work; that ends it.
    pub draining: CancellationToken,
    /// How long the end may take, from then on.
    pub drain: Duration,
    /// Whether the store answered last.
    pub store_health: Arc<StoreHealth>,
    /// Renders `/metrics`.
    pub metrics: PrometheusHandle,
}
