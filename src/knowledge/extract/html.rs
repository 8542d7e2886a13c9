//! HTML within Markdown, as far as somebody can hide something in it: tags, comments, and elements that nobody sees. Pure.
//!
//! Judged as by a browser, from the elements and the attributes alone. What is only made unreadable (white on white, or by
//! a style sheet elsewhere) is not recognised.

use std::{mem, ops::Range};

/// Elements without content.
const VOID: &[&str] =
    &["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"];
/// Elements whose content is never shown as text.
const UNSEEN: &[&str] = &[
    "audio", "canvas", "datalist", "head", "iframe", "noembed", "noframes", "noscript", "object", "script", "style",
    "template", "title", "video",
];
/// Elements that stand within a word; all others are apart from what is beside them.
pub(super) const INLINE: &[&str] = &[
    "a", "abbr", "b", "bdi", "bdo", "cite", "code", "del", "dfn", "em", "font", "i", "ins", "kbd", "mark", "q", "s",
    "samp", "small", "span", "strike", "strong", "sub", "sup", "tt", "u", "var", "wbr",
];
/// Elements that end a paragraph where they begin.
pub(super) const ENDS_PARAGRAPH: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "center",
    "details",
    "dialog",
    "dir",
    "div",
    "dl",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hgroup",
    "hr",
    "main",
    "menu",
    "nav",
    "ol",
    "p",
    "pre",
    "search",
    "section",
    "table",
    "ul",
];
/// Further from the window's border, in whatever unit, nothing is seen.
const OFF_SCREEN: f32 = -900.0;

/// What is taken out, and what stands in its place.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) range: Range<usize>,
    pub(super) instead: &'static str,
}

/// Reads the HTML of a document, piece by piece.
#[derive(Debug, Default)]
pub(super) struct Html {
    state: State,
    /// Where the markup that is being read began.
    start: usize,
    hidden: Option<Hidden>,
    cuts: Vec<Cut>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Text,
    Tag(TagText),
    Comment,
    /// A declaration, or something else that browsers take for a comment.
    Declaration,
}

/// A tag as far as it was read, without its brackets.
#[derive(Debug, Default)]
struct TagText {
    text: String,
    quote: Option<char>,
    /// Whether a quotation mark would begin a value.
    may_quote: bool,
}

/// An element that nobody sees.
#[derive(Debug)]
struct Hidden {
    name: String,
    start: usize,
    /// How many elements of this name are open.
    depth: usize,
}

impl Html {
    /// Reads a piece of HTML.
    pub(super) fn read(&mut self, text: &str, piece: Range<usize>) {
        let mut at = piece.start;
        while at < piece.end {
            let rest = &text[at..piece.end];
            at += match &mut self.state {
                State::Text => match rest.find('<') {
                    Some(gap) => gap + self.begin(at + gap, &rest[gap..]),
                    None => return,
                },
                State::Tag(tag) => match rest.char_indices().find(|(_, c)| tag.push(*c)) {
                    Some((end, _)) => self.finish(at + end + 1) - at,
                    None => return,
                },
                State::Comment => match rest.find("-->") {
                    Some(end) => self.finish(at + end + "-->".len()) - at,
                    None => return,
                },
                State::Declaration => match rest.find('>') {
                    Some(end) => self.finish(at + end + 1) - at,
                    None => return,
                },
            };
        }
    }

    /// The HTML pauses here: a tag that has not ended is taken for one that has.
    pub(super) fn pause(&mut self, at: usize) {
        if matches!(self.state, State::Tag(_)) {
            self.finish(at);
        }
    }

    /// A block of Markdown begins here.
    pub(super) fn block(&mut self, at: usize) {
        if matches!(self.state, State::Text) && self.hidden.as_ref().is_some_and(|hidden| hidden.name == "p") {
            self.show(at);
        }
    }

    /// What nobody sees of the document, which ends here. What is still open goes on to its end.
    pub(super) fn end(mut self, at: usize) -> Vec<Cut> {
        if !matches!(self.state, State::Text) {
            self.finish(at);
        }
        self.show(at);
        self.cuts
    }

    /// What begins with this `<`; how many bytes of it were read.
    fn begin(&mut self, at: usize, rest: &str) -> usize {
        let after = rest[1..].trim_start_matches('/');
        let (state, read) = match () {
            // `<!-->` is a whole one.
            () if rest.starts_with("<!--") => (State::Comment, "<!".len()),
            () if rest.starts_with("<!") || rest.starts_with("<?") => (State::Declaration, 1),
            () if after.starts_with(|c: char| c.is_ascii_alphabetic()) => (State::Tag(TagText::default()), 1),
            () => return 1,
        };
        (self.state, self.start) = (state, at);
        read
    }

