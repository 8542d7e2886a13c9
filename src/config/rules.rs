//! What types and bounds cannot say: the form of addresses, and what does not go together. Pure.

use std::str::FromStr;

use reqwest::Url;
use tracing_subscriber::{EnvFilter, filter::Directive};

use super::{
    address::{is_loopback, is_origin, plain_url},
    error::{ConfigError, excerpt},
    layers::Layers,
    secret::Secret,
    settings::{Config, Environment},
    target::TargetFault,
};

const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

/// Checks the whole, puts addresses into their plain form, and adds what the operator should know.
pub(super) fn check(config: &mut Config, layers: &Layers, warnings: &mut Vec<String>) -> Result<(), ConfigError> {
    let wrong = |key: &str, expected: &str, found: String| {
        Err(ConfigError::Value {
            key: key.to_owned(),
            expected: expected.to_owned(),
            found,
            origin: layers.origin(key),
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
    if config.llm.api_key.as_ref().is_some_and(|key| !key.is_bearer()) {
        return wrong("llm.api_key", Secret::BEARER, "something else (not shown)".to_owned());
    }
    check_targets(config, layers)?;
    if let Err(part) = check_levels(&config.telemetry.log_level) {
        let expected = "off, error, warn, info, debug, trace, or a list like info,rivulet::run=debug";
        return wrong("telemetry.log_level", expected, format!("\"{}\"", excerpt(part)));
    }
    check_otlp(config, layers, cfg!(feature = "otlp"))?;
    check_uri(config, layers, cfg!(feature = "s3"))?;
    check_environment(config)?;
    check_auth(config)?;
    warn(config, warnings);
    Ok(())
}

/// What is wrong with a target, in the words of the person who wrote it.
pub(super) fn target_fault(fault: &TargetFault, layers: &Layers) -> ConfigError {
    let key = fault.key();
    ConfigError::Value {
        origin: layers.origin(if fault.at.is_some() { "llm.targets" } else { &key }),
        expected: fault.expected.to_owned(),
        found: "something else (not shown)".to_owned(),
        key,
    }
}

fn check_targets(config: &Config, layers: &Layers) -> Result<(), ConfigError> {
    let short = ["llm.base_url", "llm.api_key", "llm.model"];
    if layers.has_targets()
        && let Some(key) = short.iter().find(|key| layers.text(key).is_some())
    {
        let (at, list) = (layers.origin(key), layers.origin("llm.targets"));
        return Err(ConfigError::Refused(format!(
            "{at}: {key} is set, and llm.targets too ({list}): {key} is the short form of a single target, so put it \
             into the list or leave the list out"
        )));
    }
    config.llm.settled_targets().map(|_| ()).map_err(|fault| target_fault(&fault, layers))
}

/// The collector's address is put into its plain form. A gateway that cannot export says so instead of being silent.
pub(super) fn check_otlp(config: &mut Config, layers: &Layers, is_built: bool) -> Result<(), ConfigError> {
    const KEY: &str = "telemetry.otlp_endpoint";
    let Some(url) = &config.telemetry.otlp_endpoint else { return Ok(()) };
    let origin = layers.origin(KEY);
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

/// An index lies in a folder or in an object storage, when this program can speak to one.
pub(super) fn check_uri(config: &Config, layers: &Layers, is_built: bool) -> Result<(), ConfigError> {
    const KEY: &str = "knowledge.uri";
    let Some((scheme, place)) = config.knowledge.uri.as_deref().and_then(|uri| uri.split_once("://")) else {
        return Ok(());
    };
    let origin = layers.origin(KEY);
    let bucket = place.split('/').next().unwrap_or_default();
    if scheme != "s3" || bucket.is_empty() || place.contains(['?', '#', '@']) {
        return Err(ConfigError::Value {
            key: KEY.to_owned(),
            expected: "a folder, or s3://BUCKET/PREFIX; keys are in the environment".to_owned(),
            found: "something else (not shown)".to_owned(),
            origin,
        });
    }
    if !is_built {
        return Err(ConfigError::Refused(format!(
            "{origin}: {KEY} is in an object storage, and this rivulet was built without the feature `s3`: name a \
             folder, or build with it"
        )));
    }
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
        match config.auth.jwt_secret.as_ref().and_then(Secret::weakness) {
            Some(weakness) => return Err(in_production(&format!("auth.jwt_secret {weakness}"))),
            None => return Ok(()),
        }
    };
    Err(in_production(text))
}

fn in_production(text: &str) -> ConfigError {
    ConfigError::Refused(format!("server.environment is production, and {text}"))
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
    let secret = config.auth.jwt_secret.as_ref();
    if let Some(weakness) = secret.and_then(Secret::weakness) {
        warnings.push(format!("auth.jwt_secret {weakness}"));
    } else if secret.is_some_and(Secret::is_monotonous) {
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
