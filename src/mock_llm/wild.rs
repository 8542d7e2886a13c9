//! What servers, converters and proxies have been seen to send, one function for each kind. Pure.
//!
//! Those that lose nothing say `word` five times, or what stands there in their name.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    deviation::{DONE, SAYS, chunk, completion, event, raw, said, status, stop, usage},
    fault::Fault,
};

/// Streams that are whole, though it takes some care to see it, and some that are not.
pub(super) fn stream(name: &str) -> Option<Fault> {
    odd_text(name).or_else(|| odd_course(name)).or_else(|| odd_chunks(name)).or_else(|| odd_frames(name))
}

fn words() -> String {
    said("word ").repeat(5)
}

/// Texts that are written otherwise than as strings of JSON.
fn odd_text(name: &str) -> Option<Fault> {
    Some(match name {
        "numbers" => {
            contents(&["\"Within \"", "60", "\" days [\"", "1", "\"], $\"", "0.005", "\", \"", "1e400", "\".\""])
        }
        "halves" => contents(&[r#""Hi a\ud83d""#, r#""\ude00b""#, r#""\ud83d""#, r#""\ude80""#, r#"" \ud83d.""#]),
        "dup-keys" => {
            let thought = r#""","reasoning_content":"h","reasoning_content":"hm""#;
            contents(&[&[thought; 4][..], &[r#""never","content":"word ""#; 5]].concat())
        }
        "odd-json" => {
            let word =
                r#"data: {"choices":[{"delta":{"content":"word ","x":[1,],},"logprobs":{"v":-Infinity,'w':NaN}}],}"#;
            raw([format!("{word}\n\n").repeat(5), stop(), DONE.to_owned()])
        }
        "python" => {
            let word = "data: {'choices': [{'index': 0, 'delta': {'content': 'word '}, 'finish_reason': None}]}\n\n";
            let cost =
                "data: {'choices': [], 'usage': {'prompt_tokens': 7, 'completion_tokens': 5, 'billed': False}}\n\n";
            raw([word.repeat(5), stop(), cost.to_owned(), DONE.to_owned()])
        }
        _ => return None,
    })
}

/// Finish reasons and reasoning where nobody expects them.
fn odd_course(name: &str) -> Option<Fault> {
    Some(match name {
        "stop-every" => slowly(vec![event(&chunk(json!({ "content": "word " }), json!("stop"))); 5]),
        "stop-first" => {
            let thought = event(&chunk(json!({ "content": "", "reasoning_content": "hm" }), json!("stop")));
            slowly(vec![thought.repeat(3), words(), stop()])
        }
        "stop-between" => {
            let called = event(&chunk(json!({}), json!("tool_calls")));
            slowly(vec![said("word ").repeat(2), stop(), said("word "), called, said("word ").repeat(2), stop()])
        }
        "think-close" => {
            let thought = ["Okay, the user says ", "hello.\n</th", "ink>\n\n"].map(said).concat();
            raw([thought, words(), stop(), DONE.to_owned()])
        }
        "parts" => {
            let thought = json!([{ "type": "thinking", "thinking": [{ "type": "text", "text": "hm" }] }]);
            let word = json!([{ "type": "text", "text": "word " }]);
            let parts = [thought, word].map(|content| event(&chunk(json!({ "content": content }), Value::Null)));
            raw(parts.into_iter().chain([said("word ").repeat(4), stop(), DONE.to_owned()]))
        }
        "empty-stop" => {
            raw([event(&chunk(json!({ "role": "assistant", "content": "" }), Value::Null)), stop(), DONE.to_owned()])
        }
        _ => return None,
    })
}

/// Events that are framed otherwise, or with something between them.
fn odd_frames(name: &str) -> Option<Fault> {
    Some(match name {
        "json-lines" => raw([(words() + &stop()).replace("data: ", "").replace("\n\n", "\n")]),
        "json-list" => {
            let items = (words() + &stop()).replace("data: ", "").trim().replace("\n\n", ",");
            raw([format!("[{items}]")])
        }
        "pings" => {
            let pings = ["data: ping\n\n", "data: : PROCESSING\n\n", ":\n\n", "data:\n\n", "event: ping\ndata: {}\n\n"]
                .concat();
            raw(std::iter::repeat_n(pings.clone() + &said("word ") + &pings, 5).chain([stop(), pings, DONE.to_owned()]))
        }
        "cut-by-ping" => {
            raw([said("word ").repeat(2), cut_by_ping(), said("word ").repeat(2), stop(), DONE.to_owned()])
        }
        _ => return None,
    })
}

/// Chunks in which the text stands elsewhere, or something else beside it.
fn odd_chunks(name: &str) -> Option<Fault> {
    Some(match name {
        "message-last" => raw([words(), event(&completion()), DONE.to_owned()]),
        "message-beside" => {
            let both = |count: usize| {
                let mut both = chunk(json!({ "content": "word " }), Value::Null);
                both["choices"][0]["message"] = json!({ "content": "word ".repeat(count) });
                event(&both)
            };
            raw((1..=5).map(both).chain([stop(), DONE.to_owned()]))
        }
        "message-other" => {
            raw([said("word ").repeat(4), event(&completion()).replace("word word", "another word"), DONE.to_owned()])
        }
        "two-choices" => {
            let word = json!({ "index": 0, "delta": { "content": "word " } });
            raw([event(&json!({ "choices": vec![word; 5] })), stop(), DONE.to_owned()])
        }
        "other-choice" => {
            let other = json!({ "choices": [{ "index": 1, "delta": { "content": "word " } }] });
            raw([said("word ").repeat(4), event(&other), stop(), DONE.to_owned()])
        }
        "azure" => {
            let first = json!({ "id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": [{}] });
            let late =
                json!({ "id": "", "choices": [{ "finish_reason": null, "index": 0, "content_filter_offsets": {} }] });
            raw([event(&first), words(), stop(), event(&late), DONE.to_owned()])
        }
        "zero-usage" => {
            let mut last = chunk(json!({}), json!("stop"));
            last["usage"] = json!({ "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0 });
            raw([words(), event(&last), DONE.to_owned()])
        }
        _ => return None,
    })
}

/// A stream with another label.
pub(super) fn labelled(kind: &str) -> Option<Fault> {
    let kind = match kind {
        "json" => "application/json",
        "html" => "text/html; charset=utf-8",
        "ndjson" => "application/x-ndjson",
        "bytes" => "application/octet-stream",
        "none" => "",
        _ => return None,
    };
    let body = said("word ").repeat(5) + &stop() + DONE;
    let headers: &[(&str, &str)] = &[("content-type", kind)];
    Some(status(200, if kind.is_empty() { &[] } else { headers }, body))
}

/// A stream with a content coding that is none.
pub(super) fn coded(coding: &str) -> Fault {
    let body = said("word ").repeat(5) + &stop() + &event(&json!({ "choices": [], "usage": usage(5) })) + DONE;
    status(200, &[("content-type", "text/event-stream"), ("content-encoding", coding)], body)
}

/// A prompt that is too long, in one provider's words or another's.
pub(super) fn too_long(shape: &str) -> Option<Fault> {
    let json = [("content-type", "application/json")];
    let (code, error) = match shape {
        "code" => (400, json!({ "message": SAYS, "type": "invalid_request_error", "code": "context_length_exceeded" })),
        "words" => (
            400,
            json!({ "message": "prompt is too long: 213462 tokens > 200000 maximum", "type": "invalid_request_error" }),
        ),
        "500" => (
            500,
            json!({ "message": "the request exceeds the available context size, try increasing it", "code": 500 }),
        ),
        _ => return None,
    };
    Some(status(code, &json, json!({ "error": error }).to_string()))
}

/// Chunks with these contents, written as they are.
fn contents(contents: &[&str]) -> Fault {
    let chunk =
        |content: &&str| format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{content}}}}}]}}\n\n");
    raw(contents.iter().map(chunk).chain([stop(), DONE.to_owned()]))
}

/// An event in the middle of which a proxy has written something to keep the connection alive.
fn cut_by_ping() -> String {
    let mut word = chunk(json!({ "content": "word " }), Value::Null);
    word["safety_buffering"] = json!(false);
    event(&word).replace("safety_buffering", "safety_: keepalive\n\nbuffering")
}

/// Pieces with a pause between them, and `[DONE]`.
fn slowly(pieces: Vec<String>) -> Fault {
    let pieces = pieces.into_iter().chain([DONE.to_owned()]).map(Bytes::from).collect();
    Fault::Raw { pieces, pause: Duration::from_millis(50) }
}
