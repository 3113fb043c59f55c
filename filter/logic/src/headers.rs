//! Header maps as the host hands them over: names in lower case, values as raw bytes.

/// A whole header map. Names are in lower case (the host sees to that); values are whatever the
/// peer sent, which need not be UTF-8. Pseudo-headers are entries like any other.
pub type HeaderMap = Vec<(String, Vec<u8>)>;

/// A whole header map to be set, borrowed from where its parts live.
pub type HeaderReferences<'a> = Vec<(&'a str, &'a [u8])>;

/// The first value of the header `name` (lower case).
pub(crate) fn first<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_slice())
}

/// Whether `name` is a header field name (RFC 9110 section 5.1) in lower case.
pub(crate) fn is_lower_case_token(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
        })
}

/// Whether every byte is a visible ASCII character, which leaves out the space.
pub(crate) fn is_visible_ascii(value: &[u8]) -> bool {
    value.iter().all(u8::is_ascii_graphic)
}
