//! A copy of one collection in memory, made to be searched: exact cosines and BM25. Pure.
//!
//! A [`Snapshot`] is one version of a collection and never changes, so a search that holds one sees that version from its
//! beginning to its end. The next version shares with it what both have: chunks stand in segments, what is added is a
//! segment more, and what is removed is marked beside them. Segments of about the same size become one, so there are
//! never more than the logarithm of their rows.

use std::{collections::HashSet, sync::Arc};

use self::{
    bits::Bits,
    segment::Segment,
    top::Top,
    vectors::Asked,
    words::{Entry, Weights},
};
use super::within::Within;
use crate::knowledge::{Passage, fuse::Match};

mod bits;
mod segment;
#[cfg(test)]
pub(super) mod tests;
mod top;
mod vectors;
mod words;

pub use segment::{Builder, Row};

/// One version of a collection.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    version: u64,
    parts: Vec<Part>,
}

/// A segment, and what of it this version has.
#[derive(Debug, Clone)]
struct Part {
    segment: Arc<Segment>,
    dead: Option<Arc<Bits>>,
    /// Rows that live.
    living: usize,
    /// Their terms.
    terms: u64,
}

/// A row: the part that it is in, and its number there.
type Spot = (usize, usize);

impl Snapshot {
    /// A version that has these rows.
    pub fn new(version: u64, rows: Builder) -> Self {
        Self { version, parts: Part::new(rows.build()).into_iter().collect() }
    }

    /// Which version it is.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// How many chunks it has.
    pub fn chunks(&self) -> usize {
        self.parts.iter().map(|part| part.living).sum()
    }

    /// Bytes that it takes. What it shares with another version counts for both.
    pub fn bytes(&self) -> usize {
        let dead = |part: &Part| part.dead.as_ref().map_or(0, |dead| dead.bytes());
        self.parts.iter().map(|part| part.segment.bytes() + dead(part)).sum()
    }

    /// The version that has `rows` in the place of all rows of `documents`. Costs as much as what changes, but for now and
    /// then: then as much as what becomes one.
    pub fn replaced(&self, version: u64, documents: &[String], rows: Builder) -> Self {
        let gone: HashSet<&str> = documents.iter().map(String::as_str).collect();
        let mut parts: Vec<Part> = self.parts.iter().filter_map(|part| part.without(&gone)).collect();
        parts.extend(Part::new(rows.build()));
        settle(&mut parts);
        Self { version, parts }
    }

    /// The chunks whose vectors are nearest to `query`.
    pub fn by_vector(&self, query: &[f32], within: &Within) -> Vec<Match<Passage>> {
        let Some(asked) = Asked::new(query) else { return Vec::new() };
        let mut top: Top<Spot> = Top::new(within.depth);
        for (number, part) in self.parts.iter().enumerate() {
            if part.segment.vectors.dimension() != asked.dimension() {
                continue;
            }
            let hidden = part.hidden(within);
            for (row, cosine) in part.segment.vectors.cosines(&asked).enumerate() {
                if cosine >= top.threshold() && !hidden.as_ref().is_some_and(|hidden| hidden.has(row)) {
                    top.offer(cosine, (number, row));
                }
            }
        }
        top.into_sorted().into_iter().map(|(cosine, spot)| self.found(spot, cosine, 0.0)).collect()
    }

    /// The chunks in which these terms weigh most. `query`, the vector of the same question, gives their cosines.
    pub fn by_words(&self, terms: &[String], query: Option<&[f32]>, within: &Within) -> Vec<Match<Passage>> {
        let weights = Weights::new(self.chunks(), self.parts.iter().map(|part| part.terms).sum());
        let entries = |term: &String| self.parts.iter().map(|part| part.segment.words.entries(term)).collect();
        let found: Vec<Vec<&[Entry]>> = terms.iter().map(entries).collect();
        let rarities: Vec<f32> = found.iter().map(|entries| weights.rarity(self.having(entries))).collect();
        let mut top: Top<Spot> = Top::new(within.depth);
        for (number, part) in self.parts.iter().enumerate() {
            let mut scores = vec![0.0f32; part.segment.len()];
            for (entries, rarity) in found.iter().zip(&rarities) {
                for entry in entries[number] {
                    let terms = part.segment.terms(entry.row());
                    scores[entry.row()] += rarity * weights.frequency(entry.count(), terms);
                }
            }
            let hidden = part.hidden(within);
            for (row, &score) in scores.iter().enumerate() {
                if score > 0.0 && score >= top.threshold() && !hidden.as_ref().is_some_and(|hidden| hidden.has(row)) {
                    top.offer(score, (number, row));
                }
            }
        }
        let asked = query.and_then(Asked::new);
        let cosine = |(number, row): Spot| {
            let vectors = &self.parts[number].segment.vectors;
            let asked = asked.as_ref().filter(|asked| asked.dimension() == vectors.dimension());
            asked.map_or(0.0, |asked| vectors.cosine(row, asked))
        };
        top.into_sorted().into_iter().map(|(bm25, spot)| self.found(spot, cosine(spot), bm25)).collect()
    }

