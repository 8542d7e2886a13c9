//! What a model says of itself, in its `config.json` under `rivulet`. Pure.
//!
//! A model that is asked in another way than it was trained answers with worse vectors and no error. So what it needs
//! stands in a file that it cannot be loaded without, and a model that says its name is only loaded under that name.

use std::path::Path;

use serde::Deserialize;

use super::vector::EmbedError;

/// Models that say their name. A folder that does not say it has another one.
const NAMED: [&str; 1] = ["multilingual-e5-small"];
/// The most tokens that a model may want to read at once; attention takes the square of them in memory.
const MAX_TOKENS: usize = 8192;

/// What the gateway has to know of a model. What is not said is as all-MiniLM-L6-v2 has it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Description {
    /// Its name, which `knowledge.model` has to be.
    name: Option<String>,
    /// What stands before a question.
    pub(super) before_question: String,
    /// What stands before a chunk of a document.
    pub(super) before_document: String,
    /// The tokens that it was trained with; what is beyond is cut off.
    pub(super) max_tokens: usize,
    /// The cosine of texts that have nothing to do with each other; 0 and up.
    pub(super) unrelated: f32,
}

impl Default for Description {
    fn default() -> Self {
        Self {
            name: None,
            before_question: String::new(),
            before_document: String::new(),
            max_tokens: 256,
            unrelated: 0.0,
        }
    }
}

impl Description {
    /// What `config`, the content of a `config.json`, says.
    pub(super) fn read(config: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Config {
            #[serde(default)]
            rivulet: Description,
        }
        let Config { rivulet: read } = serde_json::from_slice(config).map_err(|error| error.to_string())?;
        if !(1..=MAX_TOKENS).contains(&read.max_tokens) {
            return Err(format!("rivulet.max_tokens is not between 1 and {MAX_TOKENS}"));
        }
        if !(0.0..=0.99).contains(&read.unrelated) {
            return Err("rivulet.unrelated is not between 0 and 0.99".to_owned());
        }
        Ok(read)
    }

    /// Refuses another name than the model's own. `folder` is where it was read.
    pub(super) fn check_name(&self, named: &str, folder: &Path) -> Result<(), EmbedError> {
        let is = match &self.name {
            Some(name) if name != named => name,
            None if NAMED.contains(&named) => "another model",
            _ => return Ok(()),
        };
        Err(EmbedError::Misnamed { folder: folder.to_owned(), is: is.to_owned(), named: named.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_as_the_default_model_has_it() {
        assert_eq!(Description::read(br#"{"hidden_size": 384}"#), Ok(Description::default()));
        let said = br#"{"rivulet": {"name": "m", "before_question": "q: ", "unrelated": 0.5}}"#;
        let read = Description::read(said).expect("valid");
        assert_eq!((read.before_question.as_str(), read.before_document.as_str()), ("q: ", ""));
        assert_eq!((read.max_tokens, read.unrelated), (256, 0.5));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let wrong = [
            "",
            r#"{"rivulet": {"befor_question": "q: "}}"#,
            r#"{"rivulet": {"max_tokens": 0}}"#,
            r#"{"rivulet": {"max_tokens": 100000}}"#,
            r#"{"rivulet": {"unrelated": 1}}"#,
            r#"{"rivulet": {"unrelated": -0.1}}"#,
            r#"{"rivulet": null}"#,
        ];
        for config in wrong {
            assert!(Description::read(config.as_bytes()).is_err(), "{config}");
        }
    }

    #[test]
    fn a_model_has_its_own_name_only() {
        let named = Description { name: Some(NAMED[0].to_owned()), ..Description::default() };
        let unnamed = Description::default();
        let folder = Path::new("/m");
        assert_eq!(named.check_name(NAMED[0], folder), Ok(()));
        assert_eq!(unnamed.check_name("all-MiniLM-L6-v2", folder), Ok(()));
        for (description, name) in [(&named, "all-MiniLM-L6-v2"), (&unnamed, NAMED[0])] {
            let error = description.check_name(name, folder).expect_err("another name");
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
