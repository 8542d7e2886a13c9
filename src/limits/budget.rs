//! Budgets of tokens: per minute and per day, of every user and of every tenant, checked before a run and while it
//! writes.
//!
//! A run charges what it estimates as it goes, so that runs side by side see each other, and corrects that at its end by
//! what the provider counted. What is not corrected, because the run was stopped, stays charged as estimated. The day's
//! spending is kept in the store, at most [`KEEP_EVERY`] late.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::{
    Refusal, Spender,
    account::{Account, Allowance},
};
use crate::{
    chat::{Timestamp, Usage},
    config::LimitsConfig,
    store::{SpendingStore, Spent, StoreError},
};

/// How late the store may know of what was spent: so much a crash forgives.
pub const KEEP_EVERY: Duration = Duration::from_secs(1);
/// The most accounts of a day. Who would be one more is refused until the next.
const MAX_ACCOUNTS: usize = 1_000_000;
/// A run looks at its budget after so many tokens of text.
const CHARGE_EVERY: u64 = 16;

/// The budgets of everybody. By default nothing is limited.
#[derive(Debug, Default)]
pub struct Budgets {
    user: Allowance,
    tenant: Allowance,
    accounts: Mutex<Accounts>,
}

#[derive(Debug, Default)]
struct Accounts {
    of: HashMap<Arc<str>, Kept>,
    day: u64,
}

#[derive(Debug, Default)]
struct Kept {
    account: Account,
    /// The store does not know all of it yet.
    dirty: bool,
}

impl Budgets {
    /// Budgets of which nothing is spent.
    #[must_use]
    pub fn new(config: &LimitsConfig) -> Self {
        Self {
            user: Allowance { per_min: config.tokens_per_min, per_day: config.tokens_per_day },
            tenant: Allowance { per_min: config.tenant_tokens_per_min, per_day: config.tenant_tokens_per_day },
            accounts: Mutex::default(),
        }
    }

