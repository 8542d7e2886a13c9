//! Searches of a collection's copy in memory: 2,000 and 100,000 made-up chunks of about a hundred words, as many of each
//! word as natural text has, and random vectors of 384 numbers. Beside the means, prints the median, the 95th of a hundred,
//! and what a chunk takes.

use std::{hint::black_box, io::Write};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use rivulet::knowledge::{
    Filter, Pages, Passage,
    fuse::{self, Match},
    index::{
        Within,
        memory::{Builder, Row, Snapshot},
    },
};
use tokio::time::Instant;

const DIMENSION: usize = 384;
const VOCABULARY: f64 = 50_000.0;
const CHUNK_WORDS: usize = 100;
const QUESTION_WORDS: usize = 12;
const DOCUMENT_CHUNKS: usize = 20;
const DEPTH: usize = 50;
const TOP_K: usize = 10;

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The n-th most common word comes once where the first comes n times.
    fn word(&mut self) -> String {
        format!("w{}", VOCABULARY.powf(self.next()) as u64)
    }

    fn vector(&mut self) -> Vec<f32> {
        (0..DIMENSION).map(|_| self.next() as f32 - 0.5).collect()
    }
}

fn made_up(chunks: usize) -> Snapshot {
    let (mut dice, mut rows) = (Dice(1), Builder::new(DIMENSION));
    for number in 0..chunks {
        let words: Vec<String> = (0..CHUNK_WORDS).map(|_| dice.word()).collect();
        let words = words.join(" ");
        let document = format!("{:032x}", number / DOCUMENT_CHUNKS);
        let chunk = u32::try_from(number % DOCUMENT_CHUNKS).unwrap_or(0);
        rows.push(&Row {
            document: &document,
            title: "A handbook of huts",
            uri: Some("huts/handbook.md"),
            heading: Some("Huts › In winter"),
            place: None,
            text: &words,
            words: &words,
            vector: &dice.vector(),
            chunk,
            page: Some(chunk + 1),
            page_end: None,
            start: chunk * 1000,
            end: chunk * 1000 + 990,
        });
    }
    Snapshot::new(1, rows)
}

struct Question {
    terms: Vec<String>,
    vector: Vec<f32>,
}

fn questions() -> Vec<Question> {
    let mut dice = Dice(2);
    let question = |_| Question { terms: (0..QUESTION_WORDS).map(|_| dice.word()).collect(), vector: dice.vector() };
    (0..200).map(question).collect()
}

fn hybrid(snapshot: &Snapshot, question: &Question, within: &Within) -> Vec<(f32, Passage)> {
    let near = snapshot.by_vector(&question.vector, within);
    let worded: Vec<Match<Passage>> = snapshot.by_words(&question.terms, Some(&question.vector), within);
    fuse::rank(fuse::union(near, worded), |found| fuse::hybrid_score(found, 0.0), None, TOP_K)
}

fn search(c: &mut Criterion) {
    let questions = questions();
    let everything = Within { depth: DEPTH, without: Vec::new(), filter: None };
    let filter = Filter::All(vec![
        Filter::UriPrefix("huts/".to_owned()),
        Filter::Not(Box::new(Filter::Pages(Pages { from: Some(3), to: Some(9) }))),
    ]);
    let filtered = Within { filter: Some(filter), ..everything.clone() };
    let mut group = c.benchmark_group("search");
    group.sample_size(20);
    for chunks in [2_000, 100_000] {
        let snapshot = made_up(chunks);
        for (name, within) in [("hybrid", &everything), ("hybrid, filtered", &filtered)] {
            let mut times: Vec<_> = questions
                .iter()
                .map(|question| {
                    let started = Instant::now();
                    black_box(hybrid(&snapshot, question, within));
                    started.elapsed()
                })
                .collect();
            times.sort_unstable();
            let (p50, p95) = (times[times.len() / 2], times[times.len() * 95 / 100]);
            let bytes = snapshot.bytes() / chunks;
            let _shown =
                writeln!(std::io::stdout(), "{name}, {chunks} chunks: p50 {p50:?}, p95 {p95:?}, {bytes} bytes a chunk");
            let mut next = questions.iter().cycle();
            group.bench_function(BenchmarkId::new(name, chunks), |b| {
                b.iter(|| next.next().map(|question| black_box(hybrid(&snapshot, question, within))));
            });
        }
        let document = [format!("{:032x}", 7)];
        group.bench_function(BenchmarkId::new("a document is replaced", chunks), |b| {
            b.iter(|| black_box(snapshot.replaced(2, &document, Builder::new(DIMENSION))));
        });
    }
    group.finish();
}

criterion_group!(benches, search);
criterion_main!(benches);
