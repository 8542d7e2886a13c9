//! Offsets in texts. Pure.

/// The number of UTF-16 code units of `text`, the unit of every offset on the wire.
#[must_use]
pub fn utf16_len(text: &str) -> u64 {
    if text.is_ascii() {
        return text.len() as u64;
    }
    text.chars().map(|c| c.len_utf16() as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf16_counts_surrogate_pairs_twice() {
        assert_eq!(utf16_len("aé😀"), 4);
    }
}
