//! What somebody said, and what of it fills a slot. What was taken once is not taken again. Pure.

use std::ops::{Range, RangeInclusive};

use serde_json::Value;

use super::{
    definition::{Phrase, SlotKind},
    tokens::{Token, TokenKind, tokens, value_of},
    vocabulary::{is_and, is_currency, is_nothing, is_percent, months, multiple},
};
use crate::formula::number;

/// So much of what was said is looked at, in characters.
const MAX_CHARS: usize = 1000;
/// The most characters of a name or a text.
const MAX_TEXT: usize = 200;
/// The most texts of a list.
const MAX_LIST: usize = 16;
/// The most words of a name.
const MAX_NAME_WORDS: usize = 5;
/// From here on a number alone is an amount; below, it may as well be years.
const LEAST_AMOUNT: f64 = 1000.0;

/// What somebody said.
pub(super) struct Utterance<'a> {
    said: &'a str,
    tokens: Vec<Token>,
    /// Those of them that are no signs.
    words: Vec<usize>,
}

impl<'a> Utterance<'a> {
    /// Takes apart what was said, as far as it is looked at.
    pub(super) fn read(said: &'a str) -> Self {
        let said = said.char_indices().nth(MAX_CHARS).map_or(said, |(end, _)| &said[..end]);
        let tokens = tokens(said);
        let words = (0..tokens.len()).filter(|at| tokens[*at].kind != TokenKind::Sign).collect();
        Self { said, tokens, words }
    }

    /// Whether something is asked.
    pub(super) fn asks(&self) -> bool {
        self.tokens.iter().any(|token| matches!(&*token.text, "?" | "？"))
    }

    /// Where a phrase stands from a place on; `None` where it was not said.
    pub(super) fn find(&self, phrase: &Phrase, from: usize) -> Option<Range<usize>> {
        let words = &self.words[self.words.partition_point(|at| *at < from)..];
        let is_it = |window: &&[usize]| window.iter().zip(&phrase.0).all(|(at, word)| self.tokens[*at].text == *word);
        let found = words.windows(phrase.0.len()).find(is_it)?;
        Some(*found.first()?..found.last()? + 1)
    }

    /// All of it.
    pub(super) fn whole(&self) -> Range<usize> {
        0..self.tokens.len()
    }

    /// What of it fills a slot, between two places. `is_asked`: it answers a question for that, so that a number needs no more
    /// than to be one.
    pub(super) fn take(&mut self, kind: SlotKind, at: Range<usize>, is_asked: bool) -> Option<Value> {
        match kind {
            SlotKind::Money => self.amount(at.clone(), is_asked).or_else(|| self.nothing(at, is_asked)),
            SlotKind::Percent => self.number(at, |this, at| is_asked || this.is_percent(at)),
            SlotKind::Months => self.months(at.clone()).or_else(|| self.number(at, |_, _| is_asked)),
            SlotKind::Number => self.number(at, |this, at| !this.is_percent(at) && this.word(at + 1, months).is_none()),
            SlotKind::Date => self.date(at),
            SlotKind::Name | SlotKind::Text if is_asked && at == self.whole() => {
                let said: String = self.said.trim().trim_end_matches(['.', '!', '।']).chars().take(MAX_TEXT).collect();
                (!said.is_empty()).then(|| said.into())
            }
            SlotKind::Name => self.words(at, MAX_NAME_WORDS, |word| !word.starts_with(char::is_lowercase)),
            SlotKind::Text => self.words(at, usize::MAX, |_| true),
            SlotKind::List => self.list(at),
            SlotKind::Message => Some(self.said.trim().into()),
        }
    }

    /// An amount: `5 lakh`, `1 crore 20 lakh`, `₹500`; a number alone that is large, or is asked for.
    fn amount(&mut self, places: Range<usize>, is_asked: bool) -> Option<Value> {
        for first in places {
            let Some(number) = self.value(first) else { continue };
            let (mut sum, mut last) = (number, first);
            let mut is_amount = is_asked || self.is_currency(first.checked_sub(1));
            if let Some(by) = self.word(first + 1, multiple) {
                (sum, last, is_amount) = (number * by, first + 1, true);
                while let (Some(more), Some(by)) = (self.value(last + 1), self.word(last + 2, multiple)) {
                    (sum, last) = (sum + more * by, last + 2);
                }
            }
            is_amount |= self.is_currency(Some(last + 1)) || sum >= LEAST_AMOUNT;
            if is_amount && !self.is_percent(last) && self.word(last + 1, months).is_none() {
                return Some(self.taken(first..=last, sum));
            }
        }
        None
    }

    /// Nothing at all, where that answers a question for an amount.
    fn nothing(&self, places: Range<usize>, is_asked: bool) -> Option<Value> {
        let says_so = self.tokens[places].iter().any(|token| is_nothing(&token.text));
        (is_asked && says_so).then(|| 0.into())
    }

    /// Months, of all years and months that stand together.
    fn months(&mut self, mut places: Range<usize>) -> Option<Value> {
        let counted = |this: &Self, at: usize| Some(this.value(at)? * this.word(at + 1, months)?);
        let first = places.find(|at| counted(self, *at).is_some())?;
        let (mut sum, mut last) = (counted(self, first)?, first + 1);
        loop {
            let next = if self.tokens.get(last + 1).is_some_and(|and| is_and(&and.text)) { last + 2 } else { last + 1 };
            let Some(more) = counted(self, next) else { break };
            (sum, last) = (sum + more, next + 1);
        }
        Some(self.taken(first..=last, number::round(sum, 6)))
    }

