//! Reasoning that comes as text: `<think>…</think>` at the beginning of an answer is taken out of it. Pure.
//!
//! Some servers mark reasoning in the text itself, and cut the marks wherever a piece ends. Only at the very beginning
//! is it looked for: an answer that explains the tag keeps it. Nothing of the reasoning is kept, so it may be long.

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";
/// White space before the mark that is held back until it is known what follows; more of it is text.
const MAX_BLANK_BYTES: usize = 64;

/// The text of an answer as it comes, and how far it is known to be an answer.
#[derive(Debug, Default)]
pub(super) struct Think {
    stage: Stage,
    /// What is held back: at most white space and a part of a mark.
    held: String,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It may still begin with the mark.
    #[default]
    Beginning,
    Reasoning,
    /// The reasoning is over, and white space after it does not belong to the answer.
    Between,
    Text,
}

impl Think {
    /// What of `piece`, and of what was held back before, is text. Empty: nothing yet.
    pub(super) fn push(&mut self, piece: String) -> String {
        if self.stage == Stage::Text {
            return piece;
        }
        let mut held = std::mem::take(&mut self.held);
        held.push_str(&piece);
        if self.stage == Stage::Beginning {
            let begun = held.trim_start();
            if held.len() - begun.len() > MAX_BLANK_BYTES {
                self.stage = Stage::Text;
                return held;
            }
            let Some(reasoning) = begun.strip_prefix(OPEN) else {
                if OPEN.starts_with(begun) {
                    self.held = held;
                    return String::new();
                }
                self.stage = Stage::Text;
                return held;
            };
            held = reasoning.to_owned();
            self.stage = Stage::Reasoning;
        }
        if self.stage == Stage::Reasoning {
            let Some(end) = held.find(CLOSE) else {
                // The mark may have begun: that much is looked at again.
                self.held = held.split_off(held.ceil_char_boundary(held.len().saturating_sub(CLOSE.len() - 1)));
                return String::new();
            };
            held.drain(..end + CLOSE.len());
            self.stage = Stage::Between;
        }
        let text = held.trim_start();
        if text.is_empty() {
            return String::new();
        }
        self.stage = Stage::Text;
        text.to_owned()
    }

    /// The answer is over: what was held back as the possible beginning of a mark is text after all.
    pub(super) fn finish(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        match self.stage {
            Stage::Beginning if !held.trim().is_empty() => held,
            _ => String::new(),
        }
    }

    /// Whether reasoning is being taken out.
    pub(super) fn is_reasoning(&self) -> bool {
        self.stage == Stage::Reasoning
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text<'a>(pieces: impl IntoIterator<Item = &'a str>) -> String {
        let mut think = Think::default();
        let mut text: String = pieces.into_iter().map(|piece| think.push(piece.to_owned())).collect();
        text.push_str(&think.finish());
        text
    }

    #[test]
    fn reasoning_at_the_beginning_goes_and_all_else_stays() {
        for (said, answer) in [
            ("<think>hm</think>Yes.", "Yes."),
            ("\n<think>\na < b </thin </think>\n\n Yes. <think>no</think>", "Yes. <think>no</think>"),
            ("<think></think>", ""),
            ("<think>never closed", ""),
            ("  <b>Yes.", "  <b>Yes."),
            ("The tag <think> is", "The tag <think> is"),
            ("<thi", "<thi"),
            ("<", "<"),
            (" \n", ""),
            ("", ""),
        ] {
            assert_eq!(text([said]), answer, "{said:?}");
        }
        let blank = " ".repeat(MAX_BLANK_BYTES + 1);
        assert_eq!(text([blank.as_str(), "<think>"]), format!("{blank}<think>"), "no more is held back");
    }

    #[test]
    fn little_is_held_back() {
        let mut think = Think::default();
        assert_eq!(think.push("<think>".to_owned()), "");
        for _ in 0..1000 {
            assert_eq!(think.push("hm, 😀 </thin".to_owned()), "");
            assert!(think.is_reasoning() && think.held.len() < CLOSE.len());
        }
    }

    proptest! {
        #[test]
        fn the_cuts_make_no_difference(
            parts in proptest::collection::vec(prop_oneof![
                Just(" \n"), Just("<think>"), Just("</think>"), Just("<th"), Just("</"), Just("ink>"), Just("😀"), Just("a"),
            ], 0..8),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let said = parts.concat();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| said.floor_char_boundary(cut.index(said.len() + 1))).collect();
            cuts.extend([0, said.len()]);
            cuts.sort_unstable();
            let whole = text([said.as_str()]);
            prop_assert_eq!(text(cuts.windows(2).map(|cut| &said[cut[0]..cut[1]])), whole.as_str());
            let characters: Vec<String> = said.chars().map(String::from).collect();
            prop_assert_eq!(text(characters.iter().map(String::as_str)), whole.as_str());
            prop_assert!(said.ends_with(&whole));
        }
    }
}
