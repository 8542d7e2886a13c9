//! Tickets: what a page puts into a WebSocket's address, where a token must not stand. Good once, for 30 seconds.
//!
//! A ticket carries whom it stands for, sealed with a key that all gateways have, so that any of them can read it, and nobody
//! else. Which ones were used is known here, and where there is a Redis, to all gateways; while that is away a ticket is
//! good once at each. Uses `ephemeral`.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, LazyLock},
    time::Duration,
};

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::{Mutex, RwLock};
use redis::{Script, Value};
use serde::{Deserialize, Serialize};

use super::{
    grant::{Caller, Credential, Grant, Refused, TokenId},
    principal::Principal,
};
use crate::{
    chat::{Owner, Timestamp},
    ephemeral::{PATIENTLY, Redis, script},
    telemetry::metrics::LIMITS_ALONE,
};

/// How long a ticket is good.
pub const TICKET_LIFE: Duration = Duration::from_secs(30);

/// The most tickets that a gateway makes within [`TICKET_LIFE`].
const MAX_TICKETS: usize = 20_000;
/// The most of them for one principal, so that nobody can use up all.
const MAX_OWN: usize = 1_000;
/// The most of them for those who are nobody in particular, all together.
const MAX_ANONYMOUS: usize = MAX_TICKETS / 2;
/// For how long it is known that a ticket was used: longer than it is good, for clocks of gateways differ.
const SPENT_LIFE: Duration = Duration::from_secs(60);
/// The most used tickets that a gateway knows of. Then no more are taken.
const MAX_SPENT: usize = 200_000;
/// What every ticket begins with, so that people and scanners know it for one.
const PREFIX: &str = "tk_";
/// Random bytes of a ticket, which name it.
const ID: usize = 16;
/// What is longer is no ticket: the longest principal with the most scopes has three quarters of it.
const MAX_BYTES: usize = 6 << 10;
/// What the key is for, so that it is no other one even where it is made of the same bytes.
const CONTEXT: &str = "rivulet 2026 tickets v1";

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

/// What tickets are sealed with.
pub(super) type TicketKey = [u8; 32];
type TicketId = [u8; ID];

/// Makes tickets, and takes them.
pub(super) struct Tickets {
    key: RwLock<TicketKey>,
    made: Mutex<Made>,
    spent: Mutex<Spent>,
    all: Option<Arc<Redis>>,
}

/// What was made of late.
#[derive(Default)]
struct Made {
    /// In the order in which they end.
    ends: VecDeque<(Timestamp, Option<Owner>)>,
    /// How many of these are whose.
    counts: HashMap<Option<Owner>, usize>,
}

/// What was used here of late.
#[derive(Default)]
struct Spent {
    ids: HashSet<TicketId>,
    ends: VecDeque<(Timestamp, TicketId)>,
}

/// What is in a ticket.
#[derive(Serialize, Deserialize)]
struct Contents {
    ends: u64,
    who: Option<Who>,
}

#[derive(Serialize, Deserialize)]
struct Who {
    tenant: String,
    user: String,
    scopes: Vec<String>,
    expires_at: u64,
    proof: Proof,
}

/// A [`Credential`].
#[derive(Serialize, Deserialize)]
enum Proof {
    Token([u8; 32], Option<u64>),
    ApiKey(String),
}

impl Default for Tickets {
    /// With a key that no other gateway has.
    fn default() -> Self {
        let (key, made, spent) = (RwLock::new(rand::random()), Mutex::default(), Mutex::default());
        Self { key, made, spent, all: None }
    }
}

impl Tickets {
    /// The same, with what all gateways know of used ones.
    pub(super) fn spent_in(self, redis: Arc<Redis>) -> Self {
        Self { all: Some(redis), ..self }
    }

    /// The key.
    pub(super) fn key(&self) -> TicketKey {
        *self.key.read()
    }

    /// From now on this key. What was sealed with another one is no ticket any more.
    pub(super) fn change_key(&self, key: TicketKey) {
        *self.key.write() = key;
    }

