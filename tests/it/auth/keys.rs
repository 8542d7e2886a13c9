//! Tokens of other makers: by keys in files and by a set that is published; what is never taken for one; and what happens
//! while the set is not there, or is asked for keys that nobody has.

use std::{fs, net::TcpListener, sync::Arc};

use futures_util::future::join_all;
use tokio::{sync::Semaphore, time::Instant};

use super::*;

/// A gateway that takes tokens of this set, besides its own.
fn taking(server: &KeyServer) -> Setup {
    setup().set("RIVULET_AUTH_JWKS_URL", &server.url)
}

fn claims(user: &str) -> Value {
    json!({"sub": user, "exp": now() + 600, "iat": now()})
}

/// A token of this maker, whose key has this name.
fn of(maker: &Maker, kid: &str, user: &str) -> String {
    maker.token(&maker.header(kid), &claims(user))
}

async fn status(gateway: &TestGateway, token: &str) -> u16 {
    get(gateway, "/api/v1/sessions", token).await.0
}

/// What `/health` says of the set.
async fn keys(gateway: &TestGateway) -> Value {
    let (_, health) = gateway.get("/health").await;
    json!([health["status"], health["components"]["keys"]["state"], health["components"]["keys"]["known"]])
}

/// Waits until the set has been fetched.
async fn fetched(gateway: &TestGateway) {
    soon("the set", async { while keys(gateway).await[1] != "ready" {} }).await;
}

#[tokio::test]
async fn tokens_of_every_kind_of_key_open_what_they_say() {
    let ([rsa, ec, ed], lone) = (Maker::all(), Maker::ec());
    let server = KeyServer::of(vec![rsa.jwk("r"), ec.jwk("e")]).await;
    let setup = taking(&server);
    let paths = [("ed.pem", &ed), ("lone.pem", &lone)].map(|(name, maker)| {
        let path = setup.data.path().join(name);
        fs::write(&path, maker.public_pem()).unwrap();
        path.display().to_string()
    });
    let gateway = setup.set("RIVULET_AUTH_PUBLIC_KEYS", &paths.join(",")).start().await;
    for token in [of(&rsa, "r", "ann"), of(&ec, "e", "ann"), of(&ed, "", "ann"), of(&lone, "x", "ann"), token("ann")] {
        assert_eq!(status(&gateway, &token).await, 200, "{token}");
        let mut socket = Client::connect_as(&gateway.socket(""), &token).await;
        assert_eq!(socket.ask("Who am I?").await.status(), "complete");
        socket.tell(json!({"type": "auth", "id": "a", "token": of(&ed, "", "ann")})).await;
        assert_eq!(socket.frame().await, json!({"type": "ack", "re": "a"}), "renewed by another one of the same user");
        let (said, code) = say_unknown_until_welcome(&gateway, &token).await;
        assert_eq!((said["type"].as_str(), code), (Some("welcome"), None));
    }
    let scoped = |claims: Value| {
        let mut all = self::claims("ann");
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        rsa.token(&rsa.header("r"), &all)
    };
    for (token, chats, reads) in [
        (scoped(json!({"scp": ["openid", "chat"]})), 200, 403),
        (scoped(json!({"scope": "openid", "permissions": ["knowledge:read"]})), 403, 503),
        (scoped(json!({"scope": "openid email"})), 200, 503),
    ] {
        let documents = get(&gateway, "/api/v1/documents/d_1", &token).await.0;
        assert_eq!((status(&gateway, &token).await, documents), (chats, reads), "{token}");
    }
    let (_, holder) = call(
        &gateway,
        Method::POST,
        "/auth/validate",
        Some(&token("ann")),
        json!({"token": scoped(json!({"tenant": "north", "scp": "admin"}))}),
    )
    .await;
    assert_eq!((&holder["tenant"], &holder["scopes"]), (&json!("north"), &json!(["admin"])));
}

/// The first frame after a `hello` with this token.
async fn say_unknown_until_welcome(gateway: &TestGateway, token: &str) -> (Value, Option<u16>) {
    let (mut socket, _) = connect_async(gateway.socket("")).await.unwrap();
    socket.send(Message::text(json!({"type": "hello", "token": token}).to_string())).await.unwrap();
    match soon("a frame", socket.next()).await {
        Some(Ok(Message::Text(text))) => (serde_json::from_str(&text).unwrap(), None),
        Some(Ok(Message::Close(Some(frame)))) => (Value::Null, Some(frame.code.into())),
        other => panic!("instead of a frame: {other:?}"),
    }
}

