//! Budgets of tokens: per minute and per day, of every user and of every tenant, checked before a run and while it
//! writes.
//!
//! A run holds back what its answer may come to, so that runs side by side cannot all spend the same tokens, and charges
//! what it estimates as it goes. At its end it gives back the rest, and the provider's count takes the place of the
//! estimate. What is not corrected, because the run was stopped, stays charged as estimated. The day's spending is kept
//! in the store, at most [`KEEP_EVERY`] late.

use std::{collections::HashMap, mem, sync::Arc, time::Duration};

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
    store::{SessionStore, Spent, StoreError},
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
    /// Those of which the store does not know all yet.
    dirty: Vec<Arc<str>>,
    day: u64,
}

#[derive(Debug, Default)]
struct Kept {
    account: Account,
    /// Whether it is in the list of those.
    is_dirty: bool,
}

/// An account that is limited.
#[derive(Debug)]
struct Limited {
    name: Arc<str>,
    allowance: Allowance,
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
    pub async fn load(&self, store: &dyn SessionStore) -> Result<(), StoreError> {
        if self.is_unlimited() {
            return Ok(());
        }
        let day = Account::day_of(Timestamp::now());
        let spent = store.spent(day, MAX_ACCOUNTS).await?;
        let mut accounts = self.accounts.lock();
        accounts.day = day;
        for Spent { account, tokens } in spent {
            accounts.of.insert(account.into(), Kept { account: Account::of_day(day, tokens), is_dirty: false });
        }
        Ok(())
    }

    /// Tells the store what is spent, until `stop`, and once more then.
    pub async fn keep(self: Arc<Self>, store: Arc<dyn SessionStore>, stop: CancellationToken) {
        if self.is_unlimited() {
            return;
        }
        let mut ending = false;
        while !ending {
            ending = stop.run_until_cancelled(sleep(KEEP_EVERY)).await.is_none();
            let (now, dirty) = self.take_dirty();
            if dirty.is_empty() {
                continue;
            }
            let names: Vec<_> = dirty.iter().map(|spent| spent.account.clone()).collect();
            if let Err(error) = store.spend(Account::day_of(now), dirty).await {
                error!(%error, "what was spent could not be stored, and will be again");
                self.with(|accounts, _| names.iter().for_each(|name| accounts.mark_dirty(name)));
            }
        }
    }

    /// Whether a run may begin, now or when those before it are over: what is only held back may be free by then.
    ///
    /// # Errors
    /// [`Refusal::BudgetExhausted`].
    pub fn check(&self, spender: &Spender) -> Result<(), Refusal> {
        let limited = self.accounts_of(spender);
        if limited.is_empty() {
            return Ok(());
        }
        self.with(|accounts, now| accounts.fit(&limited, now, 0, Account::unspent))
    }

    /// A run begins: its prompt of about `prompt` tokens is charged, and of the `most` that its answer may have so much
    /// is held back as is left.
    ///
    /// # Errors
    /// [`Refusal::BudgetExhausted`] when nothing would be left for an answer; then nothing is charged.
    pub fn open(self: &Arc<Self>, spender: &Spender, prompt: u64, most: u64) -> Result<Spending, Refusal> {
        let accounts = self.accounts_of(spender);
        let mut spending = Spending {
            budgets: self.clone(),
            accounts,
            most,
            since: Timestamp(0),
            day: 0,
            charged: 0,
            held: 0,
            bytes: 0,
        };
        if spending.accounts.is_empty() {
            return Ok(spending);
        }
        self.with(|accounts, now| {
            accounts.fit(&spending.accounts, now, prompt, Account::left)?;
            (spending.since, spending.day) = (now, accounts.day);
            spending.charge(accounts, prompt, now);
            spending.hold(accounts, now);
            Ok(())
        })?;
        Ok(spending)
    }

    const fn is_unlimited(&self) -> bool {
        self.user.is_unlimited() && self.tenant.is_unlimited()
    }

