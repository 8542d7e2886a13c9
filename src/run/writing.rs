//! What a run comes to while a model writes: what viewers are told of it, what it costs, and how it ends.
//!
//! Is given the model's events and knows neither the model nor the time. Uses `limits` for what it costs.

use tracing::warn;

use super::{event::RunEvent, outcome::Outcome};
use crate::{
    chat::{Author, Doing, Phase, Status, Usage},
    limits::{OverLimit, Spending},
    llm::{Call, Clock, FinishReason, ModelError, ModelEvent, estimated_tokens},
};

/// The most bytes of one answer, whatever `llm.max_output_tokens` allows. A snapshot with it, escaped, fits into what
/// a socket may buffer.
pub const MAX_ANSWER_BYTES: usize = 2 << 20;

/// An answer that is being written, and its bill.
pub(super) struct Writing {
    spending: Spending,
    /// About how long the prompt is.
    prompt_tokens: u32,
    /// What rounds before this one came to.
    before: Written,
    doing: Doing,
    /// Nobody was asked for what comes, or somebody else pays for it.
    is_free: bool,
    /// Who writes, as far as it was told.
    author: Option<Author>,
    /// Something came of the model that may have its price.
    has_begun: bool,
    /// Of all rounds.
    bytes: usize,
    /// Of this round.
    usage: Option<Usage>,
    calls: Vec<Call>,
    finish: Option<FinishReason>,
}

/// What a part of an answer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Written {
    pub(super) bytes: usize,
    pub(super) usage: Option<Usage>,
}

/// What follows from an event.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Told {
    /// First, when that has changed.
    pub(super) doing: Option<Doing>,
    pub(super) event: Option<RunEvent>,
    /// It is over.
    pub(super) end: Option<Outcome>,
}

impl Writing {
    /// Nothing has come yet. The prompt, of about so many tokens, is charged to `spending`.
    pub(super) fn new(spending: Spending, prompt_tokens: u32) -> Self {
        Self::after(Written::default(), spending, prompt_tokens)
    }

    /// The same of a further round, after what came `before` it.
    pub(super) fn after(before: Written, spending: Spending, prompt_tokens: u32) -> Self {
        Self {
            spending,
            prompt_tokens,
            before,
            doing: Phase::Waiting.into(),
            is_free: false,
            author: None,
            has_begun: false,
            bytes: before.bytes,
            usage: None,
            calls: Vec::new(),
            finish: None,
        }
    }

    /// What the model wants to be called now that it has ended; none: its answer is over.
    pub(super) fn take_calls(&mut self) -> Vec<Call> {
        std::mem::take(&mut self.calls)
    }

    /// Whether there is anything to be called.
    pub(super) fn has_calls(&self) -> bool {
        !self.calls.is_empty()
    }

    /// Nothing more comes in this round. What it holds back of a budget is given back.
    pub(super) fn over(self) -> Written {
        Written { bytes: self.bytes, usage: Some(self.counted().unwrap_or_else(|| self.guessed(Usage::default()))) }
    }

    /// What all rounds have cost; of the last one only a guess when the provider did not say, and nothing when that is all
    /// there is.
    fn counted(&self) -> Option<Usage> {
        match (self.before.usage, self.usage) {
            (None, counted) => counted,
            (Some(before), Some(counted)) => Some(sum(before, counted)),
            (Some(before), None) => Some(self.guessed(before)),
        }
    }

    fn guessed(&self, before: Usage) -> Usage {
        let output = estimated_tokens(self.bytes - self.before.bytes);
        sum(before, Usage { input: self.prompt_tokens, output, estimated: true })
    }

    /// Takes the next event.
    pub(super) fn take(&mut self, event: Result<ModelEvent, ModelError>) -> Told {
        let event = match event {
            Ok(event) => event,
            Err(error) => return Told { end: Some(self.failed(&error)), ..Told::default() },
        };
        self.has_begun |= !matches!(event, ModelEvent::Queued(_) | ModelEvent::Asked | ModelEvent::Free(_));
        let doing = self.does(&event);
        let mut told = Told { doing, ..Told::default() };
        match event {
            ModelEvent::Queued(_) | ModelEvent::Asked => {}
            ModelEvent::Thinking(bytes) => {
                let spent = self.wrote(usize::try_from(bytes).unwrap_or(usize::MAX));
                told.end = spent.err().map(|refusal| self.refused(refusal));
            }
            ModelEvent::Free(is_free) => told.event = self.free(is_free),
            ModelEvent::By(author) => {
                self.calls.clear(); // Whose they were writes no more.
                told.event = Some(self.by(author));
            }
            ModelEvent::Text(text) => (told.event, told.end) = self.text(text),
            ModelEvent::Failover(failover) => {
                if failover.keep == 0 {
                    self.bytes = self.before.bytes; // What is withdrawn does not count.
                }
                told.event = Some(RunEvent::Failover(failover));
            }
            ModelEvent::Calls(calls) => self.calls = calls,
            ModelEvent::Usage(usage) => {
                self.usage = Some(usage);
                if !self.is_free {
                    self.spending.settle(usage);
                }
            }
            ModelEvent::Finish(reason) => self.finish = Some(reason),
        }
        told
    }

