//! Tickets: what a page puts into a WebSocket's address, where a token must not stand. Good once, for 30 seconds.
//!
//! Held in memory, as hashes. Pure apart from its lock and from the random numbers.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::grant::{Caller, Refused};
use crate::chat::Owner;

/// How long a ticket is good.
pub const TICKET_LIFE: Duration = Duration::from_secs(30);

/// The most tickets made within [`TICKET_LIFE`].
const MAX_TICKETS: usize = 20_000;
/// The most of them for one principal, so that nobody can use up all.
const MAX_OWN: usize = 1_000;
/// The most of them for those who are nobody in particular, all together.
const MAX_ANONYMOUS: usize = MAX_TICKETS / 2;
/// What every ticket begins with, so that people and scanners know it for one.
const PREFIX: &str = "tk_";
/// Random bytes of a ticket.
const BYTES: usize = 32;
/// What is longer is no ticket.
const MAX_BYTES: usize = 128;

/// Why there is no ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// This caller asked for too many of late.
    #[error("too many tickets were asked for: wait until they are over")]
    TooManyOwn,
    /// All callers together asked for too many of late.
    #[error("the gateway has too many open tickets")]
    TooMany,
}

type Hash = [u8; 32];

/// The open tickets.
#[derive(Default)]
pub(super) struct Tickets(Mutex<Open>);

#[derive(Default)]
struct Open {
    callers: HashMap<Hash, Caller>,
    /// All that were made, in the order in which they end; used ones stay in it until then.
    ends: VecDeque<(Instant, Hash, Option<Owner>)>,
    /// How many of these are whose.
    counts: HashMap<Option<Owner>, usize>,
}

impl Tickets {
    /// Makes a ticket for `caller`.
    pub(super) fn issue(&self, caller: &Caller, now: Instant) -> Result<String, TicketError> {
        let ticket = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; BYTES]>()));
        let hash = hash(&ticket);
        let owner = caller.owner().cloned();
        let most = if owner.is_some() { MAX_OWN } else { MAX_ANONYMOUS };
        let mut open = self.0.lock();
        open.forget(now);
        if open.ends.len() >= MAX_TICKETS {
            return Err(TicketError::TooMany);
        }
        let own = open.counts.entry(owner.clone()).or_default();
        if *own >= most {
            return Err(TicketError::TooManyOwn);
        }
        *own += 1;
        open.callers.insert(hash, caller.clone());
        open.ends.push_back((now + TICKET_LIFE, hash, owner));
        Ok(ticket)
    }

    /// Uses a ticket up. Of several who try, one gets it.
    pub(super) fn redeem(&self, ticket: &str, now: Instant) -> Result<Caller, Refused> {
        if ticket.len() > MAX_BYTES {
            return Err(Refused);
        }
        // What is looked up is a hash, so the time it takes tells nothing of the tickets that are open.
        let hash = hash(ticket);
        let mut open = self.0.lock();
        open.forget(now);
        open.callers.remove(&hash).ok_or(Refused)
    }
}

impl Open {
    /// Lets go of what is over.
    fn forget(&mut self, now: Instant) {
        while let Some((_, hash, owner)) = self.ends.pop_front_if(|(end, ..)| *end <= now) {
            self.callers.remove(&hash);
            if let Some(count) = self.counts.get_mut(&owner) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(&owner);
                }
            }
        }
    }
}

fn hash(ticket: &str) -> Hash {
    *blake3::hash(ticket.as_bytes()).as_bytes()
}

impl std::fmt::Debug for Tickets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tickets").field("open", &self.0.lock().callers.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        auth::{Credential, Grant, Principal},
        chat::Timestamp,
    };

    fn caller(user: &str) -> Caller {
        let principal = Arc::new(Principal::new("default", user, Vec::new()).unwrap());
        let credential = Credential::ApiKey("k".to_owned());
        Caller(Some(Grant { principal, expires_at: Timestamp(u64::MAX), credential }))
    }

    #[test]
    fn a_ticket_is_good_once_and_for_its_time() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let ann = caller("ann");
        let ticket = tickets.issue(&ann, now).unwrap();
        assert_eq!(tickets.redeem("tk_x", now), Err(Refused));
        assert_eq!(tickets.redeem(&format!("{ticket}{}", "x".repeat(200)), now), Err(Refused));
        assert_eq!(tickets.redeem(&ticket, now), Ok(ann.clone()));
        assert_eq!(tickets.redeem(&ticket, now), Err(Refused));
        let late = tickets.issue(&ann, now).unwrap();
        assert_eq!(tickets.redeem(&late, now + TICKET_LIFE), Err(Refused));
        tickets.0.lock().forget(now + TICKET_LIFE);
        let open = tickets.0.lock();
        assert!(open.callers.is_empty() && open.counts.is_empty() && open.ends.is_empty(), "nothing is kept");
    }

    #[test]
    fn one_principal_cannot_use_up_all() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        for _ in 0..MAX_OWN {
            let ticket = tickets.issue(&caller("ann"), now).unwrap();
            tickets.redeem(&ticket, now).unwrap();
        }
        assert_eq!(tickets.issue(&caller("ann"), now), Err(TicketError::TooManyOwn));
        tickets.issue(&caller("ben"), now).unwrap();
        tickets.issue(&caller("ann"), now + TICKET_LIFE).unwrap();
    }

    #[test]
    fn all_tickets_are_bounded() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        for _ in 0..MAX_ANONYMOUS {
            tickets.issue(&Caller::default(), now).unwrap();
        }
        assert_eq!(tickets.issue(&Caller::default(), now), Err(TicketError::TooManyOwn));
        for n in MAX_ANONYMOUS..MAX_TICKETS {
            tickets.issue(&caller(&format!("u{}", n % 50)), now).unwrap();
        }
        assert_eq!(tickets.issue(&caller("ben"), now), Err(TicketError::TooMany));
        tickets.issue(&caller("ben"), now + TICKET_LIFE).unwrap();
        assert_eq!(tickets.0.lock().ends.len(), 1);
    }
}
