//! From the file of an assistant to its tools.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use toml::de::DeTable;

use super::{BuiltIn, Calling, OwnTool, Tool, Tools, fields::Source, own};
use crate::config::{
    error::{ConfigError, Origin, excerpt},
    key::nearest,
    layers::Layers,
    mcp::McpTool,
};

/// The most tools that a file makes, and the most that an assistant has.
const MAX_TOOLS: usize = 32;
/// What the tools that a file makes may cost with every question, in tokens.
const MAX_TOKENS: usize = 8000;

/// Reads the tools of a file of which `layers` has the settings. What is wrong is put with what was refused.
///
/// # Errors
/// When the settings cannot be read at all.
pub(in crate::config) fn read(
    path: &Path,
    text: &str,
    layers: &Layers,
    (mcp, env): (&[Arc<McpTool>], &BTreeMap<String, String>),
    refused: &mut Vec<ConfigError>,
) -> Result<Tools, ConfigError> {
    let calling: Calling = layers.section(Calling::KEYS)?;
    let mut source = Source { path, text, env, refused };
    let (made, names) = made(&mut source);
    let origin = match layers.origin("tools.use") {
        Origin::Default => Origin::File(path.to_owned(), 1),
        written => written,
    };
    let mut wrong = |expected: String, found: String| {
        refused.push(ConfigError::Value { key: "tools.use".to_owned(), expected, found, origin: origin.clone() });
    };
    let mut offered: Vec<Tool> = Vec::new();
    for name in &calling.names {
        let built_in = BuiltIn::ALL.iter().find(|one| one.name() == name).copied().map(Tool::BuiltIn);
        let own = || made.iter().find(|one| one.name == *name).cloned().map(Tool::Own);
        let of_server = || mcp.iter().find(|one| one.title == *name).cloned().map(Tool::Mcp);
        match built_in.or_else(own).or_else(of_server) {
            Some(tool) if offered.iter().any(|other| other.name() == tool.name()) => {
                wrong("each named once".to_owned(), format!("the text \"{}\" again", tool.name()));
            }
            Some(tool) => offered.push(tool),
            None if names.contains(name) => {} // What is wrong with it was said.
            None if name.contains('.') => {
                let expected = "tools of servers that are pinned (`rivulet mcp pin`)".to_owned();
                wrong(expected, format!("the text \"{}\"", excerpt(name)));
            }
            None => {
                let known = BuiltIn::NAMES.iter().map(|&name| name.to_owned()).chain(names.iter().cloned());
                let nearest = nearest(name, known);
                let expected = format!("names of tools (the nearest one is `{nearest}`)");
                wrong(expected, format!("the text \"{}\"", excerpt(name)));
            }
        }
    }
    if calling.names.len() > MAX_TOOLS {
        wrong(format!("at most {MAX_TOOLS}"), format!("{} of them", calling.names.len()));
    }
    let bytes: usize = offered.iter().map(cost).sum();
    if bytes > MAX_TOKENS * 4 {
        let expected = format!("tools whose descriptions and inputs cost at most {MAX_TOKENS} tokens");
        wrong(expected, format!("some {} tokens long", bytes / 4));
    }
    Ok(Tools { calling, offered })
}

/// The tools that the file makes, and the names of all that it tries to.
fn made(source: &mut Source<'_>) -> (Vec<Arc<OwnTool>>, Vec<String>) {
    let (mut made, mut names): (Vec<Arc<OwnTool>>, Vec<String>) = (Vec::new(), Vec::new());
    let (document, errors) = DeTable::parse_recoverable(source.text);
    let tools = document.get_ref().iter().find(|(name, _)| name.get_ref().as_ref() == "tool");
    let Some(list) = tools.and_then(|(_, value)| value.get_ref().as_array()).filter(|_| errors.is_empty()) else {
        return (made, names); // There are none, or what is wrong with the whole was said.
    };
    for (at, tool) in list.iter().enumerate() {
        if at == MAX_TOOLS {
            source.refuse(
                "tool".to_owned(),
                format!("at most {MAX_TOOLS} tools"),
                format!("{} of them", list.len()),
                &tool.span(),
            );
            break;
        }
        let read = own::read(source, at, tool);
        if let Some(name) = own::name_of(tool) {
            let is_taken = names.iter().any(|other| other == name) || BuiltIn::NAMES.contains(&name);
            if is_taken {
                let key = format!("tool[{}].name", at + 1);
                source.refuse_text(key, "a name that no other tool has", name, &tool.span());
            }
            names.push(name.to_owned());
        }
        made.extend(read.map(Arc::new));
    }
    (made, names)
}

/// What models are told of a tool, in bytes. What is built in costs little.
fn cost(tool: &Tool) -> usize {
    match tool {
        Tool::BuiltIn(_) => 0,
        Tool::Mcp(tool) => tool.name.len() + tool.pin.description.len() + tool.schema().to_string().len(),
        Tool::Own(own) => own.name.len() + own.description.len() + own.inputs.schema().to_string().len(),
    }
}
