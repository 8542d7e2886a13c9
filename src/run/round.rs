//! Where the text of one round stands in an answer that goes in rounds. Pure.

use super::event::RunEvent;
use crate::chat::{byte_of, utf16_len};

/// What stands between the texts of two rounds.
pub(super) const BREAK: &str = "\n\n";

/// The text of a round, and where it stands.
#[derive(Debug)]
pub(super) struct Round {
    /// Where it begins in the answer, in UTF-16 code units.
    begins: u64,
    said: String,
    /// Whether it stands apart from that of the rounds before it.
    is_apart: bool,
}

impl Round {
    /// A round after so many units of text.
    pub(super) const fn at(begins: u64) -> Self {
        Self { begins, said: String::new(), is_apart: begins == 0 }
    }

    /// Hears what is told of this round, and puts it where it belongs in the whole answer.
    pub(super) fn hear(&mut self, event: &mut RunEvent) {
        match event {
            RunEvent::Text(text) => {
                self.said.push_str(text);
                if !self.is_apart {
                    self.is_apart = true;
                    self.begins += utf16_len(BREAK);
                    text.insert_str(0, BREAK);
                }
            }
            RunEvent::Failover(failover) => {
                self.said.truncate(byte_of(&self.said, failover.keep));
                failover.keep += self.begins;
            }
            _ => {}
        }
    }

    /// Where it ends, and its text.
    pub(super) fn over(self) -> (u64, String) {
        (self.begins + utf16_len(&self.said), self.said)
    }
}
