//! Several gateways on one PostgreSQL: what each may do, and what is left when one of them, or the database, is gone.

use rivulet::{
    chat::{Message, MessageId, RunId, SessionId, Timestamp},
    store::{Appended, Fence, Scope, SessionRecord, SessionStore, StoreError, Turn, postgres::PostgresStore},
};
use serde_json::json;
use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep, timeout},
};

use super::harness::{
    Client, Fault, Memory, PATIENCE, Postgres, Proxy, SHARED, Setup, TestGateway, Upstream, load, report, soon, verify,
};

/// So long at the most after a gateway was killed others have its sessions.
const TAKEN_WITHIN: std::time::Duration = std::time::Duration::from_secs(9);

fn on(setup: Setup, database: &str) -> Setup {
    setup.set("DATABASE_URL", database)
}

/// Two gateways that ask the same model.
async fn two(upstream: &str) -> (TestGateway, TestGateway, String) {
    let database = SHARED.fresh().await;
    let one = on(Setup::with_upstream(upstream), &database).start().await;
    let other = on(Setup::with_upstream(upstream), &database).start().await;
    (one, other, database)
}

/// Comes back again and again, until this gateway has the session.
async fn come_back(gateway: &TestGateway, memory: Memory) -> Client {
    let started = Instant::now();
    let (url, mut memory) = (gateway.socket(&memory.session), memory);
    loop {
        match Client::try_resume(&url, memory).await {
            Ok(client) => return client,
            Err(left) => memory = left,
        }
        assert!(started.elapsed() < PATIENCE, "nobody has the session");
        sleep(std::time::Duration::from_millis(100)).await;
    }
}

/// What a snapshot says of the conversation: texts and how they ended.
fn said(client: &Client) -> Vec<(String, String)> {
    let messages = client.snapshot.as_ref().expect("a snapshot")["messages"].as_array().unwrap().clone();
    let text = |of: &serde_json::Value| of.as_str().unwrap_or_default().to_owned();
    messages.iter().map(|message| (text(&message["text"]), text(&message["status"]))).collect()
}

#[tokio::test]
async fn a_conversation_is_one_gateways_and_can_be_read_by_all() {
    let upstream = Upstream::saying("From 4.1 %.", 500.0).await;
    let (one, other, _) = two(&upstream.url).await;
    let mut client = one.connect().await;
    assert_eq!(client.ask("What does it cost?").await.text, "From 4.1 %.");

    let path = format!("/api/v1/sessions/{}", client.session());
    let (status, session) = other.get(&path).await;
    assert_eq!((status, &session["messages"][1]["text"]), (200, &json!("From 4.1 %.")));
    let (status, problem) = other.post("/api/v1/chat", json!({"session_id": client.session(), "message": "?"})).await;
    assert_eq!((status, &problem["code"]), (503, &json!("busy")), "{problem}");
    assert!(Client::try_resume(&other.socket(&client.session()), Memory::default()).await.is_err());

    // Nobody watches, and it leaves memory: whoever asks next has it.
    let setup = other.setup();
    let memory = client.cut();
    let mut one = one;
    one.signal("TERM").await;
    assert_eq!(one.exit_code().await, Some(0));
    let mut client = come_back(&other, memory).await;
    client.until("snapshot").await;
    assert_eq!(said(&client).len(), 2);
    assert_eq!(client.ask("And then?").await.text, "From 4.1 %.");
    drop((client, other));

    // All that was said is in the database, and nothing of it in the folder.
    let again = setup.start().await;
    assert_eq!(again.get(&path).await.1["message_count"], 4);
}

#[tokio::test]
async fn a_session_that_leaves_memory_is_free_for_others() {
    let upstream = Upstream::saying("Yes.", 500.0).await;
    let database = SHARED.fresh().await;
    let idle = |url: &str| on(Setup::with_upstream(url), &database).set("RIVULET_SESSION_IDLE_S", "1");
    let (one, other) = (idle(&upstream.url).start().await, idle(&upstream.url).start().await);
    let mut client = one.connect().await;
    client.ask("Is it?").await;
    let memory = client.cut();
    let mut client = come_back(&other, memory).await;
    assert_eq!(client.ask("Really?").await.text, "Yes.");
    // Back and forth.
    let memory = client.cut();
    let mut client = come_back(&one, memory).await;
    assert_eq!(client.ask("Really?").await.text, "Yes.");
}

