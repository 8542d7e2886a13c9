//! What counts as a token, who makes one, and what needs one.

use std::{collections::BTreeSet, fs, net::TcpListener, path::Path};

use super::*;

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
    let other = |lifetime: Value| json!({"user": "other", "scopes": ["admin"], "expires_in_s": lifetime});
    let (status, problem) = call(&gateway, Method::POST, "/auth/token", Some(&admin), other(json!(8000))).await;
    assert!(status == 400 && problem["detail"].as_str().unwrap().contains("ends with the one"), "{problem}");
    let brief = minted(&["--user", "root", "--tenant", "acme", "--scope", "admin", "--expires", "5m"]).await;
    let (status, made) = call(&gateway, Method::POST, "/auth/token", Some(&brief), other(Value::Null)).await;
    assert!(status == 200 && made["expires_in_s"].as_u64() <= Some(300), "{made}");
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

/// What anybody may have.
const OPEN: [&str; 12] = [
    "/health",
    "/livez",
    "/ready",
    "/readyz",
    "/metrics",
    "/",
    "/admin",
    "/favicon.svg",
    "/theme-at-start.js",
    "/api/version",
    "/api/v1/version",
    "/api/v1/auth",
];

/// Methods and addresses of src/http/router.rs, the parts in braces filled in.
fn routes() -> BTreeSet<(Method, String)> {
    let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/router.rs")).unwrap();
    let source: String = source.split_whitespace().collect();
    let (tokens, rest) = source.split_once("letconversations=").unwrap();
    let (api, rest) = rest.split_once(".nest(\"/api/v1\",api)").unwrap();
    let (api, openai) = api.split_once("letopenai=").unwrap();
    let (rest, documents) = rest.split_once("fnknowledge_base()").unwrap();
    let mut routes = BTreeSet::new();
    let parts =
        [("", tokens), ("/api/v1", tokens), ("/api/v1", api), ("/api/v1", documents), ("/v1", openai), ("", rest)];
    for (prefix, part) in parts {
        for route in part.split(".route(\"").skip(1) {
            let (path, handlers) = route.split_once('"').unwrap();
            let path = path
                .replace("{id}", "s_1")
                .replace("{n}", "0")
                .replace("{name}", "shop")
                .replace("{run}", "r_1")
                .replace("{*path}", "none.js")
                .replace("{*model}", "m");
            let handlers = handlers.split(".route_layer(").next().unwrap();
            for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                if handlers.contains(&format!("{}(", method.as_str().to_lowercase())) {
                    routes.insert((method, format!("{prefix}{path}")));
                }
            }
        }
    }
    routes
}

#[tokio::test]
async fn every_route_of_the_api_needs_a_principal_and_nothing_else_does() {
    let gateway = setup().start().await;
    let mut tried = BTreeSet::new();
    for path in OPEN {
        assert_eq!(gateway.get(path).await.0, 200, "{path}");
        tried.insert((Method::GET, path.to_owned()));
    }
    // A socket may say who it is after the upgrade.
    for (path, status) in [("/assets/none.js", 404), ("/api/v1/ws", 426), ("/api/v1/ws/s_1", 426)] {
        assert_eq!(gateway.get(path).await.0, status, "{path}");
        tried.insert((Method::GET, path.to_owned()));
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
        (Method::POST, "/api/v1/documents"),
        (Method::GET, "/api/v1/documents"),
        (Method::POST, "/api/v1/documents/text"),
        (Method::GET, "/api/v1/documents/s_1"),
        (Method::PUT, "/api/v1/documents/s_1"),
        (Method::DELETE, "/api/v1/documents/s_1"),
        (Method::GET, "/api/v1/documents/s_1/text"),
        (Method::GET, "/api/v1/documents/s_1/passages/0"),
        (Method::GET, "/api/v1/documents/s_1/original"),
        (Method::GET, "/api/v1/documents/s_1/versions"),
        (Method::POST, "/api/v1/documents/s_1/rollback"),
        (Method::GET, "/api/v1/collections"),
        (Method::POST, "/api/v1/collections"),
        (Method::DELETE, "/api/v1/collections/shop"),
        (Method::PUT, "/api/v1/collections/shop/readers"),
        (Method::GET, "/api/v1/jobs"),
        (Method::GET, "/api/v1/jobs/s_1"),
        (Method::GET, "/api/v1/jobs/s_1/events"),
        (Method::POST, "/api/v1/jobs/s_1/cancel"),
        (Method::POST, "/api/v1/jobs/s_1/retry"),
        (Method::POST, "/api/v1/documents/s_1/release"),
        (Method::GET, "/api/v1/admin/llm"),
        (Method::GET, "/api/v1/admin/cache"),
        (Method::POST, "/api/v1/admin/api-keys"),
        (Method::GET, "/api/v1/admin/api-keys"),
        (Method::DELETE, "/api/v1/admin/api-keys/s_1"),
        (Method::POST, "/api/v1/admin/revocations"),
        (Method::GET, "/api/v1/admin/audit"),
        (Method::GET, "/api/v1/admin/sessions"),
        (Method::GET, "/api/v1/admin/stats"),
        (Method::GET, "/api/v1/admin/feedback"),
        (Method::POST, "/api/v1/admin/drain"),
        (Method::POST, "/api/v1/tickets"),
        (Method::POST, "/api/v1/auth/token"),
        (Method::POST, "/api/v1/auth/validate"),
        (Method::POST, "/api/v1/auth/revoke"),
        (Method::POST, "/auth/revoke"),
        (Method::POST, "/auth/token"),
        (Method::POST, "/auth/validate"),
        (Method::POST, "/v1/chat/completions"),
        (Method::GET, "/v1/models"),
        (Method::GET, "/v1/models/m"),
    ] {
        tried.insert((method.clone(), path.to_owned()));
        let (status, problem) = call(&gateway, method.clone(), path, None, json!({})).await;
        let code = if path.starts_with("/v1/") { &problem["error"]["code"] } else { &problem["code"] };
        assert_eq!((status, code), (401, &json!("unauthenticated")), "{method} {path}");
        // Each with a token of its own: one of these addresses takes it back.
        let (status, _) = call(&gateway, method.clone(), path, Some(&token(path)), json!({})).await;
        assert_ne!(status, 401, "{method} {path}");
        let basic =
            reqwest::Client::new().request(method, gateway.url(path)).basic_auth("ann", Some("x")).json(&json!({}));
        assert_eq!(TestGateway::answer(basic).await.0, 401, "{path}");
    }
    let admin = with(json!({"sub": "root", "exp": now() + 3600, "scope": "chat admin"}));
    let (status, problem) = get(&gateway, "/api/v1/admin/llm", &token("ann")).await;
    assert_eq!((status, &problem["code"]), (403, &json!("forbidden")));
    assert_eq!(get(&gateway, "/api/v1/admin/llm", &admin).await.0, 200);

    let there = routes();
    assert_eq!(tried.symmetric_difference(&there).collect::<Vec<_>>(), Vec::<&(Method, String)>::new());
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
