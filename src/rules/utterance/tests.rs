use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn taken(kind: SlotKind, said: &str, is_asked: bool) -> Value {
    let mut utterance = Utterance::read(said);
    utterance.take(kind, utterance.whole(), is_asked).unwrap_or(Value::Null)
}

#[test]
fn amounts_are_read_as_people_write_them() {
    let rows = [
        ("5 lakh over 3 years", json!(500_000)),
        ("₹5,00,000 please", json!(500_000)),
        ("Rs. 500,000", json!(500_000)),
        ("rs500", json!(500)),
        ("500k", json!(500_000)),
        ("1 crore 20 lakh", json!(12_000_000)),
        ("2.5 Cr", json!(25_000_000)),
        ("1,250.50 or 12.500,50", json!(1250.5)),
        ("12.500,50 Euro", json!(12_500.5)),
        ("50.000 Euro", json!(50_000)),
        ("60000 a month", json!(60_000)),
        ("80 euros", json!(80)),
        ("५ लाख", json!(500_000)),
        ("३ करोड़", json!(30_000_000)),
        ("over 36 months at 10.5 %, 7 lakhs", json!(700_000)),
        ("in 3 years", Value::Null),
        ("2000 months", Value::Null),
        ("1000 %", Value::Null),
        ("no", Value::Null),
    ];
    for (said, expected) in rows {
        assert_eq!(taken(SlotKind::Money, said, false), expected, "{said}");
    }
    for (said, expected) in [
        ("80", json!(80)),
        ("it is 80.", json!(80)),
        ("None", json!(0)),
        ("कोई नहीं", json!(0)),
        ("No, 300", json!(300)),
        ("hm", Value::Null),
    ] {
        assert_eq!(taken(SlotKind::Money, said, true), expected, "{said}, asked");
    }
}

#[test]
fn times_percentages_days_and_names_are_read() {
    use SlotKind::{Date, Months, Name, Number, Percent, Text};
    let rows = [
        (Months, "over 3 years", json!(36)),
        (Months, "2 years and 6 months", json!(30)),
        (Months, "2.5 years", json!(30)),
        (Months, "24 महीने के लिए", json!(24)),
        (Months, "in 5 Jahren", json!(60)),
        (Months, "60000 a month", Value::Null),
        (Months, "0 months", json!(0)),
        (Percent, "at 10.5 %", json!(10.5)),
        (Percent, "at 10,5%", json!(10.5)),
        (Percent, "12 per cent", json!(12)),
        (Percent, "12 months", Value::Null),
        (Number, "12 % of 7", json!(7)),
        (Date, "on 2026-11-27 at noon", json!("2026-11-27")),
        (Date, "27.11.2026", json!("2026-11-27")),
        (Date, "27/1/2026", json!("2026-01-27")),
        (Date, "2026-13-27", Value::Null),
        (Date, "31.02.2026", Value::Null),
        (Date, "1.2.3.4 or 5/6", Value::Null),
        (Name, "Asha Rao over 5 lakh", json!("Asha Rao")),
        (Name, "asha rao", Value::Null),
        (Text, "a red tent, please", json!("a red tent")),
    ];
    for (kind, said, expected) in rows {
        assert_eq!(taken(kind, said, false), expected, "{said}");
    }
    assert_eq!(taken(Months, "36", true), json!(36));
    assert_eq!(taken(Name, " asha rao. ", true), json!("asha rao"));
}

#[test]
fn a_list_has_commas_and_words_between_its_texts() {
    let list = |said| taken(SlotKind::List, said, true);
    assert_eq!(list("imports and exports"), json!(["imports", "exports"]));
    assert_eq!(
        list("exchange_rate, gross income, and net-income."),
        json!(["exchange_rate", "gross income", "net-income"])
    );
    assert_eq!(list("imports; and exports"), json!(["imports"]));
    assert_eq!((list("and, and"), list("")), (Value::Null, Value::Null));
}

#[test]
fn what_was_taken_is_not_taken_again() {
    let mut said = Utterance::read("5 lakh, and 7 lakh later");
    let mut next = || said.take(SlotKind::Money, said.whole(), false);
    assert_eq!([next(), next(), next()], [Some(json!(500_000)), Some(json!(700_000)), None]);
}

#[test]
fn phrases_are_whole_words_whatever_their_case() {
    let said = Utterance::read("How much can I BORROW, for a क़िस्त?");
    let is_said = |phrase: &str| said.find(&Phrase::parse(phrase).unwrap(), 0).is_some();
    assert!(is_said("how much can i borrow") && is_said("borrow") && is_said("borrow for") && is_said("किस्त"));
    assert!(!is_said("bor") && !is_said("borrow a") && !is_said("much how"));
    assert_eq!(Phrase::parse(" ?! "), None);
}

proptest! {
    #[test]
    fn any_text_is_survived(said in "(?s).{0,80}", from in 0..9usize, is_asked: bool) {
        use SlotKind::{Date, List, Money, Months, Name, Number, Percent, Text};
        for kind in [Money, Percent, Months, Number, Date, Name, Text, List] {
            let mut utterance = Utterance::read(&said);
            let at = from.min(utterance.tokens.len())..utterance.tokens.len();
            let _ = utterance.take(kind, at, is_asked);
        }
    }
}
