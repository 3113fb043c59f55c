//! The request as it goes upstream: which of the client's headers stay, and what comes in.

use crate::{
    HeaderMap,
    credentials::Credentials,
    head::Leaving,
    header_names::Name,
    headers::{HeaderEdits, Names},
    target::Target,
};

/// Marks an approved request of a session that injects no [`SESSION_ID`]. The route takes it off.
pub(crate) const APPROVED: &[u8] = b"x-ib-gateway";
/// Name the client and, hashed, the user of an approved request, for the proxy's rate limits. The route
/// takes them off.
pub(crate) const CLIENT: &[u8] = b"x-ib-gateway-client";
pub(crate) const USER: &[u8] = b"x-ib-gateway-user";
/// IntelligenceBank's own header, which marks a request as approved by being there: the proxy takes a
/// client's off before it chooses a route.
const SESSION_ID: &[u8] = b"sid";
const ACCEPT_ENCODING: &[u8] = b"accept-encoding";

/// What makes the client's headers those for the upstream: without what must not leave, with the target's
/// pseudo-headers and the session's own headers. `leaving` was read from `headers`. `asks_for_identity`:
/// what is encoded cannot be searched for session ids.
pub(crate) fn for_upstream<'a>(
    headers: &'a HeaderMap,
    leaving: &'a Leaving<'_>,
    target: &'a Target<'_>,
    authority: &'a str,
    credentials: &'a Credentials,
    asks_for_identity: bool,
) -> HeaderEdits<'a> {
    let mut hidden = Names::from_slice(&leaving.hidden);
    if !credentials.injects_only_hidden() {
        hide_injected(headers, credentials, asks_for_identity, &mut hidden);
    }
    if asks_for_identity && leaving.has_more_encodings {
        hidden.push(ACCEPT_ENCODING);
    }
    let mut edits = HeaderEdits::without(headers, hidden);
    edits.set(b":authority", authority.as_bytes());
    edits.set(b":path", target.path_and_query);
    if !leaving.is_https {
        edits.set(b":scheme", b"https");
    }
    if asks_for_identity && !leaving.asks_for_identity {
        edits.set(ACCEPT_ENCODING, b"identity");
    }
    credentials.headers().for_each(|(name, value)| edits.set(name, value));
    if !credentials.sets(SESSION_ID) {
        edits.set(APPROVED, b"approved");
    }
    edits
}

/// Adds the names of the client's headers that the session injects itself. (Few sessions need it.)
#[inline(never)]
fn hide_injected<'a>(
    headers: &'a HeaderMap,
    credentials: &Credentials,
    sets_encoding: bool,
    hidden: &mut Names<'a>,
) {
    for (name, _) in headers.iter() {
        let is_set_anyway = match Name::of(name) {
            Name::Authority | Name::Path | Name::Scheme => true,
            Name::AcceptEncoding => sets_encoding,
            _ => false,
        };
        if !is_set_anyway && credentials.injects(name) && !hidden.contains(&name) {
            hidden.push(name);
        }
    }
}

#[cfg(test)]
mod tests;
