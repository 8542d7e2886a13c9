//! The files of assistants: each is one, `NAME.toml` with a prompt beside it, and is checked like the configuration itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    assistant::{
        About, Allowed, Assistant, DEFAULT_ASSISTANT, Experiment, History, Knowing, Prompting, Remembering, SECTIONS,
        Visibility, Writing, version,
    },
    beside::{is_beside, text_of},
    choices::{Fallback, KnowledgeMode},
    error::{ConfigError, Origin, Refusal, excerpt},
    file,
    instructions::{Instructions, KNOWN, Unknown, is_var},
    intents,
    key::{MAX_NAME, is_name},
    layers::Layers,
    localized::Localized,
    mcp::McpTool,
    settings::{AssistantsConfig, LlmConfig},
    tools, variants,
};

/// The most assistants of a gateway, and the most suggestions of one.
const MAX_ASSISTANTS: usize = 64;
const MAX_SUGGESTIONS: usize = 12;
/// The most characters of one suggestion.
const MAX_SUGGESTION: usize = 200;
/// The most characters of a greeting.
const MAX_GREETING: usize = 2000;
/// The most bytes of a prompt: some 2,000 tokens, a third of what a model is told in all, so that room is left for documents
/// and the conversation.
const MAX_PROMPT: usize = 8 << 10;
/// The most texts of one that its prompt is filled with, and the most characters of such a text.
const MAX_VARS: usize = 32;
const MAX_VAR: usize = 1000;
/// The most collections of one: each is a search for every question.
const MAX_COLLECTIONS: usize = 8;
/// The assistants of a folder.
///
/// # Errors
/// All that is wrong with their files.
pub(super) fn read(
    config: &AssistantsConfig,
    llm: &LlmConfig,
    mcp: &[Arc<McpTool>],
    env: &BTreeMap<String, String>,
) -> Result<Vec<Assistant>, Refusal> {
    let targets: Vec<String> = llm.settled_targets().unwrap_or_default().into_iter().map(|one| one.name).collect();
    let (mut offered, mut refused) = (Vec::new(), Vec::new());
    match files(config) {
        Ok(files) => {
            for path in files {
                match read_one(&path, &targets, mcp, env) {
                    Ok(assistant) => offered.push(assistant),
                    Err(errors) => refused.extend(errors),
                }
            }
        }
        Err(error) => refused.push(error),
    }
    let (name, dir) = (excerpt(&config.default), config.dir.display());
    match offered.iter().find(|assistant| assistant.name == config.default) {
        None if refused.is_empty() && config.default != DEFAULT_ASSISTANT => {
            refused.push(ConfigError::Refused(format!("assistants.default: there is no {name}.toml in {dir}")));
        }
        // Whoever names none would be refused.
        Some(default) if default.visibility != Visibility::Everybody => {
            let problem =
                format!("assistants.default: {name} is not for everybody (`visibility` in {dir}/{name}.toml)");
            refused.push(ConfigError::Refused(problem));
        }
        _ => {}
    }
    if refused.is_empty() { Ok(offered) } else { Err(Refusal(refused)) }
}

/// The files of a folder that are assistants, by name.
fn files(config: &AssistantsConfig) -> Result<Vec<PathBuf>, ConfigError> {
    let dir = &config.dir;
    let failed = |source| ConfigError::Read { path: dir.clone(), source };
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && *dir == AssistantsConfig::default().dir => {
            return Ok(Vec::new());
        }
        entries => entries.map_err(failed)?,
    };
    let mut files = BTreeSet::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if let Some(of) = intents::belongs_to(&path) {
            if !of.is_file() {
                let (path, of) = (path.display(), of.display());
                return Err(ConfigError::Refused(format!("{path}: there is no {of}, whose rules these could be")));
            }
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            files.insert(path);
        }
        if files.len() > MAX_ASSISTANTS {
            let found = io::Error::other(format!("there are more than {MAX_ASSISTANTS} assistants in it"));
            return Err(failed(found));
        }
    }
    Ok(files.into_iter().collect())
}

fn read_one(
    path: &Path,
    targets: &[String],
    mcp: &[Arc<McpTool>],
    env: &BTreeMap<String, String>,
) -> Result<Assistant, Vec<ConfigError>> {
    let text = text_of(path).map_err(|source| vec![ConfigError::Read { path: path.to_owned(), source }])?;
    let mut layers = Layers::of(SECTIONS);
    file::read_text(path, &text, &mut layers);
    let mut refused = layers.take_refused();
    let settled = settle(path, &text, &layers, targets, (mcp, env), &mut refused);
    let variants = variants::read(path, &text, &layers, &mut refused);
    match settled {
        // Each has all that is right already.
        Ok(mut assistant) if refused.is_empty() => {
            for variants::Read { name, share, layers } in variants {
                match settle(path, &text, &layers, targets, (mcp, env), &mut refused) {
                    Ok(changed) => assistant.variants.push(changed.into_variant(name, share)),
                    Err(error) => refused.push(error),
                }
            }
            if refused.is_empty() { Ok(assistant) } else { Err(refused) }
        }
        settled => Err(refused.into_iter().chain(settled.err()).collect()),
    }
}

