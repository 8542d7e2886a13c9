//! The body of an answer while it comes: bytes in, steps of the answer out, and at last whether it was one.
//!
//! Puts [`Events`], the chunks and the answer together. An event that cannot be read at all, and may have had text in it,
//! ends the answer; pings, comments and whatever else has no object in it cost nothing. Where a proxy has cut an event
//! in two to keep the connection alive, the halves are put together again, when there is only one way to do so. Pure;
//! how the bytes were cut makes no difference. Uses `chat`.

use serde::de::IgnoredAny;

use self::answer::AnswerReader;
pub use self::step::{End, Step};
pub use super::upstream_error::UpstreamError;
use super::{
    call::ToolOffer,
    chunk::Chunk,
    json::{Json, Unreadable},
    sse::{BodyEnd, Events, Item},
};
use crate::chat::Usage;

mod answer;
mod arguments;
mod calls;
mod marks;
mod reason;
mod rescue;
mod step;
mod think;

/// How far before its end an event may have been cut: no keep-alive is longer, in bytes.
const MAX_PING_BYTES: usize = 256;
/// Larger events are not put together again.
const MAX_MENDED_BYTES: usize = 64 << 10;
/// So much is kept of an event that may be an error of no known shape.
const MAX_ODD_BYTES: usize = 4096;

/// A body as far as it has come.
#[derive(Debug)]
pub struct Reading {
    events: Events,
    judge: Judge,
}

/// What is made of the events.
#[derive(Debug)]
struct Judge {
    answer: AnswerReader,
    /// An event that could not be read to its end: the rest of it may follow.
    broken: Option<String>,
    /// The beginning of the first event that is no piece of an answer.
    odd: Option<String>,
}

impl Reading {
    /// Reads at most `body_bytes`, and cuts the answer at `text_bytes` of text. `begins_in_thought`: it begins with
    /// reasoning that no mark opens.
    #[must_use]
    pub fn new(body_bytes: usize, text_bytes: usize, begins_in_thought: bool) -> Self {
        let answer = AnswerReader::new(text_bytes, begins_in_thought);
        Self { events: Events::new(body_bytes), judge: Judge { answer, broken: None, odd: None } }
    }

    /// Takes calls of these tools for an answer.
    #[must_use]
    pub fn offering(mut self, tools: ToolOffer) -> Self {
        self.judge.answer.offer(tools);
        self
    }

    /// What comes next; `None` when that takes more bytes, and after [`Step::End`].
    pub fn take(&mut self) -> Option<Step> {
        self.judge.answer.next()
    }

    /// Whether nothing but usage is expected: when nothing comes any more, the answer was whole.
    #[must_use]
    pub fn has_finished(&self) -> bool {
        self.judge.broken.is_none() && self.judge.answer.has_finished()
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let Self { events, judge } = self;
        events.push(bytes, &mut |item| judge.take(item));
        self.look_for_the_end();
    }

    /// The server has closed the body.
    pub fn finish(&mut self) {
        let Self { events, judge } = self;
        events.finish(&mut |item| judge.take(item));
        self.look_for_the_end();
    }

    /// The connection broke.
    pub fn broken(&mut self, detail: String) {
        self.events.broken(detail);
        self.look_for_the_end();
    }

    /// Nothing came for as long as anybody waits.
    pub fn silent(&mut self) {
        self.events.silent();
        self.look_for_the_end();
    }

    /// What the provider has counted so far.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.judge.answer.counts()
    }

    /// Whether reasoning was closed that nothing had opened.
    #[must_use]
    pub fn closes_alone(&self) -> bool {
        self.judge.answer.closes_alone()
    }

    fn look_for_the_end(&mut self) {
        if let Some(end) = self.events.end() {
            self.judge.end(end);
        }
    }
}

impl Judge {
    fn take(&mut self, item: Item<'_>) {
        if self.answer.is_over() {
            return;
        }
        match (item, self.broken.take()) {
            (Item::Data(data), None) => self.data(data),
            (Item::Stray(line), None) => self.stray(line),
            (Item::Stray(line), Some(broken)) if let Some(whole) = mend(&broken, line) => self.data(&whole),
            (_, Some(broken)) => self.lose(&broken),
        }
    }

