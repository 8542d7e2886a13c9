//! What types and bounds cannot say: the form of addresses, and what does not go together.

use std::{collections::BTreeSet, str::FromStr};

use reqwest::Url;
use tracing_subscriber::{EnvFilter, filter::Directive};

use super::{
    Config, Environment,
    error::{ConfigError, excerpt},
    load::Settings,
    targets::TargetFault,
};

/// Shorter secrets can be tried out.
const MIN_SECRET_CHARS: usize = 32;
/// A random secret has more different characters.
const MIN_SECRET_VARIETY: usize = 8;
/// What examples have in the place of a secret, in lower case and with `-` for `_`.
const PLACEHOLDERS: &[&str] = &[
    "change-me",
    "changeme",
    "change-this",
    "in-prod",
    "for-prod",
    "your-secret",
    "your-jwt",
    "your-super",
    "default-secret",
];
const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

/// Checks the whole, puts addresses into their plain form, and adds what the operator should know.
pub(super) fn check(config: &mut Config, settings: &Settings, warnings: &mut Vec<String>) -> Result<(), ConfigError> {
    let wrong = |key: &str, expected: &str, found: String| {
        Err(ConfigError::Value {
            key: key.to_owned(),
            expected: expected.to_owned(),
            found,
            origin: settings.origin(key),
        })
    };
    if let Some(origin) = config.server.allowed_origins.iter().find(|origin| *origin != "*" && !is_origin(origin)) {
        let expected = "exact origins as browsers send them: scheme://host or scheme://host:port, in lower case, \
                        without a default port, path or final slash";
        return wrong("server.allowed_origins", expected, format!("\"{}\"", excerpt(origin)));
    }
    if let Some(url) = &config.llm.base_url {
        match plain_url(url) {
            Ok(plain) => config.llm.base_url = Some(plain),
            Err(expected) => return wrong("llm.base_url", expected, "something else (not shown)".to_owned()),
        }
    }
    if config.llm.api_key.as_ref().is_some_and(|key| !key.expose().bytes().all(|byte| byte.is_ascii_graphic())) {
        let expected = "letters, digits and signs of ASCII without blanks";
        return wrong("llm.api_key", expected, "something else (not shown)".to_owned());
    }
    check_targets(config, settings)?;
    if let Err(part) = check_levels(&config.telemetry.log_level) {
        let expected = "off, error, warn, info, debug, trace, or a list like info,rivulet::run=debug";
        return wrong("telemetry.log_level", expected, format!("\"{}\"", excerpt(part)));
    }
    check_otlp(config, settings, cfg!(feature = "otlp"))?;
    check_environment(config)?;
    check_auth(config)?;
    warn(config, warnings);
    Ok(())
}

/// What is wrong with a target, in the words of the person who wrote it.
pub(super) fn target_fault(fault: &TargetFault, settings: &Settings) -> ConfigError {
    let key = fault.key();
    ConfigError::Value {
        origin: settings.origin(if fault.at.is_some() { "llm.targets" } else { &key }),
        expected: fault.expected.to_owned(),
        found: "something else (not shown)".to_owned(),
        key,
    }
}

fn check_targets(config: &Config, settings: &Settings) -> Result<(), ConfigError> {
    let short = ["llm.base_url", "llm.api_key", "llm.model"];
    if settings.has_targets()
        && let Some(key) = short.iter().find(|key| settings.text(key).is_some())
    {
        let (at, list) = (settings.origin(key), settings.origin("llm.targets"));
        return Err(ConfigError::Refused(format!(
            "{at}: {key} is set, and llm.targets too ({list}): {key} is the short form of a single target, so put it \
             into the list or leave the list out"
        )));
    }
    config.llm.settled_targets().map(|_| ()).map_err(|fault| target_fault(&fault, settings))
}

/// The collector's address is put into its plain form. A gateway that cannot export says so instead of being silent.
pub(super) fn check_otlp(config: &mut Config, settings: &Settings, is_built: bool) -> Result<(), ConfigError> {
    const KEY: &str = "telemetry.otlp_endpoint";
    let Some(url) = &config.telemetry.otlp_endpoint else { return Ok(()) };
    let origin = settings.origin(KEY);
    if !is_built {
        return Err(ConfigError::Refused(format!(
            "{origin}: {KEY} is set, and this rivulet was built without the feature `otlp`: unset it, or build with it"
        )));
    }
    let Some(plain) = plain_url(url).ok().filter(|plain| !plain.ends_with("/v1/traces")) else {
        return Err(ConfigError::Value {
            key: KEY.to_owned(),
            expected: "an http:// or https:// address before /v1/traces, without user, password, `?` and `#`"
                .to_owned(),
            found: "something else (not shown)".to_owned(),
            origin,
        });
    };
    config.telemetry.otlp_endpoint = Some(plain);
    Ok(())
}

