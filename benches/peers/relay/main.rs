//! The limit: what it costs to carry tokens from a model's server to a WebSocket and to do nothing else. No sessions, no
//! storage, no checks; of the JSON that comes only the text is looked for, and it goes out with its escapes as it came.
//!
//! The barest thing that does it: the model's server is read from a plain socket, without an HTTP client, by the same
//! task that writes to the WebSocket. Same build profile as the gateway. `OPENAI_BASE_URL` comes from the environment;
//! the port is the argument.

use std::{env, error::Error, sync::Arc};

use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_tungstenite::{
    accept_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let port = env::args().nth(1).ok_or("the port is missing")?.parse::<u16>()?;
    let base = env::var("OPENAI_BASE_URL")?;
    let (host, path) = base.strip_prefix("http://").and_then(|rest| rest.split_once('/')).ok_or("not a plain URL")?;
    let head = format!("POST /{path}/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n");
    let upstream: Arc<(String, String)> = Arc::new((host.to_owned(), head));
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let mut sockets = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, upstream) = (accepted?.0, upstream.clone());
                sockets.spawn(async move { serve(stream, &upstream.0, &upstream.1).await });
            }
            // A client that left, or a model that failed: this server has nobody to tell.
            Some(_) = sockets.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, host: &str, head: &str) -> Result<(), Failure> {
    stream.set_nodelay(true)?;
    let config = WebSocketConfig::default().read_buffer_size(4 << 10).write_buffer_size(0);
    let mut socket = accept_async_with_config(stream, Some(config)).await?;
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message? else { continue };
        let Some(question) = between(text.as_str(), r#""message":""#, r#""}"#) else { continue };
        let body = format!(r#"{{"model":"mock","stream":true,"messages":[{{"role":"user","content":"{question}"}}]}}"#);
        let mut model = TcpStream::connect(host).await?;
        model.set_nodelay(true)?;
        model.write_all(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).await?;
        let (mut off, mut read, mut lines) = (0, [0; 4096], Vec::new());
        loop {
            let bytes = model.read(&mut read).await?;
            if bytes == 0 {
                return Err("the model's server left".into());
            }
            lines.extend_from_slice(&read[..bytes]);
            let Some(end) = lines.iter().rposition(|byte| *byte == b'\n') else { continue };
            let mut is_done = false;
            for line in std::str::from_utf8(&lines[..end])?.lines() {
                is_done |= line == "data: [DONE]";
                let Some(text) = between(line, r#""content":""#, r#""}"#).filter(|text| !text.is_empty()) else {
                    continue;
                };
                socket.feed(Message::text(format!(r#"{{"type":"delta","off":{off},"text":"{text}"}}"#))).await?;
                off += text.len();
            }
            lines.drain(..=end);
            socket.flush().await?;
            if is_done {
                break;
            }
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
