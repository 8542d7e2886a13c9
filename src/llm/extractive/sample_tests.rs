//! The bundled documents, and what people ask about them. Every question has the passages and scores that the search
//! finds for it.

use super::compose::{NOTHING_FOUND, compose};
use crate::knowledge::Passage;

/// File, heading and score of a passage; no heading: what stands above the first one.
type Found = (&'static str, &'static str, f32);

const DOCUMENTS: &[(&str, &str)] = &[
    ("rivulet/close-codes.md", include_str!("../../../sample-knowledge/rivulet/close-codes.md")),
    ("rivulet/limits.md", include_str!("../../../sample-knowledge/rivulet/limits.md")),
    ("rivulet/resume.md", include_str!("../../../sample-knowledge/rivulet/resume.md")),
    ("rivulet/running.md", include_str!("../../../sample-knowledge/rivulet/running.md")),
    ("rivulet/stopping.md", include_str!("../../../sample-knowledge/rivulet/stopping.md")),
    ("rivulet/what-is-rivulet.md", include_str!("../../../sample-knowledge/rivulet/what-is-rivulet.md")),
    ("shop/about.md", include_str!("../../../sample-knowledge/shop/about.md")),
    ("shop/backpacks.md", include_str!("../../../sample-knowledge/shop/backpacks.md")),
    ("shop/opening-hours.txt", include_str!("../../../sample-knowledge/shop/opening-hours.txt")),
    ("shop/repairs.md", include_str!("../../../sample-knowledge/shop/repairs.md")),
    ("shop/returns.md", include_str!("../../../sample-knowledge/shop/returns.md")),
    ("shop/shipping.md", include_str!("../../../sample-knowledge/shop/shipping.md")),
    ("shop/sleeping-bags.md", include_str!("../../../sample-knowledge/shop/sleeping-bags.md")),
    ("shop/stoves.md", include_str!("../../../sample-knowledge/shop/stoves.md")),
    ("shop/tents.md", include_str!("../../../sample-knowledge/shop/tents.md")),
];

fn passage((file, heading, score): Found) -> Passage {
    let (_, document) = DOCUMENTS.iter().find(|(name, _)| *name == file).unwrap();
    let (title, body) = document.split_once('\n').unwrap();
    let mut sections = body.split("\n## ");
    let text = match heading {
        "" => sections.next().unwrap(),
        _ => sections.find_map(|section| section.strip_prefix(heading)?.strip_prefix('\n')).unwrap(),
    };
    let heading = Some(heading).filter(|heading| !heading.is_empty());
    let sample = Passage::sample(title.trim_start_matches("# "), heading, text.trim());
    Passage { document: file.to_owned(), score, ..sample }
}

fn ask(question: &str, found: &[Found]) -> String {
    let passages: Vec<Passage> = found.iter().copied().map(passage).collect();
    compose(question, &passages)
}

/// Asks, and checks that the answer has all of `wanted` and nothing of `unwanted`.
#[track_caller]
fn check(question: &str, found: &[Found], wanted: &[&str], unwanted: &[&str]) {
    let answer = ask(question, found);
    for part in wanted {
        assert!(answer.contains(part), "{question}: {part:?} is not in: {answer}");
    }
    for part in unwanted {
        assert!(!answer.contains(part), "{question}: {part:?} is in: {answer}");
    }
}

#[test]
fn how_much_is_the_heron_3() {
    let found = [
        ("shop/tents.md", "Heron 3", 0.84),
        ("shop/tents.md", "Heron 4", 0.83),
        ("shop/tents.md", "Footprints", 0.71),
        ("shop/tents.md", "Ptarmigan 2", 0.47),
    ];
    check("How much is the Heron 3?", &found, &["It costs 529 euros"], &["55 euros", "649"]);
}

#[test]
fn how_much_is_the_kestrel_2() {
    let found = [
        ("shop/tents.md", "Kestrel 2", 0.81),
        ("shop/tents.md", "Footprints", 0.78),
        ("shop/tents.md", "Kestrel 1", 0.76),
        ("shop/tents.md", "Ptarmigan 2", 0.57),
        ("shop/stoves.md", "Gas cartridges", 0.52),
    ];
    check("How much is the Kestrel 2?", &found, &["It costs 449 euros"], &["39 euros", "grey"]);
}

