//! What is known of a setting: its name, what it is called in the environment, and what a value must be. Pure.

use toml::Value;

use super::{error::excerpt, networks};

/// The most characters of a name.
pub(super) const MAX_NAME: usize = 40;

/// One setting.
pub(super) struct Key {
    /// Its section of the file; empty for what stands above all sections, and for what an entry of a list has.
    pub(super) section: &'static str,
    /// Its name there.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

/// What a value must be. Bounds include both ends.
pub(super) enum Kind {
    Text,
    /// One line; names of targets and models are labels of metrics.
    Line,
    /// Like text, and never shown.
    Secret,
    Path,
    /// Like text; shown nowhere, because addresses happen to carry passwords.
    Url,
    Switch,
    Address,
    OneOf(&'static [&'static str]),
    Integer(i64, i64),
    Number(f64, f64),
    /// Texts; separated by commas in the environment.
    List,
    /// Networks in CIDR notation; otherwise like a list.
    Networks,
    /// Names and texts; the texts are shown nowhere.
    Headers,
    /// A list of tables, which are read elsewhere.
    Elsewhere,
    /// So many tables with these keys, each of which is called so; JSON in the environment.
    Entries(&'static str, usize, &'static [Key]),
    /// What the other kind is, or a table of such by language.
    Localized(&'static Kind),
    /// A table; what is in it is checked by who reads it.
    Table,
}

/// The most bytes of a line.
const MAX_LINE: usize = 256;

/// What was expected instead, and what was found.
#[derive(Debug, PartialEq)]
pub(super) struct Mismatch {
    pub(super) expected: String,
    pub(super) found: String,
    /// Where in a list of tables: which of them, from 0, and its setting.
    pub(super) within: Option<(usize, String)>,
}

impl Mismatch {
    /// `key`, and the place within it.
    pub(super) fn key(&self, key: &str) -> String {
        match &self.within {
            Some((at, setting)) if setting.is_empty() => format!("{key}[{}]", at + 1),
            Some((at, setting)) => format!("{key}[{}].{setting}", at + 1),
            None => key.to_owned(),
        }
    }
}

impl Key {
    /// `section.name`, as messages and the documentation call it.
    pub(super) fn full(&self) -> String {
        if self.section.is_empty() { self.name.to_owned() } else { format!("{}.{}", self.section, self.name) }
    }

    /// `RIVULET_SECTION_NAME`.
    pub(super) fn variable(&self) -> String {
        format!("RIVULET_{}_{}", self.section, self.name).to_uppercase()
    }
}

impl Kind {
    /// Whether no text at all is an empty list.
    pub(super) fn is_list(&self) -> bool {
        matches!(self, Self::List | Self::Networks)
    }

    /// Checks a value that came typed, from the file.
    pub(super) fn check(&self, value: Value) -> Result<Value, Mismatch> {
        let value = match (self, value) {
            (Self::Entries(name, most, keys), Value::Array(tables)) => {
                return check_tables((name, *most), keys, tables);
            }
            (_, value) => value,
        };
        if let Self::Localized(kind) = self {
            let Value::Table(texts) = value else { return kind.check(value) };
            let checked = texts.into_iter().map(|(language, text)| Ok((language, kind.check(text)?)));
            return Ok(Value::Table(checked.collect::<Result<_, _>>()?));
        }
        let fits = match (self, &value) {
            (Self::Text | Self::Secret | Self::Path | Self::Url, Value::String(text)) => !text.trim().is_empty(),
            (Self::Line, Value::String(text)) => {
                !text.trim().is_empty() && !text.contains(char::is_control) && text.len() <= MAX_LINE
            }
            (Self::Switch, Value::Boolean(_)) => true,
            (Self::Address, Value::String(text)) => text.parse::<std::net::SocketAddr>().is_ok(),
            (Self::OneOf(names), Value::String(text)) => names.contains(&text.as_str()),
            (Self::Integer(min, max), Value::Integer(number)) => (min..=max).contains(&number),
            (Self::Number(min, max), Value::Integer(number)) => (*min..=*max).contains(&(*number as f64)),
            (Self::Number(min, max), Value::Float(number)) => (min..=max).contains(&number),
            (Self::List, Value::Array(items)) => items.iter().all(is_text),
            (Self::Networks, Value::Array(items)) => items.iter().all(is_network),
            (Self::Elsewhere, Value::Array(items)) => items.iter().all(Value::is_table),
            (Self::Table, Value::Table(_)) => true,
            (Self::Headers, Value::Table(headers)) => headers.iter().all(|(name, value)| is_header(name, value)),
            _ => false,
        };
        match (self, value) {
            (_, value) if !fits => Err(self.mismatch(self.expected(), &value)),
            // Serde would not take 5 for 5.0.
            (Self::Number(..), Value::Integer(number)) => Ok(Value::Float(number as f64)),
            (_, value) => Ok(value),
        }
    }

