//! Chooses the sentences of the passages that answer a question, and puts them in order. Pure.
//!
//! A sentence is worth the share of the question's words that it has, rare words more than frequent ones; words of its
//! headings count half, of its document's title a third. The words are compared by their English stems, and a few
//! families of words that customers use for one another count as near hits.

use std::collections::{HashMap, HashSet};

use rust_stemmers::{Algorithm, Stemmer};
use unicode_segmentation::UnicodeSegmentation;

use super::sentences::{Sentence, sentences};
use crate::{
    chat::{Citation, utf16_len},
    knowledge::Passage,
};

/// Said when no sentence fits.
pub const NOTHING_FOUND: &str =
    "I found nothing about this in the knowledge base. Try other words, or add a document that covers it.";

const MAX_SENTENCES: usize = 4;
const MAX_WORDS: usize = 90;
/// Sentences beyond these are not looked at: no prompt has that many, and every choice compares all of them.
const MAX_CANDIDATES: usize = 2000;
/// What a sentence needs at least to fit the question at all.
const MIN_SCORE: f32 = 0.2;
/// What a further sentence needs of the best one's score: in the same passage, in another one, and as a further row
/// of a table, which belongs there only when the question means all of them.
const MIN_SHARE: f32 = 0.6;
const MIN_SHARE_ELSEWHERE: f32 = 0.8;
const MIN_SHARE_ROW: f32 = 0.9;
/// From this similarity on, a sentence repeats another.
const SAME: f32 = 0.6;
/// A passage that fits so well may answer without any of the question's words.
const STRONG_PASSAGE: f32 = 0.6;

/// An answer made of sentences of the passages.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Markdown; a `[n]` after each sentence says which passage it is from.
    pub text: String,
    /// Which stretch rests on which passage; the marks are not part of the stretch.
    pub citations: Vec<Citation>,
}

/// A sentence in the running.
struct Candidate {
    /// Index of its passage.
    passage: usize,
    sentence: Sentence,
    /// Its own stems.
    stems: HashSet<String>,
    words: usize,
    score: f32,
}

/// Answers `question` with sentences of `passages`, which are numbered from 1 in their order.
#[must_use]
pub fn compose(question: &str, passages: &[Passage]) -> Answer {
    let stems = Stems::new();
    let wanted = Wanted::new(question, &stems);
    let mut candidates = candidates(passages, &stems);
    rate(&mut candidates, &wanted, passages, &stems);
    let chosen = choose(&candidates);
    write(&candidates, chosen)
}

/// Words that carry nothing by themselves.
const STOP_WORDS: &[&str] = &[
    "a", "about", "after", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be", "because", "been", "but",
    "by", "can", "could", "did", "do", "does", "doing", "for", "from", "get", "give", "had", "has", "have", "he",
    "her", "here", "his", "how", "i", "if", "in", "into", "is", "it", "its", "just", "know", "let", "like", "long",
    "many", "may", "me", "might", "more", "most", "much", "must", "my", "need", "no", "not", "of", "on", "one", "only",
    "or", "our", "out", "please", "shall", "she", "should", "so", "some", "such", "tell", "than", "that", "the",
    "their", "them", "then", "there", "these", "they", "this", "those", "to", "too", "us", "very", "want", "was", "we",
    "were", "what", "when", "where", "which", "who", "whom", "whose", "why", "will", "with", "would", "you", "your",
];

/// Words that stand for one another when a customer asks, as stems.
const FAMILIES: &[&[&str]] = &[
    &["contact", "email", "phone", "call", "reach"],
    &["price", "cost", "fee", "charg", "expens", "cheap"],
    &["return", "refund", "exchang"],
    &["deliveri", "deliv", "ship", "shipment", "dispatch", "arriv"],
    &["open", "hour"],
    &["order", "buy", "purchas", "bought"],
    &["pay", "payment", "paid", "invoic"],
    &["cancel", "termin", "unsubscrib"],
    &["broken", "defect", "damag", "faulti"],
    &["delet", "remov", "eras"],
    &["instal", "setup", "configur"],
];

/// Which of the families is about reaching somebody.
const CONTACT: usize = 0;

/// What a word of the question is worth in a sentence that has a relative of it only.
const FAMILY_SHARE: f32 = 0.6;

struct Stems(Stemmer);

impl Stems {
    fn new() -> Self {
        Self(Stemmer::create(Algorithm::English))
    }

