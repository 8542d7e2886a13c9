//! What is looked for when somebody asks who has told an assistant as much as there is room for: 10,000 turns of one notebook,
//! read from SQLite on a disk, ranked by made-up vectors of 384 numbers and by words, and the best four read by their ids. The
//! vector of the question is not in it: that is the embedding model's time. Beside the mean, prints the median and the 95th of a
//! hundred.
#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up should stop")]

use std::{hint::black_box, io::Write};

use criterion::{Criterion, criterion_group, criterion_main};
use rivulet::{
    chat::{Memory, MemoryId, MemoryKind, Notebook, Origin, Owner, Timestamp},
    memory::{
        recall::{Question, quantized, rank},
        words::words,
    },
    store::{
        MemoryStore,
        memories::{MAX_EPISODES, NewMemory},
        sqlite::SqliteStore,
    },
};
use tokio::{runtime::Runtime, time::Instant};

const DIMENSION: usize = 384;
const VOCABULARY: f64 = 20_000.0;
const TURN_WORDS: usize = 30;
const QUESTION_WORDS: usize = 10;
const QUESTIONS: usize = 200;
const MODEL: &str = "made-up";
/// What assistants ask for when nobody says otherwise.
const MOST: usize = 4;
const LEAST: f32 = 0.5;

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
    fn text(&mut self, count: usize) -> String {
        let words: Vec<String> = (0..count).map(|_| format!("w{}", VOCABULARY.powf(self.next()) as u64)).collect();
        words.join(" ")
    }

    fn vector(&mut self) -> Vec<f32> {
        (0..DIMENSION).map(|_| self.next() as f32 - 0.5).collect()
    }
}

fn episode(text: String, at: usize) -> NewMemory {
    let memory = Memory {
        id: MemoryId::random(),
        assistant: "companion".to_owned(),
        kind: MemoryKind::Episode,
        attribute: None,
        text,
        origin: Origin::Turn,
        session: None,
        message: None,
        said_at: Timestamp(at as u64),
        ended_at: None,
        expires_at: None,
    };
    NewMemory { words: words(&memory.text), memory, ends: Vec::new(), over: Vec::new(), is_again: false }
}

async fn fill(store: &SqliteStore, notebook: &Notebook) {
    let mut dice = Dice(1);
    for from in (0..MAX_EPISODES).step_by(500) {
        let new: Vec<NewMemory> = (from..from + 500).map(|at| episode(dice.text(TURN_WORDS), at)).collect();
        let vectors = new.iter().map(|new| (new.memory.id.clone(), quantized(&dice.vector()))).collect();
        store.keep_memories(notebook, new).await.expect("kept");
        store.set_vectors(MODEL, vectors).await.expect("kept");
    }
}

async fn recall(store: &SqliteStore, notebook: &Notebook, (text, vector): &(String, Vec<f32>)) -> Vec<Memory> {
    let traces = store.traces(notebook, Some(MODEL), Timestamp(0)).await.expect("read");
    assert_eq!(traces.len(), MAX_EPISODES);
    let question = Question { words: words(text), vector: Some(vector), session: None, unrelated: 0.0 };
    let ids: Vec<MemoryId> =
        rank(&question, &traces, MOST, LEAST).iter().map(|(_, at)| traces[*at].id.clone()).collect();
    store.memories_by_id(notebook.owner.as_ref(), &ids).await.expect("read")
}

fn memory(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(folder.path().join("rivulet.db")).expect("opens");
    let notebook = Notebook { owner: Some(Owner::new("acme/ann")), assistant: "companion".to_owned() };
    runtime.block_on(fill(&store, &notebook));
    let mut dice = Dice(2);
    let questions: Vec<(String, Vec<f32>)> =
        (0..QUESTIONS).map(|_| (dice.text(QUESTION_WORDS), dice.vector())).collect();
    let timed = |question| {
        let started = Instant::now();
        black_box(runtime.block_on(recall(&store, &notebook, question)));
        started.elapsed()
    };
    let mut times: Vec<_> = questions.iter().map(timed).collect();
    times.sort_unstable();
    let (p50, p95) = (times[times.len() / 2], times[times.len() * 95 / 100]);
    let _shown = writeln!(std::io::stdout(), "recall, {MAX_EPISODES} turns: p50 {p50:?}, p95 {p95:?}");
    let mut next = questions.iter().cycle();
    let mut group = c.benchmark_group("memory");
    group.sample_size(20);
    group.bench_function("recall of a full notebook", |b| {
        b.iter(|| next.next().map(|question| black_box(runtime.block_on(recall(&store, &notebook, question)))));
    });
    group.finish();
}

criterion_group!(benches, memory);
criterion_main!(benches);
