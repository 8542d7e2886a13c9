//! The seam between a text that broke off and what another model makes of it: what is withdrawn, what is repeated.
//!
//! Pure.

/// So much of a continuation is looked at before any of it is passed on, in bytes: models that are told to go on like to
/// repeat the last words, and some begin anew.
const LOOK: usize = 160;
/// Repetitions that are shorter, in bytes, may as well be chance.
const LEAST: usize = 8;

/// How another model takes up an answer.
#[derive(Debug)]
pub(super) struct Seam {
    /// What was written before; empty when the answer is written anew. Without the white space at its end, which no model
    /// is given.
    before: String,
    /// That white space.
    blank: String,
    /// What came since, as long as the seam is not made.
    pending: String,
}

/// The seam, made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Joined {
    /// Whether all of the text before stays; otherwise none of it does.
    pub(super) keeps: bool,
    /// What follows.
    pub(super) text: String,
}

impl Seam {
    /// A model that writes the answer anew.
    pub(super) const fn anew() -> Self {
        Self { before: String::new(), blank: String::new(), pending: String::new() }
    }

    /// A model that was asked to go on after `before`.
    pub(super) fn after(before: &str) -> Self {
        let (body, blank) = before.split_at(before.trim_end().len());
        Self { before: body.to_owned(), blank: blank.to_owned(), pending: String::new() }
    }

    /// Takes the next piece. The seam, once enough is known; nothing comes after that.
    pub(super) fn push(&mut self, piece: &str) -> Option<Joined> {
        self.pending.push_str(piece);
        (self.before.is_empty() || self.pending.len() >= LOOK).then(|| self.join())
    }

    /// What came since does not count.
    pub(super) fn clear(&mut self) {
        self.pending.clear();
    }

    /// No more pieces come: the seam, if there is anything to join.
    pub(super) fn end(&mut self) -> Option<Joined> {
        (!self.pending.is_empty()).then(|| self.join())
    }

    /// The seam with what came until now, also when that is nothing: what follows is no text.
    pub(super) fn join(&mut self) -> Joined {
        let text = std::mem::take(&mut self.pending);
        let begins_anew = self.before.len() >= LEAST && {
            let head = common_prefix(&self.before, &text);
            head >= LEAST && (head == self.before.len() || head >= LOOK / 2)
        };
        if self.before.is_empty() || begins_anew {
            return Joined { keeps: false, text };
        }
        let more = &text[overlap(&self.before, &text)..];
        // The white space that is there already: a model may write it, which it was not given, or more, or none.
        let written = &more[..more.len() - more.trim_start().len()];
        let known = common_prefix(&self.blank, written);
        Joined { keeps: true, text: more[known..].to_owned() }
    }
}

/// How many bytes both begin with.
fn common_prefix(a: &str, b: &str) -> usize {
    a.chars().zip(b.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum()
}

/// The most bytes, at least [`LEAST`] and at most [`LOOK`], with which `before` ends and `text` begins.
fn overlap(before: &str, text: &str) -> usize {
    let most = before.len().min(text.len()).min(LOOK);
    (LEAST..=most).rev().find(|&at| text.is_char_boundary(at) && before.ends_with(&text[..at])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn joined(before: &str, pieces: &[&str]) -> Option<Joined> {
        let mut seam = Seam::after(before);
        pieces.iter().find_map(|piece| seam.push(piece)).or_else(|| seam.end())
    }

    fn keeps(text: &str) -> Option<Joined> {
        Some(Joined { keeps: true, text: text.to_owned() })
    }

    #[test]
    fn what_is_repeated_at_the_seam_is_dropped() {
        assert_eq!(joined("Tents go back within", &["go back ", "within 60 days."]), keeps(" 60 days."));
        assert_eq!(joined("Tents go back within", &[" 60 days."]), keeps(" 60 days."));
        assert_eq!(joined("It is a", &["a tent"]), keeps("a tent"), "too short to tell");
        assert_eq!(joined("Tents go back", &[]), None);
        assert_eq!(Seam::after("Tents go back ").join(), Joined { keeps: true, text: String::new() });
        assert_eq!(Seam::anew().join(), Joined { keeps: false, text: String::new() });
    }

    #[test]
    fn white_space_at_the_seam_is_neither_doubled_nor_lost() {
        for (before, more, whole) in [
            ("It is ", "a tent", "It is a tent"),
            ("It is ", " a tent", "It is a tent"),
            ("It is", " a tent", "It is a tent"),
            ("List:\n", "\n- a", "List:\n- a"),
            ("List:\n", "\n\n- a", "List:\n\n- a"),
            ("List:\n\n", "\n- a", "List:\n\n- a"),
            ("List:\n\n", "- a", "List:\n\n- a"),
            ("Tents go back ", "Tents go back within", "Tents go back within"),
            ("Now: tents go back ", "tents go back within", "Now: tents go back within"),
        ] {
            let joined = joined(before, &[more]).unwrap();
            assert_eq!(
                if joined.keeps { before.to_owned() + &joined.text } else { joined.text },
                whole,
                "{before:?} {more:?}"
            );
        }
    }

    #[test]
    fn a_model_that_begins_anew_is_let() {
        let anew = joined("Tents go back within", &["Tents go back within 60 days."]);
        assert_eq!(anew, Some(Joined { keeps: false, text: "Tents go back within 60 days.".to_owned() }));
        assert_eq!(Seam::anew().push("A"), Some(Joined { keeps: false, text: "A".to_owned() }));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_character_is_cut(
            whole in "[a-zäß😀 ]{0,300}", cut in 0usize..300, back in 0usize..40, piece in 1usize..50,
        ) {
            let cut = whole.floor_char_boundary(cut.min(whole.len()));
            let from = whole.floor_char_boundary(cut.saturating_sub(back));
            let (before, rest) = (&whole[..cut], &whole[from..]);
            let mut seam = Seam::after(before);
            let mut text = String::new();
            let mut made = None;
            let chars: Vec<char> = rest.chars().collect();
            for piece in chars.chunks(piece) {
                let piece: String = piece.iter().collect();
                match &made {
                    None => made = seam.push(&piece),
                    Some(_) => text.push_str(&piece),
                }
            }
            let made = made.or_else(|| seam.end());
            let Some(made) = made else { return Ok(()) };
            let result = if made.keeps { format!("{before}{}{text}", made.text) } else { format!("{}{text}", made.text) };
            // Whatever was dropped was there before; what is left is a continuation.
            prop_assert!(result.ends_with(&whole[cut..]) || rest.is_empty());
            prop_assert!(!made.keeps || result.len() <= before.len() + rest.len());
        }
    }
}
