//! What of a text words are searched by: its terms. Pure.
//!
//! A term is a word without its capitals, its accents and its ending. The ending depends on the language. Letters of
//! their own tell it; the languages that are written in Latin ones are told apart by their small words, and what shows
//! none is taken for English. A question is too short for that, so its words are looked for in every language.
//! Terms of other languages than English that are written in Latin letters carry its mark, so that they meet only their
//! own.
//!
//! Where words are not separated (Chinese, Japanese, Thai) or grow together with what follows them (Korean), a term is a
//! pair of neighbouring characters.

use std::{borrow::Cow, collections::HashSet};

use rust_stemmers::Stemmer;
use tokenizers::NormalizedString;

use self::{
    letters::{Letters, folded, is_joined},
    tongues::Tongue,
};

mod letters;
mod tongues;

/// Changes whenever the same text would have other terms, so that what was indexed by others is not read.
pub(crate) const TERMS_VERSION: &str = "1";

/// The characters of a question that are looked for.
const MAX_QUESTION_CHARS: usize = 1000;
/// The longest word, in bytes; longer ones are left out. The longest hash that people quote has 64.
const MAX_WORD_BYTES: usize = 80;

/// The terms of what stands in the index, in the order of the text and separated by spaces. `whole`: the language of the
/// text that it is a part of; its own one counts for more when it shows one.
pub(crate) fn indexed(text: &str, whole: Language) -> String {
    let text = composed(text);
    let tongue = Tongue::of(words(&text)).unwrap_or(whole.0);
    let mut terms = String::with_capacity(text.len());
    for piece in pieces(&text) {
        match piece {
            Piece::Word(word) if tongue.is_small(&word) => {}
            Piece::Word(word) => push(&mut terms, &tongue.term(&word)),
            Piece::Run(run) => characters(&run, true).for_each(|term| push(&mut terms, term)),
        }
    }
    terms
}

/// The terms of a short text, in its order: without the small words of its language, or all when it has no others. A word has
/// the same term whatever stands beside it, for a few words hardly tell their language: Latin ones lose the endings of English
/// and then those of German.
pub(crate) fn plain(text: &str) -> Vec<String> {
    let text = composed(text);
    let tongue = Tongue::of(words(&text)).unwrap_or(Tongue::English);
    let read = |small: bool| {
        let wanted =
            pieces(&text).filter(|piece| small || !matches!(piece, Piece::Word(word) if tongue.is_small(word)));
        wanted
            .flat_map(|piece| match piece {
                Piece::Word(word) => vec![plain_term(&word)],
                Piece::Run(run) => characters(&run, true).map(str::to_owned).collect(),
            })
            .collect::<Vec<_>>()
    };
    let terms = read(false);
    if terms.is_empty() { read(true) } else { terms }
}

fn plain_term(word: &str) -> String {
    if word.chars().map(Letters::of).find(|letters| *letters != Letters::Other) != Some(Letters::Latin) {
        return Tongue::English.term(word);
    }
    let english = Stemmer::create(Tongue::English.algorithm()).stem(word).into_owned();
    folded(&Stemmer::create(Tongue::German.algorithm()).stem(&english))
}

/// The language of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Language(Tongue);

impl Language {
    /// By its small words.
    pub(crate) fn of(text: &str) -> Self {
        Self(Tongue::of(words(&composed(text))).unwrap_or(Tongue::English))
    }
}

/// The terms that answer to a question, each once.
pub(crate) fn asked(question: &str) -> Vec<String> {
    let mut seen = HashSet::new();
    let terms = Question::of(question).words.into_iter().flat_map(|word| word.terms);
    terms.filter(|term| seen.insert(term.clone())).collect()
}

/// A question's words that say what it is about.
#[derive(Debug)]
pub(crate) struct Question {
    words: Vec<Word>,
}

#[derive(Debug)]
struct Word {
    chars: usize,
    /// What it may be in the index.
    terms: Vec<String>,
}

impl Question {
    /// Without the small words of its language; with them if it has no others.
    pub(crate) fn of(question: &str) -> Self {
        let start = question.char_indices().nth(MAX_QUESTION_CHARS).map_or(question, |(end, _)| &question[..end]);
        let text = composed(start);
        let own = Tongue::of(words(&text)).unwrap_or(Tongue::English);
        let mut seen = HashSet::new();
        let pieces: Vec<Piece> = pieces(&text).filter(|piece| seen.insert(piece.clone())).collect();
        let read = |small: bool| {
            let wanted =
                pieces.iter().filter(|piece| small || !matches!(piece, Piece::Word(word) if own.is_small(word)));
            wanted.flat_map(Word::of).collect::<Vec<_>>()
        };
        let words = read(false);
        Self { words: if words.is_empty() { read(true) } else { words } }
    }

