//! One answer as what the element shows. It knows one message at a time, which grows, or is overwritten where another model has
//! taken over. What an answer rests on stands behind it as a list, and why it ends early in a line. Pure.
//!
//! The element passes over texts that are empty, so nothing is ever overwritten with nothing.

use serde::Serialize;

use crate::{
    chat::{SessionId, Source, Status, ToolStatus, byte_of, utf16_len},
    dialect::{Codec, chat_v1::ErrorFrame},
    session::log::{Event, RunDone, Step},
};

#[derive(Serialize, Default)]
struct Frame<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    overwrite: bool,
    #[serde(rename = "_sessionId", skip_serializing_if = "Option::is_none")]
    session: Option<&'a SessionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
}

/// An answer, as it is told to one element.
#[derive(Debug)]
pub struct DeepChat {
    session: SessionId,
    text: String,
    /// The length of what was told, in UTF-16.
    len: u64,
    is_named: bool,
    /// Whether something was taken back that the element still shows.
    is_stale: bool,
    sources: Vec<Source>,
    /// The calls that wait to be allowed, as people call them.
    waiting: Vec<String>,
    titles: Vec<(crate::chat::CallId, String)>,
    error: Option<String>,
}

/// Something was refused: what the element shows, and a code for programs.
#[must_use]
pub fn refusal(code: &str, message: &str) -> String {
    json(&Frame { code: Some(code), error: Some(message), ..Frame::default() })
}

fn error(message: &str) -> String {
    json(&Frame { error: Some(message), ..Frame::default() })
}

impl DeepChat {
    /// Tells an answer of this session.
    #[must_use]
    pub fn new(session: SessionId) -> Self {
        Self {
            session,
            text: String::new(),
            len: 0,
            is_named: false,
            is_stale: false,
            sources: Vec::new(),
            waiting: Vec::new(),
            titles: Vec::new(),
            error: None,
        }
    }

    /// All of an answer that is over, for an element that waits for it: its text, or why there is none.
    #[must_use]
    pub fn whole(&self) -> String {
        match &self.error {
            Some(message) => error(message),
            None => json(&Frame { text: Some(&self.text), session: Some(&self.session), ..Frame::default() }),
        }
    }

    fn say(&mut self, text: &str, out: &mut Vec<String>) {
        if text.is_empty() {
            return;
        }
        self.text.push_str(text);
        self.len += utf16_len(text);
        let overwrite = std::mem::take(&mut self.is_stale);
        let session = (!std::mem::replace(&mut self.is_named, true)).then_some(&self.session);
        let text = Some(if overwrite { &*self.text } else { text });
        out.push(json(&Frame { text, overwrite, session, ..Frame::default() }));
    }

    /// Takes back what was told behind `keep`. The element is told with what comes instead.
    fn withdraw(&mut self, keep: u64) {
        if keep < self.len {
            self.text.truncate(byte_of(&self.text, keep));
            self.len = utf16_len(&self.text);
            self.is_stale = true;
        }
    }

    fn done(&mut self, done: &RunDone, out: &mut Vec<String>) {
        let broken = done.error.as_ref().map_or("the answer broke off", |error| &error.message);
        let is_empty = self.text.is_empty();
        let (note, failed) = match done.status {
            Status::AwaitingApproval => (Some(format!("Waits to be allowed: {}.", self.waiting.join(", "))), None),
            Status::Stopped if is_empty => (None, Some("the answer was stopped")),
            Status::Complete | Status::Length | Status::Filtered if is_empty => (None, Some("the answer is empty")),
            Status::Length => (Some("Cut off: the answer may not be longer.".to_owned()), None),
            Status::Filtered => (Some("Cut off by the filter of the model's provider.".to_owned()), None),
            Status::Stopped => (Some("Stopped.".to_owned()), None),
            Status::Complete => (None, None),
            Status::Pending | Status::Incomplete | Status::Error | Status::Interrupted => (None, Some(broken)),
        };
        if let Some(note) = note {
            let gap = if is_empty { "" } else { "\n\n" };
            self.say(&format!("{gap}*{}*", escaped(&note)), out);
        }
        let list = sources(&self.sources);
        if failed.is_none() && !list.is_empty() {
            self.say(&list, out);
        }
        match failed {
            Some(message) => self.end(message, out),
            None => self.refresh(out),
        }
    }

