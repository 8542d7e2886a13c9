//! A run as it is described to those who ask for one. It is read field by field, by `request.rs`, so that an error names the
//! field as the caller wrote it. Plain declarations.
#![expect(dead_code, reason = "described, and never made")]

use serde_json::Value;
use utoipa::ToSchema;

/// What a run is asked for. Other fields of AG-UI, of which some are the client's tools, state and context, are ignored.
#[derive(Debug, ToSchema)]
#[schema(as = AgUiRun)]
pub struct Run {
    /// The conversation. One of an id that is not known yet begins with it.
    #[schema(rename = "threadId", min_length = 1, max_length = 128, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$")]
    thread_id: String,
    /// Told back.
    #[schema(rename = "runId", min_length = 1, max_length = 128, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$")]
    run_id: String,
    /// The conversation as the client has it. The last message of the user is answered; what was said before is known.
    messages: Vec<Message>,
    /// Yes or no to the call that waits.
    #[schema(max_items = 1)]
    resume: Option<Vec<Resume>>,
}

#[derive(Debug, ToSchema)]
#[schema(as = AgUiMessage)]
struct Message {
    #[schema(min_length = 1)]
    id: String,
    #[schema(min_length = 1, examples("user"))]
    role: String,
    /// A text, or parts that are texts.
    #[schema(value_type = Object)]
    content: Option<Value>,
}

#[derive(Debug, ToSchema)]
#[schema(as = AgUiResume)]
struct Resume {
    /// That of the interrupt.
    #[schema(rename = "interruptId")]
    interrupt_id: String,
    #[schema(pattern = "^(resolved|cancelled)$")]
    status: String,
    /// Where it is resolved: true or false, or an object with that as `approved`, and a `comment`.
    #[schema(value_type = Object)]
    payload: Option<Value>,
}
