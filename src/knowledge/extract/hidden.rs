//! Characters that no reader sees. Pure.

/// Removes what no reader sees: control, zero-width and direction characters, invisible fillers and tags.
/// Line ends become `\n`, every other kind of white space stays.
pub(super) fn strip_hidden(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let keep = match c {
            '\r' => {
                if chars.peek() != Some(&'\n') {
                    out.push('\n');
                }
                false
            }
            // Persian, the Indic scripts and joined emoji need these; between Latin letters they only hide.
            _ if is_joiner(c) => {
                is_wide(out.chars().next_back()) && is_wide(chars.peek().copied().filter(|next| !is_selector(*next)))
            }
            // One variation selector may follow a symbol; a row of them is a hiding place.
            _ if is_selector(c) => is_wide(out.chars().next_back().filter(|before| !is_selector(*before))),
            _ => !is_hidden(c),
        };
        if keep {
            out.push(c);
        }
    }
    out
}

/// A visible character beyond ASCII, the only kind that invisible joiners and selectors belong to.
fn is_wide(c: Option<char>) -> bool {
    c.is_some_and(|c| !c.is_ascii() && !c.is_whitespace() && !is_hidden(c) && !is_joiner(c))
}

const fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200C}' | '\u{200D}')
}

const fn is_selector(c: char) -> bool {
    matches!(c, '\u{FE00}'..='\u{FE0F}')
}

pub(super) const fn is_hidden(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{0}'..='\u{1F}' | '\u{7F}'..='\u{9F}' => true,
        // soft hyphen, grapheme joiner, Arabic letter mark, Hangul and Mongolian fillers
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' => true,
        '\u{180B}'..='\u{180F}' | '\u{3164}' | '\u{FFA0}' => true,
        // zero-width characters, direction marks, overrides and isolates, invisible operators
        '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' => true,
        '\u{FEFF}' | '\u{FFF0}'..='\u{FFFB}' => true,
        // tags and supplementary variation selectors: whole texts can be written in them
        '\u{E0000}'..='\u{E0FFF}' => true,
        _ => false,
    }
}
