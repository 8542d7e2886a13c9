//! The servers of Redis and Valkey that tests start for themselves: they answer, come back as what they were, and are gone with
//! whoever started them.

use std::{fs, path::PathBuf, time::Duration};

use redis::cluster::ClusterClient;
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};

use super::harness::{Engine, Mode, Redis, SHARED_REDIS, soon};

const ENGINES: [Engine; 2] = [Engine::Redis, Engine::Valkey];

/// Waits until something is as it should be.
async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    soon(what, async {
        while !condition().await {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn one_server_answers_and_comes_back_with_what_it_had() {
    for engine in ENGINES {
        let settings = ["--appendonly", "yes", "--appendfsync", "always"];
        let mut redis = Redis::start_as(Mode::Standalone, engine, &settings);
        let (url, address) = (redis.url().to_owned(), redis.address());
        assert_eq!(url, format!("redis://{address}"));
        let about: String = redis.servers[0].command(&["INFO", "server"]).await.unwrap();
        assert_eq!(about.contains("valkey"), engine == Engine::Valkey || is_valkey_anyway(), "{about}");
        redis.servers[0].command::<()>(&["SET", "a", "1"]).await.unwrap();

        redis.stop();
        let stopped = redis.servers[0].command::<String>(&["GET", "a"]);
        assert!(timeout(Duration::from_millis(200), stopped).await.is_err(), "nobody answers");
        redis.go_on();
        assert_eq!(redis.servers[0].command::<String>(&["GET", "a"]).await.unwrap(), "1");

        redis.kill();
        until("the end", async || TcpStream::connect(&address).await.is_err()).await;
        redis.start_again();
        assert_eq!((redis.url(), redis.address()), (&*url, address));
        assert_eq!(redis.servers[0].command::<String>(&["GET", "a"]).await.unwrap(), "1");
    }
}

/// Whether whoever runs the tests has put another program in the place of the system's.
fn is_valkey_anyway() -> bool {
    std::env::var("RIVULET_TEST_REDIS").is_ok_and(|program| program.contains("valkey"))
}

#[tokio::test]
async fn sentinels_put_the_replica_in_the_place_of_the_primary_and_take_that_back_as_a_replica() {
    for engine in ENGINES {
        let mut redis = Redis::start_as(Mode::Sentinel, engine, &[]);
        let sentinels: Vec<_> = redis.servers[2..].iter().map(|sentinel| sentinel.address()).collect();
        assert_eq!(redis.url(), format!("redis+sentinel://{}/mymaster", sentinels.join(",")));
        let has = async |redis: &Redis, server: usize, value: &str| {
            redis.servers[server].command::<Option<String>>(&["GET", "a"]).await.unwrap().as_deref() == Some(value)
        };
        let primary = async |redis: &Redis, sentinel: usize| {
            let asked = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"];
            redis.servers[sentinel].command::<Vec<String>>(&asked).await.unwrap().join(":")
        };
        assert_eq!(primary(&redis, 2).await, redis.address());
        redis.servers[0].command::<()>(&["SET", "a", "1"]).await.unwrap();
        until("the replica to have it", async || has(&redis, 1, "1").await).await;

        redis.servers[0].kill();
        until("another primary", async || primary(&redis, 4).await == redis.servers[1].address()).await;
        assert!(has(&redis, 1, "1").await);
        redis.servers[3].kill();
        redis.start_again();
        for sentinel in 2..5 {
            assert_eq!(primary(&redis, sentinel).await, redis.servers[1].address());
        }
        redis.servers[1].command::<()>(&["SET", "a", "2"]).await.unwrap();
        until("the replica to have it", async || has(&redis, 0, "2").await).await;
    }
}

#[tokio::test]
async fn a_cluster_has_all_slots_again_when_one_of_it_comes_back() {
    for engine in ENGINES {
        let mut redis = Redis::start_as(Mode::Cluster, engine, &[]);
        let nodes: Vec<_> = redis.servers.iter().map(|node| node.address()).collect();
        assert_eq!(redis.url(), format!("redis+cluster://{}", nodes.join(",")));
        fill(&nodes).await;
        redis.servers[1].kill();
        until("others to notice", async || {
            let state: String = redis.servers[2].command(&["CLUSTER", "INFO"]).await.unwrap();
            state.contains("cluster_state:fail")
        })
        .await;
        redis.start_again();
        fill(&nodes).await;
    }
}

/// Writes something to every node.
async fn fill(nodes: &[String]) {
    let nodes = nodes.iter().map(|node| format!("redis://{node}"));
    let client = ClusterClient::new(nodes).unwrap();
    let mut connection = soon("a cluster", client.get_async_connection()).await.unwrap();
    for key in 0..30 {
        let set = redis::cmd("SET").arg(key).arg("x").query_async::<()>(&mut connection).await;
        set.unwrap_or_else(|error| panic!("{key}: {error}"));
    }
}

#[tokio::test]
async fn of_the_shared_server_everybody_has_a_database() {
    let (one, other) = (SHARED_REDIS.fresh(), SHARED_REDIS.fresh());
    let connect = async |url: &str| redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap();
    let (mut one, mut other) = (connect(&one).await, connect(&other).await);
    redis::cmd("SET").arg("a").arg("1").query_async::<()>(&mut one).await.unwrap();
    let seen: Option<String> = redis::cmd("GET").arg("a").query_async(&mut other).await.unwrap();
    assert_eq!(seen, None);
}

#[tokio::test]
async fn nothing_stays_of_servers_that_run_are_stopped_or_were_killed() {
    let mut redis = Redis::start_as(Mode::Sentinel, Engine::Redis, &[]);
    let of = |pid: u32| PathBuf::from(format!("/proc/{pid}"));
    let processes: Vec<_> = redis.servers.iter().map(|server| of(server.pid().unwrap())).collect();
    let folders: Vec<_> = processes.iter().map(|process| fs::read_link(process.join("cwd")).unwrap()).collect();
    assert!(folders.iter().all(|folder| folder.exists()), "{folders:?}");
    redis.servers[1].stop();
    redis.servers[2].kill();
    drop(redis); // Closes the script's input, as the end of this process does.
    until("the end", async || !processes.iter().chain(&folders).any(|path| path.exists())).await;
}
