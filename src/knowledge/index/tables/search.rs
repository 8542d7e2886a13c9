//! Searches that no copy in memory answers: the query engine's own.

use arrow_array::RecordBatch;
use lancedb::{
    DistanceType, Table,
    index::scalar::{FtsQuery, FullTextSearchQuery, MatchQuery},
    query::{QueryBase, Select},
};

use super::{Tables, collect, indices, malformed, predicate, unavailable};
use crate::knowledge::{
    KnowledgeError, Passage,
    fuse::Match,
    index::{rows, within::Within},
    terms,
};

impl Tables {
    pub(in crate::knowledge::index) async fn by_vector(
        &self,
        table: &Table,
        query: &[f32],
        within: &Within,
    ) -> Result<Vec<Match<Passage>>, KnowledgeError> {
        let nearest = table.query().nearest_to(query).map_err(|error| unavailable("searching vectors", &error))?;
        let nearest = nearest.column("vector").distance_type(DistanceType::Cosine).limit(within.depth);
        let mut nearest = indices::probing(nearest).map_err(|error| unavailable("searching vectors", &error))?;
        if let Some(wanted) = predicate::predicate(within) {
            nearest = nearest.only_if_expr(wanted);
        }
        let mut columns = rows::FOUND_COLUMNS.to_vec();
        columns.push("_distance");
        let batches = collect(nearest.select(Select::columns(&columns))).await?;
        read_found(&batches, None)
    }

    pub(in crate::knowledge::index) async fn by_words(
        &self,
        table: &Table,
        text: &str,
        query: Option<&[f32]>,
        within: &Within,
    ) -> Result<Vec<Match<Passage>>, KnowledgeError> {
        let words = terms::asked(text).join(" ");
        if words.is_empty() || !self.has_word_index(table).await? {
            return Ok(Vec::new());
        }
        // A match query takes plain words: no character in them is an operator.
        let matching = FtsQuery::Match(MatchQuery::new(words).with_column(Some("words".to_owned())));
        let mut columns = rows::FOUND_COLUMNS.to_vec();
        columns.push("_score");
        if query.is_some() {
            columns.push("vector");
        }
        let mut search = table.query().full_text_search(FullTextSearchQuery::new_query(matching)).limit(within.depth);
        if let Some(wanted) = predicate::predicate(within) {
            search = search.only_if_expr(wanted);
        }
        let batches = collect(search.select(Select::columns(&columns))).await?;
        read_found(&batches, query)
    }
}

pub(super) fn read_found(
    batches: &[RecordBatch],
    query: Option<&[f32]>,
) -> Result<Vec<Match<Passage>>, KnowledgeError> {
    let mut all = Vec::new();
    for batch in batches {
        all.extend(rows::found(batch, query).ok_or_else(malformed)?);
    }
    Ok(all)
}
