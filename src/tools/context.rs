//! What a tool is told besides its arguments. A leaf.

use futures_util::future::BoxFuture;

use crate::{
    chat::{CallId, Timestamp},
    knowledge::Passage,
};

/// Looks into the documents; `None` when they cannot be searched.
pub(super) type Search<'a> = dyn Fn(String) -> BoxFuture<'a, Option<Vec<Passage>>> + Send + Sync + 'a;

/// What a tool is told besides its arguments.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Which call it is.
    pub call: &'a CallId,
    /// What time it is.
    pub now: Timestamp,
    /// The documents that the assistant answers from.
    pub search: &'a Search<'a>,
}
