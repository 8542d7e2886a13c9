//! `/mcp`: agents of others that search the knowledge base, over real HTTP.

use reqwest::{Client as Http, Method};
use serde_json::{Value, json};

use crate::{
    auth::{call, setup, with},
    harness::{Setup, TestGateway},
    knowledge::{knowing, until_loaded},
};

const NEWEST: &str = "2026-07-28";
const VERSION: &str = "io.modelcontextprotocol/protocolVersion";

fn asked(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
}

/// A tool's result.
async fn tool(gateway: &TestGateway, name: &str, arguments: Value) -> Value {
    let (status, came) = gateway.post("/mcp", asked("tools/call", json!({"name": name, "arguments": arguments}))).await;
    assert_eq!((status, &came["id"]), (200, &json!(7)), "{came}");
    came["result"].clone()
}

#[tokio::test]
async fn an_agent_finds_passages_with_their_sources() {
    let gateway = knowing().await;
    until_loaded(&gateway).await;
    let (_, listed) = gateway.post("/mcp", asked("tools/list", json!({}))).await;
    let tools = listed["result"]["tools"].as_array().unwrap();
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["search_knowledge", "list_collections"]);
    assert!(tools.iter().all(|tool| tool["annotations"]["readOnlyHint"] == true));

    let found = tool(&gateway, "search_knowledge", json!({"query": "return a tent", "top_k": 2})).await;
    assert_eq!(found["isError"], false);
    let text = found["content"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("[1] Returns and refunds") && text.contains("60 days"), "{text}");
    let results = found["structuredContent"]["results"].as_array().unwrap();
    assert_eq!((results.len(), &results[0]["title"]), (2, &json!("Returns and refunds")));
    let (_, beside) = gateway.post("/api/v1/rag/query", json!({"query": "return a tent", "top_k": 2})).await;
    // The scores are those of an index that is still being put in order.
    let places = |results: &Value| -> Vec<_> {
        results.as_array().unwrap().iter().map(|one| (one["document"].clone(), one["chunk"].clone())).collect()
    };
    assert_eq!(places(&found["structuredContent"]["results"]), places(&beside["results"]), "what the other way finds");

    let listed = tool(&gateway, "list_collections", json!({})).await;
    assert!(listed["content"][0]["text"].as_str().unwrap().starts_with("default: "), "{listed}");
    assert_eq!(listed["structuredContent"]["collections"][0]["name"], "default");
}

#[tokio::test]
async fn what_an_agent_asks_wrongly_it_is_told_and_can_mend() {
    let gateway = Setup::bare().start().await;
    for (name, arguments, said) in [
        ("search_knowledge", json!({"query": " "}), "`query` is empty"),
        ("search_knowledge", json!({"query": "x".repeat(4001)}), "longer than 4000"),
        ("search_knowledge", json!({"query": "x", "top_k": 51}), "`top_k` must be 1 to 50"),
        ("search_knowledge", json!({"query": "x", "collection": "a b"}), "collection"),
        ("search_knowledge", json!({"query": "x", "collection": "other/secret"}), "no such collection"),
        ("search_knowledge", json!({"question": "x"}), "unknown field `question`"),
        ("search_knowledge", json!("x"), "the arguments are not as they must be"),
        ("list_collections", json!({}), "no knowledge base"),
    ] {
        let came = tool(&gateway, name, arguments).await;
        let text = came["content"][0]["text"].as_str().unwrap();
        assert!(came["isError"] == true && text.contains(said), "{name}: {came}");
    }
    for (method, params, code) in [
        ("tools/call", json!({"name": "ingest"}), -32602),
        ("tools/call", json!({}), -32602),
        ("resources/list", json!({}), -32601),
    ] {
        let (status, came) = gateway.post("/mcp", asked(method, params)).await;
        assert_eq!((status, &came["error"]["code"]), (200, &json!(code)), "{came}");
    }
}

