use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use super::*;
use crate::knowledge::filter::{Filter, Pages};

/// A chunk of the model.
#[derive(Debug, Clone, PartialEq)]
struct Chunk {
    words: Vec<String>,
    vector: Vec<f32>,
    page: Option<u32>,
}

/// The model: documents by id.
type Model = BTreeMap<String, Vec<Chunk>>;

fn rows(documents: &[(String, Vec<Chunk>)]) -> Builder {
    let mut rows = Builder::new(DIMENSION);
    for (id, chunks) in documents {
        for (chunk, number) in chunks.iter().zip(0..) {
            let (words, text) = (chunk.words.join(" "), format!("{id} {number}"));
            rows.push(&Row {
                document: id,
                title: &format!("title {id}"),
                uri: Some(&format!("folder/{id}")),
                heading: (number % 2 == 1).then_some("odd"),
                place: None,
                text: &text,
                words: &words,
                vector: &chunk.vector,
                chunk: number,
                page: chunk.page,
                page_end: None,
                start: number,
                end: number + 1,
            });
        }
    }
    rows
}

const DIMENSION: usize = 4;

/// A snapshot of so many rows, for whoever counts them.
pub(in crate::knowledge::index) fn snapshot(version: u64, count: usize) -> Snapshot {
    let chunk = Chunk { words: vec!["word".to_owned()], vector: vec![1.0; DIMENSION], page: None };
    Snapshot::new(version, rows(&[("0a".to_owned(), vec![chunk; count])]))
}

fn within(depth: usize) -> Within {
    Within { depth, without: Vec::new(), filter: None }
}

/// BM25 as it is written down in books.
fn bm25(model: &Model, terms: &[String]) -> HashMap<String, f32> {
    let chunks: Vec<(String, &Chunk)> = model
        .iter()
        .flat_map(|(id, chunks)| chunks.iter().enumerate().map(move |(i, chunk)| (format!("{id}#{i}"), chunk)))
        .collect();
    let count = chunks.len() as f32;
    let average = chunks.iter().map(|(_, chunk)| chunk.words.len()).sum::<usize>() as f32 / count.max(1.0);
    let mut scores = HashMap::new();
    for term in terms {
        let having = chunks.iter().filter(|(_, chunk)| chunk.words.contains(term)).count() as f32;
        let idf = ((count - having + 0.5) / (having + 0.5) + 1.0).ln();
        for (id, chunk) in &chunks {
            let often = chunk.words.iter().filter(|word| *word == term).count() as f32;
            let norm = 1.2 * (0.25 + 0.75 * chunk.words.len() as f32 / average.max(1.0));
            let score = idf * 2.2 * often / (often + norm);
            if score > 0.0 {
                *scores.entry(id.clone()).or_default() += score;
            }
        }
    }
    scores
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    let norm = (dot(a, a) * dot(b, b)).sqrt();
    if norm > 0.0 { dot(a, b) / norm } else { 0.0 }
}

/// What was found has the scores that it should have, and nothing else has better ones.
fn agree(found: &[(String, f32)], expected: &HashMap<String, f32>, depth: usize) -> Result<(), TestCaseError> {
    let mut best: Vec<f32> = expected.values().copied().collect();
    best.sort_by(|a, b| b.total_cmp(a));
    best.truncate(depth);
    prop_assert_eq!(found.len(), best.len(), "{:?} {:?}", found, expected);
    for ((id, score), best) in found.iter().zip(best) {
        prop_assert!((score - best).abs() < 0.02, "{id}: {score}, not {best}");
        prop_assert!(expected.get(id).is_some_and(|right| (right - score).abs() < 0.02), "{id}: {score} {expected:?}");
    }
    Ok(())
}

fn chunk() -> impl Strategy<Value = Chunk> {
    let words = prop::collection::vec("[a-f]", 0..8);
    let vector = prop::collection::vec(-1.0f32..1.0, DIMENSION);
    (words, vector, prop::option::of(1u32..4)).prop_map(|(words, vector, page)| Chunk { words, vector, page })
}

