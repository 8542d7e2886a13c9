//! What an assistant is: the keys of its file, as `assistants` reads them, and what they come to. Pure.
//!
//! What a file leaves out is as the gateway has it. Of what bounds the cost of an answer, the smaller of both counts.

use std::path::PathBuf;

use super::{
    choices::{Fallback, KnowledgeMode},
    declare::{self, section},
    key::{Key, Kind},
    layers::Sections,
    tools::{Calling, OWN, Tools},
};

/// The name of the one that there is without any file.
pub const DEFAULT_ASSISTANT: &str = "default";

/// So many hexadecimal digits tell two versions of an assistant apart.
const VERSION_DIGITS: usize = 12;

/// Who answers: how it introduces itself, what it is told, who writes for it and from what.
#[derive(Debug, Clone, PartialEq)]
pub struct Assistant {
    /// What it is called in addresses and frames.
    pub name: String,
    /// Differs when anything in its files does.
    pub version: String,
    /// How it introduces itself.
    pub about: About,
    /// Who is shown it.
    pub visibility: Visibility,
    /// What the model is told that it is; `None`: what the gateway says of itself.
    pub prompt: Option<String>,
    /// Who writes for it, and how.
    pub model: Writing,
    /// What of the conversation it is given.
    pub history: History,
    /// What it answers from.
    pub knowledge: Knowing,
    /// What it can do besides.
    pub tools: Tools,
}

section! {
    /// How an assistant introduces itself.
    "" About {
        /// Its name for people; the name of its file when not set.
        title: Option<String> = None, Kind::Line;
        /// What it is for, in a sentence.
        description: Option<String> = None, Kind::Line;
        /// What it says first.
        greeting: Option<String> = None, Kind::Text;
        /// Questions that one might begin with.
        suggestions: Vec<String> = Vec::new(), Kind::List;
        /// The languages that it is meant for, as in `en` or `pt-BR`.
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
        /// Who answers when no target does; the gateway's when not set.
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

/// All that a file may have.
pub(super) const SECTIONS: Sections =
    &[About::KEYS, Prompting::KEYS, Writing::KEYS, History::KEYS, Knowing::KEYS, Calling::KEYS, OWN];

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
            about: About { title: Some("Assistant".to_owned()), ..About::default() },
            visibility: Visibility::Everybody,
            prompt: None,
            model: Writing::default(),
            history: History::default(),
            knowledge: Knowing::default(),
            tools: Tools::default(),
        }
    }

    /// Its name for people.
    #[must_use]
    pub fn title(&self) -> &str {
        self.about.title.as_deref().unwrap_or(&self.name)
    }
}

/// What tells these files from any others.
pub(super) fn version(files: &[&str]) -> String {
    let mut hash = blake3::Hasher::new();
    for text in files {
        hash.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    }
    hash.finalize().to_hex()[..VERSION_DIGITS].to_owned()
}
