//! What the two ports offer, as OpenAPI 3.1 documents that are made from the handlers' annotations.
//! A test compares them with the routers.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        PathItem, Server,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

use super::{
    admin, authorize, console, credentials, health, introspect, logout, metadata, poll, register,
    renew, reply, revocations, revoke, token, userinfo,
};
use crate::{app::App, settings::Issuer};

pub(super) mod answers;
pub(super) mod forms;
pub(super) mod schemas;
#[cfg(test)]
mod tests;

const SERVER_METADATA: &str = "/.well-known/oauth-authorization-server";
const RESOURCE_METADATA: &str = "/.well-known/oauth-protected-resource";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "The OAuth service of ib-gateway",
        description = "OAuth 2.0 (authorization code with PKCE, refresh tokens, Bearer tokens) over \
                       IntelligenceBank's own login. Unknown parameters are ignored and empty ones \
                       count as absent (RFC 6749 sections 3.1 and 3.2). Unknown paths answer 404, \
                       unknown methods 405, in the same error form.",
    ),
    paths(
        authorize::get, authorize::post, poll::poll, token::token, introspect::for_clients,
        revoke::revoke, logout::logout, register::register, metadata::jwks, userinfo::userinfo, health::healthz, authorize::stylesheet,
        authorize::script, console::page, console::stylesheet, console::script, console::oauth_script,
        console::plot_script, metadata::authorization_server, metadata::protected_resource_root,
        metadata::protected_resource, public,
    ),
    modifiers(&ClientSecurity),
)]
struct Public;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "The internal port of the OAuth service of ib-gateway",
        description = "For the gateway and for operators; never for the internet.",
    ),
    paths(
        introspect::for_gateway, renew::renew, revocations::revocations, health::internal_healthz,
        health::readyz, health::metrics, admin::list, admin::revoke, credentials::list,
        credentials::refresh, internal,
    ),
    modifiers(&GatewaySecurity),
)]
struct Internal;

struct ClientSecurity;

impl Modify for ClientSecurity {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("client_secret_basic", scheme(HttpAuthScheme::Basic));
        components.add_security_scheme("access_token", scheme(HttpAuthScheme::Bearer));
    }
}

struct GatewaySecurity;

impl Modify for GatewaySecurity {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("gateway_credential", scheme(HttpAuthScheme::Bearer));
        components.add_security_scheme("operator_credential", scheme(HttpAuthScheme::Bearer));
    }
}

fn scheme(scheme: HttpAuthScheme) -> SecurityScheme {
    SecurityScheme::Http(Http::new(scheme))
}

/// The document of the public port. Paths count from the issuer, with its stage; only well-known ones
/// count from the origin, with the stage behind them (RFC 8414 section 3.1).
fn public_document(issuer: &Issuer) -> utoipa::openapi::OpenApi {
    let mut document = Public::openapi();
    document.servers = Some(vec![Server::new(&issuer.url)]);
    let paths = &mut document.paths.paths;
    let at_origin = |item: &mut PathItem| item.servers = Some(vec![Server::new(&issuer.origin)]);
    if issuer.path.is_empty() {
        return document;
    }
    // The old bridge's place, below the stage, is there as well.
    if let Some(mut item) = paths.get(SERVER_METADATA).cloned() {
        at_origin(&mut item);
        // An operation's id names one operation.
        if let Some(operation) = &mut item.get {
            operation.operation_id = Some("authorization_server_of_the_stage".to_owned());
        }
        paths.insert(format!("{SERVER_METADATA}{}", issuer.path), item);
    }
    for (path, item) in paths.iter_mut() {
        if path.starts_with(RESOURCE_METADATA) {
            at_origin(item);
        }
    }
    document
}

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "openapi",
    responses((status = 200, description = "OpenAPI 3.1", body = Object), answers::Failures),
)]
pub(super) async fn public(State(app): State<Arc<App>>) -> Response {
    reply::cacheable_json(&public_document(&app.settings.issuer))
}

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "openapi",
    responses((status = 200, description = "OpenAPI 3.1", body = Object), answers::Failures),
)]
pub(super) async fn internal() -> Response {
    reply::cacheable_json(&Internal::openapi())
}
