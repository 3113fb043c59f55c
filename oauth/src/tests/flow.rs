//! A login from its beginning to a proxied call, as clients see it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::http::StatusCode;
use serde_json::json;

use super::{Kit, NOW, PLATFORM, REDIRECT, authorize_url, parameter, scripted, text};
use crate::{
    app::App,
    clock::{Clock, ManualClock},
    logins::Poll,
    tokens::PollToken,
    upstreams::{LoginProgress, UpstreamError, UpstreamSession},
};

#[tokio::test]
async fn a_client_logs_in_and_its_token_opens_the_platform_and_the_api_host() {
    let kit = Kit::new();
    let url = authorize_url(&[("platform_url", "https://company.intelligencebank.com/")]);
    let begun = kit.get_json(&url).await;
    assert_eq!(begun.status, StatusCode::OK);
    assert_eq!(
        text(&begun.json(), "loginUrl"),
        "https://company.intelligencebank.com/auth/?login=0&token=l0g1nt0ken0",
    );
    let poll_token = text(&begun.json(), "token");

    kit.poll(&poll_token).await.expect(404, "authorization_pending");
    kit.upstream.log_in();
    kit.clock.advance(Duration::from_secs(1));
    let done = kit.poll(&poll_token).await;
    let redirect = text(&done.json(), "redirect_url");
    assert!(redirect.starts_with(&format!("{REDIRECT}?code=")));
    assert_eq!(parameter(&redirect, "state"), "st");
    assert_eq!(parameter(&redirect, "iss"), "http://127.0.0.1:8080");

    let answer = kit.exchange(&parameter(&redirect, "code")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("pragma"), "no-cache");
    let tokens = answer.json();
    let access_token = text(&tokens, "access_token");
    assert_eq!(
        tokens,
        json!({
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": 3600,
            "refresh_token": text(&tokens, "refresh_token"),
            "scope": "profile",
            "client_id": "mcp-public-client",
            "platform_url": format!("https://{PLATFORM}"),
            "apiV3url": "https://apiv3.intelligencebank.com",
            "clientid": "AbC1",
            "logintimeoutperiod": 24,
            "sidCreatedAt": NOW - 10,
            "sidExpiry": NOW - 10 + 24 * 3600,
        }),
        "and nothing else: no sid above all (defects 8 and 9)",
    );

    let told = kit.introspect(&access_token).await;
    let session = text(&told["upstreams"][0], "session");
    assert_eq!(
        told,
        json!({
            "active": true,
            "version": 1,
            "as_of": told["as_of"],
            "client_id": "mcp-public-client",
            "scope": "profile",
            "sub": "user-ada",
            "aud": "http://127.0.0.1:8080/proxy/",
            "iss": "http://127.0.0.1:8080",
            "iat": NOW + 1,
            "exp": NOW + 3601,
            "expires_in": 3600,
            "upstreams": [{
                "session": session,
                "hosts": [PLATFORM, "apiv3.intelligencebank.com"],
                "headers": { "sid": scripted::SID },
                "generation": 1,
                "refresh_in": 24 * 3600 - 11 - 300,
                "expires_in": 24 * 3600 - 11,
                "refresh_limit_exceeded": false,
            }],
        }),
    );
}

#[tokio::test]
async fn a_token_that_a_client_received_survives_a_restart_right_after() {
    let kit = Kit::new();
    let tokens = kit.tokens().await;
    let kit = kit.restarted();
    assert_eq!(kit.introspect(&text(&tokens, "access_token")).await["active"], true);
    let next = kit.refresh(&text(&tokens, "refresh_token")).await;
    assert_eq!(next.status, StatusCode::OK);
}

