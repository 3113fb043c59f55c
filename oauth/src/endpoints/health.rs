//! `/healthz`: the process answers. `/readyz`: its store does too. `/metrics`: for Prometheus.

use std::sync::Arc;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use serde_json::json;

use super::{
    openapi::{answers::Failures, schemas::Health},
    reply,
};
use crate::{app::App, error::Error};

/// The process answers.
#[utoipa::path(
    get,
    path = "/healthz",
    responses((status = 200, description = "It does.", body = Health), Failures),
)]
pub(super) async fn healthz() -> Response {
    reply::json(&json!({ "status": "ok" }))
}

/// The process answers.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "healthz",
    responses((status = 200, description = "It does.", body = Health), Failures),
)]
pub(super) async fn internal_healthz() -> Response {
    healthz().await
}

/// The store can be read and written.
#[utoipa::path(
    get,
    path = "/readyz",
    responses((status = 200, description = "It can; else 503.", body = Health), Failures),
)]
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Result<Response, Error> {
    app.records.store().ready().await?;
    if app.audit.forbids_grants() {
        return Err(Error::AuditUnavailable);
    }
    Ok(reply::json(&json!({ "status": "ready" })))
}

/// For Prometheus: docs/observability.md lists them.
#[utoipa::path(
    get,
    path = "/metrics",
    responses(
        (status = 200, description = "The text format.", body = String, content_type = "text/plain"),
        Failures,
    ),
)]
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (headers, app.metrics.render()).into_response()
}