    fn accounts_of(&self, spender: &Spender) -> Vec<Limited> {
        let user = (!self.user.is_unlimited()).then(|| Limited { name: spender.user_account(), allowance: self.user });
        let tenant = spender.tenant_account().filter(|_| !self.tenant.is_unlimited());
        let tenant = tenant.map(|name| Limited { name, allowance: self.tenant });
        user.into_iter().chain(tenant).collect()
    }

    /// Does something with the accounts of today. Yesterday's are let go outside of the lock, for they may be many.
    fn with<T>(&self, work: impl FnOnce(&mut Accounts, Timestamp) -> T) -> T {
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
                Some(Spent { account: name.to_string(), tokens: kept.account.spent_on(now) })
            });
            (now, spent.collect())
        })
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

    fn entry(&mut self, name: &Arc<str>) -> Option<&mut Kept> {
        if self.of.len() >= MAX_ACCOUNTS && !self.of.contains_key(name) {
            return None;
        }
        Some(self.of.entry(name.clone()).or_default())
    }

    fn mark_dirty(&mut self, name: &str) {
        if let Some((name, _)) = self.of.get_key_value(name).filter(|(_, kept)| !kept.is_dirty) {
            self.dirty.push(name.clone());
            self.of.entry(name.clone()).and_modify(|kept| kept.is_dirty = true);
        }
    }

    /// Whether all of `limited` have room for more than `tokens`, or when they may have.
    fn fit(
        &mut self,
        limited: &[Limited],
        now: Timestamp,
        tokens: u64,
        room: impl Fn(&Account, Allowance, Timestamp) -> u64,
    ) -> Result<(), Refusal> {
        let waits = limited.iter().filter_map(|Limited { name, allowance }| match self.entry(name) {
            None => Some(Account::until_tomorrow(now)),
            Some(Kept { account, .. }) if room(account, *allowance, now) > tokens => None,
            Some(Kept { account, .. }) => Some(account.more_in(tokens, *allowance, now)),
        });
        waits.max().map_or(Ok(()), |retry_in| Err(Refusal::BudgetExhausted { retry_in }))
    }

    /// What is left in all of `limited`.
    fn left(&self, limited: &[Limited], now: Timestamp) -> u64 {
        let left = |Limited { name, allowance }: &Limited| Some(self.of.get(name)?.account.left(*allowance, now));
        limited.iter().filter_map(left).min().unwrap_or(u64::MAX)
    }
}

/// What one run spends. When it is dropped, what it still holds back is given back, and what was estimated stays charged.
#[derive(Debug)]
pub struct Spending {
    budgets: Arc<Budgets>,
    /// Those that are limited; none: everything is allowed.
    accounts: Vec<Limited>,
    /// The most that its answer may have, in tokens.
    most: u64,
    since: Timestamp,
    /// What was held back on another day is held no more.
    day: u64,
    charged: u64,
    held: u64,
    /// What was written and is not charged yet.
    bytes: u64,
}

impl Spending {
    /// Charges a piece of what the model writes, reasoning included. It comes out of what is held back, and when that is
    /// used up, of what is left.
    ///
    /// # Errors
    /// [`Refusal::BudgetExhausted`] when nothing is left for more.
    pub fn wrote(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.bytes += bytes as u64;
        let tokens = self.bytes / 4;
        if tokens < CHARGE_EVERY || self.accounts.is_empty() {
            return Ok(());
        }
        self.bytes %= 4;
        let is_held = tokens <= self.held;
        self.budgets.clone().with(|accounts, now| {
            self.release(accounts, tokens);
            self.charge(accounts, tokens, now);
            if is_held { Ok(()) } else { accounts.fit(&self.accounts, now, 0, Account::left) }
        })
    }

    /// Corrects what was charged so far by the provider's count.
    pub fn settle(&mut self, usage: Usage) {
        self.bytes = 0;
        self.correct(u64::from(usage.input) + u64::from(usage.output));
    }

    /// Nobody was asked, or nobody answered: it costs nothing, and nothing is held back.
    pub fn waive(&mut self) {
        self.bytes = 0;
        self.give_back();
        self.correct(0);
    }

    /// After that, somebody is asked all the same: again as much is held back as there may be and is left.
    pub fn resume(&mut self) {
        if !self.accounts.is_empty() {
            self.budgets.clone().with(|accounts, now| self.hold(accounts, now));
        }
    }

