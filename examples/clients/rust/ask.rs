//! Asks a question and waits for the whole answer.
//!
//! ```text
//! cargo run --example ask -- "How long can I return a tent?"
//! ```

use std::io::{self, Write};

use serde_json::json;
use uuid::Uuid;

mod gateway;

#[tokio::main]
async fn main() -> gateway::Result<()> {
    let question = std::env::args().nth(1).ok_or("what is the question?")?;
    // The same id with each try: the question is asked, and paid for, once.
    let body = json!({"id": Uuid::new_v4().to_string(), "message": question});
    let answer = gateway::Gateway::from_environment().send("chat", &body).await?;
    let mut out = io::stdout();
    writeln!(out, "{}\n({})", answer["response"].as_str().unwrap_or_default(), answer["status"])?;
    for source in answer["sources"].as_array().into_iter().flatten() {
        writeln!(out, "[{}] {}", source["n"], source["title"].as_str().unwrap_or_default())?;
    }
    Ok(())
}
