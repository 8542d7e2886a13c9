//! Streams and bodies in which servers are known to differ from OpenAI's, one function for each kind. Pure.
//!
//! Written after the documented behaviour of the servers whose names they have. Those that are whole say `word` five
//! times; those with a number say it so many times before they fail.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::fault::Fault;

/// Pieces of text before a failure at most.
const MAX_WORDS: usize = 10_000;
/// The bytes of a line that is longer than any event may be.
const LONG_LINE: usize = 10 << 20;
/// Longer than anybody waits for what follows a finish.
const SILENCE: Duration = Duration::from_secs(600);
pub(super) const SAYS: &str = "injected by the mock";
pub(super) const DONE: &str = "data: [DONE]\n\n";

/// A stream that fails after `words` pieces of text.
pub(super) fn failing(name: &str, words: usize) -> Option<Fault> {
    let error = json!({ "code": 500, "message": SAYS, "type": "server_error" });
    let (before, ending) = match name {
        "error-event" => ("", event(&json!({ "error": error })) + DONE),
        "flat-error" => ("", event(&json!({ "object": "error", "message": SAYS, "type": "x", "code": 500 })) + DONE),
        "stray-text" => ("", event(&json!({ "response": "word " })) + &said("word ") + &stop() + DONE),
        "error-field" => ("", format!("error: {error}\n\n{DONE}")),
        "event-error" => ("", format!("event: error\ndata: {}\n\n", json!({ "message": SAYS }))),
        "groq-error" => ("", event(&json!({ "choices": [], "x_groq": { "error": SAYS } })) + DONE),
        "ollama-error" => ("", event(&chunk(json!({ "role": "assistant", "content": "" }), Value::Null))),
        "openrouter-error" => {
            let mut last = chunk(json!({ "content": "" }), json!("error"));
            last["error"] = json!({ "code": 502, "message": SAYS });
            (": OPENROUTER PROCESSING\n\n", event(&last) + DONE)
        }
        "tools" => ("", tool_calls()),
        "garbage" => ("", "data: {\"choices\":[{]}\n\n".to_owned() + &said("word ") + &stop() + DONE),
        "torn" => ("", torn()),
        _ => return None,
    };
    Some(after(words, before.to_owned(), ending))
}

/// What Groq says of a call that it could not read: a 400, or an event after so many words.
pub(super) fn tool_use_failed(words: Option<usize>, generation: &str) -> Fault {
    let mut error = json!({ "message": SAYS, "type": "invalid_request_error", "code": "tool_use_failed",
        "failed_generation": generation });
    let Some(words) = words else {
        return status(400, &[("content-type", "application/json")], json!({ "error": error }).to_string());
    };
    error["status_code"] = json!(400);
    after(words, String::new(), format!("event: error\n{}", event(&json!({ "error": error }))))
}

fn after(words: usize, before: String, ending: String) -> Fault {
    let said = (0..words.min(MAX_WORDS)).map(|_| said("word "));
    raw([before].into_iter().chain(said).chain([ending]))
}

/// A stream that is whole, but differs.
pub(super) fn whole(name: &str) -> Option<Fault> {
    let words = said("word ").repeat(5);
    let stop = stop();
    let usage = event(&json!({ "choices": [], "usage": usage(5) }));
    Some(match name {
        "llama-cpp" => {
            let mut last = chunk(json!({}), json!("stop"));
            last["timings"] = json!({ "predicted_n": 5 });
            let role = event(&chunk(json!({ "role": "assistant", "content": null }), Value::Null));
            raw([":\n\n".to_owned(), role, words, event(&last), usage, DONE.trim_end().to_owned()])
        }
        "empty-finish" => {
            let word = event(&chunk(json!({ "content": "word " }), json!("")));
            raw([word.repeat(5), DONE.to_owned()])
        }
        "camel-finish" => {
            let last = json!({ "choices": [{ "index": 0, "delta": {}, "finishReason": "END_TURN" }] });
            raw([words, event(&last)])
        }
        "last-token" => {
            let last = chunk(json!({ "content": "word " }), json!("stop"));
            raw([said("word ").repeat(4), event(&last), DONE.to_owned()])
        }
        "late-usage" => slowly([words + &stop, usage + DONE], Duration::from_millis(300)),
        "every-usage" => raw((1..=5).map(counted).chain([stop, DONE.to_owned()])),
        "silent-end" => slowly([words + &stop], SILENCE),
        "bare" => {
            let word = json!({ "choices": [{ "delta": { "content": "word " } }], "usage": {}, "service_tier": "x" });
            raw([event(&word).repeat(5), event(&json!({ "choices": [{ "finish_reason": "stop" }] }))])
        }
        "think" => {
            let marked = ["<th", "ink>", "hm", "</thi", "nk>\n", "\n"].map(said).concat();
            raw([marked, words, stop, DONE.to_owned()])
        }
        "reasoning" => raw([reasoning(), words, stop, DONE.to_owned()]),
        "lump" => raw([words + &stop + &usage + DONE]),
        "dirty" => dirty(),
        "split-utf8" => {
            let body = [said("ä😀字"), stop, DONE.to_owned()].concat().into_bytes();
            bytes(body.chunks(1).map(Bytes::copy_from_slice), Duration::ZERO)
        }
        "unframed" => raw([completion().to_string()]),
        "plain-type" => status(200, &[("content-type", "text/plain")], words + &stop + DONE),
        _ => return None,
    })
}

