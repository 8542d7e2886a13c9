use std::path::Path;

use super::*;
use crate::{
    config::{assistant::SECTIONS, error::Refusal, file, layers::Layers},
    formula::Presence,
};

const EMI: &str = r#"
[tools]
use = ["calc", "emi"]
call_s = 5
[[tool]]
name = "emi"
kind = "formula"
title = "Monthly instalment"
description = "Exact monthly instalment of a loan."
summary = "{emi} a month for {principal}"
input.principal = { type = "number", min = 10000, max = 10000000, unit = "INR" }
input.annual_rate = { type = "number", min = 1, max = 36, default = 10.5 }
input.months = { type = "integer", min = 6, max = 360, description = "How long" }
let = { r = "annual_rate / 1200", f = "(1 + r) ^ months" }
output.emi = { expr = "principal * r * f / (f - 1)", round = 2 }
output.total = { expr = "emi * months", round = 2 }
"#;

fn read_text(text: &str) -> Result<Tools, String> {
    let path = Path::new("loan.toml");
    let mut layers = Layers::of(SECTIONS);
    file::read_text(path, text, &mut layers);
    let mut refused = layers.take_refused();
    let env = [("BUREAU_TOKEN".to_owned(), "s3cret-token".to_owned())].into();
    let tools = read(path, text, &layers, (&[], &env), &mut refused).map_err(|error| error.to_string())?;
    if refused.is_empty() { Ok(tools) } else { Err(Refusal(refused).to_string()) }
}

fn changed(from: &str, to: &str) -> String {
    assert!(EMI.contains(from), "{from}");
    EMI.replace(from, to)
}

