//! What an assistant is: the keys of its file, as `assistants` reads them, and what they come to. Pure.
//!
//! What a file leaves out is as the gateway has it. Of what bounds the cost of an answer, the smaller of both counts.

use std::{path::PathBuf, sync::Arc};

use super::{
    choices::{DrawnBy, Extract, Fallback, KnowledgeMode, KnownTo},
    declare::{self, section},
    instructions::Instructions,
    key::{Key, Kind},
    layers::Sections,
    localized::Localized,
    tools::{Calling, OWN, Tools},
};
use crate::{chat::digest, rules::Rules};

/// The name of the one that there is without any file.
pub const DEFAULT_ASSISTANT: &str = "default";

/// So many hexadecimal digits tell two versions of an assistant apart.
const VERSION_DIGITS: usize = 12;
/// The most variants of an assistant: each is a label of metrics.
const MAX_VARIANTS: usize = 8;

/// Who answers: how it introduces itself, what it is told, who writes for it and from what.
#[derive(Debug, Clone, PartialEq)]
pub struct Assistant {
    /// What it is called in addresses and frames.
    pub name: String,
    /// Differs when anything in its files does.
    pub version: String,
    /// Which of its variants this is; `None`: it is as its file says.
    pub variant: Option<String>,
    /// How it introduces itself.
    pub about: About,
    /// Who is shown it.
    pub visibility: Visibility,
    /// What the model is told that it is; `None`: what the gateway says of itself.
    pub prompt: Option<Instructions>,
    /// Who writes for it, and how.
    pub model: Writing,
    /// What of the conversation it is given.
    pub history: History,
    /// What it answers from.
    pub knowledge: Knowing,
    /// What it remembers of its users.
    pub memory: Remembering,
    /// What it can do besides.
    pub tools: Tools,
    /// How it answers without a model; `None`: there is no file of it.
    pub rules: Option<Arc<Rules>>,
    /// How often it may be asked.
    pub limits: Allowed,
    /// How it is drawn who gets a variant.
    pub experiment: Experiment,
    /// What some are answered by in its place.
    pub variants: Vec<Variant>,
}

/// An assistant that differs from the one of its file in what is to be tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// Who of all gets it, 0 to 1. All shares of an assistant are at most 1 together.
    pub share: f64,
    /// Whom they get.
    pub assistant: Arc<Assistant>,
}

section! {
    /// How an assistant introduces itself; what people read may be in several languages.
    "" About {
        /// Its name for people; the name of its file when not set.
        title: Option<Localized<String>> = None, Kind::Localized(&Kind::Line);
        /// What it is for, in a sentence.
        description: Option<Localized<String>> = None, Kind::Localized(&Kind::Line);
        /// What it says first.
        greeting: Option<Localized<String>> = None, Kind::Localized(&Kind::Text);
        /// Questions that one might begin with.
        suggestions: Localized<Vec<String>> = Localized::Same(Vec::new()), Kind::Localized(&Kind::List);
        /// The languages that it is meant for, as in `en` or `pt-BR`; the first for who reads none of them.
        languages: Vec<String> = Vec::new(), Kind::List;
        /// To whom it is shown: `everybody`, `tenant:NAME` or `scope:NAME`.
        visibility: String = "everybody".to_owned(), Kind::Line;
    }
}

section! {
    /// `prompt.*`
    "prompt" Prompting {
        /// The file with what the model is told, beside this one; `NAME.md` when that is there.
        file: Option<PathBuf> = None, Kind::Path;
        /// What its places of these names are filled with.
        vars: toml::Table = toml::Table::new(), Kind::Table;
    }
}

section! {
    /// Who writes for an assistant, and how.
    "model" Writing {
        /// Names of `llm.targets`, which alone are asked; none: all of them.
        targets: Vec<String> = Vec::new(), Kind::List;
        /// As the interface of models has it.
        temperature: Option<f64> = None, Kind::Number(0.0, 2.0);
        /// Likewise.
        top_p: Option<f64> = None, Kind::Number(0.0, 1.0);
        /// The most tokens of an answer; the gateway's when that is less.
        max_output_tokens: Option<u32> = None, Kind::Integer(1, 1_000_000);
        /// Who answers when no target does; when not set, its rules where it has some, and else the gateway's.
        fallback: Option<Fallback> = None, Kind::OneOf(Fallback::NAMES);
    }
}

section! {
    /// What of a conversation is given to the model.
    "history" History {
        /// Its newest messages; the gateway's number when that is less.
        messages: Option<usize> = None, Kind::Integer(1, 500);
    }
}

section! {
    /// What an assistant answers from.
    "knowledge" Knowing {
        /// Whether it looks into the documents.
        mode: KnowledgeMode = KnowledgeMode::Always, Kind::OneOf(KnowledgeMode::NAMES);
        /// Collections of whoever asks.
        collections: Vec<String> = vec!["default".to_owned()], Kind::List;
        /// Passages given to the model; the gateway's number when not set, as with the next.
        top_k: Option<usize> = None, Kind::Integer(1, 50);
        /// Passages that fit worse are left out.
        min_score: Option<f32> = None, Kind::Number(0.0, 1.0);
        /// Whether nothing but the documents counts: when nothing is found, that is said, and no model is asked.
        only_grounded: bool = false, Kind::Switch;
    }
}

