//! Who keeps what is counted, for `/metrics`. Every series whose labels are known is there from the start, at 0: an alert
//! cannot tell what never happened from what nobody counts. Uses the table in `metrics`, and `chat`.

use std::fs;

use metrics::Label;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::{
    declare::{Kind, Metric},
    metrics::{BUILD_INFO, PROCESS_MEMORY, PROCESS_START, TABLE},
};
use crate::chat::Timestamp;

/// Installs the process-wide recorder. Call it once.
///
/// # Errors
/// When a recorder is installed already.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = builder()?.install_recorder()?;
    begin();
    Ok(handle)
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    TABLE.iter().try_fold(PrometheusBuilder::new(), |builder, metric| match metric.kind {
        Kind::Histogram(buckets) => builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets),
        Kind::Counter | Kind::Gauge => Ok(builder),
    })
}

/// Describes everything, and begins what can begin.
#[expect(clippy::cast_precision_loss, reason = "a moment, to the millisecond")]
fn begin() {
    for metric in TABLE {
        describe(metric);
        series(metric, &[]).into_iter().for_each(|labels| begin_one(metric, labels));
    }
    metrics::gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    metrics::gauge!(PROCESS_START).set(Timestamp::now().0 as f64 / 1000.0);
}

/// Begins, at 0, what is counted by labels that are `known` now, and by nothing else that is not.
pub fn begin_known(known: &[(&'static str, &str)]) {
    let has = |metric: &Metric, name: &str| metric.labels.iter().any(|label| label.name == name);
    for metric in TABLE.iter().filter(|metric| known.iter().all(|(name, _)| has(metric, name))) {
        series(metric, known).into_iter().for_each(|labels| begin_one(metric, labels));
    }
}

/// What `/metrics` says now.
#[must_use]
pub fn render(handle: &PrometheusHandle) -> String {
    if let Some(bytes) = resident_bytes() {
        metrics::gauge!(PROCESS_MEMORY).set(bytes);
    }
    handle.render()
}

/// The labels of all series of a metric, when these are known; none where another label is not.
fn series(metric: &Metric, known: &[(&'static str, &str)]) -> Vec<Vec<Label>> {
    let mut all = vec![Vec::new()];
    for label in metric.labels {
        let value = known.iter().find(|(name, _)| *name == label.name).map(|(_, value)| *value);
        let values: Vec<Label> = match (label.values, value) {
            (Some(values), _) => values.iter().map(|value| Label::from_static_parts(label.name, value)).collect(),
            (None, Some(value)) => vec![Label::new(label.name, value.to_owned())],
            (None, None) => return Vec::new(),
        };
        all = all.iter().flat_map(|series| values.iter().map(|value| with(series, value))).collect();
    }
    all
}

fn with(series: &[Label], label: &Label) -> Vec<Label> {
    series.iter().chain([label]).cloned().collect()
}

fn begin_one(metric: &Metric, labels: Vec<Label>) {
    match metric.kind {
        Kind::Counter => drop(metrics::counter!(metric.name, labels)),
        Kind::Gauge => drop(metrics::gauge!(metric.name, labels)),
        Kind::Histogram(_) => drop(metrics::histogram!(metric.name, labels)),
    }
}

fn describe(metric: &Metric) {
    let help = metric.help.trim();
    match metric.kind {
        Kind::Counter => metrics::describe_counter!(metric.name, help),
        Kind::Gauge => metrics::describe_gauge!(metric.name, help),
        Kind::Histogram(_) => metrics::describe_histogram!(metric.name, help),
    }
}

/// Where the system tells it as Linux does.
fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok().map(|kilobytes| kilobytes * 1024.0)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::telemetry::metrics::{LLM_PACED, RUNS};

    #[test]
    fn what_has_known_labels_is_there_from_the_start() {
        let recorder = builder().unwrap().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            begin();
            begin_known(&[("target", "groq")]);
            metrics::counter!(RUNS, "status" => "error").increment(2);
            begin_known(&[("target", "groq")]);
        });
        let told = recorder.handle().render();
        for line in [
            "runs_total{status=\"complete\"} 0",
            "runs_total{status=\"error\"} 2",
            "runs_active 0",
            "token_delay_seconds_count 0",
            "cache_requests_total{cache=\"answers\",outcome=\"joined\"} 0",
            "llm_paced_total{target=\"groq\",how=\"passed\"} 0",
            "breaker_state{target=\"groq\"} 0",
            "# HELP runs_active Answers being written or stored.",
            "# TYPE token_delay_seconds histogram",
        ] {
            assert!(told.lines().any(|told| told == line), "{line} is missing:\n{told}");
        }
        assert!(!told.contains("http_requests_total{"), "nobody knows what will be asked for");
    }

    #[test]
    fn names_and_labels_are_told_apart() {
        let names: HashSet<_> = TABLE.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), TABLE.len());
        for metric in TABLE {
            let known = metric.labels.iter().filter_map(|label| label.values);
            for values in known {
                assert_eq!(values.iter().collect::<HashSet<_>>().len(), values.len(), "{}", metric.name);
            }
            assert_eq!(matches!(metric.kind, Kind::Counter), metric.name.ends_with("_total"), "{}", metric.name);
        }
        assert!(names.contains(LLM_PACED));
    }
}
