//! What a rule is, and what of a clause may be a value. Pure.

use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};

use super::relations::relation;

/// The longest attribute, in bytes.
pub(super) const MAX_ATTRIBUTE: usize = 60;
/// The longest value that is one thing rather than a description of many, in characters and in words.
const MAX_VALUE_CHARS: usize = 40;
const MAX_VALUE_WORDS: usize = 5;

/// What a clause is about that a rule knows.
#[derive(Debug, Clone, Copy)]
pub(super) enum About {
    /// Of this there is one.
    One(&'static str),
    /// One for each value.
    Many(&'static str),
    /// The same, and the other does not hold at the same time.
    Either(&'static str, &'static str),
    /// One for whom the clause names as `k`: a relative or an animal.
    Relation,
    /// One for what the clause names as `k`, behind this word.
    Named(&'static str),
    /// It is over.
    Over(&'static str),
    /// That of the value is over.
    OverMany(&'static str),
}

/// What the value of a rule (`v`) must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// Anything, or nothing.
    Any,
    /// What somebody is called.
    Name,
    /// The same with a capital, and not where somebody is from.
    Proper,
    /// The same, of whoever begins to speak.
    Introduced,
    /// A place, a firm.
    Place,
    /// A day.
    Day,
    /// A thing, or something that can be done.
    Thing,
}

/// A rule: what a clause of this form says.
#[derive(Debug)]
pub(super) struct Rule {
    pattern: Regex,
    about: About,
    value: Value,
}

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// What it is about; `None` when it only ends something.
    pub(super) attribute: Option<String>,
    /// The attributes of facts that hold no longer.
    pub(super) ends: Vec<String>,
}

/// A pattern: capitals do not matter, a blank is any white space.
#[expect(clippy::expect_used, reason = "the patterns are constant, and tried in tests")]
pub(super) fn pattern(text: &str) -> Regex {
    // A blank that may be missing stays one that may be.
    RegexBuilder::new(&text.replace(" ?", r"\s*").replace(' ', r"\s+"))
        .case_insensitive(true)
        .size_limit(64 << 20)
        .build()
        .expect("a valid pattern")
}

impl Rule {
    /// A rule for clauses that begin with this pattern.
    pub(super) fn new(about: About, value: Value, text: &str) -> Self {
        Self { pattern: pattern(&format!("^(?:{text})")), about, value }
    }

    /// What it finds in a clause; `is_first`: with which its message begins.
    pub(super) fn find(&self, clause: &str, is_first: bool) -> Option<Found> {
        let captures = self.pattern.captures(clause)?;
        let value = captures.name("v").map_or("", |value| value.as_str());
        let value = valued(self.value, value, is_first)?;
        let key = captures.name("k").map_or("", |key| key.as_str());
        let one = |attribute: String| {
            let attribute = short(attribute);
            Found { ends: vec![attribute.clone()], attribute: Some(attribute) }
        };
        Some(match self.about {
            About::One(attribute) => one(attribute.to_owned()),
            About::Many(of) => one(format!("{of}:{value}")),
            About::Relation => one(relation(key)?),
            About::Named(of) => {
                one(if of.is_empty() { key.to_lowercase() } else { format!("{of} {}", key.to_lowercase()) })
            }
            About::Either(of, other) => {
                let attribute = short(format!("{of}:{value}"));
                Found { ends: vec![attribute.clone(), short(format!("{other}:{value}"))], attribute: Some(attribute) }
            }
            About::Over(attribute) => Found { attribute: None, ends: vec![attribute.to_owned()] },
            About::OverMany(of) => Found { attribute: None, ends: vec![short(format!("{of}:{value}"))] },
        })
    }
}

fn short(attribute: String) -> String {
    let end = (0..=MAX_ATTRIBUTE).rev().find(|at| attribute.is_char_boundary(*at)).unwrap_or(0);
    if attribute.len() <= MAX_ATTRIBUTE { attribute } else { attribute[..end].trim_end().to_owned() }
}

/// What follows a value.
static BEHIND: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"[,:(\[–—]|\s-\s|\s(?:because|since|so|but|when|while|which|who|where|although|though|after|before|than|instead|as well|more",
        r"|weil|da|denn|aber|obwohl|seit|als|wenn|क्योंकि|लेकिन|पर|मगर)(?:\s|$)"
    ))
});
/// What follows a name or a place.
static BEHIND_NAMES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"[.!]? (?:and|with|for|now|again|at the moment|right now|currently|these days|by the way|at|near|on|together|alone|last|this|in (?:\d{4}|january",
        r"|february|march|april|may|june|july|august|september|october|november|december)|a (?:year|month|week|few)|two|three|yesterday|today|und|mit|für|jetzt|bei|seit|zusammen",
        r"|allein|और|के साथ)(?: |$)|\d"
    ))
});
/// What does not belong to a thing, before it and behind it.
static BEFORE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:(?:a|an|the|my|our|some|all|any|most|to (?:eat|drink)|eating|drinking|die|der|das|den|dem|ein|eine|einen|einem|einer|mein|meine|meinen|unser|unsere",
        r"|sehr|total|am liebsten|gern|gerne|really|बहुत|एक|सारे|सभी|मेरा|मेरी|मेरे) )+"
    ))
});
static AFTER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?: (?:very much|so much|a lot|a bit|too|anymore|any more|any longer|either|as well|again|the most|best|the best|now|though|really|at all|these days|so",
        r"|sehr|gern|gerne|auch|total|echt|wirklich|so|mehr|am liebsten|überhaupt|gar|बहुत|भी|काफ़ी|काफी|बिल्कुल))+$"
    ))
});
/// Values that say nothing by themselves: they mean something that was said before, or something else altogether.
static EMPTY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:it|this|that|these|those|them|him|her|he|she|you|your|yours|me|us|one|ones|both|everything|nothing|something|anything|neither|what|how|when|where|who|why|if|of|not",
        r"|to (?:know|think|see|hear|ask|get|have|be|say|start|understand|thank|help|try)|hearing|seeing you|(?:the )?(?:idea|answer|way|plan|joke|poem|story|version|first|second|last|latter",
        r"|former|other|sound|suggestion|text|fact|part|next|same)(?:s|$| .*)|es|dies|diese|diesen|dieser|dieses|ihn|ihm|sie|er|dich|dir|euch|uns|dein|deine|deinen|deiner|was|wie|wenn|dass|nichts|alles|etwas",
        r"|(?:idee|antwort|art|plan|witz|gedicht|geschichte|erste|zweite|letzte)|यह|ये|वह|वो|इसे|उसे|इसको|उसको|तुम|तुम्हें|आप|आपको|तुम्हारा|तुम्हारी|आपका|आपकी|आपके|कुछ|सब|क्या|कैसे)(?: |$)"
    ))
});
static NOT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?:^|\s)(?:not|never|nicht|kein\w*|nie|नहीं|मत|ना)(?:\s|$)|n['’]t(?: |$)"));
/// Words that nobody is called by.
static NO_NAME: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:not|a|an|the|on|in|at|to|of|no|too|very|so|hard|difficult|easy|unknown|secret|spelled|spelt|written|pronounced|common|rare|short|long|important|private|irrelevant|what|who|why|how|it|that|this|me|you|him|her|them|us|my|your|his|their|back",
        r"|later|when|if|maybe|crazy|tomorrow|today|mine|yours|fine|ok|okay|sorry|nicht|kein|keine|ein|eine|der|die|das|mir|dir|ihn|sie|es|wie|was|schwer|leicht|geheim|egal|क्या|नहीं|कोई|वह|यह)(?: |$)"
    ))
});
/// What stands in the place of a name: where somebody is from, what they believe, how they are.
static NO_PERSON: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:\p{L}+(?:ish|ese|eese|ean|ican|nian|sian|lian|gian|dian|rian|tian)|german|french|dutch|greek|swiss|thai|czech|turk|turkish|arab|pole|dane|swede|finn|indian|american|african|asian|roman|korean|mexican|italian|russian|christian|catholic|muslim|hindu|sikh|buddhist|jewish|protestant|atheist",
        r"|vegan|vegetarian|pregnant|sick|tired|happy|sad|here|back|ready|home|great|good|well|late|done|lost|new|curious|bored|hungry|interested|looking|trying|writing|working|thinking|wondering|currently|just|still|also|always|glad|afraid|sure|really|so|in|from)(?: |$)"
    ))
});
/// Places where nobody lives, and that nobody works for.
static NO_PLACE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:a|an|my|our|your|his|her|their|it|this|that|these|those|here|there|one|two|what|which|where|who|me|you|him|them|us|fear|hope|peace|harmony|denial|poverty|exile|sin|luxury|town|bed|home|work|night|least|free|hours|weekends|days|years|months|money|nothing|fun|food|living|minimum|someone|somebody|myself",
        r"|einem|einer|eine|ein|meinem|meiner|unserem|unserer|diesem|dieser|angst|frieden|armut|hause|zuhause|mir|dir|uns|ihm|ihr|ihnen|der nacht|dir selbst|घर|डर|उम्मीद|एक|इस|उस|यहाँ|यहां|वहाँ|वहां)(?: |$)"
    ))
});
static DAY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"\d|january|february|march|april|\bmay\b|june|july|august|september|october|november|december|januar|februar|märz|\bmai\b|juni|juli|oktober|dezember|christmas|weihnacht",
        r"|जनवरी|फ़?रवरी|फ\u{93c}रवरी|मार्च|अप्रैल|मई|जून|जुलाई|अगस्त|सितंबर|सितम्बर|अक्टूबर|अक्तूबर|नवंबर|नवम्बर|दिसंबर|दिसम्बर"
    ))
});
/// Places that have an article.
static ARTICLE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?:the|der|die|dem|den|das) "));
const WITH_ARTICLE: [&str; 12] = [
    "uk",
    "us",
    "usa",
    "netherlands",
    "philippines",
    "uae",
    "schweiz",
    "türkei",
    "usa",
    "niederlanden",
    "ukraine",
    "slowakei",
];

