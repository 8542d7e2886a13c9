//! How often: what each visitor may ask for in a while.
//!
//! However many visitors there are, the memory is the same, and nobody has to be forgotten to make room for another:
//! buckets lie in two rows of places, and each visitor has a place in both, found by a hash that nobody outside can foresee
//! (a count-min sketch). Who shares one of them with others has what the other says. Who shares both has less than their
//! quota, never more: with ten thousand visitors at their bounds, that are fewer than two in a thousand.
//!
//! With a Redis, requests, messages, new sessions and uploads of each visitor are counted for all gateways together. What
//! is let in is taken from the buckets here as well: when it is away, each gateway gives its share of what there is, less
//! what it has just given.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use tokio::time::Instant;

use super::{
    OverLimit,
    quota::{Micros, Quota},
    shared::{Shared, key},
    visitor::{Action, Standing, Visitor},
};
use crate::{
    chat::SessionId,
    config::RateRules,
    ephemeral::{Away, Redis},
    store::SessionStore,
    telemetry::metrics::LIMITS_ALONE,
};

/// What is for everybody is cheap, and a page has many files: an address with many people behind it has enough of it, and
/// a flood takes half a percent of a core. Where requests are not limited, this is not, either.
const OTHER_REQUESTS: Quota = Quota::new(2000, Duration::from_secs(20));
/// Places in a row; both take 4 MiB.
const PLACES: usize = 1 << 18;
/// Of two who ask for the same at once, one is first; so many pairs need not wait for each other.
const LOCKS: usize = 64;

/// The buckets of everybody. By default nothing is limited.
pub struct Rates {
    rules: RwLock<RateRules>,
    begun: Instant,
    hasher: RandomState,
    rows: [Box<[AtomicU64]>; 2],
    locks: [Mutex<()>; LOCKS],
    together: Option<Together>,
}

/// What gateways count together, and who knows how many they are.
#[derive(Debug)]
struct Together {
    shared: Shared,
    store: Arc<dyn SessionStore>,
}

impl Default for Rates {
    fn default() -> Self {
        Self::new(RateRules::default())
    }
}

