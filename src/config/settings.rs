//! Every setting, once: its name, its type, its default and what it must be. The file, the environment and the checks
//! read this table; docs/configuration.md and `rivulet.toml` are held against it. Pure.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use super::{
    assistant::{Assistant, DEFAULT_ASSISTANT},
    choices::{Abandon, Environment, Fallback, LogFormat, Unsupported},
    declare::{self, section},
    key::{Key, Kind},
    layers::Sections,
    mcp::McpConfig,
    networks,
    preset::Preset,
    secret::Secret,
};
use ipnet::IpNet;
use serde::Deserialize;

const YEAR_S: i64 = 366 * 24 * 3600;
/// More targets than anybody lists; each has a connection pool.
const MAX_TARGETS: usize = 32;
/// More tokens than anybody pays for on a day.
const TOKENS: Kind = Kind::Integer(0, 1_000_000_000_000);

/// Everything that can be set. docs/configuration.md explains each.
#[derive(Debug, Clone, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where and how the gateway listens.
    pub server: ServerConfig,
    /// How long conversations live.
    pub session: SessionConfig,
    /// Where they are kept.
    pub store: StoreConfig,
    /// How several gateways reach one another.
    pub cluster: ClusterConfig,
    /// The model and its clocks.
    pub llm: LlmConfig,
    /// The knowledge base.
    pub knowledge: KnowledgeConfig,
    /// Tables that somebody has brought.
    pub datasets: DatasetsConfig,
    /// Who may use it.
    pub auth: AuthConfig,
    /// What one gateway takes on.
    pub limits: LimitsConfig,
    /// Logs and spans.
    pub telemetry: TelemetryConfig,
    /// Where assistants are described.
    pub assistants: AssistantsConfig,
    /// Servers whose tools they may have.
    pub mcp: McpConfig,
    /// How long what their tools make is kept.
    pub artifacts: ArtifactsConfig,
    /// Those that were found there.
    #[serde(skip)]
    pub offered: Vec<Assistant>,
}

/// All settings, in the order of `rivulet.toml`.
pub(super) const SECTIONS: Sections = &[
    ServerConfig::KEYS,
    SessionConfig::KEYS,
    StoreConfig::KEYS,
    ClusterConfig::KEYS,
    LlmConfig::KEYS,
    AssistantsConfig::KEYS,
    McpConfig::KEYS,
    ArtifactsConfig::KEYS,
    KnowledgeConfig::KEYS,
    DatasetsConfig::KEYS,
    AuthConfig::KEYS,
    LimitsConfig::KEYS,
    TelemetryConfig::KEYS,
];

section! {
    /// `server.*`
    "server" ServerConfig {
        /// Address and port. Port 0 takes a free one.
        bind: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8080)), Kind::Address;
        /// What the gateway insists on.
        environment: Environment = Environment::Development, Kind::OneOf(Environment::NAMES);
        /// Folder of the SQLite file and of the LanceDB folder.
        data_dir: PathBuf = "./data".into(), Kind::Path;
        /// Exact origins that may open sockets and read answers besides the gateway's own; `*` allows every one.
        allowed_origins: Vec<String> = Vec::new(), Kind::List;
        /// Proxies whose `X-Forwarded-For` is believed; IPv4-mapped networks are those of IPv4.
        #[serde(deserialize_with = "networks::deserialize")]
        trusted_proxies: Vec<IpNet> = Vec::new(), Kind::Networks;
        /// Whether nobody reaches the address but by a proxy that has TLS.
        behind_proxy: bool = false, Kind::Switch;
        /// Address and port of what is for administrators; not set: it is at `bind` too.
        admin_bind: Option<SocketAddr> = None, Kind::Address;
        /// File with the certificate, and those that lead to a known one, in PEM; not set: no TLS.
        tls_cert: Option<PathBuf> = None, Kind::Path;
        /// File with its key, in PEM.
        tls_key: Option<PathBuf> = None, Kind::Path;
        /// Seconds that running answers get to finish after SIGTERM.
        drain_s: u64 = 30, Kind::Integer(0, 3600);
    }
}

