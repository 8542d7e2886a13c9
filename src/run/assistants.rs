//! The assistants on offer, as the configuration has them at the moment, with their tools. Uses `config`, `telemetry`, `tools`,
//! and `llm`'s plain values.

use std::{
    collections::{BTreeMap, HashMap},
    iter::once,
    sync::Arc,
};

use parking_lot::RwLock;

use crate::{
    chat::Status,
    config::{Assistant, Config},
    llm::{Choice, Parameters},
    telemetry::{
        metrics::{ASSISTANT_RUNS, RUNS},
        recorder,
    },
    tools::Toolbox,
};

/// The assistants on offer. An answer that is being written goes on with the one that it began with.
#[derive(Debug)]
pub struct Assistants(RwLock<Offer>);

#[derive(Debug)]
struct Offer {
    default: Arc<Assistant>,
    all: BTreeMap<String, Arc<Assistant>>,
    /// The tools of each, by name and version; their connections are kept.
    toolboxes: HashMap<(String, String), Arc<Toolbox>>,
}

impl Assistants {
    /// Those of a configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self(RwLock::new(Offer::of(config)))
    }

    /// From now on those of this one.
    pub fn change(&self, config: &Config) {
        *self.0.write() = Offer::of(config);
    }

    /// The one of this name, or the default; `None` when it is not on offer.
    #[must_use]
    pub fn get(&self, name: Option<&str>) -> Option<Arc<Assistant>> {
        let offer = self.0.read();
        match name {
            None => Some(offer.default.clone()),
            Some(name) => offer.all.get(name).cloned(),
        }
    }

    /// The tools of an assistant; `None` when it has none.
    #[must_use]
    pub fn toolbox(&self, assistant: &Assistant) -> Option<Arc<Toolbox>> {
        if assistant.tools.offered.is_empty() {
            return None;
        }
        let known = self.0.read().toolboxes.get(&(assistant.name.clone(), assistant.version.clone())).cloned();
        // One that is on offer no more has its last questions to answer.
        Some(known.unwrap_or_else(|| Arc::new(Toolbox::of(&assistant.tools))))
    }

    /// Who answers those who ask for nobody in particular.
    #[must_use]
    pub fn default_one(&self) -> Arc<Assistant> {
        self.0.read().default.clone()
    }

    /// All of them, by name, the default first.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Assistant>> {
        let offer = self.0.read();
        let others = offer.all.values().filter(|other| other.name != offer.default.name);
        once(&offer.default).chain(others).cloned().collect()
    }
}

impl Default for Assistants {
    fn default() -> Self {
        Self::of(&Config::default())
    }
}

impl Offer {
    fn of(config: &Config) -> Self {
        let offered = config.offered.iter().map(|one| (one.name.clone(), Arc::new(one.clone())));
        let mut all: BTreeMap<_, _> = offered.collect();
        let default = all.get(&config.assistants.default).cloned().unwrap_or_else(|| Arc::new(Assistant::plain()));
        // Nothing is said of it in a file, or it is one of them.
        all.entry(default.name.clone()).or_insert_with(|| default.clone());
        recorder::begin_known(&[("tool", "none")]);
        for server in &config.mcp.servers {
            recorder::begin_known(&[("server", &server.name)]);
        }
        let mut toolboxes = HashMap::new();
        for one in all.values() {
            for Assistant { name, version, variant, tools, .. } in
                once(one).chain(one.variants.iter().map(|one| &one.assistant)).map(|one| &**one)
            {
                let variant = variant.as_deref().unwrap_or_default();
                recorder::begin_known(&[("assistant", name), ("version", version), ("variant", variant)]);
                for tool in &tools.offered {
                    recorder::begin_known(&[("tool", tool.name())]);
                }
                if !tools.offered.is_empty() {
                    toolboxes.insert((name.clone(), version.clone()), Arc::new(Toolbox::of(tools)));
                }
            }
        }
        Self { default, all, toolboxes }
    }
}

/// A run of an assistant has ended.
pub fn count_ended(assistant: &Assistant, status: Status) {
    metrics::counter!(RUNS, "status" => status.as_str()).increment(1);
    let (name, version) = (assistant.name.clone(), assistant.version.clone());
    let variant = assistant.variant.clone().unwrap_or_default();
    metrics::counter!(
        ASSISTANT_RUNS, "assistant" => name, "version" => version, "variant" => variant, "status" => status.as_str()
    )
    .increment(1);
}

/// How an assistant's answers are written, as far as the caller leaves that open.
pub(super) fn parameters(assistant: &Assistant, asked: &Arc<Parameters>) -> Arc<Parameters> {
    let (temperature, top_p) = (assistant.model.temperature, assistant.model.top_p);
    if temperature.is_none() && top_p.is_none() {
        return asked.clone();
    }
    Arc::new(Parameters {
        temperature: asked.temperature.or(temperature),
        top_p: asked.top_p.or(top_p),
        ..(**asked).clone()
    })
}

/// Who may write for it.
pub(super) fn choice(assistant: &Assistant) -> Choice {
    let (targets, rules) = (assistant.model.targets.as_slice().into(), assistant.rules.clone());
    Choice { targets, fallback: assistant.fallback(), rules }
}
