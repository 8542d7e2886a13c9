//! Passages as a prompt quotes them: numbered, within a budget, and so that nothing in them can pass for anything else.
//!
//! Pure. Every line that comes from a document begins with `>`, its title and headings included. There is no mark that
//! would end a quotation, and so none that a document could imitate: what does not begin with `>` was not quoted.

use std::fmt::Write;

use super::sources::{LABEL_BYTES, shortened};
use crate::{knowledge::Passage, llm::estimated_tokens};

/// Tokens of all passages together; what does not fit is left out, worst first.
const PASSAGE_TOKENS: u32 = 2500;
/// Whatever any reader may take for the end of a line.
const LINE_ENDS: [char; 7] = ['\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}'];

/// The passages, best first, that fit into the prompt; their titles and headings cut to what labels need.
#[must_use]
pub(super) fn fit_passages(passages: Vec<Passage>) -> Vec<Passage> {
    let mut left = PASSAGE_TOKENS;
    let labelled = passages.into_iter().map(|passage| Passage {
        title: shortened(&passage.title, LABEL_BYTES),
        heading: passage.heading.as_deref().map(innermost),
        place: passage.place.as_deref().map(|place| shortened(place, LABEL_BYTES)),
        ..passage
    });
    let fitting = labelled.zip(1..).take_while(|(passage, n)| {
        let tokens = estimated_tokens(quotation(*n, passage).len());
        let fits = tokens <= left;
        left = left.saturating_sub(tokens);
        fits
    });
    fitting.map(|(passage, _)| passage).collect()
}

/// The passages as a block before the question; nothing when there are none.
pub(super) fn quotations(passages: &[Passage]) -> String {
    if passages.is_empty() {
        return String::new();
    }
    let quoted: String = (1..).zip(passages).map(|(n, passage)| quotation(n, passage)).collect();
    format!("Quotations from the site's documents:\n\n{quoted}Question:\n")
}

/// One of them.
pub(super) fn quotation(n: usize, passage: &Passage) -> String {
    let heading = passage.heading.as_deref().map(|heading| format!(" › {heading}")).unwrap_or_default();
    let place = place(passage).map(|place| format!(" ({place})")).unwrap_or_default();
    let label = format!("{}{heading}{place}", passage.title).replace(LINE_ENDS, " ");
    let mut quoted = format!("[{n}]\n> {label}\n>\n");
    for line in passage.text.split(LINE_ENDS) {
        let _writing_to_a_string_never_fails = writeln!(quoted, "> {line}");
    }
    quoted.push('\n');
    quoted
}

/// Where in its document a passage stands, so that an answer can say so.
fn place(passage: &Passage) -> Option<String> {
    match (passage.page, passage.page_end) {
        (Some(page), Some(end)) if page < end => Some(format!("pages {page}–{end}")),
        (Some(page), _) => Some(format!("page {page}")),
        (None, _) => passage.place.clone(),
    }
}

/// Headings that are too long for a label, without the outer ones.
fn innermost(headings: &str) -> String {
    if headings.len() <= LABEL_BYTES {
        return headings.to_owned();
    }
    shortened(headings.rsplit(" › ").next().unwrap_or(headings), LABEL_BYTES)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_quotation_says_where_it_stands() {
        let on = |page, page_end, place: Option<&str>| {
            let place = place.map(str::to_owned);
            let passage =
                Passage { page, page_end, place, ..Passage::sample("Handbook", Some("Keys"), "Behind the beam.") };
            quotations(&[passage]).lines().nth(3).unwrap().to_owned()
        };
        assert_eq!(on(Some(2), Some(2), None), "> Handbook › Keys (page 2)");
        assert_eq!(on(Some(2), Some(4), None), "> Handbook › Keys (pages 2–4)");
        assert_eq!(on(None, None, Some("sheet “A\nB”, row 2")), "> Handbook › Keys (sheet “A B”, row 2)");
    }

    #[test]
    fn a_quotation_has_its_number_its_place_and_its_lines() {
        let passages = [
            Passage::sample("Returns", Some("Tents"), "30 days.\n\nIn its bag."),
            Passage::sample("About", None, "Hello."),
        ];
        let expected = "Quotations from the site's documents:\n\n\
                        [1]\n> Returns › Tents\n>\n> 30 days.\n> \n> In its bag.\n\n\
                        [2]\n> About\n>\n> Hello.\n\n\
                        Question:\n";
        assert_eq!(quotations(&passages), expected);
        assert_eq!(quotations(&[]), "");
    }

    #[test]
    fn labels_are_cut_and_count() {
        let endless = "Tents and more ".repeat(20_000);
        let headings = format!("{endless} › Kestrel 2");
        let fitting = fit_passages(vec![Passage::sample(&endless, Some(&headings), "30 days."); 50]);
        assert!(fitting[0].title.len() <= LABEL_BYTES, "{}", fitting[0].title);
        assert_eq!(fitting[0].heading.as_deref(), Some("Kestrel 2"));
        assert_eq!(fitting.len(), 50);
        let long = fit_passages(vec![Passage::sample(&endless, Some(&endless), "30 days."); 50]);
        assert!((20..40).contains(&long.len()), "{} with two labels of 160 bytes each", long.len());
        assert!(estimated_tokens(quotations(&long).len()) <= PASSAGE_TOKENS + 16);
    }

    proptest! {
        #[test]
        fn nothing_passes_for_the_end_of_a_quotation(
            texts in prop::collection::vec(
                ("(\\PC|[\n\r\u{b}\u{c}\u{85}\u{2028}\u{2029}]|> |Question:|\\[2\\]|</?passages>){0,20}", any::<String>()),
                1..5,
            ),
        ) {
            let passages: Vec<_> = texts.iter().map(|(text, label)| Passage::sample(label, Some(text), text)).collect();
            let block = quotations(&passages);
            let ours: Vec<_> = block.split(LINE_ENDS).filter(|line| !line.starts_with('>')).collect();
            let mut expected = vec!["Quotations from the site's documents:".to_owned(), String::new()];
            expected.extend((1..=passages.len()).flat_map(|n| [format!("[{n}]"), String::new()]));
            expected.extend(["Question:".to_owned(), String::new()]);
            prop_assert_eq!(ours, expected);
        }
    }
}