#[tokio::test]
async fn versions_are_agreed_on_before_and_said_with_each_request_since() {
    let gateway = Setup::bare().start().await;
    for (asks, comes) in [("2025-06-18", "2025-06-18"), ("2031-01-01", "2025-11-25")] {
        let (_, came) = gateway.post("/mcp", asked("initialize", json!({"protocolVersion": asks}))).await;
        assert_eq!(came["result"]["protocolVersion"], comes);
        assert_eq!(came["result"]["serverInfo"]["name"], "rivulet");
    }
    let (status, _) = gateway.post("/mcp", json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    assert_eq!(status, 202);
    let send = async |head: &[(&str, &str)], body: Value| {
        let request =
            head.iter().fold(Http::new().post(gateway.url("/mcp")), |it, (name, value)| it.header(*name, *value));
        TestGateway::answer(request.json(&body)).await
    };
    let own = |method: &str| asked(method, json!({"_meta": {VERSION: NEWEST}}));
    let head = |method| [("MCP-Protocol-Version", NEWEST), ("Mcp-Method", method)];
    let (status, came) = send(&head("server/discover"), own("server/discover")).await;
    assert_eq!((status, &came["result"]["resultType"]), (200, &json!("complete")), "{came}");
    assert!(came["result"]["supportedVersions"].as_array().unwrap().contains(&json!(NEWEST)));
    let (_, came) = send(&head("tools/list"), own("tools/list")).await;
    assert_eq!((&came["result"]["resultType"], &came["result"]["ttlMs"]), (&json!("complete"), &json!(60_000)));
    let (status, came) = send(&head("tools/list"), own("ping")).await;
    assert_eq!((status, &came["error"]["code"]), (400, &json!(-32020)), "{came}");
    let (status, came) = send(&head("resources/list"), own("resources/list")).await;
    assert_eq!((status, &came["error"]["code"]), (404, &json!(-32601)), "{came}");
    let (status, came) = send(&[("MCP-Protocol-Version", "2031-01-01")], asked("ping", json!({}))).await;
    assert_eq!((status, &came["error"]["code"]), (400, &json!(-32022)));
    assert_eq!(came["error"]["data"]["requested"], "2031-01-01");
}

#[tokio::test]
async fn one_message_at_a_time_is_taken_by_post_alone_and_from_no_foreign_page() {
    let gateway = Setup::bare().start().await;
    for body in [
        json!([asked("ping", json!({}))]),
        json!({"id": 1, "method": "ping"}),
        json!({"jsonrpc": "2.0", "id": 1.5, "method": "ping"}),
    ] {
        let (status, problem) = gateway.post("/mcp", body).await;
        assert_eq!((status, &problem["code"]), (400, &json!("invalid_field")), "{problem}");
    }
    for method in [Method::GET, Method::DELETE] {
        let response = Http::new().request(method, gateway.url("/mcp")).send().await.unwrap();
        assert_eq!((response.status().as_u16(), &response.headers()["allow"]), (405, &"POST".parse().unwrap()));
    }
    let foreign = Http::new().post(gateway.url("/mcp")).header("Origin", "https://evil.example");
    assert_eq!(TestGateway::answer(foreign.json(&asked("ping", json!({})))).await.0, 403);
    let closed = Setup::bare().set("RIVULET_MCP_SERVE", "false").start().await;
    assert_eq!(closed.post("/mcp", asked("ping", json!({}))).await.0, 404);
}

#[tokio::test]
async fn who_comes_without_a_token_is_told_where_there_are_some() {
    let gateway = setup().start().await;
    assert_eq!(gateway.get("/.well-known/oauth-protected-resource").await.0, 404, "nobody has said who makes tokens");
    let setup = setup()
        .set("RIVULET_AUTH_ISSUER", "https://id.example")
        .set("RIVULET_MCP_RESOURCE", "https://chat.example/mcp");
    let gateway = setup.start().await;
    let response = Http::new().post(gateway.url("/mcp")).json(&asked("ping", json!({}))).send().await.unwrap();
    assert_eq!(response.status(), 401);
    let challenge = "Bearer resource_metadata=\"https://chat.example/.well-known/oauth-protected-resource/mcp\"";
    assert_eq!(response.headers()["www-authenticate"], challenge);
    for path in ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"] {
        let (status, said) = gateway.get(path).await;
        assert_eq!((status, &said["resource"]), (200, &json!("https://chat.example/mcp")));
        assert_eq!(said["authorization_servers"], json!(["https://id.example"]));
        assert_eq!(said["scopes_supported"], json!(["knowledge:read"]));
    }
    let (_, problem) = gateway.post("/api/v1/chat", json!({"message": "Why?"})).await;
    assert_eq!(problem["code"], "unauthenticated");
    let claims = json!({"sub": "ann", "iss": "https://id.example", "exp": crate::auth::now() + 60});
    let (status, came) = call(&gateway, Method::POST, "/mcp", Some(&with(claims)), asked("ping", json!({}))).await;
    assert_eq!((status, &came["result"]), (200, &json!({})), "{came}");
}