#[tokio::test]
async fn a_login_that_has_begun_survives_a_restart() {
    let kit = Kit::new();
    let token = kit.begin().await;
    let kit = kit.restarted();
    kit.upstream.log_in();
    assert_eq!(kit.poll(&token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_poll_whose_answer_was_lost_gets_the_same_code_again_for_as_long_as_the_code_lives() {
    let kit = Kit::new();
    let token = kit.begin().await;
    kit.upstream.log_in();
    let first = kit.poll(&token).await;
    assert_eq!(first.text, kit.poll(&token).await.text);
    kit.clock.advance(Duration::from_secs(59));
    assert_eq!(first.text, kit.poll(&token).await.text);
    kit.clock.advance(Duration::from_secs(1));
    kit.poll(&token).await.expect(400, "expired_token");
}

#[tokio::test]
async fn a_poll_without_a_token_or_with_another_token_is_told_so() {
    let kit = Kit::new();
    let missing = kit.get("/authorize/poll").await;
    missing.expect(400, "invalid_request");
    assert_eq!(missing.json()["error_description"], "Missing token parameter");
    kit.get("/authorize/poll?token=").await.expect(400, "invalid_request");
    kit.poll("nonsense").await.expect(400, "expired_token");
    let unknown = crate::tokens::PollToken::generate().unwrap();
    kit.poll(unknown.expose()).await.expect(400, "expired_token");
}

#[tokio::test]
async fn a_login_that_nobody_finishes_ends_at_its_deadline() {
    let kit = Kit::new();
    let token = kit.begin().await;
    kit.clock.advance(Duration::from_secs(299));
    kit.poll(&token).await.expect(404, "authorization_pending");
    kit.clock.advance(Duration::from_secs(1));
    kit.upstream.log_in();
    kit.poll(&token).await.expect(400, "expired_token");
}

#[tokio::test]
async fn a_login_that_expired_at_intelligencebank_is_over_and_an_outage_is_not() {
    let kit = Kit::new();
    let token = kit.begin().await;
    for outage in
        [Err(UpstreamError::Unreachable("test")), Ok(LoginProgress::Unclear { status: 403 })]
    {
        kit.upstream.answers(outage);
        kit.poll(&token).await.expect(404, "authorization_pending");
        kit.clock.advance(Duration::from_secs(1));
    }
    kit.upstream.answers(Ok(LoginProgress::Expired));
    kit.poll(&token).await.expect(400, "expired_token");
    kit.upstream.log_in();
    kit.clock.advance(Duration::from_secs(1));
    kit.poll(&token).await.expect(400, "expired_token");
}

#[tokio::test]
async fn a_finished_login_whose_answer_cannot_be_used_ends_at_once_and_says_why() {
    for cause in [UpstreamError::Unusable("session id"), UpstreamError::TooLong] {
        let kit = Kit::new();
        let token = kit.begin().await;
        kit.upstream.answers(Err(cause));
        for _ in 0..2 {
            let answer = kit.poll(&token).await;
            answer.expect(400, "access_denied");
            let description = text(&answer.json(), "error_description");
            assert!(description.contains("cannot use"), "{description}");
        }
        assert_eq!(kit.upstream.times_asked(), 1);
    }
}

#[tokio::test]
async fn a_session_that_is_already_over_gives_no_code_and_one_with_a_second_left_does() {
    for (login_time, over) in [(NOW - 3_599, false), (NOW - 3_600, true), (1, true), (0, false)] {
        let kit = Kit::new();
        let token = kit.begin().await;
        kit.upstream.log_in_with(UpstreamSession {
            period_hours: Some(1),
            login_time: Some(login_time),
            ..scripted::session()
        });
        let answer = kit.poll(&token).await;
        if over {
            answer.expect(400, "access_denied");
            let description = text(&answer.json(), "error_description");
            assert_eq!(description, "The session at the platform is already over");
        } else {
            assert_eq!(answer.status, StatusCode::OK, "{login_time}");
        }
    }
}

/// A clock whose wall part is turned back.
struct TurnedBack {
    clock: Arc<ManualClock>,
    seconds: AtomicU64,
}

impl Clock for TurnedBack {
    fn unix_milliseconds(&self) -> u64 {
        self.clock.unix_milliseconds() - self.seconds.load(Ordering::SeqCst) * 1_000
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
}

#[tokio::test]
async fn a_clock_that_is_turned_back_freezes_no_running_login() {
    let kit = Kit::new();
    let clock = Arc::new(TurnedBack { clock: kit.clock.clone(), seconds: AtomicU64::new(0) });
    let app = App::new(
        Arc::clone(&kit.app.settings),
        Arc::clone(&kit.app.records),
        kit.upstream.clone(),
        clock.clone(),
    );
    let token = PollToken::parse(&kit.begin().await).unwrap();
    assert!(matches!(app.logins.poll(&token, None).await, Ok(Poll::Pending(_))));
    clock.seconds.store(3_600, Ordering::SeqCst);
    kit.upstream.log_in();
    kit.clock.advance(Duration::from_secs(1));
    assert!(matches!(app.logins.poll(&token, None).await, Ok(Poll::Complete(_))));
}

#[tokio::test]
async fn intelligencebank_is_not_asked_more_often_than_the_settings_say() {
    let kit = Kit::new();
    let token = kit.begin().await;
    for _ in 0..10 {
        kit.poll(&token).await.expect(404, "authorization_pending");
    }
    assert_eq!(kit.upstream.times_asked(), 1);
    kit.clock.advance(Duration::from_millis(500));
    kit.poll(&token).await.expect(404, "authorization_pending");
    assert_eq!(kit.upstream.times_asked(), 2);
}

#[tokio::test]
async fn defect_2_an_api_address_outside_the_allow_list_gets_no_session() {
    let kit = Kit::new();
    let token = kit.begin().await;
    kit.upstream.log_in_with(UpstreamSession {
        api_url: Some("https://evil.example".to_owned()),
        ..scripted::session()
    });
    kit.poll(&token).await.expect(400, "access_denied");
    kit.poll(&token).await.expect(400, "access_denied");
}

#[tokio::test]
async fn an_operator_may_allow_more_api_hosts() {
    let kit = Kit::with("intelligencebank: { api_hosts: [ api.example.org ] }");
    let token = kit.begin().await;
    kit.upstream.log_in_with(UpstreamSession {
        api_url: Some("https://api.example.org".to_owned()),
        ..scripted::session()
    });
    assert_eq!(kit.poll(&token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_stage_has_its_own_paths_and_issuer() {
    let kit = Kit::with("issuer: http://127.0.0.1:8080/dev");
    let query = super::authorize_query(&[("platform_url", PLATFORM)]);
    let begun = kit.get_json(&format!("/dev/authorize?{query}")).await;
    kit.upstream.log_in();
    let poll = format!("/dev/authorize/poll?token={}", text(&begun.json(), "token"));
    let redirect = text(&kit.get(&poll).await.json(), "redirect_url");
    assert_eq!(parameter(&redirect, "iss"), "http://127.0.0.1:8080/dev");
    let code = parameter(&redirect, "code");
    let tokens = kit.post("/dev/token", &super::exchange_form(&code)).await.json();
    let told = kit.introspect(&text(&tokens, "access_token")).await;
    assert_eq!(told["aud"], "http://127.0.0.1:8080/dev/proxy/");
    kit.get_json(&format!("/authorize?{query}")).await.expect(404, "not_found");
    kit.post("/token", &super::exchange_form(&code)).await.expect(404, "not_found");
}