#[tokio::test]
async fn nothing_else_is_taken_for_a_token_and_nobody_is_asked_for_keys() {
    let ([rsa, ec, ed], stranger) = (Maker::all(), Maker::ec());
    let spy = TcpListener::bind("127.0.0.1:0").unwrap();
    spy.set_nonblocking(true).unwrap();
    let elsewhere = format!("http://{}/keys", spy.local_addr().unwrap());
    let weak = {
        let mut jwk = rsa.jwk("weak");
        jwk["n"] = jwk["n"].as_str().unwrap()[..86].into();
        jwk
    };
    let mut encrypting = rsa.jwk("enc");
    encrypting["use"] = "enc".into();
    let secret = json!({"kty": "oct", "kid": "oct", "alg": "HS256", "k": URL_SAFE_NO_PAD.encode(SECRET)});
    let (twice, twin) = (Maker::ec(), Maker::ec());
    let server = KeyServer::of(vec![
        rsa.jwk("r"),
        ec.jwk("e"),
        ed.jwk("d"),
        weak,
        encrypting,
        secret,
        twice.jwk("t"),
        twin.jwk("t"),
    ])
    .await;
    let setup = taking(&server).set("RIVULET_AUTH_ISSUER", "https://login.example/");
    let gateway = setup.set("RIVULET_AUTH_AUDIENCE", "chat").start().await;
    fetched(&gateway).await;
    assert_eq!(keys(&gateway).await, json!(["ok", "ready", 3]));
    let good = json!({
        "sub": "ann", "exp": now() + 600, "iat": now(), "iss": "https://login.example/", "aud": ["other", "chat"]
    });
    let changed = |changes: Value| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        claims
    };
    let makers = [(&rsa, "r"), (&ec, "e"), (&ed, "d")];
    let mut bad = Vec::new();
    for (maker, kid) in makers {
        let token = maker.token(&maker.header(kid), &good);
        assert_eq!(status(&gateway, &token).await, 200, "the rest fails for its reasons only");
        let (message, signature) = token.rsplit_once('.').unwrap();
        let (header, body) = message.split_once('.').unwrap();
        let zeros = URL_SAFE_NO_PAD.encode(vec![0; URL_SAFE_NO_PAD.decode(signature).unwrap().len()]);
        let (pem, jwk) = (maker.public_pem(), maker.jwk(kid).to_string());
        let named = |extra: Value| {
            let mut header = maker.header(kid);
            header.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            header
        };
        bad.extend([
            forge(r#"{"alg":"HS256"}"#, &good.to_string(), &pem),
            forge(&json!({"alg": "HS256", "kid": kid}).to_string(), &good.to_string(), &pem),
            forge(&json!({"alg": "HS256", "kid": kid}).to_string(), &good.to_string(), &jwk),
            forge(&json!({"alg": "HS256", "kid": kid}).to_string(), &good.to_string(), SECRET),
            forge(&maker.header(kid).to_string(), &good.to_string(), SECRET),
            format!("{message}.{zeros}"),
            format!("{message}."),
            message.to_owned(),
            format!("{message}.{signature}="),
            format!("{message}.{signature}.{signature}"),
            format!(" {message}.{signature}x"),
            format!("{}.{body}.", URL_SAFE_NO_PAD.encode(json!({"alg": "none", "kid": kid}).to_string())),
            format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(changed(json!({"sub": "root"})).to_string())),
            stranger.token(&stranger.header(kid), &good),
            stranger.token(&json!({"alg": "ES256", "kid": kid, "jwk": stranger.jwk(kid)}), &good),
            stranger.token(&json!({"alg": "ES256", "kid": kid, "jku": elsewhere, "x5u": elsewhere}), &good),
            maker.token(&named(json!({"alg": "RS512"})), &good),
            maker.token(&named(json!({"crit": ["exp"]})), &good),
            maker.token(&named(json!({"b64": false, "crit": ["b64"]})), &good),
            maker.token(&named(json!({"zip": "DEF"})), &good),
            maker.token(&named(json!({"enc": "A128GCM"})), &good),
            maker.token(&named(json!({"cty": "JWT"})), &good),
            maker.token(&named(json!({"typ": "dpop+jwt"})), &good),
            maker.token(&named(json!({"kid": 7})), &good),
            maker.token(&named(json!({})), &changed(json!({"fat": "x".repeat(8 << 10)}))),
            maker.token(&named(json!({"kid": "k".repeat(10 << 10)})), &good),
        ]);
        let other_name = makers.iter().find(|(_, other)| *other != kid).unwrap().1;
        bad.push(maker.token(&maker.header(other_name), &good));
        for changes in [
            json!({"exp": now() - 10}),
            json!({"exp": (now() + 600).to_string()}),
            json!({"exp": now() as f64 + 600.5}),
            json!({"exp": null}),
            json!({"exp": 253_402_300_799_u64, "iat": null}),
            json!({"nbf": now() + 60}),
            json!({"iat": now() + 60}),
            json!({"iat": now() - 400 * 24 * 3600}),
            json!({"aud": []}),
            json!({"aud": ["other"]}),
            json!({"iss": "https://login.example"}),
            json!({"iss": ["https://login.example/"]}),
            json!({"sub": ""}),
            json!({"sub": "a\nb"}),
            json!({"sub": "x".repeat(10 << 10)}),
            json!({"tenant": "../north"}),
        ] {
            bad.push(maker.token(&maker.header(kid), &changed(changes)));
        }
    }
    for kid in ["weak", "enc"] {
        bad.push(rsa.token(&rsa.header(kid), &good));
    }
    bad.extend([twice.token(&twice.header("t"), &good), twin.token(&twin.header("t"), &good)]);
    // What was left out may be a key tomorrow; that was asked about once, and then not again.
    let asked = server.hits();
    let mut answers = Vec::new();
    for token in &bad {
        let (status, mut problem) = get(&gateway, "/api/v1/sessions", token).await;
        problem.as_object_mut().unwrap().remove("request_id");
        assert_eq!(status, 401, "{}", &token[..token.len().min(2000)]);
        answers.push(problem);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "one answer for all");
    assert!(server.hits() <= asked + 1, "{}", server.hits());
    assert!(spy.accept().is_err(), "nobody asks the addresses in a token");
    let year_9999 = changed(json!({"exp": 253_402_300_799_u64}));
    assert_eq!(status(&gateway, &ed.token(&ed.header("d"), &year_9999)).await, 200, "for a year");
}

