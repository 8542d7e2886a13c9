//! Answers that gateways give again for one another: kept in the Redis that they have together.
//!
//! What lies there is sealed, and both its name and its seal are made of the question with all that makes it the same. So who
//! reads the Redis learns neither questions nor answers, who writes to it puts nothing into an answer, and whatever cannot be
//! opened is none. It may be lost at any time, and nobody waits for it longer than [`QUICKLY`]. Uses `ephemeral`.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::{sync::mpsc, time::Instant};

use super::flight::Whole;
use crate::{
    chat::{Author, Usage},
    config::CacheRule,
    ephemeral::{Away, PATIENTLY, QUICKLY, Redis},
    telemetry::metrics::CACHE_SHARED_FAILURES,
};

/// What all names and seals are made with, so that neither another version of Rivulet nor another layout is taken for this one.
pub(super) const LAYOUT: &str = concat!("rivulet ", env!("CARGO_PKG_VERSION"), " answers 1");
/// The longest answer that is kept for others as well, sealed and in bytes: the Redis has more important things.
const MAX_BYTES: usize = 16 << 10;
/// The most answers that wait to be put there.
const MAX_WAITING: usize = 64;

/// The name of an answer.
pub(super) type Key = [u8; 32];

/// What an answer is known by: its name, and what it is sealed with.
#[derive(Clone, Copy)]
pub(super) struct Names {
    pub(super) key: Key,
    seal: [u8; 32],
}

impl Names {
    /// Of the question that went into this hash.
    pub(super) fn of(question: &blake3::Hasher) -> Self {
        let (mut key, mut seal) = ([0; 32], [0; 32]);
        let mut output = question.finalize_xof();
        output.fill(&mut key);
        output.fill(&mut seal);
        Self { key, seal }
    }

    fn as_text(&self) -> String {
        format!("rivulet:answer:{}", URL_SAFE_NO_PAD.encode(self.key))
    }

    /// `None` when it is too long.
    fn seal(&self, whole: &Whole) -> Option<Vec<u8>> {
        let mut text = rmp_serde::to_vec(&Contents::of(whole)).ok()?;
        if text.len() + NONCE_LEN + CHACHA20_POLY1305.tag_len() > MAX_BYTES {
            return None;
        }
        let nonce: [u8; NONCE_LEN] = rand::random();
        let sealing = Nonce::assume_unique_for_key(nonce);
        self.cipher()?.seal_in_place_append_tag(sealing, Aad::from(LAYOUT), &mut text).ok()?;
        Some([&nonce, &text[..]].concat())
    }

    /// `None` when it is anything else than an answer that was sealed for this question.
    fn open(&self, mut sealed: Vec<u8>) -> Option<Whole> {
        if sealed.len() > MAX_BYTES {
            return None;
        }
        let (nonce, text) = sealed.split_first_chunk_mut::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let text = self.cipher()?.open_in_place(nonce, Aad::from(LAYOUT), text).ok()?;
        rmp_serde::from_slice::<Contents<'_>>(text).ok()?.whole()
    }

    fn cipher(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&CHACHA20_POLY1305, &self.seal).ok().map(LessSafeKey::new)
    }
}

/// What is in an answer.
#[derive(Serialize, Deserialize)]
struct Contents<'a> {
    text: &'a str,
    author: Author,
    usage: Option<Usage>,
}

impl<'a> Contents<'a> {
    fn of(whole: &'a Whole) -> Self {
        Self { text: &whole.text, author: whole.author.clone(), usage: whole.usage }
    }

    fn whole(self) -> Option<Whole> {
        let Self { text, author, usage } = self;
        (!text.is_empty()).then(|| Whole { text: text.into(), author, usage })
    }
}

/// What lies under a name from now on.
struct Change {
    name: String,
    /// `None`: nothing. What lies there may be older than what is known here.
    answer: Option<(Vec<u8>, Duration)>,
}

/// The answers of all gateways.
pub struct Answers {
    redis: Arc<Redis>,
    changes: mpsc::Sender<Change>,
    waiting: tokio::sync::Mutex<mpsc::Receiver<Change>>,
    /// When those were put there that may still be there.
    put: Mutex<VecDeque<Instant>>,
}

impl Answers {
    /// Those in this Redis.
    #[must_use]
    pub fn over(redis: Arc<Redis>) -> Arc<Self> {
        let (changes, waiting) = mpsc::channel(MAX_WAITING);
        Arc::new(Self { redis, changes, waiting: waiting.into(), put: Mutex::default() })
    }

