//! What a scope lets one do, and nobody beyond it.

use super::*;

fn scoped(tenant: &str, scope: &str) -> String {
    with(json!({"sub": "ann", "tenant": tenant, "scope": scope, "exp": now() + 3600}))
}

/// What is asked for, and the right that it needs.
fn requests() -> Vec<(Method, &'static str, Value, &'static str)> {
    let question = json!({"model": "m", "messages": [{"role": "user", "content": "Why?"}]});
    vec![
        (Method::POST, "/api/v1/sessions", json!({}), "chat"),
        (Method::GET, "/api/v1/sessions", Value::Null, "chat"),
        (Method::POST, "/api/v1/chat", json!({"message": "Why?"}), "chat"),
        (Method::POST, "/v1/chat/completions", question, "chat"),
        (Method::GET, "/v1/models", Value::Null, "chat"),
        (Method::POST, "/api/v1/rag/query", json!({"query": "why"}), "knowledge:read"),
        (Method::POST, "/mcp", json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}), "knowledge:read"),
        (Method::GET, "/api/v1/documents", Value::Null, "knowledge:read"),
        (Method::GET, "/api/v1/collections", Value::Null, "knowledge:read"),
        (Method::GET, "/api/v1/jobs/x/events", Value::Null, "knowledge:read"),
        (Method::POST, "/api/v1/documents/text", json!({"title": "t", "text": "t"}), "knowledge:write"),
        (Method::DELETE, "/api/v1/documents/x", Value::Null, "knowledge:write"),
        (Method::POST, "/api/v1/collections", json!({"name": "c"}), "knowledge:write"),
        (Method::POST, "/api/v1/jobs/x/cancel", Value::Null, "knowledge:write"),
        (Method::GET, "/api/v1/admin/llm", Value::Null, "admin"),
        (Method::GET, "/api/v1/admin/cache", Value::Null, "admin"),
        (Method::GET, "/api/v1/admin/sessions", Value::Null, "admin"),
        (Method::GET, "/api/v1/admin/stats", Value::Null, "admin"),
        (Method::GET, "/api/v1/admin/feedback", Value::Null, "admin"),
        (Method::POST, "/api/v1/auth/token", json!({"user": "ben"}), "admin"),
    ]
}

#[tokio::test]
async fn a_scope_lets_one_do_what_it_says_and_nothing_else() {
    let gateway = setup().start().await;
    for (scope, rights) in [
        ("", &["chat", "knowledge:read", "knowledge:write"][..]),
        ("openid profile", &["chat", "knowledge:read", "knowledge:write"]),
        ("chat", &["chat"]),
        ("knowledge:read", &["knowledge:read"]),
        ("knowledge:write openid", &["knowledge:write"]),
        ("chat knowledge:read", &["chat", "knowledge:read"]),
        ("admin", &["chat", "knowledge:read", "knowledge:write", "admin"]),
        ("admin:tenants", &["chat", "knowledge:read", "knowledge:write", "admin"]),
    ] {
        let token = scoped("acme", scope);
        for (method, path, body, right) in requests() {
            let (status, problem) = call(&gateway, method.clone(), path, Some(&token), body).await;
            let code = if path.starts_with("/v1/") { &problem["error"]["code"] } else { &problem["code"] };
            assert_eq!(status == 403, !rights.contains(&right), "{scope:?}: {method} {path} {status}");
            assert_eq!(code == "forbidden", status == 403, "{scope:?}: {method} {path} {problem}");
        }
        let opened = knock(&gateway.socket(""), &[bearer(&token)]).await;
        assert_eq!(opened, if rights.contains(&"chat") { 101 } else { 403 }, "{scope:?}");
    }
}

#[tokio::test]
async fn sockets_that_may_not_chat_are_told_so() {
    let gateway = setup().start().await;
    let hello = json!({"type": "hello", "token": scoped("acme", "knowledge:read")});
    assert_eq!(say_unknown(&gateway, &[hello]).await, (vec![], 4003));
    let mut client = Client::connect_as(&gateway.socket(""), &scoped("acme", "chat")).await;
    client.tell(json!({"type": "auth", "id": "less", "token": scoped("acme", "knowledge:read")})).await;
    let refused = client.until("error").await;
    assert_eq!((&refused["re"], &refused["code"]), (&json!("less"), &json!("forbidden")));
    assert_eq!(client.ask("Still here?").await.status(), "complete");
}

#[tokio::test]
async fn an_administrator_of_one_tenant_is_none_of_another() {
    let gateway = setup().start().await;
    let (own, all) = (scoped("acme", "admin"), scoped("acme", "admin:tenants"));
    let mint =
        async |admin: &str, wish: Value| call(&gateway, Method::POST, "/api/v1/auth/token", Some(admin), wish).await.0;
    for (wish, may) in [
        (json!({"user": "ben"}), true),
        (json!({"user": "ben", "tenant": "acme", "scopes": ["admin", "unlimited"]}), true),
        (json!({"user": "ben", "tenant": "rival"}), false),
        (json!({"user": "ben", "scopes": ["admin:tenants"]}), false),
    ] {
        assert_eq!(mint(&own, wish.clone()).await, if may { 200 } else { 403 }, "{wish}");
        assert_eq!(mint(&all, wish.clone()).await, 200, "{wish}");
    }
}
