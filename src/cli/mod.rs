//! The commands, one per file: arguments in, one thing done.

pub mod mock_llm;
