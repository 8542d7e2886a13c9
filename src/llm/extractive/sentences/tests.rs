//! Markdown of every kind, and the sentences that it has.

use proptest::prelude::*;

use super::*;

fn texts(markdown: &str) -> Vec<String> {
    sentences(markdown).into_iter().map(|sentence| sentence.text).collect()
}

#[test]
fn paragraphs_are_cut_at_sentences_and_not_at_abbreviations() {
    assert_eq!(
        texts("Dr. A. Miller sells e.g. tea.\nIt costs 3.50 € (approx. 4 USD). Is that much? No!"),
        ["Dr. A. Miller sells e.g. tea.", "It costs 3.50 € (approx. 4 USD).", "Is that much?", "No!"]
    );
}

#[test]
fn markup_goes_and_words_stay() {
    assert_eq!(
        texts("**Bold** and _it_ and `snake_case` with a [link](http://x/y_z) ![pic](p.png)and a note[^1] or [2]<br>."),
        ["Bold and it and snake_case with a link and a note or ."]
    );
    assert_eq!(texts("```\nlet x = 1;\n```\n---\n<!-- no -->\nText \\*here\\*."), ["Text *here*."]);
}

#[test]
fn headings_and_lone_questions_are_context() {
    let found = sentences("# Returns\n\nYou have 30 days.\n\n**How do I pay?**\n\nBy card.\n\nSetext\n---\nx y.");
    let pairs: Vec<_> = found.iter().map(|found| (found.text.as_str(), found.context.as_str())).collect();
    assert_eq!(pairs, [("You have 30 days.", "Returns"), ("By card.", "How do I pay?"), ("x y.", "Setext")]);
}

#[test]
fn list_items_are_sentences_and_short_lists_one() {
    assert_eq!(
        texts("- free shipping over 50 €\n- [x] iPhone cases\n  go by mail\n\n1. Pack it.\n2) Send it."),
        ["Free shipping over 50 €.", "iPhone cases go by mail.", "Pack it.", "Send it."]
    );
    assert_eq!(texts("We take these cards:\n\n- Visa\n- Maestro.\n"), ["We take these cards: Visa; Maestro."]);
    assert_eq!(texts("To begin:\n1. Open the lid.\n2. Press start.\n"), ["To begin: Open the lid; Press start."]);
    let found = sentences("To return:\n\n- Put it into its box. The box goes by mail.\n- Wait.\n");
    assert_eq!((found.len(), found[0].context.as_str()), (3, "To return:"), "items of several sentences stand alone");
}

#[test]
fn table_rows_name_their_columns() {
    assert_eq!(
        texts("| Plan | Price |\n|---|--:|\n| Basic | 5 € |\n| Pro | **20 €** |\n"),
        ["Plan: Basic, Price: 5 €.", "Plan: Pro, Price: 20 €."]
    );
}

#[test]
fn fences_close_as_they_were_opened() {
    assert_eq!(texts("````\n```\ncode.\n```\nmore.\n````\nText."), ["Text."]);
    assert_eq!(texts("```rust\nlet a;\n```rust\nlet b;\n```\nText."), ["Text."], "an end has no info");
    assert_eq!(texts("```a``` is code in a line.\n\nText."), ["a is code in a line.", "Text."]);
    assert_eq!(texts("Text.\n~~~\n```\nno end"), ["Text."]);
}

#[test]
fn a_passage_may_begin_inside_of_code() {
    assert_eq!(texts("let x = 1;\n}\n```\n\nText after it."), ["Text after it."]);
    assert_eq!(texts("Text before it.\n```\nlet x = 1;"), ["Text before it."]);
    assert_eq!(texts("let x = 1;\n```\nText.\n```\nlet y;\n```\nMore."), ["Text.", "More."]);
}

#[test]
fn marks_within_words_end_no_sentence() {
    assert_eq!(
        texts("Put it into `?resume=` or the field. Then go."),
        ["Put it into ?resume= or the field.", "Then go."]
    );
}

#[test]
fn what_the_borders_cut_is_marked() {
    let found = sentences("of the second kind. Whole one. And then the");
    assert_eq!(found.iter().map(|found| found.is_fragment).collect::<Vec<_>>(), [true, false, true]);
}

proptest! {
    #[test]
    fn any_text_is_survived(text in r"[a-zA-Z#*_`|>\[\]()!<\\ \n.:?0-9é😀-]{0,200}") {
        for sentence in sentences(&text) {
            prop_assert!(sentence.text.chars().any(char::is_alphanumeric));
        }
    }
}
