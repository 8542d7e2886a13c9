//! The calls of an answer, as a caller gets them: whole, with ids of the gateway's, whichever way a model's server wrote
//! them. Pure.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::llm::Call;

/// A call that the caller is to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = CompletionCall)]
pub struct ToolCall {
    /// Names it where its result is told.
    id: String,
    r#type: &'static str,
    function: Function<'static>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = CompletionCallFunction)]
struct Function<'a> {
    /// What is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Cow<'a, str>>,
    /// A JSON object; or what the model wrote in its place.
    arguments: Cow<'a, str>,
}

/// A piece of a call.
#[derive(Debug, Serialize)]
pub(super) struct Piece<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    function: Function<'a>,
}

impl ToolCall {
    /// A call, and what it is called from now on.
    #[must_use]
    pub fn new(id: String, call: Call) -> Self {
        let arguments = match call.arguments {
            Value::String(written) => written,
            object => object.to_string(),
        };
        let function = Function { name: Some(call.name.into()), arguments: arguments.into() };
        Self { id, r#type: "function", function }
    }

    /// The two pieces of the call at `index`: what it is, and all of its arguments.
    pub(super) fn pieces(&self, index: usize) -> [Piece<'_>; 2] {
        let name = self.function.name.as_deref().map(Cow::from);
        let begin = Function { name, arguments: "".into() };
        let rest = Function { name: None, arguments: self.function.arguments.as_ref().into() };
        [
            Piece { index, id: Some(&self.id), r#type: Some(self.r#type), function: begin },
            Piece { index, id: None, r#type: None, function: rest },
        ]
    }
}
