//! Questions in the shortest form there is, `{"message": …}`, and the deltas that come: any server that streams tokens
//! to sockets in these few words can be measured with it.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::{SinkExt, future::join_all};
use serde_json::json;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::{
    client::{RETRY, Socket, next, open},
    job::Job,
    seen::Seen,
    stamped::{Stamped, wall_clock_us},
    together::{Place, Together},
};
use crate::load::{frame::Frame, plan::unlike_any};

pub(super) async fn run(job: &Arc<Job>, address: SocketAddr, seen: &Arc<Seen>, stage: &impl Fn(&str)) {
    let together = Together::start(job, seen, |place| session(place, address));
    together.arrived().await;
    stage("connected");
    together.over(seen).await;
}

async fn session(place: Place, address: SocketAddr) {
    place.wait().await;
    let connect = async {
        loop {
            match connect(&place.job, address).await {
                Ok(sockets) => return Ok(sockets),
                Err(_) => sleep(RETRY).await, // Full, and it said so.
            }
        }
    };
    let sockets = place.in_time("no socket in time", connect).await;
    place.arrive().await;
    let sockets = match sockets {
        Ok(sockets) => sockets,
        Err(text) => return place.seen.fault(text),
    };
    place.wait().await;
    let readers = sockets.into_iter().enumerate().map(|(at, socket)| read(&place.job, socket, at == 0, &place.seen));
    for text in join_all(readers).await.into_iter().filter_map(Result::err) {
        place.seen.fault(text);
    }
}

/// The sockets of one session. Where there is to be one only, nothing needs to be known of the session.
async fn connect(job: &Job, address: SocketAddr) -> Result<Vec<Socket>, String> {
    let mut first = open(&job.endpoint.socket(None), address, None).await?;
    if job.viewers < 2 {
        return Ok(vec![first]);
    }
    let text = next(&mut first).await?;
    let frame: Frame<'_> = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let (Some(session), Some(epoch), Some(seq)) = (&frame.session, &frame.epoch, frame.seq) else {
        return Err("the first frame is no welcome".to_owned());
    };
    let url = job.endpoint.socket(Some((session.as_str(), &format!("{}:{seq}", epoch.as_str()))));
    let mut sockets = vec![first];
    for _ in 1..job.viewers {
        let mut socket = open(&url, address, None).await?;
        next(&mut socket).await?;
        sockets.push(socket);
    }
    Ok(sockets)
}

/// Reads all answers; the first socket of a session also asks the questions.
async fn read(job: &Job, mut socket: Socket, asks: bool, seen: &Seen) -> Result<(), String> {
    for _ in 0..job.messages {
        if asks {
            let question = json!({ "message": unlike_any(&job.text) }).to_string();
            socket.send(Message::text(question)).await.map_err(|error| format!("cannot ask: {error}"))?;
        }
        let asked = wall_clock_us();
        let mut answer = Stamped::default();
        let ended = timeout(job.timeout, answered(job, &mut socket, &mut answer, asked, seen)).await;
        seen.tokens.fetch_add(answer.tokens, Ordering::Relaxed);
        ended.map_err(|_| format!("no whole answer within {:?}", job.timeout))??;
    }
    Ok(())
}

async fn answered(
    job: &Job,
    socket: &mut Socket,
    answer: &mut Stamped,
    asked_us: u64,
    seen: &Seen,
) -> Result<(), String> {
    loop {
        let text = next(socket).await?;
        let frame: Frame<'_> = serde_json::from_str(&text).map_err(|error| format!("a bad frame: {error}"))?;
        match frame.kind.as_ref() {
            "delta" => {
                let text = frame.text.as_ref().ok_or("a delta without text")?.as_str();
                let now = wall_clock_us();
                if answer.tokens == 0 {
                    seen.time("first_text", Duration::from_micros(now.saturating_sub(asked_us)));
                }
                answer.piece(frame.off, text, now, |age| seen.time("delay", Duration::from_micros(age)))?;
            }
            "run.done" => {
                let status = frame.status.as_ref().map_or("", |status| status.as_str());
                if status != "complete" {
                    return Err(format!("a run ended with status {status}"));
                }
                return answer.end(frame.len, frame.crc32.as_ref().map(|crc32| crc32.as_str()), job.tokens);
            }
            "error" => {
                return Err(format!("refused: {}", frame.code.as_ref().map_or("without a code", |code| code.as_str())));
            }
            "ping" => {
                let pong = Message::text(r#"{"type":"pong"}"#);
                socket.send(pong).await.map_err(|error| format!("cannot answer a ping: {error}"))?;
            }
            _ => {}
        }
    }
}
