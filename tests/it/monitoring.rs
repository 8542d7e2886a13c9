//! What is made of metrics: alerts, the dashboard and the runbooks name what there is, and each alert has all that it needs.
//! That they fire when they should is for `promtool` (`make monitoring`).

use regex::Regex;
use serde_json::Value;

use crate::harness::metrics::metric_of;

const RULES: &str = "deploy/prometheus/rivulet.rules.yml";

fn text(path: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap()
}

/// All that a pattern's first group finds.
fn found(pattern: &str, text: &str) -> Vec<String> {
    regex(pattern).captures_iter(text).map(|found| found[1].to_owned()).collect()
}

/// What a query in Prometheus' language names: metrics, their labels, and values that labels are compared with.
fn hold_against_table(query: &str, recorded: &[String], whence: &str) {
    const SCRAPED: [&str; 3] = ["job", "instance", "le"];
    let words = regex(r#"([a-z_][a-z0-9_:]*)(?:\{([^}]*)\}|\[)"#);
    for name in found(r"\b(\w+:\w+:\w+)\b", query) {
        assert!(recorded.contains(&name), "{whence}: {name} is not recorded");
    }
    let mut named = 0;
    for word in words.captures_iter(query) {
        let name = word[1].to_owned();
        named += 1;
        if name == "up" || recorded.contains(&name) {
            continue;
        }
        let metric = metric_of(&name).unwrap_or_else(|| panic!("{whence}: there is no metric {name}"));
        let matchers = regex(r#"(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)""#);
        for matcher in matchers.captures_iter(word.get(2).map_or("", |labels| labels.as_str())) {
            if SCRAPED.contains(&&matcher[1]) {
                continue;
            }
            let label = metric.labels.iter().find(|label| label.name == &matcher[1]);
            let label = label.unwrap_or_else(|| panic!("{whence}: {name} has no label {}", &matcher[1]));
            for value in matcher[2].split('|').filter(|_| label.values.is_some()) {
                assert!(label.values.unwrap().contains(&value), "{whence}: {name} has no {}=\"{value}\"", label.name);
            }
        }
    }
    assert!(named > 0 || regex(r"^\s*\w+:|ALERTS").is_match(query), "{whence}: {query} names nothing");
}

#[test]
fn rules_and_dashboard_name_what_there_is() {
    let rules = text(RULES);
    let recorded = found(r"- record: (\S+)", &rules);
    for rule in rules.split("      - ").skip(1) {
        let expr = regex(r"(?s)expr: (?:\|\n)?(.*?)(?:\n        (?:for|labels|annotations):|\n      #|\n\n|$)");
        let query = expr.captures(rule).unwrap_or_else(|| panic!("{rule}"))[1].to_owned();
        hold_against_table(&query, &recorded, rule.lines().next().unwrap());
    }
    let dashboard: Value = serde_json::from_str(&text("deploy/grafana/dashboards/rivulet.json")).unwrap();
    let mut queries = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let title = panel["title"].as_str().unwrap();
            hold_against_table(target["expr"].as_str().unwrap(), &recorded, title);
            queries += 1;
        }
    }
    assert!(queries > 40, "only {queries} queries found: is the search broken?");
}

#[test]
fn every_alert_has_a_test_and_a_page_for_who_is_woken() {
    let (rules, tests, runbooks) =
        (text(RULES), text("deploy/prometheus/rivulet.rules.test.yml"), text("docs/runbooks.md"));
    let alerts = found(r"- alert: (\w+)", &rules);
    assert!(alerts.len() > 20);
    for alert in &alerts {
        let anchor = format!("runbook: docs/runbooks.md#{}", alert.to_lowercase());
        assert_eq!(rules.matches(&format!("{anchor}\n")).count(), 1, "{alert} does not say where it is explained");
        let quiet = format!("alertname: {alert}, exp_alerts: []");
        assert!(tests.matches(&quiet).count() >= 2, "no test keeps {alert} quiet");
        assert!(tests.contains(&format!("{anchor}\n")), "no test has {alert} fire");
        let section = runbooks.split("\n### ").find(|section| section.lines().next() == Some(alert));
        let section = section.unwrap_or_else(|| panic!("docs/runbooks.md says nothing about {alert}"));
        for part in ["**Means**", "**Users notice**", "**Look first**", "**Do**", "**It can wait**"] {
            assert!(section.contains(part), "docs/runbooks.md, {alert}: no {part}");
        }
    }
    let explained = found(r"(?m)^### (\w+)$", &runbooks);
    assert_eq!(explained, alerts, "docs/runbooks.md has the alerts in the order of the rules, and no others");
}
