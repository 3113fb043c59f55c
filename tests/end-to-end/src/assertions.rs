//! What every refusal of the gateway has to look like.

use serde_json::json;

use crate::http::Response;

/// Asserts a refusal of the error table: status, exactly these two fields in a JSON body, and
/// `no-store`.
///
/// # Panics
///
/// When something is otherwise; the text shows the answer.
#[track_caller]
pub fn assert_refusal(response: &Response, status: u16, error: &str, description: &str) {
    assert_error_body(response, status, error);
    assert_eq!(
        response.json(),
        json!({ "error": error, "error_description": description }),
        "the body is not the one of the error table: {response:?}"
    );
}

/// Asserts a refusal whose description is free: status, `error`, a description, and `no-store`.
/// Gives the description.
///
/// # Panics
///
/// When something is otherwise; the text shows the answer.
#[track_caller]
pub fn assert_error_body(response: &Response, status: u16, error: &str) -> String {
    assert_eq!(response.status, status, "unexpected status: {response:?}");
    let content_type = response.header("content-type").unwrap_or_default();
    assert!(content_type.starts_with("application/json"), "the refusal is no JSON: {response:?}");
    let body = response.json();
    assert_eq!(body["error"], json!(error), "unexpected error: {response:?}");
    let cache_control = response.list("cache-control");
    assert!(cache_control.contains(&"no-store".to_owned()), "a cache may keep: {response:?}");
    let description = body["error_description"].as_str().unwrap_or_default().to_owned();
    assert!(!description.is_empty(), "a refusal without a description: {response:?}");
    assert!(
        description
            .bytes()
            .all(|byte| matches!(byte, 0x20..=0x7e) && byte != b'"' && byte != b'\\'),
        "RFC 6749 section 5.2 allows other characters only: {description:?}"
    );
    description
}
