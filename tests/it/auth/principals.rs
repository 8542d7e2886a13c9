//! What one principal sees of another: nothing.

use std::collections::{BTreeMap, BTreeSet};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;
use crate::harness::Seed;

#[tokio::test]
async fn where_it_is_not_required_tokens_still_count() {
    let gateway = Setup::bare().set("JWT_SECRET_KEY", SECRET).start().await;
    let ann = token("ann");
    let mut nobody = gateway.connect().await;
    nobody.ask("one").await;
    let mut own = Client::connect_as(&gateway.socket(""), &ann).await;
    own.ask("two").await;
    let ids =
        |list: &Value| list["sessions"].as_array().unwrap().iter().map(|s| s["session_id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&gateway.get("/api/v1/sessions").await.1), [json!(nobody.session())]);
    assert_eq!(ids(&get(&gateway, "/api/v1/sessions", &ann).await.1), [json!(own.session())]);
    assert_eq!(knock(&gateway.socket(&own.session()), &[]).await, 404);
    assert_eq!(knock(&gateway.socket(&nobody.session()), &[bearer(&ann)]).await, 404);

    assert_eq!(get(&gateway, "/api/v1/sessions", "a.b.c").await.0, 401, "a credential that is there must be valid");
    assert_eq!(knock(&gateway.socket(""), &[bearer("a.b.c")]).await, 401);
    assert_eq!(knock(&format!("{}?ticket=tk_x", gateway.socket("")), &[]).await, 401);
    let (status, ticket) = gateway.post("/api/v1/tickets", Value::Null).await;
    assert_eq!(status, 201);
    let url = format!("{}?ticket={}", gateway.socket(&nobody.session()), ticket["ticket"].as_str().unwrap());
    Client::connect(&url).await;
    nobody.tell(json!({"type": "auth", "token": ann})).await;
    assert_eq!(nobody.until("error").await["code"], "forbidden", "a socket does not change hands");
    nobody.tell(json!({"type": "hello", "token": "a.b.c"})).await;
    assert_eq!(nobody.close_code().await, 4001);
    assert_eq!(gateway.post("/auth/token", json!({"user": "ann"})).await.0, 401);

    // What was made in the open is out of reach once authentication is required.
    let (id, setup) = (own.session(), gateway.kill().await);
    let gateway = setup.set("REQUIRE_AUTHENTICATION", "true").start().await;
    assert_eq!(get(&gateway, &format!("/api/v1/sessions/{id}"), &ann).await.0, 200);
    assert_eq!(get(&gateway, &format!("/api/v1/sessions/{}", nobody.session()), &ann).await.0, 404);
}

/// What a session is called is no secret; whose it is counts before anything is stored, too.
#[tokio::test]
async fn a_session_in_which_nothing_was_said_is_its_makers_alone() {
    for (setup, is_open) in [(setup(), false), (Setup::bare().set("JWT_SECRET_KEY", SECRET), true)] {
        let gateway = setup.start().await;
        let ann = token("ann");
        let strangers = [token("ben"), with(json!({"sub": "ann", "tenant": "else", "exp": now() + 3600}))];
        let strangers = strangers.iter().map(|token| Some(token.as_str())).chain(is_open.then_some(None));
        let mut own = Client::connect_as(&gateway.socket(""), &ann).await;
        let (id, epoch) = (own.session(), own.welcome["epoch"].as_str().unwrap().to_owned());
        let path = format!("/api/v1/sessions/{id}");
        for stranger in strangers {
            for (method, path, body) in [
                (Method::GET, path.clone(), Value::Null),
                (Method::GET, format!("{path}/events"), Value::Null),
                (Method::POST, format!("{path}/messages"), json!({"id": "m", "text": "not mine"})),
                (Method::POST, format!("{path}/runs/r_x/stop"), Value::Null),
                (Method::POST, "/api/v1/chat".to_owned(), json!({"message": "not mine", "session_id": id})),
                (Method::DELETE, path.clone(), Value::Null),
            ] {
                let (status, problem) = call(&gateway, method.clone(), &path, stranger, body).await;
                assert_eq!((status, &problem["code"]), (404, &json!("not_found")), "{method} {path}");
            }
            let headers: Vec<_> = stranger.map(bearer).into_iter().collect();
            for cursor in [String::new(), format!("?resume={epoch}:0")] {
                assert_eq!(knock(&format!("{}{cursor}", gateway.socket(&id)), &headers).await, 404);
            }
            let (_, list) = call(&gateway, Method::GET, "/api/v1/sessions", stranger, Value::Null).await;
            assert_eq!(list["sessions"], json!([]));
        }
        assert_eq!(get(&gateway, &path, &ann).await.1["message_count"], 0, "nothing came of it");
        assert_eq!(own.ask("mine").await.status(), "complete");
        assert_eq!(get(&gateway, &path, &ann).await.1["message_count"], 2);
    }
}

/// One principal of several who try everything on each other's sessions.
struct User {
    name: &'static str,
    token: String,
    canary: String,
}

#[tokio::test]
async fn principals_never_see_each_others_sessions() {
    let seed = Seed::new();
    let mut random = StdRng::seed_from_u64(seed.0);
    let (gateway, mut neighbour) = beside(setup()).await;
    let user = |name: &'static str, tenant: &str, sub: &str| User {
        name,
        token: with(json!({"sub": sub, "tenant": tenant, "exp": now() + 3600, "scope": "admin"})),
        canary: format!("canary-{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 12]>())),
    };
    let users = [user("ann", "acme", "ann"), user("ben", "acme", "ben"), user("other ann", "else", "ann")];
    // Sessions and whose they are; `None` when deleted. In the order of their making, for their ids differ each time.
    let mut sessions: Vec<(String, Option<usize>)> = vec![("s_none".to_owned(), None)];
    let mut refused: BTreeMap<&str, Value> = BTreeMap::new();
    for step in 0..400 {
        let me = random.random_range(0..users.len());
        let User { name, token, canary } = &users[me];
        let chosen = random.random_range(0..sessions.len());
        let (id, owner) = sessions[chosen].clone();
        let own = owner == Some(me);
        let path = format!("/api/v1/sessions/{id}");
        let op = if sessions.len() < 6 { 0 } else { random.random_range(0..20) };
        let (op, (status, mut answer)) = match op {
            0 => {
                let body = json!({"metadata": {"note": canary}});
                let made = call(&gateway, Method::POST, "/api/v1/sessions", Some(token), body).await;
                sessions.push((made.1["session_id"].as_str().unwrap().to_owned(), Some(me)));
                ("create", made)
            }
            1 => {
                let body = json!({"title": format!("{canary} {step}")});
                ("rename", call(&gateway, Method::PATCH, &path, Some(token), body).await)
            }
            2 => ("search", get(&gateway, "/api/v1/sessions?limit=200&q=canary", token).await),
            3 => ("list", get(&gateway, "/api/v1/sessions?limit=200", token).await),
            4 => ("list before", get(&gateway, &format!("/api/v1/sessions?limit=200&before={id}"), token).await),
            5..8 => ("show", get(&gateway, &path, token).await),
            8 => ("delete", call(&gateway, Method::DELETE, &path, Some(token), Value::Null).await),
            9..12 => {
                let body = json!({"text": format!("{canary} {step}"), "mode": "queue"});
                ("send", call(&gateway, Method::POST, &format!("{path}/messages"), Some(token), body).await)
            }
            12 | 13 => {
                let body = json!({"message": format!("{canary} {step}"), "session_id": id});
                ("chat", call(&gateway, Method::POST, "/api/v1/chat", Some(token), body).await)
            }
            14 => {
                ("stop", call(&gateway, Method::POST, &format!("{path}/runs/r_x/stop"), Some(token), Value::Null).await)
            }
            15 | 16 if !own => ("events", get(&gateway, &format!("{path}/events"), token).await),
            15 | 16 => continue, // An event stream does not end by itself.
            _ => {
                let headers = [bearer(token)];
                let status = knock(&gateway.socket(&id), &headers).await;
                if status == 101 {
                    let mut client = Client::connect_as(&gateway.socket(&id), token).await;
                    let seen = match client.welcome["recovered"].as_str() {
                        Some("snapshot") => client.until("snapshot").await,
                        _ => Value::Null,
                    };
                    ("socket", (200, seen))
                } else {
                    ("socket", (status, Value::Null))
                }
            }
        };
        let said = answer.to_string();
        for other in users.iter().filter(|other| other.name != *name) {
            assert!(!said.contains(&other.canary), "step {step}: {op} shows {name} what {} said: {said}", other.name);
        }
        if matches!(op, "create" | "list" | "search") {
            assert!(matches!(status, 200 | 201), "step {step}: {op}: {answer}");
            let listed = answer["sessions"].as_array().into_iter().flatten().map(|s| s["session_id"].as_str().unwrap());
            let owned = sessions.iter().filter(|(_, owner)| *owner == Some(me)).map(|(id, _)| id.as_str());
            if op == "list" {
                let (listed, owned): (BTreeSet<_>, BTreeSet<_>) = (listed.collect(), owned.collect());
                assert_eq!(listed, owned, "step {step}");
            } else if op == "search" {
                let owned: BTreeSet<_> = owned.collect();
                assert!(listed.into_iter().all(|id| owned.contains(id)), "step {step}");
            }
        } else if own {
            assert_ne!(status, 404, "step {step}: {op} of one's own: {answer}");
            if op == "delete" {
                sessions[chosen].1 = None;
            }
        } else {
            assert_eq!(status, 404, "step {step}: {op} of somebody else's: {answer}");
            if let Some(problem) = answer.as_object_mut() {
                problem.remove("request_id");
                let first = refused.entry(op).or_insert_with(|| answer.clone());
                assert_eq!(*first, answer, "somebody else's, deleted and never made look the same");
            }
        }
        if step % 2 == 0 {
            neighbour.goes_on().await;
        }
    }
    neighbour.has_all().await;
}

/// Everything in a session has an id, which somebody may have seen; in another session it names nothing.
#[tokio::test]
async fn ids_out_of_somebody_elses_session_name_nothing() {
    let (gateway, mut neighbour) = beside(setup()).await;
    let (ann, ben) = (token("ann"), token("ben"));
    let mut hers = Client::connect_as(&gateway.socket(""), &ann).await;
    let answer = hers.ask("canary-of-ann").await;
    let (session, cursor) = (hers.session(), hers.memory.cursor());
    let (run, message) = (answer.done["run"].clone(), answer.done["message"].clone());

    let mut his = Client::connect_as(&gateway.socket(""), &ben).await;
    his.ask("something").await;
    for (frame, code) in [
        (json!({"type": "sync", "run": run, "off": 0}), "not_found"),
        (json!({"type": "stop", "run": run}), "run_not_active"),
        (json!({"type": "stop", "message": "q1"}), "run_not_active"),
        (json!({"type": "regenerate", "message": message}), "not_found"),
        (json!({"type": "edit", "message": message, "text": "mine"}), "not_found"),
        (json!({"type": "feedback", "message": message, "value": 1}), "not_found"),
    ] {
        his.tell(frame.clone()).await;
        let error = his.until("error").await;
        assert_eq!(error["code"], code, "{frame}: {error}");
        assert!(!error.to_string().contains("canary"), "{error}");
        neighbour.goes_on().await;
    }
    his.tell(json!({"type": "hello", "resume": cursor})).await;
    assert_eq!(his.until("welcome").await["recovered"], "snapshot");
    assert!(!his.until("snapshot").await.to_string().contains("canary"));

    let own = format!("/api/v1/sessions/{}", his.session());
    let run = run.as_str().unwrap();
    for (method, path, status) in [
        (Method::POST, format!("{own}/runs/{run}/stop"), 409),
        (Method::GET, format!("/api/v1/sessions/{session}/"), 404),
        (Method::GET, format!("/api/v1/sessions/{session}%00"), 404),
        (Method::GET, format!("/api/v1//sessions/{session}"), 404),
        (Method::GET, format!("/api/v1/sessions/{}", session.to_uppercase()), 404),
        (Method::POST, format!("/api/v1/sessions/{session}"), 405),
        (Method::PUT, format!("/api/v1/sessions/{session}"), 405),
        (Method::GET, "/api/v1/sessions?before=%25".to_owned(), 404),
        (Method::GET, "/api/v1/sessions?before=s_%5F".to_owned(), 404),
        (Method::GET, "/api/v1/sessions?before='%20OR%20''='".to_owned(), 404),
        (Method::GET, "/api/v1/sessions?before=%00".to_owned(), 404),
    ] {
        let request = reqwest::Client::new().request(method.clone(), gateway.url(&path)).bearer_auth(&ben);
        let request = request.header("x-http-method-override", "DELETE").json(&json!({}));
        let (found, said) = TestGateway::answer(request).await;
        assert_eq!(found, status, "{method} {path}: {said}");
        assert!(!said.to_string().contains("canary"), "{said}");
    }
    // By the same key each of them repeats what is their own.
    let repeated = async |token: &str, text: &str| {
        let request = reqwest::Client::new().post(gateway.url("/api/v1/chat")).bearer_auth(token);
        TestGateway::answer(request.header("idempotency-key", "q1").json(&json!({"message": text}))).await
    };
    let ((status, first), (other_status, other)) =
        (repeated(&ann, "canary-of-ann").await, repeated(&ben, "mine").await);
    assert_eq!((status, other_status), (200, 200), "no conflict tells that a key was used: {other}");
    assert_ne!(first["session_id"], other["session_id"]);
    assert_eq!(repeated(&ann, "canary-of-ann").await.1, first);
    assert_eq!(hers.ask("still here?").await.status(), "complete");
    neighbour.has_all().await;
}
