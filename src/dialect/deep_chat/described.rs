//! Questions and answers as they are described to those who write an element. A question is read field by field, by
//! `request.rs`. Plain declarations.
#![expect(dead_code, reason = "described, and never made")]

use utoipa::ToSchema;

use crate::chat::SessionId;

/// What is asked. Other fields are ignored.
#[derive(Debug, ToSchema)]
#[schema(as = DeepChatQuestion)]
pub struct Question {
    /// The newest messages. The last one is the question.
    #[schema(min_items = 1)]
    messages: Vec<Message>,
    /// The conversation; a new one when neither this nor a message names one.
    #[schema(min_length = 1, max_length = 128, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$")]
    session: Option<String>,
    /// Who answers; the default one when absent.
    #[schema(min_length = 1, max_length = 128, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$")]
    assistant: Option<String>,
}

#[derive(Debug, ToSchema)]
#[schema(as = DeepChatMessage)]
struct Message {
    /// `user`, as when absent, or whoever else said it.
    role: Option<String>,
    text: Option<String>,
    /// By what an answer has named its conversation.
    #[schema(rename = "_sessionId")]
    session: Option<String>,
}

/// An answer, or why there is none.
#[derive(Debug, ToSchema)]
#[schema(as = DeepChatAnswer)]
pub struct Answer {
    text: Option<String>,
    #[schema(rename = "_sessionId")]
    session: Option<SessionId>,
    error: Option<String>,
}

/// Why something was not done, as the element shows it.
#[derive(Debug, ToSchema)]
#[schema(as = DeepChatError)]
pub struct Refusal {
    /// For people.
    error: String,
    /// For programs.
    code: String,
}
