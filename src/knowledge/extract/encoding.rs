//! Bytes → text, in whatever encoding they are. Pure.
//!
//! A byte order mark is believed; else UTF-8, when all of it is UTF-8; else what the document declares, when it can be
//! read so; else the likeliest.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::ExtractError;

/// What is looked at to tell UTF-16 without a mark.
const SAMPLE: usize = 4096;
/// Fewer characters tell nothing.
const LEAST_PAIRS: usize = 4;
/// Where HTML may declare its encoding.
const DECLARED_WITHIN: usize = 1024;

/// A text, and how it was read.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) text: String,
    pub(super) encoding: &'static str,
    /// Whether some bytes were no characters.
    pub(super) has_errors: bool,
}

/// Reads a text; `declared` is the encoding that it names itself.
pub(super) fn decode(bytes: &[u8], declared: Option<&'static Encoding>) -> Result<Decoded, ExtractError> {
    if let Some((is_big, rest)) = utf32(bytes) {
        return Ok(decode_utf32(rest, is_big));
    }
    let by_mark = Encoding::for_bom(bytes).map(|(encoding, _)| encoding);
    let certain = by_mark.or_else(|| utf16_without_mark(bytes));
    if certain.is_none() && bytes.contains(&0) {
        return Err(ExtractError::TypeMismatch("no text".to_owned()));
    }
    let fits = |encoding: &&'static Encoding| !encoding.decode_without_bom_handling(bytes).1;
    let encoding = certain
        .or_else(|| std::str::from_utf8(bytes).is_ok().then_some(UTF_8))
        .or_else(|| declared.filter(fits))
        .unwrap_or_else(|| likeliest(bytes));
    let (text, _, has_errors) = encoding.decode(bytes);
    Ok(Decoded { text: text.into_owned(), encoding: encoding.name(), has_errors })
}

/// Whether it can be a text at all.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    !bytes.contains(&0)
        || utf32(bytes).is_some()
        || Encoding::for_bom(bytes).is_some_and(|(encoding, _)| encoding != UTF_8)
        || utf16_without_mark(bytes).is_some()
}

/// What HTML says of its encoding, in a `meta` element or the XML declaration.
pub(super) fn declared_in_html(bytes: &[u8]) -> Option<&'static Encoding> {
    let beginning = String::from_utf8_lossy(&bytes[..bytes.len().min(DECLARED_WITHIN)]).to_ascii_lowercase();
    let at = beginning.find("charset=").map(|at| at + "charset=".len());
    let at = at.or_else(|| Some(beginning.find("encoding=")? + "encoding=".len()))?;
    let label = beginning[at..].trim_start_matches(['"', '\'', ' ']);
    let end = label.find(['"', '\'', ' ', ';', '>', '/', '?']).unwrap_or(label.len());
    // Who declares UTF-16 in bytes that are none has meant UTF-8.
    Encoding::for_label(&label.as_bytes()[..end]).filter(|encoding| encoding.is_ascii_compatible())
}

fn likeliest(bytes: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(bytes, true);
    detector.guess(None, Utf8Detection::Allow)
}

/// Characters below U+0100 have a zero in every second byte.
fn utf16_without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    let sample = &bytes[..bytes.len().min(SAMPLE) & !1];
    let zeros = |offset: usize| sample.iter().skip(offset).step_by(2).filter(|byte| **byte == 0).count();
    let (first, second, pairs) = (zeros(0), zeros(1), sample.len() / 2);
    let is_most = |zeros: usize| pairs >= LEAST_PAIRS && zeros * 10 >= pairs * 7;
    match () {
        () if is_most(second) && first == 0 => Some(UTF_16LE),
        () if is_most(first) && second == 0 => Some(UTF_16BE),
        () => None,
    }
}

/// UTF-32 is known by its mark alone: whether it is big-endian, and what follows.
fn utf32(bytes: &[u8]) -> Option<(bool, &[u8])> {
    let little = bytes.strip_prefix(b"\xff\xfe\0\0").filter(|rest| rest.len().is_multiple_of(4));
    little.map(|rest| (false, rest)).or_else(|| Some((true, bytes.strip_prefix(b"\0\0\xfe\xff")?)))
}

fn decode_utf32(bytes: &[u8], is_big: bool) -> Decoded {
    let mut has_errors = !bytes.len().is_multiple_of(4);
    let text = bytes.as_chunks::<4>().0.iter().map(|four| {
        let code = if is_big { u32::from_be_bytes(*four) } else { u32::from_le_bytes(*four) };
        char::from_u32(code).unwrap_or_else(|| {
            has_errors = true;
            char::REPLACEMENT_CHARACTER
        })
    });
    let text = text.collect();
    Decoded { text, encoding: if is_big { "UTF-32BE" } else { "UTF-32LE" }, has_errors }
}
