//! Languages: their small words, and who takes the endings off their words. Pure.

use std::{collections::HashMap, sync::LazyLock};

use rust_stemmers::Algorithm;

/// A language whose endings are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tongue {
    English,
    German,
    French,
    Spanish,
    Russian,
}

/// Small words that a text must have before it is taken for another language than English, and how many of them for
/// each one of English.
const ENOUGH: usize = 2;
const LEAD: usize = 2;

/// Words that texts and questions have whatever they are about.
const ENGLISH: &str = "a about above after again against all also am an and any are as at be because been before being \
    below between both but by can could did do does doing down during each few for from further get give had has have \
    having he her here hers herself him himself his how i if in into is it its itself just like make many may me more \
    most much my myself need no nor not of off on once one only or other our ours ourselves out over own please same \
    she should show so some such tell than that the their theirs them themselves then there these they this those \
    through to too under until up us very want was we were what when where which while who whom whose why will with \
    would you your yours yourself yourselves";
const GERMAN: &str = "aber alle allem allen aller alles als also am an auch auf aus bei beim bin bis bist da damit dann \
    das dass dein deine dem den denn der des dich die dies diese diesem diesen dieser dieses dir doch dort du durch ein \
    eine einem einen einer eines er es etwas euch euer für gegen gibt hab habe haben hat hatte hier ich ihm ihn ihnen \
    ihr ihre ihrem ihren ihrer im in ist ja jede jedem jeden jeder jedes jetzt kann kein keine keinen können man mehr \
    mein meine mich mir mit muss nach nicht noch nur ob oder ohne sehr sein seine seinen seiner sich sie sind so soll \
    über um und uns unser unsere unter vom von vor war waren warum was weil welche welchem welchen welcher welches wenn \
    wer werde werden wie wieder will wir wird wo wurde zu zum zur zwischen";
const FRENCH: &str = "ai alors après au aucun aussi autre aux avant avec avoir ce cela ces cet cette ceux chaque chez \
    comme comment dans de depuis des donc du elle elles en encore entre est et été être eux fait il ils je la le les \
    leur leurs lui ma mais me même mes moi mon ne nos notre nous on ont ou où par pas peu peut plus pour pourquoi quand \
    que quel quelle quelles quels qui sa sans se sera ses si son sont sous sur ta te tes toi ton tous tout toute toutes \
    très tu un une vos votre vous";
const SPANISH: &str = "al algo algunos ante antes aquí cada como cómo con contra cual cuál cuando cuándo cuánto de del \
    desde donde dónde dos durante el él ella ellas ellos en entre era es esa ese eso esta está están estas este esto \
    estos fue ha hace hasta hay la las le les lo los más me mi mis muy ni no nos nosotros o otra otros para pero poco \
    por porque qué que quien quién se ser si sí sin sobre son su sus también tanto te tiene tu tus un una uno unos y ya \
    yo";
const RUSSIAN: &str = "а без более бы был была были было быть в вам вас весь во вот все всего всех вы где да даже для до \
    его ее если есть еще ж же за здесь и из или им их к как какая какие какой когда кто ли либо мне может мы на надо \
    наш не него нее нет ни них но ну о об однако он она они оно от очень по под после при про с сам сколько со так \
    такой там тем то того тоже той только том ты у уже хотя чего чем что чтобы чье чья эта эти это я";

/// What a word says about the language that it is in: a bit for each in which it is small.
static SMALL: LazyLock<HashMap<&str, u8>> = LazyLock::new(|| {
    let mut small = HashMap::new();
    for tongue in Tongue::ALL {
        for word in tongue.small().split_ascii_whitespace() {
            *small.entry(word).or_default() |= tongue.bit();
        }
    }
    small
});

impl Tongue {
    pub(super) const ALL: [Self; 5] = [Self::English, Self::German, Self::French, Self::Spanish, Self::Russian];

    /// The language that a text shows by its small words: those that only one has. `None` when it shows none clearly.
    pub(super) fn of(words: impl Iterator<Item = String>) -> Option<Self> {
        let mut counts = [0; Self::ALL.len()];
        for word in words {
            let bits = SMALL.get(word.as_str()).copied().unwrap_or(0);
            if let Some(only) = Self::ALL.iter().position(|tongue| bits == tongue.bit()) {
                counts[only] += 1;
            }
        }
        let (most, at) = counts.into_iter().zip(0..).max_by_key(|(count, at)| (*count, usize::MAX - *at))?;
        let english = counts[0];
        let is_clear = at == 0 || most >= LEAD * english;
        (most >= ENOUGH && is_clear).then_some(Self::ALL[at])
    }

    /// Whether a word says nothing in this language. Russian ones say nothing anywhere: nobody else writes so.
    pub(super) fn is_small(self, word: &str) -> bool {
        SMALL.get(word).is_some_and(|bits| bits & (self.bit() | Self::Russian.bit()) != 0)
    }

    pub(super) const fn algorithm(self) -> Algorithm {
        match self {
            Self::English => Algorithm::English,
            Self::German => Algorithm::German,
            Self::French => Algorithm::French,
            Self::Spanish => Algorithm::Spanish,
            Self::Russian => Algorithm::Russian,
        }
    }

    /// What its terms begin with. Letters of their own need no mark.
    pub(super) const fn mark(self) -> &'static str {
        match self {
            Self::German => "de:",
            Self::French => "fr:",
            Self::Spanish => "es:",
            Self::English | Self::Russian => "",
        }
    }

    const fn small(self) -> &'static str {
        match self {
            Self::English => ENGLISH,
            Self::German => GERMAN,
            Self::French => FRENCH,
            Self::Spanish => SPANISH,
            Self::Russian => RUSSIAN,
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}
