//! Who may come in, by which credential, for how long, and what of whom they see.

use std::{collections::BTreeMap, net::TcpListener, time::Duration};

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::{SinkExt, StreamExt, future::join_all};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use reqwest::Method;
use rivulet::chat::Timestamp;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{self, Message, client::IntoClientRequest},
};

use crate::harness::{Client, Memory, Setup, TestGateway, soon};

const SECRET: &str = "6f1c0d9be27a43588b3f5c2ad4e9071633a9d8c1f0b24e7596ad3b8c7e5f1024";

fn setup() -> Setup {
    Setup::bare().set("REQUIRE_AUTHENTICATION", "true").set("JWT_SECRET_KEY", SECRET)
}

fn now() -> u64 {
    Timestamp::now().0 / 1000
}

/// Signs anything.
fn forge(header: &str, claims: &str, secret: &str) -> String {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let message = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("{message}.{}", encode(hmac::sign(&key, message.as_bytes()).as_ref()))
}

fn with(claims: Value) -> String {
    forge(r#"{"alg":"HS256","typ":"JWT"}"#, &claims.to_string(), SECRET)
}

/// A token of a user of the default tenant, for an hour.
fn token(user: &str) -> String {
    with(json!({"sub": user, "exp": now() + 3600}))
}

/// Status and JSON, with or without a token.
async fn call(gateway: &TestGateway, method: Method, path: &str, token: Option<&str>, body: Value) -> (u16, Value) {
    let mut request = reqwest::Client::new().request(method, gateway.url(path)).json(&body);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    TestGateway::answer(request).await
}

async fn get(gateway: &TestGateway, path: &str, token: &str) -> (u16, Value) {
    call(gateway, Method::GET, path, Some(token), Value::Null).await
}

/// The status that refuses a socket, or 101.
async fn knock(url: &str, headers: &[(&'static str, String)]) -> u16 {
    let mut request = url.into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    match soon("an answer", connect_async(request)).await {
        Ok((_, response)) => response.status().as_u16(),
        Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("{error}"),
    }
}

fn bearer(token: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {token}"))
}

/// Says these frames on a socket without credentials; everything that comes back, and the close code.
async fn say_unknown(gateway: &TestGateway, frames: &[Value]) -> (Vec<Value>, u16) {
    let (mut socket, _) = connect_async(gateway.socket("")).await.unwrap();
    for frame in frames {
        socket.send(Message::text(frame.to_string())).await.unwrap();
    }
    let mut said = Vec::new();
    loop {
        match soon("a frame", socket.next()).await {
            Some(Ok(Message::Text(text))) => said.push(serde_json::from_str(&text).unwrap()),
            Some(Ok(Message::Close(Some(frame)))) => return (said, frame.code.into()),
            Some(Ok(_)) => {}
            other => panic!("instead of a frame: {other:?}"),
        }
    }
}

#[tokio::test]
async fn no_bad_token_is_taken_and_none_learns_why() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let spy = format!("http://{}/keys", listener.local_addr().unwrap());
    let gateway = setup().set("RIVULET_AUTH_ISSUER", "me").set("RIVULET_AUTH_AUDIENCE", "chat").start().await;
    let claims = |changes: Value| {
        let mut claims = json!({"sub": "ann", "exp": now() + 600, "iss": "me", "aud": "chat"});
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.to_string()
    };
    let plain = claims(json!({}));
    let header = r#"{"alg":"HS256","typ":"JWT"}"#;
    let good = forge(header, &plain, SECRET);
    let (message, signature) = good.rsplit_once('.').unwrap();
    assert_eq!(get(&gateway, "/api/v1/sessions", &good).await.0, 200, "the corpus fails for its reasons only");

    let twice = |name: &str| plain.replacen('{', &format!("{{\"{name}\":1900000000,"), 1);
    let unsigned = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), message.split_once('.').unwrap().1);
    let mut bad = vec![
        unsigned,
        forge(r#"{"alg":"none"}"#, &plain, SECRET),
        forge(r#"{"alg":"RS256"}"#, &plain, SECRET),
        forge(header, &plain, "another secret of more than 32 characters"),
        forge(header, &plain, ""),
        forge(&json!({"alg": "HS256", "jku": spy, "x5u": spy, "kid": spy}).to_string(), &plain, "x"),
        forge(r#"{"alg":"HS256","crit":["exp"]}"#, &plain, SECRET),
        forge(r#"{"alg":"HS256","typ":"secevent+jwt"}"#, &plain, SECRET),
        forge(header, &twice("exp"), SECRET),
        forge(header, &plain.replacen('{', r#"{"sub":"ben","#, 1), SECRET),
        forge(header, &plain.replacen("\"sub\"", "\"sob\"", 1), SECRET),
        forge(header, &claims(json!({"fat": "x".repeat(4096)})), SECRET),
        "x".repeat(20_000),
        "a.b.c".into(),
        "tk_x".into(),
        "..".into(),
        message.to_owned(),
        format!("{message}.{signature}.{signature}"),
        format!("{message}.{}", &signature[..42]),
    ];
    for changes in [
        json!({"exp": now() - 10}),
        json!({"exp": (now() + 600).to_string()}),
        json!({"exp": now() as f64 + 600.5}),
        json!({"exp": null}),
        json!({"nbf": now() + 60}),
        json!({"aud": "other"}),
        json!({"aud": null}),
        json!({"iss": "you"}),
        json!({"iss": null}),
        json!({"sub": ""}),
        json!({"sub": "x".repeat(500)}),
        json!({"tenant": "a/b"}),
    ] {
        bad.push(forge(header, &claims(changes), SECRET));
    }
    let mut answers = Vec::new();
    for token in &bad {
        let response =
            reqwest::Client::new().get(gateway.url("/api/v1/sessions")).bearer_auth(token).send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["www-authenticate"]),
            (401, &"Bearer".parse().unwrap())
        );
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let mut problem: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        problem.as_object_mut().unwrap().remove("request_id");
        answers.push(problem);
        assert_eq!(knock(&gateway.socket(""), &[bearer(token)]).await, 401, "{token}");
        assert_eq!(
            knock(&gateway.socket(""), &[("sec-websocket-protocol", format!("chat.v1, bearer.{token}"))]).await,
            401
        );
        let (said, code) = say_unknown(&gateway, &[json!({"type": "hello", "token": token})]).await;
        assert_eq!((said.len(), code), (0, if token.len() < 4000 { 4001 } else { 1009 }), "{token}");
        let (_, validity) = call(&gateway, Method::POST, "/auth/validate", Some(&good), json!({"token": token})).await;
        assert_eq!(validity, json!({"valid": false}));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "one answer for all: {answers:?}");
    assert!(listener.accept().is_err(), "nobody asks the addresses in a token");
    let log = gateway.log();
    assert!(bad.iter().all(|token| token.len() < 5 || !log.contains(token.as_str())), "no token in the log:\n{log}");
}

#[tokio::test]
async fn every_kind_of_credential_opens_a_socket_in_its_order() {
    let gateway = setup().start().await;
    let (ann, ben) = (token("ann"), token("ben"));
    let mut first = Client::connect_as(&gateway.socket(""), &ann).await;
    assert_eq!(first.ask("one").await.status(), "complete");
    let own = gateway.socket(&first.session());

    let ticket = || async {
        let (status, ticket) = call(&gateway, Method::POST, "/api/v1/tickets", Some(&ann), Value::Null).await;
        assert_eq!((status, &ticket["expires_in_s"]), (201, &json!(30)));
        format!("{own}?ticket={}", ticket["ticket"].as_str().unwrap())
    };
    let mut second = Client::connect(&ticket().await).await;
    second.tell(json!({"message": "two"})).await;
    assert_eq!(second.answer().await.status(), "complete");

    let protocols = |token: &str| ("sec-websocket-protocol", format!("chat.v1, bearer.{token}"));
    let mut request = own.as_str().into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", protocols(&ann).1.parse().unwrap());
    let (socket, response) = connect_async(request).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat.v1", "the token is not sent back");
    Client::welcomed(socket, Memory::default()).await;

    let (mut socket, _) = connect_async(&own).await.unwrap();
    socket.send(Message::text(json!({"type": "hello", "token": ann}).to_string())).await.unwrap();
    let mut fourth = Client::welcomed(socket, Memory::default()).await;
    fourth.tell(json!({"message": "four"})).await;
    assert_eq!(fourth.answer().await.status(), "complete");
    assert_eq!(fourth.snapshot.as_ref().unwrap()["messages"].as_array().unwrap().len(), 4);

    // The first that is there decides, and nothing after it is looked at.
    assert_eq!(knock(&ticket().await, &[bearer("x")]).await, 401);
    assert_eq!(knock(&format!("{own}?ticket=tk_x"), &[protocols(&ann)]).await, 401);
    assert_eq!(knock(&own, &[bearer(&ann), protocols("x")]).await, 101);
    assert_eq!(knock(&own, &[bearer(&ann), bearer(&ann)]).await, 401);
    assert_eq!(knock(&own, &[protocols(&format!("{ann}, bearer.{ben}"))]).await, 401);
    for field in ["token", "access_token"] {
        assert_eq!(knock(&format!("{own}?{field}={ann}"), &[]).await, 400, "no token in the URL");
    }
    let unused = ticket().await;
    assert_eq!(knock(&unused, &[bearer(&ann)]).await, 101);
    assert_eq!(knock(&unused, &[]).await, 101, "who has a token needs no ticket");
    assert_eq!(knock(&gateway.socket(&first.session()), &[bearer(&ben)]).await, 404, "somebody else's");
}

#[tokio::test]
async fn of_a_hundred_who_race_with_one_ticket_one_comes_in() {
    let gateway = setup().start().await;
    let ann = token("ann");
    for _ in 0..3 {
        let (_, ticket) = call(&gateway, Method::POST, "/api/v1/tickets", Some(&ann), Value::Null).await;
        let url = format!("{}?ticket={}", gateway.socket(""), ticket["ticket"].as_str().unwrap());
        let statuses = join_all((0..100).map(|_| knock(&url, &[]))).await;
        assert_eq!(statuses.iter().filter(|status| **status == 101).count(), 1);
        assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 99);
        assert_eq!(knock(&url, &[]).await, 401);
    }
    let (status, problem) = call(&gateway, Method::POST, "/api/v1/tickets", None, Value::Null).await;
    assert_eq!((status, &problem["code"]), (401, &json!("unauthenticated")));
    let client = reqwest::Client::new();
    let many = futures_util::stream::iter(0..1000)
        .map(|_| TestGateway::answer(client.post(gateway.url("/api/v1/tickets")).bearer_auth(&ann)))
        .buffer_unordered(20)
        .collect::<Vec<_>>();
    let many = soon("a thousand tickets", many).await;
    let (_, refused) = many.iter().find(|(status, _)| *status == 429).expect("the bound");
    assert_eq!(refused["code"], "rate_limited");
    assert_eq!(call(&gateway, Method::POST, "/api/v1/tickets", Some(&token("ben")), Value::Null).await.0, 201);
}

#[tokio::test]
async fn before_its_hello_a_socket_gets_nothing_done() {
    let gateway = setup().start().await;
    let ann = token("ann");
    let early = [
        json!({"message": "let me in"}),
        json!({"type": "send", "id": "q1", "text": "let me in"}),
        json!({"type": "hello", "id": 7}),
        json!({"type": "auth", "token": ann}),
        json!({"type": "ping"}),
        json!({"type": "dance"}),
        json!([]),
        json!({"type": "hello", "token": "a.b.c"}),
    ];
    let (said, code) = say_unknown(&gateway, &early).await;
    assert_eq!(code, 4001);
    assert_eq!(said.len(), 7, "{said:?}");
    assert!(said.iter().all(|frame| frame["type"] == "error" && frame["code"] == "unauthenticated"), "{said:?}");
    assert_eq!((&said[1]["re"], &said[2]["re"]), (&json!("q1"), &json!(7)));
    for op in ["create_session", "session", "append_turn", "messages"] {
        assert_eq!(gateway.metric(&format!("database_query_duration_seconds_count{{op=\"{op}\"}}")).await, 0.0, "{op}");
    }
    assert_eq!(gateway.metric("sessions_active").await, 0.0);

    let frame = json!({"type": "hello", "token": ann, "padding": "x".repeat(4096)});
    assert_eq!(say_unknown(&gateway, &[frame]).await, (vec![], 1009));
    let (mut socket, _) = connect_async(gateway.socket("")).await.unwrap();
    socket.send(Message::binary(vec![1])).await.unwrap();
    let Some(Ok(Message::Close(Some(frame)))) = soon("a close", socket.next()).await else { panic!("no close") };
    assert_eq!(u16::from(frame.code), 1003);

    // Sessions of others and none at all look the same, before and after the hello.
    let other = Client::connect_as(&gateway.socket(""), &token("ben")).await;
    for id in [&other.session(), "s_none"] {
        let (mut socket, _) = connect_async(gateway.socket(id)).await.unwrap();
        socket.send(Message::text(json!({"type": "hello", "token": ann}).to_string())).await.unwrap();
        match soon("a close", socket.next()).await {
            Some(Ok(Message::Close(Some(frame)))) => assert_eq!(u16::from(frame.code), 4004),
            other => panic!("instead of a close: {other:?}"),
        }
    }
    // What comes with the hello counts: the early frame was not kept, the cursor is.
    let mut client = Client::connect_as(&gateway.socket(""), &ann).await;
    client.ask("one").await;
    let memory = client.cut();
    let (mut socket, _) = connect_async(gateway.socket(&memory.session)).await.unwrap();
    for frame in [json!({"message": "early"}), json!({"type": "hello", "token": ann, "resume": memory.cursor()})] {
        socket.send(Message::text(frame.to_string())).await.unwrap();
    }
    let Some(Ok(Message::Text(refused))) = soon("an error", socket.next()).await else { panic!("no error") };
    assert!(refused.contains("unauthenticated"));
    let mut client = Client::welcomed(socket, memory).await;
    assert_eq!(client.welcome["recovered"], "full");
    assert_eq!(client.ask("two").await.status(), "complete");
}

#[tokio::test]
async fn who_says_no_hello_in_ten_seconds_is_closed() {
    let gateway = setup().start().await;
    let started = Instant::now();
    let early = [json!({"type": "ping"})];
    let (silent, chatty) = tokio::join!(say_unknown(&gateway, &[]), say_unknown(&gateway, &early));
    assert_eq!((silent.1, chatty.1, chatty.0.len()), (4108, 4108, 1));
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(9) && took < Duration::from_secs(13), "{took:?}");
    assert_eq!(gateway.metric("ws_closes_total{code=\"4108\"}").await, 2.0);
    assert_eq!(gateway.metric("ws_connections").await, 0.0);
}

#[tokio::test]
async fn an_open_socket_ends_with_its_token_unless_a_new_one_comes() {
    let gateway = setup().start().await;
    let short = |user: &str| with(json!({"sub": user, "exp": now() + 1, "scope": "a"}));
    let started = Instant::now();
    let mut ending = Client::connect_as(&gateway.socket(""), &short("ann")).await;
    let mut renewing = Client::connect_as(&gateway.socket(""), &short("ann")).await;
    let mut shortened = Client::connect_as(&gateway.socket(""), &token("ann")).await;
    let (_, ticket) = call(&gateway, Method::POST, "/api/v1/tickets", Some(&short("ann")), Value::Null).await;
    let url = format!("{}?ticket={}", gateway.socket(""), ticket["ticket"].as_str().unwrap());
    let mut by_ticket = Client::connect(&url).await;
    let path = format!("/api/v1/sessions/{}/events", ending.session());
    let events = reqwest::Client::new().get(gateway.url(&path)).bearer_auth(short("ann")).send().await.unwrap();

    for (bad, code) in [
        (token("ben"), "forbidden"),
        (with(json!({"sub": "ann", "tenant": "t", "exp": now() + 60})), "forbidden"),
        ("a.b.c".to_owned(), "unauthenticated"),
    ] {
        renewing.tell(json!({"type": "auth", "id": 1, "token": bad})).await;
        let error = renewing.frame().await;
        assert_eq!((&error["type"], &error["re"], &error["code"]), (&json!("error"), &json!(1), &json!(code)));
    }
    renewing.tell(json!({"type": "auth", "id": "a1", "token": token("ann")})).await;
    assert_eq!(renewing.frame().await, json!({"type": "ack", "re": "a1"}));
    shortened.tell(json!({"type": "hello", "token": short("ann")})).await;
    shortened.until("welcome").await;

    assert_eq!(ending.close_code().await, 4204);
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(5) && took < Duration::from_secs(9), "{took:?}");
    assert_eq!((shortened.close_code().await, by_ticket.close_code().await), (4204, 4204));
    soon("the end of the events", events.text()).await.unwrap();
    assert_eq!(renewing.ask("still here?").await.status(), "complete");
    renewing.tell(json!({"type": "hello", "token": "a.b.c"})).await;
    assert_eq!(renewing.close_code().await, 4001);
}

#[tokio::test]
async fn every_route_of_the_api_needs_a_principal_and_nothing_else_does() {
    let gateway = setup().start().await;
    for path in ["/health", "/livez", "/ready", "/readyz", "/metrics", "/", "/api/version", "/api/v1/version"] {
        assert_eq!(gateway.get(path).await.0, 200, "{path}");
    }
    for (method, path) in [
        (Method::POST, "/api/v1/sessions"),
        (Method::GET, "/api/v1/sessions"),
        (Method::GET, "/api/v1/sessions/s_1"),
        (Method::DELETE, "/api/v1/sessions/s_1"),
        (Method::POST, "/api/v1/sessions/s_1/messages"),
        (Method::POST, "/api/v1/sessions/s_1/runs/r_1/stop"),
        (Method::GET, "/api/v1/sessions/s_1/events"),
        (Method::POST, "/api/v1/chat"),
        (Method::POST, "/api/v1/rag/query"),
        (Method::POST, "/api/v1/tickets"),
        (Method::POST, "/api/v1/auth/token"),
        (Method::POST, "/api/v1/auth/validate"),
        (Method::POST, "/auth/token"),
        (Method::POST, "/auth/validate"),
    ] {
        let (status, problem) = call(&gateway, method.clone(), path, None, json!({})).await;
        assert_eq!((status, &problem["code"]), (401, &json!("unauthenticated")), "{method} {path}");
        let (status, _) = call(&gateway, method.clone(), path, Some(&token("ann")), json!({})).await;
        assert_ne!(status, 401, "{method} {path}");
        let basic =
            reqwest::Client::new().request(method, gateway.url(path)).basic_auth("ann", Some("x")).json(&json!({}));
        assert_eq!(TestGateway::answer(basic).await.0, 401, "{path}");
    }
}

#[tokio::test]
async fn tokens_are_made_by_the_command_and_by_admins() {
    let gateway = setup().start().await;
    let minted = async |arguments: &[&str]| {
        let output = gateway.setup().output(&[&["token"], arguments].concat()).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    };
    let admin =
        minted(&["--user", "root", "--tenant", "acme", "--scope", "admin", "--scope", "x", "--expires", "2h"]).await;
    for path in ["/api/v1/auth/validate", "/auth/validate"] {
        let (status, validity) = call(&gateway, Method::POST, path, Some(&admin), json!({"token": admin})).await;
        assert_eq!(
            (status, &validity["valid"], &validity["tenant"], &validity["user"], &validity["scopes"]),
            (200, &json!(true), &json!("acme"), &json!("root"), &json!(["admin", "x"]))
        );
        assert!(validity["expires_at"].as_str().unwrap().ends_with("Z"));
    }
    for path in ["/api/v1/auth/token", "/auth/token"] {
        let wish = json!({"user": "ann", "scopes": ["chat"], "expires_in_s": 60});
        let (status, made) = call(&gateway, Method::POST, path, Some(&admin), wish.clone()).await;
        assert_eq!((status, &made["token_type"], &made["expires_in_s"]), (200, &json!("Bearer"), &json!(60)));
        let made = made["token"].as_str().unwrap();
        let (_, holder) = call(&gateway, Method::POST, "/auth/validate", Some(made), json!({"token": made})).await;
        assert_eq!((&holder["tenant"], &holder["user"]), (&json!("acme"), &json!("ann")), "the admin's tenant");
        let (status, problem) = call(&gateway, Method::POST, path, Some(made), wish).await;
        assert_eq!((status, &problem["code"]), (403, &json!("forbidden")), "who is no admin makes no tokens");
    }
    for bad in
        [json!({}), json!({"user": ""}), json!({"user": "a", "tenant": "/"}), json!({"user": "a", "expires_in_s": 0})]
    {
        assert_eq!(call(&gateway, Method::POST, "/auth/token", Some(&admin), bad).await.0, 400);
    }
    assert_eq!(get(&gateway, "/api/v1/sessions", &minted(&["--user", "ann"]).await).await.0, 200);

    let failing = async |setup: Setup, arguments: &[&str]| {
        let output = setup.output(arguments).await;
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = failing(Setup::bare(), &["token", "--user", "ann"]).await;
    assert!(said.contains("JWT_SECRET_KEY"), "{said}");
    let said = failing(gateway.setup(), &["token", "--user", "ann", "--tenant", "a/b"]).await;
    assert!(said.contains("tenant"), "{said}");
    let said = failing(gateway.setup(), &["token", "--user", "ann", "--expires", "400d"]).await;
    assert!(said.contains("366 days") && !said.contains(SECRET), "{said}");
}

#[tokio::test]
async fn where_it_is_not_required_tokens_still_count() {
    let gateway = Setup::bare().set("JWT_SECRET_KEY", SECRET).start().await;
    let ann = token("ann");
    let mut nobody = gateway.connect().await;
    nobody.ask("one").await;
    let mut own = Client::connect_as(&gateway.socket(""), &ann).await;
    own.ask("two").await;
    let ids =
        |list: &Value| list["sessions"].as_array().unwrap().iter().map(|s| s["session_id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&gateway.get("/api/v1/sessions").await.1), [json!(nobody.session())]);
    assert_eq!(ids(&get(&gateway, "/api/v1/sessions", &ann).await.1), [json!(own.session())]);
    assert_eq!(knock(&gateway.socket(&own.session()), &[]).await, 404);
    assert_eq!(knock(&gateway.socket(&nobody.session()), &[bearer(&ann)]).await, 404);

    assert_eq!(get(&gateway, "/api/v1/sessions", "a.b.c").await.0, 401, "a credential that is there must be valid");
    assert_eq!(knock(&gateway.socket(""), &[bearer("a.b.c")]).await, 401);
    assert_eq!(knock(&format!("{}?ticket=tk_x", gateway.socket("")), &[]).await, 401);
    let (status, ticket) = gateway.post("/api/v1/tickets", Value::Null).await;
    assert_eq!(status, 201);
    let url = format!("{}?ticket={}", gateway.socket(&nobody.session()), ticket["ticket"].as_str().unwrap());
    Client::connect(&url).await;
    nobody.tell(json!({"type": "auth", "token": ann})).await;
    assert_eq!(nobody.frame().await["code"], "forbidden", "a socket does not change hands");
    nobody.tell(json!({"type": "hello", "token": "a.b.c"})).await;
    assert_eq!(nobody.close_code().await, 4001);
    assert_eq!(gateway.post("/auth/token", json!({"user": "ann"})).await.0, 401);

    // What was made in the open is out of reach once authentication is required.
    let (id, setup) = (own.session(), gateway.kill().await);
    let gateway = setup.set("REQUIRE_AUTHENTICATION", "true").start().await;
    assert_eq!(get(&gateway, &format!("/api/v1/sessions/{id}"), &ann).await.0, 200);
    assert_eq!(get(&gateway, &format!("/api/v1/sessions/{}", nobody.session()), &ann).await.0, 404);
}

/// One principal of several who try everything on each other's sessions.
struct User {
    name: &'static str,
    token: String,
    canary: String,
}

#[tokio::test]
async fn principals_never_see_each_others_sessions() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let gateway = setup().start().await;
    let user = |name: &'static str, tenant: &str, sub: &str| User {
        name,
        token: with(json!({"sub": sub, "tenant": tenant, "exp": now() + 3600, "scope": "admin"})),
        canary: format!("canary-{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 12]>())),
    };
    let users = [user("ann", "acme", "ann"), user("ben", "acme", "ben"), user("other ann", "else", "ann")];
    // Sessions and whose they are; `None` when deleted.
    let mut sessions: BTreeMap<String, Option<usize>> = BTreeMap::from([("s_none".to_owned(), None)]);
    let mut refused: BTreeMap<&str, Value> = BTreeMap::new();
    for step in 0..400 {
        let me = random.random_range(0..users.len());
        let User { name, token, canary } = &users[me];
        let id = sessions.keys().nth(random.random_range(0..sessions.len())).unwrap().clone();
        let own = sessions[&id] == Some(me);
        let path = format!("/api/v1/sessions/{id}");
        let op = if sessions.len() < 6 { 0 } else { random.random_range(0..20) };
        let (op, (status, mut answer)) = match op {
            0 => {
                let body = json!({"metadata": {"note": canary}});
                let made = call(&gateway, Method::POST, "/api/v1/sessions", Some(token), body).await;
                sessions.insert(made.1["session_id"].as_str().unwrap().to_owned(), Some(me));
                ("create", made)
            }
            1..4 => ("list", get(&gateway, "/api/v1/sessions?limit=200", token).await),
            4 => ("list before", get(&gateway, &format!("/api/v1/sessions?limit=200&before={id}"), token).await),
            5..8 => ("show", get(&gateway, &path, token).await),
            8 => ("delete", call(&gateway, Method::DELETE, &path, Some(token), Value::Null).await),
            9..12 => {
                let body = json!({"text": format!("{canary} {step}"), "mode": "queue"});
                ("send", call(&gateway, Method::POST, &format!("{path}/messages"), Some(token), body).await)
            }
            12 | 13 => {
                let body = json!({"message": format!("{canary} {step}"), "session_id": id});
                ("chat", call(&gateway, Method::POST, "/api/v1/chat", Some(token), body).await)
            }
            14 => {
                ("stop", call(&gateway, Method::POST, &format!("{path}/runs/r_x/stop"), Some(token), Value::Null).await)
            }
            15 | 16 if !own => ("events", get(&gateway, &format!("{path}/events"), token).await),
            15 | 16 => continue, // An event stream does not end by itself.
            _ => {
                let headers = [bearer(token)];
                let status = knock(&gateway.socket(&id), &headers).await;
                if status == 101 {
                    let mut client = Client::connect_as(&gateway.socket(&id), token).await;
                    let seen = match client.welcome["recovered"].as_str() {
                        Some("snapshot") => client.until("snapshot").await,
                        _ => Value::Null,
                    };
                    ("socket", (200, seen))
                } else {
                    ("socket", (status, Value::Null))
                }
            }
        };
        let said = answer.to_string();
        for other in users.iter().filter(|other| other.name != *name) {
            assert!(!said.contains(&other.canary), "step {step}: {op} shows {name} what {} said: {said}", other.name);
        }
        if matches!(op, "create" | "list") {
            assert!(matches!(status, 200 | 201), "step {step}: {op}: {answer}");
            let listed = answer["sessions"].as_array().into_iter().flatten().map(|s| s["session_id"].as_str().unwrap());
            let listed: Vec<_> = listed.collect();
            let owned = sessions.iter().filter(|(_, owner)| **owner == Some(me)).count();
            if op == "list" {
                assert_eq!(listed.len(), owned, "step {step}");
                assert!(listed.iter().all(|id| sessions[*id] == Some(me)), "step {step}");
            }
        } else if own {
            assert_ne!(status, 404, "step {step}: {op} of one's own: {answer}");
            if op == "delete" {
                sessions.insert(id, None);
            }
        } else {
            assert_eq!(status, 404, "step {step}: {op} of somebody else's: {answer}");
            if let Some(problem) = answer.as_object_mut() {
                problem.remove("request_id");
                let first = refused.entry(op).or_insert_with(|| answer.clone());
                assert_eq!(*first, answer, "somebody else's, deleted and never made look the same");
            }
        }
    }
}

#[tokio::test]
async fn production_starts_with_authentication_only() {
    let production = setup().set("ENVIRONMENT", "production");
    let output = production.output(&["check"]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && said.contains("auth") && said.contains("required") && !said.contains(SECRET),
        "{said}"
    );
    for (name, value, named) in [
        ("REQUIRE_AUTHENTICATION", "false", "auth.required"),
        ("JWT_SECRET_KEY", "short", "fewer than 32"),
        ("JWT_SECRET_KEY", "your-secret-key-change-in-production", "default"),
        ("JWT_SECRET_KEY", "", "JWT_SECRET_KEY"),
        ("CORS_ORIGINS", "*", "`*`"),
    ] {
        for command in ["check", "serve"] {
            let output = production.clone().set(name, value).output(&[command]).await;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.code() == Some(1) && said.contains(named), "{name}={value}: {said}");
        }
    }
    let gateway = production.set("RIVULET_TELEMETRY_LOG_FORMAT", "pretty").start().await;
    let mut client = Client::connect_as(&gateway.socket(""), &token("ann")).await;
    assert_eq!(client.ask("hello").await.status(), "complete");
    assert!(
        timeout(Duration::from_secs(5), connect_async(gateway.socket(""))).await.unwrap().is_ok(),
        "a hello may follow"
    );
}
