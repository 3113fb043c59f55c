//! `POST /introspect` (RFC 7662) in its two faces: the gateway's on the internal port, with sessions
//! and reasons, and the ordinary one for confidential clients, with neither.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};
use ib_contract::{ActiveToken, Introspection};
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
    grants::{GoodToken, Looked},
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
    Ok(gateway_answer(&app, looked))
}

/// The rich answer, with the session.
pub(super) fn gateway_answer(app: &App, looked: Looked) -> Response {
    reply::json(&match looked {
        Looked::Refused(reason) => Introspection::Inactive(reason),
        Looked::Good(good) => Introspection::Active(Box::new(for_the_gateway(app, *good))),
    })
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
            let GoodToken { token, session, .. } = *good;
            reply::json(&json!({
                "active": true,
                "token_type": "Bearer",
                "client_id": token.client_id,
                "scope": token.scope,
                "sub": token.sub,
                "aud": token.audience,
                "iss": app.settings.issuer.url,
                "iat": token.issued_at,
                "exp": token.expires_at,
                // Whose user `sub` is: IntelligenceBank names users within a customer.
                "ib_client_id": session.ib_client_id,
                "ib_platform_url": format!("https://{}", session.platform_host),
            }))
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

fn for_the_gateway(app: &App, good: GoodToken) -> ActiveToken {
    let now = app.clock.unix_seconds();
    let GoodToken { token, session, as_of } = good;
    // A token for another resource opens nothing here, whoever presents it.
    let upstreams = if token.audience == app.settings.resources.default {
        vec![session.upstream(&token.grant, app.settings.sessions, now)]
    } else {
        Vec::new()
    };
    ActiveToken {
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
    }
}
