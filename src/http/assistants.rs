//! `GET /assistants`: who answers here, as somebody sees it who is to choose. What they are told is nobody's business.

use std::sync::Arc;

use axum::{
    Extension, Json as Reply,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::AppendHeaders,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{gateway::Gateway, language::Wanted, problem::Problem, sessions::query};
use crate::{
    auth::Caller,
    config::{Assistant, Localized, Tool},
};

/// In which language they introduce themselves.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Language {
    /// A language tag, which counts before those of `Accept-Language`.
    lang: Option<String>,
}

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
    /// Of these the one in which it introduces itself here, where that differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    /// What it can do besides.
    tools: Vec<ShownTool>,
    /// What may be brought for its tools: `datasets`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    uploads: Vec<&'static str>,
    /// Whether it knows again what was told it in other conversations.
    memory: bool,
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

/// Lists the assistants that one may ask, the default one first, each in the best of its languages for who asks.
#[utoipa::path(
    get, path = "/assistants", tag = "Conversations", operation_id = "list_assistants",
    params(Language),
    responses((status = 200, description = "All of them", body = AssistantList, headers(
        ("content-language" = String, description = "The languages in which they introduce themselves"),
    ))),
)]
pub(super) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    language: Result<Query<Language>, QueryRejection>,
) -> Result<(AppendHeaders<Vec<(HeaderName, HeaderValue)>>, Reply<AssistantList>), Problem> {
    let Language { lang } = query(language)?;
    let wanted = Wanted::of(lang.as_deref(), &headers);
    let default = gateway.runner.assistants.default_one();
    let shown = caller.assistants(&gateway.runner.assistants);
    let assistants: Vec<_> = shown.map(|one| Shown::of(&one, &wanted, one.name == default.name)).collect();
    let mut languages: Vec<&str> = assistants.iter().filter_map(|one| one.language.as_deref()).collect();
    languages.sort_unstable();
    languages.dedup();
    let mut head = vec![(header::VARY, HeaderValue::from_static("accept-language"))];
    if !languages.is_empty() {
        head.extend(HeaderValue::try_from(languages.join(", ")).map(|languages| (header::CONTENT_LANGUAGE, languages)));
    }
    Ok((AppendHeaders(head), Reply(AssistantList { assistants })))
}

impl Shown {
    fn of(assistant: &Assistant, wanted: &Wanted, is_default: bool) -> Self {
        let about = &assistant.about;
        let written_in = about.written_in();
        let language = wanted.best(&written_in);
        let first = about.languages.first().map(String::as_str);
        // Of what is not in that language, there is the first.
        let text = |text: Option<&Localized<String>>| {
            let text = text?;
            text.get(language).or_else(|| text.get(first)).cloned()
        };
        let suggestions = &about.suggestions;
        Self {
            name: assistant.name.clone(),
            title: text(about.title.as_ref()).unwrap_or_else(|| assistant.name.clone()),
            description: text(about.description.as_ref()),
            greeting: text(about.greeting.as_ref()),
            suggestions: suggestions.get(language).or_else(|| suggestions.get(first)).cloned().unwrap_or_default(),
            languages: about.languages.clone(),
            language: language.map(ToOwned::to_owned),
            tools: assistant.tools.offered.iter().map(ShownTool::of).collect(),
            uploads: if assistant.tools.offered.iter().any(Tool::asks_datasets) {
                vec!["datasets"]
            } else {
                Vec::new()
            },
            memory: assistant.memory.enabled,
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
