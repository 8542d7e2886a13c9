//! The tools that agents are given: what reads the knowledge base, in the caller's own name.

use std::fmt::Write;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    auth::Caller,
    http::{collections, desk::Desk, gateway::Gateway, knowledge, problem::Problem},
    knowledge::Passage,
};

const SEARCH: &str = "search_knowledge";
const COLLECTIONS: &str = "list_collections";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    query: String,
    collection: Option<String>,
    top_k: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// What there is.
pub(super) fn all() -> Value {
    let hints = json!({"readOnlyHint": true, "openWorldHint": false});
    let list = |name: &str| {
        json!({
            "type": "object",
            "properties": {name: {"type": "array", "items": {"type": "object"}}},
            "required": [name],
        })
    };
    json!([
        {
            "name": SEARCH,
            "title": "Search the knowledge base",
            "description": "Finds the passages of the knowledge base that fit a question best, each with its source. \
                            Ask with whole questions or with key words, in the language of the documents.",
            "inputSchema": {
                "type": "object",
                "properties": {
                    "query": {"type": "string", "minLength": 1, "maxLength": knowledge::MAX_QUERY_CHARS,
                              "description": "What is looked for"},
                    "collection": {"type": "string",
                                   "description": "Where; `default` when absent. list_collections names them"},
                    "top_k": {"type": "integer", "minimum": 1, "maximum": knowledge::MAX_TOP_K,
                              "description": "The most passages"},
                },
                "required": ["query"],
                "additionalProperties": false,
            },
            "outputSchema": list("results"),
            "annotations": hints,
        },
        {
            "name": COLLECTIONS,
            "title": "List the collections",
            "description": "The collections of the knowledge base that can be searched, with how many documents each has.",
            "inputSchema": {"type": "object", "properties": {}, "additionalProperties": false},
            "outputSchema": list("collections"),
            "annotations": hints,
        },
    ])
}

/// What comes of a call, an error that the agent can mend included; `None`: there is no such tool.
pub(super) async fn call(gateway: &Gateway, caller: &Caller, name: &str, arguments: Value) -> Option<Value> {
    let came = match name {
        SEARCH => search(gateway, caller, arguments).await,
        COLLECTIONS => list(gateway, caller, arguments).await,
        _ => return None,
    };
    Some(came.unwrap_or_else(|said| json!({"content": [{"type": "text", "text": said}], "isError": true})))
}

async fn search(gateway: &Gateway, caller: &Caller, arguments: Value) -> Result<Value, String> {
    let Search { query, collection, top_k } = read(arguments)?;
    let query = knowledge::Query::of(query, collection, top_k);
    let found = knowledge::search(gateway, caller, query).await.map_err(|problem| said(&problem))?;
    let mut text = String::new();
    for (at, passage) in found.results.iter().enumerate() {
        shown(&mut text, at + 1, passage);
    }
    if text.is_empty() {
        text.push_str("Nothing was found.");
    }
    Ok(result(&text, &found))
}

async fn list(gateway: &Gateway, caller: &Caller, arguments: Value) -> Result<Value, String> {
    let Nothing {} = read(arguments)?;
    let listed = async { collections::list(Desk::of(gateway, caller)?).await };
    let listed = listed.await.map_err(|problem| said(&problem))?.0;
    let mut text = String::new();
    for (name, documents) in listed.counted() {
        let _ = writeln!(text, "{name}: {documents} documents");
    }
    Ok(result(&text, &listed))
}

fn read<T: for<'a> Deserialize<'a>>(arguments: Value) -> Result<T, String> {
    serde_json::from_value(arguments).map_err(|error| format!("the arguments are not as they must be: {error}"))
}

fn said(problem: &Problem) -> String {
    match problem.retry_after {
        Some(seconds) => format!("{}: try again in {seconds} seconds", problem.detail),
        None => problem.detail.clone(),
    }
}

/// As text for those who read nothing else, and as data.
fn result(text: &str, data: &impl serde::Serialize) -> Value {
    // By way of text, in which scores have no more digits than they are known to.
    let written = serde_json::to_string(data).ok();
    let data: Value = written.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    json!({"content": [{"type": "text", "text": text.trim_end()}], "structuredContent": data, "isError": false})
}

fn shown(text: &mut String, number: usize, passage: &Passage) {
    let page = passage.page.map(|page| format!("page {page}"));
    let places = [passage.heading.as_ref(), passage.place.as_ref(), page.as_ref(), passage.uri.as_ref()];
    let _ = write!(text, "[{number}] {}", passage.title);
    for place in places.into_iter().flatten() {
        let _ = write!(text, " · {place}");
    }
    let _ = write!(text, "\n{}\n\n", passage.text.trim());
}
