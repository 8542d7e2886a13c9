//! A request as it is described to those who write one. It is read field by field, by `request.rs`. Plain declarations.
#![expect(dead_code, reason = "described, and never made")]

use serde_json::Value;
use utoipa::ToSchema;

/// What the SDK's `DefaultChatTransport` sends.
#[derive(Debug, ToSchema)]
#[schema(as = AiSdkChatRequest)]
pub struct ChatRequest {
    /// The chat, as the client calls it, or the id of a session.
    #[schema(min_length = 1, max_length = 128)]
    id: String,
    /// What the view has. Only the last is looked at: a question, or an answer with the decision about a call that waits.
    #[schema(min_items = 1, value_type = Vec<Object>)]
    messages: Vec<Value>,
    #[schema(pattern = "^(submit-message|regenerate-message)$")]
    trigger: Option<String>,
    /// The question that the last message takes the place of.
    #[schema(rename = "messageId")]
    message_id: Option<String>,
    /// Who is to answer, in a new chat.
    #[schema(max_length = 256)]
    assistant: Option<String>,
}
