//! What operators may do on the internal port: list grants and revoke them. The gateway's credential
//! opens none of it, and without the setting `admin` there is none of it.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Uri},
    response::Response,
};

use super::{
    authenticate,
    openapi::{
        answers::{Failures, Forms, OperatorRefused},
        forms::{GrantRevocationForm, GrantsQuery},
    },
    parameters,
    parameters::Parameters,
    reply,
    reply::ErrorBody,
};
use crate::{
    app::App,
    audit::{self, Entry, Event},
    error::Error,
    grants::{GrantPage, MOST_GRANTS, Revocation, Selector},
};

/// Longest value that grants are looked for by, in bytes.
const LONGEST_VALUE: usize = 512;

/// The living grants of one subject, client or platform.
#[utoipa::path(
    get,
    path = "/admin/grants",
    operation_id = "list_grants",
    params(GrantsQuery),
    responses(
        (status = 200, description = "Some of them, and where to go on.", body = GrantPage),
        (status = 400, description = "The query selects nothing, or too much.", body = ErrorBody<'static>),
        (status = 404, description = "There are no `admin.credentials`.", body = ErrorBody<'static>),
        OperatorRefused, Failures,
    ),
    security(("operator_credential" = [])),
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Error> {
    authenticate::operator(&app.settings, &headers)?;
    let query = Parameters::of_query(uri.query())?;
    let selector = selector(&query)?.ok_or_else(none_selected)?;
    let limit = match query.text("limit")? {
        None => MOST_GRANTS,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=MOST_GRANTS).contains(limit))
            .ok_or_else(|| Error::parameter("Malformed", "limit"))?,
    };
    let page = app.grants.list(&selector, after(&query)?, limit).await?;
    audit::record(&Entry::success(Event::AdminAction).reason("grants_listed"));
    Ok(reply::json(&page))
}

/// Revokes one grant, or up to 100 of a subject, a client or a platform.
#[utoipa::path(
    post,
    path = "/admin/grants/revoke",
    operation_id = "revoke_grants",
    request_body(content = GrantRevocationForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "How many, and where to go on.", body = Revocation),
        (status = 404, description = "There are no `admin.credentials`.", body = ErrorBody<'static>),
        Forms, OperatorRefused, Failures,
    ),
    security(("operator_credential" = [])),
)]
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Error> {
    authenticate::operator(&app.settings, request.headers())?;
    let form = parameters::form(request, app.settings.server).await?;
    let (form, grant) = (&form.parameters, value(&form.parameters, "grant")?);
    let revocation = match (selector(form)?, grant) {
        (None, Some(grant)) => app.grants.revoke_grant(grant).await?,
        (Some(selector), None) => app.grants.revoke_some(&selector, after(form)?).await?,
        (None, None) | (Some(_), Some(_)) => return Err(none_selected()),
    };
    let done = Entry::success(Event::AdminAction).reason("grants_revoked");
    audit::record(&grant.into_iter().fold(done, Entry::grant));
    Ok(reply::json(&revocation))
}

/// What the grants are selected by: at most one of the three.
fn selector(parameters: &Parameters) -> Result<Option<Selector>, Error> {
    let selected = [
        value(parameters, "subject")?.map(|value| Selector::Subject(value.to_owned())),
        value(parameters, "client_id")?.map(|value| Selector::Client(value.to_owned())),
        value(parameters, "platform")?.map(|value| Selector::Platform(value.to_owned())),
    ];
    let mut selected = selected.into_iter().flatten();
    match (selected.next(), selected.next()) {
        (selector, None) => Ok(selector),
        _ => Err(none_selected()),
    }
}

/// The grant that the page before has named.
fn after(parameters: &Parameters) -> Result<Option<&str>, Error> {
    value(parameters, "after")
}

fn value<'p>(parameters: &'p Parameters, name: &'static str) -> Result<Option<&'p str>, Error> {
    let value = parameters.text(name)?;
    if value.is_some_and(|value| value.len() > LONGEST_VALUE || value.contains('/')) {
        return Err(Error::parameter("Malformed", name));
    }
    Ok(value)
}

fn none_selected() -> Error {
    Error::invalid_request("Name one of subject, client_id and platform, or a grant to revoke")
}
