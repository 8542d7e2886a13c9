//! The limit: what it costs to carry tokens from a model's server to a WebSocket and to do nothing else. No sessions, no
//! storage, no checks; of the JSON that comes only the text is looked for, and it goes out with its escapes as it came.
//!
//! Same libraries and same build profile as the gateway. `OPENAI_BASE_URL` comes from the environment; the port is the
//! argument.

use std::{env, error::Error};

use futures_util::{SinkExt, StreamExt};
use reqwest::Client;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_tungstenite::{accept_async_with_config, tungstenite::Message};

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let port = env::args().nth(1).ok_or("the port is missing")?.parse::<u16>()?;
    let completions = format!("{}/chat/completions", env::var("OPENAI_BASE_URL")?);
    let http = Client::builder().no_proxy().tcp_nodelay(true).build()?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let mut sockets = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (http, completions) = (http.clone(), completions.clone());
                let stream = accepted?.0;
                sockets.spawn(async move { serve(stream, &http, &completions).await });
            }
            // A client that left, or a model that failed: this server has nobody to tell.
            Some(_) = sockets.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, http: &Client, completions: &str) -> Result<(), Failure> {
    stream.set_nodelay(true)?;
    let mut socket = accept_async_with_config(stream, Some(rivulet::ws::config())).await?;
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message? else { continue };
        let Some(question) = between(text.as_str(), r#""message":""#, r#""}"#) else { continue };
        let request =
            format!(r#"{{"model":"mock","stream":true,"messages":[{{"role":"user","content":"{question}"}}]}}"#);
        let mut response =
            http.post(completions).header("content-type", "application/json").body(request).send().await?;
        let mut off = 0;
        let mut lines = Vec::new();
        while let Some(bytes) = response.chunk().await? {
            lines.extend_from_slice(&bytes);
            let Some(end) = lines.iter().rposition(|byte| *byte == b'\n') else { continue };
            for line in std::str::from_utf8(&lines[..end])?.lines() {
                let Some(text) = between(line, r#""content":""#, r#""}"#).filter(|text| !text.is_empty()) else {
                    continue;
                };
                socket.feed(Message::text(format!(r#"{{"type":"delta","off":{off},"text":"{text}"}}"#))).await?;
                off += text.len();
            }
            lines.drain(..=end);
            socket.flush().await?;
        }
        socket.send(Message::text(r#"{"type":"run.done","status":"complete"}"#)).await?;
    }
    Ok(())
}

/// What stands between two marks.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let rest = text.split_once(before)?.1;
    Some(rest.split_once(after)?.0)
}
