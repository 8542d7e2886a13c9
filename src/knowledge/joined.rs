//! Neighbouring chunks of one document among what was found → one passage. Pure.

use std::collections::HashMap;

use crate::knowledge::Passage;

/// The most chunks of one passage: with more, it would leave no room for others in a prompt.
const MAX_CHUNKS: usize = 4;
/// The most bytes of their text.
const MAX_BYTES: usize = 4000;

/// Best first, as they came; a passage stands where its best chunk stood, and has its score.
pub(super) fn joined(found: Vec<Passage>) -> Vec<Passage> {
    let mut at: HashMap<(&str, u32), usize> = HashMap::with_capacity(found.len());
    for (i, passage) in found.iter().enumerate() {
        at.entry((&passage.document, passage.chunk)).or_insert(i);
    }
    // Who was taken into a better one's passage.
    let mut is_taken = vec![false; found.len()];
    let mut passages = Vec::with_capacity(found.len());
    for (i, best) in found.iter().enumerate() {
        if std::mem::replace(&mut is_taken[i], true) {
            continue;
        }
        let (mut passage, mut last, mut chunks) = (best.clone(), best.chunk, 1);
        while chunks < MAX_CHUNKS {
            let free = |chunk: Option<u32>| {
                let other = *at.get(&(best.document.as_str(), chunk?))?;
                (!is_taken[other]).then_some(other)
            };
            let before = free(passage.chunk.checked_sub(1)).and_then(|i| Some((i, join(&found[i], &passage)?)));
            let after = || free(last.checked_add(1)).and_then(|i| Some((i, join(&passage, &found[i])?)));
            let Some((other, both)) = before.or_else(after) else { break };
            is_taken[other] = true;
            last = last.max(found[other].chunk);
            passage = both;
            chunks += 1;
        }
        passages.push(Passage { score: best.score, ..passage });
    }
    passages
}

/// Two neighbours as one; `None` when they are under different headings, in places that have no common name, or too long.
fn join(first: &Passage, second: &Passage) -> Option<Passage> {
    if first.heading != second.heading || second.start < first.start || second.end < first.end {
        return None;
    }
    let place = match (&first.place, &second.place) {
        (None, None) => None,
        (Some(first), Some(second)) => Some(both_places(first, second)?),
        _ => return None,
    };
    let mut text = first.text.clone();
    if second.start < first.end {
        // What both have is there already.
        text.push_str(second.text.get(usize::try_from(first.end - second.start).ok()?..)?);
    } else {
        text.push_str(match second.start - first.end {
            0 => "",
            1 => "\n",
            _ => "\n\n",
        });
        text.push_str(&second.text);
    }
    let last_page = second.page_end.or(second.page).or(first.page_end);
    let page = first.page.or(second.page);
    let both = Passage {
        text,
        place,
        page,
        page_end: last_page.filter(|last| Some(*last) != page),
        end: second.end,
        ..first.clone()
    };
    (both.text.len() <= MAX_BYTES).then_some(both)
}

/// `sheet “A”, rows 2–5` and `sheet “A”, rows 6–9` → `sheet “A”, rows 2–9`, and the same for slides.
fn both_places(first: &str, second: &str) -> Option<String> {
    if first == second {
        return Some(first.to_owned());
    }
    let ((name, what, from, _), (other, other_what, _, to)) = (numbered(first)?, numbered(second)?);
    (name == other && what == other_what && from <= to).then(|| format!("{name}{what}s {from}–{to}"))
}

