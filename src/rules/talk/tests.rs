use std::{path::Path, sync::Arc};

use serde_json::json;

use super::{
    Said::{Assistant, User},
    *,
};
use crate::{
    config::{Config, Overrides},
    formula::Template,
    rules::{Intent, Phrase},
};

/// Those of an assistant that is shipped.
fn shipped(name: &str) -> Arc<Rules> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assistants");
    let env = [("RIVULET_ASSISTANTS_DIR".to_owned(), folder.display().to_string())];
    let loaded = Config::load(None, env, Overrides::default()).unwrap();
    loaded.config.offered.into_iter().find(|one| one.name == name).unwrap().rules.unwrap()
}

/// What rules do about each of several things that are said one after the other. Of calls: the tool and its arguments.
fn talked(said: &[&str]) -> Vec<String> {
    talked_with("loan", said)
}

fn talked_with(name: &str, said: &[&str]) -> Vec<String> {
    let (rules, mut before, mut done) = (shipped(name), Vec::new(), Vec::new());
    for text in said {
        before.push((true, (*text).to_owned()));
        let messages: Vec<Said<'_>> =
            before.iter().map(|(is_user, text)| if *is_user { User(text) } else { Assistant(text) }).collect();
        let next = match rules.next(&messages) {
            Next::Call(tool, arguments) => format!("{tool} {arguments}"),
            Next::Say(text) => text,
            Next::Documents(_) => "documents".to_owned(),
        };
        before.push((false, next.clone()));
        done.push(next);
    }
    done
}

