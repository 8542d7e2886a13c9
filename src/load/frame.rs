//! Frames as they come from the gateway, borrowed from the bytes they came in. Pure.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// A string that is copied only when it has escapes. (Serde does not borrow through an `Option` by itself.)
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(super) struct Str<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl Str<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn to_owned(&self) -> String {
        self.0.clone().into_owned()
    }
}

/// Every frame, with the fields that matter here. Which are there depends on `kind`.
#[derive(Debug, Deserialize)]
pub(super) struct Frame<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) run: Option<Str<'a>>,
    pub(super) off: Option<u64>,
    #[serde(borrow)]
    pub(super) text: Option<Str<'a>>,
    pub(super) seq: Option<u64>,
    pub(super) len: Option<u64>,
    #[serde(borrow)]
    pub(super) crc32: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) status: Option<Str<'a>>,
    pub(super) keep: Option<u64>,
    /// An id, a whole message, or the text of an error.
    #[serde(borrow)]
    pub(super) message: Option<&'a RawValue>,
    #[serde(rename = "for", borrow)]
    pub(super) question: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) re: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) code: Option<Str<'a>>,
    #[serde(default)]
    pub(super) retryable: bool,
    pub(super) duplicate: Option<bool>,
    pub(super) retry_in_ms: Option<u64>,
    #[serde(borrow)]
    pub(super) session: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) epoch: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) recovered: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) t: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) messages: Option<Vec<Message<'a>>>,
    #[serde(borrow)]
    pub(super) runs: Option<Vec<LiveRun<'a>>>,
}

/// A message of a session, in an event, a snapshot or an HTTP answer.
#[derive(Debug, Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) id: Str<'a>,
    #[serde(borrow)]
    pub(super) role: Str<'a>,
    #[serde(borrow)]
    pub(super) text: Str<'a>,
    #[serde(borrow)]
    pub(super) status: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) run: Option<Str<'a>>,
}

/// A run in progress, in a snapshot.
#[derive(Debug, Deserialize)]
pub(super) struct LiveRun<'a> {
    #[serde(borrow)]
    pub(super) run: Str<'a>,
    #[serde(borrow)]
    pub(super) message: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) text: Str<'a>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_without_escapes_are_borrowed_and_unknown_fields_skipped() {
        let frame: Frame<'_> =
            serde_json::from_str(r#"{"type":"delta","run":"r_1","off":7,"text":"hä","new":[{"a":1}]}"#)
                .expect("a frame");
        assert!(matches!(frame.text, Some(Str(Cow::Borrowed("hä")))));
        assert!(matches!(frame.kind, Cow::Borrowed("delta")));
        let frame: Frame<'_> = serde_json::from_str(r#"{"type":"delta","text":"a\nb"}"#).expect("a frame");
        assert_eq!(frame.text.expect("a text").as_str(), "a\nb");
    }
}
