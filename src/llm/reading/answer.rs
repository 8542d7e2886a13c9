//! An answer as far as it has come: chunks in, steps out, and at last what is proven of it.
//!
//! A finish reason is believed when no text follows it, an empty answer is one only when its stream is over, and whatever
//! may have been text and could not be read ends the answer there: what is passed on is always a beginning of what the
//! model said, and never a text with a hole. Pure.

use std::{collections::VecDeque, mem};

use super::{
    calls::Calls,
    reason::{Reason, meaning},
    step::{End, Step},
    think::{Think, Thought},
};
use crate::{
    chat::Usage,
    llm::{
        call::ToolOffer,
        chunk::{Choice, Chunk, Counts, Said},
        event::FinishReason,
        json::{Text, join},
        sse::BodyEnd,
        upstream_error::UpstreamError,
    },
};

/// A finish reason that was told, as long as nothing follows it.
#[derive(Debug, Clone, Copy)]
struct Finish {
    reason: FinishReason,
    /// It stood alone, behind the text. Servers that say one with every piece do not do that.
    is_apart: bool,
}

/// An answer as far as it has come.
#[derive(Debug)]
pub(super) struct AnswerReader {
    steps: VecDeque<Step>,
    is_over: bool,
    /// What was passed on and not withdrawn.
    text: String,
    /// All that was passed on, in bytes.
    said_bytes: usize,
    max_bytes: usize,
    think: Think,
    /// The first half of a surrogate pair, whose other half comes with the next text.
    half: Option<u16>,
    /// Whose text this is, where there are several choices.
    ours: Option<u64>,
    calls: Calls,
    called_tool: bool,
    finish: Option<Finish>,
    /// A finish was told, and text followed: in this stream it proves nothing before the end.
    was_early: bool,
    /// Text came in pieces, and not as messages alone.
    has_deltas: bool,
    /// A message stood there; that it was passed over because it said nothing new; that messages are pieces.
    messages: Messages,
    counts: Counts,
}

#[derive(Debug, Default, Clone, Copy)]
struct Messages {
    any: bool,
    repeated: bool,
    are_pieces: bool,
}

impl AnswerReader {
    /// An answer that is cut at `max_bytes` of text, for a server that does not keep to its limit.
    pub(super) fn new(max_bytes: usize, begins_in_thought: bool) -> Self {
        Self {
            steps: VecDeque::new(),
            is_over: false,
            text: String::new(),
            said_bytes: 0,
            max_bytes,
            think: Think::new(begins_in_thought),
            half: None,
            ours: None,
            calls: Calls::default(),
            called_tool: false,
            finish: None,
            was_early: false,
            has_deltas: false,
            messages: Messages::default(),
            counts: Counts::default(),
        }
    }

    /// What may be called in it.
    pub(super) fn offer(&mut self, tools: ToolOffer) {
        self.calls.offer(tools);
    }

