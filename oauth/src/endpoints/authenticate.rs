//! Who is calling: clients by HTTP Basic or by their id alone, the gateway by its credential, and
//! whoever holds an access token.

use axum::http::{HeaderMap, HeaderValue, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::parameters::{Parameters, decode};
use crate::{audit, clients::Client, error::Error, settings::Settings};

const FAILED: Error = Error::InvalidClient("The client is not known, or did not prove who it is");

/// The client that calls the token endpoint (RFC 6749 sections 2.3 and 3.2.1).
pub(super) fn client<'s>(
    settings: &'s Settings,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<&'s Client, Error> {
    let id = parameters.text("client_id")?;
    let has_secret = parameters.text("client_secret")?.is_some();
    if headers.contains_key(header::AUTHORIZATION) {
        let client = confidential_client(settings, headers)?;
        if has_secret {
            return Err(Error::invalid_request("Use one way of client authentication"));
        }
        if id.is_some_and(|id| id != client.id) {
            return Err(Error::invalid_request("The client_id is not the one that authenticated"));
        }
        return Ok(client);
    }
    if has_secret {
        return Err(Error::InvalidClient("A client_secret is accepted by HTTP Basic alone"));
    }
    let client = id.and_then(|id| settings.clients.get(id)).ok_or(FAILED)?;
    audit::claimed_client(&client.id);
    if client.is_public() { Ok(client) } else { Err(FAILED) }
}

/// The confidential client of an HTTP Basic header, whose parts are form-encoded (RFC 6749 section
/// 2.3.1).
pub(super) fn confidential_client<'s>(
    settings: &'s Settings,
    headers: &HeaderMap,
) -> Result<&'s Client, Error> {
    let credentials = single(headers)?.and_then(|value| scheme(value, b"basic")).ok_or(FAILED)?;
    let decoded = STANDARD.decode(credentials).map_err(|_| FAILED)?;
    let mut parts = decoded.splitn(2, |byte| *byte == b':');
    let id = parts.next().map(decode).and_then(|id| String::from_utf8(id).ok()).ok_or(FAILED)?;
    let secret = parts.next().map(decode).ok_or(FAILED)?;
    if let Some(client) = settings.clients.get(&id) {
        audit::claimed_client(&client.id);
    }
    settings.clients.authenticate(&id, &secret).ok_or(FAILED)
}

/// Whether the caller of the internal port is the gateway.
pub(super) fn gateway(settings: &Settings, headers: &HeaderMap) -> Result<(), Error> {
    let credential = single(headers)
        .ok()
        .flatten()
        .and_then(|value| scheme(value, b"bearer"))
        .ok_or(Error::InvalidGatewayCredential)?;
    // Every credential is compared, so that the time tells nothing.
    let known = settings
        .gateway_credentials
        .iter()
        .fold(false, |known, hash| hash.matches(credential) | known);
    if known { Ok(()) } else { Err(Error::InvalidGatewayCredential) }
}

/// The bearer token of a request to a protected resource (RFC 6750 section 2.1).
pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, Error> {
    let value = single(headers)?.ok_or(Error::MissingToken)?;
    let token = scheme(value, b"bearer").ok_or(Error::MissingToken)?;
    std::str::from_utf8(token).map_err(|_| Error::InvalidToken("Invalid or expired access token"))
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
