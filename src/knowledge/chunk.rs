//! Text → chunks: pieces that an embedding model can read whole and a person can be shown.
//!
//! Pure; the tokenizer comes in as a function. A chunk never crosses a heading, because the headings above it are part
//! of what it means: they are embedded and searched together with it, and shown beside it.

use std::ops::Range;

use text_splitter::{ChunkConfig, ChunkSizer, MarkdownSplitter, TextSplitter};

use crate::knowledge::{
    extract::{Extracted, Format, Spot, Spots},
    markdown::{Heading, headings},
};

/// The most tokens of a chunk's text. The model reads 256 in all; the rest is for title and headings.
pub const MAX_CHUNK_TOKENS: usize = 200;
/// Tokens that neighbouring chunks of one section share, so that no sentence loses its neighbour.
const OVERLAP_TOKENS: usize = 20;
/// No chunk has more characters than this per token it may have. A tokenizer takes a monstrous word for one token.
const MAX_CHARS_PER_TOKEN: usize = 8;
/// The most characters of the title, and of the headings, that go in front of what is embedded.
const MAX_CONTEXT_CHARS: usize = 120;
/// Text is handed to the splitter in blocks of at most this many bytes: it looks at all that is left for every cut, and a
/// long text would take it hours.
const BLOCK_BYTES: usize = 8 * 1024;
/// The most chunks of a document. The largest file of prose has about 14,000.
pub const MAX_CHUNKS: usize = 20_000;
/// Changes whenever the same text would be cut differently, so that everything is cut again.
pub const CHUNKING_VERSION: &str = "3";

/// A piece of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The headings above it, outermost first, joined by ` › `, without the document's title.
    pub heading: Option<String>,
    /// The text, as it stands in the document.
    pub text: String,
    /// Title, headings and text: what is embedded and what words are searched in.
    pub content: String,
    /// BLAKE3 of `content`, as 32 hex digits: equal chunks have equal vectors.
    pub hash: String,
    /// The bytes of the document's text that it covers.
    pub range: Range<usize>,
    /// The page that it begins on, from 1, in formats that have pages.
    pub page: Option<u32>,
    /// The page that it ends on.
    pub page_end: Option<u32>,
    /// Its sheet, slide, chapter or rows, in words.
    pub place: Option<String>,
}

/// Why a document was not cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// It would have more than [`MAX_CHUNKS`].
    #[error("more than {MAX_CHUNKS} chunks; cut it into several files")]
    TooManyChunks,
    /// Whoever wanted it does not any more.
    #[error("stopped")]
    Stopped,
}

impl SplitError {
    /// A name for it that stays.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooManyChunks => "too_many_chunks",
            Self::Stopped => "stopped",
        }
    }
}

/// Cuts a document. `tokens` counts the tokens of a text as the embedding model does, without truncation; `stop` is
/// asked again and again, every few kilobytes of text, whether to go on.
///
/// Every character of `text` that is not white space is in a chunk or in the heading of one, and no chunk has more
/// than [`MAX_CHUNK_TOKENS`] tokens. A text of nothing but white space has no chunks.
///
/// # Errors
/// See [`SplitError`].
pub fn split(
    document: &Extracted,
    tokens: impl Fn(&str) -> usize,
    stop: impl Fn() -> bool,
) -> Result<Vec<Chunk>, SplitError> {
    let Extracted { title, text, format, places, .. } = document;
    let spots = Spots::new(places);
    let new = |heading: Option<&str>, piece: &str, start| Chunk::new(title, heading, piece, start, &spots);
    let sizer = Sizer(tokens);
    #[expect(clippy::expect_used, reason = "the overlap is a constant smaller than the size")]
    let config = ChunkConfig::new(MAX_CHUNK_TOKENS).with_sizer(&sizer).with_overlap(OVERLAP_TOKENS).expect("smaller");
    let mut chunks = Chunks { all: Vec::new(), stop };
    match format {
        Format::Markdown => {
            let splitter = MarkdownSplitter::new(config);
            for section in sections(text) {
                let (heading, part) = section.resolve(title, text);
                let pieces = |block| splitter.chunk_indices(block).collect();
                let new = |at, piece: &str| new(heading.as_deref(), piece, part.start + at);
                chunks.add(&text[part.clone()], pieces, new)?;
            }
        }
        Format::Plain => {
            let splitter = TextSplitter::new(config);
            let pieces = |block| splitter.chunk_indices(block).collect();
            chunks.add(text, pieces, |at, piece| new(None, piece, at))?;
        }
    }
    Ok(chunks.all)
}

