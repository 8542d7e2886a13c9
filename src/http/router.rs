//! Every route and every layer, in one list.

use std::sync::Arc;

use axum::{
    Router,
    http::{HeaderName, Method, StatusCode, header},
    middleware::{from_fn, from_fn_with_state},
    response::IntoResponse,
    routing::{delete, get, post, put},
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    cors::{AllowHeaders, AllowOrigin, AllowPrivateNetwork, CorsLayer},
};

use super::{
    admin, audit, auth, chat, collections, completions, contents, credentials, documents, events, gateway::Gateway,
    health, identity, jobs, knowledge, messages, models, origin::Origins, overview, page, problem::Problem, rates,
    requests, sessions, socket, version,
};
use crate::auth::Right;

/// The gateway's HTTP surface: for everybody, and for operators.
#[derive(Debug)]
pub struct Surface {
    /// What `server.bind` serves.
    pub public: Router,
    /// What `server.admin_bind` serves, where there is one; else `public` has that too.
    pub admin: Option<Router>,
}

/// Every route; those for operators `apart`, or with the others.
pub fn surface(gateway: Gateway, apart: bool) -> Surface {
    let gateway = Arc::new(gateway);
    let cors = cors(gateway.origins.clone());
    let note = from_fn_with_state(gateway.clone(), audit::note);
    let tokens = Router::new()
        .route("/auth/token", post(auth::mint))
        .route("/auth/revoke", post(auth::revoke))
        .route_layer(note.clone())
        .route("/auth/validate", post(auth::validate));
    let identify = from_fn_with_state(gateway.clone(), identity::identify);
    let require = |right| from_fn_with_state(right, identity::require);
    let conversations = Router::new()
        .route("/sessions", post(sessions::create).get(sessions::list))
        .route("/sessions/{id}", get(sessions::show).delete(sessions::delete))
        .route("/sessions/{id}/messages", post(messages::send))
        .route("/sessions/{id}/runs/{run}/stop", post(messages::stop))
        .route("/chat", post(chat::ask))
        .route_layer(require(Right::Chat));
    let retrieval =
        Router::new().route("/rag/query", post(knowledge::query)).route_layer(require(Right::ReadKnowledge));
    let administration = Router::new()
        .route("/admin/llm", get(admin::llm))
        .route("/admin/cache", get(admin::cache))
        .route("/admin/api-keys", post(credentials::create).get(credentials::list))
        .route("/admin/api-keys/{id}", delete(credentials::revoke))
        .route("/admin/revocations", post(credentials::revoke_tokens))
        .route("/admin/audit", get(audit::list))
        .route("/admin/sessions", get(overview::sessions))
        .route("/admin/stats", get(overview::stats))
        .route("/admin/feedback", get(overview::feedback))
        .route("/admin/drain", post(overview::drain))
        .route_layer(note.clone())
        .route_layer(require(Right::Administer))
        .route_layer(identify.clone());
    // What the page of operators asks for beside that.
    let beside = Router::new()
        .route("/jobs", get(jobs::list))
        .route_layer(require(Right::Administer))
        .route("/auth/validate", post(auth::validate))
        .route_layer(identify.clone())
        .route("/auth", get(auth::sign_in));
    let api = Router::new()
        .merge(tokens.clone())
        .route("/tickets", post(auth::ticket))
        .merge(conversations)
        .merge(retrieval)
        .merge(knowledge_base().route_layer(note))
        // What stands below says itself who may use it.
        .route_layer(identify.clone())
        .route("/version", get(version::show))
        .route("/auth", get(auth::sign_in))
        .route("/sessions/{id}/events", get(events::events))
        .route("/jobs/{id}/events", get(jobs::events))
        .route("/ws", get(socket::open_new))
        .route("/ws/{id}", get(socket::open));
    let openai = Router::new()
        .route("/chat/completions", post(completions::create))
        .route("/models", get(models::list))
        .route("/models/{*model}", get(models::show))
        .route_layer(require(Right::Chat))
        .route_layer(identify.clone());
    let public = Router::new()
        .nest("/api/v1", api)
        .nest(completions::BASE, openai)
        .merge(tokens.route_layer(identify))
        .route("/api/version", get(version::show))
        .route("/", get(page::index))
        .merge(page_files())
        .merge(probes());
    let operators = Router::new()
        .nest("/api/v1", administration)
        .route("/admin", get(page::admin))
        .route("/health", get(health::health))
        .route("/metrics", get(health::metrics));
    let serve = |routes| with_layers(routes, gateway.clone(), cors.clone());
    if apart {
        let public = public.route("/health", get(health::status));
        let operators = operators.nest("/api/v1", beside).route("/", get(page::admin));
        Surface { public: serve(public), admin: Some(serve(operators.merge(page_files()).merge(probes()))) }
    } else {
        Surface { public: serve(public.merge(operators)), admin: None }
    }
}