    /// How many living rows have a term, by its entries in all parts.
    fn having(&self, entries: &[&[Entry]]) -> usize {
        let living = |(part, entries): (&Part, &&[Entry])| match &part.dead {
            None => entries.len(),
            Some(dead) => entries.iter().filter(|entry| !dead.has(entry.row())).count(),
        };
        self.parts.iter().zip(entries).map(living).sum()
    }

    fn found(&self, (number, row): Spot, cosine: f32, bm25: f32) -> Match<Passage> {
        let segment = &self.parts[number].segment;
        let (document, chunk) = segment.id(row);
        Match { id: format!("{document}#{chunk}"), cosine, bm25, row: segment.passage(row) }
    }
}

impl Part {
    /// `None` when there is nothing in it.
    fn new(segment: Segment) -> Option<Self> {
        let (living, terms) = (segment.len(), (0..segment.len()).map(|row| u64::from(segment.terms(row))).sum());
        (living > 0).then(|| Self { segment: Arc::new(segment), dead: None, living, terms })
    }

    /// What is left of it without these documents; `None` for nothing.
    fn without(&self, documents: &HashSet<&str>) -> Option<Self> {
        let mut left = self.clone();
        let mut dead = self.dead.as_deref().cloned().unwrap_or_else(|| Bits::none(self.segment.len()));
        let died = |row| {
            left.living -= 1;
            left.terms -= u64::from(self.segment.terms(row));
        };
        self.segment.mark(&mut dead, |document| documents.contains(document), died);
        if left.living < self.living {
            left.dead = Some(Arc::new(dead));
        }
        (left.living > 0).then_some(left)
    }

    /// The rows that this search does not look at; `None` when it looks at all.
    fn hidden(&self, within: &Within) -> Option<Bits> {
        if self.dead.is_none() && within.without.is_empty() && within.filter.is_none() {
            return None;
        }
        let mut hidden = self.dead.as_deref().cloned().unwrap_or_else(|| Bits::none(self.segment.len()));
        if !within.without.is_empty() {
            let without: HashSet<&str> = within.without.iter().map(String::as_str).collect();
            self.segment.mark(&mut hidden, |document| without.contains(document), |_| ());
        }
        if let Some(filter) = &within.filter {
            for row in 0..self.segment.len() {
                if !filter.holds(&self.segment.facts(row)) {
                    hidden.add(row);
                }
            }
        }
        Some(hidden)
    }

    fn with(&self, other: &Self) -> Option<Self> {
        let parts = [self, other].map(|part| (part.segment.as_ref(), part.dead.as_deref()));
        Self::new(Builder::merge(parts))
    }
}

/// Makes one of neighbours until each part has more than twice what the next one has, and leaves no part that is mostly
/// dead: every row is moved about as often as the number of its collection's rows can be halved.
fn settle(parts: &mut Vec<Part>) {
    for part in parts.iter_mut().filter(|part| 2 * part.living < part.segment.len()) {
        if let Some(clean) = Part::new(Builder::merge([(part.segment.as_ref(), part.dead.as_deref())])) {
            *part = clean;
        }
    }
    let mut settled: Vec<Part> = Vec::with_capacity(parts.len());
    for part in parts.drain(..) {
        let mut newest = Some(part);
        while let Some(last) = newest.take() {
            match settled.pop_if(|before| before.living <= 2 * last.living) {
                Some(before) => newest = before.with(&last),
                None => settled.push(last),
            }
        }
    }
    *parts = settled;
}