/// A file that is being read, and what is wrong with it.
struct Reading<'a> {
    path: &'a Path,
    layers: &'a Layers,
    refused: &'a mut Vec<ConfigError>,
}

impl Reading<'_> {
    /// What a key says cannot be used.
    fn wrong(&mut self, key: &str, expected: String, found: &str) {
        let origin = match self.layers.origin(key) {
            Origin::Default => Origin::File(self.path.to_owned(), 1),
            written => written,
        };
        let found = format!("the text \"{}\"", excerpt(found));
        self.refused.push(ConfigError::Value { key: key.to_owned(), expected, found, origin });
    }
}

fn settle(
    path: &Path,
    text: &str,
    layers: &Layers,
    targets: &[String],
    (mcp, env): (&[Arc<McpTool>], &BTreeMap<String, String>),
    refused: &mut Vec<ConfigError>,
) -> Result<Assistant, ConfigError> {
    let mut reading = Reading { path, layers, refused };
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    if !is_name(&name) {
        let expected = format!("1 to {MAX_NAME} of the characters a-z, 0-9 and -");
        reading.wrong("the name of the file", expected, &name);
    }
    let about: About = layers.section(About::KEYS)?;
    let visibility = introduces(&mut reading, &about);
    let model: Writing = layers.section(Writing::KEYS)?;
    if let Some(other) = model.targets.iter().find(|target| !targets.contains(target)) {
        let known = if targets.is_empty() { "there are none".to_owned() } else { targets.join(", ") };
        reading.wrong("model.targets", format!("names of llm.targets ({known})"), other);
    }
    let knowledge: Knowing = layers.section(Knowing::KEYS)?;
    knows(&mut reading, &knowledge);
    let (told, prompt) = is_told(&mut reading, text, layers.section(Prompting::KEYS)?, &about.languages)?;
    let history = layers.section(History::KEYS)?;
    let memory: Remembering = layers.section(Remembering::KEYS)?;
    let tools = tools::read(path, text, layers, (mcp, env), reading.refused)?;
    if let Some(tool) = tools.offered.iter().find(|tool| tool.remembers() && !memory.enabled) {
        reading.wrong("tools.use", "none that remembers, where memory.enabled is not set".to_owned(), tool.name());
    }
    let version = tools.templates().fold(told, |told, template| version(&[&told, template]));
    let rules = intents::read(path, &tools, &about.languages, reading.refused)?;
    if model.fallback == Some(Fallback::Rules) && rules.is_none() {
        let beside = intents::beside(path);
        let expected = format!("none or extractive, where there is no {}", beside.display());
        reading.wrong("model.fallback", expected, "rules");
    }
    let version = rules.iter().fold(version, |version, rules| self::version(&[&version, &rules.version]));
    let limits: Allowed = layers.section(Allowed::KEYS)?;
    let experiment: Experiment = layers.section(Experiment::KEYS)?;
    let (variant, variants) = (None, Vec::new());
    Ok(Assistant {
        name,
        version,
        variant,
        about,
        visibility,
        prompt,
        model,
        history,
        knowledge,
        memory,
        tools,
        rules,
        limits,
        experiment,
        variants,
    })
}

/// How it introduces itself, and to whom.
fn introduces(reading: &mut Reading<'_>, about: &About) -> Visibility {
    let visibility = visibility(&about.visibility).unwrap_or_else(|| {
        reading.wrong("visibility", "`everybody`, `tenant:NAME` or `scope:NAME`".to_owned(), &about.visibility);
        Visibility::Everybody
    });
    if let Some(long) = about.suggestions.texts().flatten().find(|text| text.chars().count() > MAX_SUGGESTION) {
        reading.wrong("suggestions", format!("of at most {MAX_SUGGESTION} characters each"), long);
    }
    if let Some(long) =
        about.greeting.iter().flat_map(Localized::texts).find(|text| text.chars().count() > MAX_GREETING)
    {
        reading.wrong("greeting", format!("of at most {MAX_GREETING} characters"), long);
    }
    if let Some(many) = about.suggestions.texts().map(Vec::len).find(|count| *count > MAX_SUGGESTIONS) {
        reading.wrong("suggestions", format!("at most {MAX_SUGGESTIONS}"), &format!("{many} of them"));
    }
    if let Some(other) = about.languages.iter().find(|language| !is_language(language)) {
        reading.wrong("languages", "a list of language tags, like en or pt-BR".to_owned(), other);
    }
    for (key, languages) in about.localized() {
        if let Some(other) = languages.iter().find(|language| !about.languages.iter().any(|known| known == *language)) {
            reading.wrong(key, "in languages that are in `languages`".to_owned(), other);
        }
        let first =
            about.languages.first().filter(|first| !languages.is_empty() && !languages.contains(&first.as_str()));
        if let Some(first) = first {
            reading.wrong(key, format!("in {first}, too, the first of `languages`"), &languages.join(", "));
        }
    }
    visibility
}

