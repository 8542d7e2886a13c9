//! `rivulet check`: what the gateway would do with this configuration, and whether it could. Starts nothing and
//! changes nothing.

use std::{
    fmt, fs,
    io::{self, Write},
    net::TcpListener,
    path::Path,
    time::{Duration, SystemTime},
};

use futures_util::future::join_all;
use serde::Serialize;

use crate::{
    auth::Authenticator,
    config::{
        Assistant, AuthConfig, Config, KnowledgeConfig, KnowledgeMode, LlmConfig, Loaded, Refusal, TargetSettings, Tool,
    },
    ephemeral::Server,
    http::TlsFiles,
    knowledge::embed::{check_name, missing_files},
    llm,
    store::{
        place,
        postgres::PostgresStore,
        sqlite::{FILE_NAME, SqliteStore},
    },
    tools::Toolbox,
};

/// How long a model server may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Arguments of `rivulet check`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// JSON instead of text.
    #[arg(long)]
    pub json: bool,
}

/// Why the gateway would not start, or could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] Refusal),
    /// The configuration is fine, the machine is not; or a program asked: the report says what is wrong.
    #[error("the gateway would not start: {0} of the checks failed")]
    WouldNotStart(usize),
    /// The report could not be written.
    #[error("cannot write the report: {0}")]
    Output(#[from] io::Error),
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum Verdict {
    #[serde(rename = "ok")]
    Good,
    /// It would start, and something would not work.
    #[serde(rename = "warn")]
    Doubtful,
    /// It would not start.
    #[serde(rename = "fail")]
    Bad,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Good => "ok",
            Self::Doubtful => "warn",
            Self::Bad => "fail",
        })
    }
}

type Finding = (Verdict, &'static str, String);

/// A finding as JSON has it.
#[derive(Serialize)]
struct Told<'a> {
    verdict: Verdict,
    subject: &'a str,
    text: &'a str,
}

/// Prints one line per finding to standard output, all of them at once.
///
/// # Errors
/// [`CheckError`] when the gateway would not start.
pub async fn run(args: Args, loaded: Result<Loaded, Refusal>) -> Result<(), CheckError> {
    report(&args, loaded, &mut io::stdout()).await
}

async fn report(args: &Args, loaded: Result<Loaded, Refusal>, out: &mut impl Write) -> Result<(), CheckError> {
    let findings = match loaded {
        Ok(loaded) => of_machine(&loaded).await,
        Err(refusal) if !args.json => return Err(refusal.into()),
        // What it would do on this machine cannot be known.
        Err(Refusal(errors)) => errors.iter().map(|error| (Verdict::Bad, "configuration", error.to_string())).collect(),
    };
    if args.json {
        let told = findings.iter().map(|(verdict, subject, text)| Told { verdict: *verdict, subject, text });
        serde_json::to_writer_pretty(&mut *out, &told.collect::<Vec<_>>()).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        for (verdict, subject, text) in &findings {
            writeln!(out, "{verdict:<5} {subject:<14} {text}")?;
        }
    }
    match findings.iter().filter(|(verdict, ..)| *verdict == Verdict::Bad).count() {
        0 => Ok(()),
        failed => Err(CheckError::WouldNotStart(failed)),
    }
}

async fn of_machine(loaded: &Loaded) -> Vec<Finding> {
    let mut findings = vec![configuration(loaded)];
    findings.extend(loaded.warnings.iter().map(|warning| (Verdict::Doubtful, "configuration", warning.clone())));
    findings.extend(listen(&loaded.config));
    findings.extend(certificate(&loaded.config));
    findings.extend(auth(&loaded.config.auth).await);
    findings.push(data(&loaded.config.server.data_dir));
    findings.extend(database(&loaded.config).await);
    findings.extend(redis(&loaded.config).await);
    findings.extend(models(&loaded.config.llm).await);
    for one in &loaded.config.offered {
        findings.push(assistant(one, None));
        findings.extend(one.variants.iter().map(|variant| assistant(&variant.assistant, Some(variant.share))));
    }
    findings.push(knowledge(&loaded.config.knowledge));
    findings.extend(spans(&loaded.config).await);
    findings
}