    /// Takes over what the store knows of today.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn load(&self, store: &dyn SpendingStore) -> Result<(), StoreError> {
        if self.is_unlimited() {
            return Ok(());
        }
        let day = Account::day_of(Timestamp::now());
        let spent = store.spent(day, MAX_ACCOUNTS).await?;
        let mut accounts = self.accounts.lock();
        accounts.day = day;
        for Spent { account, tokens } in spent {
            accounts.of.insert(account.into(), Kept { account: Account::of_day(day, tokens), dirty: false });
        }
        Ok(())
    }

    /// Tells the store what is spent, until `stop`, and once more then.
    pub async fn keep(self: Arc<Self>, store: Arc<dyn SpendingStore>, stop: CancellationToken) {
        if self.is_unlimited() {
            return;
        }
        let mut ending = false;
        while !ending {
            ending = stop.run_until_cancelled(sleep(KEEP_EVERY)).await.is_none();
            let now = Timestamp::now();
            let dirty = self.take_dirty(now);
            if dirty.is_empty() {
                continue;
            }
            let names: Vec<_> = dirty.iter().map(|spent| spent.account.clone()).collect();
            if let Err(error) = store.spend(Account::day_of(now), dirty).await {
                error!(%error, "what was spent could not be stored, and will be again");
                self.mark_dirty(&names);
            }
        }
    }

    /// Whether a run may begin.
    ///
    /// # Errors
    /// [`Refusal::BudgetExhausted`].
    pub fn check(&self, spender: &Spender) -> Result<(), Refusal> {
        if self.is_unlimited() {
            return Ok(());
        }
        self.charge(spender, 0, Timestamp::now(), false)
    }

    /// A run begins: what it spends is charged from now on.
    #[must_use]
    pub fn open(self: &Arc<Self>, spender: Spender) -> Spending {
        let budgets = (!self.is_unlimited()).then(|| self.clone());
        Spending { budgets, spender, since: Timestamp::now(), charged: 0, pending_bytes: 0 }
    }

    const fn is_unlimited(&self) -> bool {
        self.user.is_unlimited() && self.tenant.is_unlimited()
    }

    /// Charges `tokens`, and tells when nothing is left. What `must_fit` is not charged then.
    fn charge(&self, spender: &Spender, tokens: i64, since: Timestamp, must_fit: bool) -> Result<(), Refusal> {
        let mut accounts = self.accounts.lock();
        let now = Timestamp::now(); // Under the lock: of two runs at midnight the later one has the later time.
        accounts.turn_to(Account::day_of(now));
        let user = (!self.user.is_unlimited()).then(|| (spender.user_account(), self.user));
        let tenant = spender.tenant_account().filter(|_| !self.tenant.is_unlimited()).map(|name| (name, self.tenant));
        let limited: Vec<_> = user.into_iter().chain(tenant).collect();
        let mut refused: Option<Duration> = None;
        for (name, allowance) in &limited {
            match accounts.entry(name) {
                None => refused = refused.max(Some(Account::until_tomorrow(now))),
                Some(kept) if must_fit => {
                    let left = kept.account.left(*allowance, now);
                    if left.tokens <= tokens.unsigned_abs() {
                        refused = refused.max(Some(left.more_in));
                    }
                }
                Some(_) => {}
            }
        }
        if must_fit && let Some(retry_in) = refused {
            return Err(Refusal::BudgetExhausted { retry_in });
        }
        for (name, allowance) in &limited {
            let Some(kept) = accounts.entry(name) else { continue };
            kept.account.charge(tokens, since, now);
            kept.dirty |= tokens != 0;
            let left = kept.account.left(*allowance, now);
            if left.tokens == 0 {
                refused = refused.max(Some(left.more_in));
            }
        }
        refused.map_or(Ok(()), |retry_in| Err(Refusal::BudgetExhausted { retry_in }))
    }

    fn take_dirty(&self, now: Timestamp) -> Vec<Spent> {
        let mut accounts = self.accounts.lock();
        accounts.turn_to(Account::day_of(now));
        let dirty = accounts.of.iter_mut().filter(|(_, kept)| kept.dirty);
        let spent = |(name, kept): (&Arc<str>, &mut Kept)| {
            kept.dirty = false;
            Spent { account: name.to_string(), tokens: kept.account.spent_on(now) }
        };
        dirty.map(spent).collect()
    }

    fn mark_dirty(&self, names: &[String]) {
        let mut accounts = self.accounts.lock();
        for name in names {
            if let Some(kept) = accounts.of.get_mut(name.as_str()) {
                kept.dirty = true;
            }
        }
    }
}

impl Accounts {
    /// Yesterday's accounts are of no use today.
    fn turn_to(&mut self, day: u64) {
        // Not back by one day: that is a clock that was set right.
        if day > self.day || day + 1 < self.day {
            self.day = day;
            self.of.clear();
        }
    }

    fn entry(&mut self, name: &Arc<str>) -> Option<&mut Kept> {
        if self.of.len() >= MAX_ACCOUNTS && !self.of.contains_key(name) {
            return None;
        }
        Some(self.of.entry(name.clone()).or_default())
    }
}

/// What one run spends. When it is dropped before it is settled, what was estimated stays charged.
#[derive(Debug)]
pub struct Spending {
    /// None when nothing is limited.
    budgets: Option<Arc<Budgets>>,
    spender: Spender,
    since: Timestamp,
    charged: i64,
    pending_bytes: u64,
}

impl Spending {
    /// Charges a prompt of about `tokens`.
    ///
    /// # Errors
    /// [`Refusal::BudgetExhausted`] when nothing would be left for an answer; then nothing is charged.
    pub fn prompt(&mut self, tokens: usize) -> Result<(), Refusal> {
        self.charge(i64::try_from(tokens).unwrap_or(i64::MAX), true)
    }