    /// Makes a ticket for `caller`.
    pub(super) fn issue(&self, caller: &Caller, now: Timestamp) -> Result<String, TicketError> {
        let ends = now.plus_millis(TICKET_LIFE);
        self.made.lock().add(caller.owner(), now, ends)?;
        Ok(seal(&self.key(), &Contents { ends: ends.0, who: caller.0.as_ref().map(Who::of) }))
    }

    /// Uses a ticket up. Of several who try, one gets it.
    pub(super) async fn redeem(&self, ticket: &str, now: Timestamp) -> Result<Caller, Refused> {
        let (id, contents) = open(&self.key(), ticket).ok_or(Refused)?;
        if contents.ends <= now.0 {
            return Err(Refused);
        }
        let caller = Caller(contents.who.map(Who::grant).transpose()?);
        if !self.spent.lock().add(id, now) {
            return Err(Refused);
        }
        match &self.all {
            Some(redis) if !is_first(redis, &id).await => Err(Refused),
            _ => Ok(caller),
        }
    }
}

impl Tickets {
    /// A ticket that was used up a moment ago, for something that could not be had, is good again.
    pub(super) async fn give_back(&self, ticket: &str) {
        let Some((id, _)) = open(&self.key(), ticket) else { return };
        self.spent.lock().ids.remove(&id);
        if let Some(redis) = &self.all {
            let _not_good_again = redis.ask::<u64>(redis::cmd("DEL").arg(name(&id)), PATIENTLY).await;
        }
    }
}

fn name(id: &TicketId) -> String {
    format!("rivulet:ticket:{}", URL_SAFE_NO_PAD.encode(id))
}

/// ARGV: how long it is known, in milliseconds. Nothing when it was known already.
const SPEND: &str = "return redis.call('SET', KEYS[1], '', 'NX', 'PX', ARGV[1])";
static SPENDING: LazyLock<Script> = LazyLock::new(|| script(SPEND));

/// Whether no gateway has taken the ticket before, as far as that can be known.
async fn is_first(redis: &Redis, id: &TicketId) -> bool {
    let mut spending = SPENDING.key(name(id));
    let life = u64::try_from(SPENT_LIFE.as_millis()).unwrap_or(u64::MAX);
    match redis.run::<Value>(spending.arg(life), PATIENTLY).await {
        Ok(answer) => answer != Value::Nil,
        Err(_) => {
            metrics::counter!(LIMITS_ALONE, "scope" => "tickets").increment(1);
            true
        }
    }
}

impl Made {
    fn add(&mut self, owner: Option<&Owner>, now: Timestamp, ends: Timestamp) -> Result<(), TicketError> {
        while let Some((_, owner)) = self.ends.pop_front_if(|(end, _)| *end <= now) {
            if let Some(count) = self.counts.get_mut(&owner) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(&owner);
                }
            }
        }
        if self.ends.len() >= MAX_TICKETS {
            return Err(TicketError::TooMany);
        }
        let owner = owner.cloned();
        let most = if owner.is_some() { MAX_OWN } else { MAX_ANONYMOUS };
        let own = self.counts.entry(owner.clone()).or_default();
        if *own >= most {
            return Err(TicketError::TooManyOwn);
        }
        *own += 1;
        self.ends.push_back((ends, owner));
        Ok(())
    }
}

impl Spent {
    /// Whether it is the first time.
    fn add(&mut self, id: TicketId, now: Timestamp) -> bool {
        while let Some((_, over)) = self.ends.pop_front_if(|(end, _)| *end <= now) {
            self.ids.remove(&over);
        }
        if self.ids.len() >= MAX_SPENT || !self.ids.insert(id) {
            return false;
        }
        self.ends.push_back((now.plus_millis(SPENT_LIFE), id));
        true
    }
}

