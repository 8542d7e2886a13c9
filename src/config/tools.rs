//! The tools of an assistant: which it has, how often and how long they may be called, and those that its file makes. Pure.

mod document;
pub(super) mod fields;
#[allow(unreachable_pub, dead_code, reason = "what the macros declare is public, with all that goes with it")]
mod formula;
mod http;
#[allow(unreachable_pub, dead_code, reason = "likewise")]
mod inputs;
mod location;
#[allow(unreachable_pub, dead_code, reason = "likewise")]
mod own;
mod read;

use std::sync::Arc;

pub(super) use self::read::read;
pub use self::{
    document::{DocumentCall, TODAY},
    http::{HttpCall, Method},
    location::{BadPlace, Location},
};
use super::{
    declare::{self, choice, section},
    key::{Key, Kind},
    mcp::McpTool,
};
use crate::{
    chat::Approver,
    formula::{Formula, Inputs},
};

/// The tools of an assistant.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tools {
    /// How they are called.
    pub calling: Calling,
    /// Those that it has, in the order of `tools.use`.
    pub offered: Vec<Tool>,
}

section! {
    /// How an assistant calls its tools.
    "tools" Calling {
        /// Names of the tools that it has: those that are built in, and those of its own file.
        names as "use": Vec<String> = Vec::new(), Kind::List;
        /// How often the model is asked for one answer; the last time without tools. Once more when it calls some all the same.
        max_rounds: u32 = 6, Kind::Integer(2, 12);
        /// The most calls of one answer.
        max_calls: u32 = 12, Kind::Integer(1, 64);
        /// Seconds for a call.
        call_s: f64 = 20.0, Kind::Number(1.0, 300.0);
        /// Seconds for all calls of one answer together.
        total_s: f64 = 60.0, Kind::Number(1.0, 600.0);
        /// So many bytes of a result are given to the model.
        result_bytes: usize = 8192, Kind::Integer(256, 65_536);
    }
}

/// The tools that a file makes, as far as the file as a whole is concerned.
pub(super) const OWN: &[Key] = &[Key { section: "", name: "tool", kind: Kind::Elsewhere }];

/// How many hours a call waits to be allowed.
const APPROVAL_TTL_H: u64 = 24;

/// A tool that an assistant has.
#[derive(Debug, Clone, PartialEq)]
pub enum Tool {
    /// One that is there for all.
    BuiltIn(BuiltIn),
    /// One of its own file.
    Own(Arc<OwnTool>),
    /// One of a server.
    Mcp(Arc<McpTool>),
}

choice! {
    /// A tool that needs no more than its name.
    BuiltIn {
        /// Works out an expression.
        Calc = "calc",
        /// Draws columns of a dataset.
        Chart = "chart",
        /// Asks a dataset.
        Dataset = "dataset",
        /// Goes on with a column of a dataset.
        Forecast = "forecast",
        /// Forgets what the user has told.
        Forget = "forget",
        /// Looks into the documents of `knowledge.collections`.
        Knowledge = "knowledge",
        /// Knows what the user has told.
        Recall = "recall",
        /// Remembers what the user tells.
        Remember = "remember",
        /// Knows the time, and days between dates.
        Time = "time",
    }
}

/// A tool that the file of an assistant makes.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnTool {
    /// What it is called: a letter, and up to 39 letters, digits and `_` more.
    pub name: String,
    /// What people read.
    pub title: String,
    /// What it does, for the model.
    pub description: String,
    /// What it takes.
    pub inputs: Inputs,
    /// What it does.
    pub does: Does,
    /// Whether a call changes something.
    pub changes: bool,
    /// Who has to allow each call; `None`: nobody.
    pub asks: Option<Asks>,
}

/// Who has to allow a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asks {
    /// Who.
    pub approver: Approver,
    /// How long they are waited for, in hours.
    pub ttl_h: u64,
}

/// What a tool of an assistant's own does.
#[derive(Debug, Clone, PartialEq)]
pub enum Does {
    /// It works something out.
    Formula(Formula),
    /// It asks a server.
    Http(HttpCall),
    /// It writes a document.
    Document(DocumentCall),
}

impl Tools {
    /// The texts of files beside the assistant's that they are made of.
    pub(super) fn templates(&self) -> impl Iterator<Item = &str> {
        self.offered.iter().filter_map(|tool| match tool {
            Tool::Own(own) => match &own.does {
                Does::Document(document) => Some(document.letter.text()),
                Does::Formula(_) | Does::Http(_) => None,
            },
            Tool::BuiltIn(_) | Tool::Mcp(_) => None,
        })
    }
}

impl Tool {
    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::BuiltIn(one) => one.name(),
            Self::Own(one) => &one.name,
            Self::Mcp(one) => &one.name,
        }
    }

    /// Whether it is about tables that somebody brings.
    #[must_use]
    pub fn asks_datasets(&self) -> bool {
        matches!(self, Self::BuiltIn(BuiltIn::Chart | BuiltIn::Dataset | BuiltIn::Forecast))
    }

    /// Whether it is about what the user has told.
    #[must_use]
    pub fn remembers(&self) -> bool {
        matches!(self, Self::BuiltIn(BuiltIn::Forget | BuiltIn::Recall | BuiltIn::Remember))
    }

    /// What people read.
    #[must_use]
    pub fn title(&self) -> &str {
        match self {
            Self::BuiltIn(BuiltIn::Calc) => "Calculator",
            Self::BuiltIn(BuiltIn::Chart) => "Chart",
            Self::BuiltIn(BuiltIn::Dataset) => "Question to a table",
            Self::BuiltIn(BuiltIn::Forecast) => "Forecast",
            Self::BuiltIn(BuiltIn::Forget) => "Forget",
            Self::BuiltIn(BuiltIn::Knowledge) => "Search in the documents",
            Self::BuiltIn(BuiltIn::Recall) => "Look into the memory",
            Self::BuiltIn(BuiltIn::Remember) => "Remember",
            Self::BuiltIn(BuiltIn::Time) => "Date and time",
            Self::Own(one) => &one.title,
            Self::Mcp(one) => &one.title,
        }
    }
}

impl Tool {
    /// Whether a call changes something.
    #[must_use]
    pub fn changes(&self) -> bool {
        match self {
            Self::BuiltIn(one) => matches!(one, BuiltIn::Forget | BuiltIn::Remember),
            Self::Own(one) => one.changes,
            Self::Mcp(one) => one.changes,
        }
    }

    /// Who has to allow each call.
    #[must_use]
    pub fn asks(&self) -> Option<&Asks> {
        const BY_USER: &Asks = &Asks { approver: Approver::User, ttl_h: APPROVAL_TTL_H };
        match self {
            // Documents and tools could make a model call it. What is remembered by mistake can be taken back.
            Self::BuiltIn(BuiltIn::Forget) => Some(BY_USER),
            Self::BuiltIn(_) => None,
            Self::Own(one) => one.asks.as_ref(),
            Self::Mcp(one) => one.changes.then_some(BY_USER),
        }
    }
}

#[cfg(test)]
mod tests;
