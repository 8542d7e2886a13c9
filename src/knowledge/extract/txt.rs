//! Plain text: nothing to interpret.

/// The text without white space around it.
pub(super) fn read(text: &str) -> String {
    text.trim().to_owned()
}
