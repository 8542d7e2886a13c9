//! The gateway's own metrics, read back: what `/metrics` tells to Prometheus, a report tells to people, and both are the
//! same numbers. Pure; uses nothing of ours.

use std::collections::BTreeMap;

/// What a text in Prometheus' format says.
#[derive(Debug)]
pub struct Readings<'a>(&'a str);

impl<'a> Readings<'a> {
    /// Reads `text`, as the recorder renders it.
    #[must_use]
    pub const fn of(text: &'a str) -> Self {
        Self(text)
    }

    /// What all series of a metric come to.
    #[must_use]
    pub fn sum(&self, name: &str) -> f64 {
        self.series(name).map(|(_, value)| value).sum()
    }

    /// What the series of a metric come to for each value of `label`.
    #[must_use]
    pub fn by(&self, name: &str, label: &str) -> BTreeMap<&'a str, f64> {
        let mut sums = BTreeMap::new();
        for (labels, value) in self.series(name) {
            if let Some(found) = label_in(labels, label) {
                *sums.entry(found).or_default() += value;
            }
        }
        sums
    }

    /// Labels and values of the series of this name, and of no other.
    fn series(&self, name: &str) -> impl Iterator<Item = (&'a str, f64)> {
        self.0.lines().filter_map(move |line| {
            let rest = line.strip_prefix(name)?;
            let (labels, value) = match rest.strip_prefix('{') {
                // No label of ours has a brace in it, but a name of a target might.
                Some(rest) => rest.rsplit_once('}')?,
                None if rest.starts_with(' ') => ("", rest),
                None => return None,
            };
            Some((labels, value.trim().parse().ok()?))
        })
    }
}

/// The value of a label among `a="x",b="y"`. Values in question are the house's own words, which need no escaping.
fn label_in<'a>(labels: &'a str, wanted: &str) -> Option<&'a str> {
    let mut rest = labels;
    while let Some((name, after)) = rest.split_once("=\"") {
        let end = closing_quote(after)?;
        if name.trim_start_matches(',') == wanted {
            return Some(&after[..end]);
        }
        rest = &after[end + 1..];
    }
    None
}

/// Where a quoted value ends.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|b| {
        let ends = b == b'"' && !escaped;
        escaped = b == b'\\' && !escaped;
        ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = concat!(
        "# HELP runs_total Ended runs\n# TYPE runs_total counter\n",
        "runs_total{status=\"complete\"} 5\n",
        "runs_total{target=\"a \\\"b} \\\\\",status=\"error\"} 2\n",
        "runs_total{status=\"complete\",target=\"x\"} 1\n\n",
        "runs_total_other 9\n",
        "runs_active 3\nrun_ttft_seconds_sum 1.5\nrun_ttft_seconds_count 2\n",
    );

    #[test]
    fn series_are_summed_by_name_and_label() {
        let readings = Readings::of(TEXT);
        assert_eq!(readings.sum("runs_total"), 8.0);
        assert_eq!(readings.by("runs_total", "status"), [("complete", 6.0), ("error", 2.0)].into());
        assert_eq!(readings.by("runs_total", "target").len(), 2);
        assert_eq!((readings.sum("runs_active"), readings.sum("run_ttft_seconds_sum")), (3.0, 1.5));
        assert_eq!(readings.sum("runs"), 0.0);
        assert!(readings.by("runs_total", "nothing").is_empty());
    }
}
