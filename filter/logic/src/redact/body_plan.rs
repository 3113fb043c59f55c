//! Which bodies are looked at.

use std::borrow::Cow;

/// What happens to a response's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyPlan {
    /// It is no JSON, or there is none: it goes through as it is.
    Pass,
    /// Its secrets are masked.
    Redact,
    /// JSON in an encoding that is not read here: compressed, or of a character set without ASCII.
    Unreadable,
    /// A part of what may be JSON (206). An occurrence that is cut by the part's end cannot be seen,
    /// and a client could put the pieces together.
    PartOfJson,
}

/// Types of JSON and of scripts, which hold JSON in a call (JSONP), besides `+json`.
const SEARCHED_TYPES: [&[u8]; 13] = [
    b"application/json",
    b"application/x-json",
    b"application/json-seq",
    b"application/jsonl",
    b"application/ndjson",
    b"application/x-ndjson",
    b"application/javascript",
    b"application/x-javascript",
    b"application/ecmascript",
    b"text/json",
    b"text/x-json",
    b"text/javascript",
    b"text/ecmascript",
];

/// Decides by a response's head. An answer to HEAD has no body, and nobody need ask.
///
/// Of a header that comes several times, the caller joins the values with commas. A type that is
/// missing, or not one type, says nothing, so the body is looked at.
pub(crate) fn plan(
    status: u16,
    content_type: Option<&[u8]>,
    content_encoding: Option<&[u8]>,
) -> BodyPlan {
    if status == 200 && content_encoding.is_none() && content_type.is_some_and(is_usual_json) {
        return BodyPlan::Redact;
    }
    closer_plan(status, content_type, content_encoding)
}

/// The same for answers that are not as nearly all are. (Apart, so that the usual way stays short.)
#[inline(never)]
fn closer_plan(
    status: u16,
    content_type: Option<&[u8]>,
    content_encoding: Option<&[u8]>,
) -> BodyPlan {
    if matches!(status, 100..200 | 204 | 205 | 304) {
        return BodyPlan::Pass;
    }
    let content_type = lower_case(content_type.unwrap_or_default());
    let mut parts = content_type.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let essence = parts.next().unwrap_or_default();
    let is_part = status == 206;
    // The parts of such a body have types of their own.
    let may_hold_json = is_searched(essence) || (is_part && essence == b"multipart/byteranges");
    if !may_hold_json {
        return BodyPlan::Pass;
    }
    let mut encodings = content_encoding.unwrap_or_default().split(|byte| *byte == b',');
    let is_encoded = encodings.any(|encoding| {
        let encoding = encoding.trim_ascii();
        !encoding.is_empty() && !encoding.eq_ignore_ascii_case(b"identity")
    });
    if is_encoded || !parts.all(keeps_ascii) {
        BodyPlan::Unreadable
    } else if is_part {
        BodyPlan::PartOfJson
    } else {
        BodyPlan::Redact
    }
}

/// JSON as nearly all servers call it.
fn is_usual_json(content_type: &[u8]) -> bool {
    matches!(
        content_type,
        b"application/json"
            | b"application/json; charset=utf-8"
            | b"application/json;charset=utf-8"
            | b"application/json; charset=UTF-8"
            | b"application/json;charset=UTF-8"
    )
}

fn lower_case(text: &[u8]) -> Cow<'_, [u8]> {
    if text.iter().any(u8::is_ascii_uppercase) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

fn is_searched(essence: &[u8]) -> bool {
    let is_one_type = essence.contains(&b'/') && !essence.contains(&b',');
    !is_one_type || SEARCHED_TYPES.contains(&essence) || essence.ends_with(b"+json")
}

/// Whether a parameter of the type leaves ASCII what it is: a character set such as UTF-16 does not.
fn keeps_ascii(parameter: &[u8]) -> bool {
    let Some(charset) = parameter.strip_prefix(b"charset") else {
        return true;
    };
    let Some(charset) = charset.trim_ascii_start().strip_prefix(b"=") else {
        return true;
    };
    let charset = charset.trim_ascii();
    let charset = charset.strip_prefix(b"\"").unwrap_or(charset);
    let charset = charset.strip_suffix(b"\"").unwrap_or(charset);
    let families: [&[u8]; 3] = [b"iso-8859-", b"iso8859-", b"windows-125"];
    matches!(charset, b"" | b"utf-8" | b"utf8" | b"us-ascii" | b"ascii" | b"latin1")
        || families.iter().any(|family| charset.starts_with(family))
}

#[cfg(test)]
mod tests {
    use super::{BodyPlan, plan};

    #[test]
    fn whatever_calls_itself_json_or_a_script_is_searched() {
        for name in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/json;charset=\"utf-8\"",
            "application/json;odata=verbose",
            "text/json",
            "application/hal+json",
            "application/problem+json ; x=y",
            "application/x-ndjson",
            "application/json-seq",
            "application/javascript",
            "text/javascript; charset=windows-1252",
        ] {
            let plan = |status| plan(status, Some(name.as_bytes()), None);
            assert_eq!(plan(200), BodyPlan::Redact, "{name}");
            assert_eq!(plan(404), BodyPlan::Redact, "{name}");
            assert_eq!(plan(206), BodyPlan::PartOfJson, "{name}");
        }
    }

    #[test]
    fn files_pages_and_answers_without_a_body_pass() {
        for name in
            ["image/png", "video/mp4", "text/html", "application/pdf", "text/plain", "a/json"]
        {
            for status in [200, 206] {
                assert_eq!(plan(status, Some(name.as_bytes()), Some(b"gzip")), BodyPlan::Pass);
            }
        }
        for status in [100, 204, 205, 304] {
            assert_eq!(plan(status, Some(b"application/json"), None), BodyPlan::Pass);
        }
    }

    #[test]
    fn a_type_that_is_missing_or_not_one_type_is_searched_to_be_safe() {
        let names: [Option<&[u8]>; 5] =
            [None, Some(b""), Some(b";"), Some(b"json"), Some(b"text/html, application/json")];
        for name in names {
            assert_eq!(plan(200, name, None), BodyPlan::Redact);
            assert_eq!(plan(200, name, Some(b"br")), BodyPlan::Unreadable);
            assert_eq!(plan(206, name, None), BodyPlan::PartOfJson);
        }
    }

    #[test]
    fn json_that_cannot_be_read_here_is_told_from_json_that_can() {
        let json = |encoding: &str| plan(200, Some(b"application/json"), Some(encoding.as_bytes()));
        for encoding in ["gzip", "br", "zstd", "x-anything", "identity, gzip", "GZIP"] {
            assert_eq!(json(encoding), BodyPlan::Unreadable, "{encoding}");
        }
        for encoding in ["", "identity", "Identity", "identity, identity"] {
            assert_eq!(json(encoding), BodyPlan::Redact, "{encoding}");
        }
        for charset in ["utf-16", "UTF-16LE", "utf-32", "utf-7", "cp037"] {
            let name = format!("application/json; charset={charset}");
            assert_eq!(plan(200, Some(name.as_bytes()), None), BodyPlan::Unreadable, "{charset}");
        }
    }

    #[test]
    fn ranges_of_which_one_may_be_json_are_not_taken_for_a_file() {
        let name = b"multipart/byteranges; boundary=x";
        assert_eq!(plan(206, Some(name), None), BodyPlan::PartOfJson);
        assert_eq!(plan(200, Some(name), None), BodyPlan::Pass);
    }
}
