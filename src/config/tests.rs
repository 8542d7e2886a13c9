use std::{collections::BTreeSet, fs, path::Path};

use super::{
    key::{Key, Kind},
    layers::Layers,
    settings::{Config, keys},
    *,
};

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn from_env(pairs: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    Config::load(None, env(pairs), Overrides::default())
}

fn from_file(text: &str) -> Result<Loaded, ConfigError> {
    from_both(text, &[])
}

fn from_both(text: &str, pairs: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rivulet.toml");
    fs::write(&path, text).expect("written");
    Config::load(Some(&path), env(pairs), Overrides::default())
}

#[track_caller]
fn refused(outcome: Result<Loaded, ConfigError>, wanted: &[&str]) {
    let text = outcome.expect_err("must be refused").to_string();
    for part in wanted {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
}

#[test]
fn nothing_set_is_the_defaults() {
    assert_eq!(from_env(&[("PATH", "/bin"), ("GROQ_API_KEY", " ")]).expect("fine").config, Config::default());
    assert_eq!(from_file("").expect("fine").config, Config::default());
}

#[test]
fn the_shipped_file_is_the_defaults_and_names_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("rivulet.toml");
    let loaded = Config::load(Some(&path), [], Overrides::default()).expect("fine");
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
    assert_eq!(named, keys().map(Key::full).collect::<Vec<_>>());
}

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
fn the_documentation_has_every_key_with_its_default_and_its_bounds() {
    let rows: Vec<_> = documented().into_iter().filter(|(name, ..)| name.contains('.')).collect();
    let names: Vec<_> = rows.iter().map(|(name, ..)| name.clone()).collect();
    assert_eq!(names, keys().map(Key::full).collect::<Vec<_>>());

    let shipped = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("rivulet.toml")).expect("read");
    let shipped: toml::Table = toml::from_str(&shipped).expect("TOML");
    for (key, (name, default, about)) in keys().zip(&rows) {
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
    assert_eq!(fields, keys().map(Key::full).collect());
}

#[test]
fn later_layers_win() {
    let file = "[server]\nbind = \"0.0.0.0:1\"\ndata_dir = \"/file\"\n[llm]\ngap_s = 2\n";
    let port = from_both(file, &[("PORT", "2")]).expect("fine").config;
    assert_eq!((port.server.bind.to_string().as_str(), port.llm.gap_s), ("0.0.0.0:2", 2.0));
    let both = [("PORT", "2"), ("RIVULET_SERVER_BIND", "127.0.0.1:3"), ("LOG_LEVEL", "debug")];
    let loaded = from_both(file, &both).expect("fine").config;
    assert_eq!(loaded.server.bind.to_string(), "127.0.0.1:3");
    assert_eq!((loaded.server.data_dir.as_path(), loaded.telemetry.log_level.as_str()), (Path::new("/file"), "debug"));
    let flags = Overrides { bind: "[::1]:4".parse().ok(), data_dir: Some("/flag".into()) };
    let loaded = Config::load(None, env(&both), flags).expect("fine").config;
    assert_eq!(
        (loaded.server.bind.to_string().as_str(), loaded.server.data_dir.as_path()),
        ("[::1]:4", Path::new("/flag"))
    );
}

#[test]
fn every_kind_is_read_from_the_environment() {
    let loaded = from_env(&[
        ("RIVULET_SERVER_ALLOWED_ORIGINS", " https://a.example, http://b.example:81 ,"),
        ("RIVULET_SESSION_HISTORY_MESSAGES", "7"),
        ("RIVULET_LLM_CONNECT_S", "0.5"),
        ("RIVULET_LLM_MODEL", ""),
        ("RIVULET_KNOWLEDGE_ENABLED", "False"),
        ("RIVULET_KNOWLEDGE_MIN_SCORE", "1"),
        ("RIVULET_KNOWLEDGE_PRELOAD", "docs,more docs"),
        ("RIVULET_TELEMETRY_LOG_FORMAT", "json"),
    ])
    .expect("fine")
    .config;
    assert_eq!(loaded.server.allowed_origins, ["https://a.example", "http://b.example:81"]);
    assert_eq!((loaded.session.history_messages, loaded.llm.connect_s, loaded.llm.model), (7, 0.5, None));
    assert_eq!((loaded.knowledge.enabled, loaded.knowledge.min_score), (false, 1.0));
    assert_eq!(loaded.knowledge.preload, [Path::new("docs"), Path::new("more docs")]);
    assert_eq!(loaded.telemetry.log_format, Some(LogFormat::Json));
    // An empty list in the environment empties the file's.
    let file = "[knowledge]\npreload = [\"x\"]";
    let emptied = from_both(file, &[("RIVULET_KNOWLEDGE_PRELOAD", "")]).expect("fine").config;
    assert!(emptied.knowledge.preload.is_empty());
}

