use std::collections::BTreeMap;

use super::*;
use crate::config::{AssistantsConfig, Fallback, LlmConfig, assistants};

const LOAN: &str = include_str!("../../../assistants/loan.toml");
const LETTER: &str = include_str!("../../../assistants/loan-letter.txt");
const RULES: &str = include_str!("../../../assistants/loan.rules.toml");

/// The assistant `a` with this file and these rules.
fn read_with(file: &str, rules: Option<&str>) -> Result<crate::config::Assistant, String> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.toml"), file).unwrap();
    fs::write(dir.path().join("loan-letter.txt"), LETTER).unwrap();
    if let Some(rules) = rules {
        fs::write(dir.path().join("a.rules.toml"), rules).unwrap();
    }
    let config = AssistantsConfig { dir: dir.path().to_owned(), ..AssistantsConfig::default() };
    let read = assistants::read(&config, &LlmConfig::default(), &[], &BTreeMap::new());
    let place = format!("{}/", dir.path().display());
    read.map(|mut all| all.remove(0)).map_err(|refusal| refusal.to_string().replace(&place, ""))
}

#[test]
fn rules_lie_beside_an_assistant_and_belong_to_its_version() {
    let with = read_with(LOAN, Some(RULES)).unwrap();
    let rules = with.rules.clone().unwrap();
    let names: Vec<_> = rules.intents.iter().map(|intent| &*intent.name).collect();
    assert_eq!((names, with.fallback()), (vec!["documents", "eligibility", "emi", "letter"], Some(Fallback::Rules)));
    assert_eq!(
        rules.intents[2].slots.iter().map(|slot| &*slot.name).collect::<Vec<_>>(),
        ["principal", "months", "annual_rate"]
    );
    let without = read_with(LOAN, None).unwrap();
    assert_eq!((without.rules, without.model.fallback), (None, None));
    let other = read_with(LOAN, Some(&RULES.replace("Which amount", "What amount"))).unwrap();
    assert!(with.version != without.version && with.version != other.version);
    let own = LOAN.replace("[model]", "[model]\nfallback = \"none\"");
    assert_eq!(read_with(&own, Some(RULES)).unwrap().fallback(), Some(Fallback::None));
}

#[test]
fn what_is_wrong_is_told_with_file_line_and_key() {
    let rows = [
        ("[[intent]]", "[[intents]]", "there is no setting `rules.intents`; the nearest one is `intent`"),
        (
            "call = \"emi\"",
            "call = \"emy\"",
            "intent.emi.call must be one of the tools of the assistant (the nearest one is `emi`)",
        ),
        ("{interest:money}", "{intrest:money}", "there is no `intrest`; the nearest one is `interest`"),
        ("{interest:money}", "{interest:euro}", "intent.emi.say must be a line with names in braces"),
        (
            "any.hi = [\"पात्र\"",
            "any.de = [\"x\"",
            "languages that are in `languages` of the assistant, but is the text \"de\"",
        ),
        (
            "ask.en = \"Which amount would you like to borrow?\"\n",
            "",
            "intent.emi.slots.principal.ask must be in en, too",
        ),
        (
            "type = \"percent\"\ndefault = 10.5\n\n[[intent]]",
            "type = \"percents\"\n\n[[intent]]",
            "slots.annual_rate.type must be one of money, percent",
        ),
        ("default = 36", "value = \"{x}\"", "slots.months.value must be left out where type is not text"),
        ("default = 36", "default = \"36\"", "slots.months.default must be a number"),
        ("name = \"emi\"", "name = \"eligibility\"", "intent.eligibility.name must be a name that no other one has"),
        (
            "any.en = [\"emi\"",
            "any.en = [\"?\", \"emi\"",
            "intent.emi.any must be phrases with words in them, but is the text \"?\"",
        ),
        (
            "[intent.slots.monthly_income]",
            "[intent.slots.income]",
            "`monthly_income` has no slot with `ask` or `default`",
        ),
        ("name = \"emi\"", "name = \"emi\"\ncolour = \"red\"", "there is no setting `intent[3].colour`"),
        ("[help]", "[help", "a.rules.toml:4:"),
        ("[help]\nen", "# [help]\n# en", "help must be what is said where nothing else is known"),
    ];
    for (from, to, expected) in rows {
        assert!(RULES.contains(from), "{from}");
        let told = read_with(LOAN, Some(&RULES.replacen(from, to, 1))).expect_err(to);
        assert!(told.contains(expected) && told.contains("a.rules.toml:"), "{to}: {told}");
    }
    let line = RULES.lines().position(|line| line.starts_with("call = \"emi\"")).unwrap() + 1;
    let told = read_with(LOAN, Some(&RULES.replace("call = \"emi\"", "call = \"emy\""))).unwrap_err();
    assert!(told.starts_with(&format!("a.rules.toml:{line}: ")), "{told}");
    let none = read_with(&LOAN.replace("[model]", "[model]\nfallback = \"rules\""), None).unwrap_err();
    assert!(none.contains("model.fallback must be none or extractive, where there is no a.rules.toml"), "{none}");
    let long = read_with(LOAN, Some(&format!("{RULES}\n#{}", "x".repeat(MAX_BYTES)))).unwrap_err();
    assert!(long.contains("a.rules.toml"), "{long}");
}

#[test]
fn rules_of_nobody_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("b.rules.toml"), RULES).unwrap();
    let config = AssistantsConfig { dir: dir.path().to_owned(), ..AssistantsConfig::default() };
    let refused = assistants::read(&config, &LlmConfig::default(), &[], &BTreeMap::new()).unwrap_err().to_string();
    assert!(refused.contains("b.rules.toml: there is no ") && refused.contains("b.toml"), "{refused}");
}
