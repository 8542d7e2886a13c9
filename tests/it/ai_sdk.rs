//! The Vercel AI SDK's protocol, byte by byte: what its transports do not show, and what others pay for. The SDK itself is
//! run against the gateway by `packages/proof/live`.

use futures_util::{SinkExt, StreamExt};
use reqwest::{Client as Http, Method};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use crate::{
    auth::{now, setup, token, with},
    harness::{Setup, TestGateway, Upstream, soon},
};

fn body(chat: &str, text: &str) -> Value {
    let question = json!({"id": format!("q of {chat}"), "role": "user", "parts": [{"type": "text", "text": text}]});
    json!({"id": chat, "trigger": "submit-message", "messages": [question]})
}

fn send(request: &str, chat: &str) -> Value {
    let mut frame = body(chat, "Why?");
    frame["type"] = json!("send");
    frame["requestId"] = json!(request);
    frame
}

/// A socket that speaks it.
struct Page(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Page {
    async fn open(gateway: &TestGateway, token: Option<&str>) -> Self {
        let url = gateway.url("/api/v1/ai-sdk/ws").replacen("http", "ws", 1);
        let mut request = url.into_client_request().unwrap();
        let offered = token.map_or("ai-sdk.v7".to_owned(), |token| format!("ai-sdk.v7, bearer.{token}"));
        request.headers_mut().insert("sec-websocket-protocol", offered.parse().unwrap());
        let (socket, response) = connect_async(request).await.unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], "ai-sdk.v7");
        Self(socket)
    }

    async fn say(&mut self, frame: &Value) {
        self.0.send(Message::text(frame.to_string())).await.unwrap();
    }

    async fn frame(&mut self) -> Value {
        loop {
            match soon("a frame", self.0.next()).await {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Ping(_))) => {}
                other => panic!("instead of a frame: {other:?}"),
            }
        }
    }

    /// The next frame of this type.
    async fn until(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.frame().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    async fn close_code(&mut self) -> u16 {
        loop {
            match soon("a close", self.0.next()).await {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(_)) => {}
                other => panic!("instead of a close frame: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_chat_is_answered_in_chunks_and_there_is_nothing_to_resume_or_stop_behind_its_end() {
    let upstream = Upstream::saying("Yes, of course.", 0.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let asking = Http::new().post(gateway.url("/api/v1/ai-sdk/chat")).json(&body("a chat", "Why?"));
    let response = asking.send().await.unwrap();
    assert_eq!(response.headers()["x-vercel-ai-ui-message-stream"], "v1");
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let told = response.text().await.unwrap();
    assert!(told.starts_with("data: {") && told.ends_with("data: [DONE]\n\n"), "{told}");
    let chunks = told.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
    let text: String = chunks.filter_map(|chunk| Some(chunk["delta"].as_str()?.to_owned())).collect();
    assert_eq!(text, "Yes, of course.");
    for chat in ["a%20chat", "never%20begun"] {
        assert_eq!(gateway.get(&format!("/api/v1/ai-sdk/chat/{chat}/stream")).await.0, 204);
        let stop = Http::new().request(Method::POST, gateway.url(&format!("/api/v1/ai-sdk/chat/{chat}/stop")));
        assert!([404, 409].contains(&TestGateway::answer(stop).await.0));
    }
    let (status, problem) = gateway.post("/api/v1/ai-sdk/chat", json!({"id": "a chat", "messages": [7]})).await;
    assert_eq!((status, &problem["code"]), (400, &json!("invalid_field")));
}

#[tokio::test]
async fn a_request_that_ends_stops_nothing_and_another_one_has_all_of_it() {
    let (upstream, gate) = Upstream::gated("one two three four", 2).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let asking = Http::new().post(gateway.url("/api/v1/ai-sdk/chat")).json(&body("c", "Why?"));
    drop(asking.send().await.unwrap());
    let resumed = Http::new().get(gateway.url("/api/v1/ai-sdk/chat/c/stream")).send().await.unwrap();
    assert_eq!(resumed.status(), 200);
    gate.open();
    let told = soon("the rest", resumed.text()).await.unwrap();
    assert!(told.contains("\"finishReason\":\"stop\"") && told.ends_with("data: [DONE]\n\n"), "{told}");
    let chunks = told.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
    let text: String = chunks.filter_map(|chunk| Some(chunk["delta"].as_str()?.to_owned())).collect();
    assert_eq!(text, "one two three four");
}

#[tokio::test]
async fn a_socket_has_so_many_requests_at_once_and_says_what_is_wrong_with_others() {
    let (upstream, gate) = Upstream::gated("one two", 1).await;
    let gateway = Setup::with_upstream(&upstream.url).set("RIVULET_LIMITS_MESSAGES_PER_MIN", "0").start().await;
    let mut page = Page::open(&gateway, None).await;
    page.say(&json!({"type": "sing", "requestId": "s"})).await;
    let error = page.until("error").await;
    assert!(error["requestId"] == "s" && error["errorText"].as_str().unwrap().contains("`type`"), "{error}");
    page.say(&json!("hello")).await;
    assert_eq!(page.until("error").await["requestId"], "-");
    page.say(&json!({"type": "resume", "requestId": "r", "id": "new"})).await;
    assert_eq!(page.frame().await, json!({"type": "no-active", "requestId": "r"}));
    page.say(&send("one", "c")).await;
    page.until("start").await;
    page.say(&send("one", "d")).await;
    assert!(page.until("error").await["errorText"].as_str().unwrap().contains("`requestId`"));
    let mut another = send("two", "c");
    another["messages"][0]["id"] = json!("another");
    page.say(&another).await;
    assert!(page.until("error").await["errorText"].as_str().unwrap().contains("being written"));
    // As fast as it may: it is told when it was too fast.
    let mut open = 1;
    let refused = loop {
        page.say(&send(&format!("n{open}"), &format!("chat {open}"))).await;
        let told = loop {
            let frame = page.frame().await;
            if ["start", "error"].contains(&frame["type"].as_str().unwrap()) {
                break frame;
            }
        };
        match told["errorText"].as_str() {
            None => open += 1,
            Some(slower) if slower.contains("too often") => {
                tokio::time::sleep(std::time::Duration::from_millis(200)).await
            }
            Some(other) => break other.to_owned(),
        }
    };
    assert_eq!((open, refused.contains("too many requests")), (16, true), "{refused}");
    gate.open();
    for _ in 0..open {
        page.until("end").await;
    }
    page.0.send(Message::text(" ".repeat((1 << 20) + 1))).await.unwrap();
    assert_eq!(page.close_code().await, 1009);
}

#[tokio::test]
async fn what_ends_a_credential_ends_the_socket_and_chats_of_the_same_name_are_those_of_each() {
    let gateway = setup().start().await;
    let sessions = async |user: &str| {
        let mut page = Page::open(&gateway, Some(&token(user))).await;
        page.say(&send("r", "ours")).await;
        let start = page.until("chunk").await;
        page.until("end").await;
        start["chunk"]["messageMetadata"]["session"].clone()
    };
    let (ann, ben) = (sessions("ann").await, sessions("ben").await);
    assert!(ann.is_string() && ann != ben, "{ann}");
    assert_eq!(sessions("ann").await, ann);
    let short = with(json!({"sub": "ann", "exp": now() + 1}));
    assert_eq!(Page::open(&gateway, Some(&short)).await.close_code().await, 4204);
    let url = gateway.url("/api/v1/ai-sdk/ws").replacen("http", "ws", 1);
    assert!(connect_async(url).await.is_err(), "nobody can say later who they are");
}
