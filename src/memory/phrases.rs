//! What users tell of themselves, found by rules in English, German and Hindi. Pure.
//!
//! Rather nothing than something wrong: a clause must begin with its user ("I live in …", "my dog is called …") and say how
//! things are. Questions, conditions, wishes, the past, quotations, what others say, pasted lines and tasks tell nothing, nor
//! does a message that is too long to have been typed. Whoever asks for it ("remember that …") may say anything, but what is
//! about somebody else and reads like an order is no memory.

mod english;
mod german;
mod hindi;
mod language;
mod pattern;
mod relations;
mod rule;
mod sentences;
#[cfg(test)]
mod tests;
mod value;

use std::{collections::HashSet, sync::LazyLock};

use regex::Regex;

use self::{
    english::ENGLISH,
    german::GERMAN,
    hindi::HINDI,
    language::Language,
    pattern::pattern,
    relations::relation,
    rule::Found,
    sentences::{Sentence, sentences},
};
use crate::chat::Origin;

/// The most that one message tells; what is over is left out.
pub const MAX_SAID: usize = 8;
/// The longest text of what is told, in characters; the end of a longer one is left out.
pub const MAX_SAID_CHARS: usize = 300;
/// A longer message, in characters, was hardly typed by its user: only what it begins with can be meant to be remembered.
const MAX_TYPED_CHARS: usize = 1_000;

/// Something that users tell of themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// What it is about, in small letters and at most 60 bytes, as in `name`, `sister` or `likes:coffee`; `None` when no rule
    /// knows.
    pub attribute: Option<String>,
    /// Their own clause, a part of the message of at most [`MAX_SAID_CHARS`].
    pub text: String,
    /// What it says of its attribute, in small letters: `berlin` of a place, `engineer` and `siemens` of work.
    pub values: Vec<String>,
    /// The attributes of facts that hold no longer: its own, and those that it denies.
    pub ends: Vec<String>,
    /// Whether what has this value of its attribute holds no longer, and nothing else: "I no longer live in Berlin".
    pub is_over: bool,
    /// [`Origin::Explicit`] when they asked for it, otherwise [`Origin::Rule`].
    pub origin: Origin,
}

static LANGUAGES: [&LazyLock<Language>; 3] = [&ENGLISH, &GERMAN, &HINDI];

/// What says nothing before a clause.
static FILLER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:(?:hi|hello|hey|hiya|good (?:morning|evening|afternoon)|there|well|so|oh|ah|ok|okay|yes|no|yeah|nope|actually|by the way|btw|fyi|just so you know|also|and|but|plus|anyway",
        r"|besides|quick question|one more question|another question|kurze frage|eine frage|noch eine frage|एक सवाल|sorry|thanks|thank you|sure|great|please|bitte|कृपया|hallo|guten (?:morgen|tag|abend)|servus|moin|übrigens|ach|ja|nein|und|aber|außerdem|naja|tja|danke|nur damit du es weißt|नमस्ते|नमस्कार|हाय|हैलो|हेलो|वैसे|हाँ|हां|नहीं|और|अच्छा|लेकिन|अरे|धन्यवाद)",
        r"(?:[\s,!.:–-]+|$))+"
    ))
});
/// Who greets may say who they are, and nothing else with it.
static GREETING: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:hi|hello|hey|hiya|good (?:morning|evening|afternoon)|hallo|guten (?:morgen|tag|abend)|servus|moin|नमस्ते|नमस्कार|हाय|हैलो|हेलो)\b",
    )
});
/// What somebody orders to be done, which is no memory of the one who is asked to remember it.
static ORDER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"\b(?:the |this |all )?users?\b|\b(?:forward\w*|send|sends|sent|e-?mails?|mails?|passwords?|credentials?|ignore|disregard|instructions?|system prompt|you (?:must|are|should|have to)|execute|click|transfer|https?|admin\w*",
        r"|nutzer\w*|benutzer\w*|weiterleit\w*|weitergeleitet|sende\w*|schicke\w*|passw\w+|anweisung\w*|ignorier\w*|du (?:musst|bist|sollst)|überweis\w*)\b|उपयोगकर्ता|यूज़र|यूजर|भेज|ईमेल|पासवर्ड|निर्देश|अनदेखा"
    ))
});
/// How answers are to be, or where they are to lead: whoever speaks, that is nothing about them.
static RULE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"https?:|\b(?:ignore|disregard|system prompt|(?:these|previous|my|your) instructions?",
        r"|(?:every|each|all|any|your|the) (?:answers?|repl(?:y|ies)|responses?)|(?:alle|jede|deine) antworte?n?|ignoriere?)\b"
    ))
});
/// Somebody else, whatever stands beside: a message that speaks of its user so is not by them.
static USER: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\b(?:the|this) users?\b|\b(?:der|dem|den|die) (?:be)?nutzer\w*\b|उपयोगकर्ता|यूज़र|यूजर"));
/// What people ask to be remembered together: "that time when we …".
static SHARED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:time|day|night|evening|summer|guy|girl|one|movie|film|song|show|thing|place|when|how|what|who|where|why|to)\b",
    )
});
/// Behind these words a question asks whether something is remembered.
static BARE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^remember\b"));
/// Who asks like that may leave the mark out: "how do I learn and remember my words".
static HOW: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?:how|why|wie|warum|wieso)\b"));

