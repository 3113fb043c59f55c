//! `POST /introspect` (RFC 7662) in its two faces: the gateway's on the internal port, with sessions
//! and reasons, and the ordinary one for confidential clients, with neither.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};
use ib_contract::{ActiveToken, InactiveReason, Introspection};
use serde_json::json;

use super::{
    authenticate,
    caller::Caller as Asker,
    openapi::{
        answers::{ClientRefused, Failures, Forms, GatewayRefused, Limited},
        forms::IntrospectionForm,
        schemas::{ClientIntrospection, GatewayIntrospection},
    },
    parameters, reply,
};
use crate::{
    app::App,
    error::Error,
    grants::{GoodToken, Holder, Looked},
    limits::Endpoint,
    metrics::{Caller, IntrospectionResult},
};

/// Is this token good, and what may it reach?
#[utoipa::path(
    post,
    path = "/introspect",
    operation_id = "introspect",
    request_body(content = IntrospectionForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "What there is to know.", body = GatewayIntrospection),
        Forms, GatewayRefused, Failures,
    ),
    security(("gateway_credential" = [])),
)]
pub(super) async fn for_gateway(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Error> {
    let looked = async {
        authenticate::gateway(&app.settings, request.headers())?;
        let form = parameters::form(request, app.settings.server).await?;
        app.grants.look_up(form.parameters.required("token")?).await
    };
    let looked = counted(&app, Caller::Gateway, looked.await)?;
    gateway_answer(&app, looked).await
}

/// The rich answer, with the sessions. A token of a machine credential is acquired for it where there is
/// none yet.
pub(super) async fn gateway_answer(app: &App, looked: Looked) -> Result<Response, Error> {
    Ok(reply::json(&match looked {
        Looked::Refused(reason) => Introspection::Inactive(reason),
        Looked::Good(good) => match for_the_gateway(app, *good).await? {
            Some(active) => Introspection::Active(Box::new(active)),
            None => Introspection::Inactive(InactiveReason::InvalidToken),
        },
    }))
}

/// Is this token good? For confidential clients (RFC 7662).
#[utoipa::path(
    post,
    path = "/introspect",
    operation_id = "introspect",
    request_body(content = IntrospectionForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "What there is to know.", body = ClientIntrospection),
        Forms, ClientRefused, Limited, Failures,
    ),
    security(("client_secret_basic" = [])),
)]
pub(super) async fn for_clients(
    State(app): State<Arc<App>>,
    asker: Asker,
    request: Request,
) -> Result<Response, Error> {
    app.limits.address(Endpoint::Introspect, asker.0)?;
    let looked = async {
        let form = parameters::form(request, app.settings.server).await?;
        let check = authenticate::confidential_client(&app, &form.headers, &form.parameters);
        asker.authenticated(&app, Endpoint::Introspect, check).await?;
        app.grants.look_up(form.parameters.required("token")?).await
    };
    Ok(match counted(&app, Caller::Client, looked.await)? {
        Looked::Refused(_) => reply::json(&json!({ "active": false })),
        Looked::Good(good) => {
            let GoodToken { token, holder, .. } = *good;
            let mut known = json!({
                "active": true,
                "token_type": "Bearer",
                "client_id": token.client_id,
                "scope": token.scope,
                "sub": token.sub,
                "aud": token.audience,
                "iss": app.settings.issuer.url,
                "iat": token.issued_at,
                "exp": token.expires_at,
            });
            if let (Holder::Person(session), Some(known)) = (holder, known.as_object_mut()) {
                // Whose user `sub` is: IntelligenceBank names users within a customer.
                known.insert("ib_client_id".to_owned(), json!(session.ib_client_id));
                let url = format!("https://{}", session.platform_host);
                known.insert("ib_platform_url".to_owned(), json!(url));
            }
            reply::json(&known)
        }
    })
}

/// Counts how an introspection ended.
fn counted(app: &App, caller: Caller, looked: Result<Looked, Error>) -> Result<Looked, Error> {
    app.metrics.introspection(
        caller,
        match &looked {
            Ok(Looked::Good(_)) => IntrospectionResult::Active,
            Ok(Looked::Refused(reason)) => IntrospectionResult::Inactive(*reason),
            Err(Error::InvalidClient(_) | Error::InvalidGatewayCredential) => {
                IntrospectionResult::Unauthorized
            }
            Err(_) => IntrospectionResult::Error,
        },
    );
    looked
}

/// `None`: the token's scope is not one that it could be issued for now.
async fn for_the_gateway(app: &App, good: GoodToken) -> Result<Option<ActiveToken>, Error> {
    let GoodToken { token, holder, as_of } = good;
    let upstreams = match holder {
        // A token for another resource opens nothing here, whoever presents it.
        _ if token.audience != app.settings.resources.default => Vec::new(),
        Holder::Person(session) => {
            let now = app.clock.unix_seconds();
            vec![session.upstream(&token.grant, app.settings.sessions, now)]
        }
        Holder::Machine => match app.machine_credentials.upstreams(&token.scope).await? {
            Some(upstreams) => upstreams,
            None => return Ok(None),
        },
    };
    let now = app.clock.unix_seconds();
    Ok(Some(ActiveToken {
        as_of,
        client_id: token.client_id,
        scope: token.scope,
        sub: token.sub,
        aud: vec![token.audience],
        iss: app.settings.issuer.url.clone(),
        exp: token.expires_at,
        iat: token.issued_at,
        expires_in: token.expires_at.saturating_sub(now),
        upstreams,
    }))
}
