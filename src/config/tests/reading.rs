//! What is read, from where, and what of it is refused.

use std::{fs, path::Path};

use serde_json::Value;

use super::{env, from_both, from_env, from_file, refused};
use crate::config::{Config, LogFormat, Overrides, settings::SECTIONS, variables};

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
    // Whatever a name is, what is said of it is one line.
    let odd = format!("\u{1b}[2J\n{}", "x".repeat(1000));
    for outcome in [from_env(&[(&format!("RIVULET_{odd}"), "x")]), from_file(&format!("{} = 1", Value::from(odd)))] {
        let said = outcome.expect_err("there is no such setting").to_string();
        assert!(said.len() < 500 && !said.contains(char::is_control), "{said:?}");
    }
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
fn what_would_not_do_what_it_says_is_refused_or_told() {
    let redis = ("REDIS_URL", "redis://:hunter2@cache:6379");
    refused(from_env(&[redis, ("ENVIRONMENT", "production")]), &["cluster.redis_url", "DATABASE_URL"]);
    let alone = from_env(&[redis]).expect("fine").warnings.join("\n");
    assert!(alone.contains("each has its own conversations") && !alone.contains("hunter2"), "{alone}");
    let database = ("DATABASE_URL", "postgres://db/rivulet");
    refused(from_env(&[("REDIS_URL", "http://:hunter2@cache"), database]), &["REDIS_URL", "redis+sentinel://"]);
    from_env(&[("REDIS_URL", "redis+cluster://a:1,b:2"), database]).expect("fine");
    let secret = ("JWT_SECRET_KEY", "6f1c0d9be27a43588b3f5c2ad4e9071633a9d8c1f0b24e75");
    let production = [("ENVIRONMENT", "production"), ("REQUIRE_AUTHENTICATION", "true"), secret, database];
    for (url, missing) in [
        ("redis://cache", Some("no password and no TLS")),
        ("redis://hunter2@cache", Some("no password and no TLS")),
        ("redis://:hunter2@cache", Some("no TLS")),
        ("rediss://cache:7000/3", Some("no password")),
        ("rediss://u:hunter2@cache", None),
        ("redis://127.0.0.1:7000", None),
        ("redis+sentinel://localhost,[::1]:7/main", None),
        ("redis+cluster://:hunter2@127.0.0.1:1,10.0.0.2:1", Some("no TLS")),
        ("rediss+cluster://:hunter2@a,b", None),
    ] {
        let told = from_env(&[&production[..], &[("REDIS_URL", url)]].concat()).expect("fine").warnings.join("\n");
        assert_eq!(missing.is_some(), told.contains("cluster.redis_url"), "{url}: {told}");
        assert!(told.contains(missing.unwrap_or_default()) && !told.contains("hunter2"), "{url}: {told}");
    }
    refused(from_env(&[("ENVIRONMENT", "staging")]), &["ENVIRONMENT", "one of development, production"]);

    let loaded = from_env(&[
        ("REQUIRE_AUTHENTICATION", "false"),
        ("RIVULET_SERVER_BIND", "0.0.0.0:80"),
        ("RIVULET_LLM_MODEL", "m"),
    ])
    .expect("fine");
    let warnings = loaded.warnings.join("\n");
    for part in ["0.0.0.0:80", "llm.model"] {
        assert!(warnings.contains(part), "{part} is missing in {warnings}");
    }
    assert!(from_env(&[]).expect("fine").warnings.is_empty());
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
    assert!(SECTIONS.iter().copied().flatten().all(|key| !variables::is_foreign(&key.variable())));
    for unknown in ["RIVULET_PORTS", "RIVULET_SERVICE", "RIVULET_URLS", "RIVULET_SERVER_PORT"] {
        refused(from_env(&[(unknown, "x")]), &[unknown, "the nearest one is `RIVULET_"]);
    }
}

#[test]
fn what_is_shown_is_short_and_of_one_line() {
    let long = format!("x\n\u{1b}[31m{}", "y".repeat(1000));
    let text = from_env(&[("ENVIRONMENT", &long)]).expect_err("must be refused").to_string();
    assert!(text.len() < 250 && !text.contains(['\n', '\u{1b}']), "{text}");
}
