//! What an answer has come to so far, over all of its attempts: the text that was passed on, and the cost. Pure.

use super::super::{
    ChatRequest, Clock, Failover, ModelError, ModelEvent, PromptMessage, PromptRole,
    book::outcome,
    seam::{Joined, Seam},
    target::Target,
};
use crate::chat::{Author, Usage, utf16_len};

/// What was passed on of an answer so far, and how it broke off.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) text: String,
    /// Whose text it is, once that has broken off.
    from: Option<String>,
    pub(super) failure: Option<ModelError>,
    /// Another target has taken over, once and for all.
    is_taken_over: bool,
}

impl Shown {
    /// Whether a target may write on: one that writes anew may not, where nothing can be withdrawn.
    pub(super) fn may_be_joined_by(&self, target: &Target, request: &ChatRequest) -> bool {
        self.text.is_empty() || request.may_withdraw || target.continues()
    }

    /// What a target is asked: after a break, one that goes on is given what is there.
    pub(super) fn request(&self, request: &ChatRequest, target: &Target) -> ChatRequest {
        if self.text.is_empty() || !target.continues() {
            return request.clone();
        }
        let mut prompt = request.prompt.to_vec();
        match prompt.last_mut() {
            // The caller has begun the answer: what was written goes on with that.
            Some(begun) if begun.role == PromptRole::Assistant => begun.content.push_str(&self.text),
            _ => prompt.push(PromptMessage { role: PromptRole::Assistant, content: self.text.clone() }),
        }
        ChatRequest { prompt: prompt.into(), ..request.clone() }
    }

    /// How a target's text is joined to what is there; `None` when nothing is.
    pub(super) fn seam(&self, target: &Target) -> Option<Seam> {
        self.from.as_ref()?;
        Some(if target.continues() { Seam::after(&self.text) } else { Seam::anew() })
    }

    /// Another target's text is there: what was passed on is kept or withdrawn.
    pub(super) fn take_over(&mut self, target: &Target, joined: Joined) -> impl Iterator<Item = ModelEvent> + use<> {
        if !joined.keeps {
            self.text.clear();
        }
        let failover = Failover {
            keep: utf16_len(&self.text),
            from: self.from.take().unwrap_or_default(),
            to: target.name().to_owned(),
            reason: self.failure.take().as_ref().map_or("truncated", outcome),
        };
        self.is_taken_over = true;
        self.text.push_str(&joined.text);
        let text = (!joined.text.is_empty()).then_some(ModelEvent::Text(joined.text));
        let by = ModelEvent::By(Author::new(target.model()));
        [Some(ModelEvent::Failover(failover)), Some(by), text].into_iter().flatten()
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
pub(super) struct Spent {
    before: Option<Usage>,
    newest: Option<Usage>,
}

impl Spent {
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
        let mut spent = Spent::default();
        spent.close();
        assert_eq!(spent.with(usage(1, 2, true)), usage(1, 2, true));
        assert_eq!(spent.with(usage(1, 3, false)), usage(1, 3, false), "the last one of an attempt counts");
        spent.close();
        assert_eq!(spent.with(usage(10, 20, true)), usage(11, 23, true));
        spent.close();
        assert_eq!(spent.with(usage(1, 1, false)), usage(12, 24, true));
    }
}
