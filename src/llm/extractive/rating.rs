//! How well every sentence of the passages fits a question. Pure.
//!
//! A sentence is worth the share of the question's words that it has, rare words more than frequent ones; words of its
//! headings count half, of its document's title a third. A sentence that points back ("It costs 5 €") has most of the
//! words of what it points to. The words are compared by their English stems, and a few families of words that
//! customers use for one another count as near hits.
//!
//! Every text is compared with the question once, and from then on stands for how much of every word it has. So the
//! cost grows with the words of the passages, and has a bound in those of the question.

use std::collections::HashSet;

use unicode_segmentation::UnicodeSegmentation;

use super::{
    question::{Stems, Wanted},
    sentences::{Sentence, sentences},
};
use crate::knowledge::Passage;

/// Passages beyond these are not read, nor what is beyond this length of one: no chunk has so many bytes.
const MAX_PASSAGES: usize = 50;
const MAX_PASSAGE_BYTES: usize = 4 << 10;
/// The same of a passage's title, and of its headings.
const MAX_LABEL_BYTES: usize = 512;
/// Sentences beyond these are not looked at: no prompt has that many.
const MAX_CANDIDATES: usize = 500;
/// The share of the question that a sentence has to meet, and that when nothing is known of a name in the question.
const MIN_FIT: f32 = 0.35;
const MIN_FIT_STRANGE: f32 = 0.55;
/// The share of every word that is wanted of what is compared.
const MIN_FIT_COMPARED: f32 = 0.5;
/// A passage that fits so well may answer without any of the question's words.
const STRONG_PASSAGE: f32 = 0.7;
/// What stands under exactly the heading that is asked for.
const ABOUT_IT: f32 = 0.4;
/// The subject of a sentence is among so many of its first words.
const SUBJECT_WORDS: usize = 6;

/// How much a text has of every wanted word, 0 to 1 each.
type Shares = Vec<f32>;

/// A sentence in the running.
pub(super) struct Candidate {
    /// Index of its passage.
    pub(super) passage: usize,
    pub(super) sentence: Sentence,
    /// Its own stems.
    pub(super) stems: HashSet<String>,
    /// What it has by itself.
    pub(super) own: Shares,
    pub(super) words: usize,
    /// Zero: it does not answer the question.
    pub(super) score: f32,
    /// Whether it has a number of the kind that was asked for.
    pub(super) measured: bool,
    /// The sentence that names what this one only points to.
    pub(super) antecedent: Option<usize>,
    /// The words of the question that it has by itself, and how much of them; only those that what is around it does
    /// not have, unless there are none and it stands elsewhere than under what is asked for.
    pub(super) met: Vec<(usize, f32)>,
    /// What is around it has: headings, title, what it points to.
    around: Shares,
    points_back: bool,
}

/// What the question wants, and all sentences of the passages with their scores.
pub(super) fn rated(question: &str, passages: &[Passage]) -> (Wanted, Vec<Candidate>) {
    let stems = Stems::new();
    let wanted = Wanted::new(question, &stems);
    let places: Vec<RatedPassage<'_>> =
        passages.iter().take(MAX_PASSAGES).map(|passage| RatedPassage::new(passage, &wanted, &stems)).collect();
    let mut candidates = candidates(&places, &wanted, &stems);
    for at in 0..candidates.len() {
        let place = &places[candidates[at].passage];
        let antecedent = antecedent(&candidates, at, &place.heading_stems);
        let around = place.around(&candidates[at].sentence, antecedent.map(|at| &candidates[at]), &wanted, &stems);
        (candidates[at].antecedent, candidates[at].around) = (antecedent, around);
    }
    rate(&mut candidates, &wanted, &places);
    (wanted, candidates)
}

/// What all sentences of a passage stand under.
struct RatedPassage<'a> {
    passage: &'a Passage,
    heading_stems: HashSet<String>,
    heading: Shares,
    title: Shares,
    /// Whether its heading has nothing but words of the question. One with a "not" is about the contrary.
    is_about_it: bool,
}