impl Who {
    fn of(grant: &Grant) -> Self {
        let principal = &grant.principal;
        let proof = match &grant.credential {
            Credential::Token { id, made } => Proof::Token(id.to_bytes(), made.map(|made| made.0)),
            Credential::ApiKey(id) => Proof::ApiKey(id.clone()),
        };
        Self {
            tenant: principal.tenant().to_owned(),
            user: principal.user().to_owned(),
            scopes: principal.scopes().to_vec(),
            expires_at: grant.expires_at.0,
            proof,
        }
    }

    fn grant(self) -> Result<Grant, Refused> {
        let principal = Principal::new(&self.tenant, &self.user, self.scopes).map_err(|_| Refused)?;
        let credential = match self.proof {
            Proof::Token(id, made) => Credential::Token { id: TokenId::from(id), made: made.map(Timestamp) },
            Proof::ApiKey(id) => Credential::ApiKey(id),
        };
        Ok(Grant { principal: Arc::new(principal), expires_at: Timestamp(self.expires_at), credential })
    }
}

/// What one ticket is sealed with: never used again, so that the nonce may be the same.
fn cipher(key: &TicketKey, id: &TicketId) -> Option<LessSafeKey> {
    let key = blake3::keyed_hash(&blake3::derive_key(CONTEXT, key), id);
    UnboundKey::new(&CHACHA20_POLY1305, key.as_bytes()).ok().map(LessSafeKey::new)
}

const fn nonce() -> [u8; NONCE_LEN] {
    [0; NONCE_LEN]
}

fn seal(key: &TicketKey, contents: &Contents) -> String {
    let id: TicketId = rand::random();
    let mut text = rmp_serde::to_vec(contents).unwrap_or_default();
    let sealed = cipher(key, &id).and_then(|cipher| {
        let nonce = Nonce::assume_unique_for_key(nonce());
        cipher.seal_in_place_append_tag(nonce, Aad::empty(), &mut text).ok()
    });
    debug_assert!(sealed.is_some()); // Such contents can always be written and sealed.
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode([id.as_slice(), &text].concat()))
}

fn open(key: &TicketKey, ticket: &str) -> Option<(TicketId, Contents)> {
    let text = ticket.strip_prefix(PREFIX).filter(|text| text.len() <= MAX_BYTES)?;
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (id, sealed) = bytes.split_first_chunk::<ID>()?;
    let mut sealed = sealed.to_vec();
    let nonce = Nonce::assume_unique_for_key(nonce());
    let text = cipher(key, id)?.open_in_place(nonce, Aad::empty(), &mut sealed).ok()?;
    Some((*id, rmp_serde::from_slice(text).ok()?))
}

