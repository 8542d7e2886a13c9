//! Which rows have which words, and how often: what BM25 needs.
//!
//! All terms stand in one text, in order, so that looking one up is a binary search and merging two lists is reading both.

/// What BM25 makes of a word that comes again and again, and of long chunks; the query engine's own figures.
const K1: f32 = 1.2;
const B: f32 = 0.75;
/// Bits of an entry for the count; the rest is for the row.
const COUNT_BITS: u32 = 8;
/// A word that is in a row more often is counted so often.
const MAX_COUNT: u32 = (1 << COUNT_BITS) - 1;
/// The most rows that an entry can name.
pub(super) const MAX_ROWS: usize = 1 << (u32::BITS - COUNT_BITS);

/// A row, and how often it has a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry(u32);

impl Entry {
    #[expect(clippy::cast_possible_truncation, reason = "whoever makes rows stops at MAX_ROWS")]
    pub(super) fn new(row: usize, count: u32) -> Self {
        Self(((row as u32) << COUNT_BITS) | count.min(MAX_COUNT))
    }

    pub(super) const fn row(self) -> usize {
        (self.0 >> COUNT_BITS) as usize
    }

    pub(super) const fn count(self) -> u32 {
        self.0 & MAX_COUNT
    }
}

/// Terms in order, each with the rows that have it, in order.
#[derive(Debug, Default)]
pub(super) struct Words {
    terms: String,
    /// Where terms end, and their entries.
    ends: Vec<(u32, u32)>,
    entries: Vec<Entry>,
}

impl Words {
    /// `sorted`: by term, each once.
    pub(super) fn new<'a>(sorted: impl IntoIterator<Item = (&'a str, Vec<Entry>)>) -> Self {
        let mut words = Self::default();
        for (term, entries) in sorted {
            words.terms.push_str(term);
            words.entries.extend_from_slice(&entries);
            let end = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
            words.ends.push((end(words.terms.len()), end(words.entries.len())));
        }
        words.terms.shrink_to_fit();
        words.ends.shrink_to_fit();
        words.entries.shrink_to_fit();
        words
    }

    /// The rows that have a term.
    pub(super) fn entries(&self, term: &str) -> &[Entry] {
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.term(middle).cmp(term) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return self.entries_of(middle),
            }
        }
        &[]
    }

    /// Everything, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &[Entry])> {
        (0..self.ends.len()).map(|i| (self.term(i), self.entries_of(i)))
    }

    fn start(&self, i: usize) -> (usize, usize) {
        let (term, entry) = i.checked_sub(1).map_or((0, 0), |before| self.ends[before]);
        (term as usize, entry as usize)
    }

    fn term(&self, i: usize) -> &str {
        &self.terms[self.start(i).0..self.ends[i].0 as usize]
    }

    fn entries_of(&self, i: usize) -> &[Entry] {
        &self.entries[self.start(i).1..self.ends[i].1 as usize]
    }

    pub(super) fn bytes(&self) -> usize {
        self.terms.capacity()
            + self.ends.capacity() * size_of::<(u32, u32)>()
            + self.entries.capacity() * size_of::<Entry>()
    }
}

/// What all rows together say about a word's weight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weights {
    rows: f32,
    /// Terms of a row, on average.
    length: f32,
}

#[expect(clippy::cast_precision_loss, reason = "a weight is not that exact")]
impl Weights {
    pub(super) fn new(rows: usize, terms: u64) -> Self {
        Self { rows: rows as f32, length: (terms as f32 / rows.max(1) as f32).max(1.0) }
    }

    /// What a word counts that is in `having` of the rows.
    pub(super) fn rarity(self, having: usize) -> f32 {
        ((self.rows - having as f32 + 0.5) / (having as f32 + 0.5)).max(0.0).ln_1p()
    }

    /// What it counts that a row of so many terms has it so often.
    pub(super) fn frequency(self, count: u32, terms: u32) -> f32 {
        let count = count as f32;
        (K1 + 1.0) * count / (count + K1 * (1.0 - B + B * terms as f32 / self.length))
    }
}