/// Collects chunks within the bounds.
struct Chunks<S> {
    all: Vec<Chunk>,
    stop: S,
}

impl<S: Fn() -> bool> Chunks<S> {
    /// Splits `text` block by block; what is only white space is left out.
    fn add<'a>(
        &mut self,
        text: &'a str,
        split: impl Fn(&'a str) -> Vec<(usize, &'a str)>,
        chunk: impl Fn(usize, &'a str) -> Chunk,
    ) -> Result<(), SplitError> {
        let mut start = 0;
        while start < text.len() {
            if (self.stop)() {
                return Err(SplitError::Stopped);
            }
            let block = first_block(&text[start..]);
            let found = split(block).into_iter().filter(|(_, piece)| !piece.trim().is_empty());
            self.all.extend(found.map(|(at, piece)| chunk(start + at, piece)));
            if self.all.len() > MAX_CHUNKS {
                return Err(SplitError::TooManyChunks);
            }
            start += block.len();
        }
        Ok(())
    }
}

/// The beginning of `text`, at most [`BLOCK_BYTES`] long, up to the end of a paragraph, a line, a word or a character.
fn first_block(text: &str) -> &str {
    if text.len() <= BLOCK_BYTES {
        return text;
    }
    let most = &text[..text.floor_char_boundary(BLOCK_BYTES)];
    let end = |mark: &str| most.rfind(mark).map(|at| at + mark.len());
    &most[..end("\n\n").or_else(|| end("\n")).or_else(|| end(" ")).unwrap_or(most.len())]
}

impl Chunk {
    fn new(title: &str, heading: Option<&str>, text: &str, start: usize, spots: &Spots<'_>) -> Self {
        let mut content = String::with_capacity(text.len() + 2 * MAX_CONTEXT_CHARS);
        for context in [Some(title), heading].into_iter().flatten() {
            content.extend(context.chars().take(MAX_CONTEXT_CHARS));
            content.push('\n');
        }
        content.push_str(text);
        let hash = blake3::hash(content.as_bytes()).to_hex()[..32].to_owned();
        let range = start..start + text.len();
        let Spot { page, page_end, place } = spots.of(range.clone());
        Self { heading: heading.map(str::to_owned), text: text.to_owned(), content, hash, range, page, page_end, place }
    }
}

/// Counts tokens, and the characters of words that no tokenizer would cut.
struct Sizer<F>(F);

impl<F: Fn(&str) -> usize> ChunkSizer for Sizer<F> {
    fn size(&self, chunk: &str) -> usize {
        let by_chars = chunk.chars().count().div_ceil(MAX_CHARS_PER_TOKEN);
        // What is far too long by its characters alone need not be counted exactly.
        if by_chars > MAX_CHUNK_TOKENS { by_chars } else { by_chars.max((self.0)(chunk)) }
    }
}

/// The text between two headings.
struct Section {
    path: Vec<String>,
    heading: Range<usize>,
    body: Range<usize>,
    /// Whether the sections below carry its heading on.
    has_children: bool,
}

