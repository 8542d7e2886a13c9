//! What people thought of answers, counted by the day, the model and the version of the assistant. Plain values; uses `chat` only.

use std::{cmp::Reverse, collections::BTreeMap};

use crate::chat::{Message, Owner, Rating, Timestamp};

/// The most rows of one count; of more, the oldest days are left out.
pub const MAX_FEEDBACK_COUNTS: usize = 1_000;
/// The milliseconds of a day.
pub(super) const DAY_MS: u64 = 24 * 3600 * 1000;

/// What was thought of the answers that one model gave on one day for one version of an assistant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedbackCount {
    /// The day on which they were asked for, in UTC: its beginning.
    pub day: Timestamp,
    /// Which model; `None` when it was never known.
    pub model: Option<String>,
    /// The assistant that they answered for.
    pub assistant: String,
    /// Its version; `None` when that was never known.
    pub version: Option<String>,
    /// Which variant of it, when it was one.
    pub variant: Option<String>,
    /// So many were good,
    pub good: u64,
    /// and so many were not.
    pub bad: u64,
}

/// Counts those of a tenant, or of all, since a moment: newest day first, then by model, assistant, version and variant.
pub(super) fn count<'a>(
    answers: impl Iterator<Item = (Option<&'a Owner>, &'a str, &'a Message)>,
    tenant: Option<&str>,
    since: Timestamp,
) -> Vec<FeedbackCount> {
    let mut counted: BTreeMap<_, (u64, u64)> = BTreeMap::new();
    let is_meant =
        |owner: Option<&Owner>| tenant.is_none_or(|tenant| owner.is_some_and(|owner| owner.tenant() == tenant));
    for (owner, assistant, answer) in answers {
        let meant = answer.created_at >= since && is_meant(owner);
        let Some(feedback) = answer.feedback.as_ref().filter(|_| meant) else { continue };
        let day = Timestamp(answer.created_at.0 / DAY_MS * DAY_MS);
        let (model, assistant) = (answer.model.clone(), assistant.to_owned());
        let of = (Reverse(day), model, assistant, answer.version.clone(), answer.variant.clone());
        let (good, bad) = counted.entry(of).or_default();
        match feedback.value {
            Rating::Good => *good += 1,
            Rating::Bad => *bad += 1,
        }
    }
    let rows = counted.into_iter().map(|((day, model, assistant, version, variant), (good, bad))| FeedbackCount {
        day: day.0,
        model,
        assistant,
        version,
        variant,
        good,
        bad,
    });
    rows.take(MAX_FEEDBACK_COUNTS).collect()
}
