//! The fields of an object as a caller wrote them, and errors that name them. Pure.

use serde_json::{Map, Value};

use super::values;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{param}` {problem}")]
pub struct Invalid {
    /// `invalid_field`, `empty_text` or `unsupported_parameter`.
    pub code: &'static str,
    /// The field, such as `messages[2].content`.
    pub param: String,
    /// What is wrong with it, to be read after its name.
    pub problem: String,
}

pub(in crate::dialect) fn invalid(param: &str, problem: &str) -> Invalid {
    Invalid { code: "invalid_field", param: param.to_owned(), problem: problem.to_owned() }
}

pub(super) fn unsupported(param: &str) -> Invalid {
    let problem = "asks for what this gateway does not do".to_owned();
    Invalid { code: "unsupported_parameter", param: param.to_owned(), problem }
}

impl Invalid {
    /// Names what an operator can do about it.
    pub(super) fn unless_in_text(self) -> Self {
        let problem = self.problem + "; its operator can have that answered in text, by `llm.unsupported = \"text\"`";
        Self { problem, ..self }
    }
}

/// An object's fields, and what stands before their names in an error.
pub(super) struct Fields<'a> {
    pub(super) fields: &'a Map<String, Value>,
    pub(super) path: &'a str,
}

impl<'a> Fields<'a> {
    /// Those of an object that stands at `path`, which ends in a dot.
    pub(super) fn of(value: &'a Value, path: &'a str) -> Result<Self, Invalid> {
        let fields = value.as_object().ok_or_else(|| invalid(path.trim_end_matches('.'), "must be an object"))?;
        Ok(Self { fields, path })
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn path(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }

    pub(super) fn invalid(&self, name: &str, problem: &str) -> Invalid {
        invalid(&self.path(name), problem)
    }

    pub(super) fn required(&self, name: &str) -> Result<&'a Value, Invalid> {
        self.get(name).ok_or_else(|| self.invalid(name, "is missing"))
    }

    /// A text that has to be there.
    pub(super) fn text(&self, name: &str) -> Result<&'a str, Invalid> {
        let text = self.required(name)?.as_str().filter(|text| !text.is_empty());
        text.ok_or_else(|| self.invalid(name, "must be a text"))
    }

    pub(super) fn boolean(&self, name: &str) -> Result<Option<bool>, Invalid> {
        let boolean = |value: &Value| values::boolean(value).ok_or_else(|| self.invalid(name, "must be true or false"));
        self.get(name).map(boolean).transpose()
    }

    pub(super) fn number(&self, name: &str, from: f64, to: f64) -> Result<Option<f64>, Invalid> {
        let number = |value: &Value| {
            let number = values::number(value).filter(|number| (from..=to).contains(number));
            number.ok_or_else(|| self.invalid(name, &format!("must be a number from {from} to {to}")))
        };
        self.get(name).map(number).transpose()
    }

    /// A number that bounds something; -1, and 0 where a language knows no absence, is no bound.
    pub(super) fn limit(&self, name: &str) -> Result<Option<u32>, Invalid> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match values::number(value) {
            Some(limit) if limit == -1.0 || limit == 0.0 => Ok(None),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is positive, and a cast of what is too large saturates"
            )]
            Some(limit) if limit >= 1.0 => Ok(Some(limit as u32)),
            _ => Err(self.invalid(name, "must be a number from 1, or -1 for no limit")),
        }
    }
}
