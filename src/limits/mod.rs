//! How much and how often: what a principal may spend on models, how many answers are written at once, and what each visitor
//! may ask for in a while.
//!
//! The logic is pure and is told the time; the registries that are shared, [`Budgets`], [`Line`] and
//! [`Rates`], hold it under short locks. `shared` is what gateways count together, `seats` the answers
//! that they write at once, `minutes` what these spend. Uses `store` to keep what was spent,
//! `ephemeral`, `config`, `telemetry`, `chat`.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{chat::Owner, telemetry::metrics::RATE_LIMITED};

mod account;
pub mod budget;
mod capacity;
pub mod line;
mod minutes;
pub mod quota;
pub mod rates;
mod seats;
mod shared;
mod spending;
mod visitor;

pub use budget::Budgets;
pub use capacity::{Capacity, Seat};
pub use line::{Line, Place};
pub use rates::Rates;
pub use spending::Spending;
pub use visitor::{Action, AddressKey, Standing, Visitor};

/// Who spends, as accounts and the line know them: a user of a tenant. All who need not say who they are, are one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Spender(Option<Owner>);

impl Spender {
    /// A principal, or everybody who need not say who they are.
    #[must_use]
    pub fn new(owner: Option<&Owner>) -> Self {
        Self(owner.cloned())
    }

    /// The name of the user's own account. A tenant's account has the tenant's name, which has no slash.
    fn user_account(&self) -> Arc<str> {
        self.0.as_ref().map_or_else(|| "/".into(), |owner| owner.as_str().into())
    }

    /// The name of the tenant's account, where there is one.
    fn tenant_account(&self) -> Option<Arc<str>> {
        self.0.as_ref().map(|owner| owner.tenant().into())
    }
}

/// Why nothing may begin now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum OverLimit {
    /// The tokens of the minute or of the day are spent.
    #[error("the budget of tokens is spent")]
    BudgetExhausted {
        /// When there are more.
        retry_in: Duration,
    },
    /// It was asked for too often of late.
    #[error("too many {} of late", .0.action.words())]
    TooOften(Standing),
    /// As many answers wait for their turn as may.
    #[error("too many answers are waiting for their turn")]
    LineFull,
}

impl OverLimit {
    /// The code that clients see (docs/protocol.md).
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::BudgetExhausted { .. } => "budget_exhausted",
            Self::TooOften(_) => "rate_limited",
            Self::LineFull => "queue_full",
        }
    }

    /// Counts it in `rate_limited_total`.
    pub fn count(&self) {
        let scope = match self {
            Self::BudgetExhausted { .. } => "tokens",
            Self::TooOften(standing) => standing.action.name(),
            Self::LineFull => "waiting_runs",
        };
        metrics::counter!(RATE_LIMITED, "scope" => scope).increment(1);
    }

    /// When it may be tried again, where that is known.
    #[must_use]
    pub const fn retry_in(self) -> Option<Duration> {
        match self {
            Self::BudgetExhausted { retry_in } => Some(retry_in),
            Self::TooOften(standing) => Some(standing.left.more_in),
            Self::LineFull => None,
        }
    }
}
