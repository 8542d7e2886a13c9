//! Texts that may be cut between the halves of a surrogate pair. Pure, a leaf.

use std::borrow::Cow;

/// A text, perhaps with half a surrogate pair at either end.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in crate::llm) struct Text<'a> {
    /// A low half before the text: the end of a pair that began elsewhere.
    pub(in crate::llm) before: Option<u16>,
    pub(in crate::llm) text: Cow<'a, str>,
    /// A high half behind it.
    pub(in crate::llm) after: Option<u16>,
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self { text: Cow::Borrowed(text), ..Self::default() }
    }
}

impl Text<'_> {
    /// Whether there is nothing in it.
    pub(in crate::llm) fn is_empty(&self) -> bool {
        self.before.is_none() && self.text.is_empty() && self.after.is_none()
    }

    /// The text, with a replacement character for each half.
    pub(in crate::llm) fn mended(&self) -> Cow<'_, str> {
        if self.before.is_none() && self.after.is_none() {
            return Cow::Borrowed(&self.text);
        }
        let lone = |half: Option<u16>| if half.is_some() { "\u{fffd}" } else { "" };
        Cow::Owned([lone(self.before), &self.text, lone(self.after)].concat())
    }

    /// What follows it.
    pub(in crate::llm) fn append(&mut self, next: Text<'_>) {
        if next.is_empty() {
            return;
        }
        if self.is_empty() {
            self.before = next.before;
            self.text = Cow::Owned(next.text.into_owned());
        } else {
            let text = self.text.to_mut();
            join(text, self.after.take(), next.before);
            text.push_str(&next.text);
        }
        self.after = next.after;
    }
}

/// What comes between two texts, when the first one ends with the half `after` and the second one begins with `before`.
pub(in crate::llm) fn join(text: &mut String, after: Option<u16>, before: Option<u16>) {
    for unit in char::decode_utf16(after.into_iter().chain(before)) {
        text.push(unit.unwrap_or(char::REPLACEMENT_CHARACTER));
    }
}

/// A string while it is decoded.
#[derive(Default)]
pub(super) struct Decoded {
    before: Option<u16>,
    text: String,
    /// A high half whose low half may follow.
    after: Option<u16>,
}

impl Decoded {
    pub(super) fn push_str(&mut self, text: &str) {
        if !text.is_empty() {
            join(&mut self.text, self.after.take(), None);
            self.text.push_str(text);
        }
    }

    pub(super) fn push_unit(&mut self, unit: u16) {
        match unit {
            0xd800..=0xdbff => {
                join(&mut self.text, self.after.take(), None);
                self.after = Some(unit);
            }
            0xdc00..=0xdfff if self.text.is_empty() && self.before.is_none() && self.after.is_none() => {
                self.before = Some(unit);
            }
            _ => join(&mut self.text, self.after.take(), Some(unit)),
        }
    }

    pub(super) fn finish<'a>(self) -> Text<'a> {
        Text { before: self.before, text: Cow::Owned(self.text), after: self.after }
    }
}
