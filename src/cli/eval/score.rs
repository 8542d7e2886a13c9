//! How good rankings are. Pure.

use std::{collections::HashMap, time::Duration};

use serde::Serialize;

/// Documents of a ranking that count.
const CUTOFF: usize = 10;

/// How well one mode did: first sums, then means.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Scores {
    /// With linear gains.
    #[serde(rename = "ndcg_at_10")]
    pub(super) ndcg: f64,
    /// The share of what is relevant that is found.
    #[serde(rename = "recall_at_10")]
    pub(super) recall: f64,
    /// 1 / the place of the first that is relevant.
    #[serde(rename = "mrr_at_10")]
    pub(super) mrr: f64,
    /// Milliseconds of a question.
    pub(super) p50_ms: f64,
    /// The same, of a slow one.
    pub(super) p95_ms: f64,
    #[serde(skip)]
    times: Vec<Duration>,
}

impl Scores {
    /// Adds the ranking that a question got, best first; `grades` has what is relevant.
    pub(super) fn add(&mut self, ranking: &[&str], grades: &HashMap<String, f64>, took: Duration) {
        let ranking = &ranking[..ranking.len().min(CUTOFF)];
        let gains: Vec<f64> = ranking.iter().map(|id| grades.get(*id).copied().unwrap_or(0.0)).collect();
        let mut ideal: Vec<f64> = grades.values().copied().collect();
        ideal.sort_by(|a, b| b.total_cmp(a));
        self.ndcg += discounted(&gains) / discounted(&ideal[..ideal.len().min(CUTOFF)]);
        self.recall += number(gains.iter().filter(|gain| **gain > 0.0).count()) / number(grades.len());
        self.mrr += gains.iter().position(|gain| *gain > 0.0).map_or(0.0, |place| 1.0 / number(place + 1));
        self.times.push(took);
    }

    /// The means of all that was added.
    pub(super) fn mean(mut self) -> Self {
        let count = number(self.times.len().max(1));
        self.times.sort_unstable();
        let at = |percent: usize| {
            self.times.get(self.times.len() * percent / 100).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
        };
        Self {
            ndcg: self.ndcg / count,
            recall: self.recall / count,
            mrr: self.mrr / count,
            p50_ms: at(50),
            p95_ms: at(95),
            times: Vec::new(),
        }
    }
}

fn discounted(gains: &[f64]) -> f64 {
    gains.iter().zip(2u32..).map(|(gain, rank)| gain / f64::from(rank).log2()).sum()
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(rankings: &[&[&str]]) -> Scores {
        let grades = [("a", 3.0), ("b", 1.0)].map(|(id, grade)| (id.to_owned(), grade)).into();
        let mut scores = Scores::default();
        for (ranking, ms) in rankings.iter().zip(1..) {
            scores.add(ranking, &grades, Duration::from_millis(ms));
        }
        scores.mean()
    }

    #[test]
    fn rankings_are_worth_what_they_are() {
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        let best = scores(&[&["a", "b", "x"]]);
        assert!(close(best.ndcg, 1.0) && close(best.recall, 1.0) && close(best.mrr, 1.0), "{best:?}");
        let nothing = scores(&[&["x"], &[]]);
        assert!(close(nothing.ndcg + nothing.recall + nothing.mrr, 0.0), "{nothing:?}");
        let late = scores(&[&["x", "b"]]);
        let ndcg = (1.0 / 3f64.log2()) / (3.0 + 1.0 / 3f64.log2());
        assert!(close(late.ndcg, ndcg) && close(late.recall, 0.5) && close(late.mrr, 0.5), "{late:?}");
        let eleventh = ["x"; 10].into_iter().chain(["a"]).collect::<Vec<_>>();
        assert!(close(scores(&[&eleventh]).recall, 0.0));
        let both = scores(&[&["a", "b"], &["x"]]);
        assert!(close(both.ndcg, 0.5) && close(both.p50_ms, 2.0) && close(both.p95_ms, 2.0), "{both:?}");
    }
}
