//! Pages as a PDF. Pure.

use std::io::Write;

use flate2::{Compression, write::ZlibEncoder};
use pdf_writer::{Content, Date, Filter, Finish, Name, Pdf, Rect, Ref, Str, TextStr};

use super::{
    font::{FIRM_SPACE, Face},
    layout::{PAGE, Page},
};

/// The fonts' names, in the file and to whoever reads it.
const FONTS: [(Face, Name<'static>, Name<'static>); 2] =
    [(Face::Regular, Name(b"R"), Name(b"Helvetica")), (Face::Bold, Name(b"B"), Name(b"Helvetica-Bold"))];

/// The bytes of a document of these pages, of this title and this day.
pub(super) fn written(pages: &[Page], title: &str, today: &str) -> Vec<u8> {
    let mut next = Ref::new(1);
    let (catalog, tree, info) = (next.bump(), next.bump(), next.bump());
    let fonts = FONTS.map(|(_, name, base)| (name, base, next.bump()));
    let mut pdf = Pdf::new();
    let mut head = pdf.catalog(catalog);
    head.pages(tree).viewer_preferences().display_doc_title(true);
    head.finish();
    for (_, base, id) in fonts {
        pdf.type1_font(id).base_font(base).encoding_predefined(Name(b"WinAnsiEncoding"));
    }
    let mut kids = Vec::with_capacity(pages.len());
    for page in pages {
        let (id, content) = (next.bump(), next.bump());
        kids.push(id);
        let mut written = pdf.page(id);
        written.media_box(Rect::new(0.0, 0.0, PAGE.0, PAGE.1)).parent(tree).contents(content);
        let mut resources = written.resources();
        let mut known = resources.fonts();
        for (name, _, font) in fonts {
            known.pair(name, font);
        }
        known.finish();
        resources.finish();
        written.finish();
        pdf.stream(content, &packed(&drawn(page))).filter(Filter::FlateDecode);
    }
    pdf.pages(tree).count(i32::try_from(kids.len()).unwrap_or(i32::MAX)).kids(kids);
    let mut about = pdf.document_info(info);
    about.title(TextStr(title)).producer(TextStr("Rivulet"));
    if let Some(date) = date(today) {
        about.creation_date(date);
    }
    about.finish();
    pdf.finish()
}

fn drawn(page: &Page) -> Vec<u8> {
    let mut content = Content::new();
    content.set_line_width(0.5);
    for (from, to, y) in &page.rules {
        content.move_to(*from, *y).line_to(*to, *y).stroke();
    }
    content.begin_text();
    for line in &page.lines {
        let name = FONTS.iter().find(|(face, ..)| *face == line.style.face).map_or(FONTS[0].1, |(_, name, _)| *name);
        // A firm space looks like any other, and whoever searches the document types those.
        let text: Vec<u8> = line.text.iter().map(|byte| if *byte == FIRM_SPACE { b' ' } else { *byte }).collect();
        content.set_font(name, line.style.size).set_text_matrix([1.0, 0.0, 0.0, 1.0, line.x, line.y]).show(Str(&text));
    }
    content.end_text();
    content.finish().to_vec()
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    let _memory_takes_all = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// A day like 2026-11-28.
fn date(today: &str) -> Option<Date> {
    let mut parts = today.splitn(3, '-');
    let (year, month, day) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some(Date::new(year).month(month).day(day))
}

#[cfg(test)]
mod tests {
    use crate::letter::Letter;

    /// What a reader of PDF finds in it.
    fn text(bytes: &[u8]) -> String {
        let document = unpdf::parse_bytes(bytes).expect("a PDF");
        document.plain_text()
    }

    #[test]
    fn a_reader_finds_what_was_written() {
        let template =
            "# Sanction letter\n\nDear {name},\n\n| | |\n|---|---:|\n| Amount | ₹{amount} |\n\nSincerely – (the bank)";
        let letter = Letter::parse(template, |_| true).unwrap();
        let values = |name: &str| if name == "name" { "Zoë (O'Brien) \\".to_owned() } else { "500,000".to_owned() };
        let rendered = letter.render("Sanction letter – Zoë", "2026-11-28", values).unwrap();
        assert_eq!(rendered.pages, 1);
        let text = text(&rendered.bytes);
        for part in ["Sanction letter", "Dear Zoë (O'Brien) \\,", "Amount", "Rs. 500,000", "Sincerely – (the bank)"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
        let raw = String::from_utf8_lossy(&rendered.bytes);
        assert!(raw.starts_with("%PDF-1.") && raw.contains("D:20261128") && raw.contains("Helvetica-Bold"));
    }
}
