//! Downloads and previews: `resource/{uuid}?action=download`.

use axum::body::Body;
use axum::response::Response;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG, IF_NONE_MATCH, IF_RANGE, RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use tokio_util::io::ReaderStream;

use super::ApiCall;
use super::content::Content;
use super::error::{ApiError, Failure};
use super::range::{Selection, select};
use crate::query;

const DEFAULT_SIZE: u64 = 65_536;
/// `bytes-N` names a download of N bytes.
const SIZE_PREFIX: &str = "bytes-";
const MAXIMUM_SIZE: u64 = 16 * 1024 * 1024 * 1024;
/// All of a download that is ever in memory here.
const PIECE: usize = 64 * 1024;

/// Whether the query asks for the bytes of a resource.
pub(super) fn is_download(raw_query: &str) -> bool {
    query::value(raw_query, "action")
        .is_some_and(|action| matches!(action.as_str(), "download" | "preview"))
}

/// Streams the bytes of the resource `id`, or the part that the request's `Range` names.
pub(super) fn answer(id: &str, call: &ApiCall<'_>) -> Result<Response, Failure> {
    let size = size_of(id)?;
    let tag = entity_tag(id, size);
    if header(call.headers, &IF_NONE_MATCH).is_some_and(|tags| matches_tag(tags, &tag)) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        set(&mut response, ETAG, &tag);
        return Ok(response);
    }
    // A range of another version of the content would be mixed up with this one.
    let range = header(call.headers, &RANGE)
        .filter(|_| header(call.headers, &IF_RANGE).is_none_or(|wanted| wanted == tag));
    let (status, start, end) = match select(range, size) {
        Selection::Whole => (StatusCode::OK, 0, size),
        Selection::Part(first, last) => {
            (StatusCode::PARTIAL_CONTENT, first, last.saturating_add(1))
        }
        Selection::Unsatisfiable => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            set(&mut response, CONTENT_RANGE, &format!("bytes */{size}"));
            return Ok(response);
        }
    };
    let body = if call.method == Method::HEAD {
        Body::empty()
    } else {
        Body::from_stream(ReaderStream::with_capacity(Content::new(start, end), PIECE))
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let length = end.saturating_sub(start);
    set(&mut response, CONTENT_LENGTH, &length.to_string());
    set(&mut response, CONTENT_TYPE, "application/octet-stream");
    set(&mut response, CONTENT_DISPOSITION, &disposition(id, call.raw_query));
    set(&mut response, ACCEPT_RANGES, "bytes");
    set(&mut response, CACHE_CONTROL, "private, max-age=0");
    set(&mut response, ETAG, &tag);
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {start}-{}/{size}", end.saturating_sub(1));
        set(&mut response, CONTENT_RANGE, &range);
    }
    Ok(response)
}

fn size_of(id: &str) -> Result<u64, ApiError> {
    let Some(size) = id.strip_prefix(SIZE_PREFIX) else { return Ok(DEFAULT_SIZE) };
    size.parse().ok().filter(|size| *size <= MAXIMUM_SIZE).ok_or(ApiError::ResourceNotFound)
}

fn entity_tag(id: &str, size: u64) -> String {
    format!("\"{}-{size}\"", plain(id))
}

fn disposition(id: &str, raw_query: &str) -> String {
    let action = query::value(raw_query, "action").unwrap_or_default();
    let kind = if action == "preview" { "inline" } else { "attachment" };
    format!("{kind}; filename=\"asset-{}.bin\"", plain(id))
}

/// `id` with only those characters that mean nothing in a header.
fn plain(id: &str) -> String {
    id.chars().filter(|character| character.is_ascii_alphanumeric() || *character == '-').collect()
}

fn matches_tag(tags: &str, tag: &str) -> bool {
    tags.split(',').map(str::trim).any(|wanted| wanted == "*" || wanted == tag)
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn set(response: &mut Response, name: HeaderName, value: &str) {
    // Every value above is made of plain characters.
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
