//! The marks that models put around reasoning. Pure, a leaf.

use memchr::memchr3;

/// No mark is longer, in bytes, with the white space that may be in it.
const MAX_MARK_BYTES: usize = 40;

/// Marks in angle brackets, with or without white space between their parts; the first ones also close what nothing has
/// opened.
const NAMES: [&str; 5] = ["think", "thinking", "seed:think", "thought", "reasoning"];
const CLOSING_NAMES: u8 = 3;
/// Other pairs.
const LITERALS: [(&str, &str); 4] = [
    ("[think]", "[/think]"),
    ("◁think▷", "◁/think▷"),
    ("<|start_thinking|>", "<|end_thinking|>"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
];

/// Which marks belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair(u8);

impl Pair {
    const fn literal(at: usize) -> Self {
        Self((NAMES.len() + at) as u8)
    }

    /// Whether its closing mark means something alone.
    pub(super) const fn closes_alone(self) -> bool {
        self.0 < CLOSING_NAMES || self.0 as usize >= NAMES.len()
    }
}

/// What stands at the beginning of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// So many bytes of an opening mark.
    Open(usize, Pair),
    /// So many bytes of a closing mark.
    Close(usize, Pair),
    /// Perhaps the beginning of a mark.
    Partial,
    /// No mark.
    No,
}

/// Where from `at` on a mark may begin.
pub(super) fn candidate(text: &str, at: usize) -> Option<usize> {
    // The first bytes of all marks; the last one is that of many other characters, too.
    let found = memchr3(b'<', b'[', 0xe2, &text.as_bytes()[at..]);
    found.map(|found| at + found)
}

/// What `text` begins with.
pub(super) fn at_beginning(text: &str) -> Mark {
    if text.is_empty() {
        return Mark::No;
    }
    let mut partial = false;
    for (at, (open, close)) in LITERALS.into_iter().enumerate() {
        for (literal, is_open) in [(open, true), (close, false)] {
            if begins(text, literal) {
                let (len, pair) = (literal.len(), Pair::literal(at));
                return if is_open { Mark::Open(len, pair) } else { Mark::Close(len, pair) };
            }
            partial |= text.len() < literal.len() && begins(literal, text);
        }
    }
    match angle(text) {
        Mark::No if partial => Mark::Partial,
        mark => mark,
    }
}

/// Whether `text` begins with `part`, whatever the case of its letters.
fn begins(text: &str, part: &str) -> bool {
    text.as_bytes().get(..part.len()).is_some_and(|head| head.eq_ignore_ascii_case(part.as_bytes()))
}

/// A mark in angle brackets.
fn angle(text: &str) -> Mark {
    let Some(inside) = text.strip_prefix('<') else { return Mark::No };
    let whole = text.len();
    let unfinished = if whole < MAX_MARK_BYTES { Mark::Partial } else { Mark::No };
    let inside = inside.trim_start();
    let (inside, is_closing) = inside.strip_prefix('/').map_or((inside, false), |rest| (rest.trim_start(), true));
    let end = inside.find(|c: char| !c.is_ascii_alphanumeric() && c != ':').unwrap_or(inside.len());
    let (name, rest) = inside.split_at(end);
    let rest = rest.trim_start();
    if rest.is_empty() {
        let may_be = NAMES.iter().any(|known| begins(known, name));
        return if may_be { unfinished } else { Mark::No };
    }
    let known = NAMES.iter().position(|known| known.eq_ignore_ascii_case(name));
    match (known, rest.strip_prefix('>')) {
        (Some(at), Some(behind)) if whole - behind.len() <= MAX_MARK_BYTES => {
            let (len, pair) = (whole - behind.len(), Pair(at as u8));
            if is_closing { Mark::Close(len, pair) } else { Mark::Open(len, pair) }
        }
        _ => Mark::No,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn marks_are_known_in_every_spelling() {
        for (text, len) in
            [("<think>x", 7), ("<Thinking>", 10), ("< think >", 9), ("[THINK]a", 7), ("<|START_THINKING|>", 18)]
        {
            assert!(matches!(at_beginning(text), Mark::Open(found, _) if found == len), "{text}");
        }
        for (text, len) in [("</think>x", 8), ("</ think>", 9), ("</think >", 9), ("◁/think▷", 12), ("[/think]", 8)]
        {
            assert!(
                matches!(at_beginning(text), Mark::Close(found, pair) if found == len && pair.closes_alone()),
                "{text}"
            );
        }
        assert!(matches!(at_beginning("</reasoning>"), Mark::Close(_, pair) if !pair.closes_alone()));
        for text in ["<", "</", "< / ", "<thi", "<think", "<think ", "[", "[/TH", "◁", "<|", "<|end"] {
            assert_eq!(at_beginning(text), Mark::Partial, "{text}");
        }
        for text in ["", "a", "<b>", "<thinker>", "<think x>", "[1]", "◀", "< b", "<//think>", "<think/>"] {
            assert_eq!(at_beginning(text), Mark::No, "{text}");
        }
        assert_eq!(at_beginning(&format!("<{}", " ".repeat(MAX_MARK_BYTES))), Mark::No, "so much is not held back");
    }

    proptest! {
        /// Whatever the cut: what is no mark with less is none with more, and a mark is the same one.
        #[test]
        fn more_text_changes_only_what_was_open(text in r"(<|</|< /)?(think|thinking|seed:think|b|\[/THINK\]|◁think▷| |>){1,4}", cut in any::<prop::sample::Index>()) {
            let cut = text.floor_char_boundary(cut.index(text.len() + 1));
            let (less, more) = (at_beginning(&text[..cut]), at_beginning(&text));
            prop_assert!(less == more || less == Mark::Partial || text[..cut].is_empty(), "{less:?} {more:?}");
        }
    }
}
