//! What is for administrators, on a port of its own.

use reqwest::Client;
use serde_json::Value;

use crate::harness::{Setup, TestGateway, raw};

#[tokio::test]
async fn what_is_for_administrators_is_on_their_port_alone() {
    let gateway = Setup::bare().set("RIVULET_SERVER_ADMIN_BIND", "127.0.0.1:0").start().await;
    let log = gateway.log();
    let admin = log.lines().find_map(|line| line.split_once("administrators are served on ")).expect("it is told").1;
    let admin = admin.split_whitespace().next().unwrap().to_owned();
    let get = async |url: String| TestGateway::answer(Client::new().get(url)).await;
    for (path, public, own) in [
        ("/metrics", 404, 200),
        ("/api/v1/admin/llm", 404, 200),
        ("/api/v1/admin/audit", 404, 200),
        ("/api/v1/admin/stats", 404, 200),
        ("/admin", 404, 200),
        ("/", 200, 200),
        ("/api/v1/auth", 200, 200),
        ("/api/v1/sessions", 200, 404),
        ("/v1/models", 200, 404),
        ("/health", 200, 200),
        ("/livez", 200, 200),
        ("/readyz", 200, 200),
    ] {
        assert_eq!(gateway.get(path).await.0, public, "{path}");
        assert_eq!(get(format!("{admin}{path}")).await.0, own, "{path}");
    }
    let described = [gateway.get("/openapi.json").await.1, get(format!("{admin}/openapi.json")).await.1];
    let has = |path: &str| [&described[0], &described[1]].map(|described| described["paths"][path].is_object());
    assert_eq!(has("/api/v1/chat"), [true, false], "each port describes what it has");
    assert_eq!(has("/api/v1/admin/llm"), [false, true]);
    assert_eq!(described[0]["paths"]["/health"]["get"]["operationId"], "get_health_in_one_word");
    let (brief, whole) = (gateway.get("/health").await.1, get(format!("{admin}/health")).await.1);
    assert_eq!(brief, serde_json::json!({ "status": "ok" }));
    assert_eq!(whole["components"]["store"]["state"], "ready");
}

#[tokio::test]
async fn a_full_gateway_can_still_be_looked_at() {
    let gateway = Setup::bare()
        .set("RIVULET_SERVER_ADMIN_BIND", "127.0.0.1:0")
        .set("RIVULET_LIMITS_CONNECTIONS", "1")
        .start()
        .await;
    let _the_one = gateway.connect().await;
    let refused = raw(&gateway, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    let log = gateway.log();
    let admin = log.lines().find_map(|line| line.split_once("administrators are served on ")).expect("it is told").1;
    let url = format!("{}/health", admin.split_whitespace().next().unwrap());
    let (status, report): (u16, Value) = TestGateway::answer(Client::new().get(url)).await;
    assert_eq!((status, report["status"].as_str()), (200, Some("ok")));
}