fn configuration(loaded: &Loaded) -> Finding {
    let text = match &loaded.file {
        Some(file) => format!("{} and the environment", file.display()),
        None => "no file; defaults and the environment".to_owned(),
    };
    (Verdict::Good, "configuration", text)
}

fn listen(config: &Config) -> Vec<Finding> {
    let addresses = [Some(config.server.bind), config.server.admin_bind];
    let finding = |address| match TcpListener::bind(address) {
        Ok(_) => (Verdict::Good, "listen", format!("{address} is free")),
        Err(error) => (Verdict::Bad, "listen", format!("{address} cannot be used: {error}")),
    };
    addresses.into_iter().flatten().map(finding).collect()
}

fn certificate(config: &Config) -> Option<Finding> {
    let files = TlsFiles::of(config)?;
    Some(match files.read().map(|certificate| certificate.ends) {
        Ok(ends) if ends < SystemTime::now() => {
            let text = format!("{} ended on {}", files.cert.display(), humantime::format_rfc3339_seconds(ends));
            (Verdict::Doubtful, "tls", text)
        }
        Ok(ends) => {
            let text = format!("{} is good until {}", files.cert.display(), humantime::format_rfc3339_seconds(ends));
            (Verdict::Good, "tls", text)
        }
        Err(error) => (Verdict::Bad, "tls", error.to_string()),
    })
}

/// Who comes in, and whether the keys are there with which that is checked.
async fn auth(config: &AuthConfig) -> Vec<Finding> {
    let finding = |verdict, text: String| (verdict, "auth", text);
    let authenticator = match Authenticator::new(config) {
        Ok(authenticator) => authenticator,
        Err(error) => return vec![finding(Verdict::Bad, error.to_string())],
    };
    let text = match (config.required, authenticator.has_credentials()) {
        (true, _) => format!("required; tokens are taken that are signed with {}", keys(config)),
        (false, true) => "not required: who comes without a token shares the sessions of all who do".to_owned(),
        (false, false) => "switched off: everybody shares all sessions".to_owned(),
    };
    let mut findings = vec![finding(Verdict::Good, text)];
    if let Some(source) = authenticator.key_source() {
        findings.push(match source.probe().await {
            Ok((0, _)) => finding(Verdict::Doubtful, "auth.jwks_url has no key that can be used".to_owned()),
            Ok((known, 0)) => finding(Verdict::Good, format!("auth.jwks_url has {known} keys")),
            Ok((known, others)) => {
                finding(Verdict::Good, format!("auth.jwks_url has {known} keys, and {others} that are left out"))
            }
            Err(error) => finding(Verdict::Doubtful, format!("auth.jwks_url: {error}")),
        });
    }
    findings
}

fn keys(config: &AuthConfig) -> String {
    let kinds = [
        (config.jwt_secret.is_some(), "auth.jwt_secret (HS256)"),
        (config.previous_jwt_secret.is_some(), "auth.previous_jwt_secret"),
        (!config.public_keys.is_empty(), "the keys of auth.public_keys"),
        (config.jwks_url.is_some(), "those at auth.jwks_url"),
    ];
    kinds.iter().filter(|(is_set, _)| *is_set).map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
}

fn data(folder: &Path) -> Finding {
    // The gateway makes the folder; until then, the nearest one above it must let it.
    let existing = folder.ancestors().find(|ancestor| ancestor.exists()).filter(|path| !path.as_os_str().is_empty());
    match try_write(existing.unwrap_or_else(|| Path::new("."))) {
        Ok(()) => match SqliteStore::inspect(folder.join(FILE_NAME)) {
            Ok(()) => (Verdict::Good, "data", format!("{} can be written", folder.display())),
            Err(error) => (Verdict::Bad, "data", error.to_string()),
        },
        Err(error) => (Verdict::Bad, "data", format!("{} cannot be written: {error}", folder.display())),
    }
}

