//! What a gateway must not do, counted. Pure.

use serde::Serialize;

/// What must not happen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Faults {
    /// Answers that never came, came without their whole text, or are not stored.
    pub lost: u64,
    /// Messages or runs that exist twice.
    pub duplicated: u64,
    /// Texts that differ from what was announced, sent before, or stored.
    pub altered: u64,
    /// Events with a gap in their numbers, or about things that were never announced.
    pub disordered: u64,
    /// Frames that are not what the protocol says.
    pub malformed: u64,
    /// Refusals, failed runs and everything else that kept an answer from coming.
    pub errors: u64,
}

impl Faults {
    /// Whether there are none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.altered += other.altered;
        self.disordered += other.disordered;
        self.malformed += other.malformed;
        self.errors += other.errors;
    }
}
