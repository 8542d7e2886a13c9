//! Tokens that say when they were written, so that a client on the same machine can tell how old one is. Pure.
//!
//! A stamp is a space and the microseconds of the wall clock in five digits to the base 36: about as long as a word, and
//! unique for a minute. Stamps of one answer only grow, so that a lost or doubled token shows.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{BufMut, Bytes, BytesMut};

/// Bytes of a stamp.
pub const WIDTH: usize = 6;
/// Microseconds after which stamps begin again.
pub const PERIOD_US: u64 = 36 * 36 * 36 * 36 * 36;

const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// The stamp of a moment.
#[must_use]
pub fn write(now_us: u64) -> [u8; WIDTH] {
    let mut stamp = [b' '; WIDTH];
    let mut rest = now_us % PERIOD_US;
    for digit in stamp[1..].iter_mut().rev() {
        *digit = DIGITS[usize::try_from(rest % 36).unwrap_or(0)];
        rest /= 36;
    }
    stamp
}

/// The moment of a stamp, in microseconds within the period; `None` when it is none.
#[must_use]
pub fn read(stamp: &[u8]) -> Option<u64> {
    let digits = stamp.strip_prefix(b" ").filter(|digits| digits.len() == WIDTH - 1)?;
    digits.iter().try_fold(0, |moment, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'z' => digit - b'a' + 10,
            _ => return None,
        };
        Some(moment * 36 + u64::from(value))
    })
}

/// The stamped events of one answer.
#[derive(Debug)]
pub(super) struct Stamper {
    before: Bytes,
    after: Bytes,
    last_us: u64,
}

impl Stamper {
    /// `event` is an event whose text is the stamp of moment 0.
    pub(super) fn new(event: &Bytes) -> Option<Self> {
        let zero = write(0);
        let at = event.windows(WIDTH).position(|window| window == zero)?;
        Some(Self { before: event.slice(..at), after: event.slice(at + WIDTH..), last_us: 0 })
    }

    /// The next event, stamped with this moment or, when the clock stands or was set back, the next possible one.
    pub(super) fn event(&mut self, now_us: u64) -> Bytes {
        self.last_us = now_us.max(self.last_us + 1);
        let mut event = BytesMut::with_capacity(self.before.len() + WIDTH + self.after.len());
        event.put_slice(&self.before);
        event.put_slice(&write(self.last_us));
        event.put_slice(&self.after);
        event.freeze()
    }
}

/// Microseconds of the wall clock, which is the same in every process of a machine.
pub(super) fn wall_clock_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_stamp_is_not_read() {
        for wrong in [&b""[..], b" 0000", b"000000", b" 0000A", b" 00000 "] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn stamps_of_an_answer_grow_even_when_the_clock_stands() {
        let mut stamper = Stamper::new(&Bytes::from_static(b"data: \" 00000\"")).unwrap();
        assert_eq!(stamper.event(36), "data: \" 00010\"");
        assert_eq!(stamper.event(36), "data: \" 00011\"");
        assert_eq!(stamper.event(3), "data: \" 00012\"");
        assert!(Stamper::new(&Bytes::from_static(b"data:000000")).is_none());
    }

    proptest! {
        #[test]
        fn a_stamp_is_read_as_it_was_written(moment in any::<u64>()) {
            prop_assert_eq!(read(&write(moment)), Some(moment % PERIOD_US));
        }
    }
}
