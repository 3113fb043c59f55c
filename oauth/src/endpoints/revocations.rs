//! `GET /revocations`: the gateway waits for what has ended.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};

use super::{
    authenticate,
    openapi::{
        answers::{Failures, GatewayRefused},
        forms::RevocationsQuery,
        schemas::Revocations,
    },
    parameters::Parameters,
    reply,
    reply::ErrorBody,
};
use crate::{app::App, error::Error};

/// `after`: the number of the last event that the gateway knows. `wait`: how long it would wait for
/// another one, in seconds; without it the answer comes at once.
#[utoipa::path(
    get,
    path = "/revocations",
    params(RevocationsQuery),
    responses(
        (status = 200, description = "What has ended since.", body = Revocations),
        (status = 400, description = "The query is refused.", body = ErrorBody<'static>),
        GatewayRefused, Failures,
    ),
    security(("gateway_credential" = [])),
)]
pub(super) async fn revocations(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Error> {
    authenticate::gateway(&app.settings, &headers)?;
    let parameters = Parameters::of_query(uri.query())?;
    let number = |name: &'static str| -> Result<Option<u64>, Error> {
        let text = parameters.text(name)?;
        text.map(|text| text.parse().map_err(|_| Error::parameter("Malformed", name))).transpose()
    };
    let (after, wait) = (number("after")?, number("wait")?.unwrap_or_default());
    // The time limit of other requests counts beside the wait.
    let limit = app
        .settings
        .server
        .request_timeout
        .saturating_add(Duration::from_secs(ib_contract::LONGEST_WAIT_SECONDS));
    match tokio::time::timeout(limit, app.feed.poll(after, wait)).await {
        Ok(answer) => Ok(reply::json(&answer?)),
        Err(_) => Err(Error::Timeout),
    }
}
