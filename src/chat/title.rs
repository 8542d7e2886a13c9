//! What a conversation is called. Pure.

use serde::Serialize;

use super::text::is_misleading;

/// The most characters of a title that somebody gives, or looks for.
pub const MAX_TITLE_CHARS: usize = 200;
/// The most characters of a title that is made from a question.
const MADE_CHARS: usize = 80;

/// Why a text is no title.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {MAX_TITLE_CHARS} characters, not all of them blank, and no control character")]
pub struct InvalidTitle;

/// What a conversation is called: one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Title(String);

impl Title {
    /// Takes a title that came from outside, without the blanks around it.
    ///
    /// # Errors
    /// [`InvalidTitle`] when nothing of it is left, it is longer than [`MAX_TITLE_CHARS`] or has a control character.
    pub fn parse(text: &str) -> Result<Self, InvalidTitle> {
        let text = text.trim_matches(' ');
        let chars = text.chars().take(MAX_TITLE_CHARS + 1).count();
        let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        let is_title = chars <= MAX_TITLE_CHARS && is_seen(text) && !text.chars().any(breaks);
        if is_title { Ok(Self(text.to_owned())) } else { Err(InvalidTitle) }
    }

    /// What a conversation is called after its first question: the first line with something in it, or as many whole
    /// words of it as are at most 80 characters with the ellipsis behind them. None when the question has nothing but
    /// control characters.
    #[must_use]
    pub fn of_question(question: &str) -> Option<Self> {
        let line = question.lines().map(in_one_line).find(|line| is_seen(line))?;
        let mut behind = line.char_indices().map(|(at, _)| at).skip(MADE_CHARS - 1);
        let (Some(room), Some(_longer)) = (behind.next(), behind.next()) else { return Some(Self(line)) };
        // A blank right behind what there is room for means that the last word is whole.
        let ends_a_word = line[room..].starts_with(' ');
        let end = if ends_a_word { room } else { line[..room].rfind(' ').unwrap_or(room) };
        Some(Self(format!("{}…", &line[..end])))
    }

    /// The title as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which titles are looked through, so that capital letters do not matter.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

/// Whether there is something of it to be seen. Marks that are nothing by themselves may stand in a title: some scripts need them.
fn is_seen(text: &str) -> bool {
    text.chars().any(|c| !c.is_whitespace() && !is_misleading(c))
}

/// A line without control characters, its words one blank apart.
fn in_one_line(line: &str) -> String {
    let plain: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut words = String::new();
    for word in plain.split_whitespace() {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn made(question: &str) -> Option<String> {
        Title::of_question(question).map(|title| title.as_str().to_owned())
    }

    #[test]
    fn a_title_is_the_first_line_with_something_in_it() {
        assert_eq!(made("\n  \t\nHow do I\twash  it?\nAnd dry it?").as_deref(), Some("How do I wash it?"));
        assert_eq!(made("a\u{0}b").as_deref(), Some("a b"));
        assert_eq!(made("\u{1}\u{2}"), None);
    }

    #[test]
    fn a_long_title_is_cut_at_a_word() {
        let eighty = format!("{} end", "a".repeat(76));
        assert_eq!(made(&eighty), Some(eighty.clone()));
        assert_eq!(made(&format!("{eighty}s")), Some(format!("{}…", "a".repeat(76))));
        let whole = format!("{} bb", "a".repeat(76));
        assert_eq!(made(&format!("{whole} c")), Some(format!("{whole}…")), "a word that just fits stays");
        assert_eq!(made(&"ä".repeat(90)), Some(format!("{}…", "ä".repeat(79))), "one word is cut within");
    }

    #[test]
    fn what_is_no_title_is_refused() {
        for text in ["", "   ", "\u{a0}", "two\nlines", "two\u{2028}lines", "\u{200b}", "a\u{0}", &"x".repeat(201)] {
            assert_eq!(Title::parse(text), Err(InvalidTitle), "{text:?}");
        }
        assert_eq!(Title::parse(" Tents ").map(|title| title.0), Ok("Tents".to_owned()));
        assert!(Title::parse(&"ä".repeat(200)).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_made_of_a_question_is_a_short_title(question in "(?s).{0,300}") {
            if let Some(title) = Title::of_question(&question) {
                prop_assert_eq!(Title::parse(title.as_str()), Ok(title.clone()));
                prop_assert!(title.as_str().chars().count() <= MADE_CHARS);
            } else {
                prop_assert!(question.chars().all(|c| c.is_control() || c.is_whitespace() || is_misleading(c)));
            }
        }
    }
}
