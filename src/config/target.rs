//! The ordered list of models that may answer: what `llm.targets` and its presets come to, and what the short form
//! (`llm.base_url`, …) means in its terms. Pure.

use std::collections::BTreeMap;

use super::{
    address::{authority, plain_url},
    preset::Preset,
    secret::Secret,
    settings::{LlmConfig, TargetConfig},
};

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
    /// Whether the model can call tools.
    pub tools: bool,
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
        let url = target.base_url.as_deref().or(target.preset.map(|preset| preset.known().base_url));
        let url = url.ok_or_else(|| wrong("base_url", "set, for there is no preset that knows it"))?;
        let base_url = plain_url(url).map_err(|expected| wrong("base_url", expected))?;
        let own_name = target.preset.filter(|_| target.base_url.is_none()).map(|preset| preset.name().to_owned());
        let preset = target.preset.or(Preset::at(&base_url));
        let model = target.model.as_deref().or(preset.and_then(|preset| preset.known().model));
        let refused = preset.map_or(&[] as &[_], |preset| preset.known().strip);
        if target.api_key.as_ref().is_some_and(|key| !key.is_bearer()) {
            return Err(wrong("api_key", Secret::BEARER));
        }
        Ok(TargetSettings {
            name: target.name.clone().or(own_name).unwrap_or_else(|| authority(&base_url).to_owned()),
            provider: preset.map_or("openai", Preset::name),
            api_key: target.api_key.clone(),
            model: model.ok_or_else(|| wrong("model", "set to the model's name at the server"))?.to_owned(),
            headers: target.headers.clone(),
            strip: refused.iter().map(|&name| name.to_owned()).chain(target.strip.iter().cloned()).collect(),
            continues: target.continues,
            begins_in_thought: target.begins_in_thought,
            tools: target.tools,
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
