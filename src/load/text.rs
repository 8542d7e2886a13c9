//! The text of one run as a client holds it: pieces come with the offset at which they belong. Pure.

/// A text that grows at its end; offsets count UTF-16 code units.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct HeldText {
    text: String,
    units: u64,
}

/// What became of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placed {
    /// So many units were new.
    Grew(u64),
    /// All of it was there already.
    Known,
    /// Something before it is missing; it was not taken.
    Gap,
    /// It says something else than what is held, or begins inside a character; it was not taken.
    Conflict,
}

impl HeldText {
    pub(super) const fn units(&self) -> u64 {
        self.units
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Puts a piece where it belongs: what overlaps must agree and is dropped, the rest is appended.
    pub(super) fn place(&mut self, off: u64, piece: &str) -> Placed {
        if off > self.units {
            return Placed::Gap;
        }
        let length = units_of(piece);
        if off == self.units {
            // The usual case, without a look at what is held.
            self.text.push_str(piece);
            self.units += length;
            return if length == 0 { Placed::Known } else { Placed::Grew(length) };
        }
        let overlap = self.units - off;
        let Some(held) = split_at_unit(&self.text, off).map(|(_, tail)| tail) else { return Placed::Conflict };
        if length <= overlap {
            return if held.starts_with(piece) { Placed::Known } else { Placed::Conflict };
        }
        match split_at_unit(piece, overlap) {
            Some((known, new)) if known == held => {
                self.text.push_str(new);
                self.units += length - overlap;
                Placed::Grew(length - overlap)
            }
            _ => Placed::Conflict,
        }
    }

    /// Takes back everything after `keep`; false when that would cut a character or lies beyond the end.
    pub(super) fn keep(&mut self, keep: u64) -> bool {
        let Some((kept, _)) = split_at_unit(&self.text, keep) else { return false };
        let bytes = kept.len();
        self.text.truncate(bytes);
        self.units = keep;
        true
    }
}

/// UTF-16 code units of a text.
pub(super) fn units_of(text: &str) -> u64 {
    if text.is_ascii() { text.len() as u64 } else { text.encode_utf16().count() as u64 }
}

/// Both parts of a text around a unit, unless that lies inside a character or beyond the end.
fn split_at_unit(text: &str, unit: u64) -> Option<(&str, &str)> {
    let wanted = usize::try_from(unit).ok()?;
    if text.is_ascii() {
        return text.split_at_checked(wanted);
    }
    let mut units = 0;
    for (byte, character) in text.char_indices() {
        if units >= wanted {
            return if units == wanted { text.split_at_checked(byte) } else { None };
        }
        units += character.len_utf16();
    }
    (units == wanted).then_some((text, ""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pieces_are_placed_by_their_offset() {
        let mut held = HeldText::default();
        assert_eq!(held.place(0, "a😀"), Placed::Grew(3));
        assert_eq!(held.place(0, "a😀b"), Placed::Grew(1));
        assert_eq!(held.place(1, "😀"), Placed::Known);
        assert_eq!(held.place(4, ""), Placed::Known);
        assert_eq!(held.place(5, "x"), Placed::Gap);
        assert_eq!(held.place(2, "x"), Placed::Conflict, "inside a character");
        assert_eq!(held.place(3, "c"), Placed::Conflict, "another text");
        assert_eq!(held.place(3, "cd"), Placed::Conflict, "another text");
        assert_eq!((held.as_str(), held.units()), ("a😀b", 4));
        assert!(!held.keep(2) && !held.keep(5));
        assert!(held.keep(3));
        assert_eq!((held.as_str(), held.units()), ("a😀", 3));
    }

    proptest! {
        /// Whatever is delivered twice, overlapping or early: the text is exact, and grows only by what is new.
        #[test]
        fn any_replay_gives_the_exact_text(
            text in "(?s).{1,60}",
            cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..60),
        ) {
            let bounds: Vec<usize> = text.char_indices().map(|(byte, _)| byte).chain([text.len()]).collect();
            let mut held = HeldText::default();
            let mut grown = 0;
            for (from, to) in cuts {
                let (from, to) = (*from.get(&bounds), *to.get(&bounds));
                let (from, to) = (from.min(to), from.max(to));
                let off = units_of(&text[..from]);
                let before = held.units();
                match held.place(off, &text[from..to]) {
                    Placed::Grew(units) => { grown += units; prop_assert_eq!(held.units(), before + units); }
                    Placed::Gap => prop_assert!(off > before),
                    Placed::Known => prop_assert!(units_of(&text[..to]) <= before),
                    Placed::Conflict => prop_assert!(false, "nothing was altered"),
                }
                prop_assert!(text.starts_with(held.as_str()));
                prop_assert_eq!(held.units(), units_of(held.as_str()));
            }
            // A resume from the cursor brings the rest.
            let rest = &text[held.as_str().len()..];
            held.place(held.units(), rest);
            prop_assert_eq!(held.as_str(), &text);
            prop_assert!(grown <= units_of(&text));
        }

        /// A piece that differs in what is held already is never taken.
        #[test]
        fn altered_pieces_are_found(text in "[a-c]{2,20}", at in any::<prop::sample::Index>()) {
            let at = at.index(text.len());
            let mut altered = text.clone();
            altered.replace_range(at..=at, "X");
            let mut held = HeldText::default();
            held.place(0, &text);
            prop_assert_eq!(held.place(0, &(altered + "more")), Placed::Conflict);
            prop_assert_eq!(held.as_str(), &text);
        }
    }
}
