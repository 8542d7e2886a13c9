//! Every route and every layer, in one list.

use std::sync::Arc;

use axum::{
    Router,
    http::{HeaderName, Method, StatusCode, header},
    middleware::{from_fn, from_fn_with_state},
    response::IntoResponse,
    routing::{get, post},
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    cors::{AllowHeaders, AllowOrigin, AllowPrivateNetwork, CorsLayer},
};
use utoipa_axum::routes;

use super::{
    admin, ag_ui, ai_sdk, approvals, artifacts, assistants, audit, auth, chat, collections, completions, contents,
    credentials, datasets, deep_chat, documents, embeddings, events,
    gateway::Gateway,
    health, identity, jobs, knowledge, mcp, memories, messages, models,
    openapi::{self, Routes},
    origin::Origins,
    overview, page,
    problem::Problem,
    rates, requests, sessions, socket, submissions, taken_back, version,
};
use crate::auth::Right;

/// The gateway's HTTP surface: for everybody, and for administrators.
#[derive(Debug)]
pub struct Surface {
    /// What `server.bind` serves.
    pub public: Router,
    /// What `server.admin_bind` serves, where there is one; else `public` has that too.
    pub admin: Option<Router>,
}

/// Every route; those for administrators `apart`, or with the others.
pub fn surface(gateway: Gateway, apart: bool) -> Surface {
    let gateway = &Arc::new(gateway);
    let public = openapi::routes()
        .nest("/api/v1", api(gateway))
        .nest(completions::BASE, known(gateway, may(Right::Chat, while_allowed(gateway, openai()))))
        .merge(aliases(gateway))
        .merge(agents(gateway))
        .route("/", get(page::index));
    let admin = openapi::routes()
        .nest("/api/v1", known(gateway, may(Right::Administer, noted(gateway, administration()))))
        .routes(routes!(health::health))
        .routes(routes!(health::metrics))
        .route("/admin", get(page::admin));
    let serve = |routes: Routes| with_layers(openapi::described(routes.merge(for_everybody()), gateway), gateway);
    if apart {
        let public = public.routes(routes!(health::status));
        let admin = admin.nest("/api/v1", beside_administration(gateway)).route("/", get(page::admin));
        Surface { public: serve(public), admin: Some(serve(admin)) }
    } else {
        Surface { public: serve(public.merge(admin)), admin: None }
    }
}

/// Below `/api/v1`.
fn api(gateway: &Arc<Gateway>) -> Routes {
    let callers = tokens(gateway)
        .routes(routes!(auth::ticket))
        .merge(may(Right::Chat, while_allowed(gateway, conversations().merge(decisions(gateway)))))
        .merge(may(Right::ReadKnowledge, while_allowed(gateway, openapi::routes().routes(routes!(knowledge::query)))))
        .merge(noted(gateway, while_allowed(gateway, knowledge_base())));
    known(gateway, callers)
        // What stands below says itself who may use it.
        .routes(routes!(version::show))
        .routes(routes!(auth::sign_in))
        .routes(routes!(events::events))
        .routes(routes!(jobs::events))
        .routes(routes!(socket::open_new))
        .routes(routes!(socket::open))
        .routes(routes!(ai_sdk::socket::open))
}

fn tokens(gateway: &Arc<Gateway>) -> Routes {
    let changing = openapi::routes().routes(routes!(auth::mint)).routes(routes!(auth::revoke));
    noted(gateway, changing).routes(routes!(auth::validate))
}

fn conversations() -> Routes {
    openapi::routes()
        .routes(routes!(assistants::list))
        .routes(routes!(sessions::create, sessions::list))
        .routes(routes!(sessions::show, sessions::rename, sessions::delete))
        .routes(routes!(messages::send))
        .routes(routes!(messages::stop))
        .routes(routes!(chat::ask))
        .routes(routes!(ai_sdk::chat))
        .routes(routes!(ai_sdk::resume))
        .routes(routes!(ai_sdk::stop))
        .routes(routes!(ag_ui::run))
        .routes(routes!(deep_chat::chat))
        .routes(routes!(datasets::upload, datasets::list))
        .routes(routes!(datasets::delete))
        .routes(routes!(artifacts::show))
        .routes(routes!(approvals::list))
        .routes(routes!(memories::list, memories::add, memories::forget_all))
        .routes(routes!(memories::reword, memories::forget))
        .routes(routes!(memories::export))
        .routes(routes!(memories::settings, memories::set))
}

fn decisions(gateway: &Arc<Gateway>) -> Routes {
    noted(gateway, openapi::routes().routes(routes!(approvals::decide)))
}

