//! Who may spend what, and what is given back.

use super::*;
use crate::{
    chat::{Owner, Usage},
    store::volatile::VolatileStore,
};

fn budgets(config: LimitsConfig) -> Arc<Budgets> {
    Arc::new(Budgets::new(&config))
}

fn spender(name: &str) -> Spender {
    Spender::new(Some(&Owner::new(name)))
}

fn day(tokens: u64) -> LimitsConfig {
    LimitsConfig { tokens_per_day: tokens, ..LimitsConfig::default() }
}

fn retry_in(refused: Result<impl Sized, OverLimit>) -> Duration {
    refused.err().and_then(OverLimit::retry_in).expect("refused")
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
        let mut told: Vec<_> = budgets.take_dirty().1.into_iter().map(|spent| (spent.account, spent.tokens)).collect();
        told.sort();
        told
    };
    assert_eq!(told(), [("a/u".to_owned(), 6), ("a/v".to_owned(), 3)]);
    assert_eq!(told(), []);
    drop(budgets.open(&spender("a/v"), 1, 10).unwrap());
    assert_eq!(told(), [("a/v".to_owned(), 1)]);
}

#[tokio::test]
async fn what_was_spent_today_survives() {
    let store: Arc<dyn SpendingStore> = Arc::<VolatileStore>::default();
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

#[tokio::test]
async fn what_is_spent_elsewhere_counts_and_what_the_store_did_not_take_is_told_again() {
    let store: Arc<dyn SpendingStore> = Arc::<VolatileStore>::default();
    let (here, there) = (budgets(day(100)), budgets(day(100)));
    let stopped = || {
        let stop = CancellationToken::new();
        stop.cancel();
        stop
    };
    drop(here.open(&spender("a/u"), 30, 0).unwrap());
    drop(there.open(&spender("a/u"), 30, 0).unwrap());
    for gateway in [&here, &there] {
        gateway.clone().keep(store.clone(), stopped()).await;
    }
    assert!(there.open(&spender("a/u"), 40, 0).is_err(), "60 are spent in all");
    assert!(there.open(&spender("a/u"), 39, 0).is_ok());
    let (_, lost) = there.take_dirty();
    there.with(|accounts, _| accounts.take_back(lost.clone()));
    assert_eq!(there.take_dirty().1, lost);
}

#[tokio::test]
async fn switched_off_and_on_again_a_budget_knows_what_is_spent_and_held() {
    let (store, user) = (VolatileStore::default(), spender("a/u"));
    let budgets = budgets(day(100));
    let running = budgets.open(&user, 10, 60).unwrap();
    for tokens in [0, 100] {
        budgets.change(&day(tokens), &store).await.unwrap();
    }
    assert_eq!(budgets.open(&user, 10, 60).unwrap().held, 20, "10 and 10 are spent, and 60 are held");
    drop(running);
    assert_eq!(budgets.open(&user, 10, 60).unwrap().held, 60);
}
