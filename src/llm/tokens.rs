//! How long texts are for models. A leaf.

/// About how many tokens `bytes` bytes of text are: one per four. Right for English, too many for other scripts by up
/// to a factor of two.
pub(crate) fn estimated_tokens(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(4)).unwrap_or(u32::MAX)
}
