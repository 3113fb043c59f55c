//! `POST /token` (RFC 6749 sections 4.1.3, 4.4, 5 and 6).

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};
use serde::Serialize;

use super::{
    authenticate,
    caller::Caller,
    openapi::{
        answers::{ClientRefused, Failures, Forms, Limited},
        forms::TokenForm,
    },
    parameters,
    parameters::Parameters,
    reply,
};
use crate::{
    app::App,
    clients::{CLIENT_CREDENTIALS, Client},
    error::Error,
    grants::{Exchange, Issued, MachineIssued, Refresh},
    limits::Endpoint,
    settings::Resources,
};

/// The answer. Beside the standard fields stand the facts that clients of the old bridge read; the
/// live session id is among them only where a setting says so.
#[derive(Serialize, utoipa::ToSchema)]
struct TokenReply<'r> {
    access_token: &'r str,
    token_type: &'static str,
    expires_in: u64,
    refresh_token: &'r str,
    scope: &'r str,
    client_id: &'r str,
    platform_url: String,
    #[serde(rename = "apiV3url", skip_serializing_if = "Option::is_none")]
    api_v3_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clientid: Option<&'r str>,
    logintimeoutperiod: u64,
    #[serde(rename = "sidExpiry")]
    sid_expiry: u64,
    #[serde(rename = "sidCreatedAt")]
    sid_created_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'r str>,
}

/// The answer to a client that acts for itself (RFC 6749 section 4.4.3).
#[derive(Serialize, utoipa::ToSchema)]
struct MachineTokenReply<'r> {
    access_token: &'r str,
    token_type: &'static str,
    expires_in: u64,
    scope: &'r str,
    client_id: &'r str,
}

/// Either answer.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it describes answers; none is ever made")]
#[serde(untagged)]
enum AnyTokenReply {
    Person(TokenReply<'static>),
    Machine(MachineTokenReply<'static>),
}

/// A code, a refresh token, or what a client proves of itself, into tokens.
#[utoipa::path(
    post,
    path = "/token",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The tokens.", body = AnyTokenReply),
        Forms, ClientRefused, Limited, Failures,
    ),
    security((), ("client_secret_basic" = [])),
)]
pub(super) async fn token(
    State(app): State<Arc<App>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Error> {
    app.limits.address(Endpoint::Token, caller.0)?;
    let form = parameters::form(request, app.settings.server).await?;
    let parameters = &form.parameters;
    let grant_type = parameters.required("grant_type")?;
    if !["authorization_code", "refresh_token", CLIENT_CREDENTIALS].contains(&grant_type) {
        return Err(Error::UnsupportedGrantType);
    }
    let check = authenticate::client(&app, &form.headers, parameters);
    let client = caller.authenticated(&app, Endpoint::Token, check).await?;
    if !client.may_use(grant_type) {
        return Err(Error::UnauthorizedClient);
    }
    let audience = audience(&app.settings.resources, parameters)?;
    if grant_type == CLIENT_CREDENTIALS {
        let issued = app.grants.issue_to_machine(&client, parameters.text("scope")?, audience);
        return Ok(machine_reply(&client, &issued.await?));
    }
    let issued = if grant_type == "authorization_code" {
        let exchange = Exchange {
            code: parameters.required("code")?,
            redirect_uri: parameters.required("redirect_uri")?,
            code_verifier: parameters.text("code_verifier")?,
            audience,
        };
        app.grants.exchange(&client, &exchange).await?
    } else {
        let refresh = Refresh {
            refresh_token: parameters.required("refresh_token")?,
            scope: parameters.text("scope")?,
            audience,
        };
        app.grants.refresh(&client, &refresh).await?
    };
    Ok(reply(&client.id, &issued, app.settings.tokens.include_sid))
}

/// The audience that the `resource` parameters ask for: none, or one (RFC 8707).
pub(super) fn audience<'s>(
    resources: &'s Resources,
    parameters: &Parameters,
) -> Result<Option<&'s str>, Error> {
    let mut audience = None;
    for resource in parameters.texts("resource")? {
        let next = resources.audience(resource).ok_or(Error::InvalidTarget)?;
        if audience.is_some_and(|audience| audience != next) {
            return Err(Error::InvalidTarget);
        }
        audience = Some(next);
    }
    Ok(audience)
}

fn machine_reply(client: &Client, issued: &MachineIssued) -> Response {
    reply::json(&MachineTokenReply {
        access_token: issued.access_token.expose(),
        token_type: "Bearer",
        expires_in: issued.expires_in,
        scope: &issued.scope,
        client_id: &client.id,
    })
}

fn reply(client_id: &str, issued: &Issued, include_sid: bool) -> Response {
    let session = &issued.session;
    reply::json(&TokenReply {
        access_token: issued.access_token.expose(),
        token_type: "Bearer",
        expires_in: issued.expires_in,
        refresh_token: issued.refresh_token.expose(),
        scope: &issued.scope,
        client_id,
        platform_url: format!("https://{}", session.platform_host),
        api_v3_url: session.api_host.as_ref().map(|host| format!("https://{host}")),
        clientid: session.ib_client_id.as_deref(),
        logintimeoutperiod: session.period_hours,
        sid_expiry: session.expires_at,
        sid_created_at: session.created_at,
        sid: include_sid.then(|| session.sid.expose()),
    })
}
