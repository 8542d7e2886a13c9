//! Credentials on sockets: four ways in, tickets, the `hello`, and the end of a token.

use futures_util::future::join_all;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::frame::{
    Frame,
    coding::{Data as OpData, OpCode},
};

use super::*;
use crate::harness::Memory;

#[tokio::test]
async fn every_kind_of_credential_opens_a_socket_in_its_order() {
    let (gateway, mut neighbour) = beside(setup()).await;
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

    neighbour.goes_on().await;
    // The first that is there decides, and nothing after it is looked at.
    assert_eq!(knock(&ticket().await, &[bearer("x")]).await, 401);
    assert_eq!(knock(&format!("{own}?ticket=tk_x"), &[protocols(&ann)]).await, 401);
    assert_eq!(knock(&own, &[bearer(&ann), protocols("x")]).await, 101);
    assert_eq!(knock(&own, &[bearer(&ann), bearer(&ann)]).await, 401);
    assert_eq!(knock(&own, &[protocols(&format!("{ann}, bearer.{ben}"))]).await, 401);
    for field in ["token", "access_token"] {
        assert_eq!(knock(&format!("{own}?{field}={ann}"), &[]).await, 400, "no token in the URL");
        neighbour.goes_on().await;
    }
    // A browser sends cookies by itself, whoever's page asks: they are no credential.
    let cookie = ("cookie", format!("token={ann}; access_token={ann}; authorization=Bearer {ann}; session={own}"));
    let with_cookie = reqwest::Client::new().get(gateway.url("/api/v1/sessions")).header(cookie.0, &cookie.1);
    assert_eq!(TestGateway::answer(with_cookie).await.0, 401);
    let (mut socket, _) = connect_async({
        let mut request = own.as_str().into_client_request().unwrap();
        request.headers_mut().insert(cookie.0, cookie.1.parse().unwrap());
        request
    })
    .await
    .unwrap();
    socket.send(Message::text(json!({"message": "mine?"}).to_string())).await.unwrap();
    let Some(Ok(Message::Text(refused))) = soon("an error", socket.next()).await else { panic!("no error") };
    assert!(refused.contains("unauthenticated"), "{refused}");
    let unused = ticket().await;
    assert_eq!(knock(&unused, &[bearer(&ann)]).await, 101);
    assert_eq!(knock(&unused, &[]).await, 101, "who has a token needs no ticket");
    assert_eq!(knock(&gateway.socket(&first.session()), &[bearer(&ben)]).await, 404, "somebody else's");
    neighbour.has_all().await;
}

#[tokio::test]
async fn of_a_hundred_who_race_with_one_ticket_one_comes_in() {
    let (gateway, mut neighbour) = beside(setup()).await;
    let ann = token("ann");
    for _ in 0..3 {
        let (_, ticket) = call(&gateway, Method::POST, "/api/v1/tickets", Some(&ann), Value::Null).await;
        let url = format!("{}?ticket={}", gateway.socket(""), ticket["ticket"].as_str().unwrap());
        let statuses = join_all((0..100).map(|_| knock(&url, &[]))).await;
        assert_eq!(statuses.iter().filter(|status| **status == 101).count(), 1);
        assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 99);
        assert_eq!(knock(&url, &[]).await, 401);
        neighbour.goes_on().await;
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
    neighbour.has_all().await;
}

#[tokio::test]
async fn before_its_hello_a_socket_gets_nothing_done() {
    let (gateway, mut neighbour) = beside(setup()).await;
    let work = async || {
        let mut counts = vec![gateway.metric("sessions_active").await];
        for op in ["create_session", "session", "append_turn", "messages"] {
            counts.push(gateway.metric(&format!("database_query_duration_seconds_count{{op=\"{op}\"}}")).await);
        }
        counts
    };
    let before = work().await;
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
    assert_eq!(work().await, before, "nothing was looked up, made or stored");
    neighbour.goes_on().await;

    let frame = json!({"type": "hello", "token": ann, "padding": "x".repeat(5 << 10)});
    assert_eq!(say_unknown(&gateway, &[frame]).await, (vec![], 1009));
    assert_eq!(begin_a_frame(&gateway, 60_000, 7_000).await, 1009, "nothing waits for the rest of such a frame");
    assert_eq!(say_fragments(&gateway, 2_000).await, 1009, "nor for that of a message, whatever comes between");
    let (mut socket, _) = connect_async(gateway.socket("")).await.unwrap();
    socket.send(Message::binary(vec![1])).await.unwrap();
    let Some(Ok(Message::Close(Some(frame)))) = soon("a close", socket.next()).await else { panic!("no close") };
    assert_eq!(u16::from(frame.code), 1003);
    neighbour.goes_on().await;

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
    neighbour.has_all().await;
}

