//! What a question asks for: its words as English stems, the measure it wants, and what an answer must be about. Pure.

use std::collections::{HashMap, HashSet};

use rust_stemmers::{Algorithm, Stemmer};
use unicode_segmentation::UnicodeSegmentation;

/// Words that carry nothing by themselves.
const STOP_WORDS: &[&str] = &[
    "a", "about", "after", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be", "because", "been", "but",
    "by", "can", "come", "comes", "could", "did", "do", "does", "doing", "for", "from", "get", "give", "had", "happen",
    "happens", "has", "have", "he", "her", "here", "his", "how", "i", "if", "in", "into", "is", "it", "its", "just",
    "know", "let", "like", "may", "me", "mean", "means", "might", "most", "much", "must", "my", "need", "no", "not",
    "of", "on", "one", "only", "or", "our", "out", "please", "shall", "she", "should", "so", "some", "such", "tell",
    "than", "that", "the", "their", "them", "then", "there", "these", "they", "this", "those", "to", "too", "us",
    "very", "want", "was", "we", "were", "what", "when", "where", "which", "who", "whom", "whose", "why", "will",
    "with", "within", "would", "you", "your",
];

/// Words that stand for one another when a customer asks, as stems.
const FAMILIES: &[&[&str]] = &[
    &["contact", "email", "phone", "telephon", "call", "reach"],
    &["price", "cost", "fee", "charg", "expens", "cheap"],
    &["weigh", "weight", "heavi"],
    &["size", "big", "larg", "long", "wide", "tall", "high", "length", "width", "height"],
    &["return", "refund", "exchang"],
    &["deliveri", "deliv", "deliver", "ship", "shipment", "dispatch", "arriv"],
    &["open", "hour"],
    &["order", "buy", "purchas", "bought"],
    &["pay", "payment", "paid", "invoic"],
    &["cancel", "termin", "unsubscrib"],
    &["broken", "defect", "damag", "faulti"],
    &["break", "drop", "lose", "lost", "reconnect"],
    &["delet", "remov", "eras"],
    &["instal", "setup", "configur"],
];

/// Which of the families is about reaching somebody, and which about money.
const CONTACT: usize = 0;
const MONEY: usize = 1;

/// The most words that are compared with every sentence. A question that people ask has a dozen.
const MAX_WORDS: usize = 64;
/// What a word of the question is worth in a sentence that has a relative of it only.
const FAMILY_SHARE: f32 = 0.6;

/// Makes stems of texts.
pub(super) struct Stems(Stemmer);

impl Stems {
    pub(super) fn new() -> Self {
        Self(Stemmer::create(Algorithm::English))
    }

    /// The stems of the words that carry something, and the names that end with a short number, such as `heron 3`.
    pub(super) fn of(&self, text: &str) -> HashSet<String> {
        let words: Vec<String> = text.unicode_words().map(str::to_lowercase).collect();
        let names = words.windows(2).filter_map(|pair| self.name(&pair[0], &pair[1]));
        names.chain(words.iter().filter(|word| !is_stop_word(word)).map(|word| self.stem(word))).collect()
    }

    fn stem(&self, word: &str) -> String {
        self.0.stem(&word.replace('’', "'")).into_owned()
    }

    /// A word and the short number after it: the number alone says nothing, it is everywhere.
    fn name(&self, word: &str, number: &str) -> Option<String> {
        let is_short = number.len() <= 2 && number.bytes().all(|c| c.is_ascii_digit());
        let is_word = word.starts_with(char::is_alphabetic) && !is_stop_word(word);
        (is_short && is_word).then(|| format!("{} {number}", self.stem(word)))
    }
}

fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.contains(&word.split(['\'', '’']).next().unwrap_or(word))
}

/// A word that an answer should have.
#[derive(Debug)]
pub(super) struct Word {
    pub(super) stem: String,
    /// What may stand for it.
    family: &'static [&'static str],
}

impl Word {
    fn new(stem: String) -> Self {
        let family = FAMILIES.iter().find(|family| family.contains(&stem.as_str()));
        Self { stem, family: family.copied().unwrap_or_default() }
    }

    /// How much of it is in `stems`: all, a relative, or nothing.
    fn share(&self, stems: &HashSet<String>) -> f32 {
        if stems.contains(&self.stem) {
            return 1.0;
        }
        let is_related = self.family.iter().any(|relative| stems.contains(*relative));
        if is_related { FAMILY_SHARE } else { 0.0 }
    }
}

/// What kind of number answers a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    Money,
    Time,
    Any,
}

/// What a question asks for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// What an answer should have: at most [`MAX_WORDS`], each once, in the order of the question.
    pub(super) words: Vec<Word>,
    /// The question's own stems, those of numbers in names included, but without "price" and its like.
    pub(super) own: HashSet<String>,
    /// Which words were named with a capital letter. An answer that knows nothing of one is about something else.
    pub(super) names: Vec<usize>,
    /// Which word an answer has to be about: in "what does it cost to ship this", the shipping.
    pub(super) must: Option<usize>,
    /// The price of doing something is asked for: it hardly depends on the names in the question.
    does: bool,
    /// It asks for the cheapest or lightest of many: all of them are the answer, for nobody here can compare.
    pub(super) compares: bool,
    /// It asks how to reach somebody: a sentence with an address or a number to call answers it better.
    pub(super) a_contact: bool,
    /// It asks for an amount, a price, a time: a sentence with such a number answers it better.
    measure: Option<Measure>,
}

