//! Inputs taken apart: several texts in one, so that archives can be made of what stays readable and can be changed
//! anywhere, and pieces as a network brings them.

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

/// The same in pieces, cut at places that are drawn from the bytes themselves, so that an input means the same every
/// time.
pub(crate) fn cut(bytes: &[u8]) -> Vec<&[u8]> {
    let (mut rest, mut pieces) = (bytes, Vec::new());
    for drawn in blake3::hash(bytes).as_bytes().iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, more) = rest.split_at((1 + usize::from(*drawn) % 48).min(rest.len()));
        pieces.push(piece);
        rest = more;
    }
    pieces
}
