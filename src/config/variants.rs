//! The variants in an assistant's file: what each of them sets over the rest of it. Pure.

use std::path::Path;

use super::{
    assistant::{Several, TRIED, Tried},
    error::{ConfigError, Origin, excerpt},
    file,
    key::{Key, MAX_NAME, is_name, nearest},
    layers::Layers,
};

/// Shares are written in decimals, and what they come to is a little off.
const ROUNDING: f64 = 1e-9;

/// A variant.
pub(super) struct Read {
    pub(super) name: String,
    /// Who of all gets it.
    pub(super) share: f64,
    /// The file, and what it sets over that.
    pub(super) layers: Layers,
}

/// The variants of the file at `path`, and what is wrong with them.
pub(super) fn read(path: &Path, text: &str, layers: &Layers, refused: &mut Vec<ConfigError>) -> Vec<Read> {
    // What is no list of variants was refused before.
    let tried = layers.section(Several::KEYS).map(|Several { variant }| variant).unwrap_or_default();
    let mut variants: Vec<Read> = Vec::new();
    let mut shares = 0.0;
    for (at, Tried { name, share, set }) in tried.into_iter().enumerate() {
        let origin = |names: &[&str]| {
            let line = file::line_within(text, ("variant", at), names);
            Origin::File(path.to_owned(), line)
        };
        let mut wrong = |key: &str, expected: String, found: String| {
            let full = format!("variant[{}].{key}", at + 1);
            refused.push(ConfigError::Value { key: full, expected, found, origin: origin(&[key]) });
        };
        if !is_name(&name) {
            let expected = format!("1 to {MAX_NAME} of the characters a-z, 0-9 and -");
            wrong("name", expected, format!("the text \"{}\"", excerpt(&name)));
        }
        if variants.iter().any(|other| other.name == name) {
            wrong("name", "another name than those of the others".to_owned(), format!("\"{}\" again", excerpt(&name)));
        }
        shares += share;
        if shares > 1.0 + ROUNDING {
            wrong("share", "at most 1 together with those before it".to_owned(), shares.to_string());
        }
        let mut changed = layers.above();
        for (full, value) in set {
            let origin = origin(&["set", &full]);
            match TRIED.iter().copied().flatten().find(|key| key.full() == full) {
                Some(key) => changed.set(key, key.kind.check(value), origin),
                None => {
                    let nearest = nearest(&full, TRIED.iter().copied().flatten().map(Key::full));
                    changed.refuse(ConfigError::UnknownKey { key: excerpt(&full), nearest, origin });
                }
            }
        }
        refused.extend(changed.take_refused());
        variants.push(Read { name, share, layers: changed });
    }
    variants
}
