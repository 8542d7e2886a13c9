//! What one run spends: charged as it goes, out of what it holds back. Knows no time but the accounts' own.

use std::sync::Arc;

use super::{
    OverLimit, Spender,
    account::{Account, Limited},
    budget::{Accounts, Budgets},
    minutes::{Reservation, soon},
};
use crate::chat::{Timestamp, Usage};

/// A run looks at its budget after so many tokens.
const CHARGE_EVERY: u64 = 16;

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
    pub(super) day: u64,
    charged: u64,
    pub(super) held: u64,
    /// What was written and is not charged yet.
    bytes: u64,
    /// What it has of the minute of all gateways, where that is counted.
    reserved: Option<Reservation>,
}

impl Budgets {
    /// As [`open`](Self::open), of what all gateways have together.
    ///
    /// # Errors
    /// [`OverLimit::BudgetExhausted`]; then nothing is charged.
    pub async fn begin(self: &Arc<Self>, spender: &Spender, prompt: u64, most: u64) -> Result<Spending, OverLimit> {
        let mut accounts = self.accounts_of(spender);
        let Some(minutes) = self.minutes.as_ref().filter(|_| !accounts.is_empty()) else {
            return Spending::open(self.clone(), accounts, prompt, most);
        };
        if let Some((reservation, most)) = minutes.reserve(&accounts, prompt, most).await? {
            let mut spending = Spending::open(self.clone(), accounts, prompt, most)?;
            spending.reserved = Some(reservation);
            return Ok(spending);
        }
        for limited in &mut accounts {
            limited.allowance = limited.allowance.share(minutes.gateways());
        }
        Spending::open(self.clone(), accounts, prompt, most)
    }

    /// A run begins: its prompt of about `prompt` tokens is charged, and of the `most` that its answer may have so much
    /// is held back as is left.
    ///
    /// # Errors
    /// [`OverLimit::BudgetExhausted`] when nothing would be left for an answer; then nothing is charged.
    pub fn open(self: &Arc<Self>, spender: &Spender, prompt: u64, most: u64) -> Result<Spending, OverLimit> {
        Spending::open(self.clone(), self.accounts_of(spender), prompt, most)
    }
}

impl Spending {
    fn open(budgets: Arc<Budgets>, accounts: Vec<Limited>, prompt: u64, most: u64) -> Result<Self, OverLimit> {
        let (since, day, charged, held, bytes) = (Timestamp(0), 0, 0, 0, 0);
        let mut spending = Self { budgets, accounts, most, since, day, charged, held, bytes, reserved: None };
        spending.with(Ok(()), |spending, accounts, now| {
            accounts.fit(&spending.accounts, now, prompt, Account::left)?;
            spending.since = now;
            spending.charge_until(accounts, prompt, now);
            spending.hold(accounts, now);
            Ok(())
        })?;
        Ok(spending)
    }

    /// Charges a piece of what the model writes, reasoning included. It comes out of what is held back, and when that is
    /// used up, of what is left.
    ///
    /// # Errors
    /// [`OverLimit::BudgetExhausted`] when nothing is left for more.
    pub fn wrote(&mut self, bytes: usize) -> Result<(), OverLimit> {
        self.bytes += bytes as u64;
        let tokens = self.bytes / 4;
        if tokens < CHARGE_EVERY {
            return Ok(());
        }
        self.bytes %= 4;
        self.with(Ok(()), |spending, accounts, now| {
            let is_held = tokens <= spending.held;
            spending.release(accounts, tokens);
            spending.charge_until(accounts, spending.charged + tokens, now);
            match &spending.reserved {
                _ if is_held => Ok(()),
                Some(reserved) if reserved.is_used_up(spending.charged) => {
                    Err(OverLimit::BudgetExhausted { retry_in: soon() })
                }
                _ => accounts.fit(&spending.accounts, now, 0, Account::left),
            }
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
        self.with((), Self::hold);
    }

    fn correct(&mut self, tokens: u64) {
        if tokens != self.charged {
            self.with((), |spending, accounts, now| spending.charge_until(accounts, tokens, now));
        }
    }

    fn give_back(&mut self) {
        if self.held > 0 {
            self.with((), |spending, accounts, _| spending.release(accounts, spending.held));
        }
    }

    /// Does something with the accounts, unless nothing is limited.
    fn with<T>(&mut self, unlimited: T, work: impl FnOnce(&mut Self, &mut Accounts, Timestamp) -> T) -> T {
        if self.accounts.is_empty() {
            return unlimited;
        }
        self.budgets.clone().with(|accounts, now| work(self, accounts, now))
    }

    /// It has cost so much in all.
    fn charge_until(&mut self, accounts: &mut Accounts, tokens: u64, now: Timestamp) {
        let more = tokens.cast_signed().saturating_sub_unsigned(self.charged);
        accounts.charge(&self.accounts, more, self.since, now);
        self.charged = tokens;
    }

    /// Holds back what its answer may have, as far as so much is left.
    fn hold(&mut self, accounts: &mut Accounts, now: Timestamp) {
        let tokens = accounts.left(&self.accounts, now).min(self.most);
        accounts.hold(&self.accounts, tokens);
        (self.held, self.day) = (tokens, accounts.day);
    }

    /// Holds back less by `tokens`, or nothing any more.
    fn release(&mut self, accounts: &mut Accounts, tokens: u64) {
        let tokens = tokens.min(self.held);
        self.held -= tokens;
        if self.day == accounts.day {
            accounts.release(&self.accounts, tokens);
        }
    }
}

impl Drop for Spending {
    fn drop(&mut self) {
        self.give_back();
        self.correct(self.charged + self.bytes / 4);
        if let Some(reserved) = &mut self.reserved {
            reserved.spent = self.charged;
        }
    }
}