impl<'a> RatedPassage<'a> {
    fn new(passage: &'a Passage, wanted: &Wanted, stems: &Stems) -> Self {
        let path = passage.heading.as_deref().unwrap_or("");
        let innermost = beginning(path.rsplit(" › ").next().unwrap_or(""), MAX_LABEL_BYTES);
        let title = format!("{} {}", beginning(&passage.title, MAX_LABEL_BYTES), beginning(path, MAX_LABEL_BYTES));
        let denies = innermost.unicode_words().any(|word| matches!(word, "not" | "cannot"));
        let heading_stems = stems.of(innermost);
        Self {
            passage,
            heading: wanted.shares(&heading_stems),
            title: wanted.shares(&stems.of(&title)),
            is_about_it: !denies && !heading_stems.is_empty() && heading_stems.is_subset(&wanted.own),
            heading_stems,
        }
    }

    /// What is around a sentence that stands here, and points to `antecedent`, if it does.
    fn around(&self, sentence: &Sentence, antecedent: Option<&Candidate>, wanted: &Wanted, stems: &Stems) -> Shares {
        let context = wanted.shares(&stems.of(&sentence.context));
        let pointed_to = antecedent.map(|before| {
            let subject = before.sentence.text.unicode_words().take(SUBJECT_WORDS).take_while(|word| !is_verb(word));
            (wanted.shares(&stems.of(&subject.collect::<Vec<_>>().join(" "))), &before.own)
        });
        let share = |word: usize| {
            let above = (0.5 * context[word]).max(0.5 * self.heading[word]).max(0.33 * self.title[word]);
            pointed_to.as_ref().map_or(above, |(subject, all)| {
                above.max(0.8 * subject[word]).max(0.5 * all[word]).max(0.8 * self.heading[word])
            })
        };
        (0..wanted.words.len()).map(share).collect()
    }
}

