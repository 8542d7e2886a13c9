//! The commands of the `rivulet` binary, one file each: arguments in, text out.

pub mod api_key;
pub mod backup;
pub mod check;
pub mod eval;
pub mod ingest;
pub mod knowledge;
pub mod load;
pub mod mcp;
pub mod mock_llm;
pub mod rehearse;
mod remote;
pub mod search;
pub mod serve;
pub mod settings;
mod stored;
pub mod token;
