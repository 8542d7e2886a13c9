//! Questions that people ask, against passages of a small shop.

use proptest::prelude::*;

use super::*;

fn passage(title: &str, heading: Option<&str>, text: &str, score: f32) -> Passage {
    Passage { document: title.to_lowercase(), score, ..Passage::sample(title, heading, text) }
}

fn shop() -> Vec<Passage> {
    vec![
        passage(
            "Returns and refunds",
            Some("Returns"),
            "## Returns\n\nYou can return any item within 30 days of delivery. It must be unused and in its original \
             box.\n\nRefunds are paid to the original card within 5 working days. We do not charge a fee for returns.",
            0.55,
        ),
        passage(
            "Shipping",
            Some("Delivery times"),
            "Orders placed before 2 pm leave our warehouse the same day. Delivery takes 2 to 4 working days within \
             the country.\n\nExpress delivery costs 9.90 € and arrives the next morning.",
            0.45,
        ),
        passage(
            "Plans",
            None,
            "| Plan | Price per month |\n|---|---|\n| Basic | 5 € |\n| Pro | 20 € |\n\nEvery plan includes support by \
             email. The Pro plan adds a phone line.",
            0.4,
        ),
    ]
}

fn ask(question: &str) -> String {
    compose(question, &shop())
}

#[test]
fn returns() {
    let answer = ask("What is your return policy?");
    assert!(answer.starts_with("You can return any item within 30 days of delivery. [1]"), "{answer}");
    let answer = ask("How long do I have to return something?");
    assert!(answer.starts_with("You can return any item within 30 days of delivery. [1]"), "{answer}");
    let answer = ask("When do I get my refund?");
    assert!(answer.starts_with("Refunds are paid to the original card within 5 working days. [1]"), "{answer}");
}

#[test]
fn prices() {
    let answer = ask("How much does the Pro plan cost?");
    assert!(answer.starts_with("Plan: Pro, Price per month: 20 €. [3]"), "{answer}");
    assert!(!answer.contains("Basic"), "{answer}");
    let answer = ask("What is the price per month?");
    assert!(answer.contains("Plan: Basic") && answer.contains("Plan: Pro"), "{answer}");
    let answer = ask("What does express delivery cost?");
    assert!(answer.starts_with("Express delivery costs 9.90 € and arrives the next morning. [2]"), "{answer}");
}

#[test]
fn nothing_fits() {
    assert_eq!(ask("Who was the first emperor of Rome?"), NOTHING_FOUND);
    assert_eq!(ask("What is it?"), NOTHING_FOUND);
    assert_eq!(ask(""), NOTHING_FOUND);
    assert_eq!(compose("What is your return policy?", &[]), NOTHING_FOUND);
}

#[test]
fn a_passage_that_fits_well_may_use_other_words() {
    let fitting = [passage("Warranty", None, "Every lamp is guaranteed for two years. Keep the receipt.", 0.7)];
    assert_eq!(
        compose("Broken after months, what now?", &fitting).split(" [").next(),
        Some("Every lamp is guaranteed for two years.")
    );
    let weak = [Passage { score: 0.4, ..fitting[0].clone() }];
    assert_eq!(compose("Broken after months, what now?", &weak), NOTHING_FOUND);
}

#[test]
fn a_sentence_that_points_back_brings_what_it_points_to() {
    let passages = [passage("Box", None, "Our gift box is made of beech. It is 30 cm wide. We paint it by hand.", 0.4)];
    let answer = compose("How wide, in cm?", &passages);
    assert_eq!(answer, "Our gift box is made of beech. [1] It is 30 cm wide. [1]");
    let answer = compose("How is it painted?", &passages);
    assert_eq!(answer, "We paint it by hand. [1]");
    let passages = [passage("Box", None, "The chest is of beech. It costs 9 €. It is 30 cm wide.", 0.4)];
    let answer = compose("How wide, in cm?", &passages);
    assert_eq!(answer, "The chest is of beech. [1] It is 30 cm wide. [1]", "what points back itself does not help");
}