/// At most so many bytes of `text`.
fn beginning(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

fn points_back(text: &str) -> bool {
    const POINTERS: &[&str] = &[
        "it",
        "its",
        "they",
        "them",
        "their",
        "this",
        "that",
        "these",
        "those",
        "he",
        "she",
        "such",
        "otherwise",
        "both",
        "then",
        "however",
        "also",
        "instead",
    ];
    text.unicode_words().next().is_some_and(|first| POINTERS.iter().any(|word| first.eq_ignore_ascii_case(word)))
}

fn is_verb(word: &str) -> bool {
    ["is", "are", "was", "were", "has", "have", "can", "may", "must", "should", "will", "does", "do"].contains(&word)
}

/// The sentence that names what this one only points to: before it, in its paragraph, one that does not point back
/// itself. The last one that names what the heading names, or else simply the last one.
fn antecedent(candidates: &[Candidate], at: usize, heading: &HashSet<String>) -> Option<usize> {
    let this = &candidates[at];
    if !this.points_back {
        return None;
    }
    let before = (0..at).rev().map(|at| (at, &candidates[at]));
    let before =
        before.take_while(|(_, other)| other.passage == this.passage && other.sentence.block == this.sentence.block);
    let mut before = before.filter(|(_, other)| !other.points_back);
    let names_it = |other: &Candidate| !heading.is_empty() && heading.is_subset(&other.stems);
    let found = before.clone().find(|(_, other)| names_it(other)).or_else(|| before.next());
    found.map(|(found, _)| found)
}

fn candidates(places: &[RatedPassage<'_>], wanted: &Wanted, stems: &Stems) -> Vec<Candidate> {
    let read = |place: &RatedPassage<'_>| sentences(beginning(&place.passage.text, MAX_PASSAGE_BYTES));
    let all = places.iter().enumerate();
    let all = all.flat_map(|(passage, place)| read(place).into_iter().map(move |sentence| (passage, sentence)));
    let candidate = |(passage, sentence): (usize, Sentence)| {
        let own = stems.of(&sentence.text);
        Candidate {
            passage,
            own: wanted.shares(&own),
            stems: own,
            words: sentence.text.unicode_words().count(),
            measured: wanted.is_measured_by(&sentence.text),
            points_back: points_back(&sentence.text),
            sentence,
            score: 0.0,
            antecedent: None,
            met: Vec::new(),
            around: Vec::new(),
        }
    };
    all.take(MAX_CANDIDATES).map(candidate).collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts of sentences and words are small")]
fn rate(candidates: &mut [Candidate], wanted: &Wanted, places: &[RatedPassage<'_>]) {
    let count = candidates.len() as f32;
    let has = |word: usize| candidates.iter().filter(|candidate| candidate.own[word] >= 1.0).count() as f32;
    // Rare words weigh more, but not much more: in passages that were found for a question, its subject is everywhere.
    // A long number, such as a code, is all the question is about.
    let is_code = |stem: &str| stem.len() > 2 && stem.bytes().all(|c| c.is_ascii_digit());
    let factor = |stem: &str| if is_code(stem) { 2.0 } else { 1.0 };
    let weight = |(at, stem): (usize, &str)| factor(stem) * (1.0 + 0.35 * (1.0 + count / (1.0 + has(at))).ln());
    let words = wanted.words.iter().map(|word| word.stem.as_str()).enumerate();
    let weights: Shares = words.map(weight).collect();
    let total: f32 = weights.iter().sum();
    let knows_all = wanted.names.iter().all(|name| candidates.iter().any(|candidate| candidate.likeness(*name) > 0.0));
    for candidate in candidates {
        let place = &places[candidate.passage];
        let likenesses: Shares = (0..weights.len()).map(|word| candidate.likeness(word)).collect();
        let met = weighted(&weights, &likenesses);
        let fit = if total > 0.0 { met / total } else { 0.0 };
        let is_strong = place.passage.score >= STRONG_PASSAGE && total > 0.0;
        let fits = match wanted.must {
            _ if wanted.compares => candidate.measured && likenesses.iter().all(|share| *share >= MIN_FIT_COMPARED),
            Some(must) if !candidate.measured || likenesses[must] < MIN_FIT_COMPARED => false,
            _ if !knows_all => fit >= MIN_FIT_STRANGE,
            Some(_) => fit >= MIN_FIT,
            None => fit >= MIN_FIT || is_strong,
        };
        if fits {
            let by_heading = weighted(&weights, &place.heading) / total.max(1.0);
            let about_it = if place.is_about_it { ABOUT_IT * by_heading } else { 0.0 };
            candidate.score = (score(candidate, fit, wanted, place.passage) + about_it).max(0.0);
            candidate.meet(place.is_about_it);
        }
    }
}

fn weighted(weights: &[f32], shares: &[f32]) -> f32 {
    weights.iter().zip(shares).map(|(weight, share)| weight * share).sum()
}

impl Candidate {
    /// How much of a word the sentence has, by itself or by what is around it.
    fn likeness(&self, word: usize) -> f32 {
        self.own[word].max(self.around[word])
    }

    /// Notes what the sentence itself adds to what is around it.
    fn meet(&mut self, is_about_it: bool) {
        self.met = (0..).zip(&self.own).filter(|(_, own)| **own > 0.0).map(|(word, own)| (word, *own)).collect();
        let is_news = |word: usize| self.around[word] < MIN_FIT_COMPARED;
        if is_about_it || self.met.iter().any(|(word, _)| is_news(*word)) {
            self.met.retain(|(word, _)| is_news(*word));
        }
    }
}

/// What is said about it besides its words: where it was found, and whether it is a good sentence at all.
fn score(candidate: &Candidate, fit: f32, wanted: &Wanted, passage: &Passage) -> f32 {
    let text = &candidate.sentence.text;
    let mut score = fit + 0.2 * passage.score.clamp(0.0, 1.0) + if candidate.passage == 0 { 0.05 } else { 0.0 };
    let mut adjust = |applies: bool, by: f32| score += if applies { by } else { 0.0 };
    adjust(candidate.measured, 0.25);
    adjust(candidate.sentence.is_row && !wanted.is_measured(), -0.1);
    adjust(text.ends_with('?'), -0.4);
    adjust(candidate.sentence.is_fragment, -0.2);
    adjust(candidate.words < 3, -0.2);
    adjust(candidate.words > 45, -0.15);
    // Without any of the question's words only the passage speaks for it.
    adjust(fit <= 0.05, 0.1);
    score
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_asked_there_is_a_bound_to_what_is_compared() {
        let words = |count: usize| (0..count).map(|n| format!("w{n}x ")).collect::<String>();
        let text = "It is so. ".repeat(100_000);
        let passages = vec![Passage::sample(&words(100_000), Some(&words(100_000)), &text); 100];
        let (wanted, candidates) = rated(&words(100_000), &passages);
        assert_eq!((wanted.words.len(), candidates.len()), (64, MAX_CANDIDATES));
        assert_eq!(wanted.words[63].stem, "w63x", "the first words count");
    }
}