    /// A number that is of the right sort.
    fn number(&mut self, mut places: Range<usize>, fits: impl Fn(&Self, usize) -> bool) -> Option<Value> {
        let at = places.find(|at| self.value(*at).is_some() && fits(self, *at))?;
        let value = self.value(at)?;
        Some(self.taken(at..=at, value))
    }

    /// A day, whichever way it is written.
    fn date(&mut self, places: Range<usize>) -> Option<Value> {
        let said = |at: usize| self.tokens.get(at).map(|token| token.text.as_str());
        let (place, parts) = places.into_iter().find_map(|at| match (said(at)?, said(at + 1), said(at + 2)) {
            (year, Some("-"), Some(month)) if said(at + 3) == Some("-") => {
                Some((at..=at + 4, [year, month, said(at + 4)?]))
            }
            (day, Some("/"), Some(month)) if said(at + 3) == Some("/") => {
                Some((at..=at + 4, [said(at + 4)?, month, day]))
            }
            (whole, ..) => {
                let mut parts = whole.split('.');
                let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
                parts.next().is_none().then_some((at..=at, [year, month, day]))
            }
        })?;
        let [year, month, day] = parts.map(|part| part.parse::<u16>().ok());
        let (year, month, day) = (year?, month?, day?);
        let days = match month {
            2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let is_day = (1000..=9999).contains(&year) && (1..=12).contains(&month) && (1..=days).contains(&day);
        self.tokens[place].iter_mut().for_each(|token| token.is_taken = true);
        is_day.then(|| format!("{year:04}-{month:02}-{day:02}").into())
    }

    /// Whether a sign stands within a word, as in "I'm" and `exchange_rate`.
    fn is_within(&self, at: usize) -> bool {
        let beside = |other: Option<usize>| other.and_then(|other| self.tokens.get(other));
        let (before, sign, after) = (beside(at.checked_sub(1)), &self.tokens[at], beside(Some(at + 1)));
        matches!(&*sign.text, "'" | "’" | "_" | "-")
            && before.is_some_and(|before| before.kind != TokenKind::Sign && before.ends == sign.begins)
            && after.is_some_and(|after| after.kind != TokenKind::Sign && after.begins == sign.ends)
    }

    /// The words from a place on, up to a sign.
    fn words(&self, at: Range<usize>, most: usize, fits: impl Fn(&str) -> bool) -> Option<Value> {
        let original = |at: usize| &self.said[self.tokens[at].begins..self.tokens[at].ends];
        let is_in = |at: &usize| match self.tokens[*at].kind {
            TokenKind::Sign => self.is_within(*at),
            TokenKind::Word | TokenKind::Number => fits(original(*at)),
        };
        let words: Vec<usize> = at.take_while(is_in).take(most).collect();
        let text = &self.said[self.tokens[*words.first()?].begins..self.tokens[*words.last()?].ends];
        Some(text.chars().take(MAX_TEXT).collect::<String>().into())
    }

    /// The texts from a place on that have commas or `and` between them, up to another sign.
    fn list(&self, mut at: Range<usize>) -> Option<Value> {
        let mut texts: Vec<Value> = Vec::new();
        while at.start < at.end && texts.len() < MAX_LIST {
            if is_and(&self.tokens[at.start].text) {
                at.start += 1;
                continue;
            }
            let ends = at.clone().find(|place| is_and(&self.tokens[*place].text)).unwrap_or(at.end);
            let Some(text) = self.words(at.start..ends, usize::MAX, |_| true) else { break };
            let ended =
                (at.start..ends).find(|place| self.tokens[*place].kind == TokenKind::Sign && !self.is_within(*place));
            texts.push(text);
            at.start = if ended.is_some() { at.end } else { ends };
        }
        (!texts.is_empty()).then(|| texts.into())
    }

    /// The number that stands there and was not taken.
    fn value(&self, at: usize) -> Option<f64> {
        let token = self.tokens.get(at).filter(|token| token.kind == TokenKind::Number && !token.is_taken)?;
        value_of(&token.text)
    }

    fn word<T>(&self, at: usize, meaning: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.tokens.get(at).and_then(|token| meaning(&token.text))
    }

    /// Whether a number is a percentage.
    fn is_percent(&self, at: usize) -> bool {
        let said = |at: usize| self.tokens.get(at).map_or("", |token| &*token.text);
        is_percent(said(at + 1)) || (said(at + 1), said(at + 2)) == ("per", "cent")
    }

    fn is_currency(&self, at: Option<usize>) -> bool {
        // `Rs. 500` has a sign in between.
        let said = |at: usize| self.tokens.get(at).map_or("", |token| &*token.text);
        at.is_some_and(|at| is_currency(said(at)) || (said(at) == "." && at > 0 && is_currency(said(at - 1))))
    }

    fn taken(&mut self, places: RangeInclusive<usize>, value: f64) -> Value {
        self.tokens[places].iter_mut().for_each(|token| token.is_taken = true);
        number::json(number::tidy(value))
    }
}

#[cfg(test)]
mod tests;
