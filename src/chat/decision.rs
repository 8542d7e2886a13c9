//! Yes or no to a call that waits, and what becomes of calls whose answer is over. Pure.

use serde::{Deserialize, Serialize};

use super::{
    approval::Approver,
    id::{CallId, MessageId},
    message::{Message, Status},
    text::printable,
    time::Timestamp,
    tool::{ToolStatus, ToolUse},
};

/// The longest comment of whoever decides that is kept, in bytes.
const MAX_COMMENT_BYTES: usize = 8000;

/// Yes or no to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// To which.
    pub call: CallId,
    /// What was shown to whoever decides.
    pub digest: String,
    /// Whether it is yes.
    pub is_approved: bool,
    /// What they say.
    pub comment: Option<String>,
    /// Who they are, where that is known.
    pub by: Option<String>,
    /// Whether the conversation is theirs.
    pub is_owner: bool,
    /// The scopes that they have; `None`: all, where nobody need say who they are.
    pub scopes: Option<Vec<String>>,
}

/// Why nothing was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Undecided {
    /// No such call waits, or the conversation has gone on without it.
    #[error("no such call waits in the conversation")]
    Unknown,
    /// It was decided before.
    #[error("it was decided already")]
    Already,
    /// It is too late.
    #[error("it was to be decided earlier: ask for it again")]
    Expired,
    /// Something else was shown to them.
    #[error("`digest` is not that of the call")]
    Altered,
    /// Others decide it.
    #[error("others decide that")]
    Others,
}

impl Decision {
    /// The id of the answer that goes on from it: the same thing said twice is done once.
    ///
    /// # Errors
    /// [`Undecided::Unknown`] when there can be no such call.
    pub fn answer(&self) -> Result<MessageId, Undecided> {
        MessageId::parse(&format!("{}_{}", self.status().as_str(), self.call)).map_err(|_| Undecided::Unknown)
    }

    /// What becomes of the call.
    #[must_use]
    pub const fn status(&self) -> ToolStatus {
        if self.is_approved { ToolStatus::Approved } else { ToolStatus::Denied }
    }

    /// The answer that waits for it as it is then.
    ///
    /// # Errors
    /// [`Undecided`]
    pub fn applied(&self, answer: &Message, now: Timestamp) -> Result<Message, Undecided> {
        let mut decided = answer.clone();
        let is_it = |used: &&mut ToolUse| used.call.call == self.call;
        let used = decided.tools.iter_mut().find(is_it).ok_or(Undecided::Unknown)?;
        let approval = used.outcome.approval.as_mut().ok_or(Undecided::Unknown)?;
        let may = match &approval.approver {
            Approver::User => self.is_owner,
            Approver::Scope(scope) => self.scopes.as_ref().is_none_or(|scopes| scopes.contains(scope)),
        };
        if !may {
            return Err(Undecided::Others);
        }
        if used.outcome.status != ToolStatus::Waiting || answer.status != Status::AwaitingApproval {
            return Err(match used.outcome.status {
                ToolStatus::Approved | ToolStatus::Denied => Undecided::Already,
                _ => Undecided::Unknown,
            });
        }
        if self.digest != approval.digest {
            return Err(Undecided::Altered);
        }
        if now >= approval.expires_at {
            return Err(Undecided::Expired);
        }
        approval.by.clone_from(&self.by);
        approval.comment = self.comment.as_deref().map(|comment| printable(comment, MAX_COMMENT_BYTES));
        used.outcome.status = self.status();
        decided.status = Status::Complete;
        Ok(decided)
    }
}

impl Message {
    /// The call that waits in it.
    #[must_use]
    pub fn waiting(&self) -> Option<&ToolUse> {
        let waits = |used: &&ToolUse| used.outcome.status == ToolStatus::Waiting;
        self.tools.iter().find(waits).filter(|_| self.status == Status::AwaitingApproval)
    }

    /// Ends the calls of an answer that is over, as far as they have no end: whatever runs was interrupted, and for what
    /// waits nobody was waited.
    #[must_use]
    pub fn settled(mut self) -> Self {
        for used in &mut self.tools {
            match used.outcome.status {
                ToolStatus::Running if self.status != Status::Pending => used.interrupt(),
                ToolStatus::Waiting
                    if self.replaced || !matches!(self.status, Status::Pending | Status::AwaitingApproval) =>
                {
                    used.outcome.status = ToolStatus::Superseded;
                }
                _ => {}
            }
        }
        self
    }