    /// The model says nothing more.
    pub(super) fn end(&self) -> Outcome {
        let outcome = self.finish.map_or_else(|| Outcome::broken_off(self.bytes == 0), Outcome::finished);
        Outcome { usage: self.counted(), ..outcome }
    }

    /// What comes costs nothing, or does so no more; who writes is told anew then.
    fn free(&mut self, is_free: bool) -> Option<RunEvent> {
        self.is_free = is_free;
        if is_free {
            self.spending.waive();
        } else {
            self.spending.resume();
        }
        self.author.clone().map(|author| self.by(author))
    }

    fn by(&mut self, author: Author) -> RunEvent {
        let author = Author { cached: self.is_free, ..author };
        self.author = Some(author.clone());
        RunEvent::By(author)
    }

    fn does(&mut self, event: &ModelEvent) -> Option<Doing> {
        let doing = match event {
            ModelEvent::Queued(position) => Doing::queued(Some(*position)),
            ModelEvent::Asked => Phase::Waiting.into(),
            ModelEvent::Thinking(_) => Phase::Thinking.into(),
            ModelEvent::Text(_) => Phase::Streaming.into(),
            _ => return None,
        };
        (std::mem::replace(&mut self.doing, doing.clone()) != doing).then_some(doing)
    }

    /// A piece of the answer, as far as there is room for it, and whether it was the last one.
    fn text(&mut self, mut text: String) -> (Option<RunEvent>, Option<Outcome>) {
        let whole = text.len();
        text.truncate(text.floor_char_boundary(MAX_ANSWER_BYTES - self.bytes));
        self.bytes += text.len();
        let is_cut = text.len() < whole;
        let spent = self.wrote(text.len());
        let end = match spent {
            Err(refusal) => Some(self.refused(refusal)),
            Ok(()) if is_cut => {
                warn!(bytes = self.bytes, "an answer was cut: it is too long");
                Some(Outcome { status: Status::Length, usage: self.counted(), error: None })
            }
            Ok(()) => None,
        };
        ((!text.is_empty()).then_some(RunEvent::Text(text)), end)
    }

    fn wrote(&mut self, bytes: usize) -> Result<(), OverLimit> {
        if self.is_free { Ok(()) } else { self.spending.wrote(bytes) }
    }

    fn refused(&self, refusal: OverLimit) -> Outcome {
        refusal.count();
        Outcome { usage: self.counted(), ..Outcome::refused(refusal, self.bytes == 0) }
    }

    fn failed(&mut self, error: &ModelError) -> Outcome {
        warn!(%error, "a model did not finish its answer");
        // Nobody began to answer. Of a server that was silent nobody knows that.
        let was_refused = match error {
            ModelError::Unavailable { .. } | ModelError::Rejected { .. } => true,
            ModelError::Timeout { clock, .. } => *clock == Clock::Connect,
            ModelError::Unusable { .. } | ModelError::Truncated { .. } => false,
        };
        if was_refused && !self.has_begun {
            self.spending.waive();
        }
        Outcome { usage: self.counted(), ..Outcome::failed(error, self.bytes == 0) }
    }
}

