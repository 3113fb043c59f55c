//! The endpoint that `ext_authz` and Lua ask on each request: 200 with the session id for a good token,
//! 401 for any other. It does no more than a look-up in memory, so that what is measured is the callout.

use std::collections::HashMap;

/// Writes the answer about an authorization.
pub(super) fn write(
    sessions: &HashMap<String, String>,
    authorization: Option<&str>,
    answer: &mut Vec<u8>,
) {
    let token = authorization.and_then(|value| value.strip_prefix("Bearer "));
    match token.and_then(|token| sessions.get(token)) {
        Some(sid) => {
            answer.extend_from_slice(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nsid: ");
            answer.extend_from_slice(sid.as_bytes());
            answer.extend_from_slice(b"\r\n\r\n");
        }
        None => {
            answer.extend_from_slice(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n");
        }
    }
}