section! {
    /// `session.*`
    "session" SessionConfig {
        /// Seconds after which a session without viewers and runs leaves memory.
        idle_s: u64 = 600, Kind::Integer(1, YEAR_S);
        /// Seconds after its last use at which a session is deleted.
        ttl_s: u64 = 30 * 24 * 3600, Kind::Integer(1, 100 * YEAR_S);
        /// What becomes of an answer that nobody watches any more.
        abandon: Abandon = Abandon::Finish, Kind::OneOf(Abandon::NAMES);
        /// With `abandon = "stop"`: seconds without a viewer after which it is stopped.
        abandon_s: u64 = 60, Kind::Integer(0, YEAR_S);
        /// Messages of the conversation given to the model.
        history_messages: usize = 50, Kind::Integer(1, 500);
    }
}

section! {
    /// `store.*`
    "store" StoreConfig {
        /// A PostgreSQL database that several gateways share; not set: the SQLite file in the data folder.
        database_url: Option<Secret> = None, Kind::Secret;
    }
}

section! {
    /// `cluster.*`
    "cluster" ClusterConfig {
        /// A Redis or Valkey over which several gateways with one database tell one another what happens; not set: none.
        redis_url: Option<Secret> = None, Kind::Secret;
    }
}

section! {
    /// `llm.*`: OpenAI-compatible targets, or none, and then the extractive model answers.
    "llm" LlmConfig {
        /// Base URL up to and without `/chat/completions`.
        base_url: Option<String> = None, Kind::Url;
        /// Sent as a bearer token.
        api_key: Option<Secret> = None, Kind::Secret;
        /// The model's name at the provider.
        model: Option<String> = None, Kind::Text;
        /// The models that may answer, in the order of preference; instead of the three above.
        targets: Vec<TargetConfig> = Vec::new(), Kind::Entries("target", MAX_TARGETS, TargetConfig::KEYS);
        /// Seconds until the connection stands.
        connect_s: f64 = 5.0, CONNECT_S;
        /// Seconds until the first visible text.
        first_token_s: f64 = 30.0, TOKEN_S;
        /// Seconds between two pieces of text.
        gap_s: f64 = 15.0, TOKEN_S;
        /// Seconds for the whole answer.
        total_s: f64 = 300.0, DAY_S;
        /// Further attempts at a target that failed before its first visible text.
        retries: u32 = 2, Kind::Integer(0, 10);
        /// Seconds from the start of an answer within which they begin; a longer `Retry-After` is not waited for.
        retry_s: f64 = 15.0, Kind::Number(0.0, 3600.0);
        /// Failed runs in a row after which a target is left alone; when there is a rate, that counts instead.
        breaker_failures: u32 = 3, Kind::Integer(1, 1000);
        /// The share of failed runs at which a target is left alone.
        breaker_rate: Option<f64> = None, Kind::Number(0.01, 1.0);
        /// The newest runs that the rate looks at; fewer open nothing.
        breaker_requests: usize = 20, Kind::Integer(1, 1000);
        /// Seconds for which it is left alone; then one run tries it.
        breaker_open_s: f64 = 300.0, DAY_S;
        /// Who answers when no target does.
        fallback: Fallback = Fallback::None, Kind::OneOf(Fallback::OF_ALL);
        /// The most tokens of an answer.
        max_output_tokens: u32 = 1024, Kind::Integer(1, 1_000_000);
        /// What becomes of a request to `/v1` for what a text may stand in for.
        unsupported: Unsupported = Unsupported::Refuse, Kind::OneOf(Unsupported::NAMES);
        /// Seconds for which an answer is given again to who asks the same; 0: not at all.
        cache_ttl_s: f64 = 900.0, Kind::Number(0.0, 86_400.0);
        /// The most answers that are kept for that; 0: none.
        cache_entries: u64 = 1000, Kind::Integer(0, 100_000);
        /// Whether users of one tenant are given each other's answers.
        cache_shared: bool = false, Kind::Switch;
    }
}

/// The bounds of clocks, of all targets and of one.
const CONNECT_S: Kind = Kind::Number(0.001, 300.0);
const TOKEN_S: Kind = Kind::Number(0.001, 3600.0);
const DAY_S: Kind = Kind::Number(0.001, 86_400.0);
const PRICE: Kind = Kind::Number(0.0, 1_000_000.0);

