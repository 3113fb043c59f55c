//! `POST /token` with a refresh token.

use std::time::Duration;

use axum::http::StatusCode;

use super::{
    Kit, NOW, PLATFORM, authorize_url, changed, encode, exchange_form, parameter, refresh_form,
    text,
};
use crate::upstreams::UpstreamSession;

#[tokio::test]
async fn row_6_rfc_6749_6_a_refresh_token_is_traded_for_a_new_pair() {
    let kit = Kit::new();
    let first = kit.tokens().await;
    kit.clock.advance(Duration::from_secs(100));
    let answer = kit.refresh(&text(&first, "refresh_token")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("cache-control"), "no-store");
    let second = answer.json();
    assert_ne!(first["access_token"], second["access_token"]);
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert_eq!(second["expires_in"], 3600);
    assert_eq!(kit.introspect(&text(&second, "access_token")).await["active"], true);
    // The earlier access token lives out its own time.
    assert_eq!(kit.introspect(&text(&first, "access_token")).await["active"], true);
}

#[tokio::test]
async fn row_6_rfc_9700_4_14_2_a_spent_refresh_token_that_returns_ends_the_whole_family() {
    let kit = Kit::new();
    let first = kit.tokens().await;
    let second = kit.refresh(&text(&first, "refresh_token")).await.json();
    kit.clock.advance(Duration::from_secs(5));
    kit.refresh(&text(&first, "refresh_token")).await.expect(400, "invalid_grant");
    for tokens in [&first, &second] {
        assert_eq!(kit.introspect(&text(tokens, "access_token")).await["reason"], "invalid_token");
        kit.refresh(&text(tokens, "refresh_token")).await.expect(400, "invalid_grant");
    }
}

