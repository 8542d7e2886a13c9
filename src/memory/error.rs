//! Why something is not remembered, known or forgotten. Uses plain values alone.

use super::sensitive::Sensitive;
use crate::store::{StoreError, memories::MAX_FACTS};

/// Why something is not remembered, known or forgotten, in words for the model and for people.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MemoryError {
    /// The conversation is temporary, or none that is kept.
    #[error("this conversation is temporary: nothing of it is remembered, and nothing is known in it")]
    Temporary,
    /// Nobody knows who it is, and others would know it, too.
    #[error("who does not sign in is not known again, but where the gateway listens on its own machine alone")]
    Nobody,
    /// The user has switched it off.
    #[error("the user has switched the memory off")]
    Off,
    /// What is to be remembered was not said.
    #[error("that does not stand in the user's message: quote it word by word")]
    NotSaid,
    /// What must not lie about.
    #[error("{0} is not remembered")]
    Sensitive(Sensitive),
    /// There is no room.
    #[error("there are {MAX_FACTS} facts already: forget some")]
    Full,
    /// It was forgotten on purpose.
    #[error("it was said before the user wanted that forgotten")]
    Forgotten,
    /// Nothing fits.
    #[error("nothing was told of that")]
    Nothing,
    /// The store is away, or takes too long.
    #[error("the memory is not available at the moment")]
    Unavailable(#[from] StoreError),
}
