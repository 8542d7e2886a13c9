//! Threats to several gateways with one database and one Redis: what is kept from somebody at one gateway is kept from them at
//! all, and a neighbour, whose answer one gateway writes and another one shows, does not notice.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Client as Http, Method};
use rivulet::mock_llm::Fault;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    auth::{self, bearer, call, get, knock, now, token, with},
    harness::{Client, Neighbour, SHARED_REDIS, Setup, TestGateway, soon},
    together::gateways,
};

/// How soon what is taken back is closed, at whichever gateway.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);

/// Three gateways, and a neighbour whose answer the first one writes and the second one shows. Others are answered like
/// this.
async fn beside(setup: Setup, others: Vec<Fault>) -> ([TestGateway; 3], Neighbour) {
    let (setup, expected) = Neighbour::expected(setup, others).await;
    let gateways = gateways(setup, &SHARED_REDIS.fresh()).await;
    let own = token("neighbour");
    let mut neighbour = expected.comes(&gateways[0], Some(&own)).await;
    neighbour.goes_to(&gateways[1], Some(&own)).await;
    neighbour.goes_on().await;
    (gateways, neighbour)
}

#[tokio::test]
async fn what_is_taken_back_at_one_gateway_ends_within_a_second_at_all() {
    let ([a, b, c], mut neighbour) = beside(auth::setup(), Vec::new()).await;
    let ann = with(json!({"sub": "ann", "iat": now() - 5, "exp": now() + 3600}));
    let root = with(json!({"sub": "root", "scope": "admin", "exp": now() + 3600}));
    let mut here = Client::connect_as(&a.socket(""), &ann).await;
    here.say("Go on.").await;
    here.deltas(1).await;
    let mut there = Client::connect_as(&b.socket(&here.session()), &ann).await;
    there.until("snapshot").await;
    let events = format!("/api/v1/sessions/{}/events", here.session());
    let events = Http::new().get(b.url(&events)).bearer_auth(&ann).send().await.unwrap();
    assert_eq!(events.status(), 200);
    let asked = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "Go on."}]});
    let told = Http::new().post(b.url("/v1/chat/completions")).bearer_auth(&ann).json(&asked).send();
    let mut told = soon("a completion", told).await.unwrap();
    soon("its beginning", told.chunk()).await.unwrap().unwrap();
    let (_, ticket) = call(&b, Method::POST, "/api/v1/tickets", Some(&ann), Value::Null).await;
    neighbour.goes_on().await;

    let path = "/api/v1/admin/revocations";
    assert_eq!(call(&c, Method::POST, path, Some(&root), json!({"user": "ann"})).await.0, 204);
    let begun = Instant::now();
    for client in [&mut here, &mut there] {
        assert_eq!(client.close_code().await, 4010);
        assert!(begun.elapsed() < CLOSED_WITHIN, "{:?}", begun.elapsed());
        neighbour.goes_on().await;
        assert_eq!(client.try_frame().await, None, "not a word of what is written on");
    }
    let told = soon("the end of the completion", told.text()).await.unwrap();
    assert!(told.contains("unauthenticated") && !told.contains("[DONE]"), "{told}");
    let rest = soon("the end of the events", events.text()).await.unwrap();
    assert!(!rest.contains("run.done"), "{rest}");
    assert!(begun.elapsed() < 3 * CLOSED_WITHIN, "{:?}", begun.elapsed());
    for gateway in [&a, &b, &c] {
        assert_eq!(get(gateway, "/api/v1/sessions", &ann).await.0, 401);
        let ticket = format!("{}?ticket={}", gateway.socket(""), ticket["ticket"].as_str().unwrap());
        assert_eq!(knock(&ticket, &[]).await, 401, "nor what was made with it");
        assert_eq!(knock(&gateway.socket(&here.session()), &[bearer(&ann)]).await, 401);
        neighbour.goes_on().await;
    }
    neighbour.has_all().await;
}

/// A refusal without what is the request's own.
fn refusal((status, mut problem): (u16, Value)) -> (u16, Value) {
    problem.as_object_mut().expect("a problem").remove("request_id");
    (status, problem)
}

/// Everything that can be tried on a session.
fn operations(path: &str, id: &str) -> Vec<(Method, String, Value)> {
    vec![
        (Method::GET, path.to_owned(), Value::Null),
        (Method::GET, format!("{path}/events"), Value::Null),
        (Method::POST, format!("{path}/messages"), json!({"id": "m", "text": "not mine"})),
        (Method::POST, format!("{path}/runs/r_x/stop"), Value::Null),
        (Method::POST, "/api/v1/chat".to_owned(), json!({"message": "not mine", "session_id": id})),
        (Method::DELETE, path.to_owned(), Value::Null),
    ]
}

