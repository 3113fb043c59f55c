//! `POST /introspect` (RFC 7662) in its two faces: the gateway's on the internal port, with sessions
//! and reasons, and the ordinary one for confidential clients, with neither.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::HeaderMap,
    response::Response,
};
use ib_contract::{ActiveToken, Introspection};
use serde_json::json;

use super::{authenticate, caller::Caller as Asker, parameters, reply};
use crate::{
    app::App,
    error::Error,
    grants::{GoodToken, Looked},
    limits::Endpoint,
    metrics::{Caller, IntrospectionResult},
};

pub(super) async fn for_gateway(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Error> {
    let check = |headers: &HeaderMap| authenticate::gateway(&app.settings, headers);
    let looked = look_up(&app, Caller::Gateway, check, request).await?;
    Ok(gateway_answer(&app, looked))
}

/// The rich answer, with the session.
pub(super) fn gateway_answer(app: &App, looked: Looked) -> Response {
    reply::json(&match looked {
        Looked::Refused(reason) => Introspection::Inactive(reason),
        Looked::Good(good) => Introspection::Active(Box::new(for_the_gateway(app, *good))),
    })
}

pub(super) async fn for_clients(
    State(app): State<Arc<App>>,
    asker: Asker,
    request: Request,
) -> Result<Response, Error> {
    app.limits.address(Endpoint::Introspect, asker.0)?;
    let check = |headers: &HeaderMap| {
        let client = asker.authenticated(&app, Endpoint::Introspect, || {
            authenticate::confidential_client(&app.settings, headers)
        });
        client.map(|_| ())
    };
    Ok(match look_up(&app, Caller::Client, check, request).await? {
        Looked::Refused(_) => reply::json(&json!({ "active": false })),
        Looked::Good(good) => {
            let token = good.token;
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
            }))
        }
    })
}

/// Looks the token of a form up for a caller that `check` accepts, and counts how it ended.
async fn look_up(
    app: &App,
    caller: Caller,
    check: impl FnOnce(&HeaderMap) -> Result<(), Error>,
    request: Request,
) -> Result<Looked, Error> {
    let looked = async {
        check(request.headers())?;
        let form = parameters::form(request, app.settings.server).await?;
        app.grants.look_up(form.parameters.required("token")?).await
    }
    .await;
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
