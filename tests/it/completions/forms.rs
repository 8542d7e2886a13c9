//! What programs that speak OpenAI's interface really send: chats of titles, answers that are to be gone on with,
//! histories with holes, numbers as texts. Each is judged by what the model is asked.

use serde_json::{Value, json};

use super::{Told, ask, ask_both, question, with};
use crate::harness::{Setup, TestGateway, Upstream, post, raw, soon};

async fn asked(gateway: &TestGateway, upstream: &Upstream, fields: Value) -> (Told, Value) {
    let told = ask(gateway, &with(question("Q?"), fields)).await;
    let sent = upstream.stats.requests().pop().map_or(Value::Null, |sent| serde_json::from_slice(&sent.body).unwrap());
    (told, sent)
}

/// Roles and texts behind the instructions.
fn said(sent: &Value) -> Vec<(&str, &str)> {
    let messages = sent["messages"].as_array().unwrap();
    let said = messages.iter().map(|one| (one["role"].as_str().unwrap(), one["content"].as_str().unwrap()));
    said.skip(1).collect()
}

#[tokio::test]
async fn conversations_of_every_form_are_asked_so_that_servers_accept_them() {
    let upstream = Upstream::saying("Yes.", 0.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let system = |text: &str| json!({"role": "system", "content": text});
    let user = |text: &str| json!({"role": "user", "content": text});
    let assistant = |text: &str| json!({"role": "assistant", "content": text});
    for (messages, expected) in [
        (json!([system("Make a title of: …")]), vec![("user", "Make a title of: …")]),
        (json!([user("A tale."), assistant("Once upon ")]), vec![("user", "A tale."), ("assistant", "Once upon")]),
        (json!([user(""), assistant("Hi"), user("And now?")]), vec![("assistant", "Hi"), ("user", "And now?")]),
        (
            json!([
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,x"}}]},
                assistant("A cat."),
                {"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "Sure?"}]},
            ]),
            vec![("assistant", "A cat."), ("user", "Sure?")],
        ),
    ] {
        let (told, sent) = asked(&gateway, &upstream, json!({"messages": messages})).await;
        assert_eq!((told.status, told.text().as_str()), (200, "Yes."), "{messages}");
        assert_eq!(said(&sent), expected, "{messages}");
    }
    let blank = ask(&gateway, &with(question("Q?"), json!({"messages": [assistant("Hi"), user(" ")]}))).await;
    assert_eq!((blank.status, blank.code()), (400, Some("empty_text")));
    assert_eq!(blank.body["error"]["param"], "messages[1].content");
}

#[tokio::test]
async fn numbers_of_every_form_reach_the_model_as_numbers() {
    let upstream = Upstream::saying("Yes.", 0.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let fields = json!({
        "model": null, "temperature": "0.7", "top_p": 1, "seed": 1.0, "n": 1.0, "max_tokens": "77", "stop": ["", null],
        "stream": "false", "stream_options": null, "tools": null, "tool_choice": "none", "functions": null,
        "function_call": null, "logit_bias": null, "user": null, "parallel_tool_calls": false,
    });
    let (told, sent) = asked(&gateway, &upstream, fields).await;
    assert_eq!(told.status, 200, "{:?}", told.body);
    assert_eq!((sent["temperature"].as_f64(), sent["seed"].as_i64()), (Some(0.7), Some(1)));
    assert_eq!((sent["max_tokens"].as_u64(), sent.get("stop")), (Some(77), None), "{sent}");
    for limit in [json!(-1), json!(0), json!(1e9), json!(-1.0)] {
        let (told, sent) = asked(&gateway, &upstream, json!({"max_tokens": limit})).await;
        assert_eq!((told.status, sent["max_tokens"].as_u64()), (200, Some(1024)), "{limit}: the gateway's own limit");
    }
    for (fields, param) in [
        (json!({"max_tokens": -7}), "max_tokens"),
        (json!({"temperature": "warm"}), "temperature"),
        (json!({"seed": 1.5}), "seed"),
        (json!({"stop": ["a", "b", "c", "d", "e"]}), "stop"),
    ] {
        let told = ask(&gateway, &with(question("Q?"), fields)).await;
        assert_eq!((told.status, told.code()), (400, Some("invalid_field")));
        assert_eq!(told.body["error"]["param"], param);
    }
}

#[tokio::test]
async fn functions_and_formats_are_refused_by_name_or_answered_in_text_as_the_operator_likes() {
    let upstream = Upstream::saying("Yes.", 0.0).await;
    let (strict, lenient) = (Setup::with_upstream(&upstream.url), Setup::with_upstream(&upstream.url));
    let strict = strict.start().await;
    let lenient = lenient.set("RIVULET_LLM_UNSUPPORTED", "text").start().await;
    let functions = json!([{"name": "f", "parameters": {}}]);
    for (fields, param) in [
        (json!({"functions": functions, "function_call": "auto"}), "functions"),
        (json!({"response_format": {"type": "json_object"}}), "response_format"),
        (json!({"verbosity": "low"}), "verbosity"),
    ] {
        let refused = ask(&strict, &with(question("Q?"), fields.clone())).await;
        assert_eq!((refused.status, refused.code()), (400, Some("unsupported_parameter")));
        assert_eq!(refused.body["error"]["param"], param);
        let (told, sent) = asked(&lenient, &upstream, fields).await;
        assert_eq!((told.text().as_str(), told.finish(), sent.get(param)), ("Yes.", Some("stop"), None));
    }
    let forced = with(question("Q?"), json!({"functions": functions, "function_call": {"name": "f"}}));
    assert_eq!(ask(&lenient, &forced).await.code(), Some("unsupported_parameter"));
}

#[tokio::test]
async fn half_an_emoji_in_a_history_costs_nobody_the_conversation() {
    let upstream = Upstream::saying("Yes.", 0.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let body = r#"{"model":"m","messages":[{"role":"user","content":"abc\ud83d"},{"role":"assistant","content":"\ude00"},{"role":"user","content":"\\ud83d \ud83d\ude00?"}]}"#;
    let answer = raw(&gateway, &post("/v1/chat/completions", "", body)).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let sent: Value = serde_json::from_slice(&upstream.stats.requests()[0].body).unwrap();
    assert_eq!(said(&sent), [("user", "abc\u{fffd}"), ("assistant", "\u{fffd}"), ("user", "\\ud83d 😀?")]);
}

#[tokio::test]
async fn a_comment_that_keeps_a_stream_alive_is_no_event() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (upstream, gate) = Upstream::gated("one two three", 1).await;
    let gateway = Setup::with_upstream(&upstream.url).set("RIVULET_LLM_GAP_S", "60").start().await;
    let mut stream = tokio::net::TcpStream::connect(&gateway.address).await.unwrap();
    let body = with(question("Q?"), json!({"stream": true})).to_string();
    stream.write_all(post("/v1/chat/completions", "", &body).as_bytes()).await.unwrap();
    let mut told = String::new();
    let mut piece = [0; 4096];
    // The comment comes after the gateway's 15 seconds.
    soon("a comment", async {
        while !told.contains(": still here") {
            let count = stream.read(&mut piece).await.unwrap();
            told += std::str::from_utf8(&piece[..count]).unwrap();
        }
    })
    .await;
    gate.open();
    soon("the end", async {
        while !told.contains("[DONE]") {
            let count = stream.read(&mut piece).await.unwrap();
            told += std::str::from_utf8(&piece[..count]).unwrap();
        }
    })
    .await;
    // Chunked: the sizes stand between the pieces.
    assert!(told.contains("\r\n: still here\n\r\n"), "{told}");
}

#[tokio::test]
async fn known_answers_stay_apart_from_those_that_have_a_beginning() {
    let upstream = Upstream::saying("Yes.", 0.0).await;
    let setup = Setup::with_upstream(&upstream.url).set("RIVULET_LLM_CACHE_ENTRIES", "10");
    let gateway = setup.set("RIVULET_LLM_CACHE_SHARED", "true").start().await;
    let cached = json!({"temperature": 0});
    let begun = json!([{"role": "user", "content": "Q?"}, {"role": "assistant", "content": "Well,"}]);
    ask(&gateway, &with(question("Q?"), cached.clone())).await;
    let other = ask(&gateway, &with(with(question("Q?"), cached), json!({"messages": begun}))).await;
    assert_eq!(other.headers["cache-status"], "rivulet; fwd=miss");
    let [whole, stream] = ask_both(&gateway, "Q?").await;
    assert!(whole.headers["cache-status"].ends_with("bypass") && stream.headers["cache-status"].ends_with("bypass"));
}
