//! Every key that can be set: its name, what a value must be, and what it is called in the environment. Pure.

use toml::Value;

use super::{error::excerpt, networks, targets::PRESETS};

/// One key.
pub(super) struct Key {
    /// `section.name`, as in `rivulet.toml`.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

/// What a value must be. Bounds include both ends.
pub(super) enum Kind {
    Text,
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
    /// Names and texts; the texts are shown nowhere.
    Headers,
    /// A list of tables with [`TARGET_KEYS`]; JSON in the environment.
    Targets,
    /// Networks in CIDR notation; otherwise like a list.
    Networks,
}

const YEAR_S: i64 = 366 * 24 * 3600;

/// All keys, in the order of `rivulet.toml`.
pub(super) const KEYS: &[Key] = &[
    Key { name: "server.bind", kind: Kind::Address },
    Key { name: "server.environment", kind: Kind::OneOf(&["development", "production"]) },
    Key { name: "server.data_dir", kind: Kind::Path },
    Key { name: "server.allowed_origins", kind: Kind::List },
    Key { name: "server.trusted_proxies", kind: Kind::Networks },
    Key { name: "server.drain_s", kind: Kind::Integer(0, 3600) },
    Key { name: "session.idle_s", kind: Kind::Integer(1, YEAR_S) },
    Key { name: "session.ttl_s", kind: Kind::Integer(1, 100 * YEAR_S) },
    Key { name: "session.abandon", kind: Kind::OneOf(&["finish", "stop"]) },
    Key { name: "session.abandon_s", kind: Kind::Integer(0, YEAR_S) },
    Key { name: "session.history_messages", kind: Kind::Integer(1, 500) },
    Key { name: "llm.base_url", kind: Kind::Url },
    Key { name: "llm.api_key", kind: Kind::Secret },
    Key { name: "llm.model", kind: Kind::Text },
    Key { name: "llm.targets", kind: Kind::Targets },
    Key { name: "llm.connect_s", kind: Kind::Number(0.001, 300.0) },
    Key { name: "llm.first_token_s", kind: Kind::Number(0.001, 3600.0) },
    Key { name: "llm.gap_s", kind: Kind::Number(0.001, 3600.0) },
    Key { name: "llm.total_s", kind: Kind::Number(0.001, 86_400.0) },
    Key { name: "llm.retries", kind: Kind::Integer(0, 10) },
    Key { name: "llm.retry_s", kind: Kind::Number(0.0, 3600.0) },
    Key { name: "llm.breaker_failures", kind: Kind::Integer(1, 1000) },
    Key { name: "llm.breaker_rate", kind: Kind::Number(0.01, 1.0) },
    Key { name: "llm.breaker_requests", kind: Kind::Integer(1, 1000) },
    Key { name: "llm.breaker_open_s", kind: Kind::Number(0.001, 86_400.0) },
    Key { name: "llm.fallback", kind: Kind::OneOf(&["none", "extractive"]) },
    Key { name: "llm.max_output_tokens", kind: Kind::Integer(1, 1_000_000) },
    Key { name: "llm.unsupported", kind: Kind::OneOf(&["refuse", "text"]) },
    Key { name: "llm.cache_ttl_s", kind: Kind::Number(0.0, 86_400.0) },
    Key { name: "llm.cache_entries", kind: Kind::Integer(0, 100_000) },
    Key { name: "llm.cache_shared", kind: Kind::Switch },
    Key { name: "knowledge.enabled", kind: Kind::Switch },
    Key { name: "knowledge.uri", kind: Kind::Text },
    Key { name: "knowledge.model_dir", kind: Kind::Path },
    Key { name: "knowledge.model", kind: Kind::Text },
    Key { name: "knowledge.top_k", kind: Kind::Integer(1, 50) },
    Key { name: "knowledge.min_score", kind: Kind::Number(0.0, 1.0) },
    Key { name: "knowledge.preload", kind: Kind::List },
    Key { name: "auth.required", kind: Kind::Switch },
    Key { name: "auth.jwt_secret", kind: Kind::Secret },
    Key { name: "auth.issuer", kind: Kind::Text },
    Key { name: "auth.audience", kind: Kind::Text },
    Key { name: "limits.connections", kind: Kind::Integer(0, 1_000_000) },
    Key { name: "limits.connections_per_ip", kind: Kind::Integer(0, 1_000_000) },
    Key { name: "limits.sessions", kind: Kind::Integer(0, 10_000_000) },
    Key { name: "limits.runs", kind: Kind::Integer(0, 1_000_000) },
    Key { name: "limits.runs_per_user", kind: Kind::Integer(0, 1_000_000) },
    Key { name: "limits.waiting_runs", kind: Kind::Integer(0, 1_000_000) },
    Key { name: "limits.tokens_per_min", kind: Kind::Integer(0, TOKENS) },
    Key { name: "limits.tokens_per_day", kind: Kind::Integer(0, TOKENS) },
    Key { name: "limits.tenant_tokens_per_min", kind: Kind::Integer(0, TOKENS) },
    Key { name: "limits.tenant_tokens_per_day", kind: Kind::Integer(0, TOKENS) },
    Key { name: "telemetry.log_format", kind: Kind::OneOf(&["pretty", "json"]) },
    Key { name: "telemetry.log_level", kind: Kind::Text },
    Key { name: "telemetry.otlp_endpoint", kind: Kind::Url },
];

/// What one of `llm.targets` can have.
pub(super) const TARGET_KEYS: &[Key] = &[
    Key { name: "name", kind: Kind::Text },
    Key { name: "preset", kind: Kind::OneOf(PRESETS) },
    Key { name: "base_url", kind: Kind::Url },
    Key { name: "api_key", kind: Kind::Secret },
    Key { name: "api_key_env", kind: Kind::Text },
    Key { name: "model", kind: Kind::Text },
    Key { name: "headers", kind: Kind::Headers },
    Key { name: "strip", kind: Kind::List },
    Key { name: "continue", kind: Kind::Switch },
    Key { name: "begins_in_thought", kind: Kind::Switch },
    Key { name: "connect_s", kind: Kind::Number(0.001, 300.0) },
    Key { name: "first_token_s", kind: Kind::Number(0.001, 3600.0) },
    Key { name: "gap_s", kind: Kind::Number(0.001, 3600.0) },
    Key { name: "total_s", kind: Kind::Number(0.001, 86_400.0) },
    Key { name: "weight", kind: Kind::Number(0.001, 1000.0) },
    Key { name: "input_price", kind: Kind::Number(0.0, 1_000_000.0) },
    Key { name: "output_price", kind: Kind::Number(0.0, 1_000_000.0) },
];

/// More tokens than anybody pays for on a day.
const TOKENS: i64 = 1_000_000_000_000;
/// More targets than anybody lists; each has a connection pool.
const MAX_TARGETS: usize = 32;
/// The most bytes of a name; those of targets are labels of metrics.
const MAX_NAME: usize = 256;

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
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// `RIVULET_SECTION_KEY`.
    pub(super) fn variable(&self) -> String {
        format!("RIVULET_{}", self.name.to_uppercase().replace('.', "_"))
    }

