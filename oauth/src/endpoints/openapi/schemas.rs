//! Answers whose code is elsewhere: in the contract with the gateway, or JSON that is put together.
//! `make test-openapi` compares what is really answered with them.
#![expect(dead_code, reason = "the types describe answers; none is ever made")]

use std::collections::BTreeMap;

use utoipa::ToSchema;

/// A login that has begun.
#[derive(ToSchema)]
pub(in crate::endpoints) struct BegunLogin {
    /// Where the person logs in.
    #[schema(rename = "loginUrl")]
    login_url: String,
    /// What to ask `/authorize/poll` with.
    token: String,
}

/// A login that is done.
#[derive(ToSchema)]
pub(in crate::endpoints) struct FinishedLogin {
    /// Where the browser goes: the `redirect_uri` with `code`, `state` and `iss` (RFC 9207).
    redirect_url: String,
}

/// RFC 7662 section 2.2. Of a token that is not good there is `active` alone.
#[derive(ToSchema)]
pub(in crate::endpoints) struct ClientIntrospection {
    active: bool,
    token_type: Option<String>,
    client_id: Option<String>,
    scope: Option<String>,
    sub: Option<String>,
    aud: Option<String>,
    iss: Option<String>,
    /// Unix seconds.
    iat: Option<u64>,
    /// Unix seconds.
    exp: Option<u64>,
}

/// What the gateway learns of a token. Of one that is not good there are `active` and `reason`.
#[derive(ToSchema)]
pub(in crate::endpoints) struct GatewayIntrospection {
    active: bool,
    /// `invalid_token`, `session_expired` or `refresh_limit_exceeded`.
    reason: Option<String>,
    /// Of the contract.
    version: Option<u32>,
    /// The service's position in the revocation feed.
    as_of: Option<u64>,
    client_id: Option<String>,
    scope: Option<String>,
    sub: Option<String>,
    aud: Option<Audience>,
    iss: Option<String>,
    /// Unix seconds.
    exp: Option<u64>,
    /// Unix seconds.
    iat: Option<u64>,
    /// Seconds from the answer on.
    expires_in: Option<u64>,
    upstreams: Option<Vec<Upstream>>,
}

/// One is a string (RFC 7519 section 4.1.3).
#[derive(ToSchema)]
#[serde(untagged)]
pub(in crate::endpoints) enum Audience {
    One(String),
    Several(Vec<String>),
}

/// A session, where it may be used, and what proves it there.
#[derive(ToSchema)]
pub(in crate::endpoints) struct Upstream {
    /// An opaque id; no secret.
    session: String,
    hosts: Vec<String>,
    /// Secret: headers for these hosts and no other.
    headers: BTreeMap<String, String>,
    /// Rises by one with every renewal.
    generation: u64,
    /// Seconds until the gateway should ask for a renewal.
    refresh_in: u64,
    /// Seconds until the session ends.
    expires_in: u64,
    refresh_limit_exceeded: bool,
}

/// What has ended since the event that was asked with.
#[derive(ToSchema)]
pub(in crate::endpoints) struct Revocations {
    /// Where to go on.
    as_of: u64,
    events: Vec<RevocationEvent>,
    /// What happened since is not known any more: forget everything.
    reset: bool,
    tag_keys: Vec<Object>,
}

/// Something ended: one of the names beside `number` is there.
#[derive(ToSchema)]
pub(in crate::endpoints) struct RevocationEvent {
    number: u64,
    session: Option<String>,
    token_sha256: Option<String>,
    sub: Option<String>,
    client_id: Option<String>,
}

/// A JSON object with further fields.
#[derive(ToSchema)]
#[schema(value_type = Object)]
pub(in crate::endpoints) struct Object(serde_json::Value);

/// RFC 8414 section 2; there are further fields.
#[derive(ToSchema)]
pub(in crate::endpoints) struct ServerMetadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    introspection_endpoint: String,
    revocation_endpoint: String,
    userinfo_endpoint: String,
    scopes_supported: Vec<String>,
    response_types_supported: Vec<String>,
    grant_types_supported: Vec<String>,
    code_challenge_methods_supported: Vec<String>,
    authorization_response_iss_parameter_supported: bool,
    protected_resources: Vec<String>,
}

/// What a client says about itself (RFC 7591 section 2); further fields are ignored.
#[derive(ToSchema)]
pub(in crate::endpoints) struct ClientMetadata {
    #[schema(example = json!(["http://127.0.0.1/callback"]))]
    redirect_uris: Vec<String>,
    client_name: Option<String>,
    /// `none`, or `private_key_jwt` where the settings allow it.
    token_endpoint_auth_method: Option<String>,
    grant_types: Option<Vec<String>>,
    response_types: Option<Vec<String>>,
    scope: Option<String>,
    jwks: Option<Object>,
}

/// RFC 7591 section 3.2.1.
#[derive(ToSchema)]
pub(in crate::endpoints) struct RegisteredClient {
    client_id: String,
    /// Unix seconds.
    client_id_issued_at: u64,
    redirect_uris: Vec<String>,
    token_endpoint_auth_method: String,
    grant_types: Vec<String>,
    response_types: Vec<String>,
    scope: String,
    client_name: Option<String>,
    jwks: Option<Object>,
}

/// RFC 7517 section 5.
#[derive(ToSchema)]
pub(in crate::endpoints) struct KeySet {
    keys: Vec<Object>,
}

/// RFC 9728 section 2.
#[derive(ToSchema)]
pub(in crate::endpoints) struct ResourceMetadata {
    resource: String,
    authorization_servers: Vec<String>,
    scopes_supported: Vec<String>,
    bearer_methods_supported: Vec<String>,
    resource_name: String,
}

/// How it is.
#[derive(ToSchema)]
pub(in crate::endpoints) struct Health {
    /// `ok`, or `ready`.
    status: String,
}
