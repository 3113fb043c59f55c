//! The request as it goes upstream: which of the client's headers stay, and what comes in.

use crate::{
    HeaderMap, HeaderReferences, credentials::Credentials, policy::BodyMode, target::Target,
};

/// Stays, though it begins like one that does not: Envoy chooses no route without it. It is Envoy's
/// own value, and the route takes it off (`request_headers_to_remove`) once the choice is made.
pub(crate) const ROUTING: &[u8] = b"x-forwarded-proto";

/// The header map for the upstream: the client's headers without those that must not leave, the
/// target's pseudo-headers, and the session's own headers. Borrowed throughout: a header that stays
/// is not copied here.
pub(crate) fn for_upstream<'a>(
    headers: &'a HeaderMap,
    target: &'a Target<'_>,
    authority: &'a str,
    credentials: &'a Credentials,
    bodies: BodyMode,
) -> HeaderReferences<'a> {
    let mut rewritten = Vec::with_capacity(headers.len().saturating_add(8));
    rewritten.push((b":authority".as_slice(), authority.as_bytes()));
    rewritten.push((b":path", target.path_and_query));
    rewritten.push((b":scheme", b"https"));
    let is_searched = bodies == BodyMode::Redact;
    rewritten.extend(headers.iter().filter(|(name, _)| {
        let is_replaced = match *name {
            b":authority" | b":path" | b":scheme" => true,
            b"accept-encoding" => is_searched,
            _ => false,
        };
        !is_replaced && goes_upstream(name, credentials)
    }));
    if is_searched {
        // What is encoded cannot be searched for session ids.
        rewritten.push((b"accept-encoding", b"identity"));
    }
    rewritten.extend(credentials.headers());
    rewritten
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
        name == ROUTING || may_leave(name)
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
        | b"connection"
        | b"cookie"
        | b"forwarded"
        | b"host"
        | b"http2-settings"
        | b"keep-alive"
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
        | b"x-http-method"
        | b"x-http-method-override"
        | b"x-method-override"
        | b"x-real-ip"
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
