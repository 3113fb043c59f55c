//! `POST /logout`: ends a grant with all that it issued, and the session behind it.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header},
    response::Response,
};
use tracing::Instrument as _;

use super::{
    authenticate,
    caller::Caller,
    metadata,
    openapi::{
        answers::{Failures, Forms, Limited},
        forms::LogoutForm,
    },
    parameters, reply,
    reply::ErrorBody,
};
use crate::{app::App, audit, error::Error, grants::LogOut, limits::Endpoint};

/// Ends a grant with all that it issued.
///
/// Whoever holds an access token may end its grant by it; or a client by one of its tokens in a form, as
/// it would revoke it. 200 without a body, whether or not there was anything to end, as RFC 7009 section
/// 2.2 has it.
#[utoipa::path(
    post,
    path = "/logout",
    request_body(content = Option<LogoutForm>, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The token is not good, or not good any more."),
        (
            status = 401, description = "`invalid_client`, `invalid_token`, or nobody named a token.",
            body = ErrorBody<'static>,
            headers(("WWW-Authenticate" = String, description = "RFC 6750 section 3, RFC 7617 section 2.")),
        ),
        Forms, Limited, Failures,
    ),
    security(("access_token" = []), ("client_secret_basic" = []), ()),
)]
pub(super) async fn logout(
    State(app): State<Arc<App>>,
    caller: Caller,
    request: Request,
) -> Response {
    let logged_out = match read(&app, caller, request).await {
        Ok(by) => log_out(Arc::clone(&app), by).await,
        Err(error) => Err(error),
    };
    match logged_out {
        Ok(()) => reply::done(),
        Err(error) => reply::resource_error(error, &metadata::resource_metadata_url(&app.settings)),
    }
}

/// Works on when whoever asked for it goes away: what was to end has to end.
async fn log_out(app: Arc<App>, by: LogOut) -> Result<(), Error> {
    let work = async move { app.logouts.log_out(&app.grants, &by).await };
    tokio::spawn(audit::carried(work).in_current_span()).await.unwrap_or(Err(Error::Internal))
}

/// Who logs out, and by which token.
async fn read(app: &App, caller: Caller, request: Request) -> Result<LogOut, Error> {
    // It ends what a revocation ends, so it counts as one.
    app.limits.address(Endpoint::Revoke, caller.0)?;
    let bounds = app.settings.server;
    if !authenticate::has_bearer(request.headers()) {
        if !brings_a_body(request.headers()) {
            return Err(Error::MissingToken);
        }
        let form = parameters::form(request, bounds).await?;
        let check = authenticate::client(app, &form.headers, &form.parameters);
        let client = caller.authenticated(app, Endpoint::Revoke, check).await?;
        let token = form.parameters.required("token")?.to_owned();
        return Ok(LogOut::Client { client, token });
    }
    // A body is not needed. If there is a form, no second token may be in it.
    let headers = request.headers().clone();
    if brings_a_body(&headers) {
        let form = parameters::form(request, bounds).await?;
        for name in ["token", "access_token"] {
            if form.parameters.text(name)?.is_some() {
                return Err(Error::invalid_request("Send one token, in the header or in the form"));
            }
        }
    } else {
        parameters::refuse_credentials_in(request.uri())?;
    }
    Ok(LogOut::Bearer(authenticate::bearer(&headers)?.to_owned()))
}

fn brings_a_body(headers: &HeaderMap) -> bool {
    headers.contains_key(header::CONTENT_TYPE)
}
