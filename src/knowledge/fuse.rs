//! What two search legs found → one list. Pure.
//!
//! Scores are between 0 and 1, so that a threshold can tell "found something" from "found nothing":
//! - vector: `c = (cosine − u) / (1 − u)`, negative ones as 0, where `u` is the cosine that the model gives to texts that
//!   have nothing to do with each other. It moves the threshold and leaves the order as it is, also in:
//! - hybrid: `1 − (1 − c)·(1 − w)` with this `c` and `w = s / (s + 10)` of the BM25 score `s`: a chunk is good when
//!   its meaning fits or its words do, and best when both agree. BM25 grows with the number of chunks, so the words'
//!   part weighs little in a small collection;
//! - words alone: BM25 `s` as `s / (s + 4)`, which keeps its order. It cannot tell whether anything was found, so the
//!   threshold is for the share of the question's words that the chunk has (see `words`).

use std::collections::HashMap;

/// BM25 at which the score of words alone is a half.
const TEXT_HALF: f32 = 4.0;
/// BM25 at which the words beside a cosine are half of certain.
const HYBRID_HALF: f32 = 10.0;

/// A row that a leg found.
#[derive(Debug, Clone, PartialEq)]
pub struct Match<R> {
    /// Names the row.
    pub id: String,
    /// Cosine of question and row, −1 to 1; 0 when the question has no vector.
    pub cosine: f32,
    /// BM25, 0 and up; 0 when no word was found.
    pub bm25: f32,
    /// The row.
    pub row: R,
}

/// Score of a vector search with a model that gives the cosine `unrelated`, below 1, to what is not related.
pub fn vector_score<R>(found: &Match<R>, unrelated: f32) -> f32 {
    let score = (found.cosine - unrelated) / (1.0 - unrelated);
    if score.is_nan() { 0.0 } else { score.clamp(0.0, 1.0) }
}

/// Score of a search by words alone.
pub fn text_score<R>(found: &Match<R>) -> f32 {
    saturate(found.bm25, TEXT_HALF)
}

/// Score of a hybrid search with such a model.
pub fn hybrid_score<R>(found: &Match<R>, unrelated: f32) -> f32 {
    1.0 - (1.0 - vector_score(found, unrelated)) * (1.0 - saturate(found.bm25, HYBRID_HALF))
}

/// The rows of both legs, each once, with the evidence of both.
pub fn union<R>(vector: Vec<Match<R>>, text: Vec<Match<R>>) -> Vec<Match<R>> {
    let mut at: HashMap<String, usize> = vector.iter().enumerate().map(|(i, found)| (found.id.clone(), i)).collect();
    let mut all = vector;
    for found in text {
        match at.get(&found.id) {
            Some(&i) => all[i].bm25 = all[i].bm25.max(found.bm25),
            None => {
                at.insert(found.id.clone(), all.len());
                all.push(found);
            }
        }
    }
    all
}

/// The best `top_k` rows with their scores, best first, without those below `min_score`. Equal scores are ordered by
/// id, so that a question has the same answer every time.
pub fn rank<R>(
    found: Vec<Match<R>>,
    score: impl Fn(&Match<R>) -> f32,
    min_score: Option<f32>,
    top_k: usize,
) -> Vec<(f32, R)> {
    let mut scored: Vec<(f32, Match<R>)> = found.into_iter().map(|found| (score(&found), found)).collect();
    scored.retain(|(score, _)| min_score.is_none_or(|min| *score >= min));
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.id.cmp(&b.1.id)));
    scored.truncate(top_k);
    scored.into_iter().map(|(score, found)| (score, found.row)).collect()
}

/// What the words alone found: [`rank`]ed by BM25, without rows whose `share` of the question is below `min_share`.
pub fn rank_words<R>(
    mut found: Vec<Match<R>>,
    share: impl Fn(&R) -> f32,
    min_share: Option<f32>,
    top_k: usize,
) -> Vec<(f32, R)> {
    found.retain(|found| min_share.is_none_or(|min| share(&found.row) >= min));
    rank(found, text_score, None, top_k)
}