    /// Puts answers there, for ever: who was told one does not wait for that.
    pub async fn keep(self: Arc<Self>) {
        let mut waiting = self.waiting.lock().await;
        while let Some(Change { name, answer }) = waiting.recv().await {
            let changed = match answer {
                Some((sealed, ttl)) => {
                    let mut set = redis::cmd("SET");
                    set.arg(name).arg(sealed).arg("PX").arg(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1));
                    self.redis.ask::<()>(&set, PATIENTLY).await
                }
                None => self.redis.ask::<()>(redis::cmd("DEL").arg(name), PATIENTLY).await,
            };
            if changed == Err(Away) {
                failed("put");
            }
        }
    }

    /// The answer of this name, if it is there and said so at once.
    pub(super) async fn get(&self, names: &Names) -> Option<Whole> {
        let mut get = redis::cmd("GETRANGE");
        get.arg(names.as_text()).arg(0).arg(MAX_BYTES); // A byte more than there may be; what has more is not read whole.
        let Ok(sealed) = self.redis.ask::<Vec<u8>>(&get, QUICKLY).await else {
            failed("away");
            return None;
        };
        if sealed.is_empty() {
            return None;
        }
        let whole = names.open(sealed);
        if whole.is_none() {
            failed("invalid");
        }
        whole
    }

    /// Has it put there, for the time of `rule` and as long as there are no more of this gateway than `rule` lets it have.
    /// Else what lay there goes.
    pub(super) fn put(&self, names: &Names, whole: &Whole, rule: &CacheRule) {
        let sealed = names.seal(whole).filter(|_| self.has_room(rule, Instant::now()));
        let change = Change { name: names.as_text(), answer: sealed.map(|sealed| (sealed, rule.ttl)) };
        if self.changes.try_send(change).is_err() {
            failed("put");
        }
    }

    fn has_room(&self, rule: &CacheRule, now: Instant) -> bool {
        let mut put = self.put.lock();
        while put.front().is_some_and(|at| now.duration_since(*at) >= rule.ttl) {
            put.pop_front();
        }
        let has_room = u64::try_from(put.len()).is_ok_and(|count| count < rule.entries);
        if has_room {
            put.push_back(now);
        }
        has_room
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers").field("redis", &self.redis).finish_non_exhaustive()
    }
}

fn failed(reason: &'static str) {
    metrics::counter!(CACHE_SHARED_FAILURES, "reason" => reason).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ephemeral::Server;

    fn names(question: &str) -> Names {
        Names::of(blake3::Hasher::new().update(question.as_bytes()))
    }

    fn whole(text: &str) -> Whole {
        let usage = Some(Usage { input: 3, output: 2, estimated: false });
        Whole { text: text.into(), author: Author::new("first"), usage }
    }

    #[test]
    fn only_who_asks_the_same_can_open_an_answer_and_only_if_it_is_whole() {
        let names = names("Why?");
        let sealed = names.seal(&whole("Because.")).unwrap();
        let opened = names.open(sealed.clone()).unwrap();
        assert_eq!((&*opened.text, &*opened.author.model, opened.usage.unwrap().input), ("Because.", "first", 3));
        assert!(self::names("How?").open(sealed.clone()).is_none());
        assert!(!sealed.windows(7).any(|part| part == b"Because"));
        for at in 0..sealed.len() {
            assert!(names.open(sealed[..at].to_vec()).is_none(), "cut at {at}");
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(names.open(altered).is_none(), "altered at {at}");
        }
        assert!(names.open([&sealed[..], &[0]].concat()).is_none());
        assert!(names.open(vec![0; MAX_BYTES + 1]).is_none());
        assert!(names.open(names.seal(&whole("")).unwrap()).is_none(), "no answer has no text");
        assert_ne!(sealed, names.seal(&whole("Because.")).unwrap(), "another nonce each time");
        assert_eq!(names.key, *blake3::hash(b"Why?").as_bytes());
    }

    #[test]
    fn what_is_long_is_for_this_gateway_alone() {
        assert!(names("Why?").seal(&whole(&"x".repeat(MAX_BYTES - 100))).is_some());
        assert!(names("Why?").seal(&whole(&"x".repeat(MAX_BYTES))).is_none());
    }

    #[tokio::test]
    async fn there_are_no_more_than_a_gateway_keeps_by_itself() {
        let answers = Answers::over(Redis::at(Server::parse("redis://nowhere").unwrap()));
        let rule = CacheRule { ttl: Duration::from_secs(10), entries: 2, shared: false };
        let (now, later) = (Instant::now(), Instant::now() + rule.ttl);
        assert_eq!([now, now, now].map(|now| answers.has_room(&rule, now)), [true, true, false]);
        assert_eq!([later, later, later].map(|now| answers.has_room(&rule, now)), [true, true, false]);
        answers.put(&names("Why?"), &whole("Because."), &rule);
        let change = answers.waiting.lock().await.try_recv().unwrap();
        assert!(change.answer.is_none(), "what lay there is older, and goes");
        assert!(answers.get(&names("Why?")).await.is_none(), "nobody waits for what cannot be asked");
    }
}
