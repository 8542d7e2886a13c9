//! Other servers take the place of those that gateways use, or a part of it: a standby that of its PostgreSQL, a replica that of
//! its Redis, one node of a cluster that of another. Gateways find them anew by themselves, and nothing that was promised is
//! lost.

use std::time::Duration;

use reqwest::Client as Http;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    task::spawn_blocking,
    time::{Instant, sleep, timeout},
};

use super::{
    harness::{
        Client, Engine, Gate, Mode, Postgres, Redis, SHARED, SHARED_REDIS, Setup, TestGateway, Upstream, load, report,
        soon, verify,
    },
    mirrors::{alike, reaches_others},
};

const ANSWER: &str = "one two three four five six seven eight";
/// So long at the most after a server was lost its place is taken, and gateways have found the other one. Servers of the tests
/// are taken for dead after one second or two.
const FOUND_WITHIN: Duration = Duration::from_secs(12);

/// Two gateways, and a conversation of the first one that is watched at both, in the midst of an answer.
struct Watched {
    gateways: [TestGateway; 2],
    upstream: Upstream,
    gate: Gate,
    owner: Client,
    guest: Client,
}

async fn watched(redis: &str) -> Watched {
    let (upstream, gate) = Upstream::gated(ANSWER, 2).await;
    let database = SHARED.fresh().await;
    let setup = Setup::with_upstream(&upstream.url).set("DATABASE_URL", &database).set("REDIS_URL", redis);
    let setup = setup.set("RATE_LIMIT_REQUESTS", "100").set("RATE_LIMIT_WINDOW", "3600");
    let gateways: [TestGateway; 2] = alike(&setup).await;
    let mut owner = gateways[0].connect().await;
    owner.say("Count").await;
    owner.until("ack").await;
    hears(&mut owner, 2).await;
    let mut guest = Client::connect(&gateways[1].socket(&owner.session())).await;
    guest.until("snapshot").await;
    hears(&mut guest, 2).await;
    Watched { gateways, upstream, gate, owner, guest }
}

/// Waits until a client has so many words of the one answer that there is.
async fn hears(client: &mut Client, words: usize) {
    while client.memory.texts.values().all(|text| text.split_whitespace().count() < words) {
        client.until("delta").await;
    }
}

impl Watched {
    /// What is written now, up to so many words, is heard at the other gateway, whatever has to be found for that. How long
    /// it took.
    async fn is_heard(&mut self, words: usize) -> Duration {
        let started = Instant::now();
        self.gate.allow(words);
        hears(&mut self.owner, words).await;
        assert!(started.elapsed() < Duration::from_secs(1), "who is where it is written notices nothing");
        hears(&mut self.guest, words).await;
        started.elapsed()
    }

    /// What somebody does at the other gateway is seen where it is written.
    async fn is_seen(&mut self, types: bool) {
        self.guest.tell(json!({"type": "typing", "on": types})).await;
        while self.owner.until("presence").await["typing"] != types {}
    }

    /// Everything is as it was before, and everybody has heard all of it once.
    async fn goes_on(mut self) {
        for gateway in &self.gateways {
            reaches_others(gateway).await;
            is_counted_together(gateway).await;
        }
        self.gate.open();
        for client in [&mut self.owner, &mut self.guest] {
            let answer = client.answer().await;
            assert_eq!((answer.status(), answer.text.as_str()), ("complete", ANSWER));
        }
        self.guest.tell(json!({"type": "send", "id": "again", "text": "Again"})).await;
        for client in [&mut self.owner, &mut self.guest] {
            assert_eq!(client.answer().await.text, ANSWER);
        }
        assert_eq!(self.upstream.stats.requests().len(), 2, "nothing is generated twice");
    }
}

/// Whoever comes from this address of the machine asks a gateway, which has to count it.
async fn knocks(gateway: &TestGateway) {
    let http = Http::builder().local_address(Some("127.0.0.7".parse().unwrap())).build().unwrap();
    assert_eq!(http.get(gateway.url("/api/v1/sessions")).send().await.unwrap().status(), 200);
}

