//! Text → words, numbers and signs. Pure.

/// Where the digits of other scripts begin: Arabic, Persian, Devanagari, Bengali, fullwidth.
const ZEROS: [u32; 5] = [0x0660, 0x06f0, 0x0966, 0x09e6, 0xff10];

/// Letters of Devanagari with a dot below, and without: many leave it out, and there are two ways to write it.
const DOTTED: [(char, char); 8] = [
    ('\u{958}', 'क'),
    ('\u{959}', 'ख'),
    ('\u{95a}', 'ग'),
    ('\u{95b}', 'ज'),
    ('\u{95c}', 'ड'),
    ('\u{95d}', 'ढ'),
    ('\u{95e}', 'फ'),
    ('\u{95f}', 'य'),
];
const DOT: char = '\u{93c}';

/// A word, a number or a sign.
pub(super) struct Token {
    /// In lower case, with digits as ASCII has them, and without dots below letters.
    pub(super) text: String,
    pub(super) kind: TokenKind,
    /// Where it stands, in bytes of what was said.
    pub(super) begins: usize,
    pub(super) ends: usize,
    /// Whether it fills a slot.
    pub(super) is_taken: bool,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum TokenKind {
    Word,
    Number,
    Sign,
}

/// The words and numbers of a phrase.
pub(super) fn words_of(text: &str) -> Vec<String> {
    tokens(text).into_iter().filter(|token| token.kind != TokenKind::Sign).map(|token| token.text).collect()
}

/// All of it but blanks.
pub(super) fn tokens(said: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut chars = said.char_indices().map(|(at, c)| (at, plain(c))).peekable();
    while let Some((begins, c)) = chars.next() {
        if c.is_whitespace() {
            continue;
        }
        let mut text = c.to_string();
        let kind = match c {
            c if c.is_ascii_digit() => TokenKind::Number,
            c if is_letter(c) => TokenKind::Word,
            _ => TokenKind::Sign,
        };
        while let Some((at, next)) = chars.peek().copied() {
            let goes_on = match kind {
                TokenKind::Number => {
                    let after = said[at..].chars().nth(1).map(plain);
                    next.is_ascii_digit()
                        || (matches!(next, '.' | ',') && after.is_some_and(|after| after.is_ascii_digit()))
                }
                TokenKind::Word => is_letter(next) && !next.is_ascii_digit(),
                TokenKind::Sign => false,
            };
            if !goes_on {
                break;
            }
            text.push(next);
            chars.next();
        }
        let ends = chars.peek().map_or(said.len(), |(at, _)| *at);
        tokens.push(Token { text: text.replace(DOT, "").to_lowercase(), kind, begins, ends, is_taken: false });
    }
    tokens
}

/// The same with a digit of ASCII for one of another script, and a letter without its dot.
fn plain(c: char) -> char {
    if c.is_ascii() {
        return c;
    }
    let digit = ZEROS.iter().filter_map(|zero| u32::from(c).checked_sub(*zero)).find(|digit| *digit < 10);
    let letter = || DOTTED.iter().find(|(dotted, _)| *dotted == c).map(|(_, letter)| *letter);
    digit.and_then(|digit| char::from_digit(digit, 10)).or_else(letter).unwrap_or(c)
}

/// Whether it belongs to a word. Signs of vowels do, which are no letters.
fn is_letter(c: char) -> bool {
    let is_sign = |c| {
        matches!(c, '\u{80}'..='\u{bf}' | '×' | '÷' | '।' | '॥' | '\u{2000}'..='\u{200b}' | '\u{200e}'..='\u{2bff}'
        | '\u{3000}'..='\u{3004}' | '\u{3008}'..='\u{3020}' | '\u{ff01}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}')
    };
    c.is_alphanumeric() || matches!(c, '\'' | '’' | '_') || (!c.is_ascii() && !is_sign(c))
}

/// A number as people write it. Of a dot and a comma, the one behind is the decimal one. Of one sort alone, several group
/// digits, and one alone is the decimal one unless exactly three digits follow it and it does not begin with a zero.
pub(super) fn value_of(text: &str) -> Option<f64> {
    let decimal = match (text.rfind('.'), text.rfind(',')) {
        (Some(dot), Some(comma)) => Some(dot.max(comma)),
        (Some(one), None) | (None, Some(one)) => {
            let is_alone = text.matches(['.', ',']).count() == 1;
            (is_alone && (text.len() - one - 1 != 3 || text.starts_with('0'))).then_some(one)
        }
        (None, None) => None,
    };
    let (whole, part) = decimal.map_or((text, ""), |at| (&text[..at], &text[at + 1..]));
    // `1.234,5.6` is none.
    if decimal.is_some_and(|at| whole.contains(&text[at..=at])) {
        return None;
    }
    let plain = format!("{}.{part}0", whole.replace(['.', ','], ""));
    plain.parse().ok().filter(|value: &f64| value.is_finite())
}
