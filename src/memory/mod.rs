//! What users tell assistants, known again in other conversations: what is kept of a message (`phrases`), what never should be
//! (`sensitive`), and which memories fit a question (`words`, `recall`). No model has a part in that, and each of it is pure. Uses
//! `chat`, `knowledge` and `store`.

pub mod phrases;
pub mod recall;
pub mod sensitive;
pub mod words;
