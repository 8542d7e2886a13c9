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

/// What is not described: other addresses of what is, what the pages are made of, and the description. With what it answers
/// to who is nobody.
const NOT_DESCRIBED: [(&str, Method, &str, u16); 12] = [
    ("/", Method::GET, "/", 200),
    ("/admin", Method::GET, "/admin", 200),
    ("/docs", Method::GET, "/docs", 200),
    ("/favicon.svg", Method::GET, "/favicon.svg", 200),
    ("/theme-at-start.js", Method::GET, "/theme-at-start.js", 200),
    ("/assets/{*path}", Method::GET, "/assets/none.js", 404),
    ("/openapi.json", Method::GET, "/openapi.json", 200),
    ("/ready", Method::GET, "/ready", 200),
    ("/api/version", Method::GET, "/api/version", 200),
    ("/auth/token", Method::POST, "/auth/token", 401),
    ("/auth/validate", Method::POST, "/auth/validate", 401),
    ("/auth/revoke", Method::POST, "/auth/revoke", 401),
];
/// What is described and for anybody.
const OPEN: [&str; 6] = ["/health", "/livez", "/readyz", "/metrics", "/api/v1/version", "/api/v1/auth"];

/// The addresses that the gateway's source gives to what it does not describe.
fn not_described() -> BTreeSet<String> {
    let source = |name| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http").join(name)).unwrap();
    let source = source("router.rs") + &source("openapi.rs");
    source.split(".route(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn every_route_needs_a_principal_unless_it_is_for_anybody() {
    let gateway = setup().start().await;
    for (_, method, path, expected) in NOT_DESCRIBED {
        assert_eq!(call(&gateway, method, path, None, json!({})).await.0, expected, "{path}");
    }
    assert_eq!(NOT_DESCRIBED.map(|(route, ..)| route.to_owned()).into_iter().collect::<BTreeSet<_>>(), not_described());

    let (_, described) = gateway.get("/openapi.json").await;
    let mut open = BTreeSet::new();
    for (route, operations) in described["paths"].as_object().unwrap() {
        let path = route.replace("{n}", "0").replace("{model}", "m").replace("{id}", "s_1").replace("{run}", "r_1");
        let path = path.replace("{name}", "shop");
        for (method, operation) in operations.as_object().unwrap() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let (status, problem) = call(&gateway, method.clone(), &path, None, json!({})).await;
            if operation["security"].is_null() {
                assert_eq!(status, 200, "{path}");
                open.insert(route.as_str());
                continue;
            }
            if path.starts_with("/api/v1/ws") {
                assert_eq!(status, 426, "a socket may say who it is after the upgrade");
                continue;
            }
            let code = if path.starts_with("/v1/") { &problem["error"]["code"] } else { &problem["code"] };
            assert_eq!((status, code), (401, &json!("unauthenticated")), "{method} {path}");
            // Each with a token of its own: one of these addresses takes it back.
            let (status, _) = call(&gateway, method.clone(), &path, Some(&token(&path)), json!({})).await;
            assert_ne!(status, 401, "{method} {path}");
            let basic = reqwest::Client::new().request(method, gateway.url(&path)).basic_auth("ann", Some("x"));
            assert_eq!(TestGateway::answer(basic.json(&json!({}))).await.0, 401, "{path}");
        }
    }
    assert_eq!(open, BTreeSet::from(OPEN));
    let admin = with(json!({"sub": "root", "exp": now() + 3600, "scope": "chat admin"}));
    let (status, problem) = get(&gateway, "/api/v1/admin/llm", &token("ann")).await;
    assert_eq!((status, &problem["code"]), (403, &json!("forbidden")));
    assert_eq!(get(&gateway, "/api/v1/admin/llm", &admin).await.0, 200);
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
