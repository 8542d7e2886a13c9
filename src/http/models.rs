//! `/v1/models`: what clients of OpenAI's interface may choose from: assistants. Which model writes, the gateway chooses by
//! itself: their names are for menus, and every name is taken.

use std::sync::Arc;

use axum::{
    Extension, Json as Reply,
    extract::{Path, State},
    http::StatusCode,
};

use super::{gateway::Gateway, problem::Problem};
use crate::{
    auth::Caller,
    config::DEFAULT_ASSISTANT,
    dialect::openai::{
        request::ASSISTANT_PREFIX,
        response::{Model, ModelList},
    },
};

/// The owner of what is the gateway's own.
const OWN: &str = "rivulet";

/// The assistants, and the models that write for them: these are for menus, as the gateway chooses by itself. The last one makes
/// the vectors of `/v1/embeddings`.
#[utoipa::path(
    get, path = "/models", tag = "OpenAI", operation_id = "list_models",
    responses((status = 200, description = "All of them", body = ModelList)),
)]
pub(super) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
) -> Reply<ModelList> {
    Reply(ModelList::new(models(&gateway, &caller)))
}

/// One of the models. Its name may have slashes.
#[utoipa::path(
    get, path = "/models/{*model}", tag = "OpenAI", operation_id = "get_model",
    params(("model" = String, Path)),
    responses((status = 200, description = "The model", body = Model)),
)]
pub(super) async fn show(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Reply<Model>, Problem> {
    let found = models(&gateway, &caller).into_iter().find(|model| model.id == name);
    found.map(Reply).ok_or_else(no_model)
}

/// There is no model of this name, or none that the caller is shown.
pub(super) fn no_model() -> Problem {
    let problem = Problem::new(StatusCode::NOT_FOUND, "model_not_found", "there is no such model");
    Problem { param: Some("model".to_owned()), ..problem }
}

/// The assistants, by names that choose them, the models behind them, each once, and the one that makes vectors.
fn models(gateway: &Gateway, caller: &Caller) -> Vec<Model> {
    let mut models = vec![Model::new(DEFAULT_ASSISTANT, OWN)];
    let others = caller.assistants(&gateway.runner.assistants).skip(1); // The default is for everybody.
    models.extend(others.map(|other| Model::new(&format!("{ASSISTANT_PREFIX}{}", other.name), OWN)));
    let assistants = models.len();
    for target in gateway.model.targets() {
        if models.iter().all(|model| model.id != target.model) {
            models.push(Model::new(&target.model, &target.name));
        }
    }
    if models.len() == assistants {
        models.push(Model::new(&gateway.model.name(), OWN));
    }
    models.extend(gateway.vectors.as_ref().map(|vectors| Model::new(vectors.model(), OWN)));
    models
}