impl std::fmt::Debug for Tickets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tickets").field("made", &self.made.lock().ends.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn caller(user: &str) -> Caller {
        let principal = Arc::new(Principal::new("default", user, vec!["chat".to_owned()]).unwrap());
        let credential = Credential::ApiKey("k".to_owned());
        Caller(Some(Grant { principal, expires_at: Timestamp(u64::MAX), credential }))
    }

    fn later(time: Duration) -> Timestamp {
        NOW.plus_millis(time)
    }

    #[tokio::test]
    async fn a_ticket_is_good_once_and_for_its_time() {
        let tickets = Tickets::default();
        let ann = caller("ann");
        let ticket = tickets.issue(&ann, NOW).unwrap();
        for none in ["tk_x", "tk_", "", &ticket[3..], &format!("{ticket}A"), &format!("{ticket}{}", "x".repeat(9999))] {
            assert_eq!(tickets.redeem(none, NOW).await, Err(Refused), "{none}");
        }
        assert_eq!(tickets.redeem(&ticket, NOW).await, Ok(ann.clone()));
        assert_eq!(tickets.redeem(&ticket, NOW).await, Err(Refused));
        tickets.give_back("tk_x").await;
        tickets.give_back(&ticket).await; // What it was used for could not be had.
        assert_eq!(tickets.redeem(&ticket, NOW).await, Ok(ann.clone()));
        assert_eq!(tickets.redeem(&ticket, NOW).await, Err(Refused));
        let late = tickets.issue(&ann, NOW).unwrap();
        assert_eq!(tickets.redeem(&late, later(TICKET_LIFE)).await, Err(Refused));
        let token = Credential::Token { id: TokenId::named("default", "x"), made: Some(NOW) };
        for who in [Caller::default(), Caller(ann.0.map(|grant| Grant { credential: token, ..grant }))] {
            let ticket = tickets.issue(&who, NOW).unwrap();
            assert_eq!(tickets.redeem(&ticket, NOW).await, Ok(who));
        }
    }

    #[tokio::test]
    async fn who_has_the_key_reads_it_and_nobody_can_change_it() {
        let (one, other) = (Tickets::default(), Tickets::default());
        let ticket = one.issue(&caller("ann"), NOW).unwrap();
        assert_eq!(other.redeem(&ticket, NOW).await, Err(Refused));
        other.change_key(one.key());
        let bytes = URL_SAFE_NO_PAD.decode(&ticket[PREFIX.len()..]).unwrap();
        assert!(!bytes.windows(3).any(|piece| piece == b"ann"), "whose it is does not show");
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let changed = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(changed));
            assert_eq!(other.redeem(&changed, NOW).await, Err(Refused), "{at}");
        }
        assert_eq!(other.redeem(&ticket, NOW).await, Ok(caller("ann")));
    }

    #[tokio::test]
    async fn the_longest_principal_has_one() {
        let scopes = vec!["s".repeat(64); 32];
        let principal = Principal::new(&"t".repeat(64), &"\u{10348}".repeat(128), scopes).unwrap();
        let credential = Credential::Token { id: TokenId::from([255; 32]), made: Some(Timestamp(u64::MAX)) };
        let who = Caller(Some(Grant { principal: Arc::new(principal), expires_at: Timestamp(u64::MAX), credential }));
        let tickets = Tickets::default();
        let ticket = tickets.issue(&who, NOW).unwrap();
        assert_eq!(tickets.redeem(&ticket, NOW).await, Ok(who));
        assert!(tickets.issue(&caller("ann"), NOW).unwrap().len() < 200);
    }

    #[test]
    fn one_principal_cannot_use_up_all() {
        let tickets = Tickets::default();
        for _ in 0..MAX_OWN {
            tickets.issue(&caller("ann"), NOW).unwrap();
        }
        assert_eq!(tickets.issue(&caller("ann"), NOW), Err(TicketError::TooManyOwn));
        tickets.issue(&caller("ben"), NOW).unwrap();
        tickets.issue(&caller("ann"), later(TICKET_LIFE)).unwrap();
    }

    #[test]
    fn all_tickets_are_bounded() {
        let tickets = Tickets::default();
        for _ in 0..MAX_ANONYMOUS {
            tickets.issue(&Caller::default(), NOW).unwrap();
        }
        assert_eq!(tickets.issue(&Caller::default(), NOW), Err(TicketError::TooManyOwn));
        for n in MAX_ANONYMOUS..MAX_TICKETS {
            tickets.issue(&caller(&format!("u{}", n % 50)), NOW).unwrap();
        }
        assert_eq!(tickets.issue(&caller("ben"), NOW), Err(TicketError::TooMany));
        tickets.issue(&caller("ben"), later(TICKET_LIFE)).unwrap();
        assert_eq!(tickets.made.lock().ends.len(), 1);
    }

    #[test]
    fn what_was_used_is_known_until_no_clock_takes_it() {
        let mut spent = Spent::default();
        assert!(spent.add([1; ID], NOW) && !spent.add([1; ID], later(2 * TICKET_LIFE - Duration::from_millis(1))));
        assert!(spent.add([2; ID], later(SPENT_LIFE)));
        assert_eq!((spent.ids.len(), spent.ends.len()), (1, 1), "nothing else is kept");
    }
}
