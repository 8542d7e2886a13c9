//! Rivulet: a real-time streaming chat gateway between browsers and language models.

pub mod chat;
pub mod cli;
pub mod config;
pub mod knowledge;
pub mod llm;
pub mod load;
pub mod store;
pub mod telemetry;
