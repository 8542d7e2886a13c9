//! `/openapi.json`: the routes as OpenAPI 3.1, made from the handlers and their types, and of the very gateway that is
//! asked. What is the same for all operations is said here once.

use std::sync::Arc;

use axum::{Json, Router, http::Method, routing::get};
use utoipa::{
    OpenApi as _,
    openapi::{
        Content, OpenApi, Ref, RefOr, Required, ResponseBuilder, Schema,
        path::{Operation, PathItem},
        schema::Components,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;

use super::{completions, deep_chat, gateway::Gateway, problem::ProblemBody};
use crate::{
    auth::Right,
    dialect::{deep_chat::described::Refusal, openai::response::ErrorBody},
};

/// The names of the ways to say who one is.
const BEARER: &str = "bearer";
const TICKET: &str = "ticket";
/// The names of what errors look like.
const PROBLEM: &str = "Problem";
const OPENAI_ERROR: &str = "OpenAiError";
const DEEP_CHAT_ERROR: &str = "DeepChatError";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Rivulet",
        description = "A streaming chat gateway. Errors are `application/problem+json` with a `code`, below `/v1` in \
                       the form of OpenAI's interface. 429 and 503 say in `Retry-After` when to come again.",
        license(name = "MIT"),
    ),
    tags(
        (name = "Conversations", description = "Sessions, messages, answers"),
        (name = "Memories", description = "What assistants remember of who asks"),
        (name = "Knowledge", description = "Documents, the collections they are in, and the work on them"),
        (name = "Credentials", description = "Who one is"),
        (name = "OpenAI", description = "For programs that speak OpenAI's interface"),
        (name = "AI SDK", description = "For pages that use the Vercel AI SDK"),
        (name = "Administration", description = "For administrators"),
        (name = "Health", description = "For orchestrators"),
    ),
    components(schemas(ProblemBody<'static>, ErrorBody<'static>, Refusal)),
)]
struct Head;

/// Routes, and what they are.
pub(super) type Routes = OpenApiRouter<Arc<Gateway>>;

/// No routes yet.
pub(super) fn routes() -> Routes {
    OpenApiRouter::with_openapi(OpenApi::default())
}

/// Says of these routes that they take a caller, who needs this right for this method where they need one.
pub(super) fn say_who_may(routes: &mut Routes, right: impl Fn(&Method) -> Option<Right>) {
    for item in routes.get_openapi_mut().paths.paths.values_mut() {
        for (method, operation) in operations(item) {
            let scopes = right(&method).map(Right::scope);
            operation.security.get_or_insert_with(|| vec![SecurityRequirement::new(BEARER, scopes)]);
        }
    }
}

/// The routes with `/openapi.json`, which tells of them.
pub(super) fn described(routes: Routes, gateway: &Gateway) -> Router<Arc<Gateway>> {
    let (router, found) = routes.split_for_parts();
    let mut document = Head::openapi();
    document.merge(found);
    // The rest of a path has no notation of its own here.
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths = paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    tell_what_all_have_in_common(&mut document, gateway.auth.required());
    let document = Arc::new(document);
    router.route("/openapi.json", get(async move || Json(document)))
}

fn tell_what_all_have_in_common(document: &mut OpenApi, is_required: bool) {
    let components = document.components.get_or_insert_default();
    let ticket = ApiKeyValue::with_description("ticket", "Good once, for a socket or a stream of events");
    components.add_security_scheme(TICKET, SecurityScheme::ApiKey(ApiKey::Query(ticket)));
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A token, or an API key"));
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer.build()));
    let errors = [
        (PROBLEM, "application/problem+json"),
        (OPENAI_ERROR, "application/json"),
        (DEEP_CHAT_ERROR, "application/json"),
    ];
    for (name, media_type) in errors {
        let content = Content::new(Some(Ref::from_schema_name(name)));
        let response = ResponseBuilder::new().description("It is refused, or failed").content(media_type, content);
        components.responses.insert(name.to_owned(), response.build().into());
    }
    for (path, item) in &mut document.paths.paths {
        let error = match path.as_str() {
            path if completions::is_below(path) => OPENAI_ERROR,
            path if deep_chat::is_below(path) => DEEP_CHAT_ERROR,
            _ => PROBLEM,
        };
        for (_, operation) in operations(item) {
            let error = RefOr::Ref(Ref::from_response_name(error));
            operation.responses.responses.entry("default".to_owned()).or_insert(error);
            if let Some(security) = operation.security.as_mut().filter(|_| !is_required) {
                security.push(SecurityRequirement::default());
            }
            if needs_no_body(operation, components)
                && let Some(RefOr::T(body)) = &mut operation.request_body
            {
                body.required = Some(Required::False);
            }
        }
    }
}

/// No body is an object without fields, which is enough where none of them is required.
fn needs_no_body(operation: &Operation, components: &Components) -> bool {
    let Some(RefOr::T(body)) = &operation.request_body else { return false };
    let Some(RefOr::T(content)) = body.content.get("application/json") else { return false };
    let Some(RefOr::Ref(schema)) = &content.schema else { return false };
    let name = schema.ref_location.rsplit('/').next().unwrap_or_default();
    match components.schemas.get(name) {
        Some(RefOr::T(Schema::Object(object))) => object.required.is_empty(),
        _ => false,
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    let PathItem { get, put, post, patch, delete, .. } = item;
    let all = [
        (Method::GET, get),
        (Method::PUT, put),
        (Method::POST, post),
        (Method::PATCH, patch),
        (Method::DELETE, delete),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}