#[tokio::test]
async fn a_key_that_is_new_is_fetched_and_one_that_is_gone_is_not_good() {
    let (old, new) = (Maker::ec(), Maker::ec());
    let server = KeyServer::of(vec![old.jwk("old")]).await;
    let gateway = taking(&server).start().await;
    fetched(&gateway).await;
    assert_eq!((status(&gateway, &of(&old, "old", "ann")).await, server.hits()), (200, 1));
    server.answer(KeyAnswer::Keys(vec![new.jwk("new")]));
    let token = of(&new, "new", "ann");
    let all = join_all((0..50).map(|_| status(&gateway, &token))).await;
    assert!(all.iter().all(|status| *status == 200), "{all:?}");
    assert_eq!(server.hits(), 2, "fifty who came at once caused one fetch");
    assert_eq!(status(&gateway, &of(&old, "old", "ann")).await, 401);
    assert_eq!(server.hits(), 2);
}

#[tokio::test]
async fn a_key_that_changes_while_the_set_is_fetched_is_fetched_again() {
    let (old, new, gate) = (Maker::ec(), Maker::ec(), Arc::new(Semaphore::new(0)));
    let server = KeyServer::start(KeyAnswer::Held(gate.clone(), vec![old.jwk("old")])).await;
    let gateway = taking(&server).start().await;
    soon("the first fetch", async {
        while server.hits() == 0 {
            tokio::task::yield_now().await
        }
    })
    .await;
    server.answer(KeyAnswer::Keys(vec![new.jwk("new")]));
    let token = of(&new, "new", "ann");
    let waiting = status(&gateway, &token);
    let opening = async {
        gateway.get("/livez").await;
        gate.add_permits(1);
    };
    assert_eq!((tokio::join!(waiting, opening).0, server.hits()), (200, 2));
}

