//! Several gateways with one Redis: limits and tickets are those of all of them together, and when it is away, each has its
//! share.

use std::time::Duration;

use futures_util::{StreamExt, future::join_all, stream};
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use reqwest::{Client as Http, Method};
use rivulet::{
    chat::Timestamp,
    limits::quota::{Quota, TAKE},
    mock_llm::{Options, Script},
};
use serde_json::{Value, json};
use tokio::{
    task::spawn_blocking,
    time::{sleep, timeout},
};

use crate::{
    auth::{self, SECRET, call, knock, token},
    harness::{
        Client, Gate, Neighbour, Redis, SHARED, SHARED_REDIS, Seed, Setup, TestGateway, Upstream, soon, upstream,
    },
};

pub(crate) const LIMIT: usize = 30;

/// So many gateways with one database and one Redis, which know of one another.
pub(crate) async fn gateways<const N: usize>(setup: Setup, redis: &str) -> [TestGateway; N] {
    let database = SHARED.fresh().await;
    let mut gateways = Vec::new();
    for _ in 0..N {
        let own = setup.elsewhere().set("DATABASE_URL", &database).set("REDIS_URL", redis);
        gateways.push(own.start().await);
    }
    for gateway in &gateways {
        is(gateway, "ready").await;
        knows(gateway, N).await;
    }
    gateways.try_into().unwrap_or_else(|_| unreachable!("so many were started"))
}

