//! The HTTP face: which path leads where. The handlers are thin: they read parameters, ask the
//! domain, and write the answer.

use std::sync::Arc;

use axum::{
    Router,
    http::header,
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tower_http::catch_panic::CatchPanicLayer;

use crate::{app::App, error::Error};

mod admin;
mod authenticate;
mod authorize;
mod caller;
mod console;
mod cookie;
mod credentials;
mod draining;
mod health;
mod html;
mod introspect;
mod logout;
mod metadata;
mod observe;
mod openapi;
mod parameters;
mod poll;
mod register;
mod renew;
mod reply;
mod revocations;
mod revoke;
mod routes;
mod token;
mod userinfo;

use routes::Routes;

/// What clients and browsers see. With a stage, every path begins with it, but for the well-known
/// ones, into which it is inserted (RFC 8414 section 3.1, RFC 9728 section 3.1).
pub(crate) fn public(app: &Arc<App>) -> Router {
    finish(public_routes(app), Routes::new(), app)
}

fn public_routes(app: &App) -> Routes {
    let stage = &app.settings.issuer.path;
    let at = |path: &str| format!("{stage}{path}");
    // HEAD would begin a login or mint a code as GET does, and nobody would see the answer.
    let only = |allow: &'static str| move || async move { not_allowed(allow) };
    let mut router = Routes::new()
        .route(
            &at("/authorize"),
            get(authorize::get)
                .post(authorize::post)
                .head(only("GET,POST"))
                .fallback(only("GET,POST")),
        )
        .route(&at("/authorize/poll"), get(poll::poll).head(only("GET")).fallback(only("GET")))
        .route(&at("/token"), post(token::token))
        .route(&at("/introspect"), post(introspect::for_clients))
        .route(&at("/revoke"), post(revoke::revoke))
        .route(&at("/logout"), post(logout::logout))
        .route(&at("/jwks.json"), get(metadata::jwks))
        .route(&at("/userinfo"), get(userinfo::userinfo))
        .route(&at("/healthz"), get(health::healthz))
        .route(&at("/openapi.json"), get(openapi::public))
        .route(&at("/assets/login.css"), get(authorize::stylesheet))
        .route(&at("/assets/login.js"), get(authorize::script))
        .route(
            &format!("/.well-known/oauth-authorization-server{stage}"),
            get(metadata::authorization_server),
        )
        .route("/.well-known/oauth-protected-resource", get(metadata::protected_resource_root))
        .route("/.well-known/oauth-protected-resource/{*path}", get(metadata::protected_resource));
    if app.settings.console_enabled {
        router = router
            .route(&at("/console"), get(console::page))
            .route(&at("/assets/console.css"), get(console::stylesheet))
            .route(&at("/assets/console.js"), get(console::script))
            .route(&at("/assets/console-oauth.js"), get(console::oauth_script))
            .route(&at("/assets/console-plot.js"), get(console::plot_script));
    }
    if app.settings.registration.is_some() {
        router = router.route(&at("/register"), post(register::register));
    }
    if !stage.is_empty() {
        // Where clients of the old bridge look.
        router = router.route(
            &at("/.well-known/oauth-authorization-server"),
            get(metadata::authorization_server),
        );
    }
    router
}

/// What the gateway and the operators see.
pub(crate) fn internal(app: &Arc<App>) -> Router {
    let (router, waiting) = internal_routes(app);
    finish(router, waiting, app)
}

/// The second ones have a time limit of their own.
fn internal_routes(app: &App) -> (Routes, Routes) {
    let mut router = Routes::new()
        .route(ib_contract::INTROSPECT_PATH, post(introspect::for_gateway))
        .route(ib_contract::RENEW_PATH, post(renew::renew))
        .route("/healthz", get(health::internal_healthz))
        .route("/openapi.json", get(openapi::internal))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics));
    if !app.settings.admin_credentials.get().is_empty() {
        router = router
            .route("/admin/grants", get(admin::list))
            .route("/admin/grants/revoke", post(admin::revoke))
            .route("/admin/credentials", get(credentials::list))
            .route("/admin/credentials/refresh", post(credentials::refresh));
    }
    let waiting = Routes::new().route(ib_contract::REVOCATIONS_PATH, get(revocations::revocations));
    (router, waiting)
}

/// What all requests share: JSON for unknown paths and methods, a time limit (but for `waiting`,
/// whose requests have one of their own), no panic that ends a connection, one log line and its
/// metrics.
fn finish(router: Routes, waiting: Routes, app: &Arc<App>) -> Router {
    router
        .router
        .layer(middleware::from_fn_with_state(Arc::clone(app), observe::limit_time))
        .merge(waiting.router)
        .fallback(|| async { Error::NotFound })
        .method_not_allowed_fallback(|| async { Error::MethodNotAllowed })
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(Arc::clone(app), observe::observe))
        .layer(middleware::from_fn_with_state(Arc::clone(app), draining::tell))
        .with_state(Arc::clone(app))
}

/// 405 with the methods that are there.
fn not_allowed(allow: &'static str) -> impl IntoResponse {
    ([(header::ALLOW, allow)], Error::MethodNotAllowed)
}

/// The panic itself has been logged by its place, in `telemetry`.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    Error::Internal.into_response()
}
