//! One answer of the mock: its tokens at their rate, and the fault among them.

use std::{future::pending, io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::Stream;
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use serde_json::{Map, Value, json};
use tokio::time::{Interval, interval, sleep};

use super::{
    calls::{self, Written},
    fault::{Fault, Quirk},
    options::Options,
    plan::Round,
    request::CompletionRequest,
    script::{Encoded, Script, completion, usage_event},
    stamp::{Stamper, wall_clock_us},
    stats::Open,
};

/// How often a stalled stream sends a comment.
const PING: Duration = Duration::from_millis(20);
const DONE: Bytes = Bytes::from_static(b"data: [DONE]\n\n");

/// What goes back.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// What is to be said.
pub(super) enum Said {
    /// The script, as much of it as is wanted.
    Script,
    /// A text, calls, or both.
    Round { text: Script, calls: Value, finish: &'static str },
}

impl Said {
    /// The round of this number, and its events.
    pub(super) fn round(round: Round, number: usize, quirk: Option<Quirk>, model: &str) -> (Self, Arc<Encoded>) {
        let text = Script::new(&round.text);
        let Written { deltas, message, finish } = calls::write(round.calls, number, quirk);
        let encoded = text.encode_with(model, &deltas, finish);
        (Self::Round { text, calls: message, finish }, Arc::new(encoded))
    }
}

/// What is to be said, and how.
pub(super) struct Answer {
    pub(super) fault: Fault,
    options: Arc<Options>,
    said: Said,
    encoded: Arc<Encoded>,
    model: String,
    include_usage: bool,
    first_token: Duration,
    prompt_tokens: usize,
    /// Tokens of this answer, and whether the request's own limit made them fewer.
    tokens: usize,
    is_cut: bool,
}

impl Answer {
    pub(super) fn new(
        options: &Arc<Options>,
        asked: &CompletionRequest,
        (said, encoded): (Said, Arc<Encoded>),
        prompt_tokens: usize,
        fault: Fault,
    ) -> Self {
        let wanted = match &said {
            Said::Script if options.script.is_empty() => 0,
            Said::Script => options.tokens.unwrap_or(options.script.len()),
            Said::Round { .. } => encoded.tokens.len(),
        };
        let tokens = wanted.min(asked.max_completion_tokens.or(asked.max_tokens).unwrap_or(usize::MAX));
        let slow = if let Fault::Slow(pause) = fault { pause } else { Duration::ZERO };
        Self {
            fault,
            first_token: options.first_token + slow,
            options: Arc::clone(options),
            said,
            encoded,
            model: asked.model.clone(),
            include_usage: asked.stream_options.as_ref().is_some_and(|options| options.include_usage),
            prompt_tokens,
            tokens,
            is_cut: tokens < wanted,
        }
    }

    pub(super) fn whole(&self) -> Bytes {
        let (text, calls, finish) = match &self.said {
            Said::Script => (self.options.script.text(self.tokens), None, "stop"),
            Said::Round { text, calls, finish } => (text.text(self.tokens.min(text.len())), calls.as_object(), *finish),
        };
        let content = Some(text).filter(|text| !text.is_empty() || calls.is_none_or(Map::is_empty));
        let mut message = json!({ "role": "assistant", "content": content });
        // What is cut has lost its calls.
        for (name, call) in calls.filter(|_| !self.is_cut).into_iter().flatten() {
            message[name] = call.clone();
        }
        let finish = if self.is_cut { "length" } else { finish };
        completion(&self.model, &message, finish, self.prompt_tokens, self.tokens)
    }

    pub(super) fn stream(self, open: Open) -> Body {
        StreamBody::new(self.events(open)).boxed_unsync()
    }

    fn events(self, open: Open) -> impl Stream<Item = io::Result<Frame<Bytes>>> + Send {
        async_stream::stream! {
            // Moves it in whole; only its fields would be copied otherwise.
            let mut open = open;
            let mut pace = pace(self.options.rate);
            let mut allowed = self.options.allowed.clone();
            let is_script = matches!(self.said, Said::Script);
            let mut stamper = if self.options.stamped && is_script { Stamper::new(&self.encoded.stamp) } else { None };
            yield frame(self.encoded.role.clone());
            if !self.first_token.is_zero() {
                sleep(self.first_token).await;
                pace.iter_mut().for_each(Interval::reset_immediately);
            }
            for (at, token) in self.encoded.tokens.iter().cycle().take(self.tokens).enumerate() {
                if self.stops_at(at) {
                    break;
                }
                if let Some(allowed) = &mut allowed {
                    let _nobody_holds_it_any_more = allowed.wait_for(|allowed| *allowed > at).await;
                }
                if let Some(pace) = &mut pace {
                    pace.tick().await;
                }
                yield frame(match &mut stamper {
                    Some(stamper) => stamper.event(wall_clock_us()),
                    None => token.clone(),
                });
                open.tokens += 1;
            }
            match self.fault {
                Fault::Stall(_) => pending().await,
                Fault::StallPinging(_) => loop {
                    sleep(PING).await;
                    yield frame(Bytes::from_static(b": still here\n\n"));
                },
                Fault::Cut(_) => {
                    // What was said before is flushed while this waits for its next turn.
                    tokio::task::yield_now().await;
                    open.finished = true;
                    yield Err(io::Error::other("cut on demand"));
                }
                Fault::End(_) => {}
                _ => for event in self.ending() {
                    yield frame(event);
                },
            }
            open.finished = true;
        }
    }

    fn stops_at(&self, token: usize) -> bool {
        match self.fault {
            Fault::Stall(at) | Fault::StallPinging(at) | Fault::Cut(at) | Fault::End(at) => token == at,
            _ => false,
        }
    }

    fn ending(&self) -> Vec<Bytes> {
        let mut events = Vec::new();
        if self.fault != Fault::NoFinish {
            events.push(if self.is_cut { self.encoded.length.clone() } else { self.encoded.stop.clone() });
        }
        if self.include_usage {
            events.push(usage_event(&self.model, self.prompt_tokens, self.tokens));
        }
        if self.fault != Fault::NoDone {
            events.push(DONE);
        }
        events
    }
}

/// A body of these pieces, each written on its own.
pub(super) fn raw(pieces: Vec<Bytes>, pause: Duration, open: Open) -> Body {
    let events = async_stream::stream! {
        let mut open = open;
        for piece in pieces {
            yield frame(piece);
            // Even no pause lets the connection write this piece before the next one comes.
            tokio::task::yield_now().await;
            if !pause.is_zero() {
                sleep(pause).await;
            }
        }
        open.finished = true;
    };
    StreamBody::new(events).boxed_unsync()
}

/// The beat of a stream. A stream that was held up catches up, so that the rate is kept on average.
fn pace(rate: f64) -> Option<Interval> {
    (rate > 0.0).then(|| interval(Duration::from_secs_f64(1.0 / rate.max(0.001))))
}

#[expect(clippy::unnecessary_wraps, reason = "the body's items are results")]
fn frame(bytes: Bytes) -> io::Result<Frame<Bytes>> {
    Ok(Frame::data(bytes))
}
