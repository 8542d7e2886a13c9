//! `rivulet eval`: the project's own test set, as a guard against worse answers, and sets that are none.

use std::{fs, path::Path};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::Setup;

fn setup() -> Setup {
    let model = std::env::var("RIVULET_KNOWLEDGE_MODEL_DIR").expect("`make test` sets RIVULET_KNOWLEDGE_MODEL_DIR");
    Setup::bare().set("RIVULET_KNOWLEDGE_ENABLED", "true").set("RIVULET_KNOWLEDGE_MODEL_DIR", &model)
}

/// Some questions need the words, some the meaning, and only both together answer all of them well.
#[tokio::test]
async fn documents_are_found_as_well_as_they_were() {
    let (setup, temporary) = (setup(), TempDir::new().unwrap());
    let setup = setup.set("TMPDIR", temporary.path().to_str().unwrap());
    let set = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/eval");
    let output = setup.output(&["eval", set.to_str().unwrap(), "--json"]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["documents"], &report["failed"], &report["queries"]), (&12.into(), &0.into(), &20.into()));
    for (mode, ndcg, recall, mrr) in FLOORS {
        for (figure, floor) in [("ndcg_at_10", ndcg), ("recall_at_10", recall), ("mrr_at_10", mrr)] {
            let found = report[mode][figure].as_f64().unwrap();
            assert!((floor..=1.0).contains(&found), "{mode} {figure} is {found}: {report}");
        }
        let (p50, p95) = (report[mode]["p50_ms"].as_f64().unwrap(), report[mode]["p95_ms"].as_f64().unwrap());
        assert!(0.0 < p50 && p50 <= p95, "{report}");
    }
    assert!(!setup.data.path().join("data").exists(), "it has a folder of its own");
    let left = fs::read_dir(temporary.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with("rivulet")).collect();
    assert!(left.is_empty(), "which is gone again: {left:?}");
}

/// A little below what is measured: mode, nDCG@10, recall@10, MRR@10.
const FLOORS: [(&str, f64, f64, f64); 3] =
    [("text", 0.56, 0.6, 0.55), ("vector", 0.85, 0.97, 0.81), ("hybrid", 0.9, 0.97, 0.88)];

#[tokio::test]
async fn a_set_that_is_none_is_refused_by_file_and_line() {
    let (setup, set) = (setup(), TempDir::new().unwrap());
    fs::write(set.path().join("docs.jsonl"), "{\"id\": \"a\", \"text\": \"One.\"}\n{\"id\": \"b\"}\n").unwrap();
    let output = setup.output(&["eval", set.path().to_str().unwrap()]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("docs.jsonl, line 2") && said.contains("text"), "{said}");
    assert!(output.stdout.is_empty());
}
