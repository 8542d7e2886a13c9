//! HTTP: the accept loop, routes, extractors, problem+json; one file per resource.
//!
//! Every error becomes a status in `problem.rs`, every route is listed in `router.rs`. Uses `ws`, `hub`, `auth`, `run`,
//! `llm`, `knowledge`, `telemetry`.

mod admin;
mod approvals;
mod artifacts;
mod assistants;
mod audit;
mod auth;
mod body;
mod census;
mod chat;
pub mod client;
mod collections;
mod completions;
mod connection;
mod contents;
mod credentials;
mod datasets;
mod desk;
mod documents;
mod embeddings;
mod event_stream;
mod events;
mod fields;
mod gateway;
mod head;
mod health;
mod idempotency;
mod identity;
mod jobs;
mod knowledge;
mod language;
mod messages;
mod models;
mod names;
mod notices;
mod openapi;
pub mod origin;
mod overview;
mod page;
mod parameters;
mod places;
mod problem;
mod rates;
mod requests;
mod router;
pub mod server;
mod sessions;
mod silence;
mod socket;
mod stall;
mod store_health;
mod submissions;
mod taken_back;
mod tls;
mod uploads;
mod version;

pub use gateway::Gateway;
pub use notices::Notices;
pub use origin::Origins;
pub use places::Clients;
pub use router::{Surface, surface};
pub use store_health::StoreHealth;
pub use tls::{Certificate, Tls, TlsError, TlsFiles};
pub use uploads::Uploads;
