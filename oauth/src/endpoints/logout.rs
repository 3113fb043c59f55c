//! `POST /logout`: ends a grant with all that it issued, and the session behind it.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header},
    response::Response,
};

use super::{authenticate, metadata, parameters, reply};
use crate::{app::App, error::Error, grants::LogOut};

/// Whoever holds an access token may end its grant by it; or a client by one of its tokens in a form, as
/// it would revoke it. 200 without a body, whether or not there was anything to end, as RFC 7009 section
/// 2.2 has it.
pub(super) async fn logout(State(app): State<Arc<App>>, request: Request) -> Response {
    match log_out(&app, request).await {
        Ok(()) => reply::done(),
        Err(error) => reply::resource_error(error, &metadata::resource_metadata_url(&app.settings)),
    }
}

async fn log_out(app: &App, request: Request) -> Result<(), Error> {
    let limit = app.settings.server.maximum_body_bytes;
    if !authenticate::has_bearer(request.headers()) {
        if !brings_a_body(request.headers()) {
            return Err(Error::MissingToken);
        }
        let form = parameters::form(request, limit).await?;
        let client = authenticate::client(app, &form.headers, &form.parameters).await?;
        let token = form.parameters.required("token")?;
        return app.logouts.log_out(&app.grants, LogOut::Client { client: &client, token }).await;
    }
    // A body is not needed. If there is a form, no second token may be in it.
    let headers = request.headers().clone();
    if brings_a_body(&headers) {
        let form = parameters::form(request, limit).await?;
        for name in ["token", "access_token"] {
            if form.parameters.text(name)?.is_some() {
                return Err(Error::invalid_request("Send one token, in the header or in the form"));
            }
        }
    } else {
        parameters::refuse_credentials_in(request.uri())?;
    }
    let token = authenticate::bearer(&headers)?;
    app.logouts.log_out(&app.grants, LogOut::Bearer(token)).await
}

fn brings_a_body(headers: &HeaderMap) -> bool {
    headers.contains_key(header::CONTENT_TYPE)
}