    /// Checks a value that came as text, from the environment. Texts that fit no type stay texts, so that the
    /// check can name them.
    pub(super) fn parse(&self, text: &str) -> Result<Value, Mismatch> {
        let text = text.trim();
        // Bytes that are no text were replaced. What is left is not what was written: a secret would be another one, and one
        // that can be guessed.
        if text.contains(char::REPLACEMENT_CHARACTER) {
            let found = "something else (not shown)".to_owned();
            return Err(Mismatch { expected: "text in UTF-8".to_owned(), found, within: None });
        }
        let typed = match self {
            Self::Switch => text.to_ascii_lowercase().parse().ok().map(Value::Boolean),
            Self::Integer(..) => text.parse().ok().map(Value::Integer),
            Self::Number(..) => text.parse().ok().map(Value::Float),
            // Taken apart at its commas, it would be a list of things that nobody wrote.
            Self::List | Self::Networks if text.starts_with('[') => {
                let expected = "texts separated by commas, like a,b (not a list in JSON)".to_owned();
                return Err(self.mismatch(expected, &Value::from(text)));
            }
            Self::List | Self::Networks => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Some(Value::Array(items.map(Value::from).collect()))
            }
            Self::Entries(..) => serde_json::from_str(text).ok(),
            _ => None,
        };
        self.check(typed.unwrap_or_else(|| Value::from(text)))
    }

    /// What is said of a number of which TOML has no bound and everything here has.
    pub(super) fn immeasurable(&self) -> Mismatch {
        let found = "a number of more than 64 bits, or has one in it".to_owned();
        Mismatch { expected: self.expected(), found, within: None }
    }

    fn mismatch(&self, expected: String, value: &Value) -> Mismatch {
        Mismatch { expected, found: self.describe(value), within: None }
    }

    fn expected(&self) -> String {
        match self {
            Self::Text | Self::Secret => "a text that is not empty".to_owned(),
            Self::Line => format!("one line of at most {MAX_LINE} bytes that is not empty"),
            Self::Path => "a path".to_owned(),
            Self::Url => "an http:// or https:// address".to_owned(),
            Self::Switch => "true or false".to_owned(),
            Self::Address => "an IP address and a port, like 127.0.0.1:8080".to_owned(),
            Self::OneOf(names) => format!("one of {}", names.join(", ")),
            Self::Integer(min, max) => format!("a whole number from {min} to {max}"),
            Self::Number(min, max) => format!("a number from {min} to {max}"),
            Self::List => "a list of texts that are not empty".to_owned(),
            Self::Networks => networks::EXPECTED.to_owned(),
            Self::Headers => "a table of header names and texts".to_owned(),
            Self::Elsewhere => "a list of tables".to_owned(),
            Self::Entries(..) => r#"a list of tables, and JSON in the environment, like [{"name":"x"}]"#.to_owned(),
            Self::Localized(kind) => kind.expected(),
            Self::Table => "a table".to_owned(),
        }
    }

