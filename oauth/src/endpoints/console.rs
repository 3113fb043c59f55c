//! `/console`: a page for trying the gateway out, where the settings switch it on. It is an ordinary public
//! client in the browser; here are only its files.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};

use super::{
    html::{self, CSS, JAVASCRIPT},
    openapi::answers::Failures,
    reply::ErrorBody,
};
use crate::{app::App, clients::CONSOLE_CLIENT};

/// It talks to the gateway alone, and makes no markup of text.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

#[derive(Template)]
#[template(path = "console.html")]
struct ConsolePage<'p> {
    stage: &'p str,
    issuer: &'p str,
    client_id: &'p str,
    scope: &'p str,
    proxy: &'p str,
    in_development: bool,
}

/// The console, where the settings switch it on.
#[utoipa::path(
    get,
    path = "/console",
    operation_id = "console",
    responses(
        (status = 200, description = "The page.", body = String, content_type = "text/html"),
        (status = 404, description = "The settings do not switch it on.", body = ErrorBody<'static>),
        Failures,
    ),
)]
pub(super) async fn page(State(app): State<Arc<App>>) -> Response {
    let settings = &app.settings;
    let client = settings.clients.get(CONSOLE_CLIENT);
    let page = ConsolePage {
        stage: &settings.issuer.path,
        issuer: &settings.issuer.url,
        client_id: CONSOLE_CLIENT,
        scope: &client.map(|client| client.scopes.join(" ")).unwrap_or_default(),
        proxy: &settings.resources.default,
        in_development: settings.in_development,
    };
    html::page(StatusCode::OK, &page, POLICY)
}

/// The stylesheet of the console.
#[utoipa::path(
    get,
    path = "/assets/console.css",
    operation_id = "console_stylesheet",
    responses(
        (status = 200, description = "The file.", body = String, content_type = "text/css"),
        (status = 304, description = "`If-None-Match` names the file as it is."),
        (status = 404, description = "The settings do not switch it on.", body = ErrorBody<'static>),
        Failures,
    ),
)]
pub(super) async fn stylesheet(headers: HeaderMap) -> Response {
    html::file(&headers, CSS, include_str!("../pages/console/console.css"))
}

/// The script of the console.
#[utoipa::path(
    get,
    path = "/assets/console.js",
    operation_id = "console_script",
    responses(
        (status = 200, description = "The file.", body = String, content_type = "text/javascript"),
        (status = 304, description = "`If-None-Match` names the file as it is."),
        (status = 404, description = "The settings do not switch it on.", body = ErrorBody<'static>),
        Failures,
    ),
)]
pub(super) async fn script(headers: HeaderMap) -> Response {
    html::file(&headers, JAVASCRIPT, include_str!("../pages/console/console.js"))
}

/// The part of the script that is an OAuth client.
#[utoipa::path(
    get,
    path = "/assets/console-oauth.js",
    operation_id = "console_oauth_script",
    responses(
        (status = 200, description = "The file.", body = String, content_type = "text/javascript"),
        (status = 304, description = "`If-None-Match` names the file as it is."),
        (status = 404, description = "The settings do not switch it on.", body = ErrorBody<'static>),
        Failures,
    ),
)]
pub(super) async fn oauth_script(headers: HeaderMap) -> Response {
    html::file(&headers, JAVASCRIPT, include_str!("../pages/console/oauth.js"))
}

/// The part of the script that draws.
#[utoipa::path(
    get,
    path = "/assets/console-plot.js",
    operation_id = "console_plot_script",
    responses(
        (status = 200, description = "The file.", body = String, content_type = "text/javascript"),
        (status = 304, description = "`If-None-Match` names the file as it is."),
        (status = 404, description = "The settings do not switch it on.", body = ErrorBody<'static>),
        Failures,
    ),
)]
pub(super) async fn plot_script(headers: HeaderMap) -> Response {
    html::file(&headers, JAVASCRIPT, include_str!("../pages/console/plot.js"))
}
