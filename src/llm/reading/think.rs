//! Reasoning that comes as text: it is taken out, whatever marks it has, and wherever these are cut.
//!
//! An opening mark counts at the beginning of an answer only: one that explains the mark keeps it. Where a prompt's
//! template has opened the reasoning already, only a closing mark comes, and what stood before it was reasoning: it is
//! withdrawn, or, when it is known beforehand, held back. A closing mark that is quoted, or that follows an opening one,
//! is text. Pure.

use super::marks::{Mark, Pair, at_beginning, candidate};

/// White space before the first mark that is held back until it is known what follows; more of it is text.
const MAX_BLANK_BYTES: usize = 64;
/// So many closing marks of an answer are looked at; further ones are text.
const MAX_CLOSING: u8 = 8;

/// The text of an answer as it comes, and how far it is known to be an answer.
#[derive(Debug)]
pub(super) struct Think {
    stage: Phase,
    /// What is held back: white space and a part of a mark; or, while it is assumed to be reasoning, all of it.
    held: String,
    /// How much of it was looked through.
    seen: usize,
    /// An opening mark stood in the text: a closing one belongs to it.
    is_explained: bool,
    closing: u8,
    closes_alone: bool,
}

/// What of an answer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It may still begin with a mark.
    Beginning,
    /// Behind an opening mark.
    Reasoning(Pair),
    /// Taken for reasoning without a mark. If none closes it, it was an answer.
    Assumed,
    /// The reasoning is over, and white space after it does not belong to the answer.
    Between,
    Text,
}

/// What a piece comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Thought {
    /// What was passed on before was reasoning.
    pub(super) withdrawn: bool,
    /// What may be seen.
    pub(super) text: String,
    /// Bytes of reasoning.
    pub(super) hidden: usize,
}

impl Think {
    /// A usual answer, or one that begins with reasoning of which no opening mark tells.
    pub(super) const fn new(begins_in_thought: bool) -> Self {
        Self {
            stage: if begins_in_thought { Phase::Assumed } else { Phase::Beginning },
            held: String::new(),
            seen: 0,
            is_explained: false,
            closing: 0,
            closes_alone: false,
        }
    }

    /// What may be seen of a text that is whole.
    pub(super) fn visible(text: &str) -> String {
        let mut think = Self::new(false);
        let first = think.push(text.to_owned(), "").text;
        let rest = think.finish(&first, true);
        if rest.withdrawn { rest.text } else { first + &rest.text }
    }

    /// Takes a piece; `said` is what was passed on before and not withdrawn.
    pub(super) fn push(&mut self, piece: String, said: &str) -> Thought {
        if self.held.is_empty() {
            if self.stage == Phase::Text && candidate(&piece, 0).is_none() {
                return Thought { text: piece, ..Thought::default() };
            }
            self.held = piece;
        } else {
            self.held.push_str(&piece);
        }
        self.go_on(said, false)
    }

    /// The answer is over: what was held back as the possible beginning of a mark is text after all, and so is what was
    /// only assumed to be reasoning, when it ended of itself.
    pub(super) fn finish(&mut self, said: &str, is_whole: bool) -> Thought {
        let mut thought = self.go_on(said, true);
        let held = std::mem::take(&mut self.held);
        match self.stage {
            Phase::Assumed if is_whole => thought.text.push_str(held.trim_start()),
            Phase::Beginning if !held.trim().is_empty() => thought.text.push_str(&held),
            Phase::Text => thought.text.push_str(&held),
            _ => {}
        }
        thought
    }

    /// The server tells reasoning and text apart by itself: nothing is assumed.
    pub(super) fn is_told_apart(&mut self) {
        if self.stage == Phase::Assumed && self.held.is_empty() {
            self.stage = Phase::Beginning;
        }
    }

    /// What may still be text.
    pub(super) fn held(&self) -> &str {
        &self.held
    }

