//! `/v1/embeddings`: vectors of texts, by the model that documents are found with.

use std::sync::Arc;

use axum::{
    Extension, Json as Reply,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use super::{body, gateway::Gateway, models::no_model, problem::Problem};
use crate::{
    dialect::openai::{
        described,
        embeddings::{EmbeddingList, EmbeddingRequest},
    },
    knowledge::{Embedded, KnowledgeError},
    limits::Visitor,
};

/// The largest request, in bytes.
const MAX_BODY_BYTES: usize = 1 << 20;
/// Seconds after which it may be asked again for a model that is not there.
const RETRY_AFTER_S: u32 = 30;

/// Vectors of texts, by the model that documents are found with.
///
/// Vectors of different models cannot be compared, so it has to be named. What is longer than it reads is cut.
#[utoipa::path(
    post, path = "/embeddings", tag = "OpenAI", operation_id = "create_embeddings",
    request_body = described::EmbeddingRequest,
    responses((status = 200, description = "The vectors, in the order of the texts", body = EmbeddingList<'_>)),
)]
pub(super) async fn create(
    State(gateway): State<Arc<Gateway>>,
    Extension(by): Extension<Visitor>,
    request: Request,
) -> Result<Response, Problem> {
    let body: Value = body::json(request, MAX_BODY_BYTES).await?;
    let asked = EmbeddingRequest::parse(&body)?;
    drop(body);
    let vectors = gateway.vectors.as_ref().filter(|vectors| vectors.model() == asked.model).ok_or_else(no_model)?;
    asked.check_dimensions(vectors.dimension().map_err(later)?)?;
    let _place = gateway.vectors_asked.enter(&by)?;
    let Embedded { vectors: made, tokens, cut } = vectors.embed(asked.texts).await.map_err(later)?;
    Ok(Reply(EmbeddingList::new(vectors.model(), asked.encoding, made, tokens, cut)).into_response())
}

/// There are no vectors now.
fn later(error: KnowledgeError) -> Problem {
    let problem = Problem::from(error);
    Problem { retry_after: problem.retry_after.or(Some(RETRY_AFTER_S)), ..problem }
}
