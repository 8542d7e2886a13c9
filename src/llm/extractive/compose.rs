//! Chooses the sentences of the passages that answer a question, and puts them in order. Pure.

use std::collections::HashMap;

use super::{
    question::Wanted,
    rating::{Candidate, rated},
};
use crate::knowledge::Passage;

/// Said when no sentence fits.
pub const NOTHING_FOUND: &str =
    "I found nothing about this in the knowledge base. Try other words, or add a document that covers it.";

const MAX_SENTENCES: usize = 4;
const MAX_WORDS: usize = 90;
/// How many sentences are set side by side when something is compared.
const MAX_COMPARED: usize = 6;
/// What a sentence needs at least to fit the question at all.
const MIN_SCORE: f32 = 0.2;
/// What a further sentence needs of the best one's score: in the same passage, in another one, and as a further row
/// of a table, which belongs there only when the question means all of them.
const MIN_SHARE: f32 = 0.6;
const MIN_SHARE_ELSEWHERE: f32 = 0.8;
const MIN_SHARE_ROW: f32 = 0.9;
/// What a further sentence itself has to have of the question's words that the best one has.
const MIN_SHARE_MET: f32 = 0.65;
/// From this similarity on, a sentence repeats another.
const SAME: f32 = 0.6;
/// The characters of a question that are read: those that the word index is asked for.
const MAX_QUESTION_CHARS: usize = 1000;

/// Answers `question` with sentences of `passages`, which are numbered from 1 in their order. Markdown; a `[n]` after
/// each sentence says which passage it is from.
///
/// Of the question the first 1,000 characters are read, and of them the first 64 different words that carry something.
/// Of the passages, the first 50 and 4 KiB of each, and of them the first 500 sentences. So what an answer costs has a
/// bound, whatever is asked.
#[must_use]
pub fn compose(question: &str, passages: &[Passage]) -> String {
    let (wanted, candidates) = rated(read(question), passages);
    let chosen = if wanted.compares { choose_all(&candidates) } else { choose(&candidates, &wanted) };
    write(&candidates, chosen)
}

/// What is read of a question.
pub(super) fn read(question: &str) -> &str {
    question.char_indices().nth(MAX_QUESTION_CHARS).map_or(question, |(end, _)| &question[..end])
}

/// The best sentence of every passage, for a question about the most or the least of something: whoever reads them can
/// compare. One alone proves nothing.
fn choose_all(candidates: &[Candidate]) -> Vec<usize> {
    let mut best: Vec<usize> = Vec::new();
    for at in (0..candidates.len()).filter(|&at| candidates[at].score > 0.0) {
        match best.last_mut() {
            Some(last) if candidates[*last].passage == candidates[at].passage && !candidates[at].sentence.is_row => {
                if candidates[at].score > candidates[*last].score {
                    *last = at;
                }
            }
            _ => best.push(at),
        }
    }
    best.truncate(MAX_COMPARED);
    if best.len() < 2 {
        return Vec::new();
    }
    let with: Vec<usize> = best.iter().filter_map(|&at| candidates[at].antecedent).collect();
    best.extend(with.into_iter().filter(|at| !best.contains(at)).collect::<Vec<_>>());
    best
}

/// The indices of the sentences to be said, in no order.
fn choose(candidates: &[Candidate], wanted: &Wanted) -> Vec<usize> {
    let mut chosen: Vec<usize> = Vec::new();
    let mut words = 0;
    // What is left, and what it adds: its score less what was said already.
    let fitting = (0..candidates.len()).filter(|&at| candidates[at].score >= MIN_SCORE);
    let mut left: Vec<(usize, f32)> = fitting.map(|at| (at, candidates[at].score)).collect();
    while chosen.len() < MAX_SENTENCES {
        let Some((next, worth)) = left.iter().copied().reduce(|a, b| if b.1 > a.1 { b } else { a }) else {
            break;
        };
        left.retain(|(at, _)| *at != next);
        // The best one is chosen first.
        if let Some(best) = chosen.first().map(|&at| &candidates[at]) {
            let next = &candidates[next];
            let share = match next.passage == best.passage {
                true if next.sentence.is_row && best.sentence.is_row => MIN_SHARE_ROW,
                true => MIN_SHARE,
                false => MIN_SHARE_ELSEWHERE,
            };
            // A number that was asked for and found is the answer; the rest would only be about the same thing.
            let misses = match best.measured {
                _ if wanted.a_contact && next.measured => false,
                true if wanted.is_measured() && !next.measured => true,
                _ => !adds_to(next, best) && met_of(next, best) < MIN_SHARE_MET,
            };
            if misses || worth < share * best.score {
                continue;
            }
        }
        let with = candidates[next].antecedent.filter(|at| !chosen.contains(at));
        let more: usize = with.iter().chain([&next]).map(|&at| candidates[at].words).sum();
        let fits = words + more <= MAX_WORDS && chosen.len() + with.iter().count() < MAX_SENTENCES;
        if chosen.is_empty() || (fits && repeats(candidates, &chosen, next) < SAME) {
            words += more;
            chosen.push(next);
            chosen.extend(with);
            left.retain(|(at, _)| !chosen.contains(at));
            for (at, worth) in &mut left {
                *worth = candidates[*at].score * (1.0 - 0.5 * repeats(candidates, &chosen, *at));
            }
        }
    }
    chosen
}

/// Whether `next` itself says something of the question that `best` does not.
fn adds_to(next: &Candidate, best: &Candidate) -> bool {
    next.met.iter().any(|(word, _)| best.own[*word] == 0.0)
}

/// How much `next` itself says of what `best` itself says about the question, 0 to 1.
fn met_of(next: &Candidate, best: &Candidate) -> f32 {
    let total: f32 = best.met.iter().map(|(_, share)| share).sum();
    let own = |(word, share): &(usize, f32)| next.own[*word].min(*share);
    if total > 0.0 { best.met.iter().map(own).sum::<f32>() / total } else { 1.0 }
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

/// The chosen sentences: the passage of the best one first, and those of a passage as they stand there.
fn write(candidates: &[Candidate], mut chosen: Vec<usize>) -> String {
    if chosen.is_empty() {
        return NOTHING_FOUND.to_owned();
    }
    let mut best: HashMap<usize, f32> = HashMap::new();
    for &at in &chosen {
        let score = best.entry(candidates[at].passage).or_default();
        *score = score.max(candidates[at].score);
    }
    let rank = |at: usize| best.get(&candidates[at].passage).copied().unwrap_or(0.0);
    chosen.sort_by(|&a, &b| rank(b).total_cmp(&rank(a)).then(a.cmp(&b)));
    let mut text = String::new();
    for at in chosen {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&markdown(&candidates[at].sentence.text));
        text.push_str(&format!(" [{}]", candidates[at].passage + 1));
    }
    text
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
