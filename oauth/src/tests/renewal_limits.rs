//! How often a session is read again: spacing, the maximum of attempts, outages.

use std::time::Duration;

use axum::http::StatusCode;
use ib_contract::{Revoked, Secret};
use serde_json::{Value, json};

use super::{Answer, Kit, NOW, parameter, scripted, text};
use crate::upstreams::{LoginProgress, UpstreamError, UpstreamSession};

/// A session of an hour that has just begun: its window opens after 3,300 seconds.
struct Short {
    kit: Kit,
    token: String,
    refresh_token: String,
    session: String,
}

impl Short {
    async fn new(more: &str) -> Self {
        let kit = Kit::with(more);
        let poll = kit.begin().await;
        kit.upstream.log_in_with(unchanged());
        let code = parameter(&text(&kit.poll(&poll).await.json(), "redirect_url"), "code");
        let tokens = kit.exchange(&code).await.json();
        let token = text(&tokens, "access_token");
        let session = text(&kit.introspect(&token).await["upstreams"][0], "session");
        Self { kit, token, refresh_token: text(&tokens, "refresh_token"), session }
    }

    fn restarted(self) -> Self {
        Self { kit: self.kit.restarted(), ..self }
    }

    fn pass(&self, seconds: u64) {
        self.kit.clock.advance(Duration::from_secs(seconds));
    }

    fn times_asked(&self) -> usize {
        // Without the one of the login.
        self.kit.upstream.times_asked() - 1
    }

    async fn ask(&self, cause: &str) -> Answer {
        self.kit.renew(&self.token, &self.session, 1, cause).await
    }

    /// Asks because the end is near; what the gateway then knows of the session.
    async fn near(&self) -> Value {
        let answer = self.ask("near_expiry").await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.json()["upstreams"][0].clone()
    }
}

/// What IntelligenceBank says of that session.
fn unchanged() -> UpstreamSession {
    UpstreamSession { period_hours: Some(1), login_time: Some(NOW), ..scripted::session() }
}

fn newer() -> UpstreamSession {
    let sid = Secret::new("0e3e50000e3e50000e3e50000e3e5000");
    UpstreamSession { sid, login_time: Some(NOW + 3_300), ..unchanged() }
}

#[tokio::test]
async fn before_its_window_opens_nobody_is_asked() {
    let short = Short::new("").await;
    short.pass(3_299);
    assert_eq!(short.near().await["refresh_in"], 1);
    assert_eq!(short.times_asked(), 0);
    short.pass(1);
    short.near().await;
    assert_eq!(short.times_asked(), 1);
}

#[tokio::test]
async fn after_a_failed_attempt_the_next_is_due_thirty_seconds_later() {
    let short = Short::new("").await;
    short.pass(3_300);
    assert_eq!(short.near().await["refresh_in"], 30);
    short.pass(29);
    assert_eq!(short.near().await["refresh_in"], 1);
    assert_eq!(short.times_asked(), 1, "after 29 seconds");
    short.pass(1);
    assert_eq!(short.near().await["refresh_in"], 30);
    assert_eq!(short.times_asked(), 2, "after 30 seconds");
    let label = r#"oauth_renewals_total{cause="near_expiry",result="nothing_newer"}"#;
    assert_eq!(short.kit.metric(label), "2");
}

#[tokio::test]
async fn the_spacing_is_a_setting_and_never_reaches_past_the_end() {
    let short = Short::new("sessions: { renewal_spacing_seconds: 250 }").await;
    short.pass(3_300);
    assert_eq!(short.near().await["refresh_in"], 250);
    short.pass(250);
    let told = short.near().await;
    assert_eq!((&told["refresh_in"], &told["expires_in"]), (&json!(50), &json!(50)));
}

