//! Tokens of other makers: by keys in files and by a set that is published, and what happens while the set is not
//! there, or is asked for keys that nobody has.

use std::{fs, sync::Arc};

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
    let (gateway, mut neighbour) = beside(taking(&server)).await;
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
    let asking = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..20 {
            let at = Instant::now();
            let asked = client.get(gateway.url("/api/v1/sessions")).bearer_auth(&good);
            assert_eq!(TestGateway::answer(asked).await.0, 200);
            slowest = slowest.max(at.elapsed());
            neighbour.goes_on().await;
        }
        (slowest, begun.elapsed())
    };
    let ((statuses, flood), (slowest, done)) = tokio::join!(invented, asking);
    assert!(statuses.iter().all(|status| *status == 401), "{statuses:?}");
    assert!(flood >= Duration::from_secs(2) && flood < Duration::from_secs(6), "each waited two seconds: {flood:?}");
    assert!(done < flood && slowest < Duration::from_secs(2), "nobody else did: {slowest:?}, {done:?}");
    assert_eq!(server.hits(), 2);
    neighbour.has_all().await;
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
    for outcome in ["taken", "failed"] {
        let counted = gateway.metric(&format!("jwks_fetches_total{{outcome=\"{outcome}\"}}")).await;
        assert_eq!(counted, 1.0, "{outcome}");
    }
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
    let without_secret = bare.set("RIVULET_AUTH_JWKS_URL", &server.url).start().await;
    assert_eq!(status(&without_secret, &theirs).await, 200, "no secret is needed");
    assert_eq!(status(&without_secret, &token("ann")).await, 401);
}

#[tokio::test]
async fn keys_change_while_it_runs_and_a_wrong_one_changes_nothing() {
    let setup = Setup::bare();
    let (file, pem) = (setup.data.path().join("rivulet.toml"), setup.data.path().join("key.pem"));
    let (first, second) = (Maker::ec(), Maker::ed());
    let write = |maker: &Maker, secrets: &str| {
        fs::write(&pem, maker.public_pem()).unwrap();
        fs::write(&file, format!("[auth]\nrequired = true\npublic_keys = [\"key.pem\"]\n{secrets}\n")).unwrap();
    };
    write(&first, &format!("jwt_secret = \"{SECRET}\""));
    let gateway = setup.start().await;
    let mut socket = Client::connect_as(&gateway.socket(""), &of(&first, "", "ann")).await;
    let reload = async |said: &str| {
        let told = || {
            let log = gateway.log();
            let mut lines = log.lines().filter(|line| line.contains("app::live: the configuration "));
            (lines.clone().count(), lines.next_back().map(str::to_owned))
        };
        let (before, _) = told();
        gateway.signal("HUP").await;
        let answered = async {
            while told().0 == before {
                tokio::task::yield_now().await;
            }
        };
        soon(said, answered).await;
        assert!(told().1.is_some_and(|line| line.contains(said)), "{}", gateway.log());
    };
    let with_new = |user: &str| forge(r#"{"alg":"HS256"}"#, &claims(user).to_string(), NEW_SECRET);
    let taken = async || {
        let tokens = [of(&first, "", "ann"), of(&second, "", "ann"), token("ann"), with_new("ann")];
        let mut statuses = Vec::new();
        for token in tokens {
            statuses.push(status(&gateway, &token).await);
        }
        statuses
    };
    assert_eq!(taken().await, [200, 401, 200, 401]);
    write(&second, &format!("jwt_secret = \"{NEW_SECRET}\"\nprevious_jwt_secret = \"{SECRET}\""));
    reload("was read again").await;
    assert_eq!(taken().await, [401, 200, 200, 200]);
    fs::write(&pem, "no key").unwrap();
    reload("stays as it was").await;
    assert_eq!(taken().await, [401, 200, 200, 200]);
    write(&second, &format!("jwt_secret = \"{NEW_SECRET}\"\njwks_url = \"http://127.0.0.1:9\""));
    reload("what is new in auth waits for the next start").await;
    assert_eq!(taken().await, [401, 200, 200, 200]);
    write(&second, &format!("jwt_secret = \"{NEW_SECRET}\""));
    reload("was read again").await;
    assert_eq!(taken().await, [401, 200, 401, 200]);
    fs::write(&file, "[auth]\nrequired = true\njwt_secret = \"\"\n").unwrap();
    reload("stays as it was").await;
    assert_eq!(taken().await, [401, 200, 401, 200], "nobody could come in");
    assert_eq!(socket.ask("Still here?").await.status(), "complete", "what is open stays open");
}