#[tokio::test]
async fn row_7_within_the_grace_the_predecessor_gets_the_same_successor() {
    let kit = Kit::new();
    let first = kit.tokens().await;
    let second = kit.refresh(&text(&first, "refresh_token")).await.json();
    kit.clock.advance(Duration::from_secs(4));
    let again = kit.refresh(&text(&first, "refresh_token")).await.json();
    assert_eq!(second["access_token"], again["access_token"]);
    assert_eq!(second["refresh_token"], again["refresh_token"]);
    assert_eq!(again["expires_in"], 3596, "the token is not younger than it is");
    assert_eq!(kit.refresh(&text(&second, "refresh_token")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn row_7_within_the_grace_another_scope_or_resource_gets_nothing() {
    let kit = Kit::with("additional_resources: [ \"https://other.example/api\" ]");
    let url = authorize_url(&[
        ("client_id", "other-public-client"),
        ("scope", "profile assets"),
        ("platform_url", PLATFORM),
    ]);
    let begun = kit.get_json(&url).await;
    kit.upstream.log_in();
    let poll = kit.poll(&text(&begun.json(), "token")).await;
    let code = parameter(&text(&poll.json(), "redirect_url"), "code");
    let form = changed(exchange_form(&code), "client_id", "other-public-client");
    let refresh_token = text(&kit.post("/token", &form).await.json(), "refresh_token");
    let form = changed(refresh_form(&refresh_token), "client_id", "other-public-client");
    let narrow = changed(form.clone(), "scope", "assets");
    let second = kit.post("/token", &narrow).await.json();
    for (name, value, error) in [
        ("scope", "profile assets admin", "invalid_scope"),
        ("scope", "profile assets", "invalid_scope"),
        ("scope", "profile", "invalid_scope"),
        ("scope", "", "invalid_scope"),
        ("resource", "https://other.example/api", "invalid_target"),
    ] {
        let other = changed(narrow.clone(), name, value);
        kit.post("/token", &other).await.expect(400, error);
    }
    let again = kit.post("/token", &narrow).await.json();
    assert_eq!(again["access_token"], second["access_token"], "the same request still may");
}

#[tokio::test]
async fn row_7_the_grace_is_for_the_immediate_predecessor_alone() {
    let kit = Kit::new();
    let first = kit.tokens().await;
    let second = kit.refresh(&text(&first, "refresh_token")).await.json();
    let third = kit.refresh(&text(&second, "refresh_token")).await.json();
    kit.refresh(&text(&first, "refresh_token")).await.expect(400, "invalid_grant");
    assert_eq!(kit.introspect(&text(&third, "access_token")).await["active"], false);
}

#[tokio::test]
async fn row_7_without_a_grace_every_return_ends_the_family() {
    let kit = Kit::with("tokens: { refresh_grace_seconds: 0 }");
    let first = kit.tokens().await;
    let second = kit.refresh(&text(&first, "refresh_token")).await.json();
    kit.refresh(&text(&first, "refresh_token")).await.expect(400, "invalid_grant");
    assert_eq!(kit.introspect(&text(&second, "access_token")).await["active"], false);
}

#[tokio::test]
async fn row_6_no_rotation_moves_the_absolute_end() {
    let kit = Kit::with(
        "tokens: { refresh_token_seconds: 7200 }\nsessions: { default_period_hours: 24 }",
    );
    let first = kit.tokens().await;
    kit.clock.advance(Duration::from_secs(7_000));
    let second = kit.refresh(&text(&first, "refresh_token")).await.json();
    kit.clock.advance(Duration::from_secs(200));
    kit.refresh(&text(&second, "refresh_token")).await.expect(400, "invalid_grant");
    // Its access token was issued for an hour, and the grant stands as long.
    assert_eq!(kit.introspect(&text(&second, "access_token")).await["active"], true);
}

#[tokio::test]
async fn defect_16_a_refresh_token_outlives_its_access_token() {
    let kit = Kit::new();
    let tokens = kit.tokens().await;
    kit.clock.advance(Duration::from_secs(2 * 3600));
    assert_eq!(kit.introspect(&text(&tokens, "access_token")).await["reason"], "invalid_token");
    assert_eq!(kit.refresh(&text(&tokens, "refresh_token")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn defect_23_a_token_refresh_moves_none_of_the_sessions_times() {
    let kit = Kit::new();
    let first = kit.tokens().await;
    kit.clock.advance(Duration::from_secs(10_000));
    let second = kit.refresh(&text(&first, "refresh_token")).await.json();
    for field in ["sidExpiry", "sidCreatedAt", "logintimeoutperiod"] {
        assert_eq!(first[field], second[field], "{field}");
    }
    let told = kit.introspect(&text(&second, "access_token")).await;
    assert_eq!(told["upstreams"][0]["expires_in"], 24 * 3600 - 10 - 10_000);
    assert_eq!(told["upstreams"][0]["generation"], 1);
}

#[tokio::test]
async fn a_refresh_after_the_sessions_end_says_so_in_the_words_that_clients_match() {
    let kit = Kit::new();
    kit.upstream.log_in_with(UpstreamSession {
        period_hours: Some(1),
        login_time: Some(NOW),
        ..super::scripted::session()
    });
    let token = kit.begin().await;
    let redirect = text(&kit.poll(&token).await.json(), "redirect_url");
    let tokens = kit.exchange(&parameter(&redirect, "code")).await.json();
    kit.clock.advance(Duration::from_secs(3_600));
    for later in [0, 3_600, 100_000] {
        kit.clock.advance(Duration::from_secs(later));
        let answer = kit.refresh(&text(&tokens, "refresh_token")).await;
        answer.expect(400, "invalid_grant");
        assert_eq!(answer.json()["error_description"], "Session has expired");
    }
}

#[tokio::test]
async fn row_6_a_refresh_token_is_bound_to_its_client_and_its_kind() {
    let kit = Kit::new();
    let tokens = kit.tokens().await;
    let refresh_token = text(&tokens, "refresh_token");
    let form = changed(refresh_form(&refresh_token), "client_id", "other-public-client");
    kit.post("/token", &form).await.expect(400, "invalid_grant");
    kit.refresh(&text(&tokens, "access_token")).await.expect(400, "invalid_grant");
    kit.refresh("nonsense").await.expect(400, "invalid_grant");
    kit.refresh("").await.expect(400, "invalid_request");
    let form = changed(refresh_form(&refresh_token), "resource", "https://evil.example/");
    kit.post("/token", &form).await.expect(400, "invalid_target");
    assert_eq!(kit.refresh(&refresh_token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn row_6_a_narrower_scope_is_given_and_a_wider_one_refused() {
    let kit = Kit::new();
    let query = encode(&[
        ("response_type", "code"),
        ("client_id", "other-public-client"),
        ("redirect_uri", super::REDIRECT),
        ("code_challenge", super::CHALLENGE),
        ("code_challenge_method", "S256"),
        ("platform_url", PLATFORM),
    ]);
    let begun = kit.get_json(&format!("/authorize?{query}")).await;
    kit.upstream.log_in();
    let poll = kit.poll(&text(&begun.json(), "token")).await;
    let code = parameter(&text(&poll.json(), "redirect_url"), "code");
    let form = changed(exchange_form(&code), "client_id", "other-public-client");
    let first = kit.post("/token", &form).await.json();
    assert_eq!(first["scope"], "profile assets");
    let refresh_token = text(&first, "refresh_token");
    let form = changed(refresh_form(&refresh_token), "client_id", "other-public-client");
    let wider = changed(form.clone(), "scope", "profile admin");
    kit.post("/token", &wider).await.expect(400, "invalid_scope");
    let narrower = changed(form, "scope", "assets");
    let second = kit.post("/token", &narrower).await.json();
    assert_eq!(second["scope"], "assets");
    assert_eq!(kit.introspect(&text(&second, "access_token")).await["scope"], "assets");
    // The grant itself keeps its scope.
    let refresh_token = text(&second, "refresh_token");
    let form = changed(refresh_form(&refresh_token), "client_id", "other-public-client");
    assert_eq!(kit.post("/token", &form).await.json()["scope"], "profile assets");
}
