//! What is done about what was said. The state of a conversation is made of its messages, each time anew.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    definition::{Intent, Rules, Slot, SlotKind, Words},
    utterance::Utterance,
};
use crate::formula::{Filling, Template};

/// The newest messages, which alone count.
const MAX_SAID: usize = 40;

/// So many letters of a message tell its language.
const MAX_LETTERS: usize = 200;

/// A message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said<'a> {
    /// Of the person.
    User(&'a str),
    /// Of whoever answered.
    Assistant(&'a str),
}

/// What is done.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// A tool is called.
    Call(String, Value),
    /// Something is said.
    Say(String),
    /// What the documents say; and where they say nothing, this.
    Documents(String),
}

/// What is known of a conversation.
struct State<'a> {
    rules: &'a Rules,
    language: &'a str,
    intent: Option<&'a Intent>,
    known: Known<'a>,
    /// What was asked for last.
    asked: Option<&'a Slot>,
    /// Whether the last message has anything to do with the intent.
    is_meant: bool,
}

type Known<'a> = BTreeMap<&'a str, Value>;

impl Rules {
    /// What is done about the last message.
    #[must_use]
    pub fn next(&self, said: &[Said<'_>]) -> Next {
        let state = State::of(self, said);
        let documents = || Next::Documents(self.helps(state.language));
        let Some(intent) = state.intent.filter(|_| state.is_meant) else { return documents() };
        if let Some(ask) = missing(intent, &state.known).and_then(|slot| slot.ask.as_ref()) {
            return Next::Say(ask.get(state.language).cloned().unwrap_or_default());
        }
        match (&intent.call, &intent.say) {
            (Some(tool), _) => Next::Call(tool.clone(), Value::Object(arguments(intent, &state.known))),
            (None, Some(say)) => Next::Say(filled(say, state.language, &values(intent, &state.known))),
            (None, None) => documents(),
        }
    }

    /// What is said where nothing else can be.
    #[must_use]
    pub fn help(&self, said: &[Said<'_>]) -> String {
        self.helps(State::of(self, said).language)
    }

    fn helps(&self, language: &str) -> String {
        self.help.get(language).cloned().unwrap_or_default()
    }

    /// What is said of what came of a call after the last message.
    #[must_use]
    pub fn tell(&self, said: &[Said<'_>], tool: &str, arguments: &Value, result: &str) -> String {
        let State { language, intent, known, .. } = State::of(self, said);
        let is_its = |intent: &&Intent| intent.call.as_deref() == Some(tool);
        let intent = intent.filter(is_its);
        let mut values = intent.map(|intent| values(intent, &known)).unwrap_or_default();
        // It may be that a model has called it.
        let intent = intent.or_else(|| self.intents.iter().find(is_its));
        let Ok(Value::Object(result)) = serde_json::from_str(result) else { return result.to_owned() };
        values.extend(arguments.as_object().cloned().unwrap_or_default());
        values.extend(result.clone());
        if let Some(error) = values.get("error").and_then(Value::as_str).map(str::to_owned) {
            let wrong = intent.and_then(|intent| intent.wrong.as_ref());
            let told = wrong.map_or_else(|| error.clone(), |wrong| filled(wrong, language, &values));
            // What is wrong is told by the names of arguments.
            let is_wrong = |slot: &&Slot| error.starts_with(&format!("{}: ", slot.name));
            let ask = intent.and_then(|intent| intent.slots.iter().find(is_wrong)).and_then(|slot| slot.ask.as_ref());
            return match ask.and_then(|ask| ask.get(language)) {
                Some(ask) => format!("{told} {ask}"),
                None => told,
            };
        }
        match intent.and_then(|intent| intent.say.as_ref()) {
            Some(say) => filled(say, language, &values),
            None => {
                let line = |(name, value): (&String, &Value)| match value.as_str() {
                    Some(text) => format!("{name}: {text}"),
                    None => format!("{name}: {value}"),
                };
                result.iter().map(line).collect::<Vec<_>>().join("\n")
            }
        }
    }

    /// What is meant, by the longest of all phrases that were said, and in which language.
    fn meant(&self, utterance: &Utterance<'_>) -> Option<(&Intent, &str)> {
        let mut best: Option<(usize, &Intent, &str)> = None;
        for intent in &self.intents {
            for (language, phrases) in intent.any.iter() {
                for phrase in phrases.iter().filter(|phrase| utterance.find(phrase, 0).is_some()) {
                    if best.is_none_or(|(words, ..)| phrase.0.len() > words) {
                        best = Some((phrase.0.len(), intent, language));
                    }
                }
            }
        }
        best.map(|(_, intent, language)| (intent, language))
    }
}

impl<'a> State<'a> {
    fn of(rules: &'a Rules, said: &[Said<'_>]) -> Self {
        let language = rules.languages.first().map_or("", String::as_str);
        let known = Known::new();
        let mut state = Self { rules, language, intent: None, known, asked: None, is_meant: false };
        for one in &said[said.len().saturating_sub(MAX_SAID)..] {
            match one {
                Said::User(text) => state.hear(text),
                Said::Assistant(text) => state.asked = state.asked_in(text),
            }
        }
        state
    }

    /// The slot that an answer asks for: whose question stands in it, and the last one of several.
    fn asked_in(&self, text: &str) -> Option<&'a Slot> {
        let place = |slot: &Slot| {
            let asks = slot.ask.iter().flat_map(Words::iter);
            asks.filter_map(|(_, ask)| text.rfind(ask.as_str()).map(|at| at + ask.len())).max()
        };
        let slots = self.intent?.slots.iter();
        slots.filter_map(|slot| Some((place(slot)?, slot))).max_by_key(|(place, _)| *place).map(|(_, slot)| slot)
    }

    /// Takes in what the person said.
    fn hear(&mut self, text: &str) {
        let asked = self.asked.take();
        let meant = self.rules.meant(&Utterance::read(text));
        self.language = self.spoken(text, meant.map(|(_, language)| language));
        let meant = meant.map(|(intent, _)| intent);
        self.is_meant = true;
        let other = meant.filter(|other| self.intent.is_none_or(|intent| !std::ptr::eq(intent, *other)));
        if other.is_some_and(Intent::is_aside) {
            return self.is_meant = false;
        }
        let Some(other) = other else {
            let Some(intent) = self.intent else { return self.is_meant = false };
            let filled = fill(intent, asked, text, &mut self.known);
            self.is_meant = filled || meant.is_some();
            return;
        };
        let mut anew = Known::new();
        fill(other, None, text, &mut anew);
        // "My EMI is 8000" answers a question for it, and begins nothing.
        if let (Some(intent), Some(slot)) = (self.intent, asked)
            && missing(other, &anew).is_some()
            && !Utterance::read(text).asks()
            && !matches!(slot.kind, SlotKind::Name | SlotKind::Text | SlotKind::List | SlotKind::Message)
            && fill(intent, asked, text, &mut self.known)
        {
            return;
        }
        // What was said of the same thing holds on: "and a letter for that".
        let before = self.intent.map_or(&[][..], |intent| &intent.slots);
        for slot in &other.slots {
            let is_same = |was: &Slot| was.name == slot.name && was.kind == slot.kind;
            if before.iter().any(is_same)
                && let Some(value) = self.known.remove(slot.name.as_str())
            {
                anew.entry(&slot.name).or_insert(value);
            }
        }
        (self.intent, self.known) = (Some(other), anew);
    }

    /// The language of a message: that of the words by which it was understood; else the one that there was, unless its
    /// letters are another one's.
    fn spoken(&self, text: &str, understood: Option<&'a str>) -> &'a str {
        if let Some(language) = understood.filter(|language| !language.is_empty()) {
            return language;
        }
        let letters: Vec<char> = text.chars().filter(|c| c.is_alphabetic()).take(MAX_LETTERS).collect();
        let share = |language: &str| {
            let texts = self.rules.intents.iter().flat_map(|intent| intent.any.iter());
            let words = texts.filter(|(other, _)| *other == language).flat_map(|(_, phrases)| phrases);
            let alphabet: Vec<char> = words.flat_map(|phrase| &phrase.0).flat_map(|word| word.chars()).collect();
            letters.iter().filter(|c| c.to_lowercase().any(|c| alphabet.contains(&c))).count()
        };
        let here = share(self.language);
        if here * 2 >= letters.len() {
            return self.language;
        }
        let others = self.rules.languages.iter().filter(|other| share(other) > here);
        others.max_by_key(|other| share(other)).map_or(self.language, String::as_str)
    }
}

/// Fills the slots of an intent with what was said: first the one that was asked for, then those whose words stand before
/// what was said, then those that are empty yet. Whether there was anything.
fn fill<'a>(intent: &'a Intent, asked: Option<&Slot>, text: &str, known: &mut Known<'a>) -> bool {
    let mut utterance = Utterance::read(text);
    let begins = |slot: &Slot, utterance: &Utterance<'_>| {
        let found = slot.after.iter().flat_map(|(_, phrases)| phrases).filter_map(|phrase| utterance.find(phrase, 0));
        // The first, and of those that begin alike the longest.
        found.min_by_key(|found| (found.start, std::cmp::Reverse(found.end))).map(|found| found.end)
    };
    let up_to = |slot: &Slot, utterance: &Utterance<'_>, from: usize| {
        let phrases = slot.until.iter().flat_map(|(_, phrases)| phrases);
        let ends = phrases.filter_map(|phrase| utterance.find(phrase, from)).map(|found| found.start).min();
        from..ends.unwrap_or(utterance.whole().end)
    };
    let is_asked = |slot: &Slot| asked.is_some_and(|asked| asked.name == slot.name);
    let mut order: Vec<&Slot> = intent.slots.iter().collect();
    order.sort_by_key(|slot| {
        (!is_asked(slot), begins(slot, &utterance).is_none(), known.contains_key(slot.name.as_str()))
    });
    let mut is_any = false;
    for slot in order {
        let from = begins(slot, &utterance);
        let is_named = from.is_some() || is_asked(slot);
        let value = match slot.kind {
            SlotKind::Name | SlotKind::Text | SlotKind::List if !is_named => None,
            kind => {
                let at = up_to(slot, &utterance, from.unwrap_or(0));
                let is_words = matches!(kind, SlotKind::Name | SlotKind::Text | SlotKind::List);
                // "I earn 60000", and "60000 is what I earn"; words stand behind theirs, or are the whole answer.
                let may_be_before = from.is_some() && (!is_words || is_asked(slot));
                let taken = utterance.take(kind, at, is_named);
                taken.or_else(|| may_be_before.then(|| utterance.take(kind, utterance.whole(), is_asked(slot)))?)
            }
        };
        if let Some(value) = value {
            is_any |= slot.kind != SlotKind::Message; // There is always one.
            known.insert(&slot.name, value);
        }
    }
    is_any
}