#[test]
fn unknown_keys_name_the_nearest_and_the_line() {
    refused(from_file("\n[server]\nbnid = \"x\""), &["rivulet.toml:3", "`server.bnid`", "`server.bind`"]);
    refused(from_file("server.data_dri = \"x\""), &["rivulet.toml:1", "`server.data_dir`"]);
    refused(from_file("top_k = 3"), &["rivulet.toml:1", "`knowledge.top_k`"]);
    refused(from_file("[sever]\nbind = \"x\""), &["`sever`", "`server."]);
    refused(from_file("[llm.model.name]\nx = 1"), &["rivulet.toml", "llm.model must be"]);
    refused(from_file("server = 3"), &["rivulet.toml:1: server must be a section", "integer"]);
    refused(from_env(&[("RIVULET_LLM_MODLE", "x")]), &["RIVULET_LLM_MODLE", "`RIVULET_LLM_MODEL`"]);
    refused(from_env(&[("RIVULET_", "x")]), &["`RIVULET_`"]);
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    fs::write(file("latin1"), b"[llm]\nmodel = \"\xe4\"").expect("written");
    fs::write(file("huge"), "#".repeat((1 << 20) + 1)).expect("written");
    for (path, part) in [
        (file("absent"), "absent"),
        (folder.path().into(), "directory"),
        (file("latin1"), "UTF-8"),
        (file("huge"), "1 MiB"),
    ] {
        refused(Config::load(Some(&path), [], Overrides::default()), &["cannot read", &path.to_string_lossy(), part]);
    }
}

