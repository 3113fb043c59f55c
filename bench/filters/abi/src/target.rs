//! What a request asks for, without any of the checks that a gateway owes.

/// The host and the path in `/proxy/<host>/<path>`.
#[must_use]
pub fn split(target: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = target.strip_prefix(b"/proxy/")?;
    rest.split_at_checked(rest.iter().position(|&byte| byte == b'/')?)
}

/// The token in `Bearer <token>`.
#[must_use]
pub fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    authorization.strip_prefix(b"Bearer ")
}
