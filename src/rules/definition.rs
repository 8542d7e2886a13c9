//! What an operator writes: intents, what each has to know, and what it says. Plain values.

use std::collections::BTreeMap;

use serde_json::Value;

use super::tokens::words_of;
use crate::formula::Template;

/// How an assistant answers without a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// What may be meant. Of two that fit alike, the first one is.
    pub intents: Vec<Intent>,
    /// Said where nothing is meant that is known.
    pub help: Words<String>,
    /// The languages that it is spoken with in; the first where nothing else is known.
    pub languages: Vec<String>,
    /// Differs when anything in it does.
    pub version: String,
}

/// Something that people may want. One that neither calls nor says anything is answered from the documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// What it is called.
    pub name: String,
    /// Any of these is said when it is meant.
    pub any: Words<Vec<Phrase>>,
    /// What it has to know.
    pub slots: Vec<Slot>,
    /// The tool that is called, with the slots as its arguments.
    pub call: Option<String>,
    /// What is said, with the names of results and slots in braces. Without: the results by name, or what the documents say.
    pub say: Option<Words<Template>>,
    /// What is said when nothing came of the call, with the name `error`. Without: what the tool says.
    pub wrong: Option<Words<Template>>,
}

/// What an intent has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// What it is called, as the tool has it.
    pub name: String,
    /// What it is.
    pub kind: SlotKind,
    /// How it is asked for when it was not said.
    pub ask: Option<Words<String>>,
    /// What it is when it was not said, and is not asked for.
    pub default: Option<Value>,
    /// What it always is, with the names of other slots in braces: those are parts of it, and no arguments.
    pub value: Option<Template>,
    /// It stands behind one of these.
    pub after: Words<Vec<Phrase>>,
    /// It ends before one of these.
    pub until: Words<Vec<Phrase>>,
}

/// What a slot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotKind {
    /// An amount: `5 lakh`, `₹5,00,000`, `500k`.
    Money,
    /// `10.5 %`.
    Percent,
    /// Months, of `36 months` or `3 years`.
    Months,
    /// Any number.
    Number,
    /// A day: `2026-11-27`, `27.11.2026`, `27/11/2026`; as in the first of them.
    Date,
    /// Words that begin with capital letters, behind `after`.
    Name,
    /// Words up to the next sign, behind `after`.
    Text,
    /// Several of those, with commas or `and` between them.
    List,
    /// All of what was said last.
    Message,
}

/// Something in all languages at once, or in each its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Words<T>(BTreeMap<String, T>);

/// A few words that are said one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrase(pub(super) Vec<String>);

impl Intent {
    /// Whether it is answered from the documents: what was talked about before goes on after it.
    pub(super) const fn is_aside(&self) -> bool {
        self.call.is_none() && self.say.is_none()
    }
}

impl Slot {
    /// Whether another one of these is made of it.
    #[must_use]
    pub fn is_part_of(&self, slots: &[Self]) -> bool {
        slots.iter().filter_map(|other| other.value.as_ref()).flat_map(Template::names).any(|name| name == self.name)
    }
}

impl<T> Words<T> {
    /// Something that is the same in all languages.
    pub fn same(all: T) -> Self {
        Self([(String::new(), all)].into())
    }

    /// In each language its own.
    #[must_use]
    pub const fn by_language(texts: BTreeMap<String, T>) -> Self {
        Self(texts)
    }

    /// In a language; where it is not in that, in one that it is in.
    #[must_use]
    pub fn get(&self, language: &str) -> Option<&T> {
        self.0.get(language).or_else(|| self.0.values().next())
    }

    /// The same of something else for each.
    pub fn map<U>(&self, mut change: impl FnMut(&T) -> U) -> Words<U> {
        Words(self.0.iter().map(|(language, text)| (language.clone(), change(text))).collect())
    }

    /// All, with the language of each; empty for what is the same in all.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.iter().map(|(language, text)| (language.as_str(), text))
    }
}

impl<T> Words<Option<T>> {
    /// What is there in every language; `None` where it is missing in one.
    #[must_use]
    pub fn all(self) -> Option<Words<T>> {
        let texts = self.0.into_iter().map(|(language, text)| Some((language, text?)));
        texts.collect::<Option<_>>().map(Words)
    }
}

impl Phrase {
    /// Reads one; `None` where there is no word in it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let words = words_of(text);
        (!words.is_empty()).then_some(Self(words))
    }
}
