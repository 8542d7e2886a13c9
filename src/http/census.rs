//! What is in the knowledge base and what is done there, in numbers, as reports have them.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::store::documents::Census;

/// The work on documents.
#[derive(Serialize, ToSchema)]
pub(super) struct Jobs {
    queued: u64,
    running: u64,
}

impl From<&Census> for Jobs {
    fn from(census: &Census) -> Self {
        Self { queued: census.queued, running: census.running }
    }
}

/// How many documents there are in each state.
pub(super) fn documents(census: &Census) -> BTreeMap<&'static str, u64> {
    census.documents.iter().map(|(state, count)| (state.as_str(), *count)).collect()
}
