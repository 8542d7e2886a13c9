//! API keys, and what is taken back: it opens nothing any more, and closes what it had opened within a second.

use tokio::{task::JoinSet, time::Instant};

use super::*;

/// How soon what was open is closed.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);

async fn said(setup: &Setup, arguments: &[&str]) -> String {
    let output = setup.output(arguments).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn admin(tenant: &str) -> String {
    with(json!({"sub": "root", "tenant": tenant, "scope": "admin", "exp": now() + 3600}))
}

fn made_at(user: &str, iat: u64) -> String {
    with(json!({"sub": user, "iat": iat, "exp": now() + 3600}))
}

/// The close code, and that it came in time.
async fn closed_in_time(client: &mut Client, since: Instant) -> u16 {
    let code = client.close_code().await;
    assert!(since.elapsed() < CLOSED_WITHIN, "{:?}", since.elapsed());
    code
}

#[tokio::test]
async fn a_key_is_shown_once_and_good_until_it_is_taken_back() {
    let setup = setup();
    let key = said(&setup, &["api-key", "new", "--name", "crm", "--scope", "chat"]).await;
    let id = key.split('_').nth(1).unwrap().to_owned();
    assert!(key.starts_with("rk_") && key.len() == 64, "{key}");
    let (gateway, mut neighbour) = beside(setup).await;
    let listed = said(&gateway.setup(), &["api-key", "list"]).await;
    assert!(listed.contains(&id) && listed.contains("crm") && listed.contains("never used"), "{listed}");
    assert!(!listed.contains(&key[20..]), "only the beginning of it is known");

    assert_eq!(get(&gateway, "/api/v1/sessions", &key).await.0, 200);
    assert_eq!(get(&gateway, "/v1/models", &key).await.0, 200);
    assert_eq!(get(&gateway, "/api/v1/documents", &key).await.0, 403, "its scopes hold");
    let mut socket = Client::connect_as(&gateway.socket(""), &key).await;
    assert_eq!(socket.ask("Who am I?").await.status(), "complete");
    let ticket = call(&gateway, Method::POST, "/api/v1/tickets", Some(&key), Value::Null).await.1;
    let ticket = format!("{}?ticket={}", gateway.socket(&socket.session()), ticket["ticket"].as_str().unwrap());
    let other =
        said(&gateway.setup(), &["api-key", "new", "--name", "other", "--user", "crm", "--scope", "chat"]).await;
    let mut sibling = Client::connect_as(&gateway.socket(""), &other).await;
    let listed: Value = serde_json::from_str(&said(&gateway.setup(), &["api-key", "list", "--json"]).await).unwrap();
    assert!(listed[0]["used_at"].is_string() && listed[0]["revoked_at"].is_null(), "{listed}");

    said(&gateway.setup(), &["api-key", "revoke", &id]).await;
    assert_eq!(socket.close_code().await, 4010);
    neighbour.goes_on().await;
    assert_eq!(get(&gateway, "/api/v1/sessions", &key).await.0, 401);
    assert_eq!(knock(&ticket, &[]).await, 401, "nor what was made with it");
    assert_eq!(sibling.ask("And I?").await.status(), "complete", "another key of the same user");
    neighbour.has_all().await;
    let failed = gateway.setup().output(&["api-key", "revoke", "000000000000"]).await;
    assert!(!failed.status.success() && String::from_utf8_lossy(&failed.stderr).contains("no such API key"));

    let gateway = gateway.kill().await.start().await;
    assert_eq!(get(&gateway, "/api/v1/sessions", &key).await.0, 401, "also after a crash");
    assert_eq!(get(&gateway, "/api/v1/sessions", &other).await.0, 200);
    for file in walk(gateway.setup().data.path()) {
        let bytes = std::fs::read(&file).unwrap_or_default();
        assert!(!bytes.windows(key.len()).any(|part| part == other.as_bytes()), "{} has a key", file.display());
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn keys_end_and_belong_to_tenants() {
    let gateway = setup().start().await;
    let (north, south) = (admin("north"), admin("south"));
    let make = async |admin: &str, wish: Value| {
        call(&gateway, Method::POST, "/api/v1/admin/api-keys", Some(admin), wish).await
    };
    let (status, made) = make(&north, json!({"name": "n", "expires_in_s": 1})).await;
    assert_eq!((status, &made["user"], &made["tenant"]), (201, &json!("root"), &json!("north")));
    let (key, id) = (made["key"].as_str().unwrap(), made["id"].as_str().unwrap());
    soon("its end", async { while get(&gateway, "/api/v1/sessions", key).await.0 != 401 {} }).await;
    let list = async |admin: &str, query: &str| {
        let (status, listed) = get(&gateway, &format!("/api/v1/admin/api-keys{query}"), admin).await;
        (status, listed["api_keys"].as_array().map(Vec::len))
    };
    assert_eq!((list(&north, "").await, list(&south, "").await), ((200, Some(1)), (200, Some(0))));
    assert_eq!(list(&south, "?tenant=north").await, (403, None));
    let path = format!("/api/v1/admin/api-keys/{id}");
    assert_eq!(call(&gateway, Method::DELETE, &path, Some(&south), Value::Null).await.0, 404, "of another tenant");
    assert_eq!(call(&gateway, Method::DELETE, &path, Some(&north), Value::Null).await.0, 204);
    for (wish, status) in [
        (json!({}), 400),
        (json!({"name": ""}), 400),
        (json!({"name": "a\nb"}), 400),
        (json!({"name": "n".repeat(101)}), 400),
        (json!({"name": "n", "expires_in_s": 0}), 400),
        (json!({"name": "n", "user": ""}), 400),
        (json!({"name": "n", "tenant": "south"}), 403),
        (json!({"name": "n", "scopes": ["admin:tenants"]}), 403),
    ] {
        assert_eq!(make(&north, wish.clone()).await.0, status, "{wish}");
    }
    for bad in ["rk_", "rk_000000000000_", &key.replace("rk_", "rk_0"), &format!("{key}0"), &key.to_uppercase()] {
        assert_eq!(get(&gateway, "/api/v1/sessions", bad).await.0, 401, "{bad}");
    }
}

#[tokio::test]
async fn tokens_that_were_taken_back_close_what_they_had_opened() {
    let (gateway, mut neighbour) = Neighbour::in_step(setup(), async |_| Some(token("neighbour"))).await;
    let (ann, ben) = (made_at("ann", now() - 5), made_at("ben", now() - 5));
    let undated = with(json!({"sub": "ann", "exp": now() + 3600}));
    let root = with(json!({"sub": "root", "scope": "admin", "exp": now() + 3600}));
    let mut anns = Client::connect_as(&gateway.socket(""), &ann).await;
    let mut bens = Client::connect_as(&gateway.socket(""), &ben).await;
    anns.say("Go on.").await;
    anns.deltas(1).await;
    let events = format!("/api/v1/sessions/{}/events", anns.session());
    let events = reqwest::Client::new().get(gateway.url(&events)).bearer_auth(&ann).send().await.unwrap();
    assert_eq!(events.status(), 200);
    let ask =
        |path: &str, body: Value| reqwest::Client::new().post(gateway.url(path)).bearer_auth(&ann).json(&body).send();
    let asked = json!({"model": "m", "messages": [{"role": "user", "content": "Go on."}]});
    let told = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "Go on."}]});
    let mut told = ask("/v1/chat/completions", told).await.unwrap();
    soon("its beginning", told.chunk()).await.unwrap().unwrap();
    let whole = [ask("/v1/chat/completions", asked), ask("/api/v1/chat", json!({"message": "Go on."}))];
    let mut whole: JoinSet<_> = whole.into_iter().collect();
    neighbour.model().wait_until(|counts| counts.open == 5).await;

    let begun = Instant::now();
    let revoke = async |admin: &str, whose: Value| {
        call(&gateway, Method::POST, "/api/v1/admin/revocations", Some(admin), whose).await.0
    };
    assert_eq!(revoke(&ben, json!({"user": "ann"})).await, 403);
    assert_eq!(revoke(&root, json!({"user": "ann", "tenant": "north"})).await, 403);
    assert_eq!(revoke(&root, json!({"user": ""})).await, 400);
    assert_eq!(revoke(&root, json!({"user": "ann"})).await, 204);
    assert_eq!(closed_in_time(&mut anns, begun).await, 4010, "in the middle of an answer");
    neighbour.goes_on().await;
    assert_eq!(anns.try_frame().await, None, "not a word of what is written on");
    let told = soon("the end of a completion", told.text()).await.unwrap();
    let error: Value = serde_json::from_str(told.trim().rsplit("data: ").next().unwrap()).unwrap();
    assert_eq!(error["error"]["code"], "unauthenticated", "{told}");
    assert!(!told.contains("[DONE]") && !told.contains("finish_reason\":\"stop"), "{told}");
    while let Some(answer) = soon("a refusal", whole.join_next()).await {
        assert_eq!(answer.unwrap().unwrap().status(), 401);
    }
    assert!(begun.elapsed() < 3 * CLOSED_WITHIN, "{:?}", begun.elapsed());
    // What nobody stores is not written on; what belongs to her conversations is.
    neighbour.model().wait_until(|counts| (counts.cancelled, counts.open) == (2, 3)).await;
    let rest = soon("the end of the events", events.text()).await.unwrap();
    assert!(begun.elapsed() < 3 * CLOSED_WITHIN && !rest.contains("run.done"), "{rest}");
    for token in [&ann, &undated] {
        assert_eq!(get(&gateway, "/api/v1/sessions", token).await.0, 401);
    }
    neighbour.has_all().await;
    assert_eq!(bens.ask("And I?").await.status(), "complete");
    let later = made_at("ann", now() + 2);
    assert_eq!(get(&gateway, "/api/v1/sessions", &later).await.0, 200, "who signs in anew comes in");

    assert_eq!(revoke(&root, json!({})).await, 204, "everybody of the tenant");
    assert_eq!(closed_in_time(&mut bens, Instant::now()).await, 4010);
    let gateway = gateway.kill().await.start().await;
    assert_eq!(get(&gateway, "/api/v1/sessions", &ben).await.0, 401, "also after a crash");
    let north = with(json!({"sub": "ann", "tenant": "north", "exp": now() + 3600}));
    assert_eq!(get(&gateway, "/api/v1/sessions", &north).await.0, 200, "another tenant's");
}

