//! IntelligenceBank's errors: status, code and text of each declared together.

use std::collections::BTreeMap;

use axum::response::Response;
use http::header::{ALLOW, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde_json::json;

use crate::reply;

/// An error with a code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ApiError {
    AuthenticationRequired,
    NoPermission,
    NotFound,
    ResourceNotFound,
    FolderParentNotFound,
    RecordNotFound,
    QueryParametersInvalid,
    MethodNotAllowed { allow: &'static str },
    TooManyCalls { retry_after: i64 },
}

impl ApiError {
    /// Status, code, and the text that stands in the code's place when the query says `verbose`.
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::AuthenticationRequired => (
                StatusCode::UNAUTHORIZED,
                "error.authentication.required",
                "No valid session. Authentication is required",
            ),
            Self::NoPermission => (StatusCode::FORBIDDEN, "error.no_permission", "No Permission"),
            Self::NotFound => (StatusCode::NOT_FOUND, "error.not_found", "Not Found"),
            Self::ResourceNotFound => {
                (StatusCode::NOT_FOUND, "error.resource.not_found", "Resource Not Found")
            }
            Self::FolderParentNotFound => {
                (StatusCode::NOT_FOUND, "error.folder.parent.not_found", "Parent Folder Not Found")
            }
            Self::RecordNotFound => {
                (StatusCode::NOT_FOUND, "error.record.not_found", "Record Not Found")
            }
            Self::QueryParametersInvalid => (
                StatusCode::BAD_REQUEST,
                "error.service.query_params.invalid",
                "Invalid Query Parameters",
            ),
            Self::MethodNotAllowed { .. } => {
                (StatusCode::METHOD_NOT_ALLOWED, "error.method.not_allowed", "Method Not Allowed")
            }
            Self::TooManyCalls { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "error.too_many_requests", "Too Many Requests")
            }
        }
    }

    /// The error as IntelligenceBank answers it.
    pub(super) fn answer(self, verbose: bool) -> Response {
        let (status, code, text) = self.parts();
        let shown = if verbose { text } else { code };
        let mut response = reply::json(status, &json!({"error": shown}));
        match self {
            Self::TooManyCalls { retry_after } => {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_after));
            }
            Self::MethodNotAllowed { allow } => {
                response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
            }
            _ => {}
        }
        response
    }
}

/// Why a call was not carried out.
#[derive(Debug)]
pub(super) enum Failure {
    /// An error with a code.
    Error(ApiError),
    /// 400 with a map of the fields that are wrong.
    Fields(BTreeMap<&'static str, &'static str>),
}

impl Failure {
    /// 400 because of one field.
    pub(super) fn field(name: &'static str, reason: &'static str) -> Self {
        Self::Fields(BTreeMap::from([(name, reason)]))
    }

    /// The failure as IntelligenceBank answers it.
    pub(super) fn answer(self, verbose: bool) -> Response {
        match self {
            Self::Error(error) => error.answer(verbose),
            Self::Fields(fields) => reply::json(StatusCode::BAD_REQUEST, &json!({"error": fields})),
        }
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Error(error)
    }
}