/// The value as attributes have it; `None` when it is none.
fn valued(kind: Value, value: &str, is_first: bool) -> Option<String> {
    if kind == Value::Any {
        return Some(String::new());
    }
    let until = |pattern: &Regex, value: &str| pattern.find(value).map_or(value.len(), |found| found.start());
    let mut value = value[..until(&BEHIND, value)].trim();
    let is_written = |value: &str| value.chars().next().is_some_and(char::is_uppercase);
    if kind != Value::Day && NOT.is_match(value) {
        return None;
    }
    let is_one = match kind {
        Value::Any => true,
        Value::Day => DAY.is_match(value),
        Value::Name | Value::Proper | Value::Introduced => {
            value = value[..until(&BEHIND_NAMES, value)].trim();
            let has_letters = value.chars().all(|c| c.is_alphabetic() || is_sign(c) || " .'’-".contains(c));
            let is_proper = is_written(value) && value.split_whitespace().count() <= 3 && !NO_PERSON.is_match(value);
            let is_short =
                value.split_whitespace().count() <= if value.is_ascii() && !is_written(value) { 2 } else { 4 };
            let fits = match kind {
                Value::Name => is_short,
                Value::Proper => is_proper,
                _ => {
                    is_first
                        && is_proper
                        && value.chars().filter(|c| c.is_uppercase()).count() <= 3
                        && value.chars().any(char::is_lowercase)
                }
            };
            has_letters && fits && !NO_NAME.is_match(value)
        }
        Value::Place => {
            value = value[..until(&BEHIND_NAMES, value)].trim();
            let own = ARTICLE.replace(value, "");
            let has_article = own.len() < value.len();
            let is_known = is_written(&own) || WITH_ARTICLE.contains(&own.to_lowercase().as_str());
            !NO_PLACE.is_match(value) && (!has_article || is_known)
        }
        Value::Thing => {
            value = value.trim_end_matches(|c: char| !c.is_alphanumeric() && !is_sign(c));
            if EMPTY.is_match(value) {
                return None;
            }
            value = &value[BEFORE.find(value).map_or(0, |found| found.end())..];
            value = value[..until(&AFTER, value)].trim();
            !EMPTY.is_match(value) && !is_article(value)
        }
    };
    let is_value = !value.is_empty()
        && value.chars().any(char::is_alphanumeric)
        && value.chars().count() <= MAX_VALUE_CHARS
        && value.split_whitespace().count() <= MAX_VALUE_WORDS;
    (is_one && is_value).then(|| value.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Whether a character is a sign of a vowel, as names in Hindi have them.
const fn is_sign(c: char) -> bool {
    matches!(c, '\u{900}'..='\u{94f}' | '\u{300}'..='\u{36f}')
}

fn is_article(value: &str) -> bool {
    BEFORE.is_match(&format!("{value} ")) || AFTER.is_match(&format!(" {value}"))
}
