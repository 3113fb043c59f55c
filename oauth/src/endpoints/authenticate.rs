//! Who is calling: clients by HTTP Basic, by a signed assertion or by their id alone, the gateway by its
//! credential, and whoever holds an access token.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::parameters::{Parameters, decode};
use crate::{
    app::App,
    audit,
    clients::{ASSERTION_TYPE, Client},
    error::Error,
    settings::Settings,
    tokens::SecretHash,
};

const FAILED: Error = Error::InvalidClient("The client is not known, or did not prove who it is");

/// The client that calls the token endpoint (RFC 6749 sections 2.3 and 3.2.1), which may prove who it is
/// in one way alone.
pub(super) async fn client(
    app: &App,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<Arc<Client>, Error> {
    let id = parameters.text("client_id")?;
    let has_secret = parameters.text("client_secret")?.is_some();
    let assertion = parameters.text("client_assertion")?;
    let assertion_type = parameters.text("client_assertion_type")?;
    let has_assertion = assertion.is_some() || assertion_type.is_some();
    let has_header = headers.contains_key(header::AUTHORIZATION);
    if [has_header, has_secret, has_assertion].into_iter().filter(|used| *used).count() > 1 {
        return Err(Error::invalid_request("Use one way of client authentication"));
    }
    if has_header {
        let client = by_secret(&app.settings, headers)?;
        if id.is_some_and(|id| id != client.id) {
            return Err(Error::invalid_request("The client_id is not the one that authenticated"));
        }
        return Ok(client);
    }
    if has_secret {
        return Err(Error::InvalidClient("A client_secret is accepted by HTTP Basic alone"));
    }
    if has_assertion {
        if assertion_type.is_some_and(|own| own != ASSERTION_TYPE) {
            return Err(Error::InvalidClient("This client_assertion_type is not known"));
        }
        let (assertion, _) = assertion
            .zip(assertion_type)
            .ok_or(Error::invalid_request("Missing client_assertion or client_assertion_type"))?;
        return app.clients.by_assertion(assertion, id).await;
    }
    let client = match id {
        Some(id) => app.clients.find(id).await?,
        None => None,
    };
    let client = client.ok_or(FAILED)?;
    audit::claimed_client(&client.id);
    if client.is_public() { Ok(client) } else { Err(FAILED) }
}

/// The same for an endpoint where a client must have proved who it is.
pub(super) async fn confidential_client(
    app: &App,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<Arc<Client>, Error> {
    let client = client(app, headers, parameters).await?;
    if client.is_public() { Err(FAILED) } else { Ok(client) }
}

/// The client of an HTTP Basic header, whose parts are form-encoded (RFC 6749 section 2.3.1).
fn by_secret(settings: &Settings, headers: &HeaderMap) -> Result<Arc<Client>, Error> {
    let credentials = single(headers)?.and_then(|value| scheme(value, b"basic")).ok_or(FAILED)?;
    let decoded = STANDARD.decode(credentials).map_err(|_| FAILED)?;
    let mut parts = decoded.splitn(2, |byte| *byte == b':');
    let id = parts.next().map(decode).and_then(|id| String::from_utf8(id).ok()).ok_or(FAILED)?;
    let secret = parts.next().map(decode).ok_or(FAILED)?;
    if let Some(client) = settings.clients.get(&id) {
        audit::claimed_client(&client.id);
    }
    settings.clients.authenticate(&id, &secret).cloned().ok_or(FAILED)
}

/// Whether the caller of the internal port is the gateway.
pub(super) fn gateway(settings: &Settings, headers: &HeaderMap) -> Result<(), Error> {
    internal(&settings.gateway_credentials.get(), headers).ok_or(Error::InvalidGatewayCredential)
}

/// Whether the caller of the internal port is an operator.
pub(super) fn operator(settings: &Settings, headers: &HeaderMap) -> Result<(), Error> {
    internal(&settings.admin_credentials.get(), headers).ok_or(Error::InvalidAdminCredential)
}

/// Whether the bearer credential of a request is one of these.
fn internal(credentials: &[SecretHash], headers: &HeaderMap) -> Option<()> {
    let credential = single(headers).ok().flatten().and_then(|value| scheme(value, b"bearer"))?;
    // Every credential is compared, so that the time tells nothing.
    let known = credentials.iter().fold(false, |known, hash| hash.matches(credential) | known);
    known.then_some(())
}

/// The bearer token of a request to a protected resource (RFC 6750 section 2.1).
pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, Error> {
    let value = single(headers)?.ok_or(Error::MissingToken)?;
    let token = scheme(value, b"bearer").ok_or(Error::MissingToken)?;
    std::str::from_utf8(token).map_err(|_| Error::InvalidToken("Invalid or expired access token"))
}

/// Whether a request has a Bearer token, good or not.
pub(super) fn has_bearer(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    values.any(|value| {
        let name = value.as_bytes().split(|byte| *byte == b' ').next();
        name.is_some_and(|name| name.eq_ignore_ascii_case(b"bearer"))
    })
}

/// The Authorization header: one, or none.
fn single(headers: &HeaderMap) -> Result<Option<&HeaderValue>, Error> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let first = values.next();
    match values.next() {
        Some(_) => Err(Error::invalid_request("Repeated Authorization header")),
        None => Ok(first),
    }
}

/// What follows a scheme, whose name may be in any case (RFC 9110 section 11.1).
fn scheme<'v>(value: &'v HeaderValue, name: &[u8]) -> Option<&'v [u8]> {
    let (scheme, rest) = value.as_bytes().split_at_checked(name.len())?;
    let credentials = rest.strip_prefix(b" ")?.trim_ascii();
    (scheme.eq_ignore_ascii_case(name) && !credentials.is_empty()).then_some(credentials)
}