section! {
    /// What an assistant remembers of its users.
    "memory" Remembering {
        /// Whether it remembers anything.
        enabled: bool = false, Kind::Switch;
        /// What becomes a fact.
        extract: Extract = Extract::Rules, Kind::OneOf(Extract::NAMES);
        /// Who knows it.
        scope: KnownTo = KnownTo::Assistant, Kind::OneOf(KnownTo::NAMES);
        /// The most facts given to the model: the newest.
        profile_items: usize = 40, Kind::Integer(0, 200);
        /// About how many tokens they have at the most.
        profile_tokens: u32 = 1500, Kind::Integer(0, 4000);
        /// The most episodes given to the model.
        episodes: usize = 4, Kind::Integer(0, 20);
        /// Episodes that fit worse are left out.
        min_score: f32 = 0.5, Kind::Number(0.0, 1.0);
        /// After so many days it is forgotten by itself.
        ttl_days: u64 = 365, Kind::Integer(1, 3650);
    }
}

section! {
    /// How often an assistant may be asked by one and the same, besides what the gateway allows.
    "limits" Allowed {
        /// So many questions in `window_s`; not limited when not set.
        requests: Option<u64> = None, Kind::Integer(1, 1_000_000);
        /// In so many seconds.
        window_s: u64 = 3600, Kind::Integer(1, 2_678_400);
    }
}

section! {
    /// How it is drawn who gets a variant.
    "experiment" Experiment {
        /// With another name all are drawn anew.
        name: String = String::new(), Kind::Line;
        /// Who stays with what was drawn.
        by: DrawnBy = DrawnBy::User, Kind::OneOf(DrawnBy::NAMES);
    }
}

section! {
    /// A `[[variant]]`, as it is written.
    "" Tried {
        /// Its name, of which there is one.
        name: String = String::new(), Kind::Line;
        /// Who of all gets it.
        share: f64 = 0.0, Kind::Number(0.0, 1.0);
        /// What is otherwise for them: full names of settings, and values.
        set: toml::Table = toml::Table::new(), Kind::Table;
    }
}

section! {
    /// What an assistant has several of.
    "" Several {
        /// What is tried with some of those who ask.
        variant: Vec<Tried> = Vec::new(), Kind::Entries("variant", MAX_VARIANTS, Tried::KEYS);
    }
}

impl About {
    /// The languages that each of its texts differs in, by setting.
    pub(super) fn localized(&self) -> [(&'static str, Vec<&str>); 4] {
        fn of<T>(text: Option<&Localized<T>>) -> Vec<&str> {
            text.into_iter().flat_map(Localized::languages).collect()
        }
        [
            ("title", of(self.title.as_ref())),
            ("description", of(self.description.as_ref())),
            ("greeting", of(self.greeting.as_ref())),
            ("suggestions", of(Some(&self.suggestions))),
        ]
    }

    /// Those of its languages that any of its texts differs in, the first of all before the others.
    #[must_use]
    pub fn written_in(&self) -> Vec<String> {
        let localized = self.localized();
        let is_there = |language: &&String| localized.iter().any(|(_, there)| there.contains(&language.as_str()));
        self.languages.iter().filter(is_there).cloned().collect()
    }
}

/// All that a file may have.
pub(super) const SECTIONS: Sections = &[
    About::KEYS,
    Prompting::KEYS,
    Writing::KEYS,
    History::KEYS,
    Knowing::KEYS,
    Remembering::KEYS,
    Calling::KEYS,
    OWN,
    Allowed::KEYS,
    Experiment::KEYS,
    Several::KEYS,
];
/// The sections of which variants can set something: an answer depends on them.
pub(super) const TRIED: Sections =
    &[Prompting::KEYS, Writing::KEYS, History::KEYS, Knowing::KEYS, Remembering::KEYS, Calling::KEYS];

/// Who is shown an assistant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Visibility {
    /// Whoever may chat.
    #[default]
    Everybody,
    /// The users of a tenant.
    Tenant(String),
    /// Whoever has this scope.
    Scope(String),
}

impl Assistant {
    /// The one that there is without any file.
    #[must_use]
    pub fn plain() -> Self {
        Self {
            name: DEFAULT_ASSISTANT.to_owned(),
            version: version(&[]),
            variant: None,
            about: About { title: Some(Localized::Same("Assistant".to_owned())), ..About::default() },
            visibility: Visibility::Everybody,
            prompt: None,
            model: Writing::default(),
            history: History::default(),
            knowledge: Knowing::default(),
            memory: Remembering::default(),
            tools: Tools::default(),
            rules: None,
            limits: Allowed::default(),
            experiment: Experiment::default(),
            variants: Vec::new(),
        }
    }

    /// Who answers when no target does; `None`: whoever does for all.
    #[must_use]
    pub fn fallback(&self) -> Option<Fallback> {
        self.model.fallback.or_else(|| self.rules.as_ref().map(|_| Fallback::Rules))
    }

    /// What `share` of those who ask get in place of the one of the same file.
    pub(super) fn into_variant(self, name: String, share: f64) -> Variant {
        let version = version(&[&self.version, &name]);
        Variant { share, assistant: Arc::new(Self { version, variant: Some(name), ..self }) }
    }
}

/// What tells these files from any others.
pub(super) fn version(files: &[&str]) -> String {
    digest(files.iter().map(|text| text.as_bytes())).to_hex()[..VERSION_DIGITS].to_owned()
}
