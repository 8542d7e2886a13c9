//! One `[[tool]]` of an assistant's file.

use std::{collections::BTreeMap, ops::Range, path::PathBuf};

use ipnet::IpNet;
use toml::{Spanned, de::DeValue};

use super::{
    APPROVAL_TTL_H, Asks, Does, Method, OwnTool, document,
    fields::{self, Entry, NAME, Source, is_name},
    formula, http, inputs,
};
use crate::{
    chat::Approver,
    config::{
        declare::{self, choice, section},
        key::{Key, Kind},
        networks,
    },
    formula::Inputs,
};

/// The longest description, in bytes: it is told the model with every question.
const MAX_DESCRIPTION: usize = 1000;

choice! {
    /// What a tool does.
    Sort {
        /// It works something out.
        Formula = "formula",
        /// It asks a server.
        Http = "http",
        /// It writes a document.
        Document = "document",
    }
}

choice! {
    /// What a document is written as.
    Format {
        /// A PDF.
        Pdf = "pdf",
    }
}

choice! {
    /// What a call changes.
    Effect {
        /// Nothing.
        Read = "read",
        /// Something.
        Write = "write",
    }
}

choice! {
    /// Whether a call has to be allowed before.
    Asked {
        /// Each of them.
        Always = "always",
        /// None.
        Never = "never",
    }
}

section! {
    /// A tool as it is written, without the tables in it.
    "" Written {
        /// What it is called.
        name: Option<String> = None, Kind::Line;
        /// What it does.
        kind: Option<Sort> = None, Kind::OneOf(Sort::NAMES);
        /// What people read.
        title: Option<String> = None, Kind::Line;
        /// What it does, for the model.
        description: Option<String> = None, Kind::Text;
        /// A line about its results, with their names in braces.
        summary: Option<String> = None, Kind::Line;
        /// How the server is asked.
        method: Option<Method> = None, Kind::OneOf(Method::NAMES);
        /// Where.
        url: Option<String> = None, Kind::Url;
        /// What is sent with it.
        headers: BTreeMap<String, String> = BTreeMap::new(), Kind::Headers;
        /// Addresses that are not public and may be asked all the same.
        #[serde(deserialize_with = "networks::deserialize")]
        private_hosts: Vec<IpNet> = Vec::new(), Kind::Networks;
        /// The file with what a document says, beside this one.
        template: Option<PathBuf> = None, Kind::Path;
        /// What a document is written as.
        format: Option<Format> = None, Kind::OneOf(Format::NAMES);
        /// What a call changes.
        effect: Option<Effect> = None, Kind::OneOf(Effect::NAMES);
        /// Whether calls have to be allowed; when not set, those that change something.
        approval: Option<Asked> = None, Kind::OneOf(Asked::NAMES);
        /// Who allows them.
        approver: Option<String> = None, Kind::Line;
        /// How many hours they are waited for.
        approval_ttl_h: Option<u64> = None, Kind::Integer(1, 720);
    }
}

/// The tables in a tool.
const TABLES: [&str; 4] = ["input", "let", "output", "pick"];
/// What tools of one kind have, and others have not.
const BELONGS: [(&str, &[Sort]); 10] = [
    ("let", &[Sort::Formula, Sort::Document]),
    ("output", &[Sort::Formula, Sort::Document]),
    ("method", &[Sort::Http]),
    ("url", &[Sort::Http]),
    ("headers", &[Sort::Http]),
    ("pick", &[Sort::Http]),
    ("private_hosts", &[Sort::Http]),
    ("template", &[Sort::Document]),
    ("format", &[Sort::Document]),
    ("effect", &[Sort::Http, Sort::Document]),
];