#[tokio::test]
async fn when_a_gateway_is_killed_another_one_has_what_was_acknowledged_and_the_draft() {
    let (upstream, gate) = Upstream::gated("one two three four five", 3).await;
    let (one, other, _) = two(&upstream.url).await;
    let mut client = one.connect().await;
    let id = client.say("Count").await;
    client.until("ack").await;
    client.deltas(1).await;
    // A draft is a second old at the most.
    let path = format!("/api/v1/sessions/{}", client.session());
    soon("a draft", async {
        while other.get(&path).await.1["messages"][1]["text"].as_str().is_none_or(str::is_empty) {
            sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
    let memory = client.memory.clone();
    drop(one.kill().await);
    let killed = Instant::now();
    gate.open();
    let mut client = come_back(&other, memory).await;
    assert!(killed.elapsed() < TAKEN_WITHIN, "{:?}", killed.elapsed());
    client.until("snapshot").await;
    let [(question, _), (draft, status)] = &said(&client)[..] else { panic!("{:?}", said(&client)) };
    assert_eq!((question.as_str(), status.as_str()), ("Count", "interrupted"));
    assert_eq!(client.answer().await.status(), "interrupted", "told once more, for those who did not hear it");
    assert!(!draft.is_empty() && "one two three four five".starts_with(draft.as_str()), "{draft:?}");
    // Said once more, because nobody knows whether it arrived: nothing is generated twice.
    client.tell(json!({"type": "send", "id": id, "text": "Count"})).await;
    let ack = client.until("ack").await;
    assert_eq!(ack["duplicate"], true);
    assert_eq!(upstream.stats.requests().len(), 1);
    assert_eq!(client.ask("Again").await.text, "one two three four five");
}

#[tokio::test]
async fn a_gateway_that_was_stopped_for_long_changes_nothing_when_it_wakes() {
    let (upstream, gate) = Upstream::gated("one two three four five", 3).await;
    let (one, other, _) = two(&upstream.url).await;
    let mut sleeper = one.connect().await;
    sleeper.say("Count").await;
    sleeper.until("ack").await;
    sleeper.deltas(1).await;
    one.signal("STOP").await;
    let mut client = come_back(&other, sleeper.memory.clone()).await;
    client.until("snapshot").await;
    assert_eq!(said(&client)[1].1, "interrupted");
    assert_eq!(client.answer().await.status(), "interrupted");
    gate.open();
    let answer = client.ask("Again").await;
    assert_eq!((answer.status(), answer.text.as_str()), ("complete", "one two three four five"));

    one.signal("CONT").await;
    assert_eq!(sleeper.close_code().await, 4205, "it has moved");
    assert!(sleeper.memory.live.is_some(), "and nobody was told how the answer ended");
    let (_, session) = other.get(&format!("/api/v1/sessions/{}", client.session())).await;
    let ends: Vec<_> = session["messages"].as_array().unwrap().iter().map(|message| &message["status"]).collect();
    assert_eq!(ends, ["complete", "interrupted", "complete", "complete"]);
    // It goes on with others under another name.
    assert_eq!(one.connect().await.ask("You").await.text, "one two three four five");
}

#[tokio::test]
async fn while_the_database_is_away_answers_go_on_and_nothing_is_acknowledged() {
    let mut postgres = Postgres::start(&[]);
    let database = postgres.fresh().await;
    let (upstream, gate) = Upstream::gated("one two three four five", 2).await;
    let gateway = on(Setup::with_upstream(&upstream.url), &database).start().await;
    let mut client = gateway.connect().await;
    client.say("Count").await;
    client.until("ack").await;
    client.deltas(1).await;
    postgres.kill();
    gate.allow(4);
    client.deltas(1).await;
    let mut quiet = gateway.connect().await;
    quiet.tell(json!({"type": "send", "id": "q", "text": "You"})).await;
    let error = loop {
        let frame = quiet.frame().await;
        if frame["type"] == "error" {
            break frame;
        }
    };
    assert_eq!((&error["code"], &error["retryable"]), (&json!("storage_unavailable"), &json!(true)), "{error}");
    assert_eq!(gateway.get("/ready").await.0, 503);

    postgres.start_again();
    soon("readiness", async {
        while gateway.get("/ready").await.0 != 200 {
            sleep(std::time::Duration::from_millis(100)).await;
        }
    })
    .await;
    gate.open();
    let answer = client.answer().await;
    assert_eq!((answer.status(), answer.text.as_str()), ("complete", "one two three four five"));
    quiet.tell(json!({"type": "send", "id": "q", "text": "You"})).await;
    assert_eq!(quiet.until("ack").await["duplicate"], false);
    assert!(!gateway.log().contains("under-test"), "the password is nobody's business");
}

#[tokio::test]
async fn what_is_taken_back_at_one_gateway_ends_at_all() {
    let database = SHARED.fresh().await;
    let secret = "a secret of the tests that is long enough";
    let setup = || on(Setup::bare(), &database).set("JWT_SECRET_KEY", secret).set("REQUIRE_AUTHENTICATION", "true");
    let (one, other) = (setup().start().await, setup().start().await);
    // A key made by the command, beside both.
    let made = setup().output(&["api-key", "new", "--name", "crm", "--scope", "chat", "--scope", "admin"]).await;
    assert!(made.status.success(), "{made:?}");
    let key = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let id = key.split('_').nth(1).unwrap();
    let try_with =
        |gateway: &TestGateway| reqwest::Client::new().get(gateway.url("/api/v1/sessions")).bearer_auth(&key).send();
    soon("the key at both", async {
        for gateway in [&one, &other] {
            while try_with(gateway).await.unwrap().status() != 200 {
                sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    })
    .await;
    let mut client = Client::connect_as(&other.socket(""), &key).await;
    let started = Instant::now();
    let revoked = reqwest::Client::new()
        .delete(one.url(&format!("/api/v1/admin/api-keys/{id}")))
        .bearer_auth(&key)
        .send()
        .await
        .unwrap();
    assert!(revoked.status().is_success(), "{}", revoked.status());
    assert_eq!(client.close_code().await, 4010);
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
    assert_eq!(try_with(&other).await.unwrap().status(), 401);
}

#[tokio::test]
async fn what_is_spent_at_one_gateway_is_spent_at_all() {
    let upstream = Upstream::saying(&"word ".repeat(40), 500.0).await;
    let database = SHARED.fresh().await;
    let setup = || on(Setup::with_upstream(&upstream.url), &database).set("RIVULET_LIMITS_TOKENS_PER_DAY", "200");
    let (one, other) = (setup().start().await, setup().start().await);
    let exhausted = async |gateway: &TestGateway| {
        let (status, problem) = gateway.post("/api/v1/chat", json!({"message": "Say it"})).await;
        status == 429 && problem["code"] == "budget_exhausted"
    };
    soon("the end of the budget", async { while !exhausted(&one).await {} }).await;
    soon("its end at the other one", async { while !exhausted(&other).await {} }).await;
    let asked = upstream.stats.requests().len();
    assert!(asked <= 6, "{asked} answers of a budget that is for three or four");
}

fn turn(session: &SessionId) -> Turn {
    let (question, answer) = (MessageId::parse("q").unwrap(), MessageId::parse("a").unwrap());
    let (run, at) = (RunId::random(), Timestamp::now());
    let opens = SessionRecord {
        id: session.clone(),
        assistant: "default".to_owned(),
        metadata: None,
        created_at: at,
        updated_at: at,
        message_count: 0,
        owner: None,
        is_temporary: false,
        title: None,
    };
    Turn {
        opens: Some(opens),
        answer: Message::pending(answer, Some(question.clone()), run.clone(), at),
        question: Message::question(question, "What does it cost?".to_owned(), run, at),
    }
}

#[tokio::test]
async fn wherever_the_way_to_the_database_is_cut_a_turn_is_stored_whole_or_not_and_an_acknowledged_one_is() {
    let database = SHARED.fresh().await;
    let direct = PostgresStore::open(&database).await.unwrap();
    let (mut acknowledged, mut stored, mut not) = (0, 0, 0);
    // From where a database can be opened at all to beyond the commit.
    for n in (1300..2900).step_by(23) {
        let proxy = Proxy::to(SHARED.address(), Fault::Reset(n), 0).await;
        let url = database.replace(SHARED.address(), &proxy.address);
        let session = SessionId::parse(&format!("s{n}")).unwrap();
        let Ok(store) = PostgresStore::open(&url).await else { continue };
        let outcome = store.append_turn(&session, Fence::FIRST, turn(&session)).await;
        let found = direct.messages(&session, None, 9, Scope::Conversation).await;
        match (outcome, found) {
            (Ok(Appended::Stored), Ok(page)) if page.messages.len() == 2 => acknowledged += 1,
            (Err(StoreError::Unavailable(_)), Ok(page)) if page.messages.len() == 2 => stored += 1,
            (Err(StoreError::Unavailable(_)), Err(StoreError::NoSession)) => not += 1,
            (outcome, found) => panic!("cut after {n} bytes: {outcome:?}, and there is {found:?}"),
        }
    }
    assert!(acknowledged > 0 && not > 0, "{acknowledged} acknowledged, {stored} stored all the same, {not} not");
}

#[tokio::test]
async fn a_gateway_whose_way_to_the_database_freezes_promises_nothing_and_loses_its_sessions() {
    for fault in [Fault::FreezeDown, Fault::FreezeUp] {
        let database = SHARED.fresh().await;
        let proxy = Proxy::to(SHARED.address(), fault, 0).await;
        let (upstream, gate) = Upstream::gated("one two three four five", 2).await;
        let through = database.replace(SHARED.address(), &proxy.address);
        let one = on(Setup::with_upstream(&upstream.url), &through).start().await;
        let other = on(Setup::with_upstream(&upstream.url), &database).start().await;
        let mut client = one.connect().await;
        client.say("Count").await;
        client.until("ack").await;
        client.deltas(1).await;
        let mut quiet = one.connect().await;
        proxy.begin();
        gate.allow(4);
        client.deltas(1).await;
        // Said, and perhaps stored: nobody knows, so nobody says so.
        quiet.tell(json!({"type": "send", "id": "q", "text": "You"})).await;
        let heir = come_back(&other, client.memory.clone()).await;
        assert!(Client::try_resume(&one.socket(&client.session()), Memory::default()).await.is_err(), "{fault:?}");
        let error = loop {
            let frame = quiet.frame().await;
            assert_ne!(frame["type"], "ack", "{fault:?}");
            if frame["type"] == "error" {
                break frame;
            }
        };
        assert_eq!((&error["code"], &error["retryable"]), (&json!("storage_unavailable"), &json!(true)), "{error}");
        drop((heir, client, quiet));
    }
}

/// `RIVULET_TEST_ROUNDS` says how often each of three gateways is lost; once when it does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_gateways_that_are_lost_in_turn_lose_and_double_nothing_that_was_acknowledged() {
    let rounds = std::env::var("RIVULET_TEST_ROUNDS").map_or(1, |rounds| rounds.parse().expect("RIVULET_TEST_ROUNDS"));
    let upstream = Upstream::saying(&"word ".repeat(60), 200.0).await;
    let database = SHARED.fresh().await;
    let mut gateways = Vec::new();
    for _ in 0..3 {
        let setup = on(Setup::with_upstream(&upstream.url), &database).set("RIVULET_SERVER_DRAIN_S", "10");
        gateways.push(setup.start().await);
    }
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("history.jsonl");
    let urls = gateways.iter().map(|gateway| gateway.url("")).collect::<Vec<_>>().join(",");
    let arguments = ["--url", &urls, "--sessions", "12", "--messages", "10000", "--cut", "0.01", "--history"];
    let loading = load(&arguments, &history).spawn().unwrap();
    let pid = loading.id().to_string();
    for round in 0..rounds * 3 {
        sleep(std::time::Duration::from_secs(2)).await;
        let mut lost = gateways.remove(0);
        let setup = lost.setup().bind(&lost.address);
        match round % 3 {
            0 => drop(lost.kill().await),
            1 => {
                lost.signal("TERM").await;
                assert_eq!(lost.exit_code().await, Some(0));
            }
            _ => {
                lost.signal("STOP").await;
                sleep(TAKEN_WITHIN).await;
                lost.signal("CONT").await;
                gateways.push(lost);
                continue;
            }
        }
        gateways.push(setup.start().await);
    }
    sleep(std::time::Duration::from_secs(2)).await;
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let loaded = timeout(std::time::Duration::from_secs(90), spawn_blocking(move || loading.wait_with_output()));
    let loaded = loaded.await.expect("the load's end").unwrap().unwrap();
    let told = report(&loaded);
    assert!(loaded.status.success(), "{told:#}");
    let (code, verdict) = verify(&urls, &history).await;
    assert_eq!((code, &verdict["violations"]), (Some(0), &json!({})), "{verdict:#}");
    assert!(verdict["restarts"].as_u64() > Some(0) && verdict["proven"] == told["answered"], "{verdict:#}");
    eprintln!("{rounds} times each: {verdict}");
}
