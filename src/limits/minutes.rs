//! Budgets of a minute that all gateways have together, in their Redis.
//!
//! A run reserves its prompt and what its answer may come to, or what is left of that, when it begins, in the minute of the
//! server's clock; at its end it gives back what it has not used, a second late at most. So what many gateways have let
//! begin together never comes to more than the budget. What a gateway that is killed had reserved, is lost until the minute is over.

use std::{
    mem,
    sync::{Arc, LazyLock},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use moka::sync::Cache;
use parking_lot::Mutex;
use redis::Script;
use tokio::time::Instant;

use super::{
    OverLimit,
    account::{Account, Limited, SOON},
    shared,
};
use crate::{
    chat::Timestamp,
    ephemeral::{Away, PATIENTLY, Redis, script},
    store::SessionStore,
    telemetry::metrics::LIMITS_ALONE,
};

/// The most accounts that are known to have nothing left; of others it is asked once more.
const MAX_EMPTY: u64 = 50_000;
/// Reservations that are settled at once.
const AT_ONCE: usize = 64;

/// ARGV: the budget, the prompt, the most of the answer. What is granted of both, what was left, and the minute.
const RESERVE: &str = "
    local minute = math.floor(redis.call('TIME')[1] / 60)
    local kept = redis.call('HMGET', KEYS[1], 'minute', 'spent')
    local spent = tonumber(kept[1] or -1) == minute and tonumber(kept[2]) or 0
    local left, prompt = tonumber(ARGV[1]) - spent, tonumber(ARGV[2])
    if left <= prompt then return {0, math.max(left, 0), minute} end
    local granted = math.min(prompt + tonumber(ARGV[3]), left)
    redis.call('HSET', KEYS[1], 'minute', minute, 'spent', string.format('%.0f', spent + granted))
    redis.call('PEXPIRE', KEYS[1], 120000)
    return {granted, left, minute}";
/// ARGV: the minute, how much more it was, or less.
const SETTLE: &str = "
    if tonumber(redis.call('HGET', KEYS[1], 'minute') or -1) ~= tonumber(ARGV[1]) then return 0 end
    local spent = tonumber(redis.call('HGET', KEYS[1], 'spent') or 0) + tonumber(ARGV[2])
    redis.call('HSET', KEYS[1], 'spent', string.format('%.0f', math.max(spent, 0)))
    return 1";

static RESERVING: LazyLock<Script> = LazyLock::new(|| script(RESERVE));
static SETTLING: LazyLock<Script> = LazyLock::new(|| script(SETTLE));

type Key = Arc<str>;

/// The budgets.
#[derive(Debug)]
pub(super) struct Minutes {
    redis: Arc<Redis>,
    store: Arc<dyn SessionStore>,
    /// Runs that are over and not settled yet; those of a second.
    ended: Mutex<Vec<Part>>,
    /// Accounts that have nothing left, and until when nobody asks.
    empty: Cache<Key, Instant>,
}

/// What a run has reserved. Settled when dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    minutes: Arc<Minutes>,
    parts: Vec<Part>,
    /// What it has used.
    pub(super) spent: u64,
    /// Whether it is less than the run might use.
    is_short: bool,
}

/// What it has reserved of one account.
#[derive(Debug)]
struct Part {
    key: Key,
    minute: u64,
    tokens: i64,
}

impl Minutes {
    pub(super) fn over(redis: Arc<Redis>, store: Arc<dyn SessionStore>) -> Arc<Self> {
        Arc::new(Self { redis, store, ended: Mutex::default(), empty: Cache::new(MAX_EMPTY) })
    }

    /// How many gateways there are.
    pub(super) fn gateways(&self) -> usize {
        self.store.lease().nodes
    }

    /// Reserves `prompt` and as much of `most` as is left in all of `limited`; and how much of `most` that is. `None` while
    /// nobody knows what is left.
    ///
    /// # Errors
    /// [`OverLimit::BudgetExhausted`].
    pub(super) async fn reserve(
        self: &Arc<Self>,
        limited: &[Limited],
        prompt: u64,
        most: u64,
    ) -> Result<Option<(Reservation, u64)>, OverLimit> {
        let mut reservation = Reservation { minutes: self.clone(), parts: Vec::new(), spent: 0, is_short: false };
        let mut granted = most;
        for Limited { name, allowance } in limited.iter().filter(|limited| limited.allowance.per_min > 0) {
            let key = key(name);
            self.refuse_empty(&key)?;
            let mut reserving = RESERVING.key(&*key);
            reserving.arg(allowance.per_min).arg(prompt).arg(granted);
            let (tokens, left, minute): (u64, u64, u64) = match self.redis.run(&reserving, PATIENTLY).await {
                Ok(answer) => answer,
                Err(Away) => {
                    metrics::counter!(LIMITS_ALONE, "scope" => "tokens").increment(1);
                    return Ok(None);
                }
            };
            if tokens == 0 {
                let retry_in = soon();
                if left == 0 {
                    self.empty.insert(key, Instant::now() + retry_in);
                }
                return Err(OverLimit::BudgetExhausted { retry_in });
            }
            granted = tokens.saturating_sub(prompt);
            reservation.parts.push(Part { key, minute, tokens: i64::try_from(tokens).unwrap_or(i64::MAX) });
        }
        reservation.is_short = granted < most;
        Ok(Some((reservation, granted)))
    }

    /// Whether it is known that there is nothing left in one of `limited`.
    ///
    /// # Errors
    /// [`OverLimit::BudgetExhausted`].
    pub(super) fn check(&self, limited: &[Limited]) -> Result<(), OverLimit> {
        let mut minutes = limited.iter().filter(|limited| limited.allowance.per_min > 0);
        minutes.try_for_each(|limited| self.refuse_empty(&key(&limited.name)))
    }

    fn refuse_empty(&self, key: &Key) -> Result<(), OverLimit> {
        let until = self.empty.get(key).and_then(|until| until.checked_duration_since(Instant::now()));
        until.filter(|_| self.redis.is_up()).map_or(Ok(()), |retry_in| Err(OverLimit::BudgetExhausted { retry_in }))
    }

    /// Gives back what runs that are over have not used. What cannot be given back now is lost until the minute is over.
    pub(super) async fn settle(&self) {
        let ended = mem::take(&mut *self.ended.lock());
        let settled = stream::iter(ended).for_each_concurrent(AT_ONCE, |Part { key, minute, tokens }| async move {
            let mut settling = SETTLING.key(&*key);
            let _left_until_the_minute_ends = self.redis.run::<i64>(settling.arg(minute).arg(tokens), PATIENTLY).await;
            self.empty.invalidate(&key);
        });
        settled.await;
    }
}

impl Reservation {
    /// Whether so many tokens are more than there were.
    pub(super) fn is_used_up(&self, tokens: u64) -> bool {
        let tokens = i64::try_from(tokens).unwrap_or(i64::MAX);
        self.is_short && self.parts.iter().any(|part| tokens >= part.tokens)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let spent = i64::try_from(self.spent).unwrap_or(i64::MAX);
        let parts = self.parts.drain(..).map(|part| Part { tokens: spent.saturating_sub(part.tokens), ..part });
        self.minutes.ended.lock().extend(parts.filter(|part| part.tokens != 0));
    }
}

/// When there may be more: others may give something back, and at the latest when the minute is over.
pub(super) fn soon() -> Duration {
    Account::until_next_minute(Timestamp::now()).min(SOON)
}

fn key(account: &Arc<str>) -> Key {
    format!("rivulet:tokens:{}", shared::name(account)).into()
}
