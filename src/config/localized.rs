//! Texts that there are in several languages. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A text as it is in all languages, or in each its own.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Localized<T> {
    /// The same in all.
    Same(T),
    /// By language tag.
    ByLanguage(BTreeMap<String, T>),
}

impl<T> Localized<T> {
    /// As it is in this language, which is one of those that it is in.
    #[must_use]
    pub fn get(&self, language: Option<&str>) -> Option<&T> {
        match self {
            Self::Same(text) => Some(text),
            Self::ByLanguage(texts) => texts.get(language?),
        }
    }

    /// The languages that it differs in.
    pub fn languages(&self) -> impl Iterator<Item = &str> {
        let texts = match self {
            Self::Same(_) => None,
            Self::ByLanguage(texts) => Some(texts),
        };
        texts.into_iter().flatten().map(|(language, _)| language.as_str())
    }

    /// All that it is in one language or another.
    pub fn texts(&self) -> impl Iterator<Item = &T> {
        let (same, texts) = match self {
            Self::Same(text) => (Some(text), None),
            Self::ByLanguage(texts) => (None, Some(texts)),
        };
        same.into_iter().chain(texts.into_iter().flat_map(BTreeMap::values))
    }
}