/// Documents, collections, and the work on them.
fn knowledge_base() -> Routes {
    let mut routes = openapi::routes()
        .routes(routes!(submissions::upload, documents::list))
        .routes(routes!(submissions::upload_text))
        .routes(routes!(documents::show, submissions::replace, documents::delete))
        .routes(routes!(contents::text))
        .routes(routes!(contents::passage))
        .routes(routes!(contents::original))
        .routes(routes!(documents::versions))
        .routes(routes!(documents::roll_back))
        .routes(routes!(documents::release))
        .routes(routes!(collections::list, collections::create))
        .routes(routes!(collections::delete))
        .routes(routes!(collections::share))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::show))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::retry));
    openapi::say_who_may(&mut routes, |method| Some(identity::right_for(method)));
    routes.route_layer(from_fn(identity::require_by_method))
}

fn openai() -> Routes {
    openapi::routes()
        .routes(routes!(completions::create))
        .routes(routes!(embeddings::create))
        .routes(routes!(models::list))
        .routes(routes!(models::show))
}

fn administration() -> Routes {
    openapi::routes()
        .routes(routes!(admin::llm))
        .routes(routes!(admin::cache))
        .routes(routes!(credentials::create, credentials::list))
        .routes(routes!(credentials::revoke))
        .routes(routes!(credentials::revoke_tokens))
        .routes(routes!(audit::list))
        .routes(routes!(overview::sessions))
        .routes(routes!(overview::stats))
        .routes(routes!(overview::feedback))
        .routes(routes!(overview::drain))
}

/// What the admin page asks for beside that.
fn beside_administration(gateway: &Arc<Gateway>) -> Routes {
    let jobs = may(Right::Administer, openapi::routes().routes(routes!(jobs::list)));
    known(gateway, jobs.routes(routes!(auth::validate))).routes(routes!(auth::sign_in))
}

/// For agents of others, where they are served.
fn agents(gateway: &Arc<Gateway>) -> Routes {
    if !gateway.mcp.is_served {
        return openapi::routes();
    }
    let speak = openapi::routes().routes(routes!(mcp::speak));
    known(gateway, may(Right::ReadKnowledge, while_allowed(gateway, speak)))
        .route_layer(from_fn_with_state(gateway.clone(), mcp::challenge))
        .routes(routes!(mcp::described))
        .route("/.well-known/oauth-protected-resource/mcp", get(mcp::described))
}

/// Other addresses of what stands below `/api/v1`.
fn aliases(gateway: &Arc<Gateway>) -> Routes {
    let callers = openapi::routes().route("/auth/token", post(auth::mint)).route("/auth/revoke", post(auth::revoke));
    known(gateway, noted(gateway, callers).route("/auth/validate", post(auth::validate)))
        .route("/api/version", get(version::show))
}

/// What orchestrators ask, and what the pages are made of.
fn for_everybody() -> Routes {
    openapi::routes()
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .route("/ready", get(health::ready))
        .route("/docs", get(page::docs))
        .route("/assets/{*path}", get(page::asset))
        .route("/favicon.svg", get(page::favicon))
        .route("/theme-at-start.js", get(page::theme))
        .route("/widget.js", get(page::widget))
}

/// For callers who are somebody, or need not be.
fn known(gateway: &Arc<Gateway>, mut routes: Routes) -> Routes {
    openapi::say_who_may(&mut routes, |_| None);
    routes.route_layer(from_fn_with_state(gateway.clone(), identity::identify))
}

/// For those of them who have this right.
fn may(right: Right, mut routes: Routes) -> Routes {
    openapi::say_who_may(&mut routes, |_| Some(right));
    routes.route_layer(from_fn_with_state(right, identity::require))
}

/// No longer than the credential stands by which somebody came. Not for what takes credentials back: it has to be told.
fn while_allowed(gateway: &Arc<Gateway>, routes: Routes) -> Routes {
    routes.route_layer(from_fn_with_state(gateway.clone(), taken_back::end))
}

/// With what they change noted.
fn noted(gateway: &Arc<Gateway>, routes: Routes) -> Routes {
    routes.route_layer(from_fn_with_state(gateway.clone(), audit::note))
}

/// What every request goes through.
fn with_layers(routes: Router<Arc<Gateway>>, gateway: &Arc<Gateway>) -> Router {
    routes
        .fallback(|| async { Problem::not_found("address") })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this address does not take this method")
        })
        .layer(from_fn_with_state(gateway.clone(), requests::know_client))
        .layer(from_fn_with_state(gateway.clone(), requests::check_origin))
        .layer(from_fn_with_state(gateway.clone(), requests::check_name))
        .with_state(gateway.clone())
        .layer(CatchPanicLayer::custom(|_| {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the request failed").into_response()
        }))
        .layer(cors(gateway.origins.clone()))
        // Outside of what answers by itself.
        .layer(from_fn(requests::check_head))
        .layer(from_fn(requests::observe))
}

fn cors(origins: Arc<Origins>) -> CorsLayer {
    CorsLayer::new()
        .allow_private_network(AllowPrivateNetwork::predicate({
            let origins = origins.clone();
            move |origin, request| origins.allow(origin, &request.headers)
        }))
        .allow_origin(AllowOrigin::predicate(move |origin, request| origins.allow(origin, &request.headers)))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
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