#[tokio::test]
async fn what_is_somebody_elses_is_theirs_alone_at_every_gateway() {
    let ([a, b, _], mut neighbour) = beside(auth::setup(), vec!["lump".parse().unwrap()]).await;
    let ann = token("ann");
    let strangers = [token("ben"), with(json!({"sub": "ann", "tenant": "else", "exp": now() + 3600}))];
    let mut hers = Client::connect_as(&a.socket(""), &ann).await;
    let answer = hers.ask("canary-of-ann").await;
    let cursor = hers.memory.cursor();
    // Shown at the other gateway, too; and one in which nothing was said yet.
    let mut shown = Client::connect_as(&b.socket(&hers.session()), &ann).await;
    assert!(shown.until("snapshot").await.to_string().contains("canary-of-ann"));
    let unsaid = Client::connect_as(&a.socket(""), &ann).await;
    for stranger in &strangers {
        for gateway in [&a, &b] {
            for id in [hers.session(), unsaid.session()] {
                let tried = operations(&format!("/api/v1/sessions/{id}"), &id);
                for ((method, path, body), (_, none, no_body)) in
                    tried.into_iter().zip(operations("/api/v1/sessions/s_none", "s_none"))
                {
                    let found = refusal(call(gateway, method.clone(), &path, Some(stranger), body).await);
                    let missing = refusal(call(gateway, method.clone(), &none, Some(stranger), no_body).await);
                    assert_eq!((found.0, &found), (404, &missing), "{method} {path}");
                }
                for resume in [String::new(), format!("?resume={cursor}")] {
                    let url = format!("{}{resume}", gateway.socket(&id));
                    assert_eq!(knock(&url, &[bearer(stranger)]).await, 404, "{url}");
                }
                neighbour.goes_on().await;
            }
            let (_, listed) = get(gateway, "/api/v1/sessions", stranger).await;
            assert!(!listed.to_string().contains(&hers.session()), "{listed}");
        }
        // Ids out of hers name nothing in another one, also where the gateway of that one is asked by another gateway.
        let mut own = Client::connect_as(&a.socket(""), stranger).await;
        own.ask("something").await;
        let mut own = Client::connect_as(&b.socket(&own.session()), stranger).await;
        own.until("snapshot").await;
        let (run, message) = (&answer.done["run"], &answer.done["message"]);
        for (frame, code) in [
            (json!({"type": "sync", "run": run, "off": 0}), "not_found"),
            (json!({"type": "stop", "run": run}), "run_not_active"),
            (json!({"type": "regenerate", "message": message}), "not_found"),
            (json!({"type": "edit", "message": message, "text": "mine"}), "not_found"),
            (json!({"type": "feedback", "message": message, "value": 1}), "not_found"),
        ] {
            own.tell(frame.clone()).await;
            let error = own.until("error").await;
            assert_eq!(error["code"], code, "{frame}: {error}");
            neighbour.goes_on().await;
        }
        own.tell(json!({"type": "hello", "resume": cursor})).await;
        assert!(!own.until("snapshot").await.to_string().contains("canary"));
    }
    let (_, session) = get(&b, &format!("/api/v1/sessions/{}", hers.session()), &ann).await;
    assert_eq!(session["message_count"], 2, "nothing came of it");
    shown.tell(json!({"type": "send", "id": "later", "text": "Still mine?"})).await;
    let [_, done] = shown.until_all(["ack", "run.done"]).await;
    assert_eq!(done["status"], "complete");
    neighbour.has_all().await;
}

#[tokio::test]
async fn who_floods_all_gateways_takes_nothing_from_others() {
    const LIMIT: usize = 30;
    let setup = auth::setup().set("RATE_LIMIT_REQUESTS", &LIMIT.to_string()).set("RATE_LIMIT_WINDOW", "3600");
    let (gateways, mut neighbour) = beside(setup, vec!["lump".parse().unwrap()]).await;
    let (ann, ben) = (token("ann"), token("ben"));
    let http = Http::new();
    let flood = (0..5 * LIMIT).map(|n| {
        let request = http.get(gateways[n % gateways.len()].url("/api/v1/sessions"));
        TestGateway::answer(request.bearer_auth(&ann))
    });
    let flood = async { join_all(flood).await };
    let beside = async {
        for _ in 0..LIMIT {
            neighbour.goes_on().await;
        }
    };
    let (answers, ()) = tokio::join!(flood, beside);
    let mut admitted = 0;
    for (status, said) in answers {
        match status {
            200 => admitted += 1,
            _ => assert_eq!((status, &said["code"]), (429, &json!("rate_limited")), "{said}"),
        }
    }
    let alone = gateways.iter().map(|gateway| gateway.metric("limits_alone_total{scope=\"requests\"}"));
    let alone = join_all(alone).await.iter().sum::<f64>() as usize;
    assert!((LIMIT..=LIMIT + alone).contains(&admitted) || alone > LIMIT, "{admitted}, {alone} alone");
    for gateway in &gateways {
        assert_eq!(get(gateway, "/api/v1/sessions", &ben).await.0, 200);
    }
    neighbour.has_all().await;
}
