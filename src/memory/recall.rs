//! Which episodes fit a question: by their words and by their meaning. Pure.
//!
//! Scores are those of a hybrid search of documents (see [`fuse`]), with the words' weights counted among the episodes of one
//! notebook. An episode or a question without a vector is judged by its words alone: then the least score is for the share of
//! the question's words that the episode has, by their weights.

use std::cmp::Ordering;

use crate::{
    chat::SessionId,
    knowledge::fuse::{self, Match},
    store::memories::{Trace, Words},
};

/// What is asked.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// Its words.
    pub words: Words,
    /// Its vector, by the model that made those of the traces; `None` when there is no model.
    pub vector: Option<&'a [f32]>,
    /// The conversation in which it is asked: what was said there is known anyway. `None` outside of one.
    pub session: Option<&'a SessionId>,
    /// The cosine, below 1, that the model gives to texts that have nothing to do with each other.
    pub unrelated: f32,
}

/// How fast a word that comes again stops counting, and how much long texts count less: the usual ones of BM25.
const K1: f32 = 1.2;
const B: f32 = 0.75;
/// Episodes that count as there besides those that are, so that a word weighs much the same in a new notebook as later.
const UNSEEN: f32 = 50.0;

/// The best `most` of `traces` that are not of the question's session, with their scores, 0 to 1, and their places in
/// `traces`: the best first, among equals the newest. None is below `min_score`.
#[must_use]
pub fn rank(question: &Question<'_>, traces: &[Trace], most: usize, min_score: f32) -> Vec<(f32, usize)> {
    let elsewhere = |trace: &Trace| question.session.is_none() || trace.session.as_ref() != question.session;
    let others: Vec<(usize, &Trace)> = traces.iter().enumerate().filter(|(_, trace)| elsewhere(trace)).collect();
    let weights = Weights::of(&question.words, &others);
    let asked = question.vector.map(Direction::of);
    let mut found: Vec<(f32, usize)> = others
        .iter()
        .filter_map(|(at, trace)| {
            let (bm25, share) = weights.score(&trace.words);
            let cosine = asked.as_ref().and_then(|asked| asked.cosine(trace.vector.as_deref()?));
            let found = Match { id: String::new(), cosine: cosine.unwrap_or(0.0), bm25, row: () };
            let (score, is_enough) = match cosine {
                Some(_) => {
                    let score = fuse::hybrid_score(&found, question.unrelated);
                    (score, score >= min_score)
                }
                None => (fuse::text_score(&found), share >= min_score),
            };
            (is_enough && score > 0.0).then_some((score, *at))
        })
        .collect();
    let newer = |a: usize, b: usize| traces[b].said_at.cmp(&traces[a].said_at).then(b.cmp(&a));
    let order = |a: &(f32, usize), b: &(f32, usize)| -> Ordering { b.0.total_cmp(&a.0).then_with(|| newer(a.1, b.1)) };
    if found.len() > most && most > 0 {
        found.select_nth_unstable_by(most - 1, order);
    }
    found.truncate(most);
    found.sort_unstable_by(order);
    found
}

/// What the words of a question count for, among some traces.
struct Weights<'a> {
    words: &'a [u32],
    /// Of each.
    weights: Vec<f32>,
    all: f32,
    /// Words of a trace on average.
    length: f32,
}

impl<'a> Weights<'a> {
    #[expect(clippy::cast_precision_loss, reason = "there are few traces, and few words in each")]
    fn of(words: &'a Words, traces: &[(usize, &Trace)]) -> Self {
        let words = words.as_slice();
        let mut having = vec![0u32; words.len()];
        let mut length = 0;
        for (_, trace) in traces {
            let there = trace.words.as_slice();
            length += there.len();
            for (word, having) in words.iter().zip(&mut having) {
                *having += u32::from(there.binary_search(word).is_ok());
            }
        }
        let count = traces.len() as f32;
        // As if there were some more without any of them: where there are few, it says little that a word is in most of them.
        let others = |having: &u32| count + UNSEEN - *having as f32;
        let weight = |having: &u32| (1.0 + (others(having) + 0.5) / (*having as f32 + 0.5)).ln();
        let weights: Vec<f32> = having.iter().map(weight).collect();
        Self { words, all: weights.iter().sum(), weights, length: (length as f32 / count.max(1.0)).max(1.0) }
    }