#[test]
fn what_is_not_toml_is_named_by_line_and_column() {
    refused(from_file("[server]\nbind = \n"), &["rivulet.toml:2:"]);
    refused(from_file("[server]\ndrain_s = 1\ndrain_s = 2\n"), &["rivulet.toml:3:1: ", "duplicate"]);
    refused(from_file("[session]\nttl_s = 99999999999999999999\n"), &["rivulet.toml:2:"]);
    refused(from_file("\u{0}"), &["rivulet.toml:1:"]);
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

fn target(pairs: &[(&str, &str)]) -> (Option<String>, Option<String>, Option<String>) {
    let llm = from_env(pairs).expect("fine").config.llm;
    (llm.base_url, llm.api_key.map(|key| key.expose().to_owned()), llm.model)
}

#[test]
fn the_model_is_chosen_in_the_documented_order() {
    let some = |url: &str, key: Option<&str>, model: &str| {
        (Some(url.to_owned()), key.map(str::to_owned), Some(model.to_owned()))
    };
    let groq = ("GROQ_API_KEY", "gsk");
    let openai = ("OPENAI_API_KEY", "sk");
    let local = ("OPENAI_BASE_URL", "http://localhost:11434/v1/");
    let own = ("RIVULET_LLM_BASE_URL", "https://own.example/v1");
    let model = ("RIVULET_LLM_MODEL", "m");
    let (groq_url, openai_url) = ("https://api.groq.com/openai/v1", "https://api.openai.com/v1");
    assert_eq!(target(&[]), (None, None, None));
    assert_eq!(target(&[groq]), some(groq_url, Some("gsk"), "llama-3.3-70b-versatile"));
    assert_eq!(target(&[groq, openai, model]), some(groq_url, Some("gsk"), "m"));
    assert_eq!(target(&[openai]), some(openai_url, Some("sk"), "gpt-4o-mini"));
    assert_eq!(target(&[local, groq]), some("http://localhost:11434/v1", None, "gpt-4o-mini"));
    assert_eq!(target(&[local, openai]), some("http://localhost:11434/v1", Some("sk"), "gpt-4o-mini"));
    // A key goes only where it belongs.
    assert_eq!(target(&[own, local, groq, openai]), some("https://own.example/v1", None, "gpt-4o-mini"));
    let own_key = ("RIVULET_LLM_API_KEY", "mine\n");
    assert_eq!(target(&[own_key, openai, groq]), some(openai_url, Some("mine"), "gpt-4o-mini"));
    assert_eq!(target(&[own_key, local, openai]), some("http://localhost:11434/v1", Some("mine"), "gpt-4o-mini"));
}

/// What the targets of a file come to.
fn settled(text: &str, pairs: &[(&str, &str)]) -> Vec<TargetSettings> {
    from_both(text, pairs).expect("fine").config.llm.settled_targets().expect("settled")
}

#[test]
fn targets_are_listed_in_order_and_presets_know_the_rest() {
    let file = r#"
        [llm]
        gap_s = 7
        [[llm.targets]]
        preset = "groq"
        first_token_s = 2
        [[llm.targets]]
        name = "local"
        base_url = "http://127.0.0.1:9/v1/"
        model = "m"
        api_key_env = "MY_KEY"
        headers = { "X-Team" = "blue" }
        strip = ["stream_options"]
        continue = true
        weight = 3
        input_price = 1
        [[llm.targets]]
        base_url = "https://api.groq.com/openai/v1"
        model = "other"
    "#;
    let env = [("GROQ_API_KEY", "gsk"), ("MY_KEY", "mine"), ("OPENAI_API_KEY", "sk")];
    let targets = settled(file, &env);
    let names: Vec<_> = targets.iter().map(|target| target.name.as_str()).collect();
    assert_eq!(names, ["groq", "local", "api.groq.com"]);
    let [groq, local, other] = &targets[..] else { panic!("{targets:?}") };
    assert_eq!(
        (groq.base_url.as_str(), groq.model.as_str()),
        ("https://api.groq.com/openai/v1", "llama-3.3-70b-versatile")
    );
    assert!(
        ["logprobs", "logit_bias", "n", "messages[].name"].iter().all(|name| groq.strip.contains(&name.to_string()))
    );
    assert_eq!(groq.api_key, Some(Secret::new("gsk")));
    assert_eq!((groq.first_token_s, groq.gap_s, groq.total_s, groq.continues), (2.0, 7.0, 300.0, false));
    assert_eq!((local.base_url.as_str(), &local.api_key), ("http://127.0.0.1:9/v1", &Some(Secret::new("mine"))));
    assert_eq!(
        (local.strip.as_slice(), local.continues, local.prices),
        (&["stream_options".to_owned()][..], true, Some((1.0, 0.0)))
    );
    assert_eq!((groq.weight, local.weight), (None, Some(3.0)));
    assert_eq!(local.headers["X-Team"].expose(), "blue");
    assert_eq!(other.api_key, None, "a key goes to an address that was written out only when it is named there");
    assert_eq!(other.strip, groq.strip, "a known address has its habits with and without the preset");
}

#[test]
fn targets_can_come_from_the_environment_and_replace_the_short_form() {
    let json = r#"[{"preset":"ollama","model":"qwen3"},{"preset":"vllm","model":"m","gap_s":3}]"#;
    let targets = settled("", &[("RIVULET_LLM_TARGETS", json), ("GROQ_API_KEY", "gsk")]);
    assert_eq!(targets.len(), 2);
    assert_eq!((targets[0].base_url.as_str(), targets[1].gap_s), ("http://127.0.0.1:11434/v1", 3.0));
    refused(from_env(&[("RIVULET_LLM_TARGETS", "ollama")]), &["RIVULET_LLM_TARGETS", "JSON"]);
    let both = [("RIVULET_LLM_TARGETS", json), ("RIVULET_LLM_MODEL", "m")];
    refused(from_env(&both), &["RIVULET_LLM_MODEL", "llm.model", "llm.targets"]);
    let own = r#"[{"preset":"llama.cpp"}]"#;
    let warnings = from_env(&[("RIVULET_LLM_TARGETS", own)]).expect("fine").warnings.join("");
    assert!(warnings.contains("llama.cpp is the gateway's own address"), "{warnings}");
}

#[test]
fn what_is_wrong_in_a_target_is_named_with_its_line() {
    let good = "[[llm.targets]]\npreset = \"groq\"\n";
    for (bad, parts) in [
        ("preset = \"grok\"", ["rivulet.toml:4", "llm.targets[2].preset", "one of groq, openai"]),
        ("base_ulr = \"http://h\"", ["rivulet.toml:4", "llm.targets[2].base_ulr", "`base_url`"]),
        ("gap_s = 0", ["rivulet.toml:4", "llm.targets[2].gap_s", "a number from 0.001"]),
        ("strip = \"n\"", ["rivulet.toml:4", "llm.targets[2].strip", "a list of texts"]),
        ("headers = { \"a b\" = \"x\" }", ["rivulet.toml:4", "llm.targets[2].headers", "header names"]),
        ("headers = { Host = \"x\" }", ["rivulet.toml:4", "llm.targets[2].headers", "header names"]),
        ("preset = \"groq\"", ["rivulet.toml", "llm.targets[2].name", "different"]),
        ("model = \"m\"", ["rivulet.toml", "llm.targets[2].base_url", "preset"]),
        ("preset = \"ollama\"", ["rivulet.toml", "llm.targets[2].model", "name at the server"]),
        ("preset = \"vllm\"\napi_key_env = \"NO\"", ["rivulet.toml", "llm.targets[2].api_key_env", "variable"]),
        ("base_url = \"http://u:hunter2@h\"\nmodel = \"m\"", ["rivulet.toml", "llm.targets[2].base_url", "user"]),
        (
            "preset = \"groq\"\nname = \"a\"\napi_key = \"hunter2 x\"",
            ["rivulet.toml", "llm.targets[2].api_key", "ASCII"],
        ),
    ] {
        let outcome = from_file(&format!("{good}[[llm.targets]]\n{bad}"));
        if let Err(error) = &outcome {
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
        refused(outcome, &parts);
    }
    refused(from_file("[llm]\ntargets = [1]"), &["rivulet.toml:2", "llm.targets[1]", "a table"]);
    refused(from_file("[llm]\ntargets = \"groq\""), &["rivulet.toml:2", "llm.targets", "a list of tables"]);
}

#[test]
fn every_setting_of_a_target_can_be_set() {
    let message = toml::from_str::<TargetConfig>("unknown = 1").expect_err("unknown").message().to_owned();
    let (_, list) = message.split_once("expected").expect("a list");
    let fields: BTreeSet<_> = list.split('`').skip(1).step_by(2).collect();
    assert_eq!(fields, TargetConfig::KEYS.iter().map(|key| key.name).collect());
}

#[test]
fn addresses_and_keys_are_checked_and_never_shown() {
    for bad in [
        "hunter2",
        "ftp://hunter2",
        "http://",
        "https://user:hunter2@api.example/v1",
        "https://api.example/v1?key=hunter2",
        "https://api.example/v1#hunter2",
        "https://hunter2.example/v1/chat/completions",
    ] {
        for variable in ["RIVULET_LLM_BASE_URL", "OPENAI_BASE_URL"] {
            let error = from_env(&[(variable, bad)]).expect_err("must be refused");
            assert!(error.to_string().contains("llm.base_url") && error.to_string().contains(variable), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }
    for bad in ["hunter2 hunter2", "hünter2", "hunter2\nX-Evil: 1"] {
        let error = from_env(&[("GROQ_API_KEY", bad)]).expect_err("must be refused");
        assert!(error.to_string().contains("llm.api_key"), "{error}");
        assert!(!format!("{error} {error:?}").contains("nter2"), "{error:?}");
    }
    for text in ["[llm]\napi_key = 31337", "[llm]\napi_key = [\"hunter2\"]", "[llm]\nbase_url = [\"hunter2\"]"] {
        let error = from_file(text).expect_err("must be refused");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("31337"), "{error:?}");
    }
    let loaded = from_env(&[("GROQ_API_KEY", "hunter2")]).expect("fine");
    assert!(!format!("{loaded:?}").contains("hunter2"));
}

#[test]
fn origins_are_what_a_browser_sends() {
    for good in ["*", "https://a.example", "http://localhost:3000", "https://[::1]:8443", "chrome-extension://abcdef"] {
        let loaded = from_env(&[("CORS_ORIGINS", good)]).expect(good);
        assert_eq!(loaded.config.server.allowed_origins, [good]);
    }
    for bad in [
        "a.example",
        "https://a.example/",
        "https://a.example/path",
        "https://A.example",
        "https://a.example:443",
        "https://*.a.example",
        "https://user@a.example",
        "https://",
        "null",
        "//a.example",
        "https://a.example?x",
    ] {
        refused(from_env(&[("CORS_ORIGINS", bad)]), &["CORS_ORIGINS", "server.allowed_origins", bad]);
    }
}

#[test]
fn what_is_not_built_yet_is_refused_or_told() {
    refused(from_env(&[("REDIS_URL", "redis://:hunter2@cache:6379")]), &["REDIS_URL", "single gateway"]);
    refused(from_file("[auth]\njwks_url = \"https://a.example\""), &["rivulet.toml:2", "auth.jwks_url is not in this"]);
    refused(from_env(&[("RIVULET_AUTH_JWKS_URL", "x")]), &["RIVULET_AUTH_JWKS_URL", "auth.jwks_url is not in this"]);
    refused(from_env(&[("ENVIRONMENT", "staging")]), &["ENVIRONMENT", "one of development, production"]);

    let loaded = from_env(&[
        ("REQUIRE_AUTHENTICATION", "false"),
        ("RATE_LIMIT_REQUESTS", "5"),
        ("RIVULET_SERVER_BIND", "0.0.0.0:80"),
        ("RIVULET_LLM_MODEL", "m"),
    ])
    .expect("fine");
    let warnings = loaded.warnings.join("\n");
    for part in ["RATE_LIMIT_REQUESTS", "0.0.0.0:80", "llm.model"] {
        assert!(warnings.contains(part), "{part} is missing in {warnings}");
    }
    assert!(from_env(&[]).expect("fine").warnings.is_empty());
}

/// 64 characters that nobody can guess.
const SECRET: &str = "6f1c0d9be27a43588b3f5c2ad4e9071633a9d8c1f0b24e7596ad3b8c7e5f1024";

#[test]
fn authentication_needs_a_secret_and_the_secret_is_never_shown() {
    for word in ["True", "1", "yes", "ON"] {
        refused(from_env(&[("REQUIRE_AUTHENTICATION", word)]), &["auth.required is true", "JWT_SECRET_KEY"]);
        let both = [("REQUIRE_AUTHENTICATION", word), ("JWT_SECRET_KEY", SECRET)];
        assert!(from_env(&both).expect("fine").config.auth.required);
    }
    refused(
        from_env(&[("REQUIRE_AUTHENTICATION", "maybe")]),
        &["REQUIRE_AUTHENTICATION", "auth.required", "true or false"],
    );
    let auth = |pairs: &[(&str, &str)]| from_env(pairs).expect("fine").config.auth;
    assert_eq!(auth(&[("REQUIRE_AUTHENTICATION", "no")]), AuthConfig::default());
    let own = [("JWT_SECRET_KEY", "x"), ("RIVULET_AUTH_JWT_SECRET", SECRET), ("RIVULET_AUTH_AUDIENCE", "chat")];
    assert_eq!(auth(&own).jwt_secret.expect("set").expose(), SECRET);
    assert_eq!(auth(&own).audience.as_deref(), Some("chat"));

    for weak in ["hunter2", "hunter2 your-secret-key-change-in-production"] {
        let loaded = from_env(&[("JWT_SECRET_KEY", weak)]).expect("a warning only");
        assert!(loaded.warnings.join("").contains("auth.jwt_secret"), "{:?}", loaded.warnings);
        assert!(!format!("{loaded:?}").contains("hunter2"));
    }
    let error = from_file("[auth]\njwt_secret = [\"hunter2\"]").expect_err("must be refused");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    let open =
        from_env(&[("RIVULET_SERVER_BIND", "0.0.0.0:80"), ("REQUIRE_AUTHENTICATION", "1"), ("JWT_SECRET_KEY", SECRET)]);
    assert_eq!(open.expect("fine").warnings, Vec::<String>::new(), "an open address is fine behind authentication");
}

#[test]
fn production_refuses_what_is_unsafe_in_public() {
    let production = |pairs: &[(&str, &str)]| {
        let safe = [("ENVIRONMENT", "production"), ("REQUIRE_AUTHENTICATION", "true"), ("JWT_SECRET_KEY", SECRET)];
        from_env(&[&safe, pairs].concat())
    };
    assert_eq!(production(&[]).expect("fine").config.server.environment, Environment::Production);
    refused(production(&[("CORS_ORIGINS", "*")]), &["production", "`*`"]);
    refused(production(&[("CORS_ORIGINS", "https://a.example,*")]), &["production", "`*`"]);
    refused(production(&[("REQUIRE_AUTHENTICATION", "false")]), &["production", "auth.required is false"]);
    refused(production(&[("JWT_SECRET_KEY", "")]), &["auth.required is true", "JWT_SECRET_KEY"]);
    refused(production(&[("JWT_SECRET_KEY", &SECRET[..31])]), &["production", "fewer than 32 characters"]);
    assert!(production(&[("JWT_SECRET_KEY", &SECRET[..32])]).is_ok());
    for default in [
        "your-secret-key-change-in-production",
        "YOUR_SUPER_SECRET_JWT_KEY_0123456789",
        "change-me-change-me-change-me-change-me",
        "dev-secret-not-for-production-0123456789",
    ] {
        refused(production(&[("JWT_SECRET_KEY", default)]), &["production", "auth.jwt_secret is a default"]);
    }
    refused(from_env(&[("ENVIRONMENT", "production")]), &["production", "auth.required is false"]);
    let monotonous = production(&[("JWT_SECRET_KEY", &"ab".repeat(16))]).expect("a warning only").warnings;
    assert!(monotonous.join("").contains("few different characters"), "{monotonous:?}");
}

#[test]
fn lists_of_the_environment_are_not_json() {
    for (variable, json) in [
        ("CORS_ORIGINS", r#"["https://a.example","https://b.example"]"#),
        ("RIVULET_SERVER_ALLOWED_ORIGINS", r#" ["https://a.example"]"#),
        ("RIVULET_KNOWLEDGE_PRELOAD", "[]"),
    ] {
        refused(from_env(&[(variable, json)]), &[variable, "separated by commas", "not a list in JSON"]);
    }
}

#[test]
fn what_an_orchestrator_and_our_own_tools_set_is_no_setting() {
    let foreign = [
        ("RIVULET_SERVICE_HOST", "10.0.0.7"),
        ("RIVULET_SERVICE_PORT", "8080"),
        ("RIVULET_SERVICE_PORT_HTTP", "8080"),
        ("RIVULET_PORT", "tcp://10.0.0.7:8080"),
        ("RIVULET_PORT_8080_TCP", "tcp://10.0.0.7:8080"),
        ("RIVULET_PORT_8080_TCP_ADDR", "10.0.0.7"),
        ("RIVULET_URL", "http://localhost:8080"),
        ("RIVULET_CACHE", "/cache"),
        ("RIVULET_COMMIT", "abc"),
    ];
    let loaded = from_env(&foreign).expect("ignored");
    assert_eq!(loaded.config, Config::default());
    assert!(loaded.warnings.is_empty());
    // No setting is lost to them.
    assert!(keys().all(|key| !variables::is_foreign(&key.variable())));
    for unknown in ["RIVULET_PORTS", "RIVULET_SERVICE", "RIVULET_URLS", "RIVULET_SERVER_PORT"] {
        refused(from_env(&[(unknown, "x")]), &[unknown, "the nearest one is `RIVULET_"]);
    }
}

#[test]
fn log_levels_are_levels() {
    for good in ["info", "WARN", "info,rivulet::run=debug", "off", "rivulet[span]=trace"] {
        assert_eq!(from_env(&[("LOG_LEVEL", good)]).expect(good).config.telemetry.log_level, good);
    }
    for (python, ours) in [("warning", "warn"), ("WARNING", "warn"), ("Critical", "error")] {
        assert_eq!(from_env(&[("LOG_LEVEL", python)]).expect(python).config.telemetry.log_level, ours);
    }
    for bad in ["loud", "warnings", "info,,", "rivulet=loud", "info,rivulet", "=", "["] {
        refused(from_env(&[("LOG_LEVEL", bad)]), &["LOG_LEVEL", "telemetry.log_level", "debug"]);
    }
}

#[test]
fn what_is_shown_is_short_and_of_one_line() {
    let long = format!("x\n\u{1b}[31m{}", "y".repeat(1000));
    let text = from_env(&[("ENVIRONMENT", &long)]).expect_err("must be refused").to_string();
    assert!(text.len() < 250 && !text.contains(['\n', '\u{1b}']), "{text}");
}

#[test]
fn trusted_proxies_are_networks_and_never_everybody() {
    let loaded = from_env(&[("RIVULET_SERVER_TRUSTED_PROXIES", "10.1.2.3/8, ::1")]).expect("fine");
    let networks: Vec<_> = loaded.config.server.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "::1/128"]);
    for everybody in ["0.0.0.0/0", "::/0", "10.0.0.0/8,::ffff:0:0/96", "proxy.example"] {
        let last = everybody.rsplit(',').next().expect("one");
        refused(from_env(&[("RIVULET_SERVER_TRUSTED_PROXIES", everybody)]), &["RIVULET_SERVER_TRUSTED_PROXIES", last]);
    }
    refused(from_file("[server]\ntrusted_proxies = [\"0.0.0.0/0\"]\n"), &["rivulet.toml:2", "claim any address"]);
}

#[test]
fn connections_per_address_are_bounded_unless_all_clients_are_on_this_machine() {
    for (pairs, bound) in [
        (vec![], 0),
        (vec![("RIVULET_SERVER_BIND", "0.0.0.0:1")], 100),
        (vec![("RIVULET_LIMITS_CONNECTIONS_PER_IP", "7")], 7),
        (vec![("RIVULET_SERVER_BIND", "0.0.0.0:1"), ("RIVULET_LIMITS_CONNECTIONS_PER_IP", "0")], 0),
    ] {
        assert_eq!(from_env(&pairs).expect("fine").config.connections_per_ip(), bound, "{pairs:?}");
    }
}

#[test]
fn the_collectors_address_is_checked_and_not_shown() {
    let key = "RIVULET_TELEMETRY_OTLP_ENDPOINT";
    let endpoint = |name, url| from_env(&[(name, url)]).map(|loaded| loaded.config.telemetry.otlp_endpoint);
    if cfg!(feature = "otlp") {
        for name in [key, "OTEL_EXPORTER_OTLP_ENDPOINT"] {
            assert_eq!(endpoint(name, "http://c:4318/").expect("fine").as_deref(), Some("http://c:4318"));
        }
        let both = [(key, "http://ours:4318"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://theirs:4318")];
        let loaded = from_env(&both).expect("fine").config;
        assert_eq!(loaded.telemetry.otlp_endpoint.as_deref(), Some("http://ours:4318"));
        for bad in ["collector:4318", "http://u:hunter2@c", "http://c?hunter2", "http://c/v1/traces", "grpc://c:4317"] {
            let refusal = from_env(&[(key, bad)]).expect_err(bad).to_string();
            assert!(refusal.contains("telemetry.otlp_endpoint") && !refusal.contains("hunter2"), "{refusal}");
        }
    }
    let mut config = Config::default();
    let (layers, otlp) = (Layers::default(), Some("http://c:4318".to_owned()));
    assert!(rules::check_otlp(&mut config, &layers, false).is_ok(), "nothing is wanted");
    config.telemetry.otlp_endpoint = otlp;
    let refusal = rules::check_otlp(&mut config, &layers, false).expect_err("not built").to_string();
    assert!(refusal.contains("telemetry.otlp_endpoint") && refusal.contains("feature `otlp`"), "{refusal}");
}