fn saturate(bm25: f32, half: f32) -> f32 {
    if bm25.is_finite() { bm25.max(0.0) / (bm25.max(0.0) + half) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(id: &str, cosine: f32, bm25: f32) -> Match<String> {
        Match { id: id.to_owned(), cosine, bm25, row: id.to_owned() }
    }

    #[test]
    fn a_row_that_both_legs_found_counts_once_and_more() {
        let all =
            union(vec![found("a", 0.5, 0.0), found("b", 0.6, 0.0)], vec![found("a", 0.5, 5.0), found("c", 0.1, 4.0)]);
        let ranked = rank(all, |found| hybrid_score(found, 0.0), None, 10);
        assert_eq!(ranked.iter().map(|(_, id)| id.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[test]
    fn meaning_alone_and_words_alone_are_enough() {
        assert!(hybrid_score(&found("meaning", 0.5, 0.0), 0.0) >= 0.5);
        assert!(hybrid_score(&found("words", 0.1, 10.0), 0.0) >= 0.5);
        assert!(hybrid_score(&found("neither", 0.1, 1.0), 0.0) < 0.2);
    }

    #[test]
    fn ties_are_ordered_and_the_rest_is_cut() {
        let rows = ["c", "a", "b"].map(|id| found(id, 0.5, 0.0)).to_vec();
        let score = |found: &Match<String>| vector_score(found, 0.0);
        assert_eq!(rank(rows.clone(), score, Some(0.5), 2), [(0.5, "a".to_owned()), (0.5, "b".to_owned())]);
        assert_eq!(rank(rows, score, Some(0.51), 2), []);
    }

    #[test]
    fn what_a_model_gives_to_everything_counts_as_nothing() {
        assert_eq!(vector_score(&found("a", 0.75, 0.0), 0.75), 0.0);
        assert_eq!(vector_score(&found("a", 0.875, 0.0), 0.75), 0.5);
        assert_eq!(hybrid_score(&found("a", 0.875, 0.0), 0.75), 0.5);
        assert_eq!(vector_score(&found("a", 1.0, 0.0), 0.75), 1.0);
    }

    #[test]
    fn words_alone_are_ordered_by_weight_and_cut_by_share() {
        let rows = vec![found("rare", 0.0, 9.0), found("all", 0.0, 0.1), found("most", 0.0, 3.0)];
        let share = |row: &String| match row.as_str() {
            "all" => 1.0,
            "most" => 0.7,
            _ => 0.2,
        };
        let ranked = rank_words(rows, share, Some(0.45), 10);
        assert_eq!(ranked.iter().map(|(_, row)| row.as_str()).collect::<Vec<_>>(), ["most", "all"]);
    }

    type Score = Box<dyn Fn(&Match<String>) -> f32>;

    /// All scores, with a model that gives the cosine `unrelated` to what is not related.
    fn scores(unrelated: f32) -> [Score; 3] {
        let vector = move |found: &Match<String>| vector_score(found, unrelated);
        let hybrid = move |found: &Match<String>| hybrid_score(found, unrelated);
        [Box::new(vector), Box::new(hybrid), Box::new(text_score)]
    }

    proptest! {
        #[test]
        fn scores_are_between_0_and_1_and_grow_with_the_evidence(
            cosine in -1.0f32..1.0, more in 0.0f32..1.0, bm25 in 0.0f32..1e6, extra in 0.0f32..100.0,
            unrelated in 0.0f32..0.99,
        ) {
            let weak = found("x", cosine, bm25);
            let strong = found("x", cosine + more, bm25 + extra);
            for score in scores(unrelated) {
                prop_assert!((0.0..=1.0).contains(&score(&weak)));
                prop_assert!(score(&strong) >= score(&weak));
            }
        }

        #[test]
        fn the_models_scale_does_not_change_the_order(
            a in 0.5f32..1.0, b in 0.5f32..1.0, bm25 in 0.0f32..100.0, other in 0.0f32..100.0, unrelated in 0.0f32..0.5,
        ) {
            let (one, two) = (found("1", a, bm25), found("2", b, other));
            let apart = hybrid_score(&one, 0.0) - hybrid_score(&two, 0.0);
            prop_assume!(apart.abs() > 1e-5);
            prop_assert_eq!(apart > 0.0, hybrid_score(&one, unrelated) > hybrid_score(&two, unrelated));
        }

        #[test]
        fn odd_numbers_do_no_harm(cosine in any::<f32>(), bm25 in any::<f32>()) {
            for score in scores(0.0).into_iter().chain(scores(0.75)) {
                prop_assert!((0.0..=1.0).contains(&score(&found("x", cosine, bm25))));
            }
        }
    }
}
