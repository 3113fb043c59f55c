//! The request as it goes upstream: which of the client's headers stay, and what comes in.

use crate::{
    HeaderMap, credentials::Credentials, headers::HeaderEdits, policy::BodyMode, target::Target,
};

/// Whether a header stays that is Envoy's own, whatever the client sent: the route takes these off
/// (`request_headers_to_remove`) once the choice of a route is made, for which `x-forwarded-proto` is
/// needed. To take them off here would cost each request a call.
pub(crate) fn is_left_to_the_route(name: &[u8]) -> bool {
    matches!(name, b"x-forwarded-proto" | b"x-envoy-external-address")
}

/// Marks an approved request of a session that injects no [`SESSION_ID`]. The route takes it off.
pub(crate) const APPROVED: &[u8] = b"x-ib-gateway";
/// IntelligenceBank's own header, which marks a request as approved by being there: the proxy takes a
/// client's off before it chooses a route.
const SESSION_ID: &[u8] = b"sid";

/// What makes the client's headers those for the upstream: without what must not leave, with the target's
/// pseudo-headers and the session's own headers.
pub(crate) fn for_upstream<'a>(
    headers: &'a HeaderMap,
    target: &'a Target<'_>,
    authority: &'a str,
    credentials: &'a Credentials,
    bodies: BodyMode,
) -> HeaderEdits<'a> {
    let mut edits = HeaderEdits::of(headers);
    let mut is_https = false;
    let mut encodings = 0_u32;
    let mut asks_for_identity = false;
    for (name, value) in headers.iter() {
        match name {
            b":authority" | b":path" => {}
            b":scheme" => is_https = value == b"https",
            b"accept-encoding" if bodies == BodyMode::Redact => {
                encodings = encodings.saturating_add(1);
                asks_for_identity = encodings == 1 && value == b"identity";
                if encodings == 2 {
                    edits.remove(name);
                }
            }
            _ if goes_upstream(name, credentials) => {}
            _ => edits.remove(name),
        }
    }
    edits.set(b":authority", authority.as_bytes());
    edits.set(b":path", target.path_and_query);
    if !is_https {
        edits.set(b":scheme", b"https");
    }
    if bodies == BodyMode::Redact && !asks_for_identity {
        // What is encoded cannot be searched for session ids.
        edits.set(b"accept-encoding", b"identity");
    }
    credentials.headers().for_each(|(name, value)| edits.set(name, value));
    if !credentials.sets(SESSION_ID) {
        edits.set(APPROVED, b"approved");
    }
    edits
}

/// Whether a header of the client goes upstream.
///
/// Servers of the CGI family read `-` and `_` in names as the same, so a name is judged by its form
/// with hyphens: `x_forwarded_for` stays out as well.
fn goes_upstream(name: &[u8], credentials: &Credentials) -> bool {
    let may_leave = if name.contains(&b'_') {
        let hyphenated = |byte: &u8| if *byte == b'_' { b'-' } else { *byte };
        may_leave(&name.iter().map(hyphenated).collect::<Vec<u8>>())
    } else {
        is_left_to_the_route(name) || may_leave(name)
    };
    may_leave && !credentials.injects(name)
}

/// Headers of the client that never go upstream.
///
/// Credentials for the gateway, what speaks for the connection to the gateway, claims about the
/// client's address, and names that some servers read a path or a method from: an override would
/// undo what was decided on both. `referer` too: it may hold the address of a page with a code in it.
/// `origin` stays: it holds no secret.
fn may_leave(name: &[u8]) -> bool {
    match name {
        b"authorization"
        | b"cf-connecting-ip"
        | b"client-ip"
        | b"connection"
        | b"cookie"
        | b"fastly-client-ip"
        | b"forwarded"
        | b"host"
        | b"http2-settings"
        | b"keep-alive"
        | b"proxy"
        | b"proxy-authenticate"
        | b"proxy-authorization"
        | b"proxy-connection"
        | b"referer"
        | b"sid"
        | b"trailer"
        | b"transfer-encoding"
        | b"true-client-ip"
        | b"upgrade"
        | b"x-client-ip"
        | b"x-cluster-client-ip"
        | b"x-host"
        | b"x-http-method"
        | b"x-http-method-override"
        | b"x-method-override"
        | b"x-ib-gateway"
        | b"x-originating-ip"
        | b"x-real-ip"
        | b"x-remote-addr"
        | b"x-remote-ip"
        | b"x-rewrite-url" => false,
        _ => {
            !name.starts_with(b"x-envoy-")
                && !name.starts_with(b"x-forwarded")
                && !name.starts_with(b"x-original-")
        }
    }
}

#[cfg(test)]
mod tests;