#[tokio::test]
async fn after_the_last_attempt_none_is_due_and_the_session_serves_until_its_end() {
    let short = Short::new("").await;
    short.pass(3_300);
    for attempt in 1..=5 {
        let told = short.near().await;
        assert_eq!(told["refresh_limit_exceeded"], attempt == 5, "attempt {attempt}");
        if attempt < 5 {
            assert_eq!(told["refresh_in"], 30);
            short.pass(30);
        } else {
            assert_eq!(told["refresh_in"], told["expires_in"]);
        }
    }
    short.kit.upstream.log_in_with(newer());
    short.pass(60);
    let told = short.near().await;
    assert_eq!((&told["generation"], &told["refresh_in"]), (&json!(1), &told["expires_in"]));
    assert_eq!(short.times_asked(), 5, "whatever IntelligenceBank would say now");
    let short = short.restarted();
    short.pass(119);
    assert_eq!(short.kit.introspect(&short.token).await["active"], true, "its last second");
    short.pass(1);
    let refused = short.kit.refresh(&short.refresh_token).await;
    refused.expect(400, "invalid_grant");
    assert_eq!(refused.json()["error_description"], "Session refresh limit exceeded");
}

#[tokio::test]
async fn a_session_that_ends_after_its_attempts_ran_out_says_so_to_gateways_and_clients() {
    let short = Short::new(
        "sessions: { maximum_refresh_attempts: 1 }\ntokens: { access_token_seconds: 7200 }",
    )
    .await;
    short.pass(3_300);
    short.near().await;
    short.pass(300);
    let over = json!({"active": false, "reason": "refresh_limit_exceeded"});
    assert_eq!(short.kit.introspect(&short.token).await, over);
    assert_eq!(short.ask("rejected").await.json(), over);
    let request = axum::http::Request::get("/userinfo")
        .header("authorization", format!("Bearer {}", short.token))
        .body(axum::body::Body::empty());
    let userinfo = short.kit.send(request.unwrap()).await;
    userinfo.expect(401, "invalid_token");
    assert_eq!(userinfo.json()["error_description"], "Session refresh limit exceeded");
}

#[tokio::test]
async fn a_rejection_after_the_attempts_ran_out_asks_nobody_and_is_told_from_an_expiry() {
    let short = Short::new("sessions: { maximum_refresh_attempts: 1 }").await;
    short.pass(3_300);
    short.near().await;
    let (asked, head) = (short.times_asked(), short.kit.head().await);
    short.kit.upstream.log_in_with(newer());
    let over = json!({"active": false, "reason": "refresh_limit_exceeded"});
    assert_eq!(short.ask("rejected").await.json(), over);
    assert_eq!(short.times_asked(), asked);
    assert_eq!(short.kit.ended(head).await, [Revoked::Session(short.session.clone())]);
    assert_eq!(short.kit.introspect(&short.token).await, over);
    let label = r#"oauth_renewals_total{cause="rejected",result="over"}"#;
    assert_eq!(short.kit.metric(label), "1", "an operator sees why sessions end");
}

#[tokio::test]
async fn defect_23_a_token_refresh_resets_neither_attempts_nor_times() {
    let short = Short::new("sessions: { maximum_refresh_attempts: 2 }").await;
    short.pass(3_300);
    short.near().await;
    let short = short.restarted();
    let answer = short.kit.refresh(&short.refresh_token).await;
    assert_eq!(answer.status, StatusCode::OK);
    let token = text(&answer.json(), "access_token");
    let told = short.kit.introspect(&token).await["upstreams"][0].clone();
    assert_eq!((&told["refresh_in"], &told["expires_in"]), (&json!(30), &json!(300)));
    short.pass(30);
    let told = short.kit.renew(&token, &short.session, 1, "near_expiry").await.json();
    assert_eq!(told["upstreams"][0]["refresh_limit_exceeded"], true, "it was the second");
}

