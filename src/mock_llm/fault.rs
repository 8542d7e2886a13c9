//! What can go wrong at an upstream, to be had on demand.

use std::{str::FromStr, time::Duration};

use bytes::Bytes;

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
    "faults: refuse, status:CODE, stall-headers, stall:N, stall-pinging:N, cut:N, end:N, no-done, no-finish, \
     garbage:N, json (N: tokens, 5 when not given)"
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
            "status" => {
                let status = number.and_then(|number| number.parse().ok()).filter(|status| (400..600).contains(status));
                let status = status.ok_or(UnknownFault)?;
                let body = r#"{"error":{"message":"injected by the mock","type":"mock","code":null}}"#.to_owned();
                let content_type = ("content-type".to_owned(), "application/json".to_owned());
                Ok(Self::Status { status, headers: vec![content_type], body })
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_have_names() {
        assert_eq!("stall".parse(), Ok(Fault::Stall(5)));
        assert_eq!("cut:0".parse(), Ok(Fault::Cut(0)));
        assert!(matches!("status:429".parse(), Ok(Fault::Status { status: 429, .. })));
        for unknown in ["", "status", "status:99", "stall:x", "nothing"] {
            assert_eq!(unknown.parse::<Fault>(), Err(UnknownFault), "{unknown}");
        }
    }
}
