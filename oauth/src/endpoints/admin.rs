//! What operators may do on the internal port: list grants and revoke them. The gateway's credential
//! opens none of it, and without the setting `admin` there is none of it.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Uri},
    response::Response,
};
use tracing::Instrument as _;

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
    audit::{self, Entry, Event, Outcome},
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
    let entry = Entry::success(Event::AdminAction).reason("grants_listed");
    audit::record(&about(&selector, entry));
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
    let which = match (selector(form)?, grant) {
        (None, Some(grant)) => Which::Grant(grant.to_owned()),
        (Some(selector), None) => Which::Selected(selector, after(form)?.map(str::to_owned)),
        (None, None) | (Some(_), Some(_)) => return Err(none_selected()),
    };
    // What was begun is done and told in the log, also when the operator hangs up.
    let work = audit::carried(async move { revoke_and_record(&app, &which).await });
    let done = tokio::spawn(work.in_current_span()).await;
    Ok(reply::json(&done.unwrap_or(Err(Error::Internal))?))
}

/// Which grants an operator revokes.
enum Which {
    Grant(String),
    /// Behind the grant that the answer before has named.
    Selected(Selector, Option<String>),
}

async fn revoke_and_record(app: &App, which: &Which) -> Result<Revocation, Error> {
    let done = match which {
        Which::Grant(grant) => app.grants.revoke_grant(grant).await,
        Which::Selected(selector, after) => {
            app.grants.revoke_some(selector, after.as_deref()).await
        }
    };
    let outcome = if done.is_ok() { Outcome::Success } else { Outcome::Failure };
    let entry = Entry::new(Event::AdminAction, outcome).reason("grants_revoked");
    audit::record(&match which {
        Which::Grant(grant) => entry.grant(grant),
        Which::Selected(selector, _) => about(selector, entry),
    });
    done
}

/// The entry with what grants were selected by.
fn about<'e>(selector: &'e Selector, entry: Entry<'e>) -> Entry<'e> {
    match selector {
        Selector::Subject(sub) => entry.subject(sub),
        Selector::Client(id) => entry.client(id),
        Selector::Platform(host) => entry.platform(host),
    }
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
    // A client's id may be a URL; a grant's id is part of a record's name.
    let is_id = matches!(name, "grant" | "after");
    if value.is_some_and(|value| value.len() > LONGEST_VALUE || (is_id && value.contains('/'))) {
        return Err(Error::parameter("Malformed", name));
    }
    Ok(value)
}

fn none_selected() -> Error {
    Error::invalid_request("Name one of subject, client_id and platform, or a grant to revoke")
}
