//! Which documents and pages a search looks at, as an expression. Pure.
//!
//! It comes as JSON and stays a tree of values: it is evaluated on rows, or becomes a predicate of the query engine made of
//! the same values, and never a text that somebody reads as a language.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// How deep expressions may be nested.
const MAX_DEPTH: usize = 8;
/// The most conditions of one expression.
const MAX_CONDITIONS: usize = 64;
/// The most documents that a condition names.
const MAX_DOCUMENTS: usize = 1000;
/// The longest text of a condition, in bytes.
const MAX_TEXT_BYTES: usize = 1024;

/// A condition for chunks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// All of these hold; also when there are none.
    #[schema(no_recursion)]
    All(Vec<Filter>),
    /// One of these holds.
    #[schema(no_recursion)]
    Any(Vec<Filter>),
    /// This does not hold.
    #[schema(no_recursion)]
    Not(Box<Filter>),
    /// It is of one of these documents.
    Document(Vec<String>),
    /// Its document's URI begins so: the key of one that was sent, the path of one that was ingested by path.
    UriPrefix(String),
    /// Its document has exactly this title.
    Title(String),
    /// It has something of these pages.
    Pages(#[serde(deserialize_with = "from_object")] Pages),
}

/// Some pages of a document, the first and the last one included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pages {
    /// The first one; from the beginning when absent.
    #[schema(maximum = 4_294_967_295_u32)]
    pub from: Option<u32>,
    /// The last one; to the end when absent.
    #[schema(maximum = 4_294_967_295_u32)]
    pub to: Option<u32>,
}

/// A structure would be read from a list as well, by the order of its fields.
fn from_object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Pages, D::Error> {
    Pages::deserialize(Value::Object(Map::deserialize(deserializer)?)).map_err(D::Error::custom)
}

/// Why an expression is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// It is nested too deep.
    #[error("is nested more than {MAX_DEPTH} deep")]
    Depth,
    /// It has too many conditions.
    #[error("has more than {MAX_CONDITIONS} conditions")]
    Conditions,
    /// A condition names too many documents.
    #[error("names more than {MAX_DOCUMENTS} documents in one condition")]
    Documents,
    /// A text in it is too long.
    #[error("has a text of more than {MAX_TEXT_BYTES} bytes")]
    Text,
}

/// What of a chunk a filter looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) document: &'a str,
    pub(crate) title: &'a str,
    pub(crate) uri: Option<&'a str>,
    /// The first and the last page that it has something of.
    pub(crate) pages: Option<(u32, u32)>,
}

impl Filter {
    /// Whether it is within its bounds.
    ///
    /// # Errors
    /// Which bound it oversteps.
    pub fn check(&self) -> Result<(), FilterError> {
        let mut left = MAX_CONDITIONS;
        self.check_within(MAX_DEPTH, &mut left)
    }

    fn check_within(&self, depth: usize, left: &mut usize) -> Result<(), FilterError> {
        let depth = depth.checked_sub(1).ok_or(FilterError::Depth)?;
        *left = left.checked_sub(1).ok_or(FilterError::Conditions)?;
        let short = |text: &String| if text.len() <= MAX_TEXT_BYTES { Ok(()) } else { Err(FilterError::Text) };
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().try_for_each(|part| part.check_within(depth, left)),
            Self::Not(part) => part.check_within(depth, left),
            Self::Document(ids) if ids.len() > MAX_DOCUMENTS => Err(FilterError::Documents),
            Self::Document(ids) => ids.iter().try_for_each(short),
            Self::UriPrefix(text) | Self::Title(text) => short(text),
            Self::Pages(_) => Ok(()),
        }
    }

    /// Whether a chunk is looked at.
    pub(crate) fn holds(&self, facts: &Facts<'_>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(facts)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(facts)),
            Self::Not(part) => !part.holds(facts),
            Self::Document(ids) => ids.iter().any(|id| id == facts.document),
            Self::UriPrefix(prefix) => facts.uri.is_some_and(|uri| uri.starts_with(prefix.as_str())),
            Self::Title(title) => title == facts.title,
            Self::Pages(wanted) => facts.pages.is_some_and(|pages| wanted.meet(pages)),
        }
    }
}