    /// Whether reasoning was opened and not closed.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.stage, Phase::Reasoning(_))
    }

    /// Whether reasoning was closed that nothing had opened.
    pub(super) const fn closes_alone(&self) -> bool {
        self.closes_alone
    }

    /// Takes what is held, as far as it can be told what it is.
    fn go_on(&mut self, said: &str, is_end: bool) -> Thought {
        let mut thought = Thought::default();
        loop {
            let goes_on = match self.stage {
                Phase::Beginning | Phase::Between => self.begin(is_end),
                Phase::Reasoning(pair) => self.reason(pair, &mut thought),
                Phase::Assumed => self.assume(&mut thought),
                Phase::Text => self.speak(said, is_end, &mut thought),
            };
            if !goes_on {
                return thought;
            }
        }
    }

    /// Before the first word.
    fn begin(&mut self, is_end: bool) -> bool {
        let body = self.held.trim_start();
        let blank = self.held.len() - body.len();
        let is_between = self.stage == Phase::Between;
        if blank > MAX_BLANK_BYTES && !is_between {
            self.stage = Phase::Text;
            return true;
        }
        match at_beginning(body) {
            _ if body.is_empty() => {
                if is_between {
                    self.held.clear();
                }
                return false;
            }
            Mark::Open(len, pair) => {
                self.held.drain(..blank + len);
                self.stage = Phase::Reasoning(pair);
            }
            Mark::Close(len, pair) if pair.closes_alone() => {
                self.held.drain(..blank + len);
                self.closes_alone = true;
                self.stage = Phase::Between;
            }
            Mark::Partial if !is_end => return false,
            _ => {
                if is_between {
                    self.held.drain(..blank);
                }
                self.stage = Phase::Text;
            }
        }
        true
    }

    /// Looks for what closes `pair`.
    fn reason(&mut self, pair: Pair, thought: &mut Thought) -> bool {
        let (mut at, mut keep) = (0, self.held.len());
        while let Some(found) = candidate(&self.held, at) {
            match at_beginning(&self.held[found..]) {
                Mark::Close(len, closed) if closed == pair => {
                    thought.hidden += found;
                    self.held.drain(..found + len);
                    self.stage = Phase::Between;
                    return true;
                }
                Mark::Partial => {
                    keep = found;
                    break;
                }
                _ => at = found + 1,
            }
        }
        thought.hidden += keep;
        self.held.drain(..keep);
        false
    }

    /// Looks for any mark that closes.
    fn assume(&mut self, thought: &mut Thought) -> bool {
        let mut at = self.seen;
        while let Some(found) = candidate(&self.held, at) {
            match at_beginning(&self.held[found..]) {
                Mark::Close(len, pair) if pair.closes_alone() => {
                    thought.hidden += found - self.seen;
                    self.held.drain(..found + len);
                    self.closes_alone = true;
                    self.stage = Phase::Between;
                    return true;
                }
                Mark::Partial => {
                    at = found;
                    break;
                }
                _ => at = found + 1,
            }
        }
        // A mark that is only begun is looked at again.
        let seen = candidate(&self.held, at).unwrap_or(self.held.len());
        thought.hidden += seen - self.seen;
        self.seen = seen;
        false
    }

    /// Passes text on, up to where a mark may begin.
    fn speak(&mut self, said: &str, is_end: bool, thought: &mut Thought) -> bool {
        let (mut at, mut keep) = (0, self.held.len());
        while let Some(found) = candidate(&self.held, at) {
            let next = match at_beginning(&self.held[found..]) {
                Mark::Close(len, pair) if pair.closes_alone() && !self.is_explained && self.closing < MAX_CLOSING => {
                    found + len
                }
                Mark::Open(..) => {
                    self.is_explained = true;
                    at = found + 1;
                    continue;
                }
                Mark::Partial if !is_end => {
                    keep = found;
                    break;
                }
                _ => {
                    at = found + 1;
                    continue;
                }
            };
            let behind = self.held[next..].chars().next();
            if behind.is_none() && !is_end {
                keep = found;
                break;
            }
            self.closing += 1;
            let said = if thought.withdrawn { "" } else { said };
            if closes_reasoning(&[said, &thought.text, &self.held[..found]].concat(), behind) {
                self.held.drain(..next);
                self.closes_alone = true;
                self.stage = Phase::Between;
                *thought = Thought { withdrawn: true, text: String::new(), hidden: thought.hidden };
                return true;
            }
            at = next;
        }
        if thought.text.is_empty() && keep == self.held.len() {
            thought.text = std::mem::take(&mut self.held);
        } else {
            thought.text.push_str(&self.held[..keep]);
            self.held.drain(..keep);
        }
        false
    }
}

/// Whether a closing mark between `before` and the character `behind` was meant as one, and not as a word of the answer:
/// it is neither code, nor quoted, nor in the middle of a sentence.
fn closes_reasoning(before: &str, behind: Option<char>) -> bool {
    let line = before.rsplit('\n').next().unwrap_or_default();
    let fences = before.lines().filter(|line| matches!(line.trim_start().get(..3), Some("```" | "~~~"))).count();
    if fences % 2 == 1 || line.matches('`').count() % 2 == 1 {
        return false;
    }
    let is_quote = |c: char| "\"'`“‘«„(*".contains(c);
    let is_within = behind.is_some_and(|c| c == ' ' || ".,;:)?!".contains(c)) && line.ends_with(' ');
    !line.ends_with(is_quote) && !behind.is_some_and(is_quote) && !is_within
}

#[cfg(test)]
mod tests;
