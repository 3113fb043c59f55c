//! A platform that is down: who asks for it hears so at once, no session suffers for it, and the
//! service goes on.

use std::time::Duration;

use axum::http::StatusCode;

use super::{Kit, PLATFORM, authorize_url};
use crate::upstreams::UpstreamError;

const CIRCUIT: &str = "intelligencebank: { circuit_failures: 3, circuit_open_seconds: 10 }";

#[tokio::test]
async fn an_open_circuit_is_answered_as_an_unreachable_platform_without_asking_it() {
    let kit = Kit::with(CIRCUIT);
    kit.upstream.begins_with(Err(UpstreamError::Unreachable("test")));
    let url = authorize_url(&[("platform_url", PLATFORM)]);
    let mut answers = Vec::new();
    for _ in 0..4 {
        let answer = kit.get_json(&url).await;
        answer.expect(400, "temporarily_unavailable");
        answers.push(answer.text);
    }
    assert_eq!(answers[3], answers[0], "the caller cannot tell, and need not");
    kit.upstream.begins_with(Ok(()));
    kit.get_json(&url).await.expect(400, "temporarily_unavailable");
    let refused = r#"oauth_platform_requests_refused_total{reason="circuit_open"}"#;
    assert_eq!(kit.metric(refused), "2");
    kit.clock.advance(Duration::from_secs(10));
    assert_eq!(kit.get_json(&url).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_open_circuit_costs_no_attempt_of_a_renewal_and_ends_no_session() {
    let kit = Kit::with(&format!("{CIRCUIT}\nsessions: {{ maximum_refresh_attempts: 1 }}"));
    let (_, token, session) = kit.session().await;
    kit.upstream.answers(Err(UpstreamError::Unreachable("test")));
    let asked = kit.upstream.times_asked();
    for _ in 0..6 {
        let answer = kit.renew(&token, &session, 1, "rejected").await;
        answer.expect(503, "temporarily_unavailable");
        // Beyond the pause of the session itself, and within that of the circuit.
        kit.clock.advance(Duration::from_secs(3));
    }
    let while_open = kit.upstream.times_asked() - asked;
    assert!(while_open < 6, "{while_open}");
    assert_eq!(kit.metric("oauth_platform_circuits_opened_total"), "1");
    kit.clock.advance(Duration::from_secs(60));
    let mut newer = super::scripted::session();
    newer.login_time = newer.login_time.map(|time| time + 100);
    kit.upstream.log_in_with(newer);
    let answer = kit.renew(&token, &session, 1, "rejected").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.json()["upstreams"][0]["generation"], 2);
}

#[tokio::test]
async fn a_platform_that_asks_for_a_pause_ends_no_login_and_is_not_asked_meanwhile() {
    let kit = Kit::with(CIRCUIT);
    let token = kit.begin().await;
    kit.upstream.answers(Err(UpstreamError::Limited { retry_after: Some(30) }));
    kit.poll(&token).await.expect(404, "authorization_pending");
    let asked = kit.upstream.times_asked();
    kit.upstream.log_in();
    kit.clock.advance(Duration::from_millis(29_999));
    kit.poll(&token).await.expect(404, "authorization_pending");
    assert_eq!(kit.upstream.times_asked(), asked);
    kit.clock.advance(Duration::from_secs(1));
    assert_eq!(kit.poll(&token).await.status, StatusCode::OK);
}
