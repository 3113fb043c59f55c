//! Reads the Bearer token of a request (RFC 6750 section 2.1).

/// The longest token that the gateway looks at, in bytes.
pub(crate) const LONGEST_TOKEN: usize = 4096;

/// Finds the one Bearer token among the values of the request's Authorization headers.
///
/// The scheme is read in any case. Two Authorization headers are refused even when they are equal,
/// and so is the line that a proxy makes of two by joining them with a comma.
pub(crate) fn read(first: Option<&[u8]>, has_more: bool) -> Result<&str, BearerError> {
    let value = first.ok_or(BearerError::Missing)?;
    if has_more || is_joined(value) {
        return Err(BearerError::Several);
    }
    let token = credentials(value).ok_or(BearerError::Missing)?.trim_ascii();
    if !is_token(token) {
        return Err(BearerError::Missing);
    }
    if token.len() > LONGEST_TOKEN {
        return Err(BearerError::TooLong);
    }
    std::str::from_utf8(token).map_err(|_| BearerError::Missing)
}

/// Whether `envoy/jwt.yaml` lets `jwt_authn` see the token of this value: it knows the scheme in three
/// spellings.
pub(crate) fn is_seen_by_jwt_authn(value: &[u8]) -> bool {
    let spellings: [&[u8]; 3] = [b"Bearer ", b"bearer ", b"BEARER "];
    spellings.iter().any(|spelling| value.starts_with(spelling))
}

/// What follows the scheme and its space, where the scheme is Bearer.
fn credentials(value: &[u8]) -> Option<&[u8]> {
    let (scheme, credentials) = value.trim_ascii().split_at_checked(b"bearer".len())?;
    let is_bearer = scheme.eq_ignore_ascii_case(b"bearer") && credentials.starts_with(b" ");
    is_bearer.then_some(credentials)
}

/// Whether the value is several credentials joined by commas, one of them at least a Bearer token.
fn is_joined(value: &[u8]) -> bool {
    value.contains(&b',')
        && value.split(|byte| *byte == b',').any(|part| credentials(part).is_some())
}

/// `b64token` of RFC 6750 section 2.1.
fn is_token(token: &[u8]) -> bool {
    let mut unpadded = token;
    while let [rest @ .., b'='] = unpadded {
        unpadded = rest;
    }
    !unpadded.is_empty()
        && unpadded.iter().all(|byte| {
            matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-'..=b'/' | b'_' | b'~' | b'+')
        })
}

/// Why a request has no token that can be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BearerError {
    /// No Authorization header, another scheme, or no token in it.
    Missing,
    /// More than one set of credentials.
    Several,
    /// The token is longer than any of ours.
    TooLong,
}

#[cfg(test)]
mod tests {
    use super::{BearerError, LONGEST_TOKEN, read};

    fn read_from(values: &[&[u8]]) -> Result<String, BearerError> {
        read(values.first().copied(), values.len() > 1).map(str::to_owned)
    }

    #[test]
    fn the_scheme_is_read_in_any_case() {
        for value in
            ["Bearer a.b-c_d~e+f/g==", "bearer a.b-c_d~e+f/g==", "BEARER  a.b-c_d~e+f/g== "]
        {
            assert_eq!(read_from(&[value.as_bytes()]), Ok("a.b-c_d~e+f/g==".to_owned()));
        }
    }

    #[test]
    fn a_header_without_a_token_is_a_missing_token_and_never_a_crash() {
        let values: [&[u8]; 13] = [
            b"",
            b" ",
            b"Bearer",
            b"Bearer ",
            b"Bearer   ",
            b"Bearertoken",
            b"Basic YTpi",
            b"Bearer \xff",
            b"\xff",
            b"Bearer a b",
            b"Bearer ==",
            b"Bearer\ta",
            b"Bearer a\"b",
        ];
        for value in values {
            assert_eq!(read_from(&[value]), Err(BearerError::Missing), "{value:?}");
        }
        assert_eq!(read_from(&[]), Err(BearerError::Missing));
    }

    #[test]
    fn two_credentials_are_refused_separate_or_joined() {
        assert_eq!(read_from(&[b"Bearer a", b"Bearer a"]), Err(BearerError::Several));
        assert_eq!(read_from(&[b"Basic YTpi", b"Bearer a"]), Err(BearerError::Several));
        assert_eq!(read_from(&[b"Bearer a,Bearer b"]), Err(BearerError::Several));
        assert_eq!(read_from(&[b"Basic YTpi, Bearer b"]), Err(BearerError::Several));
    }

    #[test]
    fn another_scheme_with_commas_is_only_another_scheme() {
        assert_eq!(read_from(&[b"Digest a=\"b\", c=\"d\""]), Err(BearerError::Missing));
    }

    #[test]
    fn a_token_of_the_longest_length_is_read_and_a_longer_one_is_not() {
        let value = |length| format!("Bearer {}", "a".repeat(length)).into_bytes();
        assert!(read_from(&[&value(LONGEST_TOKEN)]).is_ok());
        assert_eq!(read_from(&[&value(LONGEST_TOKEN + 1)]), Err(BearerError::TooLong));
    }
}
