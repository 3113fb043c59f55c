//! `POST /sessions/renew`: the gateway asks for a newer session.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};
use ib_contract::{RenewalCause, RenewalRequest, renewal_field as field};

use super::{
    authenticate, introspect,
    openapi::{
        answers::{Failures, Forms, GatewayRefused},
        forms::RenewalForm,
        schemas::GatewayIntrospection,
    },
    parameters,
};
use crate::{app::App, error::Error};

/// Answers as an introspection of the same token does.
#[utoipa::path(
    post,
    path = "/sessions/renew",
    operation_id = "renew",
    request_body(content = RenewalForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "As an introspection.", body = GatewayIntrospection),
        Forms, GatewayRefused, Failures,
    ),
    security(("gateway_credential" = [])),
)]
pub(super) async fn renew(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Error> {
    authenticate::gateway(&app.settings, request.headers())?;
    let form = parameters::form(request, app.settings.server).await?;
    let required = |name| form.parameters.required(name);
    let malformed = |name| Error::parameter("Malformed", name);
    let request = RenewalRequest {
        token: required(field::TOKEN)?,
        session: required(field::SESSION)?,
        generation: required(field::GENERATION)?
            .parse()
            .map_err(|_| malformed(field::GENERATION))?,
        cause: RenewalCause::parse(required(field::CAUSE)?)
            .ok_or_else(|| malformed(field::CAUSE))?,
    };
    let looked = app.renewals.renew(&app.grants, &request).await?;
    introspect::gateway_answer(&app, looked).await
}
