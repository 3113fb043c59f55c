//! What the endpoints for authorization say: 200 with the session id for a good token, 401 for any other.

/// The token of an authorization, if it is written as one.
pub(super) fn token(authorization: Option<&str>) -> Option<&str> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    authorization
        .and_then(|value| value.strip_prefix("Bearer "))
        .filter(|token| token.bytes().all(is_part))
}

/// Writes the answer about a token, by its session id if it is good.
pub(super) fn write(sid: Option<&str>, answer: &mut Vec<u8>) {
    match sid {
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
