//! Test sets: documents, questions, and which documents answer which question how well.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// The most bytes of one file.
const MAX_FILE: u64 = 256 << 20;

/// A document.
#[derive(Debug, Deserialize)]
pub(super) struct Document {
    pub(super) id: String,
    #[serde(default)]
    pub(super) title: String,
    pub(super) text: String,
}

/// A question.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) text: String,
    /// The documents that answer it, with how well: above 0.
    pub(super) grades: HashMap<String, f64>,
}

/// What is measured with.
#[derive(Debug)]
pub(super) struct TestSet {
    pub(super) documents: Vec<Document>,
    /// Those that some document answers.
    pub(super) queries: Vec<Question>,
}

/// What is wrong with a test set.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is not what it should be.
    #[error("{path}, line {line}: {problem}")]
    Line {
        /// In which file.
        path: PathBuf,
        /// Which one, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// There is nothing in it.
    #[error("{path}: {problem}")]
    Empty {
        /// In which file.
        path: PathBuf,
        /// What there should be.
        problem: &'static str,
    },
}

impl TestSet {
    /// Reads `docs.jsonl` (`{"id", "title"?, "text"}`), `queries.jsonl` (`{"id", "text"}`) and `qrels.tsv` (question,
    /// document, grade) in a folder.
    pub(super) fn read(folder: &Path) -> Result<Self, SetError> {
        #[derive(Deserialize)]
        struct Asked {
            id: String,
            text: String,
        }
        let path = folder.join("docs.jsonl");
        let mut known = HashSet::new();
        let documents = lines(&path, |line| {
            let document: Document = serde_json::from_str(line).map_err(|error| error.to_string())?;
            once(&mut known, &document.id)?;
            Ok(document)
        })?;
        if documents.is_empty() {
            return Err(SetError::Empty { path, problem: "there is no document in it" });
        }
        let path = folder.join("queries.jsonl");
        let (mut questions, mut places) = (Vec::new(), HashMap::new());
        lines(&path, |line| {
            let Asked { id, text } = serde_json::from_str(line).map_err(|error| error.to_string())?;
            if places.insert(id.clone(), questions.len()).is_some() || id.is_empty() {
                return Err(twice(&id));
            }
            questions.push(Question { text, grades: HashMap::new() });
            Ok(())
        })?;
        let path = folder.join("qrels.tsv");
        lines(&path, |line| {
            let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
            let [query, document, grade] = fields[..] else {
                return Err("is not a question, a document and a grade with tabs between".to_owned());
            };
            let grade: f64 = grade.parse().map_err(|_| format!("`{grade}` is no number"))?;
            let place = places.get(query).ok_or_else(|| format!("there is no question `{query}`"))?;
            if !known.contains(document) {
                return Err(format!("there is no document `{document}`"));
            }
            if !(0.0..=f64::MAX).contains(&grade) {
                return Err(format!("a grade is at least 0, this is {grade}"));
            }
            if grade > 0.0 {
                questions[*place].grades.insert(document.to_owned(), grade);
            }
            Ok(())
        })?;
        questions.retain(|question| !question.grades.is_empty());
        if questions.is_empty() {
            return Err(SetError::Empty { path, problem: "no document answers a question" });
        }
        Ok(Self { documents, queries: questions })
    }
}

fn once(known: &mut HashSet<String>, id: &str) -> Result<(), String> {
    if id.is_empty() || !known.insert(id.to_owned()) { Err(twice(id)) } else { Ok(()) }
}

fn twice(id: &str) -> String {
    if id.is_empty() { "`id` is empty".to_owned() } else { format!("`{id}` is there twice") }
}

/// Every line that is not blank.
fn lines<T>(path: &Path, mut read: impl FnMut(&str) -> Result<T, String>) -> Result<Vec<T>, SetError> {
    let failed = |source| SetError::File { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.len() > MAX_FILE {
        return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, format!("has more than {MAX_FILE} bytes"))));
    }
    let mut all = Vec::new();
    for (line, number) in BufReader::new(file.take(MAX_FILE)).lines().zip(1..) {
        let at = |problem: String| SetError::Line { path: path.to_owned(), line: number, problem };
        let line = line.map_err(|error| at(error.to_string()))?;
        if !line.trim().is_empty() {
            all.push(read(&line).map_err(at)?);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCS: &str = "{\"id\": \"a\", \"title\": \"A\", \"text\": \"One.\"}\n\n{\"id\": \"b\", \"text\": \"Two.\"}\n";
    const QUERIES: &str = "{\"id\": \"1\", \"text\": \"What?\"}\n{\"id\": \"2\", \"text\": \"Who?\"}\n";

    fn read(docs: &str, queries: &str, qrels: &str) -> Result<TestSet, String> {
        let folder = tempfile::tempdir().expect("folder");
        for (name, text) in [("docs.jsonl", docs), ("queries.jsonl", queries), ("qrels.tsv", qrels)] {
            std::fs::write(folder.path().join(name), text).expect("written");
        }
        TestSet::read(folder.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_set_is_read_and_questions_without_an_answer_are_left_out() {
        let set = read(DOCS, QUERIES, "1\ta\t2\n1\tb\t0\n\n2\tb\t0\n").expect("a set");
        assert_eq!((set.documents.len(), set.queries.len()), (2, 1));
        assert_eq!(set.queries[0].grades, HashMap::from([("a".to_owned(), 2.0)]));
    }

    #[test]
    fn what_is_wrong_is_named_with_file_and_line() {
        let twice = format!("{DOCS}{{\"id\": \"a\", \"text\": \"Three.\"}}\n");
        for (docs, queries, qrels, file, told) in [
            ("{\"id\": 1}", QUERIES, "1\ta\t1", "docs.jsonl, line 1", "string"),
            (&twice, QUERIES, "1\ta\t1", "docs.jsonl, line 4", "twice"),
            ("\n", QUERIES, "1\ta\t1", "docs.jsonl", "no document"),
            (DOCS, "{", "1\ta\t1", "queries.jsonl, line 1", "EOF"),
            (DOCS, QUERIES, "1\ta\t1\n1 b 1", "qrels.tsv, line 2", "tabs"),
            (DOCS, QUERIES, "1\tz\t1", "qrels.tsv, line 1", "`z`"),
            (DOCS, QUERIES, "9\ta\t1", "qrels.tsv, line 1", "`9`"),
            (DOCS, QUERIES, "1\ta\tmuch", "qrels.tsv, line 1", "`much`"),
            (DOCS, QUERIES, "1\ta\t-1", "qrels.tsv, line 1", "at least 0"),
            (DOCS, QUERIES, "1\ta\tNaN", "qrels.tsv, line 1", "at least 0"),
            (DOCS, QUERIES, "1\ta\t0", "qrels.tsv", "answers"),
        ] {
            let error = read(docs, queries, qrels).expect_err("refused");
            assert!(error.contains(file) && error.contains(told), "{file}, {told}: {error}");
        }
        let none = TestSet::read(Path::new("/nowhere")).expect_err("refused").to_string();
        assert!(none.contains("/nowhere/docs.jsonl"), "{none}");
    }
}