async fn database(config: &Config) -> Vec<Finding> {
    let subject = "database";
    let Some(url) = config.store.database_url.as_ref() else { return Vec::new() };
    let known = match PostgresStore::inspect(url.expose()).await {
        Ok(known) => known,
        Err(error) => return vec![(Verdict::Bad, subject, format!("store.database_url: {error}"))],
    };
    let mut findings =
        vec![(Verdict::Good, subject, "conversations and credentials are kept in PostgreSQL".to_owned())];
    if !config.knowledge.enabled {
        return findings;
    }
    let folder = config.knowledge.place(&config.server.data_dir);
    findings.push(match place::inspect(known.as_deref(), &folder, &config.server.data_dir).await {
        Err(error) => (Verdict::Bad, subject, error.to_string()),
        Ok(()) if config.knowledge.uri.is_none() => {
            let text = format!(
                "documents lie in {folder}: for several gateways set knowledge.uri to a folder or an object storage that all of them share"
            );
            (Verdict::Doubtful, subject, text)
        }
        Ok(()) => (Verdict::Good, subject, format!("documents are kept there, too, and their files in {folder}")),
    });
    findings
}

async fn redis(config: &Config) -> Option<Finding> {
    let url = config.cluster.redis_url.as_ref()?;
    let server = match Server::parse(url.expose()) {
        Ok(server) => server,
        Err(error) => return Some((Verdict::Bad, "redis", format!("cluster.redis_url: {error}"))),
    };
    let what = match config.store.database_url {
        Some(_) => "for limits and tickets of all gateways, and what they tell one another",
        None => {
            "for limits and tickets of all gateways; without store.database_url conversations are each gateway's own"
        }
    };
    Some(match server.inspect().await {
        Ok(version) => (Verdict::Good, "redis", format!("{version}, {what}")),
        // It would start, and go on without.
        Err(error) => (Verdict::Doubtful, "redis", format!("cluster.redis_url: {error}")),
    })
}

fn try_write(folder: &Path) -> io::Result<()> {
    let probe = folder.join(format!(".rivulet-check-{}", uuid::Uuid::new_v4().simple()));
    let written = fs::OpenOptions::new().write(true).create_new(true).open(&probe).and_then(|mut file| {
        file.write_all(b"x")?;
        file.sync_all()
    });
    match (written, fs::remove_file(&probe)) {
        (Err(error), _) | (Ok(()), Err(error)) => Err(error),
        (Ok(()), Ok(())) => Ok(()),
    }
}

/// One finding per target, in their order; all are asked at once.
fn assistant(assistant: &Assistant, share: Option<f64>) -> Finding {
    let Assistant { name, version, variant, prompt, model, knowledge, .. } = assistant;
    let tokens = prompt.as_ref().map_or(0, |prompt| llm::estimated_tokens(prompt.bytes()));
    let asked = if model.targets.is_empty() { "any model".to_owned() } else { model.targets.join(", ") };
    let documents = match knowledge.mode {
        KnowledgeMode::Off => "no documents".to_owned(),
        KnowledgeMode::Always => format!("documents of {}", knowledge.collections.join(", ")),
    };
    let name = match (variant, share) {
        (Some(variant), Some(share)) => format!("{name}, variant {variant} for {} %", share * 100.0),
        _ => name.clone(),
    };
    let text = format!(
        "{name}: version {version}, {tokens} tokens of prompt, asks {asked}, {documents}{}{}",
        tools(assistant),
        rules(assistant)
    );
    (Verdict::Good, "assistant", text)
}

/// Whether it answers without a model.
fn rules(assistant: &Assistant) -> String {
    assistant.rules.as_ref().map_or_else(String::new, |rules| format!(", rules for {} intents", rules.intents.len()))
}

/// Which tools it has, and what they cost with every question.
fn tools(assistant: &Assistant) -> String {
    let names: Vec<&str> = assistant.tools.offered.iter().map(Tool::name).collect();
    match names.is_empty() {
        true => String::new(),
        false => format!(", tools {} ({} tokens)", names.join(", "), Toolbox::of(&assistant.tools).tokens()),
    }
}

async fn models(config: &LlmConfig) -> Vec<Finding> {
    // A configuration that was loaded has nothing wrong with its targets.
    let targets = config.settled_targets().unwrap_or_default();
    if targets.is_empty() {
        let text = "none set: the built-in extractive model answers from the knowledge";
        return vec![(Verdict::Good, "model", text.to_owned())];
    }
    join_all(targets.iter().map(model)).await
}

