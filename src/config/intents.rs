//! `NAME.rules.toml` beside an assistant's file: how it answers without a model.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    assistant::version,
    declare::{self, choice, section},
    error::{ConfigError, excerpt},
    file::{position, text_of},
    key::{Key, Kind, nearest},
    localized::Localized,
    tools::{
        Does, Tool, Tools,
        fields::{Entry, NAME, Source, entries, is_name},
    },
};
use crate::{
    formula::{Input, Presence, Template},
    rules::{Intent, Phrase, Rules, Slot, SlotKind, Words},
};

/// The longest file, in bytes.
const MAX_BYTES: usize = 64 << 10;
/// The most intents, and the most slots of one.
const MAX_INTENTS: usize = 64;
const MAX_SLOTS: usize = 16;
/// What its name ends with.
const SUFFIX: &str = ".rules";

choice! {
    /// What a slot is.
    Sort {
        /// An amount.
        Money = "money",
        /// Hundredths.
        Percent = "percent",
        /// A time in months.
        Months = "months",
        /// Any number.
        Number = "number",
        /// A day.
        Date = "date",
        /// A name.
        Name = "name",
        /// A few words.
        Text = "text",
        /// Several texts.
        List = "list",
        /// All that was said last.
        Message = "message",
    }
}

section! {
    /// The file, without the tables in it.
    "" Written {
        /// Said where nothing is meant that is known.
        help: Option<Localized<String>> = None, Kind::Localized(&Kind::Text);
    }
}

section! {
    /// An intent as it is written, without its slots.
    "" WrittenIntent {
        /// What it is called.
        name: Option<String> = None, Kind::Line;
        /// Any of these is said when it is meant.
        any: Option<Localized<Vec<String>>> = None, Kind::Localized(&Kind::List);
        /// The tool that is called.
        call: Option<String> = None, Kind::Line;
        /// What is said.
        say: Option<Localized<String>> = None, Kind::Localized(&Kind::Text);
        /// What is said when nothing came of the call.
        wrong: Option<Localized<String>> = None, Kind::Localized(&Kind::Text);
    }
}

section! {
    /// A slot as it is written.
    "" WrittenSlot {
        /// What it is.
        kind as "type": Option<Sort> = None, Kind::OneOf(Sort::NAMES);
        /// How it is asked for.
        ask: Option<Localized<String>> = None, Kind::Localized(&Kind::Text);
        /// What it is when it was not said; a number.
        default: Option<f64> = None, Kind::Number(-1e15, 1e15);
        /// What it always is; a text, with the names of other slots in braces.
        value: Option<String> = None, Kind::Line;
        /// It stands behind one of these.
        after: Option<Localized<Vec<String>>> = None, Kind::Localized(&Kind::List);
        /// It ends before one of these.
        until: Option<Localized<Vec<String>>> = None, Kind::Localized(&Kind::List);
    }
}

/// The file of the rules for the assistant whose file is at `path`.
pub(super) fn beside(path: &Path) -> PathBuf {
    path.with_extension("rules.toml")
}

/// The file of the assistant whose rules are at `path`; `None` when it has no rules in it.
pub(super) fn belongs_to(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?.strip_suffix(".toml")?.strip_suffix(SUFFIX)?;
    Some(path.with_file_name(format!("{name}.toml")))
}

/// Reads the rules of an assistant with these tools, which speaks these languages; `None` when it has none. What is wrong is
/// put with what was refused.
///
/// # Errors
/// When the file cannot be read at all.
pub(super) fn read(
    path: &Path,
    tools: &Tools,
    languages: &[String],
    refused: &mut Vec<ConfigError>,
) -> Result<Option<Arc<Rules>>, ConfigError> {
    let path = beside(path);
    let failed = |source| ConfigError::Read { path: path.clone(), source };
    let text = match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Ok(file) if file.is_file() && file.len() <= MAX_BYTES as u64 => text_of(&path).map_err(failed)?,
        Ok(_) => return Err(failed(io::Error::other(format!("it is no file, or has more than {MAX_BYTES} bytes")))),
        Err(error) => return Err(failed(error)),
    };
    let (document, errors) = DeTable::parse_recoverable(&text);
    if let Some(error) = errors.first() {
        let (line, column) = position(&text, error.span().map_or(0, |span| span.start));
        let message = error.message().to_owned();
        return Err(ConfigError::Syntax { path, line, column, message });
    }
    let env = std::collections::BTreeMap::new();
    let source = Source { path: &path, text: &text, env: &env, refused };
    let rules = Reader { source, tools, languages }.rules(document.get_ref());
    Ok(Some(Arc::new(Rules { version: version(&[&text]), ..rules })))
}

