//! How much of what is nearest the index of vectors finds. `RIVULET_TEST_CHUNKS=1000000` says how many chunks, and tells
//! what building and searching took.

use std::io::Write;

use tokio::time::Instant;

use super::*;
use crate::knowledge::fuse::Match;

const DIMENSION: usize = 384;
/// Numbers that a vector is made of, the first ones most: vectors of texts fill their space unevenly.
const SOURCES: usize = 96;
/// Subjects that chunks are about.
const SUBJECTS: usize = 4000;
/// Documents of so many chunks, so many of them in a commit.
const DOCUMENT: usize = 1000;
const COMMIT: usize = 20;
const QUESTIONS: usize = 50;
const WANTED: usize = 10;

/// Vectors around the middles of subjects: with no such order there is none that an index could use, nor is there in texts.
struct Texts {
    dice: u64,
    shape: Vec<f32>,
    subjects: Vec<Vec<f32>>,
}

impl Texts {
    fn new() -> Self {
        let mut texts = Self { dice: 77, shape: Vec::new(), subjects: Vec::new() };
        texts.shape = (0..DIMENSION * SOURCES).map(|_| texts.number()).collect();
        texts.subjects = (0..SUBJECTS).map(|_| texts.uneven()).collect();
        texts
    }

    /// About normal, of variance 1.
    fn number(&mut self) -> f32 {
        let mut sum = 0.0;
        for _ in 0..6 {
            self.dice ^= self.dice << 13;
            self.dice ^= self.dice >> 7;
            self.dice ^= self.dice << 17;
            sum += f32::from(u16::try_from(self.dice >> 48).expect("16 bits")) / 65536.0 - 0.5;
        }
        sum * std::f32::consts::SQRT_2
    }

    fn uneven(&mut self) -> Vec<f32> {
        (0..SOURCES).map(|i| self.number() / (1.0 + f32::from(u16::try_from(i).expect("small")) / 8.0).sqrt()).collect()
    }

    fn vector(&mut self) -> Vec<f32> {
        self.number();
        let subject = usize::try_from(self.dice % SUBJECTS as u64).expect("small");
        let own = self.uneven();
        let mut vector: Vec<f32> = (0..DIMENSION).map(|_| 0.8 * self.number()).collect();
        for ((own, subject), shape) in own.iter().zip(&self.subjects[subject]).zip(self.shape.chunks(DIMENSION)) {
            let weight = 0.8 * own + subject;
            vector.iter_mut().zip(shape).for_each(|(x, part)| *x += weight * part);
        }
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|x| *x /= length);
        vector
    }

    fn document(&mut self, number: usize) -> IndexedDocument {
        let texts: Vec<&str> = vec!["What a chunk says of its subject, in a sentence."; DOCUMENT];
        let mut made = document(&format!("{number:032x}"), "Texts", &texts);
        made.chunks.iter_mut().for_each(|(_, vector)| *vector = self.vector());
        made
    }
}

fn memory_mb() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lines = status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"));
    lines.map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", ")
}

fn tell(what: &str) {
    let _shown = writeln!(std::io::stderr(), "{what}; {} kB", memory_mb());
}

/// The nearest of all, remembered while they are made: a million vectors would not fit beside.
fn nearer(best: &mut Vec<(f32, String)>, question: &[f32], made: &IndexedDocument) {
    for ((_, vector), number) in made.chunks.iter().zip(0..) {
        let cosine: f32 = question.iter().zip(vector).map(|(a, b)| a * b).sum();
        if best.len() < WANTED || cosine > best[best.len() - 1].0 {
            best.push((cosine, format!("{}#{number}", made.id)));
            best.sort_by(|a, b| b.0.total_cmp(&a.0));
            best.truncate(WANTED);
        }
    }
}

#[tokio::test]
async fn the_index_of_vectors_finds_what_is_nearest() {
    let chunks: usize = std::env::var("RIVULET_TEST_CHUNKS").map_or(2000, |many| many.parse().expect("a number"));
    let folder = tempfile::tempdir().expect("folder");
    let bounds = Bounds { copied: 0, index_vectors_from: chunks.min(100_000) };
    let index = Index::with_bounds(folder.path().to_str().expect("path"), "model", bounds);
    let mut texts = Texts::new();
    let questions: Vec<Vec<f32>> = (0..QUESTIONS).map(|_| texts.vector()).collect();
    let mut nearest = vec![Vec::new(); QUESTIONS];
    tell("before");
    let started = Instant::now();
    for first in (0..chunks / DOCUMENT).step_by(COMMIT) {
        let documents: Vec<_> =
            (first..(first + COMMIT).min(chunks / DOCUMENT)).map(|number| texts.document(number)).collect();
        for made in &documents {
            questions.iter().zip(&mut nearest).for_each(|(question, best)| nearer(best, question, made));
        }
        write(&index, documents).await;
    }
    tell(&format!("{chunks} chunks written in {:?}", started.elapsed()));
    let started = Instant::now();
    index.refresh(&Collection::default()).await.expect("refreshed");
    tell(&format!("indexed in {:?}", started.elapsed()));

    let within = Within { depth: 50, without: Vec::new(), filter: None };
    let (mut times, mut found) = (Vec::new(), 0);
    for (question, nearest) in questions.iter().zip(&nearest) {
        let view = view(&index).await;
        let started = Instant::now();
        let near: Vec<Match<Passage>> = index.by_vector(&view, question, &within).await.expect("found");
        times.push(started.elapsed());
        found += nearest.iter().filter(|(_, id)| near[..WANTED].iter().any(|near| near.id == *id)).count();
    }
    times.sort_unstable();
    let (p50, p95) = (times[QUESTIONS / 2], times[QUESTIONS * 95 / 100]);
    let wanted = QUESTIONS * WANTED;
    tell(&format!("{found} of {wanted} found, p50 {p50:?}, p95 {p95:?}"));
    assert!(found * 100 >= wanted * 95, "{found} of {wanted}");

    let started = Instant::now();
    write(&index, vec![texts.document(0)]).await;
    let written = started.elapsed();
    index.refresh(&Collection::default()).await.expect("refreshed");
    tell(&format!("a document of {DOCUMENT} chunks replaced in {written:?}, indexed after {:?}", started.elapsed()));
    assert_eq!(index.counts(&Collection::default()).await.expect("counted").1, 0);
}
