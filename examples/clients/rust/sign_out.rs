//! Takes back the token of `RIVULET_TOKEN`: it opens nothing any more, and what it had opened is closed within a
//! second.
//!
//! ```text
//! cargo run --example sign_out
//! ```

use serde_json::Value;

mod gateway;

#[tokio::main]
async fn main() -> gateway::Result<()> {
    gateway::Gateway::from_environment().send("auth/revoke", &Value::Null).await?;
    Ok(())
}