section! {
    /// One target as it is written. What is not set comes from its preset, or from `llm.*`.
    "" TargetConfig {
        /// What errors, metrics and clients call it; the preset's name or the host when not set.
        name: Option<String> = None, Kind::Line;
        /// The kind of server.
        preset: Option<Preset> = None, Kind::OneOf(Preset::NAMES);
        /// Base URL up to and without `/chat/completions`.
        base_url: Option<String> = None, Kind::Url;
        /// Sent as a bearer token.
        api_key: Option<Secret> = None, Kind::Secret;
        /// The environment variable that has the key.
        api_key_env: Option<String> = None, Kind::Text;
        /// The model's name at the provider.
        model: Option<String> = None, Kind::Line;
        /// Headers of every request besides the usual ones.
        headers: BTreeMap<String, Secret> = BTreeMap::new(), Kind::Headers;
        /// Parameters that this server refuses, taken out of every request: `n`, or `messages[].name`.
        strip: Vec<String> = Vec::new(), Kind::List;
        /// Whether the model goes on with an answer that it is given the beginning of.
        continues as "continue": bool = false, Kind::Switch;
        /// Whether its answers begin with reasoning that no mark opens and `</think>` closes.
        begins_in_thought: bool = false, Kind::Switch;
        /// Whether the model can call tools; one that cannot is passed by when some are offered.
        tools: bool = true, Kind::Switch;
        /// As `llm.connect_s`.
        connect_s: Option<f64> = None, CONNECT_S;
        /// As `llm.first_token_s`.
        first_token_s: Option<f64> = None, TOKEN_S;
        /// As `llm.gap_s`.
        gap_s: Option<f64> = None, TOKEN_S;
        /// As `llm.total_s`.
        total_s: Option<f64> = None, DAY_S;
        /// Its share of the runs among the neighbours in the list that have one, too.
        weight: Option<f64> = None, Kind::Number(0.001, 1000.0);
        /// Price of a million input tokens, in whatever unit the operator counts.
        input_price: Option<f64> = None, PRICE;
        /// Price of a million output tokens.
        output_price: Option<f64> = None, PRICE;
    }
}

section! {
    /// `assistants.*`
    "assistants" AssistantsConfig {
        /// Folder with a file for each; not there, when nobody has named another one: there is none.
        dir: PathBuf = "./assistants".into(), Kind::Path;
        /// Who answers those who ask for nobody in particular.
        default: String = DEFAULT_ASSISTANT.to_owned(), Kind::Line;
    }
}

section! {
    /// `artifacts.*`
    "artifacts" ArtifactsConfig {
        /// Days after which a file that a tool has made goes.
        keep_days: u32 = 7, Kind::Integer(1, 3660);
        /// The most such files of a user; of those who need not say who they are, of a session.
        keep: usize = 100, Kind::Integer(1, 10_000);
    }
}

section! {
    /// `knowledge.*`
    "knowledge" KnowledgeConfig {
        /// Whether questions are answered from a knowledge base.
        enabled: bool = true, Kind::Switch;
        /// Where LanceDB keeps it; `<data_dir>/lancedb` when not set.
        uri: Option<String> = None, Kind::Text;
        /// Folder with `model.onnx`, its weights and tokenizer files; `make run` sets it.
        model_dir: Option<PathBuf> = None, Kind::Path;
        /// Name of the embedding model, kept with the index so that vectors of two models never mix.
        model: String = "all-MiniLM-L6-v2".to_owned(), Kind::Text;
        /// Passages given to the model.
        top_k: usize = 5, Kind::Integer(1, 50);
        /// Passages that fit worse are left out, 0 to 1. The default is where, in the sample, questions about the
        /// documents part from questions about anything else.
        min_score: f32 = 0.45, Kind::Number(0.0, 1.0);
        /// Whether the model is asked before the search what a question is about that goes on from earlier ones.
        rewrite: bool = false, Kind::Switch;
        /// Files and folders that are ingested at start, in the background; unchanged ones cost nothing.
        preload: Vec<PathBuf> = Vec::new(), Kind::List;
        /// The most bytes of a document that somebody sends.
        upload_bytes: u64 = 10 << 20, Kind::Integer(1, 10 << 20);
        /// The most documents of a tenant.
        documents: u64 = 10_000, Kind::Integer(1, 1_000_000);
        /// Hours after which no byte of a deleted document is left.
        erase_h: u64 = 24, Kind::Integer(0, 8760);
    }
}

