//! What every answer says once the service is about to stop: ask somebody else from now on.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue, header::CONNECTION},
    middleware::Next,
    response::Response,
};

use crate::app::App;

/// Envoy takes the instance out of a cluster that has active health checks as soon as it reads this, and
/// the health check that gets it has failed (Envoy's "fast failure" of health checks).
pub(crate) const LEAVE: HeaderName = HeaderName::from_static("x-envoy-immediate-health-check-fail");

/// Marks the answers of an instance that is about to stop, and has their connections closed.
pub(super) async fn tell(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if app.draining.has_begun() {
        let headers = response.headers_mut();
        headers.insert(LEAVE, HeaderValue::from_static("true"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
