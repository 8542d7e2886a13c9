//! Asks a question and prints the answer as it is written, over as many connections as it takes. Ctrl-C stops the
//! answer.
//!
//! ```text
//! cargo run --example stream -- "How long can I return a tent?"
//! ```

use std::{
    io::{self, Write},
    time::Duration,
};

use answer::Answer;
use futures_util::{SinkExt, StreamExt};
use gateway::{Gateway, Result, backoff, retry_after};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

mod answer;
mod gateway;

/// The gateway says something every 25 seconds.
const SILENCE: Duration = Duration::from_secs(40);
const CALM: Duration = Duration::from_secs(60);

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

#[tokio::main]
async fn main() -> Result<()> {
    let question = std::env::args().nth(1).ok_or("what is the question?")?;
    let gateway = Gateway::from_environment();
    let session = gateway.send("sessions", &json!({})).await?["session_id"].as_str().unwrap_or_default().to_owned();
    let (mut answer, mut shown, mut failures) = (Answer::to(&question), String::new(), 0);
    while answer.status.is_none() {
        let began = Instant::now();
        let pause = match connect(&gateway, &session, &answer).await? {
            Ok(mut socket) => read(&mut socket, &mut answer, &mut shown).await?,
            Err(pause) => pause,
        };
        if answer.status.is_none() {
            failures = if began.elapsed() > CALM { 0 } else { failures };
            tokio::time::sleep(pause.unwrap_or_else(|| backoff(failures))).await;
            failures += 1;
        }
    }
    Ok(writeln!(io::stdout(), "\n({})", answer.status.unwrap_or_default())?)
}

/// A socket that goes on behind the cursor; or, when there is none just now, how long to wait where the gateway says
/// so.
async fn connect(
    gateway: &Gateway,
    session: &str,
    answer: &Answer,
) -> Result<std::result::Result<Socket, Option<Duration>>> {
    let resume = answer.cursor().map_or_else(String::new, |cursor| format!("?resume={cursor}"));
    let address = format!("{}/api/v1/ws/{session}{resume}", gateway.url.replacen("http", "ws", 1));
    let mut request = address.into_client_request()?;
    if let Some(token) = &gateway.token {
        request.headers_mut().insert("Authorization", format!("Bearer {token}").parse()?);
    }
    match connect_async(request).await {
        Ok((socket, _)) => Ok(Ok(socket)),
        Err(Error::Http(refusal)) if matches!(refusal.status().as_u16(), 429 | 503) => {
            Ok(Err(retry_after(refusal.headers().get("Retry-After"))))
        }
        Err(Error::Http(refusal)) => Err(format!("refused with {}", refusal.status()).into()),
        Err(_) => Ok(Err(None)), // Nobody was there.
    }
}

/// Reads until the answer is over or the connection is. Gives when to come back, where the gateway says so.
async fn read(socket: &mut Socket, answer: &mut Answer, shown: &mut String) -> Result<Option<Duration>> {
    let (mut pause, mut again) = (None, None);
    while answer.status.is_none() {
        let message = tokio::select! {
            message = timeout(SILENCE, socket.next()) => message,
            _ = tokio::signal::ctrl_c() => {
                say(socket, &json!({"type": "stop", "for": answer.id})).await;
                continue;
            }
            () = sleep_until(again.unwrap_or_else(Instant::now)), if again.is_some() => {
                again = None;
                say(socket, &answer.question).await;
                continue;
            }
        };
        let frame: Value = match message {
            Ok(Some(Ok(Message::Text(text)))) => serde_json::from_str(&text)?,
            Ok(Some(Ok(Message::Close(Some(close))))) if is_final(close.code.into()) => {
                return Err(format!("the gateway closed the connection: {close}").into());
            }
            Ok(Some(Ok(_))) => continue,
            _ => return Ok(pause), // Lost, closed, or dead.
        };
        if let Some(asked) = answer.take(&frame) {
            say(socket, &asked).await;
        }
        show(&answer.text(), shown)?;
        match frame["type"].as_str() {
            Some("goaway") => pause = frame["retry_in_ms"].as_u64().map(Duration::from_millis),
            // To say it again does no harm: the id makes it the same question.
            Some("welcome") => say(socket, &answer.question).await,
            Some("error") if frame["re"] == answer.id.as_str() => {
                if frame["retryable"] != true {
                    return Err(format!("{}: {}", frame["code"], frame["message"]).into());
                }
                again = Some(Instant::now() + Duration::from_millis(frame["retry_in_ms"].as_u64().unwrap_or(1_000)));
            }
            _ => {}
        }
    }
    Ok(pause)
}

/// Sends a frame. When that fails, the connection is lost, and reading tells so.
async fn say(socket: &mut Socket, frame: &Value) {
    let _ = socket.send(Message::text(frame.to_string())).await;
}

/// What a later connection would end with, too: 40xx, and a broken protocol.
fn is_final(code: u16) -> bool {
    matches!(code, 1002 | 1003 | 1009 | 4000..=4099)
}

/// Prints what is new. After a failover a part of the text may be withdrawn.
fn show(text: &str, shown: &mut String) -> Result<()> {
    let mut out = io::stdout();
    match text.strip_prefix(shown.as_str()) {
        Some(new) => write!(out, "{new}")?,
        None => write!(out, "\n(once more)\n{text}")?,
    }
    text.clone_into(shown);
    Ok(out.flush()?)
}
