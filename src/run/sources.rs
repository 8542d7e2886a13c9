//! Passages as a client sees them beside an answer.
//!
//! Pure. Keeps the whole list under the 16 KiB of docs/protocol.md whatever the documents hold.

use std::sync::Arc;

use unicode_segmentation::UnicodeSegmentation;

use crate::{chat::Source, knowledge::Passage};

/// Bytes of one snippet, and of a title, a heading or a URI. Ten sources of full length stay under 16 KiB,
/// JSON's escapes included.
const SNIPPET_BYTES: usize = 320;
pub(super) const LABEL_BYTES: usize = 160;
/// docs/protocol.md: all sources of a run.
const MAX_JSON_BYTES: usize = 16 << 10;

/// The sources for `passages`, numbered from 1 in their order; as many as fit.
#[must_use]
pub fn from_passages(passages: &[Passage]) -> Arc<[Source]> {
    let mut left = MAX_JSON_BYTES - 256; // The frame around the list.
    (1..)
        .zip(passages)
        .map(|(n, passage)| Source {
            n,
            document: passage.document.clone(),
            chunk: passage.chunk,
            title: shortened(&passage.title, LABEL_BYTES),
            uri: passage.uri.as_deref().filter(|uri| uri.len() <= 1024).map(str::to_owned),
            page: passage.page,
            page_end: passage.page_end,
            place: passage.place.as_deref().map(|place| shortened(place, LABEL_BYTES)),
            heading: passage.heading.as_deref().map(|heading| shortened(heading, LABEL_BYTES)),
            score: passage.score,
            snippet: shortened(passage.text.trim(), SNIPPET_BYTES),
        })
        .take_while(|source| {
            let bytes = serde_json::to_string(source).map_or(usize::MAX, |json| json.len() + 1);
            let fits = bytes <= left;
            left = left.saturating_sub(bytes);
            fits
        })
        .collect()
}

/// At most `max` bytes of `text`, cut between words where there are any.
pub(super) fn shortened(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let room = max - '…'.len_utf8();
    let end = text.split_word_bound_indices().map(|(at, _)| at).take_while(|at| *at <= room).last().unwrap_or(0);
    let end = if end == 0 { text.floor_char_boundary(room) } else { end };
    format!("{}…", text[..end].trim_end())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_list_never_breaks_its_bound(texts in prop::collection::vec("[\"\\\\\u{1}a ä]{0,2000}", 0..50)) {
            let passages: Vec<_> = texts.iter().map(|text| Passage {
                document: "d".repeat(64),
                uri: Some(text.clone()),
                page: Some(1),
                score: 0.5,
                ..Passage::sample(text, Some(text), text)
            }).collect();
            let sources = from_passages(&passages);
            prop_assert!(serde_json::to_string(&*sources).unwrap().len() <= MAX_JSON_BYTES - 200);
            for (n, source) in (1..).zip(&*sources) {
                prop_assert_eq!(source.n, n);
                prop_assert!(source.snippet.len() <= SNIPPET_BYTES && source.title.len() <= LABEL_BYTES);
            }
        }
    }

    #[test]
    fn words_stay_whole() {
        assert_eq!(shortened("one two three", 10), "one two…");
        assert_eq!(shortened("ääääääääää", 10), "äää…");
    }
}
