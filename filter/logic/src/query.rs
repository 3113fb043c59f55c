//! Query strings: finding a `sid` key in the spellings that PHP and lenient readers take for one.
//!
//! IntelligenceBank takes the session id from `?sid=` too, so a client that could send this key
//! could choose its own session, and an upstream's redirect could show ours. A separator that is
//! itself encoded (`a=%26sid=1`) is data and ends no pair.

use crate::percent::decode_fully;

/// Whether the query has a key that stands for `sid`.
///
/// Pairs are split at `&`, `;` and `?`. Their keys are decoded and compared as a PHP server would
/// name them: space around the key and whatever follows a `[` or a NUL do not count. Nor does case,
/// though PHP tells it apart.
pub(crate) fn has_session_key(query: &[u8]) -> bool {
    query.split(|byte| matches!(byte, b'&' | b';' | b'?')).any(is_session_pair)
}

/// The query without the pairs whose key [`has_session_key`] finds, every other byte as it was;
/// `None` where no pair is left.
pub(crate) fn without_session_keys(query: &[u8]) -> Option<Vec<u8>> {
    let kept: Vec<&[u8]> =
        query.split(|byte| *byte == b'&').filter(|pair| !has_session_key(pair)).collect();
    if kept.is_empty() { None } else { Some(kept.join(&b'&')) }
}

fn is_session_pair(pair: &[u8]) -> bool {
    let key = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
    if key.iter().all(|byte| byte.is_ascii() && *byte != b'%') {
        names_session(key)
    } else {
        names_session(&decode_fully(key))
    }
}

fn names_session(key: &[u8]) -> bool {
    let key = trim_start(key, |byte| is_blank(byte) || byte == b'?');
    let key = key.split(|byte| matches!(byte, b'[' | b'=' | 0)).next().unwrap_or_default();
    trim_end(key, is_blank).eq_ignore_ascii_case(b"sid")
}

const fn is_blank(byte: u8) -> bool {
    byte <= b' ' || byte == 0x7F || byte == b'+'
}

fn trim_start(mut bytes: &[u8], unwanted: impl Fn(u8) -> bool) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && unwanted(*first)
    {
        bytes = rest;
    }
    bytes
}

fn trim_end(mut bytes: &[u8], unwanted: impl Fn(u8) -> bool) -> &[u8] {
    while let [rest @ .., last] = bytes
        && unwanted(*last)
    {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::{has_session_key, without_session_keys};

    #[test]
    fn a_client_cannot_bring_its_own_session_id_in_any_spelling_of_the_key() {
        for query in [
            "sid=1",
            "sid",
            "sid=",
            "SID=1",
            "Sid",
            "a=b&sid=1",
            "a=b;sid=1",
            "&sid=1",
            ";sid",
            "%73id=1",
            "s%69d=1",
            "%73%69%64=1",
            "%2573id=1",
            "sid%00=1",
            "sid%00x=1",
            "sid[]=1",
            "sid[a]=1",
            "sid%5B%5D=1",
            "sid[=1",
            "+sid=1",
            "%20sid=1",
            "%09sid=1",
            "sid+=1",
            "sid%20=1",
            "?sid=1",
            "??sid=1",
            "a&&sid=1",
            "%u0073id=1",
            "sid%3D1",
            "y?sid=1",
            "a=b?sid=1",
            "a=b?%73id[]=1",
        ] {
            assert!(has_session_key(query.as_bytes()), "{query}");
        }
    }

    #[test]
    fn ordinary_queries_of_intelligencebank_are_not_taken_for_a_session_id() {
        for query in [
            "",
            "a=sid",
            "q=a%26sid",
            "side=1",
            "asid=1",
            "sid.=1",
            "s.id=1",
            "_sid=1",
            "sid_=1",
            "searchParams[isSearching]=true&searchParams[keywords]=&verbose&productkey=x",
            "searchParams[sid]=1",
            "%5Bsid%5D=1",
            "action=download",
            "access_token=x",
        ] {
            assert!(!has_session_key(query.as_bytes()), "{query}");
        }
    }

    #[test]
    fn a_redirect_loses_its_session_id_and_keeps_every_other_byte() {
        let without = |query: &str| {
            without_session_keys(query.as_bytes()).map(|rest| String::from_utf8(rest).unwrap())
        };
        assert_eq!(without("sid=1"), None);
        assert_eq!(without("a=%2f&sid=1&&b"), Some("a=%2f&&b".to_owned()));
        assert_eq!(without("a=b;sid=1&c"), Some("c".to_owned()));
        assert_eq!(without("a=b?sid=1&c"), Some("c".to_owned()));
        assert_eq!(without("a=b"), Some("a=b".to_owned()));
    }
}
