//! What can go wrong at an upstream, to be had on demand.

use std::{str::FromStr, time::Duration};

use bytes::Bytes;

/// The bytes of a line that is longer than any event.
const LONG_LINE: usize = 10 << 20;
const MAX_PIECES: usize = 10_000;
const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

/// How the mock answers one chat completion.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Fault {
    /// As it should.
    #[default]
    None,
    /// Takes the request and closes the connection without an answer.
    Refuse,
    /// Answers with a status and a body.
    Status {
        /// The HTTP status.
        status: u16,
        /// The headers, `Retry-After` or `Location` for example.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// Takes the request and never answers.
    StallHeaders,
    /// Says nothing more after so many tokens; 0: after the head.
    Stall(usize),
    /// As [`Fault::Stall`], but with comments that keep the connection alive.
    StallPinging(usize),
    /// Breaks the connection after so many tokens.
    Cut(usize),
    /// Ends the body properly after so many tokens, without a finish and without `[DONE]`.
    End(usize),
    /// Tells the finish, but no `[DONE]`.
    NoDone,
    /// Sends `[DONE]`, but no finish.
    NoFinish,
    /// Sends an event that is not JSON before every token from the first on, so many in all.
    Garbage(usize),
    /// Answers with a whole completion where a stream was asked for.
    Json,
    /// Answers every other request, from the second on, and refuses the others with a 500.
    Flapping,
    /// Sends these pieces, one write each, as the body of the stream.
    Raw {
        /// What is sent.
        pieces: Vec<Bytes>,
        /// How long it waits after each piece; the body ends after the last wait.
        pause: Duration,
    },
}

/// Why a name is not a fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "faults: refuse, status:CODE, status:CODE:RETRY_AFTER, stall-headers, stall:N, stall-pinging:N, cut:N, end:N, \
     error-event:N, no-done, no-finish, garbage:N, json, html, long-line, split-utf8, flapping (N: tokens, 5 when not \
     given)"
)]
pub struct UnknownFault;

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let (name, number) = match text.split_once(':') {
            Some((name, number)) => (name, Some(number)),
            None => (text, None),
        };
        let count = number.map_or(Ok(5), |number| number.parse().map_err(|_| UnknownFault));
        match name {
            "refuse" => Ok(Self::Refuse),
            "status" => status(number.unwrap_or_default()),
            "error-event" => count.map(error_event),
            "html" => Ok(Self::Status {
                status: 200,
                headers: vec![("content-type".to_owned(), "text/html".to_owned())],
                body: "<html><title>Not a model</title></html>".to_owned(),
            }),
            "long-line" => {
                let line = Bytes::from(format!("data: {}\n\n", "x".repeat(LONG_LINE)));
                Ok(Self::Raw { pieces: vec![line], pause: Duration::ZERO })
            }
            "split-utf8" => {
                let body = [said("ä😀字"), STOP.to_owned(), DONE.to_owned()].concat().into_bytes();
                let pieces = body.chunks(1).map(Bytes::copy_from_slice).collect();
                Ok(Self::Raw { pieces, pause: Duration::ZERO })
            }
            "flapping" => Ok(Self::Flapping),
            "stall-headers" => Ok(Self::StallHeaders),
            "stall" => count.map(Self::Stall),
            "stall-pinging" => count.map(Self::StallPinging),
            "cut" => count.map(Self::Cut),
            "end" => count.map(Self::End),
            "no-done" => Ok(Self::NoDone),
            "no-finish" => Ok(Self::NoFinish),
            "garbage" => count.map(Self::Garbage),
            "json" => Ok(Self::Json),
            _ => Err(UnknownFault),
        }
    }
}

/// `CODE`, or `CODE:RETRY_AFTER` in seconds.
fn status(text: &str) -> Result<Fault, UnknownFault> {
    let (code, wait) = match text.split_once(':') {
        Some((code, wait)) => (code, Some(wait)),
        None => (text, None),
    };
    let status = code.parse().ok().filter(|status| (400..600).contains(status)).ok_or(UnknownFault)?;
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    if let Some(wait) = wait {
        wait.parse::<u32>().map_err(|_| UnknownFault)?;
        headers.push(("retry-after".to_owned(), wait.to_owned()));
    }
    let body = r#"{"error":{"message":"injected by the mock","type":"mock","code":null}}"#.to_owned();
    Ok(Fault::Status { status, headers, body })
}

/// So many pieces of text, then an error, all of it with a good status.
fn error_event(count: usize) -> Fault {
    let error = r#"data: {"error":{"message":"injected by the mock","code":500}}"#;
    let pieces = (0..count.min(MAX_PIECES)).map(|_| said("word ")).chain([format!("{error}\n\n"), DONE.to_owned()]);
    Fault::Raw { pieces: pieces.map(Bytes::from).collect(), pause: Duration::ZERO }
}

fn said(text: &str) -> String {
    format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_have_names() {
        assert_eq!("stall".parse(), Ok(Fault::Stall(5)));
        assert_eq!("cut:0".parse(), Ok(Fault::Cut(0)));
        assert!(matches!("status:429".parse(), Ok(Fault::Status { status: 429, .. })));
        assert_eq!("flapping".parse(), Ok(Fault::Flapping));
        let resting: Fault = "status:429:7".parse().expect("a fault");
        assert!(matches!(&resting, Fault::Status { headers, .. } if headers[1].1 == "7"), "{resting:?}");
        for unknown in ["", "status", "status:429:x", "status:99", "stall:x", "nothing"] {
            assert_eq!(unknown.parse::<Fault>(), Err(UnknownFault), "{unknown}");
        }
    }
}
