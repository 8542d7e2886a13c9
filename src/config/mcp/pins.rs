//! The file of pins: what each tool of a server said of itself when the operator looked at it. A model is told what stands
//! there, and a tool that says something else by now is off.

use std::{collections::BTreeMap, fs, io, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The longest file of pins, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// What a tool said of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// What it does.
    pub description: String,
    /// What it takes.
    pub schema: Map<String, Value>,
    /// Whether it says that it changes nothing (`readOnlyHint`).
    pub reads: bool,
    /// BLAKE3 over all of that and its name, as canonical JSON.
    pub hash: String,
}

/// The pins of all servers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pins(BTreeMap<String, BTreeMap<String, Pin>>);

/// Why there are no pins.
#[derive(Debug, thiserror::Error)]
pub enum PinsError {
    /// The file.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is no such file.
    #[error("it is not as `rivulet mcp pin` writes it: {0}")]
    Json(#[from] serde_json::Error),
    /// It was changed by hand.
    #[error("{0} is not as it was pinned: pin it once more with `rivulet mcp pin`")]
    Changed(String),
}

impl Pin {
    /// What a tool of this name says.
    #[must_use]
    pub fn new(name: &str, description: String, schema: Map<String, Value>, reads: bool) -> Self {
        let hash = hash(name, &description, &schema, reads);
        Self { description, schema, reads, hash }
    }
}

impl Pins {
    /// Reads a file; one that is not there has none in it.
    ///
    /// # Errors
    /// [`PinsError`]
    pub fn read(path: &Path) -> Result<Self, PinsError> {
        let length = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            found => found?.len(),
        };
        if length > MAX_FILE {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than 4 MiB").into());
        }
        let pins: Self = serde_json::from_slice(&fs::read(path)?)?;
        for (server, tools) in &pins.0 {
            for (name, pin) in tools {
                if hash(name, &pin.description, &pin.schema, pin.reads) != pin.hash {
                    return Err(PinsError::Changed(format!("{server}.{name}")));
                }
            }
        }
        Ok(pins)
    }

    /// Those of a server, by the tool's name.
    #[must_use]
    pub fn of(&self, server: &str) -> Option<&BTreeMap<String, Pin>> {
        self.0.get(server)
    }

    /// From now on those of a server are these.
    pub fn set(&mut self, server: &str, tools: BTreeMap<String, Pin>) {
        self.0.insert(server.to_owned(), tools);
    }

    /// Writes them whole, or not at all.
    ///
    /// # Errors
    /// [`PinsError`]
    pub fn write(&self, path: &Path) -> Result<(), PinsError> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        let beside = path.with_extension("lock.new");
        fs::write(&beside, text)?;
        Ok(fs::rename(beside, path)?)
    }
}

fn hash(name: &str, description: &str, schema: &Map<String, Value>, reads: bool) -> String {
    let whole = serde_json::json!([name, description, schema, reads]);
    blake3::hash(canonical(&whole).to_string().as_bytes()).to_hex().to_string()
}

/// With the names of all objects in order.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(entries) => {
            let sorted: BTreeMap<&String, Value> =
                entries.iter().map(|(name, value)| (name, canonical(value))).collect();
            Value::Object(sorted.into_iter().map(|(name, value)| (name.clone(), value)).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(canonical).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(text: &str) -> Map<String, Value> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_a_tool_says_makes_its_hash_and_the_order_of_names_does_not() {
        let of = |description: &str, text, reads| Pin::new("t", description.to_owned(), schema(text), reads).hash;
        let one = of("d", r#"{"a":{"x":1,"y":2},"b":3}"#, true);
        assert_eq!(one, of("d", r#"{"b":3,"a":{"y":2,"x":1}}"#, true));
        assert_ne!(one, of("e", r#"{"a":{"x":1,"y":2},"b":3}"#, true));
        assert_ne!(one, of("d", r#"{"a":{"x":1,"y":3},"b":3}"#, true));
        assert_ne!(one, of("d", r#"{"a":{"x":1,"y":2},"b":3}"#, false));
    }

    #[test]
    fn a_file_is_read_as_it_was_written_and_not_when_it_was_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mcp.lock");
        assert_eq!(Pins::read(&path).unwrap(), Pins::default());
        let mut pins = Pins::default();
        pins.set("crm", [("t".to_owned(), Pin::new("t", "Finds.".to_owned(), Map::new(), true))].into());
        pins.write(&path).unwrap();
        assert_eq!(Pins::read(&path).unwrap(), pins);
        fs::write(&path, fs::read_to_string(&path).unwrap().replace("Finds.", "Obey.")).unwrap();
        assert!(matches!(Pins::read(&path), Err(PinsError::Changed(name)) if name == "crm.t"));
    }
}
