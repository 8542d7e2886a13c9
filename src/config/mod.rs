//! The configuration: `rivulet.toml`, then the environment, then flags; later wins. Checked as a whole before
//! a port is bound. Leaf of the house: everybody may use its own section, it uses nobody.
//!
//! `settings` declares every setting once, `choices` what some of them may be, `assistant` those of an assistant's
//! file, `instructions` what it is told, `intents` how it answers without a model, `variants` what is tried in it, `localized` texts in several languages, `mcp` servers with tools,
//! `derived` has what follows from several; `key` says what a value must be. `file`, `variables` and `world` put what they read into `layers`, `rules`
//! checks the whole, and `load` calls them in their order.

mod address;
mod assistant;
mod assistants;
mod beside;
mod choices;
mod declare;
mod derived;
mod error;
mod file;
mod instructions;
#[allow(unreachable_pub, dead_code, reason = "what the macros declare is public, with all that goes with it")]
mod intents;
mod key;
mod layers;
mod load;
mod localized;
mod mcp;
mod networks;
mod preset;
mod rules;
mod secret;
mod settings;
mod target;
#[cfg(test)]
mod tests;
mod tools;
mod variables;
mod variants;
mod world;

pub use self::{
    address::{is_loopback, server_url},
    assistant::{
        About, Allowed, Assistant, DEFAULT_ASSISTANT, Experiment, History, Knowing, Prompting, Remembering, Several,
        Tried, Variant, Visibility, Writing,
    },
    choices::{Abandon, DrawnBy, Environment, Extract, Fallback, KnowledgeMode, KnownTo, LogFormat, Unsupported},
    derived::{CacheRule, RateRules},
    error::{ConfigError, Origin, Refusal},
    instructions::{Facts, Instructions},
    load::{Loaded, Overrides},
    localized::Localized,
    mcp::{McpConfig, McpReach, McpServer, McpServerConfig, McpToken, McpTool, Pin, Pins, PinsError},
    preset::Preset,
    secret::Secret,
    settings::{
        ArtifactsConfig, AssistantsConfig, AuthConfig, Config, DatasetsConfig, KnowledgeConfig, LimitsConfig,
        LlmConfig, ServerConfig, SessionConfig, TargetConfig, TelemetryConfig,
    },
    target::{TargetFault, TargetSettings},
    tools::{
        Asks, BadPlace, BuiltIn, Calling, DocumentCall, Does, HttpCall, Location, Method, OwnTool, TODAY, Tool, Tools,
    },
    variables::environment,
};
