//! A message as the SDK's client puts it together from chunks, and what it does not take.

use serde_json::{Map, Value};

/// A part of a message, as the SDK's client has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    Step,
    Text { id: String, text: String, is_open: bool },
    Tool { id: String, state: String },
    Other(String),
}

/// A message that is put together as `processUIMessageStream` does it.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) id: String,
    pub(super) parts: Vec<Part>,
    pub(super) metadata: Map<String, Value>,
    pub(super) end: Option<Value>,
}

impl View {
    pub(super) fn take(&mut self, chunks: &[String]) {
        for chunk in chunks {
            assert_eq!(self.end, None, "nothing follows the end: {chunk}");
            self.take_chunk(&serde_json::from_str(chunk).unwrap());
        }
    }

    fn take_chunk(&mut self, chunk: &Value) {
        let text = |field: &str| chunk[field].as_str().unwrap_or_else(|| panic!("{field} in {chunk}")).to_owned();
        if let Some(Value::Object(about)) = chunk.get("messageMetadata") {
            assert!(about.values().all(|value| !value.is_null()), "{chunk}");
            self.metadata.extend(about.clone());
        }
        match chunk["type"].as_str().unwrap() {
            "start" => self.id = text("messageId"),
            "start-step" => self.parts.push(Part::Step),
            "reset-step" => {
                let step = self.parts.iter().rposition(|part| *part == Part::Step).expect("a step to reset");
                self.parts.truncate(step + 1);
            }
            "text-start" => self.parts.push(Part::Text { id: text("id"), text: String::new(), is_open: true }),
            kind @ ("text-delta" | "text-end") => {
                let wanted = text("id");
                let is_it = |part: &&mut Part| matches!(part, Part::Text { id, is_open: true, .. } if *id == wanted);
                let Some(Part::Text { text: held, is_open, .. }) = self.parts.iter_mut().rev().find(is_it) else {
                    panic!("no open part for {chunk}");
                };
                if kind == "text-end" { *is_open = false } else { held.push_str(&text("delta")) }
            }
            "tool-input-available" => {
                self.parts.push(Part::Tool { id: text("toolCallId"), state: "running".to_owned() });
            }
            kind @ ("tool-output-available" | "tool-output-error" | "tool-output-denied" | "tool-approval-request") => {
                let wanted = text("toolCallId");
                let is_it = |part: &&mut Part| matches!(part, Part::Tool { id, .. } if *id == wanted);
                let Some(Part::Tool { state, .. }) = self.parts.iter_mut().rev().find(is_it) else {
                    panic!("no call for {chunk}");
                };
                *state = kind.to_owned();
            }
            "source-url" | "source-document" => self.parts.push(Part::Other(text("sourceId"))),
            "data-artifact" | "data-memory" => {
                let other = Part::Other(text("id"));
                if !self.parts.contains(&other) {
                    self.parts.push(other);
                }
            }
            "data-phase" => assert_eq!(chunk["transient"], true),
            "finish" | "abort" | "error" => self.end = Some(chunk.clone()),
            "finish-step" | "message-metadata" => {}
            other => panic!("{other} is no chunk of the SDK"),
        }
    }

    pub(super) fn text(&self) -> String {
        self.parts.iter().map(|part| if let Part::Text { text, .. } = part { text.as_str() } else { "" }).collect()
    }

    pub(super) fn others(&self) -> Vec<&str> {
        self.parts.iter().filter_map(|part| if let Part::Other(id) = part { Some(&**id) } else { None }).collect()
    }

    pub(super) fn tools(&self) -> Vec<(&str, &str)> {
        let tools = self.parts.iter().filter_map(|part| match part {
            Part::Tool { id, state } => Some((id.as_str(), state.as_str())),
            _ => None,
        });
        tools.collect()
    }
}
