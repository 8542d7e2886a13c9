//! How well every sentence of the passages fits a question. Pure.
//!
//! A sentence is worth the share of the question's words that it has, rare words more than frequent ones; words of its
//! headings count half, of its document's title a third. A sentence that points back ("It costs 5 €") has most of the
//! words of what it points to. The words are compared by their English stems, and a few families of words that
//! customers use for one another count as near hits.

use std::collections::{HashMap, HashSet};

use unicode_segmentation::UnicodeSegmentation;

use super::{
    question::{Stems, Wanted, likeness},
    sentences::{Sentence, sentences},
};
use crate::knowledge::Passage;

/// Sentences beyond these are not looked at: no prompt has that many, and every choice compares all of them.
const MAX_CANDIDATES: usize = 2000;
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

/// A sentence in the running.
pub(super) struct Candidate {
    /// Index of its passage.
    pub(super) passage: usize,
    pub(super) sentence: Sentence,
    /// Its own stems.
    pub(super) stems: HashSet<String>,
    pub(super) words: usize,
    /// Zero: it does not answer the question.
    pub(super) score: f32,
    /// Whether it has a number of the kind that was asked for.
    pub(super) measured: bool,
    /// The sentence that names what this one only points to.
    pub(super) antecedent: Option<usize>,
    /// The words of the question that it has by itself, and how much of them; only those that what is around it does
    /// not have, unless there are none and it stands elsewhere than under what is asked for.
    pub(super) met: HashMap<String, f32>,
}

