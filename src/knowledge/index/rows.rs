//! Rows of the index: their columns, and the way into and out of Arrow.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use arrow_array::{
    Array, ArrayRef, FixedSizeListArray, Float32Array, RecordBatch, StringArray, UInt32Array, types::Float32Type,
};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};

use super::memory::{Builder, Row};
use crate::knowledge::{
    Passage,
    chunk::Chunk,
    fuse::Match,
    terms::{self, Language},
};

/// The columns that every search reads.
pub(super) const FOUND_COLUMNS: [&str; 12] =
    ["id", "document", "title", "uri", "chunk", "page", "page_end", "place", "start", "end", "heading", "text"];

/// The columns that a copy in memory is made of.
pub(super) const COPIED_COLUMNS: [&str; 13] = [
    "document", "title", "uri", "chunk", "page", "page_end", "place", "start", "end", "heading", "text", "words",
    "vector",
];

/// Marks the column that names a row, so that concurrent writers of one row are seen as a conflict.
const PRIMARY_KEY: &str = "lance-schema:unenforced-primary-key";

/// The ids of documents that were written.
pub(crate) type Written = HashSet<String>;

/// A document as it is to stand in the index.
#[derive(Debug, Clone)]
pub(crate) struct IndexedDocument {
    /// Its id.
    pub(crate) id: String,
    /// Its title.
    pub(crate) title: String,
    /// Where the original lies.
    pub(crate) uri: Option<String>,
    /// Hash of everything that its rows depend on.
    pub(crate) hash: String,
    /// Its chunks with their vectors.
    pub(crate) chunks: Vec<(Chunk, Vec<f32>)>,
}

/// The schema of a table whose vectors come from `model` and have `dimension` numbers.
pub(super) fn schema(collection: &str, model: &str, dimension: usize) -> SchemaRef {
    let text = |name| Field::new(name, DataType::Utf8, false);
    let optional = |name, kind| Field::new(name, kind, true);
    let fields = vec![
        text("id").with_metadata(HashMap::from([(PRIMARY_KEY.to_owned(), "true".to_owned())])),
        text("document"),
        text("title"),
        optional("uri", DataType::Utf8),
        Field::new("chunk", DataType::UInt32, false),
        optional("page", DataType::UInt32),
        optional("page_end", DataType::UInt32),
        optional("place", DataType::Utf8),
        Field::new("start", DataType::UInt32, false),
        Field::new("end", DataType::UInt32, false),
        optional("heading", DataType::Utf8),
        text("text"),
        text("words"),
        text("hash"),
        text("doc_hash"),
        Field::new("vector", vector_type(dimension), false),
    ];
    let metadata = [("rivulet.collection", collection), ("rivulet.model", model)];
    let metadata = metadata.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

fn vector_type(dimension: usize) -> DataType {
    let dimension = i32::try_from(dimension).unwrap_or(i32::MAX);
    DataType::FixedSizeList(Arc::new(Field::new("item", DataType::Float32, true)), dimension)
}

/// The dimension of the vectors of a table.
pub(super) fn dimension(schema: &Schema) -> Option<usize> {
    match schema.field_with_name("vector").ok()?.data_type() {
        DataType::FixedSizeList(_, dimension) => usize::try_from(*dimension).ok(),
        _ => None,
    }
}

/// The rows of `documents`.
pub(super) fn batch(schema: &SchemaRef, documents: &[IndexedDocument]) -> Result<RecordBatch, ArrowError> {
    let rows = || {
        documents.iter().flat_map(|document| {
            document.chunks.iter().zip(0u32..).map(move |((chunk, vector), number)| (document, chunk, vector, number))
        })
    };
    let dimension = i32::try_from(dimension(schema).unwrap_or(0)).unwrap_or(i32::MAX);
    let vectors = rows().map(|(_, _, vector, _)| Some(vector.iter().copied().map(Some)));
    let columns: Vec<ArrayRef> = vec![
        strings(rows().map(|(document, _, _, number)| format!("{}#{number}", document.id))),
        strings(rows().map(|(document, ..)| document.id.as_str())),
        strings(rows().map(|(document, ..)| document.title.as_str())),
        Arc::new(rows().map(|(document, ..)| document.uri.as_deref()).collect::<StringArray>()),
        Arc::new(rows().map(|(.., number)| Some(number)).collect::<UInt32Array>()),
        Arc::new(rows().map(|(_, chunk, ..)| chunk.page).collect::<UInt32Array>()),
        Arc::new(rows().map(|(_, chunk, ..)| chunk.page_end).collect::<UInt32Array>()),
        Arc::new(rows().map(|(_, chunk, ..)| chunk.place.as_deref()).collect::<StringArray>()),
        Arc::new(rows().map(|(_, chunk, ..)| u32::try_from(chunk.range.start).ok()).collect::<UInt32Array>()),
        Arc::new(rows().map(|(_, chunk, ..)| u32::try_from(chunk.range.end).ok()).collect::<UInt32Array>()),
        Arc::new(rows().map(|(_, chunk, ..)| chunk.heading.as_deref()).collect::<StringArray>()),
        strings(rows().map(|(_, chunk, ..)| chunk.text.as_str())),
        strings(documents.iter().flat_map(words)),
        strings(rows().map(|(_, chunk, ..)| chunk.hash.as_str())),
        strings(rows().map(|(document, ..)| document.hash.as_str())),
        Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(vectors, dimension)),
    ];
    RecordBatch::try_new(Arc::clone(schema), columns)
}

/// The terms of each chunk of a document.
fn words(document: &IndexedDocument) -> impl Iterator<Item = String> + '_ {
    let all: Vec<&str> = document.chunks.iter().map(|(chunk, _)| chunk.text.as_str()).collect();
    let whole = Language::of(&all.join("\n"));
    document.chunks.iter().map(move |(chunk, _)| terms::indexed(&chunk.content, whole))
}