    /// The data of an event: an object, several after each other, a list of them, or nothing of interest.
    fn data(&mut self, data: &str) {
        let mut rest = data;
        // What stands before an object is a ping, or the name of the field once more.
        while let Some(begin) = rest.find(['{', '[']).filter(|_| rest.contains('{')) {
            rest = &rest[begin..];
            let mut json = Json::new(rest);
            if rest.starts_with('[') {
                if self.list(&mut json).is_err() {
                    return self.answer.lose();
                }
            } else {
                let (chunk, result) = Chunk::read(&mut json);
                if result.is_err() {
                    self.broken = Some(rest.to_owned());
                    return;
                }
                if self.odd.is_none() && chunk == Chunk::default() {
                    self.odd = Some(rest[..rest.floor_char_boundary(MAX_ODD_BYTES)].to_owned());
                }
                self.answer.take(chunk);
            }
            rest = json.rest();
        }
    }

    fn list(&mut self, json: &mut Json<'_>) -> Result<(), Unreadable> {
        json.value()?;
        while json.has_item()? {
            let (chunk, result) = Chunk::read(json);
            self.answer.take(chunk);
            result?;
        }
        Ok(())
    }

    /// A line that is no field: all of an event may have been cut off from the name of its field.
    fn stray(&mut self, line: &str) {
        let Some(begin) = line.find(['{', '}']) else { return };
        let (field, mut json) = (&line[..begin], Json::new(&line[begin..]));
        let (chunk, result) = Chunk::read(&mut json);
        let is_object = result.is_ok() && json.rest().trim().is_empty();
        if is_object && ["data: ", "data:"].iter().any(|data| data.ends_with(field)) {
            self.answer.take(chunk);
        } else {
            let is_without_text = is_object && is_name(field) && chunk.choices.is_empty();
            if !field.starts_with(':') && !is_without_text {
                self.answer.lose();
            }
        }
    }

    /// An event stays unreadable. What stands in it as a whole was said.
    fn lose(&mut self, broken: &str) {
        let (chunk, _) = Chunk::read(&mut Json::new(broken));
        self.answer.take(chunk);
        self.answer.lose();
    }

    fn end(&mut self, end: &BodyEnd) {
        if let Some(broken) = self.broken.take() {
            self.lose(&broken);
        }
        if let BodyEnd::NoEvents(body) = end {
            return self.answer.fail(UpstreamError::from_body(body.as_bytes()));
        }
        // No answer at all, but something that has a shape of its own.
        let odd = self.odd.take().filter(|_| self.answer.is_untouched());
        if let Some(error) = odd.and_then(|odd| UpstreamError::from_json(&Json::new(&odd).tree().ok()?)) {
            return self.answer.fail(error);
        }
        self.answer.close(end);
    }
}

/// Whether this is a field's name with its colon.
fn is_name(field: &str) -> bool {
    let name = field.trim_end().strip_suffix(':');
    name.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)))
}

/// The event that begins with `broken` and ends with `line`, when something was written into it, to keep the connection
/// alive, that began with a colon and ended with its line: the whole, when all ways to put it together say the same.
fn mend(broken: &str, line: &str) -> Option<String> {
    if broken.len() + line.len() > MAX_MENDED_BYTES {
        return None;
    }
    let near = broken.ceil_char_boundary(broken.len().saturating_sub(MAX_PING_BYTES));
    let cuts = broken[near..].match_indices(':').map(|(at, _)| near + at).chain([broken.len()]);
    let mut whole: Option<String> = None;
    for mended in cuts.map(|cut| [&broken[..cut], line].concat()) {
        if serde_json::from_str::<IgnoredAny>(&mended).is_err() {
            continue;
        }
        let read =
            |event: &str| -> bool { Chunk::read(&mut Json::new(event)).0 == Chunk::read(&mut Json::new(&mended)).0 };
        if whole.as_deref().is_some_and(|other| !read(other)) {
            return None;
        }
        whole.get_or_insert(mended);
    }
    whole
}

#[cfg(test)]
mod tests;
