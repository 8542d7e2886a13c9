//! The smallest client: asks one question and prints the answer as it comes.
//!
//! ```text
//! cargo run --example client -- "How long can I return a tent?"
//! ```
//!
//! Needs a gateway on port 8080; `RIVULET_URL` names another one. Knows nothing but the protocol (`docs/protocol.md`).

use std::{
    error::Error,
    io::{self, Write},
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::{connect_async, tungstenite::Message};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("RIVULET_URL").unwrap_or_else(|_| "ws://127.0.0.1:8080/api/v1/ws".to_owned());
    let question = std::env::args().nth(1).unwrap_or_else(|| "How long can I return a tent?".to_owned());
    let (mut socket, _) = connect_async(&url).await?;
    socket.send(Message::text(json!({"message": question}).to_string())).await?;
    let mut out = io::stdout();
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message? else { continue };
        let frame: Value = serde_json::from_str(&text)?;
        match frame["type"].as_str() {
            Some("delta") => write!(out, "{}", frame["text"].as_str().unwrap_or_default())?,
            Some("run.done") => return Ok(writeln!(out, "\n({})", frame["status"].as_str().unwrap_or_default())?),
            Some("error") => return Err(frame["message"].as_str().unwrap_or("refused").into()),
            _ => continue,
        }
        out.flush()?;
    }
    Err("the gateway closed the connection before the answer was over".into())
}
