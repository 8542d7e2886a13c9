//! One conversation: its log, the actor that alone writes to it, and the viewers that read it.
//!
//! [`SessionHandle`]'s methods are the whole API. The actor owns the run and the order of things; the log is shared
//! under a short lock, so that a viewer reads without asking the actor. Uses `run`, `store`, `telemetry`, `chat`;
//! knows no socket and no frame. This file names the others, and has nothing of its own.

mod actor;
pub mod answer;
mod command;
mod copies;
mod handle;
mod later;
pub mod live;
pub mod log;
mod moment;
mod report;
mod retold;
mod shared;
pub mod text;
pub mod viewer;
mod wakers;

pub use actor::{Deps, LOOK_UPS};
pub use answer::Answer;
pub(crate) use command::Command;
pub use command::{Closed, NewMessage, Receipt, Redo, RunNotActive, SendError, SendMode, StopTarget};
pub use copies::{Ended, Follower, Mirror};
pub(crate) use copies::{Wishes, inherit};
pub use handle::{BACK_WITHIN, SessionHandle};
pub use moment::{Clock, Moment};
pub use report::{Activity, RunReport, SessionReport};
pub use shared::Lists;
pub(crate) use shared::Shared;
pub use viewer::Viewer;
