//! Adds a document, waits until it is found, and asks a question.
//!
//! ```text
//! cargo run --example document -- FILE "When does the office open?"
//! ```

use std::{
    io::{self, Write},
    path::Path,
};

use futures_util::StreamExt;
use gateway::{Gateway, Result, backoff};
use reqwest::{Method, header::CONTENT_TYPE};
use serde_json::{Value, json};
use uuid::Uuid;

mod gateway;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, file, question] = arguments.as_slice() else { return Err("usage: document FILE QUESTION".into()) };
    let gateway = Gateway::from_environment();
    let added = add(&gateway, Path::new(file)).await?;
    // Without a job, the gateway has this very document already.
    if let Some(job) = added["job"].as_str() {
        finished(&gateway, job).await?;
    }
    let body = json!({"id": Uuid::new_v4().to_string(), "message": question});
    let answer = gateway.send("chat", &body).await?;
    let mut out = io::stdout();
    writeln!(out, "{}", answer["response"].as_str().unwrap_or_default())?;
    for source in answer["sources"].as_array().into_iter().flatten() {
        writeln!(out, "[{}] {}", source["n"], source["title"].as_str().unwrap_or_default())?;
    }
    Ok(())
}

/// Sends the file as a form does. With reqwest's feature `multipart` it is less by hand.
async fn add(gateway: &Gateway, file: &Path) -> Result<Value> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().replace(['"', '\r', '\n'], "_");
    let id = Uuid::new_v4().simple().to_string();
    let head = format!("--{id}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
    let form = [head.into_bytes(), tokio::fs::read(file).await?, format!("\r\n--{id}--\r\n").into_bytes()].concat();
    let request = gateway
        .request(Method::POST, "documents")
        .header(CONTENT_TYPE, format!("multipart/form-data; boundary={id}"))
        .header("Idempotency-Key", &id) // The same with each try: one document, one version.
        .body(form);
    Ok(gateway.call(request).await?.json().await?)
}

/// Follows a job to its end. Each event has the whole state, so whoever comes back needs no cursor.
async fn finished(gateway: &Gateway, job: &str) -> Result<()> {
    for attempt in 0.. {
        let mut events =
            gateway.call(gateway.request(Method::GET, &format!("jobs/{job}/events"))).await?.bytes_stream();
        let mut rest = Vec::new();
        // An error is a lost connection.
        while let Some(Ok(bytes)) = events.next().await {
            rest.extend_from_slice(&bytes);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                let Some(data) = line.strip_prefix(b"data:") else { continue };
                let state: Value = serde_json::from_slice(data)?;
                writeln!(io::stderr(), "{} {}/{}", state["state"], state["done"], state["total"])?;
                match state["state"].as_str() {
                    Some("done") => return Ok(()),
                    Some("failed" | "cancelled") => return Err(state["error"]["message"].to_string().into()),
                    _ => {}
                }
            }
        }
        tokio::time::sleep(backoff(attempt)).await;
    }
    Ok(())
}
