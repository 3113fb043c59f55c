//! What the gateway does on the internal port, for the tests.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
};
use ib_contract::{Revocations, Revoked};
use serde_json::Value;
use tower::ServiceExt as _;

use super::{Answer, GATEWAY_CREDENTIAL, Kit, post, text};
use crate::{app::App, endpoints};

/// Gives a request the gateway's credential.
pub(super) fn authorized(mut request: Request<Body>) -> Request<Body> {
    let credential = format!("Bearer {GATEWAY_CREDENTIAL}").parse().unwrap();
    request.headers_mut().insert(header::AUTHORIZATION, credential);
    request
}

pub(super) fn renewal(token: &str, session: &str, generation: u64, cause: &str) -> Request<Body> {
    let generation = generation.to_string();
    authorized(post(
        "/sessions/renew",
        &[("token", token), ("session", session), ("generation", &generation), ("cause", cause)],
    ))
}

impl Kit {
    pub(super) async fn revocations(&self, query: &str) -> Answer {
        let request = Request::get(format!("/revocations{query}")).body(Body::empty()).unwrap();
        self.send_internal(authorized(request)).await
    }

    /// What a poll with this query gives.
    pub(super) async fn feed(&self, query: &str) -> Revocations {
        let answer = self.revocations(query).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        Revocations::from_json(answer.text.as_bytes()).unwrap()
    }

    /// The number of the last event.
    pub(super) async fn head(&self) -> u64 {
        self.feed("").await.as_of
    }

    /// What has ended after the event of this number.
    pub(super) async fn ended(&self, after: u64) -> Vec<Revoked> {
        let told = self.feed(&format!("?after={after}")).await;
        assert!(!told.reset);
        told.events.into_iter().map(|event| event.revoked).collect()
    }

    /// A login up to the access token, and the session's id.
    pub(super) async fn session(&self) -> (Value, String, String) {
        let tokens = self.tokens().await;
        let token = text(&tokens, "access_token");
        let session = text(&self.introspect(&token).await["upstreams"][0], "session");
        (tokens, token, session)
    }

    /// Asks for a renewal.
    pub(super) async fn renew(
        &self,
        token: &str,
        session: &str,
        generation: u64,
        cause: &str,
    ) -> Answer {
        self.send_internal(renewal(token, session, generation, cause)).await
    }

    /// The internal port of another instance over the same store.
    pub(super) fn twin(&self) -> (Arc<App>, Router) {
        let twin = Arc::new(App::new(
            Arc::clone(&self.app.settings),
            Arc::clone(&self.app.records),
            self.upstream.clone(),
            self.clock.clone(),
        ));
        let internal = endpoints::internal(&twin);
        (twin, internal)
    }

    /// The same, at the same token endpoint.
    pub(super) fn twin_with_tokens(&self) -> (Arc<App>, Router) {
        let twin = Arc::new(App::with_upstreams(
            Arc::clone(&self.app.settings),
            Arc::clone(&self.app.records),
            self.upstream.clone(),
            self.tokens.clone(),
            self.documents.clone(),
            self.clock.clone(),
        ));
        let internal = endpoints::internal(&twin);
        (twin, internal)
    }

    /// What the metrics have under this name, labels included.
    pub(super) fn metric(&self, series: &str) -> String {
        let rendered = self.app.metrics.render();
        let line = rendered.lines().find_map(|line| line.strip_prefix(series));
        line.unwrap_or_else(|| panic!("no {series} in\n{rendered}")).trim().to_owned()
    }

    /// Waits until the metrics have this value.
    pub(super) async fn until_metric(&self, series: &str, value: &str) {
        let reached = async {
            while self.metric(series) != value {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), reached).await.unwrap();
    }
}

/// Sends a request to another instance.
pub(super) async fn send(router: &Router, request: Request<Body>) -> Answer {
    Answer::of(router.clone().oneshot(request).await.unwrap()).await
}
