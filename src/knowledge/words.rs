//! How much of a question a text answers to by its words alone. Pure.
//!
//! BM25 tells which of two chunks fits better, but not whether one fits at all: it depends on the number of chunks. The
//! share of the question's words that a chunk has does not.

use std::collections::HashSet;

/// Words that questions have whatever they are about. English, as the word index.
const COMMON: &str = "a about all also am an and any are as at be because been but by can could did do does for from \
    get give had has have he her his how i if in into is it its just like make many may me more most much my need no \
    not of on one or our please she should show so some tell than that the their them then there these they this to \
    up us want was we were what when where which while who whose why will with would you your";
/// The characters of a question that count: those that the word index is asked for.
const MAX_QUESTION_CHARS: usize = 1000;
/// What the end of a word may be without making it another one.
const ENDINGS: [&str; 9] = ["", "s", "es", "d", "ed", "er", "ing", "ly", "e"];

/// The words of a question that say what it is about.
#[derive(Debug)]
pub(crate) struct Words(Vec<String>);

impl Words {
    /// The words of `question` without the common ones; with them if it has no others.
    pub(crate) fn of(question: &str) -> Self {
        let common: HashSet<&str> = COMMON.split_whitespace().collect();
        let mut seen = HashSet::new();
        let question: String = question.chars().take(MAX_QUESTION_CHARS).collect();
        let all: Vec<String> = words(&question).filter(|word| seen.insert(word.clone())).collect();
        let content: Vec<String> = all.iter().filter(|word| !common.contains(word.as_str())).cloned().collect();
        Self(if content.is_empty() { all } else { content })
    }

    /// The share of the words that are in one of `texts`, 0 to 1, long words counting for more: they are the rarer
    /// ones. 1 when all are there, whatever else is. Costs as much as reading both, and not one for every word of the
    /// other.
    pub(crate) fn share<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> f32 {
        let texts: Vec<String> = texts.into_iter().flat_map(words).collect();
        let there: HashSet<&str> = texts.iter().flat_map(|word| forms(word)).collect();
        let is_there = |word: &&String| forms(word).any(|form| there.contains(form));
        let all = weight(self.0.iter());
        if all == 0.0 { 0.0 } else { weight(self.0.iter().filter(is_there)) / all }
    }
}

fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

#[expect(clippy::cast_precision_loss, reason = "a question has few characters")]
fn weight<'a>(words: impl Iterator<Item = &'a String>) -> f32 {
    words.map(|word| word.chars().count()).sum::<usize>() as f32
}

/// What a word may be without its ending; two words that differ in their endings only, such as `ship` and `shipping` or
/// `cost` and `costs`, have one in common.
fn forms(word: &str) -> impl Iterator<Item = &str> {
    let without = ENDINGS.iter().filter_map(|ending| word.strip_suffix(ending));
    let forms = without.flat_map(|form| [Some(form), undoubled(form)]).flatten();
    forms.filter(move |form| form.len() >= 3 || form.len() == word.len())
}

/// `shipping` doubles the last letter of `ship`.
fn undoubled(form: &str) -> Option<&str> {
    let (at, last) = form.char_indices().next_back()?;
    form[..at].ends_with(last).then_some(&form[..at])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms_of_a_word_are_one_word() {
        let is_form_of = |a, b| Words(vec![String::from(a)]).share([b]) == 1.0;
        for (a, b) in [("ship", "shipping"), ("cost", "costs"), ("returned", "returning"), ("close", "closing")] {
            assert!(is_form_of(a, b) && is_form_of(b, a), "{a} {b}");
        }
        for (a, b) in [("tent", "tentative"), ("car", "cat"), ("a", "as"), ("4203", "4204"), ("rain", "rainbow")] {
            assert!(!is_form_of(a, b) && !is_form_of(b, a), "{a} {b}");
        }
    }

    #[test]
    fn only_words_with_a_meaning_count() {
        let words = Words::of("What does the Kestrel 2 cost?");
        assert_eq!(words.share(["The Kestrel 2", "costs 449 euros"]), 1.0);
        assert_eq!(words.share(["what does the"]), 0.0);
        assert!(words.share(["a kestrel is a bird"]) < 1.0);
        assert_eq!(Words::of("Who are you?").share(["you are who you are"]), 1.0);
        assert_eq!(Words::of("?!").share(["?!"]), 0.0);
    }

    #[test]
    fn one_rare_word_of_many_is_little() {
        let words = Words::of("Which quokka won the football championship yesterday?");
        assert!(words.share(["The quokka smiles."]) < 0.45);
    }

    proptest! {
        #[test]
        fn a_text_with_the_whole_question_has_all_of_it(question in any::<String>(), more in any::<String>()) {
            let words = Words::of(&question);
            let share = words.share([more.as_str(), question.as_str()]);
            prop_assert!(share == 1.0 || words.0.is_empty());
        }
    }
}