/// The first slot that has to be asked for.
fn missing<'a>(intent: &'a Intent, known: &Known<'_>) -> Option<&'a Slot> {
    intent
        .slots
        .iter()
        .find(|slot| slot.ask.is_some() && slot.default.is_none() && !known.contains_key(slot.name.as_str()))
}

/// What is known of all slots.
fn values(intent: &Intent, known: &Known<'_>) -> Map<String, Value> {
    let said = |slot: &Slot| known.get(slot.name.as_str()).or(slot.default.as_ref()).cloned();
    let mut values: Map<String, Value> =
        intent.slots.iter().filter_map(|slot| Some((slot.name.clone(), said(slot)?))).collect();
    for slot in &intent.slots {
        // Where one of its parts is not known, neither is the whole.
        if let Some(template) = slot.value.as_ref().filter(|value| value.names().all(|name| values.contains_key(name)))
        {
            let text = fill_in(template, &values);
            values.insert(slot.name.clone(), text.into());
        }
    }
    values
}

/// Those of them that the tool is given.
fn arguments(intent: &Intent, known: &Known<'_>) -> Map<String, Value> {
    let mut values = values(intent, known);
    values.retain(|name, _| !intent.slots.iter().any(|slot| slot.name == *name && slot.is_part_of(&intent.slots)));
    values
}

fn filled(say: &Words<Template>, language: &str, values: &Map<String, Value>) -> String {
    say.get(language).map(|template| fill_in(template, values)).unwrap_or_default()
}

/// A template with what is known by name. The parts of a list's lists are called what stands in `columns` beside it.
fn fill_in(template: &Template, values: &Map<String, Value>) -> String {
    let names = values.get("columns").and_then(Value::as_array).into_iter().flatten();
    let columns: Vec<String> = names.filter_map(Value::as_str).map(str::to_owned).collect();
    template.fill(|name| match values.get(name) {
        None => Filling::from(String::new()),
        Some(Value::Array(items)) => Filling::List(items.clone(), columns.clone()),
        Some(value) => Filling::from(value),
    })
}

#[cfg(test)]
mod tests;
