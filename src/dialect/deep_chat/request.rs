//! A question, as the element sends it: the newest messages, and what its page has added to the body. Pure.

use serde_json::Value;

use crate::dialect::{
    named::named,
    openai::{Invalid, invalid},
};

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What was asked. Its bounds are not checked.
    pub text: String,
    /// What the page calls the conversation, or by what an answer in it has named it; a new one when absent.
    pub session: Option<String>,
    /// Who shall answer, where the page says so.
    pub assistant: Option<String>,
}

impl Question {
    /// Takes a request apart. `null` is as good as absent.
    ///
    /// # Errors
    /// [`Invalid`], for the first field that is missing or wrong.
    pub fn parse(body: &Value) -> Result<Self, Invalid> {
        let fields = body.as_object().ok_or_else(|| invalid("body", "must be an object"))?;
        let messages =
            fields.get("messages").and_then(Value::as_array).ok_or_else(|| invalid("messages", "must be a list"))?;
        let is_users = |message: &&Value| message.get("role").is_none_or(|role| role == "user");
        let last = messages.iter().enumerate().next_back().filter(|(_, message)| is_users(message));
        let (at, last) = last.ok_or_else(|| invalid("messages", "must end with a message of the role `user`"))?;
        let path = format!("messages[{at}]");
        if last["files"].as_array().is_some_and(|files| !files.is_empty()) {
            return Err(Invalid {
                code: "unsupported_parameter",
                param: format!("{path}.files"),
                problem: "has files, and this gateway reads none in a message".to_owned(),
            });
        }
        let text = last["text"].as_str().ok_or_else(|| invalid(&format!("{path}.text"), "must be a text"))?;
        let told = messages.iter().rev().find_map(|message| message["_sessionId"].as_str());
        let session = named(fields, "session")?.or_else(|| told.map(str::to_owned));
        Ok(Self { text: text.to_owned(), session, assistant: named(fields, "assistant")? })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_message_is_the_question_and_an_answer_names_its_conversation() {
        let question = |text: &str, session: Option<&str>, assistant: Option<&str>| Question {
            text: text.into(),
            session: session.map(str::to_owned),
            assistant: assistant.map(str::to_owned),
        };
        for (body, read) in [
            (json!({"messages": [{"role": "user", "text": "Hello"}]}), question("Hello", None, None)),
            (
                json!({"messages": [{"text": "Hi"}], "session": "tab", "assistant": "loan", "stream": true}),
                question("Hi", Some("tab"), Some("loan")),
            ),
            (
                json!({"session": null, "messages": [
                    {"role": "user", "text": "a"}, {"role": "ai", "text": "b", "_sessionId": "s_1"},
                    {"role": "user", "text": "c", "files": []},
                ]}),
                question("c", Some("s_1"), None),
            ),
        ] {
            assert_eq!(Question::parse(&body).unwrap(), read, "{body}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let hello = json!([{"role": "user", "text": "Hello"}]);
        for (body, param) in [
            (json!("Hello"), "body"),
            (json!({}), "messages"),
            (json!({"messages": []}), "messages"),
            (json!({"messages": [{"role": "user", "text": "a"}, {"role": "ai", "text": "b"}]}), "messages"),
            (json!({"messages": [{"role": "user", "html": "<b>"}]}), "messages[0].text"),
            (json!({"messages": [{"text": "see", "files": [{"src": "data:"}]}]}), "messages[0].files"),
            (json!({"messages": hello, "session": ""}), "session"),
            (json!({"messages": hello, "session": 1}), "session"),
            (json!({"messages": hello, "assistant": "x".repeat(129)}), "assistant"),
        ] {
            assert_eq!(Question::parse(&body).unwrap_err().param, param, "{body}");
        }
    }
}
