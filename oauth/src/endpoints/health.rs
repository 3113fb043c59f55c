//! `/healthz`: the process answers. `/readyz`: its store does too. `/metrics`: for Prometheus.

use std::sync::Arc;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use serde_json::json;

use super::reply;
use crate::{app::App, error::Error};

pub(super) async fn healthz() -> Response {
    reply::json(&json!({ "status": "ok" }))
}

pub(super) async fn readyz(State(app): State<Arc<App>>) -> Result<Response, Error> {
    app.records.store().ready().await?;
    Ok(reply::json(&json!({ "status": "ready" })))
}

pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (headers, app.metrics.render()).into_response()
}