/// So much of a message is looked at.
fn start(message: &str) -> &str {
    message.char_indices().nth(MAX_TYPED_CHARS).map_or(message, |(end, _)| &message[..end])
}

/// Whether a quotation is what the user says: each sentence of it stands in one of the message, word by word, which is no
/// quotation itself and gives no order. What is between words, and their case, does not count.
#[must_use]
pub fn is_own_words(message: &str, quote: &str) -> bool {
    let bare = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let words =
        |text: &str| -> Vec<String> { text.split_whitespace().map(bare).filter(|word| !word.is_empty()).collect() };
    let said: Vec<Vec<String>> = sentences(start(message))
        .iter()
        .filter(|sentence| !sentence.is_quotation && !sentence.is_task && is_own(sentence.text))
        .map(|sentence| words(sentence.text))
        .collect();
    let is_said = |part: &Vec<String>| said.iter().any(|said| said.windows(part.len()).any(|there| there == part));
    let parts: Vec<Vec<String>> = sentences(quote).iter().map(|sentence| words(sentence.text)).collect();
    let mut parts = parts.iter().filter(|part| !part.is_empty()).peekable();
    parts.peek().is_some() && parts.all(is_said)
}

/// What a message tells, in its order, at most [`MAX_SAID`].
#[must_use]
pub fn said(message: &str) -> Vec<Said> {
    told(message, false)
}

/// What the text of a fact says: it may have stood behind "dass", in the order that words have there.
#[must_use]
pub fn said_by_fact(text: &str) -> Vec<Said> {
    told(text, true)
}

fn told(message: &str, is_fact: bool) -> Vec<Said> {
    let is_typed = message.chars().nth(MAX_TYPED_CHARS).is_none();
    let (mut told, mut texts) = (Vec::new(), HashSet::new());
    let mut greets = false; // Nothing but a greeting was said yet.
    for (sentence, at) in sentences(start(message)).iter().zip(0..) {
        if sentence.is_task {
            break;
        }
        let text = without_filler(sentence.text);
        let is_greeting = at == 0 && GREETING.is_match(sentence.text) || at == 1 && greets;
        greets = is_greeting && text.is_empty();
        let (before, wanted) =
            explicit(text, sentence.is_question).map_or((text, None), |(before, wanted)| (before, Some(wanted)));
        let is_forgotten = !before.is_empty() && LANGUAGES.iter().any(|language| language.forget.is_match(text));
        if sentence.is_quotation || is_forgotten {
            continue;
        }
        if !is_typed && (wanted.is_none() || !before.is_empty()) {
            break;
        }
        let is_statement = wanted.is_some() || !sentence.is_question;
        if is_statement && !sentence.has_quotation && !is_hedged(before) {
            let each = clauses(before).zip(0..).filter_map(|(clause, nth)| {
                Some(Said::new(clause, Origin::Rule, Some(found(clause, is_greeting && nth == 0, is_fact)?)))
            });
            told.extend(each);
        }
        if let Some(wanted) = wanted.filter(|wanted| is_own(wanted)) {
            told.extend(remembered(wanted, sentence));
        }
    }
    told.retain(|said| !said.text.is_empty() && texts.insert(said.text.to_lowercase()));
    told.truncate(MAX_SAID);
    told
}