fn strings<S: AsRef<str>>(values: impl Iterator<Item = S>) -> ArrayRef {
    Arc::new(values.map(Some).collect::<StringArray>())
}

/// What a search leg found. The cosine is that of the leg's own distance or, when it has none, of `query` and the row's
/// vector.
pub(super) fn found(batch: &RecordBatch, query: Option<&[f32]>) -> Option<Vec<Match<Passage>>> {
    let (id, document, title) = (text(batch, "id")?, text(batch, "document")?, text(batch, "title")?);
    let (uri, heading, body) = (text(batch, "uri")?, text(batch, "heading")?, text(batch, "text")?);
    let (chunk, page, page_end) = (numbers(batch, "chunk")?, numbers(batch, "page")?, numbers(batch, "page_end")?);
    let (place, start, end) = (text(batch, "place")?, numbers(batch, "start")?, numbers(batch, "end")?);
    let bm25 = batch.column_by_name("_score").and_then(|column| column.as_any().downcast_ref::<Float32Array>());
    let distance = batch.column_by_name("_distance").and_then(|column| column.as_any().downcast_ref::<Float32Array>());
    let compare = |i| match distance {
        Some(distance) => Some(1.0 - distance.value(i)),
        None => Some(cosine(query?, &vector(batch, i)?)),
    };
    let rows = (0..batch.num_rows()).map(|i| Match {
        id: id.value(i).to_owned(),
        cosine: compare(i).unwrap_or(0.0),
        bm25: bm25.map_or(0.0, |scores| scores.value(i)),
        row: Passage {
            document: document.value(i).to_owned(),
            title: title.value(i).to_owned(),
            uri: uri.is_valid(i).then(|| uri.value(i).to_owned()),
            chunk: chunk.value(i),
            page: page.is_valid(i).then(|| page.value(i)),
            page_end: page_end.is_valid(i).then(|| page_end.value(i)).filter(|last| *last != page.value(i)),
            place: place.is_valid(i).then(|| place.value(i).to_owned()),
            start: start.value(i),
            end: end.value(i),
            heading: heading.is_valid(i).then(|| heading.value(i).to_owned()),
            text: body.value(i).to_owned(),
            score: 0.0,
        },
    });
    Some(rows.collect())
}

/// Adds the rows of a batch to a copy; `None` when its columns are others.
pub(super) fn copy(batch: &RecordBatch, into: &mut Builder) -> Option<()> {
    let (document, title, uri) = (text(batch, "document")?, text(batch, "title")?, text(batch, "uri")?);
    let (heading, place) = (text(batch, "heading")?, text(batch, "place")?);
    let (body, words) = (text(batch, "text")?, text(batch, "words")?);
    let (chunk, page, page_end) = (numbers(batch, "chunk")?, numbers(batch, "page")?, numbers(batch, "page_end")?);
    let (start, end) = (numbers(batch, "start")?, numbers(batch, "end")?);
    let vectors = batch.column_by_name("vector")?.as_any().downcast_ref::<FixedSizeListArray>()?;
    for i in 0..batch.num_rows() {
        let vector = vectors.value(i);
        let page = page.is_valid(i).then(|| page.value(i));
        into.push(&Row {
            document: document.value(i),
            title: title.value(i),
            uri: uri.is_valid(i).then(|| uri.value(i)),
            heading: heading.is_valid(i).then(|| heading.value(i)),
            place: place.is_valid(i).then(|| place.value(i)),
            text: body.value(i),
            words: words.value(i),
            vector: vector.as_any().downcast_ref::<Float32Array>()?.values(),
            chunk: chunk.value(i),
            page,
            page_end: page_end.is_valid(i).then(|| page_end.value(i)).filter(|last| Some(*last) != page),
            start: start.value(i),
            end: end.value(i),
        });
    }
    Some(())
}

/// Two text columns of a batch, row by row.
pub(super) fn text_pairs(batch: &RecordBatch, a: &str, b: &str) -> Option<Vec<(String, String)>> {
    let (a, b) = (text(batch, a)?, text(batch, b)?);
    Some((0..batch.num_rows()).map(|i| (a.value(i).to_owned(), b.value(i).to_owned())).collect())
}

/// The documents of a batch's rows with the numbers of their chunks.
pub(super) fn numbered(batch: &RecordBatch) -> Option<Vec<(String, u32)>> {
    let (document, chunk) = (text(batch, "document")?, numbers(batch, "chunk")?);
    Some((0..batch.num_rows()).map(|i| (document.value(i).to_owned(), chunk.value(i))).collect())
}

/// The chunk hashes of a batch with their vectors.
pub(super) fn hashed_vectors(batch: &RecordBatch) -> Option<Vec<(String, Vec<f32>)>> {
    let hash = text(batch, "hash")?;
    (0..batch.num_rows()).map(|i| Some((hash.value(i).to_owned(), vector(batch, i)?))).collect()
}

fn text<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a StringArray> {
    batch.column_by_name(name)?.as_any().downcast_ref()
}

fn numbers<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a UInt32Array> {
    batch.column_by_name(name)?.as_any().downcast_ref()
}

fn vector(batch: &RecordBatch, row: usize) -> Option<Vec<f32>> {
    let list = batch.column_by_name("vector")?.as_any().downcast_ref::<FixedSizeListArray>()?.value(row);
    Some(list.as_any().downcast_ref::<Float32Array>()?.values().to_vec())
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return 0.0;
    }
    let dot: f32 = a.iter().zip(b).map(|(x, y)| x * y).sum();
    let norm = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>().sqrt();
    let product = norm(a) * norm(b);
    if product > 0.0 { dot / product } else { 0.0 }
}