impl Pages {
    fn meet(self, (first, last): (u32, u32)) -> bool {
        self.from.is_none_or(|from| last >= from) && self.to.is_none_or(|to| first <= to)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(json: &str) -> Result<Filter, String> {
        let filter: Filter = serde_json::from_str(json).map_err(|error| error.to_string())?;
        filter.check().map_err(|error| error.to_string()).map(|()| filter)
    }

    const PRICES: Facts<'_> =
        Facts { document: "0a1b", title: "Prices", uri: Some("shop/prices.pdf"), pages: Some((3, 4)) };

    #[test]
    fn conditions_are_read_and_hold_as_they_say() {
        for (json, holds) in [
            (r#"{"document":["ff","0a1b"]}"#, true),
            (r#"{"document":[]}"#, false),
            (r#"{"uri_prefix":"shop/"}"#, true),
            (r#"{"uri_prefix":"hop/"}"#, false),
            (r#"{"title":"Prices"}"#, true),
            (r#"{"title":"prices"}"#, false),
            (r#"{"pages":{"from":4,"to":9}}"#, true),
            (r#"{"pages":{"to":2}}"#, false),
            (r#"{"pages":{"from":5}}"#, false),
            (r#"{"not":{"pages":{"from":5}}}"#, true),
            (r#"{"all":[{"title":"Prices"},{"uri_prefix":"shop/"}]}"#, true),
            (r#"{"any":[{"title":"x"},{"not":{"title":"Prices"}}]}"#, false),
            (r#"{"all":[]}"#, true),
            (r#"{"any":[]}"#, false),
        ] {
            assert_eq!(read(json).expect(json).holds(&PRICES), holds, "{json}");
        }
        let bare = Facts { uri: None, pages: None, ..PRICES };
        assert!(!read(r#"{"uri_prefix":""}"#).expect("valid").holds(&bare));
        assert!(!read(r#"{"pages":{}}"#).expect("valid").holds(&bare));
    }

    #[test]
    fn what_is_no_expression_or_too_large_is_refused() {
        for json in [
            r#""document = 'x'""#,
            r#"{"sql":"1=1"}"#,
            r#"{"document":"x"}"#,
            r#"{"pages":{"from":-1}}"#,
            r#"{"pages":{"first":1}}"#,
            r#"{"title":"a","uri_prefix":"b"}"#,
            "{}",
        ] {
            assert!(read(json).is_err(), "{json}");
        }
        let deep = |levels: usize| format!("{}{{\"all\":[]}}{}", "{\"not\":".repeat(levels), "}".repeat(levels));
        assert!(read(&deep(MAX_DEPTH - 1)).is_ok());
        assert_eq!(read(&deep(MAX_DEPTH)), Err(FilterError::Depth.to_string()));
        let wide = |parts: usize| format!("{{\"any\":[{}]}}", vec![r#"{"title":"x"}"#; parts].join(","));
        assert!(read(&wide(MAX_CONDITIONS - 1)).is_ok());
        assert_eq!(read(&wide(MAX_CONDITIONS)), Err(FilterError::Conditions.to_string()));
        assert_eq!(Filter::Document(vec![String::new(); 1001]).check(), Err(FilterError::Documents));
        assert_eq!(Filter::Title("x".repeat(1025)).check(), Err(FilterError::Text));
    }

    proptest! {
        #[test]
        fn it_comes_back_as_it_was(documents in prop::collection::vec(any::<String>(), 0..3), text in any::<String>(),
            from in any::<Option<u32>>(), to in any::<Option<u32>>()) {
            let filter = Filter::Any(vec![
                Filter::Document(documents),
                Filter::Not(Box::new(Filter::UriPrefix(text.clone()))),
                Filter::All(vec![Filter::Title(text), Filter::Pages(Pages { from, to })]),
            ]);
            let json = serde_json::to_string(&filter).expect("json");
            prop_assert_eq!(serde_json::from_str::<Filter>(&json).expect("filter"), filter);
        }
    }
}
