//! What a table has beside its rows: an index of their words, and one of their vectors when they are many.
//!
//! Rows that an index does not cover are found all the same, by looking through them. The index of vectors keeps a bit for
//! each number, in partitions of neighbours. A search looks into the partitions that are nearest to its question, and
//! compares the best of what is there by the vectors themselves.

use lancedb::{
    DistanceType, Table,
    index::{Index as IndexKind, scalar::FtsIndexBuilder, vector::IvfRqIndexBuilder},
    query::VectorQuery,
    table::{OptimizeAction, OptimizeOptions},
};

use super::{Tables, unavailable};
use crate::knowledge::KnowledgeError;

/// The index of the words.
const WORDS: &str = "content_idx";
/// The index of the vectors.
const VECTORS: &str = "vector_idx";
/// Rows in a partition.
const PARTITION_ROWS: usize = 1000;
const MAX_PARTITIONS: u32 = 4096;
/// Rows of each partition that its middle is found from, and rounds: most of what building takes.
const SAMPLE_ROWS: u32 = 64;
const ROUNDS: u32 = 20;
/// Partitions that a search looks into; more when a filter leaves too little of them.
const PARTITIONS_SEARCHED: usize = 100;
/// So many times as many chunks as are wanted are compared exactly.
const COMPARED_FACTOR: u32 = 4;

impl Tables {
    /// Makes the indices that a table of this size should have, and brings those up to date that it has.
    pub(super) async fn update_indices(&self, table: &Table) -> Result<(), KnowledgeError> {
        for index in self.wanted(count(table).await?) {
            if uncovered(table, index).await?.is_none() {
                build(table, index).await?;
            }
        }
        if self.unindexed(table).await? > 0 {
            let action = OptimizeAction::Index(OptimizeOptions::merge(1));
            table.optimize(action).await.map_err(|error| unavailable("updating the indices", &error))?;
        }
        Ok(())
    }

    /// Makes all indices anew: one that is only brought up to date keeps something of what is gone, words as well as the
    /// middle of a partition.
    pub(super) async fn renew_indices(&self, table: &Table) -> Result<(), KnowledgeError> {
        let rows = count(table).await?;
        let wanted = self.wanted(rows);
        for index in [WORDS, VECTORS] {
            let is_there = uncovered(table, index).await?.is_some();
            if wanted.contains(&index) && (rows > 0 || is_there) {
                build(table, index).await?;
            } else if is_there {
                table.drop_index(index).await.map_err(|error| unavailable("dropping an index", &error))?;
            }
        }
        Ok(())
    }

    /// The rows that an index does not cover which a table of this size should have.
    pub(super) async fn unindexed(&self, table: &Table) -> Result<usize, KnowledgeError> {
        let rows = count(table).await?;
        let mut most = 0;
        for index in self.wanted(rows) {
            most = most.max(uncovered(table, index).await?.unwrap_or(rows));
        }
        Ok(most)
    }

    pub(super) async fn has_word_index(&self, table: &Table) -> Result<bool, KnowledgeError> {
        if self.worded.lock().contains(table.name()) {
            return Ok(true);
        }
        let is_there = uncovered(table, WORDS).await?.is_some();
        if is_there {
            self.worded.lock().insert(table.name().to_owned());
        }
        Ok(is_there)
    }

    /// The indices of a table with so many rows.
    fn wanted(&self, rows: usize) -> Vec<&'static str> {
        let vectors = (rows >= self.bounds.index_vectors_from).then_some(VECTORS);
        [WORDS].into_iter().chain(vectors).collect()
    }
}

/// How a search goes about the index of the vectors, if there is one.
pub(super) fn probing(search: VectorQuery) -> lancedb::Result<VectorQuery> {
    let search = search.minimum_nprobes(PARTITIONS_SEARCHED)?.maximum_nprobes(None)?;
    Ok(search.refine_factor(COMPARED_FACTOR))
}

/// Whether a table has an index of its vectors.
pub(super) async fn has_vectors(table: &Table) -> Result<bool, KnowledgeError> {
    Ok(uncovered(table, VECTORS).await?.is_some())
}

/// The rows that an index does not cover; `None` when it is not there.
async fn uncovered(table: &Table, index: &str) -> Result<Option<usize>, KnowledgeError> {
    let stats = table.index_stats(index).await.map_err(|error| unavailable("reading an index", &error))?;
    Ok(stats.map(|stats| stats.num_unindexed_rows))
}

async fn build(table: &Table, index: &'static str) -> Result<(), KnowledgeError> {
    let (column, kind) = match index {
        VECTORS => ("vector", vector_index(count(table).await?)),
        _ => ("words", word_index()),
    };
    let building = table.create_index(&[column], kind).name(index.to_owned()).replace(true).execute();
    building.await.map_err(|error| unavailable(&format!("building {index}"), &error))
}

async fn count(table: &Table) -> Result<usize, KnowledgeError> {
    table.count_rows(None).await.map_err(|error| unavailable("counting", &error))
}

fn vector_index(rows: usize) -> IndexKind {
    let partitions = u32::try_from(rows.div_ceil(PARTITION_ROWS)).unwrap_or(u32::MAX).clamp(1, MAX_PARTITIONS);
    let plain = IvfRqIndexBuilder::default().distance_type(DistanceType::Cosine).num_bits(1);
    IndexKind::IvfRq(plain.num_partitions(partitions).sample_rate(SAMPLE_ROWS).max_iterations(ROUNDS))
}

/// Terms are made by `terms`, so the engine only takes them apart: whatever searches words finds the same.
fn word_index() -> IndexKind {
    let plain = FtsIndexBuilder::default().base_tokenizer("whitespace".to_owned()).max_token_length(None);
    let plain = plain.lower_case(false).stem(false).remove_stop_words(false).ascii_folding(false);
    IndexKind::FTS(plain)
}
