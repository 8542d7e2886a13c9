//! Several texts in one input, so that archives can be made of inputs that stay readable and can be changed anywhere.

/// What a line begins with behind which another part stands; the rest of the line is its name.
const MARK: &[u8] = b"=== ";

/// The line that something begins with, and what follows.
pub(crate) fn first_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    end.map_or((bytes, b""), |end| (&bytes[..end], &bytes[end + 1..]))
}

/// The parts, each with its name; `None` when the input does not begin with one.
pub(crate) fn parts(bytes: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let mut parts: Vec<(String, Vec<u8>)> = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if let Some(name) = line.strip_prefix(MARK) {
            parts.push((String::from_utf8_lossy(name.trim_ascii()).into_owned(), Vec::new()));
        } else {
            parts.last_mut()?.1.extend_from_slice(line);
        }
    }
    Some(parts)
}
