//! Chunks that came together, and never change.

use std::collections::{BTreeMap, HashMap};

use super::{
    bits::Bits,
    vectors::Vectors,
    words::{Entry, MAX_ROWS, Words},
};
use crate::knowledge::{Passage, filter::Facts};

/// A chunk as it comes in.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Its document's id.
    pub document: &'a str,
    /// Its document's title.
    pub title: &'a str,
    /// Where the original lies.
    pub uri: Option<&'a str>,
    /// The headings above it.
    pub heading: Option<&'a str>,
    /// Its sheet, slide, chapter or rows.
    pub place: Option<&'a str>,
    /// Its text.
    pub text: &'a str,
    /// Its terms, separated by spaces.
    pub words: &'a str,
    /// Its vector; one of another length than the others is like none.
    pub vector: &'a [f32],
    /// Its number within the document.
    pub chunk: u32,
    /// The page that it begins on.
    pub page: Option<u32>,
    /// The page that it ends on, when that is another.
    pub page_end: Option<u32>,
    /// The byte of the document's text that it begins at.
    pub start: u32,
    /// The byte that it ends before.
    pub end: u32,
}

/// What is kept of a chunk, beside its vector and its words.
#[derive(Debug, Clone, Copy)]
struct Kept {
    document: u32,
    chunk: u32,
    /// 0 for none.
    page: u32,
    page_end: u32,
    start: u32,
    end: u32,
    heading: Option<Name>,
    place: Option<Name>,
    /// Where its text ends.
    text_end: u32,
    /// Its terms.
    terms: u32,
}

/// The number of a text that many rows share, plus one.
type Name = std::num::NonZeroU32;

#[derive(Debug)]
struct Document {
    id: Box<str>,
    title: Box<str>,
    uri: Option<Box<str>>,
}

/// Some chunks of a collection.
#[derive(Debug)]
pub(super) struct Segment {
    rows: Vec<Kept>,
    documents: Vec<Document>,
    names: Vec<Box<str>>,
    texts: String,
    pub(super) vectors: Vectors,
    pub(super) words: Words,
}

impl Segment {
    pub(super) const fn len(&self) -> usize {
        self.rows.len()
    }

    /// The terms of a row.
    pub(super) fn terms(&self, row: usize) -> u32 {
        self.rows[row].terms
    }

    /// What orders a row among others: its document's id and its number there.
    pub(super) fn id(&self, row: usize) -> (&str, u32) {
        (&self.document(row).id, self.rows[row].chunk)
    }

    pub(super) fn facts(&self, row: usize) -> Facts<'_> {
        let (kept, document) = (&self.rows[row], self.document(row));
        let pages = (kept.page > 0).then(|| (kept.page, kept.page_end.max(kept.page)));
        Facts { document: &document.id, title: &document.title, uri: document.uri.as_deref(), pages }
    }

    pub(super) fn passage(&self, row: usize) -> Passage {
        let (kept, document) = (&self.rows[row], self.document(row));
        let name = |name: Option<Name>| name.map(|name| self.name(name).to_owned());
        let page = |page: u32| (page > 0).then_some(page);
        Passage {
            document: document.id.to_string(),
            title: document.title.to_string(),
            uri: document.uri.as_deref().map(str::to_owned),
            chunk: kept.chunk,
            page: page(kept.page),
            page_end: page(kept.page_end),
            place: name(kept.place),
            start: kept.start,
            end: kept.end,
            heading: name(kept.heading),
            text: self.text(row).to_owned(),
            score: 0.0,
        }
    }

    /// Adds to `set` the rows of those of its documents that `is_wanted`; calls `found` for each that was not in it.
    pub(super) fn mark(&self, set: &mut Bits, is_wanted: impl Fn(&str) -> bool, mut found: impl FnMut(usize)) {
        let wanted: Vec<bool> = self.documents.iter().map(|document| is_wanted(&document.id)).collect();
        if wanted.contains(&true) {
            for (row, kept) in self.rows.iter().enumerate() {
                if wanted[kept.document as usize] && set.add(row) {
                    found(row);
                }
            }
        }
    }

    /// Bytes that it takes, as they were allocated.
    pub(super) fn bytes(&self) -> usize {
        let documents = self.documents.iter().map(|document| {
            allocated(document.id.len())
                + allocated(document.title.len())
                + document.uri.as_ref().map_or(0, |u| allocated(u.len()))
        });
        self.rows.capacity() * size_of::<Kept>()
            + self.documents.capacity() * size_of::<Document>()
            + documents.sum::<usize>()
            + self.names.iter().map(|name| size_of::<Box<str>>() + allocated(name.len())).sum::<usize>()
            + self.texts.capacity()
            + self.vectors.bytes()
            + self.words.bytes()
    }

    fn document(&self, row: usize) -> &Document {
        &self.documents[self.rows[row].document as usize]
    }

    fn name(&self, name: Name) -> &str {
        &self.names[name.get() as usize - 1]
    }

    fn text(&self, row: usize) -> &str {
        let start = row.checked_sub(1).map_or(0, |before| self.rows[before].text_end);
        &self.texts[start as usize..self.rows[row].text_end as usize]
    }
}