/// What it answers from.
fn knows(reading: &mut Reading<'_>, knowledge: &Knowing) {
    if let Some(other) = knowledge.collections.iter().find(|name| !is_collection(name)) {
        let expected = "names of collections: 1 to 64 of the characters a-z, A-Z, 0-9, `-`, `_`, `.`";
        reading.wrong("knowledge.collections", expected.to_owned(), other);
    }
    let mut distinct = BTreeSet::new();
    if let Some(twice) = knowledge.collections.iter().find(|name| !distinct.insert(*name)) {
        reading.wrong("knowledge.collections", "each named once".to_owned(), twice);
    }
    if !(1..=MAX_COLLECTIONS).contains(&knowledge.collections.len()) {
        let found = format!("{} of them", knowledge.collections.len());
        reading.wrong("knowledge.collections", format!("1 to {MAX_COLLECTIONS}"), &found);
    }
    if knowledge.only_grounded && knowledge.mode == KnowledgeMode::Off {
        reading.wrong("knowledge.only_grounded", "false where knowledge.mode is off".to_owned(), "true");
    }
}

/// Its version, and what it is told that it is.
fn is_told(
    reading: &mut Reading<'_>,
    text: &str,
    prompting: Prompting,
    languages: &[String],
) -> Result<(String, Option<Instructions>), ConfigError> {
    let prompt = match &prompting.file {
        Some(file) if !is_beside(file) => {
            reading.wrong("prompt.file", "the name of a file beside this one".to_owned(), &file.to_string_lossy());
            None
        }
        file => prompt(reading.path, file.as_deref())?,
    };
    let mut vars = BTreeMap::new();
    for (name, value) in prompting.vars {
        match value.as_str().filter(|value| value.chars().count() <= MAX_VAR) {
            _ if !is_var(&name) || KNOWN.contains(&&*name) => {
                let expected =
                    format!("names of 1 to 40 of the characters a-z, A-Z, 0-9, - and _, none of {}", KNOWN.join(", "));
                reading.wrong("prompt.vars", expected, &name);
            }
            None => reading.wrong("prompt.vars", format!("texts of at most {MAX_VAR} characters"), &value.to_string()),
            Some(value) => drop(vars.insert(name, value.to_owned())),
        }
    }
    if vars.len() > MAX_VARS {
        reading.wrong("prompt.vars", format!("at most {MAX_VARS}"), &format!("{} of them", vars.len()));
    }
    let version = version(&[text, prompt.as_ref().map_or("", |(_, text)| text)]);
    let read = prompt.map(|(file, text)| (file, Instructions::read(&text, &vars, languages)));
    let prompt = match read {
        Some((_, Ok(read))) => {
            let bytes = read.bytes();
            if bytes > MAX_PROMPT {
                let expected = format!("such that the prompt has at most {MAX_PROMPT} bytes");
                reading.wrong("prompt.vars", expected, &format!("{bytes} bytes"));
            }
            Some(read)
        }
        Some((file, Err(unknown))) => {
            let names = KNOWN.into_iter().chain(vars.keys().map(String::as_str)).collect::<Vec<_>>().join(", ");
            reading.refused.extend(unknown.into_iter().map(|Unknown { name, line }| ConfigError::Value {
                key: "what stands in {{ }}".to_owned(),
                expected: format!("one of {names}"),
                found: name,
                origin: Origin::File(file.clone(), line),
            }));
            None
        }
        None => None,
    };
    Ok((version, prompt))
}

/// What the model is told: the text of the file that is named, or of the one that lies beside, and which that is.
fn prompt(path: &Path, named: Option<&Path>) -> Result<Option<(PathBuf, String)>, ConfigError> {
    let (file, is_named) = match named {
        Some(named) => (path.with_file_name(named), true),
        None => (path.with_extension("md"), false),
    };
    let failed = |source| ConfigError::Read { path: file.clone(), source };
    match text_of(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !is_named => Ok(None),
        Err(error) => Err(failed(error)),
        Ok(text) if text.len() > MAX_PROMPT => {
            let found = format!("a prompt has at most {MAX_PROMPT} bytes, and this one {}", text.len());
            Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, found)))
        }
        Ok(text) if text.trim().is_empty() => {
            Err(failed(io::Error::new(io::ErrorKind::InvalidData, "there is nothing in it")))
        }
        Ok(text) => {
            let text = text.trim_end().to_owned(); // Its lines are counted from its beginning.
            Ok(Some((file, text)))
        }
    }
}

fn visibility(text: &str) -> Option<Visibility> {
    match text.split_once(':') {
        None if text == "everybody" => Some(Visibility::Everybody),
        Some(("tenant", name)) if !name.is_empty() => Some(Visibility::Tenant(name.to_owned())),
        Some(("scope", name)) if !name.is_empty() => Some(Visibility::Scope(name.to_owned())),
        _ => None,
    }
}

/// A language, and perhaps more, as BCP 47 writes them; whether there is such a language is not looked at.
fn is_language(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let is_part = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_first = |part: &str| (2..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphabetic());
    parts.next().is_some_and(is_first) && parts.all(is_part)
}

/// As the knowledge base has it.
fn is_collection(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=64).contains(&name.len()) && name.bytes().all(is_plain)
}

#[cfg(test)]
mod tests;