    /// BM25 of a text that has each of these words once, and its share of the question, 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "a text has few words")]
    fn score(&self, there: &Words) -> (f32, f32) {
        let there = there.as_slice();
        let is_there = |(word, _): &(&u32, &f32)| there.binary_search(word).is_ok();
        let sum: f32 = self.words.iter().zip(&self.weights).filter(is_there).map(|(_, weight)| weight).sum();
        let length = 1.0 - B + B * there.len() as f32 / self.length;
        (sum * (K1 + 1.0) / (1.0 + K1 * length), if self.all > 0.0 { sum / self.all } else { 0.0 })
    }
}

/// A vector that others are compared with.
struct Direction {
    numbers: Vec<i32>,
    length: f32,
}

impl Direction {
    fn of(vector: &[f32]) -> Self {
        let numbers: Vec<i32> = quantized(vector).into_iter().map(i32::from).collect();
        Self { length: length(numbers.iter().copied()), numbers }
    }

    /// Cosine, −1 to 1; `None` for one of another length, and where one has no direction.
    #[expect(clippy::cast_precision_loss, reason = "a cosine of bytes is not that exact")]
    fn cosine(&self, other: &[i8]) -> Option<f32> {
        let others = length(other.iter().copied().map(i32::from));
        if self.numbers.len() != other.len() || self.length == 0.0 || others == 0.0 {
            return None;
        }
        let product: i32 = self.numbers.iter().zip(other).map(|(a, b)| a * i32::from(*b)).sum();
        Some((product as f32 / (self.length * others)).clamp(-1.0, 1.0))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a cosine of bytes is not that exact")]
fn length(numbers: impl Iterator<Item = i32>) -> f32 {
    (numbers.map(|number| number * number).sum::<i32>() as f32).sqrt()
}

/// A vector as it is kept: its direction in a byte for each number, the largest being 127. What is no number counts as 0.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "no quotient is above 127")]
pub fn quantized(vector: &[f32]) -> Vec<i8> {
    let finite = |number: &f32| if number.is_finite() { *number } else { 0.0 };
    let largest = vector.iter().map(|number| finite(number).abs()).fold(0.0, f32::max);
    let scale = if largest > 0.0 { largest } else { 1.0 };
    vector.iter().map(|number| (finite(number) / scale * 127.0).round() as i8).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        chat::{MemoryId, Timestamp},
        memory::words::words,
    };

    fn trace(text: &str, vector: Option<&[f32]>, session: &SessionId, said_at: u64) -> Trace {
        Trace {
            id: MemoryId::random(),
            session: Some(session.clone()),
            said_at: Timestamp(said_at),
            words: words(text),
            vector: vector.map(quantized),
        }
    }

    fn question<'a>(text: &str, vector: Option<&'a [f32]>, session: Option<&'a SessionId>) -> Question<'a> {
        Question { words: words(text), vector, session, unrelated: 0.0 }
    }

    fn places(found: &[(f32, usize)]) -> Vec<usize> {
        found.iter().map(|(_, at)| *at).collect()
    }

    #[test]
    fn meaning_and_words_find_both() {
        let session = SessionId::random();
        let traces = [
            trace("My sister gets married in May", Some(&[0.9, 0.1, 0.0]), &session, 1),
            trace("The weather is fine", Some(&[0.0, 0.1, 1.0]), &session, 2),
            trace("The wedding of my sister", Some(&[0.8, 0.3, 0.0]), &session, 3),
        ];
        let found = rank(&question("When is my sister's wedding?", Some(&[1.0, 0.2, 0.0]), None), &traces, 4, 0.35);
        assert_eq!(places(&found), [0, 2]);
        assert!(found.iter().all(|(score, _)| (0.35..=1.0).contains(score)), "{found:?}");
    }

    #[test]
    fn nothing_of_the_same_conversation_and_no_more_than_wanted() {
        let (here, there) = (SessionId::random(), SessionId::random());
        let vector: &[f32] = &[1.0, 0.0];
        let traces = [
            trace("tea", Some(vector), &here, 1),
            trace("tea", Some(vector), &there, 2),
            trace("tea", Some(vector), &there, 4),
            trace("tea", Some(vector), &there, 3),
        ];
        assert_eq!(places(&rank(&question("tea", Some(vector), Some(&here)), &traces, 2, 0.3)), [2, 3], "the newest");
        assert_eq!(rank(&question("tea", Some(vector), None), &traces, 0, 0.3), []);
        assert_eq!(rank(&question("tea", Some(vector), None), &[], 4, 0.3), []);
    }

    #[test]
    fn words_alone_need_their_share_of_the_question() {
        let session = SessionId::random();
        let texts = ["The dog is called Rex", "The wedding of my sister", "A dog and a wedding", "tea", "rain"];
        let traces: Vec<Trace> = texts.iter().zip(0..).map(|(text, at)| trace(text, None, &session, at)).collect();
        assert_eq!(places(&rank(&question("wedding of the sister", None, None), &traces, 4, 0.6)), [1]);
        assert_eq!(places(&rank(&question("wedding of the sister", None, None), &traces, 4, 0.3)), [1, 2]);
        assert_eq!(rank(&question("coffee", None, None), &traces, 4, 0.0), []);
        let other: &[f32] = &[1.0, 0.0, 0.0];
        assert_eq!(
            places(&rank(&question("sister wedding", Some(other), None), &traces, 1, 0.6)),
            [1],
            "as long as they have none"
        );
    }

    #[test]
    fn directions_survive_in_bytes() {
        assert_eq!(quantized(&[0.5, -1.0, 0.0]), [64, -127, 0]);
        assert_eq!(quantized(&[0.0, f32::NAN, f32::INFINITY]), [0, 0, 0]);
        assert_eq!(Direction::of(&[1.0, 0.0]).cosine(&[1, 0, 0]), None, "of another model");
        assert_eq!(Direction::of(&[0.0, 0.0]).cosine(&[1, 0]), None);
    }

    proptest! {
        #[test]
        fn a_cosine_of_bytes_is_close(
            a in proptest::collection::vec(-1.0f32..1.0, 384), b in proptest::collection::vec(-1.0f32..1.0, 384),
        ) {
            let dot: f32 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
            let length = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>().sqrt();
            let exact = dot / (length(&a) * length(&b));
            let close = Direction::of(&a).cosine(&quantized(&b)).unwrap();
            prop_assert!((exact - close).abs() < 0.01, "{} {}", exact, close);
        }

        #[test]
        fn scores_are_ordered_and_bounded(
            texts in proptest::collection::vec("[a-f ]{0,12}", 0..20), asked in "[a-f ]{0,12}",
            vectors in proptest::collection::vec(proptest::option::of(proptest::collection::vec(-1.0f32..1.0, 3)), 20),
            most in 0usize..8, least in 0.0f32..1.0,
        ) {
            let session = SessionId::random();
            let traces: Vec<Trace> = texts
                .iter()
                .zip(&vectors)
                .map(|(text, vector)| trace(text, vector.as_deref(), &session, 1))
                .collect();
            let found = rank(&question(&asked, vectors[0].as_deref(), None), &traces, most, least);
            prop_assert!(found.len() <= most);
            prop_assert!(found.is_sorted_by(|a, b| a.0 >= b.0));
            prop_assert!(found.iter().all(|(score, at)| (0.0..=1.0).contains(score) && *at < traces.len()));
        }
    }
}
