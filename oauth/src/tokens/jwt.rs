//! JWT access tokens (RFC 9068).
//!
//! Resource servers check them without asking. The service itself takes their claims from its own
//! record, which it finds by the token's hash as for opaque tokens; the signature is checked before that,
//! so that an invented token costs the store nothing.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;

use super::{CannotIssue, signing::SigningKeys};

/// Longest token that is looked at, in bytes: the bound of `envoy/jwt.yaml` too.
const LONGEST: usize = 4_096;

/// What a token says (RFC 9068 section 2.2): nothing about the person but `sub`, and never a session id.
#[derive(Debug, Serialize)]
pub(crate) struct Claims<'a> {
    pub(crate) iss: &'a str,
    pub(crate) sub: &'a str,
    pub(crate) aud: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) scope: &'a str,
    /// Seconds since the Unix epoch.
    pub(crate) iat: u64,
    /// Seconds since the Unix epoch.
    pub(crate) exp: u64,
    pub(crate) jti: &'a str,
}

/// A token with these claims, signed by the first key.
pub(super) fn sign(keys: &SigningKeys, claims: &Claims<'_>) -> Result<String, CannotIssue> {
    let key = keys.first().ok_or(CannotIssue::NoKey)?;
    let claims = serde_json::to_vec(claims).map_err(|_| CannotIssue::Claims)?;
    let mut token = format!("{}.{}", key.header(), URL_SAFE_NO_PAD.encode(claims));
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    token.push_str(&signature);
    Ok(token)
}

/// Whether one of the keys signed this token. Its header has to be the one that the key's tokens have,
/// letter for letter, so nothing in it chooses an algorithm, a type or a key of its own (RFC 8725
/// sections 3.1 and 3.11).
pub(super) fn is_signed(keys: &SigningKeys, token: &str) -> bool {
    let Some((signed, signature)) = token.rsplit_once('.') else { return false };
    let Some((header, _claims)) = signed.split_once('.') else { return false };
    token.len() <= LONGEST
        && keys.of_header(header).is_some_and(|key| key.verifies(signed.as_bytes(), signature))
}

#[cfg(test)]
mod tests;