    /// Tells why there is no more.
    fn end(&mut self, message: &str, out: &mut Vec<String>) {
        self.refresh(out);
        out.push(error(message));
        self.error = Some(message.to_owned());
    }

    /// Has the element show what there is, where it shows what was taken back.
    fn refresh(&mut self, out: &mut Vec<String>) {
        if std::mem::take(&mut self.is_stale) {
            let text = Some(if self.text.is_empty() { " " } else { &self.text });
            out.push(json(&Frame { text, overwrite: true, ..Frame::default() }));
        }
    }
}

impl Codec for DeepChat {
    fn step(&mut self, step: &Step<'_>, frames: &mut Vec<String>) {
        match step {
            Step::Event(_, event) => match event {
                Event::Sources { items, .. } => self.sources = items.to_vec(),
                Event::ToolCall { call, .. } => self.titles.push((call.call.clone(), call.title.clone())),
                Event::ToolResult { call, outcome, .. } if outcome.status == ToolStatus::Waiting => {
                    let title = self.titles.iter().find(|(id, _)| id == call).map(|(_, title)| title.clone());
                    self.waiting.extend(title);
                }
                Event::RunDone(done) => self.done(done, frames),
                Event::RunStart { .. }
                | Event::Memory { .. }
                | Event::ToolResult { .. }
                | Event::Message(_)
                | Event::Decided(_) => {}
            },
            Step::Delta { off, text, .. } => {
                let known = byte_of(text, self.len.saturating_sub(*off));
                self.say(&text[known..], frames);
            }
            Step::Failover { keep, .. } => self.withdraw(*keep),
            Step::Doing(..) | Step::Presence(_) | Step::UpToDate | Step::Trimmed => {}
        }
    }

    fn fail(&mut self, error: &ErrorFrame, frames: &mut Vec<String>) {
        self.end(&error.message, frames);
    }
}

/// What an answer rests on, as a list that the element renders. Titles are what people have named documents.
fn sources(sources: &[Source]) -> String {
    let mut list = String::new();
    for source in sources {
        list.push_str(if list.is_empty() { "\n\n" } else { "\n" });
        let title = escaped(&source.title);
        let title = match source.uri.as_deref().filter(|uri| is_web(uri)) {
            Some(uri) => format!("[{title}](<{uri}>)"),
            None => title,
        };
        let page = source.page.map(|page| format!(", p. {page}")).unwrap_or_default();
        list.push_str(&format!("- \\[{}\\] {title}{page}", source.n));
    }
    list
}

/// Whether an address leads to a page, and stands in a link as it is.
fn is_web(uri: &str) -> bool {
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '<' | '>' | '\\');
    (uri.starts_with("https://") || uri.starts_with("http://")) && uri.chars().all(is_plain)
}

/// A line in which nothing means anything but itself.
fn escaped(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        match c {
            c if c.is_control() || c.is_whitespace() => shown.push(' '),
            c if c.is_ascii_punctuation() && !matches!(c, ',' | '.' | ':' | ';' | '\'' | '"' | '/' | '?') => {
                shown.extend(['\\', c]);
            }
            c => shown.push(c),
        }
    }
    shown
}

#[expect(clippy::expect_used, reason = "texts and a flag, and no I/O: it cannot fail")]
fn json(frame: &Frame<'_>) -> String {
    serde_json::to_string(frame).expect("a frame is JSON")
}

#[cfg(test)]
mod tests;
