//! What is counted is said in one table: docs/metrics.md, the code and a gateway that runs are held against it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use regex::Regex;
use rivulet::telemetry::metrics::TABLE;
use serde_json::json;

use crate::harness::{Setup, metrics::check, upstream};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap()
}

/// All that a pattern's first group finds.
fn found(pattern: &str, text: &str) -> Vec<String> {
    regex(pattern).captures_iter(text).map(|found| found[1].to_owned()).collect()
}

#[test]
fn the_documentation_lists_what_there_is() {
    let docs = text("docs/metrics.md");
    let rows = regex(r"(?m)^\| `(\w+)` \| (counter|gauge|histogram) \| ([^|]*)\| (.*) \|$");
    let documented: BTreeMap<String, (String, BTreeSet<String>, String)> = rows
        .captures_iter(&docs)
        .map(|row| {
            let labels = found(r"`(\w+)`", &row[3]).into_iter().collect();
            (row[1].to_owned(), (row[2].to_owned(), labels, row[4].to_owned()))
        })
        .collect();
    for metric in TABLE {
        let (kind, labels, about) =
            documented.get(metric.name).unwrap_or_else(|| panic!("docs/metrics.md lacks {}", metric.name));
        assert_eq!(kind, metric.kind.name(), "{}", metric.name);
        let has: BTreeSet<_> = metric.labels.iter().map(|label| label.name.to_owned()).collect();
        assert_eq!(labels, &has, "{}", metric.name);
        // Versions and close codes stand elsewhere.
        let told = metric.labels.iter().filter(|label| !["version", "code"].contains(&label.name));
        for value in told.filter_map(|label| label.values).flatten() {
            assert!(about.contains(&format!("`{value}`")), "docs/metrics.md does not say what {value} is");
        }
    }
    assert_eq!(documented.len(), TABLE.len(), "docs/metrics.md has what there is not");
}

/// Names are constants of the table, so that nothing is counted beside it, and nothing is in it that nobody counts.
#[test]
fn the_code_counts_what_is_in_the_table() {
    let table = text("src/telemetry/metrics.rs");
    let constants: BTreeSet<_> =
        found(r"(?m)^    (?:counter|gauge|histogram\(\w+\)) (\w+) = ", &table).into_iter().collect();
    assert_eq!(constants.len(), TABLE.len());
    let mut counted = BTreeSet::new();
    for file in walkdir::WalkDir::new(root().join("src")).into_iter().map(Result::unwrap) {
        let path = file.path();
        // The recorder goes through the table.
        if path.extension().is_none_or(|kind| kind != "rs") || path.ends_with("telemetry/recorder.rs") {
            continue;
        }
        for name in found(r"(?:counter|gauge|histogram)!\(\s*([^,)]*)", &fs::read_to_string(path).unwrap()) {
            assert!(constants.contains(&name), "{}: {name} is not in the table", path.display());
            counted.insert(name);
        }
    }
    counted.extend(found(r"gauge!\((\w+)", &text("src/telemetry/recorder.rs")));
    let idle: Vec<_> = constants.difference(&counted).collect();
    assert!(idle.is_empty(), "nobody counts {idle:?}");
}

#[tokio::test]
async fn every_series_that_can_be_known_is_there_from_the_start() {
    let server = upstream(Default::default()).await;
    let targets = json!([
        { "name": "a", "base_url": server.url, "model": "x", "input_price": 1.0, "output_price": 2.0 },
        { "name": "b", "base_url": server.url, "model": "y" },
    ]);
    let servers = json!([{ "name": "crm", "command": "/bin/true" }]);
    let setup = Setup::bare().set("RIVULET_LLM_TARGETS", &targets.to_string());
    let gateway = setup.set("RIVULET_MCP_SERVERS", &servers.to_string()).start().await;
    // What is asked for the first time is counted afterwards.
    gateway.get("/metrics").await;
    let (_, told) = gateway.get("/metrics").await;
    let told = told.as_str().unwrap();
    check(told);
    for metric in TABLE {
        assert!(
            told.contains(&format!("\n# TYPE {} {}\n", metric.name, metric.kind.name())),
            "{} is missing",
            metric.name
        );
        assert!(told.contains(&format!("# HELP {} ", metric.name)), "{} has no help", metric.name);
    }
    let count = |metric: &str| told.lines().filter(|line| line.starts_with(&format!("{metric}{{"))).count();
    assert_eq!(count("rate_limited_total"), 11);
    assert_eq!(count("cache_requests_total"), 15);
    assert_eq!(count("llm_requests_total"), 2 * 13, "of both targets");
    assert_eq!(count("gen_ai_client_token_usage_count"), 2 * 2);
    assert_eq!(count("mcp_requests_total"), 6);
    assert_eq!(count("llm_cost_count"), 1, "only one has prices");
    for line in ["storage_up 1", "runs_waiting 0", "breaker_state{target=\"a\"} 0", "knowledge_retrievals_total 0"] {
        assert!(told.lines().any(|told| told == line), "{line} is missing:\n{told}");
    }
    assert!(gateway.metric("process_resident_memory_bytes").await > 1e6);
    assert!(gateway.metric("process_start_time_seconds").await > 1.7e9);
}

/// Whatever clients write, it makes no series of its own.
#[tokio::test]
async fn nothing_that_clients_choose_makes_a_series() {
    let gateway = Setup::bare().set("RIVULET_LIMITS_REQUESTS", "0").start().await;
    let http = reqwest::Client::new();
    let ask = async |n: usize| {
        let method = reqwest::Method::from_bytes(format!("BREW{n}").as_bytes()).unwrap();
        for (method, path) in [
            (method, format!("/{n}")),
            (reqwest::Method::GET, format!("/nowhere/{n}?q={n}")),
            (reqwest::Method::GET, format!("/api/v1/sessions/s{n}")),
            (reqwest::Method::DELETE, format!("/api/v1/documents/d{n}")),
        ] {
            let answer = http.request(method, gateway.url(&path)).header("x-request-id", format!("r{n}")).send().await;
            assert!(!answer.unwrap().status().is_success());
        }
        let completion = json!({ "model": format!("m{n}"), "messages": [{ "role": "user", "content": "hi" }] });
        gateway.post("/v1/chat/completions", completion).await;
        let mut client = gateway.connect().await;
        client.tell(json!({ "type": format!("t{n}"), "id": format!("i{n}") })).await;
        client.until("error").await;
        client.ask(&format!("question {n}")).await;
    };
    let series = async || {
        let (_, told) = gateway.get("/metrics").await;
        let told = told.as_str().unwrap().to_owned();
        check(&told);
        let series = told.lines().filter(|line| !line.starts_with('#'));
        series.filter_map(|line| line.rsplit_once(' ')).map(|(series, _)| series.to_owned()).collect::<BTreeSet<_>>()
    };
    ask(0).await;
    series().await;
    let before = series().await;
    for n in 1..25 {
        ask(n).await;
    }
    let new: Vec<_> = series().await.difference(&before).cloned().collect();
    // A socket's end and the session's last words may be counted a moment later.
    let fixed = |series: &String| !series.contains("op=\"") && !series.contains("status=\"");
    assert!(!new.iter().any(fixed) && new.len() < 100, "{new:#?}");
}
