//! What is answered by rules, without any model: what a question means (`definition`), what stands in it (`utterance`, of
//! `tokens`, in the words of `vocabulary`), and what is done about it (`talk`). All of it follows from what was said, and nothing is
//! kept. Uses `formula`, otherwise a leaf of the house; pure.

mod definition;
mod talk;
mod tokens;
mod utterance;
mod vocabulary;

pub use self::{
    definition::{Intent, Phrase, Rules, Slot, SlotKind, Words},
    talk::{Next, Said},
};
