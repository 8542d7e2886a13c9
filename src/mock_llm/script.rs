//! What the mock says: a text cut into tokens, and its chunks encoded once per model name. Pure.

use bytes::Bytes;
use serde_json::{Value, json};

use super::stamp;

/// What it says when nobody gives it a script. Has emoji, so that offsets in UTF-16, bytes and characters differ.
pub const DEFAULT_TEXT: &str = "A rivulet is a very small stream. It begins where rain gathers, takes the shortest way \
down, and joins other water long before it reaches the sea. 🌧️ Most of them have no name. Some run only in spring, \
when the snow melts, and leave a line of pale stones for the rest of the year.\n\nWhat makes it a stream is not its \
size but that it keeps moving: a drop that arrives is passed on at once, and none overtakes another. Dam it, and it \
waits; open the dam, and everything that waited comes down together. 🏞️\n\nThree things are worth knowing:\n\n\
1. It never flows back.\n2. It takes the form of its bed.\n3. Follow it far enough and you come to a river.\n";

/// A text, cut into tokens.
#[derive(Debug, Clone)]
pub struct Script {
    tokens: Vec<String>,
}

impl Script {
    /// Cuts `text` into tokens: words with the white space before them. Joined, they are `text` again.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut tokens = Vec::new();
        let mut start = 0;
        let mut in_word = false;
        for (at, c) in text.char_indices() {
            if c.is_whitespace() && in_word {
                tokens.push(text[start..at].to_owned());
                start = at;
            }
            in_word = !c.is_whitespace();
        }
        if start < text.len() {
            tokens.push(text[start..].to_owned());
        }
        Self { tokens }
    }

    /// Its length in tokens.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The text of the first `count` tokens; a script that is shorter begins again.
    #[must_use]
    pub fn text(&self, count: usize) -> String {
        self.tokens.iter().cycle().take(count).map(String::as_str).collect()
    }

    /// All of its chunks for `model`, ready to be sent.
    pub(super) fn encode(&self, model: &str) -> Encoded {
        self.encode_with(model, &[], "stop")
    }

    /// The same, with `more` behind the text, and with another reason to end.
    pub(super) fn encode_with(&self, model: &str, more: &[Value], finish: &str) -> Encoded {
        let delta = |delta: &Value, finish: Option<&str>| {
            chunk(model, json!([{ "index": 0, "delta": delta, "finish_reason": finish }]), None)
        };
        let content = |text: &str| delta(&json!({ "content": text }), None);
        let text = self.tokens.iter().map(|token| content(token));
        Encoded {
            role: delta(&json!({ "role": "assistant", "content": "" }), None),
            tokens: text.chain(more.iter().map(|more| delta(more, None))).collect(),
            stamp: content(&String::from_utf8_lossy(&stamp::write(0))),
            stop: delta(&json!({}), Some(finish)),
            length: delta(&json!({}), Some("length")),
        }
    }
}

/// The chunks of a script as events of a stream.
#[derive(Debug)]
pub(super) struct Encoded {
    /// Begins the answer, without text.
    pub(super) role: Bytes,
    /// One event per token, and per piece of a call.
    pub(super) tokens: Vec<Bytes>,
    /// A token that is the stamp of moment 0.
    pub(super) stamp: Bytes,
    /// Ends an answer that is whole.
    pub(super) stop: Bytes,
    /// Ends an answer that reached its limit.
    pub(super) length: Bytes,
}

/// The event that says what an answer cost.
pub(super) fn usage_event(model: &str, prompt_tokens: usize, completion_tokens: usize) -> Bytes {
    chunk(model, json!([]), Some(usage(prompt_tokens, completion_tokens)))
}

/// A whole completion, for requests that want no stream.
pub(super) fn completion(
    model: &str,
    message: &Value,
    finish: &str,
    prompt_tokens: usize,
    completion_tokens: usize,
) -> Bytes {
    let completion = json!({
        "id": "chatcmpl-mock", "object": "chat.completion", "created": 0, "model": model,
        "choices": [{ "index": 0, "message": message, "finish_reason": finish }],
        "usage": usage(prompt_tokens, completion_tokens),
    });
    completion.to_string().into()
}

fn usage(prompt: usize, completion: usize) -> Value {
    json!({ "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion })
}

fn chunk(model: &str, choices: Value, usage: Option<Value>) -> Bytes {
    let mut chunk = json!({
        "id": "chatcmpl-mock", "object": "chat.completion.chunk", "created": 0, "model": model, "choices": choices,
    });
    if let Some(usage) = usage {
        chunk["usage"] = usage;
    }
    format!("data: {chunk}\n\n").into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_short_script_begins_again() {
        let script = Script::new("one two");
        assert_eq!(script.text(5), "one twoone twoone");
        assert!(Script::new("").is_empty());
    }

    proptest! {
        #[test]
        fn the_tokens_are_the_text(text in ".{0,200}") {
            let script = Script::new(&text);
            prop_assert_eq!(script.text(script.len()), text);
        }
    }
}
