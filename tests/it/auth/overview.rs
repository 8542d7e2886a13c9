//! The gateway at one glance: what who administers a tenant sees, what who administers all, and how the latter ends it.

use super::*;
use crate::harness::Upstream;

fn of(tenant: &str, user: &str, scope: &str) -> String {
    with(json!({"sub": user, "tenant": tenant, "scope": scope, "exp": now() + 3600}))
}

/// What is seen of sessions: whose they are, in what order.
fn owners(page: &Value) -> Vec<(&str, &str)> {
    let sessions = page["sessions"].as_array().unwrap().iter();
    sessions.map(|it| (it["tenant"].as_str().unwrap_or(""), it["user"].as_str().unwrap_or(""))).collect()
}

#[tokio::test]
async fn who_administers_a_tenant_sees_its_sessions_and_nothing_of_others() {
    let (upstream, gate) = Upstream::gated("A hidden answer. ", 2).await;
    let set_up =
        Setup::with_upstream(&upstream.url).set("REQUIRE_AUTHENTICATION", "true").set("JWT_SECRET_KEY", SECRET);
    let gateway = set_up.start().await;
    let mut ann = Client::connect_as(&gateway.socket(""), &of("north", "ann", "chat")).await;
    let mut ben = Client::connect_as(&gateway.socket(""), &of("south", "ben", "chat")).await;
    ann.say("A hidden question").await;
    ann.deltas(1).await;
    let (north, root) = (of("north", "boss", "admin"), of("ops", "root", "admin:tenants"));

    let see = async |token: &str, path: &str| {
        let (status, page) = get(&gateway, &format!("/api/v1/admin/{path}"), token).await;
        assert_eq!(status, 200, "{path}: {page}");
        assert!(!page.to_string().contains("hidden"), "nobody sees what was said: {page}");
        page
    };
    let page = see(&north, "sessions").await;
    assert_eq!(owners(&page), [("north", "ann")]);
    let session = &page["sessions"][0];
    assert_eq!((&session["session"], &session["viewers"]), (&json!(ann.session()), &json!(1)));
    assert_eq!((&session["run"]["phase"], session["run"]["age_s"].is_number()), (&json!("streaming"), true));
    assert!(session["run"]["written"].as_u64().unwrap() > 0, "{session}");
    assert_eq!(page["counts"], json!({"in_memory": 1, "watched": 1, "viewers": 1, "busy": 1}));

    let page = see(&root, "sessions").await;
    assert_eq!(owners(&page), [("north", "ann"), ("south", "ben")], "those that work come first");
    let first = see(&root, "sessions?limit=1").await;
    assert_eq!((owners(&first), &first["counts"]["in_memory"]), (vec![("north", "ann")], &json!(2)));
    assert_eq!(owners(&see(&root, "sessions?tenant=south").await), [("south", "ben")]);

    let stats = see(&north, "stats").await;
    assert_eq!((&stats["tenant"], &stats["gateway"]), (&json!("north"), &Value::Null));
    assert_eq!(stats["sessions"]["in_memory"], 1);
    assert_eq!(stats["model"]["targets"][0]["breaker"], "closed");
    let all = see(&root, "stats").await;
    assert_eq!((&all["tenant"], &all["sessions"]["in_memory"]), (&Value::Null, &json!(2)));
    let whole = &all["gateway"];
    assert_eq!((&whole["sockets"], &whole["runs"]["active"]), (&json!(2.0), &json!(1.0)), "{whole}");
    assert_eq!((&whole["first_token"]["count"], whole["tokens"].as_f64()), (&json!(1.0), Some(2.0)), "{whole}");
    assert_eq!(see(&root, "stats?tenant=south").await["gateway"], Value::Null);

    for (token, path, status) in [
        (&north, "sessions?tenant=south", 403),
        (&north, "stats?tenant=south", 403),
        (&north, "feedback?tenant=south", 403),
        (&root, "sessions?limit=0", 400),
        (&root, "sessions?limit=201", 400),
        (&root, "feedback?days=91", 400),
        (&of("north", "ann", "chat"), "sessions", 403),
        (&of("north", "ann", "chat"), "stats", 403),
        (&of("north", "ann", "chat"), "feedback", 403),
    ] {
        assert_eq!(get(&gateway, &format!("/api/v1/admin/{path}"), token).await.0, status, "{path}");
    }
    gate.open();
    let done = ann.until("run.done").await;
    ben.ask("Why?").await;
    ann.tell(json!({"type": "feedback", "id": "f-1", "message": done["message"], "value": -1})).await;
    ann.until("ack").await;
    let counted = see(&north, "feedback?days=1").await["feedback"].clone();
    assert_eq!(counted.as_array().unwrap().len(), 1, "{counted}");
    assert_eq!((&counted[0]["good"], &counted[0]["bad"]), (&json!(0), &json!(1)));
    assert_eq!(counted[0]["day"], json!(Timestamp::now().to_string()[..10]));
    assert_eq!(see(&root, "feedback?tenant=south").await["feedback"], json!([]));
}

#[tokio::test]
async fn who_administers_all_has_the_gateway_end_as_a_signal_does() {
    let (upstream, gate) = Upstream::gated("To the end. ", 2).await;
    let set_up =
        Setup::with_upstream(&upstream.url).set("REQUIRE_AUTHENTICATION", "true").set("JWT_SECRET_KEY", SECRET);
    let mut gateway = set_up.start().await;
    let mut ann = Client::connect_as(&gateway.socket(""), &of("north", "ann", "chat")).await;
    ann.say("Go on.").await;
    ann.deltas(1).await;
    let drain = async |gateway: &TestGateway, token: Option<&str>| {
        call(gateway, Method::POST, "/api/v1/admin/drain", token, Value::Null).await
    };
    assert_eq!(drain(&gateway, Some(&of("north", "boss", "admin"))).await.0, 403);
    assert_eq!(gateway.get("/ready").await.0, 200);

    let root = of("ops", "root", "admin:tenants");
    let (status, said) = drain(&gateway, Some(&root)).await;
    assert_eq!((status, &said["draining"]), (202, &json!(true)));
    ann.until("goaway").await;
    assert_eq!(gateway.get("/ready").await.0, 503);
    assert_eq!(drain(&gateway, Some(&root)).await.0, 202, "twice is once");
    gate.open();
    assert_eq!(ann.answer().await.status(), "complete");
    assert_eq!(ann.close_code().await, 1001);
    assert_eq!(gateway.exit_code().await, Some(0));
    let audit = gateway.kill().await.start().await;
    let (_, page) = get(&audit, "/api/v1/admin/audit", &root).await;
    assert_eq!(page["entries"][0]["action"], "POST /api/v1/admin/drain", "{page}");
}

#[tokio::test]
async fn nobody_in_particular_ends_nothing() {
    let gateway = Setup::bare().start().await;
    let (status, _) = gateway.post("/api/v1/admin/drain", Value::Null).await;
    assert_eq!(status, 401);
    assert_eq!(gateway.get("/ready").await.0, 200);
    let (status, page) = gateway.get("/api/v1/admin/sessions").await;
    assert_eq!((status, &page["sessions"]), (200, &json!([])), "where nobody is anybody, everybody looks");
    assert_eq!(gateway.get("/api/v1/auth").await.1, json!({"required": false}));
}

#[tokio::test]
async fn anybody_may_know_how_to_sign_in() {
    let url = "https://login.example/in?app=chat";
    let gateway = setup().set("RIVULET_AUTH_SIGN_IN_URL", url).start().await;
    assert_eq!(gateway.get("/api/v1/auth").await, (200, json!({"required": true, "sign_in_url": url})));
}
