//! A message → the sentences in which its user may speak of themselves. Pure.
//!
//! Whatever looks as if somebody else had written it is left out: lines of a mail or of a program, and everything behind a line
//! that names a role or announces what follows. Quotations stay where they are, and are told of.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;

use super::pattern::pattern;

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
    /// Whether it gives a task with a text, or begins a play: it is the last one, for what follows may be that text.
    pub(super) is_task: bool,
}

/// What ends all that is the user's own: a role, the head of a mail, marks of prompts.
static FOREIGN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^[\s#*_\[<-]*(?:system|assistant|user|human|ai|bot|developer|tool|function|instructions?|prompt|context|document|email|mail",
        r"|from|to|cc|subject|sent|date|von|an|betreff|gesendet|datum|nutzer|benutzer|assistent|anweisung(?:en)?|प्रणाली|सिस्टम|उपयोगकर्ता|निर्देश)",
        r"(?: (?:prompt|message|note|nachricht))?[\]*_]*\s*[:：>]|<\||\[/?inst\]|^-{3,}|^={3,}|^#+ ",
        r"|^(?:dear|sehr geehrte\w*|liebe[rs]?|to whom it may|प्रिय|आदरणीय|महोदय|सेवा में)\b"
    ))
});
/// Tasks with a text, which may follow, and plays in which nobody is who they say.
static TASK: LazyLock<Regex> = LazyLock::new(|| {
    const POLITE: &str = r"(?:please|pls|now|then|also|ok|okay|can you|could you|would you|will you|can we|help me(?: to)?|i(?: want| need|['’]d like| would like) you to|i need help|let['’]s|bitte|jetzt|dann|kannst du|könntest du|hilf mir|mir|कृपया|प्लीज|प्लीज़|ज़रा)";
    pattern(&format!(
        concat!(
            r"^(?:{0}[, ]+)*(?:",
            r"(?:translate|rewrite|reword|rephrase|paraphrase|summari[sz]e|proof-?read|spell-?check|shorten|transcribe|draft|compose|polish|edit|revise)(?:ing)?\b",
            r"|correct(?:ing)? (?:this|that|it|these|the|my|following|his|her)\b|correct:",
            r"|writ(?:e|ing) (?:an?|the|my|me|us|this|it|in|to|as|about|from|some|something|out|up|another|two|three|like|for|your|one|code|him|her|them)\b",
            r"|(?:fix|check|improve|analy[sz]e|classify|explain|review|continue|finish|complete|reply to|respond to|answer|read|format|repeat)\b.*\b(?:this|these|following|below|above|it|text|e-?mails?|letters?|messages?|sentences?|grammar|spelling|essay|poem|story|paragraph|speech|article|cv|resume)\b",
            r"|(?:fix|check|improve|analy[sz]e|classify|reply|respond)\b[^:]*:",
            r"|how (?:do|would|can|should) (?:you|i|we|one) (?:say|write|spell|translate|phrase)\b|what does (?:this|that|it|the following) (?:mean|say)\b",
            r"|(?:pretend|imagine|suppose|assume|act as|role-?play|let['’]s (?:say|pretend|play))\b",
            r"|(?:übersetz(?:e|t|en)?|korrigier(?:e|en)?|formulier(?:e|en)?|überarbeite(?:n)?|umformulieren|lektoriere?)\b|fasse? .*\bzusammen\b|(?:zusammenfassen|zusammenzufassen)",
            r"|schreib(?:e|en)? (?:mir|uns|ihm|ihr|eine?n?|das|den|die|dies\w*|es|mein\w*|einem|über|auf|im|in|an|als|um|bitte)\b|(?:verbesser|prüf|kontrollier|lies|beantworte)\w*\b.*\b(?:text|mail|e-?mail|brief|satz|sätze|folgend\w*|dies\w*|das|nachricht|aufsatz|grammatik|rechtschreibung)\b",
            r"|(?:verbessere?|prüfe?)\b[^:]*:|(?:einen?|den|diesen|das|die|diese|folgenden) .*\b(?:übersetzen|korrigieren|umformulieren|zusammenfassen|schreiben|formulieren)$",
            r"|wie (?:sagt|schreibt) man\b|(?:stell dir vor|tu so|nimm an|angenommen|मान लो|मान लीजिए|कल्पना करो|कल्पना कीजिए)",
            r")"
        ),
        POLITE
    ))
});
/// The same behind something else, and in Hindi, where the verb comes last.
static TASK_WITHIN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?:,|\band|\bund) (?:please |can you |could you |bitte )*(?:translate|rewrite|rephrase|paraphrase|summari[sz]e|proofread|correct|übersetze?|korrigiere?) (?:this|that|it|the|these|das|den|die|dies\w*|es)\b",
        r"|(?:अनुवाद|तर्जुमा|सारांश|संक्षेप|प्रूफरीड) (?:में )?(?:कर|करो|करें|कीजिए|करिए|करना|दो|दीजिए|बताओ|बताइए|लिखो|लिखिए|लिखें)(?:\s|$)",
        r"|(?:पत्र|चिट्ठी|ईमेल|मेल|कहानी|कविता|निबंध|भाषण|संदेश|लेख|आवेदन)(?: \S+){0,3} (?:लिखो|लिखिए|लिखें|लिख दो|लिख दीजिए|लिखना|सुधारो|सुधारिए)(?:\s|$)",
        r"|(?:इसे|इसको|निम्न\S*|नीचे)(?: \S+){0,4} (?:सुधारो|सुधारिए|सुधारें|ठीक करो|ठीक कीजिए|बदलो|लिखो|लिखिए|लिखें|लिख दो)(?:\s|$)"
    ))
});
/// What a task at the end is to be done with: the text that stands before it.
static ABOVE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"\b(?:translat|rewrit|reword|rephras|paraphras|summari|proof|correct|shorten|edit|revise|übersetz|korrigier|formulier|überarbeit|fass)\w*\b.*\b(?:this|that|these|it|above|text|mail|e-?mail|letter|das|dies\w*|es|oben|obige\w*|brief)\b",
        r"|\b(?:das|dies\w*|es|text|brief|mail)\b.*\b(?:übersetzen|korrigieren|umformulieren|zusammenfassen)\b|(?:इसे|इसको|इसका|ऊपर).*(?:अनुवाद|सारांश|संक्षेप|सुधार|ठीक)"
    ))
});
/// How letters end; what stands before one is a letter.
static CLOSING: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:(?:with )?(?:best|kind|warm|many) (?:regards|wishes)|regards|yours (?:sincerely|faithfully|truly)|(?:yours|sincerely|love|cheers)(?:,| yours)",
        r"|(?:mit )?(?:freundliche[nr]?|beste[nr]?|liebe[nr]?|viele[nr]?|herzliche[nr]?) grü(?:ß|ss)en?|hochachtungsvoll|सादर|भवदीय\w*|आपका विश्वासी)(?:[ ,.!].{0,40})?$"
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
        if CLOSING.is_match(trimmed) {
            return Vec::new();
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
            let is_task = TASK.is_match(text) || TASK_WITHIN.is_match(text);
            if is_task
                && ABOVE.is_match(text)
                && !text.contains(':')
                && message[begins + text.len()..].trim_end_matches(is_end_or_blank).is_empty()
            {
                all.clear();
            }
            all.push(Sentence {
                text,
                is_question: whole.trim_end().ends_with(['?', '？']) || whole.trim_end().ends_with("?!"),
                has_quotation: quotations
                    .iter()
                    .any(|quoted| quoted.start < begins + text.len() && begins < quoted.end),
                is_quotation: within(begins),
                is_task,
            });
            if is_task {
                return all;
            }
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

const fn is_end_or_blank(c: char) -> bool {
    is_end(c) || matches!(c, ' ' | '\t' | '\n' | '\r')
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