    fn correct(&mut self, tokens: u64) {
        if tokens != self.charged && !self.accounts.is_empty() {
            self.budgets.clone().with(|accounts, now| self.charge_until(accounts, tokens, now));
        }
    }

    fn give_back(&mut self) {
        if self.held > 0 {
            self.budgets.clone().with(|accounts, _| self.release(accounts, self.held));
        }
    }

    fn charge(&mut self, accounts: &mut Accounts, tokens: u64, now: Timestamp) {
        self.charge_until(accounts, self.charged + tokens, now);
    }

    /// It has cost so much in all.
    fn charge_until(&mut self, accounts: &mut Accounts, tokens: u64, now: Timestamp) {
        let more = tokens.cast_signed().saturating_sub_unsigned(self.charged);
        for Limited { name, .. } in &self.accounts {
            if let Some(kept) = accounts.entry(name) {
                kept.account.charge(more, self.since, now);
                accounts.mark_dirty(name);
            }
        }
        self.charged = tokens;
    }

    /// Holds back what its answer may have, as far as so much is left.
    fn hold(&mut self, accounts: &mut Accounts, now: Timestamp) {
        let tokens = accounts.left(&self.accounts, now).min(self.most);
        for Limited { name, .. } in &self.accounts {
            if let Some(kept) = accounts.entry(name) {
                kept.account.hold(tokens);
            }
        }
        (self.held, self.day) = (tokens, accounts.day);
    }

    /// Holds back less by `tokens`, or nothing any more.
    fn release(&mut self, accounts: &mut Accounts, tokens: u64) {
        let tokens = tokens.min(self.held);
        self.held -= tokens;
        if self.day != accounts.day {
            return;
        }
        for Limited { name, .. } in &self.accounts {
            if let Some(kept) = accounts.of.get_mut(name) {
                kept.account.release(tokens);
            }
        }
    }
}

