//! What a run is asked for. Plain values.

use std::sync::Arc;

use crate::{
    chat::{Message, Owner, RunId, SessionId},
    config::Assistant,
    llm::{Parameters, PromptMessage, ToolOffer},
    memory::Telling,
};

/// What is to be answered.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// The question.
    pub question: Arc<str>,
    /// What was said before it, oldest first.
    pub history: Vec<PromptMessage>,
    /// What the caller tells the model besides the assistant's instructions.
    pub instructions: Option<String>,
    /// Who answers.
    pub assistant: Arc<Assistant>,
    /// Who asks; `None` where nobody need say so.
    pub owner: Option<Owner>,
    /// What is told with the question, where that may be remembered and what was told before is known.
    pub telling: Option<Arc<Telling>>,
    /// What was said and called since the question: it is to be gone on with.
    pub begun: Vec<PromptMessage>,
    /// What the caller has that may be called. The assistant's own tools are not offered beside it.
    pub tools: ToolOffer,
    /// The answers to the same question that it goes on from, the oldest first: what waited in the last one is decided.
    pub resumes: Vec<Arc<Message>>,
    /// How it is to be written.
    pub parameters: Arc<Parameters>,
    /// The most tokens of the answer, when it shall be fewer than usual.
    pub max_output_tokens: Option<u32>,
    /// Whether all of the history is given to the model, however long it is: the provider says when it is too long.
    pub keeps_history: bool,
    /// Whether text that was passed on can be withdrawn again.
    pub may_withdraw: bool,
    /// Whether another answer than the one that may be known already is wanted.
    pub is_anew: bool,
    /// Whether the answer may be kept and given to others, and one that is known may be given.
    pub may_share: bool,
    /// The session it belongs to, as its span and its line in the log shall say.
    pub session: Option<SessionId>,
    /// Its name, likewise.
    pub run: Option<RunId>,
}

impl RunRequest {
    /// A question of `owner` to `assistant`, as a conversation has it.
    #[must_use]
    pub fn new(assistant: Arc<Assistant>, question: &str, history: Vec<PromptMessage>, owner: Option<Owner>) -> Self {
        Self {
            assistant,
            question: question.into(),
            history,
            instructions: None,
            begun: Vec::new(),
            tools: ToolOffer::default(),
            resumes: Vec::new(),
            telling: None,
            owner,
            parameters: Arc::default(),
            max_output_tokens: None,
            keeps_history: false,
            may_withdraw: true,
            is_anew: false,
            may_share: true,
            session: None,
            run: None,
        }
    }
}
