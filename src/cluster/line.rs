//! What is sent from one gateway to another, numbered: so that a loss is noticed with the next message. Pure.

/// How far a line is, for who sends.
#[derive(Debug)]
pub(super) struct Sending {
    line: u64,
    sent: u64,
}

/// How far it is, for who receives.
#[derive(Debug, Default)]
pub(super) struct Receiving {
    line: u64,
    heard: u64,
}

/// What a message is by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// The next one.
    Next,
    /// One that came already, or that others have overtaken.
    Again,
    /// Others are missing before it.
    Gap,
}

impl Sending {
    /// A line that nobody had before.
    pub(super) fn new(line: u64) -> Self {
        Self { line, sent: 0 }
    }

    /// The line and number of the next message.
    pub(super) fn next(&mut self) -> (u64, u64) {
        self.sent += 1;
        (self.line, self.sent)
    }
}

impl Receiving {
    /// Takes the next message.
    pub(super) fn hear(&mut self, line: u64, number: u64) -> Heard {
        let before = std::mem::replace(self, Self { line, heard: number });
        if before.line == line && number <= before.heard {
            *self = before;
            return Heard::Again;
        }
        // Whoever begins a new line may have told something on the old one that did not come.
        let expected = if before.line == line || before.heard == 0 { before.heard + 1 } else { 0 };
        if number == expected { Heard::Next } else { Heard::Gap }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn whatever_is_lost_doubled_or_out_of_order_is_noticed(order in vec(0..12usize, 0..30)) {
            let mut sending = Sending::new(7);
            let messages: Vec<_> = (0..12).map(|_| sending.next()).collect();
            let (mut receiving, mut heard) = (Receiving::default(), 0);
            for at in order {
                let (line, number) = messages[at];
                let expected = match number {
                    n if n <= heard => Heard::Again,
                    n if n == heard + 1 => Heard::Next,
                    _ => Heard::Gap,
                };
                prop_assert_eq!(receiving.hear(line, number), expected);
                heard = heard.max(number);
            }
        }
    }

    #[test]
    fn a_new_line_is_a_gap_where_there_was_another() {
        let mut receiving = Receiving::default();
        assert_eq!(receiving.hear(1, 1), Heard::Next);
        assert_eq!(receiving.hear(2, 1), Heard::Gap);
        assert_eq!(receiving.hear(2, 2), Heard::Next);
        assert_eq!(Receiving::default().hear(1, 2), Heard::Gap, "its beginning is lost");
    }
}