#[test]
fn what_was_said_is_not_said_again() {
    let text = "Parcels are insured up to 500 €.";
    let passages = [passage("A", None, text, 0.5), passage("B", None, "Parcels are insured up to 500 € always.", 0.5)];
    let answer = compose("Are parcels insured?", &passages);
    assert_eq!(answer.matches("Parcels").count(), 1, "{answer}");
}

#[test]
fn the_answer_begins_with_the_best_passage() {
    let passages = [
        passage("Colours", None, "Lamps come in red. Lamps are sold in shops and have a base.", 0.5),
        passage("Lamps", None, "The lamp base is made of oak wood.", 0.5),
    ];
    let answer = compose("Which wood is the lamp base made of?", &passages);
    assert!(answer.starts_with("The lamp base is made of oak wood. [2]"), "{answer}");
}

#[test]
fn every_sentence_has_the_mark_of_its_passage() {
    let passages = [passage("A", None, "Tea 🍵 is served daily. Coffee is served on Sundays. Cake costs 3 €.", 0.5)];
    let answer = compose("When is tea or coffee served?", &passages);
    assert_eq!(answer, "Tea 🍵 is served daily. [1] Coffee is served on Sundays. [1]");
}

#[test]
fn what_has_no_sentences_has_no_answer_and_endless_ones_are_cut() {
    for text in ["", " \n ", "# Tea", "```\ntea\n```", "| |\n|---|\n", "---", "***", "![tea](tea.png)"] {
        assert_eq!(compose("Is there tea?", &[passage("Tea", Some("Tea"), text, 0.9)]), NOTHING_FOUND, "{text:?}");
    }
    let endless = "Tea is good and ".repeat(5000);
    let answer = compose("Is tea good?", &[passage("A", None, &endless, 0.5)]);
    assert!(answer.ends_with("… [1]") && answer.chars().count() <= 505, "{answer}");
    let one_word = "tea".repeat(50_000);
    assert!(compose("Is tea good?", &[passage("Tea", None, &one_word, 0.9)]).len() < 2000);
}

#[test]
fn tables_without_a_head_keep_their_first_row() {
    let rows = "| Patch | 12 euros |\n| New zip | 48 euros |";
    let answer = compose("How much is a patch?", &[passage("Repairs", Some("Prices"), rows, 0.6)]);
    assert_eq!(answer, "Patch, 12 euros. [1]");
}

#[test]
fn markup_in_sentences_shows_as_it_is() {
    assert_eq!(markdown("Use a_b, _c_ and x[1] * 2 <b>"), r"Use a_b, \_c\_ and x\[1\] \* 2 \<b>");
    assert_eq!(markdown("1. First"), r"1\. First");
    assert_eq!(markdown("- 5 degrees"), r"\- 5 degrees");
    assert_eq!(markdown("3.5 V"), r"3\.5 V");
}

proptest! {
    #[test]
    fn answers_stay_short_and_every_citation_fits(
        question in "[a-z ?]{0,60}",
        texts in proptest::collection::vec("([A-Za-z]{1,9} ){0,12}[a-z]{1,9}[.!?]( [A-Z][a-z ]{1,60}[.]){0,6}", 0..5),
        score in 0.0_f32..1.0,
    ) {
        let passages: Vec<Passage> = texts.iter().map(|text| passage("T", None, text, score)).collect();
        let answer = compose(&question, &passages);
        let marks: Vec<usize> = answer
            .split(" [")
            .skip(1)
            .map(|rest| rest.split_once(']').unwrap().0.parse().unwrap())
            .collect();
        prop_assert!(marks.len() <= 2 * MAX_COMPARED && marks.is_empty() == (answer == NOTHING_FOUND));
        prop_assert!(marks.iter().all(|n| (1..=passages.len()).contains(n)));
    }
}