#[test]
fn what_is_missing_is_asked_for_and_what_was_said_is_kept() {
    let emi = |principal: u64, months: u64| {
        format!(r#"emi {{"principal":{principal},"months":{months},"annual_rate":10.5}}"#)
    };
    let eligible = r#"eligibility {"monthly_income":60000,"existing_emi":8000,"months":36,"annual_rate":10.5}"#;
    let (amount, over) = ("Which amount would you like to borrow?", "Over how many months or years?");
    let (income, existing) = ("What is your monthly income?", "How much do you pay for existing loans each month?");
    let rows: &[(&[&str], &[&str])] = &[
        (
            &["What is the EMI for 5 lakh over 3 years?", "and over 5 years?", "and 300000?", "Thanks!"],
            &[&emi(500_000, 36), &emi(500_000, 60), &emi(300_000, 60), "documents"],
        ),
        (&["Am I eligible?", "60000 a month", "8000"], &[income, existing, eligible]),
        (&["Am I eligible? I earn 60000 and already pay 8000"], &[eligible]),
        (&["Am I eligible? 60000 is what I earn", "none"], &[existing, &eligible.replace("8000", "0")]),
        (&["Am I eligible?", "60,000", "My EMI is 8000"], &[income, existing, eligible]),
        (&["I need a loan", "5 lakh", "36"], &[amount, over, &emi(500_000, 36)]),
        (&["I need a loan", "Which documents do I need?", "5 lakh"], &[amount, "documents", over]),
        (&["Am I eligible?", "What is the EMI for 5 lakh over 3 years?"], &[income, &emi(500_000, 36)]),
        (&["EMI for 5 lakh over 0 months", "24 months"], &[&emi(500_000, 0), &emi(500_000, 24)]),
        (&["EMI for 5 lakh at 12 % over 24 months"], &[r#"emi {"principal":500000,"months":24,"annual_rate":12}"#]),
        (&["Hello", "Who are you?"], &["documents", "documents"]),
        (
            &["मुझे लोन चाहिए", "३ लाख", "24 महीने"],
            &["आपको कितनी राशि का ऋण चाहिए?", "कितने महीनों या सालों के लिए?", &emi(300_000, 24)],
        ),
        (
            &["मुझे 3 लाख का लोन 24 महीने के लिए चाहिए, 12 % पर किस्त कितनी?"],
            &[r#"emi {"principal":300000,"months":24,"annual_rate":12}"#],
        ),
    ];
    for (said, expected) in rows {
        assert_eq!(talked(said), *expected, "{said:?}");
    }
}

#[test]
fn what_came_of_a_call_is_told_in_the_language_of_the_question() {
    let rules = shipped("loan");
    let args = json!({"principal": 500_000, "annual_rate": 10.5, "months": 36});
    let result = r#"{"emi":16251.22,"total":644817,"interest":85043.92}"#;
    let told = |said: &[Said<'_>], result: &str| rules.tell(said, "emi", &args, result);
    let english = told(&[User("EMI for 5 lakh over 3 years")], result);
    assert!(
        english.starts_with("500,000 over 36 months at 10.5 %: **16,251.22 a month**, 644,817.00 in all"),
        "{english}"
    );
    let hindi = told(&[User("EMI for 5 lakh"), User("5 लाख की किस्त"), Assistant("…"), User("36")], result);
    assert!(hindi.contains("36 महीने") && hindi.contains("16,251.22"), "{hindi}");
    let wrong = told(&[User("EMI for 5 lakh over 0 months")], r#"{"error":"months: at least 6"}"#);
    assert_eq!(wrong, "That cannot be worked out (months: at least 6). Over how many months or years?");
    // And that is a question which can be answered.
    let after = [User("EMI for 5 lakh over 0 months"), Assistant(&wrong), User("24")];
    let expected = json!({"principal": 500_000, "annual_rate": 10.5, "months": 24});
    assert_eq!(rules.next(&after), Next::Call("emi".to_owned(), expected));
    // Of what no rule calls, the results are told as they are.
    assert_eq!(rules.tell(&[User("x")], "calc", &json!({}), r#"{"value":42}"#), "value: 42");
    assert_eq!(rules.tell(&[User("x")], "calc", &json!({}), "cut …"), "cut …");
    assert!(rules.help(&[User("नमस्ते")]).starts_with("मैं") && rules.help(&[User("Hello")]).starts_with("I work out"));
}

#[test]
fn names_stand_behind_their_words_or_are_the_whole_answer() {
    let phrases = |text| Words::same(vec![Phrase::parse(text).unwrap()]);
    let slot = Slot {
        name: "name".to_owned(),
        kind: SlotKind::Name,
        ask: Some(Words::same("For whom?".to_owned())),
        default: None,
        value: None,
        after: phrases("for"),
        until: phrases("over"),
    };
    let say = Some(Words::same(Template::parse("For {name}.").unwrap()));
    let letter =
        Intent { name: "letter".to_owned(), any: phrases("letter"), slots: vec![slot], call: None, say, wrong: None };
    let (intents, help) = (vec![letter], Words::same("Letters.".to_owned()));
    let rules = Rules { intents, help, languages: Vec::new(), version: String::new() };
    let say = |said: &[Said<'_>]| rules.next(said);
    let expected = |text: &str| Next::Say(text.to_owned());
    assert_eq!(say(&[User("Please make the letter for Asha Rao over 5 lakh")]), expected("For Asha Rao."));
    assert_eq!(say(&[User("A letter, please")]), expected("For whom?"));
    assert_eq!(say(&[User("A letter, please"), Assistant("For whom?"), User(" asha rao.")]), expected("For asha rao."));
    assert_eq!(say(&[User("Hello")]), Next::Documents("Letters.".to_owned()));
}

#[test]
fn a_slot_ends_where_the_next_words_begin_and_is_a_part_of_others() {
    let talked = |said: &[&str]| talked_with("econ", said);
    assert_eq!(
        talked(&["Forecast the imports for 12 months", "and for 2 years?", "predict exports"]),
        [
            r#"forecast {"column":"imports","horizon":12}"#,
            r#"forecast {"column":"imports","horizon":24}"#,
            r#"forecast {"column":"exports","horizon":24}"#,
        ]
    );
    assert_eq!(
        talked(&["Plot imports, exports and exchange_rate over time", "What was the average of imports by year?"]),
        [r#"chart {"y":["imports","exports","exchange_rate"]}"#, r#"dataset {"agg":"avg(imports)","group_by":"year"}"#,]
    );
    let asked = talked(&["the average by year", "imports"]);
    assert_eq!(asked, ["Of which column?", r#"dataset {"agg":"avg(imports)","group_by":"year"}"#]);
}

#[test]
fn rows_are_told_as_a_table() {
    let result = r#"{"dataset":"trade","columns":["year(date)","avg(imports)"],"rows":[["2023",111.0],["2024",135.5]],"more":false}"#;
    let asked = json!({"agg": "avg(imports)", "group_by": "year"});
    let told = shipped("econ").tell(&[User("average imports by year")], "dataset", &asked, result);
    assert_eq!(told, "| year(date) | avg(imports) |\n|---|---|\n| 2023 | 111 |\n| 2024 | 135.5 |");
}
