//! A set of rows.

/// One bit for a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    /// The empty set of `rows` possible ones.
    pub(super) fn none(rows: usize) -> Self {
        Self(vec![0; rows.div_ceil(64)])
    }

    /// Adds a row; whether it was not there.
    pub(super) fn add(&mut self, row: usize) -> bool {
        let bit = 1 << (row % 64);
        let is_new = self.0[row / 64] & bit == 0;
        self.0[row / 64] |= bit;
        is_new
    }

    /// Whether a row is in it.
    pub(super) fn has(&self, row: usize) -> bool {
        self.0[row / 64] & (1 << (row % 64)) != 0
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<u64>()
    }
}
