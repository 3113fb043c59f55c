//! The control API, for tests only: what happens next, and what was received.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::accounts::CompleteError;
use crate::settings::SettingsPatch;
use crate::shared::Shared;
use crate::{query, reply};

type SharedState = State<Arc<Shared>>;

/// The control API's paths.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/healthz", get(healthy))
        .route("/requests", get(requests).delete(forget_requests))
        .route("/settings", get(settings).put(change_settings))
        .route("/logins/{content}/complete", post(complete_login))
        .route("/tokens/{content}/expire", post(expire_token))
        .route("/sessions/{sid}/kill", post(kill_session))
        .route("/rei-cca/tokens/{token}/kill", post(kill_token))
        .fallback(async || refused(StatusCode::NOT_FOUND, "there is no such path"))
        .method_not_allowed_fallback(async || {
            refused(StatusCode::METHOD_NOT_ALLOWED, "the path has no such method")
        })
        .with_state(shared)
}

async fn healthy() -> Response {
    reply::json(StatusCode::OK, &json!({"status": "ready"}))
}

async fn requests(State(shared): SharedState, RawQuery(raw_query): RawQuery) -> Response {
    let since = query::value(&raw_query.unwrap_or_default(), "since");
    let Ok(since) = since.as_deref().unwrap_or("0").parse() else {
        return refused(StatusCode::BAD_REQUEST, "since: is no whole number");
    };
    let requests = shared.requests().since(since);
    reply::json(StatusCode::OK, &requests)
}

async fn forget_requests(State(shared): SharedState) -> Response {
    shared.requests().clear();
    StatusCode::NO_CONTENT.into_response()
}

async fn settings(State(shared): SharedState) -> Response {
    let settings = shared.settings().clone();
    reply::json(StatusCode::OK, &settings)
}

async fn change_settings(State(shared): SharedState, body: Bytes) -> Response {
    let patch: SettingsPatch = match parse(&body) {
        Ok(patch) => patch,
        Err(reason) => return refused(StatusCode::BAD_REQUEST, &reason),
    };
    let changed = {
        let mut settings = shared.settings();
        patch.apply(&mut settings).map(|()| settings.clone())
    };
    match changed {
        Ok(settings) => reply::json(StatusCode::OK, &settings),
        Err(invalid) => refused(StatusCode::BAD_REQUEST, &invalid.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Completion {
    user: String,
}

async fn complete_login(
    State(shared): SharedState,
    Path(content): Path<String>,
    body: Bytes,
) -> Response {
    let completion: Completion = match parse(&body) {
        Ok(completion) => completion,
        Err(reason) => return refused(StatusCode::BAD_REQUEST, &reason),
    };
    let settings = shared.settings().clone();
    let now = shared.clock.now();
    let done = shared.accounts().complete(&content, &completion.user, None, &settings, now);
    match done {
        Ok(sid) => reply::json(StatusCode::OK, &json!({"sid": sid})),
        Err(error) => {
            let status = match error {
                CompleteError::Expired => StatusCode::NOT_FOUND,
                CompleteError::Spent => StatusCode::CONFLICT,
                CompleteError::UnknownUser => StatusCode::BAD_REQUEST,
                CompleteError::NoRandomness(_) => StatusCode::INTERNAL_SERVER_ERROR,
            };
            refused(status, &error.to_string())
        }
    }
}

async fn expire_token(State(shared): SharedState, Path(content): Path<String>) -> Response {
    if shared.accounts().expire(&content) {
        StatusCode::NO_CONTENT.into_response()
    } else {
        refused(StatusCode::NOT_FOUND, "there is no such login token")
    }
}

async fn kill_session(State(shared): SharedState, Path(sid): Path<String>) -> Response {
    if shared.accounts().kill(&sid) {
        StatusCode::NO_CONTENT.into_response()
    } else {
        refused(StatusCode::NOT_FOUND, "there is no such session")
    }
}

async fn kill_token(State(shared): SharedState, Path(token): Path<String>) -> Response {
    if shared.tokens().kill(&token) {
        StatusCode::NO_CONTENT.into_response()
    } else {
        refused(StatusCode::NOT_FOUND, "there is no such token")
    }
}

/// The body as JSON, whatever its Content-Type says, or what is wrong with it.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

fn refused(status: StatusCode, description: &str) -> Response {
    let error = json!({"error": "refused", "error_description": description});
    reply::json(status, &error)
}
