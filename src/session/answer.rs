//! One answer of a session, for who wants to read that one alone: all of it from its beginning, whenever they come. A reader
//! as any other, whose cursor is the answer. Uses its neighbours.

use std::sync::Arc;

use super::{
    Closed, SessionHandle,
    log::{Event, LiveRun, RunDone, Step},
    retold::Retold,
    viewer::{Change, Viewer},
};
use crate::chat::{Message, RunId};

/// One answer, being read.
#[derive(Debug)]
pub struct Answer {
    viewer: Viewer,
    run: RunId,
    /// What was there before the viewer came, while it is not told.
    before: Option<Box<Retold>>,
    is_over: bool,
}

/// What comes next of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// A step was shown, and others may follow at once.
    Shown,
    /// Nothing, for now: wait until it has [changed](Answer::changed).
    UpToDate,
    /// The end was shown.
    Over,
    /// The reader was so slow that what came next is not kept any more. It may begin anew.
    Lost,
}

impl Answer {
    /// What `run` will be, for a viewer that came before it began.
    pub(crate) fn coming(viewer: Viewer, run: RunId) -> Self {
        Self { viewer, run, before: None, is_over: false }
    }

    /// The answer that is being written.
    #[must_use]
    pub fn live(session: &SessionHandle) -> Option<Self> {
        let (viewer, attachment) = session.attach(None);
        attachment.snapshot?.live.map(|live| Self::underway(viewer, live))
    }

    /// One that is being written, for a viewer that goes on behind what is known of it.
    pub(crate) fn underway(viewer: Viewer, live: LiveRun) -> Self {
        let run = live.run.clone();
        Self { viewer, run, before: Some(Box::new(Retold::live(live))), is_over: false }
    }

    /// One that is over, as it is stored; `done` is how it ended, while that is known.
    pub(crate) fn over(viewer: Viewer, run: RunId, answer: Message, done: Option<Arc<RunDone>>) -> Self {
        let before = Some(Box::new(Retold::over(&run, answer, done)));
        Self { viewer, run, before, is_over: false }
    }

    /// The run that writes it.
    #[must_use]
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// Shows the next step of it to `visit`: from its [`Event::RunStart`] on (which one that was stopped while it waited
    /// has none of) to its [`Event::RunDone`], and no others than its own. The log may be locked meanwhile: `visit`
    /// encodes, and does nothing that waits. A delta has about `max_bytes` of text at most.
    pub fn next(&mut self, max_bytes: usize, mut visit: impl FnMut(&Step<'_>)) -> Next {
        if self.is_over {
            return Next::Over;
        }
        let Self { viewer, run, before, is_over } = self;
        let mut next = None;
        if let Some(retold) = before
            && !retold.next(|step| next = show(step, run, &mut visit))
        {
            *before = None;
        }
        if before.is_none() {
            viewer.read(max_bytes, |step| {
                next = show(&step, run, &mut visit);
                next.is_none()
            });
        }
        *is_over = next == Some(Next::Over);
        next.unwrap_or(Next::UpToDate)
    }

    /// Waits until there may be more of it; otherwise why its session has ended.
    ///
    /// # Errors
    /// The session is over, and all of it was read.
    pub async fn changed(&self) -> Result<(), Closed> {
        match self.viewer.changed().await {
            Change::More => Ok(()),
            Change::Closed(cause) => Err(cause),
        }
    }
}

/// Shows a step where it is one of `run`.
fn show(step: &Step<'_>, run: &RunId, visit: &mut impl FnMut(&Step<'_>)) -> Option<Next> {
    if *step == Step::Trimmed {
        return Some(Next::Lost);
    }
    is_of(step, run).then(|| {
        visit(step);
        if matches!(step, Step::Event(_, Event::RunDone(_))) { Next::Over } else { Next::Shown }
    })
}

/// Whether a step tells of this run.
fn is_of(step: &Step<'_>, of: &RunId) -> bool {
    match step {
        Step::Event(_, event) => match event {
            Event::RunStart { run, .. }
            | Event::Memory { run, .. }
            | Event::Sources { run, .. }
            | Event::ToolCall { run, .. }
            | Event::ToolResult { run, .. } => run == of,
            Event::RunDone(done) => done.run == *of,
            Event::Message(_) | Event::Decided(_) => false,
        },
        Step::Delta { run, .. } | Step::Failover { run, .. } | Step::Doing(run, _) => *run == of,
        Step::Presence(_) | Step::UpToDate | Step::Trimmed => false,
    }
}