/// Waits until it counts requests with others, and not by itself.
async fn is_counted_together(gateway: &TestGateway) {
    let alone = || gateway.metric("limits_alone_total{scope=\"requests\"}");
    soon("requests that are counted together", async {
        loop {
            let before = alone().await;
            knocks(gateway).await;
            if alone().await <= before {
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_primary_that_freezes_is_left_for_the_one_that_sentinels_put_in_its_place() {
    let mut redis = Redis::start_as(Mode::Sentinel, Engine::Redis, &[]);
    let mut watched = watched(redis.url()).await;
    redis.servers[0].stop();
    let found = watched.is_heard(4).await;
    assert!(found < FOUND_WITHIN, "{found:?}");
    for gateway in &watched.gateways {
        reaches_others(gateway).await;
        is_counted_together(gateway).await;
    }
    let buckets: Vec<String> = redis.servers[1].command(&["KEYS", "rivulet:rate:*"]).await.unwrap();
    assert!(!buckets.is_empty());
    // It wakes up, and has to learn that it is none any more.
    let reconnects = async |of: &Watched| of.gateways[1].metric("cluster_bus_reconnects_total").await;
    let before = reconnects(&watched).await;
    redis.servers[0].go_on();
    soon("the old primary as a replica", async {
        let about = async || redis.servers[0].command::<String>(&["INFO", "replication"]).await.unwrap();
        while !about().await.contains("master_link_status:up") {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert!(watched.is_heard(5).await < Duration::from_secs(2));
    assert_eq!(reconnects(&watched).await, before, "nobody went back to it");
    watched.goes_on().await;
    eprintln!("found after {found:?}");
}

#[tokio::test]
async fn of_several_addresses_one_that_never_answers_costs_next_to_nothing() {
    // The system takes connections for it, and nobody reads what comes.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = listener.local_addr().unwrap();
    let with_silent = |url: &str, at: &str| url.replacen(at, &format!("{silent},{at}"), 1);
    for mode in [Mode::Sentinel, Mode::Cluster] {
        let redis = Redis::start_as(mode, Engine::Redis, &[]);
        let database = with_silent(&SHARED.fresh().await, SHARED.address());
        let (_, address) = redis.url().split_once("://").unwrap();
        let (first, _) = address.split_once(',').unwrap();
        let setup = Setup::bare().set("DATABASE_URL", &database).set("REDIS_URL", &with_silent(redis.url(), first));
        let started = Instant::now();
        let gateway = setup.start().await;
        reaches_others(&gateway).await;
        is_counted_together(&gateway).await;
        let elapsed = started.elapsed();
        assert!(elapsed < Duration::from_secs(6), "{mode:?}: {elapsed:?}");
        eprintln!("{mode:?}: {elapsed:?}");
    }
}

/// A primary, the standby that its commits wait for, and the URL of both.
async fn two_databases() -> (Postgres, Postgres, String) {
    let primary = Postgres::start(&[]);
    let database = primary.fresh().await;
    let standby = primary.start_standby().await;
    let database = primary.url_with(&standby, &database);
    (primary, standby, database)
}

async fn is_ready(gateway: &TestGateway) {
    soon("readiness", async {
        while gateway.get("/ready").await.0 != 200 {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

async fn ack_or_error(client: &mut Client) -> Value {
    loop {
        let frame = client.frame().await;
        if frame["type"] == "ack" || frame["type"] == "error" {
            return frame;
        }
    }
}

/// Says it until it is not refused any more, which it is as something that is not stored.
async fn say_until_it_is_stored(client: &mut Client, id: &str) {
    let saying = async {
        loop {
            client.tell(json!({"type": "send", "id": id, "text": "Count"})).await;
            let frame = ack_or_error(client).await;
            if frame["type"] == "ack" {
                break;
            }
            assert_eq!((&frame["code"], &frame["retryable"]), (&json!("storage_unavailable"), &json!(true)), "{frame}");
            sleep(Duration::from_millis(100)).await;
        }
    };
    soon("an acknowledgement", saying).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_takes_the_place_of_its_primary_has_all_that_was_acknowledged() {
    let (primary, standby, database) = two_databases().await;
    let text = "word ".repeat(300);
    let upstream = Upstream::saying(&text, 60.0).await;
    let setup = Setup::with_upstream(&upstream.url).set("DATABASE_URL", &database).set("REDIS_URL", SHARED_REDIS.url());
    let gateways: [TestGateway; 2] = alike(&setup).await;
    let urls = gateways.iter().map(|gateway| gateway.url("")).collect::<Vec<_>>().join(",");
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("history.jsonl");
    let arguments = ["--url", &urls, "--sessions", "12", "--messages", "10000", "--cut", "0.01", "--history"];
    let loading = load(&arguments, &history).spawn().unwrap();
    let pid = loading.id().to_string();
    let mut reader = gateways[0].connect().await;
    reader.say("Count").await;
    reader.until("ack").await;
    reader.deltas(20).await;
    let mut writer = gateways[1].connect().await;
    primary.kill();
    let killed = Instant::now();
    // It may store something yet while it dies.
    soon("a refusal", async { while gateways[1].get("/ready").await.0 == 200 {} }).await;
    writer.tell(json!({"type": "send", "id": "w", "text": "Count"})).await;
    let refused = ack_or_error(&mut writer).await;
    assert_eq!((&refused["code"], &refused["retryable"]), (&json!("storage_unavailable"), &json!(true)), "{refused}");
    reader.deltas(20).await;
    standby.execute("SELECT pg_promote()").await;
    say_until_it_is_stored(&mut writer, "w").await;
    let found = killed.elapsed();
    assert!(found < FOUND_WITHIN, "{found:?}");
    for gateway in &gateways {
        is_ready(gateway).await;
    }
    let answer = reader.answer().await;
    assert_eq!((answer.status(), &answer.text), ("complete", &text), "what was being written is whole");
    assert_eq!(writer.answer().await.text, text);
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let loaded = timeout(Duration::from_secs(60), spawn_blocking(move || loading.wait_with_output()));
    let told = report(&loaded.await.expect("the load's end").unwrap().unwrap());
    let (code, verdict) = verify(&urls, &history).await;
    assert_eq!((code, &verdict["violations"]), (Some(0), &json!({})), "{verdict:#}");
    assert_eq!(verdict["proven"], told["answered"], "{verdict:#}");
    eprintln!("found after {found:?}: {verdict}");
}

#[tokio::test]
async fn a_primary_that_only_reads_any_more_is_left_though_its_connections_live() {
    let (primary, standby, database) = two_databases().await;
    let upstream = Upstream::saying(ANSWER, 500.0).await;
    let gateway = Setup::with_upstream(&upstream.url).set("DATABASE_URL", &database).start().await;
    let mut client = gateway.connect().await;
    assert_eq!(client.ask("Count").await.text, ANSWER);
    primary.execute("ALTER SYSTEM SET default_transaction_read_only = on").await;
    primary.execute("SELECT pg_reload_conf()").await;
    soon("a refusal", async { while gateway.get("/ready").await.0 == 200 {} }).await;
    client.tell(json!({"type": "send", "id": "q", "text": "Count"})).await;
    assert_eq!(client.until("error").await["code"], "storage_unavailable");
    standby.execute("SELECT pg_promote()").await;
    let promoted = Instant::now();
    say_until_it_is_stored(&mut client, "q").await;
    assert!(promoted.elapsed() < FOUND_WITHIN, "{:?}", promoted.elapsed());
    assert_eq!(client.answer().await.text, ANSWER);
    // Whichever connection reads, reads there.
    for _ in 0..16 {
        let (_, session) = gateway.get(&format!("/api/v1/sessions/{}", client.session())).await;
        assert_eq!(session["message_count"], 4);
    }
}

/// Where the slot of a key or of a channel is: the server's number.
async fn server_of(redis: &Redis, key: &str) -> (String, usize) {
    let slot: u64 = redis.servers[0].command(&["CLUSTER", "KEYSLOT", key]).await.unwrap();
    for (number, server) in redis.servers.iter().enumerate() {
        let about = server.command::<String>(&["CLUSTER", "NODES"]).await.unwrap();
        let own = about.lines().find(|line| line.contains("myself")).unwrap();
        let ranges = own.split(' ').skip(8).filter_map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            Some(first.parse::<u64>().ok()?..=last.parse::<u64>().ok()?)
        });
        if ranges.into_iter().any(|range| range.contains(&slot)) {
            return (slot.to_string(), number);
        }
    }
    panic!("nobody has slot {slot}")
}

/// What these servers say there is of something.
async fn all_of(redis: &Redis, command: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    for server in redis.servers.iter().filter(|server| server.pid().is_some()) {
        all.extend(server.command::<Vec<String>>(command).await.unwrap());
    }
    all
}

#[tokio::test]
async fn slots_of_a_cluster_move_and_what_is_in_them_is_found_where_it_is() {
    let redis = Redis::start_as(Mode::Cluster, Engine::Redis, &[]);
    let mut watched = watched(redis.url()).await;
    knocks(&watched.gateways[0]).await;
    let buckets = all_of(&redis, &["KEYS", "rivulet:rate:*"]).await;
    let channels = all_of(&redis, &["PUBSUB", "SHARDCHANNELS", "in:*"]).await;
    assert!(!buckets.is_empty() && channels.len() == 2, "{buckets:?} {channels:?}");
    let mut ids = Vec::new();
    for server in &redis.servers {
        ids.push(server.command::<String>(&["CLUSTER", "MYID"]).await.unwrap());
    }
    for key in buckets.iter().chain(&channels) {
        let (slot, from) = server_of(&redis, key).await;
        let to = (from + 1) % 3;
        let set = async |server: usize, how: &str, node: usize| {
            let command = ["CLUSTER", "SETSLOT", &slot, how, &ids[node]];
            redis.servers[server].command::<()>(&command).await.unwrap();
        };
        set(to, "IMPORTING", from).await;
        set(from, "MIGRATING", to).await;
        let address = redis.servers[to].address();
        let (host, port) = address.split_once(':').unwrap();
        redis.servers[from].command::<String>(&["MIGRATE", host, port, key, "0", "1000"]).await.unwrap();
        // Half of it has moved: the one sends on to the other, who answers those who were sent.
        for gateway in &watched.gateways {
            is_counted_together(gateway).await;
        }
        for server in [to, from, (from + 2) % 3] {
            set(server, "NODE", to).await;
        }
        for gateway in &watched.gateways {
            is_counted_together(gateway).await;
        }
    }
    let found = watched.is_heard(4).await;
    assert!(found < FOUND_WITHIN, "{found:?}");
    for bucket in &buckets {
        let moved = server_of(&redis, bucket).await.1;
        let has: i64 = redis.servers[moved].command(&["EXISTS", bucket]).await.unwrap();
        assert_eq!(has, 1, "nobody began a new one");
    }
    watched.goes_on().await;
    eprintln!("heard after {found:?}");
}

#[tokio::test]
async fn a_node_of_a_cluster_that_dies_or_freezes_is_left_for_its_replica() {
    for freezes in [false, true] {
        let mut redis = Redis::start_as(Mode::Replicated, Engine::Redis, &[]);
        let mut watched = watched(redis.url()).await;
        // By way of it one of the two is heard: which one is left to chance.
        let channels = all_of(&redis, &["PUBSUB", "SHARDCHANNELS", "in:*"]).await;
        let (_, lost) = server_of(&redis, &channels[0]).await;
        let (replica, server) = (lost + 3, &mut redis.servers[lost]);
        if freezes {
            server.stop();
        } else {
            server.kill();
        }
        let started = Instant::now();
        soon("another primary", async {
            let role = async || redis.servers[replica].command::<String>(&["INFO", "replication"]).await.unwrap();
            while !role().await.contains("role:master") {
                sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
        let promoted = started.elapsed();
        watched.is_heard(4).await;
        watched.is_seen(true).await;
        let found = started.elapsed();
        assert!(found < FOUND_WITHIN, "{found:?}");
        watched.goes_on().await;
        eprintln!("freezes: {freezes}, promoted after {promoted:?}, heard after {found:?}");
    }
}