#[tokio::test]
async fn a_hello_on_a_session_that_is_gone_is_closed_as_final() {
    let setup = setup().set("RIVULET_SESSION_IDLE_S", "2");
    let (gateway, ann) = (setup.start().await, token("ann"));
    let mut said = Client::connect_as(&gateway.socket(""), &ann).await;
    said.ask("one").await;
    let deleted = said.session();
    let path = format!("/api/v1/sessions/{deleted}");
    assert_eq!(call(&gateway, Method::DELETE, &path, Some(&ann), Value::Null).await.0, 204);
    assert_eq!(said.close_code().await, 4004);
    let forgotten = Client::connect_as(&gateway.socket(""), &ann).await.cut().session;
    soon("an empty gateway", async { while gateway.metric("sessions_active").await > 0.0 {} }).await;
    let lost = Client::connect_as(&gateway.socket(""), &ann).await.cut().session;
    let gateway = gateway.kill().await.start().await;
    for id in [&deleted, &forgotten, &lost, "s_never"] {
        for cursor in ["", "b5d08de4f0d4:0"] {
            let (mut socket, _) = connect_async(gateway.socket(id)).await.unwrap();
            let hello =
                json!({"type": "hello", "token": ann, "resume": Some(cursor).filter(|cursor| !cursor.is_empty())});
            socket.send(Message::text(hello.to_string())).await.unwrap();
            match soon("a close", socket.next()).await {
                Some(Ok(Message::Close(Some(frame)))) => assert_eq!(u16::from(frame.code), 4004, "{id} {cursor}"),
                other => panic!("instead of a close: {other:?}"),
            }
        }
    }
    assert_eq!(gateway.metric("sessions_active").await, 0.0, "no session was made in its place");
    assert_eq!(gateway.metric("ws_closes_total{code=\"4004\"}").await, 8.0);
}

#[tokio::test]
async fn who_says_no_hello_in_ten_seconds_is_closed() {
    const SILENT: usize = 300;
    const MOST_MEMORY: usize = 32 << 10;
    let (gateway, mut neighbour) = beside(setup().set("RIVULET_LIMITS_CONNECTIONS_PER_IP", "0")).await;
    let (sessions, memory) = (gateway.metric("sessions_active").await, gateway.memory());
    let early = [json!({"type": "ping"})];
    let waiting = join_all((0..SILENT).map(|_| async {
        let started = Instant::now();
        (say_unknown(&gateway, &[]).await, started.elapsed())
    }));
    let looking = async {
        soon("all of them", async { while gateway.metric("ws_connections").await < (SILENT + 2) as f64 {} }).await;
        assert_eq!(gateway.metric("sessions_active").await, sessions, "none is kept for them");
        let grown = gateway.memory().saturating_sub(memory) / SILENT;
        assert!(grown < MOST_MEMORY, "{grown} bytes for each");
        neighbour.goes_on().await;
    };
    let (silent, chatty, ()) = tokio::join!(waiting, say_unknown(&gateway, &early), looking);
    assert_eq!((chatty.1, chatty.0.len()), (4108, 1));
    for ((said, code), took) in silent {
        assert_eq!((said.len(), code), (0, 4108));
        assert!(took >= Duration::from_secs(9) && took < Duration::from_secs(13), "{took:?}");
    }
    assert_eq!(gateway.metric("ws_closes_total{code=\"4108\"}").await, (SILENT + 1) as f64);
    // A socket counts until its closing handshake is over.
    soon("their ends", async { while gateway.metric("ws_connections").await > 1.0 {} }).await;
    neighbour.has_all().await;
}

#[tokio::test]
async fn an_open_socket_ends_with_its_token_unless_a_new_one_comes() {
    let (gateway, mut neighbour) = beside(setup()).await;
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
    neighbour.goes_on().await;
    assert_eq!(renewing.ask("still here?").await.status(), "complete");
    renewing.tell(json!({"type": "hello", "token": "a.b.c"})).await;
    assert_eq!(renewing.close_code().await, 4001);
    neighbour.has_all().await;
}

/// Begins a text frame of `announced` bytes, of which `sent` come, and returns the code with which that is closed.
async fn begin_a_frame(gateway: &TestGateway, announced: u16, sent: usize) -> u16 {
    let mut stream = TcpStream::connect(&gateway.address).await.unwrap();
    let upgrade = "GET /api/v1/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    assert!(raw_on(&mut stream, upgrade).await.contains(" 101 "));
    let mut frame = vec![0x81, 0xFE];
    frame.extend(announced.to_be_bytes());
    frame.resize(frame.len() + 4 + sent, 0);
    stream.write_all(&frame).await.unwrap();
    let mut head = [0; 4];
    soon("a close", stream.read_exact(&mut head)).await.unwrap();
    assert_eq!(head[0], 0x88, "a close frame");
    u16::from_be_bytes([head[2], head[3]])
}

/// Sends fragments of `bytes` without end, each with a ping behind it, and returns the code with which that is closed.
async fn say_fragments(gateway: &TestGateway, bytes: usize) -> u16 {
    let (mut socket, _) = connect_async(gateway.socket("")).await.unwrap();
    for at in 0..30 {
        let kind = if at == 0 { OpData::Text } else { OpData::Continue };
        let fragment = Frame::message(vec![b'x'; bytes], OpCode::Data(kind), false);
        if socket.send(Message::Frame(fragment)).await.is_err() {
            break;
        }
        socket.send(Message::Ping(Vec::new().into())).await.ok();
        match soon("an answer", socket.next()).await {
            Some(Ok(Message::Pong(_))) => {}
            Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
            other => panic!("instead of a pong or a close: {other:?}"),
        }
    }
    panic!("all of it was taken");
}
