//! Documents that tools make: what an operator has written of one (`template`, in `block`s), what its font can write (`font`), which lines
//! stand where on which pages (`layout`), and the bytes of a PDF (`pdf`). Pure.
//!
//! Arguments are text and nothing else: the form of a document is read before anything is filled in. The same arguments make the
//! same bytes on a day. Uses `formula`'s templates alone.

mod block;
mod font;
mod layout;
mod pdf;
mod template;

pub use self::{
    font::{Unwritable, unwritable},
    template::{BadLine, Letter, LetterError, MAX_TEMPLATE_BYTES, Rendered, WrongLine},
};
