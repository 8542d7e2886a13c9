//! JSON as servers write it, read piece by piece: only what is asked for is taken out, all else is passed over.
//!
//! Scalars are given as they stand on the wire. A key that comes twice comes twice, so that the last one counts with a
//! caller who assigns. Halves of surrogate pairs are kept, since their other half may come in the next text. Read all
//! the same is what dialects add: bare words (`NaN`, `-Infinity`, `None`), single quotes, commas too many, values that
//! are missing, escapes and control characters that JSON does not know. Pure, a leaf.

use std::borrow::Cow;

use memchr::memchr2;
use serde_json::{Map, Value as Tree};

use self::text::Decoded;

mod text;

pub(super) use text::{Text, join};

/// So deep is a value that is taken out whole.
const MAX_TREE_DEPTH: usize = 64;

/// Kinds of bytes.
const KINDS: [u8; 256] = kinds();
const BLANK: u8 = 1;
const COMMA: u8 = 2;
/// What a bare word may have in it.
const WORD: u8 = 4;

const fn kinds() -> [u8; 256] {
    let mut kinds = [WORD; 256];
    let mut at = 0;
    while at < 256 {
        match at as u8 {
            b',' => kinds[at] = COMMA,
            b':' | b'{' | b'}' | b'[' | b']' | b'"' => kinds[at] = 0,
            byte if byte.is_ascii_whitespace() => kinds[at] = BLANK,
            _ => {}
        }
        at += 1;
    }
    kinds
}

/// It cannot be read any further: it ends too early, or its brackets do not match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

type Result<T> = std::result::Result<T, Unreadable>;

/// A document as far as it was read.
#[derive(Debug, Clone)]
pub(super) struct Json<'a> {
    text: &'a str,
    at: usize,
}