#[tokio::test]
async fn one_token_is_taken_back_and_the_users_others_stay() {
    let (gateway, mut neighbour) = beside(setup()).await;
    let (root, south) = (admin("default"), admin("south"));
    let make = async |user: &str| {
        let (status, made) = call(&gateway, Method::POST, "/auth/token", Some(&root), json!({"user": user})).await;
        assert_eq!(status, 200);
        (made["token"].as_str().unwrap().to_owned(), made["jti"].as_str().unwrap().to_owned())
    };
    let ((phone, _), (desk, named), (shown, _)) = (make("ann").await, make("ann").await, make("ann").await);
    let foreign = with(json!({"sub": "ann", "exp": now() + 3600}));
    let mut sockets = Vec::new();
    for token in [&phone, &desk, &shown, &foreign] {
        sockets.push(Client::connect_as(&gateway.socket(""), token).await);
    }
    sockets[0].ask("one").await;
    let path = format!("/api/v1/sessions/{}/events", sockets[0].session());
    let events = reqwest::Client::new().get(gateway.url(&path)).bearer_auth(&phone).send().await.unwrap();
    let ticket = call(&gateway, Method::POST, "/api/v1/tickets", Some(&phone), Value::Null).await.1;
    let ticket = format!("{}?ticket={}", gateway.socket(""), ticket["ticket"].as_str().unwrap());

    let begun = Instant::now();
    assert_eq!(call(&gateway, Method::POST, "/auth/revoke", Some(&phone), Value::Null).await.0, 204, "she signs out");
    assert_eq!(closed_in_time(&mut sockets[0], begun).await, 4010);
    soon("the end of the events", events.text()).await.unwrap();
    assert!(begun.elapsed() < 3 * CLOSED_WITHIN);
    assert_eq!((get(&gateway, "/api/v1/sessions", &phone).await.0, knock(&ticket, &[]).await), (401, 401));
    assert_eq!(call(&gateway, Method::POST, "/auth/revoke", Some(&phone), Value::Null).await.0, 401);
    assert_eq!(sockets[1].ask("two").await.status(), "complete", "her other tokens stay");

    let revoke = async |admin: &str, which: Value| {
        call(&gateway, Method::POST, "/api/v1/admin/revocations", Some(admin), which).await.0
    };
    assert_eq!(revoke(&south, json!({"jti": named})).await, 204, "names are a tenant's");
    assert_eq!(get(&gateway, "/api/v1/sessions", &desk).await.0, 200);
    assert_eq!(revoke(&south, json!({"token": desk})).await, 403);
    assert_eq!(revoke(&south, json!({"jti": named, "tenant": "default"})).await, 403);
    for wrong in [
        json!({"jti": ""}),
        json!({"jti": "j".repeat(5000)}),
        json!({"jti": named, "user": "ann"}),
        json!({"jti": named, "token": desk}),
        json!({"token": "a.b.c"}),
        json!({"token": phone}),
        json!({"token": "rk_x"}),
    ] {
        assert_eq!(revoke(&root, wrong.clone()).await, 400, "{wrong}");
    }
    neighbour.goes_on().await;
    let begun = Instant::now();
    assert_eq!(revoke(&root, json!({"jti": named})).await, 204);
    assert_eq!(closed_in_time(&mut sockets[1], begun).await, 4010);
    for (token, socket) in [(&shown, 2), (&foreign, 3)] {
        let begun = Instant::now();
        assert_eq!(revoke(&root, json!({"token": token})).await, 204, "one without a name, too");
        assert_eq!(closed_in_time(&mut sockets[socket], begun).await, 4010);
        neighbour.goes_on().await;
    }
    neighbour.has_all().await;
    let (key, later) = (said(&gateway.setup(), &["api-key", "new", "--name", "k"]).await, make("ann").await.0);
    assert_eq!(call(&gateway, Method::POST, "/auth/revoke", Some(&key), Value::Null).await.0, 403, "a key is no token");
    let gateway = gateway.kill().await.start().await;
    for (token, status) in [(&phone, 401), (&desk, 401), (&shown, 401), (&foreign, 401), (&later, 200), (&key, 200)] {
        assert_eq!(get(&gateway, "/api/v1/sessions", token).await.0, status, "also after a crash");
    }
}

