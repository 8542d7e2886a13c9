//! A message → the sentences in which its user may speak of themselves. Pure.
//!
//! Whatever looks as if somebody else had written it is left out: lines of a mail or of a program, and everything behind a line
//! that names a role or announces what follows. Quotations stay where they are, and are told of.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;

use super::rule::pattern;

/// A sentence, without what ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sentence<'a> {
    /// It.
    pub(super) text: &'a str,
    /// Whether a question mark ends it.
    pub(super) is_question: bool,
    /// Whether a part of it is a quotation.
    pub(super) has_quotation: bool,
    /// Whether it begins within one.
    pub(super) is_quotation: bool,
}

/// What ends all that is the user's own: a role, the head of a mail, marks of prompts.
static FOREIGN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^[\s#*_\[<-]*(?:system|assistant|user|human|ai|bot|developer|tool|function|instructions?|prompt|context|document|email|mail",
        r"|from|to|cc|subject|sent|date|von|an|betreff|gesendet|datum|nutzer|benutzer|assistent|anweisung(?:en)?|प्रणाली|सिस्टम|उपयोगकर्ता|निर्देश)",
        r"(?: (?:prompt|message|note|nachricht))?[\]*_]*\s*[:：>]|<\||\[/?inst\]|^-{3,}|^={3,}|^#+ "
    ))
});
/// Tasks whose object follows on the same line, and plays in which nobody is who they say.
static TASK: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:(?:please|can you|could you|bitte|kannst du|कृपया) )*(?:(?:translate|rewrite|rephrase|paraphrase|summari[sz]e|correct|proofread|fix|improve|check",
        r"|analy[sz]e|classify|reply|respond|edit|write|draft|übersetze?|korrigiere?|verbessere?|schreibe?|formuliere?|prüfe?|fasse?)\b[^:]*:",
        r"|(?:pretend|imagine|suppose|assume|act as|role-?play|let['’]s (?:say|pretend|play)|stell dir vor|tu so|nimm an|angenommen|मान लो|कल्पना करो)\b)"
    ))
});
static ABBREVIATION: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?:^|[\s(.])(?:dr|st|mr|mrs|ms|prof|ca|nr|jr|vs|etc|usw|bzw|[a-z]|डॉ|श्री)\.$"));
static MONTH: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\s*(?:jan|feb|mär|mar|apr|mai|may|jun|jul|aug|sep|okt|oct|nov|dez|dec)"));

/// The sentences of a message, in its order.
pub(super) fn sentences(message: &str) -> Vec<Sentence<'_>> {
    let quotations = quotations(message);
    let within = |at: usize| quotations.iter().any(|quoted| quoted.contains(&at));
    let (mut all, mut is_code, mut at) = (Vec::new(), false, 0);
    for line in message.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let trimmed = line.trim();
        if trimmed.starts_with("```") || trimmed.starts_with("~~~") {
            is_code = !is_code;
            continue;
        }
        if is_code || trimmed.starts_with(['>', '|']) || line.starts_with("    ") || line.starts_with('\t') {
            continue;
        }
        if FOREIGN.is_match(trimmed) {
            break;
        }
        for range in ends(line) {
            let whole = &line[range.clone()];
            let text = whole.trim_start_matches(|c: char| c.is_whitespace() || "-*•–".contains(c));
            let begins = start + range.end - text.len();
            let text = text.trim_end().trim_end_matches(is_end).trim_end();
            if text.is_empty() {
                continue;
            }
            if TASK.is_match(text) {
                return all;
            }
            all.push(Sentence {
                text,
                is_question: whole.trim_end().ends_with(['?', '？']) || whole.trim_end().ends_with("?!"),
                has_quotation: quotations
                    .iter()
                    .any(|quoted| quoted.start < begins + text.len() && begins < quoted.end),
                is_quotation: within(begins),
            });
        }
        if trimmed.ends_with([':', '：']) {
            break;
        }
    }
    all
}

const fn is_end(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | '।' | ';' | '？' | '！' | '。')
}

/// Where the sentences of a line are.
fn ends(line: &str) -> Vec<Range<usize>> {
    let (mut ranges, mut start) = (Vec::new(), 0);
    let mut chars = line.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let end = at + c.len_utf8();
        let is_last = chars.peek().is_none_or(|(_, next)| next.is_whitespace());
        if is_end(c) && (is_last || "।。".contains(c)) && !(c == '.' && is_within(&line[start..end], &line[end..])) {
            ranges.push(start..end);
            start = end;
        }
    }
    if start < line.len() {
        ranges.push(start..line.len());
    }
    ranges
}

/// Whether a full stop ends a word only: an abbreviation, or the day of a month.
fn is_within(before: &str, after: &str) -> bool {
    let digits = before[..before.len() - 1].chars().rev().take_while(char::is_ascii_digit).count();
    ABBREVIATION.is_match(before) || ((1..=2).contains(&digits) && MONTH.is_match(after))
}

/// Where quotations are, their marks included; one that does not end goes on until the message does.
fn quotations(message: &str) -> Vec<Range<usize>> {
    let (mut ranges, mut before, mut at) = (Vec::new(), ' ', 0);
    while let Some(c) = message[at..].chars().next() {
        let closing = match c {
            '"' => "\"",
            '“' => "”\"",
            '„' => "“”\"",
            '«' => "»",
            '»' => "«",
            '‘' => "’",
            '‚' => "‘’",
            '`' => "`",
            '\'' if !before.is_alphanumeric() => "'",
            _ => "",
        };
        let begin = at;
        at += c.len_utf8();
        before = c;
        if closing.is_empty() {
            continue;
        }
        let rest = &message[at..];
        let is_single = "'’‘’".contains(closing);
        // An apostrophe closes nothing.
        let is_closing = |(end, c): &(usize, char)| {
            let next = rest[end + c.len_utf8()..].chars().next();
            closing.contains(*c) && !(is_single && next.is_some_and(char::is_alphanumeric))
        };
        match rest.char_indices().find(is_closing) {
            Some((end, c)) => {
                at += end + c.len_utf8();
                ranges.push(begin..at);
            }
            None if is_single => {}
            None => {
                ranges.push(begin..message.len());
                break;
            }
        }
    }
    ranges
}
