//! An answer, put together from its frames. Pure.

use serde_json::Value;

use crate::chat::byte_of;

/// An answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Heard {
    pub(super) text: String,
    pub(super) calls: Vec<Called>,
    /// Titles and addresses.
    pub(super) sources: Vec<String>,
    /// The call that has to be allowed, when one has.
    pub(super) waits: Option<Value>,
    /// Empty until it is over.
    pub(super) status: String,
}

/// A tool that was called.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Called {
    pub(super) id: String,
    pub(super) tool: String,
    pub(super) args: Value,
    /// Empty until it has come to something.
    pub(super) status: String,
}

impl Heard {
    /// Takes a frame of a socket that was open all the time. Whether the answer is over.
    pub(super) fn hear(&mut self, frame: &Value) -> bool {
        let text = |name: &str| frame[name].as_str().unwrap_or_default().to_owned();
        match frame["type"].as_str().unwrap_or_default() {
            "delta" => self.text.push_str(&text("text")),
            "failover" => self.text.truncate(byte_of(&self.text, frame["keep"].as_u64().unwrap_or(0))),
            "sources" => {
                let items = frame["items"].as_array().into_iter().flatten();
                let line = |item: &Value| {
                    let parts = ["title", "uri"].map(|name| item[name].as_str().unwrap_or_default());
                    parts.join(" ").trim().to_owned()
                };
                self.sources = items.map(line).collect();
            }
            "tool.call" => self.calls.push(Called {
                id: text("call"),
                tool: text("tool"),
                args: frame["args"].clone(),
                status: String::new(),
            }),
            "tool.result" => {
                let (id, status) = (text("call"), text("status"));
                self.calls.iter_mut().filter(|call| call.id == id).for_each(|call| call.status.clone_from(&status));
            }
            "approval.request" => {
                let id = text("call");
                self.calls.iter_mut().filter(|call| call.id == id).for_each(|call| call.status = "waiting".to_owned());
                self.waits = Some(frame["approval"].clone());
            }
            "run.done" => self.status = text("status"),
            _ => {}
        }
        !self.status.is_empty()
    }
}