#[test]
fn how_heavy_is_the_ptarmigan_2() {
    let found = [
        ("shop/tents.md", "Ptarmigan 2", 0.72),
        ("shop/tents.md", "Footprints", 0.59),
        ("shop/tents.md", "Kestrel 2", 0.48),
    ];
    check("How heavy is the Ptarmigan 2?", &found, &["weighs 3.1 kg"], &["49 euros"]);
}

#[test]
fn how_much_does_the_kestrel_1_weigh() {
    let found = [
        ("shop/tents.md", "Kestrel 1", 0.77),
        ("shop/tents.md", "Kestrel 2", 0.73),
        ("shop/tents.md", "Footprints", 0.65),
        ("shop/stoves.md", "Pots", 0.58),
        ("shop/backpacks.md", "Longhaul 65", 0.52),
    ];
    check("How much does the Kestrel 1 weigh?", &found, &["weighs 1.2 kg"], &["1.9 kg"]);
}

#[test]
fn how_much_does_it_cost_to_ship_a_heron_3_to_germany() {
    let found = [
        ("shop/tents.md", "Heron 3", 0.76),
        ("shop/tents.md", "Heron 4", 0.76),
        ("shop/shipping.md", "Cost", 0.75),
        ("shop/tents.md", "Footprints", 0.69),
        ("shop/shipping.md", "Abroad", 0.63),
    ];
    check("How much does it cost to ship a Heron 3 to Germany?", &found, &["Shipping"], &["footprint"]);
}

#[test]
fn does_the_cub_come_in_long() {
    let found = [("shop/sleeping-bags.md", "Cub", 0.68)];
    check(
        "Does the Cub come in long?",
        &found,
        &["The Cub is a bag for children", "It has no long version."],
        &["zip"],
    );
}

#[test]
fn which_is_the_cheapest_tent() {
    let found = [
        ("shop/tents.md", "Kestrel 2", 0.72),
        ("shop/tents.md", "Heron 3", 0.70),
        ("shop/tents.md", "Ptarmigan 2", 0.69),
        ("shop/tents.md", "Footprints", 0.69),
        ("shop/tents.md", "Kestrel 1", 0.69),
    ];
    check("Which is the cheapest tent?", &found, &["289 euros", "449 euros"], &["39 euros"]);
}

#[test]
fn which_is_the_most_expensive_tent() {
    let found = [
        ("shop/tents.md", "Kestrel 2", 0.70),
        ("shop/tents.md", "Kestrel 1", 0.70),
        ("shop/tents.md", "Heron 3", 0.70),
        ("shop/tents.md", "Footprints", 0.69),
        ("shop/tents.md", "Ptarmigan 2", 0.67),
    ];
    check("Which is the most expensive tent?", &found, &["899 euros"], &["39 euros"]);
}

#[test]
fn what_happens_when_my_connection_breaks() {
    let found = [
        ("rivulet/limits.md", "Connections", 0.69),
        ("rivulet/resume.md", "", 0.58),
        ("rivulet/close-codes.md", "Final codes", 0.56),
        ("rivulet/limits.md", "Clocks of the language model", 0.53),
        ("rivulet/stopping.md", "Stopping twice", 0.52),
    ];
    check(
        "What happens when my connection breaks?",
        &found,
        &["When a browser loses its connection to Rivulet, the answer goes on being written."],
        &["50000"],
    );
}

#[test]
fn can_i_return_a_tent() {
    let found = [
        ("shop/returns.md", "How long things can be returned", 0.83),
        ("shop/returns.md", "In what state", 0.76),
        ("shop/returns.md", "What cannot be returned", 0.66),
        ("shop/tents.md", "Kestrel 2", 0.62),
        ("shop/tents.md", "Heron 3", 0.60),
    ];
    check("Can I return a tent?", &found, &["Tents can be returned within 60 days"], &[]);
}

#[test]
fn how_long_do_i_have_to_return_a_tent() {
    let found = [
        ("shop/returns.md", "How long things can be returned", 0.90),
        ("shop/returns.md", "In what state", 0.76),
        ("shop/tents.md", "Kestrel 1", 0.63),
        ("shop/tents.md", "Kestrel 2", 0.61),
        ("shop/returns.md", "What cannot be returned", 0.59),
    ];
    check("How long do I have to return a tent?", &found, &["Tents can be returned within 60 days"], &["wind"]);
}

#[test]
fn can_you_send_gas_cartridges_by_post() {
    let found = [
        ("shop/shipping.md", "What cannot be sent", 0.77),
        ("shop/stoves.md", "Gas cartridges", 0.75),
        ("shop/stoves.md", "Ember gas stove", 0.63),
        ("shop/returns.md", "What cannot be returned", 0.56),
        ("shop/stoves.md", "Boreal multi-fuel stove", 0.54),
    ];
    check("Can you send gas cartridges by post?", &found, &["they cannot be sent by post"], &["12 euros"]);
}