/// What is no answer, whatever its status says.
pub(super) fn none(name: &str) -> Option<Fault> {
    let error = json!({ "error": { "message": SAYS, "type": "mock", "code": 500 } });
    let json = [("content-type", "application/json")];
    let stream = ("content-type", "text/event-stream");
    Some(match name {
        "empty" => raw([event(&chunk(json!({ "role": "assistant", "content": "" }), Value::Null)), DONE.to_owned()]),
        "reasoning-only" => raw([reasoning(), event(&chunk(json!({}), json!("length"))), DONE.to_owned()]),
        "long-line" => raw([format!("data: {}\n\n", "x".repeat(LONG_LINE))]),
        "json-error" => status(200, &json, error.to_string()),
        "unframed-error" => raw([error.to_string()]),
        "html" => status(200, &[("content-type", "text/html")], "<html><title>Not a model</title></html>".to_owned()),
        "gzip" => status(200, &[stream, ("content-encoding", "gzip")], "\u{1f}".to_owned()),
        "filter" => {
            let error = json!({ "error": { "message": SAYS, "type": null, "code": "content_filter" } });
            status(400, &json, error.to_string())
        }
        _ => return None,
    })
}

/// Five words, and a finish reason of any kind.
pub(super) fn finish(reason: &str) -> Fault {
    raw([said("word ").repeat(5), event(&chunk(json!({}), json!(reason))), DONE.to_owned()])
}

/// A 500 whose body has this shape.
pub(super) fn body(shape: &str) -> Option<Fault> {
    let (content_type, body) = match shape {
        "string" => ("application/json", json!({ "error": SAYS }).to_string()),
        "detail" => ("application/json", json!({ "detail": SAYS }).to_string()),
        "message" => ("application/json", json!({ "object": "error", "message": SAYS, "code": 500 }).to_string()),
        "list" => ("application/json", json!([{ "error": { "message": SAYS, "code": 500 } }]).to_string()),
        "html" => ("text/html", "<html><title>502 Bad Gateway</title></html>".to_owned()),
        "plain" => ("text/plain", SAYS.to_owned()),
        "empty" => ("text/plain", String::new()),
        _ => return None,
    };
    Some(status(500, &[("content-type", content_type)], body))
}

/// A status with headers and a body.
pub(super) fn status(status: u16, headers: &[(&str, &str)], body: String) -> Fault {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Fault::Status { status, headers, body }
}

/// A byte order mark, every line end there is, fields that mean nothing, a byte that is no UTF-8, and no last line end.
fn dirty() -> Fault {
    let mut body = "\u{feff}: hello\r\n\r\nid: 1\r\nretry: 9\r\n".to_owned().into_bytes();
    body.extend(said("word word ").replace('\n', "\r\n").into_bytes());
    body.extend(b"event: keepalive\ndata: {}\n\n");
    body.extend(said("word ").replace('\n', "\r").into_bytes());
    body.extend(said("word ?word ").into_bytes().iter().map(|&byte| if byte == b'?' { 0xff } else { byte }));
    body.extend(event(&chunk(json!({}), json!("stop"))).trim_end().bytes());
    bytes([Bytes::from(body)], Duration::ZERO)
}

/// Calls of a tool in pieces, the later ones without its name, ended with `stop`.
fn tool_calls() -> String {
    let call = |name: &str, arguments: &str| {
        let function = json!({ "name": name, "arguments": arguments });
        let calls = json!([{ "index": 0, "id": "call_1", "type": "function", "function": function }]);
        event(&chunk(json!({ "tool_calls": calls }), Value::Null))
    };
    [call("search", "{\"q\":"), call("", "1}"), event(&chunk(json!({}), json!("stop"))), DONE.to_owned()].concat()
}

/// Reasoning under each of its names.
fn reasoning() -> String {
    let details = json!([{ "type": "reasoning.text", "text": "hm" }]);
    let deltas = [("reasoning_content", json!("hm")), ("reasoning", json!("hm")), ("reasoning_details", details)];
    deltas.map(|(name, value)| event(&chunk(json!({ name: value }), Value::Null))).concat()
}

/// An event whose rest is lost, and what follows.
fn torn() -> String {
    let event = said("word ");
    let cut = event.find("word").unwrap_or(event.len()) + 2;
    [&event[..cut], "\n\n", &said("word "), &stop(), DONE].concat()
}

pub(super) fn stop() -> String {
    event(&chunk(json!({}), json!("stop")))
}

pub(super) fn completion() -> Value {
    let message = json!({ "role": "assistant", "content": "word ".repeat(5) });
    json!({ "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }], "usage": usage(5) })
}

/// A word, and how many there were.
fn counted(words: usize) -> String {
    let mut word = chunk(json!({ "content": "word " }), Value::Null);
    word["usage"] = usage(words);
    event(&word)
}

pub(super) fn usage(words: usize) -> Value {
    json!({ "prompt_tokens": 7, "completion_tokens": words, "total_tokens": 7 + words })
}

pub(super) fn chunk(delta: Value, finish_reason: Value) -> Value {
    json!({ "object": "chat.completion.chunk",
        "choices": [{ "index": 0, "delta": delta, "finish_reason": finish_reason }] })
}

pub(super) fn said(text: &str) -> String {
    event(&json!({ "choices": [{ "delta": { "content": text } }] }))
}

pub(super) fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

pub(super) fn raw(pieces: impl IntoIterator<Item = String>) -> Fault {
    slowly(pieces, Duration::ZERO)
}

fn slowly(pieces: impl IntoIterator<Item = String>, pause: Duration) -> Fault {
    bytes(pieces.into_iter().filter(|piece| !piece.is_empty()).map(Bytes::from), pause)
}

fn bytes(pieces: impl IntoIterator<Item = Bytes>, pause: Duration) -> Fault {
    Fault::Raw { pieces: pieces.into_iter().collect(), pause }
}
