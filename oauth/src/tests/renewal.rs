//! `POST /sessions/renew`: what counts as newer, and who gets what.

use std::time::Duration;

use axum::http::StatusCode;
use ib_contract::{Revoked, Secret};
use serde_json::{Value, json};

use super::{
    GATEWAY_CREDENTIAL, Kit, NOW, PLATFORM, authorize_url, changed, exchange_form,
    gateway::renewal, parameter, post, scripted, text,
};
use crate::upstreams::{LoginProgress, UpstreamError, UpstreamSession};

const NEWER_SID: &str = "0e3e50000e3e50000e3e50000e3e5000";
/// The session of these tests ends so many seconds after [`NOW`].
const LENGTH: u64 = 24 * 3_600 - 10;

/// Another sid, and a login some seconds after [`NOW`].
fn newer(after: u64) -> UpstreamSession {
    UpstreamSession {
        sid: Secret::new(NEWER_SID),
        login_time: Some(NOW + after),
        ..scripted::session()
    }
}

fn upstream(answer: &Value) -> &Value {
    &answer["upstreams"][0]
}

#[tokio::test]
async fn a_session_with_another_sid_is_a_newer_one_with_times_of_its_own() {
    let kit = Kit::new();
    let (_, token, session) = kit.session().await;
    kit.clock.advance(Duration::from_secs(1_000));
    kit.upstream.log_in_with(UpstreamSession { period_hours: Some(2), ..newer(900) });
    let answer = kit.renew(&token, &session, 1, "rejected").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.header("cache-control"), "no-store");
    let told = answer.json();
    assert_eq!(told, kit.introspect(&token).await, "as an introspection says it from now on");
    assert_eq!(
        upstream(&told),
        &json!({
            "session": session,
            "hosts": [PLATFORM, "apiv3.intelligencebank.com"],
            "headers": { "sid": NEWER_SID },
            "previous_headers": { "sid": scripted::session().sid },
            "generation": 2,
            "refresh_in": 7_200 - 100 - 300,
            "expires_in": 7_200 - 100,
            "refresh_limit_exceeded": false,
        }),
    );
    assert_eq!(kit.metric(r#"oauth_renewals_total{cause="rejected",result="renewed"}"#), "1");
}

#[tokio::test]
async fn a_later_login_time_of_the_same_sid_is_a_newer_session() {
    let kit = Kit::new();
    let (tokens, token, session) = kit.session().await;
    kit.clock.advance(Duration::from_secs(1_000));
    let touched = UpstreamSession { login_time: Some(NOW - 9), ..scripted::session() };
    kit.upstream.log_in_with(touched);
    let told = kit.renew(&token, &session, 1, "rejected").await.json();
    assert_eq!(upstream(&told)["generation"], 2);
    assert_eq!(upstream(&told)["expires_in"], LENGTH + 1 - 1_000);
    let refreshed = kit.refresh(&text(&tokens, "refresh_token")).await.json();
    assert_eq!(refreshed["sidCreatedAt"], NOW - 9);
}

#[tokio::test]
async fn what_is_not_newer_renews_nothing() {
    let other_user = || {
        let mut session = newer(0);
        session.person.uuid = "user-grace".to_owned();
        session
    };
    let complete = |session| Ok(LoginProgress::Complete(Box::new(session)));
    for answer in [
        complete(scripted::session()),
        complete(UpstreamSession { login_time: None, ..scripted::session() }),
        complete(UpstreamSession { login_time: Some(NOW - 11), ..scripted::session() }),
        complete(UpstreamSession { login_time: Some(1), ..newer(0) }),
        complete(UpstreamSession { api_url: Some("https://evil.example".to_owned()), ..newer(0) }),
        complete(other_user()),
        Ok(LoginProgress::Pending),
        Ok(LoginProgress::Expired),
        Err(UpstreamError::Unusable("session id")),
    ] {
        let kit = Kit::new();
        let (_, token, session) = kit.session().await;
        kit.upstream.answers(answer.clone());
        let told = kit.renew(&token, &session, 1, "rejected").await.json();
        assert_eq!(told, json!({"active": false, "reason": "session_expired"}), "{answer:?}");
    }
}

#[tokio::test]
async fn a_platform_whose_clock_is_ahead_does_not_renew_by_saying_the_same_again() {
    let kit = Kit::new();
    let ahead = UpstreamSession { login_time: Some(NOW + 500), ..scripted::session() };
    let poll = kit.begin().await;
    kit.upstream.log_in_with(ahead);
    let code = parameter(&text(&kit.poll(&poll).await.json(), "redirect_url"), "code");
    let token = text(&kit.exchange(&code).await.json(), "access_token");
    let session = text(upstream(&kit.introspect(&token).await), "session");
    let told = kit.renew(&token, &session, 1, "rejected").await.json();
    assert_eq!(told["active"], false);
}

#[tokio::test]
async fn a_rejected_session_with_nothing_newer_is_over_for_good_and_the_gateways_hear_of_it() {
    let kit = Kit::new();
    let (tokens, token, session) = kit.session().await;
    let head = kit.head().await;
    let told = kit.renew(&token, &session, 1, "rejected").await.json();
    assert_eq!(told, json!({"active": false, "reason": "session_expired"}));
    assert_eq!(kit.ended(head).await, [Revoked::Session(session.clone())]);
    let asked = kit.upstream.times_asked();
    // Even if IntelligenceBank thinks otherwise later: the gateways have forgotten it.
    kit.upstream.log_in_with(newer(0));
    for seconds in [0, 29, 1, 100] {
        kit.clock.advance(Duration::from_secs(seconds));
        let told = kit.renew(&token, &session, 1, "rejected").await.json();
        assert_eq!(told, json!({"active": false, "reason": "session_expired"}));
    }
    assert_eq!(kit.upstream.times_asked(), asked, "the recorded result does");
    assert_eq!(kit.head().await, head + 1);
    let kit = kit.restarted();
    assert_eq!(kit.introspect(&token).await["reason"], "session_expired");
    let refused = kit.refresh(&text(&tokens, "refresh_token")).await;
    refused.expect(400, "invalid_grant");
    assert_eq!(refused.json()["error_description"], "Session has expired");
}

#[tokio::test]
async fn a_gateway_whose_generation_is_behind_gets_the_newer_session_and_nothing_is_asked() {
    let kit = Kit::new();
    let (_, token, session) = kit.session().await;
    kit.upstream.log_in_with(newer(0));
    kit.renew(&token, &session, 1, "rejected").await;
    let asked = kit.upstream.times_asked();
    for cause in ["rejected", "near_expiry"] {
        for generation in [0, 1] {
            let told = kit.renew(&token, &session, generation, cause).await.json();
            assert_eq!(upstream(&told)["generation"], 2);
            assert_eq!(upstream(&told)["headers"]["sid"], NEWER_SID);
        }
    }
    assert_eq!(kit.upstream.times_asked(), asked);
    assert_eq!(kit.metric(r#"oauth_renewals_total{cause="rejected",result="known"}"#), "2");
    // The newer one is rejected in its turn.
    let told = kit.renew(&token, &session, 2, "rejected").await.json();
    assert_eq!(told["active"], false);
    assert_eq!(kit.upstream.times_asked(), asked + 1);
}

#[tokio::test]
async fn a_renewal_is_for_the_tokens_own_session_and_for_good_tokens_alone() {
    let kit = Kit::with("additional_resources: [ \"https://other.example/api\" ]");
    let (_, token, session) = kit.session().await;
    let (_, _, other) = kit.session().await;
    let asked = kit.upstream.times_asked();
    let told = kit.renew(&token, &other, 1, "rejected").await.json();
    assert_eq!(upstream(&told)["session"], session, "the answer is about the token");
    let told = kit.renew("nonsense", &session, 1, "rejected").await.json();
    assert_eq!(told, json!({"active": false, "reason": "invalid_token"}));
    let url =
        authorize_url(&[("resource", "https://other.example/api"), ("platform_url", PLATFORM)]);
    let begun = kit.get_json(&url).await;
    let poll = kit.poll(&text(&begun.json(), "token")).await;
    let code = parameter(&text(&poll.json(), "redirect_url"), "code");
    let foreign = text(&kit.exchange(&code).await.json(), "access_token");
    let told = kit.renew(&foreign, &session, 1, "rejected").await.json();
    assert_eq!(told["upstreams"], json!([]));
    assert_eq!(kit.upstream.times_asked(), asked + 1, "for the login alone");
    assert_eq!(kit.introspect(&token).await["active"], true);
}

#[tokio::test]
async fn only_the_gateway_renews_and_only_with_all_that_it_needs() {
    let kit = Kit::new();
    let (_, token, session) = kit.session().await;
    let form = [
        ("token", token.as_str()),
        ("session", session.as_str()),
        ("generation", "1"),
        ("cause", "rejected"),
    ];
    kit.send_internal(post("/sessions/renew", &form)).await.expect(401, "invalid_client");
    let mut wrong = post("/sessions/renew", &form);
    let credential = format!("Bearer {GATEWAY_CREDENTIAL}x").parse().unwrap();
    wrong.headers_mut().insert("authorization", credential);
    kit.send_internal(wrong).await.expect(401, "invalid_client");
    for (name, value) in [
        ("token", ""),
        ("session", ""),
        ("generation", ""),
        ("generation", "-1"),
        ("generation", "one"),
        ("generation", "99999999999999999999999"),
        ("cause", ""),
        ("cause", "Rejected"),
    ] {
        let form = changed(form.to_vec(), name, value);
        let request = super::gateway::authorized(post("/sessions/renew", &form));
        kit.send_internal(request).await.expect(400, "invalid_request");
    }
    assert_eq!(kit.introspect(&token).await["active"], true);
}

#[tokio::test]
async fn a_grant_that_is_revoked_while_its_session_is_read_stays_revoked() {
    let kit = std::sync::Arc::new(Kit::new());
    let (tokens, token, session) = kit.session().await;
    let asked = kit.upstream.times_asked();
    kit.upstream.close_gate();
    kit.upstream.log_in_with(newer(0));
    let asking = tokio::spawn({
        let (kit, request) = (kit.clone(), renewal(&token, &session, 1, "rejected"));
        async move { kit.send_internal(request).await }
    });
    while kit.upstream.times_asked() == asked {
        tokio::task::yield_now().await;
    }
    let form =
        [("token", text(&tokens, "refresh_token")), ("client_id", "mcp-public-client".into())];
    let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(kit.post("/revoke", &form).await.status, StatusCode::OK);
    kit.upstream.open_gate();
    let told = asking.await.unwrap().json();
    assert_eq!(told, json!({"active": false, "reason": "invalid_token"}));
    assert_eq!(kit.introspect(&token).await["reason"], "invalid_token");
    let code = kit.code().await;
    assert_eq!(kit.post("/token", &exchange_form(&code)).await.status, StatusCode::OK);
}
