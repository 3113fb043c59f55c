//! What operators may know of machine credentials, and do to them, on the internal port.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::HeaderMap,
    response::Response,
};
use serde::Serialize;

use super::{
    authenticate,
    openapi::{
        answers::{Failures, Forms, OperatorRefused},
        forms::CredentialForm,
    },
    parameters, reply,
    reply::ErrorBody,
};
use crate::{
    app::App,
    audit::{self, Entry, Event},
    error::Error,
    machine_credentials::CredentialOverview,
};

/// All machine credentials.
#[derive(Serialize, utoipa::ToSchema)]
struct Credentials {
    credentials: Vec<CredentialOverview>,
}

/// How each machine credential is. No key and no token is in it.
#[utoipa::path(
    get,
    path = "/admin/credentials",
    operation_id = "list_credentials",
    responses(
        (status = 200, description = "In the order of the settings.", body = Credentials),
        (status = 404, description = "There are no `admin.credentials`.", body = ErrorBody<'static>),
        OperatorRefused, Failures,
    ),
    security(("operator_credential" = [])),
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    authenticate::operator(&app.settings, &headers)?;
    let credentials = app.machine_credentials.overviews().await?;
    audit::record(&Entry::success(Event::AdminAction).reason("credentials_listed"));
    Ok(reply::json(&Credentials { credentials }))
}

/// Acquires another token for one credential, whether or not the present one is due. 503: the endpoint
/// gave none; the present one stays.
#[utoipa::path(
    post,
    path = "/admin/credentials/refresh",
    operation_id = "refresh_credential",
    request_body(content = CredentialForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "How it is now.", body = CredentialOverview),
        (status = 404, description = "No such credential, or no `admin.credentials`.", body = ErrorBody<'static>),
        Forms, OperatorRefused, Failures,
    ),
    security(("operator_credential" = [])),
)]
pub(super) async fn refresh(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Error> {
    authenticate::operator(&app.settings, request.headers())?;
    let form = parameters::form(request, app.settings.server).await?;
    let forced = app.machine_credentials.force(form.parameters.required("name")?).await?;
    Ok(reply::json(&forced.ok_or(Error::NotFound)?))
}
