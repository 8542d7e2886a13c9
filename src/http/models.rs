//! `/v1/models`: what clients of OpenAI's interface may choose from. The gateway chooses by itself, so it is for their
//! menus: every name is taken.

use std::sync::Arc;

use axum::{
    Json as Reply,
    extract::{Path, State},
    http::StatusCode,
};

use super::{gateway::Gateway, problem::Problem};
use crate::{
    dialect::openai::response::{Model, ModelList},
    hub::ASSISTANT,
};

/// The owner of what is the gateway's own.
const OWN: &str = "rivulet";

/// The models that clients may choose from. The gateway chooses by itself, so it is for their menus.
#[utoipa::path(
    get, path = "/models", tag = "OpenAI", operation_id = "list_models",
    responses((status = 200, description = "All of them", body = ModelList)),
)]
pub(super) async fn list(State(gateway): State<Arc<Gateway>>) -> Reply<ModelList> {
    Reply(ModelList::new(models(&gateway)))
}

/// One of the models. Its name may have slashes.
#[utoipa::path(
    get, path = "/models/{*model}", tag = "OpenAI", operation_id = "get_model",
    params(("model" = String, Path)),
    responses((status = 200, description = "The model", body = Model)),
)]
pub(super) async fn show(
    State(gateway): State<Arc<Gateway>>,
    Path(name): Path<String>,
) -> Result<Reply<Model>, Problem> {
    let found = models(&gateway).into_iter().find(|model| model.id == name);
    found.map(Reply).ok_or_else(|| {
        let problem = Problem::new(StatusCode::NOT_FOUND, "model_not_found", "there is no such model");
        Problem { param: Some("model".to_owned()), ..problem }
    })
}

/// The assistant, and the models behind it, each once.
fn models(gateway: &Gateway) -> Vec<Model> {
    let mut models = vec![Model::new(ASSISTANT, OWN)];
    for target in gateway.model.targets() {
        if models.iter().all(|model| model.id != target.model) {
            models.push(Model::new(&target.model, &target.name));
        }
    }
    if models.len() == 1 {
        models.push(Model::new(&gateway.model.name(), OWN));
    }
    models
}
