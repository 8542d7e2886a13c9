//! Who answers without any server: the rules of an assistant where it has some, otherwise the sentences of the documents
//! ([`Extractive`]). Alone, when no target is configured; or instead of targets that cannot be reached, and then it says so.
//!
//! Rules go the same way as models do: they are given the conversation, call tools and are asked again with what came of
//! that. Uses `chat`, `config`, `rules` and its neighbours.

use std::sync::Arc;

use futures_util::{StreamExt, future, stream};
use serde_json::{Value, json};

use super::{
    call::{Answered, Call, ToolChoice},
    event::{FinishReason, ModelEvent},
    extractive::{Extractive, NOTHING_FOUND, READABLE_PACE},
    model::{ChatModel, ModelStream},
    request::{ChatRequest, PromptMessage, PromptRole},
    spoken::spoken,
    tokens::estimated_tokens,
};
use crate::{
    chat::{Author, Usage},
    config::BuiltIn,
    rules::{Next, Rules, Said},
};

/// Said before an answer in place of models that cannot be reached.
pub const FALLBACK_NOTICE: &str =
    "The language model cannot be reached. Here is what the documents say, in their own words:\n\n";
/// The same before an answer by rules.
pub const RULES_NOTICE: &str = "The language model cannot be reached. What follows is said by fixed rules:";

/// What clients are told who answers by rules.
pub const BY_RULES: &str = "rules";

/// Who answers without any server.
#[derive(Debug, Clone, Default)]
pub struct StandIn(Extractive);

/// What rules have come to.
enum Step {
    Call(Call),
    Say(String),
}

impl StandIn {
    /// An answer in place of models that cannot be reached.
    pub(super) fn instead(&self, request: ChatRequest) -> ModelStream {
        let (author, notice) = match request.choice.by_rules() {
            None => (self.0.name().to_string(), FALLBACK_NOTICE.to_owned()),
            Some(_) => (BY_RULES.to_owned(), RULES_NOTICE.to_owned()),
        };
        if has_begun(&request) {
            return self.stream(request); // It was said.
        }
        let is_by_rules = request.choice.by_rules().is_some();
        let said = stream::iter([Ok(ModelEvent::By(Author::new(&author))), Ok(ModelEvent::Text(notice))]);
        let mut apart = is_by_rules;
        let events = self.stream(request).map(move |event| match event {
            Ok(ModelEvent::Text(text)) if std::mem::take(&mut apart) => Ok(ModelEvent::Text(format!("\n\n{text}"))),
            event => event,
        });
        said.chain(events).boxed()
    }

    async fn step(&self, rules: &Rules, request: &ChatRequest) -> Step {
        let said = conversation(request);
        let help = match answered(request) {
            [] => match rules.next(&said) {
                Next::Call(name, arguments) if is_offered(request, &name) => {
                    return Step::Call(Call { name, arguments });
                }
                Next::Say(text) => return Step::Say(text),
                Next::Call(..) => rules.help(&said),
                Next::Documents(help) => help,
            },
            calls => {
                let is_lookup = |one: &&Answered| one.call.name == BuiltIn::Knowledge.name();
                let told: Vec<String> = calls
                    .iter()
                    .filter(|one| !is_lookup(one) || is_error(&one.result))
                    .map(|one| rules.tell(&said, &one.call.name, &one.call.arguments, &one.result))
                    .collect();
                if !told.is_empty() {
                    return Step::Say(told.join("\n\n"));
                }
                rules.help(&said)
            }
        };
        if !request.passages.is_empty() {
            let found = self.0.compose(request).await.ok().filter(|text| text != NOTHING_FOUND);
            return Step::Say(found.unwrap_or(help));
        }
        let looks = BuiltIn::Knowledge.name();
        if answered(request).is_empty() && is_offered(request, looks) {
            let arguments = json!({ "query": request.question.chars().take(MAX_QUERY).collect::<String>() });
            return Step::Call(Call { name: looks.to_owned(), arguments });
        }
        Step::Say(help)
    }
}

/// The most characters of a question that is looked for in the documents.
const MAX_QUERY: usize = 500;

impl ChatModel for StandIn {
    fn name(&self) -> Arc<str> {
        self.0.name()
    }

    fn stream(&self, request: ChatRequest) -> ModelStream {
        let Some(rules) = request.choice.by_rules().cloned() else { return self.0.stream(request) };
        let model = self.clone();
        let answer = async move {
            let read = request.question.len() + answered(&request).iter().map(Answered::bytes).sum::<usize>();
            match model.step(&rules, &request).await {
                Step::Say(text) => spoken(Author::new(BY_RULES), text, read, READABLE_PACE, request.max_output_tokens),
                Step::Call(call) => {
                    let usage = Usage { input: estimated_tokens(read), output: 0, estimated: true };
                    let events = [
                        ModelEvent::By(Author::new(BY_RULES)),
                        ModelEvent::Calls(vec![call]),
                        ModelEvent::Finish(FinishReason::Stop),
                        ModelEvent::Usage(usage),
                    ];
                    stream::iter(events.map(Ok)).boxed()
                }
            }
        };
        future::FutureExt::flatten_stream(answer).boxed()
    }
}

/// Whether rules have begun this answer already in place of models: then they end it.
pub(super) fn has_begun(request: &ChatRequest) -> bool {
    let last = request.prompt.last().filter(|last| !last.calls.is_empty());
    request.choice.by_rules().is_some() && last.is_some_and(|last| last.content.starts_with(RULES_NOTICE))
}

/// What was called after the question, and what came of that last.
fn answered(request: &ChatRequest) -> &[Answered] {
    match request.prompt.last() {
        Some(PromptMessage { role: PromptRole::Assistant, calls, .. }) => calls,
        _ => &[],
    }
}

/// What was said, up to the question.
fn conversation(request: &ChatRequest) -> Vec<Said<'_>> {
    let asked = request.prompt.iter().rposition(|message| message.role == PromptRole::User);
    let (before, last) = request.prompt.split_at(asked.unwrap_or(request.prompt.len()));
    let mut said: Vec<Said<'_>> = Vec::with_capacity(before.len() + 2);
    said.extend(before.iter().filter_map(|message| match message.role {
        PromptRole::System => None,
        PromptRole::User => Some(Said::User(&message.content)),
        PromptRole::Assistant => Some(Said::Assistant(&message.content)),
    }));
    // Questions that were never answered stand before this one, in the same message.
    let unanswered = last.first().and_then(|last| last.content.strip_suffix(&*request.question)).unwrap_or_default();
    if !unanswered.trim().is_empty() && request.passages.is_empty() {
        said.push(Said::User(unanswered));
    }
    said.push(Said::User(&request.question));
    said
}

fn is_offered(request: &ChatRequest, name: &str) -> bool {
    request.tools.choice != ToolChoice::Nothing && request.tools.tools.iter().any(|tool| tool.name == name)
}

fn is_error(result: &str) -> bool {
    serde_json::from_str::<Value>(result).is_ok_and(|result| result.get("error").is_some_and(Value::is_string))
}