fn sum(a: Usage, b: Usage) -> Usage {
    Usage {
        input: a.input.saturating_add(b.input),
        output: a.output.saturating_add(b.output),
        estimated: a.estimated || b.estimated,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        chat::Owner,
        config::LimitsConfig,
        limits::{Budgets, Spender},
        llm::Stage,
    };

    fn user() -> Spender {
        Spender::new(Some(&Owner::new("t/u")))
    }

    /// An answer to a prompt of 100 tokens, of a user who has 1,000 a day.
    fn begun() -> (Arc<Budgets>, Writing) {
        let budgets = Arc::new(Budgets::new(&LimitsConfig { tokens_per_day: 1000, ..LimitsConfig::default() }));
        let writing = Writing::new(budgets.open(&user(), 100, 200).unwrap(), 100);
        (budgets, writing)
    }

    /// What a user of 1,000 tokens has spent: so much less fits.
    fn spent(budgets: &Arc<Budgets>) -> u64 {
        let fits = |spent: &u64| budgets.open(&user(), 999 - spent, 0).map(|mut tried| tried.waive()).is_ok();
        (0..1000).find(fits).unwrap_or(1000)
    }

    fn text(text: &str) -> Result<ModelEvent, ModelError> {
        Ok(ModelEvent::Text(text.to_owned()))
    }

    fn timeout(clock: Clock) -> Result<ModelEvent, ModelError> {
        Err(ModelError::Timeout { target: "t".to_owned(), clock, stage: Stage::Asked })
    }

    fn refused() -> Result<ModelEvent, ModelError> {
        Err(ModelError::Unavailable { target: "t".to_owned(), detail: "no".to_owned(), retry_after: None })
    }

    #[test]
    fn what_it_does_is_told_when_it_changes() {
        let (_, mut writing) = begun();
        let doing = |told: Told| told.doing.map(|doing| doing.phase);
        assert_eq!(doing(writing.take(Ok(ModelEvent::Queued(1)))), Some(Phase::Queued));
        assert_eq!(doing(writing.take(Ok(ModelEvent::Asked))), Some(Phase::Waiting));
        assert_eq!(doing(writing.take(Ok(ModelEvent::Asked))), None);
        assert_eq!(doing(writing.take(text("a"))), Some(Phase::Streaming));
        assert_eq!(writing.take(text("b")), Told { event: Some(RunEvent::Text("b".to_owned())), ..Told::default() });
        assert_eq!(writing.end().status, Status::Incomplete);
        writing.take(Ok(ModelEvent::Finish(FinishReason::Stop)));
        assert_eq!(writing.end().status, Status::Complete);
    }

    #[test]
    fn only_what_nobody_began_to_answer_is_given_back() {
        let truncated = Err(ModelError::Truncated { target: "t".to_owned(), detail: "end".to_owned() });
        for (why, events, cost) in [
            ("refused", vec![refused()], 0),
            ("not even connected", vec![timeout(Clock::Connect)], 0),
            ("waited for, and refused", vec![Ok(ModelEvent::Queued(1)), Ok(ModelEvent::Asked), refused()], 0),
            ("silent", vec![timeout(Clock::FirstToken)], 100),
            ("too long", vec![timeout(Clock::Total)], 100),
            ("a head and an end", vec![truncated], 100),
            ("some reasoning", vec![Ok(ModelEvent::Thinking(80)), refused()], 120),
            ("reasoning, and silence", vec![Ok(ModelEvent::Thinking(80)), timeout(Clock::Gap)], 120),
            ("some text", vec![text(&"x".repeat(80)), refused()], 120),
        ] {
            let (budgets, mut writing) = begun();
            let ends: Vec<_> = events.into_iter().filter_map(|event| writing.take(event).end).collect();
            assert_eq!(ends.len(), 1, "{why}");
            drop(writing);
            assert_eq!(spent(&budgets), cost, "{why}");
        }
    }

    #[test]
    fn a_spent_budget_ends_the_answer() {
        let (budgets, mut writing) = begun();
        let other = budgets.open(&user(), 0, 600).unwrap();
        let mut pieces = 0;
        let end = loop {
            let told = writing.take(text(&"x".repeat(64)));
            assert!(told.event.is_some(), "what was written is shown");
            pieces += 1;
            if let Some(end) = told.end {
                break end;
            }
        };
        assert_eq!((end.status, &*end.error.unwrap().code), (Status::Incomplete, "budget_exhausted"));
        assert!((296..=328).contains(&(16 * pieces)), "200 that were held back, and the 100 that were left: {pieces}");
        drop(other);
    }

    #[test]
    fn reasoning_is_charged_while_it_is_written() {
        let (budgets, mut writing) = begun();
        let end = std::iter::repeat_with(|| writing.take(Ok(ModelEvent::Thinking(100)))).find_map(|told| told.end);
        let end = end.unwrap();
        assert_eq!((end.status, &*end.error.unwrap().code), (Status::Error, "budget_exhausted"));
        drop(writing);
        assert_eq!(spent(&budgets), 1000);
    }

    #[test]
    fn what_is_free_costs_nothing_and_who_inherits_it_pays_for_all() {
        let by = |cached| Some(RunEvent::By(Author { cached, ..Author::new("m") }));
        for inherits in [false, true] {
            let (budgets, mut writing) = begun();
            assert_eq!(writing.take(Ok(ModelEvent::Free(true))), Told::default());
            writing.take(Ok(ModelEvent::Thinking(640)));
            assert_eq!(writing.take(Ok(ModelEvent::By(Author::new("m")))).event, by(true));
            writing.take(text(&"x".repeat(640)));
            if inherits {
                assert_eq!(writing.take(Ok(ModelEvent::Free(false))).event, by(false));
                writing.take(text(&"x".repeat(80)));
                assert_eq!(spent(&budgets), 20 + 180, "what is written from now on, and what is held back for more");
            }
            writing.take(Ok(ModelEvent::Usage(Usage { input: 100, output: 400, estimated: false })));
            drop(writing);
            assert_eq!(spent(&budgets), if inherits { 500 } else { 0 });
        }
    }
}