/// What the question wants, and all sentences of the passages with their scores.
pub(super) fn rated(question: &str, passages: &[Passage]) -> (Wanted, Vec<Candidate>) {
    let stems = Stems::new();
    let wanted = Wanted::new(question, &stems);
    let mut candidates = candidates(passages, &stems);
    rate(&mut candidates, &wanted, passages, &stems);
    (wanted, candidates)
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

/// The sentence that names what this one only points to: before it, in its paragraph, one that does not point back
/// itself. The last one that names what the heading names, or else simply the last one.
fn antecedent(candidates: &[Candidate], at: usize, heading: &HashSet<String>) -> Option<usize> {
    let this = &candidates[at];
    if !points_back(&this.sentence.text) {
        return None;
    }
    let before = (0..at).rev().map(|at| (at, &candidates[at]));
    let before =
        before.take_while(|(_, other)| other.passage == this.passage && other.sentence.block == this.sentence.block);
    let mut before = before.filter(|(_, other)| !points_back(&other.sentence.text));
    let names_it = |other: &Candidate| !heading.is_empty() && heading.is_subset(&other.stems);
    let found = before.clone().find(|(_, other)| names_it(other)).or_else(|| before.next());
    found.map(|(found, _)| found)
}

fn candidates(passages: &[Passage], stems: &Stems) -> Vec<Candidate> {
    let all = passages
        .iter()
        .enumerate()
        .flat_map(|(passage, found)| sentences(&found.text).into_iter().map(move |sentence| (passage, sentence)));
    let candidates = all.take(MAX_CANDIDATES).map(|(passage, sentence)| Candidate {
        passage,
        stems: stems.of(&sentence.text),
        words: sentence.text.unicode_words().count(),
        sentence,
        score: 0.0,
        measured: false,
        antecedent: None,
        met: HashMap::new(),
    });
    candidates.collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts of sentences and words are small")]
fn rate(candidates: &mut [Candidate], wanted: &Wanted, passages: &[Passage], stems: &Stems) {
    let count = candidates.len() as f32;
    let has = |stem: &str| candidates.iter().filter(|candidate| candidate.stems.contains(stem)).count() as f32;
    // Rare words weigh more, but not much more: in passages that were found for a question, its subject is everywhere.
    // A long number, such as a code, is all the question is about.
    let is_code = |stem: &str| stem.len() > 2 && stem.bytes().all(|c| c.is_ascii_digit());
    let factor = |stem: &str| if is_code(stem) { 2.0 } else { 1.0 };
    let weight = |stem: &str| factor(stem) * (1.0 + 0.35 * (1.0 + count / (1.0 + has(stem))).ln());
    let weights: Vec<(&str, f32)> = wanted.stems.iter().map(|stem| (stem.as_str(), weight(stem))).collect();
    let total: f32 = weights.iter().map(|(_, weight)| weight).sum();
    let around: Vec<Around> = (0..candidates.len()).map(|at| Around::new(candidates, at, passages, stems)).collect();
    let is_known = |name: &String| {
        let mut all = candidates.iter().zip(&around);
        all.any(|(candidate, around)| around.likeness(name, candidate) > 0.0)
    };
    let knows_all = wanted.names.iter().all(is_known);
    for (candidate, around) in candidates.iter_mut().zip(around) {
        let likenesses: Vec<f32> = weights.iter().map(|(stem, _)| around.likeness(stem, candidate)).collect();
        let met: f32 = weights.iter().zip(&likenesses).map(|((_, weight), likeness)| weight * likeness).sum();
        let fit = if total > 0.0 { met / total } else { 0.0 };
        candidate.measured = wanted.is_measured_by(&candidate.sentence.text);
        let passage = &passages[candidate.passage];
        let is_strong = passage.score >= STRONG_PASSAGE && total > 0.0;
        let fits = match &wanted.must {
            _ if wanted.compares => candidate.measured && likenesses.iter().all(|share| *share >= MIN_FIT_COMPARED),
            Some(must) if !candidate.measured || around.likeness(must, candidate) < MIN_FIT_COMPARED => false,
            _ if !knows_all => fit >= MIN_FIT_STRANGE,
            Some(_) => fit >= MIN_FIT,
            None => fit >= MIN_FIT || is_strong,
        };
        if fits {
            let share = |own: f32, weight: &f32| own * weight / total.max(1.0);
            let by_heading = weights.iter().map(|(stem, weight)| share(likeness(stem, &around.heading), weight));
            let about_it = if around.is_about_it(wanted) { ABOUT_IT * by_heading.sum::<f32>() } else { 0.0 };
            candidate.score = (score(candidate, fit, wanted, passage) + about_it).max(0.0);
            candidate.antecedent = around.antecedent;
            let own = weights.iter().map(|(stem, _)| ((*stem).to_owned(), likeness(stem, &candidate.stems)));
            candidate.met = own.filter(|(_, own)| *own > 0.0).collect();
            let is_news = |stem: &str| around.of_surroundings(stem) < MIN_FIT_COMPARED;
            if around.is_about_it(wanted) || candidate.met.keys().any(|stem| is_news(stem)) {
                candidate.met.retain(|stem, _| is_news(stem));
            }
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

/// The stems of what a sentence stands under and points to.
struct Around {
    heading: HashSet<String>,
    /// Whether the heading has a "not": what stands under it is about the contrary.
    denies: bool,
    antecedent: Option<usize>,
    title: HashSet<String>,
    context: HashSet<String>,
    /// Of a sentence that points back: the subject of what it points to, and all of that.
    pointed_to: Option<[HashSet<String>; 2]>,
}

impl Around {
    fn new(candidates: &[Candidate], at: usize, passages: &[Passage], stems: &Stems) -> Self {
        let this = &candidates[at];
        let passage = &passages[this.passage];
        let heading = passage.heading.as_deref().and_then(|path| path.rsplit(" › ").next()).unwrap_or("");
        let denies = heading.unicode_words().any(|word| matches!(word, "not" | "cannot"));
        let heading = stems.of(heading);
        let antecedent = antecedent(candidates, at, &heading);
        let pointed_to = antecedent.map(|before| {
            let before = &candidates[before];
            let subject: Vec<&str> =
                before.sentence.text.unicode_words().take(SUBJECT_WORDS).take_while(|word| !is_verb(word)).collect();
            [stems.of(&subject.join(" ")), before.stems.clone()]
        });
        Self {
            heading,
            denies,
            antecedent,
            title: stems.of(&format!("{} {}", passage.title, passage.heading.as_deref().unwrap_or(""))),
            context: stems.of(&this.sentence.context),
            pointed_to,
        }
    }

    /// How much of `stem` the sentence has, by itself or by what is around it.
    fn likeness(&self, stem: &str, of: &Candidate) -> f32 {
        likeness(stem, &of.stems).max(self.of_surroundings(stem))
    }

    fn of_surroundings(&self, stem: &str) -> f32 {
        let around = [(0.5, &self.context), (0.5, &self.heading), (0.33, &self.title)];
        let back = self.pointed_to.iter().flat_map(|[subject, all]| [(0.8, subject), (0.5, all), (0.8, &self.heading)]);
        let around = around.into_iter().chain(back).map(|(share, stems)| share * likeness(stem, stems));
        around.fold(0.0, f32::max)
    }

    /// Whether it stands under a heading that has nothing but words of the question.
    fn is_about_it(&self, wanted: &Wanted) -> bool {
        !self.denies && !self.heading.is_empty() && self.heading.is_subset(&wanted.own)
    }
}

fn is_verb(word: &str) -> bool {
    ["is", "are", "was", "were", "has", "have", "can", "may", "must", "should", "will", "does", "do"].contains(&word)
}
