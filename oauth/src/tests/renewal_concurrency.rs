//! Many who ask for a renewal at once: in this instance, and in others over the same store.

use std::{sync::Arc, time::Duration};

use axum::http::StatusCode;
use ib_contract::{RenewalCause, Revoked, Secret};
use serde_json::json;

use super::{
    Answer, Kit, NOW,
    gateway::{renewal, send},
    scripted,
};
use crate::{metrics::Metrics, upstreams::UpstreamSession};

fn newer() -> UpstreamSession {
    let sid = Secret::new("0e3e50000e3e50000e3e50000e3e5000");
    UpstreamSession { sid, login_time: Some(NOW), ..scripted::session() }
}

async fn until_asked(kit: &Kit, times: usize) {
    let asked = async {
        while kit.upstream.times_asked() < times {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), asked).await.unwrap();
}

/// What 100 get who ask at the same time for the same, half of them through another instance.
async fn hundred(kit: &Arc<Kit>, token: &str, session: &str) -> Vec<Answer> {
    let (_twin, internal) = kit.twin();
    let tasks: Vec<_> = (0..100)
        .map(|number| {
            let router = if number % 2 == 0 { kit.internal.clone() } else { internal.clone() };
            let request = renewal(token, session, 1, "rejected");
            tokio::spawn(async move { send(&router, request).await })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_who_see_a_session_rejected_one_asks_and_all_get_the_newer_one() {
    let kit = Arc::new(Kit::new());
    let (_, token, session) = kit.session().await;
    let asked = kit.upstream.times_asked();
    kit.upstream.log_in_with(newer());
    for answer in hundred(&kit, &token, &session).await {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert_eq!(answer.json()["upstreams"][0]["generation"], 2);
    }
    assert_eq!(kit.upstream.times_asked(), asked + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_who_see_a_session_die_one_asks_and_there_is_one_event() {
    let kit = Arc::new(Kit::new());
    let (_, token, session) = kit.session().await;
    let (asked, head) = (kit.upstream.times_asked(), kit.head().await);
    for answer in hundred(&kit, &token, &session).await {
        assert_eq!(answer.json(), json!({"active": false, "reason": "session_expired"}));
    }
    assert_eq!(kit.upstream.times_asked(), asked + 1);
    assert_eq!(kit.ended(head).await, [Revoked::Session(session)]);
}

#[tokio::test]
async fn a_renewal_goes_on_when_whoever_asked_for_it_goes_away() {
    let kit = Arc::new(Kit::new());
    let (_, token, session) = kit.session().await;
    let asked = kit.upstream.times_asked();
    kit.upstream.close_gate();
    kit.upstream.log_in_with(newer());
    let ask = || {
        let (kit, request) = (kit.clone(), renewal(&token, &session, 1, "rejected"));
        tokio::spawn(async move { kit.send_internal(request).await })
    };
    let gone = ask();
    until_asked(&kit, asked + 1).await;
    let stays = ask();
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    kit.upstream.open_gate();
    assert_eq!(stays.await.unwrap().json()["upstreams"][0]["generation"], 2);
    assert_eq!(kit.upstream.times_asked(), asked + 1);
}

#[tokio::test]
async fn who_asks_because_the_end_is_near_does_not_decide_for_who_was_rejected() {
    let kit = Arc::new(Kit::with("tokens: { access_token_seconds: 86400 }"));
    let (_, token, session) = kit.session().await;
    kit.clock.advance(Duration::from_secs(24 * 3_600 - 310));
    let asked = kit.upstream.times_asked();
    kit.upstream.close_gate();
    let ask = |cause: &'static str| {
        let (kit, request) = (kit.clone(), renewal(&token, &session, 1, cause));
        tokio::spawn(async move { kit.send_internal(request).await })
    };
    let near = ask("near_expiry");
    until_asked(&kit, asked + 1).await;
    let rejected = ask("rejected");
    kit.upstream.open_gate();
    assert_eq!(rejected.await.unwrap().json()["reason"], "session_expired");
    near.await.unwrap();
    assert_eq!(kit.upstream.times_asked(), asked + 2, "it was asked again, for the rejection");
}

#[tokio::test]
async fn an_instance_that_died_while_it_asked_holds_nobody_up_for_long() {
    let kit = Arc::new(Kit::new());
    let (_, token, session) = kit.session().await;
    let asked = kit.upstream.times_asked();
    kit.upstream.close_gate();
    // Another instance takes the lease and is never heard of again: its answer never comes.
    let (twin, internal) = kit.twin();
    let request = renewal(&token, &session, 1, "rejected");
    let dead = tokio::spawn(async move { send(&internal, request).await });
    until_asked(&kit, asked + 1).await;
    dead.abort();
    let waiting = {
        let (kit, request) = (kit.clone(), renewal(&token, &session, 1, "rejected"));
        tokio::spawn(async move { kit.send_internal(request).await })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(kit.upstream.times_asked(), asked + 1, "while the lease lasts nobody else asks");
    assert!(!waiting.is_finished());
    // Ten seconds for the platform and five more.
    kit.clock.advance(Duration::from_secs(15));
    until_asked(&kit, asked + 2).await;
    kit.upstream.log_in_with(newer());
    kit.upstream.open_gate();
    let told = waiting.await.unwrap().json();
    assert_eq!(told["upstreams"][0]["generation"], 2, "{told}");
    drop(twin);
}

#[tokio::test]
async fn after_a_restart_in_the_middle_of_a_renewal_requests_do_not_wait_for_the_process_that_died()
{
    let kit = Kit::new();
    let (_, token, session) = kit.session().await;
    let asked = kit.upstream.times_asked();
    kit.upstream.close_gate();
    let (router, request) = (kit.internal.clone(), renewal(&token, &session, 1, "rejected"));
    let dead = tokio::spawn(async move { send(&router, request).await });
    until_asked(&kit, asked + 1).await;
    // As a kill would leave the file: copied while the lease is in it.
    let folder = tempfile::tempdir().unwrap();
    let (store, left) = (kit.folder.path().join("store.redb"), folder.path().join("store.redb"));
    std::fs::copy(&store, &left).unwrap();
    let settings = kit.settings.replace(&store.display().to_string(), &left.display().to_string());
    let again = Kit::open(folder, settings, kit.clock.clone(), kit.upstream.clone());
    kit.upstream.log_in_with(newer());
    kit.upstream.open_gate();
    // The clock stands still: no lease has run out.
    let asking = again.renew(&token, &session, 1, "rejected");
    let told = tokio::time::timeout(Duration::from_secs(30), asking).await.unwrap().json();
    assert_eq!(told["upstreams"][0]["generation"], 2, "{told}");
    dead.abort();
}

#[test]
fn every_cause_and_result_is_counted_from_the_start() {
    let rendered = Metrics::new().render();
    for cause in [RenewalCause::NearExpiry, RenewalCause::Rejected] {
        for result in ["renewed", "nothing_newer", "unreachable", "known", "over"] {
            let series = format!(
                "oauth_renewals_total{{cause=\"{}\",result=\"{result}\"}} 0",
                cause.as_str()
            );
            assert!(rendered.contains(&series), "{series} in\n{rendered}");
        }
    }
    assert!(rendered.contains("oauth_revocation_feed_waiting 0"));
    for series in [
        r#"oauth_limited_total{limit="failed_authentication",endpoint="token"} 0"#,
        r#"oauth_limited_total{limit="pending_logins",endpoint="login"} 0"#,
        r#"oauth_upstream_requests_total{request="end",outcome="unreachable"} 0"#,
        r#"oauth_errors_total{endpoint="/token",cause="store_unavailable",fault="service"} 0"#,
    ] {
        assert!(rendered.contains(series), "{series} in\n{rendered}");
    }
}
