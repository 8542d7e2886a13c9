//! Where a tool asks: an address with places in it for arguments. Pure.
//!
//! A place is a whole segment of the path or a whole value of the query, and what comes into it is escaped: no argument leads
//! to another server, another path or another parameter.

use reqwest::Url;

use crate::{config::address::server_url, formula::Arguments};

/// An address with places for arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct Location {
    /// Scheme, host and port.
    server: Url,
    path: Vec<Piece>,
    query: Vec<(String, Piece)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Fixed(String),
    Argument(String),
}

/// An argument cannot stand where it would: a part of a path is neither empty nor dots alone, and has no control character.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}: neither empty nor . or .., and no control character")]
pub struct BadPlace(pub String);

impl Location {
    /// Reads one.
    ///
    /// # Errors
    /// What it must be.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "an http:// or https:// address";
        let (scheme, rest) = text.trim().split_once("://").ok_or(FORM)?;
        let (host, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if host.contains(['{', '}', '\\', '%']) {
            return Err("an address whose server is fixed");
        }
        if rest.contains(['#', '%', '\\']) {
            return Err("an address without `#`, `%` and `\\`: what needs it is escaped");
        }
        let server = server_url(&format!("{scheme}://{host}/"))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = path.split('/').skip(1).map(Piece::parse).collect::<Result<Vec<_>, _>>()?;
        if path.iter().any(|piece| matches!(piece, Piece::Fixed(text) if text == "." || text == "..")) {
            return Err("an address without . and .. in its path");
        }
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let query = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if name.contains(['{', '}']) {
                return Err("an address whose parameters have fixed names");
            }
            Ok((name.to_owned(), Piece::parse(value)?))
        });
        Ok(Self { server, path, query: query.collect::<Result<_, _>>()? })
    }

    /// The names of the arguments that have a place in it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let pieces = self.path.iter().chain(self.query.iter().map(|(_, piece)| piece));
        pieces.filter_map(|piece| match piece {
            Piece::Argument(name) => Some(name.as_str()),
            Piece::Fixed(_) => None,
        })
    }

    /// The address with these arguments. A parameter whose argument was left out is left out.
    ///
    /// # Errors
    /// [`BadPlace`] when one cannot stand in its place.
    pub fn fill(&self, arguments: &Arguments) -> Result<Url, BadPlace> {
        let mut url = self.server.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear();
            for piece in &self.path {
                let segment = match piece {
                    Piece::Fixed(text) => text.clone(),
                    Piece::Argument(name) => {
                        let value = arguments.written(name).unwrap_or_default();
                        // With all else escaped, these alone would be another path; tabs and line ends are passed over in
                        // addresses, and what is left may be one of these.
                        if matches!(value.as_str(), "" | "." | "..") || value.contains(char::is_control) {
                            return Err(BadPlace(name.clone()));
                        }
                        value
                    }
                };
                path.push(&segment);
            }
        }
        for (name, piece) in &self.query {
            let value = match piece {
                Piece::Fixed(text) => Some(text.clone()),
                Piece::Argument(argument) => arguments.written(argument),
            };
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, &value);
            }
        }
        Ok(url)
    }
}

impl Piece {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let name = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        match name {
            Some(name) if !name.contains(['{', '}']) => Ok(Self::Argument(name.trim().to_owned())),
            None if !text.contains(['{', '}']) => Ok(Self::Fixed(text.to_owned())),
            _ => Err(
                "an address in which an argument is a whole part of the path or a whole parameter, like /{id}?at={day}",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::formula::{Input, Inputs, Presence, Takes};

    fn filled(location: &str, id: &str) -> Result<String, String> {
        let takes = Takes::Text { max_chars: 100, pattern: None };
        let input = |name: &str, takes, presence| Input {
            name: name.to_owned(),
            description: None,
            unit: None,
            takes,
            choices: Vec::new(),
            presence,
        };
        let number = Takes::Number { min: None, max: None, whole: false };
        let inputs = vec![
            input("id", takes.clone(), Presence::Required),
            input("day", takes, Presence::Optional),
            input("amount", number, Presence::Default(json!(1_000_000))),
        ];
        let arguments = Inputs::new(inputs).check(&json!({"id": id})).unwrap();
        let location = Location::parse(location).map_err(str::to_owned)?;
        location.fill(&arguments).map(String::from).map_err(|error| error.to_string())
    }

    #[test]
    fn no_argument_leads_elsewhere() {
        let at = "https://api.example:8443/v1/orders/{id}/lines?of={id}&day={day}&amount={amount}&all=1";
        let rows = [
            ("7", "https://api.example:8443/v1/orders/7/lines?of=7&amount=1000000&all=1"),
            (
                "../../admin",
                "https://api.example:8443/v1/orders/..%2F..%2Fadmin/lines?of=..%2F..%2Fadmin&amount=1000000&all=1",
            ),
            (
                "a?b#c&d=e",
                "https://api.example:8443/v1/orders/a%3Fb%23c&d=e/lines?of=a%3Fb%23c%26d%3De&amount=1000000&all=1",
            ),
            ("%2e%2e", "https://api.example:8443/v1/orders/%252e%252e/lines?of=%252e%252e&amount=1000000&all=1"),
            (
                "@evil.example",
                "https://api.example:8443/v1/orders/@evil.example/lines?of=%40evil.example&amount=1000000&all=1",
            ),
        ];
        for (id, expected) in rows {
            assert_eq!(filled(at, id).as_deref(), Ok(expected));
        }
        for id in ["", ".", "..", "\t", ".\t.", "..\r", "..\n", "7\n8", "\u{85}"] {
            assert_eq!(
                filled(at, id),
                Err("id: neither empty nor . or .., and no control character".to_owned()),
                "{id}"
            );
        }
        assert_eq!(filled("http://api.example", "x").as_deref(), Ok("http://api.example/"));
        assert_eq!(filled("http://api.example?q={id}", "x y").as_deref(), Ok("http://api.example/?q=x+y"));
    }

    #[test]
    fn the_server_is_fixed_and_places_are_whole() {
        for text in [
            "api.example/x",
            "ftp://api.example/",
            "https://{id}/",
            "https://{id}.example/",
            "https://api.example:{id}/",
            "https://user:secret@api.example/",
            "https://api.example\\@evil.example/",
            "https://api.example/v{id}",
            "https://api.example/{id}{day}",
            "https://api.example/x?{id}=1",
            "https://api.example/x?q=a{id}",
            "https://api.example/a/../b",
            "https://api.example/%2e%2e/b",
            "https://api.example/x#y",
        ] {
            assert!(Location::parse(text).is_err(), "{text}");
        }
    }
}