/// Reads the tool at this place of the list, from 0; `None` when it cannot be one.
pub(super) fn read(source: &mut Source<'_>, at: usize, tool: &Spanned<DeValue<'_>>) -> Option<OwnTool> {
    let table = tool.get_ref().as_table()?; // What is no table was refused with the list.
    let span = tool.span();
    let name = name_of(tool);
    let within = name.map_or_else(|| format!("tool[{}]", at + 1), |name| format!("tool.{name}"));
    let written: Written = source.fields(&within, Written::KEYS, &TABLES, table);
    if name.is_none() {
        let found = written.name.as_deref().unwrap_or_default();
        source.refuse_text(format!("{within}.name"), NAME, found, &span);
    }
    let description = written.description.as_deref().map(str::trim).unwrap_or_default();
    if !(1..=MAX_DESCRIPTION).contains(&description.len()) {
        let expected = format!("what it does, for the model, in at most {MAX_DESCRIPTION} bytes");
        source.refuse(format!("{within}.description"), expected, format!("of {} bytes", description.len()), &span);
    }
    let inputs = inputs::read(source, &within, table);
    let Some(kind) = written.kind else {
        let expected = format!("one of {}", Sort::NAMES.join(", "));
        source.refuse(format!("{within}.kind"), expected, "missing or wrong", &span);
        return None;
    };
    for Entry { name, span, .. } in fields::entries(table) {
        if BELONGS.iter().any(|(other, of)| *other == name && !of.contains(&kind)) {
            source.refuse(
                format!("{within}.{name}"),
                format!("left out where kind is {}", kind.name()),
                "there",
                &span,
            );
        }
    }
    let changes = written.effect == Some(Effect::Write);
    if changes && kind == Sort::Http && written.method != Some(Method::Post) {
        source.refuse(format!("{within}.method"), "POST where a call changes something", "another one", &span);
    }
    let asks = asks(source, &within, &written, changes, &span);
    let does = match kind {
        Sort::Formula => Does::Formula(formula::read(source, &within, tool, &inputs, written.summary.as_deref(), true)),
        Sort::Http => {
            if written.method == Some(Method::Post) && written.effect.is_none() {
                let expected = "read or write, as a call changes nothing or something, where the method is POST";
                source.refuse(format!("{within}.effect"), expected, "missing", &tool.span());
            }
            let asked = http::Written {
                method: written.method.unwrap_or(Method::Get),
                url: written.url.as_deref(),
                headers: written.headers,
                private_hosts: written.private_hosts,
                summary: written.summary.as_deref(),
            };
            Does::Http(http::read(source, &within, tool, &inputs, asked)?)
        }
        Sort::Document => {
            if written.effect.is_none() {
                let expected = "read or write, as a call changes nothing or something, where kind is document";
                source.refuse(format!("{within}.effect"), expected, "missing", &span);
            }
            let (summary, template) = (written.summary.as_deref(), written.template.as_deref());
            Does::Document(document::read(source, &within, tool, &inputs, summary, template)?)
        }
    };
    Some(OwnTool {
        name: name?.to_owned(),
        title: written.title.unwrap_or_else(|| name.unwrap_or_default().to_owned()),
        description: description.to_owned(),
        inputs: Inputs::new(inputs),
        does,
        changes,
        asks,
    })
}

/// Who has to allow each call.
fn asks(source: &mut Source<'_>, within: &str, written: &Written, changes: bool, span: &Range<usize>) -> Option<Asks> {
    let is_asked = written.approval.map_or(changes, |asked| asked == Asked::Always);
    let settings = [("approver", written.approver.is_some()), ("approval_ttl_h", written.approval_ttl_h.is_some())];
    for (name, _) in settings.into_iter().filter(|(_, is_there)| *is_there && !is_asked) {
        source.refuse(format!("{within}.{name}"), "left out where no call has to be allowed", "there", span);
    }
    let approver = match Approver::parse(written.approver.as_deref().unwrap_or("user")) {
        Ok(approver) => approver,
        Err(invalid) => {
            let found = written.approver.as_deref().unwrap_or_default();
            source.refuse_text(format!("{within}.approver"), invalid.to_string(), found, span);
            return None;
        }
    };
    is_asked.then(|| Asks { approver, ttl_h: written.approval_ttl_h.unwrap_or(APPROVAL_TTL_H) })
}

/// What a tool is called, where that can be a name.
pub(super) fn name_of<'a>(tool: &'a Spanned<DeValue<'a>>) -> Option<&'a str> {
    let entries = fields::entries(tool.get_ref().as_table()?);
    let name = entries.into_iter().find(|entry| entry.name == "name")?.value.get_ref().as_str()?;
    is_name(name).then_some(name)
}
