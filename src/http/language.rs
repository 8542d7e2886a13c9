//! Which of several languages somebody gets: `Accept-Language` (RFC 9110, 12.5.4) held against those that there are. Pure.

use axum::http::{HeaderMap, header};

/// The most languages that are looked at; nobody reads more.
const MAX_RANGES: usize = 32;

/// The languages that somebody wants, the best first.
#[derive(Debug, Default)]
pub(super) struct Wanted(Vec<String>);

impl Wanted {
    /// The one that is `named`, when one is, and then those of a head.
    pub(super) fn of(named: Option<&str>, headers: &HeaderMap) -> Self {
        let lines = headers.get_all(header::ACCEPT_LANGUAGE).iter().filter_map(|line| line.to_str().ok());
        let mut weighed: Vec<(u16, &str)> =
            lines.flat_map(|line| line.split(',')).filter_map(weighed).take(MAX_RANGES).collect();
        weighed.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight)); // Of equals the first.
        let ranges = weighed.into_iter().map(|(_, range)| range);
        Self(named.into_iter().chain(ranges).map(str::to_ascii_lowercase).collect())
    }

    /// The best of those that are `offered`, or the first of them: a text in another language is better than none.
    pub(super) fn best<'a>(&self, offered: &'a [String]) -> Option<&'a str> {
        self.0.iter().find_map(|range| lookup(range, offered)).or(offered.first()).map(String::as_str)
    }
}

/// A range and its weight in thousandths; `None` when it is not wanted, or is none.
fn weighed(item: &str) -> Option<(u16, &str)> {
    let (range, parameters) = item.split_once(';').unwrap_or((item, ""));
    let weight = match parameters.trim() {
        "" => 1.0,
        // Of what nobody understands, the least is made.
        parameters => parameters.strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok()).unwrap_or(0.001),
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to 1000")]
    let weight = (weight.clamp(0.0, 1.0) * 1000.0).round() as u16;
    let range = range.trim();
    (weight > 0 && !range.is_empty()).then_some((weight, range))
}

/// What of `offered` is in this range: the language itself, or the one that it is a kind of (RFC 4647, 3.4), or a kind of it.
fn lookup<'a>(range: &str, offered: &'a [String]) -> Option<&'a String> {
    if range == "*" {
        return offered.first();
    }
    let mut wider = Some(range);
    while let Some(language) = wider {
        if let Some(found) = offered.iter().find(|one| one.eq_ignore_ascii_case(language)) {
            return Some(found);
        }
        wider = language.rsplit_once('-').map(|(wider, _)| wider);
    }
    let is_kind = |one: &&String| {
        let kind = one.get(..range.len()).filter(|start| start.eq_ignore_ascii_case(range));
        kind.is_some() && one[range.len()..].starts_with('-')
    };
    offered.iter().find(is_kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_what_there_is() {
        let best = |offered: &[&str], named: Option<&str>, head: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, head.parse().unwrap());
            let offered: Vec<String> = offered.iter().map(ToString::to_string).collect();
            Wanted::of(named, &headers).best(&offered).map(ToOwned::to_owned)
        };
        let rows = [
            (None, "", "en"),
            (None, "de", "de"),
            (None, "DE-ch-1996, en;q=0.9", "de"),
            (None, "fr, de;q=0.5, en;q=0.6", "en"),
            (None, "fr;q=0.9,pt;q=0.8", "pt-BR"),
            (None, "pt-PT", "en"),
            (None, "de;q=0, pt-br;q=0.001", "pt-BR"),
            (None, "*", "en"),
            (None, "de;q=0.2, *;q=0.1", "de"),
            (None, "de;q=x, pt-BR;q=0.5", "pt-BR"),
            (None, ",;,;q=1,-,de-", "de"),
            (Some("de"), "en", "de"),
            (Some("fr"), "de", "de"),
            (Some("é"), "p\u{fe}", "en"),
        ];
        for (named, head, expected) in rows {
            assert_eq!(best(&["en", "de", "pt-BR"], named, head).as_deref(), Some(expected), "{named:?} {head}");
        }
        assert_eq!(best(&[], None, "de"), None);
        let many = vec!["fr"; MAX_RANGES].join(",") + ",de";
        assert_eq!(best(&["en", "de"], None, &many).as_deref(), Some("en"), "more than anybody reads");
    }
}
