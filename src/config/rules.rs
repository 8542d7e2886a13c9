//! What types and bounds cannot say: the form of addresses, and what does not go together. Pure.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use reqwest::Url;
use tracing_subscriber::{EnvFilter, filter::Directive};

use super::{
    address::{authority, is_loopback, is_origin, is_secure_url, plain_url, server_url},
    choices::Environment,
    error::{ConfigError, excerpt},
    layers::Layers,
    secret::Secret,
    settings::Config,
    target::TargetFault,
};

const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

/// Checks the whole, puts addresses into their plain form, and adds what is wrong and what the operator should know.
pub(super) fn check(config: &mut Config, layers: &Layers, refused: &mut Vec<ConfigError>, warnings: &mut Vec<String>) {
    let checks = [
        check_origins(config, layers),
        check_database(config, layers),
        check_cluster(config, layers),
        check_model(config, layers),
        check_key(config, layers),
        check_targets(config, layers),
        check_log_level(config, layers),
        check_otlp(config, layers, cfg!(feature = "otlp")),
        check_uri(config, layers, cfg!(feature = "s3")),
        check_auth(config),
        check_ports(config),
        check_sign_in(config, layers),
        check_resource(config, layers),
        check_previous_secret(config),
        check_key_set(config, layers),
    ];
    refused.extend(checks.into_iter().filter_map(Result::err));
    if config.server.environment == Environment::Production {
        refused.extend(unfit_for_production(config).into_iter().map(in_production));
    }
    warn(config, warnings);
}

fn wrong(layers: &Layers, key: &str, expected: &str, found: String) -> Result<(), ConfigError> {
    let origin = layers.origin(key);
    Err(ConfigError::Value { key: key.to_owned(), expected: expected.to_owned(), found, origin })
}

fn check_origins(config: &Config, layers: &Layers) -> Result<(), ConfigError> {
    let is_wrong = |origin: &&String| *origin != "*" && !is_origin(origin);
    let Some(origin) = config.server.allowed_origins.iter().find(is_wrong) else { return Ok(()) };
    let expected = "exact origins as browsers send them: scheme://host or scheme://host:port, in lower case, without a \
                    default port, path or final slash";
    // Whoever writes an address with a user in it may have written a password.
    let found =
        if origin.contains('@') { "something else (not shown)".to_owned() } else { format!("\"{}\"", excerpt(origin)) };
    wrong(layers, "server.allowed_origins", expected, found)
}

fn check_database(config: &Config, layers: &Layers) -> Result<(), ConfigError> {
    let is_meant = |url: &str| url.starts_with("postgres://") || url.starts_with("postgresql://");
    match &config.store.database_url {
        Some(url) if !is_meant(url.expose()) => {
            let expected = "the address of a PostgreSQL database: postgres://user:password@host/database";
            wrong(layers, "store.database_url", expected, "something else (not shown)".to_owned())
        }
        _ => Ok(()),
    }
}

fn check_cluster(config: &Config, layers: &Layers) -> Result<(), ConfigError> {
    let Some(url) = &config.cluster.redis_url else { return Ok(()) };
    let (key, schemes) = ("cluster.redis_url", ["redis", "rediss"]);
    let scheme = url.expose().split_once("://").map_or("", |(scheme, _)| scheme);
    if !schemes.contains(&scheme.split_once('+').map_or(scheme, |(scheme, _)| scheme)) {
        let expected = "the address of a Redis: redis://user:password@host:port, rediss:// with TLS, \
                        redis+sentinel://host:port,…/name or redis+cluster://host:port,…";
        return wrong(layers, key, expected, "something else (not shown)".to_owned());
    }
    Ok(())
}

fn check_model(config: &mut Config, layers: &Layers) -> Result<(), ConfigError> {
    let Some(url) = &config.llm.base_url else { return Ok(()) };
    match plain_url(url) {
        Ok(plain) => {
            config.llm.base_url = Some(plain);
            Ok(())
        }
        Err(expected) => wrong(layers, "llm.base_url", expected, "something else (not shown)".to_owned()),
    }
}

fn check_key(config: &Config, layers: &Layers) -> Result<(), ConfigError> {
    if config.llm.api_key.as_ref().is_some_and(|key| !key.is_bearer()) {
        return wrong(layers, "llm.api_key", Secret::BEARER, "something else (not shown)".to_owned());
    }
    Ok(())
}

