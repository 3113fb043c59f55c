//! `POST /register` (RFC 7591), where the settings switch it on.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use serde_json::{Value, json};

use super::{
    authenticate,
    caller::Caller,
    metadata,
    openapi::{
        answers::{Failures, Limited},
        schemas::{ClientMetadata, RegisteredClient},
    },
    parameters, reply,
    reply::ErrorBody,
};
use crate::{
    app::App, clients::Registered, error::Error, limits::Endpoint, settings::RegistrationSettings,
};

/// Registers a client, where the settings switch that on.
///
/// 201 with what was registered, which may be less than what was asked for (RFC 7591 section 3.2.1).
#[utoipa::path(
    post,
    path = "/register",
    request_body(content = ClientMetadata, content_type = "application/json"),
    responses(
        (status = 201, description = "What was registered.", body = RegisteredClient),
        (
            status = 400, description = "`invalid_redirect_uri` or `invalid_client_metadata`.",
            body = ErrorBody<'static>,
        ),
        (
            status = 401, description = "The initial access token is missing or wrong.",
            body = ErrorBody<'static>,
            headers(("WWW-Authenticate" = String, description = "RFC 6750 section 3.")),
        ),
        (status = 404, description = "The settings do not switch it on.", body = ErrorBody<'static>),
        (status = 408, description = "The body came too slowly.", body = ErrorBody<'static>),
        (
            status = 413, description = "The body is longer than `server.maximum_body_bytes`.",
            body = ErrorBody<'static>,
        ),
        Limited, Failures,
    ),
    security((), ("access_token" = [])),
)]
pub(super) async fn register(
    State(app): State<Arc<App>>,
    caller: Caller,
    request: Request,
) -> Response {
    match registered(&app, caller, request).await {
        Ok((id, registered)) => {
            let mut response = reply::json(&described(&id, registered));
            *response.status_mut() = StatusCode::CREATED;
            response
        }
        Err(error) => reply::resource_error(error, &metadata::resource_metadata_url(&app.settings)),
    }
}

async fn registered(
    app: &App,
    caller: Caller,
    request: Request,
) -> Result<(String, Registered), Error> {
    // Without it there is no such path.
    let settings = app.settings.registration.as_ref().ok_or(Error::NotFound)?;
    app.limits.address(Endpoint::Register, caller.0)?;
    allowed(settings, request.headers())?;
    if !is_json(request.headers()) {
        return Err(Error::InvalidClientMetadata("The body must be application/json"));
    }
    let body = parameters::body(request.into_body(), app.settings.server).await?;
    let metadata = serde_json::from_slice::<Value>(&body).ok().filter(Value::is_object);
    let metadata = metadata.ok_or(Error::InvalidClientMetadata("The body is no JSON object"))?;
    app.clients.register(settings, metadata).await
}

/// Checks the initial access token (RFC 7591 section 3), where one is required.
fn allowed(settings: &RegistrationSettings, headers: &HeaderMap) -> Result<(), Error> {
    let Some(hash) = &settings.initial_access_token else { return Ok(()) };
    if hash.matches(authenticate::bearer(headers)?.as_bytes()) {
        return Ok(());
    }
    Err(Error::InvalidToken("Invalid initial access token"))
}

fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let only = values.next().filter(|_| values.next().is_none());
    only.and_then(|value| value.to_str().ok()).is_some_and(|value| {
        let media_type = value.split(';').next().unwrap_or_default().trim();
        media_type.eq_ignore_ascii_case("application/json")
    })
}

fn described(id: &str, registered: Registered) -> Value {
    let Registered { declared, issued_at, .. } = registered;
    let mut value = json!({
        "client_id": id,
        "client_id_issued_at": issued_at,
        "redirect_uris": declared.redirects,
        "token_endpoint_auth_method":
            if declared.jwks.is_some() { "private_key_jwt" } else { "none" },
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "scope": declared.scopes.join(" "),
    });
    for (name, member) in
        [("client_name", declared.name.map(Value::String)), ("jwks", declared.jwks)]
    {
        if let (Some(member), Some(value)) = (member, value.as_object_mut()) {
            value.insert(name.to_owned(), member);
        }
    }
    value
}
