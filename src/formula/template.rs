//! A line with names in braces: `{emi} a month`. A number is written to its own decimal places, or as the place says:
//! `{total:money}` to two, `{share:0}` to none; a list is a table with `{rows:table}`. Pure.

use serde_json::Value;

use super::{number, table};

/// A line in which values take the places of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// A name, and how what it stands for is written.
    Place(String, Form),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As it is.
    Own,
    /// A number, to so many decimal places.
    Places(u8),
    /// A list, as a table.
    Table,
}

/// What takes the place of a name.
#[derive(Debug, Clone, PartialEq)]
pub enum Filling {
    /// As it is.
    Text(String),
    /// To as many decimal places as are named, unless the template says how many.
    Number(f64, Option<u8>),
    /// What is in a list, and what the parts of each are called, where that are lists which do not say so. Without a
    /// `:table`, what is in it with commas.
    List(Vec<Value>, Vec<String>),
}

/// Why a line is no template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a line with names in braces, each brace with its other one, and behind a name nothing but `:money`, `:0` to `:10` or `:table`"
)]
pub struct TemplateError;

/// The most decimal places that can be asked for, and those of amounts.
const MAX_PLACES: u8 = 10;
const MONEY: u8 = 2;

impl Template {
    /// Reads one.
    ///
    /// # Errors
    /// [`TemplateError`] when braces do not match, and for a form that there is not.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (place, behind) = after.split_once('}').ok_or(TemplateError)?;
            if before.contains('}') || place.contains('{') {
                return Err(TemplateError);
            }
            let (name, form) = place.split_once(':').map_or((place, None), |(name, form)| (name, Some(form.trim())));
            let form = match form {
                None => Form::Own,
                Some("money") => Form::Places(MONEY),
                Some("table") => Form::Table,
                Some(form) => {
                    Form::Places(form.parse().ok().filter(|places| *places <= MAX_PLACES).ok_or(TemplateError)?)
                }
            };
            parts.extend([Part::Text(before.to_owned()), Part::Place(name.trim().to_owned(), form)]);
            rest = behind;
        }
        if rest.contains('}') {
            return Err(TemplateError);
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    /// The names that stand in it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Place(name, _) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The line, with what `value` has for each name.
    pub fn fill<F: Into<Filling>>(&self, value: impl Fn(&str) -> F) -> String {
        let filled = self.0.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Place(name, form) => match (value(name).into(), *form) {
                (Filling::Text(text), _) => text,
                (Filling::Number(number, _), Form::Places(places)) => number::grouped(number, Some(places)),
                (Filling::Number(number, own), _) => number::grouped(number, own),
                (Filling::List(items, columns), Form::Table) => table::markdown(&items, &columns),
                (Filling::List(items, _), _) => items.iter().map(table::plain).collect::<Vec<_>>().join(", "),
            },
        });
        filled.collect()
    }
}

impl From<String> for Filling {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&Value> for Filling {
    fn from(value: &Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(items) => Self::List(items.clone(), Vec::new()),
            other => other.as_f64().map_or_else(|| Self::Text(other.to_string()), |number| Self::Number(number, None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_braces_are_replaced_and_braces_must_match() {
        let line = Template::parse("{emi} a month, {total} in all").unwrap();
        assert_eq!(line.names().collect::<Vec<_>>(), ["emi", "total"]);
        assert_eq!(line.fill(str::to_uppercase), "EMI a month, TOTAL in all");
        assert_eq!(Template::parse("no names").unwrap().fill(str::to_owned), "no names");
        for text in ["{emi", "emi}", "{a{b}}", "}{", "{a} }", "{emi:}", "{emi:11}", "{emi:euro}"] {
            assert_eq!(Template::parse(text), Err(TemplateError), "{text}");
        }
    }

    #[test]
    fn a_place_says_how_its_number_is_written() {
        let line = Template::parse("{a:money} {a} {a:0} {b:money} {c: money }").unwrap();
        let value = |name: &str| match name {
            "a" => Filling::Number(644_817.5, None),
            "b" => Filling::from(&Value::from(3)),
            _ => Filling::from("as it is".to_owned()),
        };
        assert_eq!(line.fill(value), "644,817.50 644,817.5 644,818 3.00 as it is");
    }
}