fn check_log_level(config: &Config, layers: &Layers) -> Result<(), ConfigError> {
    let Err(part) = check_levels(&config.telemetry.log_level) else { return Ok(()) };
    let expected = "off, error, warn, info, debug, trace, or a list like info,rivulet::run=debug";
    wrong(layers, "telemetry.log_level", expected, format!("\"{}\"", excerpt(part)))
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

/// What nobody on the internet may find.
fn unfit_for_production(config: &Config) -> Vec<String> {
    let mut unfit = Vec::new();
    if config.server.allowed_origins.iter().any(|origin| origin == "*") {
        unfit.push("server.allowed_origins holds `*`: name the origins".to_owned());
    }
    if !config.auth.required {
        let text = "auth.required is false: set it to true (or REQUIRE_AUTHENTICATION in the environment)";
        unfit.push(text.to_owned());
    }
    if config.cluster.redis_url.is_some() && config.store.database_url.is_none() {
        let text = "cluster.redis_url is set without a database beside it: gateways that tell one another what happens must \
                    have one store, so set store.database_url (or DATABASE_URL in the environment)";
        unfit.push(text.to_owned());
    }
    for (name, secret) in secrets(config) {
        unfit.extend(secret.weakness().map(|weakness| format!("{name} {weakness}")));
    }
    let server = &config.server;
    let is_in_the_open =
        |bind: &SocketAddr| !bind.ip().is_loopback() && server.tls_cert.is_none() && !server.behind_proxy;
    let binds = [("server.bind", Some(server.bind)), ("server.admin_bind", server.admin_bind)];
    unfit.extend(binds.into_iter().filter_map(|(key, bind)| Some((key, bind.filter(is_in_the_open)?))).map(|(key, bind)| {
        format!(
            "{key} is {bind}: what is said there can be read on the way, for there is no TLS. Set server.tls_cert and \
             server.tls_key, or put a proxy with TLS in front and set server.behind_proxy, or bind to a loopback address"
        )
    }));
    unfit
}

fn in_production(text: String) -> ConfigError {
    ConfigError::Refused(format!("server.environment is production, and {text}"))
}

fn check_auth(config: &Config) -> Result<(), ConfigError> {
    let auth = &config.auth;
    if auth.required && auth.jwt_secret.is_none() && auth.public_keys.is_empty() && auth.jwks_url.is_none() {
        return Err(ConfigError::Refused(
            "auth.required is true, and there is no auth.jwt_secret (JWT_SECRET_KEY in the environment), no \
             auth.public_keys and no auth.jwks_url: nobody could come in"
                .to_owned(),
        ));
    }
    Ok(())
}

fn check_ports(config: &Config) -> Result<(), ConfigError> {
    let server = &config.server;
    let text = match (&server.tls_cert, &server.tls_key, server.admin_bind) {
        (Some(_), None, _) => "server.tls_cert is set, and server.tls_key is not: TLS needs both".to_owned(),
        (None, Some(_), _) => "server.tls_key is set, and server.tls_cert is not: TLS needs both".to_owned(),
        (.., Some(admin)) if exclude_each_other(admin, server.bind) => format!(
            "server.admin_bind is {admin}, and server.bind is {}: one takes the other's port, so give it another one, or \
             leave it out",
            server.bind
        ),
        _ => return Ok(()),
    };
    Err(ConfigError::Refused(text))
}

/// Whether nobody can listen at both. All addresses of IPv6 are those of IPv4, too.
fn exclude_each_other(one: SocketAddr, other: SocketAddr) -> bool {
    let takes = |all: IpAddr, one: IpAddr| all == one || all.is_unspecified() && (all.is_ipv6() || one.is_ipv4());
    let (ip, others) = (one.ip(), other.ip());
    one.port() == other.port() && one.port() != 0 && (takes(ip, others) || takes(others, ip))
}

/// Tokens are sent there.
fn check_resource(config: &Config, layers: &Layers) -> Result<(), ConfigError> {
    let Some(url) = &config.mcp.resource else { return Ok(()) };
    if is_secure_url(url) && server_url(url).is_ok() {
        return Ok(());
    }
    let expected = "an https:// address, or an http:// one of this machine, without user, password, `?` and `#`";
    wrong(layers, "mcp.resource", expected, "something else (not shown)".to_owned())
}

/// A token comes back from there: nobody on the way may read it.
fn check_sign_in(config: &Config, layers: &Layers) -> Result<(), ConfigError> {
    let Some(url) = &config.auth.sign_in_url else { return Ok(()) };
    if is_secure_url(url) {
        return Ok(());
    }
    let expected = "an https:// address, or an http:// one of this machine, without user, password and `#`";
    wrong(layers, "auth.sign_in_url", expected, "something else (not shown)".to_owned())
}

fn check_previous_secret(config: &Config) -> Result<(), ConfigError> {
    let auth = &config.auth;
    if auth.previous_jwt_secret.is_some() && auth.previous_jwt_secret == auth.jwt_secret {
        return Err(ConfigError::Refused(
            "auth.previous_jwt_secret is the same as auth.jwt_secret: the new one goes into auth.jwt_secret".to_owned(),
        ));
    }
    Ok(())
}

fn check_key_set(config: &Config, layers: &Layers) -> Result<(), ConfigError> {
    if config.auth.jwks_url.as_deref().is_none_or(is_secure_url) {
        return Ok(());
    }
    let expected = "an https:// address without user, password and `#`, or an http:// one of this machine";
    wrong(layers, "auth.jwks_url", expected, "something else (not shown)".to_owned())
}

/// What tokens may be signed with, by the names of the settings.
fn secrets(config: &Config) -> impl Iterator<Item = (&'static str, &Secret)> {
    let auth = &config.auth;
    let all = [("auth.jwt_secret", &auth.jwt_secret), ("auth.previous_jwt_secret", &auth.previous_jwt_secret)];
    all.into_iter().filter_map(|(name, secret)| secret.as_ref().map(|secret| (name, secret)))
}

fn warn_of_keys(config: &Config, warnings: &mut Vec<String>) {
    let auth = &config.auth;
    for (name, secret) in secrets(config) {
        if let Some(weakness) = secret.weakness() {
            warnings.push(format!("{name} {weakness}"));
        } else if secret.is_monotonous() {
            warnings.push(format!("{name} has few different characters: it can be guessed"));
        }
    }
    if auth.previous_jwt_secret.is_some() {
        let text = "auth.previous_jwt_secret is set: take it out when the last token that it signed is over";
        warnings.push(text.to_owned());
    }
    let has_others = !auth.public_keys.is_empty() || auth.jwks_url.is_some();
    if has_others && auth.issuer.is_none() && auth.audience.is_none() {
        let text = "tokens of other makers are taken, and neither auth.issuer nor auth.audience is set: whatever they \
                    sign without an audience opens the gateway, for whichever program it was meant";
        warnings.push(text.to_owned());
    }
}

fn warn(config: &Config, warnings: &mut Vec<String>) {
    warn_of_keys(config, warnings);
    if !config.server.bind.ip().is_loopback() && !config.auth.required {
        warnings.push(format!(
            "server.bind is {}: whoever reaches that address can talk to the model, for auth.required is false",
            config.server.bind
        ));
    }
    if config.cluster.redis_url.is_some() && config.store.database_url.is_none() {
        warnings.push(
            "cluster.redis_url is set without store.database_url: gateways share limits and tickets, and each has its own \
             conversations"
                .to_owned(),
        );
    }
    if config.server.environment == Environment::Production {
        warnings.extend(config.cluster.redis_url.as_ref().and_then(open_to_others));
    }
    if config.server.behind_proxy && config.server.trusted_proxies.is_empty() {
        warnings.push(
            "server.behind_proxy is set and server.trusted_proxies is not: all clients are taken for the proxy, and share \
             the limits of one address"
                .to_owned(),
        );
    }
    if config.server.environment == Environment::Production && config.server.admin_bind.is_none() {
        warnings.push(
            "server.admin_bind is not set: whoever reaches server.bind can read /metrics and /health, which tell of model \
             servers and of how much is done"
                .to_owned(),
        );
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

/// Why others could read or write to the Redis at this address, where they could.
fn open_to_others(url: &Secret) -> Option<String> {
    let authority = authority(url.expose());
    let (credentials, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let is_here = |host: &str| Url::parse(&format!("http://{host}")).is_ok_and(|url| is_loopback(&url));
    let has_password = credentials.split_once(':').is_some_and(|(_, password)| !password.is_empty());
    let missing = match (url.expose().starts_with("rediss"), has_password) {
        _ if hosts.split(',').all(is_here) => return None,
        (true, true) => return None,
        (false, true) => "no TLS (rediss://)",
        (true, false) => "no password",
        (false, false) => "no password and no TLS (rediss://)",
    };
    Some(format!(
        "cluster.redis_url has {missing}: whoever is on the network between reads what is said in conversations, or can \
         put words into them; leave it so only where the network is the gateways' own"
    ))
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