/// A value, or the beginning of one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// `null`, in any of its spellings, or nothing at all.
    Null,
    /// A number, a truth value or any other bare word, as it stands there.
    Word(&'a str),
    /// What stood in quotes.
    Text(Text<'a>),
    /// Its members follow: [`Json::key`].
    Object,
    /// Its items follow: [`Json::has_item`].
    Array,
}

impl<'a> Json<'a> {
    /// The beginning of a document.
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// What was not read yet.
    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The next value. Of an object or an array only the bracket is read.
    pub(super) fn value(&mut self) -> Result<Value<'a>> {
        self.blank();
        match self.peek()? {
            quote @ (b'"' | b'\'') => {
                self.at += 1;
                self.string(quote).map(Value::Text)
            }
            b'{' => {
                self.at += 1;
                Ok(Value::Object)
            }
            b'[' => {
                self.at += 1;
                Ok(Value::Array)
            }
            _ => Ok(match self.word() {
                "" | "null" | "None" | "nil" | "undefined" => Value::Null,
                word => Value::Word(word),
            }),
        }
    }

    /// The next key of an object; `None` at its end.
    pub(super) fn key(&mut self) -> Result<Option<Cow<'a, str>>> {
        self.commas();
        let key = match self.peek()? {
            b'}' => {
                self.at += 1;
                return Ok(None);
            }
            quote @ (b'"' | b'\'') => {
                self.at += 1;
                let text = self.string(quote)?;
                if text.before.is_some() || text.after.is_some() {
                    text.mended().into_owned().into()
                } else {
                    text.text
                }
            }
            _ => match self.word() {
                "" => return Err(Unreadable),
                word => Cow::Borrowed(word),
            },
        };
        self.blank();
        if self.peek()? != b':' {
            return Err(Unreadable);
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// Whether another item of an array follows; else its end was read.
    pub(super) fn has_item(&mut self) -> Result<bool> {
        self.commas();
        match self.peek()? {
            b']' => {
                self.at += 1;
                Ok(false)
            }
            b'}' | b':' => Err(Unreadable),
            _ => Ok(true),
        }
    }

    /// Passes over the next value, however deep it is.
    pub(super) fn skip(&mut self) -> Result<()> {
        let value = self.value()?;
        self.skip_rest(&value)
    }

    /// Passes over what follows of a value that was begun.
    pub(super) fn skip_rest(&mut self, value: &Value<'_>) -> Result<()> {
        // The kinds of the open brackets, the innermost one last. Of what is deeper than that, the outer ones fall out,
        // and brackets are only counted from then on.
        let mut kinds = match value {
            Value::Object => 1_u128,
            Value::Array => 0,
            _ => return Ok(()),
        };
        let (mut depth, mut deepest) = (1_u32, 1);
        while depth > 0 {
            self.blank();
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b'"' => self.skip_string(b'"')?,
                // Where a value or a key begins; within a bare word it is a part of that.
                b'\'' => self.skip_string(b'\'')?,
                b'{' | b'[' => {
                    kinds = kinds << 1 | u128::from(byte == b'{');
                    depth += 1;
                    deepest = deepest.max(depth);
                }
                b'}' | b']' => {
                    if deepest <= u128::BITS && (kinds & 1 == 1) != (byte == b'}') {
                        return Err(Unreadable);
                    }
                    kinds >>= 1;
                    depth -= 1;
                }
                b',' | b':' => {}
                _ => {
                    self.at -= 1;
                    self.word();
                }
            }
        }
        Ok(())
    }

    /// The next value as it stands there.
    pub(super) fn raw(&mut self) -> Result<&'a str> {
        self.blank();
        let from = self.at;
        self.skip()?;
        Ok(&self.text[from..self.at])
    }

    /// The next value as a tree; numbers that have no place in one are texts.
    pub(super) fn tree(&mut self) -> Result<Tree> {
        self.tree_within(MAX_TREE_DEPTH)
    }

    fn tree_within(&mut self, depth: usize) -> Result<Tree> {
        let deeper = depth.checked_sub(1).ok_or(Unreadable)?;
        Ok(match self.value()? {
            Value::Null => Tree::Null,
            Value::Word("true" | "True") => Tree::Bool(true),
            Value::Word("false" | "False") => Tree::Bool(false),
            Value::Word(word) => serde_json::from_str(word).map_or_else(|_| Tree::from(word), Tree::Number),
            Value::Text(text) => Tree::String(text.mended().into_owned()),
            Value::Object => {
                let mut members = Map::new();
                while let Some(key) = self.key()? {
                    members.insert(key.into_owned(), self.tree_within(deeper)?);
                }
                Tree::Object(members)
            }
            Value::Array => {
                let mut items = Vec::new();
                while self.has_item()? {
                    items.push(self.tree_within(deeper)?);
                }
                Tree::Array(items)
            }
        })
    }

    fn peek(&self) -> Result<u8> {
        self.text.as_bytes().get(self.at).copied().ok_or(Unreadable)
    }

    /// Passes over bytes of these kinds.
    #[inline]
    fn pass(&mut self, kinds: u8) {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at)
            && KINDS[usize::from(*byte)] & kinds != 0
        {
            self.at += 1;
        }
    }

    fn blank(&mut self) {
        self.pass(BLANK);
    }

    fn commas(&mut self) {
        self.pass(BLANK | COMMA);
    }

    /// A run of what is neither a bracket nor a sign between values.
    fn word(&mut self) -> &'a str {
        let from = self.at;
        self.pass(WORD);
        &self.text[from..self.at]
    }

    fn skip_string(&mut self, quote: u8) -> Result<()> {
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let found = memchr2(quote, b'\\', rest).ok_or(Unreadable)?;
            if rest[found] == quote {
                self.at += found + 1;
                return Ok(());
            }
            let escaped = self.text[self.at + found + 1..].chars().next().ok_or(Unreadable)?;
            self.at += found + 1 + escaped.len_utf8();
        }
    }

    /// A string whose first quote was read.
    fn string(&mut self, quote: u8) -> Result<Text<'a>> {
        let text = self.text;
        let found = memchr2(quote, b'\\', &text.as_bytes()[self.at..]).ok_or(Unreadable)?;
        let plain = &text[self.at..self.at + found];
        self.at += found;
        if self.peek()? == quote {
            self.at += 1;
            return Ok(Text::from(plain));
        }
        let mut decoded = Decoded::default();
        decoded.push_str(plain);
        loop {
            if self.peek()? == quote {
                self.at += 1;
                return Ok(decoded.finish());
            }
            self.at += 1;
            self.escape(&mut decoded)?;
            let found = memchr2(quote, b'\\', &text.as_bytes()[self.at..]).ok_or(Unreadable)?;
            decoded.push_str(&text[self.at..self.at + found]);
            self.at += found;
        }
    }

    /// What stands behind a backslash. An escape that nobody knows stays as it is written.
    fn escape(&mut self, decoded: &mut Decoded) -> Result<()> {
        let c = self.text[self.at..].chars().next().ok_or(Unreadable)?;
        self.at += c.len_utf8();
        let plain = match c {
            '"' | '\'' | '\\' | '/' => c,
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'u' => match self.digits(4) {
                Some(unit) => {
                    decoded.push_unit(unit as u16);
                    return Ok(());
                }
                None => {
                    decoded.push_str("\\u");
                    return Ok(());
                }
            },
            // Python's own.
            'x' => match self.digits(2).and_then(char::from_u32) {
                Some(c) => c,
                None => {
                    decoded.push_str("\\x");
                    return Ok(());
                }
            },
            'U' => match self.digits(8).and_then(char::from_u32) {
                Some(c) => c,
                None => {
                    decoded.push_str("\\U");
                    return Ok(());
                }
            },
            other => {
                decoded.push_str("\\");
                other
            }
        };
        decoded.push_str(plain.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    /// So many hexadecimal digits, when they are there.
    fn digits(&mut self, count: usize) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + count)?;
        let number = digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(digits)?;
        self.at += count;
        u32::from_str_radix(number, 16).ok()
    }
}

#[cfg(test)]
mod tests;
