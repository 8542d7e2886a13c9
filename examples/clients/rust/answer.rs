//! What is held of an answer while it is written. Pure: frames in, frames out.
//!
//! Nothing is lost and nothing comes twice: each piece of text says where it belongs, a new connection goes on behind
//! the cursor, and at the end length and checksum prove the whole.

use serde_json::{Value, json};
use uuid::Uuid;

/// One question, and its answer so far.
pub(crate) struct Answer {
    pub(crate) id: String,
    pub(crate) question: Value,
    /// How it ended, once it has and its text is proven.
    pub(crate) status: Option<String>,
    /// In UTF-16, for that is what the protocol counts in.
    held: Vec<u16>,
    epoch: Option<String>,
    seq: u64,
    run: Option<String>,
    end: Option<Value>,
}

impl Answer {
    pub(crate) fn to(question: &str) -> Self {
        let id = Uuid::new_v4().to_string();
        let question = json!({"type": "send", "id": id, "text": question});
        Self { id, question, status: None, held: Vec::new(), epoch: None, seq: 0, run: None, end: None }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf16_lossy(&self.held)
    }

    /// Where another connection goes on.
    pub(crate) fn cursor(&self) -> Option<String> {
        let place = self.run.as_ref().map_or_else(String::new, |run| format!(":{run}:{}", self.held.len()));
        Some(format!("{}:{}{place}", self.epoch.as_ref()?, self.seq))
    }

    /// Takes a frame, and gives the one that it has to be answered with, if any.
    pub(crate) fn take(&mut self, frame: &Value) -> Option<Value> {
        let kind = frame["type"].as_str().unwrap_or_default();
        let is_ours = self.run.is_some() && frame["run"].as_str() == self.run.as_deref();
        match kind {
            "welcome" => self.epoch = text(&frame["epoch"]), // What it counts may not have come yet.
            _ => self.seq = frame["seq"].as_u64().unwrap_or(self.seq),
        }
        match kind {
            "snapshot" => self.replace(frame),
            "run.start" if frame["for"] == self.id.as_str() => self.run = text(&frame["run"]),
            "failover" if is_ours => self.held.truncate(number(&frame["keep"])),
            "run.done" if is_ours => {
                self.end = Some(frame.clone());
                return if self.is_proven() { None } else { Some(self.sync(0)) };
            }
            "delta" if is_ours => {
                let Some(overlap) = self.held.len().checked_sub(number(&frame["off"])) else {
                    return Some(self.sync(self.held.len()));
                };
                // What is held already is dropped.
                self.held.extend(frame["text"].as_str().unwrap_or_default().encode_utf16().skip(overlap));
                self.is_proven();
            }
            _ => {}
        }
        None
    }

    /// The cursor was good no more, and this is how the conversation stands.
    fn replace(&mut self, snapshot: &Value) {
        let all = ["runs", "messages"].into_iter().flat_map(|list| snapshot[list].as_array().into_iter().flatten());
        let found = all.into_iter().find(|one| one["for"] == self.id.as_str()).unwrap_or(&Value::Null);
        (self.run, self.status) = (text(&found["run"]), text(&found["status"]));
        self.held = found["text"].as_str().unwrap_or_default().encode_utf16().collect();
    }

    fn sync(&mut self, off: usize) -> Value {
        self.held.truncate(off);
        json!({"type": "sync", "run": self.run, "off": off})
    }

    fn is_proven(&mut self) -> bool {
        let Some(end) = &self.end else { return false };
        let crc32 = format!("{:08x}", crc32fast::hash(self.text().as_bytes()));
        if number(&end["len"]) != self.held.len() || end["crc32"] != crc32.as_str() {
            return false;
        }
        self.status = text(&end["status"]);
        true
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn number(value: &Value) -> usize {
    value.as_u64().and_then(|number| usize::try_from(number).ok()).unwrap_or_default()
}