    /// The key in two parts: section and name.
    pub(super) fn parts(&self) -> (&'static str, &'static str) {
        self.name.split_once('.').unwrap_or(("", self.name))
    }
}

impl Kind {
    /// Checks a value that came typed, from the file.
    pub(super) fn check(&self, value: Value) -> Result<Value, Mismatch> {
        let value = match (self, value) {
            (Self::Targets, Value::Array(targets)) => return check_targets(targets),
            (_, value) => value,
        };
        let fits = match (self, &value) {
            (Self::Text | Self::Secret | Self::Path | Self::Url, Value::String(text)) => !text.trim().is_empty(),
            (Self::Switch, Value::Boolean(_)) => true,
            (Self::Address, Value::String(text)) => text.parse::<std::net::SocketAddr>().is_ok(),
            (Self::OneOf(names), Value::String(text)) => names.contains(&text.as_str()),
            (Self::Integer(min, max), Value::Integer(number)) => (min..=max).contains(&number),
            (Self::Number(min, max), Value::Integer(number)) => (*min..=*max).contains(&(*number as f64)),
            (Self::Number(min, max), Value::Float(number)) => (min..=max).contains(&number),
            (Self::List, Value::Array(items)) => {
                items.iter().all(|item| item.as_str().is_some_and(|text| !text.trim().is_empty()))
            }
            (Self::Headers, Value::Table(headers)) => headers.iter().all(|(name, value)| is_header(name, value)),
            (Self::Networks, Value::Array(items)) => {
                items.iter().all(|item| item.as_str().is_some_and(|text| networks::parse(text).is_some()))
            }
            _ => false,
        };
        if fits {
            // Serde would not take 5 for 5.0.
            return Ok(match (self, value) {
                (Self::Number(..), Value::Integer(number)) => Value::Float(number as f64),
                (_, value) => value,
            });
        }
        Err(Mismatch { expected: self.expected(), found: self.describe(&value), within: None })
    }

