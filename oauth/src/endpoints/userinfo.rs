//! `GET /userinfo`: who logged in.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use ib_contract::InactiveReason;
use serde::Serialize;

use super::{
    authenticate,
    caller::Caller,
    metadata,
    openapi::answers::{Failures, Limited},
    parameters::Parameters,
    reply,
    reply::ErrorBody,
};
use crate::{
    app::App,
    error::Error,
    grants::{AccessRecord, GoodToken, Holder, Looked, session_over},
    limits::Endpoint,
    sessions::Session,
};

/// The scope that this resource needs.
const SCOPE: &str = "profile";

/// IntelligenceBank's own id of the user stands in `sub`, as clients of the old bridge expect. It names
/// the user within a customer, so that only with `ib_client_id` or `ib_platform_url` nobody else is meant.
#[derive(Serialize, utoipa::ToSchema)]
struct UserInfo {
    sub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    given_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    family_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// Seconds since the Unix epoch: when IntelligenceBank last told us, at the login.
    updated_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ib_client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ib_api_url: Option<String>,
    ib_user_uuid: String,
    ib_platform_url: String,
}

/// Who the token speaks for.
#[utoipa::path(
    get,
    path = "/userinfo",
    responses(
        (status = 200, description = "The person.", body = UserInfo),
        (status = 400, description = "The request is refused.", body = ErrorBody<'static>),
        (
            status = 401, description = "No token, or none that is good.", body = ErrorBody<'static>,
            headers(("WWW-Authenticate" = String, description = "RFC 6750 section 3, RFC 9728.")),
        ),
        (
            status = 403, description = "`insufficient_scope`.", body = ErrorBody<'static>,
            headers(("WWW-Authenticate" = String, description = "RFC 6750 section 3, RFC 9728.")),
        ),
        Limited, Failures,
    ),
    security(("access_token" = [])),
)]
pub(super) async fn userinfo(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    match look_up(&app, caller, &headers, &uri).await {
        Ok((token, session)) => reply::json(&describe(token, session)),
        Err(error) => {
            let url = metadata::resource_metadata_url(&app.settings);
            reply::resource_error(error, &url)
        }
    }
}

async fn look_up(
    app: &App,
    caller: Caller,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<(AccessRecord, Session), Error> {
    // It asks what an introspection asks.
    app.limits.address(Endpoint::Introspect, caller.0)?;
    // A token in a query ends up in logs (RFC 9700 section 4.3.2).
    if !Parameters::of_query(uri.query())?.texts("access_token")?.is_empty() {
        return Err(Error::invalid_request("An access token in the query is not accepted"));
    }
    let GoodToken { token, holder, .. } =
        match app.grants.look_up(authenticate::bearer(headers)?).await? {
            Looked::Good(good) => *good,
            Looked::Refused(InactiveReason::InvalidToken) => {
                return Err(Error::InvalidToken("Invalid or expired access token"));
            }
            Looked::Refused(reason) => return Err(Error::InvalidToken(session_over(reason))),
        };
    // A token for another resource, presented here by that resource, opens nothing.
    if token.audience != app.settings.resources.default {
        return Err(Error::InvalidToken("The access token is for another resource"));
    }
    // One that speaks for a client speaks for no person.
    let Holder::Person(session) = holder else { return Err(Error::InsufficientScope(SCOPE)) };
    if !token.scope.split(' ').any(|scope| scope == SCOPE) {
        return Err(Error::InsufficientScope(SCOPE));
    }
    Ok((token, *session))
}

fn describe(token: AccessRecord, session: Session) -> UserInfo {
    let person = session.person;
    let names: Vec<_> = [&person.given_name, &person.family_name]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    UserInfo {
        sub: token.sub,
        name: (!names.is_empty()).then(|| names.join(" ")),
        given_name: person.given_name,
        family_name: person.family_name,
        email: person.email,
        updated_at: session.created_at,
        ib_client_id: session.ib_client_id,
        ib_api_url: session.api_host.map(|host| format!("https://{host}")),
        ib_user_uuid: person.uuid,
        ib_platform_url: format!("https://{}", session.platform_host),
    }
}