impl std::fmt::Debug for Rates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rates").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl Rates {
    /// Buckets that are full.
    #[must_use]
    pub fn new(rules: RateRules) -> Self {
        let row = || std::iter::repeat_with(AtomicU64::default).take(PLACES).collect();
        let locks = [const { Mutex::new(()) }; LOCKS];
        Self {
            rules: RwLock::new(rules),
            begun: Instant::now(),
            hasher: RandomState::new(),
            rows: [row(), row()],
            locks,
            together: None,
        }
    }

    /// The same, counted together with the other gateways that have this `redis`; while it is away, with those that have
    /// this `store`.
    #[must_use]
    pub fn together(self, redis: Arc<Redis>, store: Arc<dyn SessionStore>) -> Self {
        Self { together: Some(Together { shared: Shared::over(redis), store }), ..self }
    }

    /// From now on by these rules. What was taken before counts.
    pub fn change(&self, rules: RateRules) {
        *self.rules.write() = rules;
    }

    /// Takes one; `None` where there is no limit.
    ///
    /// # Errors
    /// [`OverLimit::TooOften`]; then nothing was taken.
    pub async fn take(&self, action: Action, who: &Visitor) -> Result<Option<Standing>, OverLimit> {
        match self.quota(action).filter(|_| *who != Visitor::Unlimited) {
            Some(quota) => self.take_of((action, quota), who).await.map(Some),
            None => Ok(None),
        }
    }

    /// Takes one out of the bucket of whoever that is.
    async fn take_of(
        &self,
        (action, quota): (Action, Quota),
        whose: &(impl Hash + Serialize),
    ) -> Result<Standing, OverLimit> {
        let Some(Together { shared, store }) = self.together.as_ref().filter(|_| action.is_shared()) else {
            return self.take_here((action, quota), whose);
        };
        match shared.take(quota, key(&(action.name(), whose))).await {
            Ok(Ok(left)) => {
                let _it_may_be_more_than_the_share = self.take_here((action, quota.share(store.lease().nodes)), whose);
                Ok(Standing { action, quota, left })
            }
            Ok(Err(left)) => Err(OverLimit::TooOften(Standing { action, quota, left })),
            Err(Away) => {
                metrics::counter!(LIMITS_ALONE, "scope" => action.name()).increment(1);
                self.take_here((action, quota.share(store.lease().nodes)), whose)
            }
        }
    }

    /// Takes a message of `who`, and of its session, which has a bucket of its own: whoever come together in it, it is one.
    /// One gateway at a time writes to a session, and counts its messages. An assistant that has a limit of its own, by its
    /// name, is one more bucket. What is left is that of which there is least.
    ///
    /// # Errors
    /// As [`take`](Self::take); what was taken before of another bucket stays so.
    pub async fn take_message(
        &self,
        who: &Visitor,
        session: Option<&SessionId>,
        assistant: Option<(&str, Quota)>,
    ) -> Result<Option<Standing>, OverLimit> {
        if let (Some(session), Some(quota)) = (session, self.quota(Action::Messages))
            && *who != Visitor::Unlimited
        {
            self.take_here((Action::Messages, quota), session)?;
        }
        let of_all = self.take(Action::Messages, who).await?;
        // The longest window last: what the others refuse must not use it up.
        let own = match assistant.filter(|_| *who != Visitor::Unlimited) {
            Some((name, quota)) => Some(self.take_of((Action::Assistant, quota), &(name, who)).await?),
            None => None,
        };
        Ok(own.into_iter().chain(of_all).min_by_key(|standing| standing.left.remaining))
    }

    fn quota(&self, action: Action) -> Option<Quota> {
        let rules = *self.rules.read();
        let (most, window) = match action {
            Action::Requests => (rules.requests, rules.window),
            Action::OtherRequests => return (rules.requests > 0).then_some(OTHER_REQUESTS),
            Action::Messages => (rules.messages_per_min, Duration::from_secs(60)),
            Action::Sessions => (rules.sessions_per_hour, Duration::from_secs(3600)),
            Action::Assistant => return None, // Each has its own.
            Action::Uploads => (rules.uploads_per_hour, Duration::from_secs(3600)),
        };
        (most > 0).then(|| Quota::new(most, window))
    }

    #[expect(clippy::cast_possible_truncation, reason = "other bits of the hash for each, and half a million years")]
    fn take_here(&self, (action, quota): (Action, Quota), whose: impl Hash) -> Result<Standing, OverLimit> {
        let hash = self.hasher.hash_one((action, whose));
        let [one, other] = &self.rows;
        let (one, other) = (&one[hash as usize % PLACES], &other[(hash >> 32) as usize % PLACES]);
        let _first = self.locks[(hash >> 58) as usize % LOCKS].lock();
        let now = self.begun.elapsed().as_micros() as Micros;
        // Whoever shares a place has only moved it on.
        let mut whole_at = one.load(Relaxed).min(other.load(Relaxed));
        match quota.take(&mut whole_at, now) {
            Ok(left) => {
                one.fetch_max(whole_at, Relaxed);
                other.fetch_max(whole_at, Relaxed);
                Ok(Standing { action, quota, left })
            }
            Err(left) => Err(OverLimit::TooOften(Standing { action, quota, left })),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv6Addr};

    use futures_util::FutureExt;

    use super::*;
    use crate::chat::Owner;

    fn rates(requests: u64) -> Rates {
        Rates::new(RateRules { requests, window: Duration::from_secs(3600), ..RateRules::default() })
    }

    fn principal(name: &str) -> Visitor {
        Visitor::Principal(Owner::new(name))
    }

    /// What nobody else counts is counted at once.
    fn now<T>(counting: impl Future<Output = T>) -> T {
        counting.now_or_never().expect("nothing to wait for")
    }

    fn remaining(rates: &Rates, who: &Visitor) -> Result<u64, OverLimit> {
        now(rates.take(Action::Requests, who)).map(|standing| standing.unwrap().left.remaining)
    }

    #[test]
    fn each_has_a_quota_of_their_own_and_nothing_is_limited_by_default() {
        let rates = rates(3);
        let (ann, ben) = (principal("t/ann"), principal("t/ben"));
        let address = Visitor::at([192, 0, 2, 1].into());
        for who in [&ann, &ben, &address] {
            assert_eq!([0; 3].map(|_| remaining(&rates, who)), [Ok(2), Ok(1), Ok(0)]);
            let refused = remaining(&rates, who).unwrap_err();
            assert_eq!((refused.code(), refused.retry_in()), ("rate_limited", refused.retry_in()));
            assert!(refused.retry_in().unwrap() > Duration::from_secs(1190));
        }
        assert_eq!(now(rates.take(Action::Messages, &ann)), Ok(None));
        assert_eq!(now(rates.take(Action::Requests, &Visitor::Unlimited)), Ok(None));
        assert_eq!(now(Rates::default().take(Action::Requests, &ann)), Ok(None));
    }

    #[test]
    fn a_session_is_one_whoever_come_together_in_it() {
        let rates = Rates::new(RateRules { messages_per_min: 2, ..RateRules::default() });
        let session = SessionId::random();
        assert!(now(rates.take_message(&principal("t/ann"), Some(&session), None)).is_ok());
        assert!(now(rates.take_message(&principal("t/ben"), Some(&session), None)).is_ok());
        assert!(now(rates.take_message(&principal("t/eve"), Some(&session), None)).is_err());
        assert!(now(rates.take_message(&principal("t/eve"), Some(&SessionId::random()), None)).is_ok());
    }

    #[test]
    fn an_assistant_has_a_bucket_of_its_own_for_each() {
        let rates = Rates::new(RateRules { messages_per_min: 4, ..RateRules::default() });
        let quota = Quota::new(2, Duration::from_secs(3600));
        let asked = |who: &str, assistant: Option<(&'static str, Quota)>| {
            let counted = now(rates.take_message(&principal(who), None, assistant));
            counted.map(|standing| standing.map(|one| (one.action, one.left.remaining)))
        };
        let books = Some(("books", quota));
        assert_eq!(asked("t/ann", books), Ok(Some((Action::Assistant, 1))));
        assert_eq!(asked("t/ann", books), Ok(Some((Action::Assistant, 0))));
        let refused = asked("t/ann", books).unwrap_err();
        assert_eq!(
            (refused.code(), refused.to_string()),
            ("rate_limited", "too many questions to this assistant of late".to_owned())
        );
        assert_eq!(asked("t/ann", Some(("boats", quota))), Ok(Some((Action::Messages, 0))), "the gateway's is tighter");
        let tents = Some(("tents", quota));
        assert_eq!(asked("t/ann", tents).unwrap_err().to_string(), "too many messages of late");
        assert_eq!(asked("t/ben", tents), Ok(Some((Action::Assistant, 1))));
        assert_eq!(asked("t/ben", books), Ok(Some((Action::Assistant, 1))));
        assert_eq!(
            now(rates.take_message(&Visitor::Unlimited, None, Some(("books", Quota::new(1, Duration::MAX))))),
            Ok(None)
        );
    }

    #[test]
    fn many_at_once_get_what_one_would() {
        let rates = rates(1000);
        let ann = principal("t/ann");
        let taken = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mine = (0..1000).filter(|_| remaining(&rates, &ann).is_ok()).count();
                    taken.fetch_add(mine as u64, Relaxed);
                });
            }
        });
        assert_eq!(taken.into_inner(), 1000);
    }

    #[test]
    fn a_flood_of_addresses_takes_nothing_from_those_who_are_there() {
        let rates = rates(100);
        for n in 0..100_000_u128 {
            let flood = Visitor::at(IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8 << 96) | (n << 64))));
            assert!(now(rates.take(Action::Requests, &flood)).is_ok());
        }
        let worst = (0..1000).map(|n| remaining(&rates, &principal(&format!("t/{n}"))).unwrap()).min();
        assert!(worst >= Some(90), "{worst:?}: one of a hundred places has a stranger in it, who took one");
    }
}
