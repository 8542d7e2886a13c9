//! Keeps to a provider's rate limits before it has to say no. Pure but for the lock that the reservations share.
//!
//! Providers tell with every answer how many tokens and requests are left and when the full number is back
//! (`x-ratelimit-*`, as OpenAI and Groq send them). What is left grows steadily until then. Requests whose answer has
//! not begun are not in the newest numbers yet, so they are reserved. A 429 stops everybody until its `Retry-After`.
//! Runs that have to wait stand in line, so that nobody waits longer because of one who came later.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use parking_lot::Mutex;
use reqwest::header::HeaderMap;
use tokio::time::Instant;

/// Longer waits are a provider's mistake, or ours.
const LONGEST: Duration = Duration::from_secs(86_400);

/// What is known of a provider's limits.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    tokens: Option<Bucket>,
    requests: Option<Bucket>,
    rests_until: Option<Instant>,
    /// Asked for, and not in the provider's numbers yet.
    reserved: Need,
    line: VecDeque<(u64, Need)>,
    next_number: u64,
}

/// What a request will use up.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Need {
    tokens: f64,
    requests: f64,
}

impl Need {
    /// One request of so many tokens, prompt and answer: providers count the most that the answer may have.
    pub(super) fn of(tokens: u32) -> Self {
        Self { tokens: f64::from(tokens), requests: 1.0 }
    }

    fn plus(self, other: Self) -> Self {
        Self { tokens: self.tokens + other.tokens, requests: self.requests + other.requests }
    }

    fn minus(self, other: Self) -> Self {
        Self { tokens: (self.tokens - other.tokens).max(0.0), requests: (self.requests - other.requests).max(0.0) }
    }
}

/// A limit as a provider told of it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bucket {
    limit: Option<f64>,
    left: f64,
    told: Instant,
    /// From then on, until all of the limit is back.
    full_in: Duration,
}

impl Bucket {
    fn left(&self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.told);
        if passed >= self.full_in {
            return self.limit.unwrap_or(f64::INFINITY);
        }
        // Without a limit it is not known how fast it grows.
        let Some(limit) = self.limit else { return self.left };
        self.left + (limit - self.left) * (passed.as_secs_f64() / self.full_in.as_secs_f64())
    }

    /// How long until `need` is there beside what is `reserved`. Nobody waits for more than the limit.
    fn wait(&self, need: f64, reserved: f64, now: Instant) -> Duration {
        let missing = need.min(self.limit.unwrap_or(need)) + reserved - self.left(now);
        if missing <= 0.0 {
            return Duration::ZERO;
        }
        let until_full = self.full_in.saturating_sub(now.saturating_duration_since(self.told));
        let Some(limit) = self.limit.filter(|limit| *limit > self.left) else {
            return until_full;
        };
        let rate = (limit - self.left) / self.full_in.as_secs_f64();
        Duration::try_from_secs_f64(missing / rate).unwrap_or(LONGEST).min(LONGEST)
    }
}

/// Whether somebody in line may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PacerTurn {
    /// Now; it is reserved.
    Come,
    /// Not before so long, at this place in line, from 1.
    Wait(Duration, usize),
}

impl Pacer {
    /// Takes over what an answer's head says, a refusal's too.
    pub(super) fn told(&mut self, headers: &HeaderMap, retry_after: Option<Duration>, now: Instant) {
        for (bucket, what) in [(&mut self.tokens, "tokens"), (&mut self.requests, "requests")] {
            let text = |part: &str| headers.get(format!("x-ratelimit-{part}-{what}"))?.to_str().ok();
            let number = |part: &str| text(part)?.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
            // A time of day instead of a duration would be a very long one.
            let full_in = text("reset").and_then(duration).filter(|full_in| *full_in <= LONGEST);
            let (Some(left), Some(full_in)) = (number("remaining"), full_in) else { continue };
            *bucket = Some(Bucket { limit: number("limit"), left, told: now, full_in });
        }
        if let Some(wait) = retry_after {
            self.rests_until = Some(now + wait.min(LONGEST));
        }
    }

    /// How long somebody who came now would have to wait.
    pub(super) fn wait(&self, need: Need, now: Instant) -> Duration {
        self.wait_behind(self.line.len(), need, now)
    }

    /// What is left of tokens and of requests, where the provider tells.
    pub(super) fn left(&self, now: Instant) -> (Option<f64>, Option<f64>) {
        let left = |bucket: Option<Bucket>, reserved: f64| bucket.map(|b| (b.left(now) - reserved).max(0.0));
        (left(self.tokens, self.reserved.tokens), left(self.requests, self.reserved.requests))
    }

    fn wait_behind(&self, ahead: usize, need: Need, now: Instant) -> Duration {
        let before = self.line.iter().take(ahead).fold(self.reserved, |sum, (_, need)| sum.plus(*need));
        let rest = self.rests_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        let tokens = self.tokens.map(|bucket| bucket.wait(need.tokens, before.tokens, now));
        let requests = self.requests.map(|bucket| bucket.wait(need.requests, before.requests, now));
        rest.max(tokens.unwrap_or_default()).max(requests.unwrap_or_default())
    }

    fn join(&mut self, need: Need) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.line.push_back((number, need));
        number
    }

    fn turn(&mut self, number: u64, now: Instant) -> PacerTurn {
        let Some(at) = self.line.iter().position(|(waiting, _)| *waiting == number) else { return PacerTurn::Come };
        let need = self.line[at].1;
        let wait = self.wait_behind(at, need, now);
        if !wait.is_zero() {
            return PacerTurn::Wait(wait, at + 1);
        }
        // Where there is enough for those ahead as well, nobody has to look at the line in its order.
        self.line.remove(at);
        self.reserved = self.reserved.plus(need);
        PacerTurn::Come
    }
}

/// A place in a provider's line, and then what is reserved of its limits, until it has told how much is left.
/// Given back when dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    pacer: Arc<Mutex<Pacer>>,
    need: Need,
    /// None once it is reserved.
    waits_as: Option<u64>,
}

impl Reservation {
    /// Goes to the end of the line.
    pub(super) fn in_line(pacer: &Arc<Mutex<Pacer>>, need: Need) -> Self {
        let number = pacer.lock().join(need);
        Self { pacer: pacer.clone(), need, waits_as: Some(number) }
    }

    /// Whether its turn has come.
    pub(super) fn turn(&mut self, now: Instant) -> PacerTurn {
        let Some(number) = self.waits_as else { return PacerTurn::Come };
        let turn = self.pacer.lock().turn(number, now);
        if turn == PacerTurn::Come {
            self.waits_as = None;
        }
        turn
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut state = self.pacer.lock();
        match self.waits_as {
            Some(number) => state.line.retain(|(waiting, _)| *waiting != number),
            None => state.reserved = state.reserved.minus(self.need),
        }
    }
}

/// `6s`, `1.57s`, `2m59.5s`, `120ms`, `1h0m0s`, or bare seconds.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if let Ok(seconds) = rest.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        sum = sum.checked_add(Duration::try_from_secs_f64(number * unit).ok()?)?;
        rest = &rest[letters..];
    }
    (!text.trim().is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests;
