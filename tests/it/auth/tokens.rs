//! What counts as a token, who makes one, and what needs one.

use std::{collections::BTreeSet, fs, path::Path};

use super::*;

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
const NOT_DESCRIBED: [(&str, Method, &str, u16); 14] = [
    ("/.well-known/oauth-protected-resource/mcp", Method::GET, "/.well-known/oauth-protected-resource/mcp", 404),
    ("/", Method::GET, "/", 200),
    ("/admin", Method::GET, "/admin", 200),
    ("/docs", Method::GET, "/docs", 200),
    ("/favicon.svg", Method::GET, "/favicon.svg", 200),
    ("/theme-at-start.js", Method::GET, "/theme-at-start.js", 200),
    ("/widget.js", Method::GET, "/widget.js", 200),
    ("/assets/{*path}", Method::GET, "/assets/none.js", 404),
    ("/openapi.json", Method::GET, "/openapi.json", 200),
    ("/ready", Method::GET, "/ready", 200),
    ("/api/version", Method::GET, "/api/version", 200),
    ("/auth/token", Method::POST, "/auth/token", 401),
    ("/auth/validate", Method::POST, "/auth/validate", 401),
    ("/auth/revoke", Method::POST, "/auth/revoke", 401),
];
/// What is described and for anybody.
const OPEN: [&str; 7] = [
    "/health",
    "/livez",
    "/readyz",
    "/metrics",
    "/api/v1/version",
    "/api/v1/auth",
    "/.well-known/oauth-protected-resource",
];

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
                // Nobody has said who makes tokens.
                let expected = if path.starts_with("/.well-known/") { 404 } else { 200 };
                assert_eq!(status, expected, "{path}");
                open.insert(route.as_str());
                continue;
            }
            if path.starts_with("/api/v1/ws") || path.ends_with("/ws") {
                assert_eq!(status, 426, "what is no handshake is none, whoever it comes from");
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
    let gateway = production.set("RIVULET_TELEMETRY_LOG_FORMAT", "pretty").start().await;
    let mut client = Client::connect_as(&gateway.socket(""), &token("ann")).await;
    assert_eq!(client.ask("hello").await.status(), "complete");
    assert!(
        timeout(Duration::from_secs(5), connect_async(gateway.socket(""))).await.unwrap().is_ok(),
        "a hello may follow"
    );
}