    /// Charges a piece of the answer.
    ///
    /// # Errors
    /// [`Refusal::BudgetExhausted`] when nothing is left for more of it.
    pub fn text(&mut self, text: &str) -> Result<(), Refusal> {
        self.pending_bytes += text.len() as u64;
        let tokens = self.pending_bytes / 4;
        if tokens < CHARGE_EVERY {
            return Ok(());
        }
        self.pending_bytes %= 4;
        self.charge(i64::try_from(tokens).unwrap_or(i64::MAX), false)
    }

    /// Corrects what was charged: it was this, or with `None`, nothing at all.
    pub fn settle(&mut self, usage: Option<Usage>) {
        self.pending_bytes = 0;
        let spent = usage.map_or(0, |usage| i64::from(usage.input) + i64::from(usage.output));
        // Whether it was too much is the next one's business.
        let _what_is_left = self.charge(spent - self.charged, false);
    }

    fn charge(&mut self, tokens: i64, must_fit: bool) -> Result<(), Refusal> {
        let Some(budgets) = &self.budgets else { return Ok(()) };
        let result = budgets.charge(&self.spender, tokens, self.since, must_fit);
        if result.is_ok() || !must_fit {
            self.charged += tokens;
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chat::Owner, store::memory::MemoryStore};

    fn budgets(config: LimitsConfig) -> Arc<Budgets> {
        Arc::new(Budgets::new(&config))
    }

    fn spender(name: &str) -> Spender {
        Spender::new(Some(&Owner::new(name)))
    }

    fn day(tokens: u64) -> LimitsConfig {
        LimitsConfig { tokens_per_day: tokens, ..LimitsConfig::default() }
    }

    #[test]
    fn runs_side_by_side_spend_from_one_budget_and_users_do_not() {
        let budgets = budgets(day(100));
        let (mut one, mut two) = (budgets.open(spender("a/u")), budgets.open(spender("a/u")));
        one.prompt(50).unwrap();
        two.prompt(40).unwrap();
        assert!(one.text(&"x".repeat(64)).is_err(), "16 tokens more are too many");
        assert!(budgets.check(&spender("a/u")).is_err());
        assert!(budgets.check(&spender("a/v")).is_ok());
        one.settle(Some(Usage { input: 20, output: 2, estimated: false }));
        assert!(budgets.check(&spender("a/u")).is_ok(), "62 of 100");
        drop(two);
        assert!(budgets.open(spender("a/u")).prompt(38).is_err(), "what was stopped stays charged");
        assert!(budgets.open(spender("a/u")).prompt(37).is_ok(), "what was refused was not charged");
    }

    #[test]
    fn a_tenants_budget_is_that_of_its_users_together() {
        let config = LimitsConfig { tenant_tokens_per_min: 100, ..LimitsConfig::default() };
        let budgets = budgets(config);
        budgets.open(spender("a/u")).prompt(60).unwrap();
        assert!(budgets.open(spender("a/v")).prompt(60).is_err());
        assert!(budgets.check(&spender("b/u")).is_ok());
        assert!(budgets.check(&Spender::new(None)).is_ok(), "nobody in particular has no tenant");
    }

    #[test]
    fn a_cached_answer_costs_nothing() {
        let budgets = budgets(day(100));
        let mut spending = budgets.open(Spender::new(None));
        spending.prompt(99).unwrap();
        spending.settle(None);
        budgets.open(Spender::new(None)).prompt(99).unwrap();
    }

    #[tokio::test]
    async fn what_was_spent_today_survives() {
        let store: Arc<dyn SpendingStore> = Arc::<MemoryStore>::default();
        let before = budgets(day(100));
        before.open(spender("a/u")).prompt(99).unwrap();
        let stop = CancellationToken::new();
        stop.cancel();
        before.keep(store.clone(), stop).await;
        let after = budgets(day(100));
        after.load(&*store).await.unwrap();
        assert!(after.open(spender("a/u")).prompt(1).is_err());
        assert!(after.open(spender("a/v")).prompt(1).is_ok());
    }
}
