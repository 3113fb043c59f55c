//! How pages and their files are answered.

use askama::Template;
use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::error::Error;

/// The media type of stylesheets.
pub(super) const CSS: &str = "text/css; charset=utf-8";
/// The media type of scripts.
pub(super) const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// A page that no cache keeps and no other page frames, under a content security policy.
pub(super) fn page(status: StatusCode, page: &impl Template, policy: &'static str) -> Response {
    let Ok(html) = page.render() else { return Error::Internal.into_response() };
    let headers = [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, Html(html)).into_response()
}

/// A file that belongs to a page. Browsers keep it and ask each time whether it is still the same (304),
/// so that after an upgrade no new page runs with an old script.
pub(super) fn file(asked: &HeaderMap, media_type: &'static str, text: &'static str) -> Response {
    let tag = entity_tag(text);
    let is_known = is_one_of(asked, &tag);
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, "public, no-cache"),
        (header::ETAG, &tag),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    if is_known {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, text).into_response()
}

/// The entity tag of a text (RFC 9110 section 8.8.3).
fn entity_tag(text: &str) -> String {
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(Sha256::digest(text.as_bytes())))
}

/// Whether `If-None-Match` names the tag, by the weak comparison (RFC 9110 section 13.1.2).
fn is_one_of(asked: &HeaderMap, tag: &str) -> bool {
    asked
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|own| own == "*" || own.strip_prefix("W/").unwrap_or(own) == tag)
}