impl Drop for Spending {
    fn drop(&mut self) {
        self.give_back();
        self.correct(self.charged + self.bytes / 4);
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

    fn retry_in(refused: Result<impl Sized, Refusal>) -> Duration {
        refused.err().and_then(Refusal::retry_in).expect("refused")
    }

    fn usage(input: u32, output: u32) -> Usage {
        Usage { input, output, estimated: false }
    }

    #[test]
    fn runs_side_by_side_spend_from_one_budget_and_users_do_not() {
        let (budgets, user) = (budgets(day(100)), spender("a/u"));
        let mut one = budgets.open(&user, 50, 30).unwrap();
        let two = budgets.open(&user, 15, 30).unwrap();
        assert_eq!((one.held, two.held), (30, 5), "the second one has what the first one leaves");
        assert!(retry_in(budgets.open(&user, 0, 30)) <= Duration::from_secs(5), "it is only held back");
        assert!(budgets.check(&user).is_ok() && budgets.check(&spender("a/v")).is_ok());
        one.settle(usage(20, 2));
        drop(one);
        assert_eq!(budgets.open(&user, 57, 30).unwrap().held, 1, "22 are spent, and of the other one 15 and 5");
        drop(two);
        let wait = Duration::from_millis(86_400_000 - Timestamp::now().0 % 86_400_000);
        assert!(retry_in(budgets.open(&user, 6, 30)) > wait.saturating_sub(Duration::from_secs(60)), "94 are spent");
        assert_eq!(budgets.open(&user, 5, 30).unwrap().held, 1, "what was refused was not charged");
        assert!(budgets.check(&user).is_ok());
        budgets.open(&user, 0, 30).unwrap().settle(usage(0, 1));
        assert!(budgets.check(&user).is_err());
    }

    #[test]
    fn however_many_write_at_once_they_spend_one_budget() {
        let (budgets, user) = (budgets(day(3000)), spender("a/u"));
        let mut writing: Vec<_> = (0..30).filter_map(|_| budgets.open(&user, 100, 1024).ok()).collect();
        assert_eq!(writing.len(), 3, "100 and 1,024, and the same, and 100 and the rest");
        let mut written = 0;
        while !writing.is_empty() {
            writing.retain_mut(|spending| spending.wrote(40).is_ok());
            written += 10 * writing.len();
        }
        assert!((2652..=2748).contains(&written), "{written}");
        assert!(budgets.check(&user).is_err());
    }

    #[test]
    fn a_run_may_go_on_with_what_nobody_holds() {
        let (budgets, user) = (budgets(day(1000)), spender("a/u"));
        let mut one = budgets.open(&user, 10, 20).unwrap();
        let two = budgets.open(&user, 10, 900).unwrap();
        let mut written = 0;
        while one.wrote(64).is_ok() {
            written += 16;
        }
        assert_eq!(written, 64, "its 20, and the 60 that are left, but not those of the other one");
        assert_eq!(two.held, 900);
    }

    #[test]
    fn a_tenants_budget_is_that_of_its_users_together() {
        let config = LimitsConfig { tenant_tokens_per_min: 100, ..LimitsConfig::default() };
        let budgets = budgets(config);
        drop(budgets.open(&spender("a/u"), 60, 10).unwrap());
        assert!(budgets.open(&spender("a/v"), 60, 10).is_err());
        assert!(budgets.check(&spender("b/u")).is_ok());
        assert!(budgets.open(&Spender::new(None), 1000, 10).is_ok(), "nobody in particular has no tenant");
    }

    #[test]
    fn an_answer_that_cost_nothing_gives_all_back_and_may_cost_something_later() {
        let (budgets, user) = (budgets(day(100)), Spender::new(None));
        let mut spending = budgets.open(&user, 90, 20).unwrap();
        assert_eq!(spending.wrote(40), Ok(()));
        spending.waive();
        let other = budgets.open(&user, 50, 20).unwrap();
        spending.resume();
        assert_eq!((other.held, spending.held), (20, 20));
        spending.wrote(64).unwrap();
        drop(other);
        drop(spending);
        assert_eq!(budgets.open(&user, 33, 20).unwrap().held, 1, "66 are spent");
    }

    #[test]
    fn yesterdays_answers_give_nothing_back_today() {
        let (budgets, user) = (budgets(day(100)), spender("a/u"));
        let mut yesterdays = budgets.open(&user, 10, 50).unwrap();
        yesterdays.day -= 1;
        budgets.accounts.lock().day -= 1;
        let todays = budgets.open(&user, 10, 50).unwrap();
        drop(yesterdays);
        assert_eq!(budgets.open(&user, 10, 50).unwrap().held, 30, "50 are still held back");
        assert_eq!(todays.held, 50);
    }

    #[test]
    fn only_what_has_changed_is_told_and_once() {
        let budgets = budgets(day(100));
        for name in ["a/u", "a/v", "a/u"] {
            drop(budgets.open(&spender(name), 3, 10).unwrap());
        }
        let told = || {
            let mut told: Vec<_> =
                budgets.take_dirty().1.into_iter().map(|spent| (spent.account, spent.tokens)).collect();
            told.sort();
            told
        };
        assert_eq!(told(), [("a/u".to_owned(), 6), ("a/v".to_owned(), 3)]);
        assert_eq!(told(), []);
        drop(budgets.open(&spender("a/v"), 1, 10).unwrap());
        assert_eq!(told(), [("a/v".to_owned(), 4)]);
    }

    #[tokio::test]
    async fn what_was_spent_today_survives() {
        let store: Arc<dyn SessionStore> = Arc::<MemoryStore>::default();
        let before = budgets(day(100));
        let _held = before.open(&spender("a/u"), 90, 9).unwrap();
        drop(before.open(&spender("a/u"), 0, 9).unwrap());
        let stop = CancellationToken::new();
        stop.cancel();
        before.keep(store.clone(), stop).await;
        let after = budgets(day(100));
        after.load(&*store).await.unwrap();
        assert!(after.open(&spender("a/u"), 10, 1).is_err());
        assert!(after.open(&spender("a/u"), 9, 1).is_ok(), "what was only held back is free");
        assert!(after.open(&spender("a/v"), 10, 1).is_ok());
    }
}
