use proptest::prelude::*;

use super::*;

/// Messages, and what they tell: `attribute = text`, with `-attribute` for each that ends beside its own; explicit ones with a
/// `!`. With a value behind a ` - ` it is that value alone that holds no longer.
const TOLD: &[(&str, &[&str])] = &include!("tests/told.in");
/// Messages that tell nothing.
const UNTOLD: &[&str] = &include!("tests/untold.in");

fn shown(said: &Said) -> String {
    let mark = if said.origin == Origin::Explicit { "!" } else { "" };
    let own = said.attribute.clone();
    let ends: String =
        said.ends.iter().filter(|ended| Some(*ended) != own.as_ref()).map(|ended| format!(" -{ended}")).collect();
    let over = if said.is_over { format!(" - {}", said.values.join(" + ")) } else { String::new() };
    format!("{mark}{}{over} = {}{ends}", own.unwrap_or_default(), said.text)
}

#[test]
fn what_users_tell_of_themselves() {
    let mut wrong = String::new();
    for (message, expected) in TOLD {
        let found: Vec<String> = said(message).iter().map(shown).collect();
        if found != *expected {
            wrong += &format!("{message:?}\n  found    {found:?}\n  expected {expected:?}\n");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn what_tells_nothing_of_them() {
    let told: Vec<_> =
        UNTOLD.iter().map(|message| (message, said(message))).filter(|(_, said)| !said.is_empty()).collect();
    assert!(told.is_empty(), "{told:#?}");
}

/// What is over, and what was said before: whether that is over with it.
const OVER: &[(&str, &str, bool)] = &[
    ("I no longer work at Siemens", "I work as an engineer at Siemens", true),
    ("I no longer work at Siemens", "I work at Siemens in Munich", true),
    ("I no longer work at Siemens", "I work as an engineer at Bosch", false),
    ("I no longer work at Siemens", "I work as an engineer", false),
    ("I no longer work as an engineer", "I work as an engineer at Siemens", true),
    ("I no longer work as an engineer at Siemens", "I work at Siemens", true),
    ("I no longer work as an engineer at Siemens", "I work as an engineer at Bosch", false),
    ("I no longer work at the Post Office", "I work as a clerk for the Post Office", true),
    ("Ich arbeite nicht mehr bei Siemens", "Ich arbeite als Ingenieur bei Siemens", true),
    ("I no longer live in the Netherlands", "I live in Netherlands", true),
    ("I no longer live in Berlin", "I moved from Berlin to Lisbon", false),
    ("Ich wohne nicht mehr in Berlin", "ich in Berlin wohne", true),
    ("Ich wohne nicht mehr in Berlin", "ich in Bern wohne", false),
    ("Ich arbeite nicht mehr bei Siemens", "ich bei Siemens arbeite", true),
    ("I no longer work as an engineer", "I work as an engineer at height", true),
];

#[test]
fn what_is_over_ends_what_has_its_values() {
    for (over, before, is_over) in OVER {
        let (over, before) = (&said(over)[0], &said_by_fact(before)[0]);
        assert_eq!(over.is_end_of(before), *is_over, "{over:?} {before:?}");
    }
}

#[test]
fn questions_ask_and_tell_nothing() {
    for message in [
        "Where do I live?",
        "what is my name",
        "Wie heißt mein Hund?",
        "मेरा नाम क्या है?",
        "Hi! Can you help me?",
        "Quick question. Where do I live?",
    ] {
        assert!(is_question(message), "{message}");
    }
    for message in [
        "I live in Berlin. Where do I live?",
        "Can you remember that I like tea?",
        "I'm tired.",
        "",
        "Hi!",
        "मेरा नाम राज है",
        "My sister Mira gets married in May. What could I give her?",
    ] {
        assert!(!is_question(message), "{message}");
    }
}

#[test]
fn questions_ask_for_attributes() {
    let table: &[(&str, Option<&str>)] = &include!("tests/asked.in");
    for (message, attribute) in table {
        assert_eq!(asked(message).as_deref(), *attribute, "{message}");
    }
}

#[test]
fn a_long_message_tells_only_what_it_begins_with_on_request() {
    let long = "I like tea. ".repeat(100);
    assert_eq!(said(&long), []);
    let wanted = format!("Please remember that I like cocoa. {long}");
    assert_eq!(said(&wanted).iter().map(shown).collect::<Vec<_>>(), ["!likes:cocoa = I like cocoa -dislikes:cocoa"]);
    assert_eq!(said(&format!("Look at this. Remember that I like cocoa. {long}")), []);
}

#[test]
fn there_is_a_bound_to_what_is_told() {
    let many: String = (0..20).map(|n| format!("I like thing{n}. ")).collect();
    assert_eq!(said(&many).len(), MAX_SAID);
    let long = format!("remember that my {}", "very ".repeat(150));
    assert_eq!(said(&long)[0].text.chars().count(), MAX_SAID_CHARS);
}

fn assert_sound(message: &str) {
    let told = said(message);
    assert!(told.len() <= MAX_SAID);
    for one in &told {
        assert!(message.contains(&one.text), "{message:?}: {one:?}");
        assert!(!one.text.is_empty() && one.text.chars().count() <= MAX_SAID_CHARS, "{one:?}");
        assert!(one.text.trim() == one.text, "{one:?}");
        for attribute in one.attribute.iter().chain(&one.ends) {
            assert!(
                !attribute.is_empty() && attribute.len() <= 60 && *attribute == attribute.to_lowercase(),
                "{one:?}"
            );
        }
    }
    assert_eq!(told, said(message));
    let (_, _) = (is_question(message), asked(message));
}

proptest! {
    #[test]
    fn any_text_is_sound(text in any::<String>()) {
        assert_sound(&text);
    }

    #[test]
    fn any_words_are_sound(
        words in proptest::collection::vec(prop_oneof![
            Just("I"), Just("I'm"), Just("my"), Just("remember that"), Just("merk dir, dass"), Just("याद रखना कि"), Just("name is"),
            Just("like"), Just("mag"), Just("nicht"), Just("मुझे"), Just("पसंद है"), Just("ich"), Just("heiße"), Just("live in"), Just("allergic to"),
            Just("and"), Just("und"), Just("\""), Just("„"), Just("“"), Just("'"), Just("\n"), Just("."), Just("?"), Just(","), Just("```"), Just(":"),
            Just("Ünïcödé"), Just("ß"), Just("İstanbul"), Just("ﬁ"), Just("3."), Just("May"), Just("sister"), Just("called"), Just("मेरी बहन का नाम"), Just("है"),
        ], 0..40),
        joined in prop_oneof![Just(" "), Just("")],
    ) {
        assert_sound(&words.join(joined));
    }

    /// What was told tells the same again.
    #[test]
    fn a_text_tells_what_it_told(at in 0..TOLD.len()) {
        for one in said(TOLD[at].0).into_iter().filter(|one| one.origin == Origin::Rule) {
            let greeted = format!("Hi, {}", one.text); // Names are told with a greeting.
            prop_assert!(said(&one.text).contains(&one) || said(&greeted).contains(&one), "{:?}", one);
        }
    }
}
