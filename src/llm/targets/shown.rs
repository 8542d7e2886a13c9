//! What an answer has come to so far, over all of its attempts: the text that was passed on, and the cost. Pure.

use crate::{
    chat::{Author, Usage, utf16_len},
    llm::{
        error::{Clock, ModelError},
        event::{Failover, ModelEvent},
        request::{ChatRequest, PromptMessage, PromptRole},
        seam::{Joined, Seam},
        target::Target,
    },
};

/// Why text is withdrawn that its own author has written.
const REASONING: &str = "reasoning";

/// What was passed on of an answer so far, and how it broke off.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) text: String,
    /// Where the text of the attempt in progress begins.
    own: usize,
    /// Whose text it is, once that has broken off.
    from: Option<String>,
    pub(super) failure: Option<ModelError>,
    /// Another target has taken over, once and for all.
    is_taken_over: bool,
}

impl Shown {
    /// Whether a text has broken off, and nobody has taken over.
    pub(super) const fn has_broken_off(&self) -> bool {
        self.from.is_some()
    }

    /// Whether a target may write on: one that writes anew may not, where nothing can be withdrawn.
    pub(super) fn may_be_joined_by(&self, target: &Target, request: &ChatRequest) -> bool {
        self.text.is_empty() || request.may_withdraw || target.continues()
    }

    /// What a target is asked: one that goes on is given what is there.
    pub(super) fn request(&self, request: &ChatRequest, continues: bool) -> ChatRequest {
        if !continues {
            return request.clone();
        }
        let mut prompt = request.prompt.to_vec();
        match prompt.last_mut() {
            // The caller has begun the answer: what was written goes on with that.
            Some(begun) if begun.role == PromptRole::Assistant && begun.calls.is_empty() => {
                begun.content.push_str(&self.text)
            }
            _ => prompt.push(PromptMessage::new(PromptRole::Assistant, &self.text)),
        }
        ChatRequest { prompt: prompt.into(), ..request.clone() }
    }

    /// How a target's text is joined to what is there; `None` when nothing is.
    pub(super) fn seam(&self, continues: bool) -> Option<Seam> {
        self.from.as_ref()?;
        Some(if continues { Seam::after(&self.text) } else { Seam::anew() })
    }

    /// Another attempt begins.
    pub(super) fn begins_attempt(&mut self) {
        self.own = self.text.len();
    }

    /// Another target's text is there: what was passed on is kept or withdrawn.
    pub(super) fn take_over(&mut self, target: &Target, joined: Joined) -> impl Iterator<Item = ModelEvent> + use<> {
        if !joined.keeps {
            self.text.clear();
        }
        self.own = self.text.len();
        self.is_taken_over = true;
        let reason = self.failure.take().as_ref().map_or("truncated", ModelError::outcome);
        let from = self.from.take().unwrap_or_default();
        self.text.push_str(&joined.text);
        self.told(from, target, reason).chain((!joined.text.is_empty()).then_some(ModelEvent::Text(joined.text)))
    }

    /// What the attempt in progress has said does not count; its own text follows.
    pub(super) fn withdraw(&mut self, target: &Target) -> impl Iterator<Item = ModelEvent> + use<> {
        self.text.truncate(self.own);
        self.told(target.name().to_owned(), target, REASONING)
    }

    fn told(&self, from: String, target: &Target, reason: &'static str) -> impl Iterator<Item = ModelEvent> + use<> {
        let keep = utf16_len(&self.text[..self.own]);
        let failover = Failover { keep, from, to: target.name().to_owned(), reason };
        [ModelEvent::Failover(failover), ModelEvent::By(Author::new(target.model()))].into_iter()
    }

    /// A target failed. Whether another one may be asked: not when text was passed on and there was a switch already.
    pub(super) fn broke_off(&mut self, target: &Target, failure: &ModelError) -> bool {
        if self.text.is_empty() || self.from.is_some() {
            return true;
        }
        self.failure = Some(failure.clone());
        self.from = Some(target.name().to_owned());
        !self.is_taken_over && !matches!(failure, ModelError::Timeout { clock: Clock::Total, .. })
    }
}

/// What all attempts of an answer cost together.
#[derive(Debug, Default)]
pub(super) struct AttemptsCost {
    before: Option<Usage>,
    newest: Option<Usage>,
}

impl AttemptsCost {
    /// All of it, when the attempt in progress says that it cost `usage`.
    pub(super) fn with(&mut self, usage: Usage) -> Usage {
        self.newest = Some(usage);
        self.before.map_or(usage, |before| Usage {
            input: before.input.saturating_add(usage.input),
            output: before.output.saturating_add(usage.output),
            estimated: before.estimated || usage.estimated,
        })
    }

    /// The attempt is over.
    pub(super) fn close(&mut self) {
        if let Some(usage) = self.newest {
            self.before = Some(self.with(usage));
            self.newest = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_attempts_are_paid_for() {
        let usage = |input, output, estimated| Usage { input, output, estimated };
        let mut spent = AttemptsCost::default();
        spent.close();
        assert_eq!(spent.with(usage(1, 2, true)), usage(1, 2, true));
        assert_eq!(spent.with(usage(1, 3, false)), usage(1, 3, false), "the last one of an attempt counts");
        spent.close();
        assert_eq!(spent.with(usage(10, 20, true)), usage(11, 23, true));
        spent.close();
        assert_eq!(spent.with(usage(1, 1, false)), usage(12, 24, true));
    }
}
