//! The way in: a document's kind, and then its reader. Pure.

use super::{
    document::{Extracted, MAX_FILE_BYTES, Warning},
    docx,
    encoding::{self, decode},
    epub,
    error::ExtractError,
    json,
    kind::Kind,
    md, odt,
    out::Out,
    pdf, pptx, rows, sheets, sniff, web,
};

/// Reads a document. `name` is its path or name: it has to fit what the bytes are, and becomes the title when the
/// document has none.
///
/// # Errors
/// See [`ExtractError`].
pub fn extract(name: &str, bytes: &[u8]) -> Result<Extracted, ExtractError> {
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(ExtractError::TooLarge);
    }
    let kind = sniff::kind(name, bytes)?;
    let mut out = Out::default();
    match kind {
        Kind::Plain | Kind::Markdown | Kind::Html | Kind::Csv | Kind::Json => {
            let decoded = decode(bytes, (kind == Kind::Html).then(|| encoding::declared_in_html(bytes)).flatten())?;
            out.encoding = Some(decoded.encoding.to_owned());
            out.warnings.extend(decoded.has_errors.then_some(Warning::Undecodable));
            let text = decoded.text;
            match kind {
                Kind::Markdown => md::read(&text, &mut out)?,
                Kind::Html => web::read(&text, &mut out)?,
                Kind::Csv => rows::read(&text, &mut out)?,
                Kind::Json => json::read(&text, &mut out)?,
                _ => out.plain(&text)?,
            }
            out.hide(&text);
        }
        Kind::Pdf => pdf::read(bytes, &mut out)?,
        Kind::Docx => docx::read(bytes, &mut out)?,
        Kind::Pptx => pptx::read(bytes, &mut out)?,
        Kind::Xlsx | Kind::Xls | Kind::Ods => sheets::read(kind, bytes, &mut out)?,
        Kind::Epub => epub::read(bytes, &mut out)?,
        Kind::Odt => odt::read(bytes, &mut out)?,
    }
    out.finish(name, kind)
}