#[tokio::test]
async fn invented_keys_cost_one_fetch_and_hold_up_nobody() {
    let maker = Maker::ed();
    let server = KeyServer::of(vec![maker.jwk("k")]).await;
    let gateway = taking(&server).start().await;
    fetched(&gateway).await;
    let good = of(&maker, "k", "ann");
    let mut socket = Client::connect_as(&gateway.socket(""), &good).await;
    server.answer(KeyAnswer::Never);
    let (client, begun) = (reqwest::Client::new(), Instant::now());
    let invented = async {
        let statuses = join_all((0..300).map(|n| {
            let token = of(&maker, &format!("k{n}"), "eve");
            let asked = client.get(gateway.url("/api/v1/sessions")).bearer_auth(token);
            async { TestGateway::answer(asked).await.0 }
        }))
        .await;
        (statuses, begun.elapsed())
    };
    let neighbour = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..20 {
            let at = Instant::now();
            let asked = client.get(gateway.url("/api/v1/sessions")).bearer_auth(&good);
            assert_eq!(TestGateway::answer(asked).await.0, 200);
            slowest = slowest.max(at.elapsed());
        }
        (slowest, begun.elapsed())
    };
    let ((statuses, flood), (slowest, done)) = tokio::join!(invented, neighbour);
    assert!(statuses.iter().all(|status| *status == 401), "{statuses:?}");
    assert!(flood >= Duration::from_secs(2) && flood < Duration::from_secs(6), "each waited two seconds: {flood:?}");
    assert!(done < flood && slowest < Duration::from_secs(2), "nobody else did: {slowest:?}, {done:?}");
    assert_eq!(server.hits(), 2);
    assert_eq!(socket.ask("Still here?").await.status(), "complete");
    socket.tell(json!({"type": "auth", "id": "a", "token": of(&maker, "other", "ann")})).await;
    let error = socket.frame().await;
    assert_eq!((&error["code"], &error["retryable"]), (&json!("unauthenticated"), &json!(true)));
    soon("the end of the fetch", async { while keys(&gateway).await[1] == "ready" {} }).await;
    assert_eq!(keys(&gateway).await, json!(["degraded", "stale", 1]));
    let at = Instant::now();
    assert_eq!(status(&gateway, &of(&maker, "k", "ann")).await, 200, "the keys known stay good");
    assert_eq!(status(&gateway, &of(&maker, "k1", "eve")).await, 401);
    assert!(at.elapsed() < Duration::from_secs(1), "nobody waits for what was just asked");
    assert_eq!((server.hits(), gateway.log().matches("auth.jwks_url cannot be fetched").count()), (2, 1));
}

#[tokio::test]
async fn without_its_set_the_gateway_starts_and_says_so() {
    let maker = Maker::rsa();
    let server = KeyServer::start(KeyAnswer::Text(reqwest::StatusCode::OK, "<html>Sign in</html>".to_owned())).await;
    let setup = taking(&server);
    let said = |output: std::process::Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let check = said(setup.output(&["check"]).await);
    assert!(check.contains("warn  auth") && check.contains("no set of keys"), "{check}");
    let gateway = setup.start().await;
    soon("the first fetch", async {
        while server.hits() < 2 {
            tokio::task::yield_now().await
        }
    })
    .await;
    assert_eq!(keys(&gateway).await, json!(["degraded", "missing", 0]));
    assert_eq!(status(&gateway, &token("ann")).await, 200, "its own tokens are good");
    server.answer(KeyAnswer::Keys(vec![maker.jwk("k")]));
    let theirs = of(&maker, "k", "ann");
    assert_eq!(status(&gateway, &theirs).await, 200, "it is asked for at once");
    assert_eq!(keys(&gateway).await, json!(["ok", "ready", 1]));
    let check = said(gateway.setup().output(&["check"]).await);
    assert!(check.contains("ok    auth") && check.contains("has 1 keys"), "{check}");

    let bare = Setup::bare().set("REQUIRE_AUTHENTICATION", "true");
    for (name, value, named) in [
        ("RIVULET_AUTH_JWKS_URL", "http://login.example/keys", "https://"),
        ("RIVULET_AUTH_JWKS_URL", "https://user:hunter2@login.example/keys", "https://"),
        ("RIVULET_AUTH_JWKS_URL", "file:///etc/passwd", "https://"),
        ("RIVULET_AUTH_PUBLIC_KEYS", "/nowhere/key.pem", "/nowhere/key.pem"),
        ("RIVULET_LLM_MODEL", "m", "nobody could"),
    ] {
        let output = bare.clone().set(name, value).output(&["serve"]).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(named) && !said.contains("hunter2"), "{said}");
    }
    let without_secret = bare.set("RIVULET_AUTH_JWKS_URL", &server.url).start().await;
    assert_eq!(status(&without_secret, &theirs).await, 200, "no secret is needed");
    assert_eq!(status(&without_secret, &token("ann")).await, 401);
}
