//! A calculation that an operator has written: intermediate values, results, and a line about them. Pure.

use serde_json::{Map, Value};

use super::{
    expression::Expression,
    input::Arguments,
    node::ArithmeticError,
    number,
    template::{Filling, Template},
};

/// A calculation. Each name is known to what stands after it.
#[derive(Debug, Clone, PartialEq)]
pub struct Formula {
    /// What is worked out first, by name, and is no result.
    pub steps: Vec<(String, Expression)>,
    /// The results.
    pub outputs: Vec<Output>,
    /// What people read of them; without, all of them with their names.
    pub summary: Option<Template>,
}

/// A result.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// What it is called.
    pub name: String,
    /// How it is worked out.
    pub expression: Expression,
    /// To so many decimal places, halves away from zero; what is worked out with it, is worked out with the rounded one.
    pub round: Option<u8>,
}

/// What came out.
#[derive(Debug, Clone, PartialEq)]
pub struct Computed {
    /// The results by name.
    pub data: Map<String, Value>,
    /// A line for people.
    pub summary: String,
    /// The results by name, as people read them.
    pub shown: Vec<(String, String)>,
}

impl Formula {
    /// Works it out.
    ///
    /// # Errors
    /// [`ArithmeticError`] of the first part that has no value.
    pub fn compute(&self, arguments: &Arguments) -> Result<Computed, ArithmeticError> {
        let mut known: Vec<(&str, f64)> = Vec::with_capacity(self.steps.len() + self.outputs.len());
        let evaluate = |expression: &Expression, known: &[(&str, f64)]| {
            let found = |name: &str| known.iter().rev().find(|(other, _)| *other == name).map(|(_, value)| *value);
            expression.evaluate(&|name| found(name).or_else(|| arguments.number(name)))
        };
        for (name, expression) in &self.steps {
            known.push((name, evaluate(expression, &known)?));
        }
        for output in &self.outputs {
            let value = evaluate(&output.expression, &known)?;
            known.push((&output.name, output.round.map_or(value, |places| number::round(value, places.into()))));
        }
        let results: Vec<(&Output, f64)> =
            self.outputs.iter().zip(&known[self.steps.len()..]).map(|(o, k)| (o, k.1)).collect();
        let data = results.iter().map(|(output, value)| (output.name.clone(), number::json(number::tidy(*value))));
        let shown = results.iter().map(|(output, value)| (output.name.clone(), number::grouped(*value, output.round)));
        let mut computed = Computed { data: data.collect(), summary: String::new(), shown: shown.collect() };
        computed.summary = match &self.summary {
            Some(line) => line.fill(|name| {
                let result = results.iter().find(|(output, _)| output.name == name);
                let result = result.map(|(output, value)| Filling::Number(*value, output.round));
                let given = || arguments.as_json().get(name).map(Filling::from);
                result.or_else(given).unwrap_or_else(|| String::new().into())
            }),
            None => {
                let all = computed.shown.iter().map(|(name, shown)| format!("{name} {shown}"));
                all.collect::<Vec<_>>().join(", ")
            }
        };
        Ok(computed)
    }
}

impl Computed {
    /// A result, or else an argument, as people read it.
    #[must_use]
    pub fn value(&self, name: &str, arguments: &Arguments) -> Option<String> {
        let result = self.shown.iter().find(|(other, _)| other == name);
        result.map(|(_, shown)| shown.clone()).or_else(|| arguments.shown(name))
    }
}
