//! What follows a renewal that succeeded: no renewal right after it, and an end where the newer session
//! is no better than the one before.

use std::time::Duration;

use ib_contract::{Revoked, Secret};
use serde_json::{Value, json};

use super::{Kit, NOW, scripted};
use crate::upstreams::UpstreamSession;

/// The same session id with a login this many seconds later.
fn touched(seconds: u64) -> UpstreamSession {
    UpstreamSession { login_time: Some(NOW - 10 + seconds), ..scripted::session() }
}

fn over() -> Value {
    json!({"active": false, "reason": "session_expired"})
}

#[tokio::test]
async fn a_session_that_is_rejected_again_right_after_it_was_given_again_is_over() {
    let kit = Kit::new();
    let (_, token, session) = kit.session().await;
    let (asked, head) = (kit.upstream.times_asked(), kit.head().await);
    kit.upstream.log_in_with(touched(1));
    let told = kit.renew(&token, &session, 1, "rejected").await.json();
    assert_eq!(told["upstreams"][0]["generation"], 2);
    kit.clock.advance(Duration::from_secs(29));
    kit.upstream.log_in_with(touched(2));
    // Who has not seen the newer one yet decides nothing.
    assert_eq!(kit.renew(&token, &session, 1, "rejected").await.json()["active"], true);
    assert_eq!(kit.renew(&token, &session, 2, "rejected").await.json(), over());
    assert_eq!(kit.upstream.times_asked(), asked + 1, "IntelligenceBank has said what it knows");
    assert_eq!(kit.ended(head).await, [Revoked::Session(session.clone())]);
    assert_eq!(kit.restarted().introspect(&token).await, over());
}

#[tokio::test]
async fn a_session_that_was_given_again_and_served_for_a_while_is_asked_about_when_it_is_rejected()
{
    let kit = Kit::new();
    let (_, token, session) = kit.session().await;
    for generation in 1..5 {
        kit.upstream.log_in_with(touched(generation));
        let told = kit.renew(&token, &session, generation, "rejected").await.json();
        assert_eq!(told["upstreams"][0]["generation"], generation + 1);
        kit.clock.advance(Duration::from_secs(30));
    }
}

#[tokio::test]
async fn a_clock_that_was_set_back_ends_no_session_that_is_rejected_once() {
    let kit = Kit::with("tokens: { access_token_seconds: 86400 }");
    let (_, token, session) = kit.session().await;
    kit.clock.advance(Duration::from_secs(5_000));
    kit.upstream.log_in_with(touched(1));
    kit.renew(&token, &session, 1, "rejected").await;
    kit.clock.set_back(Duration::from_secs(4_000));
    kit.upstream.log_in_with(touched(2));
    let told = kit.renew(&token, &session, 2, "rejected").await.json();
    assert_eq!(told["upstreams"][0]["generation"], 3);
}

#[tokio::test]
async fn a_session_that_a_renewal_near_its_end_has_touched_may_be_rejected_once() {
    let kit = Kit::with("tokens: { access_token_seconds: 86400 }");
    let (_, token, session) = kit.session().await;
    kit.clock.advance(Duration::from_secs(24 * 3_600 - 300));
    kit.upstream.log_in_with(touched(60));
    kit.renew(&token, &session, 1, "near_expiry").await;
    let newer = Secret::new("0e3e50000e3e50000e3e50000e3e5000");
    kit.upstream.log_in_with(UpstreamSession { sid: newer, ..touched(60) });
    let told = kit.renew(&token, &session, 2, "rejected").await.json();
    assert_eq!(told["upstreams"][0]["generation"], 3);
}

#[tokio::test]
async fn a_renewal_that_leaves_the_end_as_near_as_before_is_followed_by_no_other_for_half_a_minute()
{
    let kit = Kit::with("tokens: { access_token_seconds: 86400 }");
    let (_, token, session) = kit.session().await;
    kit.clock.advance(Duration::from_secs(24 * 3_600 - 300));
    let asked = kit.upstream.times_asked();
    for round in 1..=4_u64 {
        // Another session id each time, of the same login.
        let sid = Secret::new(format!("0e3e5000{round}"));
        kit.upstream.log_in_with(UpstreamSession { sid, ..touched(0) });
        for _ in 0..3 {
            let told = kit.renew(&token, &session, round, "near_expiry").await.json();
            let told = &told["upstreams"][0];
            assert_eq!((&told["generation"], &told["refresh_in"]), (&json!(round + 1), &json!(30)));
            let told = kit.renew(&token, &session, round + 1, "near_expiry").await.json();
            assert_eq!(told["upstreams"][0]["generation"], round + 1);
        }
        assert_eq!(kit.upstream.times_asked(), asked + round as usize);
        kit.clock.advance(Duration::from_secs(30));
    }
}