    /// The next step.
    pub(super) fn next(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// Whether it has ended.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether nothing but usage is expected: silence is an end then.
    pub(super) fn has_finished(&self) -> bool {
        self.is_over || !self.was_early && self.has_said() && self.finish.is_some_and(|finish| finish.is_apart)
    }

    /// Whether there is text, or a call.
    const fn has_said(&self) -> bool {
        !self.text.is_empty() || !self.calls.is_empty()
    }

    /// Whether nothing came of it so far.
    pub(super) fn is_untouched(&self) -> bool {
        !self.is_over && self.said_bytes == 0 && self.steps.is_empty() && self.finish.is_none()
    }

    /// Whether reasoning was closed that nothing had opened.
    pub(super) const fn closes_alone(&self) -> bool {
        self.think.closes_alone()
    }

    /// What the provider has counted. What it has not is estimated, if there is anything to count.
    pub(super) fn counts(&self) -> Option<Usage> {
        let Counts { input, output } = self.counts;
        (self.counts != Counts::default()).then_some(Usage { input, output, estimated: false })
    }

    /// Takes a chunk: text first, then how it ends, because some servers put the last token into the last chunk.
    pub(super) fn take(&mut self, chunk: Chunk<'_>) {
        self.counts.update(chunk.usage);
        for choice in chunk.choices {
            self.choice(choice);
        }
        // Behind a finish that is believed, nothing of the answer is missing.
        if chunk.is_lost && !self.has_finished() {
            self.lose();
        }
        if let Some(error) = chunk.error.filter(|_| !self.has_finished()) {
            self.fail(error);
        }
    }

    /// Something that may have been text could not be read.
    pub(super) fn lose(&mut self) {
        if !self.is_over {
            self.steps.push_back(Step::BadEvent);
            self.end(End::Truncated("a part of the answer could not be read".to_owned()));
        }
    }

    /// The provider says that it failed. What it could not read of the model may be a call.
    pub(super) fn fail(&mut self, error: UpstreamError) {
        let written = error.generation.as_deref().unwrap_or_default();
        match self.calls.rescue(written) {
            Some(calls) if !self.is_over => {
                self.thinks(written.len());
                self.steps.push_back(Step::Calls(calls));
                self.end(End::Finished(FinishReason::Stop));
            }
            _ => self.end(End::Failed(error)),
        }
    }

    /// The stream is over.
    pub(super) fn close(&mut self, end: &BodyEnd) {
        if !self.is_over {
            if self.is_over_with(end) {
                self.flush(self.finish.is_none_or(|finish| finish.reason == FinishReason::Stop && !end.is_cut()));
            }
            let end = self.verdict(end);
            self.end(end);
        }
    }

    fn choice(&mut self, mut choice: Choice<'_>) {
        if self.is_over {
            return;
        }
        let Ok(has_calls) = self.calls.take(&mut choice) else {
            return self.end(End::Unusable("the model called more tools than it may, or with more words"));
        };
        let said = || choice.delta.iter().chain(&choice.message);
        let has_text = said().any(|said| !said.text.is_empty());
        let hidden: usize = said().map(|said| said.reasoning + said.others).sum();
        if said().any(|said| said.is_lost) {
            return self.lose();
        }
        let ours = self.ours.unwrap_or(choice.index);
        if has_text {
            self.ours = Some(ours);
        }
        if choice.index != ours {
            // One answer was asked for. Whether this is another one or a part of it, nobody can tell.
            return if has_text { self.lose() } else { self.thinks(hidden) };
        }
        let delta = choice.delta.unwrap_or_default();
        self.has_deltas |= !delta.text.is_empty();
        let before = self.text.len();
        self.say(delta);
        if let Some(message) = choice.message {
            self.message(message, before, choice.finish.is_some());
        }
        if let Some(reason) = choice.finish {
            self.finish(&reason, has_text || has_calls);
        }
    }

    fn finish(&mut self, reason: &str, has_said: bool) {
        let (reason, is_apart) = match meaning(reason) {
            Reason::Known(reason) => (reason, !has_said),
            Reason::Called => {
                self.called_tool = true;
                // Without calls to be made here, a server may make them itself and go on.
                (FinishReason::Stop, !has_said && !self.calls.is_empty())
            }
            Reason::Failed => {
                let detail = format!("it gave up with the finish reason {reason:?}");
                return self.end(End::Failed(UpstreamError::new(None, &detail)));
            }
            Reason::Other => return,
        };
        self.finish = Some(Finish { reason, is_apart });
    }

    fn say(&mut self, said: Said<'_>) {
        self.called_tool |= said.calls_tool;
        let hidden = said.reasoning + said.others;
        if hidden == 0 && said.text.is_empty() {
            return;
        }
        if self.finish.take().is_some() {
            self.was_early = true;
        }
        if said.reasoning > 0 {
            self.think.is_told_apart();
        }
        self.thinks(hidden);
        if let Some(text) = self.joined(said.text) {
            let thought = self.think.push(text, &self.text);
            self.pass_on(thought);
        }
    }

    /// A text with the half that came before it; `None` when there is nothing but a half.
    fn joined(&mut self, said: Text<'_>) -> Option<String> {
        if said.is_empty() {
            return None;
        }
        let text = if self.half.is_none() && said.before.is_none() {
            said.text.into_owned()
        } else {
            let mut text = String::new();
            join(&mut text, self.half, said.before);
            text + &said.text
        };
        self.half = said.after;
        (!text.is_empty()).then_some(text)
    }

    /// The answer as a whole, beside pieces of it or behind them; `before` is how much text there was before the pieces
    /// that came with it.
    fn message(&mut self, message: Said<'_>, before: usize, is_last: bool) {
        let is_first = !mem::replace(&mut self.messages.any, true);
        let said = [self.text.as_str(), self.think.held()].concat();
        let is_begun = !said.trim().is_empty() || self.half.is_some();
        if is_first && !is_begun || self.messages.are_pieces || message.text.is_empty() {
            return self.say(message);
        }
        let whole = Think::visible(&message.text.mended());
        let is_known = |whole: &str| said.starts_with(whole) || said[before.min(said.len())..] == *whole;
        if whole.trim() == said.trim() || !is_last && is_known(&whole) {
            self.messages.repeated = true;
        } else if let Some(more) = whole.strip_prefix(said.as_str()).filter(|_| self.half.is_none()) {
            let more = Said { text: Text::from(more), ..Said::default() };
            self.say(more);
        } else if !self.has_deltas && !self.messages.repeated {
            // There is nothing else: these are the pieces.
            self.messages.are_pieces = true;
            self.say(message);
        } else {
            self.lose();
        }
    }

    fn thinks(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        match self.steps.back_mut() {
            _ if bytes == 0 || self.is_over => {}
            Some(Step::Thinking(before)) => *before = before.saturating_add(bytes),
            _ => self.steps.push_back(Step::Thinking(bytes)),
        }
    }

    /// Passes on what may be seen. What comes together is one piece.
    fn pass_on(&mut self, thought: Thought) {
        self.thinks(thought.hidden);
        if thought.withdrawn && !self.text.is_empty() {
            self.text.clear();
            self.steps.push_back(Step::Withdrawn);
        }
        let mut text = thought.text;
        let left = self.max_bytes - self.said_bytes;
        let is_too_long = text.len() > left;
        text.truncate(text.floor_char_boundary(left));
        self.said_bytes += text.len();
        self.text.push_str(&text);
        match self.steps.back_mut() {
            _ if text.is_empty() => {}
            Some(Step::Text(before)) => before.push_str(&text),
            _ => self.steps.push_back(Step::Text(text)),
        }
        if is_too_long {
            self.end(End::Finished(FinishReason::Length));
        }
    }

    /// Whether nothing of the answer is missing. Otherwise it is not known what would have become of what is held back.
    fn is_over_with(&self, end: &BodyEnd) -> bool {
        if end.is_cut() { self.has_finished() } else { self.finish.is_some() || self.is_proof(end) }
    }

    /// What was held back because more might have come.
    fn flush(&mut self, is_whole: bool) {
        if self.half.take().is_some() {
            let thought = self.think.push(char::REPLACEMENT_CHARACTER.to_string(), &self.text);
            self.pass_on(thought);
        }
        let thought = self.think.finish(&self.text, is_whole);
        self.pass_on(thought);
    }

    /// Whether such an end says by itself that the answer is whole.
    fn is_proof(&self, end: &BodyEnd) -> bool {
        *end == BodyEnd::Done || *end == BodyEnd::Document && self.messages.any
    }

    /// What the end of the stream means for the answer.
    fn verdict(&self, end: &BodyEnd) -> End {
        let is_proof = self.is_proof(end);
        let is_cut = end.is_cut();
        match (self.finish, end) {
            (Some(finish), _) if !self.has_said() && !is_cut => self.without_text(Some(finish.reason), end),
            (Some(finish), _) if !is_cut || self.has_finished() => End::Finished(finish.reason),
            (_, BodyEnd::TooLong) if self.has_said() => End::Finished(FinishReason::Length),
            (None, _) if is_proof && self.has_said() => End::Finished(FinishReason::Stop),
            (None, _) if is_proof || *end == BodyEnd::TooLong => self.without_text(None, end),
            _ => End::Truncated(end.to_string()),
        }
    }

    /// An answer without any text. Ended by a known finish it is one all the same, which callers can order.
    fn without_text(&self, finish: Option<FinishReason>, end: &BodyEnd) -> End {
        match finish {
            Some(FinishReason::Stop) | None if self.called_tool => End::Unusable(match self.calls.are_wanted() {
                true => "the model called a tool, and the call did not come",
                false => "the model called a tool that nobody offered",
            }),
            Some(FinishReason::Stop) if self.think.is_open() => End::Unusable("the model did not end its reasoning"),
            Some(finish) => End::Finished(finish),
            None => End::Failed(UpstreamError::new(None, &format!("the answer is empty: {end}"))),
        }
    }

    fn end(&mut self, mut end: End) {
        if mem::replace(&mut self.is_over, true) {
            return;
        }
        if end == End::Finished(FinishReason::Stop) && !self.calls.is_empty() {
            match self.calls.finish() {
                Some(calls) => self.steps.push_back(Step::Calls(calls)),
                None => end = End::Unusable("the model called something that has no name"),
            }
        }
        self.steps.push_back(Step::End(end));
    }
}