fn check_environment(config: &Config) -> Result<(), ConfigError> {
    if config.server.environment != Environment::Production {
        return Ok(());
    }
    let text = if config.server.allowed_origins.iter().any(|origin| origin == "*") {
        "server.allowed_origins holds `*`: name the origins"
    } else if !config.auth.required {
        "auth.required is false: set it to true (or REQUIRE_AUTHENTICATION in the environment)"
    } else {
        match config.auth.jwt_secret.as_ref().and_then(|secret| weakness(secret.expose())) {
            Some(weakness) => return Err(in_production(&format!("auth.jwt_secret {weakness}"))),
            None => return Ok(()),
        }
    };
    Err(in_production(text))
}

fn in_production(text: &str) -> ConfigError {
    ConfigError::Refused(format!("server.environment is production, and {text}"))
}

/// What makes a secret one that can be guessed.
fn weakness(secret: &str) -> Option<String> {
    let lower = secret.to_ascii_lowercase().replace('_', "-");
    if secret.chars().count() < MIN_SECRET_CHARS {
        return Some(format!("has fewer than {MIN_SECRET_CHARS} characters: make one with `openssl rand -hex 32`"));
    }
    let from_an_example = PLACEHOLDERS.iter().any(|word| lower.contains(word));
    from_an_example.then(|| "is a default that everybody can guess: make one with `openssl rand -hex 32`".to_owned())
}

fn check_auth(config: &Config) -> Result<(), ConfigError> {
    if config.auth.required && config.auth.jwt_secret.is_none() {
        return Err(ConfigError::Refused(
            "auth.required is true, and there is no auth.jwt_secret (JWT_SECRET_KEY in the environment): nobody could \
             come in"
                .to_owned(),
        ));
    }
    Ok(())
}

fn warn(config: &Config, warnings: &mut Vec<String>) {
    let secret = config.auth.jwt_secret.as_ref().map(|secret| secret.expose());
    if let Some(weakness) = secret.and_then(weakness) {
        warnings.push(format!("auth.jwt_secret {weakness}"));
    } else if secret.is_some_and(|secret| secret.chars().collect::<BTreeSet<_>>().len() < MIN_SECRET_VARIETY) {
        warnings.push("auth.jwt_secret has few different characters: it can be guessed".to_owned());
    }
    if !config.server.bind.ip().is_loopback() && !config.auth.required {
        warnings.push(format!(
            "server.bind is {}: whoever reaches that address can talk to the model, for auth.required is false",
            config.server.bind
        ));
    }
    let own = config.server.bind;
    for target in config.llm.settled_targets().unwrap_or_default() {
        let url = Url::parse(&target.base_url).ok();
        let port = url.as_ref().and_then(Url::port_or_known_default);
        if url.is_some_and(|url| is_loopback(&url)) && port == Some(own.port()) {
            warnings.push(format!(
                "the target {} is the gateway's own address ({own}): give one of them another port",
                target.name
            ));
        }
    }
    if config.llm.base_url.is_none() && config.llm.model.is_some() {
        warnings.push("llm.model is set without a target: the built-in extractive model answers".to_owned());
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or("").trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// Whether a browser would send exactly this as `Origin`.
fn is_origin(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    match url.origin().is_tuple() {
        // No wildcard within an origin: it would be compared as it stands, and match nobody.
        true => url.origin().ascii_serialization() == text && !text.contains('*'),
        // Schemes of browser extensions are opaque to the parser; there the form has to do.
        false => {
            let rest = text.split_once("://").map_or("", |(_, rest)| rest);
            !rest.is_empty()
                && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:".contains(&b))
        }
    }
}

/// The address without a final slash, or what it should have been.
pub(super) fn plain_url(text: &str) -> Result<String, &'static str> {
    const FORM: &str = "an http:// or https:// address";
    let url = Url::parse(text.trim()).map_err(|_| FORM)?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(FORM);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an address without user and password (the key goes into llm.api_key)");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("an address without `?` and `#`");
    }
    let plain = url.as_str().trim_end_matches('/');
    if plain.ends_with("/chat/completions") {
        return Err("the address before /chat/completions");
    }
    Ok(plain.to_owned())
}

/// A bare word would be taken for the name of a module, so that a misspelt level would silence everything.
fn check_levels(filter: &str) -> Result<(), &str> {
    for part in filter.split(',').map(str::trim) {
        let known = if part.contains(['=', '[']) {
            Directive::from_str(part).is_ok()
        } else {
            LEVELS.contains(&part.to_ascii_lowercase().as_str())
        };
        if !known {
            return Err(part);
        }
    }
    EnvFilter::try_new(filter).map(|_| ()).map_err(|_| filter)
}
