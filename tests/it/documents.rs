//! Documents over HTTP, with the real store, the real index and the real model: in, replaced, deleted, and what becomes of
//! them when something goes wrong.

use std::{path::PathBuf, time::Duration};

use futures_util::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::harness::{Setup, TestGateway, soon};

mod archive;
mod broken;
mod crash;
mod ingest;
mod injection;
mod languages;
mod life;
mod object_storage;
mod objects;
mod quarantine;
mod several;
mod shared;
mod tenants;
mod upkeep;
mod uploads;

const MODES: [&str; 3] = ["hybrid", "vector", "text"];
pub(crate) const BOUNDARY: &str = "--the-border--";
/// Longer than any work here takes on a busy machine.
const LONG: Duration = Duration::from_secs(90);

pub(crate) fn setup() -> Setup {
    let model = std::env::var("RIVULET_KNOWLEDGE_MODEL_DIR").expect("`make test` sets RIVULET_KNOWLEDGE_MODEL_DIR");
    Setup::bare().set("RIVULET_KNOWLEDGE_ENABLED", "true").set("RIVULET_KNOWLEDGE_MODEL_DIR", &model)
}

/// A form with these parts; a part with a file name is a file.
pub(crate) fn form(parts: &[(&str, Option<&str>, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, file, bytes) in parts {
        let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

/// Somebody who uses documents; with a token or without.
#[derive(Clone)]
pub(crate) struct User {
    url: String,
    token: Option<String>,
}

impl User {
    pub(crate) fn of(gateway: &TestGateway) -> Self {
        Self { url: gateway.url("/api/v1"), token: None }
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = reqwest::Client::new().request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn call(&self, method: Method, path: &str) -> (u16, Value) {
        TestGateway::answer(self.request(method, path)).await
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.call(Method::GET, path).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        TestGateway::answer(self.request(Method::POST, path).json(&body)).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> (u16, Value) {
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        TestGateway::answer(self.request(method, path).header("content-type", kind).body(body)).await
    }

    pub(crate) async fn upload(&self, name: &str, content: impl AsRef<[u8]>) -> (u16, Value) {
        self.send(Method::POST, "/documents", form(&[("file", Some(name), content.as_ref())])).await
    }

    /// Uploads, and waits until it answers; the document's id.
    pub(crate) async fn add(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let (status, accepted) = self.upload(name, content).await;
        assert_eq!(status, 202, "{accepted}");
        let job = self.ended(accepted["job"].as_str().unwrap()).await;
        assert_eq!(job["state"], "done", "{job}");
        accepted["document"].as_str().unwrap().to_owned()
    }

    /// A job at its end.
    pub(crate) async fn ended(&self, job: &str) -> Value {
        self.events(job).await.pop().expect("a state")
    }

    /// Everything that is told of a job, to its end.
    async fn events(&self, job: &str) -> Vec<Value> {
        let reading = async {
            let response = self.request(Method::GET, &format!("/jobs/{job}/events")).send().await.unwrap();
            assert_eq!(response.status(), 200);
            assert_eq!(response.headers()["content-type"], "text/event-stream");
            let (mut bytes, mut text) = (response.bytes_stream(), String::new());
            while let Some(piece) = bytes.next().await {
                text.push_str(std::str::from_utf8(&piece.unwrap()).unwrap());
            }
            text
        };
        let text = timeout(LONG, reading).await.unwrap_or_else(|_| panic!("waited in vain for the end of {job}"));
        let events = text.split("\n\n").filter(|event| event.contains("data: "));
        let events: Vec<Value> = events
            .map(|event| {
                let (id, data) = event.split_once("\ndata: ").unwrap();
                let state: Value = serde_json::from_str(data).unwrap();
                assert_eq!(id.rsplit("id: ").next().unwrap(), state["revision"].to_string());
                state
            })
            .collect();
        let last = events.last().unwrap_or_else(|| panic!("nothing was told of {job}: {text}"));
        assert!(["done", "failed", "cancelled"].contains(&last["state"].as_str().unwrap()), "{text}");
        events
    }

    /// The documents that are found, each once.
    pub(crate) async fn found(&self, query: &str, mode: &str, collection: &str) -> Vec<String> {
        let asked = json!({"query": query, "mode": mode, "collection": collection, "top_k": 50});
        let (status, found) = self.post("/rag/query", asked).await;
        assert_eq!(status, 200, "{found}");
        let mut documents: Vec<String> = found["results"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|result| result.to_string().contains(query))
            .map(|result| result["document"].as_str().unwrap().to_owned())
            .collect();
        documents.sort();
        documents.dedup();
        documents
    }

    /// Whether a word is found, which must be the same in every mode.
    async fn finds(&self, word: &str) -> bool {
        let mut found = Vec::new();
        for mode in MODES {
            found.push(!self.found(word, mode, "default").await.is_empty());
        }
        assert!(found.iter().all(|one| *one == found[0]), "{word}: {found:?} in {MODES:?}");
        found[0]
    }
}

/// Files below the data folder whose path has this in it.
pub(crate) fn files(setup: &Setup, part: &str) -> Vec<PathBuf> {
    let all = walkdir::WalkDir::new(setup.data.path()).into_iter().filter_map(Result::ok);
    let files = all.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path);
    files.filter(|path| path.to_string_lossy().contains(part)).collect()
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    soon(what, async {
        while !holds().await {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// So many paragraphs with a word of their own in each.
fn long_text(word: &str, paragraphs: usize) -> String {
    (0..paragraphs)
        .map(|n| format!("## Part {n}\n\nThis is paragraph {n} of the text about {word}, which says little else.\n\n"))
        .collect()
}