section! {
    /// `datasets.*`
    "datasets" DatasetsConfig {
        /// Where they are; `<data_dir>/datasets` when not set. Gateways with one database share it, or take none in.
        dir: Option<PathBuf> = None, Kind::Path;
        /// Files that everybody can ask, read at start, in the background.
        preload: Vec<PathBuf> = Vec::new(), Kind::List;
        /// The most bytes of a file that somebody brings.
        upload_bytes: u64 = 10 << 20, Kind::Integer(1, 10 << 20);
        /// The most datasets of a user.
        per_user: usize = 20, Kind::Integer(1, 1000);
        /// Days after which they go.
        ttl_days: u64 = 30, Kind::Integer(1, 3660);
    }
}

section! {
    /// `auth.*`
    "auth" AuthConfig {
        /// Whether everybody has to say who they are.
        required: bool = false, Kind::Switch;
        /// What tokens are signed with, by HMAC-SHA-256.
        jwt_secret: Option<Secret> = None, Kind::Secret;
        /// Another secret that tokens may be signed with, while the last ones of it are not over yet.
        previous_jwt_secret: Option<Secret> = None, Kind::Secret;
        /// Files with public keys in PEM, whose holders make tokens, too.
        public_keys: Vec<PathBuf> = Vec::new(), Kind::List;
        /// Where a maker of tokens publishes its public keys.
        jwks_url: Option<String> = None, Kind::Url;
        /// The `iss` that tokens must have; not set: any.
        issuer: Option<String> = None, Kind::Text;
        /// The `aud` that tokens must have; not set: none.
        audience: Option<String> = None, Kind::Text;
        /// Where a browser gets a token for the page; not set: nowhere.
        sign_in_url: Option<String> = None, Kind::Url;
        /// Days after which entries of the audit log go.
        audit_days: u32 = 400, Kind::Integer(1, 3660);
    }
}

section! {
    /// `limits.*`
    "limits" LimitsConfig {
        /// The most open connections; 0 = no limit.
        connections: usize = 50_000, Kind::Integer(0, 1_000_000);
        /// The most connections of one client address; 0 = no limit. Not set: see [`Config::connections_per_ip`].
        connections_per_ip: Option<usize> = None, Kind::Integer(0, 1_000_000);
        /// Requests of one principal, or one address, within `window_s`; 0 = no limit. Not set: see
        /// [`Config::rate_rules`], as with those that follow.
        requests: Option<u64> = None, Kind::Integer(0, 1_000_000);
        /// In seconds.
        window_s: u64 = 60, Kind::Integer(1, 86_400);
        /// Questions of one principal, or one address, and in one session, in a minute; 0 = no limit.
        messages_per_min: Option<u64> = None, Kind::Integer(0, 1_000_000);
        /// Sessions that one principal, or one address, may begin in an hour; 0 = no limit.
        sessions_per_hour: Option<u64> = None, Kind::Integer(0, 1_000_000);
        /// Documents that one principal, or one address, may send in an hour; 0 = no limit.
        uploads_per_hour: Option<u64> = None, Kind::Integer(0, 1_000_000);
        /// The most sessions in memory; 0 = no limit.
        sessions: usize = 100_000, Kind::Integer(0, 10_000_000);
        /// The most answers being written at once; 0 = no limit.
        runs: usize = 0, Kind::Integer(0, 1_000_000);
        /// The most answers of one user being written at once; 0 = no limit.
        runs_per_user: usize = 0, Kind::Integer(0, 1_000_000);
        /// The most answers that wait for their turn because of these two.
        waiting_runs: usize = 1000, Kind::Integer(0, 1_000_000);
        /// Tokens that a user may spend in a minute; 0 = no limit.
        tokens_per_min: u64 = 0, TOKENS;
        /// Tokens that a user may spend on a day of UTC; 0 = no limit.
        tokens_per_day: u64 = 0, TOKENS;
        /// Tokens that the users of a tenant may spend together in a minute; 0 = no limit.
        tenant_tokens_per_min: u64 = 0, TOKENS;
        /// Tokens that the users of a tenant may spend together on a day of UTC; 0 = no limit.
        tenant_tokens_per_day: u64 = 0, TOKENS;
    }
}

section! {
    /// `telemetry.*`
    "telemetry" TelemetryConfig {
        /// `pretty` or `json`; not set: `pretty` in development, `json` in production.
        log_format: Option<LogFormat> = None, Kind::OneOf(LogFormat::NAMES);
        /// A level or a `tracing` filter.
        log_level: String = "info".to_owned(), Kind::Text;
        /// The address of an OpenTelemetry collector, without the path; not set: spans go nowhere.
        otlp_endpoint: Option<String> = None, Kind::Url;
    }
}
