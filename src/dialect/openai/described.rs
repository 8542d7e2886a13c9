//! A request as it is described to those who write one. It is read field by field, by `request.rs`, so that an error names
//! the field as the caller wrote it. Plain declarations.
#![expect(dead_code, reason = "described, and never made")]

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

/// What is asked for. Fields of OpenAI's interface that are not named here are ignored where that changes nothing that was
/// asked for, and refused otherwise.
#[derive(Debug, ToSchema)]
pub struct CompletionRequest {
    /// The gateway chooses by itself: every name is taken.
    #[schema(max_length = 256)]
    model: Option<String>,
    /// The conversation so far, oldest first. The last one of the user is the question.
    #[schema(min_items = 1)]
    messages: Vec<Message>,
    /// Whether it shall come piece by piece.
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    /// The most tokens of the answer; 0 and -1 are no bound.
    #[schema(minimum = -1)]
    max_completion_tokens: Option<f64>,
    /// The older name of `max_completion_tokens`.
    #[schema(minimum = -1)]
    max_tokens: Option<f64>,
    #[schema(minimum = 0, maximum = 2)]
    temperature: Option<f64>,
    #[schema(minimum = 0, maximum = 1)]
    top_p: Option<f64>,
    #[schema(minimum = -2, maximum = 2)]
    frequency_penalty: Option<f64>,
    #[schema(minimum = -2, maximum = 2)]
    presence_penalty: Option<f64>,
    seed: Option<i64>,
    stop: Option<Stop>,
    rivulet: Option<Own>,
}

/// Something that was said.
#[derive(Debug, ToSchema)]
#[schema(as = CompletionTurn)]
struct Message {
    role: Role,
    /// A text, or parts of the type `text`.
    #[schema(value_type = String, pattern = "\\S")]
    content: Value,
}

/// Who said it. `system` and `developer` instruct.
#[derive(Debug, ToSchema)]
#[schema(as = CompletionRole, rename_all = "lowercase")]
enum Role {
    System,
    Developer,
    User,
    Assistant,
}

/// Texts that end the answer: one, or at most four.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum Stop {
    One(String),
    Some(Vec<Option<String>>),
}

#[derive(Debug, ToSchema)]
struct StreamOptions {
    /// Whether the stream shall end with what it cost.
    include_usage: Option<bool>,
}

/// What is the gateway's own.
#[derive(Debug, ToSchema)]
#[schema(as = CompletionOptions)]
struct Own {
    /// Whether the answer may be kept and given again, and a known one may be given.
    cache: Option<bool>,
}
