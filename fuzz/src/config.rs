//! Configurations: the text of a file, and variables.

use std::path::Path;

use rivulet::config::{Config, ConfigError, Loaded, Refusal};
use toml::{Table, Value};

const FILE: &str = "rivulet.toml";
/// What a line begins with that sets a variable. To TOML it is a comment.
const VARIABLE: &str = "#$ ";
/// Settings that hold secrets, and that are long enough to be looked for.
const SECRETS: [(&str, &str); 4] =
    [("auth", "jwt_secret"), ("auth", "previous_jwt_secret"), ("llm", "api_key"), ("llm", "base_url")];
const LONG: usize = 12;

/// A configuration is taken, and is then the same by variables as in a file; or all that is wrong is told by the names
/// of the settings or the places in the file. Secrets are told of in no case.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let variables: Vec<(String, String)> = text
        .lines()
        .filter_map(|line| line.strip_prefix(VARIABLE)?.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let loaded = Config::of_text(Path::new(FILE), text, variables.clone());
    match &loaded {
        Ok(loaded) => taken(loaded),
        Err(refusal) => refused(text, refusal),
    }
    let Ok(table) = text.parse::<Table>() else { return };
    let told = match &loaded {
        Ok(loaded) => format!("{:?} {:?}", loaded.config, loaded.warnings),
        Err(refusal) => format!("{refusal} {refusal:?}"),
    };
    for (section, name) in SECRETS {
        let secret = table.get(section).and_then(|section| section.get(name)).and_then(Value::as_str);
        if let Some(secret) = secret.filter(|secret| secret.len() >= LONG && text.matches(secret).count() == 1)
            && (loaded.is_err() || name != "base_url")
        {
            assert!(!told.contains(secret), "{section}.{name} is shown: {told}");
        }
    }
    if let (Ok(loaded), true, Some(other)) = (&loaded, variables.is_empty(), as_variables(&table)) {
        let again = Config::of_text(Path::new(FILE), "", other.clone());
        let again = again.unwrap_or_else(|refusal| panic!("refused as variables: {refusal}\n{other:?}"));
        assert_eq!(again.config, loaded.config, "{other:?}");
    }
}

fn taken(loaded: &Loaded) {
    assert!(loaded.config.llm.settled_targets().is_ok());
    assert!(loaded.warnings.iter().all(|warning| is_a_line(warning)), "{:?}", loaded.warnings);
}

fn refused(text: &str, Refusal(errors): &Refusal) {
    assert!(!errors.is_empty());
    for error in errors {
        assert!(is_a_line(&error.to_string()), "{error}");
        match error {
            ConfigError::Syntax { line, column, message, .. } => {
                assert!(*line >= 1 && *line <= text.matches('\n').count() + 1 && *column >= 1, "{error}");
                assert!(!message.is_empty(), "{error}");
            }
            ConfigError::UnknownKey { nearest, .. } => assert!(is_a_name(nearest), "{error}"),
            ConfigError::Value { key, expected, found, .. } => {
                assert!(!key.is_empty() && !expected.is_empty() && !found.is_empty(), "{error}");
            }
            ConfigError::Refused(words) => {
                assert!(words.split([' ', ':', ',', ';']).any(is_a_name), "no setting is named: {words}");
            }
            ConfigError::Read { .. } => panic!("nothing was read"),
        }
    }
}

/// What was written by others is cut before it becomes a part of a line.
fn is_a_line(text: &str) -> bool {
    !text.is_empty() && text.len() <= 2000 && !text.contains(char::is_control)
}

/// `section.setting`, or the name of a variable.
fn is_a_name(word: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let is_variable = word.contains('_') && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    is_variable || word.split_once('.').is_some_and(|(section, name)| is_part(section) && is_part(name))
}

/// The same in variables; `None` where these cannot say it: texts with white space around them, or with what stands there for
/// bytes that are no text, and lists with commas.
fn as_variables(table: &Table) -> Option<Vec<(String, String)>> {
    let mut variables = Vec::new();
    for (section, settings) in table {
        for (name, value) in settings.as_table()? {
            let text = match value {
                Value::String(text) => plain(text)?.to_owned(),
                Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => value.to_string(),
                Value::Array(items) if items.iter().all(Value::is_str) => {
                    let items: Option<Vec<&str>> = items.iter().map(|item| plain(item.as_str()?)).collect();
                    items.filter(|items| !items.iter().any(|item| item.contains(',')))?.join(",")
                }
                Value::Array(_) => serde_json::to_string(value).ok()?,
                _ => return None,
            };
            if text.contains(char::REPLACEMENT_CHARACTER) {
                return None;
            }
            variables.push((format!("RIVULET_{section}_{name}").to_uppercase(), text));
        }
    }
    Some(variables)
}

fn plain(text: &str) -> Option<&str> {
    (!text.is_empty() && text.trim() == text && !text.starts_with('[')).then_some(text)
}