/// Waits until it says so of what it has together with others.
pub(crate) async fn is(gateway: &TestGateway, state: &str) {
    soon("another state", async {
        while gateway.get("/health").await.1["components"]["cluster"]["state"] != state {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// Waits until it knows that there are so many.
async fn knows(gateway: &TestGateway, gateways: usize) {
    soon("all gateways", async {
        while gateway.metric("cluster_nodes").await < gateways as f64 {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

pub(crate) fn hourly() -> Setup {
    Setup::bare().set("RATE_LIMIT_REQUESTS", &LIMIT.to_string()).set("RATE_LIMIT_WINDOW", "3600")
}

/// Whoever comes from this address of the machine.
pub(crate) fn from(address: &str) -> Http {
    Http::builder().local_address(Some(address.parse().unwrap())).build().unwrap()
}

/// So many requests, at the gateways in turns and ten at a time: their statuses.
async fn ask(gateways: &[TestGateway], http: &Http, times: usize) -> Vec<u16> {
    let asked = stream::iter(0..times).map(|n| {
        let request = http.get(gateways[n % gateways.len()].url("/api/v1/sessions"));
        async move { request.send().await.unwrap().status().as_u16() }
    });
    soon("answers", asked.buffer_unordered(10).collect()).await
}

/// How many of them were let in. The limit is kept to the request, but for those that a gateway decided by itself because the
/// machine was too busy to answer it in time.
pub(crate) async fn admits_together(gateways: &[TestGateway], http: &Http) {
    let alone = || async {
        join_all(gateways.iter().map(|gateway| gateway.metric("limits_alone_total{scope=\"requests\"}"))).await
    };
    let before: f64 = alone().await.iter().sum();
    let admitted = ask(gateways, http, 2 * LIMIT).await.iter().filter(|status| **status != 429).count();
    let alone = (alone().await.iter().sum::<f64>() - before) as usize;
    assert!((LIMIT..=LIMIT + alone).contains(&admitted) || alone > LIMIT, "{admitted}, {alone} alone");
}

#[tokio::test]
async fn a_limit_is_one_of_all_gateways() {
    let redis = Redis::start(&[]);
    let gateways = gateways::<3>(hourly(), redis.url()).await;
    let here = from("127.0.0.1");
    let first = here.get(gateways[0].url("/api/v1/sessions")).send().await.unwrap();
    let second = here.get(gateways[1].url("/api/v1/sessions")).send().await.unwrap();
    for (response, left) in [(first, LIMIT - 1), (second, LIMIT - 2)] {
        let head = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(head("ratelimit-policy"), "\"requests\";q=30;w=3600");
        assert!(head("ratelimit").starts_with(&format!("\"requests\";r={left};t=")), "{}", head("ratelimit"));
    }
    admits_together(&gateways, &from("127.0.0.2")).await;

    // Who was refused is told so without asking again: a flood costs the server nothing.
    let calls = || async {
        let stats: String = redis.servers[0].command(&["INFO", "commandstats"]).await.unwrap();
        let line = stats.lines().find(|line| line.starts_with("cmdstat_evalsha:")).unwrap().to_owned();
        line.split(['=', ',']).nth(1).unwrap().parse::<u64>().unwrap()
    };
    let there = from("127.0.0.2");
    assert_eq!(ask(&gateways, &there, 6).await, [429; 6]);
    let before = calls().await;
    assert_eq!(ask(&gateways, &there, 60).await, [429; 60]);
    assert_eq!(calls().await, before);
    let refused = there.get(gateways[2].url("/api/v1/sessions")).send().await.unwrap();
    assert!((1..=120).contains(&refused.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap()));
    let ttl: Vec<String> = redis.servers[0].command(&["KEYS", "rivulet:rate:*"]).await.unwrap();
    assert_eq!(ttl.len(), 2, "one for each address");
    for key in ttl {
        let millis: i64 = redis.servers[0].command(&["PTTL", &key]).await.unwrap();
        assert!((1..=3_600_000).contains(&millis), "{millis}");
    }
}

#[tokio::test]
async fn without_redis_each_gateway_gives_its_share_until_it_is_back() {
    let mut redis = Redis::start(&[]);
    let gateways = gateways::<3>(hourly(), redis.url()).await;
    admits_together(&gateways, &from("127.0.0.2")).await;
    redis.stop();
    for gateway in &gateways {
        is(gateway, "down").await;
    }
    let there = from("127.0.0.3");
    for gateway in &gateways {
        let statuses = ask(std::slice::from_ref(gateway), &there, LIMIT).await;
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), LIMIT / 3);
    }
    assert!(gateways[0].metric("limits_alone_total{scope=\"requests\"}").await >= LIMIT as f64);
    let used = ask(&gateways, &from("127.0.0.2"), 6).await;
    assert_eq!(used, [429; 6], "what was let in before counts");
    redis.go_on();
    for gateway in &gateways {
        is(gateway, "ready").await;
    }
    admits_together(&gateways, &from("127.0.0.4")).await;

    // It comes back empty, and knows no script.
    redis.kill();
    for gateway in &gateways {
        is(gateway, "down").await;
    }
    let mut redis = spawn_blocking(move || {
        redis.start_again();
        redis
    })
    .await
    .unwrap();
    for gateway in &gateways {
        is(gateway, "ready").await;
    }
    admits_together(&gateways, &from("127.0.0.5")).await;
    redis.kill();
}

#[tokio::test]
async fn messages_are_counted_together_and_repetitions_are_not() {
    let model = upstream(Options { script: Script::new("Yes."), rate: 0.0, ..Options::default() }).await;
    let setup = Setup::with_upstream(&model.url).set("RIVULET_LIMITS_MESSAGES_PER_MIN", "4");
    let [one, other] = gateways(setup, &SHARED_REDIS.fresh()).await;
    let (mut here, mut there) = (one.connect().await, other.connect().await);
    let mut left = 4;
    for (n, client) in [(0, true), (1, false), (2, true), (3, false)] {
        let client = if client { &mut here } else { &mut there };
        for is_known in [false, true] {
            client.tell(json!({"type": "send", "id": format!("m{n}"), "text": "Why?"})).await;
            let ack = client.until("ack").await;
            assert_eq!(ack["duplicate"], is_known);
            if !is_known {
                left -= 1;
                assert_eq!(ack["remaining"], left);
                client.until("run.done").await;
            }
        }
    }
    for client in [&mut here, &mut there] {
        client.tell(json!({"type": "send", "id": "more", "text": "Why?"})).await;
        let refused = client.until("error").await;
        assert_eq!((&refused["code"], &refused["re"]), (&json!("rate_limited"), &json!("more")));
        assert!((1..=15_000).contains(&refused["retry_in_ms"].as_u64().unwrap()), "{refused}");
    }
    here.tell(json!({"type": "send", "id": "m0", "text": "Why?"})).await;
    assert_eq!(here.until("ack").await["duplicate"], true, "what is known is answered all the same");
}

/// A question whose answer has begun.
async fn begins(gateway: &TestGateway) -> Client {
    let mut client = gateway.connect().await;
    client.say("Why?").await;
    client.until("delta").await;
    client
}

/// A question that waits for its turn.
async fn waits(gateway: &TestGateway) -> Client {
    let mut client = gateway.connect().await;
    client.say("Why?").await;
    let phase = client.until("run.phase").await;
    assert_eq!((&phase["phase"], &phase["position"]), (&json!("queued"), &json!(1)));
    client
}

#[tokio::test]
async fn answers_at_once_are_counted_together() {
    for setting in ["RIVULET_LIMITS_RUNS_PER_USER", "RIVULET_LIMITS_RUNS"] {
        let mut redis = Redis::start(&[]);
        let (model, gate) = Upstream::gated("One two three.", 1).await;
        let setup = Setup::with_upstream(&model.url).set(setting, "2");
        let gateways = gateways::<3>(setup, redis.url()).await;
        let [a, b, c] = &gateways;
        let (mut first, mut second, mut third) = (begins(a).await, begins(b).await, waits(c).await);
        first.tell(json!({"type": "stop"})).await;
        assert_eq!(first.answer().await.status(), "stopped");
        third.until("delta").await;
        let mut fourth = waits(a).await;
        assert_eq!(model.stats.counts().requests, 3);
        gate.open();
        for client in [&mut second, &mut third, &mut fourth] {
            assert_eq!(client.answer().await.status(), "complete");
        }
        // Without it each gateway has its share, which is one.
        gate.allow(1);
        redis.kill();
        for gateway in &gateways {
            is(gateway, "down").await;
        }
        let mut begun = Vec::new();
        for gateway in &gateways {
            begun.push(begins(gateway).await);
        }
        soon("the share", async {
            while a.metric("runs_waiting").await < 1.0 {
                let mut more = a.connect().await;
                more.say("Why?").await;
                begun.push(more);
                sleep(Duration::from_millis(500)).await;
            }
        })
        .await;
        gate.open();
        for client in &mut begun {
            assert_eq!(client.answer().await.status(), "complete");
        }
    }
}

#[tokio::test]
async fn a_gateway_that_is_killed_frees_its_places() {
    let (model, gate) = Upstream::gated("One two three.", 1).await;
    let setup = Setup::with_upstream(&model.url).set("RIVULET_LIMITS_RUNS", "2").set("RIVULET_LLM_GAP_S", "60");
    let [a, b] = gateways(setup, &SHARED_REDIS.fresh()).await;
    let (first, second) = (begins(&a).await, begins(&a).await);
    let mut third = waits(&b).await;
    // They are renewed as long as they are somebody's.
    let longer = timeout(Duration::from_secs(17), third.until("delta")).await;
    assert!(longer.is_err(), "{longer:?}");
    drop((first, second, a.kill().await));
    timeout(Duration::from_secs(17), third.until("delta")).await.expect("a place");
    gate.open();
    assert_eq!(third.answer().await.status(), "complete");
}

/// So many questions, at the gateways in turns and all at once: how many were answered. They are held until all others are
/// refused.
async fn answered(gateways: &[TestGateway], (model, gate): (&Upstream, &Gate), times: usize) -> usize {
    let metric = "rate_limited_total{scope=\"tokens\"}";
    let decided = || async {
        let refused = join_all(gateways.iter().map(|gateway| gateway.metric(metric))).await.iter().sum::<f64>();
        refused as u64 + model.stats.counts().requests as u64
    };
    let before = decided().await;
    gate.allow(1);
    let question = json!({"model": "m", "messages": [{"role": "user", "content": "Why?"}]});
    let asked = (0..times).map(|n| gateways[n % gateways.len()].post("/v1/chat/completions", question.clone()));
    let opened = async {
        soon("an answer or a refusal for everybody", async {
            while decided().await - before < times as u64 {
                sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
        gate.open();
    };
    let (answers, ()) = tokio::join!(join_all(asked), opened);
    let is_answered = |(status, said): &(u16, Value)| {
        assert!(*status == 200 || (*status == 429 && said["error"]["code"] == "budget_exhausted"), "{status} {said}");
        *status == 200
    };
    answers.iter().filter(|answer| is_answered(answer)).count()
}

#[tokio::test]
async fn a_minutes_tokens_are_those_of_all_gateways() {
    let mut redis = Redis::start(&[]);
    let (model, gate) = Upstream::gated("One two three.", 1).await;
    let setup = Setup::with_upstream(&model.url).set("RIVULET_LIMITS_TOKENS_PER_MIN", "3000");
    let gateways = gateways::<3>(setup, redis.url()).await;
    let left = 60_000 - Timestamp::now().0 % 60_000;
    if left < 15_000 {
        sleep(Duration::from_millis(left)).await; // All of it is about one minute.
    }
    // Each may come to a bit more than 1,024.
    let answers = answered(&gateways, (&model, &gate), 30).await;
    let metric = "limits_alone_total{scope=\"tokens\"}";
    let alone = join_all(gateways.iter().map(|gateway| gateway.metric(metric))).await.iter().sum::<f64>() as usize;
    assert!((3..=3 + alone).contains(&answers), "{answers}, {alone} alone");
    soon("what was not used", async {
        while answered(&gateways[2..], (&model, &gate), 1).await == 0 {
            sleep(Duration::from_millis(200)).await;
        }
    })
    .await;
    redis.kill();
    for gateway in &gateways {
        is(gateway, "down").await;
    }
    assert_eq!(answered(&gateways[..1], (&model, &gate), 10).await, 1, "two would come to more than its share");
    assert!(gateways[0].metric(metric).await >= 1.0);
}

/// What the script does by the server's clock is what the rule says, whatever time it is.
#[tokio::test]
async fn the_script_is_the_rule() {
    let redis = Redis::start(&[]);
    let script = TAKE.replace("redis.call('TIME')", "{math.floor(ARGV[3] / 1000000), ARGV[3] % 1000000}");
    let seed = Seed::new();
    let mut random = SmallRng::seed_from_u64(seed.0);
    for bucket in 0..8 {
        let (most, window) = (random.random_range(1..10), random.random_range(1000..100_000));
        let quota = Quota::new(most, Duration::from_secs(window));
        let (every, span) = quota.times();
        let (mut whole_at, mut now) = (0, 1_800_000_000_000_000);
        for _ in 0..40 {
            now += [0, 1, every / 2, every, 3 * every][random.random_range(0..5)];
            let expected = match quota.take(&mut whole_at, now) {
                Ok(left) => (1, left),
                Err(left) => (0, left),
            };
            let (key, numbers) = (format!("bucket:{bucket}"), [every, span, now].map(|number| number.to_string()));
            let [every, span, now] = &numbers;
            let told = redis.servers[0].command(&["EVAL", &script, "1", &key, every, span, now]).await;
            let (is_taken, missing): (u64, u64) = told.unwrap();
            assert_eq!((is_taken, quota.left(missing)), expected);
        }
    }
}

async fn ticket(gateway: &TestGateway) -> String {
    let (status, made) = call(gateway, Method::POST, "/api/v1/tickets", Some(&token("ann")), Value::Null).await;
    assert_eq!(status, 201);
    made["ticket"].as_str().unwrap().to_owned()
}

async fn try_at(gateway: &TestGateway, ticket: &str) -> u16 {
    knock(&format!("{}?ticket={ticket}", gateway.socket("")), &[]).await
}

#[tokio::test]
async fn a_ticket_is_good_once_at_any_gateway() {
    let mut redis = Redis::start(&[]);
    let (setup, expected) = Neighbour::expected(auth::setup(), vec!["lump".parse().unwrap()]).await;
    let gateways = gateways::<3>(setup, redis.url()).await;
    let [a, b, c] = &gateways;
    let mut neighbour = expected.comes(a, Some(&token("neighbour"))).await;
    let made = ticket(a).await;
    assert_eq!((try_at(b, &made).await, try_at(b, &made).await, try_at(a, &made).await), (101, 401, 401));
    for _ in 0..3 {
        let made = ticket(c).await;
        let tries = join_all((0..100).map(|n| try_at(&gateways[n % 3], &made))).await;
        let [came_in, refused] = [101, 401].map(|wanted| tries.iter().filter(|status| **status == wanted).count());
        assert_eq!((came_in, refused), (1, 99), "{tries:?}");
        neighbour.goes_on().await;
    }
    // Of those who came in it is known who they are.
    let made = ticket(a).await;
    let mut client = Client::connect(&format!("{}?ticket={made}", b.socket(""))).await;
    client.ask("?").await;
    let (_, listed) = call(c, Method::GET, "/api/v1/sessions", Some(&token("ann")), Value::Null).await;
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 1);

    let made = ticket(a).await;
    redis.kill();
    for gateway in &gateways {
        is(gateway, "down").await;
    }
    let tries = [try_at(b, &made).await, try_at(b, &made).await, try_at(c, &made).await, try_at(c, &made).await];
    assert_eq!(tries, [101, 401, 101, 401], "once at each");
    assert_eq!(b.metric("limits_alone_total{scope=\"tickets\"}").await, 1.0);
    neighbour.has_all().await;
}

#[tokio::test]
async fn without_a_database_limits_and_tickets_are_shared_and_conversations_are_not() {
    let redis = SHARED_REDIS.fresh();
    let setup = hourly().set("REQUIRE_AUTHENTICATION", "true").set("JWT_SECRET_KEY", SECRET).set("REDIS_URL", &redis);
    let gateways = [setup.elsewhere().start().await, setup.elsewhere().start().await];
    for gateway in &gateways {
        is(gateway, "ready").await;
        assert_eq!(gateway.get("/health").await.1["components"]["cluster"]["sessions"], false);
        assert!(gateway.log().contains("each has its own conversations"));
    }
    let [a, b] = &gateways;
    let made = ticket(a).await;
    assert_eq!((try_at(b, &made).await, try_at(a, &made).await), (101, 401));
    admits_together(&gateways, &from("127.0.0.2")).await;
    let checked = setup.output(&["check"]).await;
    let said = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.status.success() && said.contains("conversations are each gateway's own"), "{said}");
    let (_, session) = call(a, Method::POST, "/api/v1/sessions", Some(&token("ben")), json!({})).await;
    let path = format!("/api/v1/sessions/{}", session["session_id"].as_str().unwrap());
    assert_eq!(call(b, Method::GET, &path, Some(&token("ben")), Value::Null).await.0, 404);
    let refused = setup.set("ENVIRONMENT", "production").output(&["check"]).await;
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("without a database"));
}