#[tokio::test]
async fn a_secret_is_changed_and_nobody_signs_in_again() {
    let gateway = setup().start().await;
    let old = token("ann");
    let mut socket = Client::connect_as(&gateway.socket(""), &old).await;
    socket.ask("one").await;
    let rotating =
        gateway.kill().await.set("JWT_SECRET_KEY", NEW_SECRET).set("RIVULET_AUTH_PREVIOUS_JWT_SECRET", SECRET);
    let check = rotating.output(&["check"]).await;
    let check = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(check.contains("auth.previous_jwt_secret is set") && !check.contains(SECRET), "{check}");
    let new = said(&rotating, &["token", "--user", "ann"]).await;
    let gateway = rotating.start().await;
    for token in [&old, &new] {
        assert_eq!(get(&gateway, &format!("/api/v1/sessions/{}", socket.session()), token).await.0, 200);
    }
    let gateway = gateway.kill().await.set("RIVULET_AUTH_PREVIOUS_JWT_SECRET", "").start().await;
    assert_eq!(get(&gateway, "/api/v1/sessions", &old).await.0, 401);
    assert_eq!(get(&gateway, "/api/v1/sessions", &new).await.0, 200);
    let production = setup().set("ENVIRONMENT", "production");
    for (previous, named) in [("short", "auth.previous_jwt_secret has fewer than 32"), (SECRET, "is the same")] {
        let output = production.clone().set("RIVULET_AUTH_PREVIOUS_JWT_SECRET", previous).output(&["serve"]).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(named) && !said.contains(SECRET), "{said}");
    }
}

