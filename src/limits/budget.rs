//! Budgets of tokens: per minute and per day, of every user and of every tenant, checked before a run and while it
//! writes.
//!
//! A run holds back what its answer may come to, so that runs side by side cannot all spend the same tokens, and charges
//! what it estimates as it goes. At its end it gives back the rest, and the provider's count takes the place of the
//! estimate. What is not corrected, because the run was stopped, stays charged as estimated. The day's spending is kept
//! in the store, at most [`KEEP_EVERY`] late. With a Redis, the minute is one of all gateways; while it is away, each has
//! its share.

use std::{collections::HashMap, mem, sync::Arc, time::Duration};

use parking_lot::{Mutex, RwLock};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::{
    OverLimit, Spender,
    account::{Account, Allowance, Limited},
    minutes::Minutes,
};
use crate::{
    chat::Timestamp,
    config::LimitsConfig,
    ephemeral::Redis,
    store::{SessionStore, SpendingStore, Spent, StoreError},
};

/// How late the store may know of what was spent: so much a crash forgives.
pub const KEEP_EVERY: Duration = Duration::from_secs(1);
/// The most accounts of a day. Who would be one more is refused until the next.
const MAX_ACCOUNTS: usize = 1_000_000;

/// The budgets of everybody. By default nothing is limited.
#[derive(Debug, Default)]
pub struct Budgets {
    allowances: RwLock<Allowances>,
    accounts: Mutex<Accounts>,
    pub(super) minutes: Option<Arc<Minutes>>,
}

/// What may be spent.
#[derive(Debug, Clone, Copy, Default)]
struct Allowances {
    user: Allowance,
    tenant: Allowance,
}

/// The accounts of a day.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    of: HashMap<Arc<str>, Kept>,
    /// Those of which the store does not know all yet.
    dirty: Vec<Arc<str>>,
    /// Counted from 1970.
    pub(super) day: u64,
}

#[derive(Debug, Default)]
struct Kept {
    account: Account,
    /// What the store knows of the day.
    noted: i64,
    /// Whether it is in the list of those of which it does not know all.
    is_dirty: bool,
}

impl Allowances {
    const fn new(config: &LimitsConfig) -> Self {
        Self {
            user: Allowance { per_min: config.tokens_per_min, per_day: config.tokens_per_day },
            tenant: Allowance { per_min: config.tenant_tokens_per_min, per_day: config.tenant_tokens_per_day },
        }
    }

    const fn are_unlimited(&self) -> bool {
        self.user.is_unlimited() && self.tenant.is_unlimited()
    }
}

impl Budgets {
    /// Budgets of which nothing is spent.
    #[must_use]
    pub fn new(config: &LimitsConfig) -> Self {
        Self { allowances: RwLock::new(Allowances::new(config)), accounts: Mutex::default(), minutes: None }
    }

    /// The same, where a minute's tokens are those of all gateways that have this `redis`; while it is away, shared among
    /// those that have this `store`.
    #[must_use]
    pub fn together(self, redis: Arc<Redis>, store: Arc<dyn SessionStore>) -> Self {
        Self { minutes: Some(Minutes::over(redis, store)), ..self }
    }

    /// From now on as `config` says. What was spent before, while nothing was limited, the store does not know.
    ///
    /// # Errors
    /// When the store cannot be read; then everything stays as it was.
    pub async fn change(&self, config: &LimitsConfig, store: &dyn SpendingStore) -> Result<(), StoreError> {
        let (now, before) = (Allowances::new(config), *self.allowances.read());
        if before.are_unlimited() && !now.are_unlimited() {
            self.read(store).await?;
        }
        *self.allowances.write() = now;
        Ok(())
    }

    /// Takes over what the store knows of today.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn load(&self, store: &dyn SpendingStore) -> Result<(), StoreError> {
        if self.allowances.read().are_unlimited() { Ok(()) } else { self.read(store).await }
    }

    async fn read(&self, store: &dyn SpendingStore) -> Result<(), StoreError> {
        let day = Account::day_of(Timestamp::now());
        let spent = store.spent(day, MAX_ACCOUNTS).await?;
        let mut accounts = self.accounts.lock();
        let _yesterday = accounts.turn_to(day);
        for Spent { account, tokens } in spent {
            // What is known here is never older than the store, and runs hold something of it.
            let spent = u64::try_from(tokens).unwrap_or(0);
            let stored = || Kept { account: Account::of_day(day, spent), noted: tokens, is_dirty: false };
            accounts.of.entry(account.into()).or_insert_with(stored);
        }
        Ok(())
    }

    /// Tells the store what is spent, until `stop`, and once more then, and hears what was spent elsewhere. What may have
    /// been stored although the store said that it was not counts twice: nobody spends more than they may by that.
    pub async fn keep(self: Arc<Self>, store: Arc<dyn SpendingStore>, stop: CancellationToken) {
        let mut ending = false;
        while !ending {
            ending = stop.run_until_cancelled(sleep(KEEP_EVERY)).await.is_none();
            if let Some(minutes) = &self.minutes {
                minutes.settle().await;
            }
            let (now, dirty) = self.take_dirty();
            if dirty.is_empty() {
                continue;
            }
            match store.spend(Account::day_of(now), dirty.clone()).await {
                Ok(all) => self.with(|accounts, now| accounts.take_over(all, now)),
                Err(error) => {
                    error!(%error, "what was spent could not be stored, and will be again");
                    self.with(|accounts, _| accounts.take_back(dirty));
                }
            }
        }
    }

    /// Whether a run may begin, now or when those before it are over: what is only held back may be free by then.
    ///
    /// # Errors
    /// [`OverLimit::BudgetExhausted`].
    pub fn check(&self, spender: &Spender) -> Result<(), OverLimit> {
        let limited = self.accounts_of(spender);
        if limited.is_empty() {
            return Ok(());
        }
        self.minutes.as_ref().map_or(Ok(()), |minutes| minutes.check(&limited))?;
        self.with(|accounts, now| accounts.fit(&limited, now, 0, Account::unspent))
    }

    pub(super) fn accounts_of(&self, spender: &Spender) -> Vec<Limited> {
        let Allowances { user, tenant } = *self.allowances.read();
        let of_tenant = if tenant.is_unlimited() { None } else { spender.tenant_account() };
        let tenant = of_tenant.map(|name| Limited { name, allowance: tenant });
        let user = (!user.is_unlimited()).then(|| Limited { name: spender.user_account(), allowance: user });
        user.into_iter().chain(tenant).collect()
    }

    /// Does something with the accounts of today. Yesterday's are let go outside of the lock, for they may be many.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Accounts, Timestamp) -> T) -> T {
        let mut accounts = self.accounts.lock();
        let now = Timestamp::now(); // Under the lock: of two runs at midnight the later one has the later time.
        let yesterday = accounts.turn_to(Account::day_of(now));
        let done = work(&mut accounts, now);
        drop(accounts);
        drop(yesterday);
        done
    }

    fn take_dirty(&self) -> (Timestamp, Vec<Spent>) {
        self.with(|accounts, now| {
            let names = mem::take(&mut accounts.dirty);
            let spent = names.into_iter().filter_map(|name| {
                let kept = accounts.of.get_mut(&name)?;
                kept.is_dirty = false;
                let all = i64::try_from(kept.account.spent_on(now)).unwrap_or(i64::MAX);
                let more = all - std::mem::replace(&mut kept.noted, all);
                Some(Spent { account: name.to_string(), tokens: more })
            });
            (now, spent.collect())
        })
    }
}

