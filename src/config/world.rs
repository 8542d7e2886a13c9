//! The names that the field already uses, so that an existing deployment's variables work here.
//!
//! `RIVULET_*` wins over all of them. The model is chosen in this order: what `llm.*` says · `OPENAI_BASE_URL`
//! (with `OPENAI_API_KEY` when that is set; local servers need none) · `GROQ_API_KEY` · `OPENAI_API_KEY` alone.
//! `llm.targets` replaces all of it.
//! A key is only ever sent to the address it belongs to: `OPENAI_API_KEY` does not go to an `llm.base_url`.

use std::collections::BTreeMap;

use super::{
    error::{ConfigError, Origin, excerpt},
    load::Settings,
};

const GROQ_URL: &str = "https://api.groq.com/openai/v1";
const GROQ_MODEL: &str = "llama-3.3-70b-versatile";
const OPENAI_URL: &str = "https://api.openai.com/v1";
const OPENAI_MODEL: &str = "gpt-4o-mini";

/// Settings that a later version will obey and that do no harm when this one does not.
const NOT_YET: &[&str] = &["RATE_LIMIT_REQUESTS", "RATE_LIMIT_WINDOW"];

/// Names of the house's scripts and tests.
const OF_OUR_TOOLS: &[&str] = &["RIVULET_URL", "RIVULET_CACHE", "RIVULET_COMMIT"];

/// Whether a variable begins like ours and is not a setting. Kubernetes gives every container the addresses of
/// the services around it, and one that is called `rivulet` gets `RIVULET_SERVICE_HOST`, `RIVULET_PORT`,
/// `RIVULET_PORT_8080_TCP_ADDR` and more of the kind.
pub(super) fn is_foreign(name: &str) -> bool {
    OF_OUR_TOOLS.contains(&name)
        || name == "RIVULET_PORT"
        || ["RIVULET_PORT_", "RIVULET_SERVICE_"].iter().any(|prefix| name.starts_with(prefix))
}

/// Reads everything but the model's names; returns warnings.
pub(super) fn apply(env: &BTreeMap<String, String>, settings: &mut Settings) -> Result<Vec<String>, ConfigError> {
    refuse_what_is_not_built(env)?;
    if let Some(port) = value(env, "PORT") {
        apply_port(port, settings)?;
    }
    for (variable, key) in [("ENVIRONMENT", "server.environment"), ("CORS_ORIGINS", "server.allowed_origins")] {
        if let Some(text) = value(env, variable) {
            settings.set_text(key, text, Origin::Variable(variable.to_owned()))?;
        }
    }
    if let Some(secret) = value(env, "JWT_SECRET_KEY") {
        settings.put("auth.jwt_secret", secret, Origin::Variable("JWT_SECRET_KEY".to_owned()));
    }
    if let Some(text) = value(env, "REQUIRE_AUTHENTICATION") {
        let origin = Origin::Variable("REQUIRE_AUTHENTICATION".to_owned());
        settings.set_text("auth.required", switch(text), origin)?;
    }
    if let Some(text) = value(env, "LOG_LEVEL") {
        settings.set_text("telemetry.log_level", log_level(text), Origin::Variable("LOG_LEVEL".to_owned()))?;
    }
    if let Some(url) = value(env, "OTEL_EXPORTER_OTLP_ENDPOINT") {
        let origin = Origin::Variable("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned());
        settings.set_text("telemetry.otlp_endpoint", url, origin)?;
    }
    let ignored = NOT_YET.iter().filter(|name| value(env, name).is_some());
    Ok(ignored.map(|name| format!("{name} is set, and has no effect in this version")).collect())
}

/// Sets the target of the model, when nothing more explicit did.
pub(super) fn choose_model(env: &BTreeMap<String, String>, settings: &mut Settings) {
    if settings.has_targets() {
        return; // Each of them says where its key is.
    }
    let own_key = settings.text("llm.api_key").is_some();
    let target = if settings.text("llm.base_url").is_some() {
        None
    } else if let Some(url) = value(env, "OPENAI_BASE_URL") {
        Some((url, "OPENAI_BASE_URL", "OPENAI_API_KEY"))
    } else if own_key {
        Some((OPENAI_URL, "llm.api_key", ""))
    } else if value(env, "GROQ_API_KEY").is_some() {
        Some((GROQ_URL, "GROQ_API_KEY", "GROQ_API_KEY"))
    } else if value(env, "OPENAI_API_KEY").is_some() {
        Some((OPENAI_URL, "OPENAI_API_KEY", "OPENAI_API_KEY"))
    } else {
        None
    };
    if let Some((url, origin, key)) = target {
        settings.put("llm.base_url", url, Origin::Variable(origin.to_owned()));
        if let Some(secret) = value(env, key).filter(|_| !own_key) {
            settings.put("llm.api_key", secret, Origin::Variable(key.to_owned()));
        }
    }
    if settings.text("llm.model").is_none()
        && let Some(url) = settings.text("llm.base_url")
    {
        let model = if url.trim_end_matches('/') == GROQ_URL { GROQ_MODEL } else { OPENAI_MODEL };
        settings.put("llm.model", model, Origin::Default);
    }
}

/// The other words for true and false that deployments carry.
fn switch(text: &str) -> &str {
    match text.to_ascii_lowercase().as_str() {
        "1" | "yes" | "on" => "true",
        "0" | "no" | "off" => "false",
        _ => text,
    }
}

/// Python's names of levels, which many deployments carry.
fn log_level(text: &str) -> &str {
    match text.to_ascii_lowercase().as_str() {
        "warning" => "warn",
        "critical" => "error",
        _ => text,
    }
}

/// A gateway that ran on without what this asks for would be alone, without its operator knowing.
fn refuse_what_is_not_built(env: &BTreeMap<String, String>) -> Result<(), ConfigError> {
    if value(env, "REDIS_URL").is_some() {
        return Err(ConfigError::Refused(
            "REDIS_URL is set, and this version cannot share its sessions with other gateways yet: unset it to run \
             a single gateway"
                .to_owned(),
        ));
    }
    Ok(())
}

/// `PORT` is the port of `server.bind`; the address stays.
fn apply_port(text: &str, settings: &mut Settings) -> Result<(), ConfigError> {
    let origin = Origin::Variable("PORT".to_owned());
    let Ok(port) = text.parse::<u16>() else {
        return Err(ConfigError::Value {
            key: "PORT".to_owned(),
            expected: "a whole number from 0 to 65535".to_owned(),
            found: format!("the text \"{}\"", excerpt(text)),
            origin,
        });
    };
    let mut bind = settings
        .text("server.bind")
        .and_then(|bind| bind.parse().ok())
        .unwrap_or_else(|| super::ServerConfig::default().bind);
    bind.set_port(port);
    settings.set_text("server.bind", &bind.to_string(), origin)
}

/// An empty variable is what compose files make of one that is not set.
fn value<'a>(env: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    env.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
}