    /// The share of the words that are in one of `texts`, 0 to 1, long words counting for more: they are the rarer ones.
    /// 1 when all are there, whatever else is. Costs as much as reading both.
    #[expect(clippy::cast_precision_loss, reason = "a question has few characters")]
    pub(crate) fn share<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> f32 {
        let texts: Vec<Cow<'_, str>> = texts.into_iter().map(composed).collect();
        let words = texts.iter().flat_map(|text| pieces(text)).flat_map(|piece| Word::of(&piece));
        let there: HashSet<String> = words.flat_map(|word| word.terms).collect();
        let is_there = |word: &&Word| word.terms.iter().any(|term| there.contains(term));
        let weight = |words: &mut dyn Iterator<Item = &Word>| words.map(|word| word.chars).sum::<usize>() as f32;
        let all = weight(&mut self.words.iter());
        if all == 0.0 { 0.0 } else { weight(&mut self.words.iter().filter(is_there)) / all }
    }
}

impl Word {
    /// A word is one, and a run of characters one for each pair.
    fn of(piece: &Piece) -> Vec<Self> {
        match piece {
            Piece::Word(word) => {
                let mut terms: Vec<String> = Tongue::ALL.iter().map(|tongue| tongue.term(word)).collect();
                terms.sort_unstable();
                terms.dedup();
                vec![Self { chars: word.chars().count(), terms }]
            }
            Piece::Run(run) => characters(run, false)
                .map(|term| Self { chars: term.chars().count(), terms: vec![term.to_owned()] })
                .collect(),
        }
    }
}

/// A part of a text between what is neither letter nor digit, in small letters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Piece {
    Word(String),
    /// Characters between which no word ends visibly.
    Run(String),
}

/// One form for what can be written in several: letters with their accents in one character, letters and digits of the
/// usual width.
fn composed(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut normalized = NormalizedString::from(text);
    normalized.nfkc();
    Cow::Owned(normalized.get().to_owned())
}

fn pieces(text: &str) -> impl Iterator<Item = Piece> + '_ {
    let parts = text.split(|c: char| !c.is_alphanumeric() && !is_joined(c)).filter(|part| !part.is_empty());
    parts.flat_map(|part| {
        let mut rest = part;
        std::iter::from_fn(move || {
            let letters = Letters::of(rest.chars().next()?);
            let is_other = |(_, c): &(usize, char)| {
                !is_joined(*c) && (Letters::of(*c) == Letters::Run) != (letters == Letters::Run)
            };
            let end = rest.char_indices().find(is_other).map_or(rest.len(), |(at, _)| at);
            let (piece, after) = rest.split_at(end);
            rest = after;
            let small = piece.to_lowercase();
            Some(if letters == Letters::Run { Piece::Run(small) } else { Piece::Word(small) })
        })
        .filter(|piece| {
            matches!(piece, Piece::Run(_)) || matches!(piece, Piece::Word(word) if word.len() <= MAX_WORD_BYTES)
        })
    })
}

fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    pieces(text).filter_map(|piece| if let Piece::Word(word) = piece { Some(word) } else { None })
}

/// Pairs of neighbours; what stands alone, as it is. With `single`, every character that is a word by itself, too.
fn characters(run: &str, single: bool) -> impl Iterator<Item = &str> {
    let starts: Vec<usize> = run.char_indices().map(|(at, _)| at).chain([run.len()]).collect();
    let count = starts.len() - 1;
    let alone = (count == 1).then_some(run);
    let ones: Vec<&str> = starts.windows(2).map(|pair| &run[pair[0]..pair[1]]).collect();
    let ones = ones.into_iter().filter(move |one| single && count > 1 && one.chars().all(letters::is_ideograph));
    let pairs: Vec<&str> = starts.windows(3).map(|three| &run[three[0]..three[2]]).collect();
    alone.into_iter().chain(pairs).chain(ones)
}

fn push(terms: &mut String, term: &str) {
    if !term.is_empty() {
        if !terms.is_empty() {
            terms.push(' ');
        }
        terms.push_str(term);
    }
}

impl Tongue {
    /// The term of a word, if this is its language. Its letters may know better.
    fn term(self, word: &str) -> String {
        let letters = word.chars().map(Letters::of).find(|letters| *letters != Letters::Other);
        let tongue = match (letters, self) {
            (Some(Letters::Cyrillic), _) => Self::Russian,
            (_, Self::Russian) => Self::English,
            _ => self,
        };
        let stem = |word: &str| Stemmer::create(tongue.algorithm()).stem(word).into_owned();
        match letters {
            // In what is Russian, an accent makes another letter; but dots are often left out.
            Some(Letters::Cyrillic) => stem(&word.replace('ё', "е")),
            Some(_) => format!("{}{}", tongue.mark(), folded(&stem(word))),
            // What has no letters of these is the same in all languages.
            None => folded(word),
        }
    }
}

#[cfg(test)]
mod tests;
