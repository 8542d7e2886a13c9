//! What the loader does with texts from outside.

mod models;
mod reading;
mod table;

use std::path::Path;

use super::{layers::Layers, settings::Config, *};

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn from_env(pairs: &[(&str, &str)]) -> Result<Loaded, Refusal> {
    loaded(None, pairs)
}

/// What is loaded but the assistants that lie where the tests run.
fn loaded(file: Option<&Path>, pairs: &[(&str, &str)]) -> Result<Loaded, Refusal> {
    let mut loaded = Config::load(file, env(pairs), Overrides::default())?;
    loaded.config.offered.clear();
    Ok(loaded)
}

fn from_file(text: &str) -> Result<Loaded, Refusal> {
    from_both(text, &[])
}

fn from_both(text: &str, pairs: &[(&str, &str)]) -> Result<Loaded, Refusal> {
    Config::of_text(Path::new("rivulet.toml"), text, env(pairs))
}

#[track_caller]
fn refused(outcome: Result<Loaded, Refusal>, wanted: &[&str]) {
    let text = outcome.expect_err("must be refused").to_string();
    for part in wanted {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
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
        "https://",
        "null",
        "//a.example",
        "https://a.example?x",
    ] {
        refused(from_env(&[("CORS_ORIGINS", bad)]), &["CORS_ORIGINS", "server.allowed_origins", bad]);
    }
}

#[test]
fn one_signs_in_where_nobody_can_listen() {
    let set = |url| from_env(&[("RIVULET_AUTH_SIGN_IN_URL", url)]);
    for good in ["https://login.example/rivulet?app=chat", "http://127.0.0.1:9000/in", "http://localhost/in"] {
        assert_eq!(set(good).expect(good).config.auth.sign_in_url.as_deref(), Some(good));
    }
    for bad in ["http://login.example", "https://u:p@login.example", "https://login.example/#in", "javascript:1", "/in"]
    {
        refused(set(bad), &["RIVULET_AUTH_SIGN_IN_URL", "auth.sign_in_url", "https://"]);
    }
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
fn keys_of_others_are_named_in_full_and_safely() {
    let by = |pairs: &[(&str, &str)]| from_env(&[&[("REQUIRE_AUTHENTICATION", "1")], pairs].concat());
    let url = "RIVULET_AUTH_JWKS_URL";
    for good in
        ["https://login.example/.well-known/jwks.json", "https://login.example/keys?p=policy", "http://127.0.0.1:9/k"]
    {
        assert_eq!(by(&[(url, good)]).expect("no secret is needed").config.auth.jwks_url.as_deref(), Some(good));
    }
    for bad in [
        "http://hunter2.example/keys",
        "ftp://hunter2",
        "file:///hunter2",
        "https://user:hunter2@login.example/",
        "https://login.example/#hunter2",
        "hunter2",
    ] {
        let error = by(&[(url, bad)]).expect_err("must be refused").to_string();
        assert!(error.contains(url) && error.contains("https://") && !error.contains("hunter2"), "{error}");
    }
    let keys = ("RIVULET_AUTH_PUBLIC_KEYS", "a.pem, b.pem");
    let loaded = by(&[keys]).expect("no secret is needed");
    assert_eq!(loaded.config.auth.public_keys, ["a.pem", "b.pem"].map(std::path::PathBuf::from));
    assert!(loaded.warnings.concat().contains("neither auth.issuer nor auth.audience"), "{:?}", loaded.warnings);
    assert!(by(&[keys, ("RIVULET_AUTH_AUDIENCE", "chat")]).expect("fine").warnings.is_empty());

    let previous = "RIVULET_AUTH_PREVIOUS_JWT_SECRET";
    refused(by(&[(previous, SECRET)]), &["nobody could come in"]);
    refused(by(&[(previous, SECRET), ("JWT_SECRET_KEY", SECRET)]), &["auth.previous_jwt_secret is the same"]);
    let loaded = by(&[(previous, "hunter2 hunter2"), ("JWT_SECRET_KEY", SECRET)]).expect("a warning only");
    let told = loaded.warnings.join("\n");
    assert!(told.contains("auth.previous_jwt_secret has fewer") && told.contains("take it out"), "{told}");
    assert!(!format!("{told} {loaded:?}").contains("hunter2"));
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
fn how_often_is_bounded_unless_all_clients_are_on_this_machine() {
    let rules = |pairs: &[(&str, &str)]| {
        let rules = from_env(pairs).expect("fine").config.rate_rules();
        (
            rules.requests,
            rules.window.as_secs(),
            rules.messages_per_min,
            rules.sessions_per_hour,
            rules.uploads_per_hour,
        )
    };
    assert_eq!(rules(&[]), (0, 60, 0, 0, 0));
    assert_eq!(rules(&[("RIVULET_SERVER_BIND", "0.0.0.0:1")]), (100, 60, 30, 600, 1000));
    assert_eq!(rules(&[("RATE_LIMIT_REQUESTS", "7"), ("RATE_LIMIT_WINDOW", "9")]), (7, 9, 0, 0, 0));
    let off =
        [("RIVULET_SERVER_BIND", "0.0.0.0:1"), ("RATE_LIMIT_REQUESTS", "0"), ("RIVULET_LIMITS_MESSAGES_PER_MIN", "0")];
    assert_eq!(rules(&off), (0, 60, 0, 600, 1000));
}

#[test]
fn an_index_lies_in_a_folder_or_in_an_object_storage() {
    let uri = |uri: &str| from_env(&[("RIVULET_KNOWLEDGE_URI", uri)]).map_err(|error| error.to_string());
    assert!(uri("/srv/index").is_ok() && uri("index").is_ok());
    for bad in ["gs://bucket", "s3:///prefix", "s3://", "s3://key:hunter2@bucket", "s3://bucket?x", "memory://"] {
        let refusal = uri(bad).expect_err(bad);
        assert!(refusal.contains("knowledge.uri") && !refusal.contains("hunter2"), "{refusal}");
    }
    let mut config = Config::default();
    config.knowledge.uri = Some("s3://bucket/prefix".to_owned());
    assert!(rules::check_uri(&config, &Layers::of(settings::SECTIONS), true).is_ok());
    let refusal = rules::check_uri(&config, &Layers::of(settings::SECTIONS), false).expect_err("not built").to_string();
    assert!(refusal.contains("knowledge.uri") && refusal.contains("feature `s3`"), "{refusal}");
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
    let (layers, otlp) = (Layers::of(settings::SECTIONS), Some("http://c:4318".to_owned()));
    assert!(rules::check_otlp(&mut config, &layers, false).is_ok(), "nothing is wanted");
    config.telemetry.otlp_endpoint = otlp;
    let refusal = rules::check_otlp(&mut config, &layers, false).expect_err("not built").to_string();
    assert!(refusal.contains("telemetry.otlp_endpoint") && refusal.contains("feature `otlp`"), "{refusal}");
}