impl Section {
    /// The headings shown above its chunks, and the bytes of `text` that are cut: its body, or, since a heading with
    /// nothing below it is still something that the document says, its heading. Nothing when the sections below carry
    /// the heading on.
    fn resolve(self, title: &str, text: &str) -> (Option<String>, Range<usize>) {
        let path = match self.path.split_first() {
            Some((first, rest)) if first == title => rest,
            _ => &self.path,
        };
        let heading = (!path.is_empty()).then(|| path.join(" › "));
        if !text[self.body.clone()].trim().is_empty() {
            return (heading, self.body);
        }
        let line = text[self.heading.clone()].trim_end();
        let length = if self.has_children { 0 } else { line.len() };
        (heading, self.heading.start..self.heading.start + length)
    }
}

fn sections(text: &str) -> Vec<Section> {
    let found: Vec<Heading> = headings(text).collect();
    let first = found.first().map_or(text.len(), |heading| heading.start);
    let mut sections = vec![Section { path: Vec::new(), heading: 0..0, body: 0..first, has_children: false }];
    let mut above: Vec<(usize, String)> = Vec::new();
    for (i, heading) in found.iter().enumerate() {
        let next = found.get(i + 1);
        above.retain(|(level, _)| *level < heading.level);
        above.push((heading.level, heading.text.clone()));
        sections.push(Section {
            path: above.iter().map(|(_, words)| words.clone()).filter(|words| !words.is_empty()).collect(),
            heading: heading.start..heading.end,
            body: heading.end..next.map_or(text.len(), |next| next.start),
            has_children: next.is_some_and(|next| next.level > heading.level),
        });
    }
    sections
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::knowledge::extract::{Mark, Place};

    /// One token per word, as a tokenizer with a perfect vocabulary would count.
    fn words(text: &str) -> usize {
        text.split_whitespace().count()
    }

    fn markdown(text: &str) -> Vec<Chunk> {
        cut("Tents", text, Format::Markdown)
    }

    fn cut(title: &str, text: &str, format: Format) -> Vec<Chunk> {
        split(&document(title, text, format), words, || false).expect("within bounds")
    }

    fn document(title: &str, text: &str, format: Format) -> Extracted {
        let empty = crate::knowledge::extract::extract("a.txt", b"").expect("text");
        Extracted { title: title.to_owned(), text: text.to_owned(), format, ..empty }
    }

    #[test]
    fn a_chunk_knows_the_headings_above_it() {
        let chunks =
            markdown("intro\n\n# Tents\n\n## Kestrel 2\n\nLight.\n\n### Weight\n\n1.9 kg\n\n## Heron 4\n\nBig.");
        let seen: Vec<_> = chunks.iter().map(|c| (c.heading.as_deref(), c.text.as_str())).collect();
        let expected = [
            (None, "intro"),
            (Some("Kestrel 2"), "Light."),
            (Some("Kestrel 2 › Weight"), "1.9 kg"),
            (Some("Heron 4"), "Big."),
        ];
        assert_eq!(seen, expected);
        assert_eq!(chunks[2].content, "Tents\nKestrel 2 › Weight\n1.9 kg");
    }

    #[test]
    fn a_heading_without_text_is_kept() {
        let chunks = markdown("# Tents\n\n## Sold out until May\n");
        assert_eq!(chunks.len(), 1);
        assert_eq!(chunks[0].text, "## Sold out until May");
    }

    #[test]
    fn equal_content_has_equal_hashes_and_other_content_has_not() {
        let (a, b) = (markdown("# A\n\ntext"), markdown("x\n\n# A\n\ntext"));
        assert_eq!(a[0].hash, b[1].hash);
        assert_ne!(cut("Packs", "# A\n\ntext", Format::Markdown)[0].hash, a[0].hash);
    }

    #[test]
    fn a_word_without_end_is_cut() {
        let text = "x".repeat(100_000);
        let chunks = cut("Noise", &text, Format::Plain);
        assert!(chunks.iter().all(|chunk| chunk.text.len() <= MAX_CHUNK_TOKENS * MAX_CHARS_PER_TOKEN));
        assert!(chunks.len() < 100);
    }

    #[test]
    fn too_many_chunks_are_refused_and_a_stop_is_heard() {
        let text = "# x\n\ny\n\n".repeat(MAX_CHUNKS);
        assert_eq!(markdown(&text).len(), MAX_CHUNKS);
        let more = format!("{text}# x\n\ny\n");
        assert_eq!(split(&document("T", &more, Format::Markdown), words, || false), Err(SplitError::TooManyChunks));

        let asked = std::cell::Cell::new(0);
        let stop = || asked.replace(asked.get() + 1) == 3;
        let text = "word ".repeat(100_000);
        assert_eq!(split(&document("T", &text, Format::Plain), words, stop), Err(SplitError::Stopped));
        assert_eq!(asked.get(), 4);
    }

    #[test]
    fn a_chunk_knows_its_place() {
        let text = "one\n\ntwo\n\n# Three\n\nthree\n\nfour";
        let mark = |words: &str, place| Mark { start: text.find(words).expect("there"), place };
        let places = vec![
            mark("one", Place::Page(1)),
            mark("two", Place::Page(2)),
            mark("three", Place::Page(4)),
            mark("four", Place::Sheet("Q1".to_owned())),
            mark("four", Place::Row(7)),
        ];
        let document = Extracted { places, ..document("T", text, Format::Markdown) };
        let chunks = split(&document, words, || false).expect("within bounds");
        let spots: Vec<_> = chunks.iter().map(|c| (c.page, c.page_end, c.place.as_deref())).collect();
        assert_eq!(spots, [(Some(1), Some(2), None), (Some(4), None, Some("sheet “Q1”, row 7"))]);
    }

    #[test]
    fn white_space_has_no_chunks() {
        assert_eq!(markdown(" \n\n\t"), []);
        assert_eq!(cut("Empty", "", Format::Plain), []);
    }

    #[test]
    fn blocks_end_where_a_reader_would_pause() {
        let text = format!("{}\n\n{}\n{} {}", "a".repeat(5000), "b".repeat(2000), "ä".repeat(10_000), "c".repeat(30));
        let mut rest = text.as_str();
        let mut lengths = Vec::new();
        while !rest.is_empty() {
            let block = first_block(rest);
            lengths.push(block.len());
            rest = &rest[block.len()..];
        }
        assert_eq!(lengths, [5002, 2001, 8192, 8192, 3647]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn nothing_is_lost_and_nothing_is_too_big(
            parts in prop::collection::vec("(#{1,4} )?([a-z]{1,9}[ .]{1,2}|[é😀—]|```\n|\n{1,2}|[-*|>]| {1,4}){0,60}\n?", 0..12),
            markdown in any::<bool>(),
        ) {
            let text = parts.concat();
            let format = if markdown { Format::Markdown } else { Format::Plain };
            let chunks = cut("Title", &text, format);
            let mut covered = vec![false; text.len()];
            for chunk in &chunks {
                prop_assert_eq!(&text[chunk.range.clone()], chunk.text.as_str());
                prop_assert!(words(&chunk.text) <= MAX_CHUNK_TOKENS);
                prop_assert!(chunk.text.chars().count() <= MAX_CHUNK_TOKENS * MAX_CHARS_PER_TOKEN);
                prop_assert!(!chunk.text.trim().is_empty());
                covered[chunk.range.clone()].fill(true);
            }
            // A heading is carried by the chunks below it, if there are any.
            for heading in headings(&text).filter(|_| markdown) {
                covered[heading.start..heading.end].fill(true);
            }
            for (i, c) in text.char_indices() {
                prop_assert!(c.is_whitespace() || covered[i], "lost {c:?} at {i}");
            }
        }

        #[test]
        fn any_text_is_cut(text in any::<String>()) {
            for format in [Format::Markdown, Format::Plain] {
                for chunk in cut("T", &text, format) {
                    prop_assert!(!chunk.text.is_empty());
                }
            }
        }
    }
}
