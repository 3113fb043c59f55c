//! `POST /api/json`: calls whose real method and table are in the body.

use axum::response::Response;
use http::{HeaderMap, Method};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::error::{ApiError, Failure};
use super::table_path::TablePath;
use super::{ApiBody, ApiCall, dispatch};
use crate::accounts::Identity;

/// Unknown fields are ignored, as an API that grows does.
#[derive(Deserialize)]
struct Tunnelled {
    method: String,
    version: String,
    client: String,
    table: String,
    #[serde(default)]
    query_params: Map<String, Value>,
    data: Option<Value>,
}

/// Unpacks the call in `body` and answers it.
pub(super) fn answer(
    method: &Method,
    body: Option<Value>,
    headers: &HeaderMap,
    identity: Identity,
    sid: &str,
) -> Response {
    if *method != Method::POST {
        return ApiError::MethodNotAllowed { allow: "POST" }.answer(false);
    }
    let invalid = || Failure::from(ApiError::QueryParametersInvalid).answer(false);
    let Some(Ok(call)) = body.map(serde_json::from_value::<Tunnelled>) else { return invalid() };
    let Ok(method) = Method::from_bytes(call.method.as_bytes()) else { return invalid() };
    if call.version != "3.0.0" || call.client.is_empty() {
        return invalid();
    }
    let raw_query = to_query(&call.query_params);
    dispatch(ApiCall {
        method,
        client_id: &call.client,
        path: TablePath::parse(&call.table),
        raw_query: &raw_query,
        headers,
        body: ApiBody::Json(call.data.map(|data| json!({"data": data}))),
        identity,
        sid,
    })
}

fn to_query(parameters: &Map<String, Value>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (key, value) in parameters {
        match value {
            Value::String(text) => query.append_pair(key, text),
            Value::Null => query.append_key_only(key),
            other => query.append_pair(key, &other.to_string()),
        };
    }
    query.finish()
}