async fn model(target: &TargetSettings) -> Finding {
    let TargetSettings { name, base_url, model, .. } = target;
    let named = if base_url.contains(name) { String::new() } else { format!("{name}: ") };
    let finding = |verdict, text: String| (verdict, "model", format!("{named}{model} at {base_url} {text}"));
    // The gateway's own: what it would not follow or pass through must not get the key here either.
    let client = match llm::client_for(base_url, PATIENCE) {
        Ok(client) => client,
        Err(error) => return finding(Verdict::Doubtful, format!("cannot be asked: {error}")),
    };
    let mut request = client.get(format!("{base_url}/models")).timeout(PATIENCE);
    if let Some(key) = &target.api_key {
        request = request.bearer_auth(key.expose());
    }
    for (name, value) in &target.headers {
        request = request.header(name, value.expose());
    }
    match request.send().await.map(|response| response.status()) {
        Ok(status) if status.is_success() => finding(Verdict::Good, "answers".to_owned()),
        Ok(status) if matches!(status.as_u16(), 401 | 403) => {
            let key = if target.api_key.is_some() { "refuses the key" } else { "wants a key" };
            finding(Verdict::Doubtful, format!("{key} ({status})"))
        }
        // Not every server lists its models.
        Ok(status) if status.is_client_error() => {
            finding(Verdict::Good, format!("answers (no list of models: {status})"))
        }
        Ok(status) => finding(Verdict::Doubtful, format!("answers {status}")),
        Err(error) => finding(Verdict::Doubtful, format!("does not answer: {}", cause(error))),
    }
}

fn cause(error: reqwest::Error) -> String {
    if error.is_timeout() { format!("nothing came within {} s", PATIENCE.as_secs()) } else { llm::innermost(error) }
}

fn knowledge(config: &KnowledgeConfig) -> Finding {
    let subject = "knowledge";
    if !config.enabled {
        return (Verdict::Good, subject, "switched off".to_owned());
    }
    let missing_paths = config.preload.iter().filter(|path| !path.exists()).map(|path| path.display().to_string());
    let missing_paths: Vec<_> = missing_paths.collect();
    if !missing_paths.is_empty() {
        return (Verdict::Doubtful, subject, format!("to be preloaded and not there: {}", missing_paths.join(", ")));
    }
    let Some(folder) = &config.model_dir else {
        let text = "knowledge.model_dir is not set: questions are not searched by meaning (`make run` sets it)";
        return (Verdict::Doubtful, subject, text.to_owned());
    };
    if let Err(error) = check_name(folder, &config.model) {
        return (Verdict::Doubtful, subject, format!("questions are not searched by meaning: {error}"));
    }
    let missing: Vec<_> = missing_files(folder).iter().map(|path| path.display().to_string()).collect();
    if missing.is_empty() {
        (Verdict::Good, subject, format!("{} in {}", config.model, folder.display()))
    } else {
        let text =
            format!("questions are not searched by meaning, for these files are missing: {}", missing.join(", "));
        (Verdict::Doubtful, subject, text)
    }
}

/// Whether the collector would take spans; an empty list of them is sent.
async fn spans(config: &Config) -> Option<Finding> {
    let endpoint = config.telemetry.otlp_endpoint.as_deref()?;
    let finding = |verdict, text: String| Some((verdict, "spans", format!("{endpoint} {text}")));
    let client = match llm::client_for(endpoint, PATIENCE) {
        Ok(client) => client,
        Err(error) => return finding(Verdict::Doubtful, format!("cannot be asked: {error}")),
    };
    let request = client.post(format!("{endpoint}/v1/traces")).header("content-type", "application/x-protobuf");
    // Not every server takes a body of unknown length.
    let request = request.header("content-length", "0");
    match request.timeout(PATIENCE).send().await.map(|response| response.status()) {
        Ok(status) if status.is_success() => finding(Verdict::Good, "takes them".to_owned()),
        Ok(status) => finding(Verdict::Doubtful, format!("answers {status}")),
        Err(error) => finding(Verdict::Doubtful, format!("does not answer: {}", cause(error))),
    }
}

#[cfg(test)]
mod tests;
