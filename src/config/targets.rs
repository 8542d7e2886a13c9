//! `llm.targets`: the ordered list of models that may answer, what their presets know, and what the short form
//! (`llm.base_url`, …) means in its terms. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{LlmConfig, Secret, rules::plain_url};

/// One target as it is written. What is not set comes from its preset, or from `llm.*`.
#[derive(Debug, Clone, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct TargetConfig {
    /// What errors, metrics and clients call it; the preset's name or the host when not set.
    pub name: Option<String>,
    /// The kind of server.
    pub preset: Option<Preset>,
    /// Base URL up to and without `/chat/completions`.
    pub base_url: Option<String>,
    /// Sent as a bearer token.
    pub api_key: Option<Secret>,
    /// The environment variable that has the key.
    pub api_key_env: Option<String>,
    /// The model's name at the provider.
    pub model: Option<String>,
    /// Headers of every request besides the usual ones.
    pub headers: BTreeMap<String, Secret>,
    /// Parameters that this server refuses, taken out of every request: `n`, or `messages[].name`.
    pub strip: Vec<String>,
    /// Whether the model goes on with an answer that it is given the beginning of.
    #[serde(rename = "continue")]
    pub continues: bool,
    /// Whether its answers begin with reasoning that no mark opens and `</think>` closes.
    pub begins_in_thought: bool,
    /// As `llm.connect_s`.
    pub connect_s: Option<f64>,
    /// As `llm.first_token_s`.
    pub first_token_s: Option<f64>,
    /// As `llm.gap_s`.
    pub gap_s: Option<f64>,
    /// As `llm.total_s`.
    pub total_s: Option<f64>,
    /// Its share of the runs among the neighbours in the list that have one, too.
    pub weight: Option<f64>,
    /// Price of a million input tokens, in whatever unit the operator counts.
    pub input_price: Option<f64>,
    /// Price of a million output tokens.
    pub output_price: Option<f64>,
}

/// Kinds of servers whose address and habits are known.
#[derive(Debug, Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Groq's cloud.
    Groq,
    /// OpenAI itself.
    OpenAi,
    /// Ollama on this machine.
    Ollama,
    /// llama.cpp's server on this machine.
    #[serde(rename = "llama.cpp")]
    LlamaCpp,
    /// vLLM on this machine.
    Vllm,
    /// OpenRouter's cloud.
    OpenRouter,
    /// LM Studio on this machine.
    LmStudio,
}

/// The names of all presets.
pub(super) const PRESETS: &[&str] = &["groq", "openai", "ollama", "llama.cpp", "vllm", "openrouter", "lmstudio"];

/// What is known of a kind of server.
struct Known {
    name: &'static str,
    base_url: &'static str,
    /// The variable in which the field keeps its key.
    key_env: Option<&'static str>,
    model: Option<&'static str>,
    strip: &'static [&'static str],
}

impl Preset {
    const ALL: [Self; 7] =
        [Self::Groq, Self::OpenAi, Self::Ollama, Self::LlamaCpp, Self::Vllm, Self::OpenRouter, Self::LmStudio];

    /// The preset with this address.
    fn at(base_url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.known().base_url == base_url.trim_end_matches('/'))
    }

    const fn known(self) -> Known {
        const NONE: &[&str] = &[];
        let (name, base_url, key_env, model, strip) = match self {
            Self::Groq => (
                "groq",
                "https://api.groq.com/openai/v1",
                Some("GROQ_API_KEY"),
                Some("llama-3.3-70b-versatile"),
                &["logprobs", "top_logprobs", "logit_bias", "n", "messages[].name"] as &[&str],
            ),
            Self::OpenAi => ("openai", "https://api.openai.com/v1", Some("OPENAI_API_KEY"), Some("gpt-4o-mini"), NONE),
            Self::Ollama => ("ollama", "http://127.0.0.1:11434/v1", None, None, NONE),
            // It serves one model and takes any name for it.
            Self::LlamaCpp => ("llama.cpp", "http://127.0.0.1:8080/v1", None, Some("default"), NONE),
            Self::Vllm => ("vllm", "http://127.0.0.1:8000/v1", None, None, NONE),
            Self::OpenRouter => ("openrouter", "https://openrouter.ai/api/v1", Some("OPENROUTER_API_KEY"), None, NONE),
            Self::LmStudio => ("lmstudio", "http://127.0.0.1:1234/v1", None, None, NONE),
        };
        Known { name, base_url, key_env, model, strip }
    }
}

/// One target with nothing left open. Times in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetSettings {
    /// What errors, metrics and clients call it.
    pub name: String,
    /// The kind of server, in the words of OpenTelemetry: the preset's name, or that of the preset with the same
    /// address, or else `openai`, whose interface it has.
    pub provider: &'static str,
    /// Base URL up to and without `/chat/completions`.
    pub base_url: String,
    /// Sent as a bearer token.
    pub api_key: Option<Secret>,
    /// The model's name at the provider.
    pub model: String,
    /// Headers of every request besides the usual ones.
    pub headers: BTreeMap<String, Secret>,
    /// Parameters that are taken out of every request.
    pub strip: Vec<String>,
    /// Whether the model goes on with an answer that it is given the beginning of.
    pub continues: bool,
    /// Whether its answers begin with reasoning that no mark opens.
    pub begins_in_thought: bool,
    /// Until the connection stands.
    pub connect_s: f64,
    /// Until the model says something.
    pub first_token_s: f64,
    /// Between two signs of life.
    pub gap_s: f64,
    /// For the whole answer.
    pub total_s: f64,
    /// Its share of the runs among its neighbours that have one.
    pub weight: Option<f64>,
    /// Prices of a million input and output tokens.
    pub prices: Option<(f64, f64)>,
}

