//! Reading a raw query or form without changing it.

/// The first value of `key` in a raw query, decoded.
pub(crate) fn value(query: &str, key: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == key)
        .map(|(_, value)| value.into_owned())
}

/// Whether `key` is among the keys of a raw query, with a value or without.
pub(crate) fn has(query: &str, key: &str) -> bool {
    form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == key)
}