    /// The stems of the words that carry something.
    fn of(&self, text: &str) -> HashSet<String> {
        let words = text.unicode_words().map(str::to_lowercase);
        let words = words.filter(|word| !STOP_WORDS.contains(&word.split(['\'', '’']).next().unwrap_or(word)));
        words.map(|word| self.0.stem(&word.replace('’', "'")).into_owned()).collect()
    }
}

/// What a question asks for.
struct Wanted {
    stems: HashSet<String>,
    /// It asks for an amount, a price, a time: a sentence with a number answers it better.
    a_number: bool,
    /// It asks how to reach somebody: a sentence with an address or a number to call answers it better.
    a_contact: bool,
}

impl Wanted {
    fn new(question: &str, stems: &Stems) -> Self {
        const NUMBERS: &[&str] =
            &["how much", "how many", "how long", "how old", "how fast", "how often", "when", "price", "cost"];
        let lower = question.to_lowercase();
        let stems = stems.of(question);
        let a_contact = stems.iter().any(|stem| FAMILIES[CONTACT].contains(&stem.as_str()));
        Self { stems, a_number: NUMBERS.iter().any(|words| lower.contains(words)), a_contact }
    }
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
    });
    candidates.collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts of sentences and words are small")]
fn rate(candidates: &mut [Candidate], wanted: &Wanted, passages: &[Passage], stems: &Stems) {
    let count = candidates.len() as f32;
    let has = |stem: &str| candidates.iter().filter(|candidate| candidate.stems.contains(stem)).count() as f32;
    // Rare words weigh more, but not much more: in passages that were found for a question, its subject is everywhere.
    let weight = |stem: &str| 1.0 + 0.35 * (1.0 + count / (1.0 + has(stem))).ln();
    let weights: Vec<(&str, f32)> = wanted.stems.iter().map(|stem| (stem.as_str(), weight(stem))).collect();
    let total: f32 = weights.iter().map(|(_, weight)| weight).sum();
    let titles: Vec<HashSet<String>> = passages
        .iter()
        .map(|passage| stems.of(&format!("{} {}", passage.title, passage.heading.as_deref().unwrap_or(""))))
        .collect();
    for candidate in candidates {
        let context = stems.of(&candidate.sentence.context);
        let title = &titles[candidate.passage];
        let met: f32 = weights
            .iter()
            .map(|(stem, weight)| {
                let own = likeness(stem, &candidate.stems);
                weight * own.max(0.5 * likeness(stem, &context)).max(0.33 * likeness(stem, title))
            })
            .sum();
        let fit = if total > 0.0 { met / total } else { 0.0 };
        candidate.score = score(candidate, fit, wanted, &passages[candidate.passage]);
    }
}

/// What is said about it besides its words: where it was found, and whether it is a good sentence at all.
fn score(candidate: &Candidate, fit: f32, wanted: &Wanted, passage: &Passage) -> f32 {
    let text = &candidate.sentence.text;
    let strong = passage.score >= STRONG_PASSAGE && !wanted.stems.is_empty();
    if fit <= 0.05 && !strong {
        return 0.0;
    }
    let mut score = fit + 0.2 * passage.score.clamp(0.0, 1.0) + if candidate.passage == 0 { 0.05 } else { 0.0 };
    let mut adjust = |applies: bool, by: f32| score += if applies { by } else { 0.0 };
    adjust(wanted.a_number && text.contains(|c: char| c.is_ascii_digit()), 0.15);
    adjust(wanted.a_contact && (text.contains('@') || text.contains("+")), 0.15);
    adjust(candidate.sentence.is_row && !wanted.a_number, -0.1);
    adjust(text.ends_with('?'), -0.4);
    adjust(candidate.sentence.is_fragment, -0.2);
    adjust(candidate.words < 3, -0.2);
    adjust(candidate.words > 45, -0.15);
    // Without any of the question's words only the passage speaks for it.
    adjust(fit <= 0.05, 0.1);
    score
}

/// How much of `stem` is in `stems`: all, a relative, or nothing.
fn likeness(stem: &str, stems: &HashSet<String>) -> f32 {
    if stems.contains(stem) {
        return 1.0;
    }
    let family = FAMILIES.iter().find(|family| family.contains(&stem));
    let related = family.is_some_and(|family| family.iter().any(|relative| stems.contains(*relative)));
    if related { FAMILY_SHARE } else { 0.0 }
}

