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
    /// What the model may call. Its calls are passed on to the caller, who makes them.
    #[schema(max_items = 128)]
    tools: Option<Vec<Tool>>,
    /// `required`, or an object with the name of a function, where there are `tools`: a text alone is no answer then.
    #[schema(value_type = Option<String>, pattern = "^(none|auto|required)$")]
    tool_choice: Option<Value>,
    /// Whether an answer may have several calls.
    parallel_tool_calls: Option<bool>,
    rivulet: Option<Own>,
}

/// Something that the caller has, and the model may call.
#[derive(Debug, ToSchema)]
#[schema(as = CompletionTool)]
struct Tool {
    #[schema(pattern = "^function$")]
    r#type: String,
    function: Function,
}

#[derive(Debug, ToSchema)]
#[schema(as = CompletionFunction)]
struct Function {
    #[schema(pattern = "^[a-zA-Z0-9_-]{1,64}$")]
    name: String,
    /// What it does.
    description: Option<String>,
    /// What its arguments have to be: a JSON schema of an object.
    #[schema(value_type = Option<Object>)]
    parameters: Option<Value>,
    /// Whether a model's server that can shall see to it that they are.
    strict: Option<bool>,
}

/// Texts whose vectors are wanted.
#[derive(Debug, ToSchema)]
pub struct EmbeddingRequest {
    /// The model's name, as `/v1/models` has it last.
    #[schema(min_length = 1)]
    model: String,
    /// A text, or a list of at most 256.
    input: Input,
    /// `float` when not said.
    #[schema(value_type = Option<String>, pattern = "^(float|base64)$")]
    encoding_format: Option<String>,
    /// As many as the model's vectors have.
    dimensions: Option<i64>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = EmbeddingInput)]
enum Input {
    One(String),
    Some(Vec<String>),
}

/// Something that was said.
#[derive(Debug, ToSchema)]
#[schema(as = CompletionTurn)]
struct Message {
    role: Role,
    /// A text, or parts of the type `text`; of the assistant's, nothing where there are calls.
    #[schema(value_type = String, pattern = "\\S")]
    content: Value,
    /// What the assistant has called, as it stood in an answer. Each call has exactly one result behind it: a message of the
    /// role `tool`, with the call's `id` as its `tool_call_id`.
    #[schema(value_type = Option<Vec<Object>>)]
    tool_calls: Option<Value>,
    /// Of the role `tool`: what came of which call the text says.
    tool_call_id: Option<String>,
}

/// Who said it. `system` and `developer` instruct; `tool` says what came of a call.
#[derive(Debug, ToSchema)]
#[schema(as = CompletionRole, rename_all = "lowercase")]
enum Role {
    System,
    Developer,
    User,
    Assistant,
    Tool,
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
