//! What a tool takes: said to models as a JSON schema, and held against what they send. Pure.

use std::fmt;

use serde_json::{Map, Value, json};

use super::{number, pattern::Pattern};

/// A model is told of so many problems at once.
const MAX_PROBLEMS: usize = 8;
/// So much of what it sent is told back to it, in characters.
const EXCERPT: usize = 40;
/// Whole numbers up to here are exact.
const MAX_WHOLE: f64 = 9_007_199_254_740_991.0;

/// The inputs of a tool.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Inputs(Vec<Input>);

/// One input.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// What it is called.
    pub name: String,
    /// What it is, for models.
    pub description: Option<String>,
    /// In what it is counted, like `INR`.
    pub unit: Option<String>,
    /// What it may be.
    pub takes: Takes,
    /// The only values that it may have; none: any.
    pub choices: Vec<Value>,
    /// Whether it must be there.
    pub presence: Presence,
}

/// What an input may be. Bounds include both ends.
#[derive(Debug, Clone, PartialEq)]
pub enum Takes {
    /// A number.
    Number {
        /// The least.
        min: Option<f64>,
        /// The most.
        max: Option<f64>,
        /// Whether it has no fraction.
        whole: bool,
    },
    /// A text.
    Text {
        /// The most characters of it.
        max_chars: usize,
        /// Its form.
        pattern: Option<Pattern>,
    },
    /// True or false; 1 or 0 in expressions.
    Boolean,
    /// Lists and tables, which the tool itself looks at.
    Json {
        /// What a model is told of it.
        schema: Value,
        /// The most bytes of it.
        max_bytes: usize,
    },
}

/// Whether an input must be there.
#[derive(Debug, Clone, PartialEq)]
pub enum Presence {
    /// It must.
    Required,
    /// It may be missing.
    Optional,
    /// Where it is missing, it is this.
    Default(Value),
}

/// Arguments that were checked: exactly the inputs of the tool, with what they are when they were left out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Arguments(Map<String, Value>);

/// What is wrong with arguments, each with the name of its input: `months: at least 6`. The words are for the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadArguments(Vec<String>);

impl BadArguments {
    /// What is wrong with one of them.
    #[must_use]
    pub fn of(name: &str, problem: &str) -> Self {
        Self(vec![format!("{name}: {problem}")])
    }
}

impl Inputs {
    /// These. Of several with one name the first one counts.
    #[must_use]
    pub fn new(inputs: Vec<Input>) -> Self {
        Self(inputs)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Input> {
        self.0.iter()
    }

    /// As models are told of them: a JSON schema of an object.
    #[must_use]
    pub fn schema(&self) -> Value {
        let properties: Map<String, Value> = self.0.iter().map(|input| (input.name.clone(), input.schema())).collect();
        let required = self.0.iter().filter(|input| input.presence == Presence::Required).map(|input| &input.name);
        json!({
            "type": "object",
            "properties": properties,
            "required": required.collect::<Vec<_>>(),
            "additionalProperties": false,
        })
    }

    /// Holds what a model sent against them. Numbers and truths may come as texts where these can be nothing else, and
    /// `null` is as good as nothing.
    ///
    /// # Errors
    /// [`BadArguments`] with all that is wrong, up to eight things.
    pub fn check(&self, sent: &Value) -> Result<Arguments, BadArguments> {
        let Value::Object(sent) = sent else {
            return Err(BadArguments(vec!["the arguments must be one JSON object".to_owned()]));
        };
        let mut problems = Vec::new();
        let is_known = |name: &str| self.0.iter().any(|input| input.name == name);
        for name in sent.keys().filter(|name| !is_known(name)).take(MAX_PROBLEMS) {
            problems.push(format!("{}: there is no such argument, but {}", excerpt(name), self.names()));
        }
        let mut arguments = Map::new();
        for input in &self.0 {
            match input.settle(sent.get(&input.name)) {
                Ok(Some(value)) => {
                    arguments.entry(input.name.clone()).or_insert(value);
                }
                Ok(None) => {}
                Err(problem) => problems.push(format!("{}: {problem}", input.name)),
            }
        }
        if problems.is_empty() {
            return Ok(Arguments(arguments));
        }
        problems.truncate(MAX_PROBLEMS);
        Err(BadArguments(problems))
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(|input| input.name.as_str()).collect();
        if names.is_empty() { "none at all".to_owned() } else { names.join(", ") }
    }
}

impl Input {
    fn settle(&self, sent: Option<&Value>) -> Result<Option<Value>, String> {
        match (sent, &self.presence) {
            (None | Some(Value::Null), Presence::Required) => Err("missing".to_owned()),
            (None | Some(Value::Null), Presence::Optional) => Ok(None),
            (None | Some(Value::Null), Presence::Default(value)) => Ok(Some(value.clone())),
            (Some(value), _) => self.take(value).map(Some),
        }
    }