/// What a place that ends in numbers consists of: what is before, what they count, the first and the last.
fn numbered(place: &str) -> Option<(&str, &str, u32, u32)> {
    let (name, last) = match place.rfind(", ") {
        Some(at) => place.split_at(at + 2),
        None => ("", place),
    };
    let (what, numbers) = last.split_once(' ')?;
    let (from, to) = numbers.split_once('–').unwrap_or((numbers, numbers));
    let what = what.strip_suffix('s').unwrap_or(what);
    matches!(what, "row" | "slide").then_some(())?;
    Some((name, what, from.parse().ok()?, to.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "One tent.\n\nTwo tents. Three tents, äöü.\n\n\nFour tents.";

    /// The chunk of TEXT that covers these words and all between them.
    fn chunk(number: u32, from: &str, to: &str, score: f32) -> Passage {
        let (start, end) = (TEXT.find(from).expect("there"), TEXT.find(to).expect("there") + to.len());
        let place = |at: usize| u32::try_from(at).expect("small");
        Passage {
            chunk: number,
            start: place(start),
            end: place(end),
            score,
            ..Passage::sample("T", None, &TEXT[start..end])
        }
    }

    fn seen(passages: &[Passage]) -> Vec<(u32, &str, f32)> {
        passages.iter().map(|p| (p.chunk, p.text.as_str(), p.score)).collect()
    }

    #[test]
    fn neighbours_are_one_passage_without_what_both_have() {
        let found = vec![
            chunk(1, "Two", "Three tents", 0.9),
            chunk(3, "Four", "Four tents.", 0.8),
            chunk(0, "One", "One tent.", 0.7),
            chunk(2, "Three", "äöü.", 0.6),
        ];
        let passages = joined(found);
        let whole = TEXT.replace("\n\n\n", "\n\n");
        assert_eq!(seen(&passages), [(0, whole.as_str(), 0.9)]);
        assert_eq!((passages[0].start, passages[0].end), (0, u32::try_from(TEXT.len()).expect("small")));
    }

    #[test]
    fn others_stay_apart() {
        let (first, second) = (chunk(0, "One", "One tent.", 0.5), chunk(1, "Two", "Three tents", 0.4));
        let apart = |other: Passage| joined(vec![first.clone(), other]).len() == 2;
        assert!(!apart(second.clone()));
        assert!(apart(Passage { document: "e".to_owned(), ..second.clone() }));
        assert!(apart(Passage { heading: Some("Four".to_owned()), ..second.clone() }));
        assert!(apart(Passage { place: Some("chapter “Two”".to_owned()), ..second.clone() }));
        assert!(apart(Passage { chunk: 2, ..second.clone() }));
        assert!(apart(Passage { text: "x".repeat(MAX_BYTES), ..second }));
    }

    #[test]
    fn pages_and_places_are_joined() {
        let on = |number, page, page_end| Passage { page, page_end, ..chunk(number, "One", "One tent.", 0.5) };
        let pages = |first, second| join(&first, &second).map(|both| (both.page, both.page_end));
        assert_eq!(pages(on(0, Some(1), None), on(1, Some(1), None)), Some((Some(1), None)));
        assert_eq!(pages(on(0, Some(1), None), on(1, Some(2), Some(3))), Some((Some(1), Some(3))));
        for (first, second, both) in [
            ("sheet “A, b”, rows 2–5", "sheet “A, b”, rows 6–9", Some("sheet “A, b”, rows 2–9")),
            ("sheet “A”, row 2", "sheet “A”, row 3", Some("sheet “A”, rows 2–3")),
            ("row 7", "rows 8–9", Some("rows 7–9")),
            ("slide 3", "slides 4–5", Some("slides 3–5")),
            ("chapter “One”", "chapter “One”", Some("chapter “One”")),
            ("chapter “One”", "chapter “Two”", None),
            ("sheet “A”, row 2", "sheet “B”, row 2", None),
            ("sheet “A”, row 2", "sheet “A”", None),
        ] {
            assert_eq!(both_places(first, second).as_deref(), both, "{first} {second}");
        }
    }

    proptest! {
        #[test]
        fn every_chunk_is_in_one_passage(numbers in prop::collection::btree_set(0u32..40, 0..30).prop_map(|set| set.into_iter().collect::<Vec<_>>()).prop_shuffle()) {
            let text = |number: u32| format!("<{number}>");
            let found: Vec<_> = numbers.iter().zip(1u8..).map(|(&number, rank)| Passage {
                chunk: number, start: number * 10, end: number * 10 + 5, score: 1.0 / f32::from(rank),
                ..Passage::sample("T", None, &text(number))
            }).collect();
            let passages = joined(found.clone());
            prop_assert!(passages.is_sorted_by(|a, b| a.score >= b.score));
            for chunk in &found {
                prop_assert_eq!(passages.iter().filter(|p| p.text.contains(&chunk.text)).count(), 1);
            }
            prop_assert!(passages.iter().all(|p| p.text.matches('<').count() <= MAX_CHUNKS));
        }
    }
}
