//! The request as it goes upstream: which of the client's headers stay, and what comes in.

use crate::{HeaderMap, HeaderReferences, session::Session, target::Target};

/// Headers of the client that never go upstream.
///
/// Credentials for the gateway, what speaks for the connection to the gateway, claims about the
/// client's address, and names that some servers read a path or a method from: an override would
/// undo what was decided on both. `referer` too: it may hold the address of a page with a code in it.
/// `origin` stays: it holds no secret.
const NEVER_UPSTREAM: [&str; 24] = [
    "authorization",
    "cf-connecting-ip",
    "connection",
    "cookie",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "referer",
    "sid",
    "trailer",
    "transfer-encoding",
    "true-client-ip",
    "upgrade",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-real-ip",
    "x-rewrite-url",
];

/// Beginnings of header names that never go upstream.
const NEVER_UPSTREAM_PREFIXES: [&str; 3] = ["x-envoy-", "x-forwarded", "x-original-"];

/// Stays, though it begins like one that does not: Envoy chooses no route without it. It is Envoy's
/// own value, and the route takes it off (`request_headers_to_remove`) once the choice is made.
const ROUTING: &str = "x-forwarded-proto";

/// The header map for the upstream: the client's headers without those that must not leave, the
/// target's pseudo-headers, and the session's own headers. Borrowed throughout: a header that stays
/// is not copied here.
pub(crate) fn for_upstream<'a>(
    headers: &'a HeaderMap,
    target: &'a Target<'_>,
    authority: &'a str,
    session: &'a Session,
) -> HeaderReferences<'a> {
    let mut rewritten = Vec::with_capacity(headers.len().saturating_add(8));
    rewritten.push((":authority", authority.as_bytes()));
    rewritten.push((":path", target.path_and_query));
    rewritten.push((":scheme", b"https".as_slice()));
    let stays = headers.iter().filter(|(name, _)| {
        !matches!(name.as_str(), ":authority" | ":path" | ":scheme") && goes_upstream(name, session)
    });
    rewritten.extend(stays.map(|(name, value)| (name.as_str(), value.as_slice())));
    rewritten.extend(session.headers());
    rewritten
}

/// Whether a header of the client goes upstream.
///
/// Servers of the CGI family read `-` and `_` in names as the same, so a name is judged by its form
/// with hyphens: `x_forwarded_for` stays out as well.
fn goes_upstream(name: &str, session: &Session) -> bool {
    let may_leave = if name.contains('_') {
        may_leave(&name.replace('_', "-"))
    } else {
        name == ROUTING || may_leave(name)
    };
    may_leave && !session.injects(name)
}

fn may_leave(name: &str) -> bool {
    !NEVER_UPSTREAM.contains(&name)
        && !NEVER_UPSTREAM_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests;