/// Whether a message does nothing but ask: each of its sentences does, but for what says nothing.
#[must_use]
pub fn is_question(message: &str) -> bool {
    let message = start(message);
    let sentences = sentences(message);
    let mut texts =
        sentences.iter().map(|each| (each, without_filler(each.text))).filter(|(_, text)| !text.is_empty()).peekable();
    let is_asking = |(sentence, text): (&Sentence<'_>, &str)| sentence.is_question || asks(text);
    texts.peek().is_some() && texts.all(is_asking) && said(message).is_empty()
}

/// Whether something is to be forgotten.
#[must_use]
pub fn is_forgetting(message: &str) -> bool {
    let message = start(message);
    let is_meant = |text: &str| {
        // "Vergiss nicht, dass" is the contrary.
        let remembers = explicit(text, false).is_some_and(|(before, _)| before.is_empty());
        !remembers && LANGUAGES.iter().any(|language| language.forget.is_match(text))
    };
    sentences(message).iter().any(|sentence| !sentence.is_quotation && is_meant(without_filler(sentence.text)))
}

/// The attribute that a question asks for: `place` for "Where do I live?". One that ends with a colon stands for all that begin with
/// it, and an empty one for all there are ("What do you know about me?").
#[must_use]
pub fn asked(message: &str) -> Option<String> {
    sentences(start(message)).iter().find_map(|sentence| {
        let text = without_filler(sentence.text);
        LANGUAGES.iter().flat_map(|language| &language.asked).find_map(|(pattern, attribute)| {
            let captures = pattern.captures(text)?;
            let Some(key) = captures.name("k") else { return Some((*attribute).to_owned()) };
            let key = key.as_str().to_lowercase();
            match attribute.trim() {
                "" => relation(&key).or(Some(key)),
                of => Some(format!("{of} {key}")),
            }
        })
    })
}

fn without_filler(text: &str) -> &str {
    &text[FILLER.find(text).map_or(0, |found| found.end())..]
}

/// Whether a text begins like a question.
fn asks(text: &str) -> bool {
    LANGUAGES.iter().any(|language| language.question.is_match(text))
}

/// What comes before the words by which somebody wants something remembered, and what they want. Who asks whether it is
/// remembered, or how to remember it oneself, wants nothing kept.
fn explicit(text: &str, is_question: bool) -> Option<(&str, &str)> {
    let captures = LANGUAGES.iter().find_map(|language| language.explicit.captures(text))?;
    let wanted = captures.name("v").or_else(|| captures.name("w"))?.as_str().trim();
    let wanted = wanted.trim_end_matches(|c: char| c.is_whitespace() || ",.!?;।".contains(c));
    let is_shared = captures.name("v").is_some() && SHARED.is_match(wanted);
    let before = text[..captures.get_match().start()].trim();
    let is_bare = before.is_empty() && BARE.is_match(text);
    let is_asked = is_question && (is_bare || asks(before)) || captures.name("v").is_none() && HOW.is_match(before);
    (!is_shared && !is_asked && !wanted.is_empty()).then_some((before, wanted))
}

/// Whether something can be a memory of whoever wants it remembered: it speaks of them, or orders nothing.
fn is_own(wanted: &str) -> bool {
    let has_self = LANGUAGES.iter().any(|language| language.own.is_match(wanted));
    !USER.is_match(wanted) && !RULE.is_match(wanted) && (has_self || !ORDER.is_match(wanted))
}

/// What is wanted, clause by clause; as a whole when no rule knows any of it.
fn remembered(wanted: &str, sentence: &Sentence<'_>) -> Vec<Said> {
    let is_plain = !sentence.has_quotation && !is_hedged(wanted);
    let each: Vec<Said> = clauses(wanted)
        .map(|clause| Said::new(clause, Origin::Explicit, found(clause, false, true).filter(|_| is_plain)))
        .collect();
    let is_known = is_plain && each.iter().any(|said| said.attribute.is_some());
    if is_known { each } else { vec![Said::new(wanted, Origin::Explicit, None)] }
}

fn is_hedged(text: &str) -> bool {
    LANGUAGES.iter().any(|language| language.hedge.is_match(text))
}

/// What a clause says; `is_asked`: it may have stood behind "dass".
fn found(clause: &str, is_greeting: bool, is_asked: bool) -> Option<Found> {
    let rules = LANGUAGES.iter().flat_map(|language| &language.rules);
    rules.filter(|rule| is_asked || !rule.is_subordinate()).find_map(|rule| rule.find(clause, is_greeting))
}

/// The clauses of a sentence: each but the first begins with its user.
fn clauses(text: &str) -> impl Iterator<Item = &str> {
    let mut cuts: Vec<(usize, usize)> = LANGUAGES
        .iter()
        .flat_map(|language| language.joint.captures_iter(text))
        .filter_map(|captures| Some((captures.get_match().start(), captures.name("next")?.start())))
        .collect();
    cuts.sort_unstable();
    let mut clauses = Vec::new();
    let mut start = 0;
    for (end, next) in cuts {
        if end >= start {
            clauses.push(&text[start..end]);
            start = next;
        }
    }
    clauses.push(&text[start..]);
    clauses.into_iter().map(|clause| without_filler(clause.trim())).filter(|clause| !clause.is_empty())
}

impl Said {
    fn new(clause: &str, origin: Origin, found: Option<Found>) -> Self {
        let end = clause.char_indices().nth(MAX_SAID_CHARS).map_or(clause.len(), |(end, _)| end);
        let text = clause[..end].trim_end_matches(|c: char| c.is_whitespace() || ",.!?;:।–-".contains(c));
        let said = Self {
            attribute: None,
            text: text.to_owned(),
            values: Vec::new(),
            ends: Vec::new(),
            is_over: false,
            origin,
        };
        match found {
            Some(Found { attribute, values, ends, is_over }) => {
                Self { attribute: Some(attribute), values, ends, is_over, ..said }
            }
            None => said,
        }
    }

    /// Whether something that was said has the values of which this says that they hold no longer: all of them, or no others.
    #[must_use]
    pub fn is_end_of(&self, other: &Self) -> bool {
        let has = |one: &str, part: &str| one == part || one.starts_with(&format!("{part} "));
        let is_same = |one: &String, other: &String| has(one, other) || has(other, one);
        let are_in = |some: &[String], all: &[String]| {
            !some.is_empty() && some.iter().all(|one| all.iter().any(|other| is_same(one, other)))
        };
        let (own, others) = (&self.values, &other.values);
        self.is_over && self.attribute == other.attribute && (are_in(own, others) || are_in(others, own))
    }
}
