//! An answer whose every token says when the model wrote it (`mock-llm --stamped`): checks that none is missing, doubled
//! or altered, and how old each one is. Pure.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::{
    load::report::micros,
    mock_llm::stamp::{PERIOD_US, WIDTH, read},
};

/// An answer as it comes.
#[derive(Default)]
pub(super) struct Stamped {
    units: u64,
    crc: crc32fast::Hasher,
    /// The beginning of a token whose rest is still to come.
    begun: Vec<u8>,
    last: Option<u64>,
    pub(super) tokens: u64,
}

impl Stamped {
    /// Takes a piece of text, with its offset where there are offsets, and tells the age of each token in it, in
    /// microseconds.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn piece(
        &mut self,
        off: Option<u64>,
        text: &str,
        now_us: u64,
        mut age: impl FnMut(u64),
    ) -> Result<(), String> {
        if let Some(off) = off.filter(|off| *off != self.units) {
            return Err(format!("text at {off} where {} was next", self.units));
        }
        self.units += text.len() as u64; // Stamps are ASCII.
        self.crc.update(text.as_bytes());
        self.begun.extend_from_slice(text.as_bytes());
        let whole = self.begun.len() / WIDTH * WIDTH;
        for stamp in self.begun[..whole].chunks(WIDTH) {
            let moment = read(stamp).ok_or_else(|| format!("{:?} is no stamp", String::from_utf8_lossy(stamp)))?;
            if self.last.is_some_and(|last| !grows(last, moment)) {
                return Err("a token came twice or out of turn".to_owned());
            }
            self.last = Some(moment);
            self.tokens += 1;
            age((now_us % PERIOD_US + PERIOD_US - moment) % PERIOD_US);
        }
        self.begun.drain(..whole);
        Ok(())
    }

    /// Compares the whole with what is announced of it and with what was to come.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn end(&self, len: Option<u64>, crc32: Option<&str>, tokens: Option<u64>) -> Result<(), String> {
        if len.is_some_and(|len| len != self.units) {
            return Err(format!("an answer of {} units where {len:?} are announced", self.units));
        }
        if let Some(announced) = crc32.filter(|crc32| **crc32 != format!("{:08x}", self.crc.clone().finalize())) {
            return Err(format!("an answer without the announced checksum {announced}"));
        }
        if !self.begun.is_empty() || tokens.is_some_and(|tokens| tokens != self.tokens) {
            return Err(format!("an answer of {} tokens where {tokens:?} were to come", self.tokens));
        }
        Ok(())
    }
}

/// Whether a moment is after another one, in a clock that begins again.
fn grows(last: u64, moment: u64) -> bool {
    (1..PERIOD_US / 2).contains(&((moment + PERIOD_US - last) % PERIOD_US))
}

/// Microseconds of the wall clock, which is the same in every process of a machine.
pub(super) fn wall_clock_us() -> u64 {
    micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock_llm::stamp::write;

    fn text(moments: &[u64]) -> String {
        moments.iter().map(|moment| String::from_utf8(write(*moment).to_vec()).unwrap()).collect()
    }

    #[test]
    fn tokens_are_found_in_pieces_of_any_size_and_across_the_end_of_a_period() {
        let whole = text(&[PERIOD_US - 3, PERIOD_US - 1, 2]);
        for size in 1..=whole.len() {
            let (mut answer, mut ages) = (Stamped::default(), Vec::new());
            for (at, piece) in whole.as_bytes().chunks(size).enumerate() {
                let piece = std::str::from_utf8(piece).unwrap();
                answer.piece(Some((at * size) as u64), piece, 7 * PERIOD_US + 4, |age| ages.push(age)).unwrap();
            }
            assert_eq!(ages, [7, 5, 2]);
            let crc = format!("{:08x}", crc32fast::hash(whole.as_bytes()));
            answer.end(Some(18), Some(&crc), Some(3)).unwrap();
            assert!(answer.end(Some(17), None, None).is_err());
            assert!(answer.end(None, Some("00000000"), None).is_err());
            assert!(answer.end(None, None, Some(4)).is_err());
        }
    }

    #[test]
    fn what_is_doubled_missing_or_altered_is_found() {
        for (off, bad) in
            [(6, text(&[5])), (6, text(&[4])), (6, " Hello".to_owned()), (12, text(&[6])), (0, text(&[6]))]
        {
            let mut answer = Stamped::default();
            answer.piece(Some(0), &text(&[5]), 9, |_| ()).unwrap();
            assert!(answer.piece(Some(off), &bad, 9, |_| ()).is_err(), "{bad} at {off}");
        }
        let mut answer = Stamped::default();
        answer.piece(None, " 000", 9, |_| ()).unwrap();
        assert!(answer.end(None, None, None).is_err(), "half a token");
    }
}