/// What the pages are made of, which is the same for all.
fn page_files() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/assets/{*path}", get(page::asset))
        .route("/favicon.svg", get(page::favicon))
        .route("/theme-at-start.js", get(page::theme))
}

/// What orchestrators ask.
fn probes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/livez", get(health::live))
        .route("/ready", get(health::ready))
        .route("/readyz", get(health::ready))
}

/// What every request goes through.
fn with_layers(routes: Router<Arc<Gateway>>, gateway: Arc<Gateway>, cors: CorsLayer) -> Router {
    routes
        .fallback(|| async { Problem::not_found("address") })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this address does not take this method")
        })
        .layer(from_fn_with_state(gateway.clone(), requests::know_client))
        .layer(from_fn_with_state(gateway.clone(), requests::check_origin))
        .layer(from_fn_with_state(gateway.clone(), requests::check_head))
        .with_state(gateway)
        .layer(CatchPanicLayer::custom(|_| {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the request failed").into_response()
        }))
        .layer(cors)
        .layer(from_fn(requests::observe))
}

/// Documents, collections, and the work on them.
fn knowledge_base() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/documents", post(documents::upload).get(documents::list))
        .route("/documents/text", post(documents::upload_text))
        .route("/documents/{id}", get(documents::show).put(documents::replace).delete(documents::delete))
        .route("/documents/{id}/text", get(contents::text))
        .route("/documents/{id}/passages/{n}", get(contents::passage))
        .route("/documents/{id}/original", get(contents::original))
        .route("/documents/{id}/versions", get(documents::versions))
        .route("/documents/{id}/rollback", post(documents::roll_back))
        .route("/documents/{id}/release", post(documents::release))
        .route("/collections", get(collections::list).post(collections::create))
        .route("/collections/{name}", delete(collections::delete))
        .route("/collections/{name}/readers", put(collections::share))
        .route("/jobs", get(jobs::list))
        .route("/jobs/{id}", get(jobs::show))
        .route("/jobs/{id}/cancel", post(jobs::cancel))
        .route("/jobs/{id}/retry", post(jobs::retry))
        .route_layer(from_fn(identity::require_by_method))
}

fn cors(origins: Arc<Origins>) -> CorsLayer {
    CorsLayer::new()
        .allow_private_network(AllowPrivateNetwork::predicate({
            let origins = origins.clone();
            move |origin, request| origins.allow(origin, &request.headers)
        }))
        .allow_origin(AllowOrigin::predicate(move |origin, request| origins.allow(origin, &request.headers)))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        // Packages send headers of their own, more with every version; whose page may send any is decided by its origin.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([
            HeaderName::from_static("x-request-id"),
            HeaderName::from_static("x-should-retry"),
            HeaderName::from_static("cache-status"),
            header::RETRY_AFTER,
            rates::POLICY,
            rates::LIMIT,
        ])
}
