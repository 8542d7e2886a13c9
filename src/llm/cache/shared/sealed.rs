//! How an answer lies in the Redis: under a hash of the question, and sealed for it with when it was written. Pure.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::super::flight::Whole;
use crate::chat::{Author, Timestamp, Usage};

/// What all names and seals are made with, so that neither another version of Rivulet nor another layout is taken for this one.
pub(in super::super) const LAYOUT: &str = concat!("rivulet ", env!("CARGO_PKG_VERSION"), " answers 2");
/// The longest answer that is kept for others as well, sealed and in bytes: the Redis has more important things.
pub(super) const MAX_BYTES: usize = 16 << 10;
/// So far may clocks of gateways be apart.
const CLOCKS: Duration = Duration::from_secs(30);

/// The name of an answer.
pub(in super::super) type Key = [u8; 32];

/// What an answer is known by: its name, and what it is sealed with.
#[derive(Clone, Copy)]
pub(in super::super) struct Names {
    pub(in super::super) key: Key,
    seal: [u8; 32],
}

/// What lies under a name.
#[derive(Debug)]
pub(in super::super) enum Found {
    /// An answer.
    Answer(Arc<Whole>),
    /// That there is one of this moment, which could not be put there: what was written before is not given any more.
    Newer(Timestamp),
}

impl Found {
    /// When the newest answer was written that it knows of.
    pub(in super::super) fn written_at(&self) -> Timestamp {
        match self {
            Self::Answer(whole) => whole.written_at,
            Self::Newer(at) => *at,
        }
    }

    /// Whether its time is not over, whatever the Redis was told of that, nor yet to come.
    pub(super) fn is_of(&self, now: Timestamp, ttl: Duration) -> bool {
        let at = self.written_at();
        at.plus_millis(ttl) > now && at <= now.plus_millis(CLOCKS)
    }
}

impl Names {
    /// Of the question that went into this hash.
    pub(in super::super) fn of(question: &blake3::Hasher) -> Self {
        let (mut key, mut seal) = ([0; 32], [0; 32]);
        let mut output = question.finalize_xof();
        output.fill(&mut key);
        output.fill(&mut seal);
        Self { key, seal }
    }

    pub(super) fn as_text(&self) -> String {
        format!("rivulet:answer:{}", URL_SAFE_NO_PAD.encode(self.key))
    }

    /// `None` when it is too long.
    pub(super) fn seal(&self, found: &Found) -> Option<Vec<u8>> {
        let mut text = rmp_serde::to_vec(&Contents::of(found)).ok()?;
        if text.len() + NONCE_LEN + CHACHA20_POLY1305.tag_len() > MAX_BYTES {
            return None;
        }
        let nonce: [u8; NONCE_LEN] = rand::random();
        let sealing = Nonce::assume_unique_for_key(nonce);
        self.cipher()?.seal_in_place_append_tag(sealing, Aad::from(LAYOUT), &mut text).ok()?;
        Some([&nonce, &text[..]].concat())
    }

    /// `None` when it is anything else than what was sealed for this question.
    pub(super) fn open(&self, mut sealed: Vec<u8>) -> Option<Found> {
        if sealed.len() > MAX_BYTES {
            return None;
        }
        let (nonce, text) = sealed.split_first_chunk_mut::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let text = self.cipher()?.open_in_place(nonce, Aad::from(LAYOUT), text).ok()?;
        rmp_serde::from_slice::<Contents<'_>>(text).ok()?.found()
    }

    fn cipher(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&CHACHA20_POLY1305, &self.seal).ok().map(LessSafeKey::new)
    }
}

/// What is sealed.
#[derive(Serialize, Deserialize)]
struct Contents<'a> {
    /// In milliseconds since 1970.
    written_at: u64,
    #[serde(borrow)]
    answer: Option<Text<'a>>,
}

#[derive(Serialize, Deserialize)]
struct Text<'a> {
    text: &'a str,
    author: Author,
    usage: Option<Usage>,
}

impl<'a> Contents<'a> {
    fn of(found: &'a Found) -> Self {
        let answer = match found {
            Found::Answer(whole) => Some(Text { text: &whole.text, author: whole.author.clone(), usage: whole.usage }),
            Found::Newer(_) => None,
        };
        Self { written_at: found.written_at().0, answer }
    }

    fn found(self) -> Option<Found> {
        let written_at = Timestamp(self.written_at);
        match self.answer {
            Some(Text { text: "", .. }) => None,
            Some(Text { text, author, usage }) => {
                Some(Found::Answer(Arc::new(Whole { text: text.into(), author, usage, written_at })))
            }
            None => Some(Found::Newer(written_at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEN: Timestamp = Timestamp(1_800_000_000_000);

    fn names(question: &str) -> Names {
        Names::of(blake3::Hasher::new().update(question.as_bytes()))
    }

    fn answer(text: &str) -> Found {
        let usage = Some(Usage { input: 3, output: 2, estimated: false });
        Found::Answer(Arc::new(Whole { text: text.into(), author: Author::new("first"), usage, written_at: THEN }))
    }

    #[test]
    fn only_who_asks_the_same_can_open_an_answer_and_only_if_it_is_whole() {
        let names = names("Why?");
        let sealed = names.seal(&answer("Because.")).unwrap();
        let Some(Found::Answer(opened)) = names.open(sealed.clone()) else { panic!("it is one") };
        assert_eq!((&*opened.text, &*opened.author.model, opened.usage.unwrap().input), ("Because.", "first", 3));
        assert_eq!(opened.written_at, THEN);
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
        assert!(names.open(names.seal(&answer("")).unwrap()).is_none(), "no answer has no text");
        assert_ne!(sealed, names.seal(&answer("Because.")).unwrap(), "another nonce each time");
        assert_eq!(names.key, *blake3::hash(b"Why?").as_bytes());
    }

    #[test]
    fn what_is_long_is_not_sealed_but_that_it_is_there() {
        let names = names("Why?");
        assert!(names.seal(&answer(&"x".repeat(MAX_BYTES - 100))).is_some());
        assert!(names.seal(&answer(&"x".repeat(MAX_BYTES))).is_none());
        let sealed = names.seal(&Found::Newer(THEN)).unwrap();
        assert!(sealed.len() < 64, "{}", sealed.len());
        assert!(matches!(names.open(sealed), Some(Found::Newer(THEN))));
    }

    #[test]
    fn its_time_is_over_by_what_is_sealed() {
        let ttl = Duration::from_secs(10);
        for found in [answer("Because."), Found::Newer(THEN)] {
            let at = |now: u64| found.is_of(Timestamp(now), ttl);
            assert_eq!([THEN.0, THEN.0 + 9_999, THEN.0 + 10_000].map(at), [true, true, false]);
            assert_eq!([THEN.0 - 30_000, THEN.0 - 30_001].map(at), [true, false], "not from what is to come");
        }
    }
}