    fn describe(&self, value: &Value) -> String {
        match (self, value) {
            (Self::Secret | Self::Url | Self::Headers | Self::Entries(..), value) => {
                format!("a {} that is not shown", value.type_str())
            }
            (_, Value::String(text)) => format!("the text \"{}\"", excerpt(text)),
            (_, Value::Integer(number)) => format!("the number {number}"),
            (_, Value::Float(number)) => format!("the number {number}"),
            (_, Value::Boolean(value)) => value.to_string(),
            (Self::List, Value::Array(_)) => "a list with something else in it".to_owned(),
            (Self::Networks, Value::Array(items)) => {
                let other = items.iter().find(|item| !is_network(item)).map(ToString::to_string);
                format!("a list with {} in it", excerpt(&other.unwrap_or_default()))
            }
            (_, value) => format!("of type {}", value.type_str()),
        }
    }
}

fn check_tables((name, most): (&str, usize), keys: &[Key], tables: Vec<Value>) -> Result<Value, Mismatch> {
    if tables.len() > most {
        let expected = format!("at most {most} {name}s");
        return Err(Mismatch { expected, found: tables.len().to_string(), within: None });
    }
    let checked = tables.into_iter().enumerate().map(|(at, table)| check_table(name, keys, at, table));
    Ok(Value::Array(checked.collect::<Result<_, _>>()?))
}

fn check_table(name: &str, keys: &[Key], at: usize, table: Value) -> Result<Value, Mismatch> {
    let Value::Table(table) = table else {
        let found = format!("of type {}", table.type_str());
        return Err(Mismatch { expected: "a table".to_owned(), found, within: Some((at, String::new())) });
    };
    let checked = table.into_iter().map(|(setting, value)| {
        let Some(key) = keys.iter().find(|key| key.name == setting) else {
            let nearest = nearest(&setting, keys.iter().map(|key| key.name.to_owned()));
            let expected = format!("a setting of a {name} (the nearest one is `{nearest}`)");
            return Err(Mismatch { expected, found: "none".to_owned(), within: Some((at, excerpt(&setting))) });
        };
        match key.kind.check(value) {
            Ok(value) => Ok((setting, value)),
            Err(mismatch) => Err(Mismatch { within: Some((at, setting)), ..mismatch }),
        }
    });
    Ok(Value::Table(checked.collect::<Result<_, _>>()?))
}

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.trim().is_empty())
}

fn is_network(value: &Value) -> bool {
    value.as_str().is_some_and(|text| networks::parse(text).is_some())
}

/// Whether a header can be sent; those that belong to the connection are not the operator's.
fn is_header(name: &str, value: &Value) -> bool {
    const OURS: &[&str] = &["host", "content-length", "content-type", "transfer-encoding", "connection", "accept"];
    let sent = |text: &str| http::HeaderValue::from_str(text).is_ok();
    http::HeaderName::try_from(name).is_ok_and(|name| !OURS.contains(&name.as_str()))
        && value.as_str().is_some_and(sent)
}

/// Whether an assistant can have this name, a variant of one, or a server of tools.
pub(super) fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_plain)
}

/// The known name that looks most like `name`.
pub(super) fn nearest(name: &str, known: impl Iterator<Item = String>) -> String {
    let name = excerpt(name).to_lowercase();
    let own = name.split_once('.').map_or(name.as_str(), |(_, own)| own);
    // A name without its section is as near as its second half, a section alone as near as the first.
    let likeness = |candidate: &String| {
        let candidate = candidate.to_lowercase();
        if candidate.split_once('.').is_some_and(|(_, other)| other == own) {
            return 1.0; // It stands in another section.
        }
        let whole = strsim::normalized_damerau_levenshtein(&name, &candidate);
        let halves = candidate.split('.').map(|half| strsim::normalized_damerau_levenshtein(&name, half));
        halves.fold(whole, f64::max)
    };
    known.max_by(|a, b| likeness(a).total_cmp(&likeness(b))).unwrap_or_default()
}