/// A file that is being read.
struct Reader<'a> {
    source: Source<'a>,
    tools: &'a Tools,
    languages: &'a [String],
}

type Place = std::ops::Range<usize>;

impl Reader<'_> {
    fn rules(&mut self, table: &DeTable<'_>) -> Rules {
        let written: Written = self.source.fields("rules", Written::KEYS, &["intent"], table);
        let help = written.help.and_then(|help| self.words("help", help, &place_of(table, "help", &(0..0))));
        if help.is_none() {
            self.source.refuse("help".to_owned(), "what is said where nothing else is known", "missing", &(0..0));
        }
        let found = entries(table).into_iter().find(|entry| entry.name == "intent");
        let list = found.as_ref().and_then(|found| found.value.get_ref().as_array());
        let mut intents: Vec<Intent> = Vec::new();
        for (at, intent) in list.into_iter().flatten().enumerate() {
            if at == MAX_INTENTS {
                self.source.refuse("intent".to_owned(), format!("at most {MAX_INTENTS}"), "more", &intent.span());
                break;
            }
            if let Some(read) = self.intent(at, intent) {
                if intents.iter().any(|other| other.name == read.name) {
                    let key = format!("intent.{}.name", read.name);
                    self.source.refuse_text(key, "a name that no other one has", &read.name, &intent.span());
                }
                intents.push(read);
            }
        }
        if intents.is_empty() {
            let place = found.map_or(0..0, |found| found.span);
            self.source.refuse("intent".to_owned(), "a list with one [[intent]] at least", "empty or missing", &place);
        }
        let (help, languages) = (help.unwrap_or_default(), self.languages.to_vec());
        Rules { intents, help, languages, version: String::new() }
    }

    fn intent(&mut self, at: usize, intent: &Spanned<DeValue<'_>>) -> Option<Intent> {
        let (place, within) = (intent.span(), format!("intent[{}]", at + 1));
        let Some(table) = intent.get_ref().as_table() else {
            self.source.refuse(within, "a table", format!("of type {}", intent.get_ref().type_str()), &place);
            return None;
        };
        let written: WrittenIntent = self.source.fields(&within, WrittenIntent::KEYS, &["slots"], table);
        let Some(name) = written.name.filter(|name| is_name(name)) else {
            self.source.refuse(format!("{within}.name"), NAME, "missing or another", &place_of(table, "name", &place));
            return None;
        };
        let within = format!("intent.{name}");
        let any_place = place_of(table, "any", &place);
        let any = written.any.and_then(|any| self.phrases(&format!("{within}.any"), any, &any_place));
        if any.is_none() {
            let key = format!("{within}.any");
            self.source.refuse(key, "words and phrases by which it is known", "missing or empty", &any_place);
        }
        let mut slots = Vec::new();
        for entry in self.source.table(&within, "slots", MAX_SLOTS, table) {
            slots.extend(self.slot(&within, &entry));
        }
        self.values(&within, &slots, &place);
        let mut known: Option<Vec<String>> = Some(slots.iter().map(|slot| slot.name.clone()).collect());
        if let Some(call) = &written.call {
            let results = self.call(&within, call, &slots, &place_of(table, "call", &place));
            known = known.zip(results).map(|(known, results)| [known, results].concat());
        }
        let template = |this: &mut Self, key: &str, text: Option<Localized<String>>, known: Option<&[String]>| {
            let (place, key) = (place_of(table, key, &place), format!("{within}.{key}"));
            text.and_then(|text| this.templates(&key, text, known, &place))
        };
        let say = template(self, "say", written.say, known.as_deref());
        let wrong_knows = known.map(|known| [known, vec!["error".to_owned()]].concat());
        let wrong = template(self, "wrong", written.wrong, wrong_knows.as_deref());
        Some(Intent { name, any: any.unwrap_or_default(), slots, call: written.call, say, wrong })
    }

    fn slot(&mut self, within: &str, entry: &Entry<'_>) -> Option<Slot> {
        let (name, place, key) = (entry.name.to_owned(), &entry.span, format!("{within}.slots.{}", entry.name));
        if !is_name(&name) {
            self.source.refuse_text(key, format!("named by {NAME}"), &name, place);
            return None;
        }
        let Some(table) = entry.value.get_ref().as_table() else {
            self.source.refuse(key, "a table", format!("of type {}", entry.value.get_ref().type_str()), place);
            return None;
        };
        let written: WrittenSlot = self.source.fields(&key, WrittenSlot::KEYS, &[], table);
        let Some(sort) = written.kind else {
            let expected = format!("one of {}", Sort::NAMES.join(", "));
            self.source.refuse(format!("{key}.type"), expected, "missing or wrong", place);
            return None;
        };
        let kind = match sort {
            Sort::Money => SlotKind::Money,
            Sort::Percent => SlotKind::Percent,
            Sort::Months => SlotKind::Months,
            Sort::Number => SlotKind::Number,
            Sort::Date => SlotKind::Date,
            Sort::Name => SlotKind::Name,
            Sort::Text => SlotKind::Text,
            Sort::List => SlotKind::List,
            Sort::Message => SlotKind::Message,
        };
        let ask = written.ask.and_then(|ask| self.words(&format!("{key}.ask"), ask, place));
        let after = written.after.and_then(|after| self.phrases(&format!("{key}.after"), after, place));
        let until = written.until.and_then(|until| self.phrases(&format!("{key}.until"), until, place));
        let default = written.default.map(crate::formula::number::json);
        let is_number = matches!(kind, SlotKind::Money | SlotKind::Percent | SlotKind::Months | SlotKind::Number);
        if default.is_some() && !is_number {
            let expected = format!("left out where type is {}", sort.name());
            self.source.refuse(format!("{key}.default"), expected, "a number", place);
        }
        if written.value.is_some() && (kind != SlotKind::Text || ask.is_some() || after.is_some()) {
            let expected = "left out where type is not text, and where there is ask or after";
            self.source.refuse(format!("{key}.value"), expected, "a text", place);
        }
        let value = written.value.and_then(|text| {
            let read = Template::parse(&text);
            if let Err(error) = &read {
                self.source.refuse_text(format!("{key}.value"), error.to_string(), &text, place);
            }
            read.ok()
        });
        Some(Slot {
            name,
            kind,
            ask,
            default,
            value,
            after: after.unwrap_or_default(),
            until: until.unwrap_or_default(),
        })
    }

    /// Looks whether values are made of other slots, which are made of nothing.
    fn values(&mut self, within: &str, slots: &[Slot], place: &Place) {
        for slot in slots {
            let names = slot.value.iter().flat_map(Template::names);
            let is_said = |name: &str| slots.iter().any(|other| other.name == name && other.value.is_none());
            if let Some(other) = names.into_iter().find(|name| !is_said(name)) {
                let key = format!("{within}.slots.{}.value", slot.name);
                self.source.refuse_text(key, "made of slots that have no value themselves", other, place);
            }
        }
    }

    /// Looks whether a tool can be called with these slots. The names of its results and inputs, where they are known.
    fn call(&mut self, within: &str, call: &str, slots: &[Slot], place: &Place) -> Option<Vec<String>> {
        let key = format!("{within}.call");
        let Some(tool) = self.tools.offered.iter().find(|tool| tool.name() == call) else {
            let nearest = nearest(call, self.tools.offered.iter().map(|tool| tool.name().to_owned()));
            let expected = format!("one of the tools of the assistant (the nearest one is `{nearest}`)");
            self.source.refuse_text(key, expected, call, place);
            return None;
        };
        let Tool::Own(own) = tool else { return None };
        let has = |input: &&Input| {
            slots.iter().any(|slot| slot.name == input.name && is_there(slot, slots) && !slot.is_part_of(slots))
        };
        let is_required = |input: &&Input| input.presence == Presence::Required;
        if let Some(input) = own.inputs.iter().filter(is_required).find(|input| !has(input)) {
            let expected =
                format!("a tool for which all is known: `{}` has no slot with `ask` or `default`", input.name);
            self.source.refuse_text(key.clone(), expected, call, place);
        }
        let names: Vec<String> = own.inputs.iter().map(|input| input.name.clone()).collect();
        if let Some(slot) = slots.iter().find(|slot| !names.contains(&slot.name) && !slot.is_part_of(slots)) {
            let expected = format!("a tool that takes all slots: `{call}` takes {}", names.join(", "));
            self.source.refuse_text(key, expected, &slot.name, place);
        }
        match &own.does {
            Does::Formula(formula) => {
                let results = formula.outputs.iter().map(|output| output.name.clone());
                Some(names.into_iter().chain(results).collect())
            }
            _ => None,
        }
    }

    /// A text that is spoken, in the languages of the assistant.
    fn words<T>(&mut self, key: &str, text: Localized<T>, place: &Place) -> Option<Words<T>> {
        let texts = match text {
            Localized::Same(text) => return Some(Words::same(text)),
            Localized::ByLanguage(texts) => texts,
        };
        let first = self.languages.first();
        if let Some(other) = texts.keys().find(|language| !self.languages.contains(language)) {
            self.source.refuse_text(
                key.to_owned(),
                "in languages that are in `languages` of the assistant",
                other,
                place,
            );
        } else if let Some(first) = first.filter(|first| !texts.contains_key(*first)) {
            let expected = format!("in {first}, too, the first of `languages` of the assistant");
            self.source.refuse(key.to_owned(), expected, "not", place);
        }
        (!texts.is_empty()).then(|| Words::by_language(texts))
    }

    fn phrases(&mut self, key: &str, text: Localized<Vec<String>>, place: &Place) -> Option<Words<Vec<Phrase>>> {
        let words = self.words(key, text, place)?;
        let is_empty = words.iter().all(|(_, phrases)| phrases.is_empty());
        let mut read = |phrase: &String| {
            let parsed = Phrase::parse(phrase);
            if parsed.is_none() {
                self.source.refuse_text(key.to_owned(), "phrases with words in them", phrase, place);
            }
            parsed
        };
        let read = words.map(|phrases| phrases.iter().filter_map(&mut read).collect());
        (!is_empty).then_some(read)
    }

    fn templates(
        &mut self,
        key: &str,
        text: Localized<String>,
        known: Option<&[String]>,
        place: &Place,
    ) -> Option<Words<Template>> {
        let words = self.words(key, text, place)?;
        let mut failed = false;
        let read = words.map(|text| {
            let read = Template::parse(text).map_err(|error| error.to_string()).and_then(|template| {
                let Some(other) = template.names().find(|name| is_unknown(name, known)).map(excerpt) else {
                    return Ok(template);
                };
                let nearest = nearest(&other, known.unwrap_or_default().iter().cloned());
                Err(format!("made of names that are known: there is no `{other}`; the nearest one is `{nearest}`"))
            });
            match read {
                Ok(template) => Some(template),
                Err(expected) => {
                    self.source.refuse_text(key.to_owned(), expected, text, place);
                    failed = true;
                    None
                }
            }
        });
        if failed { None } else { read.all() }
    }
}

fn is_unknown(name: &str, known: Option<&[String]>) -> bool {
    known.is_some_and(|known| !known.iter().any(|other| other == name))
}

/// Whether it has a value once everything was asked for.
fn is_there(slot: &Slot, slots: &[Slot]) -> bool {
    let is_said = |name: &str| slots.iter().any(|other| other.name == name && is_there(other, &[]));
    let is_made = slot.value.as_ref().is_some_and(|value| value.names().all(is_said));
    slot.ask.is_some() || slot.default.is_some() || is_made || slot.kind == SlotKind::Message
}

/// Where an entry stands, or the table when it is not there.
fn place_of(table: &DeTable<'_>, name: &str, otherwise: &Place) -> Place {
    entries(table).into_iter().find(|entry| entry.name == name).map_or_else(|| otherwise.clone(), |entry| entry.span)
}

#[cfg(test)]
mod tests;