#[test]
fn a_file_names_its_tools_and_makes_some() {
    let tools = read_text(EMI).unwrap();
    let names: Vec<_> = tools.offered.iter().map(|tool| (tool.name(), tool.title())).collect();
    assert_eq!(names, [("calc", "Calculator"), ("emi", "Monthly instalment")]);
    assert_eq!(tools.calling, Calling { call_s: 5.0, names: tools.calling.names.clone(), ..Calling::default() });
    let Tool::Own(emi) = &tools.offered[1] else { panic!("{tools:?}") };
    let inputs: Vec<_> = emi.inputs.iter().map(|input| (&*input.name, input.unit.as_deref())).collect();
    assert_eq!(inputs, [("principal", Some("INR")), ("annual_rate", None), ("months", None)], "as they are written");
    assert_eq!(emi.inputs.iter().nth(1).unwrap().presence, Presence::Default(10.5.into()));
    let Does::Formula(formula) = &emi.does else { panic!("{emi:?}") };
    let steps: Vec<_> = formula.steps.iter().map(|(name, expression)| format!("{name}: {expression}")).collect();
    assert_eq!(steps, ["r: annual_rate / 1200", "f: (1 + r) ^ months"]);
    assert_eq!(read_text("").unwrap(), Tools::default());
    // One that is made and not named is not offered.
    assert!(read_text(&changed("\"calc\", \"emi\"", "\"time\"")).unwrap().offered.len() == 1);
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let rows = [
        (
            "[\"calc\", \"emi\"]",
            "[\"clac\"]",
            "loan.toml:3: tools.use must be names of tools (the nearest one is `calc`), but is the text \"clac\"",
        ),
        ("\"calc\", \"emi\"", "\"emi\", \"emi\"", "loan.toml:3: tools.use must be each named once"),
        ("call_s = 5", "max_rounds = 13", "loan.toml:4: tools.max_rounds must be a whole number from 2 to 12"),
        ("call_s = 5", "calls = 5", "loan.toml:4: there is no setting `tools.calls`; the nearest one is `tools."),
        ("name = \"emi\"", "name = \"Emi\"", "loan.toml:5: tool[1].name must be a letter a-z"),
        ("name = \"emi\"", "name = \"calc\"", "loan.toml:5: tool[1].name must be a name that no other tool has"),
        ("kind = \"formula\"", "kind = \"formla\"", "loan.toml:7: tool.emi.kind must be one of formula"),
        ("kind = \"formula\"", "", "loan.toml:5: tool.emi.kind must be one of formula, http, document, but is missing"),
        ("title =", "titel =", "loan.toml:8: there is no setting `tool.emi.titel`; the nearest one is `title`"),
        (
            "input.months",
            "inptu.months",
            "loan.toml:13: there is no setting `tool.emi.inptu`; the nearest one is `input`",
        ),
        ("description = \"Exact", "#\"", "loan.toml:5: tool.emi.description must be what it does"),
        (
            "min = 10000,",
            "min = 1, mx = 2,",
            "loan.toml:11: there is no setting `tool.emi.input.principal.mx`; the nearest one is `max`",
        ),
        ("min = 6,", "min = 600,", "loan.toml:13: tool.emi.input.months.max must be at least min, 600"),
        (
            "type = \"integer\"",
            "type = \"boolean\"",
            "loan.toml:13: tool.emi.input.months.min must be left out where the type is boolean",
        ),
        (
            "type = \"integer\"",
            "type = \"int\"",
            "loan.toml:13: tool.emi.input.months.type must be one of number, integer, string, boolean",
        ),
        (
            "default = 10.5",
            "default = 50",
            "loan.toml:12: tool.emi.input.annual_rate.default must be a value that it takes (at most 36)",
        ),
        (
            "default = 10.5",
            "choices = [10, 99]",
            "tool.emi.input.annual_rate.choices must be values that it takes (at most 36)",
        ),
        ("unit = \"INR\"", "pattern = \"x\"", "tool.emi.input.principal.pattern must be left out"),
        ("input.months", "input.Months", "tool.emi.input must be named by a letter a-z"),
        (
            "annual_rate / 1200",
            "annual_rate / ",
            "loan.toml:14: tool.emi.let.r must be an expression (at character 15: a number or a name is missing)",
        ),
        (
            "emi * months",
            "em * months",
            "loan.toml:16: tool.emi.output.total.expr must be made of numbers and names above it (there is no `em`; the nearest one is `emi`)",
        ),
        (
            "(1 + r) ^ months",
            "total + 1",
            "tool.emi.let.f must be made of numbers and names above it (there is no `total`",
        ),
        ("output.total", "output.months", "tool.emi.output.months must be a name that nothing above it has"),
        (
            "round = 2 }\noutput.total",
            "round = 20 }\noutput.total",
            "loan.toml:15: tool.emi.output.emi.round must be a whole number from 0 to 10",
        ),
        (
            "{emi} a",
            "{emmi} a",
            "tool.emi.summary must be a line with names of inputs and results in braces (there is no `emmi`; the nearest one is `emi`)",
        ),
        ("{emi} a", "{emi a", "tool.emi.summary must be a line with names in braces"),
    ];
    for (from, to, expected) in rows {
        let told = read_text(&changed(from, to)).expect_err(to);
        assert!(told.contains(expected), "{to}: {told}");
    }
    let nothing = read_text("[[tool]]\nname = \"x\"\nkind = \"formula\"\ndescription = \"x\"").unwrap_err();
    assert!(nothing.contains("loan.toml:1: tool.x.output must be a table with one result at least"), "{nothing}");
    let several = read_text("[tools]\nuse = [\"y\"]\ncalls = 1\n[[tool]]\nname = \"x\"\ninput = 5").unwrap_err();
    assert_eq!(several.lines().count(), 5, "{several}");
    assert!(read_text("tool = 5").unwrap_err().contains("loan.toml:1: tool must be a list of tables"));
    let odd =
        read_text("[[tool]]\nname = \"x\"\ninput.a = { type = \"number\", min = 99999999999999999999 }").unwrap_err();
    assert!(odd.contains("but is a number of more than 64 bits"), "{odd}");
}

#[test]
fn what_models_are_told_has_a_bound() {
    let tool = |at: usize| {
        let about = "x".repeat(240);
        let inputs: String =
            (0..16).map(|at| format!("input.a{at} = {{ type = \"number\", description = \"{about}\" }}\n")).collect();
        format!(
            "[[tool]]\nname = \"t{at}\"\nkind = \"formula\"\ndescription = \"x\"\n{inputs}output.o = {{ expr = \"1\" }}\n"
        )
    };
    let file = |many: usize| {
        let names: Vec<String> = (0..many).map(|at| format!("\"t{at}\"")).collect();
        format!("[tools]\nuse = [{}]\n{}", names.join(","), (0..many).map(tool).collect::<String>())
    };
    assert!(read_text(&file(6)).is_ok());
    let told = read_text(&file(8)).unwrap_err();
    assert!(
        told.starts_with("loan.toml:2: tools.use must be tools whose descriptions and inputs cost at most 8000 tokens"),
        "{told}"
    );
    let many = (0..33).map(|at| {
        format!("[[tool]]\nname = \"t{at}\"\nkind = \"formula\"\ndescription = \"x\"\noutput.o = {{ expr = \"1\" }}\n")
    });
    assert!(
        read_text(&many.collect::<String>()).unwrap_err().contains("tool must be at most 32 tools, but is 33 of them")
    );
}
