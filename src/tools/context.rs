//! What a tool is told besides its arguments. A leaf.

use futures_util::future::BoxFuture;

use super::{progress::Reporter, shared::Shared};
use crate::{
    chat::{CallId, Owner, Timestamp},
    knowledge::Passage,
    memory::Telling,
};

/// Looks into the documents; `None` when they cannot be searched.
pub(super) type Search<'a> = dyn Fn(String) -> BoxFuture<'a, Option<Vec<Passage>>> + Send + Sync + 'a;

/// What a tool is told besides its arguments.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Which call it is.
    pub call: &'a CallId,
    /// Where it tells how far it is.
    pub progress: &'a Reporter,
    /// What time it is.
    pub now: Timestamp,
    /// The documents that the assistant answers from.
    pub search: &'a Search<'a>,
    /// Who asks; `None` where nobody need say so.
    pub owner: Option<&'a Owner>,
    /// Whether what is made can be kept for people.
    pub keeps_files: bool,
    /// What is told with the question, where that is remembered.
    pub telling: Option<&'a Telling>,
    /// What all assistants have.
    pub shared: &'a Shared,
}
