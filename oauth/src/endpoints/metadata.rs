//! What the service says about itself: the authorization server (RFC 8414) and the resource that the
//! gateway protects (RFC 9728). Only what exists is named.

use std::sync::Arc;

use axum::{extract::State, http::Uri, response::Response};
use serde_json::json;

use super::{
    openapi::{
        answers::Failures,
        forms::ResourcePath,
        schemas::{KeySet, ResourceMetadata, ServerMetadata},
    },
    reply,
    reply::ErrorBody,
};
use crate::{
    app::App,
    clients::{ALGORITHMS, CLIENT_CREDENTIALS},
    error::Error,
    settings::{Settings, machine_credentials::UPSTREAM_SCOPE},
};

const RESOURCE_PREFIX: &str = "/.well-known/oauth-protected-resource";

/// Where the metadata of the gateway's own resource is.
pub(super) fn resource_metadata_url(settings: &Settings) -> String {
    format!("{}{RESOURCE_PREFIX}{}", settings.issuer.origin, settings.resources.path())
}

/// The scopes that anonymous callers may read of. Which upstreams there are keys for is none of their
/// business, and who may have such a scope knows it.
fn public_scopes(app: &App) -> Vec<String> {
    let mut scopes = app.clients.scopes();
    scopes.retain(|scope| !scope.starts_with(UPSTREAM_SCOPE));
    scopes
}

/// RFC 8414.
#[utoipa::path(
    get,
    path = "/.well-known/oauth-authorization-server",
    responses(
        (status = 200, description = "The authorization server.", body = ServerMetadata),
        Failures,
    ),
)]
pub(super) async fn authorization_server(State(app): State<Arc<App>>) -> Response {
    let settings = &app.settings;
    let issuer = &settings.issuer.url;
    let mut grant_types = vec!["authorization_code", "refresh_token"];
    if settings.clients.have_machines() {
        grant_types.push(CLIENT_CREDENTIALS);
    }
    let mut metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "introspection_endpoint": format!("{issuer}/introspect"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "scopes_supported": public_scopes(&app),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": grant_types,
        "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "private_key_jwt"],
        "introspection_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "revocation_endpoint_auth_methods_supported":
            ["none", "client_secret_basic", "private_key_jwt"],
        "revocation_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "protected_resources": [settings.resources.default],
    });
    let registration = settings.registration.is_some();
    let registration = registration.then(|| json!(format!("{issuer}/register")));
    let documents = settings.client_documents.is_some().then_some(json!(true));
    let keys = settings.keys.signs.then(|| json!(format!("{issuer}/jwks.json")));
    for (name, value) in [
        ("jwks_uri", keys),
        ("registration_endpoint", registration),
        ("client_id_metadata_document_supported", documents),
    ] {
        if let (Some(value), Some(metadata)) = (value, metadata.as_object_mut()) {
            metadata.insert(name.to_owned(), value);
        }
    }
    reply::cacheable_json(&metadata)
}

/// The public halves of the keys that sign access tokens (RFC 7517); none where no keys are set.
#[utoipa::path(
    get,
    path = "/jwks.json",
    responses((status = 200, description = "A JWK set.", body = KeySet), Failures),
)]
pub(super) async fn jwks(State(app): State<Arc<App>>) -> Response {
    let settings = &app.settings;
    reply::json_for(&settings.signing.get().jwks(), settings.keys.jwks_seconds)
}

/// RFC 9728, of the issuer itself.
#[utoipa::path(
    get,
    path = "/.well-known/oauth-protected-resource",
    responses(
        (status = 200, description = "The resource.", body = ResourceMetadata),
        (status = 404, description = "The issuer has a stage: its place is below.", body = ErrorBody<'static>),
        Failures,
    ),
)]
pub(super) async fn protected_resource_root(
    state: State<Arc<App>>,
    uri: Uri,
) -> Result<Response, Error> {
    protected_resource(state, uri).await
}

/// `resource` is the URL from which the metadata's own was made (RFC 9728 section 3.3). There is
/// metadata for the issuer itself, for the proxy, and for everything below it.
#[utoipa::path(
    get,
    path = "/.well-known/oauth-protected-resource/{path}",
    params(ResourcePath),
    responses(
        (status = 200, description = "The resource.", body = ResourceMetadata),
        (status = 404, description = "Not a resource of this gateway.", body = ErrorBody<'static>),
        Failures,
    ),
)]
pub(super) async fn protected_resource(
    State(app): State<Arc<App>>,
    uri: Uri,
) -> Result<Response, Error> {
    let settings = &app.settings;
    let path = uri.path().strip_prefix(RESOURCE_PREFIX).unwrap_or_default();
    let resource = format!("{}{path}", settings.issuer.origin);
    // Others than ours, such as the ones of `additional_resources`, describe themselves.
    if settings.resources.audience(&resource) != Some(settings.resources.default.as_str()) {
        return Err(Error::NotFound);
    }
    Ok(reply::cacheable_json(&json!({
        "resource": resource,
        "authorization_servers": [settings.issuer.url],
        "scopes_supported": public_scopes(&app),
        "bearer_methods_supported": ["header"],
        "resource_name": "IntelligenceBank through ib-gateway",
    })))
}
