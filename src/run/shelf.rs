//! What an answer may cite, where its tools find more while it is written. Pure.

use std::sync::Arc;

use super::{quotation::quotation, sources::from_passages};
use crate::{chat::Source, knowledge::Passage};

/// The passages of an answer whose tools find more of them: each has the number that it is cited by.
#[derive(Debug)]
pub(super) struct Shelf {
    passages: Vec<Passage>,
}

impl Shelf {
    /// With those that were found before.
    pub(super) fn with(found: &[Passage]) -> Self {
        Self { passages: found.to_vec() }
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.passages.len()
    }

    /// As clients see them.
    pub(super) fn sources(&self) -> Arc<[Source]> {
        from_passages(&self.passages)
    }

    /// All of them.
    pub(super) fn passages(&self) -> &[Passage] {
        &self.passages
    }

    /// Adds what was found and is not there yet, as far as there is room, and quotes all of it with its numbers.
    pub(super) fn quote(&mut self, found: Vec<Passage>) -> String {
        let (mut quoted, mut left_out) = (String::new(), 0);
        for passage in found {
            let is_it = |known: &Passage| (&known.document, known.chunk) == (&passage.document, passage.chunk);
            let at = self.passages.iter().position(is_it).unwrap_or(self.passages.len());
            if at == self.passages.len() {
                self.passages.push(passage);
                if self.sources().len() < self.passages.len() {
                    self.passages.pop(); // What cannot be shown is not cited.
                    left_out += 1;
                    continue;
                }
            }
            quoted.push_str(&quotation(at + 1, &self.passages[at]));
        }
        if left_out > 0 {
            quoted.push_str(&format!("{left_out} more were found, and no more can be cited in this answer.\n"));
        }
        quoted
    }
}