    /// A value as this input has it.
    ///
    /// # Errors
    /// What it must be, in words.
    pub fn take(&self, value: &Value) -> Result<Value, String> {
        let value = self.takes.take(value)?;
        if self.choices.is_empty() || self.choices.contains(&value) {
            return Ok(value);
        }
        let choices =
            self.choices.iter().map(|choice| choice.as_str().map_or_else(|| choice.to_string(), str::to_owned));
        Err(format!("one of {}", choices.collect::<Vec<_>>().join(", ")))
    }

    fn schema(&self) -> Value {
        let mut schema = Map::new();
        let mut put = |name: &str, value: Value| schema.insert(name.to_owned(), value);
        match &self.takes {
            Takes::Number { min, max, whole } => {
                put("type", if *whole { "integer" } else { "number" }.into());
                min.map(|min| put("minimum", number::json(min)));
                max.map(|max| put("maximum", number::json(max)));
            }
            Takes::Text { .. } => {
                put("type", "string".into());
            }
            Takes::Boolean => {
                put("type", "boolean".into());
            }
            Takes::Json { schema: own, .. } => {
                for (name, value) in own.as_object().into_iter().flatten() {
                    put(name, value.clone());
                }
            }
        }
        let mut notes: Vec<String> = self.unit.iter().cloned().collect();
        if let Takes::Text { max_chars, pattern } = &self.takes {
            // In words: servers that make grammars of schemas refuse long lengths and many patterns, and the whole request.
            notes.push(format!("at most {max_chars} characters"));
            notes.extend(pattern.as_ref().map(|pattern| format!("of the form {}", pattern.as_str())));
        }
        let (description, notes) = (self.description.as_deref().unwrap_or_default(), notes.join(", "));
        match (description, notes.as_str()) {
            ("", "") => {}
            (text, "") | ("", text) => drop(put("description", text.into())),
            (text, notes) => drop(put("description", format!("{text} ({notes})").into())),
        }
        if !self.choices.is_empty() {
            put("enum", self.choices.clone().into());
        }
        if let Presence::Default(value) = &self.presence {
            put("default", value.clone());
        }
        Value::Object(schema)
    }
}

impl Takes {
    /// A value as this has it, whatever the choices.
    ///
    /// # Errors
    /// What it must be, in words.
    pub fn take(&self, value: &Value) -> Result<Value, String> {
        match self {
            Self::Number { min, max, whole } => {
                let kind = if *whole { "a whole number" } else { "a number" };
                let found = match value {
                    Value::Number(number) => number.as_f64(),
                    Value::String(text) => number::parse(text),
                    _ => None,
                };
                let found = found.ok_or_else(|| format!("{kind}, like 1000 or 0.5, not {}", told(value)))?;
                if *whole && (found.fract() != 0.0 || found.abs() > MAX_WHOLE) {
                    return Err(format!("{kind}, not {}", told(value)));
                }
                match (min, max) {
                    (Some(min), _) if found < *min => Err(format!("at least {}", number::grouped(*min, None))),
                    (_, Some(max)) if found > *max => Err(format!("at most {}", number::grouped(*max, None))),
                    _ => Ok(number::json(found)),
                }
            }
            Self::Text { max_chars, pattern } => {
                let Value::String(text) = value else { return Err(format!("a text, not {}", told(value))) };
                if text.chars().count() > *max_chars {
                    return Err(format!("at most {max_chars} characters"));
                }
                match pattern {
                    Some(pattern) if !pattern.fits(text) => Err(format!("of the form {}", pattern.as_str())),
                    _ => Ok(value.clone()),
                }
            }
            Self::Boolean => match value {
                Value::Bool(_) => Ok(value.clone()),
                Value::String(text) if text == "true" || text == "false" => Ok(Value::Bool(text == "true")),
                _ => Err(format!("true or false, not {}", told(value))),
            },
            Self::Json { max_bytes, .. } => {
                let bytes = value.to_string().len();
                if bytes > *max_bytes { Err(format!("at most {max_bytes} bytes")) } else { Ok(value.clone()) }
            }
        }
    }
}

impl Arguments {
    /// Those of a tool that checks them itself.
    #[must_use]
    pub const fn unchecked(sent: Map<String, Value>) -> Self {
        Self(sent)
    }

    /// One of them as a number; a truth is 1 or 0. `None` where there is none.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<f64> {
        match self.0.get(name)? {
            Value::Bool(value) => Some(f64::from(u8::from(*value))),
            value => value.as_f64(),
        }
    }

    /// One of them that is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// One of them for programs to read, as a text.
    #[must_use]
    pub fn written(&self, name: &str) -> Option<String> {
        Some(match self.0.get(name)? {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    }

    /// One of them for people to read.
    #[must_use]
    pub fn shown(&self, name: &str) -> Option<String> {
        Some(match self.0.get(name)? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number::grouped(number.as_f64()?, None),
            other => other.to_string(),
        })
    }

    /// All of them, as JSON has them.
    #[must_use]
    pub fn as_json(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl fmt::Display for BadArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for BadArguments {}

/// A value in a message.
fn told(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{}\"", excerpt(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => other.to_string(),
    }
}

fn excerpt(text: &str) -> String {
    let mut short: String = text.chars().take(EXCERPT).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(EXCERPT).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests;
