//! What of the configuration can change while the gateway runs: limits, models, keys, the log's level, certificates. Whatever
//! comes is taken over whole or not at all.

use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::{error, info, warn};

use crate::{
    auth::{Authenticator, KeyError},
    config::{AuthConfig, Config, LlmConfig, Loaded, McpConfig, Refusal, TelemetryConfig},
    http::{Clients, Tls, TlsError, TlsFiles},
    hub::Hub,
    limits::Capacity,
    llm::{
        ChatModel, Current, StandIn, TargetsError,
        cache::{Answers, Cached},
        targets::Targets,
    },
    run::Runner,
    store::{SpendingStore, StoreError},
    telemetry::{
        logging::{Log, LoggingError},
        metrics::CONFIG_RELOADS,
    },
};

/// Why a configuration is not taken over.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChangeError {
    /// It is refused.
    #[error(transparent)]
    Config(#[from] Refusal),
    /// Its models cannot be asked.
    #[error(transparent)]
    Targets(#[from] TargetsError),
    /// Tokens could not be checked.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// There would be no TLS.
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    /// What was spent today cannot be read, which new budgets need.
    #[error("the store cannot be read: {0}")]
    Store(#[from] StoreError),
    /// Its log level is none.
    #[error(transparent)]
    Logging(#[from] LoggingError),
}

/// The parts that can change, and what they follow now.
pub(super) struct Live {
    pub(super) config: Config,
    pub(super) log: Log,
    pub(super) auth: Arc<Authenticator>,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) connections: Arc<Capacity>,
    pub(super) clients: Arc<Clients>,
    pub(super) hub: Arc<Hub>,
    pub(super) runner: Arc<Runner>,
    pub(super) model: Arc<Current>,
    pub(super) answers: Option<Arc<Answers>>,
    pub(super) spending: Arc<dyn SpendingStore>,
}

impl Live {
    /// Takes over what comes, until nothing can come any more.
    pub(super) async fn follow(mut self, mut changes: mpsc::Receiver<Result<Loaded, Refusal>>) {
        while let Some(read) = changes.recv().await {
            let taken = match read {
                Ok(loaded) => self.take_over(loaded).await,
                Err(refusal) => Err(refusal.into()),
            };
            let outcome = match taken {
                Ok(()) => "taken",
                Err(error) => {
                    error!(%error, "the configuration stays as it was");
                    "refused"
                }
            };
            metrics::counter!(CONFIG_RELOADS, "outcome" => outcome).increment(1);
        }
    }

    async fn take_over(&mut self, loaded: Loaded) -> Result<(), ChangeError> {
        let Loaded { config: new, warnings, .. } = loaded;
        for warning in warnings {
            warn!("{warning}");
        }
        let next = followed(&self.config, &new);
        // What can fail comes first.
        let model = if next.llm == self.config.llm { None } else { Some(model(&next.llm, self.answers.as_ref())?) };
        // Read again when the settings are the same, too: what the files hold may be new.
        let keys = self.auth.read_keys(&next.auth)?;
        let certificate = TlsFiles::of(&next).filter(|_| self.tls.is_some()).map(|files| files.read()).transpose()?;
        self.runner.budgets.change(&next.limits, &*self.spending).await?;
        self.log.change_level(&next.telemetry.log_level)?;
        self.auth.change_keys(keys);
        if let (Some(tls), Some(certificate)) = (&self.tls, certificate) {
            tls.change(certificate);
        }
        self.runner.rates.change(next.rate_rules());
        self.runner.line.change(&next.limits);
        self.connections.set_most(next.limits.connections);
        self.clients.set_most_per_address(next.connections_per_ip());
        self.hub.set_most_sessions(next.limits.sessions);
        if let Some(model) = model {
            self.model.change(model);
        }
        self.runner.assistants.change(&next);
        let servers: Vec<&str> = next.mcp.servers.iter().map(|server| server.name.as_str()).collect();
        self.runner.tools.keep_servers(&servers);
        let waiting = not_followed(&next, &new);
        if waiting.is_empty() {
            info!(model = %self.model.name(), "the configuration was read again");
        } else {
            warn!(
                model = %self.model.name(),
                "the configuration was read again; what is new in {} waits for the next start",
                waiting.join(", ")
            );
        }
        self.config = next;
        Ok(())
    }
}

/// What answers, as `llm.*` says, and gives again what gateways with the same settings have in `answers`.
pub(super) fn model(llm: &LlmConfig, answers: Option<&Arc<Answers>>) -> Result<Arc<dyn ChatModel>, TargetsError> {
    let model: Arc<dyn ChatModel> = match Targets::from_config(llm)? {
        Some(targets) => Arc::new(targets),
        None => Arc::new(StandIn::default()),
    };
    Ok(match (llm.cache(), answers) {
        (Some(rule), Some(all)) => Arc::new(Cached::together(model, rule, all.clone(), &llm.of_answers())),
        (Some(rule), None) => Arc::new(Cached::new(model, rule)),
        (None, _) => model,
    })
}

/// `new` as far as it can be followed, and `old` in everything else.
fn followed(old: &Config, new: &Config) -> Config {
    let mut next = old.clone();
    next.limits = new.limits.clone();
    (next.assistants, next.offered) = (new.assistants.clone(), new.offered.clone());
    // What is served is the routes'.
    next.mcp = McpConfig { serve: old.mcp.serve, resource: old.mcp.resource.clone(), ..new.mcp.clone() };
    next.llm = LlmConfig {
        // The runner's, the routes' and the knowledge base's.
        max_output_tokens: old.llm.max_output_tokens,
        unsupported: old.llm.unsupported,
        cache_ttl_s: old.llm.cache_ttl_s,
        cache_entries: old.llm.cache_entries,
        cache_shared: old.llm.cache_shared,
        ..new.llm.clone()
    };
    // With another one of these, the new keys alone might let nobody in: then all of it waits.
    if (new.auth.required, &new.auth.jwks_url) == (old.auth.required, &old.auth.jwks_url) {
        next.auth = AuthConfig {
            sign_in_url: old.auth.sign_in_url.clone(),
            audit_days: old.auth.audit_days,
            ..new.auth.clone()
        };
    }
    next.telemetry = TelemetryConfig { log_level: new.telemetry.log_level.clone(), ..next.telemetry };
    if TlsFiles::of(old).is_some() && TlsFiles::of(new).is_some() {
        next.server.tls_cert = new.server.tls_cert.clone();
        next.server.tls_key = new.server.tls_key.clone();
    }
    next
}

/// The sections in which `new` says something else.
fn not_followed(next: &Config, new: &Config) -> Vec<&'static str> {
    let sections = [
        ("server", next.server != new.server),
        ("session", next.session != new.session),
        ("mcp", next.mcp != new.mcp),
        ("store", next.store != new.store),
        ("cluster", next.cluster != new.cluster),
        ("llm", next.llm != new.llm),
        ("knowledge", next.knowledge != new.knowledge),
        ("datasets", next.datasets != new.datasets),
        ("auth", next.auth != new.auth),
        ("telemetry", next.telemetry != new.telemetry),
    ];
    sections.into_iter().filter(|(_, differs)| *differs).map(|(section, _)| section).collect()
}
