//! `GET /assistants`: who answers here, as somebody sees it who is to choose. What they are told is nobody's business.

use std::sync::Arc;

use axum::{Extension, Json as Reply, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::gateway::Gateway;
use crate::{
    auth::Caller,
    config::{Assistant, Tool},
};

/// An assistant.
#[derive(Serialize, ToSchema)]
#[schema(as = Assistant)]
pub(super) struct Shown {
    /// By which it is asked for.
    name: String,
    /// Its name for people.
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// What it says first.
    #[serde(skip_serializing_if = "Option::is_none")]
    greeting: Option<String>,
    /// Questions that one might begin with.
    suggestions: Vec<String>,
    /// The languages that it is meant for; none: whatever it is asked in.
    languages: Vec<String>,
    /// What it can do besides.
    tools: Vec<ShownTool>,
    /// Differs when the assistant does.
    version: String,
    /// Whether it answers those who ask for nobody in particular.
    default: bool,
}

/// A tool of an assistant.
#[derive(Serialize, ToSchema)]
#[schema(as = AssistantTool)]
struct ShownTool {
    /// As events call it.
    name: String,
    /// What people read.
    title: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct AssistantList {
    assistants: Vec<Shown>,
}

/// Lists the assistants that one may ask, the default one first.
#[utoipa::path(
    get, path = "/assistants", tag = "Conversations", operation_id = "list_assistants",
    responses((status = 200, description = "All of them", body = AssistantList)),
)]
pub(super) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
) -> Reply<AssistantList> {
    let default = gateway.runner.assistants.default_one();
    let shown = caller.assistants(&gateway.runner.assistants);
    Reply(AssistantList { assistants: shown.map(|one| Shown::of(&one, one.name == default.name)).collect() })
}

impl Shown {
    fn of(assistant: &Assistant, is_default: bool) -> Self {
        let about = &assistant.about;
        Self {
            name: assistant.name.clone(),
            title: assistant.title().to_owned(),
            description: about.description.clone(),
            greeting: about.greeting.clone(),
            suggestions: about.suggestions.clone(),
            languages: about.languages.clone(),
            tools: assistant.tools.offered.iter().map(ShownTool::of).collect(),
            version: assistant.version.clone(),
            default: is_default,
        }
    }
}

impl ShownTool {
    fn of(tool: &Tool) -> Self {
        Self { name: tool.name().to_owned(), title: tool.title().to_owned() }
    }
}