#[tokio::test]
async fn a_renewal_that_succeeds_begins_its_attempts_anew() {
    let short = Short::new("sessions: { maximum_refresh_attempts: 2 }").await;
    short.pass(3_300);
    short.near().await;
    short.pass(30);
    short.kit.upstream.log_in_with(newer());
    let told = short.near().await;
    assert_eq!((&told["generation"], &told["expires_in"]), (&json!(2), &json!(3_570)));
    assert_eq!(
        (&told["refresh_in"], &told["refresh_limit_exceeded"]),
        (&json!(3_270), &json!(false))
    );
}

#[tokio::test]
async fn an_outage_is_no_attempt_and_is_tried_again_with_growing_pauses() {
    let short = Short::new("sessions: { maximum_refresh_attempts: 1 }").await;
    short.kit.upstream.answers(Err(UpstreamError::Unreachable("test")));
    short.pass(3_300);
    let mut asked = 0;
    for pause in [1, 2, 4, 8, 16, 30, 30] {
        let told = short.near().await;
        assert_eq!(told["refresh_in"], pause);
        assert_eq!(told["refresh_limit_exceeded"], false);
        asked += 1;
        short.pass(pause - 1);
        short.near().await;
        assert_eq!(short.times_asked(), asked, "before the pause of {pause} is over");
        short.pass(1);
    }
    short.kit.upstream.log_in_with(newer());
    assert_eq!(short.near().await["generation"], 2, "when the platform is back");
}

#[tokio::test]
async fn a_rejection_while_the_platform_is_out_of_reach_ends_nothing() {
    let short = Short::new("").await;
    let head = short.kit.head().await;
    short.kit.upstream.answers(Err(UpstreamError::Unreachable("test")));
    for _ in 0..3 {
        let answer = short.ask("rejected").await;
        answer.expect(503, "temporarily_unavailable");
        assert!(!answer.header("retry-after").is_empty());
    }
    assert_eq!(short.times_asked(), 1, "the others get the recorded result");
    assert_eq!(short.kit.introspect(&short.token).await["active"], true);
    assert_eq!(short.kit.head().await, head);
    short.pass(1);
    short.ask("rejected").await.expect(503, "temporarily_unavailable");
    assert_eq!(short.times_asked(), 2);
    short.kit.upstream.log_in_with(UpstreamSession { login_time: Some(NOW), ..newer() });
    short.pass(2);
    let told = short.ask("rejected").await.json();
    assert_eq!(told["upstreams"][0]["generation"], 2);
    let label = r#"oauth_renewals_total{cause="rejected",result="unreachable"}"#;
    assert_eq!(short.kit.metric(label), "2");
}

#[tokio::test]
async fn a_page_for_maintenance_or_of_a_firewall_ends_no_session_and_is_no_attempt() {
    for answer in [
        Ok(LoginProgress::Unclear { status: 200 }),
        Ok(LoginProgress::Unclear { status: 403 }),
        Err(UpstreamError::TooLong),
    ] {
        let short = Short::new("sessions: { maximum_refresh_attempts: 1 }").await;
        let head = short.kit.head().await;
        short.kit.upstream.answers(answer);
        short.ask("rejected").await.expect(503, "temporarily_unavailable");
        assert_eq!(short.kit.introspect(&short.token).await["active"], true);
        assert_eq!(short.kit.head().await, head);
        short.pass(3_300);
        let told = short.near().await;
        assert_eq!(
            (&told["refresh_in"], &told["refresh_limit_exceeded"]),
            (&json!(2), &json!(false))
        );
        short.kit.upstream.log_in_with(newer());
        short.pass(2);
        assert_eq!(short.ask("rejected").await.json()["upstreams"][0]["generation"], 2);
    }
}

#[tokio::test]
async fn a_rejection_right_after_a_failed_attempt_is_asked_about() {
    let short = Short::new("").await;
    short.pass(3_300);
    short.near().await;
    short.kit.upstream.log_in_with(newer());
    let told = short.ask("rejected").await.json();
    assert_eq!(told["upstreams"][0]["generation"], 2);
}