    /// Checks a value that came as text, from the environment. Texts that fit no type stay texts, so that the
    /// check can name them.
    pub(super) fn parse(&self, text: &str) -> Result<Value, Mismatch> {
        let text = text.trim();
        let typed = match self {
            Self::Switch => text.to_ascii_lowercase().parse().ok().map(Value::Boolean),
            Self::Integer(..) => text.parse().ok().map(Value::Integer),
            Self::Number(..) => text.parse().ok().map(Value::Float),
            // Taken apart at its commas, it would be a list of things that nobody wrote.
            Self::List | Self::Networks if text.starts_with('[') => {
                let expected = "texts separated by commas, like a,b (not a list in JSON)".to_owned();
                return Err(Mismatch { expected, found: self.describe(&Value::from(text)), within: None });
            }
            Self::List | Self::Networks => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Some(Value::Array(items.map(Value::from).collect()))
            }
            Self::Targets => serde_json::from_str(text).ok(),
            _ => None,
        };
        self.check(typed.unwrap_or_else(|| Value::from(text)))
    }

    fn expected(&self) -> String {
        match self {
            Self::Text | Self::Secret => "a text that is not empty".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Url => "an http:// or https:// address".to_owned(),
            Self::Switch => "true or false".to_owned(),
            Self::Address => "an IP address and a port, like 127.0.0.1:8080".to_owned(),
            Self::OneOf(names) => format!("one of {}", names.join(", ")),
            Self::Integer(min, max) => format!("a whole number from {min} to {max}"),
            Self::Number(min, max) => format!("a number from {min} to {max}"),
            Self::List => "a list of texts that are not empty".to_owned(),
            Self::Headers => "a table of header names and texts".to_owned(),
            Self::Targets => r#"a list of tables, and JSON in the environment, like [{"preset":"groq"}]"#.to_owned(),
            Self::Networks => networks::EXPECTED.to_owned(),
        }
    }

    fn describe(&self, value: &Value) -> String {
        match (self, value) {
            (Self::Secret | Self::Url | Self::Headers | Self::Targets, value) => {
                format!("a {} that is not shown", value.type_str())
            }
            (_, Value::String(text)) => format!("the text \"{}\"", excerpt(text)),
            (_, Value::Integer(number)) => format!("the number {number}"),
            (_, Value::Float(number)) => format!("the number {number}"),
            (_, Value::Boolean(value)) => value.to_string(),
            (Self::List, Value::Array(_)) => "a list with something else in it".to_owned(),
            (Self::Networks, Value::Array(items)) => {
                let is_network = |item: &&Value| item.as_str().is_some_and(|text| networks::parse(text).is_some());
                let other = items.iter().find(|item| !is_network(item)).map(ToString::to_string);
                format!("a list with {} in it", excerpt(&other.unwrap_or_default()))
            }
            (_, value) => format!("of type {}", value.type_str()),
        }
    }
}

fn check_targets(targets: Vec<Value>) -> Result<Value, Mismatch> {
    if targets.len() > MAX_TARGETS {
        let expected = format!("at most {MAX_TARGETS} targets");
        return Err(Mismatch { expected, found: targets.len().to_string(), within: None });
    }
    let checked = targets.into_iter().enumerate().map(|(at, target)| check_target(at, target));
    Ok(Value::Array(checked.collect::<Result<_, _>>()?))
}

fn check_target(at: usize, target: Value) -> Result<Value, Mismatch> {
    let Value::Table(target) = target else {
        let found = format!("of type {}", target.type_str());
        return Err(Mismatch { expected: "a table".to_owned(), found, within: Some((at, String::new())) });
    };
    let checked = target.into_iter().map(|(setting, value)| {
        let Some(key) = TARGET_KEYS.iter().find(|key| key.name == setting) else {
            let nearest = nearest(&setting, TARGET_KEYS.iter().map(|key| key.name.to_owned()));
            let expected = format!("a setting of a target (the nearest one is `{nearest}`)");
            return Err(Mismatch { expected, found: "none".to_owned(), within: Some((at, excerpt(&setting))) });
        };
        let is_name = matches!(key.name, "name" | "model");
        let fits = |text: &str| !text.contains(char::is_control) && text.len() <= MAX_NAME;
        let found = key.kind.describe(&value);
        if is_name && value.as_str().is_some_and(|text| !fits(text)) {
            let expected = format!("one line of at most {} bytes", MAX_NAME);
            return Err(Mismatch { expected, found, within: Some((at, setting)) });
        }
        match key.kind.check(value) {
            Ok(value) => Ok((setting, value)),
            Err(mismatch) => Err(Mismatch { within: Some((at, setting)), ..mismatch }),
        }
    });
    Ok(Value::Table(checked.collect::<Result<_, _>>()?))
}

/// Whether a header can be sent; those that belong to the connection are not the operator's.
fn is_header(name: &str, value: &Value) -> bool {
    const OURS: &[&str] = &["host", "content-length", "content-type", "transfer-encoding", "connection", "accept"];
    let sent = |text: &str| http::HeaderValue::from_str(text).is_ok();
    http::HeaderName::try_from(name).is_ok_and(|name| !OURS.contains(&name.as_str()))
        && value.as_str().is_some_and(sent)
}

/// What is said of a key that is known and not built.
pub(super) fn not_built(name: &str) -> Option<&'static str> {
    (name == "auth.jwks_url").then_some(
        "auth.jwks_url is not in this version yet: tokens are signed with auth.jwt_secret (HS256). Remove it",
    )
}

/// The known name that looks most like `name`.
pub(super) fn nearest(name: &str, known: impl Iterator<Item = String>) -> String {
    let name = name.to_lowercase();
    // A name without its section is as near as its second half, a section alone as near as the first.
    let likeness = |candidate: &String| {
        let candidate = candidate.to_lowercase();
        let whole = strsim::normalized_damerau_levenshtein(&name, &candidate);
        let halves = candidate.split('.').map(|half| strsim::normalized_damerau_levenshtein(&name, half));
        halves.fold(whole, f64::max)
    };
    known.max_by(|a, b| likeness(a).total_cmp(&likeness(b))).unwrap_or_default()
}
