//! What operations are asked with: queries and forms. How they are read is in `endpoints/parameters.rs`.
#![expect(dead_code, reason = "the types describe parameters; none is ever made")]

use utoipa::{IntoParams, ToSchema};

/// An authorization request (RFC 6749 section 4.1.1).
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::endpoints) struct AuthorizationRequest {
    /// `code`.
    #[param(example = "code")]
    response_type: String,
    #[param(example = "mcp-public-client")]
    client_id: String,
    /// One of the client's; on loopback hosts with any port.
    #[param(example = "http://127.0.0.1/callback")]
    redirect_uri: String,
    #[param(example = "profile")]
    scope: Option<String>,
    /// At most 4096 bytes; returned as it came.
    #[param(example = "af0ifjsldkj")]
    state: Option<String>,
    /// RFC 7636; public clients must send it.
    #[param(example = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")]
    code_challenge: Option<String>,
    /// `S256`.
    #[param(example = "S256")]
    code_challenge_method: Option<String>,
    /// `query`.
    #[param(example = "query")]
    response_mode: Option<String>,
    /// RFC 8707. It may be repeated, for one audience.
    resource: Option<String>,
    /// The platform to log in at. The JSON face needs it; the page asks for it.
    #[param(example = "company.intelligencebank.com")]
    platform_url: Option<String>,
}

/// What the login page sends, or an authorization request (RFC 6749 section 3.1).
#[derive(ToSchema)]
pub(in crate::endpoints) struct AuthorizationForm {
    /// The client's authorization request, as the page got it, form-encoded.
    authorization_request: Option<String>,
    #[schema(example = "company.intelligencebank.com")]
    platform_url: Option<String>,
    /// The page's Continue button: which login.
    poll_token: Option<String>,
    #[schema(example = "code")]
    response_type: Option<String>,
    #[schema(example = "mcp-public-client")]
    client_id: Option<String>,
    #[schema(example = "http://127.0.0.1/callback")]
    redirect_uri: Option<String>,
    #[schema(example = "profile")]
    scope: Option<String>,
    state: Option<String>,
    #[schema(example = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")]
    code_challenge: Option<String>,
    #[schema(example = "S256")]
    code_challenge_method: Option<String>,
    response_mode: Option<String>,
    resource: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::endpoints) struct PollQuery {
    /// The `token` that began with the login.
    token: String,
}

/// RFC 6749 sections 4.1.3, 4.4.2 and 6.
#[derive(ToSchema)]
pub(in crate::endpoints) struct TokenForm {
    /// `authorization_code`, `refresh_token`, or `client_credentials` of a client that acts for itself.
    #[schema(example = "authorization_code")]
    grant_type: String,
    /// A public client names itself here; a confidential one by HTTP Basic.
    #[schema(example = "mcp-public-client")]
    client_id: Option<String>,
    code: Option<String>,
    /// The one of the authorization request.
    #[schema(example = "http://127.0.0.1/callback")]
    redirect_uri: Option<String>,
    /// RFC 7636 section 4.1.
    #[schema(example = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")]
    code_verifier: Option<String>,
    refresh_token: Option<String>,
    /// Of a refresh: what was granted, or less. Of `client_credentials`: of the client's own.
    #[schema(example = "profile")]
    scope: Option<String>,
    /// RFC 8707. It may be repeated, for one audience.
    resource: Option<String>,
    /// RFC 7523 section 2.2, of clients with keys.
    client_assertion: Option<String>,
    client_assertion_type: Option<String>,
}

/// RFC 7662 section 2.1.
#[derive(ToSchema)]
pub(in crate::endpoints) struct IntrospectionForm {
    token: String,
    /// Not needed: a token says what it is.
    token_type_hint: Option<String>,
    /// RFC 7523 section 2.2, of clients with keys.
    client_assertion: Option<String>,
    client_assertion_type: Option<String>,
}

/// RFC 7009 section 2.1.
#[derive(ToSchema)]
pub(in crate::endpoints) struct RevocationForm {
    token: String,
    /// Not needed: a token says what it is.
    token_type_hint: Option<String>,
    /// A public client names itself here; a confidential one by HTTP Basic.
    #[schema(example = "mcp-public-client")]
    client_id: Option<String>,
    /// RFC 7523 section 2.2, of clients with keys.
    client_assertion: Option<String>,
    client_assertion_type: Option<String>,
}

/// A client that ends a grant by one of its tokens. With an access token in the header no form is needed.
#[derive(ToSchema)]
pub(in crate::endpoints) struct LogoutForm {
    token: Option<String>,
    /// A public client names itself here; a confidential one proves who it is.
    #[schema(example = "mcp-public-client")]
    client_id: Option<String>,
    /// RFC 7523 section 2.2.
    client_assertion: Option<String>,
    client_assertion_type: Option<String>,
}

/// Which session the gateway wants renewed.
#[derive(ToSchema)]
pub(in crate::endpoints) struct RenewalForm {
    /// An access token that uses it.
    token: String,
    /// Its id, from the introspection.
    session: String,
    /// The generation that the gateway knows.
    #[schema(minimum = 0, example = 1)]
    generation: u64,
    /// `near_expiry` or `rejected`.
    #[schema(example = "near_expiry")]
    cause: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::endpoints) struct RevocationsQuery {
    /// The number of the last event that the gateway knows.
    #[param(minimum = 0)]
    after: Option<u64>,
    /// How long to wait for another one, in seconds; at most 30 count.
    #[param(minimum = 0, example = 0)]
    wait: Option<u64>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(in crate::endpoints) struct ResourcePath {
    /// The path of a resource below the issuer's origin.
    #[param(example = "proxy")]
    path: String,
}

/// Which grants: one of `subject`, `client_id` and `platform`.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::endpoints) struct GrantsQuery {
    /// The person, as `sub` has it.
    subject: Option<String>,
    client_id: Option<String>,
    /// The host where the persons logged in.
    #[param(example = "company.intelligencebank.com")]
    platform: Option<String>,
    /// The `next` of the page before.
    after: Option<String>,
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u64>,
}

/// Which credential.
#[derive(ToSchema)]
pub(in crate::endpoints) struct CredentialForm {
    /// Its name in the settings.
    #[schema(example = "remax-azura")]
    name: String,
}

/// Which grants: one of `grant`, `subject`, `client_id` and `platform`.
#[derive(ToSchema)]
pub(in crate::endpoints) struct GrantRevocationForm {
    /// One, by its id.
    grant: Option<String>,
    /// The person, as `sub` has it.
    subject: Option<String>,
    client_id: Option<String>,
    /// The host where the persons logged in.
    platform: Option<String>,
    /// The `next` of the answer before.
    after: Option<String>,
}