/// What is wrong with a target: its place in the list from 0 (`None`: the short form), the setting, what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetFault {
    /// The place in `llm.targets`, from 0.
    pub at: Option<usize>,
    /// The setting.
    pub setting: &'static str,
    /// What it must be.
    pub expected: &'static str,
}

impl TargetFault {
    /// The key, as messages name it; targets are counted from 1.
    #[must_use]
    pub fn key(&self) -> String {
        match self.at {
            Some(at) => format!("llm.targets[{}].{}", at + 1, self.setting),
            None => format!("llm.{}", self.setting),
        }
    }
}

impl LlmConfig {
    /// The targets in their order, with nothing left open: `llm.targets`, or the one of the short form, or none.
    ///
    /// # Errors
    /// The first [`TargetFault`].
    pub fn settled_targets(&self) -> Result<Vec<TargetSettings>, TargetFault> {
        if self.targets.is_empty() {
            let Some(base_url) = &self.base_url else { return Ok(Vec::new()) };
            let short = TargetConfig {
                base_url: Some(base_url.clone()),
                api_key: self.api_key.clone(),
                model: self.model.clone(),
                ..TargetConfig::default()
            };
            return Ok(vec![self.settle(&short, None)?]);
        }
        let mut settled: Vec<TargetSettings> = Vec::new();
        for (at, target) in self.targets.iter().enumerate() {
            let target = self.settle(target, Some(at))?;
            if settled.iter().any(|other| other.name == target.name) {
                let expected = "a name of its own, different from the other targets'";
                return Err(TargetFault { at: Some(at), setting: "name", expected });
            }
            settled.push(target);
        }
        Ok(settled)
    }

    fn settle(&self, target: &TargetConfig, at: Option<usize>) -> Result<TargetSettings, TargetFault> {
        let wrong = |setting, expected| TargetFault { at, setting, expected };
        let preset = target.preset.map(Preset::known);
        let url = target.base_url.as_deref().or(preset.as_ref().map(|known| known.base_url));
        let url = url.ok_or_else(|| wrong("base_url", "set, for there is no preset that knows it"))?;
        let base_url = plain_url(url).map_err(|expected| wrong("base_url", expected))?;
        let own_name = preset.as_ref().filter(|_| target.base_url.is_none()).map(|known| known.name.to_owned());
        let at_known = Preset::at(&base_url).map(Preset::known);
        let known = preset.or(at_known);
        let model = target.model.as_deref().or(known.as_ref().and_then(|known| known.model));
        let mut strip: Vec<String> = known.iter().flat_map(|known| known.strip).map(|&name| name.to_owned()).collect();
        strip.extend(target.strip.iter().cloned());
        if target.api_key.as_ref().is_some_and(|key| !key.expose().bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(wrong("api_key", "letters, digits and signs of ASCII without blanks"));
        }
        Ok(TargetSettings {
            name: target.name.clone().or(own_name).unwrap_or_else(|| host(&base_url).to_owned()),
            provider: known.as_ref().map_or("openai", |known| known.name),
            api_key: target.api_key.clone(),
            model: model.ok_or_else(|| wrong("model", "set to the model's name at the server"))?.to_owned(),
            headers: target.headers.clone(),
            strip,
            continues: target.continues,
            begins_in_thought: target.begins_in_thought,
            connect_s: target.connect_s.unwrap_or(self.connect_s),
            first_token_s: target.first_token_s.unwrap_or(self.first_token_s),
            gap_s: target.gap_s.unwrap_or(self.gap_s),
            total_s: target.total_s.unwrap_or(self.total_s),
            weight: target.weight,
            prices: match (target.input_price, target.output_price) {
                (None, None) => None,
                (input, output) => Some((input.unwrap_or(0.0), output.unwrap_or(0.0))),
            },
            base_url,
        })
    }
}

/// Gives every target of the list its key: its own, the variable's that it names, or the one in which the field keeps
/// the key of its preset. That one goes to the preset's own address and nowhere else.
pub(super) fn find_keys(targets: &mut [TargetConfig], env: &BTreeMap<String, String>) -> Result<(), TargetFault> {
    let value = |name: &str| env.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
    for (at, target) in targets.iter_mut().enumerate() {
        let wrong = |setting, expected| TargetFault { at: Some(at), setting, expected };
        match (&target.api_key, &target.api_key_env) {
            (Some(_), Some(_)) => return Err(wrong("api_key_env", "left out, for api_key is set too")),
            (Some(_), None) => {}
            (None, Some(name)) => {
                let key = value(name).ok_or_else(|| wrong("api_key_env", "the name of a variable that is set"))?;
                target.api_key = Some(Secret::new(key));
            }
            (None, None) if target.base_url.is_none() => {
                let known = target.preset.and_then(|preset| preset.known().key_env);
                target.api_key = known.and_then(value).map(Secret::new);
            }
            (None, None) => {}
        }
    }
    Ok(())
}

/// Host and port of an address that was checked.
fn host(base_url: &str) -> &str {
    let host = base_url.split("//").nth(1).unwrap_or(base_url);
    host.split('/').next().unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_without_a_name_has_its_hosts() {
        assert_eq!(host("https://api.groq.com/openai/v1"), "api.groq.com");
        assert_eq!(host("http://127.0.0.1:11434"), "127.0.0.1:11434");
    }

    #[test]
    fn the_list_of_names_is_the_enums() {
        let names: Vec<_> = Preset::ALL.iter().map(|preset| preset.known().name).collect();
        assert_eq!(names, PRESETS);
        for name in PRESETS {
            let read: TargetConfig = toml::from_str(&format!("preset = \"{name}\"")).unwrap();
            assert_eq!(read.preset.map(|preset| preset.known().name), Some(*name));
        }
    }
}
