//! Rivulet: a real-time streaming chat gateway between browsers and language models.

pub mod app;
pub mod chat;
pub mod cli;
pub mod config;
pub mod dialect;
pub mod http;
pub mod hub;
pub mod knowledge;
pub mod llm;
pub mod load;
pub mod mock_llm;
pub mod run;
pub mod session;
pub mod store;
pub mod telemetry;
pub mod ws;