/// The account of this name, unless it would be one too many.
fn entry<'a>(of: &'a mut HashMap<Arc<str>, Kept>, name: &Arc<str>) -> Option<&'a mut Kept> {
    if of.len() >= MAX_ACCOUNTS && !of.contains_key(name) {
        return None;
    }
    Some(of.entry(name.clone()).or_default())
}

impl Kept {
    /// `dirty` is the list of those of which the store does not know all.
    fn mark_dirty(&mut self, name: &Arc<str>, dirty: &mut Vec<Arc<str>>) {
        if !mem::replace(&mut self.is_dirty, true) {
            dirty.push(name.clone());
        }
    }
}

impl Accounts {
    /// Yesterday's accounts are of no use today.
    fn turn_to(&mut self, day: u64) -> Option<HashMap<Arc<str>, Kept>> {
        // Not back by one day: that is a clock that was set right.
        let is_another = day > self.day || day + 1 < self.day;
        is_another.then(|| {
            self.day = day;
            self.dirty.clear();
            mem::take(&mut self.of)
        })
    }

    /// What the store knows of accounts: more than they have told it where others have.
    fn take_over(&mut self, all: Vec<Spent>, now: Timestamp) {
        for Spent { account, tokens } in all {
            if let Some(kept) = self.of.get_mut(account.as_str()) {
                kept.account.charge_elsewhere(tokens - kept.noted, now);
                kept.noted = tokens;
            }
        }
    }

    /// The store does not know these.
    fn take_back(&mut self, dirty: Vec<Spent>) {
        for Spent { account, tokens } in dirty {
            let name: Arc<str> = account.into();
            if let Some(kept) = self.of.get_mut(&name) {
                kept.noted -= tokens;
                kept.mark_dirty(&name, &mut self.dirty);
            }
        }
    }

    /// Whether all of `limited` have room for more than `tokens`, or when they may have.
    pub(super) fn fit(
        &mut self,
        limited: &[Limited],
        now: Timestamp,
        tokens: u64,
        room: impl Fn(&Account, Allowance, Timestamp) -> u64,
    ) -> Result<(), OverLimit> {
        let waits = limited.iter().filter_map(|Limited { name, allowance }| match entry(&mut self.of, name) {
            None => Some(Account::until_tomorrow(now)),
            Some(Kept { account, .. }) if room(account, *allowance, now) > tokens => None,
            Some(Kept { account, .. }) => Some(account.more_in(tokens, *allowance, now)),
        });
        waits.max().map_or(Ok(()), |retry_in| Err(OverLimit::BudgetExhausted { retry_in }))
    }

    /// What is left in all of `limited`.
    pub(super) fn left(&self, limited: &[Limited], now: Timestamp) -> u64 {
        let left = |Limited { name, allowance }: &Limited| Some(self.of.get(name)?.account.left(*allowance, now));
        limited.iter().filter_map(left).min().unwrap_or(u64::MAX)
    }

    /// Charges all of `limited`, as [`Account::charge`] does.
    pub(super) fn charge(&mut self, limited: &[Limited], tokens: i64, since: Timestamp, now: Timestamp) {
        for Limited { name, .. } in limited {
            let Some(kept) = entry(&mut self.of, name) else { continue };
            kept.account.charge(tokens, since, now);
            kept.mark_dirty(name, &mut self.dirty);
        }
    }

    /// Holds back `tokens` more of all of `limited`.
    pub(super) fn hold(&mut self, limited: &[Limited], tokens: u64) {
        for Limited { name, .. } in limited {
            if let Some(kept) = entry(&mut self.of, name) {
                kept.account.hold(tokens);
            }
        }
    }

    /// Holds back `tokens` less of all of `limited`.
    pub(super) fn release(&mut self, limited: &[Limited], tokens: u64) {
        for Limited { name, .. } in limited {
            if let Some(kept) = self.of.get_mut(name) {
                kept.account.release(tokens);
            }
        }
    }
}

#[cfg(test)]
mod tests;
