//! `/healthz`: the process answers. `/readyz`: its store does too. `/metrics`: for Prometheus.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use serde_json::json;

use super::reply;
use crate::{app::App, error::Error, store::StoreError};

/// How long the store may take to say that it is ready. Whoever asks does not wait much longer.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn healthz() -> Response {
    reply::json(&json!({ "status": "ok" }))
}

pub(super) async fn readyz(State(app): State<Arc<App>>) -> Result<Response, Error> {
    in_time(PATIENCE, app.records.store().ready()).await?;
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