#[test]
fn do_you_ship_overseas() {
    let found = [
        ("shop/shipping.md", "Abroad", 0.68),
        ("shop/shipping.md", "Cost", 0.56),
        ("shop/shipping.md", "What cannot be sent", 0.53),
        ("shop/shipping.md", "Payment", 0.50),
        ("shop/shipping.md", "Tracking", 0.46),
    ];
    check("Do you ship overseas?", &found, &["The shop does not deliver overseas."], &[]);
}

#[test]
fn how_can_i_contact_the_shop() {
    let found = [
        ("shop/about.md", "Contact", 0.72),
        ("shop/shipping.md", "Payment", 0.55),
        ("shop/opening-hours.txt", "", 0.51),
        ("shop/about.md", "", 0.50),
        ("shop/about.md", "What the shop stands for", 0.49),
    ];
    check("How can I contact the shop?", &found, &["0555 01 42 60", "post@fernweh-outfitters.example"], &["bank"]);
}

#[test]
fn when_do_i_get_my_refund() {
    let found = [
        ("shop/returns.md", "Refunds", 0.72),
        ("shop/returns.md", "How to return", 0.63),
        ("shop/returns.md", "Exchanges", 0.56),
        ("shop/returns.md", "Faulty goods", 0.54),
        ("shop/returns.md", "How long things can be returned", 0.54),
    ];
    check("When do I get my refund?", &found, &["The money is paid back within 5 working days"], &["4.90"]);
}

#[test]
fn how_does_rivulet_resume_after_a_reconnect() {
    let found = [
        ("rivulet/resume.md", "", 0.89),
        ("rivulet/what-is-rivulet.md", "What it does for the user", 0.78),
        ("rivulet/resume.md", "Reconnecting", 0.76),
        ("rivulet/resume.md", "How fast clients reconnect", 0.71),
        ("rivulet/running.md", "Configuration", 0.69),
    ];
    check(
        "How does Rivulet resume after a reconnect?",
        &found,
        &["The browser reconnects and says how far it has read"],
        &[],
    );
}

#[test]
fn what_are_your_opening_hours() {
    let found =
        [("shop/opening-hours.txt", "", 0.72), ("shop/opening-hours.txt", "", 0.56), ("shop/repairs.md", "", 0.48)];
    check(
        "What are your opening hours?",
        &found,
        &["Tuesday to Friday: open from 10:00 to 18:30.", "Saturday: open from 9:30"],
        &[],
    );
}

#[test]
fn what_does_close_code_4201_mean() {
    let found = [
        ("rivulet/close-codes.md", "", 0.81),
        ("rivulet/close-codes.md", "Codes to resume after", 0.80),
        ("rivulet/close-codes.md", "Final codes", 0.75),
        ("rivulet/close-codes.md", "Standard codes", 0.72),
        ("rivulet/close-codes.md", "Codes to try again after", 0.69),
    ];
    check("What does close code 4201 mean?", &found, &["4201: there was no sign of life"], &["hundreds"]);
}

#[test]
fn how_big_is_the_kestrel_2() {
    let found = [
        ("shop/tents.md", "Kestrel 2", 0.78),
        ("shop/tents.md", "Kestrel 1", 0.73),
        ("shop/tents.md", "Footprints", 0.73),
        ("shop/tents.md", "Ptarmigan 2", 0.53),
    ];
    check("How big is the Kestrel 2?", &found, &["2.15 m long and 1.30 m wide"], &["39 euros", "water"]);
}

#[test]
fn do_you_have_a_shop_in_berlin() {
    assert_eq!(ask("Do you have a shop in Berlin?", &[("shop/shipping.md", "Payment", 0.47)]), NOTHING_FOUND);
}

#[test]
fn how_tall_is_the_heron_3() {
    assert_eq!(
        ask(
            "How tall is the Heron 3?",
            &[
                ("shop/tents.md", "Heron 4", 0.80),
                ("shop/tents.md", "Heron 3", 0.79),
                ("shop/tents.md", "Footprints", 0.62)
            ]
        ),
        NOTHING_FOUND
    );
}

#[test]
fn what_is_the_capital_of_mongolia() {
    assert_eq!(ask("What is the capital of Mongolia?", &[]), NOTHING_FOUND);
}