    /// What is being read ends here.
    fn finish(&mut self, end: usize) -> usize {
        let range = self.start..end;
        match mem::take(&mut self.state) {
            State::Tag(tag) => self.tag(&tag.text, range),
            _ if self.hidden.is_none() => self.cuts.push(Cut { range, instead: "" }),
            _ => {}
        }
        end
    }

    fn tag(&mut self, text: &str, range: Range<usize>) {
        let is_end = text.starts_with('/');
        let text = text.trim_start_matches('/');
        let (name, rest) = text.split_at(text.find(|c: char| c.is_whitespace() || c == '/').unwrap_or(text.len()));
        let name = name.to_ascii_lowercase();
        if let Some(hidden) = &mut self.hidden {
            let ends_paragraph = hidden.name == "p" && !is_end && ENDS_PARAGRAPH.contains(&name.as_str());
            match (hidden.name == name, is_end) {
                _ if ends_paragraph => self.show(range.start),
                (true, true) if hidden.depth == 1 => return self.show(range.end),
                (true, true) => hidden.depth -= 1,
                (true, false) => hidden.depth += 1,
                (false, _) => {}
            }
            if !ends_paragraph {
                return;
            }
        }
        if !is_end && !VOID.contains(&name.as_str()) && is_hidden(&name, attributes(rest)) {
            self.hidden = Some(Hidden { name, start: range.start, depth: 1 });
            return;
        }
        self.cuts.push(Cut { range, instead: if INLINE.contains(&name.as_str()) { "" } else { " " } });
    }

    /// From here on, something is seen again.
    fn show(&mut self, at: usize) {
        if let Some(hidden) = self.hidden.take() {
            self.cuts.push(Cut { range: hidden.start..at, instead: " " });
        }
    }
}

impl TagText {
    /// Takes a character; whether it is the end.
    fn push(&mut self, c: char) -> bool {
        match self.quote {
            None if c == '>' => return true,
            None if self.may_quote && matches!(c, '"' | '\'') => self.quote = Some(c),
            Some(quote) if c == quote => self.quote = None,
            _ => {}
        }
        self.may_quote = self.quote.is_none() && (c == '=' || self.may_quote && c.is_whitespace());
        self.text.push(c);
        false
    }
}

/// The attributes of a tag.
fn attributes(mut rest: &str) -> impl Iterator<Item = (&str, &str)> {
    std::iter::from_fn(move || {
        let (attribute, value, after) = next_attribute(rest)?;
        rest = after;
        Some((attribute, value))
    })
}

/// Whether nobody sees an element with these attributes.
pub(super) fn is_hidden<'a>(name: &str, attributes: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
    let mut is_open = false;
    for (attribute, value) in attributes {
        match attribute.to_ascii_lowercase().as_str() {
            "hidden" => return true,
            "style" if hides(value) => return true,
            "open" => is_open = true,
            _ => {}
        }
    }
    UNSEEN.contains(&name) || (name == "dialog" && !is_open)
}

/// The first attribute, its value without quotation marks, and what follows.
fn next_attribute(text: &str) -> Option<(&str, &str, &str)> {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
    // An equals sign at the beginning is the beginning of a name.
    let first = text.chars().next()?.len_utf8();
    let end =
        text[first..].find(|c: char| c.is_whitespace() || matches!(c, '=' | '/')).map_or(text.len(), |at| first + at);
    let (name, rest) = text.split_at(end);
    let Some(value) = rest.trim_start().strip_prefix('=').map(str::trim_start) else { return Some((name, "", rest)) };
    let (value, rest) = match value.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        Some(quote) => value[1..].split_once(quote).unwrap_or((&value[1..], "")),
        None => value.split_at(value.find(char::is_whitespace).unwrap_or(value.len())),
    };
    Some((name, value, rest))
}

/// Whether a style lets nothing be seen. One in escapes has something to hide.
fn hides(style: &str) -> bool {
    if style.contains(['\\', '&']) || style.contains("/*") {
        return true;
    }
    let style = style.to_lowercase();
    let mut declarations = style.split(';').filter_map(|declaration| declaration.split_once(':'));
    declarations.any(|(property, value)| {
        let value = value.split('!').next().unwrap_or(value).trim();
        match property.trim() {
            "display" => value == "none",
            "visibility" | "content-visibility" => matches!(value, "hidden" | "collapse"),
            "color" => value == "transparent",
            "opacity" | "font-size" => number(value) == Some(0.0),
            "font" => value.split([' ', '/']).filter_map(number).any(|length| length == 0.0),
            "left" | "right" | "top" | "bottom" | "text-indent" | "margin-left" | "margin-top" => {
                number(value).is_some_and(|length| length < OFF_SCREEN)
            }
            _ => false,
        }
    })
}

/// The number at the beginning of a value.
fn number(value: &str) -> Option<f32> {
    let end = value.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '-' | '+')).unwrap_or(value.len());
    value[..end].parse().ok()
}
