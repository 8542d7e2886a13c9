//! The table of settings, and what is held against it.

use std::{collections::BTreeSet, fs, path::Path};

use super::{from_env, from_file, loaded, refused};
use crate::config::{
    Config, TargetConfig,
    key::{Key, Kind},
    settings::SECTIONS,
};

/// The rows of docs/configuration.md whose first cell is one setting: its name, and the other cells.
fn documented() -> Vec<(String, String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let text = fs::read_to_string(path).expect("read");
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.strip_suffix(" |")?.splitn(3, " | ");
        Some((cells.next()?.trim_end_matches('`').to_owned(), cells.next()?.to_owned(), cells.next()?.to_owned()))
    });
    rows.collect()
}

#[test]
fn nothing_set_is_the_defaults() {
    assert_eq!(from_env(&[("PATH", "/bin"), ("GROQ_API_KEY", " ")]).expect("fine").config, Config::default());
    assert_eq!(from_file("").expect("fine").config, Config::default());
}

#[test]
fn the_shipped_file_is_the_defaults_and_names_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("rivulet.toml");
    let loaded = loaded(Some(&path), &[]).expect("fine");
    assert_eq!(loaded.config, Config::default());

    let (mut section, mut named) = (String::new(), Vec::new());
    for line in fs::read_to_string(path).expect("read").lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.to_owned();
        } else if let Some((name, _)) = line.trim_start_matches("# ").split_once(" = ")
            && !name.contains(' ')
        {
            named.push(format!("{section}.{name}"));
        }
    }
    assert_eq!(named, SECTIONS.iter().copied().flatten().map(Key::full).collect::<Vec<_>>());
}

#[test]
fn the_documentation_has_every_key_with_its_default_and_its_bounds() {
    let rows: Vec<_> = documented().into_iter().filter(|(name, ..)| name.contains('.')).collect();
    let names: Vec<_> = rows.iter().map(|(name, ..)| name.clone()).collect();
    assert_eq!(names, SECTIONS.iter().copied().flatten().map(Key::full).collect::<Vec<_>>());

    let shipped = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("rivulet.toml")).expect("read");
    let shipped: toml::Table = toml::from_str(&shipped).expect("TOML");
    for (key, (name, default, about)) in SECTIONS.iter().copied().flatten().zip(&rows) {
        let value = shipped.get(key.section).and_then(|section| section.get(key.name));
        let fits = match value {
            Some(toml::Value::Array(_)) => default.starts_with("none"),
            Some(toml::Value::String(text)) => *default == format!("`{text}`"),
            Some(toml::Value::Boolean(value)) => *default == format!("`{value}`"),
            Some(toml::Value::Float(number)) => default.parse() == Ok(*number),
            Some(value) => *default == value.to_string(),
            None => !default.is_empty(), // What it is then is said in words.
        };
        assert!(fits, "the default of {name} is {value:?}, and not {default}");
        let bounds = match key.kind {
            Kind::Integer(min, max) => format!("{min} to {max}"),
            Kind::Number(min, max) => format!("{min} to {max}"),
            _ => continue,
        };
        let words: Vec<_> = about.split([' ', '.', ',', ';', ':']).collect();
        let is_number = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
        let names_bounds = words.windows(3).any(|three| three[1] == "to" && is_number(three[0]) && is_number(three[2]));
        assert!(!names_bounds || about.contains(&bounds), "the bounds of {name} are {bounds}: {about}");
    }
}

#[test]
fn every_key_of_the_structs_can_be_set_and_no_other() {
    // Serde's own message lists the fields of a struct.
    let fields_of = |toml: &str| {
        let message = toml::from_str::<Config>(toml).expect_err("unknown").message().to_owned();
        let (_, list) = message.split_once("expected").expect("a list");
        list.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut fields = BTreeSet::new();
    for section in fields_of("unknown = 1") {
        for field in fields_of(&format!("[{section}]\nunknown = 1")) {
            fields.insert(format!("{section}.{field}"));
        }
    }
    assert_eq!(fields, SECTIONS.iter().copied().flatten().map(Key::full).collect());
}

#[test]
fn every_setting_of_a_target_can_be_set() {
    let message = toml::from_str::<TargetConfig>("unknown = 1").expect_err("unknown").message().to_owned();
    let (_, list) = message.split_once("expected").expect("a list");
    let fields: BTreeSet<_> = list.split('`').skip(1).step_by(2).collect();
    assert_eq!(fields, TargetConfig::KEYS.iter().map(|key| key.name).collect());
}

#[test]
fn wrong_types_say_what_was_expected_and_found() {
    for (text, parts) in [
        ("[llm]\nconnect_s = \"5\"", ["llm.connect_s", "a number from 0.001 to 300", "the text \"5\""]),
        ("[server]\nbind = 8080", ["server.bind", "an IP address and a port", "the number 8080"]),
        ("[server]\nbind = \"localhost:80\"", ["server.bind", "an IP address and a port", "localhost:80"]),
        ("[server]\nenvironment = \"prod\"", ["server.environment", "one of development, production", "\"prod\""]),
        ("[server]\ndata_dir = \" \"", ["server.data_dir", "a path", "\" \""]),
        ("[knowledge]\nenabled = 1", ["knowledge.enabled", "true or false", "the number 1"]),
        ("[knowledge]\ntop_k = 2.5", ["knowledge.top_k", "a whole number from 1 to 50", "the number 2.5"]),
        ("[knowledge]\npreload = \"x\"", ["knowledge.preload", "a list of texts", "the text \"x\""]),
        ("[knowledge]\npreload = [1]", ["knowledge.preload", "a list of texts", "something else in it"]),
        ("[knowledge]\nmodel = 1979-05-27", ["knowledge.model", "a text", "datetime"]),
        ("[llm]\nmodel = \"\"", ["llm.model", "not empty", "\"\""]),
    ] {
        let mut wanted = parts.to_vec();
        wanted.push("rivulet.toml:2: ");
        refused(from_file(text), &wanted);
    }
    refused(from_env(&[("RIVULET_KNOWLEDGE_ENABLED", "maybe")]), &["RIVULET_KNOWLEDGE_ENABLED: knowledge.enabled"]);
}

#[test]
fn bounds_hold() {
    for (section, bad) in [
        ("server", "drain_s = -1"),
        ("server", "drain_s = 3601"),
        ("session", "idle_s = 0"),
        ("session", "ttl_s = 9223372036854775807"),
        ("session", "history_messages = 0"),
        ("session", "history_messages = 501"),
        ("llm", "connect_s = 0"),
        ("llm", "connect_s = -0.0"),
        ("llm", "gap_s = nan"),
        ("llm", "total_s = inf"),
        ("llm", "first_token_s = -5"),
        ("llm", "max_output_tokens = 0"),
        ("knowledge", "top_k = 0"),
        ("knowledge", "top_k = 51"),
        ("knowledge", "min_score = 1.01"),
        ("knowledge", "min_score = -0.1"),
        ("limits", "connections = -1"),
        ("session", "abandon_s = -1"),
    ] {
        let (key, _) = bad.split_once(' ').expect("a key");
        refused(from_file(&format!("[{section}]\n{bad}")), &[&format!("{section}.{key}"), " from ", "the number"]);
    }
    let most = "[server]\ndrain_s = 0\n[limits]\nconnections = 0\n[knowledge]\ntop_k = 50\nmin_score = 0";
    assert_eq!(from_file(most).expect("fine").config.limits.connections, 0);
    for port in ["http", "65536", "-1", "80 80", "٣"] {
        refused(from_env(&[("PORT", port)]), &["PORT must be a whole number from 0 to 65535", port]);
    }
}
