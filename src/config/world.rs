//! The names that the field already uses, so that an existing deployment's variables work here.
//!
//! `RIVULET_*` wins over all of them. The model is chosen in this order: what `llm.*` says · `OPENAI_BASE_URL`
//! (with `OPENAI_API_KEY` when that is set; local servers need none) · `GROQ_API_KEY` · `OPENAI_API_KEY` alone.
//! `llm.targets` replaces all of it.
//! A key is only ever sent to the address it belongs to: `OPENAI_API_KEY` does not go to an `llm.base_url`.

use std::collections::BTreeMap;

use super::{
    error::{ConfigError, Origin, excerpt},
    layers::Layers,
    preset::Preset,
    settings::ServerConfig,
};

/// A text of the field's, in the words of the house.
type Meaning = fn(&str) -> &str;

/// Each with the setting that it is, and what its texts mean there.
const NAMES: &[(&str, &str, Meaning)] = &[
    ("ENVIRONMENT", "server.environment", as_it_is),
    ("CORS_ORIGINS", "server.allowed_origins", as_it_is),
    ("DATABASE_URL", "store.database_url", as_it_is),
    ("REDIS_URL", "cluster.redis_url", as_it_is),
    ("JWT_SECRET_KEY", "auth.jwt_secret", as_it_is),
    ("REQUIRE_AUTHENTICATION", "auth.required", switch),
    ("LOG_LEVEL", "telemetry.log_level", log_level),
    ("RATE_LIMIT_REQUESTS", "limits.requests", as_it_is),
    ("RATE_LIMIT_WINDOW", "limits.window_s", as_it_is),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.otlp_endpoint", as_it_is),
];

/// Reads everything but the model's names.
pub(super) fn apply(env: &BTreeMap<String, String>, layers: &mut Layers) {
    if let Some(port) = value(env, "PORT") {
        apply_port(port, layers);
    }
    for (variable, setting, meaning) in NAMES {
        if let Some(text) = value(env, variable) {
            layers.set_text(setting, meaning(text), Origin::Variable((*variable).to_owned()));
        }
    }
}

/// Sets the target of the model, when nothing more explicit did.
pub(super) fn choose_model(env: &BTreeMap<String, String>, layers: &mut Layers) {
    if layers.has_targets() {
        return; // Each of them says where its key is.
    }
    let (groq, openai) = (Preset::Groq.known(), Preset::OpenAi.known());
    let own_key = layers.text("llm.api_key").is_some();
    let target = if layers.text("llm.base_url").is_some() {
        None
    } else if let Some(url) = value(env, "OPENAI_BASE_URL") {
        Some((url, "OPENAI_BASE_URL", "OPENAI_API_KEY"))
    } else if own_key {
        Some((openai.base_url, "llm.api_key", ""))
    } else if value(env, "GROQ_API_KEY").is_some() {
        Some((groq.base_url, "GROQ_API_KEY", "GROQ_API_KEY"))
    } else if value(env, "OPENAI_API_KEY").is_some() {
        Some((openai.base_url, "OPENAI_API_KEY", "OPENAI_API_KEY"))
    } else {
        None
    };
    if let Some((url, origin, key)) = target {
        layers.set_text("llm.base_url", url, Origin::Variable(origin.to_owned()));
        if let Some(secret) = value(env, key).filter(|_| !own_key) {
            layers.set_text("llm.api_key", secret, Origin::Variable(key.to_owned()));
        }
    }
    if layers.text("llm.model").is_none()
        && let Some(url) = layers.text("llm.base_url")
    {
        let known = if url.trim_end_matches('/') == groq.base_url { groq } else { openai };
        layers.set_text("llm.model", known.model.unwrap_or_default(), Origin::Default);
    }
}

fn as_it_is(text: &str) -> &str {
    text
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

/// `PORT` is the port of `server.bind`; the address stays.
fn apply_port(text: &str, layers: &mut Layers) {
    let origin = Origin::Variable("PORT".to_owned());
    let Ok(port) = text.parse::<u16>() else {
        return layers.refuse(ConfigError::Value {
            key: "PORT".to_owned(),
            expected: "a whole number from 0 to 65535".to_owned(),
            found: format!("the text \"{}\"", excerpt(text)),
            origin,
        });
    };
    let set = layers.text("server.bind").and_then(|bind| bind.parse().ok());
    let mut bind = set.unwrap_or_else(|| ServerConfig::default().bind);
    bind.set_port(port);
    layers.set_text("server.bind", &bind.to_string(), origin);
}

/// An empty variable is what compose files make of one that is not set.
fn value<'a>(env: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    env.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
}