impl Wanted {
    pub(super) fn new(question: &str, stems: &Stems) -> Self {
        let mut wanted = Self { own: stems.of(question), ..Self::default() };
        let words: Vec<String> = question.unicode_words().map(str::to_lowercase).collect();
        let word = |at: usize| words.get(at).map_or("", String::as_str);
        let mut at = 0;
        let mut must = None;
        if word(0) == "when" {
            wanted.measure = Some(Measure::Time);
        }
        while at < words.len() {
            at += wanted.phrase([word(at), word(at + 1), word(at + 2)], &mut must, stems);
        }
        wanted.name_numbers(&words, stems);
        let known: HashMap<&str, usize> = wanted.words.iter().map(|word| word.stem.as_str()).zip(0..).collect();
        let at = |stem: String| known.get(stem.as_str()).copied();
        let capitals = question.unicode_words().enumerate();
        let capitals = capitals.filter(|(at, word)| *at > 0 && word.starts_with(char::is_uppercase));
        let names = capitals.flat_map(|(at, name)| {
            let numbered = words.get(at + 1).and_then(|number| stems.name(&words[at], number));
            [Some(stems.stem(&name.to_lowercase())).filter(|_| !is_stop_word(&words[at])), numbered]
        });
        let names: Vec<usize> = names.flatten().filter_map(at).collect();
        let must = must.and_then(at);
        wanted.must = must;
        wanted.names = if wanted.does { Vec::new() } else { names };
        wanted.own.retain(|stem| !FAMILIES[MONEY].contains(&stem.as_str()));
        wanted.a_contact = wanted.words.iter().any(|word| FAMILIES[CONTACT].contains(&word.stem.as_str()));
        wanted
    }

    /// How much of every word is in `stems`, 0 to 1.
    pub(super) fn shares(&self, stems: &HashSet<String>) -> Vec<f32> {
        self.words.iter().map(|word| word.share(stems)).collect()
    }

    fn insert(&mut self, stem: String) {
        if self.words.len() < MAX_WORDS && !self.words.iter().any(|word| word.stem == stem) {
            self.words.push(Word::new(stem));
        }
    }

    /// Takes the phrase at the beginning of `words`; says how many words it has. `must` is what the answer has to be about.
    fn phrase(&mut self, words: [&str; 3], must: &mut Option<String>, stems: &Stems) -> usize {
        use Measure::{Any, Money, Time};
        let (measure, stem, length) = match words {
            ["how", "much", "is" | "are" | "for"] => (Some(Money), "cost", 3),
            ["how", "much" | "many", _] => (Some(Any), "", 2),
            ["how", "heavy", _] => (Some(Any), "weigh", 2),
            ["how", "big" | "large", _] => (Some(Any), "size", 2),
            ["how", "long", "is" | "are"] => (Some(Any), "long", 3),
            ["how", "long", _] => (Some(Time), "", 2),
            ["how", "tall" | "wide" | "high" | "deep", _] => (Some(Any), words[1], 2),
            ["how", "old" | "fast" | "often", _] => (Some(Time), "", 1),
            ["opening", "hours", _] => (Some(Time), "open", 2),
            ["most" | "least", "expensive", _] => (Some(Money), "cost", 2),
            ["cheapest" | "dearest", ..] => (Some(Money), "cost", 1),
            ["lightest" | "heaviest", ..] => (Some(Any), "weigh", 1),
            ["warmest" | "coldest", ..] => (Some(Any), "temperature", 1),
            ["price" | "prices" | "cost" | "costs", ..] => (Some(Money), words[0], 1),
            _ => (None, words[0], 1),
        };
        self.compares |= words[0].ends_with("est") && measure.is_some() || words[1] == "expensive" && length == 2;
        self.measure = match (self.measure, measure) {
            (None | Some(Any), Some(measure)) => Some(measure),
            (before, _) => before,
        };
        if !stem.is_empty() && !is_stop_word(stem) {
            self.insert(stems.stem(stem));
        }
        match words {
            ["how", "heavy" | "big" | "large" | "tall" | "wide" | "high" | "deep", _] => {
                *must = Some(stems.stem(stem));
            }
            ["cost" | "it", "to", verb] if self.measure.is_some() && !is_stop_word(verb) => {
                *must = Some(stems.stem(verb));
                self.does = true;
            }
            _ => {}
        }
        length
    }

    /// A number that belongs to a name counts with it only.
    fn name_numbers(&mut self, words: &[String], stems: &Stems) {
        for pair in words.windows(2) {
            if let Some(name) = stems.name(&pair[0], &pair[1]) {
                self.words.retain(|word| word.stem != pair[1]);
                self.insert(name);
            }
        }
    }

    /// Whether it asks for a number.
    pub(super) fn is_measured(&self) -> bool {
        self.measure.is_some()
    }

    /// Whether `text` has a number of the kind that is asked for, and not only those of the question, or an address if
    /// that is asked for.
    pub(super) fn is_measured_by(&self, text: &str) -> bool {
        const MONEY: &[&str] = &["€", "$", "£", "euro", "eur ", "usd", "dollar", "pound", "percent", "%", "price"];
        const TIME: &[&str] = &[
            "second",
            "minute",
            "hour",
            "day",
            "week",
            "month",
            "year",
            "night",
            ":",
            " am",
            " pm",
            "january",
            "february",
            "march",
            "april",
            "may ",
            "june",
            "july",
            "august",
            "september",
            "october",
            "november",
            "december",
        ];
        let lower = text.to_lowercase();
        let has = |marks: &[&str]| marks.iter().any(|mark| lower.contains(mark));
        let mut numbers = lower.unicode_words().filter(|word| word.contains(|c: char| c.is_ascii_digit()));
        let has_number = numbers.any(|number| !self.own.contains(number));
        match self.measure {
            None => self.a_contact && text.contains(['@', '+']),
            Some(Measure::Any) => has_number,
            Some(Measure::Money) => has_number && has(MONEY),
            Some(Measure::Time) => has_number && has(TIME),
        }
    }
}