    /// An answer that nobody writes any more, as it is.
    #[must_use]
    pub fn interrupted(self) -> Self {
        Self { status: Status::Interrupted, ..self }.settled()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::chat::{Approval, InvalidApprover, RunId, ToolCall, ToolOutcome};

    fn waiting(approver: Approver) -> Message {
        let call = CallId::random();
        let args = json!({"name": "Asha"});
        let approval = Approval::of(call.clone(), "letter", &args, approver, Timestamp(100));
        let call = ToolCall { call, tool: "letter".into(), title: "Letter".into(), args, off: 0, changes: true };
        let outcome = ToolOutcome { status: ToolStatus::Waiting, approval: Some(approval), ..ToolOutcome::default() };
        Message {
            status: Status::AwaitingApproval,
            tools: vec![ToolUse { call, outcome }],
            ..Message::pending(MessageId::random(), None, RunId::random(), Timestamp(1))
        }
    }

    fn yes(message: &Message) -> Decision {
        let approval = message.tools[0].outcome.approval.as_ref().unwrap();
        Decision {
            call: approval.id.clone(),
            digest: approval.digest.clone(),
            is_approved: true,
            comment: Some("fine\u{7}".into()),
            by: Some("ann".into()),
            is_owner: true,
            scopes: Some(Vec::new()),
        }
    }

    #[test]
    fn a_decision_is_made_once_by_who_may_in_time_and_of_what_was_shown() {
        let message = waiting(Approver::User);
        let decided = yes(&message).applied(&message, Timestamp(99)).unwrap();
        assert_eq!((decided.status, decided.tools[0].outcome.status), (Status::Complete, ToolStatus::Approved));
        assert_eq!(decided.tools[0].outcome.approval.as_ref().unwrap().by.as_deref(), Some("ann"));
        let no = Decision { is_approved: false, ..yes(&message) };
        assert_eq!(no.applied(&message, Timestamp(9)).unwrap().tools[0].outcome.status, ToolStatus::Denied);
        let refused = |decision: &Decision, message, now| decision.applied(message, Timestamp(now)).unwrap_err();
        assert_eq!(refused(&no, &decided, 9), Undecided::Already);
        assert_eq!(refused(&yes(&message), &message, 100), Undecided::Expired);
        let other = Decision { digest: "0".repeat(64), ..yes(&message) };
        assert_eq!(refused(&other, &message, 9), Undecided::Altered);
        let unknown = Decision { call: CallId::random(), ..yes(&message) };
        assert_eq!(refused(&unknown, &message, 9), Undecided::Unknown);
        let gone_on = Message { status: Status::Complete, ..message.clone() }.settled();
        assert_eq!(gone_on.tools[0].outcome.status, ToolStatus::Superseded);
        assert_eq!(refused(&yes(&message), &gone_on, 9), Undecided::Unknown);
        let others = Decision { is_owner: false, ..yes(&message) };
        assert_eq!(refused(&others, &message, 9), Undecided::Others);
    }

    #[test]
    fn who_has_the_scope_decides_and_nobody_else() {
        let message = waiting(Approver::parse("scope:loan-officer").unwrap());
        assert_eq!(yes(&message).applied(&message, Timestamp(9)), Err(Undecided::Others));
        let officer = Decision { is_owner: false, scopes: Some(vec!["loan-officer".into()]), ..yes(&message) };
        assert!(officer.applied(&message, Timestamp(9)).is_ok());
        for bad in ["", "scope:", "scope: officer", "scope:läufer", "User", "ann"] {
            assert_eq!(Approver::parse(bad), Err(InvalidApprover));
        }
    }

    #[test]
    fn what_ran_when_the_gateway_ended_has_an_end_that_says_so() {
        let mut message = waiting(Approver::User);
        message.tools[0].outcome = ToolOutcome::default();
        let pending = Message { status: Status::Pending, ..message.clone() };
        assert_eq!(pending.clone().settled().tools[0].outcome.status, ToolStatus::Running);
        let outcome = &pending.interrupted().tools[0].outcome;
        assert_eq!(outcome.status, ToolStatus::Error);
        assert!(outcome.summary.contains("not known"), "{}", outcome.summary);
    }
}
