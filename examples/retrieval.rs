//! Measures how well and how fast retrieval works, on a test set of one's own:
//!
//! ```text
//! cargo run --example retrieval -- FOLDER MODEL_DIR PROGRAM
//! ```
//!
//! PROGRAM is `rivulet`, whose parsers read the documents. FOLDER holds `docs.jsonl` (`{"id", "title", "text"}`), `queries.jsonl` (`{"id", "text"}`) and `qrels.tsv` (query,
//! document, grade). The documents go through the whole of ingestion; a document counts with its best chunk. Prints
//! nDCG@10 with linear gains and recall@10 for each mode, and how long a search takes.

use std::{
    collections::{HashMap, HashSet},
    error::Error,
    fs,
    io::{self, Write},
    path::Path,
    sync::Arc,
    time::Duration,
};

use rivulet::{
    config::KnowledgeConfig,
    knowledge::{
        Collection, DEFAULT_COLLECTION, Knowledge, Own, Retriever, SearchMode, SearchQuery, ingest,
        jobs::{Bounds, Documents},
        parser::Parsers,
    },
    store::sqlite::{self, SqliteStore},
};
use serde::Deserialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const CUTOFF: usize = 10;
/// Chunks asked for, so that ten documents are among them.
const CHUNKS: usize = 100;

#[derive(Deserialize)]
struct Record {
    id: String,
    #[serde(default)]
    title: String,
    text: String,
}

/// Query → document → grade.
type Grades = HashMap<String, HashMap<String, f64>>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, model_dir, program] = arguments.as_slice() else {
        return Err("usage: retrieval FOLDER MODEL_DIR PROGRAM".into());
    };
    let folder = Path::new(folder);
    let temporary = tempfile::tempdir()?;
    let documents = temporary.path().join("documents");
    fs::create_dir(&documents)?;
    for document in records(&folder.join("docs.jsonl"))? {
        let text = format!("# {}\n\n{}\n", document.title.trim(), document.text.trim());
        fs::write(documents.join(format!("{}.md", document.id)), text)?;
    }

    let config = KnowledgeConfig { model_dir: Some(model_dir.into()), ..KnowledgeConfig::default() };
    let knowledge = Knowledge::open(&config, temporary.path(), Parsers::new(program));
    let started = Instant::now();
    knowledge.ready().await?;
    let out = &mut io::stdout().lock();
    writeln!(out, "model loaded in {:.2} s", started.elapsed().as_secs_f64())?;
    let knowledge = Arc::new(knowledge);
    let store = Arc::new(SqliteStore::open(temporary.path().join(sqlite::FILE_NAME))?);
    let bounds = Bounds::of(&config);
    let kept = Documents::open(store.clone(), knowledge.clone(), temporary.path(), bounds).await?;
    let (kept, ending) = (Arc::new(kept), CancellationToken::new());
    let working = Arc::clone(&kept).run(ending.clone());
    let ingesting = async {
        let ingested = ingest(&Own::new(kept, Collection::default()), &[documents], |_| ()).await;
        ending.cancel();
        ingested
    };
    let ((), summary) = tokio::join!(working, ingesting);
    let summary = summary?;
    let seconds = summary.took.as_secs_f64();
    writeln!(out, "{} documents, {} chunks in {seconds:.1} s", summary.files, summary.chunks)?;

    let queries = records(&folder.join("queries.jsonl"))?;
    let grades = grades(&folder.join("qrels.tsv"))?;
    for mode in [SearchMode::Text, SearchMode::Vector, SearchMode::Hybrid] {
        measure(out, &knowledge, mode, &queries, &grades).await?;
    }
    Ok(())
}

async fn measure(
    out: &mut impl Write,
    knowledge: &Knowledge,
    mode: SearchMode,
    queries: &[Record],
    grades: &Grades,
) -> Result<(), Box<dyn Error>> {
    let (mut ndcg, mut recall, mut judged) = (0.0, 0.0, 0.0);
    let mut times: Vec<Duration> = Vec::with_capacity(queries.len());
    for query in queries {
        let Some(relevant) = grades.get(&query.id) else { continue };
        let search = SearchQuery {
            text: query.text.clone(),
            collection: DEFAULT_COLLECTION.to_owned(),
            top_k: CHUNKS,
            mode,
            min_score: None,
            filter: None,
            owner: None,
            session: None,
        };
        let started = Instant::now();
        let passages = knowledge.retrieve(&search).await?.passages;
        times.push(started.elapsed());
        let mut seen = HashSet::new();
        let ids = passages.iter().filter_map(|passage| Path::new(passage.uri.as_deref()?).file_stem()?.to_str());
        let ranking: Vec<&str> = ids.filter(|id| seen.insert(*id)).take(CUTOFF).collect();
        let gains: Vec<f64> = ranking.iter().map(|id| relevant.get(*id).copied().unwrap_or(0.0)).collect();
        let mut ideal: Vec<f64> = relevant.values().copied().collect();
        ideal.sort_by(|a, b| b.total_cmp(a));
        ndcg += discounted(&gains) / discounted(&ideal[..ideal.len().min(CUTOFF)]);
        let hits = u32::try_from(gains.iter().filter(|gain| **gain > 0.0).count())?;
        recall += f64::from(hits) / f64::from(u32::try_from(relevant.len())?);
        judged += 1.0;
    }
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).map_or(0.0, |time| time.as_secs_f64() * 1000.0);
    writeln!(
        out,
        "{mode:?}: nDCG@{CUTOFF} {:.4}, recall@{CUTOFF} {:.4}, p50 {:.1} ms, p95 {:.1} ms",
        ndcg / judged,
        recall / judged,
        at(50),
        at(95)
    )?;
    Ok(())
}

fn discounted(gains: &[f64]) -> f64 {
    gains.iter().zip(2u32..).map(|(gain, rank)| gain / f64::from(rank).log2()).sum()
}

fn records(path: &Path) -> Result<Vec<Record>, Box<dyn Error>> {
    let text = fs::read_to_string(path)?;
    text.lines().filter(|line| !line.trim().is_empty()).map(|line| Ok(serde_json::from_str(line)?)).collect()
}

fn grades(path: &Path) -> Result<Grades, Box<dyn Error>> {
    let mut grades = Grades::new();
    for line in fs::read_to_string(path)?.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        if let [query, document, grade] = fields.as_slice()
            && let Ok(grade) = grade.trim().parse::<f64>()
            && grade > 0.0
        {
            grades.entry((*query).to_owned()).or_default().insert((*document).to_owned(), grade);
        }
    }
    Ok(grades)
}