/// Bytes of a small allocation, with what the allocator adds.
const fn allocated(bytes: usize) -> usize {
    bytes.next_multiple_of(16) + 8
}

/// Makes a segment of rows.
#[derive(Debug, Default)]
pub struct Builder {
    rows: Vec<Kept>,
    documents: Numbered,
    facts: Vec<Document>,
    names: Numbered,
    texts: String,
    vectors: Vectors,
    words: HashMap<Box<str>, Vec<Entry>>,
    entries: usize,
    /// Terms of one row, counted; kept for its room.
    counts: HashMap<String, u32>,
}

#[derive(Debug, Default)]
struct Numbered {
    numbers: HashMap<Box<str>, u32>,
    bytes: usize,
}

impl Numbered {
    /// The number of a text, and whether it is new.
    fn of(&mut self, text: &str) -> (u32, bool) {
        if let Some(&number) = self.numbers.get(text) {
            return (number, false);
        }
        let number = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        self.bytes += text.len();
        self.numbers.insert(text.into(), number);
        (number, true)
    }

    fn name(&mut self, text: Option<&str>) -> Option<Name> {
        Name::new(self.of(text?).0 + 1)
    }
}

impl Builder {
    /// For vectors of this length.
    pub fn new(dimension: usize) -> Self {
        Self { vectors: Vectors::new(dimension), ..Self::default() }
    }

    /// Whether no row finds room any more.
    pub fn is_full(&self) -> bool {
        self.rows.len() >= MAX_ROWS || u32::try_from(self.texts.len().max(self.entries)).is_err()
    }

    /// About what a segment of its rows will take, at least.
    pub fn bytes(&self) -> usize {
        self.rows.len() * size_of::<Kept>()
            + self.documents.bytes
            + self.names.bytes
            + self.texts.len()
            + self.vectors.bytes()
            + self.entries * size_of::<Entry>()
    }

    /// Adds a row, as long as there is room.
    pub fn push(&mut self, row: &Row<'_>) {
        if self.is_full() {
            return;
        }
        for term in row.words.split_ascii_whitespace() {
            match self.counts.get_mut(term) {
                Some(count) => *count += 1,
                None => drop(self.counts.insert(term.to_owned(), 1)),
            }
        }
        let (at, mut terms) = (self.rows.len(), 0);
        for (term, count) in self.counts.drain() {
            terms += count;
            self.entries += 1;
            let entry = Entry::new(at, count);
            match self.words.get_mut(term.as_str()) {
                Some(entries) => entries.push(entry),
                None => drop(self.words.insert(term.into_boxed_str(), vec![entry])),
            }
        }
        self.vectors.push(row.vector);
        self.keep(row, terms);
    }