#[tokio::test]
async fn what_is_done_is_noted_for_who_administers_the_tenant() {
    let setup = setup();
    said(&setup, &["api-key", "new", "--name", "offline", "--tenant", "north"]).await;
    let gateway = setup.start().await;
    let (north, south) = (admin("north"), admin("south"));
    let make = async |token: &str| {
        call(&gateway, Method::POST, "/api/v1/admin/api-keys", Some(token), json!({"name": "n"})).await
    };
    assert_eq!(make(&token("eve")).await.0, 403);
    let (status, made) = make(&north).await;
    assert_eq!(status, 201);
    let path = format!("/api/v1/admin/api-keys/{}", made["id"].as_str().unwrap());
    assert_eq!(call(&gateway, Method::DELETE, &path, Some(&south), Value::Null).await.0, 404);
    assert_eq!(call(&gateway, Method::DELETE, &path, Some(&north), Value::Null).await.0, 204);
    assert_eq!(call(&gateway, Method::POST, "/auth/token", Some(&north), json!({"user": "ben"})).await.0, 200);
    let audit = async |token: &str, query: &str| {
        let (status, page) = get(&gateway, &format!("/api/v1/admin/audit{query}"), token).await;
        assert_eq!(status, 200, "{page}");
        page
    };
    let page = audit(&north, "").await;
    let told: Vec<_> = page["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            (text("user"), text("action"), text("target"), text("address"))
        })
        .collect();
    let by_root =
        |action: &str, target: &str| ("root".to_owned(), action.to_owned(), target.to_owned(), "127.0.0.1".to_owned());
    let offline = ("rivulet api-key", "api-key new", "offline", "");
    assert_eq!(
        told,
        [
            by_root("POST /auth/token", "/auth/token"),
            by_root("DELETE /api/v1/admin/api-keys/{id}", path.trim_start_matches("/api/v1")),
            by_root("POST /api/v1/admin/api-keys", "/admin/api-keys"),
            (offline.0.into(), offline.1.into(), offline.2.into(), offline.3.into()),
        ]
    );
    assert_eq!(
        audit(&south, "").await["entries"],
        json!([]),
        "nothing of another tenant, and nothing that was refused"
    );
    let first = audit(&north, "?limit=1").await;
    assert_eq!((first["entries"].as_array().unwrap().len(), &first["more"]), (1, &json!(true)));
    let rest = audit(&north, &format!("?before={}", first["entries"][0]["number"])).await;
    assert_eq!((rest["entries"].as_array().unwrap().len(), &rest["more"]), (3, &json!(false)));
    let found = audit(&north, "?words=ROOT+delete").await;
    assert_eq!((&found["entries"][0], found["entries"].as_array().unwrap().len()), (&page["entries"][1], 1));
    assert_eq!((&found["more"], &found["next"]), (&json!(false), &Value::Null));
    assert_eq!(audit(&north, "?words=root&limit=1").await["next"], first["entries"][0]["number"]);
    assert_eq!(audit(&south, "?words=root").await["entries"], json!([]));
    let long = format!("?words={}", "x".repeat(201));
    for (query, status) in [("?tenant=south", 403), ("?limit=0", 400), (&long, 400)] {
        assert_eq!(get(&gateway, &format!("/api/v1/admin/audit{query}"), &north).await.0, status);
    }
    assert_eq!(get(&gateway, "/api/v1/admin/audit", &token("ann")).await.0, 403);
    assert!(!page.to_string().contains(made["key"].as_str().unwrap()));
}
