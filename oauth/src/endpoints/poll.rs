//! `GET /authorize/poll?token=`: is the login done?

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use serde_json::json;

use super::{
    caller::Caller,
    cookie,
    openapi::{
        answers::{Failures, Limited},
        forms::PollQuery,
        schemas::FinishedLogin,
    },
    parameters::Parameters,
    reply,
    reply::ErrorBody,
};
use crate::{app::App, error::Error, limits::Endpoint, logins::Poll, tokens::PollToken};

/// 404 `authorization_pending` while the login runs; 200 with `redirect_url` when it is done, again
/// for the lifetime of the code, since an answer may get lost; 400 when it ended without a code.
#[utoipa::path(
    get,
    path = "/authorize/poll",
    params(PollQuery),
    responses(
        (status = 200, description = "The login is done.", body = FinishedLogin),
        (status = 400, description = "It ended without a code, or there is none.", body = ErrorBody<'static>),
        (status = 404, description = "`authorization_pending`: not yet.", body = ErrorBody<'static>),
        Limited, Failures,
    ),
)]
pub(super) async fn poll(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Error> {
    app.limits.address(Endpoint::Poll, caller.0)?;
    let parameters = Parameters::of_query(uri.query())?;
    let token = PollToken::parse(parameters.required("token")?).ok_or(Error::ExpiredToken)?;
    let browser = cookie::browser(&app.settings, &headers);
    match app.logins.poll(&token, browser.as_ref()).await? {
        Poll::Pending(_) => Err(Error::AuthorizationPending),
        Poll::Complete(url) => Ok(reply::json(&json!({ "redirect_url": url.expose() }))),
        Poll::Failed(error, _) => Err(error),
    }
}
