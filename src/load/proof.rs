//! What is announced of a whole text, and whether a text is that one. Pure.

use super::text::units_of;

/// The end of a run, as it was announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proof {
    pub(super) units: u64,
    pub(super) crc32: u32,
    pub(super) status: String,
}

impl Proof {
    /// What a gateway should have announced of it.
    pub(super) fn of(text: &str, status: &str) -> Self {
        Self { units: units_of(text), crc32: crc32fast::hash(text.as_bytes()), status: status.to_owned() }
    }

    /// Whether a text is the one that was announced.
    pub(super) fn holds(&self, text: &str) -> bool {
        units_of(text) == self.units && crc32fast::hash(text.as_bytes()) == self.crc32
    }
}
