//! `/healthz`: the process answers, and will go on to. `/readyz`: its store does too. `/metrics`: for Prometheus. Where
//! an instance is about to stop, `/readyz` and the public `/healthz` say so; the internal one asks whether the process
//! is alive.

use std::{sync::Arc, time::Duration};

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
use crate::{app::App, error::Error, store::StoreError};

/// How long the store may take to say that it is ready. Whoever asks does not wait much longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The process answers, and is not about to stop: where the public port alone can be reached, this is what
/// whoever spreads requests over several instances goes by.
#[utoipa::path(
    get,
    path = "/healthz",
    responses((status = 200, description = "It does; 503 before a stop.", body = Health), Failures),
)]
pub(super) async fn healthz(State(app): State<Arc<App>>) -> Result<Response, Error> {
    goes_on(&app)?;
    Ok(alive())
}

fn alive() -> Response {
    reply::json(&json!({ "status": "ok" }))
}

/// The process answers: for who would start it anew where it does not.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "healthz",
    responses((status = 200, description = "It does.", body = Health), Failures),
)]
pub(super) async fn internal_healthz() -> Response {
    alive()
}

fn goes_on(app: &App) -> Result<(), Error> {
    if app.draining.has_begun() { Err(Error::Stopping) } else { Ok(()) }
}

/// The store can be read and written, and the service is not about to stop.
#[utoipa::path(
    get,
    path = "/readyz",
    responses((status = 200, description = "It can; else 503, as before a stop.", body = Health), Failures),
)]
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Result<Response, Error> {
    goes_on(&app)?;
    in_time(PATIENCE, app.records.store().ready()).await?;
    if app.audit.forbids_grants() {
        return Err(Error::AuditUnavailable);
    }
    Ok(reply::json(&json!({ "status": "ready" })))
}

/// A store that does not answer is as good as one that has failed.
async fn in_time(
    limit: Duration,
    ready: impl Future<Output = Result<(), StoreError>>,
) -> Result<(), Error> {
    let ready = tokio::time::timeout(limit, ready).await;
    Ok(ready.map_err(|_| Error::StoreUnavailable)??)
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

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

    use super::in_time;
    use crate::{error::Error, store::StoreError};

    #[tokio::test]
    async fn a_store_that_hangs_is_not_ready_and_the_probe_hears_so_in_time() {
        let limit = Duration::from_millis(20);
        assert_eq!(in_time(limit, pending()).await, Err(Error::StoreUnavailable));
        let closed = async { Err(StoreError::Closed) };
        assert_eq!(in_time(limit, closed).await, Err(Error::StoreUnavailable));
        assert_eq!(in_time(limit, async { Ok(()) }).await, Ok(()));
    }
}