fn documents() -> impl Strategy<Value = Vec<(String, Vec<Chunk>)>> {
    let all = prop::collection::btree_map("[0-9a-d]", prop::collection::vec(chunk(), 0..6), 0..4);
    all.prop_map(|all| all.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn whatever_is_written_it_finds_what_a_plain_search_finds(
        first in documents(),
        writes in prop::collection::vec(documents(), 0..12),
        terms in prop::collection::btree_set("[a-h]", 0..4),
        question in prop::collection::vec(-1.0f32..1.0, DIMENSION),
        (depth, dead, page) in (0usize..12, "[0-9a-d]", 1u32..4),
    ) {
        let mut model: Model = first.iter().cloned().collect();
        let mut snapshot = Snapshot::new(1, rows(&first));
        for (write, version) in writes.iter().zip(2..) {
            let ids: Vec<String> = write.iter().map(|(id, _)| id.clone()).collect();
            model.extend(write.iter().cloned());
            let older = (snapshot.clone(), snapshot.chunks());
            snapshot = snapshot.replaced(version, &ids, rows(write));
            prop_assert_eq!(older.0.chunks(), older.1, "a version does not change");
        }
        prop_assert_eq!(snapshot.chunks(), model.values().map(Vec::len).sum::<usize>());
        prop_assert!(snapshot.parts.len() <= 2 + snapshot.chunks().max(1).ilog2() as usize);
        prop_assert!(snapshot.parts.iter().all(|part| 2 * part.living >= part.segment.len()));

        let terms: Vec<String> = terms.into_iter().collect();
        let filter = Filter::Not(Box::new(Filter::Pages(Pages { from: Some(page), to: Some(page) })));
        for within in [
            within(depth),
            Within { without: vec![dead.clone()], ..within(depth) },
            Within { filter: Some(filter), ..within(depth) },
        ] {
            let is_seen = |id: &str| {
                let (document, number) = id.split_once('#').expect("id");
                let chunk = &model[document][number.parse::<usize>().expect("number")];
                (within.without.is_empty() || document != dead) && (within.filter.is_none() || chunk.page != Some(page))
            };
            let mut expected = bm25(&model, &terms);
            expected.retain(|id, _| is_seen(id));
            let found = snapshot.by_words(&terms, Some(&question), &within);
            let scores: Vec<_> = found.iter().map(|found| (found.id.clone(), found.bm25)).collect();
            agree(&scores, &expected, depth)?;
            for found in &found {
                let vector = &model[&found.row.document][found.row.chunk as usize].vector;
                prop_assert!((found.cosine - cosine(vector, &question)).abs() < 0.02);
                prop_assert_eq!(&found.row.text, &format!("{} {}", found.row.document, found.row.chunk));
                prop_assert_eq!(found.row.heading.as_deref(), (found.row.chunk % 2 == 1).then_some("odd"));
            }

            let all = model.iter().flat_map(|(id, chunks)| chunks.iter().enumerate().map(move |(i, chunk)| (format!("{id}#{i}"), chunk)));
            let mut expected: HashMap<String, f32> = all.map(|(id, chunk)| (id, cosine(&chunk.vector, &question))).collect();
            expected.retain(|id, _| is_seen(id));
            let found = snapshot.by_vector(&question, &within);
            let scores: Vec<_> = found.iter().map(|found| (found.id.clone(), found.cosine)).collect();
            agree(&scores, &expected, depth)?;
        }
    }
}

#[test]
fn what_it_takes_is_counted() {
    let (small, large) = (snapshot(1, 10).bytes(), snapshot(1, 1000).bytes());
    assert!(large > small + 990 * 40 && large < 1000 * 200, "{small} {large}");
    assert_eq!(Snapshot::default().bytes(), 0);
}

#[test]
fn a_question_of_another_model_finds_nothing() {
    assert_eq!(snapshot(1, 3).by_vector(&[1.0; 5], &within(3)), []);
    let found = snapshot(1, 3).by_words(&["word".to_owned()], Some(&[1.0; 5]), &within(3));
    assert!(found.len() == 3 && found.iter().all(|found| found.cosine == 0.0));
}
