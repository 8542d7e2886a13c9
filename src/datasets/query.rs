//! Questions to a dataset: what is wanted of which columns, in a form that a model fills in. Pure: they become SQL in `sql`.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::error::DatasetError;

/// The most terms and conditions of a question.
const MAX_PARTS: usize = 32;
/// The longest text in one, in bytes.
const MAX_TEXT: usize = 1000;

/// A question. What is left out is not asked for.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Query {
    /// Columns, or what is made of them: `date`, `year(date)`, `avg(imports)`.
    #[serde(deserialize_with = "several")]
    pub select: Vec<String>,
    /// What rows have to be: all of it.
    #[serde(rename = "where", deserialize_with = "conditions")]
    pub conditions: Vec<Condition>,
    /// By what rows are put together.
    #[serde(deserialize_with = "several")]
    pub group_by: Vec<String>,
    /// What is made of those that are.
    #[serde(deserialize_with = "several")]
    pub agg: Vec<Aggregate>,
    /// By what the result is put in order.
    #[serde(deserialize_with = "several")]
    pub order: Vec<Order>,
    /// The most rows wanted.
    pub limit: Option<usize>,
}

/// What a column has to be.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Which column.
    pub column: String,
    /// How it is compared.
    #[serde(default)]
    pub op: Operator,
    /// With what.
    #[serde(default)]
    pub value: Value,
}

/// How a column is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[expect(missing_docs, reason = "as they are written")]
pub enum Operator {
    #[default]
    #[serde(rename = "=", alias = "==", alias = "eq")]
    Equal,
    #[serde(rename = "!=", alias = "<>", alias = "ne")]
    NotEqual,
    #[serde(rename = "<", alias = "lt")]
    Less,
    #[serde(rename = "<=", alias = "le", alias = "lte")]
    LessOrEqual,
    #[serde(rename = ">", alias = "gt")]
    Greater,
    #[serde(rename = ">=", alias = "ge", alias = "gte")]
    GreaterOrEqual,
    #[serde(rename = "in")]
    In,
    #[serde(rename = "contains")]
    Contains,
    #[serde(rename = "missing")]
    Missing,
    #[serde(rename = "known")]
    Known,
}

/// What is made of several rows: as a text, `avg(imports)`, or as an object.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Aggregate {
    /// As a text.
    Text(String),
    /// As an object.
    #[serde(rename_all = "lowercase")]
    Parts {
        /// How.
        #[serde(rename = "fn")]
        function: String,
        /// Of what; of rows, where it is left out.
        #[serde(default)]
        column: Option<String>,
    },
}

/// By what the result is put in order: as a text, `imports desc`, or as an object.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Order {
    /// As a text.
    Text(String),
    /// As an object.
    Parts {
        /// A column of the result.
        column: String,
        /// Whether the most comes first.
        #[serde(default)]
        desc: bool,
    },
}

impl Query {
    /// Takes a question from the arguments of a call, without those of other names.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(arguments: &Map<String, Value>) -> Result<Self, DatasetError> {
        let known = ["select", "where", "group_by", "agg", "order", "limit"];
        let parts = arguments.iter().filter(|(name, _)| known.contains(&name.as_str()));
        let parts: Map<String, Value> = parts.map(|(name, value)| (name.clone(), value.clone())).collect();
        let read: Self = serde_json::from_value(Value::Object(parts)).map_err(|error| {
            let expected = "select, group_by and agg are lists of texts like \"year(date)\" or \"avg(imports)\", where a \
                            list of {column, op, value}, order a list of texts like \"imports desc\"";
            wrong(&format!("{error}: {expected}"))
        })?;
        let parts = [read.select.len(), read.conditions.len(), read.group_by.len(), read.agg.len(), read.order.len()];
        if parts.iter().any(|many| *many > MAX_PARTS) {
            return Err(wrong(&format!("at most {MAX_PARTS} of each may be asked for")));
        }
        let is_long = |text: &String| text.len() > MAX_TEXT;
        if read.select.iter().chain(&read.group_by).any(is_long) {
            return Err(wrong("a column's name is too long"));
        }
        Ok(read)
    }
}

impl Aggregate {
    /// As a term.
    pub(super) fn term(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Parts { function, column: None } => function.clone(),
            Self::Parts { function, column: Some(column) } => format!("{function}({column})"),
        }
    }
}

impl Order {
    /// The column of the result, and whether the most comes first.
    pub(super) fn parts(&self) -> (&str, bool) {
        match self {
            Self::Parts { column, desc } => (column, *desc),
            Self::Text(text) => {
                let text = text.trim();
                let lower = text.to_ascii_lowercase();
                match (lower.strip_suffix(" desc"), lower.strip_suffix(" asc")) {
                    (Some(rest), _) => (&text[..rest.len()], true),
                    (_, Some(rest)) => (&text[..rest.len()], false),
                    _ => match text.strip_prefix('-') {
                        Some(rest) => (rest, true),
                        None => (text, false),
                    },
                }
            }
        }
    }
}

pub(super) fn wrong(text: &str) -> DatasetError {
    DatasetError::Query(text.to_owned())
}

/// One or a list of them, also as JSON in a text, which small models write.
fn several<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Vec<T>, D::Error> {
    let value = match Value::deserialize(from)? {
        Value::String(text) if text.trim_start().starts_with(['[', '{']) => {
            serde_json::from_str(&text).map_err(serde::de::Error::custom)?
        }
        value => value,
    };
    let list = match value {
        Value::Null => Vec::new(),
        Value::Array(list) => list,
        one => vec![one],
    };
    let read = list.into_iter().map(|one| serde_json::from_value(one).map_err(serde::de::Error::custom));
    read.collect()
}

/// A list of conditions, or columns with the values that they have to have.
fn conditions<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Condition>, D::Error> {
    let list: Vec<Value> = several(from)?;
    let mut read = Vec::with_capacity(list.len());
    for one in list {
        match one {
            Value::Object(columns) if !columns.contains_key("column") => {
                read.extend(columns.into_iter().map(|(column, value)| {
                    let op = if value.is_array() { Operator::In } else { Operator::Equal };
                    Condition { column, op, value }
                }));
            }
            one => read.push(serde_json::from_value(one).map_err(serde::de::Error::custom)?),
        }
    }
    Ok(read)
}