/// The indices of the sentences to be said, in no order.
fn choose(candidates: &[Candidate]) -> Vec<usize> {
    let mut chosen: Vec<usize> = Vec::new();
    let mut words = 0;
    let mut left: Vec<usize> = (0..candidates.len()).filter(|&at| candidates[at].score >= MIN_SCORE).collect();
    while chosen.len() < MAX_SENTENCES {
        // What a sentence adds: its score less what was said already.
        let worth = |at: usize| candidates[at].score * (1.0 - 0.5 * repeats(candidates, &chosen, at));
        let Some(next) = left.iter().copied().reduce(|a, b| if worth(b) > worth(a) { b } else { a }) else {
            break;
        };
        let worth = worth(next);
        left.retain(|&at| at != next);
        // The best one is chosen first.
        if let Some(best) = chosen.first().map(|&at| &candidates[at]) {
            let next = &candidates[next];
            let share = match next.passage == best.passage {
                true if next.sentence.is_row && best.sentence.is_row => MIN_SHARE_ROW,
                true => MIN_SHARE,
                false => MIN_SHARE_ELSEWHERE,
            };
            if worth < share * best.score {
                continue;
            }
        }
        let with = antecedent(candidates, &chosen, next);
        let more: usize = with.iter().chain([&next]).map(|&at| candidates[at].words).sum();
        let fits = words + more <= MAX_WORDS && chosen.len() + with.iter().count() < MAX_SENTENCES;
        if chosen.is_empty() || (fits && repeats(candidates, &chosen, next) < SAME) {
            words += more;
            chosen.push(next);
            chosen.extend(with);
            left.retain(|at| !chosen.contains(at));
        }
    }
    chosen
}

/// How much of the sentence has been said, 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "counts of words are small")]
fn repeats(candidates: &[Candidate], chosen: &[usize], at: usize) -> f32 {
    let this = &candidates[at];
    let own = &this.stems;
    let others = chosen.iter().map(|&said| &candidates[said]);
    let others = others.filter(|said| !(said.sentence.is_row && this.sentence.is_row && said.passage == this.passage));
    let shared = others.map(|said| {
        let said = &said.stems;
        own.intersection(said).count() as f32 / own.len().min(said.len()).max(1) as f32
    });
    shared.fold(0.0, f32::max)
}

/// The sentence that names what this one only points to: the last one before it, in its paragraph, that does not point
/// back itself.
fn antecedent(candidates: &[Candidate], chosen: &[usize], at: usize) -> Option<usize> {
    let this = &candidates[at];
    if !points_back(&this.sentence.text) {
        return None;
    }
    let before = candidates[..at].iter().enumerate().rev();
    let mut before =
        before.take_while(|(_, other)| other.passage == this.passage && other.sentence.block == this.sentence.block);
    let (found, _) = before.find(|(_, other)| !points_back(&other.sentence.text))?;
    (!chosen.contains(&found)).then_some(found)
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

/// The chosen sentences: the passage of the best one first, and those of a passage as they stand there.
fn write(candidates: &[Candidate], mut chosen: Vec<usize>) -> Answer {
    if chosen.is_empty() {
        return Answer { text: NOTHING_FOUND.to_owned(), citations: Vec::new() };
    }
    let mut best: HashMap<usize, f32> = HashMap::new();
    for &at in &chosen {
        let score = best.entry(candidates[at].passage).or_default();
        *score = score.max(candidates[at].score);
    }
    let rank = |at: usize| best.get(&candidates[at].passage).copied().unwrap_or(0.0);
    chosen.sort_by(|&a, &b| rank(b).total_cmp(&rank(a)).then(a.cmp(&b)));
    let mut text = String::new();
    let mut citations = Vec::new();
    for at in chosen {
        if !text.is_empty() {
            text.push(' ');
        }
        let start = utf16_len(&text);
        text.push_str(&markdown(&candidates[at].sentence.text));
        let n = u32::try_from(candidates[at].passage + 1).unwrap_or(u32::MAX);
        citations.push(Citation { n, start, end: utf16_len(&text) });
        text.push_str(&format!(" [{n}]"));
    }
    Answer { text, citations }
}

/// Plain text that Markdown shows as it is. Only what Markdown would take for markup is escaped.
fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let within_word = before.is_alphanumeric() && chars.peek().is_some_and(|next| next.is_alphanumeric());
        let at_start = out.is_empty() && matches!(c, '#' | '>' | '+' | '-' | '=');
        if matches!(c, '*' | '`' | '[' | ']' | '<' | '\\' | '~' | '|') || at_start || (c == '_' && !within_word) {
            out.push('\\');
        }
        out.push(c);
        before = c;
    }
    // `1.` at the start of a line would begin a list.
    let digits = out.chars().take_while(char::is_ascii_digit).count();
    if digits > 0 && out[digits..].starts_with(['.', ')']) {
        out.insert(digits, '\\');
    }
    out
}

#[cfg(test)]
mod tests;
