//! What the gateway tells about itself, held against the table of what is counted.

use regex::Regex;
use rivulet::telemetry::{
    declare::{Kind, Metric},
    metrics::TABLE,
};

/// The metric that a series of this name is of.
pub(crate) fn metric_of(name: &str) -> Option<&'static Metric> {
    TABLE.iter().find(|metric| match metric.kind {
        Kind::Histogram(_) => {
            ["_bucket", "_sum", "_count"].iter().any(|part| name.strip_suffix(part) == Some(metric.name))
        }
        Kind::Counter | Kind::Gauge => metric.name == name,
    })
}

/// Every series is one of the table: its labels are those that stand there, and their values too where these are known.
pub(crate) fn check(told: &str) {
    let label = Regex::new(r#"(\w+)="([^"]*)""#).unwrap();
    for line in told.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let metric = metric_of(name).unwrap_or_else(|| panic!("{line} is of no metric in the table"));
        for pair in label.captures_iter(line).filter(|pair| &pair[1] != "le") {
            let known = metric.labels.iter().find(|label| label.name == &pair[1]);
            let known = known.unwrap_or_else(|| panic!("{line}: {} is no label of it", &pair[1]));
            let is_known = known.values.is_none_or(|values| values.contains(&&pair[2]));
            assert!(is_known, "{line}: the table does not know this {}", known.name);
        }
    }
}
