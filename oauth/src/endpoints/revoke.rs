//! `POST /revoke` (RFC 7009).

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};

use super::{
    authenticate,
    caller::Caller,
    openapi::{
        answers::{ClientRefused, Failures, Forms, Limited},
        forms::RevocationForm,
    },
    parameters, reply,
};
use crate::{app::App, error::Error, limits::Endpoint};

/// 200 without a body, whether or not there was such a token (section 2.2). `token_type_hint` is not
/// needed: a token says what it is.
#[utoipa::path(
    post,
    path = "/revoke",
    request_body(content = RevocationForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The token is not good, or not good any more."),
        Forms, ClientRefused, Limited, Failures,
    ),
    security((), ("client_secret_basic" = [])),
)]
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Error> {
    app.limits.address(Endpoint::Revoke, caller.0)?;
    let form = parameters::form(request, app.settings.server).await?;
    let check = authenticate::client(&app, &form.headers, &form.parameters);
    let client = caller.authenticated(&app, Endpoint::Revoke, check).await?;
    app.grants.revoke_token(&client, form.parameters.required("token")?).await?;
    Ok(reply::done())
}