    fn keep(&mut self, row: &Row<'_>, terms: u32) {
        let (document, is_new) = self.documents.of(row.document);
        if is_new {
            self.documents.bytes += row.title.len() + row.uri.map_or(0, str::len);
            self.facts.push(Document {
                id: row.document.into(),
                title: row.title.into(),
                uri: row.uri.map(Into::into),
            });
        }
        self.texts.push_str(row.text);
        self.rows.push(Kept {
            document,
            chunk: row.chunk,
            page: row.page.unwrap_or(0),
            page_end: row.page_end.unwrap_or(0),
            start: row.start,
            end: row.end,
            heading: self.names.name(row.heading),
            place: self.names.name(row.place),
            text_end: u32::try_from(self.texts.len()).unwrap_or(u32::MAX),
            terms,
        });
    }

    /// The segment.
    pub(super) fn build(self) -> Segment {
        let words: BTreeMap<Box<str>, Vec<Entry>> = self.words.into_iter().collect();
        let words = Words::new(words.iter().map(|(term, entries)| (term.as_ref(), entries.clone())));
        finish(self.rows, self.facts, self.names, self.texts, self.vectors, words)
    }

    /// One segment of what lives in others, in their order.
    pub(super) fn merge<'a>(parts: impl IntoIterator<Item = (&'a Segment, Option<&'a Bits>)>) -> Segment {
        let parts: Vec<_> = parts.into_iter().collect();
        let mut merged = Self::new(parts.iter().map(|(segment, _)| segment.vectors.dimension()).max().unwrap_or(0));
        let mut words: BTreeMap<&str, Vec<Entry>> = BTreeMap::new();
        for (segment, dead) in parts {
            let mut moved = Vec::with_capacity(segment.len());
            for row in 0..segment.len() {
                let lives = dead.is_none_or(|dead| !dead.has(row)) && !merged.is_full();
                moved.push(lives.then_some(merged.rows.len()));
                if lives {
                    merged.take(segment, row);
                }
            }
            for (term, entries) in segment.words.iter() {
                let there = entries.iter().filter_map(|entry| Some(Entry::new(moved[entry.row()]?, entry.count())));
                let there: Vec<Entry> = there.collect();
                if !there.is_empty() {
                    words.entry(term).or_default().extend(there);
                }
            }
        }
        finish(merged.rows, merged.facts, merged.names, merged.texts, merged.vectors, Words::new(words))
    }

    /// Adds a row of another segment but for its words.
    fn take(&mut self, segment: &Segment, row: usize) {
        let (kept, document) = (&segment.rows[row], segment.document(row));
        self.vectors.push_from(&segment.vectors, row);
        let page = |page: u32| (page > 0).then_some(page);
        let row = Row {
            document: &document.id,
            title: &document.title,
            uri: document.uri.as_deref(),
            heading: kept.heading.map(|name| segment.name(name)),
            place: kept.place.map(|name| segment.name(name)),
            text: segment.text(row),
            words: "",
            vector: &[],
            chunk: kept.chunk,
            page: page(kept.page),
            page_end: page(kept.page_end),
            start: kept.start,
            end: kept.end,
        };
        self.keep(&row, kept.terms);
    }
}

fn finish(
    mut rows: Vec<Kept>,
    mut documents: Vec<Document>,
    names: Numbered,
    mut texts: String,
    mut vectors: Vectors,
    words: Words,
) -> Segment {
    rows.shrink_to_fit();
    documents.shrink_to_fit();
    texts.shrink_to_fit();
    vectors.shrink();
    let mut names: Vec<(Box<str>, u32)> = names.numbers.into_iter().collect();
    names.sort_unstable_by_key(|(_, number)| *number);
    let names = names.into_iter().map(|(name, _)| name).collect();
    Segment { rows, documents, names, texts, vectors, words }
}
